"""The parts that score a video: scene memory (or the clip's own), and words.

`MemoryPart` turns features into surprise maps as they come, `WordsPart` turns things and their looks into scored boxes.
Both hand out levels; what a level means is heatmap/levels.py's business.

Next: tvad/detector.py
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from heatmap.levels import BLOCK_S as BLOCK_PEAK_S
from heatmap.levels import AlarmLevel
from heatmap.memory import Patches, SceneMemory, frame_level, heat_level
from heatmap.selfmemory import SelfMemory
from tvad.encoder import Features
from tvad.scene import Looks
from tvad.watcher import Thing
from tvad.words import Habit, WordGuide

BLOCK_S = 60.0  # the clip's own memory looks this far ahead
SIGMA_S = 0.2  # smoothing in time
WINDOW_S = 1.0  # looks this near count for a moment of a thing's life
USUAL_SHARE = 0.75  # usual in a clip is the level that this share of all sightings stays below ...
USUAL_LEVEL = -4.5  # ... drawn towards these log odds
FEW_THINGS = 5  # as if so many things had it
NEAR_PIECE = 256  # moments that are averaged together
HABIT_S = 120.0  # words wait this long at most for more things to compare with


@dataclass(frozen=True)
class Levels:
    """Of T consecutive frames: frame (T,) level (smoothed later, when neighbours are known), heat (T, h, w) level,
    motion_share (T,) in [0, 1]: how much of the surprise is about movement, times_s (T,)."""

    frame: np.ndarray
    heat: np.ndarray
    motion_share: np.ndarray
    times_s: np.ndarray


class MemoryPart:
    """Surprise of a stream of features, against a scene memory or, without one, against the clip itself."""

    def __init__(self, scene: SceneMemory | None, seed: int = 0) -> None:
        self.scene = scene
        self.own = None if scene else SelfMemory(seed)
        self._waiting: list[tuple[Patches, Features]] = []
        self._maps = _Smoother()

    def push(self, features: Features) -> Iterator[Levels]:
        """Levels of frames that are ready; without a scene they come a block late."""
        self._waiting.append((Patches.of(features.patch, features.motion, features.moving), _light(features)))
        first = self._waiting[0][1].times_s[0]
        if self.scene or features.times_s[-1] - first >= BLOCK_S:
            yield from self._score(last=False)

    def finish(self) -> Iterator[Levels]:
        """The rest."""
        yield from self._score(last=True)

    def _score(self, last: bool) -> Iterator[Levels]:
        waiting, self._waiting = self._waiting, []
        if self.own is not None:
            for patches, features in waiting:
                self.own.learn(patches, features.times_s)
        for patches, features in waiting:
            if self.scene:
                appearance, motion = self.scene.surprises(patches)
            else:
                assert self.own is not None
                appearance, motion = self.own.surprises(patches, features.times_s)
            shape = features.moving.shape
            total = patches.paint(appearance + motion, shape)
            share = _motion_share(patches, appearance, motion, shape[0])
            yield from self._maps.push(total, features.changed, share, features.times_s)
        if last:
            yield from self._maps.finish()


def _light(features: Features) -> Features:
    """The same without its patch maps, which are large."""
    nothing = np.zeros((*features.patch.shape[:3], 0), np.float32)
    return Features(nothing, nothing, features.moving, features.changed, features.frame, features.times_s, nothing)


def _motion_share(patches: Patches, appearance: np.ndarray, motion: np.ndarray, frames: int) -> np.ndarray:
    """Share of movement in the surprise of each frame's most surprising patch, (frames,)."""
    out = np.full(frames, 0.5, np.float32)
    total = appearance + motion
    for t, start, end in _runs(patches.cell[:, 0]):
        top = start + int(np.argmax(total[start:end]))
        if total[top] > 0:
            out[t] = motion[top] / total[top]
    return out


def _runs(frame: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """(frame, start, end) of equal neighbours."""
    edges = np.flatnonzero(np.diff(frame)) + 1
    bounds = [0, *edges.tolist(), len(frame)]
    for start, end in pairwise(bounds):
        if end > start:
            yield int(frame[start]), start, end


class _Smoother:
    """Surprise maps to heat levels, smoothed over time across the borders of pieces."""

    def __init__(self) -> None:
        self.kept: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []  # neighbours, then not yet ready
        self.ready = 0

    def push(
        self, surprise: np.ndarray, changed: np.ndarray, share: np.ndarray, times_s: np.ndarray
    ) -> Iterator[Levels]:
        self.kept += list(zip(surprise, changed, share, times_s, strict=True))
        reach = self._reach()
        if len(self.kept) - self.ready > 2 * reach + 16:
            yield self._take(len(self.kept) - reach, reach)

    def finish(self) -> Iterator[Levels]:
        if len(self.kept) > self.ready:
            yield self._take(len(self.kept), 0)

    def _sigma(self) -> float:
        return sigma_frames(np.array([k[3] for k in self.kept]))

    def _reach(self) -> int:
        return int(np.ceil(4 * self._sigma()))

    def _take(self, end: int, reach: int) -> Levels:
        surprise, changed, share, times = (np.stack(values) for values in zip(*self.kept, strict=True))
        rows = slice(self.ready, end)
        heat = heat_level(surprise, changed, self._sigma())[rows]
        out = Levels(frame_level(surprise[rows]), heat, share[rows], times[rows])
        drop = max(0, end - reach)
        del self.kept[:drop]
        self.ready = end - drop
        return out


def sigma_frames(times_s: np.ndarray) -> float:
    """SIGMA_S in sampled frames."""
    return SIGMA_S / float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0


@dataclass(frozen=True)
class ScoredThing:
    """A thing with the level of the anomaly words at each sighting, level (n,), and its corrected logits (m, 1000)."""

    thing: Thing
    level: np.ndarray
    logits: np.ndarray


class WordsPart:
    """Levels of things for the anomaly words. Things wait for others to be compared with, HABIT_S at most.

    habit: of the scene. Without one, levels are relative to what is usual in this clip: cameras differ in how much
    their ordinary things look like the words.
    """

    def __init__(self, guide: WordGuide | None, habit: Habit | None = None) -> None:
        self.guide = guide
        self.relative = habit is None
        self.habit = habit or Habit.empty()
        self._waiting: list[Thing] = []
        self._levels: list[np.ndarray] = []  # one array for each thing so far

    def push(self, things: Sequence[Thing], now_s: float) -> list[ScoredThing]:
        """Take things that have ended; gives back those that have waited long enough."""
        self._take(things)
        ready = [t for t in self._waiting if now_s - t.times_s[-1] > HABIT_S]
        self._waiting = [t for t in self._waiting if now_s - t.times_s[-1] <= HABIT_S]
        return self._scored(ready)

    def finish(self, things: Sequence[Thing]) -> list[ScoredThing]:
        """The last things and all that wait."""
        self._take(things)
        waiting, self._waiting = self._waiting, []
        return self._scored(waiting)

    def _take(self, things: Sequence[Thing]) -> None:
        seen = [t for t in things if t.logits]
        for thing in seen:
            self.habit.add(thing.look_logits)
        self._waiting += seen

    def _scored(self, things: Sequence[Thing]) -> list[ScoredThing]:
        found = []
        for thing in things:
            logits = self.habit.corrected(thing.look_logits)
            score = self.guide.score(logits) if self.guide else np.full(len(logits), -np.inf)
            found.append(ScoredThing(thing, near_mean(score, thing.look_times_s, thing.times_s), logits))
        if not self.relative or not found:
            return found
        self._levels += [s.level for s in found]
        usual = float(np.quantile(np.concatenate(self._levels), USUAL_SHARE))
        count = len(self._levels)
        usual = (count * usual + FEW_THINGS * USUAL_LEVEL) / (count + FEW_THINGS)
        return [replace(s, level=s.level - usual) for s in found]


def near_mean(values: np.ndarray, at_s: Sequence[float], times_s: Sequence[float]) -> np.ndarray:
    """Mean of the values (m,) at `at_s` within WINDOW_S of each time, the nearest one where none is; (n,)."""
    at, finite = np.asarray(at_s), np.where(np.isfinite(values), values, -50.0)

    def mean(times: np.ndarray) -> np.ndarray:
        distance = np.abs(times[:, None] - at[None])
        near = distance <= WINDOW_S
        near[np.arange(len(near)), distance.argmin(1)] = True
        out: np.ndarray = (near * finite).sum(1) / near.sum(1)
        return out

    # In pieces: a thing that stays for hours has too many pairs for memory.
    times = np.asarray(times_s)
    return np.concatenate([mean(times[n : n + NEAR_PIECE]) for n in range(0, max(len(times), 1), NEAR_PIECE)])


def habit_of(looks: Looks) -> Habit:
    """The classifier's habit on a scene's normal things."""
    habit = Habit.empty()
    if len(looks.logits):
        habit.add(looks.logits.astype(np.float32))
    return habit


def words_alarm(guide: WordGuide, looks: Looks) -> AlarmLevel | None:
    """The alarm level of these words on a scene's normal things; None where too little was looked at."""
    if looks.seconds < 8 or not len(looks.logits):
        return None
    habit = habit_of(looks)
    blocks = int(looks.seconds / BLOCK_PEAK_S)
    peaks: dict[int, float] = {}
    for thing in np.unique(looks.thing):
        own = looks.thing == thing
        logits, times = looks.logits[own].astype(np.float32), looks.times_s[own]
        level = near_mean(guide.score(habit.corrected(logits)), times, times)
        for t, value in zip(times, level, strict=True):
            block = int(t / BLOCK_PEAK_S)
            peaks[block] = max(peaks.get(block, -np.inf), float(value))
    lowest = min(peaks.values())
    empty = [lowest] * max(0, blocks - len(peaks))  # stretches of time in which nothing moved
    return AlarmLevel.of_peaks(np.array([*peaks.values(), *empty]))
