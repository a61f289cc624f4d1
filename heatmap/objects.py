"""Moving things: a background that learns as it goes, boxes of what differs from it, and tracks of those boxes.

The background is the per-pixel median of a small reservoir of past frames (Lo and Velastin 2001, "Automatic congestion
detection"), whose spread in time grows with the video; memory is constant. A pixel is foreground where it leaves the
background's range in the 3x3 neighbourhood by more than its own noise, so a pixel of camera shake is no object.

Not covered: a moving camera (`camera_moves` says so and nothing is proposed), things that stand still from the first
frame to the last, and splitting people who walk arm in arm. No learned detector, no class.

Next: tvad/words.py
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Proposal:
    """One moving thing at one moment.

    box_xyxy: (x0, y0, x1, y1) in pixels of the frame that was given. area_frac: its foreground, fraction of the frame.
    mask_hw: bool (h, w) at the reduced resolution, cut to the box. active: fraction of its pixels that changed since
    the frame before (0 for something that stands). strength: mean difference to the background, grey levels.
    """

    t_s: float
    box_xyxy: Box
    area_frac: float
    mask_hw: np.ndarray
    active: float
    strength: float


@dataclass(frozen=True)
class ObjectsConfig:
    """long_side_px: working size. reservoir: frames behind the median. young: kept frames that make a background.
    first_gap_s: least time between two kept frames (doubles whenever the reservoir is full, up to max_gap_s).
    min_area: least foreground, fraction of the frame. noise, floor: its threshold in noise units and grey levels.
    """

    long_side_px: int = 320
    reservoir: int = 24
    young: int = 8
    first_gap_s: float = 0.25
    max_gap_s: float = 8.0
    min_area: float = 6e-4
    noise: float = 4.0
    floor: float = 13.0
    max_foreground: float = 0.5
    max_proposals: int = 32


class MovingObjects:
    """Streaming foreground. Call `step` for the sampled frames of one video in order; `prime` first where frames from
    all over the video can be had cheaply, else the first two seconds rest on frame differences."""

    def __init__(self, config: ObjectsConfig | None = None) -> None:
        self.config = config or ObjectsConfig()
        self.foreground = np.zeros((0, 0), bool)
        self.camera_moves = False
        self._kept: deque[np.ndarray] = deque(maxlen=self.config.reservoir)
        self._gap_s = self.config.first_gap_s
        self._last_kept_s = -np.inf
        self._background: np.ndarray | None = None
        self._low: np.ndarray = np.zeros(0)
        self._high: np.ndarray = np.zeros(0)
        self._noise: np.ndarray = np.zeros(0)
        self._before: np.ndarray | None = None

    def prime(self, frames: Sequence[np.ndarray]) -> None:
        """Learn the background from (H, W, 3) or (H, W) uint8 frames spread over the video, before the first step."""
        for frame in frames:
            self._kept.append(self._reduce(frame).astype(np.uint8))
        self._learn()

    def step(self, frame: np.ndarray, t_s: float) -> list[Proposal]:
        """Proposals in one frame: (H, W, 3) RGB or (H, W) grey uint8, largest first."""
        grey = self._reduce(frame)
        self._remember(grey, t_s)
        difference = self._difference(grey)
        changed = np.abs(grey - (grey if self._before is None else self._before)) > self.config.floor / 2
        self._before = grey
        mask = self._clean(difference)
        self.camera_moves = bool(mask.mean() > self.config.max_foreground)
        if self.camera_moves:
            mask[:] = False
        self.foreground = mask
        return self._components(mask, difference, changed, frame.shape[:2], t_s)

    def _reduce(self, frame: np.ndarray) -> np.ndarray:
        """Grey float32 with its long side at most `long_side_px`, slightly smoothed."""
        grey = frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        scale = self.config.long_side_px / max(grey.shape)
        if scale < 1:
            size = (max(8, round(grey.shape[1] * scale)), max(8, round(grey.shape[0] * scale)))
            grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
        return cv2.GaussianBlur(grey, (3, 3), 0).astype(np.float32)

    def _remember(self, grey: np.ndarray, t_s: float) -> None:
        """Keep frames at growing distances: dense at first, later a few minutes deep."""
        if t_s - self._last_kept_s >= self._gap_s:
            self._last_kept_s = t_s
            if len(self._kept) == self._kept.maxlen and self._gap_s < self.config.max_gap_s:
                self._gap_s *= 2
                kept = list(self._kept)[::2]
                self._kept.clear()
                self._kept.extend(kept)
            self._kept.append(grey.astype(np.uint8))
            self._learn()

    def _learn(self) -> None:
        middle = median(self._kept)
        spread = median([np.asarray(cv2.absdiff(f, middle)) for f in self._kept]).astype(np.float32)
        background = middle.astype(np.float32)
        # 1.4826 turns a median deviation into a standard deviation; where people pass half the time it means nothing
        self._noise = cv2.blur(np.minimum(1.4826 * spread, 12.0), (5, 5))
        self._background = background
        kernel = np.ones((3, 3), np.uint8)
        self._low, self._high = cv2.erode(background, kernel), cv2.dilate(background, kernel)

    def _difference(self, grey: np.ndarray) -> np.ndarray:
        """How far each pixel leaves its neighbourhood's background, after evening out the light of the whole frame."""
        assert self._background is not None
        some = slice(None, None, 4)  # of rows and columns: a median needs no more
        gain = float(np.median((grey[some, some] + 8.0) / (self._background[some, some] + 8.0)))
        level = (grey + 8.0) / min(max(gain, 0.5), 2.0) - 8.0
        outside = np.maximum(level - self._high, self._low - level)
        outside = np.maximum(outside, 0.5 * np.abs(level - self._background))
        return np.where(self._shadow(level), 0.0, outside).astype(np.float32)

    def _shadow(self, level: np.ndarray) -> np.ndarray:
        """Darker by one factor over a 5x5 patch: the background's texture shows through (bool, same shape)."""
        assert self._background is not None
        ratio = (level + 8.0) / (self._background + 8.0)
        mean = cv2.blur(ratio, (5, 5))
        variance = cv2.blur(ratio * ratio, (5, 5)) - mean * mean
        return (mean > 0.6) & (mean < 0.95) & (variance < 0.0012)

    def _clean(self, difference: np.ndarray) -> np.ndarray:
        """Threshold with the pixel's own noise, drop specks, close gaps (more along the height: heads, legs)."""
        mask = (difference > np.maximum(self.config.floor, self.config.noise * self._noise)).astype(np.uint8)
        mask = np.asarray(cv2.medianBlur(mask, 3), np.uint8)
        tall = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 7))
        return cv2.morphologyEx(mask, cv2.MORPH_CLOSE, tall).astype(bool)

    def _components(
        self, mask: np.ndarray, difference: np.ndarray, changed: np.ndarray, size_hw: tuple[int, ...], t_s: float
    ) -> list[Proposal]:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
        scale_x, scale_y = size_hw[1] / mask.shape[1], size_hw[0] / mask.shape[0]
        order = np.argsort(-stats[1:, cv2.CC_STAT_AREA])[: self.config.max_proposals] + 1
        found = []
        for i in order:
            x, y, w, h, area = (int(v) for v in stats[i])
            if area < self.config.min_area * mask.size:
                break
            own = labels[y : y + h, x : x + w] == i
            active = float(changed[y : y + h, x : x + w][own].mean())
            if active < 0.05 and len(self._kept) < self.config.young:
                continue  # the hole that a thing left which stood in the first frames
            found.append(
                Proposal(
                    t_s=t_s,
                    box_xyxy=(x * scale_x, y * scale_y, (x + w) * scale_x, (y + h) * scale_y),
                    area_frac=area / mask.size,
                    mask_hw=own,
                    active=active,
                    strength=float(difference[y : y + h, x : x + w][own].mean()),
                )
            )
        return found


def median(frames: Iterable[np.ndarray]) -> np.ndarray:
    """Per-pixel (upper) median of (h, w) uint8 frames. Bubbling up whole frames by minimum and maximum is ten times
    faster than sorting each pixel's values."""
    values: list[np.ndarray] = list(frames)
    for i in range(len(values) // 2 + 1):
        for j in range(len(values) - 1, i, -1):
            low, high = np.minimum(values[j - 1], values[j]), np.maximum(values[j - 1], values[j])
            values[j - 1], values[j] = low, high
    return values[len(values) // 2]


RECENT = 512  # sightings that a track remembers; its size and velocity rest on a second


@dataclass
class ProposalTrack:
    """One thing that is followed: its last boxes (px) at times (s), in order; those long past are forgotten."""

    id: int
    boxes: list[Box] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def size_px(self) -> tuple[float, float]:
        """Median (width, height) of the last 16 boxes."""
        recent = np.array(self.boxes[-16:])
        return float(np.median(recent[:, 2] - recent[:, 0])), float(np.median(recent[:, 3] - recent[:, 1]))

    def velocity(self, window_s: float = 1.0) -> tuple[float, float]:
        """(vx, vy) in object heights per second over the last `window_s`: the straight line through the centres."""
        vx, vy = self.velocity_px(window_s)
        height = max(self.size_px[1], 1.0)
        return vx / height, vy / height

    def velocity_px(self, window_s: float = 1.0) -> tuple[float, float]:
        """(vx, vy) in pixels per second; (0, 0) before the second sighting."""
        first = int(np.searchsorted(self.times, self.times[-1] - window_s - 1e-6))
        times = np.array(self.times[first:])
        times -= times.mean()
        power = float((times**2).sum())
        if power <= 0:
            return 0.0, 0.0
        boxes = np.array(self.boxes[first:])
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        return float((times * x).sum() / power), float((times * y).sum() / power)

    def predict(self, t_s: float) -> Box:
        """The last box moved on by the velocity, at most half a second ahead."""
        vx, vy = self.velocity_px(0.6)
        ahead = min(t_s - self.times[-1], 0.5)
        x0, y0, x1, y1 = self.boxes[-1]
        return x0 + vx * ahead, y0 + vy * ahead, x1 + vx * ahead, y1 + vy * ahead


class ProposalLinker:
    """Joins boxes of successive frames into tracks: Hungarian assignment on overlap and distance of predicted boxes
    (SORT, Bewley et al. 2016, without the Kalman filter). A track ends after `max_gap_s` unseen."""

    def __init__(self, max_gap_s: float = 0.6, max_cost: float = 1.0) -> None:
        self.max_gap_s, self.max_cost = max_gap_s, max_cost
        self.live: dict[int, ProposalTrack] = {}
        self._next_id = 1

    def step(self, boxes: Sequence[Box], t_s: float) -> tuple[list[int], list[ProposalTrack]]:
        """Ids of the boxes, in their order, and the tracks that ended with this frame."""
        ended = [t for t in self.live.values() if t_s - t.times[-1] > self.max_gap_s]
        for track in ended:
            del self.live[track.id]
        ids = self._assign(boxes, t_s)
        for box, identity in zip(boxes, ids, strict=True):
            track = self.live.setdefault(identity, ProposalTrack(identity))
            track.boxes.append(box)
            track.times.append(t_s)
            if len(track) > 2 * RECENT:
                del track.boxes[:-RECENT], track.times[:-RECENT]
        return ids, ended

    def _assign(self, boxes: Sequence[Box], t_s: float) -> list[int]:
        tracks = list(self.live.values())
        ids = [0] * len(boxes)
        if tracks and len(boxes):
            costs = link_costs(np.array([t.predict(t_s) for t in tracks]), np.array(boxes))
            for i, j in zip(*linear_sum_assignment(costs), strict=True):
                if costs[i, j] <= self.max_cost:
                    ids[j] = tracks[i].id
        for j, identity in enumerate(ids):
            if not identity:
                ids[j] = self._next_id
                self._next_id += 1
        return ids


def link_costs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(A, 4) and (B, 4) boxes -> (A, B): 1 - IoU, plus the centres' distance in box sizes, plus the log size ratio; low
    is alike. Boxes that do not touch can still be linked when they are within about half their size."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.clip(high - low, 0, None).prod(-1)
    size_a, size_b = a[:, 2:] - a[:, :2], b[:, 2:] - b[:, :2]
    area_a, area_b = size_a.prod(-1), size_b.prod(-1)
    union = area_a[:, None] + area_b[None] - overlap
    iou = overlap / np.maximum(union, 1e-6)
    between = np.linalg.norm((a[:, None, :2] + a[:, None, 2:] - b[None, :, :2] - b[None, :, 2:]) / 2, axis=-1)
    scale = np.sqrt(np.sqrt(np.maximum(area_a[:, None] * area_b[None], 1e-6)))
    ratio = np.abs(np.log(np.maximum(area_a[:, None], 1e-6) / np.maximum(area_b[None], 1e-6)))
    return 0.6 * (1 - iou) + 0.4 * between / np.maximum(scale, 1e-6) + 0.1 * ratio
