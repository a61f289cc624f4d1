"""What FFmpeg reads: one video file to frames with times. Used through tvad/video.py."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# Formats that are lists of other files or no pictures at all: a file must not make us open others.
REFUSED_FORMATS = {"concat", "hls", "dash", "tty", "image2", "lavfi", "sdp", "rtsp", "imf"}
DEFAULT_FPS = 25.0  # where a container names no rate
JUMP_S = 1.0  # a clock that goes back by more than this has started anew


class VideoError(Exception):
    """The input cannot be read as video; str() is one line for the person."""


@dataclass(frozen=True)
class VideoInfo:
    """What the header says. Size in displayed (rotated) pixels; fps is the average rate; rotation in degrees,
    counter-clockwise; n_frames_hint None where the container does not say."""

    path: str
    duration_s: float
    fps: float
    width: int
    height: int
    codec: str
    rotation: int
    n_frames_hint: int | None


class Container:
    """A file that FFmpeg reads. Every pass opens it anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._deinterlace: Graph | None = None
        with self._opened() as container:
            stream = self._stream(container)
            first = next(self._decoded(container, stream, []), None)
            if first is None:
                raise VideoError(f"{path}: no frame could be decoded; the file is damaged or cut off")
            self.offset_s = float(first.time or 0.0)
            self.turns = round(first.rotation / 90) % 4  # quarter turns counter-clockwise
            fps = float(stream.average_rate or stream.guessed_rate or 0) or DEFAULT_FPS
            duration_s = self._duration_s(container, stream)
            width, height = first.width, first.height
            codec, count = stream.codec_context.name, stream.frames or None
        if duration_s <= 0:
            duration_s, count = self._measured(fps)
        elif stream_rate_is_wrong(fps, count, duration_s) and count:
            fps = count / duration_s
        size = (height, width) if self.turns % 2 else (width, height)
        self.info = VideoInfo(str(path), duration_s, fps, *size, codec, self.turns * 90, count)

    def _opened(self) -> av.container.InputContainer:
        try:
            container = av.open(str(self.path), options={"protocol_whitelist": "file"}, metadata_errors="replace")
        except PermissionError:
            raise VideoError(f"{self.path}: permission denied") from None
        except (av.error.FFmpegError, OSError, ValueError):
            raise VideoError(f"{self.path}: not a video, or damaged from its beginning") from None
        if set(container.format.name.split(",")) & REFUSED_FORMATS:
            container.close()
            raise VideoError(f"{self.path}: is a list or text ({container.format.name}), not a video")
        return container

    def _stream(self, container: av.container.InputContainer) -> VideoStream:
        pictures = int(av.stream.Disposition.attached_pic)
        streams = [s for s in container.streams.video if not int(s.disposition) & pictures]
        if not streams:
            raise VideoError(f"{self.path}: has no video stream")
        streams[0].thread_type = "AUTO"
        return streams[0]

    def _duration_s(self, container: av.container.InputContainer, stream: VideoStream) -> float:
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return float(container.duration / av.time_base) if container.duration else 0.0

    def _measured(self, fps: float) -> tuple[float, int]:
        """Length of a stream whose header does not say, by counting packets; nothing is decoded."""
        count, last = 0, 0.0
        with self._opened() as container:
            stream = self._stream(container)
            try:
                for packet in container.demux(stream):
                    if packet.size:
                        count += 1
                        if packet.pts is not None and packet.time_base:
                            last = max(last, float(packet.pts * packet.time_base) - self.offset_s)
            except (av.error.FFmpegError, OSError):
                pass  # the tail is damaged; decoding will say so
        return max(last + 1 / fps, count / fps if last == 0 else 0.0), count

    def frames(self, start_s: float) -> Iterator[tuple[float, object]]:
        """(time, frame) from the key frame before `start_s` on."""
        self.warnings = []
        self._deinterlace = None
        damage: list[float] = []
        last = -np.inf
        with self._opened() as container:
            stream = self._stream(container)
            seeking = self._seek(container, stream, start_s)
            for t, frame in self._timed(container, stream, damage, start_s if seeking else 0.0):
                if seeking and t > start_s + 0.5 / self.info.fps:  # the index led past the start: read from the front
                    yield from self._from_front(damage)
                    return
                seeking = False
                last = t
                yield t, frame
        self._judge(damage, last)

    def _from_front(self, damage: list[float]) -> Iterator[tuple[float, object]]:
        last = 0.0
        with self._opened() as container:
            for t, frame in self._timed(container, self._stream(container), damage, 0.0):
                last = t
                yield t, frame
        self._judge(damage, last)

    def _seek(self, container: av.container.InputContainer, stream: VideoStream, start_s: float) -> bool:
        if start_s < 1.0 or not stream.time_base:
            return False
        try:
            container.seek(int((start_s + self.offset_s) / stream.time_base), stream=stream, backward=True)
        except (av.error.FFmpegError, OSError):
            return False
        return True

    def _timed(
        self, container: av.container.InputContainer, stream: VideoStream, damage: list[float], guess_s: float
    ) -> Iterator[tuple[float, VideoFrame]]:
        """Strictly increasing times; a clock that jumps back (joined transport streams) goes on from where it was."""
        shift, last = -self.offset_s, guess_s - 1 / self.info.fps
        first = True
        for frame in self._decoded(container, stream, damage):
            t = last + 1 / self.info.fps if frame.time is None else float(frame.time) + shift
            if t <= last and not first:
                # Some files number reordered frames wrongly by one: a small step keeps the order without a drift.
                step = (0.1 if last - t < JUMP_S else 1.0) / self.info.fps
                shift += last + step - t if last - t >= JUMP_S else 0.0
                t = last + step
            first, last = False, t
            yield max(t, 0.0), frame

    def _decoded(
        self, container: av.container.InputContainer, stream: VideoStream, damage: list[float]
    ) -> Iterator[VideoFrame]:
        """Frames of all packets that can be decoded; the time of each that cannot goes to `damage`."""
        packets = container.demux(stream)
        at = 0.0
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                for frame in packet.decode():
                    at = float(frame.time or at)
                    yield from self._progressive(frame)
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError):
                damage.append(at)
                if len(damage) > 1000:
                    return

    def _progressive(self, frame: VideoFrame) -> list[VideoFrame]:
        """The frame, with the two moments of an interlaced one blended to one."""
        if not frame.interlaced_frame and self._deinterlace is None:
            return [frame]
        if self._deinterlace is None:
            self._deinterlace = _deinterlacer(frame)
        self._deinterlace.push(frame)
        out = []
        while True:
            try:
                out.append(self._deinterlace.vpull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return out

    def _judge(self, damage: list[float], last_s: float) -> None:
        """Say what was lost, once the end is reached."""
        if damage:
            at = max(0.0, damage[0] - self.offset_s)
            self.warnings.append(f"damaged from {at:.1f} s on in {len(damage)} places; what could be decoded is used")
        expected = self.info.duration_s
        if last_s + max(1.0, 0.05 * expected) < expected:
            self.warnings.append(f"the file promises {expected:.1f} s, only {max(last_s, 0):.1f} s could be decoded")

    def picture(self, frame: object, size_wh: tuple[int, int]) -> np.ndarray:
        assert isinstance(frame, VideoFrame)
        width, height = size_wh[::-1] if self.turns % 2 else size_wh
        kernel = "AREA" if frame.width > 1.5 * width else "BILINEAR"
        rgb = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation=kernel)
        return np.ascontiguousarray(np.rot90(rgb, self.turns)) if self.turns else rgb


def stream_rate_is_wrong(fps: float, count: int | None, duration_s: float) -> bool:
    """Whether the header's rate disagrees with its own frame count by more than half (some cameras write 1000 fps)."""
    return bool(count and duration_s > 0 and not 0.67 < count / duration_s / fps < 1.5)


def _deinterlacer(frame: VideoFrame) -> Graph:
    graph = Graph()
    time_base = frame.time_base or Fraction(1, 90000)
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)
    fields = graph.add("yadif", "mode=send_frame:deint=interlaced")
    sink = graph.add("buffersink")
    source.link_to(fields)
    fields.link_to(sink)
    graph.configure()
    return graph
