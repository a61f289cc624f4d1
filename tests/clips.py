"""Small clips whose every frame shows its own number, in any container and codec."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE_WH = (96, 64)
BITS = 8
CODECS = {
    ".mp4": ("libx264", "yuv420p"),
    ".mov": ("libx264", "yuv420p"),
    ".mkv": ("libx264", "yuv420p"),
    ".ts": ("libx264", "yuv420p"),
    ".avi": ("mpeg4", "yuv420p"),
    ".webm": ("libvpx-vp9", "yuv420p"),
    ".gif": ("gif", "rgb8"),
    ".mjpeg": ("mjpeg", "yuvj420p"),
}


def picture(number: int, size_wh: tuple[int, int] = SIZE_WH) -> np.ndarray:
    """RGB: the number as black and white blocks in the upper third (highest bit first), red lower left, blue right."""
    width, height = size_wh
    frame = np.full((height, width, 3), 90, np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        frame[: height // 3, left:right] = 235 if number >> (BITS - 1 - bit) & 1 else 20
    frame[2 * height // 3 :, : width // 3] = (200, 30, 30)
    frame[2 * height // 3 :, 2 * width // 3 :] = (30, 30, 200)
    return frame


def number(frame: np.ndarray) -> int:
    """The number that a decoded picture shows."""
    height, width = frame.shape[:2]
    middles = [(2 * bit + 1) * width // (2 * BITS) for bit in range(BITS)]
    bits = [frame[height // 8 : height // 4, x].mean() > 128 for x in middles]
    return sum(int(on) << (BITS - 1 - i) for i, on in enumerate(bits))


def encode(
    path: Path,
    count: int = 30,
    fps: float = 25.0,
    size_wh: tuple[int, int] = SIZE_WH,
    codec: str | None = None,
    pix_fmt: str | None = None,
    times_s: Sequence[float] | None = None,
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
    interlaced: bool = False,
) -> Path:
    """Write frames 0..count-1, at `times_s` or one every 1 / fps seconds. mux: options of the container."""
    usual_codec, usual_format = CODECS[path.suffix]
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w", options=mux or {}) as container:
        stream = container.add_stream(codec or usual_codec, rate=rate)
        stream.width, stream.height = size_wh
        stream.pix_fmt = pix_fmt or usual_format
        stream.options = options or {}
        context = stream.codec_context
        context.thread_count = 1
        context.bit_rate = 2_000_000
        clock = 1 / rate if times_s is None else Fraction(1, 1000)
        context.time_base = clock
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(picture(i, size_wh), format="rgb24").reformat(format=stream.pix_fmt)
            frame.pts = i if times_s is None else round(times_s[i] * 1000)
            frame.time_base = clock
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rotate_flag(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Overwrite (a, b, c, d) of the display matrix in an mp4's track header; the pictures stay as they are."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd") + 4
    at = header + (40 if data[header] == 0 else 52)
    for offset, value in zip((0, 4, 12, 16), matrix, strict=True):
        data[at + offset : at + offset + 4] = (value * 65536).to_bytes(4, "big", signed=True)
    path.write_bytes(bytes(data))
