"""Batches of videos: normal and anomalous ones by their labels, each brought to T steps.

    store = FeatureStore(videos)                       files are read when they are needed
    batch = batch_at(store, config, step)              depends on the seed and the step alone

Every crop of a video is an item of its own, as VadCLIP and DSANet have it. Next: training/temporal/loop.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch

from training.datasets.weak import WeakVideo, class_names
from training.datasets.weak_files import read_features, shapes_of
from tvad.temporal.pseudo_labels import training_window

RESAMPLES = ("pad", "stretch", "window")
CACHE_BYTES = 2**31
NORMAL, ANOMALOUS, WINDOWS = 0, 1, 2  # what numbers are drawn for


class BatchConfig(Protocol):
    """Fields of TemporalTrainConfig that say what a batch is."""

    @property
    def seed(self) -> int: ...

    @property
    def normal(self) -> int: ...

    @property
    def anomalous(self) -> int: ...

    @property
    def length(self) -> int: ...

    @property
    def resample(self) -> str: ...


class Item(NamedTuple):
    """One crop of one video. at: its place in the file. steps: n."""

    video: WeakVideo
    file: Path
    at: int
    steps: int


@dataclass(frozen=True)
class Batch:
    """x (B, T, D) float32, zero on padding; mask (B, T) bool; y (B, C + 1), normal first; pseudo (B, T) in [0, 1],
    None where there are none. videos: their names."""

    x: torch.Tensor
    mask: torch.Tensor
    y: torch.Tensor
    pseudo: torch.Tensor | None
    videos: tuple[str, ...]

    def to(self, device: torch.device) -> "Batch":
        pseudo = None if self.pseudo is None else self.pseudo.to(device)
        return Batch(self.x.to(device), self.mask.to(device), self.y.to(device), pseudo, self.videos)


class FeatureStore:
    """Videos and what is in their files. width: D of all. items: their crops. What fits into memory is read at once,
    so that a bad file is known before anything is trained."""

    def __init__(
        self,
        videos: Sequence[WeakVideo],
        names: Sequence[str] | None = None,
        pseudo: Path | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """names: of the classes, normal first; None: those of the videos. pseudo: folder with NAME.npy (n,) for every
        anomalous video. ValueError for what is missing, damaged, of another width or class."""
        if not videos:
            raise ValueError("no video; give a list that holds some")
        self.videos, self.pseudo_folder = tuple(videos), pseudo
        self.names = class_names(videos) if names is None else tuple(names)
        if unknown := sorted({label for v in videos for label in v.labels} - set(self.names[1:])):
            raise ValueError(f"class {unknown[0]!r} is unknown; there are {', '.join(self.names)}")
        self.shapes = shapes_of(path for video in videos for path in video.features)
        self.width = next(iter(self.shapes.values()))[2]
        self.items = tuple(
            Item(video, path, at, self.shapes[path][1])
            for video in videos
            for path in video.features
            for at in range(self.shapes[path][0])
        )
        normal = [item for item in self.items if not item.video.labels]
        self._kinds = normal, [item for item in self.items if item.video.labels]
        self._room, self._kept = cache_bytes, dict[Path, np.ndarray]()
        self._pseudo: dict[str, np.ndarray] = {}
        if sum(4 * int(np.prod(shape)) for shape in self.shapes.values()) <= cache_bytes:
            for path in self.shapes:
                self._read(path)
        if pseudo is not None:
            for item in self.items:
                self.pseudo(item)

    def of_kind(self, kind: int) -> list[Item]:
        """The items of normal (0) or of anomalous (1) videos."""
        return self._kinds[kind]

    def features(self, item: Item) -> np.ndarray:
        """(n, D) float32."""
        return self._read(item.file)[item.at]

    def whole(self, video: WeakVideo) -> np.ndarray:
        """(crops, n, D) float32; ValueError where crops differ in n."""
        parts = [self._read(path) for path in video.features]
        if len({part.shape[1] for part in parts}) > 1:
            raise ValueError(f"crops of {video.name} have {sorted({part.shape[1] for part in parts})} snippets")
        return np.concatenate(parts)

    def pseudo(self, item: Item) -> np.ndarray | None:
        """(n,) float32 in [0, 1], zeros for a normal video; None where none were given."""
        if self.pseudo_folder is None:
            return None
        if not item.video.labels:
            return np.zeros(item.steps, np.float32)
        if item.video.name not in self._pseudo:
            self._pseudo[item.video.name] = _read_pseudo(self.pseudo_folder / f"{item.video.name}.npy")
        found = self._pseudo[item.video.name]
        if len(found) != item.steps:
            raise ValueError(f"{len(found)} pseudo labels of {item.video.name}; {item.file} has {item.steps} snippets")
        return found

    def target(self, video: WeakVideo) -> np.ndarray:
        """(C + 1,) float32 of 0 and 1, normal first."""
        out = np.zeros(len(self.names), np.float32)
        out[[self.names.index(label) for label in video.labels] or [0]] = 1
        return out

    def _read(self, path: Path) -> np.ndarray:
        if path in self._kept:
            return self._kept[path]
        found = read_features(path)
        if found.shape != self.shapes[path]:
            raise ValueError(f"{path}: features {found.shape}, which were {self.shapes[path]} before")
        if found.nbytes <= self._room:
            self._kept[path] = found
            self._room -= found.nbytes
        return found


def batch_at(store: FeatureStore, config: BatchConfig, step: int, rank: int = 0, ranks: int = 1) -> Batch:
    """The batch of an update, counted from 0: `config.normal` normal items and `config.anomalous` anomalous ones, or as
    many as there are. Every item comes once before any comes again. rank, ranks: of processes that train together, each
    on its own batches. ValueError where a kind is missing."""
    number = step * ranks + rank
    items = [
        item
        for kind, count in ((NORMAL, config.normal), (ANOMALOUS, config.anomalous))
        for item in _next(store, kind, count, config.seed, number)
    ]
    dice = np.random.default_rng([config.seed, WINDOWS, number])
    rows = [_brought(store, item, config, dice) for item in items]
    pseudo = [row[2] for row in rows]
    return Batch(
        torch.from_numpy(np.stack([row[0] for row in rows])),
        torch.from_numpy(np.stack([row[1] for row in rows])),
        torch.from_numpy(np.stack([store.target(item.video) for item in items])),
        None if store.pseudo_folder is None else torch.from_numpy(np.stack(pseudo)),  # type: ignore[arg-type]
        tuple(item.video.name for item in items),
    )


def epoch_steps(store: FeatureStore, config: BatchConfig, ranks: int = 1) -> int:
    """Updates in which every item comes at least once."""
    counts = ((NORMAL, config.normal), (ANOMALOUS, config.anomalous))
    return max(-(-len(store.of_kind(kind)) // (count * ranks)) for kind, count in counts)


def edges(steps: int, length: int) -> np.ndarray:
    """floor(linspace(0, steps, length + 1)), in whole numbers."""
    return np.arange(length + 1) * steps // length


def segment_means(x: np.ndarray, length: int) -> np.ndarray:
    """(n, D) -> (length, D): means between `edges`; an empty segment is the snippet where it lies, so a shorter video
    is stretched."""
    at = edges(len(x), length)
    # reduceat has the same rule for empty segments.
    out: np.ndarray = np.add.reduceat(x, at[:-1], axis=0) / np.diff(at).clip(min=1)[:, None].astype(x.dtype)
    return out


def segment_maxima(values: np.ndarray, length: int) -> np.ndarray:
    """(n,) -> (length,), as `segment_means`: a segment is as anomalous as its worst snippet."""
    out: np.ndarray = np.maximum.reduceat(values, edges(len(values), length)[:-1])
    return out


def _brought(
    store: FeatureStore, item: Item, config: BatchConfig, dice: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Features (T, D), mask (T,) and pseudo labels (T,) of an item."""
    x, pseudo, length = store.features(item), store.pseudo(item), config.length
    if config.resample == "window" and len(x) > length:
        begin = training_window(len(x), length, dice, pseudo if item.video.labels else None)
        x, pseudo = x[begin : begin + length], None if pseudo is None else pseudo[begin : begin + length]
    elif config.resample == "stretch" or len(x) > length:
        x, pseudo = segment_means(x, length), None if pseudo is None else segment_maxima(pseudo, length)
    missing = length - len(x)
    mask = np.arange(length) < len(x)
    x = np.pad(x, ((0, missing), (0, 0)))
    return x, mask, None if pseudo is None else np.pad(pseudo, (0, missing))


def _next(store: FeatureStore, kind: int, count: int, seed: int, number: int) -> list[Item]:
    """Items of one kind for a batch: the next of an endless row of random orders of all of them."""
    items = store.of_kind(kind)
    if not items:
        what = "anomalous" if kind == ANOMALOUS else "normal"
        raise ValueError(f"no {what} video among {len(store.videos)} (labels: {', '.join(store.names)})")
    count = min(count, len(items))
    out = []
    for at in range(number * count, (number + 1) * count):
        epoch, place = divmod(at, len(items))
        out.append(items[_order(len(items), seed, kind, epoch)[place]])
    return out


@lru_cache(maxsize=8)
def _order(count: int, seed: int, kind: int, epoch: int) -> list[int]:
    order: list[int] = np.random.default_rng([seed, kind, epoch]).permutation(count).tolist()
    return order


def _read_pseudo(path: Path) -> np.ndarray:
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: no pseudo labels that can be read ({error})") from None
    if found.ndim != 1 or found.dtype.kind != "f" or not bool(((found >= 0) & (found <= 1)).all()):
        raise ValueError(f"{path}: pseudo labels {found.shape} {found.dtype}; expected (n,) numbers in [0, 1]")
    out: np.ndarray = found.astype(np.float32)
    return out
