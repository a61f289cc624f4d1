"""Data of the decoder's training: cached clips, drawn by (seed, step) alone, so that a resumed run sees what an
undisturbed one does.

Next: training/heatmap/loop.py
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from heatmap.prompts import stacked
from training.heatmap.features import RUN, CachedClip
from training.heatmap.words import Question, sample
from tvad.decoder_taps import ODD_IN_MIRROR

NORMAL_SHARE = 0.5


class Batch(NamedTuple):
    """R runs of one clip, each with its own question: taps, each (R, RUN, h_i, w_i, C_i) float32; text (R, 2, K, D),
    words (R, 2, K) bool; target (R, RUN, h, w) float32 of 0 and 1."""

    taps: list[torch.Tensor]
    text: torch.Tensor
    words: torch.Tensor
    target: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch([t.to(device) for t in self.taps], *(x.to(device) for x in self[1:]))


@dataclass(frozen=True)
class Augment:
    """mirror: chance of exchanging left and right. noise: standard deviation, in units of a channel's own over the
    batch, added to every tap but the looks. dim: chance that a thing's look is forgotten."""

    mirror: float = 0.5
    noise: float = 0.05
    dim: float = 0.1


@dataclass
class Folder:
    """The cached clips of one split. ValueError where there are none."""

    root: Path
    split: str
    normal: list[Path] = field(default_factory=list)
    anomalous: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        for path in sorted((self.root / self.split).glob("*.safetensors")):
            clip = CachedClip.load(path)
            (self.anomalous if clip.anomalous().any() else self.normal).append(path)
        if not self.normal and not self.anomalous:
            raise ValueError(
                f"no cached clips in {self.root / self.split}; "
                f"python -m training.heatmap.features {self.root} --split {self.split} --synthetic 200"
            )

    @property
    def paths(self) -> list[Path]:
        return sorted([*self.normal, *self.anomalous])

    def draw(self, rng: np.random.Generator) -> CachedClip:
        """Normal and anomalous clips are equally likely, however many there are of each."""
        pools = [p for p in (self.normal, self.anomalous) if p]
        pool = pools[0] if len(pools) == 1 or rng.random() < NORMAL_SHARE else pools[1]
        return CachedClip.load(pool[int(rng.integers(len(pool)))])


def batch_at(folder: Folder, seed: int, step: int, part: int, augment: Augment, runs: int = 2) -> Batch:
    """What part `part` of step `step` learns from, `runs` runs of a clip at most: a function of its arguments alone."""
    rng = np.random.default_rng([seed, step, part])
    clip = some_runs(folder.draw(rng), rng, runs)
    return augmented(as_batch(clip, [sample(clip, rng) for _ in range(len(clip.taps) // RUN)]), rng, augment)


def some_runs(clip: CachedClip, rng: np.random.Generator, count: int) -> CachedClip:
    """A clip cut down to some of its runs, in order."""
    every = len(clip.taps) // RUN
    chosen = np.sort(rng.permutation(every)[:count])
    rows = (chosen[:, None] * RUN + np.arange(RUN)).ravel()
    return replace(clip, taps=clip.taps.pick(rows), cover=clip.cover[:, rows])


def as_batch(clip: CachedClip, questions: Sequence[Question]) -> Batch:
    """A clip with a question to each of its runs."""
    runs = len(questions)
    taps = [torch.from_numpy(x[: runs * RUN]).unflatten(0, (runs, RUN)) for x in clip.taps.arrays()]
    targets = [clip.targets(q.wanted)[i * RUN : (i + 1) * RUN] for i, q in enumerate(questions)]
    text, words = stacked([q.text for q in questions])
    target = torch.from_numpy(np.stack(targets)).float()
    return Batch(taps, torch.from_numpy(text), torch.from_numpy(words), target)


def augmented(batch: Batch, rng: np.random.Generator, augment: Augment) -> Batch:
    """A changed copy. Of the movement, only what is measured gets noise: nothing moves where nothing moved."""
    fine, coarse, motion, look = batch.taps
    target = batch.target
    if rng.random() < augment.mirror:
        fine, coarse, motion, look = (x.flip(3) for x in (fine, coarse, motion, look))
        motion[..., list(ODD_IN_MIRROR)] *= -1
        target = target.flip(3)
    noise = [_noise(x, rng, augment.noise) for x in (fine, coarse, motion)]
    if augment.dim:
        keep = torch.from_numpy((rng.random(look.shape[:1]) >= augment.dim).astype(np.float32))
        look = torch.cat([look[..., :-1] * keep.view(-1, 1, 1, 1, 1), look[..., -1:]], -1)
    taps = [fine + noise[0], coarse + noise[1], motion + noise[2] * (motion != 0), look]
    return Batch(taps, batch.text, batch.words, target)


def _noise(x: torch.Tensor, rng: np.random.Generator, share: float) -> torch.Tensor:
    spread = x.flatten(0, -2).std(0) * share
    return torch.from_numpy(rng.standard_normal(x.shape, np.float32)) * spread
