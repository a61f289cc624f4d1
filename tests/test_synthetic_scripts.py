"""Scripts of the synthetic scenes: bounded movements, exact spans, and every anomaly with its signature."""

import numpy as np
import pytest
from small_stage import (
    CASES,
    DRIVEN,
    LAYOUTS,
    NOUNS,
    PEOPLE,
    PLAZA,
    SECONDS,
    STATION,
    STREET,
    DummyCast,
    box,
    by_kind,
    in_spans,
    odd,
    play_of,
    points,
    speeds,
    times,
    told,
    track,
)

from training.datasets.synthetic.crowd import Stage
from training.datasets.synthetic.paths import STEP_S, Ground, Rail, Track
from training.datasets.synthetic.scripts import ANOMALY_SCRIPTS, can_happen, plan
from training.datasets.synthetic.scripts_people import LEAST_S, onset
from training.datasets.synthetic.stage import Layout
from training.datasets.truth import ANOMALIES


def test_every_anomaly_has_a_script_and_a_place() -> None:
    assert tuple(ANOMALY_SCRIPTS) == ANOMALIES
    assert {kind for _, kind in CASES if kind} == set(ANOMALIES)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_movements_are_bounded_and_the_gait_is_exact(name: str, kind: str | None) -> None:
    crash = kind in ("traffic accident", "explosion")
    for life in play_of(name, kind).lives:
        p, rows = points(life), track(life).rows
        v = np.diff(p) / STEP_S
        noun = life.actor.noun
        assert np.isfinite(rows).all() and len(p) > 0
        np.testing.assert_allclose(np.diff(rows[:, 5]), np.abs(v) * STEP_S, atol=1e-6)
        if len(v) < 2:
            continue
        assert np.abs(v).max() < (9.0 if noun in PEOPLE else 16.0), (noun, life.action)
        if noun in (*PEOPLE, *DRIVEN, "cyclist", "skater") and not (crash and life.anomaly):
            assert np.abs(np.diff(v)).max() / STEP_S < 7.5, (noun, life.action)
        # Nobody turns like a top, and headings never jump by a turn of 2 pi.
        assert np.abs(np.diff(rows[:, 3])).max() / STEP_S < 6.5, (noun, life.action)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_spans_are_inside_the_clip_and_the_life(name: str, kind: str | None) -> None:
    play = play_of(name, kind)
    if kind is None:
        assert play.lives and not odd(play) and not play.flash_s
        return
    assert odd(play) and {life.anomaly for life in odd(play)} == {kind}
    longest = 0.0
    for life in odd(play):
        assert life.anomalous_s and len(life.action.split()) >= 1
        last = -1.0
        for a, b in life.anomalous_s:
            assert 0 <= a < b <= SECONDS and a > last
            assert life.path(a) is not None and life.path(b) is not None
            last, longest = b, max(longest, b - a)
        x0, y0, x1, y1 = LAYOUTS[name].extent
        for p in points(life)[in_spans(life)]:
            assert x0 - 0.3 <= p.real <= x1 + 0.3 and y0 - 0.3 <= p.imag <= y1 + 0.3
    assert longest >= 1.5


@pytest.mark.parametrize("name", LAYOUTS)
def test_ordinary_people_stay_where_one_walks(name: str) -> None:
    layout = LAYOUTS[name]
    ground, rails = Ground(layout), [Rail(lane, layout.extent, 8.0) for lane in layout.lanes]
    for life in play_of(name, None).lives:
        if life.actor.noun not in PEOPLE:
            continue
        for p in points(life)[::5]:
            off = abs(ground.snap(complex(p)) - p)
            assert min([off] + [r.find(complex(p))[1] for r in rails if r.use == "people"]) < 1.0, life.action
        # Running is not ordinary here.
        assert speeds(life).max() < 2.6 and "run" not in track(life).actions, life.action


@pytest.mark.parametrize("name", LAYOUTS)
def test_ordinary_lives_do_not_go_through_each_other(name: str) -> None:
    lives = play_of(name, None, 2).lives
    near = close = 0
    for t in np.arange(0, SECONDS, 0.5):
        states = [(life, s) for life in lives if (s := life.path(float(t))) is not None]
        walkers = [complex(s.x, s.y) for life, s in states if life.actor.noun in PEOPLE and s.action == "walk"]
        for i, p in enumerate(walkers):
            gaps = [abs(p - q) for q in walkers[:i]]
            near, close = near + sum(g < 3 for g in gaps), close + sum(g < 0.25 for g in gaps)
        for life, s in states:
            for other, r in states:
                if other is not life and {life.actor.noun, other.actor.noun} <= set(DRIVEN):
                    away = complex(r.x - s.x, r.y - s.y) * np.exp(-1j * s.heading)
                    reach = (life.actor.size_m[0] + other.actor.size_m[0]) / 2
                    assert abs(away.real) > reach - 0.3 or abs(away.imag) > 1.6, t
                if life.actor.noun in DRIVEN and other.actor.noun in PEOPLE:
                    away = complex(r.x - s.x, r.y - s.y) * np.exp(-1j * s.heading)
                    assert abs(away.real) > life.actor.size_m[0] / 2 or abs(away.imag) > life.actor.size_m[1] / 2, t
    assert close <= 0.02 * near + 1


def test_the_same_seed_gives_the_same_play() -> None:
    for kind in (None, "fighting"):
        a, b = (plan(PLAZA, np.random.default_rng(5), 6.0, kind, DummyCast()) for _ in range(2))
        assert [(x.actor.noun, x.anomaly, x.anomalous_s, x.action) for x in a.lives] == [
            (x.actor.noun, x.anomaly, x.anomalous_s, x.action) for x in b.lives
        ]
        for x, y in zip(a.lives, b.lives, strict=True):
            np.testing.assert_array_equal(track(x).rows, track(y).rows)
    other = plan(PLAZA, np.random.default_rng(6), 6.0, None, DummyCast())
    assert [track(x).rows.shape for x in other.lives] != [track(x).rows.shape for x in a.lives]


def test_anomalies_begin_at_any_time_and_some_before_the_clip() -> None:
    stage = Stage(PLAZA, np.random.default_rng(0), 20.0, DummyCast(), Ground(PLAZA))
    drawn = np.array([onset(stage) for _ in range(2000)])
    assert 0.05 < (drawn <= 0).mean() < 0.25 and drawn.max() <= 20.0 - LEAST_S
    counts, _ = np.histogram(drawn[drawn > 0], bins=5, range=(0, 20.0 - LEAST_S))
    assert counts.min() > 0.7 * counts.mean()


@pytest.mark.parametrize("kind", ["cycling", "skating", "driving"])
def test_riders_go_fast_where_people_walk(kind: str) -> None:
    nouns = {"cycling": ("cyclist",), "skating": ("skater", "scooter rider"), "driving": (*DRIVEN, "golf cart")}[kind]
    for layout, play in by_kind(kind):
        ground = Ground(layout)
        for life in odd(play):
            assert life.actor.noun in nouns
            p, v = points(life)[in_spans(life)], speeds(life)[in_spans(life)][1:]
            assert 1.8 < np.quantile(v, 0.75) < 8.0
            assert np.mean([abs(ground.snap(complex(q)) - q) < 0.5 for q in p]) > 0.9


def test_runners_run() -> None:
    for layout, play in by_kind("running"):
        x0, y0, x1, y1 = layout.extent
        for life in odd(play):
            assert speeds(life)[in_spans(life)].max() > 2.5 and "run" in told(life)
            # Before it begins, and where the camera looks, nobody runs.
            early = (times(life) < life.anomalous_s[0][0] - 0.1) & (np.array(track(life).actions) == "run")
            for p in points(life)[early]:
                assert not (x0 < p.real < x1 and y0 < p.imag < y1)


def test_fighters_are_close_and_strike() -> None:
    for _, play in by_kind("fighting"):
        fighters = odd(play)
        assert 2 <= len(fighters) <= 3
        for life in fighters:
            assert set(told(life)) & {"fight", "kick"}
            t = life.anomalous_s[0][0] + 0.5
            s = life.path(t)
            others = [r for other in fighters if other is not life and (r := other.path(t)) is not None]
            assert s is not None and min(np.hypot(s.x - r.x, s.y - r.y) for r in others) < 2.0


def test_who_falls_lies() -> None:
    for _, play in by_kind("falling"):
        (life,) = odd(play)
        actions = told(life)
        assert "lie" in actions and set(actions) <= {"fall", "lie"}
        lies = np.array(track(life).actions) == "lie"
        assert speeds(life)[lies][10:].max(initial=0) < 0.05


def test_loiterers_stay_in_one_place_all_the_time() -> None:
    for _, play in by_kind("loitering"):
        for life in odd(play):
            p = points(life)[in_spans(life)]
            assert sum(b - a for a, b in life.anomalous_s) > 0.7 * SECONDS
            assert np.abs(p - p.mean()).max() < 4.5 and np.abs(np.diff(p)).sum() > 2.0


@pytest.mark.parametrize("seed", range(4))
def test_an_abandoned_thing_stands_while_its_owner_is_away(seed: int) -> None:
    play = play_of("plaza", "abandoned object", seed)
    (bag,) = odd(play)
    p = points(bag)[in_spans(bag)]
    start, end = bag.anomalous_s[0]
    assert np.abs(p - p[0]).max() < 1e-3 and end == pytest.approx(SECONDS, abs=STEP_S)
    owners = [
        life
        for life in play.lives
        if life.action.endswith((" down and leaves", " behind")) or "without the" in life.action
    ]
    owners = [life for life in owners if life is not bag]
    assert owners or start == 0.0
    for t in np.arange(start + STEP_S, end, 0.2):
        for owner in owners:
            state = owner.path(float(t))
            assert state is None or abs(complex(state.x, state.y) - p[0]) > 2.0


def test_a_thief_runs_off_with_the_bag() -> None:
    for _, play in by_kind("theft"):
        thief = next(life for life in odd(play) if "run" in told(life) and "thief" not in life.action)
        bag = next(life for life in play.lives if life.action == "is stolen")
        start, end = thief.anomalous_s[0]
        assert speeds(thief)[in_spans(thief)].max() > 2.5
        for t in np.arange(start + 0.8, end, 0.2):
            a, b = thief.path(float(t)), bag.path(float(t))
            assert a is None or b is None or np.hypot(a.x - b.x, a.y - b.y) < 0.9
        # Nothing jumps into the hand.
        assert speeds(bag).max() < 9.5


def test_the_wrong_way_is_against_the_lane() -> None:
    for layout, play in by_kind("wrong way"):
        rails = [Rail(lane, layout.extent, 8.0) for lane in layout.lanes]
        for life in odd(play):
            p = points(life)[in_spans(life)]
            rail = min(rails, key=lambda r: r.find(complex(p[len(p) // 2]))[1])
            steps = np.diff(p)
            along = np.array([np.exp(1j * rail.at(rail.find(complex(q))[0])[1]) for q in p[:-1]])
            moving = np.abs(steps) > 0.005
            assert moving.mean() > 0.5 and ((steps * along.conj()).real[moving] < 0).mean() > 0.95
            headings = track(life).rows[in_spans(life), 3][:-1]
            assert np.cos(headings - np.angle(along)).max() < 0


def test_panic_is_many_who_run_away() -> None:
    for _, play in by_kind("crowd panic"):
        runners = [life for life in odd(play) if "run" in told(life) and speeds(life)[in_spans(life)].max() > 2.5]
        assert len(runners) >= 4
        starts = [life.anomalous_s[0][0] for life in runners]
        assert max(starts) - min(starts) < 2.5


def test_jaywalkers_are_on_the_road_away_from_the_crossing() -> None:
    for layout, play in by_kind("jaywalking"):
        ground = Ground(layout)
        zebra = complex(*layout.spots["crossing"][0])
        for life in odd(play):
            p = points(life)[in_spans(life)]
            assert np.mean([ground.on_road(complex(q)) for q in p]) > 0.9
            assert np.abs(p - zebra).min() > 4.0 and np.ptp(p.imag) > 3.0


def test_climbers_leave_the_ground() -> None:
    for layout, play in by_kind("climbing"):
        for life in odd(play):
            z = track(life).rows[:, 2]
            assert z[in_spans(life)].max() > 1.0 and "climb" in told(life)
            p = points(life)[np.argmax(z)]
            assert min(abs(p - complex(*s)) for s in layout.spots["fence"]) < 1.5


def test_what_is_thrown_flies_in_an_arc() -> None:
    for _, play in by_kind("throwing"):
        things = [life for life in odd(play) if life.actor.noun in ("bottle", "stone")]
        throwers = [life for life in odd(play) if life not in things]
        assert things and len(throwers) == 1 and "throw" in told(throwers[0])
        for thing in things:
            z = track(thing).rows[:, 2]
            assert z[0] > 1.0 and np.abs(points(thing)[-1] - points(thing)[0]) > 1.0
            flight = z[: int(np.argmax(z <= 0.05)) or len(z)]
            if len(flight) > 3:
                np.testing.assert_allclose(np.diff(flight, 2)[1:-1] / STEP_S**2, -9.81, atol=0.2)


def test_vandals_strike_something() -> None:
    for layout, play in by_kind("vandalism"):
        spots = [complex(*p) for k in ("parked car", "bin", "door", "bench") for p in layout.spots.get(k, ())]
        (life,) = odd(play)
        assert set(told(life)) & {"kick", "fight"}
        assert min(abs(points(life)[in_spans(life)].mean() - s) for s in spots) < 2.0


def test_fire_stays_and_grows_with_smoke() -> None:
    for _, play in by_kind("fire"):
        assert {"fire", "smoke"} <= {life.actor.noun for life in odd(play)}
        for life in odd(play):
            size = track(life).rows[:, 4]
            assert np.all(np.diff(size) >= -1e-9) and speeds(life).max() < 1e-6
            assert set(track(life).actions) == {"burn"}


def test_an_explosion_flashes_smokes_and_drives_people_away() -> None:
    for _, play in by_kind("explosion"):
        (flash,) = play.flash_s
        assert 0 <= flash <= SECONDS
        nouns = {life.actor.noun for life in odd(play)}
        assert {"explosion", "smoke"} <= nouns
        blast = next(life for life in odd(play) if life.actor.noun == "explosion")
        assert blast.anomalous_s[0][0] == pytest.approx(flash, abs=2 * STEP_S)
        assert all(life.anomalous_s[0][0] >= flash - 1e-6 for life in odd(play))


@pytest.mark.parametrize("seed", range(3))
def test_an_accident_is_two_that_collide_and_stop(seed: int) -> None:
    play = play_of("street", "traffic accident", seed)
    a, b = odd(play)
    assert a.anomalous_s[0][0] == pytest.approx(b.anomalous_s[0][0], abs=0.1)
    start = a.anomalous_s[0][0]
    s, r = a.path(start), b.path(start)
    assert s is not None and r is not None
    reach = (a.actor.size_m[0] + b.actor.size_m[0]) / 2
    assert abs(complex(s.x - r.x, s.y - r.y)) < reach + 1.0
    hitter = next(
        life for life in (a, b) if speeds(life)[times(life) <= start + 1e-6][-2:].max(initial=0) > 2 or start == 0
    )
    for life in (hitter, a, b):
        assert speeds(life)[-3:].max() < 0.3 and life.anomalous_s[-1][1] == pytest.approx(SECONDS, abs=STEP_S)


def test_what_is_ordinary_or_impossible_cannot_happen() -> None:
    assert not can_happen("cycling", Layout(**{**PLAZA.__dict__, "normal": frozenset({"cycling"})}))
    assert not can_happen("jaywalking", PLAZA) and can_happen("jaywalking", STREET)
    assert not can_happen("wrong way", PLAZA) and can_happen("wrong way", STATION)
    assert not can_happen("climbing", STREET) and can_happen("climbing", PLAZA)
    assert not can_happen("traffic accident", STATION) and not can_happen("driving", STATION)
    with pytest.raises(ValueError, match="choose one of"):
        can_happen("sneezing", PLAZA)
    with pytest.raises(ValueError, match="cannot happen in 'plaza'"):
        plan(PLAZA, np.random.default_rng(0), SECONDS, "jaywalking", DummyCast())
    with pytest.raises(ValueError, match="too short"):
        plan(PLAZA, np.random.default_rng(0), 1.0, None, DummyCast())


def test_ways_go_around_obstacles() -> None:
    ground = Ground(PLAZA)
    line = ground.route(0 + 10j, 0 + 26j)
    assert line is not None and line[0] == 10j and line[-1] == 26j
    assert np.abs(line - 18j).min() > 1.2 and np.abs(np.diff(line)).sum() < 19
    apart = Ground(Layout(**{**PLAZA.__dict__, "walkable": (box(-12, 4, -2, 34), box(2, 4, 12, 34))}))
    assert apart.route(-8 + 6j, 8 + 8j) is None


def test_a_track_interpolates_and_ends() -> None:
    rows = np.array([[0, 0, 0, 0, 0, 0], [1, 0, 0, 0.2, 0.5, 1], [2, 0, 0, 0.4, 1, 2]], float)
    path = Track(1.0, rows, ["walk", "walk", "fall"])
    state = path(1.0 + STEP_S / 2)
    assert state is not None and state.x == pytest.approx(0.5) and state.travelled == pytest.approx(0.5)
    last = path(1.0 + 2 * STEP_S)
    assert last is not None and last.action == "fall"
    assert path(0.99) is None and path(1.0 + 2 * STEP_S + 0.01) is None
    with pytest.raises(ValueError, match="rows"):
        Track(0.0, rows, ["walk"])


def test_the_drawn_cast_knows_all_nouns() -> None:
    from training.datasets.synthetic.actors import NOUNS as DRAWN

    assert set(NOUNS) <= set(DRAWN)
