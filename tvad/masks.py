"""Masks of tracks: at a few moments of each, the shape of the thing, by SAM where it agrees with the heat.

Looks at a handful of frames again, after the detector is done; what it finds goes into the Evidence.

Next: heatmap/sam.py
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from heatmap.masks import to_runs
from heatmap.regions import Region, extract_regions
from heatmap.sam import Refined, SamError, Segmenter, open_segmenter, refine
from heatmap.tracks import box_iou
from tvad.evidence import Analysis, Curves, Track, TrackBox, TrackMask
from tvad.settings import MAX_SIDE_PX
from tvad.video import VideoError, VideoReader
from tvad.weights import MissingWeights

PER_TRACK = 5  # moments
CUT_SHARE = 0.6  # of a box's heat, where that stays below the threshold


def load_segmenter(path: str, device: str) -> Segmenter:
    """SAM at `path`. MissingWeights, with a line that says what to do, where there is none."""
    try:
        return open_segmenter(path, device)
    except SamError as error:
        raise MissingWeights(str(error)) from None


def with_masks(analysis: Analysis, video: str | Path, segmenter: Segmenter) -> Analysis:
    """The analysis with masks of its tracks. A moment whose frame cannot be read again has none."""
    evidence, curves = analysis
    wanted: dict[float, list[tuple[int, TrackBox]]] = {}
    for track in evidence.tracks:
        for box in moments_of(track):
            wanted.setdefault(box.t_s, []).append((track.id, box))
    made: dict[int, list[TrackMask]] = {track.id: [] for track in evidence.tracks}
    size_wh = (evidence.video.width, evidence.video.height)
    for t_s, boxes in sorted(wanted.items()):
        heat = heat_at(curves, t_s)
        frame = _frame(video, t_s)
        if heat is None or frame is None:
            continue
        for (number, box), found in zip(
            boxes, _refined(segmenter, frame, [b for _, b in boxes], heat, size_wh, evidence.threshold), strict=True
        ):
            if found is not None:
                made[number].append(_track_mask(box.t_s, found))
    tracks = tuple(replace(track, masks=tuple(made[track.id])) for track in evidence.tracks)
    return Analysis(replace(evidence, tracks=tracks), curves)


def moments_of(track: Track) -> list[TrackBox]:
    """Up to PER_TRACK boxes of a track, evenly spread from its first to its last."""
    last = len(track.boxes) - 1
    picks = sorted({round(i) for i in np.linspace(0, last, min(PER_TRACK, last + 1))})
    return [track.boxes[i] for i in picks]


def heat_at(curves: Curves, t_s: float) -> np.ndarray | None:
    """The map (h, w) nearest to a moment; None where there is none."""
    if not len(curves.heat_times_s):
        return None
    nearest: np.ndarray = curves.heat[int(np.abs(curves.heat_times_s - t_s).argmin())].astype(np.float32)
    return nearest


def region_of(heat: np.ndarray, box: TrackBox, size_wh: tuple[int, int], threshold: float) -> Region | None:
    """The hot place that a track's box stands for, with its mask; None where nothing hot meets the box."""
    cut = min(threshold, CUT_SHARE * box.score)
    found = extract_regions(heat, box.t_s, size_wh, max(cut, 1e-3), keep_mask=True)
    if not found:
        return None
    overlap = box_iou(np.array([box.xyxy]), np.array([r.box_xyxy for r in found]))[0]
    best = int(overlap.argmax())
    return found[best] if overlap[best] > 0 else None


def _refined(
    segmenter: Segmenter,
    frame: np.ndarray,
    boxes: Sequence[TrackBox],
    heat: np.ndarray,
    size_wh: tuple[int, int],
    threshold: float,
) -> list[Refined | None]:
    regions = [region_of(heat, box, size_wh, threshold) for box in boxes]
    found = iter(refine(segmenter, frame, [r for r in regions if r is not None], heat))
    return [None if region is None else next(found) for region in regions]


def _track_mask(t_s: float, found: Refined) -> TrackMask:
    mask = found.region.mask
    assert mask is not None
    iou, heat = (found.best.iou, found.best.heat) if found.best else (0.0, 0.0)
    size_wh = (mask.shape[1], mask.shape[0])
    return TrackMask(t_s, size_wh, to_runs(mask), found.by, round(iou, 3), round(heat, 3))


def _frame(video: str | Path, t_s: float) -> np.ndarray | None:
    try:
        reader = VideoReader(video, None, t_s or None, t_s + 1.0, chunk=1, prefetch=False, max_side=MAX_SIDE_PX)
        return next(iter(reader)).frames[0]
    except VideoError:
        return None
