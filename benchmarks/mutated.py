"""Hostile videos: small sound ones of every container, odd ones, and mutations of them, the same for the same seed."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

CODECS = {
    "mp4": ("libx264", "yuv420p"),
    "mov": ("mpeg4", "yuv420p"),
    "mkv": ("libx264", "yuv420p"),
    "webm": ("libvpx", "yuv420p"),
    "avi": ("mpeg4", "yuv420p"),
    "ts": ("libx264", "yuv420p"),
}
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF)
HEADER = 1200  # bytes at either end in which containers keep their tables


def picture(n: int, size_wh: tuple[int, int]) -> np.ndarray:
    width, height = size_wh
    rng = np.random.default_rng(n)
    frame = np.full((height, width, 3), 90, np.uint8) + rng.integers(0, 8, (height, width, 1), np.uint8)
    frame[height // 3 : 2 * height // 3, (7 * n) % width : (7 * n) % width + width // 8 + 1] = (200, 60, 40)
    return frame


def write(
    path: Path,
    count: int = 24,
    rate: int = 12,
    size_wh: tuple[int, int] = (96, 64),
    streams: int = 1,
    sound: bool = False,
    still: bool = False,
    codec: str | None = None,
) -> Path:
    """A small video. streams: of pictures, one frame in all but the first. still: black, packs to nothing."""
    name, pixels = CODECS[path.suffix[1:]]
    with av.open(str(path), "w") as out:
        pictures = []
        for _ in range(streams):
            stream = out.add_stream(codec or name, rate=rate)
            stream.width, stream.height = size_wh
            stream.pix_fmt = pixels
            stream.codec_context.thread_count = 1
            if "x264" in (codec or name):
                stream.options = {"g": "8", "preset": "ultrafast"}
            pictures.append(stream)
        if sound:
            opus = path.suffix == ".webm"
            track = out.add_stream("libopus" if opus else "mp2", rate=48000, layout="stereo")
        for n in range(count):
            for stream in pictures if n == 0 else pictures[:1]:
                frame = np.zeros((*size_wh[::-1], 3), np.uint8) if still else picture(n, size_wh)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        for stream in pictures:
            out.mux(stream.encode(None))
        if sound:
            samples = 960 if opus else 1152
            for n in range(10):
                piece = av.AudioFrame.from_ndarray(np.zeros((1, 2 * samples), np.int16), format="s16", layout="stereo")
                piece.sample_rate, piece.pts, piece.time_base = 48000, n * samples, Fraction(1, 48000)
                out.mux(track.encode(piece))
            out.mux(track.encode(None))
    return path


def odd_ones(folder: Path, suffix: str) -> Iterator[Path]:
    """Files that are no mutations: of extreme sizes, rates and contents. What a container cannot hold is left out."""
    slim, broad = (None, None) if suffix == "webm" else ("mpeg4", "libx264")
    makers: dict[str, Callable[[Path], object]] = {
        "smallest": lambda p: write(p, size_wh=(2, 2)),
        "wide": lambda p: write(p, count=3, size_wh=(16000, 16), codec=broad),
        "tall": lambda p: write(p, count=3, size_wh=(16, 16000), codec=broad),
        "fast": lambda p: write(p, count=200, rate=1000),
        "one_frame": lambda p: write(p, count=1),
        "streams": lambda p: write(p, count=4, streams=90 if suffix == "avi" else 200, size_wh=(16, 16), codec=slim),
        "sound_alone": lambda p: write(p, count=0, streams=0, sound=True),
        "bomb": lambda p: write(p, count=20, size_wh=(7680, 4320), still=True),
        "headless": _headless,
    }
    for name, make in makers.items():
        path = folder / f"{name}.{suffix}"
        try:
            make(path)
        except (av.error.FFmpegError, OSError, ValueError):
            path.unlink(missing_ok=True)
            continue
        yield path


def _headless(path: Path) -> None:
    """A stream that begins in the middle of a group of pictures, and has no key frame after."""
    whole = write(path.with_name(f"whole-{path.name}"))
    with av.open(str(whole)) as given, av.open(str(path), "w") as out:
        copy = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.size and not packet.is_keyframe:
                packet.stream = copy
                out.mux(packet)
    whole.unlink()


def bombs(folder: Path) -> Iterator[Path]:
    """Files without a container that unpack to far more than they are, or say so."""
    Image.fromarray(np.zeros((20000, 20000), np.uint8)).save(folder / "bomb.png", compress_level=9)
    frames = [Image.fromarray(np.full((4000, 4000), n, np.uint8)) for n in range(8)]
    frames[0].save(folder / "bomb.gif", save_all=True, append_images=frames[1:])
    head = bytearray((folder / "bomb.gif").read_bytes()[:4000])
    head[6:10] = b"\xff\xff\xff\xff"  # width and height of its screen
    (folder / "lying.gif").write_bytes(bytes(head))
    _ok, jpeg = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))
    data = bytearray(jpeg.tobytes())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xdc\xff\xdc"
    (folder / "lying.jpg").write_bytes(bytes(data))
    (folder / "lying.mjpeg").write_bytes(bytes(data) * 20)
    yield from (folder / name for name in ("bomb.png", "bomb.gif", "lying.gif", "lying.jpg", "lying.mjpeg"))


def mutated(data: bytes, other: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """One mutation, and what it was; `other` is what is spliced in."""
    kind = str(rng.choice(list(MUTATIONS)))
    return kind, bytes(MUTATIONS[kind](bytearray(data), other, rng))


def _flip(data: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    for at in rng.integers(0, len(data), int(2 ** rng.uniform(0, 8))):
        data[at] ^= 1 << int(rng.integers(8))
    return data


def _flip_header(data: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    for _ in range(int(rng.integers(1, 12))):
        data[_in_header(data, rng)] = int(rng.integers(256))
    return data


def _lie(data: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    """Numbers of the header become extreme ones."""
    for _ in range(int(rng.integers(1, 6))):
        at, width = _in_header(data, rng), int(rng.choice([1, 2, 4, 8]))
        value = int(rng.choice(np.array(EXTREMES, object))) & (2 ** (8 * width) - 1)
        order = "big" if rng.random() < 0.5 else "little"
        data[at : at + width] = value.to_bytes(width, order)[: len(data) - at]  # type: ignore[arg-type]
    return data


def _cut(data: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    return data[: int(rng.integers(1, len(data)))]


def _drop(data: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    a, b = sorted(rng.integers(0, len(data), 2).tolist())
    return data[:a] + data[b:] or data[:1]


def _double(data: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    a, b = sorted(rng.integers(0, len(data), 2).tolist())
    return data[:b] + data[a:b] * int(rng.integers(1, 6)) + data[b:]


def _splice(data: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    a, (b, c) = int(rng.integers(len(data))), sorted(rng.integers(0, len(other), 2).tolist())
    return data[:a] + other[b:c] + data[a if rng.random() < 0.5 else min(len(data), a + c - b) :]


def _blank(data: bytearray, other: bytes, rng: np.random.Generator) -> bytearray:
    a, b = sorted(rng.integers(0, len(data), 2).tolist())
    b = min(b, a + 4096)
    data[a:b] = bytes([int(rng.choice([0, 255]))]) * (b - a)
    return data


def _in_header(data: bytearray, rng: np.random.Generator) -> int:
    at = int(rng.integers(min(HEADER, len(data))))
    return at if rng.random() < 0.6 else len(data) - 1 - at


MUTATIONS: dict[str, Callable[[bytearray, bytes, np.random.Generator], bytearray]] = {
    "bits flipped": _flip,
    "header bytes changed": _flip_header,
    "header lies": _lie,
    "cut": _cut,
    "part dropped": _drop,
    "part doubled": _double,
    "spliced": _splice,
    "blanked": _blank,
}
