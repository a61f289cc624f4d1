"""A clip as its own memory: how unlike the rest of this clip is each place of the picture?

Without calibration the only normality at hand is what happens often. Each moving patch is compared with patches of the
same clip at least GAP_S away in time; its distance is the one within which the nearest RARE share of them lies, so a
pattern counts as ordinary only when that share of all movement resembles it. Distances are put on one scale for all
clips: velocities relative to the clip's median speed. Rarity inside a video as anomaly: Del Giorno et al. 2016
("A discriminative framework for anomaly detection in large videos").

A clip cannot know what the camera usually sees: a thing that stays all through looks normal here.
Arrays in, arrays out.  Next: heatmap/levels.py
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

from heatmap.memory import Patches

GAP_S = 2.0
RARE = 0.02
BANK = 768
APPEARANCE_WEIGHT = 0.5
MIN_BANK = 50
SLOWEST = 0.01  # frame heights per second; floor of the median speed


class SelfMemory:
    """A sample of a clip's moving patches that grows with the clip up to BANK, then stays a fair sample of all of it.

    Call `learn` for a stretch before `surprises` for it.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._key = np.zeros(0)  # a random number each; the smallest BANK stay (a reservoir in one sort)
        self._bank: Patches | None = None
        self._times_s = np.zeros(0)
        self._motion = np.zeros((0, 4), np.float32)
        self._speed = SLOWEST

    def learn(self, patches: Patches, times_s: np.ndarray) -> None:
        """Patches of a stretch whose frames, as `patches.cell` counts them, are at `times_s` (T,)."""
        if not len(patches):
            return
        chosen = self._rng.random(len(patches))
        last = np.sort(self._key)[-1] if len(self._key) == BANK else 1.0
        rows = np.flatnonzero(chosen < last)  # the others cannot get in
        patches, chosen = patches.pick(rows), chosen[rows]
        key = np.concatenate([self._key, chosen])
        at = np.concatenate([self._times_s, times_s[patches.cell[:, 0]]])
        every = Patches.join([self._bank, patches]) if self._bank is not None else patches
        keep = np.sort(np.argsort(key)[:BANK])
        self._key, self._times_s, self._bank = key[keep], at[keep], every.pick(keep)
        self._speed = max(float(np.median(self._bank.motion[:, 2])), SLOWEST)

    def surprises(self, patches: Patches, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unlikeness of each patch in appearance and in movement, (n,) each; 0 where there is too little to compare."""
        appearance, motion = np.zeros((2, len(patches)), np.float32)
        if self._bank is None or not len(patches):
            return appearance, motion
        frames, first = np.unique(patches.cell[:, 0], return_index=True)

        def compare(rows: np.ndarray, t_s: float) -> None:
            """All patches of one frame."""
            assert self._bank is not None
            other = np.abs(self._times_s - t_s) >= GAP_S
            if other.sum() < MIN_BANK:
                return
            rank = int(RARE * other.sum())
            velocity = self._bank.motion[other] / self._speed
            motion[rows] = _ranked(patches.motion[rows] / self._speed, velocity, rank)
            looks = _ranked(patches.appearance[rows], self._bank.appearance[other], rank)
            appearance[rows] = APPEARANCE_WEIGHT * looks

        # Frames side by side: sorting takes as long as multiplying, and only the latter has threads of its own.
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compare, np.split(np.arange(len(patches)), first[1:]), times_s[frames].tolist()))
        return appearance, motion


def _ranked(x: np.ndarray, bank: np.ndarray, rank: int) -> np.ndarray:
    """Distance to the rank-th nearest bank entry, (n,)."""
    # |x - p|^2 = |x|^2 - 2 x p + |p|^2: |p|^2 rides along in the product, which saves a pass over it.
    points = np.column_stack([-2 * bank, (bank * bank).sum(1)])
    square = np.column_stack([x, np.ones(len(x), x.dtype)]) @ points.T
    square.partition(rank, axis=1)
    return np.sqrt(np.maximum(square[:, rank] + (x * x).sum(1), 0))
