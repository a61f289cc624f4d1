"""Splits of labelled videos that keep what comes from one source together.

    train, held = split_by_source(videos, share=0.2, seed=0)
    for train, held in folds(videos, 5): ...

Pieces of one film or camera are alike; were some learned from and some held back, the figures would be too good.
Next: training/temporal/batches.py
"""

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

DRAWS = 200  # orders of the sources that are tried
NORMAL_COLUMN = ""  # of the counts, beside the anomalous classes

_UCF = re.compile(r"^Normal_Videos_\d+")  # the number is the name itself there
_PIECE = re.compile(r"(?:__\d+|[-_. ]+(?:(?:clip|part|seg|segment|crop)[-_. ]?)?\(?\d+\)?)$", re.IGNORECASE)


class Sourced(Protocol):
    """What is split: its source, and its anomalous classes, none for a normal video."""

    @property
    def source(self) -> str: ...

    @property
    def labels(self) -> tuple[str, ...]: ...


V = TypeVar("V", bound=Sourced)


def source_of(name: str) -> str:
    """The footage that a video is a piece of, as far as its name says: the film before XD-Violence's "__#", else the
    name without crop and without numbers that are set off at its end ("gate_03" and "gate_04" are of "gate"). Videos
    of UCF-Crime are sources of their own."""
    if _UCF.match(name):
        return name
    film, sign, _ = name.partition("__#")
    if sign and film:
        return film
    short = name
    while (found := _PIECE.search(short)) and found.start() > 0:
        short = short[: found.start()]
    return short


def split_by_source(videos: Sequence[V], share: float, seed: int = 0) -> tuple[list[V], list[V]]:
    """The rest, and about `share` of the videos held back, in the order given; every source is on one side. Of many
    random orders of the sources, the cut that leaves the classes most alike. The same for any order of the videos.
    ValueError where normal and anomalous videos cannot be on both sides."""
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; it must be between 0 and 1")
    sources, counts = _counts(videos)
    total = counts.sum(0)
    dice = np.random.default_rng(seed)
    best, cost = None, np.inf
    for _ in range(DRAWS):
        order = dice.permutation(len(sources))
        held = counts[order].cumsum(0)[:-1]
        size = held.sum(1) / total.sum()
        uneven = np.abs(size - share) + np.abs(held / total - share).mean(1)
        uneven[~_both_kinds(held) | ~_both_kinds(total - held)] = np.inf
        if len(uneven) and uneven.min() < cost:
            at = int(uneven.argmin())
            best, cost = order[: at + 1], uneven[at]
    if best is None:
        raise ValueError(_cannot(videos, 2))
    chosen = {sources[i] for i in best}
    return [v for v in videos if v.source not in chosen], [v for v in videos if v.source in chosen]


def folds(videos: Sequence[V], k: int, seed: int = 0) -> list[tuple[list[V], list[V]]]:
    """k pairs of the rest and the videos held back; each video is held back once, and every source is in one fold.
    ValueError where a fold would be without normal or without anomalous videos."""
    if k < 2:
        raise ValueError(f"k is {k}; it must be at least 2")
    sources, counts = _counts(videos)
    total = counts.sum(0)
    best, cost = None, np.inf
    dice = np.random.default_rng(seed)
    for _ in range(DRAWS // 10):
        of_source = _dealt(counts / total, k, dice)
        held = np.stack([counts[of_source == n].sum(0) for n in range(k)])
        uneven = float(np.square(held / total).sum())
        if bool(_both_kinds(held).all()) and uneven < cost:
            best, cost = of_source, uneven
    if best is None:
        raise ValueError(_cannot(videos, k))
    fold = dict(zip(sources, best.tolist(), strict=True))
    return [([v for v in videos if fold[v.source] != n], [v for v in videos if fold[v.source] == n]) for n in range(k)]


def _dealt(shares: np.ndarray, k: int, dice: np.random.Generator) -> np.ndarray:
    """A fold for each source, (S, classes) -> (S,): the largest first, each to the fold that has least of its kind."""
    order = dice.permutation(len(shares))
    order = order[np.argsort(-shares[order].sum(1), kind="stable")]
    held, out = np.zeros((k, shares.shape[1])), np.zeros(len(shares), np.int64)
    for source in order:
        # Least of its kind first; of equals the smallest, or rare classes would all be in one.
        out[source] = int((held @ shares[source] + 1e-3 * held.sum(1)).argmin())
        held[out[source]] += shares[source]
    return out


def _counts(videos: Sequence[V]) -> tuple[list[str], np.ndarray]:
    """Sources, sorted, and how many videos of each class they have, normal first: (S, 1 + classes)."""
    sources = sorted({v.source for v in videos})
    classes = [NORMAL_COLUMN, *sorted({label for v in videos for label in v.labels})]
    row, column = ({name: n for n, name in enumerate(names)} for names in (sources, classes))
    counts = np.zeros((len(sources), len(classes)), np.int64)
    for video in videos:
        for label in video.labels or (NORMAL_COLUMN,):
            counts[row[video.source], column[label]] += 1
    if not _both_kinds(counts.sum(0)):
        raise ValueError(
            f"{len(videos)} videos, {sum(not v.labels for v in videos)} of them normal; a split needs both kinds"
        )
    return sources, counts


def _both_kinds(counts: np.ndarray) -> np.ndarray:
    """Whether there are normal and anomalous videos in (..., 1 + classes)."""
    out: np.ndarray = (counts[..., 0] > 0) & (counts[..., 1:].sum(-1) > 0)
    return out


def _cannot(videos: Sequence[V], parts: int) -> str:
    normal = sorted({v.source for v in videos if not v.labels})
    anomalous = sorted({v.source for v in videos if v.labels})
    return (
        f"normal videos come from {len(normal)} sources ({normal[0]}, ...), anomalous ones from {len(anomalous)} "
        f"({anomalous[0]}, ...): too few for {parts} parts; give a column `group`, or take each video for a source"
    )
