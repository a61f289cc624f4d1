"""Fine-grained mAP at temporal IoU: which class of anomaly, and from when to when. Pure functions of arrays.

The variant of the ActivityNet metric that came with VadCLIP (Wu et al., AAAI 2024): segments are cut out of class
probabilities at one threshold of each video and class, scored by their peak and the video's own evidence of the class,
and matched greedily. Published figures depend on which classes are averaged, so there are three modes:

    anomaly_only    classes that occur in the truth, without the normal one; for figures of our own
    reference_ucf   as published for UCF-Crime: the normal class counts but has no truth, so that the ceiling is 13/14
    reference_xd    as published for XD-Violence: the normal class counts, and a normal video is one segment of it

Figures of different modes are not comparable. Next: training/intervals.py
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

TrueSegment = tuple[int, int, str]  # first frame, frame after the last, class

MODES = ("anomaly_only", "reference_ucf", "reference_xd")
IOUS = (0.1, 0.2, 0.3, 0.4, 0.5)
DROP = 0.6  # share of a column's range that a frame may stay below its peak
TOP_SHARE = 16  # one frame in so many says how strongly a video shows a class
EVIDENCE_WEIGHT = 0.7
SHORTEST = 2  # frames

_NORMAL = frozenset({"normal", "a"})


def is_normal(name: str) -> bool:
    """Whether a class name means "nothing anomalous": "Normal", or the "A" of XD-Violence."""
    return name.casefold() in _NORMAL


class Segments(NamedTuple):
    """Predicted segments of one video, by class and start; (P,) each. Half-open in frames."""

    classes: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    scores: np.ndarray


def cut_segments(probs: np.ndarray) -> Segments:
    """Runs of frames strictly above max - 0.6 (max - min) of their class, at least two frames long.

    probs: (F, K) class probabilities of one video's frames, F and K above 0, finite. A segment's score is its peak +
    0.7 times the mean of the highest sixteenth of the video's frames. A constant column has no segments.
    """
    values = np.asarray(probs, np.float64)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise ValueError(f"class probabilities have shape {values.shape}; expected (F, K), above 0, of finite numbers")
    frames = len(values)
    top = max(1, frames // TOP_SHARE)
    # Sorted, so that equal sets of values have equal means to the last bit, and tie.
    evidence = np.sort(values, axis=0)[: frames - top - 1 : -1].mean(0)
    high, low = values.max(0), values.min(0)
    above = (values > high - DROP * (high - low)).T
    edges = np.diff(np.pad(above, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    classes, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    kept = ends - starts >= SHORTEST
    classes, starts, ends = classes[kept], starts[kept], ends[kept]
    if not classes.size:
        return Segments(classes, starts, ends, np.zeros(0))
    # One more column a class, so that a segment may end where the video does.
    flat = np.pad(values.T, ((0, 0), (0, 1))).ravel()
    bounds = np.stack((starts, ends), axis=1) + (classes * (frames + 1))[:, None]
    peaks = np.maximum.reduceat(flat, bounds.ravel())[::2]
    return Segments(classes, starts, ends, peaks + EVIDENCE_WEIGHT * evidence[classes])


@dataclass(frozen=True)
class SegmentScores:
    """ap: (number of IoUs, number of classes) in [0, 1], of the classes named; mean_ap: their mean at each IoU, in
    percent, and 0 where a reference mode gives up; average: mean over the IoUs. Report them with the mode."""

    mode: str
    ious: tuple[float, ...]
    classes: tuple[str, ...]
    ap: np.ndarray
    mean_ap: tuple[float, ...]

    @property
    def average(self) -> float:
        return float(np.mean(self.mean_ap))


@dataclass(frozen=True)
class SegmentMatches:
    """Who matched what, from which the figure follows for the videos as they are, or drawn anew.

    videos: for each class, the video of each of its segments by falling score. hits: for each class (IoUs, segments)
    bool. truths: (videos, classes) true segments.
    """

    mode: str
    classes: tuple[str, ...]
    ious: tuple[float, ...]
    videos: tuple[np.ndarray, ...]
    hits: tuple[np.ndarray, ...]
    truths: np.ndarray

    def scores(self, counts: np.ndarray | None = None) -> SegmentScores:
        """counts: how often each video counts, (videos,) whole numbers; None for once each. NaN with a warning where
        anomaly_only finds no anomalous truth."""
        counts = np.ones(len(self.truths), int) if counts is None else np.asarray(counts)
        totals = counts @ self.truths
        repeats = [counts[videos] for videos in self.videos]
        ap = np.stack([_ap(h, n, t) for h, n, t in zip(self.hits, repeats, totals, strict=True)], axis=1)
        averaged = np.arange(len(self.classes))
        if self.mode == "anomaly_only":
            averaged = averaged[totals > 0]  # the normal class has none in this mode
            if not averaged.size:
                warnings.warn("mAP: no class has an anomalous segment; the result is NaN", stacklevel=2)
        means = 100 * ap[:, averaged].mean(1) if averaged.size else np.full(len(self.ious), np.nan)
        if self.mode != "anomaly_only" and not all(n.any() for n in repeats):
            # The published code gives up where any class has no segment at all.
            means = np.zeros(len(self.ious))
        names = tuple(self.classes[i] for i in averaged)
        return SegmentScores(self.mode, self.ious, names, ap[:, averaged], tuple(map(float, means)))


def segment_map(
    probs: Sequence[np.ndarray],
    truth: Sequence[Sequence[TrueSegment]],
    classes: Sequence[str],
    mode: str = "anomaly_only",
    ious: Sequence[float] = IOUS,
) -> SegmentScores:
    """mAP at each IoU; arguments and errors as `match_segments`."""
    return match_segments(probs, truth, classes, mode, ious).scores()


def match_segments(
    probs: Sequence[np.ndarray],
    truth: Sequence[Sequence[TrueSegment]],
    classes: Sequence[str],
    mode: str = "anomaly_only",
    ious: Sequence[float] = IOUS,
) -> SegmentMatches:
    """Cut the segments of all videos and match them to the truth, greedily by falling score.

    probs: (F, K) of each video's frames; for published figures F = 16 n of n snippets, whatever the video's length.
    truth: (start, end, class name) of each video, half-open in frames; a normal video has none, or one of the normal
    class. classes: the K names, the normal one first. A segment matches the free true one of its video and class that
    it overlaps most, if by the IoU or more; that one is then taken. ValueError for wrong arguments.
    """
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; known: {', '.join(MODES)}")
    if not len(ious) or not all(0 < iou <= 1 for iou in ious):
        raise ValueError(f"ious are {tuple(ious)}; expected one or more above 0, at most 1")
    if not len(probs) or len(probs) != len(truth):
        raise ValueError(f"{len(probs)} videos have probabilities and {len(truth)} have truth; expected as many, some")
    if len(set(classes)) != len(classes) or any(np.shape(p)[1:] != (len(classes),) for p in probs):
        widths = sorted({np.shape(p)[1:] for p in probs})
        raise ValueError(
            f"{len(classes)} classes {tuple(classes)} for columns {widths}; expected a name of its own each"
        )
    true = [
        _numbered(video, own, len(p), classes, mode) for video, (own, p) in enumerate(zip(truth, probs, strict=True))
    ]
    found = [cut_segments(p) for p in probs]
    places = [_by_score(found, c) for c in range(len(classes))]
    hits = tuple(_hits(places[c], found, true, c, ious) for c in range(len(classes)))
    truths = np.array([[sum(c == own[2] for own in video) for c in range(len(classes))] for video in true], int)
    return SegmentMatches(mode, tuple(classes), tuple(map(float, ious)), tuple(p[0] for p in places), hits, truths)


def _numbered(
    video: int, given: Sequence[TrueSegment], frames: int, classes: Sequence[str], mode: str
) -> list[tuple[int, int, int]]:
    """(start, end, class number) as the mode counts them."""
    numbers = {name: i for i, name in enumerate(classes)}
    out = []
    for start, end, name in given:
        if not 0 <= start < end:
            raise ValueError(f"video {video}: segment {start} to {end}; expected 0 <= start < end")
        number = numbers.get(name, 0 if is_normal(name) else None)
        if number is None:
            raise ValueError(f"video {video}: class {name!r} of the truth is not one of {', '.join(classes)}")
        out.append((int(start), int(end), number))
    if mode == "reference_xd":
        return out or [(0, frames, 0)]
    return [own for own in out if own[2]]


def _by_score(found: Sequence[Segments], c: int) -> tuple[np.ndarray, np.ndarray]:
    """Of one class: the video and the number within the video of every segment, by falling score, ties as given."""
    numbers = [np.flatnonzero(own.classes == c) for own in found]
    scores = np.concatenate([own.scores[n] for own, n in zip(found, numbers, strict=True)])
    videos = np.repeat(np.arange(len(found)), [n.size for n in numbers])
    order = np.argsort(-scores, kind="stable")
    return videos[order], np.concatenate(numbers)[order]


def _hits(
    places: tuple[np.ndarray, np.ndarray],
    found: Sequence[Segments],
    true: Sequence[Sequence[tuple[int, int, int]]],
    c: int,
    ious: Sequence[float],
) -> np.ndarray:
    """(IoUs, segments of the class) bool, in the order of `places`. Only segments of one video compete."""
    videos, numbers = places
    hits = np.zeros((len(ious), videos.size), bool)
    for video, own in enumerate(true):
        wanted = np.array([[start, end] for start, end, number in own if number == c])
        at = np.flatnonzero(videos == video) if wanted.size else wanted
        if at.size:
            spans = np.stack((found[video].starts, found[video].ends), axis=1)[numbers[at]]
            overlap = temporal_iou(spans, wanted)
            hits[:, at] = [_greedy(overlap, least) for least in ious]
    return hits


def temporal_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of half-open spans (n, 2) with (m, 2) in frames -> (n, m)."""
    common = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
    common = np.clip(common, 0, None)
    return common / ((a[:, 1] - a[:, 0])[:, None] + (b[:, 1] - b[:, 0])[None] - common)


def _greedy(overlap: np.ndarray, least: float) -> np.ndarray:
    """(P,) bool: which segments, best first, get a true one out of overlap (P, G)."""
    free = np.where(overlap >= least, overlap, -1.0)
    hits = np.zeros(len(free), bool)
    for p in range(len(free)):
        best = int(np.argmax(free[p]))
        if free[p, best] >= 0:
            hits[p] = True
            free[:, best] = -1.0
    return hits


def _ap(hits: np.ndarray, repeats: np.ndarray, truths: int) -> np.ndarray:
    """Sum of the precision at every hit over the number of true segments -> (IoUs,); 0 where there is none."""
    if not truths:
        return np.zeros(len(hits))
    drawn = np.repeat(hits, repeats, axis=1)
    precision = np.cumsum(drawn, axis=1) / np.arange(1, drawn.shape[1] + 1)
    return (precision * drawn).sum(1) / truths
