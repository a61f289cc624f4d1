"""Masks as run lengths, as COCO counts them: down the columns, zeros first. Arrays only.

Next: heatmap/regions.py
"""

from collections.abc import Sequence

import numpy as np


def to_runs(mask: np.ndarray) -> tuple[int, ...]:
    """Lengths of the runs of a mask (h, w) bool, column by column, the first of False (0 where it begins with True)."""
    flat = mask.T.reshape(-1)
    if not flat.size:
        return ()
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return (0, *lengths) if flat[0] else tuple(lengths)


def of_runs(runs: Sequence[int], size_wh: tuple[int, int]) -> np.ndarray:
    """The mask (h, w) bool. ValueError where the runs do not fill it exactly."""
    width, height = size_wh
    if any(n < 0 for n in runs) or sum(runs) != width * height:
        raise ValueError(f"runs sum to {sum(runs)}, a mask of {width} x {height} has {width * height} pixels")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T
