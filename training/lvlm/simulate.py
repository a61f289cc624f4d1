"""A drawn scene as the detector would have found it: Evidence, curves, heat and looks with its usual faults.

Boxes jitter by about a patch, tracks begin late, end early or break, things are missed, normal clips have heat of their
own, labels and colours are sometimes wrong. What the detector saw nothing of is taken out of the truth, and so are
names and deeds that its evidence does not tell: nobody could answer for them. What it saw only weakly stays, and so
does false heat: telling them apart is the task. The highest level of what is ordinary is drawn from what a score
promises (heatmap/levels.py: how often an hour ordinary footage reaches it). Without calibration most anomalies stay
below the threshold of one false alarm an hour, and whoever asks about a clip of ten seconds expects more: so half of
them here do, down to what ordinary clips reach as well.

Next: training/lvlm/looks.py
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy as np

from heatmap.levels import to_rarity, to_score
from heatmap.motion import cell_path, describe_motion, entry_exit
from training.datasets.truth import ClipTruth, Target
from training.lvlm.looks import Looked, Real, looked_at
from training.lvlm.scenes import BASE_COLOURS, draw_truth
from training.lvlm.tellable import tellable
from tvad.classifier import N_CLASSES
from tvad.events import Span, find_events
from tvad.evidence import Curves, Event, Evidence, Motion, Track, TrackBox, VideoMeta
from tvad.findings import confidence, summarise
from tvad.sight import EVERY_S, GRID, Sight

THRESHOLD = 0.5
WEAK_NATS = (-5.0, 0.0)  # rarity of an anomaly below the threshold: 150 times to once an hour
PATCH_CHANNELS = 152


@dataclass(frozen=True)
class Faults:
    """How often and how much the simulated detector errs; every share in [0, 1], times in seconds."""

    anomalous: float = 0.5  # of the clips
    missed: float = 0.05  # of the anomalous things
    weak: float = 0.5  # of them: heat below the threshold, so no event, only a least usual moment
    broken: float = 0.12  # of the tracks
    late_s: float = 0.3  # mean delay of a track's start, and earliness of its end
    jitter: float = 0.35  # of a box centre, in heat cells
    warm: float = 0.6  # of the ordinary things: heat of their own
    stray: float = 0.3  # of the clips: the least usual of what is ordinary is a blob where nothing is
    alarm: float = 0.06  # of the clips: something ordinary is taken for an anomaly
    mislabel: float = 0.05  # of the tracks: looks of another thing
    unseen: float = 0.15  # of the tracks: the classifier did not look
    vague: float = 0.5  # of the other tracks: it looked, but does not know what it is


class Sample(NamedTuple):
    """A clip's truth, as far as what the detector made of it can tell (training/lvlm/tellable.py), and that. matched:
    id of a track -> id of the target it follows; of the suspects' tracks where no event was found."""

    truth: ClipTruth
    evidence: Evidence
    curves: Curves
    matched: dict[int, int]


class _Told(NamedTuple):
    """matched: as in Sample; known, coloured: ids of targets, as tellable wants them."""

    matched: dict[int, int]
    known: set[int]
    coloured: set[int]


class _Hot(NamedTuple):
    """A hot thing: its id in the truth (0: none), noun, rows of the sampled frames, boxes px, heat at each."""

    target: int
    noun: str
    rows: np.ndarray
    boxes: np.ndarray
    level: np.ndarray


def simulate(seed: int, faults: Faults | None = None, split: str = "train") -> Iterator[Sample]:
    """Endless samples; the n-th is the same for the same seed, faults and split, however many were drawn before."""
    number = 0
    while True:
        yield sample(seed, number, faults, split)
        number += 1


def sample(
    seed: int, number: int, faults: Faults | None = None, split: str = "train", real: Real | None = None
) -> Sample:
    """The n-th sample of a seed; the seeds of the splits differ. real: looks that the classifier gave to footage."""
    faults = faults or Faults()
    rng = np.random.default_rng([("train", "validation", "test").index(split), seed, number])
    anomalous = bool(rng.random() < faults.anomalous)
    while True:
        found = _observe(draw_truth(rng, number, anomalous, split), faults, rng, real)
        if found is not None:
            return found


def _observe(truth: ClipTruth, faults: Faults, rng: np.random.Generator, real: Real | None) -> Sample | None:
    """None when nothing was seen of an anomalous clip's anomalies."""
    fps = float(rng.choice((7.5, 8.0, 25 / 3, 10.0)))
    times = np.arange(0.0, truth.duration_s, 1 / fps)
    shape = (28, 52) if truth.size_wh[0] / truth.size_wh[1] > 1.6 else (32, 44)
    cell = np.array(truth.size_wh) / np.array(shape[::-1])
    hot: list[_Hot] = []
    missed: list[int] = []
    for target in truth.targets:
        if target.anomaly is None:
            continue
        fate = rng.random()
        if fate < faults.missed:
            missed.append(target.id)
            continue
        weak = fate < faults.missed + faults.weak
        high = float(to_score(np.array(rng.uniform(*WEAK_NATS)))) if weak else rng.uniform(0.53, 0.88)
        hot += _heated(target, target.anomalous_s[0], high, times, cell, truth.size_wh, faults, rng)
    seen = {h.target for h in hot}
    gone = {t.id for t in truth.anomalous} - seen
    if truth.has_anomaly:
        truth = replace(truth, targets=tuple(t for t in truth.targets if t.id not in gone))
        if not truth.has_anomaly:
            return None
    ordinary = [t for t in truth.targets if t.anomaly is None]
    alarming = ordinary[rng.integers(len(ordinary))] if ordinary and rng.random() >= faults.stray else None
    peak = rng.uniform(0.4, 0.68) if rng.random() < faults.alarm else usual_peak(truth.duration_s, rng)
    for target in ordinary:
        span = target.times_s[0], target.times_s[-1]
        high = peak if target is alarming else rng.uniform(0.2, peak)
        if target is alarming or rng.random() < faults.warm:
            hot += _heated(target, span, high, times, cell, truth.size_wh, faults, rng)
    if alarming is None:  # something is the least usual in any clip
        hot += _stray(peak, times, cell, truth.size_wh, rng)
    heat = _paint(hot, len(times), shape, cell, rng)
    return _conclude(truth, fps, times, heat, hot, faults, rng, real)


def usual_peak(duration_s: float, rng: np.random.Generator) -> float:
    """The highest score of an ordinary clip: as if alarms of a level came at random at the rate which it promises."""
    per_hour = rng.exponential() * 3600 / duration_s
    return float(np.clip(to_score(np.array(-np.log(max(per_hour, 1e-6)))), 0.21, 0.9))


def _heated(
    target: Target,
    span_s: tuple[float, float],
    high: float,
    times: np.ndarray,
    cell: np.ndarray,
    size_wh: tuple[int, int],
    faults: Faults,
    rng: np.random.Generator,
) -> list[_Hot]:
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
            _Hot(target.id, target.noun, piece, _jittered(boxes, cell, size_wh, faults, rng), level.clip(0.2, 0.97))
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


def _stray(
    high: float, times: np.ndarray, cell: np.ndarray, size_wh: tuple[int, int], rng: np.random.Generator
) -> list[_Hot]:
    """A blob for a while where nothing is."""
    length = int(rng.integers(3, max(4, len(times) // 3)))
    first = int(rng.integers(0, max(1, len(times) - length)))
    rows = np.arange(first, min(first + length, len(times)))
    centre = rng.uniform(0.05, 0.95, 2) * size_wh + np.cumsum(rng.normal(0, 0.3, (len(rows), 2)), 0) * cell
    half = cell * rng.uniform(0.6, 2.5, 2)
    boxes = np.clip(np.concatenate([centre - half, centre + half], 1), 0, np.tile(np.array(size_wh) - 1.0, 2))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    level = high - 0.03 * np.abs(_wander(rng, len(rows)))
    return [_Hot(0, "", rows, boxes, level.clip(0.2, 0.97))]


def _wander(rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) slow noise of about unit size: white noise at every fourth step, straight lines between."""
    knots = rng.normal(0, 1, n // 4 + 2)
    return np.interp(np.arange(n) / 4, np.arange(len(knots)), knots)


def _paint(hot: list[_Hot], n: int, shape: tuple[int, int], cell: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(T, h, w) float16 heat: a quiet ground, weak flicker, a flat-topped blob for each hot thing."""
    ground = rng.uniform(0.18, 0.24)
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


def _conclude(
    truth: ClipTruth,
    fps: float,
    times: np.ndarray,
    heat: np.ndarray,
    hot: list[_Hot],
    faults: Faults,
    rng: np.random.Generator,
    real: Real | None,
) -> Sample:
    """Events and tracks from the hot things, or where nothing reaches the threshold, from the hottest one."""
    peak = np.full(len(times), float(heat[0].min()))
    for piece in hot:
        peak[piece.rows] = np.maximum(peak[piece.rows], piece.level)
    rarity = to_rarity(peak).astype(np.float32)
    spans = find_events(rarity, times, 0.0)
    shown = [piece for piece in hot if piece.level.max() >= THRESHOLD]
    if not spans and hot:
        hottest = max(hot, key=lambda h: float(h.level.max()))
        moment = find_events(rarity, times, float(rarity.max()))[0]
        inside = (hottest.rows >= moment.start) & (hottest.rows <= moment.end)
        cut = hottest._replace(rows=hottest.rows[inside], boxes=hottest.boxes[inside], level=hottest.level[inside])
        events, tracks, kept, told = _told([cut], [moment], truth, times, peak, faults, rng, real)
    else:
        events, tracks, kept, told = _told(shown, spans, truth, times, peak, faults, rng, real)
    truth = tellable(truth, told.known, told.coloured)
    source_times = np.arange(round(truth.duration_s * truth.fps)) / truth.fps
    scores = to_score(np.interp(source_times, times, rarity))
    dull = (scores * rng.uniform(0.7, 1.0)).astype(np.float32)
    words = np.full_like(scores, max([e.score for e in events if "words" in e.raised_by], default=0.23))
    width, height = truth.size_wh
    evidence = Evidence(
        video=VideoMeta(truth.id, "", truth.duration_s, truth.fps, width, height),
        preset="mini",
        versions={},
        settings={"fps": fps, "false_alarms_per_hour": 1.0},
        events=tuple(events),
        tracks=tuple(tracks),
        has_anomaly=bool(events),
        confidence=confidence(float(rarity.max()), max(truth.duration_s, 2.0) / 3600, bool(spans), 0.85),
        summary=summarise(events, tracks),
        peak_score=round(float(peak.max()), 4),
    )
    suspects = evidence.to_json() if events and not spans else ""
    if not spans:
        evidence = replace(evidence, events=(), tracks=(), has_anomaly=False, summary=summarise([], []))
    sight = Sight(*_pictures(truth.duration_s, rng), *kept, suspects)
    parts = {"memory": scores, "decoder": dull, "words": words}
    return Sample(truth, evidence, Curves(source_times, scores, times, heat, parts=parts, sight=sight), told.matched)


def _told(
    hot: list[_Hot],
    spans: list[Span],
    truth: ClipTruth,
    times: np.ndarray,
    peak: np.ndarray,
    faults: Faults,
    rng: np.random.Generator,
    real: Real | None,
) -> tuple[list[Event], list[Track], tuple[np.ndarray, np.ndarray], _Told]:
    """Events, tracks, their looks and colours, and what is told of the targets."""
    tracks: list[Track] = []
    looks, colours = [], []
    words: dict[int, bool] = {}
    out = _Told({}, set(), set())
    by_id = {t.id: t for t in truth.targets}
    for piece in hot:
        number = len(tracks) + 1
        target = by_id.get(piece.target)
        seen = looked_at(target, rng, faults.mislabel, faults.unseen, faults.vague, real)
        tracks.append(_track(number, piece, times, truth, seen))
        looks.append(seen.logits)
        colours.append(seen.colours)
        words[number] = seen.is_word
        if target is not None:
            out.matched[number] = target.id
            out.known.update([target.id] if seen.clear else [])
            out.coloured.update([target.id] if seen.colours.any() else [])
    events: list[Event] = []
    for span in spans:
        a, b, p = (float(times[i]) for i in (span.start, span.end, span.peak))
        own = [t for t in tracks if t.start_s <= b and t.end_s >= a]
        own.sort(key=lambda t: -sum(box.score for box in t.boxes if a <= box.t_s <= b))
        own = own[:5]
        word = own[0].label if own and words[own[0].id] else None
        kind = word or ("unusual movement", "unusual appearance", "unusual appearance and movement")[rng.integers(3)]
        raised = ("memory", "words") if word else (("memory",), ("decoder",), ("memory", "decoder"))[rng.integers(3)]
        score = round(float(peak[span.peak]), 4)
        events.append(Event(len(events) + 1, a, b, p, score, kind, tuple(t.id for t in own), raised))
    return events, tracks, _stacked(looks, colours), out


def _track(number: int, piece: _Hot, times: np.ndarray, truth: ClipTruth, seen: Looked) -> Track:
    t, boxes = times[piece.rows], piece.boxes.round(1)
    entry, exit_ = entry_exit(t, boxes, truth.size_wh, float(times[0]), float(times[-1]))
    shares = seen.colours.mean(0)
    named = [BASE_COLOURS[i] for i in np.argsort(-shares)[:2] if shares[i] > 0.2]
    area = float(np.median((boxes[:, 2:] - boxes[:, :2]).prod(1))) / (truth.size_wh[0] * truth.size_wh[1])
    size = "small" if area < 0.01 else "medium-sized" if area < 0.08 else "large"
    return Track(
        id=number,
        label=seen.label,
        label_confidence=round(seen.sure, 3),
        appearance=f"{size} {' and '.join(named)}".strip(),
        boxes=tuple(
            TrackBox(s, (b[0], b[1], b[2], b[3]), v)
            for s, b, v in zip(t.round(4).tolist(), boxes.tolist(), piece.level.round(4).tolist(), strict=True)
        ),
        trajectory=cell_path(boxes, truth.size_wh),
        motion=Motion(**asdict(describe_motion(t, boxes, truth.size_wh))),
        entry=entry,
        exit=exit_,
    )


def _pictures(duration_s: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Picture times and features (S, 3, 4, C) that tell nothing, at the size of real ones."""
    times = np.arange(0.0, duration_s, EVERY_S)
    level = 1 / np.sqrt(PATCH_CHANNELS)
    scene = rng.standard_normal((1, *GRID, PATCH_CHANNELS), np.float32) * level
    change = rng.standard_normal((len(times), *GRID, PATCH_CHANNELS), np.float32) * (0.3 * level)
    return times, (scene + change).astype(np.float16)


def _stacked(looks: list[np.ndarray], colours: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    if not looks:
        return np.zeros((0, N_CLASSES), np.float16), np.zeros((0, 2, len(BASE_COLOURS)), np.float16)
    return np.stack(looks).astype(np.float16), np.stack(colours).astype(np.float16)
