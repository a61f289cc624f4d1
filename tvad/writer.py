"""Video out: H.264 that every browser plays, written whole or not at all."""

import os
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.video.stream import VideoStream

CLOCK = Fraction(1, 90000)  # seconds a tick


class VideoWriter:
    """Write RGB frames to an mp4 (H.264, yuv420p, index first). A context manager: the file appears under its name when
    the block ends well, and never in part.

    fps: the rate where `write` is given no times. size_wh: frame size; odd sizes are padded by repeating the border.
    Raises ValueError for a rate or a size that is not positive, OSError where the folder cannot be written.
    """

    def __init__(self, path: str | Path, fps: float, size_wh: tuple[int, int], crf: int = 23) -> None:
        if not fps > 0 or min(size_wh) < 1:
            raise ValueError(f"a video needs positive fps and size, not {fps:g} frames/s of {size_wh[0]}x{size_wh[1]}")
        self.path, self.size_wh, self.fps = Path(path), size_wh, fps
        self._pad = (size_wh[0] % 2, size_wh[1] % 2)
        self._last = -1
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", suffix=".mp4", dir=self.path.parent)
        os.close(handle)
        self._temporary = Path(name)
        try:
            self._container = av.open(name, "w", format="mp4", options={"movflags": "+faststart"})
            self._stream = self._video_stream(crf)
        except BaseException:
            self._temporary.unlink(missing_ok=True)
            raise

    def _video_stream(self, crf: int) -> VideoStream:
        # The rate only guides the encoder (times are given); what rounds to 0 would be refused.
        rate = Fraction(self.fps).limit_denominator(1001) or Fraction(1, 1001)
        stream = self._container.add_stream("libx264", rate=rate)
        stream.width, stream.height = self.size_wh[0] + self._pad[0], self.size_wh[1] + self._pad[1]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(crf), "preset": "veryfast"}
        context = stream.codec_context
        context.time_base = CLOCK
        # Unmarked pictures are shown with one colour matrix or another depending on their size.
        context.colorspace, context.color_primaries, context.color_trc, context.color_range = 1, 1, 1, 1
        return stream

    def write(self, frame_rgb: np.ndarray, t_s: float | None = None) -> None:
        """Append (H, W, 3) uint8 at `t_s` seconds (must increase; before a first one above 0 players show nothing), or
        one frame period after the last one, the first at 0."""
        if frame_rgb.shape != (self.size_wh[1], self.size_wh[0], 3) or frame_rgb.dtype != np.uint8:
            raise ValueError(f"frame is {frame_rgb.shape} {frame_rgb.dtype}, the video is {self.size_wh} uint8 RGB")
        if any(self._pad):
            frame_rgb = np.pad(frame_rgb, ((0, self._pad[1]), (0, self._pad[0]), (0, 0)), mode="edge")
        after_last = self._last + round(1 / self.fps / CLOCK) if self._last >= 0 else 0
        tick = after_last if t_s is None else round(t_s / CLOCK)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_rgb), format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709")
        picture.pts = self._last = max(tick, self._last + 1) if self._last >= 0 else max(tick, 0)
        picture.time_base = CLOCK
        self._container.mux(self._stream.encode(picture))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._last >= 0:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            if kind is None and self._last >= 0:
                self._temporary.chmod(0o644)
                self._temporary.replace(self.path)
        finally:
            self._temporary.unlink(missing_ok=True)
