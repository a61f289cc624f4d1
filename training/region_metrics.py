"""RBDC and TBDC: the region- and track-based detection criteria (Ramachandra & Jones, WACV 2020).

How many of the true boxes, and of the true tracks, are found, as a function of false regions per frame from 0 to 1.
Boxes are (x0, y0, x1, y1) of the first and last pixel, both inside, in pixels of the source.

Next: training/pixel_data.py
"""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

Box = tuple[float, float, float, float]
Track = Mapping[int, Box]  # frame index -> box, of one anomalous object
FrameRegion = tuple[int, Box, float]  # frame index, box, score

EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
TIES = ("group", "sequential")


class RegionScores(NamedTuple):
    """Both areas, each in [0, 1]; NaN where there are no true boxes."""

    rbdc: float
    tbdc: float


class _Truth(NamedTuple):
    """Boxes (n, 4) of all videos, the track each belongs to (n,), and the boxes' numbers by (video, frame)."""

    boxes: np.ndarray
    track_of: np.ndarray
    at: dict[tuple[int, int], np.ndarray]


def rbdc_tbdc(
    predicted: Sequence[Sequence[FrameRegion]],
    truth: Sequence[Sequence[Track]],
    n_frames: int | Sequence[int],
    ties: str = "group",
    alpha: float = 0.1,
    beta: float = 0.1,
) -> RegionScores:
    """The areas under the region and the track detection rate against false positives per frame, up to 1 a frame.

    predicted: per video, regions as (frame index, box, score), in any order. truth: per video, its tracks, each a
    mapping from frame index to box; a normal video has none. n_frames: frames of every video, or their sum; videos
    without regions and truth count too.

    A region finds every true box of its frame with IoU >= beta; one that meets none is false, one that meets only
    boxes found before counts neither way. A track is found when at least alpha of its boxes are. ties: "group" moves
    the threshold past equal scores at once, so the order of the regions does not matter; "sequential" is the legacy
    script's point after every region, whose result depends on their order. Raises ValueError for wrong arguments; NaN
    with a warning if there is no true box.
    """
    fpr, regions, tracks = detection_curve(predicted, truth, n_frames, ties, alpha, beta)
    return RegionScores(_area(fpr, regions), _area(fpr, tracks))


def rbdc_tbdc_of_levels(
    levels: Sequence[Sequence[Sequence[FrameRegion]]],
    truth: Sequence[Sequence[Track]],
    n_frames: int | Sequence[int],
    alpha: float = 0.1,
    beta: float = 0.1,
) -> RegionScores:
    """As `rbdc_tbdc`, for regions cut out at several heat levels: each level's regions are one point of the curve.

    levels: the `predicted` of each level (scores are not used). A figure made so is not comparable with one made
    from regions at a single level; say which it is.
    """
    points = [(0.0, 0.0, 0.0)]
    for predicted in levels:
        level = [[(frame, box, 1.0) for frame, box, _ in video] for video in predicted]
        fpr, regions, tracks = detection_curve(level, truth, n_frames, "group", alpha, beta)
        points.append((float(fpr[-1]), float(regions[-1]), float(tracks[-1])))
    columns = np.array(sorted(points)).T
    return RegionScores(_area(columns[0], columns[1]), _area(columns[0], columns[2]))


def detection_curve(
    predicted: Sequence[Sequence[FrameRegion]],
    truth: Sequence[Sequence[Track]],
    n_frames: int | Sequence[int],
    ties: str = "group",
    alpha: float = 0.1,
    beta: float = 0.1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The curve's points from (0, 0, 0) on, by falling score: false positives per frame (it may exceed 1), region
    detection rate, track detection rate; each (N,). Arguments as `rbdc_tbdc`."""
    if ties not in TIES:
        raise ValueError(f"ties is {ties!r}; known: {', '.join(TIES)}")
    frames = _total_frames(n_frames, len(truth))
    if len(predicted) != len(truth):
        raise ValueError(f"{len(predicted)} videos have regions and {len(truth)} have truth; expected one list a video")
    true = _collect(truth)
    walk, scores = _by_score(predicted, true, beta)
    false, found_boxes, found_tracks = _walk(walk, true, alpha)
    if ties == "group" and scores.size:
        last_of_group = np.append(np.flatnonzero(np.diff(scores)), scores.size - 1)
        kept = np.append(0, last_of_group + 1)
        false, found_boxes, found_tracks = false[kept], found_boxes[kept], found_tracks[kept]
    n_boxes, n_tracks = len(true.boxes), sum(map(len, truth))
    if not n_boxes:
        warnings.warn("RBDC and TBDC: there is no true box; the rates are NaN", stacklevel=3)
        return false / frames, np.full(false.size, np.nan), np.full(false.size, np.nan)
    return false / frames, found_boxes / n_boxes, found_tracks / n_tracks


def _total_frames(n_frames: int | Sequence[int], n_videos: int) -> int:
    if not isinstance(n_frames, int | np.integer):
        if len(n_frames) != n_videos:
            raise ValueError(f"{len(n_frames)} frame counts for {n_videos} videos")
        n_frames = int(sum(n_frames))
    if n_frames < 1:
        raise ValueError(f"n_frames is {n_frames}; expected the frames of all videos, at least 1")
    return int(n_frames)


def _collect(truth: Sequence[Sequence[Track]]) -> _Truth:
    boxes: list[Box] = []
    track_of: list[int] = []
    at: dict[tuple[int, int], list[int]] = {}
    number = 0
    for video, tracks in enumerate(truth):
        for track in tracks:
            if not track:
                raise ValueError(f"video {video} has a track without boxes")
            for frame, box in track.items():
                at.setdefault((video, int(frame)), []).append(len(boxes))
                boxes.append(_checked_box(box, f"video {video}, frame {frame}: true box"))
                track_of.append(number)
            number += 1
    numbers = {place: np.array(found) for place, found in at.items()}
    return _Truth(np.array(boxes, float).reshape(-1, 4), np.array(track_of, int), numbers)


def _checked_box(box: Box, what: str) -> Box:
    if len(box) != 4 or not np.isfinite(box).all() or box[2] < box[0] or box[3] < box[1]:
        raise ValueError(f"{what} is {tuple(box)}; expected (x0, y0, x1, y1) with x0 <= x1, y0 <= y1")
    return box


def _by_score(
    predicted: Sequence[Sequence[FrameRegion]], true: _Truth, beta: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """By falling score, equal ones in given order: the numbers of the true boxes each region meets, and its score."""
    met: list[np.ndarray] = []
    scores: list[float] = []
    nothing = np.zeros(0, int)
    for video, regions in enumerate(predicted):
        for frame, box, score in regions:
            if not np.isfinite(score):
                raise ValueError(f"video {video}, frame {frame}: score is {score}; expected a finite number")
            _checked_box(box, f"video {video}, frame {frame}: region")
            here = true.at.get((video, int(frame)), nothing)
            met.append(here[iou(np.array(box, float), true.boxes[here]) >= beta] if here.size else nothing)
            scores.append(float(score))
    order = np.argsort(-np.array(scores, float), kind="stable")
    return [met[i] for i in order], np.array(scores, float)[order]


def _walk(walk: Sequence[np.ndarray], true: _Truth, alpha: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False regions, found boxes and found tracks so far, before the first region and after each; (N + 1,) each."""
    found = np.zeros(len(true.boxes), bool)
    lengths = np.bincount(true.track_of)
    hits = np.zeros_like(lengths)
    points = np.zeros((3, len(walk) + 1), int)
    for n, met in enumerate(walk, start=1):
        new = met[~found[met]]
        found[new] = True
        points[:, n] = points[:, n - 1] + (met.size == 0, new.size, 0)
        for track in true.track_of[new]:
            reached = hits[track] / lengths[track] >= alpha
            hits[track] += 1
            points[2, n] += not reached and hits[track] / lengths[track] >= alpha
    return points[0], points[1], points[2]


def iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one box (4,) with boxes (n, 4) -> (n,), extents counted in whole pixels (+1)."""
    size = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]) + 1
    common = np.clip(size, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(axis=1)
    return common / (areas + (box[2:] - box[:2] + 1).prod() - common)


def _area(fpr: np.ndarray, rate: np.ndarray) -> float:
    """Trapezoids over false positives per frame in [0, 1]; the last rate reached by then is held, not interpolated."""
    kept = int(np.searchsorted(fpr, 1.0, side="right"))
    return float(np.trapezoid(np.append(rate[:kept], rate[kept - 1]), np.append(fpr[:kept], 1.0)))


# Truth from masks


def tracks_of_masks(masks: Iterable[np.ndarray], min_area_px: int = 1) -> list[dict[int, Box]]:
    """True tracks out of a clip's masks, frame by frame (only two are held).

    masks: (H, W) each. Integers are object ids (0 = ordinary): one track an id, its box in a frame the bounds of the
    id's largest component. bool says only where: the 8-connected components of at least `min_area_px` pixels are
    linked to those of the frame before by most common pixels, one to one; one that overlaps none starts a track. A
    pair of objects that touch is one component, and one of their tracks ends there.
    """
    tracks: dict[int, dict[int, Box]] = {}
    before: np.ndarray | None = None  # (H, W): 1 + the track's number, or 0
    started = 0
    for frame, mask in enumerate(masks):
        if mask.ndim != 2:
            raise ValueError(f"mask {frame} has shape {mask.shape}; expected (H, W)")
        if mask.dtype != bool:
            for number in np.unique(mask[mask != 0]):
                tracks.setdefault(int(number), {})[frame] = _largest_box(mask == number)
            continue
        now, count = _components(mask, min_area_px)
        number_of = _link(before, now, count)
        for component, box in enumerate(ndimage.find_objects(now, count), start=1):
            if number_of[component] == 0:
                started += 1
                number_of[component] = started
            tracks.setdefault(int(number_of[component]), {})[frame] = _box(box)
        before = number_of[now]
    return [tracks[number] for number in sorted(tracks)]


def _components(mask: np.ndarray, min_area_px: int) -> tuple[np.ndarray, int]:
    """Components numbered 1, 2, ... without the small ones."""
    labels, _ = ndimage.label(mask, EIGHT_NEIGHBOURS)
    large = np.bincount(labels.ravel()) >= min_area_px
    large[0] = False
    return (np.cumsum(large) * large)[labels], int(large.sum())


def _link(before: np.ndarray | None, now: np.ndarray, count: int) -> np.ndarray:
    """(count + 1,): for each component of `now` the number in `before` that it continues, or 0."""
    number_of = np.zeros(count + 1, int)
    if before is None or not count or not before.any():
        return number_of
    numbers = np.unique(before[before > 0])
    both = (before > 0) & (now > 0)
    common = np.zeros((count, numbers.size), int)
    np.add.at(common, (now[both] - 1, np.searchsorted(numbers, before[both])), 1)
    for component, old in zip(*linear_sum_assignment(common, maximize=True), strict=True):
        if common[component, old]:
            number_of[component + 1] = numbers[old]
    return number_of


def _largest_box(mask: np.ndarray) -> Box:
    labels, _ = ndimage.label(mask, EIGHT_NEIGHBOURS)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return _box(ndimage.find_objects(labels)[largest - 1])


def _box(slices: tuple[slice, slice]) -> Box:
    rows, columns = slices
    return float(columns.start), float(rows.start), float(columns.stop - 1), float(rows.stop - 1)
