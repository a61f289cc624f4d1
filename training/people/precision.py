"""Average precision of boxes found in pictures, by one overlap.

Next: training/people/evaluate.py
"""

from collections.abc import Sequence

import numpy as np

from tvad.people import overlaps

OVERLAP = 0.5
SURE = 0.4  # a true box with a lower score is neither missed nor wrongly found


def average_precision(
    found: Sequence[np.ndarray], true: Sequence[np.ndarray], kind: int, overlap: float = OVERLAP, sure: float = SURE
) -> float:
    """Area under precision over recall (every point), of one class. found, true: of each picture (n, 6), boxes in the
    same units, score and class; the best found box of a true one counts, further ones are wrong; NaN without a true
    box."""
    rows = judged(found, true, kind, overlap, sure)
    count = sum(int(((t[:, 5] == kind) & (t[:, 4] >= sure)).sum()) for t in true)
    if not count:
        return float("nan")
    if not rows:
        return 0.0
    order = np.array(sorted(rows, key=lambda r: -r[0]))
    right = np.cumsum(order[:, 1])
    precision = right / np.arange(1, len(order) + 1)
    best_from = np.maximum.accumulate(precision[::-1])[::-1]
    return float((best_from * order[:, 1]).sum() / count)


def judged(
    found: Sequence[np.ndarray], true: Sequence[np.ndarray], kind: int, overlap: float = OVERLAP, sure: float = SURE
) -> list[tuple[float, float]]:
    """Score of each found box of a class, and 1 where it is right or 0 where it is not; as in `average_precision`."""
    rows: list[tuple[float, float]] = []
    for own, wanted in zip(found, true, strict=True):
        own, wanted = own[own[:, 5] == kind], wanted[wanted[:, 5] == kind]
        asked = wanted[:, 4] >= sure
        taken = np.zeros(len(wanted), bool)
        for row in sorted(own, key=lambda r: -r[4]):
            shared = overlaps(row, wanted)
            shared[taken & asked] = 0
            best = int(shared.argmax()) if len(shared) else -1
            if best >= 0 and shared[best] >= overlap:
                taken[best] = True
                if asked[best]:
                    rows.append((float(row[4]), 1.0))
                continue
            rows.append((float(row[4]), 0.0))
    return rows
