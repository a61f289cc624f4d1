"""A drawn camera: walkers on a textured place and, on demand, something large and fast; written as video."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from tvad.calibrate import SceneReport, calibrate

SIZE_WH = (320, 240)
FPS = 8
ODD_WH = (72, 56)
ODD_START_S, ODD_PX_PER_S = 4.0, 190.0
ODD_Y = 30
ODD_END_S = ODD_START_S + (SIZE_WH[0] + ODD_WH[0]) / ODD_PX_PER_S


def _texture(size_wh: tuple[int, int], seed: int, low: int, high: int, cell: int) -> np.ndarray:
    small = np.random.default_rng(seed).integers(low, high, (size_wh[1] // cell + 1, size_wh[0] // cell + 1, 3))
    return cv2.resize(small.astype(np.uint8), size_wh, interpolation=cv2.INTER_CUBIC)


def odd_box(t_s: float) -> tuple[float, float, float, float] | None:
    """Where the odd thing is, in pixels inside the frame; None while it is away."""
    x = -ODD_WH[0] + (t_s - ODD_START_S) * ODD_PX_PER_S
    if t_s < ODD_START_S or x >= SIZE_WH[0]:
        return None
    return max(x, 0.0), float(ODD_Y), min(x + ODD_WH[0], SIZE_WH[0]), float(ODD_Y + ODD_WH[1])


def frames(seconds: float, seed: int, odd: bool = False, walkers: int = 3) -> np.ndarray:
    """(T, H, W, 3): walkers that keep walking to and fro; the same place for every seed."""
    rng = np.random.default_rng(seed)
    start, speed = rng.uniform(0, 600, walkers), rng.uniform(9, 20, walkers)
    place = _texture(SIZE_WH, 1, 120, 190, 10)
    people = [_texture((16, 40), 50 + i, 10, 90, 5) for i in range(walkers)]
    thing = _texture(ODD_WH, 99, 0, 255, 7)
    out = np.stack([place] * round(seconds * FPS))
    for i, frame in enumerate(out):
        t = i / FPS
        for k, person in enumerate(people):
            way = (start[k] + speed[k] * t) % 600
            x, y = round(min(way, 600 - way)), 60 + 42 * k
            frame[y : y + 40, x : x + 16] = person[: SIZE_WH[1] - y]
        box = odd_box(t) if odd else None
        if box:
            left, _, right, _ = (round(v) for v in box)
            cut = left - round(-ODD_WH[0] + (t - ODD_START_S) * ODD_PX_PER_S)
            frame[ODD_Y : ODD_Y + ODD_WH[1], left:right] = thing[:, cut : cut + right - left]
    return out


def write(path: Path, pictures: np.ndarray, repeat: int = 1) -> Path:
    """H.264 at FPS frames per second; each picture `repeat` times, at a rate as many times as high."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(FPS * repeat))
        stream.width, stream.height = pictures.shape[2], pictures.shape[1]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "preset": "ultrafast"}
        stream.codec_context.thread_count = 1
        for picture in pictures:
            for _ in range(repeat):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@dataclass(frozen=True)
class Camera:
    """Files of the drawn camera: its scene file and its report, an ordinary clip, one with the odd thing."""

    folder: Path
    scene: Path
    report: SceneReport
    normal: Path
    odd: Path


@lru_cache(maxsize=1)
def camera(base: Path) -> Camera:
    """Drawn and calibrated once a test run, in a folder of `base`."""
    folder = base / "camera"
    folder.mkdir()
    clips = [write(folder / f"normal{i}.mp4", frames(6, i)) for i in range(4)]
    scene = folder / "drawn.scene.safetensors"
    report = calibrate(clips, scene)
    odd = write(folder / "odd.mp4", frames(9, 20, odd=True), repeat=2)
    return Camera(folder, scene, report, write(folder / "ordinary.mp4", frames(6, 30)), odd)
