"""Video in: files, folders of frames and single images to a stream of clips with true times.

Times come from the container's own timestamps (variable frame rate and start offset respected; the first frame is
0 s), pixels are as displayed (the rotation flag is applied, interlaced fields are blended away), and memory does not
grow with the length. What cannot be read is a `VideoError` of one line; a damaged tail gives what could be decoded
and a warning.

Next: tvad/encoder.py
"""

import hashlib
import re
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from tvad.container import Container, VideoError, VideoInfo

VIDEO_SUFFIXES = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".3gp"}
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
FOLDER_FPS = 25.0  # frames without a clock

__all__ = ["Clip", "VideoError", "VideoInfo", "VideoReader", "probe", "sha256_of"]


@dataclass(frozen=True)
class Clip:
    """Consecutive sampled frames: frames (T, H, W, 3) uint8 RGB, times_s (T,) float64, source: the file.

    between (T, h, w) uint8: of each frame, the grey picture half way from the sampled frame before it, where it was
    asked for; between_s (T,) its time, NaN where the source has none there.
    """

    frames: np.ndarray
    times_s: np.ndarray
    source: str
    between: np.ndarray | None = None
    between_s: np.ndarray | None = None


class _Source(Protocol):
    """Frames of one input in order, each a time and a picture that is converted only when wanted."""

    info: VideoInfo

    @property
    def warnings(self) -> list[str]: ...
    def frames(self, start_s: float) -> Iterator[tuple[float, object]]: ...
    def picture(self, frame: object, size_wh: tuple[int, int]) -> np.ndarray: ...
    def grey(self, frame: object, size_wh: tuple[int, int]) -> np.ndarray: ...


def probe(path: str | Path) -> VideoInfo:
    """Header of a video, an image or a folder of frames; its first frame has been decoded. Raises VideoError."""
    return _open(path).info


def sha256_of(path: str | Path) -> str:
    """Hex digest of a file's content; of a folder, of its frames' names and contents in order. Raises VideoError."""
    digest = hashlib.sha256()
    path = Path(path)
    try:
        for file in _frame_files(path) if path.is_dir() else [path]:
            if path.is_dir():
                digest.update(file.name.encode(errors="surrogateescape") + b"\0")
            with file.open("rb") as data:
                while block := data.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from None
    return digest.hexdigest()


class VideoReader:
    """Iterate to get `Clip`s of at most `chunk` sampled frames.

    fps: sampled frames per second, met by taking every k-th source frame (`rate_hz` is what came of it, and the most
    even where the source's rate varies); None takes all. start_s, end_s: the stretch, both included. max_side: larger
    pictures are scaled down, smaller ones never up. prefetch: decode the next clip in a thread meanwhile. wait_s: of a
    file that still grows (what can be read from the front: MPEG-TS, Matroska, an MP4 in fragments or with its contents
    listed first), how long more is waited for.
    between: the size (W, H) of the pictures between the sampled ones, of the size of these; None for none. Raises
    VideoError on opening; afterwards damage ends up in `warnings`.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float | None = 8.0,
        start_s: float | None = None,
        end_s: float | None = None,
        chunk: int = 16,
        max_side: int | None = None,
        prefetch: bool = True,
        wait_s: float | None = None,
        between: Callable[[int, int], tuple[int, int]] | None = None,
    ) -> None:
        if end_s is not None and end_s < (start_s or 0.0):
            raise VideoError(
                f"{path}: the stretch ends (--end {end_s:g} s) before it starts (--start {start_s or 0:g} s)"
            )
        self._source = _open(path, wait_s)
        self.path = str(path)
        self.info = self._source.info
        self.takes_all = fps is None
        self.step = 1 if fps is None else max(1, round(self.info.fps / fps))
        self.rate_hz = self.info.fps / self.step
        self.chunk, self.prefetch = chunk, prefetch
        self.start_s, self.end_s = start_s or 0.0, np.inf if end_s is None else end_s
        scale = min(1.0, max_side / max(self.info.width, self.info.height)) if max_side else 1.0
        self.size_wh = (max(1, round(self.info.width * scale)), max(1, round(self.info.height * scale)))
        self.between_wh = between(*self.size_wh) if between and not self.takes_all else None
        self._times = array("d")

    @property
    def warnings(self) -> list[str]:
        """What went wrong so far without ending the reading."""
        return list(self._source.warnings)

    @property
    def grew(self) -> bool:
        """Whether a file that was waited for has changed since its end was reached. OSError when it is gone."""
        return isinstance(self._source, Container) and self._source.grew

    @property
    def source_times_s(self) -> np.ndarray:
        """Times of all source frames in the stretch decoded so far, sampled or not, (N,) float64."""
        return np.array(self._times)

    def __iter__(self) -> Iterator[Clip]:
        return _ahead(self._clips()) if self.prefetch else self._clips()

    def _clips(self) -> Iterator[Clip]:
        held = _Held(self.chunk, self.size_wh, self.between_wh)
        for t, frame, between in self._sampled():
            middle = None if between is None else (between[0], self._source.grey(between[1], self.size_wh))
            held.add(t, self._source.picture(frame, self.size_wh), middle)
            if len(held.times) == self.chunk:
                yield held.clip(self.path)
                held = _Held(self.chunk, self.size_wh, self.between_wh)
        self.info = self._source.info  # of a file that grew another one
        if held.times:
            yield held.clip(self.path)
        if not self._times:
            reason = "" if self.start_s <= 0 else f"; it ends before {self.start_s:g} s (--start)"
            raise VideoError(f"{self.path}: no frame could be decoded{reason}")

    def _sampled(self) -> Iterator[tuple[float, object, tuple[float, object] | None]]:
        """Frames at the sampling rate, each with the one half way from the one before, where it is wanted. Due times,
        not a count, decide: gaps and variable rates stay in time."""
        self._times = array("d")
        half, period = 0.5 / self.info.fps, 1.0 / self.rate_hz
        due = self.start_s
        last_s, middle = np.inf, None
        for t, frame in self._source.frames(self.start_s):
            if t < self.start_s - 1e-6:
                continue
            if t > self.end_s + 1e-6:
                return
            self._times.append(t)
            if self.takes_all or t >= due - half:
                yield t, frame, middle
                due += period * (1 + (t + half - due) // period)
                last_s, middle = t, None
            elif self.between_wh and middle is None and t >= last_s + (period - half) / 2:
                middle = t, frame


class _Held:
    """Pictures of the clip that is being read."""

    def __init__(self, count: int, size_wh: tuple[int, int], between_wh: tuple[int, int] | None) -> None:
        self.times: list[float] = []
        self._frames = np.empty((count, size_wh[1], size_wh[0], 3), np.uint8)
        self._between = None if between_wh is None else np.zeros((count, between_wh[1], between_wh[0]), np.uint8)
        self._between_s = np.full(count, np.nan)

    def add(self, t: float, picture: np.ndarray, between: tuple[float, np.ndarray] | None) -> None:
        n = len(self.times)
        self._frames[n] = picture
        if between is not None and self._between is not None:
            self._between_s[n] = between[0]
            self._between[n] = fitted(between[1], self._between.shape[:0:-1])
        self.times.append(t)

    def clip(self, source: str) -> Clip:
        n = len(self.times)
        if self._between is None:
            return Clip(self._frames[:n], np.array(self.times), source)
        return Clip(self._frames[:n], np.array(self.times), source, self._between[:n], self._between_s[:n])


def fitted(frame: np.ndarray, size_wh: tuple[int, ...]) -> np.ndarray:
    """A picture at another size (W, H); averaged where it becomes much smaller."""
    if frame.shape[1::-1] == size_wh:
        return frame
    shrinks = frame.shape[1] > 1.5 * size_wh[0]
    return cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _ahead(clips: Iterator[Clip]) -> Iterator[Clip]:
    """The same clips, each decoded while the one before is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
        coming = pool.submit(next, clips, None)
        while (clip := coming.result()) is not None:
            coming = pool.submit(next, clips, None)
            yield clip


def _open(path: str | Path, wait_s: float | None = None) -> _Source:
    path = Path(path)
    try:
        if not path.exists():
            raise VideoError(f"{path}: no such file; give a video, an image or a folder of frames")
        if path.is_dir():
            return _Images(path, _frame_files(path))
        if not path.is_file():
            raise VideoError(f"{path}: is neither a file nor a folder")
        if path.stat().st_size == 0:
            raise VideoError(f"{path}: the file is empty (0 bytes)")
        if path.suffix.lower() in IMAGE_SUFFIXES:
            with path.open("rb") as file:
                head = file.read(4096)
            if b"acTL" in head and head.startswith(b"\x89PNG"):  # animated PNG, which FFmpeg plays
                return Container(path)
            return _Images(path, [path])
    except PermissionError:
        raise VideoError(f"{path}: permission denied") from None
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from None
    return Container(path, wait_s)


# Folders and images


def _frame_files(folder: Path) -> list[Path]:
    """Image files of a folder in natural order: 2.png before 10.png."""
    files = [f for f in folder.iterdir() if f.suffix.lower() in IMAGE_SUFFIXES and not f.name.startswith(".")]
    if not files:
        raise VideoError(f"{folder}: the folder has no frames ({', '.join(sorted(IMAGE_SUFFIXES))})")
    return sorted(files, key=_natural)


def _natural(file: Path) -> tuple[list[int | str], str]:
    """Sorting key; 1.png and 01.png are told apart by their names."""
    return [int(p) if p.isdecimal() else p for p in re.split(r"([0-9]+)", file.name)], file.name


class _Images:
    """A folder of frames or one image. Unreadable files in the middle are left out with a warning."""

    def __init__(self, path: Path, files: list[Path]) -> None:
        self.files = files
        self._unreadable: list[str] = []
        self._resized: list[str] = []
        self._animated = len(files) == 1 and files[0].suffix.lower() == ".webp" and _is_animated_webp(files[0])
        first = next((p for p in map(_read_image, files) if p is not None), None)
        if first is None:
            raise VideoError(f"{path}: not a readable image" if len(files) == 1 else f"{path}: no readable frame")
        height, width = first.shape[:2]
        codec = files[0].suffix[1:].lower()
        self.info = VideoInfo(str(path), len(files) / FOLDER_FPS, FOLDER_FPS, width, height, codec, 0, len(files))

    @property
    def warnings(self) -> list[str]:
        several = len(self.files) > 1
        said = [f"a folder of frames has no clock; {FOLDER_FPS:g} frames/s are assumed"] if several else []
        if self._animated:
            said.append("animated WebP is not played, its first picture is used; convert it to mp4")
        if self._unreadable:
            said.append(f"{_counted(self._unreadable)} cannot be read and is left out")
        if self._resized:
            said.append(f"{_counted(self._resized)} has another size and is stretched to fit")
        return said

    def frames(self, start_s: float) -> Iterator[tuple[float, object]]:
        self._unreadable, self._resized = [], []
        for i in range(max(0, int(start_s * FOLDER_FPS) - 1), len(self.files)):
            picture = _read_image(self.files[i])
            if picture is None:
                self._unreadable.append(self.files[i].name)
                continue
            if picture.shape[:2] != (self.info.height, self.info.width):
                self._resized.append(self.files[i].name)
            yield i / FOLDER_FPS, picture

    def picture(self, frame: object, size_wh: tuple[int, int]) -> np.ndarray:
        assert isinstance(frame, np.ndarray)
        return frame if frame.shape[1::-1] == size_wh else cv2.resize(frame, size_wh, interpolation=cv2.INTER_AREA)

    def grey(self, frame: object, size_wh: tuple[int, int]) -> np.ndarray:
        return cv2.cvtColor(self.picture(frame, size_wh), cv2.COLOR_RGB2GRAY)


def _is_animated_webp(path: Path) -> bool:
    with path.open("rb") as file:
        return b"ANIM" in file.read(64)


def _counted(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"each of {len(names)} files ({names[0]}, ...)"


def _read_image(path: Path) -> np.ndarray | None:
    """RGB uint8 with the EXIF orientation applied; None when it is no image."""
    try:
        data = np.fromfile(path, np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):  # cv2.error: larger than OpenCV allows
        return None
    return None if picture is None else cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
