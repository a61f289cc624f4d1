"""Cut-outs: real people and vehicles, played back by the phase.

A cut-out knows one way of going, and its mirror image. `recast` gives it only to lives that it can play from beginning
to end: that walk or stand (drive, for vehicles) and keep to a heading near its own.

Next: training/datasets/synthetic/assets.py
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from training.datasets.synthetic.actors.drawn import SCALE_STEP
from training.datasets.synthetic.stage import Life, Play, Pose, Sprite

REAL_SHARE = 0.4
WALKING = frozenset({"walk", "stand"})
NEAR = {"person": math.radians(42), "car": math.radians(25)}  # headings that one cut-out serves
ASTRAY = 0.08  # share of the time that a life may be farther off than that
LOOKS = 24  # moments at which a life is looked at


@dataclass(frozen=True)
class Cutout:
    """A sequence cut out of a clip. frames (n, h, w, 4) uint8 RGBA, not multiplied, standing at foot (x, y) px;
    px_per_m: their scale; heading as seen by the camera; cycles: of the gait in the sequence (0: none known);
    colours, source, licence: as said."""

    noun: str
    frames: np.ndarray
    foot: tuple[float, float]
    px_per_m: float
    heading: float
    cycles: float
    colours: dict[str, str]
    size_m: tuple[float, float, float]
    source: str
    licence: str


class CutoutActor:
    """An actor that plays a cut-out, in whatever action; see stage.Actor."""

    def __init__(self, cutout: Cutout, rng: np.random.Generator) -> None:
        self.cutout = cutout
        self.noun, self.colours, self.carried = cutout.noun, dict(cutout.colours), ""
        k = float(rng.uniform(0.95, 1.05))
        self.size_m = (cutout.size_m[0] * k, cutout.size_m[1] * k, cutout.size_m[2] * k)
        self._larger = k
        walks = cutout.noun == "person"
        self.pace = float(rng.uniform(1.1, 1.6) if walks else rng.uniform(6, 11))
        self.stride = 0.83 * self.size_m[2] if walks else 2.0
        self._start = float(rng.random())
        self._kept: dict[tuple[int, bool, int], tuple[np.ndarray, tuple[float, float]]] = {}

    def draw(self, px_per_m: float, pose: Pose) -> Sprite:
        """Picture at a scale of px_per_m pixels a metre. ValueError for a scale outside 1 to 300."""
        if not 1 <= px_per_m <= 300:
            raise ValueError(f"a scale of {px_per_m} px/m; expected 1 to 300")
        is_mirrored = away_from(math.pi - self.cutout.heading, pose.heading) < away_from(
            self.cutout.heading, pose.heading
        )
        step = round(math.log(px_per_m) / SCALE_STEP * 4)
        key = (self._index(pose), is_mirrored, step)
        if key not in self._kept:
            if len(self._kept) > 40:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = self._scaled(*key)
        rgba, foot = self._kept[key]
        return Sprite(rgba, foot)

    def _index(self, pose: Pose) -> int:
        n = len(self.cutout.frames)
        if pose.action == "stand" or not self.cutout.cycles:
            return _calmest(self.cutout.frames) if self.noun == "person" else round(self._start * (n - 1))
        return int((pose.phase / self.cutout.cycles + self._start) % 1.0 * n)

    def _scaled(self, index: int, is_mirrored: bool, step: int) -> tuple[np.ndarray, tuple[float, float]]:
        scale = math.exp(step / 4 * SCALE_STEP) / self.cutout.px_per_m * self._larger
        rgba = self.cutout.frames[index].astype(np.float32)
        x, y = self.cutout.foot
        if is_mirrored:
            rgba, x = rgba[:, ::-1], rgba.shape[1] - x
        rgba[..., :3] *= rgba[..., 3:] / 255
        height, width = rgba.shape[:2]
        new = max(1, round(width * scale)), max(1, round(height * scale))
        small = cv2.resize(
            np.ascontiguousarray(rgba), new, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
        small[..., :3] = small[..., :3] * (255 / np.maximum(small[..., 3:], 1))
        out = np.clip(small + 0.5, 0, 255).astype(np.uint8)
        return out, (x * new[0] / width, y * new[1] / height)


def _calmest(frames: np.ndarray) -> int:
    """The frame with the feet closest together."""
    low = frames[:, int(frames.shape[1] * 0.7) :, :, 3] > 127
    wide = low.any(axis=1).sum(axis=1)
    return int(np.argmin(wide))


def away_from(a: float, b: float) -> float:
    """Difference of two headings, radians in [0, pi]."""
    return abs((a - b + math.pi) % (2 * math.pi) - math.pi)


def recast(
    play: Play,
    seconds: float,
    cutouts: Sequence[Cutout],
    rng: np.random.Generator,
    share: float = REAL_SHARE,
    seen_heading: Callable[[float, float, float], float] | None = None,
) -> Play:
    """A play in which a share of the lives that cut-outs can play is played by them, whether anomalous or not.

    seen_heading: (x, y, heading) -> heading as the camera sees it, camera.seen_heading; None takes it as it is.
    """
    lives = [
        _recast(life, seconds, cutouts, rng, seen_heading) if rng.random() < share else life for life in play.lives
    ]
    return replace(play, lives=tuple(lives))


def _recast(
    life: Life,
    seconds: float,
    cutouts: Sequence[Cutout],
    rng: np.random.Generator,
    seen_heading: Callable[[float, float, float], float] | None,
) -> Life:
    noun = life.actor.noun
    if noun not in NEAR or life.actor.carried:
        return life
    states = [s for t in np.linspace(0, seconds, LOOKS) if (s := life.path(float(t))) is not None]
    allowed = WALKING if noun == "person" else {"drive", "walk", "stand"}
    if not states or any(s.action not in allowed for s in states):
        return life
    ways = [seen_heading(s.x, s.y, s.heading) if seen_heading else s.heading for s in states]
    fitting = [c for c in cutouts if c.noun == noun and _serves(c, ways)]
    if not fitting:
        return life
    return replace(life, actor=CutoutActor(fitting[int(rng.integers(len(fitting)))], rng))


def _serves(cutout: Cutout, ways: Sequence[float]) -> bool:
    near = NEAR[cutout.noun]
    off = [min(away_from(cutout.heading, w), away_from(math.pi - cutout.heading, w)) > near for w in ways]
    return sum(off) <= ASTRAY * len(off)
