"""Cutting: moving people and vehicles out of a clip of a camera that stands still.

A detector (YOLOX, Ge et al. 2021, run by cv2.dnn) says what is where, the clip's median says what is behind it, GrabCut
(Rother, Kolmogorov & Blake 2004) draws the outline, and rules throw away what is not clean.

Next: training/datasets/synthetic/assets.py
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

SIZE = 416  # of the detector's input, px
LABELS = {
    0: "person",
    1: "bicycle",
    2: "car",
    3: "motorcycle",
    5: "bus",
    7: "truck",
}  # of COCO's classes, in the detector's order
CUT = ("person", "car", "bus", "truck")  # what is followed, unless it is near something else: riders, the hidden
LEAST_SCORE = 0.4
PAD = 0.18  # of a box's size, around it, for the outline to end in
STEADY = 12.0  # grey levels by which a pixel may differ from the median and still be background
MOVED = 45.0  # and from which on it is no doubt something else
SAMPLED = 60  # frames for a median


@dataclass(frozen=True)
class Found:
    """A detection: label, score in [0, 1], box (x0, y0, x1, y1) px."""

    label: str
    score: float
    box: tuple[float, float, float, float]


@dataclass
class Followed:
    """One thing over successive frames: boxes, and what was around them in the frame and in the background (BGR)."""

    label: str
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    crops: list[np.ndarray] = field(default_factory=list)
    behind: list[np.ndarray] = field(default_factory=list)
    corners: list[tuple[int, int]] = field(default_factory=list)


class Detector:
    """People and vehicles in a frame. Raises FileNotFoundError without its weights."""

    def __init__(self, onnx: Path) -> None:
        if not onnx.is_file():
            raise FileNotFoundError(f"no detector at {onnx}; expected yolox_nano.onnx in the data's folder weights/")
        self._net = cv2.dnn.readNetFromONNX(str(onnx))
        grids, strides = [], []
        for stride in (8, 16, 32):
            n = SIZE // stride
            ys, xs = np.mgrid[:n, :n]
            grids.append(np.stack([xs, ys], axis=-1).reshape(-1, 2))
            strides.append(np.full(n * n, stride))
        self._grid, self._stride = np.concatenate(grids), np.concatenate(strides)[:, None]

    def __call__(self, bgr: np.ndarray, least: float = LEAST_SCORE) -> list[Found]:
        """Detections in a frame (h, w, 3) uint8 BGR with at least that score, the surest first."""
        ratio = min(SIZE / bgr.shape[0], SIZE / bgr.shape[1])
        small = cv2.resize(bgr, None, fx=ratio, fy=ratio)
        page = np.full((SIZE, SIZE, 3), 114, np.uint8)
        page[: small.shape[0], : small.shape[1]] = small
        self._net.setInput(page.transpose(2, 0, 1)[None].astype(np.float32))
        out = self._net.forward()[0]
        centre = (out[:, :2] + self._grid) * self._stride / ratio
        half = np.exp(out[:, 2:4]) * self._stride / ratio / 2
        scores = out[:, 4:5] * out[:, 5:]
        found: list[Found] = []
        for number, label in LABELS.items():
            score = scores[:, number]
            keep = np.flatnonzero(score > least)
            boxes = np.concatenate([centre[keep] - half[keep], 2 * half[keep]], axis=1)
            chosen = cv2.dnn.NMSBoxes(boxes.tolist(), score[keep].tolist(), least, 0.5)
            for i in np.array(chosen).ravel().tolist():
                x, y, w, h = boxes[i].tolist()
                found.append(Found(label, float(score[keep[i]]), (x, y, x + w, y + h)))
        return sorted(found, key=lambda f: -f.score)


def frames_of(path: Path, every: int = 1, most: int = 10**9) -> Iterator[np.ndarray]:
    """Frames of a clip, BGR, every so many, at most so many. Raises OSError for a file that is no video."""
    clip = cv2.VideoCapture(str(path))
    if not clip.isOpened():
        raise OSError(f"cannot read {path} as video")
    index, given = 0, 0
    while given < most and clip.grab():
        if index % every == 0:
            yield clip.retrieve()[1]
            given += 1
        index += 1


def median_picture(path: Path, frames: int) -> tuple[np.ndarray, float]:
    """What stays in a clip of so many frames, BGR, and the share of pixels that hardly change in it."""
    every = max(1, frames // SAMPLED)
    seen = np.stack(list(frames_of(path, every, SAMPLED)))
    middle = np.median(seen, axis=0).astype(np.uint8)
    restless = np.abs(seen.astype(np.int16) - middle).max(axis=3).mean(axis=0)
    return middle, float((restless < STEADY).mean())


def follow(path: Path, background: np.ndarray, detector: Detector, every: int, most: int) -> Iterator[Followed]:
    """Everything that can be followed, whole and alone, for some frames."""
    alive: list[Followed] = []
    for frame in frames_of(path, every, most):
        found = detector(frame)
        free = [f for f in found if f.label in CUT and _alone(f, found, frame.shape)]
        for thing in list(alive):
            best = max(free, key=lambda f: overlap(f.box, thing.boxes[-1]), default=None)
            if best is not None and best.label == thing.label and overlap(best.box, thing.boxes[-1]) > 0.35:
                free.remove(best)
                add(thing, best.box, frame, background)
            else:
                alive.remove(thing)
                yield thing
        for new in free:
            thing = Followed(new.label)
            add(thing, new.box, frame, background)
            alive.append(thing)
    yield from alive


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection of two boxes over their union."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    if wide <= 0 or high <= 0:
        return 0.0
    both = wide * high
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def _alone(one: Found, found: list[Found], shape: tuple[int, ...]) -> bool:
    """Not cut by the border, and nobody else near."""
    x0, y0, x1, y1 = one.box
    margin, border = 0.06 * (y1 - y0), 2 + 0.01 * (y1 - y0)
    if x0 < border or y0 < border or x1 > shape[1] - border or y1 > shape[0] - border:
        return False
    wider = (x0 - margin, y0 - margin, x1 + margin, y1 + margin)
    return all(other is one or overlap(wider, other.box) <= 0.01 for other in found)


def add(thing: Followed, box: tuple[float, float, float, float], frame: np.ndarray, background: np.ndarray) -> None:
    """Keep what is in a box of a frame, and around it, as the next picture of a thing."""
    x0, y0, x1, y1 = box
    px, py = PAD * max(x1 - x0, 0.5 * (y1 - y0)), PAD * (y1 - y0)
    left, top = max(0, int(x0 - px)), max(0, int(y0 - py))
    right, bottom = min(frame.shape[1], int(x1 + px) + 1), min(frame.shape[0], int(y1 + py) + 1)
    thing.boxes.append(box)
    thing.corners.append((left, top))
    thing.crops.append(frame[top:bottom, left:right].copy())
    thing.behind.append(background[top:bottom, left:right].copy())


def cut(crop: np.ndarray, behind: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray | None:
    """(h, w, 4) BGRA of what is in a box of a crop, None where no clean outline is found.

    box: relative to the crop, px. Borders are soft, and the background's share in their colour is taken out.
    """
    change = cv2.GaussianBlur(cv2.absdiff(crop, behind).max(axis=2), (0, 0), 0.8).astype(np.float32)
    x0, y0, x1, y1 = (round(v) for v in box)
    slack = max(2, round(0.06 * (y1 - y0)))
    region = np.zeros(crop.shape[:2], bool)
    region[max(0, y0 - slack) : y1 + slack, max(0, x0 - slack) : x1 + slack] = True
    marks = np.full(crop.shape[:2], cv2.GC_BGD, np.uint8)
    marks[region] = cv2.GC_PR_BGD
    marks[region & (change > 1.6 * STEADY)] = cv2.GC_PR_FGD
    marks[region & (change > MOVED) & ~_shadow(crop, behind)] = cv2.GC_FGD
    if (marks == cv2.GC_FGD).sum() < 0.1 * (x1 - x0) * (y1 - y0):
        return None
    cv2.grabCut(crop, marks, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    inside = ((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)).astype(np.uint8)
    inside = cv2.morphologyEx(inside, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    # Ground between the legs looks like clothes to GrabCut but has hardly changed; threads are tape and branches.
    square = np.ones((3, 3), np.uint8)
    still = (change < STEADY) | (_shadow(crop, behind) & (change < 2.5 * STEADY))
    still = cv2.morphologyEx(still.astype(np.uint8), cv2.MORPH_OPEN, square) > 0
    inside = cv2.morphologyEx(np.where(still, 0, inside).astype(np.uint8), cv2.MORPH_OPEN, square)
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(inside)
    if len(stats) < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    # What GrabCut splits off (a foot, a bag) belongs to the thing if it is not tiny.
    kept = [i for i in range(1, len(stats)) if stats[i, cv2.CC_STAT_AREA] > 0.04 * stats[largest, cv2.CC_STAT_AREA]]
    solid = np.isin(pieces, kept).astype(np.float32)
    alpha = cv2.GaussianBlur(solid, (0, 0), 0.8)
    share = np.clip(alpha, 0.35, 1)[..., None]
    own = np.clip((crop - (1 - share) * behind) / share, 0, 255)
    return np.concatenate([own, alpha[..., None] * 255], axis=2).astype(np.uint8)


def _shadow(crop: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """Where a crop is the background, only darker and of the same hue."""
    light = crop.astype(np.float32).sum(axis=2) / np.maximum(behind.astype(np.float32).sum(axis=2), 1)
    scaled = np.abs(crop - behind * light[..., None]).max(axis=2)
    return (light > 0.45) & (light < 0.97) & (scaled < 14)
