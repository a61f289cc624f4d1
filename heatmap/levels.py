"""Levels: a raw level in, a score with a meaning out.

On normal footage every level is exceeded at some rate. That rate is measured (how many two-second blocks of held-out
normal footage have a maximum above the level) and continued beyond the highest one as an exponential tail (peaks over
threshold; Coles 2001, ch. 4). `rarity` is minus the logarithm of that rate per hour; the score is rarity squeezed into
[0, 1] so that 0.5 is exceeded once an hour on footage like that: scores are comparable between cameras, and a threshold
is a promise about false alarms.

Arrays in, arrays out.  Next: heatmap/regions.py
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BLOCK_S = 2.0
PEAK_SHARE = 0.2  # the highest share of blocks, to which the tail is fitted
HALF_WAY = 6.0  # rarity (nats) that moves the score half of the way from 0.5 to 1
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
        values = [self.start, self.scale, self.rate_per_hour, self.hours]
        if not (self.scale > 0 and self.rate_per_hour > 0 and np.isfinite(values).all()):
            raise ValueError(f"alarm level needs a positive scale and rate, got {self}")

    @classmethod
    def fit(cls, levels: Sequence[np.ndarray], times_s: Sequence[np.ndarray]) -> "AlarmLevel":
        """From level curves of held-out normal clips and their times. ValueError below four blocks (8 seconds)."""
        return cls.of_peaks(np.concatenate([block_peaks(x, t) for x, t in zip(levels, times_s, strict=True)]))

    @classmethod
    def of_peaks(cls, peaks: np.ndarray) -> "AlarmLevel":
        """From the highest level in each block of BLOCK_S of normal footage, (blocks,). ValueError below four."""
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
        return cls(start, float(max(scale, floor)), count / len(peaks) * BLOCKS_PER_HOUR, len(peaks) / BLOCKS_PER_HOUR)

    def level_at(self, rate_per_hour: float) -> float:
        """The level exceeded this often per hour."""
        return self.start + self.scale * float(np.log(self.rate_per_hour / rate_per_hour))

    def rarity(self, level: np.ndarray) -> np.ndarray:
        """-ln(false alarms per hour at a level): 0 once an hour, ln 10 once in ten hours. float32, any shape."""
        return ((np.asarray(level, np.float64) - self.level_at(1.0)) / self.scale).astype(np.float32)


@dataclass(frozen=True)
class Alarms:
    """Alarm levels of a part: of its curve over the frames, and of the hottest place of its maps."""

    frame: AlarmLevel
    heat: AlarmLevel


def to_score(rarity: np.ndarray) -> np.ndarray:
    """Rarity to a score in (0, 1), strictly increasing, 0 to 0.5. An algebraic sigmoid: its long tails keep apart what
    is rare and what is far rarer, in half precision too."""
    x = np.asarray(rarity, np.float64) / HALF_WAY
    return (0.5 + 0.5 * x / (1 + np.abs(x))).astype(np.float32)


def to_rarity(score: np.ndarray) -> np.ndarray:
    """The inverse of `to_score`."""
    x = 2 * np.asarray(score, np.float64) - 1
    return HALF_WAY * x / np.maximum(1 - np.abs(x), 1e-9)


def threshold(false_alarms_per_hour: float) -> float:
    """The score exceeded this often per hour on normal footage; 1 per hour is 0.5."""
    return float(to_score(np.array(-np.log(false_alarms_per_hour))))


def block_peaks(level: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Maximum of a curve in each block of BLOCK_S seconds; a last block shorter than half is left out."""
    block = ((times_s - times_s[0]) // BLOCK_S).astype(int)
    step = float(np.median(np.diff(times_s))) if len(times_s) > 1 else BLOCK_S
    enough = BLOCK_S / step / 2
    return np.array([level[block == b].max() for b in np.unique(block) if (block == b).sum() >= enough])
