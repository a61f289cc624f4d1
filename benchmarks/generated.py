"""Clips that the benchmarks make themselves: a textured scene with walkers, and any length of it without encoding."""

from pathlib import Path

import av
import cv2
import numpy as np

FPS = 25
SIZE_WH = (640, 360)


def scene(seconds: float, size_wh: tuple[int, int] = SIZE_WH, seed: int = 0) -> list[np.ndarray]:
    """RGB frames: a still textured ground, five walking blocks, camera noise."""
    rng = np.random.default_rng(seed)
    width, height = size_wh
    ground = cv2.resize(rng.integers(60, 190, (height // 20, width // 20, 3), np.uint8), size_wh)
    lanes, speeds = rng.uniform(0.2, 0.8, 5) * height, rng.uniform(20, 60, 5)
    frames = []
    for i in range(round(seconds * FPS)):
        frame = ground + rng.integers(0, 6, (height, width, 1), np.uint8)
        for lane, speed in zip(lanes, speeds, strict=True):
            x, y = int(speed * i / FPS * width / 640) % width, int(lane)
            frame[y : y + height // 8, x : x + width // 40] = (40, 50, 90)
        frames.append(frame)
    return frames


def encode(path: Path, seconds: float, codec: str = "libx264", size_wh: tuple[int, int] = SIZE_WH) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=FPS)
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            stream.options = {"preset": "veryfast", "g": "50", "x264-params": "open-gop=0"}
        else:
            stream.codec_context.bit_rate = 1_500_000
        for frame in scene(seconds, size_wh):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def repeat(source: Path, target: Path, seconds: float) -> Path:
    """A clip of one video stream over and over up to a length, by copying its packets."""
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        stream = given.streams.video[0]
        packets = [
            (bytes(p), p.pts, p.dts, p.duration or 0, p.is_keyframe)
            for p in given.demux(stream)
            if p.size and p.pts is not None and p.dts is not None
        ]
        period = max(pts + duration for _, pts, _, duration, _ in packets) - min(pts for _, pts, *_ in packets)
        copy = out.add_stream_from_template(stream)
        for turn in range(max(1, round(seconds / float(period * stream.time_base)))):
            for data, pts, dts, duration, key in packets:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.duration = pts + turn * period, dts + turn * period, duration
                packet.is_keyframe, packet.time_base, packet.stream = key, stream.time_base, copy
                out.mux(packet)
    return target
