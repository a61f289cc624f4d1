"""Calibrate: a scene file that loads, alarm levels from held-out footage, refusals that write nothing."""

import re
from dataclasses import replace
from pathlib import Path

import drawn_camera
import numpy as np
import pytest
from drawn_camera import FPS, SIZE_WH, Camera

from heatmap.memory import BANK, PARTS
from tvad.calibrate import calibrate
from tvad.classifier import N_CLASSES
from tvad.progress import Progress
from tvad.scene import Scene
from tvad.settings import Settings
from tvad.video import VideoError


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Camera:
    return drawn_camera.camera(tmp_path_factory.getbasetemp())


def _still(seconds: float = 3.0) -> np.ndarray:
    return drawn_camera.frames(seconds, 0, walkers=0)


def test_the_report_counts_what_was_read(camera: Camera) -> None:
    report = camera.report
    assert (report.clips, report.frames, report.seconds) == (4, 4 * 6 * FPS, 24.0)
    assert report.path == camera.scene and 1000 < report.patches <= BANK


def test_held_out_normal_footage_raises_no_alarm(camera: Camera) -> None:
    assert camera.report.peak_rarity < 0


def test_the_scene_file_says_where_it_comes_from(camera: Camera) -> None:
    scene = Scene.load(camera.scene)
    assert scene.about == {
        "preset": "mini",
        "clips": 4,
        "seconds": 24.0,
        "frames": 192,
        "fps": 8.0,
        "aspect": round(SIZE_WH[0] / SIZE_WH[1], 4),
    }
    assert scene.memory.appearance.shape[:2] == scene.memory.motion.shape[:2]
    assert scene.memory.appearance.shape[0] == PARTS
    assert scene.frame_alarm.hours == scene.heat_alarm.hours == pytest.approx(24 / 3600)


def test_looks_at_normal_things_are_kept_with_their_things(camera: Camera) -> None:
    looks = Scene.load(camera.scene).looks
    assert looks.logits.shape == (len(looks.thing), N_CLASSES) and len(looks.thing) >= 10
    assert looks.seconds == pytest.approx(4 * (6 - 1 / FPS))
    assert len(np.unique(looks.thing)) > 4
    for thing in np.unique(looks.thing):
        times = looks.times_s[looks.thing == thing]
        assert (np.diff(times) > 0).all() and np.ptp(times) < 6.0


def test_the_same_footage_gives_the_same_scene(tmp_path: Path) -> None:
    clips = [drawn_camera.write(tmp_path / f"{i}.mp4", drawn_camera.frames(1.5, i)) for i in range(4)]
    first, second = (replace(calibrate(clips, tmp_path / name), path=tmp_path) for name in "ab")
    assert first == second
    a, b = Scene.load(tmp_path / "a"), Scene.load(tmp_path / "b")
    assert np.array_equal(a.memory.appearance, b.memory.appearance)
    assert np.array_equal(a.memory.motion, b.memory.motion)
    assert np.array_equal(a.looks.logits, b.looks.logits)
    assert (a.frame_alarm, a.heat_alarm, a.about) == (b.frame_alarm, b.heat_alarm, b.about)


def test_progress_reaches_the_end_of_the_wanted_stretch(camera: Camera, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with pytest.raises(ValueError, match="too short"):
        calibrate([camera.normal], tmp_path / "x.scene.safetensors", Settings(end_s=2.0), seen.append)
    assert seen and [p.frames for p in seen] == sorted(p.frames for p in seen)
    assert seen[-1].frames == 2 * FPS + 1 and seen[-1].done_s == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("clips", "reason"),
    [
        ([drawn_camera.frames(3, 0)], "too short to hold a part of it back; give at least 25 s, or more clips"),
        ([drawn_camera.frames(0.75, i) for i in range(4)], "too little to set a threshold; give at least 8 s"),
        ([_still(), _still()], "moves"),
        ([_still(1), _still(1)[:, :, :240]], "different shapes .*are they of one camera"),
    ],
    ids=["one short clip", "short clips", "nothing moves", "another shape"],
)
def test_unfit_footage_is_refused_and_nothing_written(tmp_path: Path, clips: list[np.ndarray], reason: str) -> None:
    paths = [drawn_camera.write(tmp_path / f"{i}.mp4", pictures) for i, pictures in enumerate(clips)]
    out = tmp_path / "out" / "refused.scene.safetensors"
    with pytest.raises(ValueError, match=reason):
        calibrate(paths, out)
    assert not out.exists() and list(out.parent.glob("*")) == []


def test_unreadable_clips_are_refused(camera: Camera, tmp_path: Path) -> None:
    out = tmp_path / "refused.scene.safetensors"
    bad = tmp_path / "no video.mp4"
    bad.write_text("no video")
    with pytest.raises(VideoError, match=re.escape(str(bad))):
        calibrate([camera.normal, bad], out)
    with pytest.raises(VideoError, match="no such file"):
        calibrate([tmp_path / "absent.mp4"], out)
    with pytest.raises(ValueError, match="no normal clips given"):
        calibrate([], out)
    assert not out.exists()
