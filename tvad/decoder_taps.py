"""Taps: what the anomaly heatmap decoder of the small preset looks at, from the encoder's features and the watcher's
things: two levels of appearance, movement, and what the classifier sees in each moving thing, told in the text space.

A moving thing is known better a while after it came (it has been looked at more often, and there are others to compare
it with), so frames wait DELAY_S before their taps are made; memory is bounded by that.

Numpy only.  Next: tvad/decoder_part.py
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from heatmap.memory import motion_vector
from tvad.classifier import class_names
from tvad.encoder import Features
from tvad.minilm import WIDTH, embed
from tvad.parts import WINDOW_S
from tvad.thing_states import STATES, States, heights_at
from tvad.watcher import Thing
from tvad.words import Habit, softmax

C_FINE, C_COARSE = 40, 112
DELAY_S = 16.0
PIECE = 16  # frames made at once
USUAL_S = 10.0  # what is usual at a place is taken from this long before and after
NEAR_S = 0.5  # movement near a moment
RIM, FADE = 1.35, 0.5  # a thing's ellipse ends at RIM and is full RIM - FADE inside, in half axes of its box
SMALLEST_CELLS = 0.75  # half axis
OWN = ("vx", "vy", "speed", "spread", "moving", "changed")
NEAR = ("near speed", "near changed")
USUAL = ("usual vx", "usual vy", "usual speed", "usual moving")
MOTION = (*OWN, *NEAR, *USUAL, "presence", *STATES)
TAPS = {"fine": C_FINE, "coarse": C_COARSE, "motion": len(MOTION), "look": WIDTH + 1}  # name -> channels
ODD_IN_MIRROR = tuple(i for i, name in enumerate(MOTION) if name.endswith("vx"))  # change sign when x is mirrored


@dataclass(frozen=True)
class Taps:
    """Of T consecutive frames, on a grid of h x w cells: fine (T, h, w, 40), coarse (T, h / 2, w / 2, 112) and motion
    (T, h, w, len(MOTION)) float16; thing (T, h, w) int16, which of `vectors` (n, 384) float16 fills a cell, 0 for none
    (vectors[0] is zero); presence (T, h, w) float16 in [0, 1]. times_s (T,)."""

    fine: np.ndarray
    coarse: np.ndarray
    motion: np.ndarray
    thing: np.ndarray
    presence: np.ndarray
    vectors: np.ndarray
    times_s: np.ndarray

    def __len__(self) -> int:
        return len(self.times_s)

    @property
    def look(self) -> np.ndarray:
        """(T, h, w, 385) float32: the vector of what is there, faded at its rim, and how much of it is."""
        out = np.zeros((*self.thing.shape, self.vectors.shape[1] + 1), np.float32)
        there = np.nonzero(self.thing)  # most cells are empty
        out[..., :-1][there] = self.vectors[self.thing[there]].astype(np.float32) * self.presence[there][:, None]
        out[..., -1] = self.presence
        return out

    def arrays(self) -> list[np.ndarray]:
        """The taps in the order of TAPS, float32 (T, ..., C)."""
        return [self.fine.astype(np.float32), self.coarse.astype(np.float32), self.motion.astype(np.float32), self.look]

    def pick(self, rows: np.ndarray | slice) -> "Taps":
        """Some frames."""
        frames = (self.fine, self.coarse, self.motion, self.thing, self.presence)
        fine, coarse, motion, thing, presence = (x[rows] for x in frames)
        return Taps(fine, coarse, motion, thing, presence, self.vectors, self.times_s[rows])

    @staticmethod
    def join(items: Sequence["Taps"]) -> "Taps":
        """Consecutive pieces as one."""
        if len(items) == 1:
            return items[0]
        offsets = np.cumsum([0, *(len(t.vectors) - 1 for t in items[:-1])])
        thing = [np.where(t.thing > 0, t.thing + at, 0) for t, at in zip(items, offsets, strict=True)]
        frames = {
            k: np.concatenate([getattr(t, k) for t in items])
            for k in ("fine", "coarse", "motion", "presence", "times_s")
        }
        vectors = np.concatenate([items[0].vectors[:1], *(t.vectors[1:] for t in items)])
        return Taps(thing=np.concatenate(thing).astype(np.int16), vectors=vectors, **frames)


class TapsStream:
    """Features and things in, taps out, in order and DELAY_S late.

    size_wh: of the analysed frames, in whose pixels things have their boxes. habit: the classifier's habit in this
    scene, where one is known.
    """

    def __init__(self, size_wh: tuple[int, int], habit: Habit | None = None, delay_s: float = DELAY_S) -> None:
        self.size_wh, self.delay_s = size_wh, delay_s
        self._scene = habit or Habit.empty()
        self._gone = Habit.empty()  # of things that have left the window
        self._things: dict[int, Thing] = {}
        self._heights: list[np.ndarray] = []  # (n, 2) foot and height of things that have left it
        self._waiting: list[_Frame] = []
        self._past: list[_Frame] = []  # movement only

    def push(self, features: Features, things: Iterable[Thing]) -> Iterator[Taps]:
        """Take the next features and all things there are now or that have ended since; a thing may come many times."""
        self._things |= {t.id: t for t in things}
        self._waiting += _frames(features)
        now = self._waiting[-1].t_s
        while len(self._waiting) > PIECE and self._waiting[PIECE].t_s <= now - self.delay_s:
            yield self._make(PIECE)

    def finish(self, things: Iterable[Thing]) -> Iterator[Taps]:
        """The rest, with the last things."""
        self._things |= {t.id: t for t in things}
        while self._waiting:
            yield self._make(min(PIECE, len(self._waiting)))

    def _make(self, count: int) -> Taps:
        frames, rest = self._waiting[:count], self._waiting[count:]
        times = np.array([f.t_s for f in frames])
        own = np.stack([f.motion for f in frames])
        near, usual = self._around(times)
        things, vectors = self._paint(times, own.shape[1:3])
        index, presence, states = things
        moved = np.concatenate([_squashed(own), near, usual, presence[..., None], states], -1)
        self._past = [f for f in (*self._past, *(f.light() for f in frames)) if f.t_s > times[-1] - USUAL_S]
        self._waiting = rest
        self._forget(rest[0].t_s if rest else np.inf)
        fine, coarse = np.stack([f.fine for f in frames]), np.stack([f.coarse for f in frames])
        half = np.float16
        return Taps(fine, coarse, moved.astype(half), index, presence.astype(half), vectors.astype(half), times)

    def _around(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Movement near each moment (T, h, w, 2), and what is usual at each place (T, h, w, 4)."""
        frames = [*self._past, *self._waiting]
        at = np.array([f.t_s for f in frames])
        first, last = np.searchsorted(at, [times[0] - USUAL_S, times[-1] + USUAL_S + 1e-6])
        values = np.stack([f.motion for f in frames[first:last]])
        at = at[first:last]
        moving = values[..., 4:5]
        sums = np.concatenate([_squashed(values)[..., :3] * moving, moving, values[..., 5:6]], -1)
        total = np.concatenate([np.zeros_like(sums[:1]), np.cumsum(sums, 0, dtype=np.float64)])

        def mean(reach_s: float) -> np.ndarray:
            a, b = np.searchsorted(at, [times - reach_s - 1e-6, times + reach_s + 1e-6])
            out: np.ndarray = (total[b] - total[a]) / (b - a)[:, None, None, None]
            return out

        near, usual = mean(NEAR_S), mean(USUAL_S)
        flow = usual[..., :3] / (usual[..., 3:4] + 0.02)
        return near[..., [2, 4]].astype(np.float32), np.concatenate([flow, usual[..., 3:4]], -1).astype(np.float32)

    def _paint(
        self, times: np.ndarray, grid: tuple[int, ...]
    ) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
        """Things on the grid: index (T, h, w), presence (T, h, w), states (T, h, w, S); and their vectors (n, 384)."""
        index = np.zeros((len(times), *grid), np.int16)
        presence = np.zeros((len(times), *grid), np.float32)
        states = np.zeros((len(times), *grid, len(STATES)), np.float32)
        vectors = [np.zeros(WIDTH, np.float32)]
        habit = self._habit()
        now = [heights_at(t, self.size_wh) for t in self._things.values()]
        heights = np.concatenate([np.zeros((0, 2)), *self._heights, *now])
        present = [t for t in self._things.values() if t.times_s[0] <= times[-1] + 1e-6 and t.times_s[-1] >= times[0]]
        # Small things are painted last: what passes before a bus is not the bus.
        for thing in sorted(present, key=lambda t: -max(t.area)):
            rows = np.flatnonzero((times >= thing.times_s[0] - 1e-6) & (times <= thing.times_s[-1] + 1e-6))
            if not len(rows):
                continue
            state = States.of(thing, times[rows], self.size_wh, heights)
            seen = look_vectors(thing, habit, times[rows])
            for i, row in enumerate(rows):
                inside, window = ellipse(state.boxes[i], self.size_wh, grid)
                here = inside >= presence[row][window]
                here &= inside > 0
                presence[row][window][here] = inside[here]
                states[row][window][here] = state.values[i] * inside[here][:, None]
                index[row][window][here] = len(vectors) if seen is not None else 0
                if seen is not None:
                    vectors.append(seen[i])
        return (index, presence, states), np.stack(vectors)

    def _habit(self) -> Habit:
        habit = Habit(self._scene.total + self._gone.total, self._scene.looks + self._gone.looks)
        for thing in self._things.values():
            if thing.logits:
                habit.add(thing.look_logits)
        return habit

    def _forget(self, first_s: float) -> None:
        """Things that no waiting frame will show."""
        for thing in [t for t in self._things.values() if t.times_s[-1] < first_s - 2.0]:
            del self._things[thing.id]
            if thing.logits:
                self._gone.add(thing.look_logits)
            self._heights = [*self._heights[-300:], heights_at(thing, self.size_wh)]


@dataclass(frozen=True)
class _Frame:
    """One frame's share of Features. motion (h, w, 6): OWN as the encoder gives them."""

    fine: np.ndarray
    coarse: np.ndarray
    motion: np.ndarray
    t_s: float

    def light(self) -> "_Frame":
        return _Frame(self.fine[:0], self.coarse[:0], self.motion, self.t_s)


def _frames(features: Features) -> Iterator[_Frame]:
    motion = np.concatenate([features.motion, features.moving[..., None], features.changed[..., None]], -1)
    t, h, w = features.moving.shape
    # The encoder enlarges its coarse level twofold: averaged back, a quarter of the cells says the same.
    coarse = features.patch[..., C_FINE:].reshape(t, h // 2, 2, w // 2, 2, -1).mean((2, 4)).astype(np.float16)
    fine = features.patch[..., :C_FINE].astype(np.float16)
    for i, at in enumerate(features.times_s.tolist()):
        yield _Frame(fine[i], coarse[i], motion[i], at)


def _squashed(motion: np.ndarray) -> np.ndarray:
    """Velocities as signed square roots, shares as they are, (..., 6)."""
    return np.concatenate([motion_vector(motion[..., :4]), motion[..., 4:]], -1)


def ellipse(
    box: np.ndarray, size_wh: tuple[int, int], grid_hw: tuple[int, ...]
) -> tuple[np.ndarray, tuple[slice, slice]]:
    """How far inside the ellipse in a box (pixels of a frame of size_wh) cells lie, in [0, 1], and which cells these
    are; the rest of the grid is outside."""
    height, width = grid_hw
    middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2 * (width / size_wh[0], height / size_wh[1])
    half = np.array([box[2] - box[0], box[3] - box[1]]) / 2 * (width / size_wh[0], height / size_wh[1])
    half = np.maximum(half, SMALLEST_CELLS)  # a thing smaller than a cell still marks the cell it is in
    low = np.clip(np.floor(middle - RIM * half - 0.5), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(middle + RIM * half + 0.5), 0, (width, height)).astype(int)
    x = (np.arange(low[0], high[0]) + 0.5 - middle[0]) / half[0]
    y = (np.arange(low[1], high[1]) + 0.5 - middle[1]) / half[1]
    inside = np.clip((RIM - np.hypot(x[None, :], y[:, None])) / FADE, 0, 1).astype(np.float32)
    return inside, (slice(low[1], high[1]), slice(low[0], high[0]))


def look_vectors(thing: Thing, habit: Habit, times_s: np.ndarray) -> np.ndarray | None:
    """What the classifier sees in a thing at some times, (T, 384) in the text space: the class names' vectors weighted
    by the probabilities of the looks near each time. None while it has not been looked at."""
    if not thing.logits:
        return None
    prob = softmax(habit.corrected(thing.look_logits))
    distance = np.abs(times_s[:, None] - np.array(thing.look_times_s[: len(prob)])[None])
    near = distance <= WINDOW_S
    near[np.arange(len(near)), distance.argmin(1)] = True
    seen = prob.astype(np.float32) @ class_vectors()
    out: np.ndarray = near.astype(np.float32) @ seen / near.sum(1, keepdims=True)
    return out.astype(np.float32)


@lru_cache(maxsize=1)
def class_vectors() -> np.ndarray:
    """(1000, 384) float32: each class of the classifier in the text space, the mean over its names."""
    names = class_names()
    vectors = embed([name for own in names for name in own])
    ends = np.cumsum([len(own) for own in names])
    return np.stack([part.mean(0) for part in np.split(vectors, ends[:-1])])
