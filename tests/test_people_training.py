"""training/people: frames and their variants, targets, losses, precision, and a small training."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from heatmap.people import PeopleNetwork
from training.datasets.synthetic.actors.cutting import Found
from training.people import fit as fitting
from training.people.evaluate import fitted
from training.people.evaluate import main as evaluate
from training.people.fit import Group, loss_of, overlaps, read, targets
from training.people.frames import MAYBE, SURE, Labelled, detect, mirrored, turned, variants, window
from training.people.precision import average_precision, judged

BOX = [20.0, 10.0, 40.0, 50.0, 0.9, 0.0]


def frame() -> Labelled:
    """80 x 60 with a white thing in a black frame, and its box."""
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[10:50, 20:40] = 255
    return Labelled(picture, np.array([BOX], np.float32))


def white(one: Labelled) -> list[float]:
    """The box of what is white."""
    rows, columns = np.nonzero(one.frame[..., 0] > 200)
    return [float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1)]


@pytest.mark.parametrize(
    "change",
    [
        mirrored,
        lambda one: turned(one, True),
        lambda one: turned(one, False),
        lambda one: window(one, (-10, -20, 100, 80)),
        lambda one: window(one, (15, 5, 60, 55)),
    ],
    ids=["mirrored", "left", "right", "smaller", "larger"],
)
def test_a_box_goes_where_its_thing_goes(change: Any) -> None:
    one = change(frame())
    assert one.boxes[0, :4].tolist() == white(one)
    assert one.boxes[0, 4] == pytest.approx(0.9)


def test_a_thing_that_is_cut_is_not_asked_about() -> None:
    assert window(frame(), (30, 0, 80, 60)).boxes[0, 4] == pytest.approx(MAYBE)
    assert len(window(frame(), (39, 0, 80, 60)).boxes) == 0


def test_variants_begin_with_the_frame_itself() -> None:
    found = list(variants(frame(), np.random.default_rng(0)))
    assert len(found) == 4 and found[0].frame is not None and found[0].boxes[0].tolist() == pytest.approx(BOX)
    assert found[3].frame.shape[:2] == (80, 60)  # turned


def test_the_detector_sees_the_whole_and_four_parts_and_each_thing_is_told_once() -> None:
    sizes: list[tuple[int, int]] = []

    class Fake:
        def __call__(self, bgr: np.ndarray, least: float) -> list[Found]:
            sizes.append(bgr.shape[:2])
            if bgr.shape[0] == 60:
                return [Found("person", 0.5, (2.0, 2.0, 12.0, 30.0)), Found("dog", 0.9, (0, 0, 9, 9))]
            return [Found("person", 0.8, (2.0, 2.0, 12.0, 30.0)), Found("car", 0.6, (20.0, 5.0, 80.0, 30.0))]

    rows = detect(Fake(), np.zeros((60, 80, 3), np.uint8))  # type: ignore[arg-type]
    assert sizes == [(60, 80)] + [(37, 50)] * 4
    # In the right and lower parts the same box begins too near the cut; the car reaches one to the right.
    first = rows[(rows[:, 5] == 0) & (rows[:, 0] < 5) & (rows[:, 1] < 5)]
    assert len(first) == 1 and first[0, 4] == pytest.approx(0.8)
    assert not ((rows[:, 5] == 1) & (rows[:, 0] < 25)).any()


def test_cells_in_the_middle_of_a_thing_learn_it() -> None:
    boxes = np.array([[0.1, 0.2, 0.5, 0.8, 0.9, 1.0], [0.7, 0.2, 0.9, 0.4, (SURE + MAYBE) / 2, 0.0]], np.float32)
    found = targets([boxes], (10, 20))
    own = found.own[0].numpy()
    assert own[4:6, 5:7].all() and not own[:, 12:].any() and not own[0].any()
    y, x = np.argwhere(own)[0]
    left, up, right, down = found.sides[0, :, y, x].tolist()
    assert (x + 0.5 - left, y + 0.5 - up, x + 0.5 + right, y + 0.5 + down) == pytest.approx((2, 2, 10, 8))
    assert set(found.kind[0].numpy()[own].tolist()) == {1}
    assert found.unasked[0].numpy()[2:4, 14:18].all() and not found.unasked[0].numpy()[:, :12].any()


def test_the_smaller_thing_in_front_wins() -> None:
    boxes = np.array([[0, 0, 1, 1, 0.9, 0], [0.4, 0.4, 0.6, 0.6, 0.9, 1]], np.float32)
    found = targets([boxes], (20, 20))
    assert int(found.kind[0, 10, 10]) == 1 and int(found.kind[0, 6, 6]) == 0


@pytest.mark.parametrize(
    ("a", "b", "iou", "generalised"),
    [
        ([1, 1, 1, 1], [1, 1, 1, 1], 1.0, 1.0),
        ([1, 1, 1, 1], [2, 1, 2, 1], 0.5, 0.5),
        ([2, 1, 0, 1], [0, 1, 2, 1], 0, 0),
    ],
)
def test_overlap_of_sides(a: list[float], b: list[float], iou: float, generalised: float) -> None:
    found = overlaps(torch.tensor([a], dtype=torch.float), torch.tensor([b], dtype=torch.float))
    assert [float(v) for v in found] == pytest.approx([iou, generalised], abs=0.02)


def test_what_is_right_costs_little_and_what_is_not_asked_nothing() -> None:
    boxes = np.array([[0.1, 0.2, 0.5, 0.8, 0.9, 0.0], [0.7, 0.2, 0.9, 0.4, 0.2, 0.0]], np.float32)
    wanted = targets([boxes], (10, 20))
    logits = torch.full((1, 2, 10, 20), -12.0)
    logits[0, 0][wanted.own[0]] = 12.0
    right = loss_of(logits, wanted.sides.clamp(min=0.1), wanted)
    assert all(float(term) < 0.01 for term in right.values())
    unsure = logits.clone()
    unsure[0, 0][wanted.unasked[0]] = 12.0
    assert float(loss_of(unsure, wanted.sides.clamp(min=0.1), wanted)["score"]) < 0.01
    wrong = logits.clone()
    wrong[0, 0, 9, 0] = 12.0
    assert float(loss_of(wrong, wanted.sides.clamp(min=0.1), wanted)["score"]) > 0.1


def test_precision_of_a_worked_example() -> None:
    """Found at .9 (right), .8 (wrong), .7 (right), of three: precision 1, 2/3 at recalls 1/3, 2/3."""
    true = [np.array([[0, 0, 1, 1, 0.9, 0], [2, 0, 3, 1, 0.9, 0], [4, 0, 5, 1, 0.9, 0]], float)]
    found = [np.array([[0, 0, 1, 1, 0.9, 0], [8, 0, 9, 1, 0.8, 0], [2, 0, 3, 1, 0.7, 0]], float)]
    assert average_precision(found, true, 0) == pytest.approx((1 + 2 / 3) / 3)
    assert np.isnan(average_precision(found, true, 1)) and average_precision([np.zeros((0, 6))], true, 0) == 0


def test_twice_is_once_too_often_and_what_is_unsure_counts_neither_way() -> None:
    true = [np.array([[0, 0, 1, 1, 0.9, 0], [2, 0, 3, 1, 0.2, 0]], float)]
    found = [np.array([[0, 0, 1, 1, 0.9, 0], [0, 0, 1, 1, 0.8, 0], [2, 0, 3, 1, 0.7, 0]], float)]
    assert judged(found, true, 0) == [(0.9, 1.0), (0.8, 0.0)]
    assert average_precision(found, true, 0) == pytest.approx(1.0)


def pictures(folder: Path, count: int, seed: int) -> None:
    """A clip's file in which a box is where the features say it is."""
    rng = np.random.default_rng(seed)
    patch, boxes = rng.normal(0, 0.02, (count, 12, 16, 152)).astype(np.float16), []
    for n in range(count):
        x, y = int(rng.integers(0, 10)), int(rng.integers(0, 5))
        patch[n, y : y + 7, x : x + 4, :40] += 0.3
        boxes.append([n, x / 16, y / 12, (x + 4) / 16, (y + 7) / 12, 0.9, 0])
    np.savez(
        folder / f"clip_{seed}.npz", patch_0=patch, boxes_0=np.array(boxes, np.float32), variant_0=np.arange(count) % 2
    )


def test_a_small_training_learns_and_its_file_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        pictures(tmp_path, 12, seed)
    given = [str(tmp_path), "--out", str(tmp_path / "run"), "--without", "clip_2", "--steps", "60"]
    fitting.main(given)
    said = capsys.readouterr().out
    assert "24 pictures to learn from, 12 held back" in said
    assert float(said.split("person ")[-1].split(",")[0]) > 0.5
    evaluate([str(tmp_path), str(tmp_path / "run" / "people.safetensors"), "--clips", "clip_2"])
    said = capsys.readouterr().out
    assert "1 clips, 6 frames, 12 pictures" in said and "vehicle: average precision nan" in said
    with pytest.raises(SystemExit, match=r"no clip in .* begins with nobody"):
        evaluate([str(tmp_path), str(tmp_path / "run" / "people.safetensors"), "--clips", "nobody"])


def test_the_same_seed_gives_the_same_network(tmp_path: Path) -> None:
    pictures(tmp_path, 8, 0)
    groups = read(tmp_path)
    first, again, other = (fitting.fit(groups, [], 3, seed) for seed in (0, 0, 1))
    alike = [
        all(bool((a == b).all()) for a, b in zip(first.parameters(), o.parameters(), strict=True))
        for o in (again, other)
    ]
    assert alike == [True, False]


def test_no_frames_are_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no \.npz in .*training\.people\.frames makes them"):
        read(tmp_path)


def test_a_curve_of_being_right() -> None:
    scores = np.linspace(0, 1, 400)
    right = (np.random.default_rng(0).random(400) < 1 / (1 + np.exp(-8 * (scores - 0.4)))).astype(float)
    slope, middle = fitted(np.stack([scores, right], 1))
    assert slope == pytest.approx(8, rel=0.3) and middle == pytest.approx(0.4, abs=0.08)


def test_a_group_knows_its_boxes() -> None:
    boxes = np.array([[1, 0, 0, 1, 1, 0.9, 0], [0, 0, 0, 0.5, 1, 0.8, 1]], np.float32)
    group = Group("x", np.zeros((3, 2, 2, 152), np.float16), boxes, np.zeros(3, int))
    assert [len(rows) for rows in group.true] == [1, 1, 0] and group.true[0][0, 4] == pytest.approx(0.8)


def test_the_packaged_file_is_of_the_shape_that_is_trained() -> None:
    from tvad.people import FILE

    assert PeopleNetwork.load(FILE).config == PeopleNetwork().config


def test_levels_of_falls_are_told_by_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from training.people import evaluate_falls

    for name in ("gmdcsa24_fall/subject1/Fall/1.mp4", "gmdcsa24_fall/subject1/Fall/2.mp4", "street/vtest.avi"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    levels = {"1": np.array([0.0, 3.0, 0.0]), "2": np.full(3, 0.2), "vtest": np.linspace(0, 1, 120)}
    monkeypatch.setattr(
        evaluate_falls, "curve_of", lambda path, finder: (np.arange(len(levels[path.stem])) / 8, levels[path.stem])
    )
    evaluate_falls.main([str(tmp_path)])
    said = capsys.readouterr().out
    assert "falls: 1 of 2 at" in said and "subject1/Fall/1.mp4 3.00" in said
    assert "streets: 0 of 1" in said and "Ped2: no ped2/t*/*.mp4" in said
    assert "once an hour:" in said
