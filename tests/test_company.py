"""tvad/temporal/company.py: who is beside whom, and how they move in their own heights."""

import numpy as np
import pytest

from tvad.people import PERSON, VEHICLE
from tvad.temporal.company import BESIDE, CROWD, FAR, FLOOR, JERK_FLOOR, LEAST, MOVES, NAMES, SHAPES, company

GRID = (20, 40)  # twice as wide as high


def rows(*boxes: tuple[float, ...], score: float = 0.9, kind: int = PERSON) -> np.ndarray:
    return np.array([(*box, score, kind) for box in boxes], np.float32).reshape(-1, 6)


def standing(x: float, height: float = 0.5, bottom: float = 0.9) -> tuple[float, ...]:
    """A person whose middle is x frame heights from the left, as high as twice as wide."""
    half = height / 4
    return (x - half) / 2, bottom - height, (x + half) / 2, bottom


def moving_in(box: tuple[float, ...], velocity: tuple[float, float], spread: float = 0.0) -> np.ndarray:
    """(h, w, 4) of a picture of which one box moves."""
    motion = np.zeros((*GRID, 4))
    x0, y0, x1, y1 = (round(v * n) for v, n in zip(box, (*GRID[::-1], *GRID[::-1]), strict=True))
    motion[y0:y1, x0:x1] = *velocity, np.hypot(*velocity), spread
    return motion


def told(found: list[np.ndarray], motion: np.ndarray | None = None, changed: float = 0.0) -> dict[str, float]:
    """Of looks at moments an eighth of a second apart. motion (T, h, w, 4)."""
    count = len(found)
    motion = np.zeros((count, *GRID, 4)) if motion is None else motion
    plane = np.full((count, *GRID), changed)
    numbers = company(enumerate(found), motion, plane, plane, np.arange(count) / 8)
    assert numbers.shape == (len(NAMES),) and numbers.dtype == np.float32 and np.isfinite(numbers).all()
    return dict(zip(NAMES, numbers.tolist(), strict=True))


def test_nobody_is_as_no_look_at_all() -> None:
    nobody = told([rows()])
    assert nobody == told([rows(standing(1.0), kind=VEHICLE)]) == told([rows(standing(1.0), score=LEAST - 0.01)])
    motion, plane = np.zeros((1, *GRID, 4)), np.zeros((1, *GRID))
    np.testing.assert_array_equal(list(nobody.values()), company([], motion, plane, plane, np.zeros(1)))
    assert nobody["people"] == nobody["anybody"] == nobody["overlap"] == 0 and nobody["apart"] == FAR
    assert [nobody[name] for name in SHAPES] == [0] * len(SHAPES)
    for who in ("pair", "each"):
        for name in MOVES:
            floor = JERK_FLOOR if name.startswith("jerk") else FLOOR
            assert nobody[f"{who}_{name}"] == pytest.approx(np.log(floor), abs=1e-6)


def test_how_near_people_are_counts_in_their_heights() -> None:
    for height in (0.2, 0.5):
        near = told([rows(standing(0.5, height), standing(0.5 + 0.6 * height, height))])
        assert near["apart"] == pytest.approx(0.6, abs=1e-5) and near["beside"] == 1 and near["two"] == 2
        far = told([rows(standing(0.3, height), standing(0.3 + (BESIDE + 0.1) * height, height))])
        assert far["apart"] == pytest.approx(BESIDE + 0.1, abs=1e-5) and far["beside"] == 0
    # Half as wide as high: at a quarter of the height they share half of either.
    assert told([rows(standing(0.5), standing(0.625))])["overlap"] == pytest.approx(0.5, abs=1e-5)
    many = told([rows(*(standing(0.5 + 0.15 * n) for n in range(6)))])
    assert many["people"] == 6 and many["two"] == 2 and many["beside"] == CROWD


def test_who_is_found_twice_is_one_person() -> None:
    once = told([rows(standing(0.5))])
    assert told([rows(standing(0.5), standing(0.5))]) == once
    assert told([rows(standing(0.5), standing(0.55))]) == once  # four fifths of it are the same
    assert told([rows(standing(0.5), standing(0.5, 0.25))]) == once  # legs of the same
    assert told([rows(standing(0.5), standing(0.7))])["two"] == 2


@pytest.mark.parametrize("height", [0.3, 0.6])
def test_speeds_are_those_in_the_persons_own_height(height: float) -> None:
    box = standing(0.5, height)
    found = told([rows(box)], moving_in(box, (height, 0.0), 0.5 * height)[None], changed=0.25)
    assert found["each_speed"] == pytest.approx(np.log(1 + FLOOR), abs=1e-5) == found["each_drift"]
    assert found["each_fast"] == pytest.approx(np.log(1 + FLOOR), abs=1e-5)
    assert found["each_spread"] == pytest.approx(np.log(0.5 + FLOOR), abs=1e-5)
    assert found["each_own_ways"] == pytest.approx(np.log(FLOOR), abs=1e-5)  # all of it goes one way
    assert found["each_changed"] == found["each_moving"] == pytest.approx(np.log(0.25 + FLOOR), abs=1e-5)
    assert found["pair_speed"] == pytest.approx(np.log(FLOOR), abs=1e-5)  # there is no other


def test_of_pairs_counts_the_one_that_moves_most() -> None:
    pushed, pushing, far = standing(0.375), standing(0.625), standing(1.625)  # on whole cells
    motion = moving_in(pushed, (1.0, 0.0)) + moving_in(far, (3.0, 0.0))
    found = told([rows(pushed, pushing, far)], motion[None])
    assert found["beside"] == 1
    # 0.5 frame heights high: one goes 2 of its own a second, the other none; who is far goes 6.
    assert found["pair_speed"] == pytest.approx(np.log(1 + FLOOR), abs=1e-5)
    assert found["each_speed"] == pytest.approx(np.log(8 / 3 + FLOOR), abs=1e-5)


def test_a_camera_that_moves_moves_nobody() -> None:
    box = standing(0.6)
    shaken = np.full((1, *GRID, 4), (0.7, -0.2, 0.73, 0.0))
    found, still = told([rows(box)], shaken), told([rows(box)])
    for name in ("speed", "fast", "own_ways", "drift"):
        assert found[f"each_{name}"] == pytest.approx(still[f"each_{name}"], abs=1e-5), name


def test_jerk_is_against_the_moment_before() -> None:
    box = standing(0.375)  # on whole cells
    there, back = moving_in(box, (0.5, 0.0)), moving_in(box, (-0.5, 0.0))
    motion = np.stack([there, back])
    plane = np.zeros((2, *GRID))
    second = dict(
        zip(NAMES, company([(1, rows(box))], motion, plane, plane, np.array([0.0, 0.125])).tolist(), strict=True)
    )
    assert second["each_jerk"] == pytest.approx(np.log(16 + JERK_FLOOR), abs=1e-5)  # 2 heights/s in an eighth of a s
    steady = told([rows(), rows(box)], np.stack([there, there]))
    assert steady["each_jerk"] < second["each_jerk"]


def test_looks_count_alike() -> None:
    one, two = rows(standing(0.5)), rows(standing(0.5), standing(0.8))
    both, first, second = told([one, two]), told([one]), told([two])
    for name in NAMES:
        if "jerk" not in name:
            assert both[name] == pytest.approx((first[name] + second[name]) / 2, abs=1e-5), name


def test_boxes_at_the_edge_and_of_no_size_are_taken() -> None:
    told([rows((0.99, 0.99, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0))])


def test_what_is_known_of_a_look_is_not_told_again() -> None:
    dice = np.random.default_rng(0)
    motion, plane = np.abs(dice.normal(size=(6, *GRID, 4))), dice.random((6, *GRID))
    times, seen = np.arange(6) / 8, [(n, rows(standing(0.3 + 0.1 * n), standing(0.9))) for n in range(6)]
    known: dict[float, np.ndarray] = {}
    first = company(seen[:4], motion[:4], plane[:4], plane[:4], times[:4], known)
    assert sorted(known) == times[1:4].tolist()
    later = [(n - 2, boxes) for n, boxes in seen[2:]]
    again = company(later, motion[2:], plane[2:], plane[2:], times[2:], known)
    np.testing.assert_array_equal(first, company(seen[:4], motion[:4], plane[:4], plane[:4], times[:4]))
    np.testing.assert_array_equal(again, company(later, motion[2:], plane[2:], plane[2:], times[2:]))
    known[0.5] = known[0.5] + 1  # which is what is read, then
    assert (company(later, motion[2:], plane[2:], plane[2:], times[2:], known) - again)[0] == pytest.approx(0.25)
