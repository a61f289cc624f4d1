"""tvad/crowd.py: whose box a track has, and how many people there were."""

import numpy as np
import pytest

from tvad.crowd import COUNTED, MIDDLE, Crowd, Named, probability
from tvad.evidence import Seen

SIZE = (400, 200)
BOX = (0.25, 0.2, 0.35, 0.8)


def seen(*looks: list[tuple[float, ...]]) -> Crowd:
    crowd = Crowd(SIZE)
    for n, look in enumerate(looks):
        crowd.add(n / 4, np.array(look, np.float32).reshape(-1, 6))
    return crowd


def boxes(count: int) -> tuple[list[float], list[tuple[float, ...]]]:
    corners = tuple(v * s for v, s in zip(BOX, (*SIZE, *SIZE), strict=True))
    return [n / 4 for n in range(count)], [corners] * count


def test_a_track_has_the_name_of_the_box_it_shares() -> None:
    person, car = (*BOX, 0.8, 0), (*BOX, 0.7, 1)
    found = seen(*[[person]] * 8).name_of(*boxes(8))
    assert found.name == "person" and found.sure == pytest.approx(float(probability(np.array(0.8))), abs=1e-3)
    assert seen(*[[car]] * 8).name_of(*boxes(8)).name == "motor vehicle"
    assert seen(*[[person, car]] * 8).name_of(*boxes(8)).name == "person"


@pytest.mark.parametrize(
    "looks",
    [
        [[]] * 8,
        [[(0.7, 0.2, 0.8, 0.8, 0.9, 0)]] * 8,  # somebody elsewhere
        [[(*BOX, MIDDLE - 0.1, 0)]] * 8,  # hardly one
        [[(*BOX, 0.9, 0)]] * 3 + [[]] * 5,  # for less than half of the time
    ],
    ids=["nobody", "elsewhere", "unsure", "rarely"],
)
def test_otherwise_it_has_none(looks: list[list[tuple[float, ...]]]) -> None:
    assert seen(*looks).name_of(*boxes(8)) == Named()


def test_two_who_are_followed_as_one_have_a_name_too() -> None:
    left, right = (0.25, 0.2, 0.29, 0.7, 0.8, 0), (0.31, 0.3, 0.36, 0.8, 0.9, 0)
    found = seen(*[[left, right]] * 8).name_of(*boxes(8))
    neither = float(np.prod(1 - probability(np.array([0.8, 0.9]))))
    assert found.name == "person" and found.sure == pytest.approx(1 - neither, abs=1e-3)
    assert seen(*[[left]] * 8).name_of(*boxes(8)) == Named()  # most of the box is something else


def test_several_who_are_hardly_seen_are_one_surely() -> None:
    doubtful = [(0.25, 0.2, 0.32, 0.8, MIDDLE, 0), (0.29, 0.2, 0.36, 0.8, MIDDLE, 0)]
    assert seen(*[doubtful[:1]] * 8).name_of(*boxes(8)).sure == pytest.approx(0.5, abs=1e-3)
    assert seen(*[doubtful] * 8).name_of(*boxes(8)).sure == pytest.approx(0.75, abs=1e-3)


def test_a_part_of_somebody_is_called_so_and_before_a_car_nothing_is_a_car() -> None:
    around = (0.15, 0.1, 0.45, 1.0, 0.9, 0)  # the track is the legs of somebody tall
    assert seen(*[[around]] * 8).name_of(*boxes(8)).name == "person"
    assert seen(*[[(*around[:5], 1)]] * 8).name_of(*boxes(8)) == Named()
    beside = (0.31, 0.2, 0.6, 0.8, 0.9, 0)  # of which less than half of the track is a part
    assert seen(*[[beside]] * 8).name_of(*boxes(8)) == Named()


def test_a_track_of_a_moment_takes_the_nearest_look() -> None:
    crowd = seen(*[[(*BOX, 0.9, 0)]] * 8)
    assert crowd.name_of([0.6], boxes(1)[1]).name == "person"
    assert Crowd(SIZE).name_of(*boxes(3)) == Named()


def test_people_are_counted_by_looks() -> None:
    def people(count: int, score: float = 0.7) -> list[tuple[float, ...]]:
        return [(n / 10, 0.1, n / 10 + 0.05, 0.4, score, 0) for n in range(count)]

    car = (0.5, 0.5, 0.9, 0.9, 0.9, 1)
    crowd = seen(people(2), people(3), people(5), people(5), people(5), people(9), people(1), [*people(1), car], [car])
    assert crowd.counts() == (Seen("person", 5, 0.5, 4), Seen("motor vehicle", 1, 1.75, 1))
    assert seen(people(4, COUNTED - 0.01)).counts() == () and Crowd(SIZE).counts() == ()


def test_of_hours_of_looks_the_rows_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvad.spill.IN_MEMORY", 1000)
    crowd = Crowd(SIZE)
    for n in range(300):
        crowd.add(n / 4, np.full((n % 3, 6), n, np.float32))
    assert [len(crowd.rows(n)) for n in range(300)] == [n % 3 for n in range(300)]
    assert crowd.rows(299)[0, 0] == 299 and crowd.rows(0).shape == (0, 6)
