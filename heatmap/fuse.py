"""Fuse: the rarities of the parts to one.

What follows words (the decoder, the classifier's looks) comes first: `either`. Then the memory ranks; words add
evidence where they find something rarer than usual, and raise an alarm alone when they are rare enough. Without a scene
the memory cannot judge, and words alone need half the promised rate (Bonferroni for two parts). With a scene, a memory
that knows this camera sees nothing unusual, so words alone must be far rarer.

A temporal head knows of movement what neither does and stands beside them: `beside`.

Arrays in, arrays out.  Next: heatmap/regions.py
"""

from collections.abc import Sequence

import numpy as np

SUPPORT_FROM = -3.0  # rarity (nats) from which words count at all
SUPPORT = 0.3  # nats of evidence per nat of the words
ALONE = {False: np.log(2.0), True: np.log(20.0)}  # nats that words alone must be rarer, by whether there is a scene


def either(rarities: Sequence[np.ndarray]) -> np.ndarray:
    """Rarity of the rarest of several parts, each of which could have been it: ln(parts) nats less (Bonferroni).

    ValueError for no part at all.
    """
    if not rarities:
        raise ValueError("nothing to fuse: no part is switched on")
    highest = np.maximum.reduce(list(rarities))
    return (highest - np.log(len(rarities))).astype(np.float32)


def fuse(memory: np.ndarray, words: np.ndarray, scene: bool) -> np.ndarray:
    """Rarities of equal shape to one of that shape, float32; never below the memory's."""
    heard = words > SUPPORT_FROM
    supported = memory + SUPPORT * np.maximum(words - SUPPORT_FROM, 0)
    alone = np.where(heard, words - ALONE[scene], -np.inf)
    return np.maximum(supported, alone).astype(np.float32)


def beside(fused: np.ndarray, head: np.ndarray, scene: bool) -> np.ndarray:
    """Rarities of equal shape to one of that shape, float32: the head's where it alone is rarer, at the same price as
    words alone; never below what was fused."""
    return np.maximum(fused, head - ALONE[scene]).astype(np.float32)
