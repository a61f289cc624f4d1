"""Movement of a second or two as numbers: how much there is in the frame, and of what kind where it is strongest.

Speeds in frame heights tell a near walker from a far one better than a fight from a conversation. So beside levels of
the whole frame there are ratios inside the busiest region: jerk against speed, how far neighbours go their own ways,
how soon the direction changes. They do not depend on the distance to the camera. Ours; docs/RESULTS.md says what they
are worth.

Next: tvad/temporal/snippets.py
"""

import numpy as np
from scipy import ndimage

WAYS = 8  # directions of a histogram
BORDERS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)  # frame heights per second, between the bins of speed
QUANTILES = (0.5, 0.9, 0.99)
LEAST = 1e-3
SLOW = 1e-2  # frame heights per second: speeds below it do not count in ratios
BUSY, BUSY_OF_MOST = 0.9, 0.3  # quantile of the cells, and share of the strongest, that the busiest region reaches
NEAR = 5  # cells a side: what counts as a neighbour

LEVELS = tuple(
    f"{p}_{s}" for p in ("speed", "spread", "changed", "jerk") for s in ("mid", "high", "top", "most", "vary")
)
WHOLE = (
    *LEVELS,
    *(f"speeds_{n}" for n in range(len(BORDERS) + 1)),
    *(f"way_{n}" for n in range(WAYS)),
    *("moving", "moving_most", "moving_vary", "one_way", "mixed", "extent"),
)
BUSIEST = (
    *("pace", "pace_varies", "pace_peak", "jerk", "jerk_share", "keeps_on", "keeps_on_longer"),
    *("spread", "spread_share", "disorder", "disorder_share", "together", "diverges", "turns"),
    *("mixed", "one_way", "sideways", "upright", "changed", "changed_varies", "changed_most"),
    *("area", "reach", "tall", "wide", "height", "pieces", "largest"),
)
NAMES = (*WHOLE, *(f"busiest_{name}" for name in BUSIEST))


def movement(motion: np.ndarray, moving: np.ndarray, changed: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(len(NAMES),) float32 of T >= 1 moments. motion (T, h, w, 4), moving and changed (T, h, w), times_s (T,) rising,
    as in tvad.encoder.Features."""
    motion, moving, changed = (np.asarray(x, np.float64) for x in (motion, moving, changed))
    velocity, speed, spread = motion[..., :2], motion[..., 2], motion[..., 3]
    step_s = np.maximum(np.diff(times_s), LEAST)
    jerk = np.zeros_like(speed)
    if len(step_s):
        jerk[1:] = np.hypot(*np.moveaxis(np.diff(velocity, axis=0), -1, 0)) / step_s[:, None, None]
    whole = _whole(velocity, speed, spread, moving, changed, jerk)
    busiest = _busiest(velocity, speed, spread, moving, changed, jerk)
    return np.nan_to_num(np.concatenate([whole, busiest])).astype(np.float32)


def _whole(
    velocity: np.ndarray,
    speed: np.ndarray,
    spread: np.ndarray,
    moving: np.ndarray,
    changed: np.ndarray,
    jerk: np.ndarray,
) -> np.ndarray:
    """The numbers of WHOLE; logarithms where sizes range widely."""
    out: list[np.ndarray] = []
    for plane in (speed, spread, changed, jerk):
        by_moment = plane.reshape(len(plane), -1)
        levels = np.quantile(by_moment, QUANTILES, axis=1).mean(1)
        out.append(np.log1p(10 * np.array([*levels, by_moment.max(), by_moment.mean(1).std()])))
    bins = np.digitize(speed, BORDERS)
    out.append(np.bincount(bins.ravel(), moving.ravel(), len(BORDERS) + 1) / max(float(moving.sum()), LEAST))
    ways, mixed, one_way = _ways(velocity, speed, moving * speed)
    shares = moving.mean((1, 2))
    extent = float((changed > 0.1).any(0).mean())
    return np.concatenate([*out, ways, [shares.mean(), shares.max(), shares.std(), one_way, mixed, extent]])


def _ways(velocity: np.ndarray, speed: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Shares of the directions (WAYS,), their entropy in nats, and how far all goes one way, in [0, 1]."""
    total = max(float(weight.sum()), LEAST)
    angle = np.arctan2(velocity[..., 1], velocity[..., 0])
    way = np.floor((angle / (2 * np.pi) + 1 / (2 * WAYS)) * WAYS).astype(int) % WAYS
    shares = np.bincount(way.ravel(), weight.ravel(), WAYS) / total
    net = (velocity * weight[..., None]).sum((0, 1, 2)) / total
    mean = float((speed * weight).sum()) / total
    return shares, float(-(shares * np.log(shares + 1e-6)).sum()), float(np.hypot(*net)) / (mean + LEAST)


def _busiest(
    velocity: np.ndarray,
    speed: np.ndarray,
    spread: np.ndarray,
    moving: np.ndarray,
    changed: np.ndarray,
    jerk: np.ndarray,
) -> np.ndarray:
    """The numbers of BUSIEST: in the cells with the strongest movement over all moments."""
    flow = moving * speed
    region, strength = _region(flow)
    weight = flow * region
    total = float(weight.sum()) + 1e-6

    def mean(values: np.ndarray) -> float:
        return float((values * weight).sum()) / total

    pace = weight.sum((1, 2)) / region.sum()
    level = pace.mean() + LEAST
    fast = mean(jerk)
    near, apart = _neighbours(velocity, moving)
    flowing = np.hypot(near[..., 0], near[..., 1])
    busy_near = ndimage.uniform_filter(flow, (0, NEAR, NEAR)) / (
        ndimage.uniform_filter(moving, (0, NEAR, NEAR)) + LEAST
    )
    across, down = np.gradient(velocity, axis=2), np.gradient(velocity, axis=1)
    ways, mixed, one_way = _ways(velocity, speed, weight)
    seen = (changed * region).sum((1, 2)) / region.sum()
    half = WAYS // 2
    return np.array(
        [
            *(np.log(level), pace.std() / level, pace.max() / level),
            *(np.log(fast + SLOW), np.log((fast + SLOW) / (mean(speed) + SLOW))),
            *(_keeps_on(velocity, speed, weight, n) for n in (1, 2)),
            *(np.log(mean(spread) + SLOW), mean(spread / (speed + SLOW))),
            *(np.log(mean(apart) + SLOW), mean(apart / (speed + SLOW)), mean(flowing / (busy_near + SLOW))),
            np.log(mean(np.abs(across[..., 0] + down[..., 1])) + SLOW),
            np.log(mean(np.abs(across[..., 1] - down[..., 0])) + SLOW),
            *(mixed, one_way, ways[0] + ways[half], ways[half // 2] + ways[half // 2 + half]),
            *(seen.mean(), seen.std(), seen.max()),
            *_shape(region, strength),
        ]
    )


def busiest_region(flow: np.ndarray) -> np.ndarray:
    """(h, w) bool: the cells that BUSIEST is about. flow (T, h, w): moving pixels times their speed."""
    return _region(np.asarray(flow, np.float64))[0]


def _region(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(h, w) bool, never empty, and how strongly each cell moved over all moments (h, w)."""
    strength = flow.mean(0)
    busy = float(np.quantile(strength, BUSY))
    region = strength >= max(busy, BUSY_OF_MOST * float(strength.max()))
    return (region if region.sum() >= 3 else strength >= busy), strength


def _keeps_on(velocity: np.ndarray, speed: np.ndarray, weight: np.ndarray, steps: int) -> float:
    """Mean cosine between the velocities of a cell now and some moments on; 1 where there are no such moments."""
    if len(velocity) <= steps:
        return 1.0
    cosine = (velocity[steps:] * velocity[:-steps]).sum(-1) / (speed[steps:] * speed[:-steps] + SLOW**2)
    both = (weight[steps:] + weight[:-steps]) / 2
    return float((cosine * both).sum() / (both.sum() + 1e-6))


def _neighbours(velocity: np.ndarray, moving: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean velocity of the moving pixels around each cell (T, h, w, 2), and how far the cell's own is from it."""
    share = ndimage.uniform_filter(moving, (0, NEAR, NEAR)) + LEAST
    near = ndimage.uniform_filter(velocity * moving[..., None], (0, NEAR, NEAR, 0)) / share[..., None]
    return near, np.hypot(*np.moveaxis(velocity - near, -1, 0))


def _shape(region: np.ndarray, strength: np.ndarray) -> tuple[float, ...]:
    """Area of the region, of all that moves a tenth as strongly, its deviations down and across, its height in the
    frame, the number of its pieces and the area of the largest; all but the number as shares of the frame."""
    most = float(strength.max())
    y, x = np.nonzero(region)
    height, width = region.shape
    pieces, count = ndimage.label(strength > BUSY_OF_MOST * most)
    largest = float(np.bincount(pieces.ravel())[1:].max()) / pieces.size if count else 0.0
    reach = float((strength > 0.1 * most).mean())
    return (float(region.mean()), reach, y.std() / height, x.std() / width, y.mean() / height, float(count), largest)
