"""Files of scores and of what is true: one .npz a video; lines of JSON, or the annotations of UCF-Crime, XD-Violence.

Half-open in frames everywhere. What is wrong raises ValueError that names the file and the line.
Next: training/score_figures.py
"""

import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.segment_metrics import TrueSegment, is_normal

FORMATS = ("auto", "jsonl", "ucf", "xd")
UCF_FPS, XD_FPS = 30.0, 24.0  # to which the data sets' papers bring all videos
UNKNOWN = ""  # class of a segment, where a file names several for the whole video only

_VIDEO = re.compile(r"\.(mp4|avi|mkv|mov|webm|mpg|mpeg)$", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class VideoTruth:
    """What is true of a video. frames, fps: None where the file does not say. labels: its anomalous classes, none for a
    normal video. segments: (start, end, class), half-open in frames, anomalous ones only."""

    video: str
    frames: int | None
    fps: float | None
    labels: tuple[str, ...]
    segments: tuple[TrueSegment, ...]


@dataclass(frozen=True)
class Prediction:
    """scores (n,), one a snippet or a frame; class_probs (n, K) and the K class_names, the normal one first, or None
    and none; frames of the video, where the file says so."""

    scores: np.ndarray
    class_probs: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    frames: int | None = None


def key_of(name: str) -> str:
    """The name by which predictions and truth find each other: without folders and the suffix of a video."""
    return _VIDEO.sub("", name.replace("\\", "/").rpartition("/")[2])


# Predictions


def read_predictions(folder: Path) -> dict[str, Prediction]:
    """Every NAME.npz of a folder, by `key_of` the name."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; expected one with an .npz file a video")
    found: dict[str, Prediction] = {}
    for path in sorted(folder.glob("*.npz")):
        if (key := key_of(path.stem)) in found:
            raise ValueError(f"{path} is a second file of the video {key}")
        found[key] = read_prediction(path)
    if not found:
        raise ValueError(f"{folder} holds no .npz file; expected one a video, with `scores` (n,)")
    return found


def read_prediction(path: Path) -> Prediction:
    """One file: `scores`, and where it has them `class_probs` with `class_names`, and `frames`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: np.asarray(file[name]) for name in file.files}
    except (AttributeError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not a readable .npz file ({error})") from None
    if "scores" not in found:
        raise ValueError(f"{path} holds {', '.join(found) or 'nothing'}; expected `scores`")
    scores, probs, names = found["scores"], found.get("class_probs"), found.get("class_names")
    if scores.ndim != 1 or not scores.size or not _finite(scores):
        raise ValueError(f"{path}: scores {scores.shape} {scores.dtype}; expected (n,) finite numbers, n above 0")
    frames = _frames(path, found)
    if probs is None:
        return Prediction(scores.astype(np.float64), frames=frames)
    if names is None or names.ndim != 1 or probs.shape != (scores.size, names.size) or not _finite(probs):
        raise ValueError(
            f"{path}: class_probs {probs.shape} {probs.dtype}, class_names {None if names is None else names.shape}; "
            f"expected ({scores.size}, K) finite numbers and (K,) names"
        )
    return Prediction(scores.astype(np.float64), probs.astype(np.float64), tuple(map(str, names)), frames)


def _frames(path: Path, found: Mapping[str, np.ndarray]) -> int | None:
    given = found.get("frames")
    if given is None:
        return None
    if given.size != 1 or given.dtype.kind not in "iu" or int(given.ravel()[0]) < 1:
        raise ValueError(f"{path}: frames is {given.ravel()[:5]}; expected one whole number above 0")
    return int(given.ravel()[0])


def _finite(values: np.ndarray) -> bool:
    return values.dtype.kind in "fiu" and bool(np.isfinite(values).all())


# Truth


def read_truth(path: Path, kind: str = "auto", fps: float | None = None, names: Iterable[str] = ()) -> list[VideoTruth]:
    """Truth of all videos of a file. kind: one of FORMATS; "auto" tells them apart. fps: instead of what the file says.

    "jsonl": {"video", "frames", "fps", "label": class or list of classes, "segments": [[start, end, class], ...]} a
    line; frames and fps may be missing. "ucf": `name class start end start end`, -1 for none. "xd": `name start end
    start end ...`, or `name class start end class start end ...`; this one lists the anomalous videos only, so those of
    `names` that are called "..._label_A" are taken for normal ones.
    """
    text = path.read_text(encoding="utf-8")
    if kind not in FORMATS:
        raise ValueError(f"format is {kind!r}; known: {', '.join(FORMATS)}")
    if kind == "auto":
        first = text.lstrip().partition("\n")[0]
        kind = "jsonl" if first.startswith("{") else "xd" if "_label_" in first else "ucf"
    read = {"jsonl": _of_json, "ucf": _of_ucf, "xd": _of_xd}[kind]
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                found.append(_checked(read(line), fps))
            except KeyError as error:
                raise ValueError(f"{path}, line {number}: {error} is missing") from None
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
    if not found:
        raise ValueError(f"{path} holds no video")
    if twice := [name for name, n in Counter(own.video for own in found).items() if n > 1]:
        raise ValueError(f"{path} holds {twice[0]} more than once")
    if kind == "xd":
        known = {own.video for own in found}
        normal = sorted({name for name in map(key_of, names) if name.endswith("_label_A")} - known)
        found += [VideoTruth(name, None, XD_FPS if fps is None else fps, (), ()) for name in normal]
    return found


def _of_json(line: str) -> VideoTruth:
    raw = json.loads(line)
    if not isinstance(raw, dict) or not isinstance(raw["video"], str):
        raise ValueError('expected an object with "video", the name of a file')
    labels = [raw["label"]] if isinstance(raw["label"], str) else raw["label"]
    segments = tuple((start, end, str(name)) for start, end, name in raw.get("segments", ()))
    return VideoTruth(key_of(raw["video"]), raw.get("frames"), raw.get("fps"), tuple(map(str, labels)), segments)


def _of_ucf(line: str) -> VideoTruth:
    name, *rest = line.split()
    label, *rest = rest or [""]
    if not label or len(rest) % 2 or not all(_NUMBER.fullmatch(part) for part in rest):
        raise ValueError(f"{line.strip()[:80]!r}; expected `name class start end start end`, or lines of JSON (--help)")
    pairs = zip(map(int, rest[::2]), map(int, rest[1::2]), strict=True)
    return VideoTruth(key_of(name), None, UCF_FPS, (label,), tuple((s, e, label) for s, e in pairs if -1 not in (s, e)))


def _of_xd(line: str) -> VideoTruth:
    name, *rest = line.split()
    video = key_of(name)
    _, sign, suffix = video.rpartition("_label_")
    if not sign:
        raise ValueError(f'{video} does not say its classes; expected a name with "_label_"')
    labels = tuple(part for part in suffix.split("-") if part != "0")
    if rest and not _NUMBER.fullmatch(rest[0]):
        classes, starts, ends = rest[::3], rest[1::3], rest[2::3]
    else:
        starts, ends = rest[::2], rest[1::2]
        classes = [labels[0] if len(labels) == 1 else UNKNOWN] * len(starts)
    segments = tuple((int(s), int(e), c) for c, s, e in zip(classes, starts, ends, strict=True))
    return VideoTruth(video, None, XD_FPS, labels, segments)


def _checked(own: VideoTruth, fps: float | None) -> VideoTruth:
    """Without normal labels and segments; ValueError for what contradicts itself."""
    labels = tuple(label for label in own.labels if not is_normal(label))
    segments = tuple(segment for segment in own.segments if not is_normal(segment[2]))
    for start, end, _ in segments:
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end):
            raise ValueError(f"segment {start} to {end} of {own.video}; expected whole frames, 0 <= start < end")
    if not own.labels or bool(labels) != bool(segments):
        raise ValueError(
            f"{own.video} has {len(segments)} anomalous segments and the label {' '.join(own.labels) or 'none'}; "
            "expected segments where and only where the label is not the normal class"
        )
    if own.frames is not None and not (isinstance(own.frames, int) and own.frames > 0):
        raise ValueError(f"frames of {own.video} is {own.frames!r}; expected a whole number above 0")
    rate = own.fps if fps is None else fps
    if rate is not None and not (isinstance(rate, int | float) and 0 < rate < np.inf):
        raise ValueError(f"fps of {own.video} is {rate!r}; expected a number above 0")
    return VideoTruth(own.video, own.frames, rate, labels, segments)
