"""Frame-level, event-level and pixel-level figures of anomaly detection, as functions of arrays.

Nothing here reads files, draws, or normalises scores per video. Ties count one half wherever ranks are compared. A
figure that is not defined on the data (one class only) is NaN with a warning, never a made-up 0 or 1. Regions and
tracks are in training/region_metrics.py.

Next: training/pixel_data.py
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from training.level_counts import MAX_LEVELS, LevelCounts

Interval = tuple[float, float]  # start and end in seconds, half-open

PIECE = 1 << 24  # pixels counted at once
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


# Frames


def micro_auc(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> float:
    """ROC AUC over the frames of all videos together.

    scores: one (T,) array a video, any finite numbers. labels: as many (T,) arrays of 0 and 1, 1 = anomalous.
    NaN with a warning if only one class occurs. Raises ValueError where lengths, labels or numbers are wrong.
    """
    return auc(*_joined(scores, labels))


def macro_auc(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray], pad: bool = False) -> float:
    """Mean of the videos' own AUCs; arguments as `micro_auc`. Report it with the value of `pad`.

    pad=False leaves out videos of one class. pad=True adds to each video a normal frame of score 0 and an anomalous
    one of score 1, so that each has an AUC (the convention of the UBnormal evaluation script; it flatters short
    videos); scores must then be in [0, 1].
    """
    videos = _checked(scores, labels)
    if pad:
        for s, _ in videos:
            if s.size and (s.min() < 0 or s.max() > 1):
                raise ValueError(f"padded macro-AUC needs scores in [0, 1]; found {s.min()} to {s.max()}")
        videos = [(np.append(s, (0.0, 1.0)), np.append(y, (False, True))) for s, y in videos]
    values = [auc(s, y) for s, y in videos if y.any() and not y.all()]
    return float(np.mean(values)) if values else _undefined("macro-AUC: no video has both classes")


def anomalous_auc(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> float:
    """Micro-AUC over the videos that hold an anomalous frame ("Ano-AUC"); arguments as `micro_auc`."""
    videos = [(s, y) for s, y in _checked(scores, labels) if y.any()]
    if not videos:
        return _undefined("Ano-AUC: no video has an anomalous frame")
    return micro_auc([s for s, _ in videos], [y for _, y in videos])


def average_precision(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray], mode: str = "step") -> float:
    """Area under the precision-recall curve of all frames together; arguments as `micro_auc`.

    mode "step": sum of precision times the increments of recall (VadCLIP, DSANet). "trapz": trapezoids between the
    points, from (recall 0, precision 1) (RTFM, CLIP-TSA). Published XD-Violence figures use either.
    """
    if mode not in ("step", "trapz"):
        raise ValueError(f"mode is {mode!r}; known: 'step', 'trapz'")
    values, truth = _joined(scores, labels)
    if not truth.any():
        return _undefined("average precision: no anomalous frame")
    _, positive, negative = _level_counts(values, truth)
    hits = np.cumsum(positive[::-1])
    precision = np.append(1.0, hits / np.cumsum((positive + negative)[::-1]))
    recall = np.append(0.0, hits / hits[-1])
    if mode == "trapz":
        return float(np.trapezoid(precision, recall))
    return float(np.sum(np.diff(recall) * precision[1:]))


def auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Probability that an anomalous frame scores above a normal one, ties one half. Both (N,); NaN for one class."""
    _, positive, negative = _level_counts(scores, np.asarray(labels, bool))
    return _rank_auc(positive, negative)


def repeat_snippets(scores: np.ndarray, n_frames: int | None = None, snippet: int = 16) -> np.ndarray:
    """Scores (n,) of snippets -> (n_frames,) of frames: each repeated, then cut, or the last one held.

    None keeps snippet * n frames, whatever the video's length: the published evaluations of VadCLIP and DSANet do
    that, and cut their ground truth instead.
    """
    if scores.ndim != 1 or scores.size == 0:
        raise ValueError(f"snippet scores have shape {scores.shape}; expected (n,) with n above 0")
    repeated = np.repeat(scores, snippet)
    if n_frames is None:
        return repeated
    return np.pad(repeated[:n_frames], (0, max(0, n_frames - repeated.size)), mode="edge")


def _checked(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    if len(scores) != len(labels):
        raise ValueError(f"{len(scores)} videos have scores and {len(labels)} have labels")
    videos = []
    for n, (s, y) in enumerate(zip(map(np.asarray, scores), map(np.asarray, labels), strict=True)):
        if s.ndim != 1 or s.shape != y.shape:
            raise ValueError(f"video {n}: scores have shape {s.shape}, labels {y.shape}; expected (T,) twice")
        if not np.isfinite(s).all():
            raise ValueError(f"video {n}: scores hold {np.count_nonzero(~np.isfinite(s))} values that are not finite")
        if not np.isin(y, (0, 1)).all():
            raise ValueError(f"video {n}: labels hold {np.unique(y)[:5]}; expected 0 and 1")
        videos.append((s, y.astype(bool)))
    return videos


def _joined(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    videos = _checked(scores, labels)
    if not videos:
        raise ValueError("no videos: scores and labels are empty")
    return np.concatenate([s for s, _ in videos]), np.concatenate([y for _, y in videos])


def _level_counts(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores ascending, and how many anomalous and normal elements have each."""
    levels, index = np.unique(scores, return_inverse=True)
    positive = np.bincount(index[truth], minlength=levels.size)
    return levels, positive, np.bincount(index, minlength=levels.size) - positive


def _rank_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """AUC from the counts at ascending levels."""
    pairs = float(positive.sum()) * float(negative.sum())
    if not pairs:
        return _undefined("AUC: only one class occurs")
    below = np.cumsum(negative) - negative / 2
    return float(np.dot(positive, below) / pairs)


def _undefined(reason: str) -> float:
    warnings.warn(f"{reason}; the result is NaN", stacklevel=3)
    return float("nan")


# Events


@dataclass(frozen=True)
class EventScores:
    """What alarms are worth to an operator. Counts, and the delay from a true event's start to its first alarm.

    An alarm that began before the event has delay 0. `ordinary_s` is the footage outside all true events.
    """

    found: int
    events: int
    false_alarms: int
    alarms: int
    ordinary_s: float
    delays_s: tuple[float, ...]  # one a found event

    @property
    def recall(self) -> float:
        return self.found / self.events if self.events else float("nan")

    @property
    def precision(self) -> float:
        return 1 - self.false_alarms / self.alarms if self.alarms else float("nan")

    @property
    def false_alarms_per_hour(self) -> float:
        """False alarms in an hour of ordinary footage; NaN where there was none."""
        return self.false_alarms / (self.ordinary_s / 3600) if self.ordinary_s > 0 else float("nan")


def event_scores(
    alarms: Sequence[Sequence[Interval]],
    truth: Sequence[Sequence[Interval]],
    durations_s: Sequence[float],
    tolerance_s: float = 0.0,
) -> EventScores:
    """Alarms against true events, both one list of (start_s, end_s) a video; durations_s: one a video.

    An event is found when an alarm overlaps it or comes within `tolerance_s` of it; an alarm that does so with no
    event is false. Touching counts, so an alarm of one moment (start = end) can be right. Many alarms in one event
    are all right: this counts disturbances, not agreement in length.
    """
    if not len(alarms) == len(truth) == len(durations_s):
        raise ValueError(f"{len(alarms)} videos have alarms, {len(truth)} truth, {len(durations_s)} durations")
    found = false = 0
    ordinary_s = 0.0
    delays: list[float] = []
    for video, (raised, true, duration_s) in enumerate(zip(alarms, truth, durations_s, strict=True)):
        _check_intervals(raised, video)
        _check_intervals(true, video)
        false += sum(not any(_meet(a, e, tolerance_s) for e in true) for a in raised)
        for event in true:
            if starts := [a[0] for a in raised if _meet(a, event, tolerance_s)]:
                found += 1
                delays.append(max(0.0, min(starts) - event[0]))
        ordinary_s += max(0.0, duration_s - _covered_s(true, duration_s))
    events, n_alarms = sum(map(len, truth)), sum(map(len, alarms))
    return EventScores(found, events, false, n_alarms, ordinary_s, tuple(delays))


def false_alarms_per_hour(
    alarms: Sequence[Sequence[Interval]], truth: Sequence[Sequence[Interval]], durations_s: Sequence[float]
) -> float:
    """Alarms that meet no true event, in an hour of footage outside the true events; arguments as `event_scores`."""
    return event_scores(alarms, truth, durations_s).false_alarms_per_hour


def intervals(labels: np.ndarray, rate_hz: float) -> list[Interval]:
    """Runs of 1 in frame labels (T,) of 0 and 1 -> half-open seconds, frame i lasting from i / rate_hz on."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], np.asarray(labels, np.int8), [0]))))
    return [(float(s / rate_hz), float(e / rate_hz)) for s, e in edges.reshape(-1, 2)]


def _check_intervals(given: Sequence[Interval], video: int) -> None:
    for start_s, end_s in given:
        if not 0 <= start_s <= end_s:
            raise ValueError(f"video {video}: interval {start_s} to {end_s} s; expected 0 <= start <= end")


def _meet(a: Interval, b: Interval, tolerance_s: float) -> bool:
    return a[0] <= b[1] + tolerance_s and b[0] <= a[1] + tolerance_s


def _covered_s(given: Sequence[Interval], duration_s: float) -> float:
    """Length of the union, up to the end of the video."""
    total, reached = 0.0, 0.0
    for start_s, end_s in sorted(given):
        total += max(0.0, min(end_s, duration_s) - max(start_s, reached))
        reached = max(reached, end_s)
    return total


# Pixels


class PixelAuroc:
    """Pixel AUROC over any number of clips, added piece by piece.

        measure = PixelAuroc()
        for heat, mask in clips:
            measure.add(heat, mask)
        print(measure.value())

    Exact on float32 values, ties one half, up to `max_levels` distinct ones. Beyond that neighbouring values count as
    ties so that memory stays bounded, and `bounds` brackets the exact figure.
    """

    def __init__(self, max_levels: int = MAX_LEVELS) -> None:
        self._levels = LevelCounts(max_levels)

    def add(self, heat_thw: np.ndarray, mask_thw: np.ndarray) -> None:
        """heat_thw: (T, H, W) finite numbers, at the masks' resolution (see `upsample`). mask_thw: (T, H, W), bool or
        0 and 1. Raises ValueError for other shapes and values."""
        for heat, mask in _pieces(heat_thw, mask_thw):
            self._levels.add(heat.ravel(), mask.ravel())

    @property
    def exact(self) -> bool:
        return self._levels.shift == 0

    def value(self) -> float:
        """In [0, 1]; NaN with a warning while only one class has been added."""
        return _rank_auc(*self._levels.table())

    def bounds(self) -> tuple[float, float]:
        """Between which the exact figure lies; `value` twice where it is exact."""
        value = self.value()
        if self.exact or np.isnan(value):
            return value, value
        positive, negative = self._levels.table()
        half_ties = float(np.dot(positive, negative) / (positive.sum() * negative.sum())) / 2
        return value - half_ties, value + half_ties


class Aupro:
    """Area under the per-region overlap curve up to a false positive rate (Bergmann et al. 2021), clip by clip.

    Regions are the 8-connected components of each frame's mask. At every distinct threshold PRO is the mean covered
    fraction of all regions and FPR the false fraction of all normal pixels; the curve starts at (0, 0), is linear
    between its points, cut at the limit and divided by it. Exact as far as `PixelAuroc` is.
    """

    def __init__(self, max_levels: int = MAX_LEVELS) -> None:
        self._levels = LevelCounts(max_levels)

    def add(self, heat_thw: np.ndarray, mask_thw: np.ndarray) -> None:
        """Arguments and errors as `PixelAuroc.add`."""
        for heat, mask in _pieces(heat_thw, mask_thw):
            self._levels.add(heat.ravel(), mask.ravel(), np.concatenate([_region_shares(m) for m in mask]))

    @property
    def exact(self) -> bool:
        return self._levels.shift == 0

    def value(self, limit: float = 0.3) -> float:
        """In [0, 1]; limit in (0, 1]. NaN with a warning while there is no region or no normal pixel."""
        if not 0 < limit <= 1:
            raise ValueError(f"limit is {limit}; expected above 0, at most 1")
        pro, fpr = (np.append(0.0, np.cumsum(row[::-1])) for row in self._levels.table())
        if not (pro[-1] and fpr[-1]):
            return _undefined("AUPRO: only one class occurs")
        # Each region's shares add up to 1, so the last sum is the number of regions.
        pro, fpr = pro / pro[-1], fpr / fpr[-1]
        n = int(np.searchsorted(fpr, limit, side="right"))
        end = np.interp(limit, fpr[n - 1 : n + 1], pro[n - 1 : n + 1])
        return float(np.trapezoid(np.append(pro[:n], end), np.append(fpr[:n], limit)) / limit)


class PixelOverlap:
    """IoU and F1 of the anomalous pixels at one threshold, pooled over everything added."""

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = threshold
        self._both = self._heat = self._mask = 0

    def add(self, heat_thw: np.ndarray, mask_thw: np.ndarray) -> None:
        """Arguments and errors as `PixelAuroc.add`; heat at the threshold counts as anomalous."""
        for heat, mask in _pieces(heat_thw, mask_thw):
            hot = heat >= self.threshold
            self._both += int(np.count_nonzero(hot & mask))
            self._heat += int(np.count_nonzero(hot))
            self._mask += int(np.count_nonzero(mask))

    def iou(self) -> float:
        union = self._heat + self._mask - self._both
        return self._both / union if union else _undefined("pixel IoU: nothing is hot and nothing anomalous")

    def f1(self) -> float:
        total = self._heat + self._mask
        return 2 * self._both / total if total else _undefined("pixel F1: nothing is hot and nothing anomalous")


def upsample(heat_thw: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Heat (T, h, w) -> (T, H, W) float32, bilinear, pixel centres aligned, borders held (as OpenCV's INTER_LINEAR)."""
    if heat_thw.ndim != 3 or 0 in heat_thw.shape[1:] or min(size_hw) < 1:
        raise ValueError(f"heat has shape {heat_thw.shape}, wanted is {size_hw}; expected (T, h, w) and (H, W)")
    rows, columns = (_stretch(n, wanted) for n, wanted in zip(heat_thw.shape[1:], size_hw, strict=True))
    return np.asarray(rows @ heat_thw.astype(np.float32) @ columns.T, np.float32)


def _stretch(n: int, wanted: int) -> np.ndarray:
    """(wanted, n) weights of linear interpolation between the centres of n cells."""
    at = np.clip((np.arange(wanted) + 0.5) * n / wanted - 0.5, 0, n - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n))).astype(np.float32)


def _region_shares(mask: np.ndarray) -> np.ndarray:
    """For each anomalous pixel of (H, W), in row order: 1 / size of its region."""
    labels, _ = ndimage.label(mask, EIGHT_NEIGHBOURS)
    return 1.0 / np.bincount(labels.ravel())[labels[mask]]


def _pieces(heat_thw: np.ndarray, mask_thw: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The checked pair, a bounded number of frames at a time; masks as bool."""
    heat, mask = np.asarray(heat_thw), np.asarray(mask_thw)
    if heat.ndim != 3 or heat.shape != mask.shape or not heat.size:
        raise ValueError(f"heat has shape {heat.shape}, masks {mask.shape}; expected (T, H, W) twice, none of them 0")
    if not np.isfinite(heat).all():
        raise ValueError(f"heat holds {np.count_nonzero(~np.isfinite(heat))} values that are not finite")
    if mask.dtype != bool and not ((mask == 0) | (mask == 1)).all():
        raise ValueError(f"masks hold {mask.min()} to {mask.max()}; expected bool, or 0 and 1")
    step = max(1, PIECE // (heat.shape[1] * heat.shape[2]))
    for first in range(0, len(heat), step):
        yield heat[first : first + step], mask[first : first + step].astype(bool)
