"""Folders of masks -> truth -> a data set: each layout in two small copies, damage, splits, and what is rejected."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_truths import FPS, SIZE_WH, clip, walk

from training.datasets.build import Plan, build, captions_of, main, read, summary
from training.datasets.folders import (
    DATASETS,
    FolderClip,
    read_classes,
    read_ped2,
    read_shanghaitech,
    read_spans,
    read_synthetic,
    read_ubnormal,
    split_of_source,
    targets_of_masks,
)
from training.datasets.truth import UNNAMED, ClipTruth
from training.pixel_data import DataError

KEYS = {"id", "video", "window", "fps", "size", "split", "has_anomaly", "targets", "qa", "mask_path"}


def crossing(n: int = 30, start: int = 0, end: int | None = None, row: int = 40) -> np.ndarray:
    """(n, 96, 128) bool: a block that crosses to the right in frames start to end, inclusive."""
    masks = np.zeros((n, 96, 128), bool)
    for frame in range(start, (n - 1 if end is None else end) + 1):
        x = 4 + frame * 110 // n
        masks[frame, row : row + 20, x : x + 10] = True
    return masks


def put_picture(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


def make_ped2(root: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, masks in (("Train/Train001", None), ("Test/Test001", crossing()), ("Test/Test002", crossing(24, 12))):
        for frame in range(12 if masks is None else len(masks)):
            put_picture(root / name / f"{frame + 1:03d}.png", rng.integers(0, 255, (96, 128), dtype=np.uint8))
            if masks is not None:
                put_picture(root / f"{name}_gt" / f"{frame + 1:03d}.bmp", masks[frame].astype(np.uint8) * 255)
    return root


def make_ubnormal(root: Path) -> Path:
    for name, spans in (
        ("abnormal_scene_1_scenario_1", "2,5,20\n"),
        ("abnormal_scene_2_scenario_3", "1,0,2\n1,4,5\n"),
    ):
        folder = root / f"Scene{name.split('_')[2]}" / f"{name}_annotations"
        ids = crossing(row=10).astype(np.uint8) + 2 * crossing(row=60).astype(np.uint8)
        for frame in range(30):
            put_picture(folder / f"{name}_{frame:04d}_gt.png", ids[frame])
        (folder / f"{name}_tracks.txt").write_text(spans)
    (root / "scripts").mkdir()
    (root / "scripts" / "abnormal_validation_video_names.txt").write_text("abnormal_scene_1_scenario_1\n")
    (root / "scripts" / "abnormal_training_video_names.txt").write_text("abnormal_scene_2_scenario_3\n")
    return root


def make_shanghaitech(root: Path) -> Path:
    folder = root / "testing" / "test_pixel_mask"
    folder.mkdir(parents=True)
    np.save(folder / "01_0014.npy", crossing().astype(np.uint8))
    np.save(folder / "02_0128.npy", np.zeros((20, 96, 128), np.uint8))
    return root


def make_synthetic(root: Path) -> Path:
    root.mkdir(parents=True)
    truths = (
        clip(walk(7, "cyclist", "cycling", 1.0, 6.0), name="a"),
        clip(walk(1, anomaly=None), split="test", name="b"),
    )
    for truth in truths:
        truth.save(root / f"{truth.id}.truth.json")
        times = np.arange(round(truth.duration_s * FPS)) / FPS
        ids = np.zeros((len(times), SIZE_WH[1], SIZE_WH[0]), np.uint8)
        (target,) = truth.targets
        for t_s, box in zip(target.times_s, target.boxes, strict=True):
            x0, y0, x1, y1 = (int(v) for v in box)
            ids[round(t_s * FPS), y0 : y1 + 1, x0 : x1 + 1] = target.id
        np.savez_compressed(root / f"{truth.id}.ids.npz", ids=ids, times_s=times)
    return root


def make_masks(root: Path) -> Path:
    (root / "masks").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, masks in (("plain", np.zeros((12, 96, 128), bool)), ("gate", crossing()), ("door", crossing(24, 12))):
        for frame in range(len(masks)):
            picture = rng.integers(0, 255, (96, 128), dtype=np.uint8)
            put_picture(root / "videos" / name / f"{frame + 1:03d}.png", picture)
        np.savez(root / "masks" / f"{name}.npz", mask=masks)
    return root


MAKERS = {
    "ped2": make_ped2,
    "ubnormal": make_ubnormal,
    "shanghaitech": make_shanghaitech,
    "synthetic": make_synthetic,
    "masks": make_masks,
}


def test_every_data_set_has_a_copy_here() -> None:
    assert set(MAKERS) == set(DATASETS)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_folder_becomes_a_data_set(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = MAKERS[kind](tmp_path / "in"), tmp_path / "out" / "set.jsonl"
    assert main([str(root), str(out), "--folder-kind", kind]) == 0
    lines = read(out)
    assert f"{len(lines)} records" in capsys.readouterr().out
    assert (out.parent / "rejects.jsonl").read_text() == ""
    assert {p.name for p in out.parent.iterdir()} == {"set.jsonl", "rejects.jsonl", "timelines.jsonl"}
    assert any(line["has_anomaly"] for line in lines) and not all(line["has_anomaly"] for line in lines)
    splits: dict[str, set[str]] = {}
    for line in lines:
        assert set(line) == KEYS
        assert line["has_anomaly"] == bool(line["targets"])
        first = line["qa"][0]
        assert first["kind"] == "whether" and first["a"].startswith("Yes" if line["has_anomaly"] else "No")
        assert [qa["turn"] for qa in line["qa"]] == list(range(1, len(line["qa"]) + 1))
        assert all(qa["a"] in qa["references"] for qa in line["qa"])
        splits.setdefault(line["id"].rpartition("/")[0], set()).add(line["split"])
    assert all(len(found) == 1 for found in splits.values())


def test_ped2_keeps_its_split_and_its_rate(tmp_path: Path) -> None:
    found = {c.truth.id: c for c in read_ped2(make_ped2(tmp_path / "in"))}
    assert {name: c.truth.split for name, c in found.items()} == {
        "ped2/train/Train001": "train",
        "ped2/test/Test001": "test",
        "ped2/test/Test002": "test",
    }
    late = found["ped2/test/Test002"]
    assert late.anomalous is not None and late.anomalous.tolist() == [False] * 12 + [True] * 12
    (target,) = late.truth.targets
    assert (target.noun, target.anomaly) == ("object", UNNAMED)
    assert late.truth.fps == 10.0
    assert target.anomalous_s == ((1.2, 2.3),)
    assert not found["ped2/train/Train001"].truth.has_anomaly


def test_ubnormal_ids_spans_and_official_split(tmp_path: Path) -> None:
    found = {c.truth.id.rpartition("/")[2]: c for c in read_ubnormal(make_ubnormal(tmp_path / "in"), 10.0)}
    one, two = found["abnormal_scene_1_scenario_1"], found["abnormal_scene_2_scenario_3"]
    assert (one.truth.split, two.truth.split) == ("validation", "train")
    assert [(t.id, t.anomaly) for t in one.truth.targets] == [(1, None), (2, UNNAMED)]
    assert one.truth.targets[1].anomalous_s == ((0.5, 2.0),)
    assert one.anomalous is not None and np.flatnonzero(one.anomalous).tolist() == list(range(5, 21))
    assert two.truth.targets[0].anomalous_s == ((0.0, 0.2), (0.4, 0.5))
    assert one.truth.targets[0].boxes[0] == (4.0, 10.0, 13.0, 29.0)


def test_ubnormal_classes_come_from_json_or_csv_and_never_from_a_pickle(tmp_path: Path) -> None:
    root = make_ubnormal(tmp_path / "in")
    (root / "scripts" / "object_names_per_video.pkl").write_bytes(
        pickle.dumps({"abnormal_scene_1_scenario_1": {2: "car"}})
    )
    with pytest.warns(UserWarning, match="is a pickle and is not read"):
        assert read_classes(root) is None
    (root / "object_names_per_video.csv").write_text("video,id,class\nabnormal_scene_1_scenario_1,2,Car\n")
    assert read_classes(root) == {"abnormal_scene_1_scenario_1": {2: "car"}}
    (clip_,) = [c for c in read_ubnormal(root, 10.0) if c.truth.id.endswith("scene_1_scenario_1")]
    assert [t.noun for t in clip_.truth.targets] == ["person", "car"]
    (root / "object_names_per_video.json").write_text('{"abnormal_scene_1_scenario_1": {"2": "bus"}}')
    assert read_classes(root) == {"abnormal_scene_1_scenario_1": {2: "bus"}}
    (root / "object_names_per_video.json").write_text('{"abnormal_scene_1_scenario_1": ["bus"]}')
    with pytest.raises(DataError, match="expected"):
        read_classes(root)


@pytest.mark.parametrize("row", ["1,2", "a,1,2", "0,1,2", "1,5,2", "1,-1,2"])
def test_bad_rows_of_tracks_are_refused(row: str, tmp_path: Path) -> None:
    path = tmp_path / "x_tracks.txt"
    path.write_text(f"1,0,3\n{row}\n")
    with pytest.raises(DataError, match="line 2"):
        read_spans(path)
    with pytest.raises(DataError, match="missing"):
        read_spans(tmp_path / "none.txt")


def test_shanghaitech_is_split_by_video(tmp_path: Path) -> None:
    root = make_shanghaitech(tmp_path / "in")
    found = list(read_shanghaitech(root))
    assert [c.truth.split for c in found] == [split_of_source(c.truth.source) for c in found]
    np.save(root / "testing" / "test_pixel_mask" / "03_0001.npy", np.zeros((4, 4)))
    with pytest.raises(DataError, match=r"expected \(T, H, W\)"):
        list(read_shanghaitech(root))
    np.save(root / "testing" / "test_pixel_mask" / "03_0001.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        list(read_shanghaitech(root))


def test_the_split_of_a_source_is_stable_and_in_its_shares() -> None:
    splits = [split_of_source(f"video {n}") for n in range(3000)]
    assert splits == [split_of_source(f"video {n}") for n in range(3000)]
    assert 0.77 < splits.count("train") / 3000 < 0.83
    assert 0.08 < splits.count("test") / 3000 < 0.12


def test_masks_become_tracks() -> None:
    masks = crossing(24, row=10) | crossing(24, 12, 20, row=60)
    masks[5, 90, 120] = True  # a speck
    targets, anomalous, size = targets_of_masks([masks[:10], masks[10:]], 12.0)
    assert size == (128, 96)
    assert anomalous.all()
    assert [(len(t.times_s), round(t.times_s[0] * 12)) for t in targets] == [(24, 0), (9, 12)]
    with pytest.raises(DataError, match="single frame"):
        targets_of_masks([], 12.0)


@pytest.mark.parametrize("kind", DATASETS)
def test_an_empty_folder_says_what_is_expected(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), str(tmp_path / "out.jsonl"), "--folder-kind", kind]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()
    assert main([str(tmp_path / "none"), str(tmp_path / "out.jsonl"), "--folder-kind", kind]) == 2


def test_damaged_truth_is_named(tmp_path: Path) -> None:
    root = make_synthetic(tmp_path / "in")
    (root / "a.truth.json").write_text('{"id": "a"}')
    with pytest.raises(DataError, match=r"a\.truth\.json: not the truth"):
        list(read_synthetic(root))


# --- building -------------------------------------------------------------------------------------------------------


def folder_clip(truth: ClipTruth, anomalous: np.ndarray | None = None) -> FolderClip:
    return FolderClip(truth, "", "", anomalous)


def test_what_contradicts_its_masks_is_rejected_with_the_reason() -> None:
    truth = clip(walk(1, start_s=0.0, end_s=2.0), duration_s=4.0)
    anomalous = np.ones(48, bool)  # the masks go on after the truth has ended
    built = build([folder_clip(truth, anomalous)], Plan(window=12, stride=12))
    assert [line["window"] for line in built.rejects] == [[36, 47]]
    assert all("masks are not empty" in " ".join(line["reasons"]) for line in built.rejects)
    assert len(built.lines) == 3
    assert "1 rejected" in summary(built)


def test_a_caption_of_another_class_is_rejected() -> None:
    truth = clip(walk(1, "cyclist", "cycling"))
    good = build([folder_clip(truth)], Plan(whole=True), {"clip": {1: "a person on a bike with a helmet"}})
    bad = build([folder_clip(truth)], Plan(whole=True), {"clip": {1: "a blue car on the road"}})
    assert (len(good.lines), len(good.rejects)) == (1, 0)
    assert good.lines[0]["targets"][0]["appearance"] == "a person on a bike with a helmet"
    assert (len(bad.lines), len(bad.rejects)) == (0, 1)
    assert "speaks of a car" in bad.rejects[0]["reasons"][0]


def test_a_source_in_two_splits_is_an_error() -> None:
    truth = clip(walk(1))
    with pytest.raises(ValueError, match="'train' and in 'test'"):
        build([folder_clip(truth), folder_clip(replace(truth, id="other", split="test"))])


def test_a_build_is_the_same_twice_and_its_test_clips_use_test_phrasings() -> None:
    from training.datasets.phrasings import phrasings

    truth = clip(walk(1), split="test")
    one, two = (build([folder_clip(truth)], Plan(seed=3)) for _ in range(2))
    assert one.lines == two.lines
    assert one.lines != build([folder_clip(truth)], Plan(seed=4)).lines
    assert all(line["qa"][0]["q"] in phrasings("whether", "test") for line in one.lines)


def test_the_timeline_of_a_video_is_written(tmp_path: Path) -> None:
    root, out = make_synthetic(tmp_path / "in"), tmp_path / "set.jsonl"
    assert main([str(root), str(out)]) == 0
    found = [json.loads(line) for line in (tmp_path / "timelines.jsonl").read_text().splitlines()]
    assert [entry["target"] for entry in found[0]["timeline"]] == ["cyclist"]
    assert (found[0]["timeline"][0]["start"], found[0]["timeline"][0]["end"]) == (12, 72)
    assert found[1]["timeline"] == []


def test_captions_are_asked_for_the_largest_view_of_a_target() -> None:
    truth = clip(walk(4))
    frames = [np.full((60, 80, 3), n, np.uint8) for n in range(3)]
    ids = np.zeros((3, 60, 80), np.uint8)
    ids[0, 10:14, 10:14], ids[1, 10:30, 10:30], ids[2, 10:12, 10:30] = 4, 4, 4
    assert captions_of(truth, frames, ids, lambda crop: f"grey {crop[0, 0, 0]}") == {4: "grey 1"}


def test_the_real_masks_of_ped2(real_data: Path) -> None:
    built = build(read_ped2(real_data / "ped2"), Plan(whole=True))
    assert built.rejects == []
    anomalous = {line["id"] for line in built.lines if line["has_anomaly"]}
    assert anomalous == {line["id"] for line in built.lines if line["split"] == "test"}
