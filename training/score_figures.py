"""Figures of scores over time: aligned with the truth frame by frame, each figure a function of how often videos count.

    aligned = align(predictions, truth, protocol)
    measure(aligned, protocol)["micro_auc"]          {"value", "low", "high", "protocol"}

Next: training/intervals.py
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter1d

from training.intervals import DRAWS, SHARE, CountedFrames, Interval, bootstrap_all, pooled
from training.metrics import event_scores, intervals, macro_auc, repeat_snippets
from training.score_files import UNKNOWN, Prediction, VideoTruth
from training.segment_metrics import MODES, SegmentMatches, TrueSegment, match_segments

ALIGNMENTS = ("video", "reference")
SNIPPET = 16  # frames
SIGMA = 48.0  # frames: three snippets

Figures = Callable[[np.ndarray], dict[str, float]]  # of how often each video counts


@dataclass(frozen=True)
class Protocol:
    """How to measure. align: "video" cuts or holds the scores to each video's frames; "reference" keeps snippet * n
    frames and cuts the truth. snippet: frames a score stands for, unless there is one for every frame. threshold: of
    alarms. sigma: of the smoothing, in frames. draws: of the intervals, 0 for none."""

    align: str = "video"
    snippet: int = SNIPPET
    map_mode: str = "anomaly_only"
    threshold: float = 0.5
    sigma: float = SIGMA
    share: float = SHARE
    draws: int = DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("align", ALIGNMENTS), ("map_mode", MODES)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; known: {', '.join(known)}")
        for name, low, what in (("snippet", 1, "1 or more"), ("draws", 0, "0 or more"), ("seed", 0, "0 or more")):
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; expected {what}")
        if not 0 < self.sigma < math.inf:
            raise ValueError(f"sigma is {self.sigma}; expected frames above 0")
        if not math.isfinite(self.threshold):
            raise ValueError(f"threshold is {self.threshold}; expected a finite score")
        if not 0 < self.share < 1:
            raise ValueError(f"share is {self.share}; expected between 0 and 1")


# Alignment


@dataclass
class Aligned:
    """All videos, frame by frame: scores (T,), labels (T,) bool, and for mAP probs (F, K), true segments and the K
    classes; probs is None where there is no mAP. F is T, or snippet * n in the reference modes."""

    truth: Sequence[VideoTruth]
    scores: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    probs: list[np.ndarray] | None = None
    segments: Sequence[Sequence[TrueSegment]] = ()
    classes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    def smoothed(self, sigma: float) -> "Aligned":
        """Scores and probabilities after a Gaussian over time, ends held; sigma in frames."""
        scores = [_smooth(s, sigma) for s in self.scores]
        probs = None if self.probs is None else [_smooth(p, sigma) for p in self.probs]
        return Aligned(self.truth, scores, self.labels, probs, self.segments, self.classes)


def align(
    predictions: Mapping[str, Prediction],
    truth: Sequence[VideoTruth],
    protocol: Protocol,
    map_truth: Sequence[VideoTruth] | None = None,
) -> Aligned:
    """Scores, labels and class probabilities of every frame of the videos of `truth`; map_truth: the segments of mAP,
    where they are not the same. ValueError for what cannot be aligned."""
    out = Aligned(truth)
    given = [predictions[own.video] for own in truth]
    steps = [_step(own, p, protocol) for own, p in zip(truth, given, strict=True)]
    late = off = 0
    for own, p, step in zip(truth, given, steps, strict=True):
        frames = _frames(own, p, step, protocol)
        label = np.zeros(frames, bool)
        for start, end, _ in own.segments:
            label[start:end] = True
            late += end > frames
        off += abs(step * p.scores.size - frames) >= max(2, step)
        out.scores.append(repeat_snippets(p.scores, frames, step))
        out.labels.append(label)
    if late:
        out.notes.append(f"{late} segments end after their video does and were cut")
    if off:
        out.notes.append(f"the scores of {off} videos end a snippet or more before or after their video does")
    _add_classes(out, given, steps, protocol, truth if map_truth is None else map_truth)
    return out


def _step(own: VideoTruth, p: Prediction, protocol: Protocol) -> int:
    """Frames a score stands for."""
    return 1 if p.scores.size == (own.frames or p.frames) else protocol.snippet


def _frames(own: VideoTruth, p: Prediction, step: int, protocol: Protocol) -> int:
    covered = step * p.scores.size
    if protocol.align == "reference":
        return covered
    frames = own.frames or p.frames
    if frames is None:
        raise ValueError(
            f"nothing says how many frames {own.video} has: put `frames` into its .npz, or align=reference"
        )
    if covered < frames // 2 or covered > 2 * max(frames, step):
        raise ValueError(
            f"{own.video} has {frames} frames, its {p.scores.size} scores stand for {step} each; see --snippet"
        )
    return frames


def _add_classes(
    out: Aligned, given: Sequence[Prediction], steps: Sequence[int], protocol: Protocol, truth: Sequence[VideoTruth]
) -> None:
    """What mAP needs, or a note why there is none."""
    names = {p.class_names for p in given}
    if len(names) > 1:
        raise ValueError(f"class_names are not the same in all predictions: {' or '.join(sorted(map(str, names)))}")
    by_video = {own.video: own.segments for own in truth}
    out.segments = [by_video.get(own.video, ()) for own in out.truth]
    if names == {()}:
        out.notes.append("no mAP: the predictions hold no class_probs")
    elif any(name == UNKNOWN for own in out.segments for *_, name in own):
        out.notes.append("no mAP: the truth does not say the class of every segment (see --map-truth)")
    else:
        out.classes, out.probs = names.pop(), []
        for p, step, scores in zip(given, steps, out.scores, strict=True):
            # The reference modes keep all frames of all snippets, whatever the alignment.
            frames = scores.size if protocol.map_mode == "anomaly_only" else None
            assert p.class_probs is not None
            out.probs.append(p.class_probs[repeat_snippets(np.arange(p.scores.size), frames, step)])


def _smooth(values: np.ndarray, sigma: float) -> np.ndarray:
    # The weights add up to 1 but for the last bits, which must not lead out of [0, 1].
    return np.clip(gaussian_filter1d(values, sigma, axis=0, mode="nearest"), values.min(0), values.max(0))


# Figures


def frame_figures(aligned: Aligned, protocol: Protocol) -> Figures:
    """Every figure of frames, events and whole videos, by name."""
    anomalous = np.array([bool(own.labels) for own in aligned.truth])
    frames = CountedFrames(aligned.scores, aligned.labels)
    index = np.flatnonzero(anomalous)
    only = CountedFrames([aligned.scores[i] for i in index], [aligned.labels[i] for i in index]) if index.size else None
    whole = CountedFrames(list(pooled(aligned.scores)[:, None]), list(anomalous[:, None]))
    macro, padded = _own_auc(aligned, False), _own_auc(aligned, True)
    events = _events(aligned, protocol.threshold)

    def figures(counts: np.ndarray) -> dict[str, float]:
        ranked = frames.figures(counts)
        out = {"micro_auc": ranked.auc, "macro_auc": _mean(macro, counts), "macro_auc_padded": _mean(padded, counts)}
        out |= {"ap_step": ranked.step, "ap_trapezoid": ranked.trapezoid}
        out["ano_auc"] = only.auc(counts[anomalous]) if only else math.nan
        out["video_auc"] = whole.auc(counts)
        false, ordinary_h, found, true = counts @ events
        out["false_alarms_per_hour"] = false / ordinary_h if ordinary_h > 0 else math.nan
        out["events_found"] = found / true if true else math.nan
        return {name: float(value) for name, value in out.items()}

    return figures


def _own_auc(aligned: Aligned, pad: bool) -> np.ndarray:
    """(videos,) AUC of each; NaN where it has none, and for padding with scores outside [0, 1]."""
    if pad and any(s.min() < 0 or s.max() > 1 for s in aligned.scores):
        return np.full(len(aligned.scores), np.nan)
    pairs = zip(aligned.scores, aligned.labels, strict=True)
    return np.array([macro_auc([s], [y], pad) if pad or (y.any() and not y.all()) else math.nan for s, y in pairs])


def _mean(values: np.ndarray, counts: np.ndarray) -> float:
    known = ~np.isnan(values)
    n = counts[known].sum()
    return float(values[known] @ counts[known] / n) if n else math.nan


def _events(aligned: Aligned, threshold: float) -> np.ndarray:
    """(videos, 4): false alarms, hours outside true events (NaN without fps), true events found, true events."""
    rows = []
    for own, score, label in zip(aligned.truth, aligned.scores, aligned.labels, strict=True):
        fps = own.fps or 1.0
        alarms, events = intervals(score >= threshold, fps), intervals(label, fps)
        found = event_scores([alarms], [events], [score.size / fps])
        hours = found.ordinary_s / 3600 if own.fps else math.nan
        rows.append((found.false_alarms, hours, found.found, found.events))
    return np.array(rows)


def map_figures(matches: SegmentMatches) -> Figures:
    """mAP in percent at each IoU, and their mean.

    Their intervals are rough where classes have few events: a video that is drawn twice raises the precision at its own
    segments, and mAP itself falls as a set of the same kind grows.
    """

    def figures(counts: np.ndarray) -> dict[str, float]:
        scores = matches.scores(counts)
        each = zip(scores.ious, scores.mean_ap, strict=True)
        return {f"map@{iou:g}": value for iou, value in each} | {"map_average": scores.average}

    return figures


def measure(aligned: Aligned, protocol: Protocol) -> dict[str, dict[str, Any]]:
    """{name: {"value", "low", "high", "protocol"}}; values that are not defined are NaN."""
    videos = len(aligned.truth)
    said = _protocols(protocol)
    parts = [frame_figures(aligned, protocol)]
    if aligned.probs is not None:
        matches = match_segments(aligned.probs, aligned.segments, aligned.classes, protocol.map_mode)
        parts.append(map_figures(matches))
        averaged = len(matches.scores().classes)
        for name in (*(f"map@{iou:g}" for iou in matches.ious), "map_average"):
            said[name] = f"percent, mode {protocol.map_mode}, {averaged} classes averaged"

    def figures(counts: np.ndarray) -> dict[str, float]:
        return {name: value for part in parts for name, value in part(counts).items()}

    with warnings.catch_warnings():
        # What is not defined shows as such in the table.
        warnings.simplefilter("ignore")
        values = figures(np.ones(videos, int))
        nothing = dict.fromkeys(values, Interval(math.nan, math.nan))
        found = nothing
        if protocol.draws:
            found = bootstrap_all(figures, videos, protocol.share, protocol.draws, protocol.seed)
    return {
        name: {"value": value, "low": found[name].low, "high": found[name].high, "protocol": said[name]}
        for name, value in values.items()
    }


def _protocols(p: Protocol) -> dict[str, str]:
    return {
        "micro_auc": "ROC AUC of all frames together",
        "macro_auc": "pad=False: mean of videos' AUCs, those of one class left out",
        "macro_auc_padded": "pad=True: each video with a normal frame of 0, an anomalous one of 1",
        "ap_step": "average precision of all frames, mode step",
        "ap_trapezoid": "average precision of all frames, mode trapz",
        "ano_auc": "ROC AUC of the frames of anomalous videos",
        "video_auc": "ROC AUC of videos, each by its highest frame",
        "false_alarms_per_hour": f"runs of frames at {p.threshold:g} or more that meet no event, outside events",
        "events_found": f"share of events that a run of frames at {p.threshold:g} or more meets",
    }
