"""Who is with whom, and how they move, as numbers: what tells people who fight from one who runs and from traffic.

Speeds count in the heights of the person who moves, so they are the same near the camera and far from it. What counts
beside them is whether there is anybody, and how near two people are: no fight without two. Ours; docs/RESULTS.md says
what they are worth.

Next: tvad/temporal/snippets.py
"""

from collections.abc import Iterable
from itertools import combinations

import numpy as np

from tvad.people import PERSON, once

LEAST = 0.25  # score of a person who counts
BESIDE = 0.8  # mean heights between the middles of two people who are beside each other, at most
FAR = 3.0  # mean heights: no two are further apart, nor is anybody who is alone
CROWD = 3  # so many pairs count at most
SMALL = 0.02  # frame heights: nobody is smaller
ONE, ONE_IN = 0.4, 0.65  # overlap with a surer box, or share of the own in it, from which both are one person
FLOOR, JERK_FLOOR = 0.05, 0.4  # added before logarithms: heights per second (or shares), and per second squared
INSIDE = 0.3  # cells that a box may be off

NEARNESS = ("people", "anybody", "two", "overlap", "apart", "beside")
MOVES = ("speed", "fast", "spread", "spread_most", "jerk", "jerk_most", "own_ways", "drift", "changed", "moving")
SHAPES = ("wide", "widest", "tallest", "height", "heights", "surest")
NAMES = (*NEARNESS, *(f"pair_{name}" for name in MOVES), *(f"each_{name}" for name in MOVES), *SHAPES)
_FLOORS = np.array([JERK_FLOOR if name.startswith("jerk") else FLOOR for name in MOVES])


def company(
    looks: Iterable[tuple[int, np.ndarray]],
    motion: np.ndarray,
    moving: np.ndarray,
    changed: np.ndarray,
    times_s: np.ndarray,
    known: dict[float, np.ndarray] | None = None,
) -> np.ndarray:
    """(len(NAMES),) float32, means over the looks at T >= 1 moments. looks: number of a moment and boxes (n, 6) of
    people there, as in tvad/people.py. motion (T, h, w, 4), moving and changed (T, h, w), times_s (T,) rising, as in
    tvad.encoder.Features. Without a look, as of a picture without people. known: by time, what was told of looks of
    the same stream; it is read and filled, for stretches that overlap."""
    known = {} if known is None else known
    found = []
    for n, rows in looks:
        told = known.get(t := float(times_s[n])) if n else None
        if told is None:
            told = _look(rows, motion[n], _jerk(motion, times_s, n), moving[n], changed[n])
        if n:  # the first moment has nothing before it here, and may have in another stretch
            known[t] = told
        found.append(told)
    found = found or [_look(np.zeros((0, 6)), motion[0], moving[0], moving[0], changed[0])]
    return np.nan_to_num(np.mean(found, axis=0)).astype(np.float32)


def _jerk(motion: np.ndarray, times_s: np.ndarray, n: int) -> np.ndarray:
    """(h, w): how fast the velocity has changed since the moment before, in frame heights per second squared."""
    if n == 0:
        return np.zeros(motion.shape[1:3])
    change = motion[n, ..., :2].astype(np.float64) - motion[n - 1, ..., :2]
    out: np.ndarray = np.hypot(change[..., 0], change[..., 1]) / max(float(times_s[n] - times_s[n - 1]), 1e-3)
    return out


def _look(
    rows: np.ndarray, motion: np.ndarray, jerk: np.ndarray, moving: np.ndarray, changed: np.ndarray
) -> np.ndarray:
    """The numbers of one moment."""
    # Stricter than what is told elsewhere: whoever is found twice would be two people beside each other.
    boxes = once(rows[(rows[:, 5] == PERSON) & (rows[:, 4] >= LEAST)].astype(np.float64), ONE, ONE_IN)
    high, wide = moving.shape
    sides = (boxes[:, 2:4] - boxes[:, :2]) * (wide / high, 1.0)  # frame heights
    tall = np.maximum(sides[:, 1], SMALL)
    view = np.median(motion[..., :2].reshape(-1, 2), axis=0)  # how a camera that moves makes all move
    moves = np.zeros((len(boxes), len(MOVES)))
    for n, box in enumerate(boxes):
        at = _cells(box, high, wide)
        moves[n] = _moves(motion[at], jerk[at], moving[at], changed[at], view, float(tall[n]))
    overlap, apart, pairs = _pairs(boxes, tall, wide / high)
    together = np.max([(moves[i] + moves[j]) / 2 for i, j in pairs], axis=0) if pairs else np.zeros(len(MOVES))
    each = moves.mean(0) if len(boxes) else np.zeros(len(MOVES))
    shape = np.zeros(len(SHAPES))
    if len(boxes):
        width = sides[:, 0] / tall
        shape[:] = width.mean(), width.max(), tall.max(), tall.mean(), tall.std(), boxes[:, 4].max()
    count = len(boxes)
    nearness = count, min(count, 1), min(count, 2), overlap, apart, min(len(pairs), CROWD)
    return np.concatenate([nearness, np.log(together + _FLOORS), np.log(each + _FLOORS), shape])


def _cells(box: np.ndarray, high: int, wide: int) -> tuple[slice, slice]:
    """Rows and columns of the grid that a box is on, at least one of each."""
    low = np.clip(np.floor(box[:2] * (wide, high) + INSIDE), 0, (wide - 1, high - 1)).astype(int)
    end = np.maximum(np.ceil(box[2:4] * (wide, high) - INSIDE).astype(int), low + 1)
    return slice(low[1], end[1]), slice(low[0], end[0])


def _moves(
    motion: np.ndarray, jerk: np.ndarray, moving: np.ndarray, changed: np.ndarray, view: np.ndarray, tall: float
) -> tuple[float, ...]:
    """MOVES of a person whose cells these are, `tall` frame heights high."""
    velocity = motion[..., :2].reshape(-1, 2) - view
    speed, spread = np.hypot(velocity[:, 0], velocity[:, 1]), motion[..., 3]
    own, drift = np.hypot(*velocity.std(0)), np.hypot(*velocity.mean(0))
    sizes = speed.mean(), np.quantile(speed, 0.9), spread.mean(), spread.max(), jerk.mean(), jerk.max(), own, drift
    return *(float(size / tall) for size in sizes), float(changed.mean()), float(moving.mean())


def _pairs(boxes: np.ndarray, tall: np.ndarray, aspect: float) -> tuple[float, float, list[tuple[int, int]]]:
    """Of all pairs the greatest share of the smaller in the other, the least distance, and those beside each other."""
    overlap, apart, pairs = 0.0, FAR, []
    middles = (boxes[:, :2] + boxes[:, 2:4]) / 2 * (aspect, 1.0)
    for i, j in combinations(range(len(boxes)), 2):
        both = np.minimum(boxes[i, 2:4], boxes[j, 2:4]) - np.maximum(boxes[i, :2], boxes[j, :2])
        areas = [float(np.prod(boxes[k, 2:4] - boxes[k, :2])) for k in (i, j)]
        overlap = max(overlap, float(np.prod(np.maximum(both, 0))) / max(min(areas), 1e-6))
        distance = float(np.hypot(*(middles[i] - middles[j]))) / float(tall[i] + tall[j]) * 2
        apart = min(apart, distance)
        if distance < BESIDE:
            pairs.append((i, j))
    return overlap, apart, pairs
