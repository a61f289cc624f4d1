"""Scan: what one pass over a video collects, before anything is decided.

Next: tvad/detector.py
"""

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.ndimage import gaussian_filter

from heatmap.fuse import beside, either, fuse
from heatmap.levels import AlarmLevel, Alarms, to_score
from tvad.crowd import Crowd
from tvad.decoder_part import DecodedLevels
from tvad.encoder import Features
from tvad.falls import Fall
from tvad.findings import SeenThing, SeenThings
from tvad.head_part import HeadLevels
from tvad.kinds import WINDOW
from tvad.parts import Levels, ScoredThing
from tvad.sight import EVERY_S, coarse
from tvad.spill import Maps, pieces
from tvad.words import WordGuide

NOTHING = -12.0  # rarity (nats) where a part sees nothing at all
RIM, FADE = 1.35, 0.5  # the painted ellipse ends at RIM and is full RIM - FADE inside, in half axes of the box
PIECE = 256  # frames
SMALLEST_CELLS = 0.75  # half axis
SOFT_CELLS = 1.0  # the rim of a busy place


@dataclass
class Scan:
    """What one pass over a video collects; what is long goes to files."""

    heat_alarm: AlarmLevel
    size_wh: tuple[int, int]  # source pixels
    analysed_wh: tuple[int, int]
    guide: WordGuide | None
    times_s: "array[float]" = field(default_factory=lambda: array("d"))
    frame: list[np.ndarray] = field(default_factory=list)
    heat: Maps = field(default_factory=Maps)
    share: list[np.ndarray] = field(default_factory=list)
    things: SeenThings = field(default_factory=SeenThings)
    shape: tuple[int, ...] = (1, 1)
    decoded: Maps = field(default_factory=Maps)
    decoded_frame: list[np.ndarray] = field(default_factory=list)
    headed: list[HeadLevels] = field(default_factory=list)  # without their places, which are in `busiest`
    busiest: Maps = field(default_factory=Maps)
    picture_times_s: "array[float]" = field(default_factory=lambda: array("d"))
    pictures: Maps = field(default_factory=Maps)
    falls: list[Fall] = field(default_factory=list)
    crowd: Crowd | None = None

    def so_far(self, memory: bool, decoder: bool, head: bool) -> "Scan":
        """What all parts know until now, those there are: of the frames that the slowest of them has scored."""
        count = len(self.times_s)
        if memory:
            count = min(count, sum(map(len, self.frame)))
        if decoder:
            count = min(count, sum(map(len, self.decoded_frame)))
        if head:
            last_s = float(self.headed[-1].times_s[-1]) if self.headed else -1.0
            count = min(count, bisect_right(self.times_s, last_s))

        def cut(levels: list[np.ndarray]) -> list[np.ndarray]:
            return [np.concatenate(levels)[:count]] if levels else []

        lists = {name: cut(getattr(self, name)) for name in ("frame", "share", "decoded_frame")}
        return replace(self, times_s=self.times_s[:count], **lists)  # type: ignore[arg-type]

    def add_pictures(self, features: Features) -> None:
        """Keep the coarse picture of a frame every EVERY_S."""
        for patch, t in zip(features.patch, features.times_s.tolist(), strict=True):
            if not self.picture_times_s or t - self.picture_times_s[-1] >= EVERY_S - 1e-6:
                self.picture_times_s.append(t)
                self.pictures.add(coarse(patch)[None])

    def add_times(self, times_s: np.ndarray) -> None:
        self.times_s.extend(times_s.tolist())

    def add_levels(self, levels: Levels) -> None:
        self.frame.append(levels.frame)
        self.share.append(levels.motion_share)
        self.heat.add(np.clip(self.heat_alarm.rarity(levels.heat), -1e4, 1e4).astype(np.float16))

    def add_decoded(self, levels: DecodedLevels, alarms: Alarms) -> None:
        """The decoder's levels of the next frames."""
        self.decoded_frame.append(alarms.frame.rarity(levels.frame))
        self.decoded.add(np.clip(alarms.heat.rarity(levels.level), NOTHING, 1e4).astype(np.float16))

    def add_headed(self, levels: HeadLevels) -> None:
        """The head's levels of the next snippets."""
        self.busiest.add(levels.where)
        # Copies: a view would keep all of what it is a part of, which is a window's places.
        nowhere, probs = np.zeros((0, *levels.where.shape[1:]), bool), levels.probs
        self.headed.append(replace(levels, where=nowhere, probs=None if probs is None else probs.copy()))

    def head_curve(self, alarm: AlarmLevel) -> np.ndarray:
        """Rarity of the head's snippets at each frame, (T,): straight lines between their middles."""
        level, times = (np.concatenate([getattr(h, key) for h in self.headed]) for key in ("level", "times_s"))
        return np.maximum(alarm.rarity(np.interp(self.times_s, times, level)), NOTHING).astype(np.float32)

    def class_probs(self, times_s: np.ndarray) -> np.ndarray | None:
        """(n, K) at some times, of the nearest snippet; None where the head knows no classes."""
        if not self.headed or self.headed[0].probs is None:
            return None
        probs = np.concatenate([h.probs for h in self.headed])  # type: ignore[misc]
        middles = np.concatenate([h.times_s for h in self.headed])
        return np.concatenate([probs[_nearest(middles, some)] for some in pieces(times_s)])

    def stretch_probs(self, start_s: float, end_s: float) -> np.ndarray | None:
        """(n, K) of the snippets of a stretch, and of those around it until there are WINDOW; None where the head knows
        no classes."""
        if not self.headed or self.headed[0].probs is None:
            return None
        probs = np.concatenate([h.probs for h in self.headed])  # type: ignore[misc]
        middles = np.concatenate([h.times_s for h in self.headed])
        first, last = _nearest(middles, np.array([start_s, end_s])).tolist()
        missing = max(WINDOW - (last + 1 - first), 0)
        first = max(min(first - missing // 2, len(probs) - WINDOW), 0)
        return probs[first : max(last + 1, first + WINDOW)]

    def add_things(self, scored: list[ScoredThing]) -> None:
        for thing in scored:
            self.things.add(SeenThing.of(thing, self.guide, self.size_wh[0] / self.analysed_wh[0]))

    def words_curve(self, alarm: AlarmLevel) -> np.ndarray:
        """Rarity of the most wanted thing in each frame, (T,); NOTHING where there is none."""
        times = np.array(self.times_s)
        curve = np.full(len(times), NOTHING, np.float32)
        for thing in self.things:
            rows = slice(*np.searchsorted(times, [thing.times_s[0] - 1e-6, thing.times_s[-1] + 1e-6]))
            np.maximum(curve[rows], _rarity(thing, alarm, times[rows]), out=curve[rows])
        return curve

    def heat_scores(
        self, alarm: AlarmLevel | None, scene: bool, head: np.ndarray | None = None, falling: AlarmLevel | None = None
    ) -> np.ndarray:
        """Heat (T, h, w) float16 in [0, 1] of all parts; the words take part with an alarm level, the head with its
        curve (T,), where its movement is, falls with theirs.

        Goes through the parts' maps piece by piece; of a long video the outcome is in a file, and read-only.
        """
        out, count = Maps(), len(self.times_s)
        for start in range(0, count, PIECE):
            rows = slice(start, min(start + PIECE, count))
            guides = [self._painted(alarm, np.array(self.times_s[rows]))] if alarm is not None else []
            if self.decoded:
                guides.append(self.decoded.read(start, rows.stop).astype(np.float32))
            remembered = self.heat.read(start, rows.stop).astype(np.float32) if self.heat else None
            found = _together(remembered, guides, (rows.stop - start, *self.shape), scene)
            if head is not None:
                found = beside(found, self._moving(head[rows], np.array(self.times_s[rows])), scene)
            if self.falls and falling is not None:
                found = beside(found, self._lying(falling, np.array(self.times_s[rows])), scene)
            out.add(to_score(found).astype(np.float16))
        return out.array()

    def _moving(self, rarity: np.ndarray, times: np.ndarray) -> np.ndarray:
        """The head's rarity (t,) in the busiest place of each frame's snippet, (t, h, w) float32."""
        # Between the middles of two snippets the place goes over from one to the other.
        middles = np.concatenate([h.times_s for h in self.headed])
        at = np.interp(times, middles, np.arange(len(middles)))
        low = np.floor(at).astype(int)
        high, share = np.minimum(low + 1, len(middles) - 1), (at - low)[:, None, None].astype(np.float32)
        # The snippets of these frames alone: a video of hours comes here in a thousand pieces.
        first = int(low.min())
        soft = np.stack([_soft(where) for where in self.busiest.read(first, int(high.max()) + 1)])
        place = soft[low - first] * (1 - share) + soft[high - first] * share
        return (NOTHING + (rarity[:, None, None] - NOTHING) * place).astype(np.float32)

    def _painted(self, alarm: AlarmLevel, times: np.ndarray) -> np.ndarray:
        """Rarity maps of the words alone at some frames, (t, h, w) float32."""
        cells = np.full((len(times), *self.shape), NOTHING, np.float32)
        for thing in self.things.during(float(times[0]) - 1e-6, float(times[-1]) + 1e-6):
            first, last = np.searchsorted(times, [thing.times_s[0] - 1e-6, thing.times_s[-1] + 1e-6])
            rarity = _rarity(thing, alarm, times[first:last])
            boxes = [np.interp(times[first:last], thing.times_s, thing.boxes[:, k]) for k in range(4)]
            for i, value, box in zip(range(first, last), rarity.tolist(), np.stack(boxes, 1), strict=True):
                if value > NOTHING:
                    self.paint(cells[i], box, value)
        return cells

    def _lying(self, alarm: AlarmLevel, times: np.ndarray) -> np.ndarray:
        """Rarity maps of the falls alone at some frames, (t, h, w) float32."""
        cells = np.full((len(times), *self.shape), NOTHING, np.float32)
        for fall in self.falls:
            value = float(alarm.rarity(np.array(fall.level)))
            for i in range(*np.searchsorted(times, [fall.start_s - 1e-6, fall.end_s + 1e-6])):
                if value > NOTHING:
                    box = [np.interp(times[i], fall.times_s, fall.boxes[:, k]) for k in range(4)]
                    self.paint(cells[i], np.array(box) * (*self.size_wh, *self.size_wh), value)
        return cells

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


def _nearest(middles: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Number of the snippet whose middle is nearest to each time, the later of two as near."""
    return np.searchsorted((middles[1:] + middles[:-1]) / 2, times_s, side="right")


def _soft(where: np.ndarray) -> np.ndarray:
    """A place (h, w) bool with a soft rim, 1 at most."""
    out = gaussian_filter(where.astype(np.float32), SOFT_CELLS)
    return np.asarray(out / max(float(out.max()), 1e-6), np.float32)


def _rarity(thing: SeenThing, alarm: AlarmLevel, times: np.ndarray) -> np.ndarray:
    """The words' rarity of a thing at some times of its life, at least NOTHING."""
    out: np.ndarray = np.interp(times, thing.times_s, np.maximum(alarm.rarity(thing.level), NOTHING))
    return out


def _together(memory: np.ndarray | None, guides: list[np.ndarray], shape: tuple[int, ...], scene: bool) -> np.ndarray:
    """Rarity of the parts there are."""
    if not guides:
        return np.full(shape, NOTHING, np.float32) if memory is None else memory
    return either(guides) if memory is None else fuse(memory, either(guides), scene)
