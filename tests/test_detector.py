"""Detector: a drawn camera with a planted odd thing, end to end: when, where, how often, and what it does not say."""

from dataclasses import replace
from pathlib import Path

import cv2
import drawn_camera
import numpy as np
import pytest
from drawn_camera import FPS, ODD_END_S, ODD_START_S, SIZE_WH, Camera, odd_box

from heatmap.levels import AlarmLevel
from tvad.detector import Detector
from tvad.evidence import Analysis, Evidence
from tvad.progress import Progress
from tvad.scene import SceneError
from tvad.settings import Settings, usual_parts
from tvad.video import VideoError, sha256_of

MARGIN_S = 0.5
MARGIN_PX = 16.0  # two cells
# The presets' levels are those of real cameras, where pictures move more than on this drawn one: a lower threshold.
EAGER_PER_HOUR = 600.0


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Camera:
    return drawn_camera.camera(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def with_scene(camera: Camera) -> Detector:
    return Detector.from_settings(Settings(scene=str(camera.scene)))


@pytest.fixture(scope="module")
def without_scene() -> Detector:
    return Detector.from_settings(Settings(false_alarms_per_hour=EAGER_PER_HOUR))


@pytest.fixture(scope="module")
def found(with_scene: Detector, camera: Camera) -> Analysis:
    return with_scene.analyze(camera.odd)


@pytest.fixture(scope="module")
def found_alone(without_scene: Detector, camera: Camera) -> Analysis:
    return without_scene.analyze(camera.odd)


@pytest.fixture(params=["found", "found_alone"])
def either(request: pytest.FixtureRequest) -> Analysis:
    return request.getfixturevalue(request.param)


def _inside(x: float, y: float, box: tuple[float, float, float, float] | None) -> bool:
    if box is None:
        return False
    left, top, right, bottom = box
    return left - MARGIN_PX <= x <= right + MARGIN_PX and top - MARGIN_PX <= y <= bottom + MARGIN_PX


def test_the_planted_thing_is_one_event_at_its_time(found: Analysis) -> None:
    evidence = found.evidence
    assert evidence.has_anomaly and len(evidence.events) == 1
    event = evidence.events[0]
    assert event.start_s == pytest.approx(ODD_START_S, abs=MARGIN_S)
    assert event.end_s == pytest.approx(ODD_END_S, abs=MARGIN_S)
    assert evidence.confidence > 0.9 and evidence.calibration == "scene"
    assert event.raised_by == ("memory",)


def test_without_a_scene_the_highest_score_is_at_the_planted_time(found_alone: Analysis) -> None:
    evidence = found_alone.evidence
    assert evidence.has_anomaly and evidence.calibration == "uncalibrated"
    hottest = max(evidence.events, key=lambda e: e.score)
    assert ODD_START_S <= hottest.peak_s <= ODD_END_S
    assert evidence.confidence <= 0.85


def test_the_heat_peaks_on_the_planted_box(either: Analysis) -> None:
    heat, times = either.curves.heat, either.curves.heat_times_s
    frame, row, column = np.unravel_index(heat.argmax(), heat.shape)
    x, y = (column + 0.5) * SIZE_WH[0] / heat.shape[2], (row + 0.5) * SIZE_WH[1] / heat.shape[1]
    assert _inside(x, y, odd_box(float(times[frame])))


def test_every_frame_of_the_planted_thing_is_hottest_on_it(found: Analysis) -> None:
    heat = found.curves.heat
    hits = []
    for t, cells in zip(found.curves.heat_times_s, heat, strict=True):
        if ODD_START_S + 0.4 <= t <= ODD_END_S - 0.4:
            row, column = np.unravel_index(cells.argmax(), cells.shape)
            x, y = (column + 0.5) * SIZE_WH[0] / heat.shape[2], (row + 0.5) * SIZE_WH[1] / heat.shape[1]
            hits.append(_inside(x, y, odd_box(float(t))))
    assert len(hits) >= 9 and np.mean(hits) >= 0.9


def test_the_first_track_follows_the_planted_thing(found: Analysis) -> None:
    evidence = found.evidence
    track = evidence.track(evidence.events[0].tracks[0])
    assert track.motion.direction == "right"
    hits = [_inside((b.xyxy[0] + b.xyxy[2]) / 2, (b.xyxy[1] + b.xyxy[3]) / 2, odd_box(b.t_s)) for b in track.boxes]
    assert len(hits) >= 4 and np.mean(hits) >= 0.75
    for b in track.boxes:
        x0, y0, x1, y1 = b.xyxy
        assert 0 <= x0 <= x1 <= SIZE_WH[0] and 0 <= y0 <= y1 <= SIZE_WH[1]


def test_there_is_a_score_for_each_source_frame_and_a_map_for_each_sampled_one(either: Analysis) -> None:
    curves = either.curves
    assert np.allclose(curves.times_s, np.arange(9 * 2 * FPS) / (2 * FPS), atol=1e-4)
    assert np.allclose(curves.heat_times_s, np.arange(9 * FPS) / FPS, atol=1e-4)
    assert set(curves.parts) == set(usual_parts(either.evidence.calibration == "scene"))
    assert all(p.shape == curves.scores.shape for p in curves.parts.values())
    # The memory ranks: no moment scores below it.
    assert (curves.scores >= curves.parts["memory"] - 1e-5).all()


def test_scores_and_events_agree(either: Analysis) -> None:
    evidence, curves = either.evidence, either.curves
    assert evidence.peak_score == pytest.approx(curves.scores.max(), abs=1e-3)
    at_peaks = [np.interp(e.peak_s, curves.times_s, curves.scores) for e in evidence.events]
    assert at_peaks == pytest.approx([e.score for e in evidence.events], abs=1e-3)
    above = curves.times_s[curves.scores >= evidence.threshold]
    inside = [any(e.start_s - 0.07 <= t <= e.end_s + 0.07 for e in evidence.events) for t in above]
    assert len(above) and all(inside)


def test_evidence_is_about_this_file_and_survives_json(either: Analysis, camera: Camera) -> None:
    evidence = either.evidence
    assert evidence.video.sha256 == sha256_of(camera.odd) and evidence.video.path == str(camera.odd)
    assert (evidence.video.width, evidence.video.height, evidence.video.fps) == (*SIZE_WH, 2.0 * FPS)
    assert evidence.video.duration_s == pytest.approx(9.0, abs=0.1)
    assert Evidence.from_json(evidence.to_json()) == evidence


@pytest.mark.parametrize("detector", ["with_scene", "without_scene"])
def test_ordinary_footage_raises_nothing(detector: str, camera: Camera, request: pytest.FixtureRequest) -> None:
    analysis = request.getfixturevalue(detector).analyze(camera.normal)
    assert analysis.evidence.events == () and analysis.evidence.tracks == ()
    assert not analysis.evidence.has_anomaly
    assert analysis.curves.scores.max() < analysis.evidence.threshold


def test_a_stretch_keeps_the_times_of_the_video_and_is_the_same_twice(camera: Camera) -> None:
    detector = Detector.from_settings(Settings(scene=str(camera.scene), start_s=3.0, end_s=5.5))
    seen: list[Progress] = []
    first, second = detector.analyze(camera.odd, seen.append), detector.analyze(camera.odd)
    assert first.evidence.to_json() == second.evidence.to_json()
    assert np.array_equal(first.curves.heat, second.curves.heat)
    assert np.array_equal(first.curves.scores, second.curves.scores)
    assert first.curves.times_s[[0, -1]] == pytest.approx([3.0, 5.5])
    assert first.evidence.events[0].start_s == pytest.approx(ODD_START_S, abs=MARGIN_S)
    assert [p.frames for p in seen] == sorted(p.frames for p in seen)
    assert seen[-1].frames == len(first.curves.heat_times_s) == 21
    assert seen[-1].done_s == pytest.approx(seen[-1].total_s) == pytest.approx(2.5)


@pytest.mark.parametrize("detector", ["with_scene", "without_scene"])
def test_a_still_clip_is_no_anomaly(detector: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = drawn_camera.write(tmp_path / "still.mp4", drawn_camera.frames(2, 0, walkers=0))
    evidence, curves = request.getfixturevalue(detector).analyze(path)
    assert not evidence.has_anomaly and evidence.tracks == ()
    assert len(curves.scores) == 2 * FPS == len(curves.heat)
    assert np.ptp(curves.scores) < 0.01


@pytest.mark.parametrize("detector", ["with_scene", "without_scene"])
def test_one_image_is_no_anomaly(detector: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), drawn_camera.frames(1, 0)[0])
    evidence, curves = request.getfixturevalue(detector).analyze(path)
    assert not evidence.has_anomaly and curves.scores.shape == (1,) and curves.heat.shape[0] == 1
    assert Evidence.from_json(evidence.to_json()) == evidence


def test_another_shape_than_the_scene_is_said(with_scene: Detector, tmp_path: Path) -> None:
    path = tmp_path / "upright.png"
    cv2.imwrite(str(path), np.zeros((320, 200, 3), np.uint8))
    assert any("is it the same camera" in w for w in with_scene.analyze(path).evidence.warnings)


def test_a_word_without_a_class_is_said(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), np.zeros((96, 128, 3), np.uint8))
    evidence = Detector.from_settings(Settings(anomaly=("bicycle", "xqzzt"))).analyze(path).evidence
    assert any("xqzzt" in w for w in evidence.warnings) and evidence.settings["anomaly"] == ["bicycle"]


def test_words_alone_point_at_the_things_that_they_mean(camera: Camera) -> None:
    detector = Detector.from_settings(Settings(parts=("words",), anomaly=("bicycle",), normal=(), end_s=3.0))
    assert not detector.analyze(camera.normal).evidence.has_anomaly
    # With a level that everything reaches, every walker is what was asked for.
    all_wanted = replace(detector, words_alarm=AlarmLevel(-30.0, 1.0, 1.0, 1.0))
    evidence, curves = all_wanted.analyze(camera.normal)
    assert set(curves.parts) == {"words"} and evidence.has_anomaly
    assert all(e.raised_by == ("words",) for e in evidence.events)
    walking = drawn_camera.frames(3, 30)[12].astype(int) - drawn_camera.frames(1, 0, walkers=0)[0]
    share = cv2.resize(
        (np.abs(walking).max(-1) > 30).astype(np.float32), curves.heat.shape[:0:-1], interpolation=cv2.INTER_AREA
    )
    there = share > 0.5
    hot = curves.heat[12] > evidence.threshold
    assert hot[there].mean() > 0.7 and hot[~there].mean() < 0.35


def test_memory_alone_needs_no_words(camera: Camera) -> None:
    settings = Settings(scene=str(camera.scene), parts=("memory",), start_s=3.5, end_s=5.0)
    detector = Detector.from_settings(settings)
    evidence, curves = detector.analyze(camera.odd)
    assert detector.guide is None and set(curves.parts) == {"memory"} and evidence.has_anomaly
    assert np.allclose(curves.parts["memory"], curves.scores)


def test_what_cannot_be_read_is_said(with_scene: Detector, camera: Camera, tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no such file"):
        with_scene.analyze(tmp_path / "absent.mp4")
    damaged = tmp_path / "damaged.scene.safetensors"
    damaged.write_bytes(camera.scene.read_bytes()[:-50])
    with pytest.raises(SceneError, match="tvad calibrate"):
        Detector.from_settings(Settings(scene=str(damaged)))
    with pytest.raises(ValueError, match="no preset 'maxi'"):
        Detector.from_settings(Settings(preset="maxi"))
