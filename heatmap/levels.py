"""Levels: a raw level in, a score with a meaning out.

On normal footage every level is exceeded at some rate. That rate is measured (how many two-second blocks of held-out
normal footage have a maximum above the level) and continued beyond the highest one as an exponential tail (peaks over
threshold; Coles 2001, ch. 4). The score is a logistic function of the level placed so that 0.5 is exceeded once an hour
on footage like that: scores are comparable between cameras, and a threshold is a promise about false alarms.

Arrays in, arrays out.  Next: heatmap/regions.py
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BLOCK_S = 2.0
PEAK_SHARE = 0.2  # the highest share of blocks, to which the tail is fitted
STEEPNESS = 0.3  # score = logistic(STEEPNESS * ln(rate at 0.5 / rate)); 10 times rarer moves 0.5 to 0.67
BLOCKS_PER_HOUR = 3600.0 / BLOCK_S


@dataclass(frozen=True)
class AlarmLevel:
    """Rate of false alarms per hour at a level: rate_per_hour * exp(-(level - start) / scale).

    hours: length of the normal footage it was measured on, which bounds what it can promise.
    """

    start: float
    scale: float
    rate_per_hour: float
    hours: float

    def __post_init__(self) -> None:
        if not (self.scale > 0 and self.rate_per_hour > 0 and np.isfinite([self.start, self.scale]).all()):
            raise ValueError(f"alarm level needs a positive scale and rate, got {self}")

    @classmethod
    def fit(cls, levels: Sequence[np.ndarray], times_s: Sequence[np.ndarray]) -> "AlarmLevel":
        """From level curves of held-out normal clips and their times. ValueError below four blocks (8 seconds)."""
        peaks = np.concatenate([block_peaks(x, t) for x, t in zip(levels, times_s, strict=True)])
        if len(peaks) < 4:
            raise ValueError(
                f"{len(peaks) * BLOCK_S:.0f} s of normal footage are too little to set a threshold; give at least 8 s"
            )
        start = float(np.quantile(peaks, 1 - PEAK_SHARE))
        excess = peaks[peaks > start] - start
        count = max(len(excess), 1)
        # One standard error wider than the mean excess: with few peaks the promise errs to the quiet side.
        scale = float(excess.mean() if len(excess) else 0.0) * (1 + 1 / np.sqrt(count))
        floor = 0.05 * max(float(peaks.std()), abs(start) * 0.1, 1e-3)
        return cls(start, max(scale, floor), count / len(peaks) * BLOCKS_PER_HOUR, len(peaks) / BLOCKS_PER_HOUR)

    def level_at(self, rate_per_hour: float) -> float:
        """The level exceeded this often per hour."""
        return self.start + self.scale * float(np.log(self.rate_per_hour / rate_per_hour))

    def rate(self, score: float) -> float:
        """Expected false alarms per hour at a score in (0, 1)."""
        return float(np.exp(-np.log(score / (1 - score)) / STEEPNESS))

    def score(self, level: np.ndarray) -> np.ndarray:
        """Levels to scores in (0, 1); 0.5 is the level exceeded once an hour. Strictly increasing."""
        z = STEEPNESS * (np.asarray(level, np.float64) - self.level_at(1.0)) / self.scale
        return (1 / (1 + np.exp(-np.clip(z, -30, 30)))).astype(np.float32)


def threshold(false_alarms_per_hour: float) -> float:
    """The score exceeded this often per hour on normal footage; 1 per hour is 0.5."""
    return float(1 / (1 + false_alarms_per_hour**STEEPNESS))


def block_peaks(level: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Maximum of a curve in each block of BLOCK_S seconds; a last block shorter than half is left out."""
    block = ((times_s - times_s[0]) // BLOCK_S).astype(int)
    step = float(np.median(np.diff(times_s))) if len(times_s) > 1 else BLOCK_S
    enough = BLOCK_S / step / 2
    return np.array([level[block == b].max() for b in np.unique(block) if (block == b).sum() >= enough])
