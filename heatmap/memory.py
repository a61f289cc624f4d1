"""Scene memory: how unlike normal footage is each place of the picture?

A bounded bank of patches of normal footage (what things look like, how they move) and, for each, the distance
distribution of *held-out* normal patches. A patch's surprise is -log10 of the share of normal patches at least as far
from the bank: 3 means one normal patch in a thousand. Beyond what was measured the tail is continued as an exponential
(Pickands 1975; Coles 2001, ch. 4). Nearest-neighbour memories for anomaly detection: PatchCore (Roth et al. 2022,
sec. 3); here the bank is split in thirds and the three nearest distances averaged, which is as robust as a
three-nearest mean and needs no sorting.

Arrays in, arrays out: knows no videos and no files.  Next: heatmap/levels.py
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter

MOVING_SHARE = 0.15  # cells with a smaller share of moving pixels are background and not looked up
PARTS = 3
TAIL_SHARE = 0.005  # the farthest share of held-out normal patches; the exponential tail is fitted to it
MAX_SURPRISE = 60.0
BANK = 6000  # patches kept
WIDTH = 64  # principal axes of the appearance
MIN_PATCHES = 100
QUANTILES = np.concatenate([np.linspace(0, 0.99, 100), np.linspace(0.991, 1 - TAIL_SHARE, 5)])


def motion_vector(motion: np.ndarray) -> np.ndarray:
    """Velocity features (..., 4) in frame heights per second to lookup vectors, signed square roots.

    The square root makes a step from slow to walking about as long as one from running to driving.
    """
    return np.sign(motion) * np.sqrt(np.abs(motion))


@dataclass(frozen=True)
class Projection:
    """Principal axes of the normal patches: (x - mean) @ axes, axes (C, c)."""

    mean: np.ndarray
    axes: np.ndarray

    @classmethod
    def fit(cls, x: np.ndarray, width: int) -> "Projection":
        mean = x.mean(0)
        _, _, axes = np.linalg.svd(x - mean, full_matrices=False)
        return cls(mean, np.ascontiguousarray(axes[:width].T))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return (x - self.mean) @ self.axes


@dataclass(frozen=True)
class Tail:
    """Distances of held-out normal patches: quantiles (len(QUANTILES),) and the exponential beyond the last."""

    quantiles: np.ndarray
    scale: float

    @classmethod
    def fit(cls, distances: np.ndarray) -> "Tail":
        quantiles = np.quantile(distances, QUANTILES)
        beyond = distances[distances > quantiles[-1]] - quantiles[-1]
        scale = float(beyond.mean()) if len(beyond) else 0.0
        return cls(quantiles, max(scale, 1e-3 * float(quantiles[-1]) + 1e-9))

    def surprise(self, distances: np.ndarray) -> np.ndarray:
        """-log10 of the share of normal patches at least this far, in [0, MAX_SURPRISE]."""
        inside = -np.log10(1.0 - np.interp(distances, self.quantiles, QUANTILES))
        beyond = np.maximum(distances - self.quantiles[-1], 0.0) / (self.scale * np.log(10.0))
        return np.minimum(inside + beyond, MAX_SURPRISE).astype(np.float32)


NO_TAIL = Tail(np.zeros(len(QUANTILES)), 1.0)


def nearest(x: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """Mean over the bank's parts of the distance to the nearest entry; x (n, C), bank (PARTS, M, C) -> (n,)."""
    total = np.zeros(len(x), np.float32)
    norms = (x * x).sum(1)
    ones = np.column_stack([x, np.ones(len(x), x.dtype)])
    for part in bank:
        # |x - p|^2 = |x|^2 - 2 (x p - |p|^2 / 2): the norms ride along in the product, which saves a pass over it.
        points = np.column_stack([part, -0.5 * (part * part).sum(1)]).astype(x.dtype)
        for a in range(0, len(x), 1024):  # bounds the product, which stays in the processor's cache
            rows = slice(a, a + 1024)
            closest = (ones[rows] @ points.T).max(1)
            total[rows] += np.sqrt(np.maximum(norms[rows] - 2 * closest, 0))
    return total / len(bank)


def split_bank(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random subset of at most BANK rows in PARTS equal parts, (PARTS, M, C)."""
    part = min(BANK, len(x)) // PARTS
    return x[rng.permutation(len(x))[: part * PARTS]].reshape(PARTS, part, -1)


@dataclass(frozen=True)
class Patches:
    """The moving cells of a stretch of video: appearance (n, C), motion (n, 4), cell (n, 3) = frame, row, column."""

    appearance: np.ndarray
    motion: np.ndarray
    cell: np.ndarray

    @classmethod
    def of(cls, patch: np.ndarray, motion: np.ndarray, moving: np.ndarray, first_frame: int = 0) -> "Patches":
        """From feature maps (T, h, w, C), (T, h, w, 4), (T, h, w); frames are counted from `first_frame`."""
        cell = np.argwhere(moving > MOVING_SHARE).astype(np.int32)
        t, y, x = cell.T
        return cls(patch[t, y, x], motion[t, y, x], cell + np.array([first_frame, 0, 0], np.int32))

    def __len__(self) -> int:
        return len(self.cell)

    def pick(self, rows: np.ndarray) -> "Patches":
        return Patches(self.appearance[rows], self.motion[rows], self.cell[rows])

    def sample(self, count: int, rng: np.random.Generator) -> "Patches":
        return self if len(self) <= count else self.pick(rng.permutation(len(self))[:count])

    @staticmethod
    def join(items: Sequence["Patches"]) -> "Patches":
        return Patches(*(np.concatenate([getattr(p, k) for p in items]) for k in ("appearance", "motion", "cell")))

    def paint(self, values: np.ndarray, shape: tuple[int, int, int], first_frame: int = 0) -> np.ndarray:
        """One value per patch into a map of this shape, 0 elsewhere."""
        out = np.zeros(shape, np.float32)
        out[self.cell[:, 0] - first_frame, self.cell[:, 1], self.cell[:, 2]] = values
        return out


@dataclass(frozen=True)
class SceneMemory:
    """What one camera's normal footage looks like."""

    projection: Projection
    appearance: np.ndarray  # (PARTS, M, c)
    motion: np.ndarray  # (PARTS, M, 4)
    appearance_tail: Tail
    motion_tail: Tail

    @classmethod
    def fit(cls, stretches: Sequence[Patches], fold: Sequence[int], seed: int = 0) -> "tuple[SceneMemory, list]":
        """Memory of all stretches, and the surprise (n,) of each stretch's patches to a memory of the other folds.

        fold: one label per stretch, at least two different ones. ValueError when too little moves to learn from.
        """
        held: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(0), np.zeros(0))] * len(stretches)
        for k in sorted(set(fold)):
            bank = cls._bank([p for p, f in zip(stretches, fold, strict=True) if f != k], seed)
            for i in (i for i, f in enumerate(fold) if f == k):
                held[i] = bank.distances(stretches[i])
        tails = [Tail.fit(np.concatenate(kind)) for kind in zip(*held, strict=True)]
        memory = replace(cls._bank(stretches, seed), appearance_tail=tails[0], motion_tail=tails[1])
        return memory, [tails[0].surprise(a) + tails[1].surprise(m) for a, m in held]

    @classmethod
    def _bank(cls, normal: Sequence[Patches], seed: int) -> "SceneMemory":
        """A memory without tails."""
        rng = np.random.default_rng(seed)
        share = max(200, 4 * BANK // max(len(normal), 1))
        pool = Patches.join([p.sample(share, rng) for p in normal]) if normal else None
        if pool is None or len(pool) < MIN_PATCHES:
            raise ValueError(
                f"only {len(pool) if pool else 0} moving patches in a part of the normal footage, at least "
                f"{MIN_PATCHES} are needed. Give longer clips, or clips in which something moves"
            )
        projection = Projection.fit(pool.appearance, WIDTH)
        return cls(
            projection,
            split_bank(projection(pool.appearance), rng),
            split_bank(motion_vector(pool.motion), rng),
            NO_TAIL,
            NO_TAIL,
        )

    def distances(self, patches: Patches) -> tuple[np.ndarray, np.ndarray]:
        """Distance of each patch to the bank in appearance and in motion, (n,) each."""
        return (
            nearest(self.projection(patches.appearance), self.appearance),
            nearest(motion_vector(patches.motion), self.motion),
        )

    def surprises(self, patches: Patches) -> tuple[np.ndarray, np.ndarray]:
        """Surprise of each patch in appearance and in movement, (n,) each; they are added."""
        appearance, motion = self.distances(patches)
        return self.appearance_tail.surprise(appearance), self.motion_tail.surprise(motion)


def frame_level(surprise: np.ndarray) -> np.ndarray:
    """Surprise maps (T, h, w) to one level a frame, (T,): mean of the hottest 1 % of the 3x3 averages."""
    calm = uniform_filter(surprise, (0, 3, 3), mode="nearest").reshape(len(surprise), -1)
    cells = -(-calm.shape[1] // 100)
    return np.partition(calm, calm.shape[1] - cells, axis=1)[:, -cells:].mean(1)


def smooth(curve: np.ndarray, sigma_frames: float) -> np.ndarray:
    """Gaussian over time, (T,) to (T,)."""
    return gaussian_filter(curve, sigma_frames, mode="nearest") if sigma_frames > 0 and len(curve) > 1 else curve


def heat_level(surprise: np.ndarray, changed: np.ndarray, sigma_frames: float) -> np.ndarray:
    """Surprise maps to heat maps in the same unit: smoothed over cells and time, concentrated where pixels change."""
    calm = gaussian_filter(surprise, (sigma_frames, 1, 1), mode="nearest")
    where = gaussian_filter(changed, (0.5 * sigma_frames, 0.5, 0.5), mode="nearest")
    return calm * (0.1 + where)
