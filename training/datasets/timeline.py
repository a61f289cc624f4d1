"""Window records -> one timeline a video: the records of one thing, found again in overlapping windows, become one.

Two records are the same thing when their boxes agree (mean IoU of at least 0.5) on the frames that both windows hold
(T-VAD, temporal aggregation of frame-level descriptions).

Next: training/datasets/consistency.py
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from heatmap.tracks import box_iou
from training.datasets.records import Box, ClipRecord, TargetRecord, movement, target_dict

MIN_IOU = 0.5


@dataclass(frozen=True)
class TimelineEntry:
    """One thing of a video: its merged record, and the words about its looks from all windows, each once."""

    record: TargetRecord
    appearance: str

    def to_dict(self) -> dict[str, Any]:
        """{target, start, end, start_s, end_s, cells, motion, appearance}; spans in frames, inclusive."""
        about = target_dict(self.record, 0)
        keys = ("target", "start", "end", "start_s", "end_s", "cells", "motion")
        return {key: about[key] for key in keys} | {"appearance": self.appearance}


def timeline(records: Sequence[ClipRecord]) -> list[TimelineEntry]:
    """The targets of the windows of one video, merged and sorted by their start.

    Movement, cells and borders are those of the merged boxes, between the first and the last second of all windows.
    Raises ValueError for records of several videos.
    """
    if not records:
        return []
    if len({r.video for r in records}) > 1:
        raise ValueError(f"records of several videos: {sorted({r.video for r in records})}; give those of one")
    found = [(t, n) for n, r in enumerate(records) for t in r.targets]
    group = list(range(len(found)))

    def root(i: int) -> int:
        while group[i] != i:
            i = group[i]
        return i

    for i, (a, window_a) in enumerate(found):
        for j, (b, window_b) in enumerate(found[:i]):
            # Two things of one window are two, however close they are.
            if window_a != window_b and overlap(a, b) >= MIN_IOU:
                group[root(i)] = root(j)
    merged: dict[int, list[TargetRecord]] = {}
    for i, (target, _) in enumerate(found):
        merged.setdefault(root(i), []).append(target)
    start_s, end_s = min(r.start_s for r in records), max(r.end_s for r in records)
    size = records[0].size_wh
    entries = [_entry(parts, size, start_s, end_s) for parts in merged.values()]
    return sorted(entries, key=lambda e: (e.record.start_s, e.record.id))


def overlap(a: TargetRecord, b: TargetRecord) -> float:
    """Mean IoU of the boxes on shared frames; 0 without any."""
    boxes_a, boxes_b = dict(zip(a.frames, a.boxes, strict=True)), dict(zip(b.frames, b.boxes, strict=True))
    shared = sorted(set(boxes_a) & set(boxes_b))
    if not shared:
        return 0.0
    each = [box_iou(np.array([boxes_a[f]]), np.array([boxes_b[f]]))[0, 0] for f in shared]
    return float(np.mean(each))


def _entry(parts: Sequence[TargetRecord], size_wh: tuple[int, int], start_s: float, end_s: float) -> TimelineEntry:
    at: dict[int, tuple[float, Box]] = {}
    for part in parts:
        for frame, t_s, box in zip(part.frames, part.times_s, part.boxes, strict=True):
            at.setdefault(frame, (t_s, box))
    frames = tuple(sorted(at))
    times, boxes = tuple(at[f][0] for f in frames), tuple(at[f][1] for f in frames)
    record = replace(
        parts[0], frames=frames, times_s=times, boxes=boxes, **movement(times, boxes, size_wh, start_s, end_s)
    )
    said = list(dict.fromkeys(part.appearance for part in parts if part.appearance))
    return TimelineEntry(record, " ".join(said))
