"""Pictures half way between the sampled ones: which, when, and none where the source has none."""

from collections.abc import Callable
from pathlib import Path

import clips
import numpy as np
import pytest

from tvad.video import Clip, VideoReader, fitted

Make = Callable[..., Path]


def half(width: int, height: int) -> tuple[int, int]:
    return width // 2, height // 2


def read(path: Path, **settings: object) -> list[Clip]:
    return list(VideoReader(path, between=half, **settings))


def joined(found: list[Clip], name: str) -> np.ndarray:
    return np.concatenate([getattr(clip, name) for clip in found])


@pytest.mark.parametrize(("source_fps", "fps", "after"), [(24.0, 8.0, [2]), (32.0, 8.0, [2]), (16.0, 8.0, [1])])
def test_each_lies_about_half_way_from_the_frame_before(
    tiny_video: Make, source_fps: float, fps: float, after: list[int]
) -> None:
    path = tiny_video("a.mp4", count=40, fps=int(source_fps))
    found = read(path, fps=fps, chunk=4)
    times, between = joined(found, "times_s"), joined(found, "between_s")
    assert np.isnan(between[0]) and np.isfinite(between[1:]).all()
    steps = np.round((between[1:] - times[:-1]) * source_fps).astype(int)
    assert set(steps.tolist()) <= set(after)
    assert (between[1:] < times[1:]).all()


def test_they_show_what_the_source_shows_then(tiny_video: Make) -> None:
    path = tiny_video("a.mkv", count=16, fps=16)
    found = read(path, fps=8.0)
    grey = joined(found, "between")
    assert grey.shape == (8, 32, 48) and grey.dtype == np.uint8
    every = np.concatenate([clip.frames for clip in VideoReader(path, None)])
    for n, t in enumerate(joined(found, "between_s").tolist()):
        if n:
            frame = fitted(every[round(t * 16)], (48, 32)).astype(float)
            assert np.abs(grey[n] - frame @ [0.299, 0.587, 0.114]).max() < 3, n


def test_the_sampled_frames_are_the_same_with_and_without(tiny_video: Make) -> None:
    path = tiny_video("a.mp4", count=30)
    plain, more = list(VideoReader(path, 8.0)), read(path, fps=8.0)
    assert plain[0].between is None and plain[0].between_s is None
    for name in ("frames", "times_s"):
        np.testing.assert_array_equal(joined(plain, name), joined(more, name))
    assert [clips.number(f) for f in joined(more, "frames")][:3] == [0, 3, 6]


def test_where_every_frame_is_taken_none_lies_between(tiny_video: Make) -> None:
    path = tiny_video("a.mp4", count=10, fps=8)
    assert np.isnan(joined(read(path, fps=8.0), "between_s")).all()
    assert read(path, fps=None)[0].between is None
