"""heatmap/people.py and tvad/people.py: the network, its file, and which boxes a grid tells."""

from pathlib import Path

import numpy as np
import pytest
import torch

from heatmap.people import CLASSES, PeopleNetwork
from tvad.encoder import Features
from tvad.people import (
    FILE,
    LEAST,
    MOST,
    PERSON,
    SAME,
    VEHICLE,
    PeopleFinder,
    PeopleLook,
    found_in,
    inside,
    looks,
    overlaps,
)


def grid(*things: tuple[int, int, int, float, tuple[float, float, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Scores (2, 10, 20) and sides (4, 10, 20) with things of class, row, column, score and sides."""
    scores, sides = np.zeros((2, 10, 20), np.float32), np.ones((4, 10, 20), np.float32)
    for kind, y, x, score, around in things:
        scores[kind, y, x] = score
        sides[:, y, x] = around
    return scores, sides


def test_a_box_is_told_in_parts_of_the_frame() -> None:
    rows = found_in(*grid((PERSON, 4, 9, 0.75, (1.5, 2.5, 0.5, 3.5))))
    assert rows.shape == (1, 6)
    assert rows[0].tolist() == pytest.approx([8 / 20, 2 / 10, 10 / 20, 8 / 10, 0.75, PERSON])


def test_boxes_end_at_the_frame() -> None:
    rows = found_in(*grid((PERSON, 0, 0, 0.9, (9.0, 9.0, 1.5, 1.5))))
    assert rows[0, :4].tolist() == pytest.approx([0, 0, 2 / 20, 2 / 10])


def test_of_boxes_of_one_thing_the_surest_stays() -> None:
    same = (2.0, 3.0, 2.0, 3.0)
    rows = found_in(*grid((PERSON, 5, 8, 0.5, same), (PERSON, 5, 9, 0.8, same)))
    assert rows[:, 4].tolist() == pytest.approx([0.8])


def test_a_part_of_a_surer_box_is_no_thing_of_its_own() -> None:
    whole, part = (3.0, 4.0, 3.0, 4.0), (1.0, 1.0, 1.0, 1.0)
    rows = found_in(*grid((PERSON, 5, 9, 0.8, whole), (PERSON, 3, 9, 0.5, part)))
    assert len(rows) == 1 and rows[0, 4] == pytest.approx(0.8)
    others = found_in(*grid((PERSON, 5, 9, 0.5, whole), (PERSON, 3, 9, 0.8, part)))
    assert len(others) == 2  # the other way round the larger one is no part


def test_a_person_on_a_vehicle_is_two_things() -> None:
    same = (2.0, 3.0, 2.0, 3.0)
    rows = found_in(*grid((PERSON, 5, 9, 0.8, same), (VEHICLE, 5, 9, 0.5, same)))
    assert rows[:, 5].tolist() == [PERSON, VEHICLE]


def test_no_more_than_so_many_and_none_below_the_least() -> None:
    scores, sides = np.full((2, 40, 40), LEAST - 1e-4, np.float32), np.full((4, 40, 40), 0.4, np.float32)
    assert found_in(scores, sides).shape == (0, 6)
    assert len(found_in(scores + 0.1, sides)) == MOST


@pytest.mark.parametrize(
    ("other", "iou", "within"),
    [((0, 0, 2, 2), 1.0, 1.0), ((0, 0, 4, 2), 0.5, 1.0), ((2, 0, 4, 2), 0.0, 0.0), ((1, 0, 3, 2), 1 / 3, 0.5)],
)
def test_overlaps_and_shares_of_boxes(other: tuple[float, ...], iou: float, within: float) -> None:
    box, others = np.array([0.0, 0, 2, 2]), np.array([other], float)
    assert overlaps(box, others)[0] == pytest.approx(iou)
    assert inside(box, others)[0] == pytest.approx(within)


def test_a_network_comes_back_from_its_file_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = PeopleNetwork(8, 16, (1, 2))
    path = tmp_path / "people.safetensors"
    path.write_bytes(network.to_bytes())
    again = PeopleNetwork.load(path)
    patch = torch.randn(2, 6, 9, 8)
    logits, sides = again(patch)
    assert logits.shape == (2, len(CLASSES), 6, 9) and sides.shape == (2, 4, 6, 9)
    assert bool((sides > 0).all())
    assert torch.allclose(logits, network(patch)[0], atol=0.02)  # half precision


@pytest.mark.parametrize("damage", ["empty", "text", "other", "cut", "absent"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "people.safetensors"
    whole = PeopleNetwork(8, 16, (1,)).to_bytes()
    if damage != "absent":
        path.write_bytes(
            {
                "empty": b"",
                "text": b"hello",
                "cut": whole[: len(whole) // 2],
                "other": whole.replace(b"tvad-people", b"tvad-others"),
            }[damage]
        )
    with pytest.raises(ValueError, match=r"is no tvad-people 1: .*training/people makes one"):
        PeopleNetwork.load(path)


def test_the_packaged_one_runs_as_torch_runs_it() -> None:
    network = PeopleNetwork.load(FILE)
    patch = np.random.default_rng(0).normal(0, 0.08, (1, 32, 44, 152)).astype(np.float32)
    request = PeopleFinder(threads=1)
    request(patch)
    with torch.no_grad():
        logits, sides = network(torch.from_numpy(patch))
    told = [request._request.get_output_tensor(n).data[0] for n in (0, 1)]
    assert np.abs(told[0] - logits.sigmoid().numpy()[0]).max() < 0.05
    assert np.median(np.abs(told[1] / sides.numpy()[0] - 1)) < 0.05


def test_the_same_thing_is_told_once_however_many_cells_see_it() -> None:
    rng = np.random.default_rng(1)
    scores, sides = rng.uniform(0, 1, (2, 24, 24)).astype(np.float32), rng.uniform(1, 6, (4, 24, 24)).astype(np.float32)
    rows = found_in(scores, sides)
    for n, row in enumerate(rows):
        before = rows[:n][rows[:n, 5] == row[5]]
        assert not len(before) or overlaps(row, before).max() < SAME
    assert (np.diff(rows[:, 4]) <= 0).all()


class Finder:
    """One person at every frame, as wide as the frame's mark."""

    def __call__(self, patch: np.ndarray) -> list[np.ndarray]:
        return [np.array([[0, 0, one.max(), 1, 0.9, PERSON]], np.float32)[: int(one.max() > 0)] for one in patch]


def piece(first: int, marks: list[float]) -> Features:
    n = len(marks)
    patch = np.zeros((n, 2, 3, 152), np.float32) + np.array(marks, np.float32)[:, None, None, None]
    plane = np.zeros((n, 2, 3), np.float32)
    times = np.arange(first, first + n) / 8
    frame, flow = np.zeros((n, 224), np.float32), np.zeros((n, 1, 1, 0), np.float16)
    return Features(patch, np.zeros((n, 2, 3, 4), np.float32), plane, plane, frame, times, flow)


def test_a_look_is_taken_four_times_a_second_however_the_stream_is_cut() -> None:
    marks = [0.5, 0.1, 0.0, 0.2, 0.7, 0.3, 0.4]
    whole = PeopleLook(Finder())(piece(0, marks))  # type: ignore[arg-type]
    found = [(n, t, rows[:, 2].tolist()) for n, t, rows in looks(whole)]
    half, quarter = 0.5, 0.25
    assert [(n, t) for n, t, _ in found] == [(0, 0.0), (2, quarter), (4, half), (6, half + quarter)]
    assert [wide for *_, wide in found] == [[0.5], [], pytest.approx([0.7]), pytest.approx([0.4])]
    look = PeopleLook(Finder())  # type: ignore[arg-type]
    cut = Features.join([look(piece(0, marks[:3])), look(piece(3, marks[3:4])), look(piece(4, marks[4:]))])
    np.testing.assert_array_equal(cut.people, whole.people)


def test_where_nobody_looked_there_is_no_look() -> None:
    seen = piece(0, [0.5, 0.5])
    assert seen.people.shape == (2, 0, 6) and list(looks(seen)) == []
    only_between = PeopleLook(Finder())  # type: ignore[arg-type]
    only_between(piece(0, [0.5]))
    assert list(looks(only_between(piece(1, [0.5])))) == []
    with pytest.raises(ValueError, match=r"patch has 2 frames; there are .*people 1"):
        Features(*(getattr(seen, n) for n in list(Features.__dataclass_fields__)[:-1]), np.zeros((1, 4, 6), np.float32))
