"""Truth -> records: what can be said of a clip, or of a window of it, one record a target (T-VAD, data pipeline).

Movement is that of heatmap/motion.py on the true boxes, over the moments at which a target is anomalous and visible:
the same words that the program finds for the tracks of its evidence.

Next: training/datasets/timeline.py
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from heatmap.motion import MotionSummary, cell_path, describe_motion, entry_exit
from training.datasets.truth import ClipTruth, Target

WINDOW, STRIDE = 24, 12  # frames
PAUSE_S = 1.0  # a longer absence begins a new stretch
COLOURLESS = frozenset((
    "night", "infrared", "ir", "grey", "gray", "greyscale", "grayscale", "monochrome", "black and white", "low light",
))  # fmt: skip
UNKNOWN_LAYOUT = "unknown"  # of recordings: nothing is known of what is normal in them

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Window:
    """`length` frames of a video from frame `start` on, of which the first `valid` exist; the last one stands for the
    others."""

    start: int
    length: int
    valid: int

    @property
    def end(self) -> int:
        """The last frame that exists, inclusive."""
        return self.start + self.valid - 1

    def frames(self) -> np.ndarray:
        """(length,) indices of frames, the last one repeated where the video is shorter."""
        return np.minimum(np.arange(self.start, self.start + self.length), self.end)

    def flags(self) -> np.ndarray:
        """(length,) bool: which of `frames` are not repetitions."""
        return np.arange(self.length) < self.valid


def windows(n_frames: int, length: int = WINDOW, stride: int = STRIDE) -> list[Window]:
    """Windows over a video of n_frames; every frame is in one, the last window ends with the last frame.

    Raises ValueError for numbers below 1.
    """
    if min(n_frames, length, stride) < 1:
        raise ValueError(f"{n_frames} frames, windows of {length} every {stride}; all must be 1 or more")
    if n_frames <= length:
        return [Window(0, length, n_frames)]
    starts = list(range(0, n_frames - length + 1, min(stride, length)))
    if starts[-1] + length < n_frames:
        starts.append(n_frames - length)
    return [Window(start, length, length) for start in starts]


@dataclass(frozen=True)
class TargetRecord:
    """One anomalous target in a clip or window.

    noun, anomaly, action, carried: as in truth.Target. colours: as there, and empty in footage without colour.
    frames (n,) absolute, times_s (n,) and boxes (n, 4) px: the moments at which it is anomalous and visible, n >= 1.
    stretches_s: these moments as (start, end), absences below a second left out. cells: of the 3 x 3 grid, repeats
    removed. entry, exit: borders or None. from_start, to_end: it was there all along at that end of the clip.
    appearance: a captioner's words about the crop, or "".
    """

    id: int
    noun: str
    anomaly: str
    action: str
    colours: dict[str, str]
    carried: str
    frames: tuple[int, ...]
    times_s: tuple[float, ...]
    boxes: tuple[Box, ...]
    stretches_s: tuple[tuple[float, float], ...]
    cells: tuple[str, ...]
    motion: MotionSummary
    entry: str | None
    exit: str | None
    from_start: bool
    to_end: bool
    appearance: str = ""

    @property
    def start_s(self) -> float:
        return self.times_s[0]

    @property
    def end_s(self) -> float:
        return self.times_s[-1]


@dataclass(frozen=True)
class ClipRecord:
    """What is true of a clip, or of a window of it.

    window: first and last frame, inclusive. start_s, end_s: its seconds. targets: the anomalous ones, by their start.
    nouns: what everything visible is called, normal or not; beside: words of what they carry and do, which may be seen
    too. complete: nothing else is there that one might ask for.
    """

    id: str
    video: str
    source: str
    split: str
    layout: str
    conditions: tuple[str, ...]
    window: tuple[int, int]
    fps: float
    size_wh: tuple[int, int]
    start_s: float
    end_s: float
    targets: tuple[TargetRecord, ...]
    nouns: tuple[str, ...]
    beside: tuple[str, ...]
    complete: bool
    mask_path: str = ""

    @property
    def has_anomaly(self) -> bool:
        return bool(self.targets)

    def to_dict(self) -> dict[str, Any]:
        """The fields of a line of the data set (without "qa")."""
        return {
            "id": self.id,
            "video": self.video,
            "window": list(self.window),
            "fps": self.fps,
            "size": [self.size_wh[1], self.size_wh[0]],
            "split": self.split,
            "has_anomaly": self.has_anomaly,
            "targets": [target_dict(t, self.window[0]) for t in self.targets],
            "mask_path": self.mask_path,
        }


def target_dict(target: TargetRecord, window_start: int) -> dict[str, Any]:
    """A target as JSON holds it: spans inclusive, in absolute and in window frames; no boxes."""
    first, last = target.frames[0], target.frames[-1]
    return {
        "id": target.id,
        "target": target.noun,
        "anomaly": target.anomaly,
        "action": target.action,
        "colours": target.colours,
        "carried": target.carried,
        "appearance": target.appearance,
        "start": first,
        "end": last,
        "start_in_window": first - window_start,
        "end_in_window": last - window_start,
        "start_s": round(target.start_s, 3),
        "end_s": round(target.end_s, 3),
        "cells": list(target.cells),
        "motion": asdict(target.motion),
        "entry": target.entry,
        "exit": target.exit,
    }


def frame_count(truth: ClipTruth) -> int:
    """How many frames a clip has, by its length and rate; 1 or more."""
    return max(1, round(truth.duration_s * truth.fps))


def clip_record(
    truth: ClipTruth,
    window: Window | None = None,
    video: str = "",
    mask_path: str = "",
    captions: dict[int, str] | None = None,
) -> ClipRecord:
    """The record of a whole clip, or of one window of it.

    video, mask_path: as they are to stand in the data set; video is the clip's id where empty. captions: a captioner's
    words for targets, by id.
    """
    last_frame = frame_count(truth) - 1
    first, last = (window.start, window.end) if window is not None else (0, last_frame)
    # A whole clip ends where the clip ends, a window with its last frame.
    start_s = first / truth.fps
    end_s = truth.duration_s if last >= last_frame else last / truth.fps
    made = [
        record
        for target in truth.anomalous
        if (record := _target_record(truth, target, first, last, start_s, end_s, (captions or {}).get(target.id, "")))
    ]
    seen = [t for t in truth.targets if _visible(truth, t, first, last).any()]
    return ClipRecord(
        id=truth.id if window is None else f"{truth.id}/{first}",
        video=video or truth.id,
        source=truth.source,
        split=truth.split,
        layout=truth.layout,
        conditions=truth.conditions,
        window=(first, last),
        fps=truth.fps,
        size_wh=truth.size_wh,
        start_s=start_s,
        end_s=end_s,
        targets=tuple(sorted(made, key=lambda t: (t.start_s, t.id))),
        nouns=tuple(dict.fromkeys(t.noun for t in seen)),
        beside=tuple(
            dict.fromkeys(re.findall("[a-z]+", " ".join(f"{t.carried} {t.action} {t.anomaly}" for t in seen)))
        ),
        complete=truth.layout != UNKNOWN_LAYOUT,
        mask_path=mask_path,
    )


def window_records(
    truth: ClipTruth, length: int = WINDOW, stride: int = STRIDE, video: str = "", mask_path: str = ""
) -> list[ClipRecord]:
    """One record for each window of a clip, in order."""
    return [clip_record(truth, w, video, mask_path) for w in windows(frame_count(truth), length, stride)]


def colourless(conditions: Sequence[str]) -> bool:
    """Whether colours cannot be told under these conditions."""
    return any(c.lower() in COLOURLESS for c in conditions)


def stretches(times_s: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Rising moments (n >= 1) -> stretches (first, last) that lie more than PAUSE_S apart."""
    out = [[times_s[0], times_s[0]]]
    for before, now in pairwise(times_s):
        if now - before > PAUSE_S + 1e-6:
            out.append([now, now])
        out[-1][1] = now
    return tuple((a, b) for a, b in out)


def movement(
    times_s: Sequence[float],
    boxes: Sequence[Box],
    size_wh: tuple[int, int],
    start_s: float,
    end_s: float,
) -> dict[str, Any]:
    """The fields of a TargetRecord that tell where and how it moves between the seconds of its clip or window."""
    times, corners = np.asarray(times_s, np.float64), np.asarray(boxes, np.float64)
    slack_s = 1.5 * float(np.median(np.diff(times))) if len(times) > 1 else 0.2  # as heatmap.motion.entry_exit
    came, gone = entry_exit(times, corners, size_wh, start_s, end_s)
    return {
        "stretches_s": stretches(times_s),
        "cells": cell_path(corners, size_wh),
        "motion": describe_motion(times, corners, size_wh),
        "entry": came,
        "exit": gone,
        "from_start": bool(times[0] - start_s <= slack_s),
        "to_end": bool(end_s - times[-1] <= slack_s),
    }


def _visible(truth: ClipTruth, target: Target, first: int, last: int) -> np.ndarray:
    """(n,) bool: moments of a target within the frames at which something of it can be seen."""
    frames = np.rint(np.asarray(target.times_s, np.float64) * truth.fps)
    return (np.asarray(target.seen, np.float64) > 0) & (frames >= first) & (frames <= last)


def _target_record(
    truth: ClipTruth, target: Target, first: int, last: int, start_s: float, end_s: float, caption: str
) -> TargetRecord | None:
    """None where it is not anomalous and visible in these frames."""
    times = np.asarray(target.times_s, np.float64)
    anomalous = np.zeros(len(times), bool)
    for a, b in target.anomalous_s:
        anomalous |= (times >= a - 1e-6) & (times <= b + 1e-6)
    kept = np.flatnonzero(anomalous & _visible(truth, target, first, last))
    if not len(kept) or target.anomaly is None:
        return None
    kept_s = tuple(float(times[i]) for i in kept)
    boxes = tuple(target.boxes[i] for i in kept)
    return TargetRecord(
        id=target.id,
        noun=target.noun,
        anomaly=target.anomaly,
        action=target.action,
        colours={} if colourless(truth.conditions) else dict(target.colours),
        carried=target.carried,
        frames=tuple(round(t * truth.fps) for t in kept_s),
        times_s=kept_s,
        boxes=boxes,
        appearance=caption,
        **movement(kept_s, boxes, truth.size_wh, start_s, end_s),
    )


Captioner = Callable[[np.ndarray], str]
"""A crop (h, w, 3) uint8 RGB whose background is blurred -> words about the thing in it."""


def blurred_background(crop: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 crop whose background is Gaussian-blurred, sigma 2 % of its diagonal; the thing, (h, w) bool, is
    kept with 8 px around it (T-VAD, mask-guided refinement).

    Raises ValueError where the mask's size is another.
    """
    import cv2

    if mask.shape != crop.shape[:2]:
        raise ValueError(f"mask has shape {mask.shape}; expected that of its crop, {crop.shape[:2]}")
    around = cv2.dilate(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (17, 17)))
    soft = cv2.GaussianBlur(crop, (0, 0), 0.02 * float(np.hypot(*crop.shape[:2])))
    return np.where(around[..., None] > 0, crop, soft).astype(np.uint8)


def caption(frame: np.ndarray, mask: np.ndarray, captioner: Captioner, margin: float = 0.25) -> str:
    """Ask a captioner about the thing under a mask (H, W) bool of a frame (H, W, 3) uint8; "" where the mask is empty.

    The crop is its box with `margin` of the box's sides around.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return ""
    pad_y, pad_x = (round(margin * (ends[-1] - ends[0] + 1)) for ends in (rows, columns))
    part = (
        slice(max(0, rows[0] - pad_y), rows[-1] + 1 + pad_y),
        slice(max(0, columns[0] - pad_x), columns[-1] + 1 + pad_x),
    )
    return captioner(blurred_background(frame[part], mask[part])).strip()
