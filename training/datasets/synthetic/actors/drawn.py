"""Drawn: an actor that is drawn from a model, with the same drawings used again.

Poses are rounded (16 to a cycle, 32 headings, scales 6 % apart) and kept; a kept drawing is brought to its exact scale.

Next: training/datasets/synthetic/actors/people.py
"""

import math
from abc import ABC, abstractmethod
from collections import OrderedDict

import cv2
import numpy as np

from training.datasets.synthetic.actors.paint import Drawing, Model
from training.datasets.synthetic.actors.poses import PERIOD
from training.datasets.synthetic.stage import Pose, Sprite

PHASES, STEPS, HEADINGS = 16, 24, 32
TILT_STEP = 0.08
SCALE_STEP = math.log(1.06)
STAIN_SCALE = 45.0  # px/m up to which the grain is as fine as the pixels
KEPT_PIXELS = 600_000  # of drawings kept for one actor
LEAST_SCALE, MOST_SCALE = 1.0, 300.0


def _grain() -> np.ndarray:
    """(256, 256) float32 around 0, of deviation 1: stains and folds of several sizes."""
    rng = np.random.default_rng(7)
    total = np.zeros((256, 256), np.float32)
    for size, weight in ((256, 0.5), (85, 0.8), (32, 1.0)):
        total += weight * cv2.resize(rng.standard_normal((size, size)).astype(np.float32), (256, 256))
    return (total / total.std()).astype(np.float32)


class Drawn(ABC):
    """An actor that makes a Model of itself for a pose. Those that inherit give `model` and the values of Actor."""

    noun: str
    colours: dict[str, str]
    carried: str
    size_m: tuple[float, float, float]
    pace: float
    stride: float
    grain = 0.08  # unevenness of cloth or paint
    is_cyclic = True  # whether the phase changes anything
    period = 1  # cycles after which any action looks the same

    def __init__(self, rng: np.random.Generator) -> None:
        self._kept: OrderedDict[tuple[object, ...], Drawing] = OrderedDict()
        self._pixels = 0
        self._stain = tuple(rng.integers(0, 256, 2).tolist())

    @abstractmethod
    def model(self, pose: Pose) -> Model:
        """Solids in a pose; heading and tilt are left to the drawing."""

    def draw(self, px_per_m: float, pose: Pose) -> Sprite:
        """Picture at a scale of px_per_m pixels a metre. ValueError for a scale outside 1 to 300."""
        if not LEAST_SCALE <= px_per_m <= MOST_SCALE:
            raise ValueError(f"a scale of {px_per_m} px/m; expected {LEAST_SCALE:g} to {MOST_SCALE:g}")
        step = math.ceil(math.log(px_per_m) / SCALE_STEP - 1e-6)
        period = max(self.period, PERIOD.get(pose.action, 1))
        phase = round(pose.phase % period * PHASES) % (period * PHASES) if self.is_cyclic else 0
        progress = round(min(1.0, max(0.0, pose.progress)) * STEPS)
        heading = round(pose.heading / (2 * math.pi) * HEADINGS) % HEADINGS
        tilt = round(pose.tilt / TILT_STEP)
        key = (pose.action, phase, progress, heading, tilt, step)
        kept = self._kept.get(key)
        if kept is None:
            turn = 2 * math.pi * heading / HEADINGS
            rounded = Pose(pose.action, phase / PHASES, progress / STEPS, turn, tilt * TILT_STEP)
            kept = self.model(rounded).draw(math.exp(step * SCALE_STEP), rounded.heading, rounded.tilt)
            self._keep(key, kept)
        return finish(kept, px_per_m / math.exp(step * SCALE_STEP), px_per_m, self._stain, self.grain)

    def _keep(self, key: tuple[object, ...], drawing: Drawing) -> None:
        self._kept[key] = drawing
        self._pixels += drawing.rgba.shape[0] * drawing.rgba.shape[1]
        while self._pixels > KEPT_PIXELS and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._pixels -= old.rgba.shape[0] * old.rgba.shape[1]


_GRAIN: list[np.ndarray] = []
_WHOLE = (255.0 / np.maximum(np.arange(256), 1)).astype(np.float32)  # of an alpha, what undoes it


def finish(drawing: Drawing, scale: float, px_per_m: float, stain: tuple[int, ...], grain: float) -> Sprite:
    """A drawing `scale` times as large, then at px_per_m, with grain (a share of the light), not premultiplied."""
    if not _GRAIN:
        _GRAIN.append(np.tile(_grain(), (8, 8)))
    rgba = drawing.rgba
    height, width = rgba.shape[:2]
    new_w, new_h = max(1, round(width * scale)), max(1, round(height * scale))
    if (new_w, new_h) != (width, height):
        rgba = cv2.resize(rgba, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    foot = (drawing.foot[0] * new_w / width, drawing.foot[1] * new_h / height)
    alpha = rgba[..., 3]
    zoom = max(1.0, px_per_m / STAIN_SCALE)  # stains grow with what they are on
    wide, high = math.ceil(new_w / zoom), math.ceil(new_h / zoom)
    x, y = (stain[0] - round(foot[0] / zoom)) % 256, (stain[1] - round(foot[1] / zoom)) % 256
    stains = _GRAIN[0][y : y + high, x : x + wide]
    if stains.shape != alpha.shape:
        stains = cv2.resize(stains, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    gain = (1 + np.float32(grain) * stains) * _WHOLE.take(alpha)
    out = np.empty_like(rgba)
    np.minimum(rgba[..., :3] * gain[..., None], 255, out=out[..., :3], casting="unsafe")
    out[..., 3] = alpha
    return Sprite(out, foot)
