"""Histograms of optical flow on a grid: how what moves in a cell moves, and how that changes from pixel to pixel.

Next: tvad/encoder.py
"""

import cv2
import numpy as np

STRIDE = 8  # grid step of the patch features in encoder pixels
FLOW_STEP = 4  # DIS ("fast") solves for every fourth pixel and interpolates between: only those are looked at
CELL = 16  # encoder pixels a side of a cell of histograms
WAYS = 8  # directions of a histogram
SIXTEENTHS = 16.0  # of a frame height per second is the unit of speed
STILL = 0.4  # sixteenths of a frame height per second: slower flow stands still
C_FLOW = WAYS + 1 + 2 * WAYS  # flow's directions, stillness, directions of the gradients of its two parts
ACROSS, DOWN = np.array([[-0.5, 0, 0.5]], np.float32), np.array([[-0.5], [0], [0.5]], np.float32)


def flow_histograms(backward: np.ndarray, dt: float) -> np.ndarray:
    """(h, w, C_FLOW) float32 of a flow from a frame back to the one before, (H, W, 2) px in dt seconds; a cell is
    CELL px a side.

    Eight directions of the flow weighted by its speed, and the share of what stands still (HOF); eight directions of
    the gradient of its horizontal part and eight of its vertical part, which a moving camera does not change (motion
    boundary histograms; Dalal, Triggs and Schmid 2006). Means over cells, speeds in SIXTEENTHS of frame heights per
    second."""
    flow = -backward[FLOW_STEP // 2 :: FLOW_STEP, FLOW_STEP // 2 :: FLOW_STEP]
    flow = flow * np.float32(SIXTEENTHS / (len(backward) * dt))
    side = CELL // FLOW_STEP
    high, wide = (n // side for n in flow.shape[:2])
    across, down = (cv2.filter2D(flow, -1, kernel, borderType=cv2.BORDER_REPLICATE) for kernel in (ACROSS, DOWN))
    x = np.stack([flow[..., 0], across[..., 0], across[..., 1]])[:, : high * side, : wide * side]
    y = np.stack([flow[..., 1], down[..., 0], down[..., 1]])[:, : high * side, : wide * side]
    shape = (-1, wide * side)  # cv2 takes planes
    size, angle = (v.reshape(x.shape) for v in cv2.cartToPolar(x.reshape(shape), y.reshape(shape)))
    still = size[0] < STILL
    size[0][still] = 0  # flow that stands still goes nowhere
    angle = np.asarray(angle * np.float32(WAYS / (2 * np.pi)))
    low = angle.astype(np.int32)
    after = size * (angle - low)
    cell = np.arange(high * side)[:, None] // side * wide + np.arange(wide * side) // side
    first = (np.arange(3)[:, None, None] * (high * wide) + cell) * WAYS
    count = 3 * high * wide * WAYS
    total = np.bincount((first + low % WAYS).ravel(), (size - after).ravel(), count)
    total += np.bincount((first + (low + 1) % WAYS).ravel(), after.ravel(), count)
    ways = (total / side**2).reshape(3, high, wide, WAYS).astype(np.float32)
    stillness = still.reshape(high, side, wide, side).mean((1, 3), dtype=np.float32)
    return np.concatenate([ways[0], stillness[..., None], ways[1], ways[2]], -1)


def pooled(plane: np.ndarray, cell: int) -> np.ndarray:
    """Mean over each cell: (h * cell, w * cell) to (h, w)."""
    return cv2.resize(plane, (plane.shape[1] // cell, plane.shape[0] // cell), interpolation=cv2.INTER_AREA)
