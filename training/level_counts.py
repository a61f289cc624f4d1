"""How many anomalous and normal pixels have each heat value: what curves over all thresholds are computed from.

Next: training/metrics.py
"""

import numpy as np

MAX_LEVELS = 1 << 24  # distinct heat values kept apart: 12 bytes each, a few times that while adding


class _Counts:
    """Sums per distinct key in ascending order: `keys` (K,) uint32, `sums` (K,) float64."""

    def __init__(self) -> None:
        self.keys: np.ndarray = np.zeros(0, np.uint32)
        self.sums: np.ndarray = np.zeros(0)

    def add(self, keys: np.ndarray, weights: np.ndarray | None) -> None:
        """Any keys (N,), each counting 1 or its weight."""
        if weights is None:
            new, sums = np.unique(keys, return_counts=True)
        else:
            new, index = np.unique(keys, return_inverse=True)
            sums = np.bincount(index, weights=weights, minlength=new.size)
        both = np.concatenate((self.keys, new))
        # Two sorted runs: the stable sort merges them in one pass.
        order = np.argsort(both, kind="stable")
        self.keys, self.sums = both[order], np.concatenate((self.sums, sums))[order]
        self._join()

    def halve(self) -> None:
        """Drop the lowest bit of every key."""
        self.keys = self.keys >> np.uint32(1)
        self._join()

    def _join(self) -> None:
        if self.keys.size:
            first = np.flatnonzero(_is_first(self.keys))
            self.keys, self.sums = self.keys[first], np.add.reduceat(self.sums, first)


class LevelCounts:
    """Anomalous and normal pixels counted per distinct float32 heat value, so that ranks stay exact.

    With more than `limit` distinct values neighbours are joined: `shift` low bits of the float are dropped, the same
    for every value, until they fit.
    """

    def __init__(self, limit: int = MAX_LEVELS) -> None:
        if limit < 2:
            raise ValueError(f"max_levels is {limit}; expected at least 2")
        self.limit, self.shift = limit, 0
        self.positive, self.negative = _Counts(), _Counts()

    def add(self, heat: np.ndarray, mask: np.ndarray, weights: np.ndarray | None = None) -> None:
        """heat, mask: (N,), float and bool. weights: one an anomalous pixel in their order, or None for 1 each."""
        keys = _ordered_bits(heat) >> np.uint32(self.shift)
        self.positive.add(keys[mask], weights)
        self.negative.add(keys[~mask], None)
        while self.positive.keys.size + self.negative.keys.size > self.limit and self.shift < 31:
            self.shift += 1
            self.positive.halve()
            self.negative.halve()

    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums of the anomalous and of the normal pixels at every level that occurs, ascending; both (K,)."""
        # Not np.union1d: it hashes, several times slower on millions of keys that are sorted already.
        levels = np.sort(np.concatenate((self.positive.keys, self.negative.keys)), kind="stable")
        levels = levels[np.flatnonzero(_is_first(levels))]
        rows = np.zeros((2, levels.size))
        for row, counts in zip(rows, (self.positive, self.negative), strict=True):
            row[np.searchsorted(levels, counts.keys)] = counts.sums
        return rows[0], rows[1]


def _is_first(keys: np.ndarray) -> np.ndarray:
    """Where a run of equal keys begins in ascending ones."""
    return np.concatenate((np.ones(min(1, keys.size), bool), keys[1:] != keys[:-1]))


def _ordered_bits(heat: np.ndarray) -> np.ndarray:
    """float32 -> uint32 that sort the same way (the sign bit set for positives, all bits turned for negatives)."""
    # Adding 0 turns -0 into 0, which must tie with it.
    bits = (np.ascontiguousarray(heat, np.float32) + np.float32(0)).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
