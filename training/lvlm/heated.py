"""Heat of a simulated clip: what is warm in it, how long and how much, and what of that would be followed.

Next: training/lvlm/simulate.py
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from heatmap.levels import to_score
from training.datasets.truth import Target
from tvad.events import FLAT, MAX_GAP_S, MIN_TRACK_S, REGION_SHARE, TRACKS_PER_EVENT, Span

THRESHOLD = 0.5
WEAK_CHANCE = (0.008, 0.3)  # how often an ordinary clip of that length reaches what a weak anomaly does
QUIET = 0.23  # heat of the ground, nearly always, without calibration


@dataclass(frozen=True)
class Faults:
    """How often and how much the simulated detector errs; every share in [0, 1], times in seconds."""

    anomalous: float = 0.5  # of the clips
    missed: float = 0.05  # of the anomalous things
    weak: float = 0.6  # of them: heat that rarely reaches the threshold, so no event, only a least usual moment
    broken: float = 0.12  # of the tracks
    late_s: float = 0.3  # mean delay of a track's start, and earliness of its end
    jitter: float = 0.35  # of a box centre, in heat cells
    warm: float = 0.6  # of the ordinary things: heat of their own
    stray: float = 0.3  # of the clips: the least usual of what is ordinary is a blob where nothing is
    alarm: float = 0.04  # of the clips: something ordinary is taken for an anomaly
    lost: float = 0.08  # of the clips without an event: what is least usual has no place that could be followed
    brief: float = 0.6  # of what is weak or ordinary: its heat comes and goes
    decoded: float = 0.3  # of the clips: the heat decoder was among the parts
    calibrated: float = 0.3  # of the clips: with a scene
    mislabel: float = 0.05  # of the tracks: looks of another thing
    unseen: float = 0.15  # of the tracks: the classifier did not look
    vague: float = 0.5  # of the other tracks: it looked, but does not know what it is
    found: float = 0.6  # of the people and motor vehicles: the finder of people knows them
    invented: float = 0.08  # of all else: it takes them for people
    told: float = 0.35  # of the anomalies: a head tells what kinds there are, this one among them


class Hot(NamedTuple):
    """A hot thing: its id in the truth (0: none), noun, rows of the sampled frames, boxes px, heat at each."""

    target: int
    noun: str
    rows: np.ndarray
    boxes: np.ndarray
    level: np.ndarray


def usual_peak(duration_s: float, rng: np.random.Generator) -> float:
    """The highest score of an ordinary clip: as if alarms of a level came at random at the rate which it promises."""
    per_hour = rng.exponential() * 3600 / duration_s
    return float(np.clip(to_score(np.array(-np.log(max(per_hour, 1e-6)))), 0.21, 0.9))


def weak_peak(duration_s: float, rng: np.random.Generator) -> float:
    """The score of a weak anomaly: one that a share of ordinary clips of that length reach, WEAK_CHANCE of them, small
    shares as likely as large ones are."""
    chance = float(np.exp(rng.uniform(*np.log(WEAK_CHANCE))))
    per_hour = -np.log1p(-chance) * 3600 / duration_s
    return float(np.clip(to_score(np.array(-np.log(per_hour))), 0.21, 0.9))


def brief(piece: Hot, times: np.ndarray, rng: np.random.Generator) -> Hot:
    """The piece with heat that stands out for about a second, where it does at all."""
    t = times[piece.rows]
    near = (t - rng.choice(t)) / rng.lognormal(0.0, 0.7)
    low = min(0.2, float(piece.level.min()))
    return piece._replace(level=low + (piece.level - low) * np.exp(-0.5 * near**2))


def heated(
    target: Target,
    span_s: tuple[float, float],
    high: float,
    times: np.ndarray,
    cell: np.ndarray,
    size_wh: tuple[int, int],
    faults: Faults,
    rng: np.random.Generator,
) -> list[Hot]:
    """The heat of a target in a stretch: one piece, two where it breaks, none where it is too short."""
    start, end = span_s[0] + rng.exponential(faults.late_s), span_s[1] - rng.exponential(faults.late_s)
    if end - start < 0.4:
        start, end = span_s
    rows = np.flatnonzero((times >= start) & (times <= end))
    pieces = [rows]
    if len(rows) > 12 and rng.random() < faults.broken:
        at, gap = int(rng.integers(4, len(rows) - 6)), int(rng.integers(2, 9))
        pieces = [rows[:at], rows[at + gap :]]
    out = []
    for piece in pieces:
        if len(piece) < 3:
            continue
        boxes = np.stack(
            [np.interp(times[piece], target.times_s, column) for column in zip(*target.boxes, strict=True)], 1
        )
        level = high - 0.05 * np.abs(_wander(rng, len(piece))) + rng.normal(0, 0.01, len(piece))
        out.append(
            Hot(target.id, target.noun, piece, _jittered(boxes, cell, size_wh, faults, rng), level.clip(0.2, 0.97))
        )
    return out


def _jittered(
    boxes: np.ndarray, cell: np.ndarray, size_wh: tuple[int, int], faults: Faults, rng: np.random.Generator
) -> np.ndarray:
    # Regions are cut from smooth heat: larger than the thing by up to a patch on each side, or a part of it.
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * rng.uniform(0.8, 1.15, 2) + cell * rng.uniform(0.0, 0.9, 2)
    shift = np.stack([_wander(rng, len(boxes)) for _ in range(2)], 1) * 0.6 + rng.normal(0, 0.5, (len(boxes), 2))
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + shift * cell * faults.jitter
    grow = 1 + 0.08 * _wander(rng, len(boxes))[:, None]
    corners = np.concatenate([centre - half * grow, centre + half * grow], 1)
    out = np.clip(corners, 0, np.tile(np.array(size_wh) - 1.0, 2))
    out[:, 2:] = np.maximum(out[:, 2:], out[:, :2] + 1)
    return out


def stray(
    high: float, times: np.ndarray, cell: np.ndarray, size_wh: tuple[int, int], rng: np.random.Generator
) -> list[Hot]:
    """A blob for a while where nothing is."""
    length = int(rng.integers(3, max(4, len(times) // 3)))
    first = int(rng.integers(0, max(1, len(times) - length)))
    rows = np.arange(first, min(first + length, len(times)))
    centre = rng.uniform(0.05, 0.95, 2) * size_wh + np.cumsum(rng.normal(0, 0.3, (len(rows), 2)), 0) * cell
    half = cell * rng.uniform(0.6, 2.5, 2)
    boxes = np.clip(np.concatenate([centre - half, centre + half], 1), 0, np.tile(np.array(size_wh) - 1.0, 2))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    level = high - 0.03 * np.abs(_wander(rng, len(rows)))
    return [Hot(0, "", rows, boxes, level.clip(0.2, 0.97))]


def _wander(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) slow noise of about unit size: white noise at every fourth step, straight lines between."""
    knots = rng.normal(0, 1, n // 4 + 2)
    return np.interp(np.arange(n) / 4, np.arange(len(knots)), knots)


def paint(hot: list[Hot], n: int, shape: tuple[int, int], cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(T, h, w) float16 heat: a quiet ground, weak flicker, a flat-topped blob for each hot thing."""
    ground = QUIET if rng.random() < 0.6 else rng.uniform(0.18, 0.24)
    heat = np.full((n, *shape), ground, np.float32)
    flicker = rng.integers(0, n * shape[0] * shape[1], n // 2)
    heat.reshape(-1)[flicker] += rng.exponential(0.04, len(flicker)).astype(np.float32)
    y, x = (np.arange(side, dtype=np.float32) + 0.5 for side in shape)
    for piece in hot:
        boxes = piece.boxes.astype(np.float32) / np.tile(cell, 2).astype(np.float32)
        centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
        # 0.5 is reached at the border of the box.
        edge = (
            max(float((THRESHOLD - ground) / max(piece.level.mean() - ground, 0.05)), 0.3) if piece.level.size else 0.5
        )
        sharp = -np.log(min(edge, 0.95))
        across = np.exp(-sharp * np.abs((x - centre[:, :1]) / half[:, :1]) ** 3)
        down = np.exp(-sharp * np.abs((y - centre[:, 1:]) / half[:, 1:]) ** 3)
        blob = (piece.level.astype(np.float32) - ground)[:, None, None] * (down[:, :, None] * across[:, None, :])
        heat[piece.rows] = np.maximum(heat[piece.rows], ground + blob)
    return np.clip(heat, 0, 1, out=heat).astype(np.float16)


def suspects_of(hot: list[Hot], moment: Span, times: np.ndarray, ground: float) -> list[Hot]:
    """What tvad/events.py follows where nothing reaches the threshold: the pieces of what is warm in the moment, cut
    between the ground and its top, hottest first; the hottest one where none lasts, none where all is flat."""
    inside = [_part(piece, (piece.rows >= moment.start) & (piece.rows <= moment.end)) for piece in hot]
    inside = [piece for piece in inside if len(piece.rows)]
    top = max(float(piece.level.max()) for piece in inside)
    if top - ground <= FLAT:
        return []
    cut = ground + REGION_SHARE * (top - ground)
    found: list[Hot] = []
    for piece in inside:
        warm = _part(piece, piece.level >= min(cut, top))
        apart = np.flatnonzero(np.diff(times[warm.rows]) > MAX_GAP_S) + 1
        for rows in np.split(np.arange(len(warm.rows)), apart):
            found += [_part(warm, rows)] if len(rows) else []
    found.sort(key=lambda h: -float(h.level.sum()))
    lasting = [h for h in found if times[h.rows[-1]] - times[h.rows[0]] >= MIN_TRACK_S]
    return lasting[:TRACKS_PER_EVENT] or found[:1]


def _part(piece: Hot, rows: np.ndarray) -> Hot:
    return piece._replace(rows=piece.rows[rows], boxes=piece.boxes[rows], level=piece.level[rows])
