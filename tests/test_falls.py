"""tvad/falls.py: who goes down and stays there, by boxes alone."""

from typing import Any

import numpy as np
import pytest

from heatmap.levels import AlarmLevel
from tvad.falls import (
    KEPT_S,
    NAMED_FROM,
    SHOWN,
    TOLD,
    Fall,
    FallsPart,
    curve,
    kind_with,
    level_of,
    probability,
    rarity_of,
    strongest,
)
from tvad.kinds import FALLING, UNSPECIFIED, Kind
from tvad.people import EVERY_S, NOT_LOOKED

ASPECT = 4 / 3
STANDS, LIES = (0.40, 0.20, 0.52, 0.80), (0.36, 0.66, 0.72, 0.82)
SITS = (0.38, 0.38, 0.56, 0.80)


def rows(*boxes: tuple[float, ...], score: float = 0.6, kind: int = 0) -> np.ndarray:
    return np.array([(*box, score, kind) for box in boxes], np.float32).reshape(-1, 6)


def told(*looks: np.ndarray) -> list[Fall]:
    """Falls in looks that are EVERY_S apart."""
    part = FallsPart(ASPECT, TOLD)
    found: list[Fall] = []
    for n, look in enumerate(looks):
        found += part.step(n * EVERY_S, look)
    return found + part.finish()


def film(*parts: tuple[tuple[float, ...], int]) -> list[np.ndarray]:
    """Looks of one person: so many at each box, with two between that lead over."""
    out: list[np.ndarray] = []
    for n, (box, count) in enumerate(parts):
        if n:
            before = np.array(parts[n - 1][0])
            out += [rows(tuple(before + (np.array(box) - before) * share)) for share in (1 / 3, 2 / 3)]
        out += [rows(box)] * count
    return out


def level(*looks: np.ndarray) -> float:
    return max((fall.level for fall in told(*looks)), default=0.0)


def test_a_fall_is_found_when_and_where_it_is() -> None:
    (fall,) = told(*film((STANDS, 8), (LIES, 12)))
    assert fall.level >= NAMED_FROM
    assert 7 * EVERY_S - 1e-6 <= fall.low_s <= 11 * EVERY_S and fall.start_s < fall.low_s < fall.end_s
    assert fall.boxes[0] == pytest.approx(STANDS, abs=1e-5) and fall.boxes[-1] == pytest.approx(LIES, abs=1e-5)


@pytest.mark.parametrize(
    "looks",
    [
        film((STANDS, 20)),
        film((LIES, 20)),  # nobody saw them stand
        film((STANDS, 8), (SITS, 12)),
        film((STANDS, 8), (LIES, 1), (STANDS, 8)),  # stoops, and is up again
        film((STANDS, 8), ((0.40, 0.68, 0.52, 1.0), 2)),  # goes out of the picture below
        film(((0.05, 0.2, 0.17, 0.8), 8), ((0.88, 0.72, 1.0, 0.8), 8)),  # somebody else, far away
    ],
    ids=["stands", "lies", "sits", "stoops", "leaves", "other"],
)
def test_what_is_no_fall_is_not_called_one(looks: list[np.ndarray]) -> None:
    assert level(*looks) < 2 / 3 * NAMED_FROM


def test_a_small_person_far_away_falls_as_one_nearby_does() -> None:
    def far(box: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(0.5 + (v - 0.5) * 0.2 for v in box)

    near, small = film((STANDS, 8), (LIES, 12)), film((far(STANDS), 8), (far(LIES), 12))
    assert level(*small) == pytest.approx(level(*near), rel=1e-3)


def test_who_stays_down_is_the_surer_fallen() -> None:
    levels = [level(*film((STANDS, 8), (LIES, count))) for count in (5, 9, 15)]
    assert levels[0] < levels[1] < levels[2]
    assert level(*film((STANDS, 8), (LIES, 60))) == pytest.approx(levels[2], rel=0.1)  # not without end


def test_who_still_stands_there_has_not_fallen() -> None:
    looks = film((STANDS, 8), (LIES, 12))
    alone, beside = level(*looks), [np.concatenate([look, rows(STANDS)]) for look in looks]
    assert alone >= NAMED_FROM and level(*beside) < NAMED_FROM


def test_who_goes_out_at_the_side_is_less_of_a_fall() -> None:
    stood, low = np.array([0.9, 0.2, 1.1, 0.8]), np.array([[1.0, 0.68, 1.28, 0.8]] * 4)
    assert level_of(stood, low, 1.5) - level_of(stood, low, 1.281) == pytest.approx(0.5)


def test_two_falls_of_one_person_are_two() -> None:
    looks = film((STANDS, 8), (LIES, 10), (STANDS, 16), (LIES, 10))
    falls = [fall for fall in told(*looks) if fall.level >= NAMED_FROM]
    assert len(falls) == 2 and falls[0].low_s + 4 < falls[1].low_s


def test_vehicles_and_what_is_hardly_seen_fall_not() -> None:
    looks = film((STANDS, 8), (LIES, 12))
    assert told(*(np.where(np.arange(6) == 5, 1, look).astype(np.float32) for look in looks)) == []
    assert told(*(np.where(np.arange(6) == 4, 0.1, look).astype(np.float32) for look in looks)) == []


def test_of_hours_of_people_little_is_kept() -> None:
    part = FallsPart(ASPECT)
    for n in range(4000):
        part.step(n * EVERY_S, rows(STANDS))
    (person,) = part._people.values()
    assert len(person.times_s) <= KEPT_S / EVERY_S + 2


def test_what_was_looked_at_is_told_to_the_crowd() -> None:
    seen: list[Any] = []

    class Crowd:
        def add(self, t_s: float, found: np.ndarray) -> None:
            seen.append((t_s, len(found)))

    people = np.zeros((3, 4, 6), np.float32)
    people[0, :1], people[1, :, 4], people[2, :2] = rows(STANDS), NOT_LOOKED, rows(STANDS, LIES)

    class Piece:
        times_s = np.array([0.0, 0.125, 0.25])

    Piece.people = people  # type: ignore[attr-defined]
    FallsPart(ASPECT).push(Piece(), Crowd())  # type: ignore[arg-type]
    assert seen == [(0.0, 1), (0.25, 2)]


def fall(start_s: float, height: float) -> Fall:
    times = np.array([start_s, start_s + 1, start_s + 2])
    return Fall(times, np.zeros((3, 4), np.float32), start_s + 1, height)


def test_the_curve_is_of_the_highest_one() -> None:
    times = np.arange(0, 10, 0.5)
    found = curve([fall(1, 0.8), fall(2, 1.6)], times)
    assert found[times < 1].tolist() == pytest.approx([TOLD] * 2)
    assert found[times == 1.5] == pytest.approx(0.8 * 0.925) and found[times == 3.5] == pytest.approx(1.6)
    assert times[found.argmax()] == 3.0  # the first moment at which the person is low
    assert found[times > 4] == pytest.approx(TOLD)


def test_where_there_is_no_fall_nothing_is_rare() -> None:
    alarm, times = AlarmLevel(0.1, 0.3, 260.0, 0.15), np.arange(0, 10, 0.5)
    found = rarity_of([fall(5, SHOWN + 1)], alarm, times, -12.0)
    assert found[times < 5].tolist() == [-12.0] * 10
    assert found[times == 6] == pytest.approx(alarm.rarity(np.array(SHOWN + 1)), abs=1e-5)


def test_people_who_only_move_about_are_not_told() -> None:
    looks = film((STANDS, 8), (LIES, 1), (STANDS, 8))
    assert 0 < level(*looks) < SHOWN
    part = FallsPart(ASPECT)
    assert [f for n, look in enumerate(looks) for f in part.step(n * EVERY_S, look)] + part.finish() == []


def test_the_strongest_of_a_stretch() -> None:
    falls = [fall(1, 0.8), fall(5, 1.6), fall(6, 1.2)]
    assert strongest(falls, 0, 10) is falls[1] and strongest(falls, 0, 2) is falls[0]
    assert strongest(falls, 3.5, 4.5) is None and strongest([], 0, 9) is None


def test_a_fall_names_an_event_from_a_level_on() -> None:
    before = Kind("fighting", (("normal", 0.2), ("fighting", 0.7), ("falling", 0.1)))
    assert kind_with(before, None) == (before, False)
    assert kind_with(before, fall(0, NAMED_FROM - 0.01)) == (before, False)
    kind, named = kind_with(before, fall(0, NAMED_FROM + 0.5))
    shares = dict(kind.probs)
    assert named and kind.name == FALLING and shares[FALLING] == pytest.approx(probability(NAMED_FROM + 0.5), abs=1e-4)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    assert shares["fighting"] == pytest.approx(3.5 * shares["normal"], rel=0.01)
    alone, _ = kind_with(Kind(), fall(0, NAMED_FROM))
    assert [name for name, _ in alone.probs] == ["normal", FALLING] and alone.name != UNSPECIFIED
