"""Fuse: rarities of several independent parts to one.

Each part alarms on its own at its stated rate, so the strongest one of n counts with n times its rate (Bonferroni).
What the others add is evidence only where they find something rare as well.

Arrays in, arrays out.  Next: heatmap/regions.py
"""

from collections.abc import Sequence

import numpy as np

SUPPORT_FROM = -4.0  # rarity (nats) above which a weaker part supports the strongest one
SUPPORT = 1.0


def fuse(rarities: Sequence[np.ndarray]) -> np.ndarray:
    """Rarities (any equal shape) of n parts to one of that shape; a single part stays as it is."""
    if len(rarities) == 1:
        return rarities[0]
    stack = np.stack(rarities)
    strongest = stack.max(0)
    others = SUPPORT * np.maximum(stack - SUPPORT_FROM, 0).sum(0) - SUPPORT * np.maximum(strongest - SUPPORT_FROM, 0)
    out: np.ndarray = strongest + others - np.log(len(rarities))
    return out
