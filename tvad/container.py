"""What FFmpeg reads: one video file to frames with times. Used through tvad/video.py."""

import errno
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.buffer import Buffer
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

# Formats that are lists or programs that name other files, or no pictures at all: a file must not make us open others.
REFUSED_FORMATS = {
    *("concat", "concatf", "hls", "applehttp", "dash", "webm_dash_manifest", "imf", "sdp", "rtsp", "rtp", "sap"),
    *("avisynth", "vapoursynth", "lavfi", "image2", "tty", "txd", "ffmetadata"),
}
INDEXED_FORMATS = {"mov", "matroska", "avi"}  # where a seek lands at a known time; others are read from the front
DEFAULT_FPS = 25.0  # where a container names no rate
EVEN_FORMATS = {"mpegts", "mpeg"}  # where a leap of the clock is a loss, not a slow scene
ENDINGS = {"gif": b"\x3b", "mjpeg": b"\xff\xd9"}  # the last bytes of whole files whose header promises no length
ABSURD_S = 1e7  # a header that promises more (four months) lies
SLOWEST_FPS = 1e-3  # a frame in a quarter of an hour
ABSURD_FPS = 240.0  # browsers and some cameras write their clock's rate (1000) as the frame rate
LEAP_S = 3600.0  # a clock that leaps ahead by more between two frames is damaged; it would be hours of nothing
JUMP_S = 1.0  # a clock that goes back by more than this has started anew
RUN_UP_S = 1.0  # decoded before a wanted start, so that nothing there hangs on what was not read


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


@dataclass
class _Pass:
    """What one reading from a start to the end met: the end of the last packet (file clock), packets, damage."""

    end_s: float = -np.inf
    packets: int = 0
    places: int = 0
    first_s: float = 0.0

    def see(self, packet: av.Packet) -> None:
        self.packets += bool(packet.size)
        if packet.pts is not None and packet.time_base:
            self.end_s = max(self.end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))

    def hurt(self, at_s: float) -> None:
        self.first_s = self.first_s if self.places else at_s
        self.places += 1


class Container:
    """A file that FFmpeg reads. Every pass opens it anew. wait_s: how long more is waited for at the end of a file that
    still grows; None takes what is there. grew: whether such a file has changed since its end was reached."""

    ended: tuple[int, int] | None = None
    _in_order = False

    def __init__(self, path: Path, wait_s: float | None = None) -> None:
        self.path, self.wait_s = path, wait_s
        self.warnings: list[str] = []
        self.offset_s = 0.0
        # One for all frames, and one for all grey ones: setting it up costs as much as its work.
        self._reformatter, self._greys = VideoReformatter(), VideoReformatter()
        with self._opened() as container:
            stream = self._stream(container)
            first = next(self._decoded(container, stream, _Pass()), None)
            if first is None:
                raise VideoError(f"{path}: no frame could be decoded; the file is damaged or cut off")
            self.offset_s = float(first.time or 0.0)
            turns = round(first.rotation / 90) % 4 if np.isfinite(first.rotation) else 0  # counter-clockwise
            self._matrix = _display_matrix(first)
            self._sideways = self._matrix[0] == 0  # rows are shown as columns
            fps = float(stream.average_rate or stream.guessed_rate or 0) or DEFAULT_FPS
            formats = set(container.format.name.split(","))
            self._indexed = bool(formats & INDEXED_FORMATS)
            self._even = bool(formats & EVEN_FORMATS)
            # Where it can seek, FFmpeg takes the fragments that an MP4 has when it is opened for all of them.
            self._in_order = wait_s is not None and "mov" in formats and _headed(path)
            self._ending = next((end for name, end in ENDINGS.items() if name in formats), b"")
            duration_s = self._duration_s(container, stream, formats)
            width, height = first.width, first.height
            codec, self._count = stream.codec_context.name, stream.frames or None
        self._promised_s = duration_s
        count = self._count
        rate = count / duration_s if count and duration_s > 0 else fps
        if not 0 < duration_s < ABSURD_S or rate > ABSURD_FPS:  # a header may lie about its count as about its rate
            duration_s, count = self._measured(fps if fps >= SLOWEST_FPS else DEFAULT_FPS)
        # An AVI's count outlives its frames: a cut one has the right rate and the wrong count.
        if "avi" not in formats and _rate_is_wrong(fps, count, duration_s) and count:
            fps = count / duration_s
        fps = fps if fps >= SLOWEST_FPS else DEFAULT_FPS
        size = (height, width) if self._sideways else (width, height)
        self.info = VideoInfo(str(path), duration_s, fps, *size, codec, turns * 90, count)

    def _opened(self, growing: bool = False) -> av.container.InputContainer:
        allowed = ",".join(sorted(av.formats_available - REFUSED_FORMATS))
        options = {"protocol_whitelist": "file", "format_whitelist": allowed}
        if growing and self.wait_s:
            options |= {"follow": "1", "rw_timeout": str(int(self.wait_s * 1e6))}  # of FFmpeg's protocol "file"
            if self._in_order:
                options["seekable"] = "0"
        try:  # "file:" keeps a name with a colon from being taken for a protocol
            return av.open(f"file:{self.path}", options=options, metadata_errors="replace")
        except PermissionError:
            raise VideoError(f"{self.path}: permission denied") from None
        except av.error.ArgumentError:
            raise VideoError(f"{self.path}: is text or a list of other files, not a video") from None
        except (av.error.FFmpegError, OSError, ValueError):
            raise VideoError(f"{self.path}: not a video, or damaged from its beginning") from None

    def _stream(self, container: av.container.InputContainer) -> VideoStream:
        if not container.streams:
            raise VideoError(f"{self.path}: not a video, or damaged from its beginning (no streams are listed)")
        pictures = int(av.stream.Disposition.attached_pic)
        streams = [s for s in container.streams.video if not int(s.disposition) & pictures]
        if not streams:
            raise VideoError(f"{self.path}: has no video stream")
        streams[0].thread_type = "AUTO"
        return streams[0]

    def _duration_s(self, container: av.container.InputContainer, stream: VideoStream, formats: set[str]) -> float:
        """Length of the pictures as the header says it; 0 where it does not."""
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        whole_s = container.duration / av.time_base if container.duration else 0.0
        if "matroska" in formats:  # these name the end, on a clock that need not start with the first frame
            whole_s = _clock_s(stream.metadata.get("DURATION", "")) or whole_s
            whole_s -= self.offset_s
        return float(max(whole_s, 0.0))

    def _measured(self, fps: float) -> tuple[float, int]:
        """Length of a stream whose header does not say, by counting packets; nothing is decoded."""
        seen, last_s = _Pass(), 0.0
        with self._opened() as container:
            try:
                for packet in container.demux(self._stream(container)):
                    seen.see(packet)
                    if packet.pts is not None and packet.time_base:
                        last_s = max(last_s, float(packet.pts * packet.time_base) - self.offset_s)
            except (av.error.FFmpegError, OSError, IndexError):
                pass  # the tail is damaged (IndexError: so is the list of streams); decoding will say so
        if last_s >= ABSURD_S:  # the packets' clock is the header's: frames come at the rate (_timed), whatever it says
            last_s = 0.0
        rate = fps if last_s == 0 or fps < ABSURD_FPS or seen.packets < 2 else (seen.packets - 1) / last_s
        return (last_s + 1 / rate if last_s else seen.packets / rate), seen.packets

    def frames(self, start_s: float) -> Iterator[tuple[float, object]]:
        """(time, frame) from the key frame before `start_s` on."""
        self.warnings = []
        seen = _Pass()
        with self._opened(growing=True) as container:
            stream = self._stream(container)
            seeking = self._seek(container, stream, start_s)
            for t, frame in self._timed(container, stream, seen):
                # No clock, or an index that led past the start: only reading from the front tells the time.
                if seeking and (frame.time is None or t > start_s + 0.5 / self.info.fps):
                    break
                seeking = False
                yield t, frame
            else:
                self._judge(seen)
                if self.wait_s:  # now that it is whole, what a later look at it will find
                    with suppress(VideoError, OSError):
                        self.ended = _stamp(self.path)
                        self.info = Container(self.path).info
                return
        seen = _Pass()
        with self._opened() as container:
            yield from self._timed(container, self._stream(container), seen)
        self._judge(seen)

    @property
    def grew(self) -> bool:
        return self.ended is not None and self.ended != _stamp(self.path)

    def _seek(self, container: av.container.InputContainer, stream: VideoStream, start_s: float) -> bool:
        if start_s <= RUN_UP_S or not stream.time_base or not self._indexed or self._in_order:
            return False
        try:
            at = int((start_s - RUN_UP_S + self.offset_s) / stream.time_base)
            container.seek(at, stream=stream, backward=True)
        except (av.error.FFmpegError, OSError):
            return False
        return True

    def _timed(
        self, container: av.container.InputContainer, stream: VideoStream, seen: _Pass
    ) -> Iterator[tuple[float, VideoFrame]]:
        """Strictly increasing times; a clock that jumps back (joined transport streams) goes on from where it was."""
        shift, last = -self.offset_s, -1 / self.info.fps
        first = True
        for frame in self._decoded(container, stream, seen):
            t = last + 1 / self.info.fps if frame.time is None else float(frame.time) + shift
            if t <= last and not first:
                # Some files number reordered frames wrongly by one: a small step keeps the order without a drift.
                step = (0.1 if last - t < JUMP_S else 1.0) / self.info.fps
                shift += last + step - t if last - t >= JUMP_S else 0.0
                t = last + step
            elif not first and t - last > LEAP_S:
                seen.hurt(last + self.offset_s)
                shift, t = shift - (t - last - 1 / self.info.fps), last + 1 / self.info.fps
            elif self._even and not first and t - last > max(0.25, 4 / self.info.fps):
                seen.hurt(last + self.offset_s)
            first, last = False, t
            yield max(t, 0.0), frame

    def _decoded(
        self, container: av.container.InputContainer, stream: VideoStream, seen: _Pass
    ) -> Iterator[VideoFrame]:
        """Frames that can be decoded, the two moments of interlaced ones blended to one."""
        fields: _Deinterlacer | None = None
        for frame in self._coded(container, stream, seen):
            if fields is not None and not fields.fits(frame):
                yield from fields.out(None)
                fields = None
            if fields is None and frame.interlaced_frame:
                fields = _Deinterlacer(frame)
            if fields is None:
                yield frame
            else:
                yield from fields.out(frame)
        if fields is not None:
            yield from fields.out(None)

    def _coded(self, container: av.container.InputContainer, stream: VideoStream, seen: _Pass) -> Iterator[VideoFrame]:
        """Frames of all packets that can be decoded; those that cannot, wholly or in part, are noted in `seen`."""
        packets = container.demux(stream)
        at_s = self.offset_s
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                seen.see(packet)
                frames = packet.decode()
            except av.error.EOFError:
                return
            except (av.error.FFmpegError, OSError) as error:
                if self.wait_s and error.errno == errno.EIO:  # nothing came any more
                    rest = av.Packet()  # an empty one: what the decoder still holds
                    rest.stream, rest.time_base = stream, stream.time_base or Fraction(1, 90000)
                    yield from (frame for frame in rest.decode() if isinstance(frame, VideoFrame))
                    return
                seen.hurt(at_s)
                continue
            except IndexError:  # PyAV, where the list of streams is damaged
                seen.hurt(at_s)
                return
            if packet.is_corrupt or any(f.is_corrupt for f in frames):
                seen.hurt(at_s)
            for frame in frames:
                at_s = at_s if frame.time is None else float(frame.time)
                yield frame

    def _judge(self, seen: _Pass) -> None:
        """Say what was lost, once the end is reached."""
        if seen.places:
            at_s, places = max(0.0, seen.first_s - self.offset_s), f"{seen.places} place{'s' * (seen.places > 1)}"
            self.warnings.append(f"damaged from {at_s:.1f} s on, in {places}; what could be decoded is used")
        got_s, promised_s = max(0.0, seen.end_s - self.offset_s), self._promised_s
        if promised_s > 0 and np.isfinite(seen.end_s) and got_s + max(0.5, 2 / self.info.fps) < promised_s:
            self.warnings.append(f"the file promises {promised_s:.1f} s, only {got_s:.1f} s are there")
        elif self._ending and not self._ends_well():
            self.warnings.append(f"the file is damaged or cut off after {got_s:.1f} s")

    def _ends_well(self) -> bool:
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 1024))
            return file.read().rstrip(b"\0").endswith(self._ending)

    def picture(self, frame: object, size_wh: tuple[int, int]) -> np.ndarray:
        """RGB uint8 (height, width, 3) as displayed, on memory of the frame's. Transparency is ignored."""
        return self._picture(self._reformatter, frame, size_wh, "rgb24", 3)

    def grey(self, frame: object, size_wh: tuple[int, int]) -> np.ndarray:
        """The same in grey, uint8 (height, width)."""
        return self._picture(self._greys, frame, size_wh, "gray", 1)[..., 0]

    def _picture(
        self, reformatter: VideoReformatter, frame: object, size_wh: tuple[int, int], kind: str, channels: int
    ) -> np.ndarray:
        assert isinstance(frame, VideoFrame)
        width, height = size_wh[::-1] if self._sideways else size_wh
        kernel = "AREA" if frame.width > 1.5 * width else "BILINEAR"
        plane = reformatter.reformat(frame, width, height, kind, interpolation=kernel, threads=1).planes[0]
        shape, strides = (height, width, channels), (plane.line_size, channels, 1)
        view: np.ndarray = np.ndarray(shape, np.uint8, memoryview(plane), strides=strides)
        return _displayed(view, self._matrix)


def _headed(path: Path) -> bool:
    """Whether an MP4 begins with its list of contents, so that it can be read from the front."""
    with suppress(OSError), path.open("rb") as file:
        for _ in range(16):
            size, kind = int.from_bytes(file.read(4), "big"), file.read(4)
            if kind in (b"moov", b"mdat") or size < 8:
                return kind == b"moov"
            file.seek(size - 8, 1)
    return False


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _rate_is_wrong(fps: float, count: int | None, duration_s: float) -> bool:
    """Whether the header's rate disagrees with its own frame count by more than half (some cameras write 1000 fps)."""
    return bool(count and duration_s > 0 and not 0.67 < count / duration_s / fps < 1.5)


def _clock_s(text: str) -> float:
    """Seconds of "00:01:02.5"; 0 for anything else."""
    try:
        hours, minutes, seconds = (float(part) for part in text.split(":"))
    except ValueError:
        return 0.0
    return hours * 3600 + minutes * 60 + seconds


def _display_matrix(frame: VideoFrame) -> tuple[int, int, int, int]:
    """(a, b, c, d) in {-1, 0, 1}: pixel (x, y) is shown at (a x + c y, b x + d y) (ISO/IEC 14496-12, track header)."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, Buffer):
        return 1, 0, 0, 1
    raw = bytes(data)
    whole = [int.from_bytes(raw[i : i + 4], sys.byteorder, signed=True) for i in (0, 4, 12, 16)]
    a, b, c, d = (int(np.sign(v)) if 2 * abs(v) > max(map(abs, whole)) else 0 for v in whole)
    turned = abs(whole[1]) > abs(whole[0])
    found = (0, b, c, 0) if turned else (a, 0, 0, d)
    return found if sum(map(abs, found)) == 2 else (1, 0, 0, 1)  # a damaged one shows nothing, or a line


def _displayed(rgb: np.ndarray, matrix: tuple[int, int, int, int]) -> np.ndarray:
    a, b, c, d = matrix
    if matrix == (1, 0, 0, 1):
        return rgb
    if a == 0:
        rgb = rgb.transpose(1, 0, 2)
    return rgb[:: -1 if b + d < 0 else 1, :: -1 if a + c < 0 else 1]


class _Deinterlacer:
    """Frames of one size through FFmpeg's yadif, which looks one frame ahead."""

    def __init__(self, frame: VideoFrame) -> None:
        self._key = self._key_of(frame)
        self._graph = Graph()
        time_base = frame.time_base or Fraction(1, 90000)
        source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=time_base
        )
        fields = self._graph.add("yadif", "mode=send_frame:deint=interlaced")
        sink = self._graph.add("buffersink")
        source.link_to(fields)
        fields.link_to(sink)
        self._graph.configure()

    @staticmethod
    def _key_of(frame: VideoFrame) -> tuple[int, int, str]:
        return frame.width, frame.height, frame.format.name

    def fits(self, frame: VideoFrame) -> bool:
        return self._key_of(frame) == self._key

    def out(self, frame: VideoFrame | None) -> Iterator[VideoFrame]:
        """Push a frame (None: no more are coming) and pull what is ready."""
        self._graph.push(frame)
        while True:
            try:
                picture = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield picture
