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
RIM, FADE = 1.35, 0.5  # the painted ellipse ends at RIM and is full RIM - FADE inside, in half axes of the box
SMALLEST_CELLS = 0.75  # half axis


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
        """Raise the cells (h, w) under the ellipse in a box (source pixels) to `value`, fading out at its rim."""
        height, width = cells.shape
        middle_x, middle_y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        # A thing smaller than a cell still marks the cell it is in.
        half_x = max((box[2] - box[0]) / 2 * width / self.size_wh[0], SMALLEST_CELLS)
        half_y = max((box[3] - box[1]) / 2 * height / self.size_wh[1], SMALLEST_CELLS)
        x = (np.arange(width) + 0.5 - middle_x * width / self.size_wh[0]) / half_x
        y = (np.arange(height) + 0.5 - middle_y * height / self.size_wh[1]) / half_y
        inside = np.clip((RIM - np.hypot(x[None, :], y[:, None])) / FADE, 0, 1)
        np.maximum(cells, NOTHING + (value - NOTHING) * inside, out=cells, where=inside > 0, casting="unsafe")
