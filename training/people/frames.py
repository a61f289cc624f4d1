"""Frames of permitted clips, what a detector says is in them, and their features: what a finder of people learns from.

    python -m training.people.frames ../shared/data OUT

A frame is used as it is and changed: mirrored and made smaller, cut and made larger, and turned by a quarter, so that
people who lie are seen, of whom the detector itself finds few. The detector (YOLOX, Ge et al. 2021, Apache-2.0) looks
at the upright frame and at four parts of it, so that it finds what is small; what it is not sure of counts neither way.

OUT/NAME.npz of each clip: see `groups`. Next: training/people/fit.py
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from training.datasets.synthetic.actors.cutting import Detector, frames_of
from tvad.encoder import Encoder, input_size
from tvad.evidence import write_atomic
from tvad.people import overlaps
from tvad.video import fitted

SURE, MAYBE = 0.4, 0.15  # a detection with at least SURE is there, one between is not asked about
SEEN_AS = {"person": "person", "bicycle": "", "car": "vehicle", "motorcycle": "vehicle", "bus": "vehicle",
           "truck": "vehicle"}  # fmt: skip
ASKED_FOR = {"person": 0, "car": 1, "motorcycle": 1, "bus": 1, "truck": 1}
PART = 0.62  # of a side, of the four parts
SAME = 0.5  # overlap from which two detections are of one thing
MOST = 40  # frames of a clip


@dataclass(frozen=True)
class Labelled:
    """A frame (H, W, 3) uint8 RGB and n boxes (n, 6): x0, y0, x1, y1 px, score, number of the class."""

    frame: np.ndarray
    boxes: np.ndarray


def detect(detector: Detector, rgb: np.ndarray) -> np.ndarray:
    """(n, 6) boxes of a frame (H, W, 3) uint8, the surest first."""
    height, width = rgb.shape[:2]
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    found = list(_rows(detector, bgr, 0, 0))
    wide, high = round(width * PART), round(height * PART)
    for x in (0, width - wide):
        for y in (0, height - high):
            for row in _rows(detector, bgr[y : y + high, x : x + wide], x, y):
                inner = (x == 0 or row[0] > x + 3) and (x + wide == width or row[2] < x + wide - 3)
                inner &= (y == 0 or row[1] > y + 3) and (y + high == height or row[3] < y + high - 3)
                if inner:  # what a cut goes through has a wrong box
                    found.append(row)
    kept: list[np.ndarray] = []
    for row in sorted(found, key=lambda r: -r[4]):
        if all(k[5] != row[5] or overlaps(row, k[None])[0] < SAME for k in kept):
            kept.append(row)
    return np.array(kept, np.float32).reshape(-1, 6)


def _rows(detector: Detector, bgr: np.ndarray, x: int, y: int) -> Iterator[np.ndarray]:
    for found in detector(np.ascontiguousarray(bgr), MAYBE):
        if found.label in ASKED_FOR:
            x0, y0, x1, y1 = found.box
            x0, x1 = np.clip((x0, x1), 0, bgr.shape[1])
            y0, y1 = np.clip((y0, y1), 0, bgr.shape[0])
            yield np.array([x0 + x, y0 + y, x1 + x, y1 + y, found.score, ASKED_FOR[found.label]], np.float32)


def mirrored(one: Labelled) -> Labelled:
    boxes = one.boxes.copy()
    boxes[:, [0, 2]] = one.frame.shape[1] - boxes[:, [2, 0]]
    return Labelled(np.ascontiguousarray(one.frame[:, ::-1]), boxes)


def turned(one: Labelled, left: bool) -> Labelled:
    """By a quarter, to the left or to the right."""
    height, width = one.frame.shape[:2]
    x0, y0, x1, y1 = one.boxes[:, :4].T
    if left:
        boxes, frame = np.stack([y0, width - x1, y1, width - x0], 1), np.rot90(one.frame)
    else:
        boxes, frame = np.stack([height - y1, x0, height - y0, x1], 1), np.rot90(one.frame, -1)
    return Labelled(np.ascontiguousarray(frame), np.concatenate([boxes, one.boxes[:, 4:]], 1))


def window(one: Labelled, box: tuple[int, int, int, int]) -> Labelled:
    """What is in a window (x0, y0, x1, y1), which may reach beyond the frame: there it is grey. A thing of which little
    is left is not asked about, its score is MAYBE."""
    x0, y0, x1, y1 = box
    height, width = one.frame.shape[:2]
    before = (max(-x0, 0), max(-y0, 0))
    cut = one.frame[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    frame = np.full((y1 - y0, x1 - x0, 3), 114, np.uint8)
    frame[before[1] : before[1] + cut.shape[0], before[0] : before[0] + cut.shape[1]] = cut
    boxes = one.boxes.copy()
    area = np.prod(np.maximum(boxes[:, 2:4] - boxes[:, :2], 1), 1)
    boxes[:, [0, 2]] = np.clip(boxes[:, [0, 2]] - x0, 0, x1 - x0)
    boxes[:, [1, 3]] = np.clip(boxes[:, [1, 3]] - y0, 0, y1 - y0)
    left = np.prod(np.maximum(boxes[:, 2:4] - boxes[:, :2], 0), 1) / area
    boxes[left < 0.6, 4] = np.minimum(boxes[left < 0.6, 4], MAYBE)
    return Labelled(frame, boxes[left > 0.1])


def variants(one: Labelled, rng: np.random.Generator) -> Iterator[Labelled]:
    """The frame as it is, smaller, larger, turned; some of them mirrored, darker or lighter."""
    height, width = one.frame.shape[:2]
    yield one
    far = rng.uniform(1.2, 2.2)  # times the frame's size
    wide, high = round(width * far), round(height * far)
    x, y = -int(rng.integers(wide - width + 1)), -int(rng.integers(high - height + 1))
    yield toned(some(window(one, (x, y, x + wide, y + high)), rng), rng)
    near = rng.uniform(0.5, 0.85)
    wide, high = round(width * near), round(height * near)
    x, y = int(rng.integers(width - wide + 1)), int(rng.integers(height - high + 1))
    yield toned(some(window(one, (x, y, x + wide, y + high)), rng), rng)
    yield toned(turned(some(one, rng), bool(rng.integers(2))), rng)


def some(one: Labelled, rng: np.random.Generator) -> Labelled:
    return mirrored(one) if rng.integers(2) else one


def toned(one: Labelled, rng: np.random.Generator) -> Labelled:
    frame = one.frame.astype(np.float32)
    if rng.random() < 0.2:
        frame[:] = frame.mean(2, keepdims=True)
    frame = (frame - 128) * rng.uniform(0.7, 1.2) + 128 + rng.uniform(-30, 30)
    return Labelled(np.clip(frame, 0, 255).astype(np.uint8), one.boxes)


def groups(clip: Path, detector: Detector, encoder: Encoder, per_s: float, seed: int) -> dict[str, np.ndarray]:
    """Features and boxes (in parts of the frame's width and height) of a clip's frames and their variants, in groups of
    one shape: patch_K (n, h, w, 152) float16, boxes_K (m, 7) with the number of the picture first, variant_K (n,), 0
    for a frame as it is."""
    capture = cv2.VideoCapture(str(clip))
    fps = capture.get(cv2.CAP_PROP_FPS) or 25.0
    count = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 1)
    every = max(round(fps / per_s), -(-count // MOST), 1)
    rng = np.random.default_rng(seed)
    shapes: dict[tuple[int, int], list[tuple[int, Labelled]]] = {}
    for bgr in frames_of(clip, every):
        rgb = np.ascontiguousarray(bgr[..., ::-1])
        for number, one in enumerate(variants(Labelled(rgb, detect(detector, rgb)), rng)):
            size = input_size(one.frame.shape[1], one.frame.shape[0])
            shapes.setdefault(size, []).append((number, one))
    out = {}
    for k, (size, own) in enumerate(shapes.items()):
        pictures = np.stack([fitted(one.frame, size) for _, one in own])
        out[f"patch_{k}"] = np.concatenate(
            [encoder.appearance(pictures[n : n + 16])[0].astype(np.float16) for n in range(0, len(pictures), 16)]
        )
        rows = []
        for n, (_, one) in enumerate(own):
            high, wide = one.frame.shape[:2]
            boxes = one.boxes.copy()
            boxes[:, [0, 2]] /= wide
            boxes[:, [1, 3]] /= high
            rows.append(np.concatenate([np.full((len(boxes), 1), n, np.float32), boxes], 1))
        out[f"variant_{k}"] = np.array([number for number, _ in own])
        out[f"boxes_{k}"] = np.concatenate(rows).astype(np.float32)
    return out


def clips_of(data: Path) -> list[tuple[Path, float]]:
    """Clips that may be learned from, and how many frames a second of each."""
    found = [(p, 2.5) for p in sorted((data / "fight_surv").glob("*/*.mp4"))]
    found += [(p, 3.0) for p in sorted((data / "gmdcsa24_fall").glob("subject*/*/*.mp4"))]
    found += [(data / "street" / name, 1.0) for name in ("vtest.avi", "people_intel.mp4", "road_bgs03.avi",
                                                         "fire_house6.mp4")]  # fmt: skip
    return found


def main(given: Sequence[str] | None = None) -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(given)
    detector, encoder = Detector(args.data / "weights" / "yolox_nano.onnx"), Encoder(threads=1)
    args.out.mkdir(parents=True, exist_ok=True)
    for number, (clip, per_s) in enumerate(clips_of(args.data)):
        name = "_".join(clip.relative_to(args.data).with_suffix("").parts)
        target = args.out / f"{name}.npz"
        if target.is_file():
            continue
        arrays = groups(clip, detector, encoder, per_s, number)
        write_atomic(target, lambda file, arrays=arrays: np.savez(file, **arrays))  # type: ignore[misc]
        counted = sum(len(v) for k, v in arrays.items() if k.startswith("patch"))
        print(f"{name}: {counted} pictures", flush=True)


if __name__ == "__main__":
    main()
