"""Masks of tracks in the evidence: made, drawn, kept, and asked for by a flag."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from cli_fakes import FakeDetector, make_analysis, write_video
from sam_fakes import Told, tiny_sam
from test_cli_system import Ran

from heatmap.masks import of_runs
from heatmap.sam import convert
from tvad import cache, cli
from tvad.detector import Detector
from tvad.evidence import Analysis, Evidence, EvidenceError, TrackMask
from tvad.masks import load_segmenter, moments_of, with_masks
from tvad.settings import Settings
from tvad.stills import draw_trajectory
from tvad.weights import MissingWeights


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4")


def analysis(video: Path) -> Analysis:
    """The track's box runs from (8, 10) to (23, 20); the heat is hot in columns 8..23, rows 8..23."""
    made = make_analysis(str(video), True)
    heat = made.curves.heat.copy()
    heat[:, 1:3, 1:3] = 0.9
    return Analysis(made.evidence, replace(made.curves, heat=heat))


def shape() -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    mask[9:23, 9:22] = True
    return mask


def test_a_track_gets_the_masks_that_agree_with_its_heat(video: Path) -> None:
    before = analysis(video)
    segmenter = Told(shape())
    found = with_masks(before, video, segmenter).evidence.tracks[0].masks
    assert [m.t_s for m in found] == [b.t_s for b in moments_of(before.evidence.tracks[0])]
    assert len(found) == 5 == len(segmenter.frames)
    for mask in found:
        assert mask.by == "sam" and mask.iou > 0.3 and mask.heat_share > 0.5
        assert (of_runs(mask.runs, mask.size_wh) == shape()).all()


def test_else_the_heats_own_shape_stays(video: Path) -> None:
    found = with_masks(analysis(video), video, Told(~shape())).evidence.tracks[0].masks
    assert {m.by for m in found} == {"heat"}
    kept = of_runs(found[0].runs, found[0].size_wh)
    assert kept[16, 16] and not kept[40, 40]


def test_without_heat_or_frames_there_are_none(video: Path, tmp_path: Path) -> None:
    cold = make_analysis(str(video), True)
    assert with_masks(cold, video, Told(shape())).evidence.tracks[0].masks == ()
    assert with_masks(analysis(video), tmp_path / "gone.mp4", Told(shape())).evidence.tracks[0].masks == ()
    nothing = make_analysis(str(video), False)
    assert with_masks(nothing, video, Told(shape())) == nothing


def test_they_are_saved_with_the_evidence(video: Path) -> None:
    evidence = with_masks(analysis(video), video, Told(shape())).evidence
    assert Evidence.from_json(evidence.to_json()) == evidence
    raw = json.loads(evidence.to_json())
    raw["tracks"][0]["masks"][0]["runs"] = [1, 2]
    with pytest.raises(EvidenceError, match="runs sum to 3"):
        Evidence.from_json(json.dumps(raw))
    for track in raw["tracks"]:
        del track["masks"]  # as it was written before there were any
    assert Evidence.from_json(json.dumps(raw)).tracks[0].masks == ()


def test_they_are_drawn_instead_of_the_hot_cells(video: Path) -> None:
    grey = np.full((480, 640, 3), 128, np.uint8)
    corner = np.zeros((48, 64), bool)
    corner[40:48, 50:64] = True
    hot = analysis(video)
    track = hot.evidence.tracks[0]
    mask = TrackMask(0.5, (64, 48), (0,), "sam", 1.0, 1.0)
    from heatmap.masks import to_runs

    masked = replace(track, masks=(replace(mask, runs=to_runs(corner)),))
    with_mask = draw_trajectory(Analysis(replace(hot.evidence, tracks=(masked,)), hot.curves), grey)
    plain = draw_trajectory(hot, grey)
    assert (plain[440, 600] == 128).all() and (with_mask[440, 600] != 128).any()


def test_weights_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "sam.pth").write_bytes(b"x")
    with pytest.raises(MissingWeights, match="convert-sam"):
        load_segmenter(str(tmp_path / "sam.pth"), "cpu")
    with pytest.raises(MissingWeights):
        Detector.from_settings(Settings(sam=str(tmp_path / "gone.safetensors"), parts=("memory",)))


def test_other_weights_are_another_analysis(tmp_path: Path) -> None:
    path = tmp_path / "sam.safetensors"
    path.write_bytes(b"a")
    plain, first = (cache.analysis_key("0" * 64, s) for s in (Settings(), Settings(sam=str(path))))
    path.write_bytes(b"ab")
    assert len({plain, first, cache.analysis_key("0" * 64, Settings(sam=str(path)))}) == 3
    with pytest.raises(OSError):
        cache.analysis_key("0" * 64, Settings(sam=str(tmp_path / "gone")))


# Commands


@pytest.fixture
def tvad(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Ran]:
    monkeypatch.setattr("signal.signal", lambda number, handler: None)  # a handler outlives its test
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as stop:
            cli.main(list(arguments))
        return Ran(int(stop.value.code or 0), *capfd.readouterr())

    return run


def test_convert_sam(tvad: Callable[..., Ran], tmp_path: Path) -> None:
    pytest.importorskip("segment_anything")
    torch.save(tiny_sam().state_dict(), tmp_path / "sam.pth")
    ran = tvad("models", "convert-sam", str(tmp_path / "sam.pth"), str(tmp_path / "sam.safetensors"))
    assert (ran.code, ran.out) == (0, f"{tmp_path / 'sam.safetensors'}\n")
    assert "width 16, 2 blocks, 64 pixels a side" in ran.err
    assert tvad("models", "convert-sam", str(tmp_path / "sam.pth"), str(tmp_path / "sam.bin")).code == 2
    assert tvad("models", "convert-sam", str(tmp_path / "gone.pth"), str(tmp_path / "x.safetensors")).code == 1


def test_the_flag(tvad: Callable[..., Ran], video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tvad.detector", SimpleNamespace(Detector=FakeDetector))  # type: ignore[arg-type]
    path = tmp_path / "sam.safetensors"
    assert tvad("ask", str(video), "what?", "--explain", "report", "--sam", str(path)).code == 2
    path.write_bytes(b"x")
    assert tvad("ask", str(video), "what?", "--explain", "report", "--sam", str(path)).code == 0
    assert FakeDetector.settings is not None and FakeDetector.settings.sam == str(path)


@pytest.mark.slow
def test_the_whole_way_with_a_tiny_sam(tvad: Callable[..., Ran], tmp_path: Path) -> None:
    """A real analysis and a real model with random weights: masks of the heat where those of the model are no good."""
    pytest.importorskip("segment_anything")
    from clips import encode

    torch.save(tiny_sam().state_dict(), tmp_path / "sam.pth")
    convert(tmp_path / "sam.pth", tmp_path / "sam.safetensors")
    moving = encode(tmp_path / "clip.mp4", count=24)
    ran = tvad("analyze", str(moving), "-o", str(tmp_path / "out"), "--sam", str(tmp_path / "sam.safetensors"), "-q")
    assert ran.code == 0, ran.err
    evidence = Evidence.load(tmp_path / "out" / "evidence.json")
    assert evidence.settings["sam"] == str(tmp_path / "sam.safetensors")
    assert all(m.by in ("sam", "heat") for t in evidence.tracks for m in t.masks)
