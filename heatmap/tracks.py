"""Regions of successive moments -> tracks: which hot places are the same thing. Knows no pixels and no videos.

Linking: Hungarian assignment (Kuhn 1955) on `1 - IoU + distance / diagonal`, as IoU trackers do (Bochinski et al.,
AVSS 2017; SORT, Bewley et al., ICIP 2016), without a motion model: hot regions jump too much for one.

Next: heatmap/motion.py
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.optimize import linear_sum_assignment

from heatmap.regions import Region

MIN_IOU = 0.1
MAX_DISTANCE = 0.1  # of the longer frame side
MAX_GAP_SLICES = 3
_FORBIDDEN = 1e6  # far above any cost, and still exact in float64


@dataclass(frozen=True)
class RegionTrack:
    """One thing that was followed: `regions[i]` was seen in slice `slices[i]` of the video, counted from 0
    (`Tracker.times_s[slices[i]]`); both in order of time. Slices without it have no entry."""

    id: int
    slices: tuple[int, ...]
    regions: tuple[Region, ...]

    def __post_init__(self) -> None:
        if len(self.slices) != len(self.regions):
            raise ValueError(f"track {self.id} has {len(self.regions)} regions in {len(self.slices)} slices")


@dataclass
class _Growing:
    id: int
    slices: list[int] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)

    def add(self, index: int, region: Region, max_regions: int) -> None:
        self.slices.append(index)
        self.regions.append(region)
        if len(self.slices) > max_regions:
            # The newest one stays: the next slice is linked to it; the first one says when the track began.
            keep = [*range(0, len(self.slices) - 1, 2), len(self.slices) - 1]
            self.slices = [self.slices[i] for i in keep]
            self.regions = [self.regions[i] for i in keep]

    def track(self) -> RegionTrack:
        return RegionTrack(self.id, tuple(self.slices), tuple(self.regions))


class Tracker:
    """Links the regions of one slice to those before it. Feed it with `step`, in order of time.

    size_wh: source frame (width, height) in pixels. max_gap_s: longest time since a track's last region after which
    a new region may still continue it; None allows `max_gap_slices` empty slices instead. A pair may be linked when
    IoU >= min_iou or the centroids are within max_distance x the longer frame side. max_regions bounds the memory of
    a track: beyond it, every second region is forgotten (`smooth` fills the holes by interpolation).
    """

    def __init__(
        self,
        size_wh: tuple[int, int],
        max_gap_s: float | None = None,
        max_gap_slices: int = MAX_GAP_SLICES,
        min_iou: float = MIN_IOU,
        max_distance: float = MAX_DISTANCE,
        max_regions: int = 8192,
    ) -> None:
        if min(size_wh) < 1:
            raise ValueError(f"frame size is {size_wh}; expected (width, height), both above 0")
        if max_regions < 2:
            raise ValueError(f"max_regions is {max_regions}; a track needs room for at least 2")
        self._diagonal_px = float(np.hypot(*size_wh))
        self._reach_px = max_distance * max(size_wh)
        self._min_iou = min_iou
        self._max_gap_s, self._max_gap_slices = max_gap_s, max_gap_slices
        self._max_regions = max_regions
        self._times_s: list[float] = []
        self._live: list[_Growing] = []
        self._ended: list[_Growing] = []
        self._next_id = 1

    @property
    def times_s(self) -> tuple[float, ...]:
        """Seconds of all slices seen so far, (slices,)."""
        return tuple(self._times_s)

    def step(self, regions: Sequence[Region], t_s: float) -> list[int]:
        """Take the regions of the slice at `t_s` (possibly none); gives the track id of each, from 1 up.

        Raises ValueError when `t_s` is not after the last slice.
        """
        if self._times_s and t_s <= self._times_s[-1]:
            raise ValueError(f"slice at {t_s} s does not come after the last one at {self._times_s[-1]} s")
        self._times_s.append(float(t_s))
        self._retire()
        links = self._link(regions) if regions and self._live else {}
        ids = []
        for i, region in enumerate(regions):
            track = links[i] if i in links else self._start()
            track.add(len(self._times_s) - 1, region, self._max_regions)
            ids.append(track.id)
        return ids

    def tracks(self, min_length: int = 2) -> list[RegionTrack]:
        """All tracks so far, ended or not, that were seen in at least `min_length` slices, in order of id; without
        those that `take_ended` gave."""
        kept = [g for g in [*self._ended, *self._live] if len(g.slices) >= min_length]
        return [g.track() for g in sorted(kept, key=lambda g: g.id)]

    def take_ended(self) -> list[RegionTrack]:
        """Tracks that nothing can continue any more, in order of id; they are forgotten here."""
        ended, self._ended = sorted(self._ended, key=lambda g: g.id), []
        return [g.track() for g in ended]

    def _start(self) -> _Growing:
        track = _Growing(self._next_id)
        self._next_id += 1
        self._live.append(track)
        return track

    def _retire(self) -> None:
        still: list[_Growing] = []
        for track in self._live:
            (still if self._may_continue(track) else self._ended).append(track)
        self._live = still

    def _may_continue(self, track: _Growing) -> bool:
        if self._max_gap_s is not None:
            # Half a millisecond: times come from containers, whose clocks are that coarse.
            return self._times_s[-1] - self._times_s[track.slices[-1]] <= self._max_gap_s + 5e-4
        return len(self._times_s) - 1 - track.slices[-1] - 1 <= self._max_gap_slices

    def _link(self, regions: Sequence[Region]) -> dict[int, _Growing]:
        last = [track.regions[-1] for track in self._live]
        overlap = box_iou(_boxes(regions), _boxes(last))
        centres, last_centres = _centres(regions), _centres(last)
        distance_px = np.hypot(*np.moveaxis(centres[:, None] - last_centres[None], -1, 0))
        allowed = (overlap >= self._min_iou) | (distance_px <= self._reach_px)
        cost = np.where(allowed, 1 - overlap + distance_px / self._diagonal_px, _FORBIDDEN)
        rows, columns = linear_sum_assignment(cost)
        return {int(r): self._live[c] for r, c in zip(rows, columns, strict=True) if allowed[r, c]}


def box_iou(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """(M, 4) and (N, 4) boxes of inclusive pixel extents -> (M, N) intersection over union in [0, 1]."""
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    both = np.prod(np.maximum(high - low + 1, 0), axis=-1)
    area_a = np.prod(a_xyxy[:, 2:] - a_xyxy[:, :2] + 1, axis=-1)
    area_b = np.prod(b_xyxy[:, 2:] - b_xyxy[:, :2] + 1, axis=-1)
    union: np.ndarray = area_a[:, None] + area_b[None] - both
    return both / union


def smooth(track: RegionTrack, times_s: Sequence[float] | np.ndarray | None = None, radius: int = 2) -> RegionTrack:
    """Fill the gaps of a track by interpolation and average its boxes over 2 x radius + 1 slices.

    The first and the last box stay as they are (the window shrinks towards the ends), so neither the time span nor
    the places of entry and exit change. Regions that were seen keep their score, area and mask; filled ones get
    interpolated values and no mask. times_s: `Tracker.times_s`; without it, the seconds of filled slices are
    interpolated too (exact for evenly spaced slices).
    """
    if not track.slices:
        return track
    span = range(track.slices[0], track.slices[-1] + 1)
    table = np.array([[*r.box_xyxy, *r.centroid_xy, r.score, r.area, r.t_s] for r in track.regions])
    filled = np.column_stack([np.interp(span, track.slices, column) for column in table.T])
    filled[:, :6] = _average(filled[:, :6], radius)
    old = dict(zip(track.slices, track.regions, strict=True))
    out = []
    for index, row in zip(span, filled.tolist(), strict=True):
        box, centroid = (row[0], row[1], row[2], row[3]), (row[4], row[5])
        if index in old:
            out.append(replace(old[index], box_xyxy=box, centroid_xy=centroid))
        else:
            t_s = float(times_s[index]) if times_s is not None else row[8]
            out.append(Region(t_s, box, row[6], centroid, row[7]))
    return RegionTrack(track.id, tuple(span), tuple(out))


def _average(rows: np.ndarray, radius: int) -> np.ndarray:
    """(N, C) -> (N, C): mean over a centred window that is never wider than the shorter way to an end."""
    n = len(rows)
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    index = np.arange(n)
    reach = np.minimum(radius, np.minimum(index, n - 1 - index))
    mean: np.ndarray = (sums[index + reach + 1] - sums[index - reach]) / (2 * reach + 1)[:, None]
    return mean


def _boxes(regions: Sequence[Region]) -> np.ndarray:
    return np.array([r.box_xyxy for r in regions], dtype=np.float64)


def _centres(regions: Sequence[Region]) -> np.ndarray:
    return np.array([r.centroid_xy for r in regions], dtype=np.float64)
