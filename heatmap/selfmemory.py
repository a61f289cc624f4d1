"""A clip as its own memory: how unlike the rest of this clip is each place of the picture?

Without calibration the only normality at hand is what happens often. Each moving patch is compared with patches of the
same clip at least GAP_S away in time; its distance is the one within which the nearest RARE share of them lies, so a
pattern counts as ordinary only when that share of all movement resembles it. Distances are put on one scale for all
clips: velocities relative to the clip's median speed. Rarity inside a video as anomaly: Del Giorno et al. 2016
("A discriminative framework for anomaly detection in large videos").

A clip cannot know what the camera usually sees: a thing that stays all through looks normal here.
Arrays in, arrays out.  Next: heatmap/levels.py
"""

from dataclasses import dataclass

import numpy as np

from heatmap.memory import Patches

GAP_S = 2.0
RARE = 0.02
BANK = 3000
APPEARANCE_WEIGHT = 0.5
MIN_BANK = 50
SLOWEST = 0.01  # frame heights per second; floor of the median speed


@dataclass(frozen=True)
class SelfMemory:
    """A sample of a clip's moving patches, with the time of each, and the clip's median speed (frame heights/s)."""

    patches: Patches
    times_s: np.ndarray
    median_speed: float

    @classmethod
    def fit(cls, patches: Patches, times_s: np.ndarray, seed: int = 0) -> "SelfMemory":
        """`times_s` (T,) are the times of the frames that `patches.cell` counts."""
        sample = patches.sample(BANK, np.random.default_rng(seed))
        speed = max(float(np.median(sample.motion[:, 2])), SLOWEST) if len(sample) else SLOWEST
        return cls(sample, times_s[sample.cell[:, 0]], speed)

    def surprise(self, patches: Patches, times_s: np.ndarray) -> np.ndarray:
        """Unlikeness of each patch, (n,); 0 where the clip is too short to compare with."""
        out = np.zeros(len(patches), np.float32)
        frames, first = np.unique(patches.cell[:, 0], return_index=True)
        for frame, rows in zip(frames, np.split(np.arange(len(patches)), first[1:]), strict=True):
            other = np.abs(self.times_s - times_s[frame]) >= GAP_S
            if other.sum() < MIN_BANK:
                continue
            rank = int(RARE * other.sum())
            speeds = self.patches.motion[other] / self.median_speed
            fast = _ranked(patches.motion[rows] / self.median_speed, speeds, rank)
            out[rows] = fast + APPEARANCE_WEIGHT * _ranked(
                patches.appearance[rows], self.patches.appearance[other], rank
            )
        return out


def _ranked(x: np.ndarray, bank: np.ndarray, rank: int) -> np.ndarray:
    """Distance to the rank-th nearest bank entry, (n,)."""
    square = (x * x).sum(1)[:, None] + (bank * bank).sum(1) - 2 * (x @ bank.T)
    return np.sqrt(np.maximum(np.partition(square, rank, axis=1)[:, rank], 0))
