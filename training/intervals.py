"""How sure is a figure? Bootstrap intervals over videos, for anything that can be computed of a set of videos.

    frames = CountedFrames(scores, labels)
    print(frames.auc(), bootstrap(frames.auc, len(scores)))
    print(bootstrap(resampled(macro_auc, scores, labels), len(scores)))     any other function of lists of videos

Frames of one video err together, so videos are drawn, with replacement, and the interval is that of the percentiles
(Efron & Tibshirani 1993, ch. 13). A draw is a number for every video: how often it occurs. `CountedFrames` ranks the
frames once and needs no new sorting for a draw. Also here: AUC of whole videos. Next: training/metrics.py
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from training.metrics import auc

SHARE = 0.95
DRAWS = 1000
POOLS: dict[str, Callable[[np.ndarray], float]] = {"max": lambda s: float(s.max()), "mean": lambda s: float(s.mean())}


class Interval(NamedTuple):
    """low and high in the figure's unit; NaN where no draw had a value."""

    low: float
    high: float


def bootstrap(
    figure: Callable[[np.ndarray], float], videos: int, share: float = SHARE, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Interval of a figure. figure: of counts (videos,), how often each video occurs, whole numbers that sum up to the
    number of videos. Draws without a value (NaN, such as those of one class only) are left out. ValueError for a share
    outside (0, 1), and for fewer than one video or draw."""
    return bootstrap_all(lambda counts: {"": figure(counts)}, videos, share, draws, seed)[""]


def bootstrap_all(
    figures: Callable[[np.ndarray], Mapping[str, float]],
    videos: int,
    share: float = SHARE,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Interval]:
    """As `bootstrap`, for several figures of the same draws by their names."""
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; expected between 0 and 1")
    if videos < 1 or draws < 1:
        raise ValueError(f"{videos} videos and {draws} draws; expected at least one of each")
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    with warnings.catch_warnings():
        # A draw of one class only is expected, and left out below.
        warnings.simplefilter("ignore")
        for _ in range(draws):
            counts = np.bincount(rng.integers(videos, size=videos), minlength=videos)
            for name, value in figures(counts).items():
                found.setdefault(name, []).append(value)
    return {name: _percentiles(np.array(values), share) for name, values in found.items()}


def _percentiles(values: np.ndarray, share: float) -> Interval:
    values = values[~np.isnan(values)]
    if not values.size:
        warnings.warn("bootstrap: no draw has a value; the interval is NaN", stacklevel=3)
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(values, ((1 - share) / 2, (1 + share) / 2))
    return Interval(float(low), float(high))


def resampled(figure: Callable[..., float], *columns: Sequence) -> Callable[[np.ndarray], float]:
    """A figure of lists of videos, such as those of training/metrics.py, as one of counts. Slow but for anything."""
    if len({len(column) for column in columns}) != 1:
        raise ValueError(f"columns of {[len(column) for column in columns]} videos; expected as many in each")

    def of(counts: np.ndarray) -> float:
        drawn = np.repeat(np.arange(len(counts)), counts)
        return figure(*([column[int(i)] for i in drawn] for column in columns))

    return of


class RankFigures(NamedTuple):
    """AUC, and average precision by steps and by trapezoids, as training/metrics.py defines them."""

    auc: float
    step: float
    trapezoid: float


class CountedFrames:
    """Frames of all videos in the order of their scores, ties together. scores, labels: as `metrics.micro_auc`."""

    def __init__(self, scores: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> None:
        if not len(scores) or [np.shape(s) for s in scores] != [np.shape(y) for y in labels]:
            raise ValueError(f"{len(scores)} videos have scores and {len(labels)} labels; expected (T,) twice of each")
        self.videos = len(scores)
        score, truth = np.concatenate(scores).astype(np.float64), np.concatenate(labels).astype(bool)
        if not np.isfinite(score).all():
            raise ValueError(f"scores hold {np.count_nonzero(~np.isfinite(score))} values that are not finite")
        video = np.repeat(np.arange(self.videos), [len(s) for s in scores])
        order = np.lexsort((video, -score))
        score, video, truth = score[order], video[order], truth[order]
        # Equal scores of one video are one entry: frames of a snippet, for example.
        level = np.append(True, np.diff(score) != 0)
        starts = np.flatnonzero(level | np.append(True, np.diff(video) != 0))
        self._video = video[starts]
        # Whole numbers as floats, exact up to 2^53, so that a draw needs no conversions.
        self._positive = np.add.reduceat(truth.astype(np.float64), starts)
        self._negative = np.diff(np.append(starts, score.size)) - self._positive
        self._last = np.append(np.flatnonzero(level[starts])[1:], starts.size) - 1  # last entry of each distinct score

    def figures(self, counts: np.ndarray | None = None) -> RankFigures:
        """counts: (videos,), how often each occurs; None for once. NaN without a warning where a class is missing."""
        times = np.ones(self.videos) if counts is None else np.asarray(counts, np.float64)
        if times.shape != (self.videos,):
            raise ValueError(f"counts have shape {times.shape}; expected ({self.videos},)")
        here = times[self._video]
        hits, false = np.cumsum(self._positive * here)[self._last], np.cumsum(self._negative * here)[self._last]
        nan = float("nan")
        if not hits.size or not hits[-1]:
            return RankFigures(nan, nan, nan)
        gain, more = np.diff(hits, prepend=0), np.diff(false, prepend=0)
        area = float(gain @ (false[-1] - false + more / 2) / (hits[-1] * false[-1])) if false[-1] else nan
        shown = hits + false
        # Precision is 1 before the first frame; a score that no drawn video has adds nothing.
        precision = np.divide(hits, shown, out=np.ones_like(hits), where=shown > 0)
        step = gain @ precision / hits[-1]
        corner = gain[0] * (1 - precision[0]) + gain[1:] @ (precision[:-1] - precision[1:])
        return RankFigures(area, float(step), float(step + corner / (2 * hits[-1])))

    def auc(self, counts: np.ndarray | None = None) -> float:
        return self.figures(counts).auc

    def average_precision(self, counts: np.ndarray | None = None) -> float:
        """By steps."""
        return self.figures(counts).step


def video_auc(scores: Sequence[np.ndarray], anomalous: Sequence[bool], pool: str = "max") -> float:
    """AUC of whole videos: is a video anomalous? A video's score is the highest of its frames, or their mean.

    scores: (T,) of each video. anomalous: one a video. NaN with a warning for one class; report it with `pool`.
    """
    return auc(pooled(scores, pool), _labels(anomalous, len(scores)))


def pooled(scores: Sequence[np.ndarray], pool: str = "max") -> np.ndarray:
    """One score a video (videos,) out of (T,) each."""
    if pool not in POOLS:
        raise ValueError(f"pool is {pool!r}; known: {', '.join(POOLS)}")
    if not all(np.size(s) for s in scores):
        raise ValueError("a video has no scores")
    return np.array([POOLS[pool](np.asarray(s)) for s in scores])


def _labels(anomalous: Sequence[bool], videos: int) -> np.ndarray:
    if len(anomalous) != videos:
        raise ValueError(f"{videos} videos have scores and {len(anomalous)} have labels")
    return np.asarray(anomalous, bool)
