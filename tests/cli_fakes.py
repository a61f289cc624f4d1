"""A detector without models, and a small real video, for the tests of the commands."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np

from tvad import __version__
from tvad.evidence import Analysis, Curves, Event, Evidence, Motion, Track, TrackBox, VideoMeta
from tvad.settings import Settings


class FakeDetector:
    """Finds one bicycle in whatever it is shown, or nothing."""

    finds = True
    runs = 0
    fails: BaseException | None = None
    settings: Settings | None = None

    @classmethod
    def from_settings(cls, settings: Settings, note: object = None) -> "FakeDetector":
        cls.settings = settings
        return cls()

    def analyze(self, path: str | Path, progress: Callable[[Any], None] | None = None) -> Analysis:
        type(self).runs += 1
        if progress:
            progress(SimpleNamespace(done_s=1.0, total_s=1.6, frames=8))
        if self.fails is not None:
            raise self.fails
        if progress:
            progress(SimpleNamespace(done_s=1.6, total_s=1.6, frames=13))
        return make_analysis(str(path), self.finds)


def make_analysis(path: str, anomalous: bool) -> Analysis:
    motion = Motion("moves right", "large", "right", "steady", False, False, 0.1, 0.2)
    boxes = tuple(TrackBox(t / 8, (4.0 + t, 10.0, 14.0 + t, 20.0), 0.9) for t in range(4, 10))
    track = Track(1, "bicycle", 0.8, "red, small", boxes, ("left", "centre"), motion, "left", None)
    event = Event(1, 0.5, 1.2, 0.9, 0.91, "bicycle", (1,), ("memory",))
    evidence = Evidence(
        VideoMeta(path, "0" * 64, 1.6, 10.0, 64, 48),
        "mini",
        {"tvad": __version__},
        Settings().to_dict(),
        (event,) if anomalous else (),
        (track,) if anomalous else (),
        anomalous,
        0.9,
        "A bicycle crosses." if anomalous else "Nothing anomalous.",
    )
    times_s = np.arange(16) / 10
    heat = np.zeros((13, 6, 8), np.float16)
    scores = np.where((times_s >= 0.5) & (times_s <= 1.2) & anomalous, 0.9, 0.1).astype(np.float32)
    return Analysis(evidence, Curves(times_s, scores, np.arange(13) / 8, heat))


def write_video(path: Path) -> Path:
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(16):
            picture = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path
