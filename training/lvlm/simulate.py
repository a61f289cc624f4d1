"""A drawn scene as the detector would have found it: Evidence, curves, heat and looks with its usual faults.

Boxes jitter by about a patch, tracks begin late, end early or break, things are missed, normal clips have heat of their
own, labels and colours are sometimes wrong. What the detector saw nothing of is taken out of the truth, and so are
names and deeds that its evidence does not tell: nobody could answer for them. What it saw only weakly stays, and so
does false heat: telling them apart is the task. The highest level of what is ordinary is drawn from what a score
promises (heatmap/levels.py: how often an hour ordinary footage reaches it). Without calibration most anomalies stay
below the threshold of one false alarm an hour, and whoever asks about a clip of ten seconds expects more: so most of
them here do, down to what every third ordinary clip of that length reaches as well. What is weak is shown for as long
as its heat stands out, and so is what else is as warm by then.

Next: training/lvlm/looks.py
"""

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np

from heatmap.levels import to_rarity, to_score
from heatmap.motion import cell_path, describe_motion, entry_exit
from training.datasets.truth import ClipTruth
from training.lvlm.heated import THRESHOLD, Faults, Hot, brief, heated, paint, stray, suspects_of, usual_peak, weak_peak
from training.lvlm.looks import Looked, Real, looked_at, with_found
from training.lvlm.named import knows, told_of
from training.lvlm.scenes import BASE_COLOURS, draw_truth
from training.lvlm.tellable import Known, tellable
from tvad.classifier import N_CLASSES
from tvad.events import Span, find_events
from tvad.evidence import Curves, Event, Evidence, Motion, Track, TrackBox, VideoMeta
from tvad.findings import confidence, summarise
from tvad.kinds import FALLING
from tvad.sight import EVERY_S, GRID, Sight

PATCH_CHANNELS = 152


class Sample(NamedTuple):
    """A clip's truth, as far as what the detector made of it can tell (training/lvlm/tellable.py), and that. matched:
    id of a track -> id of the target it follows; of the suspects' tracks where no event was found."""

    truth: ClipTruth
    evidence: Evidence
    curves: Curves
    matched: dict[int, int]


class _Told(NamedTuple):
    """matched: as in Sample; the others: ids of targets, as tellable's Known wants them."""

    matched: dict[int, int]
    clear: set[int]
    coloured: set[int]
    vehicles: set[int]
    named: set[int]


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
    hot: list[Hot] = []
    missed: list[int] = []
    for target in truth.targets:
        if target.anomaly is None:
            continue
        fate = rng.random()
        if fate < faults.missed:
            missed.append(target.id)
            continue
        weak = fate < faults.missed + faults.weak
        high = weak_peak(truth.duration_s, rng) if weak else rng.uniform(0.53, 0.88)
        pieces = heated(target, target.anomalous_s[0], high, times, cell, truth.size_wh, faults, rng)
        hot += [brief(piece, times, rng) for piece in pieces] if weak and rng.random() < faults.brief else pieces
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
            pieces = heated(target, span, high, times, cell, truth.size_wh, faults, rng)
            hot += [brief(piece, times, rng) for piece in pieces] if rng.random() < faults.brief else pieces
    if alarming is None:  # something is the least usual in any clip
        hot += stray(peak, times, cell, truth.size_wh, rng)
    heat = paint(hot, len(times), shape, cell, rng)
    return _conclude(truth, fps, times, heat, hot, faults, rng, real)


def _conclude(
    truth: ClipTruth,
    fps: float,
    times: np.ndarray,
    heat: np.ndarray,
    hot: list[Hot],
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
        moment = find_events(rarity, times, float(rarity.max()))[0]
        lost = rng.random() < faults.lost
        suspects = [] if lost else suspects_of(hot, moment, times, float(np.median(heat)))
        events, tracks, kept, told = _told(suspects, [moment], truth, times, peak, faults, rng, real)
    else:
        events, tracks, kept, told = _told(shown, spans, truth, times, peak, faults, rng, real)
    truth = tellable(truth, Known(told.clear, told.coloured, told.vehicles, told.named))
    source_times = np.arange(round(truth.duration_s * truth.fps)) / truth.fps
    scores = to_score(np.interp(source_times, times, rarity))
    parts = _parts(scores, [e for e in events if spans], truth.duration_s, faults, rng)
    width, height = truth.size_wh
    scene = bool(rng.random() < faults.calibrated)
    evidence = Evidence(
        video=VideoMeta(truth.id, "", truth.duration_s, truth.fps, width, height),
        preset="mini",
        versions={},
        settings={"fps": fps, "false_alarms_per_hour": 1.0},
        events=tuple(events),
        tracks=tuple(tracks),
        has_anomaly=bool(events),
        confidence=confidence(
            float(rarity.max()), max(truth.duration_s, 2.0) / 3600, bool(spans), 0.99 if scene else 0.85
        ),
        summary=summarise(events, tracks),
        calibration="scene" if scene else "uncalibrated",
        peak_score=round(float(peak.max()), 4),
    )
    odd = evidence.to_json() if events and not spans else ""
    if not spans:
        evidence = replace(evidence, events=(), tracks=(), has_anomaly=False, summary=summarise([], []))
    sight = Sight(*_pictures(truth.duration_s, rng), *kept, odd)
    return Sample(truth, evidence, Curves(source_times, scores, times, heat, parts=parts, sight=sight), told.matched)


def _parts(
    scores: np.ndarray, events: list[Event], duration_s: float, faults: Faults, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Curves of the parts: those that raised an event follow the score, others stay at what ordinary clips reach; where
    none is found, any one of the three (the head has no curve here) gave the score."""
    raised = {part for e in events for part in e.raised_by} or {("memory", "words", "head")[rng.integers(3)]}
    curves = {}
    for part in ("memory", "words", *(["decoder"] if rng.random() < faults.decoded else [])):
        limit = 1.0 if part in raised else usual_peak(duration_s * rng.uniform(0.3, 1.5), rng)
        curves[part] = np.minimum(scores, limit).astype(np.float32)
    return curves


def _told(
    hot: list[Hot],
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
    out = _Told({}, set(), set(), set(), set())
    by_id = {t.id: t for t in truth.targets}
    for piece in hot:
        number = len(tracks) + 1
        target = by_id.get(piece.target)
        seen = looked_at(target, rng, faults.mislabel, faults.unseen, faults.vague, real)
        seen = with_found(seen, target, rng, faults.found, faults.invented)
        tracks.append(_track(number, piece, times, truth, seen))
        looks.append(seen.logits)
        colours.append(seen.colours)
        words[number] = seen.is_word
        if target is not None:
            out.matched[number] = target.id
            out.clear.update([target.id] if seen.clear else [])
            out.coloured.update([target.id] if seen.colours.any() else [])
            out.vehicles.update([target.id] if seen.found == "motor vehicle" else [])
    events: list[Event] = []
    kinds = knows({t.anomaly for t in truth.anomalous if t.anomaly}, rng, faults.told)
    for span in spans:
        a, b, p = (float(times[i]) for i in (span.start, span.end, span.peak))
        own = [t for t in tracks if t.start_s <= b and t.end_s >= a]
        own.sort(key=lambda t: -sum(box.score for box in t.boxes if a <= box.t_s <= b))
        own = own[:5]
        word = own[0].label if own and words[own[0].id] else None
        there = [t for t in truth.anomalous if t.anomalous_s[0][0] <= b and t.anomalous_s[-1][1] >= a]
        said = told_of({t.anomaly for t in there if t.anomaly}, kinds, rng)
        out.named.update(t.id for t in there if t.anomaly == said.name)
        word = None if said.name == FALLING else word
        usual = ("unusual movement", "unusual appearance", "unusual appearance and movement")[rng.integers(3)]
        kind = word or (said.name if said.named else usual)
        raised = ("memory", "words") if word else (("memory",), ("decoder",), ("memory", "decoder"))[rng.integers(3)]
        score = round(float(peak[span.peak]), 4)
        ids = tuple(t.id for t in own)
        events.append(Event(len(events) + 1, a, b, p, score, kind, ids, raised, said.name, dict(said.probs)))
    return events, tracks, _stacked(looks, colours), out


def _track(number: int, piece: Hot, times: np.ndarray, truth: ClipTruth, seen: Looked) -> Track:
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
