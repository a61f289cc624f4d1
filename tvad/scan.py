"""Scan: what one pass over a video collects, before anything is decided.

Next: tvad/detector.py
"""

from dataclasses import dataclass, field

import numpy as np

from heatmap.levels import AlarmLevel
from tvad.findings import SeenThing
from tvad.parts import Levels, ScoredThing
from tvad.words import WordGuide

NOTHING = -12.0  # rarity (nats) where a part sees nothing at all


@dataclass
class Scan:
    """What one pass over a video collects."""

    heat_alarm: AlarmLevel
    size_wh: tuple[int, int]  # source pixels
    analysed_wh: tuple[int, int]
    guide: WordGuide | None
    times_s: list[float] = field(default_factory=list)
    frame: list[np.ndarray] = field(default_factory=list)
    heat: list[np.ndarray] = field(default_factory=list)
    share: list[np.ndarray] = field(default_factory=list)
    things: list[SeenThing] = field(default_factory=list)
    shape: tuple[int, ...] = (1, 1)

    def add_times(self, times_s: np.ndarray) -> None:
        self.times_s += times_s.tolist()

    def add_levels(self, levels: Levels) -> None:
        self.frame.append(levels.frame)
        self.share.append(levels.motion_share)
        self.heat.append(np.clip(self.heat_alarm.rarity(levels.heat), -1e4, 1e4).astype(np.float16))

    def add_things(self, scored: list[ScoredThing]) -> None:
        self.things += [SeenThing.of(t, self.guide, self.size_wh[0] / self.analysed_wh[0]) for t in scored]

    def memory_heat(self) -> np.ndarray:
        """Rarity maps (T, h, w), NOTHING everywhere when the memory was not asked."""
        if self.heat:
            return np.concatenate(self.heat)
        return np.full((len(self.times_s), *self.shape), NOTHING, np.float16)

    def paint(self, cells: np.ndarray, box: np.ndarray, value: float) -> None:
        """Raise the cells (h, w) that a box in source pixels covers to `value`, less where it covers them in part."""
        height, width = cells.shape
        x0, x1 = box[[0, 2]] * width / self.size_wh[0]
        y0, y1 = box[[1, 3]] * height / self.size_wh[1]
        covered = np.outer(_cover(y0, y1, height), _cover(x0, x1, width))
        np.maximum(cells, NOTHING + (value - NOTHING) * covered, out=cells, where=covered > 0, casting="unsafe")


def _cover(low: float, high: float, count: int) -> np.ndarray:
    """How much of each of `count` unit cells lies in [low, high], in [0, 1]."""
    edges = np.arange(count)
    return np.clip(np.minimum(edges + 1, high) - np.maximum(edges, low), 0, 1)
