"""Heat map -> regions: the connected hot places of one moment, in source pixels. Knows no videos and no tracks.

Next: heatmap/tracks.py
"""

from dataclasses import dataclass

import cv2
import numpy as np

WORKING_SIDE_PX = 320  # finer than any patch grid in use, far cheaper than the source's own pixels


@dataclass(frozen=True)
class Region:
    """One hot place at one moment.

    t_s: seconds. box_xyxy: first and last pixel (x0, y0, x1, y1), both inside, in source pixels.
    score: highest heat inside, in [0, 1]. centroid_xy: heat-weighted centre in source pixels.
    area: fraction of the frame, in (0, 1]. mask: bool, covering the *whole* frame at the working size (at most
    WORKING_SIDE_PX on the long side; resize with nearest neighbour to the source), or None when it was not kept.
    """

    t_s: float
    box_xyxy: tuple[float, float, float, float]
    score: float
    centroid_xy: tuple[float, float]
    area: float
    mask: np.ndarray | None = None


def working_size(size_wh: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the map on which regions are cut out: the source's shape, bounded by WORKING_SIDE_PX."""
    width, height = size_wh
    scale = min(1.0, WORKING_SIDE_PX / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def extract_regions(
    heat_hw: np.ndarray,
    t_s: float,
    size_wh: tuple[int, int],
    threshold: float = 0.5,
    min_area: float = 5e-4,
    keep_mask: bool = False,
) -> list[Region]:
    """The 8-connected places where the up-sampled heat reaches `threshold`, the hottest first.

    heat_hw: (h, w) in [0, 1], covering the whole frame. size_wh: the source frame (width, height) in pixels.
    min_area: fraction of the frame below which a place is dropped. Raises ValueError for a map or a size that cannot
    be one.
    """
    _check(heat_hw, size_wh)
    if heat_hw.max() < threshold:
        return []
    work_wh = working_size(size_wh)
    heat = cv2.resize(heat_hw.astype(np.float32), work_wh, interpolation=cv2.INTER_LINEAR)
    hot = (heat >= threshold).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hot, connectivity=8, ltype=cv2.CV_32S)
    pixels = work_wh[0] * work_wh[1]
    found = [
        _region(heat, labels, stats[i], i, t_s, size_wh, keep_mask)
        for i in range(1, count)
        if stats[i, cv2.CC_STAT_AREA] >= min_area * pixels
    ]
    return sorted(found, key=lambda r: -r.score)


def _check(heat_hw: np.ndarray, size_wh: tuple[int, int]) -> None:
    if heat_hw.ndim != 2 or heat_hw.size == 0:
        raise ValueError(f"heat has shape {heat_hw.shape}; expected (h, w), both above 0")
    if not np.isfinite(heat_hw).all():
        raise ValueError("heat has values that are not finite; expected [0, 1]")
    if min(size_wh) < 1:
        raise ValueError(f"frame size is {size_wh}; expected (width, height), both above 0")


def _region(
    heat: np.ndarray,
    labels: np.ndarray,
    stat: np.ndarray,
    label: int,
    t_s: float,
    size_wh: tuple[int, int],
    keep_mask: bool,
) -> Region:
    x, y, w, h, count = (int(v) for v in stat)
    inside = labels[y : y + h, x : x + w] == label
    weight = np.where(inside, heat[y : y + h, x : x + w], 0.0)
    # A threshold of 0 lets places without any heat in; their centre is then the plain one.
    mass = weight if weight.sum() > 0 else inside.astype(np.float32)
    total = float(mass.sum())
    centre_x = float(mass.sum(axis=0) @ np.arange(x, x + w)) / total
    centre_y = float(mass.sum(axis=1) @ np.arange(y, y + h)) / total
    scale_x, scale_y = size_wh[0] / heat.shape[1], size_wh[1] / heat.shape[0]
    return Region(
        t_s=float(t_s),
        box_xyxy=(x * scale_x, y * scale_y, (x + w) * scale_x - 1, (y + h) * scale_y - 1),
        score=float(weight.max()),
        centroid_xy=((centre_x + 0.5) * scale_x - 0.5, (centre_y + 0.5) * scale_y - 0.5),
        area=count / heat.size,
        mask=labels == label if keep_mask else None,
    )
