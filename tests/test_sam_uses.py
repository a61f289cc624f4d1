"""SAM's masks in RBDC's regions, as training data, and the rule that takes them, tried on truth."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_fakes import make_analysis, write_video
from sam_fakes import Told

from heatmap.sam import refine
from training import evaluate_masks
from training.datasets import masks
from training.datasets.folders import DATASETS
from training.evaluate_pixel import regions_of
from training.pixel_data import GroundTruthClip
from tvad.evidence import Analysis
from tvad.video import VideoReader


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4")


def analysis(video: Path) -> Analysis:
    """A track from 0.5 to 1.0 s, hot in columns 8..23, rows 8..23; every frame is a sampled one."""
    made = make_analysis(str(video), True)
    heat = np.zeros((16, 6, 8), np.float16)
    heat[5:11, 1:3, 1:3] = 0.9
    track = made.evidence.tracks[0]
    boxes = tuple(replace(box, t_s=(5 + i) / 10) for i, box in enumerate(track.boxes))
    evidence = replace(made.evidence, tracks=(replace(track, boxes=boxes),))
    return Analysis(evidence, replace(made.curves, heat=heat, heat_times_s=np.arange(16) / 10))


def shape() -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    mask[9:23, 9:22] = True
    return mask


def test_the_regions_of_rbdc_are_those_of_the_masks(video: Path) -> None:
    curves = analysis(video).curves
    at = np.abs(curves.times_s[:, None] - curves.heat_times_s[None]).argmin(1)
    frames = VideoReader(video, 8.0)
    plain = regions_of(curves, (48, 64), 0.25, at)
    refined = regions_of(curves, (48, 64), 0.25, at, (Told(shape()), frames))
    assert [(f, s) for f, _, s in plain] == [(f, s) for f, _, s in refined], "frames and scores are the heat's"
    assert {box for _, box, _ in refined} == {(9.0, 9.0, 21.0, 22.0)} != {box for _, box, _ in plain}
    refused = regions_of(curves, (48, 64), 0.25, at, (Told(~shape()), VideoReader(video, 8.0)))
    assert refused == plain


def test_masks_become_a_data_set_that_is_read_back(video: Path, tmp_path: Path) -> None:
    made = masks.write_masks(analysis(video), video, tmp_path / "set", Told(shape()))
    assert (made.name, made.frames, made.shapes, made.by_sam) == ("clip", 16, 6, 6)
    (read,) = DATASETS["masks"](tmp_path / "set", None)
    assert read.truth.targets and read.anomalous is not None and read.truth.split != "test"
    clip = GroundTruthClip("clip", Path(read.video), Path(read.mask_path))
    labels = clip.frame_labels(16)
    assert labels.sum() == made.anomalous and labels[5:11].all() and labels.sum() == 6
    found = np.concatenate(list(clip.masks()))
    assert (found[8] == shape()).all()
    assert VideoReader(clip.video, None).info.width == 64


def test_what_sam_did_not_shape_can_be_left_out(video: Path, tmp_path: Path) -> None:
    by_heat = masks.write_masks(analysis(video), video, tmp_path / "a", None)
    assert by_heat.anomalous > 0 and by_heat.by_sam == 0
    none = masks.write_masks(analysis(video), video, tmp_path / "b", Told(~shape()), only_sam=True)
    assert (none.anomalous, none.shapes) == (0, 0)


def test_a_run_that_breaks_leaves_no_half_masks(video: Path, tmp_path: Path) -> None:
    class Breaks(Told):
        def masks(self, box_xyxy: object, point_xy: object) -> np.ndarray:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        masks.write_masks(analysis(video), video, tmp_path / "set", Breaks(shape()))
    assert [p for p in (tmp_path / "set").rglob("*") if p.is_file()] == []


def test_the_command_line(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(masks, "analyze", lambda path, settings: analysis(path))
    monkeypatch.setattr(sys, "argv", ["masks", str(video), "-o", str(tmp_path / "set")])
    masks.main()
    assert "clip: " in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["masks", str(video), "-o", str(tmp_path / "set"), "--only-sam"])
    with pytest.raises(SystemExit):
        masks.main()


def test_the_rule_on_made_truth() -> None:
    """A thing of known shape under a coarse hot place: its shape is taken, what is offered wrongly is not."""
    from heatmap.regions import extract_regions

    heat = np.zeros((12, 16), np.float32)
    heat[4:8, 5:9] = 0.9
    (region,) = extract_regions(heat, 0.0, (64, 48), 0.5, keep_mask=True)
    truth = np.zeros((48, 64), bool)
    truth[17:31, 22:34] = True
    truth[2:6, 50:60] = True
    thing = evaluate_masks.true_thing(truth, region.box_xyxy)
    assert thing is not None and thing.sum() == 14 * 12
    assert evaluate_masks.true_thing(truth, (0, 30, 10, 40)) is None
    frame = np.zeros((48, 64, 3), np.uint8)
    by = {
        name: refine(evaluate_masks.Offered(offer(thing, region.box_xyxy)), frame, [region], heat)[0].by
        for name, offer in evaluate_masks.OFFERS.items()
    }
    assert (by["the true shape"], by["that shape beside itself"], by["all of the frame"]) == ("sam", "heat", "heat")
    assert evaluate_masks.overlap(region, thing) < 1
