"""Fit what reads the colours of moving things (tvad/colours.py), from drawn clips.

    tvad synth C/a --count 110 --seed 91000 --seconds 5 --fps 6 --size 480x270 --split train
    tvad synth C/b --count 70 --seed 92000 --seconds 5 --fps 6 --size 640x360 --split train
    tvad synth C/c --count 120 --seed 93000 --seconds 4 --fps 5 --size 640x360 --split train
    tvad synth C/d --count 60 --seed 96000 --seconds 4 --fps 5 --size 640x360 --split train --anomaly cycling
    tvad synth V --count 32 --seed 82000 --seconds 6 --fps 8 --size 480x270 --split validation
    python -m training.colours C/a C/b C/c C/d --held V --out tvad/codes/mini/colours.safetensors

V: clips of other kinds of place, by which the number of passes is chosen. Things are those of the program's own
detector, with its masks; their true colours are known, not which of their pixels are cloth. Pixels are changed on the
way (brightness, contrast, tint), alike in a thing and around it. Next: training/evaluate_colours.py
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from heatmap.appearance import TERMS
from training.evaluate_colours import HALVES, labelled
from training.ship import note
from tvad.colours import SHAPES, ColourReader, inputs, sampled
from tvad.evidence import write_atomic

PASSES, RATE, DECAY, BATCH = 40, 3e-3, 1e-3, 32
VARIANTS = 6  # of each picture, the first of them as it is
PIXELS = 160  # of a picture at most
MOST_TINT = 0.12  # of a channel, either way


@dataclass(frozen=True)
class Examples:
    """Pixels (N, PIXELS, INPUTS), which of them are there (N, PIXELS), and the colours of both halves (N, 2), -1 where
    none is known; N pictures of things, each VARIANTS times."""

    x: torch.Tensor
    there: torch.Tensor
    wanted: torch.Tensor

    @classmethod
    def of(cls, folders: Sequence[Path], variants: int, seed: int) -> "Examples":
        rng = np.random.default_rng(seed)
        rows = [row for folder in folders for row in examples(folder, variants, rng)]
        if not rows:
            raise SystemExit(f"no thing of known colours in {', '.join(map(str, folders))} (tvad synth makes clips)")
        x = np.zeros((len(rows), PIXELS, rows[0][0].shape[1]), np.float32)
        there = np.zeros((len(rows), PIXELS), bool)
        for n, (pixels, _) in enumerate(rows):
            x[n, : len(pixels)], there[n, : len(pixels)] = pixels, True
        wanted = np.array([w for _, w in rows])
        return cls(torch.from_numpy(x), torch.from_numpy(there), torch.from_numpy(wanted))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--held", nargs="+", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    train, held = Examples.of(given.clips, VARIANTS, given.seed), Examples.of(given.held, 1, given.seed)
    print(f"{len(train.x) // VARIANTS} pictures to train on, {len(held.x)} to choose by")
    reader, best = fit(train, held, given.seed)
    save(reader, given.out)
    note(given.out)
    print(f"{given.out}: of pass {best[1]}, {best[0]:.3f} of the halves of single pictures right")


def examples(folder: Path, variants: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, tuple[int, int]]]:
    """Pixels and colours of the pictures of a folder's things."""
    for thing, target in labelled(folder):
        known = [target.colours.get(half, target.colours.get("whole", "")) for half in HALVES]
        wanted = tuple(TERMS.index(name) if name in TERMS else -1 for name in known)
        for shot in thing.shots:
            for n in range(variants if shot.mask.any() else 0):
                rows = inputs(*sampled(relit(shot.rgb, rng) if n else shot.rgb, shot.mask))
                chosen = rng.permutation(len(rows))[:PIXELS]
                yield rows[chosen], (wanted[0], wanted[1])


def relit(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture (h, w, 3) uint8 under other light: contrast, brightness and tint of the whole."""
    middle = rgb.mean()
    out = (rgb - middle) * rng.uniform(0.7, 1.2) + middle * rng.uniform(0.7, 1.25)
    out = out * rng.uniform(1 - MOST_TINT, 1 + MOST_TINT, 3)
    found: np.ndarray = np.clip(out, 0, 255).astype(np.uint8)
    return found


def fit(train: Examples, held: Examples, seed: int) -> tuple[ColourReader, tuple[float, int]]:
    """The reader of the best pass on `held`, its share of right halves there, and that pass."""
    torch.manual_seed(seed)
    weights = {n: torch.randn(s) / (s[1] ** 0.5 if len(s) > 1 else 1e3) for n, s in SHAPES.items()}
    for values in weights.values():
        values.requires_grad_(True)
    optimiser = torch.optim.AdamW(weights.values(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, PASSES)
    best, kept = (-1.0, 0), {}
    for n in range(1, PASSES + 1):
        for rows in torch.randperm(len(train.x)).split(BATCH):
            found = probs(weights, train.x[rows], train.there[rows]).flatten(0, 1)
            loss = F.nll_loss(found.clamp(min=1e-6).log(), train.wanted[rows].flatten(), ignore_index=-1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        with torch.no_grad():
            right = (probs(weights, held.x, held.there).argmax(-1) == held.wanted)[held.wanted >= 0].float().mean()
        print(f"pass {n}: loss {float(loss.detach()):.3f}, right {float(right):.3f}", flush=True)
        if float(right) > best[0]:
            best, kept = (float(right), n), {name: v.detach().clone().numpy() for name, v in weights.items()}
    return ColourReader(kept), best


def probs(weights: dict[str, torch.Tensor], x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """(N, 2, 11) as `ColourReader` has it; x (N, P, INPUTS), there (N, P)."""
    hidden = torch.tanh(x @ weights["w1"].T + weights["b1"])
    hidden = torch.tanh(hidden @ weights["w2"].T + weights["b2"])
    out = hidden @ weights["w3"].T + weights["b3"]
    asked = out[..., -2:].masked_fill(~there[..., None], -1e9).softmax(1)
    found: torch.Tensor = asked.transpose(1, 2) @ out[..., :-2].softmax(-1)
    return found


def save(reader: ColourReader, path: Path) -> None:
    """As safetensors, whole or not at all."""
    from safetensors.numpy import save as packed

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda file: file.write(packed(dict(reader.weights))))


if __name__ == "__main__":
    main()
