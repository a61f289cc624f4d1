"""A CLIP or SigLIP model as a part of the analysis (`--tower`): heat of its patches for words, without any training.

Its levels are cosines between pictures and words, and what they mean for an alarm differs from model to model and from
camera to camera; so it works beside a scene whose calibration has measured them with the same model and the same words.

Next: tvad/towers.py
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import cv2
import numpy as np

from heatmap.prompts import PLAIN, Text
from tvad.decoder_part import DecodedLevels, frame_level
from tvad.encoder import Features
from tvad.video import Clip
from tvad.watcher import Thing
from tvad.weights import MissingWeights

if TYPE_CHECKING:
    from heatmap.decoder import HeatmapDecoder
    from tvad.towers import VisionTower

EVERY_S = 0.5  # a frame is looked at this often; levels between are straight lines
WEIGHTS = ("*.safetensors", "*.bin")


@dataclass(frozen=True)
class HeatTower:
    """A tower with a decoder that nothing was trained of, and the words that it looks for."""

    tower: "VisionTower"
    decoder: "HeatmapDecoder"
    text: Text

    @classmethod
    def load(
        cls, folder: str | Path, anomaly: Sequence[str] = (), normal: Sequence[str] = (), device: str = "cpu"
    ) -> Self:
        """No words: the default ones. MissingWeights where there is no model, ValueError for another kind of model."""
        from tvad.towers import VisionTower

        try:
            tower = VisionTower(folder, device=device)
        except OSError as error:
            raise MissingWeights(f"{error} (--tower)") from None
        return cls(tower, tower.words_alone(), Text.of(tower.embed, tuple(anomaly), tuple(normal), PLAIN))

    def levels(self, frames: np.ndarray) -> np.ndarray:
        """Log odds of anomalous against normal, (T, h, w) float32."""
        from tvad.towers import tower_heat

        return tower_heat(self.tower, self.decoder, frames, self.text)


class TowerPart:
    """Levels of a stream, handed out as `DecoderPart` does, on the grid of the features."""

    def __init__(self, tower: HeatTower) -> None:
        self._tower = tower
        self._seen: list[tuple[float, np.ndarray]] = []  # level (h, w) of the frames that were looked at
        self._waiting: list[tuple[float, tuple[int, int]]] = []  # frames without a level: when, and their grid

    def watch(self, clips: Iterable[Clip]) -> Iterator[Clip]:
        """The clips as they come, looked at."""
        for clip in clips:
            due, last = [], self._seen[-1][0] if self._seen else -np.inf
            for n, t in enumerate(clip.times_s.tolist()):
                if t - last >= EVERY_S - 1e-6:
                    due.append(n)
                    last = t
            if due:
                self._seen += zip(clip.times_s[due].tolist(), self._tower.levels(clip.frames[due]), strict=True)
            yield clip

    def push(self, features: Features, things: Iterable[Thing] = ()) -> Iterator[DecodedLevels]:
        """Take the next features; gives levels that are ready."""
        self._waiting += [(t, features.moving.shape[1:]) for t in features.times_s.tolist()]
        yield from self._ready(self._seen[-1][0] if self._seen else -np.inf)

    def finish(self, things: Iterable[Thing] = ()) -> Iterator[DecodedLevels]:
        """The rest."""
        yield from self._ready(np.inf)

    def _ready(self, until_s: float) -> Iterator[DecodedLevels]:
        count = sum(t <= until_s + 1e-6 for t, _ in self._waiting)
        if not count:
            return
        times, shape = np.array([t for t, _ in self._waiting[:count]]), self._waiting[0][1]
        del self._waiting[:count]
        at = np.array([t for t, _ in self._seen])
        place = np.interp(times, at, np.arange(len(at)))
        low = np.floor(place).astype(int)
        share = (place - low).astype(np.float32)
        own = np.stack([level for _, level in self._seen])
        high = np.minimum(low + 1, len(own) - 1)
        frame = frame_level(own)
        fine = _resized(own, shape)
        level = fine[low] + (fine[high] - fine[low]) * share[:, None, None]
        del self._seen[: int(low[-1])]
        yield DecodedLevels(level, frame[low] + (frame[high] - frame[low]) * share, times)


def about_tower(folder: str | Path | None, anomaly: Sequence[str] | None, normal: Sequence[str] | None) -> Any:
    """What a scene notes of the tower that it was calibrated with, as JSON has it: which model it was, by its
    configuration and the sizes of its files, and the words. None without a tower. MissingWeights for no folder."""
    if folder is None:
        return None
    place = Path(folder)
    try:
        digest = hashlib.sha256((place / "config.json").read_bytes())
    except OSError:
        raise MissingWeights(f"no model in {folder}; give the folder of a CLIP or SigLIP model (--tower)") from None
    for path in sorted(p for pattern in WEIGHTS for p in place.glob(pattern)):
        digest.update(f"{path.name} {path.stat().st_size}".encode())
    return {"model": digest.hexdigest()[:16], "anomaly": list(anomaly or ()), "normal": list(normal or ())}


def _resized(maps: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(T, h, w) on another grid, float32."""
    # Coarser cells are the mean of those they cover.
    way = cv2.INTER_AREA if shape[0] <= maps.shape[1] and shape[1] <= maps.shape[2] else cv2.INTER_LINEAR
    return np.stack([cv2.resize(m, (shape[1], shape[0]), interpolation=way) for m in maps]).astype(np.float32)
