"""What a language model is shown: nothing is lost that answers need, mirrors mirror it, and no video breaks it."""

from dataclasses import replace

import numpy as np
import pytest
from view_fakes import (
    SIZE_WH,
    make_analysis,
    make_boxes,
    make_curves,
    make_event,
    make_evidence,
    make_sight,
    make_track,
)

from heatmap.appearance import TERMS
from heatmap.levels import to_rarity
from heatmap.motion import DIRECTIONS
from tvad.evidence import Curves
from tvad.lvlm import slots
from tvad.lvlm.view import FACTS, View, ViewConfig, chance_of, heat_slices, view_of
from tvad.sight import Sight

OTHER = {"left": "right", "right": "left"}


def other(name: str) -> str:
    return "-".join(OTHER.get(word, word) for word in name.split("-"))


def order(names: tuple[str, ...]) -> list[int]:
    """Places of the mirrored names."""
    return [names.index(other(name)) for name in names]


CELLS, BORDERS, WAYS = order(slots.CELL_NAMES), order(slots.BORDERS), order((*DIRECTIONS, "none"))


def mirrored(name: str, values: np.ndarray) -> np.ndarray:
    """Features (S, width) of a group as they are of the mirrored video."""
    out = values.copy()
    if name in ("first", "last"):
        out = np.concatenate([values[:, :9][:, CELLS], values[:, 9:][:, BORDERS]], 1)
    if name == "way":
        out[:, :9] = values[:, :9][:, WAYS]
    if name in ("entry", "exit"):
        out = values[:, BORDERS]
    if name in ("sideways", "first_column", "last_column"):
        out = values[:, order(slots.SIDEWAYS)]
    if name == "path":
        out = np.concatenate([part[:, CELLS] for part in np.split(values, 1 + slots.STEPS, 1)], 1)
    if name == "event":
        out[:, -11:-2] = values[:, -11:-2][:, CELLS]
    if name == "box":
        out[:, [0, 4, 8]] = 1 - values[:, [0, 4, 8]]
        out[:, [12, 18]] *= -1  # net dx, and the sine of the turn
        out[:, 26:35], out[:, 35:] = values[:, 26:35][:, CELLS], values[:, 35:][:, CELLS]
    return out


@pytest.mark.parametrize("seed", range(12))
def test_a_mirrored_video_has_the_mirrored_view(seed: int) -> None:
    analysis, sight = make_analysis(seed, things=3)
    flipped, _ = make_analysis(seed, things=3, flip=True)
    view, seen = view_of(*analysis, sight), view_of(*flipped, sight)
    np.testing.assert_array_equal(seen.heat, view.heat[..., ::-1])
    for name, values in view.things.items():
        np.testing.assert_allclose(seen.things[name], mirrored(name, values), atol=2e-4, err_msg=name)
    np.testing.assert_array_equal(seen.facts["verdict"], view.facts["verdict"])


def test_the_box_vector_has_the_44_numbers_of_the_specification() -> None:
    analysis, sight = make_analysis(3)
    assert slots.GROUPS["box"] == 44
    box = view_of(*analysis, sight).things["box"][0]
    track = analysis.evidence.track(2)  # of the stronger event
    x0, y0, x1, y1 = track.boxes[0].xyxy
    np.testing.assert_allclose(box[:2], [(x0 + x1) / 2 / SIZE_WH[0], (y0 + y1) / 2 / SIZE_WH[1]], rtol=1e-5)
    assert box[20] == pytest.approx(track.start_s / 12) and box[21] == pytest.approx(track.end_s / 12)
    assert box[26:35].sum() == box[35:].sum() == 1


def test_names_of_finder_and_head_have_tokens_of_their_own() -> None:
    analysis, sight = make_analysis(3)
    evidence = analysis.evidence
    kinds = {"normal": 0.1, "Fighting": 0.7, "Arson": 0.2}
    told = replace(
        evidence,
        events=tuple(replace(e, kind="Fighting", class_probs=kinds) for e in evidence.events),
        tracks=tuple(replace(t, label="motor vehicle", label_confidence=0.75) for t in evidence.tracks),
    )
    things = view_of(told, analysis.curves, sight).things
    np.testing.assert_allclose(things["noun"][0], [0, 1, 0, 0.75])
    deed, n = things["deed"][0], len(slots.DEEDS)
    assert deed[: n + 1].argmax() == slots.DEEDS.index("fighting") and deed[: n + 1].sum() == 1
    shares = dict(zip(slots.DEEDS, deed[n + 1 : -2], strict=True))
    assert shares["fighting"] == pytest.approx(0.7) and shares["fire"] == pytest.approx(0.2)
    np.testing.assert_allclose(deed[-2:], [0.1, 1], atol=1e-6)
    # What is not named says so; what no head looked at says nothing.
    bare = replace(told, events=tuple(replace(e, kind="unspecified", class_probs={}) for e in told.events))
    deed = view_of(bare, analysis.curves, sight).things["deed"][0]
    assert deed[n] == deed.sum() == 1
    # The groups that adapters without these two read do not change by it.
    for name in tuple(slots.GROUPS)[: slots.FIRST_GROUPS]:
        if name not in ("look", "event"):
            np.testing.assert_array_equal(things[name], view_of(*analysis, sight).things[name], err_msg=name)


def read_digits(values: np.ndarray) -> tuple[str, str]:
    """A time as seconds and as a clock, from its one-hot digits."""
    sizes = [10] * slots.TENTHS + list(slots.CLOCK)
    digits = [str(int(part.argmax())) for part in np.split(values, np.cumsum(sizes)[:-1])]
    assert values.sum() == len(sizes)
    hours, tens, ones, ten_s = digits[slots.TENTHS :]
    seconds = "".join(digits[: slots.TENTHS])
    return f"{int(seconds) // 10}.{seconds[-1]}", f"{hours}:{tens}{ones}:{ten_s}{seconds[-2]}"


@pytest.mark.parametrize("t_s", [0.0, 0.04, 0.35, 9.95, 59.96, 75.24, 599.99, 3723.0, 5 * 3600 + 1.5, 12345.6])
def test_times_are_told_digit_by_digit_as_answers_say_them(t_s: float) -> None:
    said, clock = read_digits(slots.digits(t_s))
    assert said == f"{t_s:.1f}"
    whole = int(float(said))
    assert clock == f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def test_a_time_beyond_a_day_is_the_longest_one() -> None:
    assert read_digits(slots.digits(1e7))[0] == "99999.9"


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 24, 36), (50, 18, 24), (7, 60, 100)])
def test_the_hottest_place_of_every_moment_stays_as_hot(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(shape[0])
    for _ in range(20):
        heat = np.zeros(shape, np.float16)
        t, y, x = (int(rng.integers(n)) for n in shape)
        heat[t, y, x] = 0.75
        found = heat_slices(heat, 6, (18, 24))
        assert found.shape == (6, 18, 24) and found.max() == 0.75
        for n, row, column in np.argwhere(found > 0):
            assert n * shape[0] // 6 <= t <= (n + 1) * shape[0] // 6
            assert abs((row + 0.5) / 18 - (y + 0.5) / shape[1]) <= 1 / 18 + 1 / shape[1]
            assert abs((column + 0.5) / 24 - (x + 0.5) / shape[2]) <= 1 / 24 + 1 / shape[2]


def test_two_channels_are_log_odds_of_the_heat() -> None:
    analysis, sight = make_analysis()
    plain, odds = (view_of(*analysis, sight, ViewConfig(logits=logits)).heat for logits in (False, True))
    assert plain.shape == (6, 1, 18, 24) and odds.shape == (6, 2, 18, 24)
    np.testing.assert_allclose(1 / (1 + np.exp(odds[:, 0] - odds[:, 1])), np.clip(plain[:, 0], 1e-3, 0.999), atol=1e-5)


def finite(view: View) -> bool:
    return all(np.isfinite(values).all() and np.abs(values).max(initial=0) < 20 for values in view.arrays().values())


def test_a_video_in_which_nothing_was_found() -> None:
    nothing = Curves(np.zeros(0), np.zeros(0, np.float32), np.zeros(0), np.zeros((0, 24, 36), np.float16))
    view = view_of(make_evidence([], [], 0.0), nothing)
    assert view.n_things == 0 and view.visual.shape == (0, 12, 152) and view.heat.max() == 0
    assert view.facts["verdict"][:2].tolist() == [0, 1] and finite(view)


def test_a_video_of_hours() -> None:
    rng = np.random.default_rng(1)
    hours = 7 * 3600.0
    times_s = np.round(np.arange(6.5 * 3600, 6.5 * 3600 + 900, 0.5), 4)
    track = make_track(1, make_boxes(rng, len(times_s)), times_s, hours)
    evidence = make_evidence([track], [make_event(1, times_s[0], times_s[-1], 0.9, (1,))], hours)
    view = view_of(evidence, make_curves(rng, hours, (20_000, 3, 4)), make_sight(rng, 1))
    assert finite(view)
    assert read_digits(view.things["when"][0, : slots.TIME]) == ("23400.0", "6:30:00")
    assert view.facts["verdict"][0] == 1


@pytest.mark.parametrize(("score", "duration_s"), [(0.5, 40.0), (0.35, 140.0), (0.25, 20.0), (0.9, 7200.0)])
def test_chance_is_that_of_a_peak_among_alarms_at_random(score: float, duration_s: float) -> None:
    # A Poisson number of alarms, one an hour at rarity 0 and e times fewer with each nat.
    alarms = np.random.default_rng(0).poisson(duration_s / 3600 * np.exp(-to_rarity(np.array(score))), 20_000)
    found = replace(make_evidence([], [], duration_s), peak_score=score)
    assert chance_of(found) == pytest.approx((alarms > 0).mean(), abs=0.01)


def test_the_same_peak_is_less_of_a_finding_the_longer_the_video_is() -> None:
    found = [chance_of(replace(make_evidence([], [], s), peak_score=0.35)) for s in (2.0, 20.0, 200.0, 20_000.0)]
    assert found == sorted(found) and found[0] < 0.01 and found[-1] > 0.99
    assert chance_of(replace(make_evidence([], [], 9.0), peak_score=None)) == 0


@pytest.mark.parametrize(
    ("start_s", "end_s", "looked_at_s"),
    [
        (None, None, 200.0),
        (50.0, 60.0, 10.0),
        (None, 20.0, 20.0),
        (150.0, None, 50.0),
        (0, 1e9, 200.0),
        (300.0, "x", 200),
    ],
)
def test_a_peak_is_a_finding_in_the_stretch_that_was_looked_at(
    start_s: float | None, end_s: object, looked_at_s: float
) -> None:
    whole = replace(make_evidence([], [], 200.0), peak_score=0.35)
    part = replace(whole, settings=whole.settings | {"start_s": start_s, "end_s": end_s})
    alone = replace(make_evidence([], [], looked_at_s), peak_score=0.35)
    assert chance_of(part) == pytest.approx(chance_of(alone))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_tracks_are_told(count: int) -> None:
    rng = np.random.default_rng(count)
    track = make_track(1, make_boxes(rng, count), np.arange(count) / 5 + 1, 12.0, label="")
    evidence = make_evidence([track], [make_event(1, 1.0, 1.0 + count / 5, 0.9, (1,))])
    assert finite(view_of(evidence, make_curves(rng)))


def test_names_that_are_not_known_leave_the_place_of_the_box() -> None:
    analysis, sight = make_analysis(things=1)
    track = replace(analysis.evidence.tracks[0], trajectory=("centre",), entry="roof")
    evidence = replace(analysis.evidence, tracks=(track,))
    view = view_of(evidence, analysis.curves, sight)
    assert view.things["first"][0, :9].sum() == 1 and view.things["first"][0, 9:].sum() == 0


def test_damaged_pictures_do_no_harm() -> None:
    analysis, sight = make_analysis()
    sight.patch[:] = np.nan
    sight.looks[0, 3] = np.inf
    with np.errstate(invalid="ignore"):
        assert finite(view_of(*analysis, sight))


def many_things() -> tuple:
    rng = np.random.default_rng(5)
    times_s = np.arange(20) / 5
    tracks = [make_track(n, make_boxes(rng, 20), times_s, 12.0) for n in range(1, 7)]
    events = [make_event(1, 0, 4, 0.7, (2, 1)), make_event(2, 0, 4, 0.9, ()), make_event(3, 1, 3, 0.8, (2, 4))]
    return make_evidence(tracks, events), make_curves(rng), make_sight(rng, 6)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 10])
def test_the_strongest_event_is_told_first_and_every_event_before_a_second_track(count: int) -> None:
    evidence, curves, sight = many_things()
    chosen = slots.choose(evidence, count)
    told = [(s.track.id if s.track else None, s.event.id if s.event else None) for s in chosen]
    wanted = [(None, 2), (2, 3), (4, 3), (1, 1), (6, None), (5, None), (3, None)]
    assert told == wanted[:count]
    view = view_of(evidence, curves, sight, ViewConfig(slots=count))
    assert view.n_things == len(told)
    if count:
        assert view.things["event"][0].any() and view.things["when"][0].any() and not view.things["box"][0].any()


def test_looks_and_colours_are_those_of_the_track() -> None:
    evidence, curves, sight = many_things()
    view = view_of(evidence, curves, sight)
    for place, number in ((1, 2), (2, 4)):
        row = number - 1
        assert view.things["look"][place, :1000].argmax() == sight.looks[row].argmax()
        np.testing.assert_allclose(view.things["colour"][place, :22], sight.colours[row].ravel(), atol=1e-6)


def test_grey_things_are_called_grey() -> None:
    assert TERMS[: slots.GREYS] == ("black", "grey", "white") and len(TERMS) == 11
    analysis, sight = make_analysis(things=1)
    grey = np.zeros((1, 2, 11), np.float16)
    grey[:, :, 1] = 1
    for colours, wanted in ((grey, 1), (sight.colours, 0), (0 * grey, 0)):
        view = view_of(*analysis, replace(sight, colours=colours))
        assert view.things["colour"][0, 24] == wanted


def test_the_first_picture_is_the_one_at_the_peak() -> None:
    analysis, sight = make_analysis()
    peak = max(analysis.evidence.events, key=lambda e: e.score).peak_s
    nearest = int(np.abs(sight.times_s - peak).argmin())
    view = view_of(*analysis, sight)
    np.testing.assert_allclose(view.visual[0], 8 * sight.patch[nearest].reshape(12, 152).astype(np.float32))
    np.testing.assert_allclose(view.visual[1], 8 * sight.patch[4].reshape(12, 152).astype(np.float32))


def test_what_the_curves_carry_is_looked_at() -> None:
    analysis, sight = make_analysis()
    carried = replace(analysis.curves, sight=sight)
    for name, values in view_of(*analysis, sight).arrays().items():
        np.testing.assert_array_equal(view_of(analysis.evidence, carried).arrays()[name], values)
    assert len(view_of(*analysis).visual) == 0
    assert len(view_of(*analysis, Sight.empty(2, channels=7)).visual) == 0


def test_like_names_are_nearer_than_unlike_ones() -> None:
    bicycle = slots.hashed("bicycle")
    assert bicycle @ slots.hashed("Bicycles ") > 0.5 > bicycle @ slots.hashed("truck")
    assert not slots.hashed("").any()


def test_a_view_survives_a_file_in_half_precision() -> None:
    analysis, sight = make_analysis()
    view = view_of(*analysis, sight)
    back = View.from_arrays({name: values.astype(np.float16) for name, values in view.arrays().items()})
    assert back.facts.keys() == FACTS.keys()
    for name, values in view.arrays().items():
        np.testing.assert_allclose(back.arrays()[name], values, atol=2e-3)


def test_a_view_of_other_sizes_is_refused() -> None:
    analysis, sight = make_analysis()
    arrays = view_of(*analysis, sight).arrays()
    with pytest.raises(ValueError, match="things"):
        View.from_arrays(arrays | {"thing_box": arrays["thing_box"][:, :40]})
    with pytest.raises(ValueError, match="visual"):
        View.from_arrays(arrays | {"visual": arrays["visual"][..., :10]})
    with pytest.raises(KeyError):
        View.from_arrays({name: values for name, values in arrays.items() if name != "thing_way"})
    with pytest.raises(ValueError, match="sizes of a view"):
        ViewConfig(slices=0)


@pytest.mark.parametrize(
    ("t_s", "text"),
    [(0.0, "   00"), (7.84, "   78"), (12.36, "  124"), (102.0, " 1020"), (5000.0, "50000"), (1e6, "99999")],
)
def test_times_are_spelled_as_answers_write_them(t_s: float, text: str) -> None:
    read = "".join(" " if row.argmax() == slots.BLANK else str(row.argmax()) for row in slots.spelled(t_s))
    assert read == text and all(row.sum() == 1 for row in slots.spelled(t_s))


def test_each_word_of_a_track_has_a_token_of_its_own() -> None:
    rng = np.random.default_rng(3)
    times_s = np.linspace(1.0, 9.4, 20)
    track = make_track(1, make_boxes(rng, 20), times_s, 12.0)
    evidence = make_evidence([track], [make_event(1, 1.0, 9.4, 0.8, (1,))])
    sight = make_sight(rng, 1)
    sight.colours[:] = 0
    sight.colours[0, 0, 3], sight.colours[0, 0, 4] = 0.4, 0.5
    told = slots.features(slots.choose(evidence, 1)[0], evidence, sight)
    assert slots.BORDERS[int(told["entry"].argmax())] == (track.entry or "none")
    assert slots.BORDERS[int(told["exit"].argmax())] == (track.exit or "none")
    way = {slots.UPRIGHT[int(told["upright"].argmax())], slots.SIDEWAYS[int(told["sideways"].argmax())]} - {"none"}
    assert way == set((track.motion.direction or "").split("-")) - {""}
    for end, cell in (("first", track.trajectory[0]), ("last", track.trajectory[-1])):
        words = slots.ROWS[int(told[f"{end}_row"].argmax())], slots.COLUMNS[int(told[f"{end}_column"].argmax())]
        assert "-".join(word for word in words if word != "none") == cell
    assert told["upper"].argmax() == 4 and told["upper"].sum() == 1 and not told["lower"].any()
    spelled = [told[f"until_{place}"] for place in slots.PLACES]
    assert all(np.array_equal(a, b) for a, b in zip(spelled, slots.spelled(track.end_s), strict=True))
