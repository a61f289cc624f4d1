"""Data of the decoder's training on a language model's own vision tower (T-VAD): clips with masks, seen by the tower.

    tvad synth CLIPS --count 200
    tvad train heatmap --preset qwen2.5-vl-7b --weights FOLDER --data CLIPS --out runs/ahd
    tvad train lvlm --preset qwen2.5-vl-7b --weights FOLDER --data DATA.jsonl --ahd runs/ahd --out runs/a

A step looks at stretches of clips as answering looks at videos: as many frames, evenly spread. The tower is frozen and
run at every step, as its blocks' patches would take 60 times the room of the clips. Words are told as they are in
answering: one vector a side, means of the language model's own embeddings.

Next: training/heatmap/loop.py
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from heatmap.decoder import CONFIG_FILE, DecoderConfig, HeatmapDecoder
from heatmap.decoder_loss import cell_targets, merged_frames
from heatmap.prompts import EVENTS
from training.datasets.folders import DATASETS, FolderClip
from training.heatmap.data import NORMAL_SHARE, Batch
from training.heatmap.loop import TrainConfig
from training.heatmap.model import write_checkpoint
from training.heatmap.selection import SelectionScore, cell_auc
from training.metrics import auc
from training.pixel_data import IDS, DataError, GroundTruthClip
from tvad.decoder_part import frame_level
from tvad.lvlm.choice import Choice
from tvad.lvlm.loaded import Loaded, kind_of, load
from tvad.lvlm.tower_heat import decoder_config, layers_of, text_of
from tvad.presets import get_preset
from tvad.seeing import weights_of
from tvad.settings import MAX_SIDE_PX
from tvad.video import VideoReader

KINDS = ("synthetic", "masks")  # of folders whose videos and masks can be read frame by frame
LONGEST_S = 20.0  # of a stretch
NAMED = 0.25  # share of the questions that name one kind of anomaly
MEASURED = 24  # stretches of a selection at most


@dataclass(frozen=True)
class Stretch:
    """frames (T, H, W, 3) uint8 RGB at times_s (T,); hot (T, H, W) bool where something asked for is."""

    frames: np.ndarray
    times_s: np.ndarray
    hot: np.ndarray


@dataclass(frozen=True)
class MaskedClip:
    """A video and where what is anomalous in it. kinds: of the anomalies that have a name."""

    clip: FolderClip

    @property
    def anomalous(self) -> bool:
        return bool(self.clip.truth.anomalous)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(sorted({t.anomaly for t in self.clip.truth.anomalous if t.anomaly in EVENTS}))

    def stretch(self, start_s: float, end_s: float, count: int, kind: str | None = None) -> Stretch:
        """`count` frames evenly from start_s to end_s. kind: what is asked for, None for whatever is anomalous.
        DataError for masks that cannot be read, VideoError for a video that cannot."""
        wanted = np.linspace(start_s, end_s, count)
        slack_s = 2 / max(self.clip.truth.fps, 1)
        reader = VideoReader(
            self.clip.video,
            None,
            max(start_s - slack_s, 0),
            end_s + slack_s,
            chunk=8,
            max_side=MAX_SIDE_PX,
            prefetch=False,
        )
        best: list[tuple[float, np.ndarray, float]] = [(np.inf, np.zeros(0, np.uint8), 0.0)] * count
        for piece in reader:
            for frame, t in zip(piece.frames, piece.times_s.tolist(), strict=True):
                for n in np.flatnonzero(np.abs(wanted - t) < [b[0] for b in best]):
                    best[n] = (abs(wanted[n] - t), frame, t)
        if not np.isfinite(best[0][0]):
            raise DataError(f"{self.clip.video} has no frame between {start_s:.2f} and {end_s:.2f} s")
        frames, times = np.stack([b[1] for b in best]), np.array([b[2] for b in best])
        return Stretch(frames, times, self._hot(times, frames.shape[1:3], kind))

    def _hot(self, times_s: np.ndarray, size_hw: tuple[int, int], kind: str | None) -> np.ndarray:
        path = self.clip.mask_path
        if not path or not self.anomalous:
            return np.zeros((len(times_s), *size_hw), bool)
        if not path.endswith(IDS):
            masks = _masks(path)
            at = [min(round(t * self.clip.truth.fps), len(masks) - 1) for t in times_s]
            return masks[at] if kind is None else np.zeros_like(masks[at])
        ids, seen_s = _ids(path)
        out = []
        for t in times_s:
            on = [
                target.id
                for target in self.clip.truth.anomalous
                if (kind is None or target.anomaly == kind)
                and any(a - 1e-6 <= t <= b + 1e-6 for a, b in target.anomalous_s)
            ]
            out.append(np.isin(ids[int(np.abs(seen_s - t).argmin())], on))
        return np.stack(out)


def masked_clips(root: Path, split: str, kind: str = "synthetic") -> list[MaskedClip]:
    """Clips of a split. ValueError for a kind of folder without masks that can be read here; DataError for no clip."""
    if kind not in KINDS:
        raise ValueError(f"no kind of folder {kind!r}; choose one of {list(KINDS)} (--folder-kind)")
    found = [MaskedClip(clip) for clip in DATASETS[kind](root, None) if clip.truth.split == split and clip.video]
    return [c for c in found if c.clip.mask_path or not c.anomalous]


@dataclass
class TowerLessons:
    """What a decoder on this model's tower learns from. frames: of a stretch, 0 for the family's own number."""

    loaded: Loaded
    root: Path
    kind: str = "synthetic"
    frames: int = 0
    normal: list[MaskedClip] = field(default_factory=list)
    anomalous: list[MaskedClip] = field(default_factory=list)
    held: list[MaskedClip] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.frames = self.frames or self.loaded.family.frames
        for clip in masked_clips(self.root, "train", self.kind):
            (self.anomalous if clip.anomalous else self.normal).append(clip)
        self.held = masked_clips(self.root, "validation", self.kind)[:MEASURED]
        if not self.anomalous:
            raise DataError(f"no masked clips of the split 'train' in {self.root}; make some: tvad synth {self.root}")

    def start(self, config: DecoderConfig, seed: int) -> HeatmapDecoder:
        """Untrained, but calm: nothing is hot."""
        torch.manual_seed(seed)
        return HeatmapDecoder(config).calm(self.text()[0].cpu()).to(self.loaded.device)

    def text(self, anomaly: tuple[str, ...] = ()) -> torch.Tensor:
        """(2, D) of the sides; no words: the default ones."""
        return _text(self.loaded, anomaly)

    def batch(self, step: int, number: int, config: TrainConfig, model: DecoderConfig) -> Batch:
        """One stretch and its question, a function of its arguments alone."""
        rng, augment = np.random.default_rng([config.seed, step, number]), config.augment
        layers = layers_of(model.to_dict())
        pools = [p for p in (self.normal, self.anomalous) if p]
        pool = pools[0] if len(pools) == 1 or rng.random() < NORMAL_SHARE else pools[1]
        clip = pool[int(rng.integers(len(pool)))]
        kind = asked(rng, clip)
        stretch = clip.stretch(*borders(rng, clip, self.frames), self.frames, kind)
        if rng.random() < augment.mirror:
            stretch = Stretch(stretch.frames[:, :, ::-1], stretch.times_s, stretch.hot[:, :, ::-1])
        words = (EVENTS[kind][int(rng.integers(len(EVENTS[kind])))],) if kind else ()
        batch = self.seen(stretch, words, layers)
        for tap in batch.taps if augment.noise else ():
            spread = tap.flatten(0, -2).std(0) * augment.noise
            tap += torch.from_numpy(rng.standard_normal(tuple(tap.shape), np.float32)).to(tap.device) * spread
        return batch

    def seen(self, stretch: Stretch, words: tuple[str, ...], layers: Sequence[int]) -> Batch:
        """A stretch as the tower sees it, and which of its cells are asked for."""
        seen = self.loaded.look(np.ascontiguousarray(stretch.frames), stretch.times_s, layers)
        taps = [seen.taps[n][None].float().clone() for n in layers]
        hot = merged_frames(stretch.hot, self.loaded.family.time_patch)
        h, w = taps[0].shape[2:4]
        target = torch.from_numpy(cell_targets(hot, (h, w))).float()[None].to(taps[0].device)
        text = self.text(words)[None, :, None]
        return Batch(taps, text, torch.ones(1, 2, 1, dtype=torch.bool, device=text.device), target)

    def select(self, decoder: HeatmapDecoder, step: int) -> SelectionScore:
        """ "frames" and "cells" as of training/heatmap/selection.py, on whole clips of the split "validation"."""
        if not self.held:
            return SelectionScore.none(step)
        layers = layers_of(decoder.config.to_dict())
        labels, levels, cells = [], [], []
        for clip in self.held:
            end_s = min(clip.clip.truth.duration_s, LONGEST_S)
            batch = self.seen(clip.stretch(0.0, end_s, self.frames), (), layers)
            with torch.no_grad():
                level = decoder(batch.taps, batch.text, batch.words).level[0].float().cpu().numpy()
            target = batch.target[0].cpu().numpy() > 0
            labels.append(target.any((1, 2)))
            levels.append(frame_level(level))
            cells += cell_auc(level, target)
        y, x = np.concatenate(labels), np.concatenate(levels)
        figures = {"frames": auc(x, y)} if y.any() and not y.all() else {}
        if cells:
            figures["cells"] = float(np.mean(cells))
        return SelectionScore(float(np.mean(list(figures.values()))) if figures else 0.0, figures)

    def counts(self) -> dict[str, int]:
        return {"normal": len(self.normal), "anomalous": len(self.anomalous), "validation": len(self.held)}

    def write(self, out: Path, decoder: HeatmapDecoder, about: dict[str, Any]) -> None:
        """The checkpoint; it says of which model."""
        own = {"backbone": self.loaded.family.model_type, "width": self.loaded.width}
        write_checkpoint(out, decoder, about | own)


@dataclass(frozen=True)
class TowerOptions:
    """data: folder of clips, kind: of it, one of KINDS. preset: with a full-size language model; weights: its folder,
    None for what was pulled. frames: of a stretch, 0 for the family's number. hidden: of the decoder. dtype: of the
    model."""

    data: Path
    preset: str
    weights: Path | None = None
    kind: str = "synthetic"
    frames: int = 0
    hidden: int = 1024
    device: str = "cuda"
    dtype: str = "bf16"


def open_lessons(options: TowerOptions) -> tuple[TowerLessons, DecoderConfig]:
    """The model's tower before the clips, and the decoder to train. ValueError for a preset or folder that does not
    fit, DataError for no clip, MissingWeights."""
    from accelerate import PartialState

    o, preset = options, get_preset(options.preset)
    if not preset.backbone:
        raise ValueError(f"preset {o.preset!r} has no full-size language model (--preset)")
    folder = weights_of(preset, Choice(weights=o.weights))
    if (found := kind_of(folder)) != preset.backbone:
        raise ValueError(f"{folder} holds a {found!r}, the preset wants {preset.backbone!r} (--preset)")
    place = "cpu" if o.device == "cpu" else str(PartialState().device)
    loaded = load(folder, place, o.dtype)
    lessons = TowerLessons(loaded, o.data, o.kind, o.frames)
    return lessons, decoder_config(loaded, hidden=o.hidden)


def asked(rng: np.random.Generator, clip: MaskedClip) -> str | None:
    """What is asked of a clip: mostly whatever is anomalous, at times one kind, which may be there or not. A kind
    without a name (of real masks) is never asked for."""
    if rng.random() >= NAMED or (clip.anomalous and not clip.kinds):
        return None
    kinds = clip.kinds if clip.kinds and rng.random() < 0.7 else tuple(EVENTS)
    return kinds[int(rng.integers(len(kinds)))]


def borders(rng: np.random.Generator, clip: MaskedClip, count: int) -> tuple[float, float]:
    """Seconds of a stretch: from `count` frames in a row up to LONGEST_S, around something anomalous if there is."""
    truth = clip.clip.truth
    last_s = max(truth.duration_s - 1 / truth.fps, 0.0)
    shortest = min((count - 1) / truth.fps, last_s)
    length = float(rng.uniform(shortest, max(min(last_s, LONGEST_S), shortest)))
    spans = [s for t in truth.anomalous for s in t.anomalous_s]
    if spans and rng.random() < 0.75:
        a, b = spans[int(rng.integers(len(spans)))]
        start = float(rng.uniform(a, max(a, b))) - float(rng.uniform(0, length))
    else:
        start = float(rng.uniform(0, last_s))
    start = min(max(start, 0.0), max(last_s - length, 0.0))
    return start, min(start + length, last_s)


def trained_for(folder: Path, loaded: Loaded) -> HeatmapDecoder:
    """The decoder that `tvad train heatmap --preset` left in a folder. ValueError for one of another model."""
    decoder = HeatmapDecoder.load(folder)
    about = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")).get("about", {})
    found, wanted = (about.get("backbone"), decoder.config.text_width), (loaded.family.model_type, loaded.width)
    if found != wanted:
        raise ValueError(
            f"{folder} holds a decoder for {found[0] or 'no language model'}, {found[1]} wide; the model is "
            f"{wanted[0]}, {wanted[1]} wide; train one: tvad train heatmap --preset NAME --weights FOLDER (--ahd)"
        )
    return decoder


@lru_cache(maxsize=256)
def _text(loaded: Loaded, anomaly: tuple[str, ...]) -> torch.Tensor:
    return text_of(loaded, anomaly)


@lru_cache(maxsize=8)
def _ids(path: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as held:
            return held["ids"], held["times_s"]
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as an npz with 'ids' and 'times_s' ({error})") from None


@lru_cache(maxsize=8)
def _masks(path: str) -> np.ndarray:
    return np.concatenate(list(GroundTruthClip("", Path(), Path(path)).masks()))
