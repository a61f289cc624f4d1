"""Key frames: which moments, in which order, with what on them."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_fakes import make_analysis, write_video
from PIL import Image

from chat.keyframes import KeyFrame, key_frames
from tvad.evidence import Analysis, Curves
from tvad.video import VideoError


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("keyframes") / "clip.mp4")


def opened(frame: KeyFrame) -> np.ndarray:
    with Image.open(io.BytesIO(frame.jpeg)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def hot(analysis: Analysis) -> Analysis:
    """With heat in the right half of the picture."""
    heat = analysis.curves.heat.copy()
    heat[:, :, 4:] = 1.0
    return Analysis(analysis.evidence, replace(analysis.curves, heat=heat))


def test_the_strongest_moment_comes_first_where_there_is_room_for_one(video: Path) -> None:
    (only,) = key_frames(make_analysis(str(video), True), video, 1)
    assert only.caption == "At 0.9 s (event 1, its strongest moment); boxes carry the numbers of their tracks:"
    assert only.t_s == pytest.approx(0.9)
    assert key_frames(make_analysis(str(video), True), video, 0) == ()


def test_pictures_are_in_order_of_time(video: Path) -> None:
    frames = key_frames(make_analysis(str(video), True), video, 9)
    assert [round(f.t_s, 1) for f in frames] == [0.5, 0.9, 0.9]
    assert "warm colours" in frames[2].caption


def test_heat_is_where_it_is_hot(video: Path) -> None:
    plain, heated = (f for f in key_frames(hot(make_analysis(str(video), True)), video, 2))
    left, right = np.s_[25:45, 4:24], np.s_[25:45, 40:60]  # below the box of the track
    change = np.abs(opened(heated) - opened(plain))
    assert change[left].mean() < 8 < 20 < change[right].mean()


def test_every_event_is_seen_before_an_event_is_seen_twice(video: Path) -> None:
    analysis = make_analysis(str(video), True)
    event = analysis.evidence.events[0]
    events = tuple(replace(event, id=i, score=0.5 + i / 10, peak_s=0.5 + i / 5) for i in (1, 2, 3))
    frames = key_frames(Analysis(replace(analysis.evidence, events=events), analysis.curves), video, 4)
    assert [f.caption.split(", its")[0].split("(")[1] for f in frames] == ["event 1", "event 2", "event 3", "event 3"]


def test_without_an_event_the_whole_video_is_sampled(video: Path) -> None:
    frames = key_frames(make_analysis(str(video), False), video, 6)
    assert len(frames) == 4 and frames[0].t_s < 0.4 and frames[-1].t_s > 1.2
    assert sum("below the alarm threshold" in f.caption for f in frames) == 1
    assert sum("no track is in it" in f.caption for f in frames) == 3


def test_evidence_without_curves_has_no_heat(video: Path) -> None:
    none = Curves(np.zeros(0), np.zeros(0, np.float32), np.zeros(0), np.zeros((0, 1, 1), np.float16))
    for finds in (True, False):
        frames = key_frames(Analysis(make_analysis(str(video), finds).evidence, none), video, 9)
        assert frames and not any("warm colours" in f.caption for f in frames)


def test_a_moment_after_the_last_frame_is_the_last_frames(video: Path) -> None:
    analysis = make_analysis(str(video), True)
    late = replace(analysis.evidence.events[0], peak_s=1.75, end_s=1.75)
    (only,) = key_frames(Analysis(replace(analysis.evidence, events=(late,)), analysis.curves), video, 1)
    assert 0.7 <= only.t_s <= 1.5


def test_no_video_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VideoError):
        key_frames(make_analysis("gone.mp4", True), tmp_path / "gone.mp4", 3)
