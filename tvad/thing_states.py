"""How a moving thing moves at a moment, in numbers that mean the same near and far: speeds in heights per second, sizes
against what usually stands at that height of the picture.

Numpy only.  Next: tvad/decoder_taps.py
"""

from dataclasses import dataclass

import numpy as np

from heatmap.memory import motion_vector
from tvad.watcher import Thing

REACH_S = 0.6  # around a moment
SAMPLES = 7
ROW_SIGMA = 0.15  # of the picture's height: things this far above or below are compared with
LEAST_HEIGHT = 0.01  # of the picture's height
STILL = 0.15  # usual heights a second below which something stands
STATES = (
    "own vx", "own vy", "own speed", "usual-size speed", "height", "aspect", "relative height", "relative area",
    "wobble", "aspect change", "aspect spread", "standing", "age", "fill",
)  # fmt: skip


@dataclass(frozen=True)
class States:
    """A thing at T times: boxes (T, 4) px and values (T, len(STATES)), about -3 to 3."""

    boxes: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, thing: Thing, times_s: np.ndarray, size_wh: tuple[int, int], heights: np.ndarray) -> "States":
        """heights: (n, 2) foot and height of all things, as `heights_at` gives them."""
        life, known = np.array(thing.times_s), np.array(thing.boxes)
        offsets = np.linspace(-REACH_S, REACH_S, SAMPLES)
        at = np.clip(times_s[:, None] + offsets, life[0], life[-1])  # (T, SAMPLES)
        boxes = np.stack([np.interp(at, life, known[:, k]) for k in range(4)], -1)
        middle = (boxes[..., :2] + boxes[..., 2:]) / 2 / size_wh[1]
        size = np.maximum((boxes[..., 2:] - boxes[..., :2]) / size_wh[1], LEAST_HEIGHT)
        speed, wobble = _line(at, middle)
        height = np.median(size[..., 1], 1)
        usual = _usual(boxes[:, SAMPLES // 2, 3] / size_wh[1], heights)
        aspect = np.log(size[..., 0] / size[..., 1])
        now = aspect[:, SAMPLES // 2]
        area = np.interp(times_s, life, np.array(thing.area)) * size_wh[0] / size_wh[1]  # in squared picture heights
        box_area = size.prod(-1)[:, SAMPLES // 2]
        pace = np.hypot(speed[:, 0], speed[:, 1])
        values = [
            motion_vector(speed[:, 0] / height),
            motion_vector(speed[:, 1] / height),
            np.sqrt(pace / height),
            np.sqrt(pace / usual),
            np.log(height) + 2,
            now,
            np.log(height / usual),
            0.5 * np.log(np.maximum(area, 1e-5) / usual**2),
            np.sqrt(wobble / usual),
            now - float(np.median(np.log((known[:, 2] - known[:, 0]) / (known[:, 3] - known[:, 1])))),
            aspect.std(1) * 3,
            np.log1p(_standing(thing, times_s, size_wh, heights)),
            np.log1p(times_s - life[0]) / 2,
            area / box_area,
        ]
        return cls(boxes[:, SAMPLES // 2], np.clip(np.stack(values, 1), -4, 4).astype(np.float32))


def heights_at(thing: Thing, size_wh: tuple[int, int]) -> np.ndarray:
    """(n, 2): foot (lower edge) and height of a thing, shares of the picture's height, at a few moments of its life."""
    some = np.linspace(0, len(thing.boxes) - 1, min(len(thing.boxes), 8)).astype(int)
    boxes = np.array(thing.boxes)[some] / size_wh[1]
    return np.stack([boxes[:, 3], np.maximum(boxes[:, 3] - boxes[:, 1], LEAST_HEIGHT)], 1)


def _line(at: np.ndarray, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope (T, 2) of centres (T, n, 2) over times (T, n) by least squares, and what is left over, (T,)."""
    t = at - at.mean(1, keepdims=True)
    off = middle - middle.mean(1, keepdims=True)
    slope = (t[..., None] * off).sum(1) / np.maximum((t * t).sum(1), 1e-6)[:, None]
    left = off - t[..., None] * slope[:, None]
    return slope, np.sqrt((left**2).sum(-1).mean(1))


def _usual(foot: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Weighted median height of things whose feet are near, (T,) for feet (T,)."""
    order = np.argsort(heights[:, 1])
    near = np.exp(-0.5 * ((foot[:, None] - heights[order, 0]) / ROW_SIGMA) ** 2) + 1e-6
    share = np.cumsum(near, 1) / near.sum(1, keepdims=True)
    out: np.ndarray = heights[order, 1][(share < 0.5).sum(1)]
    return out


def _standing(thing: Thing, times_s: np.ndarray, size_wh: tuple[int, int], heights: np.ndarray) -> np.ndarray:
    """Seconds since a thing last moved on, (T,)."""
    life, boxes = np.array(thing.times_s), np.array(thing.boxes) / size_wh[1]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    ahead = np.searchsorted(life, life + 2 * REACH_S).clip(max=len(life) - 1)
    went = np.hypot(*(middle[ahead] - middle).T) / np.maximum(life[ahead] - life, 2 * REACH_S)
    moving = went > STILL * _usual(boxes[:, 3], heights)
    last = np.maximum.accumulate(np.where(moving, life[ahead], life[0]))
    out: np.ndarray = np.maximum(times_s - np.interp(times_s, life, last), 0)
    return out
