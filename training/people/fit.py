"""Fit the finder of people and vehicles (heatmap/people.py) to frames that a detector has labelled.

    python -m training.people.frames ../shared/data FRAMES
    python -m training.people.fit FRAMES --out RUN [--without NAME ...] [--seed 0]

A cell near the middle of a thing learns the overlap of its own box with the thing's as its score (quality focal loss),
and the box (generalised IoU); where the detector was not sure nothing is asked. Clips named by --without (the beginning
of a name) are left out, to be tested on. Prints the precision of what it finds there as it goes.
Next: training/people/evaluate.py
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from heatmap.people import CLASSES, PeopleNetwork
from training.people.frames import SURE
from training.people.precision import average_precision
from tvad.people import found_in

STEPS, BATCH, RATE, DECAY = 1800, 12, 2e-3, 1e-4
CENTRAL = 0.5  # part of a box, about its middle, whose cells learn it
LEAST_CELLS = 0.75  # half a side of that part, at least
EVERY = 600  # steps between two figures
DROP = 0.1  # of the features, per channel and picture


@dataclass(frozen=True)
class Group:
    """Pictures of one shape: patch (n, h, w, 152) float16, boxes (m, 7): picture, x0, y0, x1, y1 in parts of it, score,
    class. variant (n,): 0 for a frame as it is."""

    clip: str
    patch: np.ndarray
    boxes: np.ndarray
    variant: np.ndarray

    @property
    def true(self) -> list[np.ndarray]:
        """Boxes (m, 6) of each picture."""
        return [self.boxes[self.boxes[:, 0] == n, 1:] for n in range(len(self.patch))]


@dataclass(frozen=True)
class Targets:
    """Of pictures (B): the box of each cell's thing (B, 4, h, w) in cells, what cells learn one (B, h, w) bool with the
    class (B, h, w), and where nothing is asked (B, h, w) bool."""

    sides: torch.Tensor
    own: torch.Tensor
    kind: torch.Tensor
    unasked: torch.Tensor


def read(folder: Path) -> list[Group]:
    """SystemExit where there is nothing."""
    out = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as file:
            for key in file.files:
                if key.startswith("patch_"):
                    own = [file[key.replace("patch", name)] for name in ("patch", "boxes", "variant")]
                    out.append(Group(path.stem, *own))
    if not out:
        raise SystemExit(f"no .npz in {folder}; python -m training.people.frames makes them")
    return out


def targets(boxes: Sequence[np.ndarray], shape: tuple[int, int]) -> Targets:
    """boxes: of each picture (n, 6). Smaller things win over larger ones behind them."""
    height, width = shape
    y, x = np.mgrid[:height, :width] + 0.5
    sides = np.zeros((len(boxes), 4, height, width), np.float32)
    own, unasked = np.zeros((2, len(boxes), height, width), bool)
    kind = np.zeros((len(boxes), height, width), np.int64)
    for n, rows in enumerate(boxes):
        cells = rows[:, :4] * (width, height, width, height)
        for box, (score, of) in sorted(
            zip(cells, rows[:, 4:], strict=True), key=lambda pair: -float(np.prod(pair[0][2:] - pair[0][:2]))
        ):
            middle, half = (box[:2] + box[2:]) / 2, np.maximum((box[2:] - box[:2]) / 2, 0.1)
            if score < SURE:
                unasked[n] |= (np.abs(x - middle[0]) < half[0]) & (np.abs(y - middle[1]) < half[1])
                continue
            inner = np.maximum(half * CENTRAL, LEAST_CELLS)
            at = (np.abs(x - middle[0]) <= inner[0]) & (np.abs(y - middle[1]) <= inner[1])
            own[n] |= at
            kind[n][at] = int(of)
            way = np.stack([x - box[0], y - box[1], box[2] - x, box[3] - y])
            sides[n][:, at] = way[:, at]
    return Targets(*(torch.from_numpy(v) for v in (sides, own, kind, unasked & ~own)))


def overlaps(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Overlap and generalised overlap (n,) of boxes by their sides (n, 4) about the same cell."""
    b = b.clamp(min=0.01)
    low, high = torch.minimum(a, b), torch.maximum(a, b)
    both = (low[:, 0] + low[:, 2]) * (low[:, 1] + low[:, 3])
    area_a, area_b = ((v[:, 0] + v[:, 2]) * (v[:, 1] + v[:, 3]) for v in (a, b))
    union = area_a + area_b - both
    hull = (high[:, 0] + high[:, 2]) * (high[:, 1] + high[:, 3])
    iou = both / union
    return iou, iou - (hull - union) / hull


def loss_of(logits: torch.Tensor, sides: torch.Tensor, wanted: Targets) -> dict[str, torch.Tensor]:
    """Terms: score, box."""
    quality = torch.zeros_like(logits)
    box = logits.sum() * 0
    count = max(int(wanted.own.sum()), 1)
    if wanted.own.any():
        picked = sides.permute(0, 2, 3, 1)[wanted.own]
        iou, generalised = overlaps(picked, wanted.sides.permute(0, 2, 3, 1)[wanted.own])
        box = (1 - generalised).sum() / count
        b, y, x = wanted.own.nonzero(as_tuple=True)
        quality[b, wanted.kind[wanted.own], y, x] = iou.detach().clamp(0, 1)
    entropy = F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    weight = (quality - logits.sigmoid().detach()).abs() ** 2
    asked = (~wanted.unasked)[:, None]
    return {"score": (weight * entropy * asked).sum() / count, "box": box}


def batches(groups: Sequence[Group], rng: np.random.Generator) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Without end: pictures of one shape, clips of many pictures no oftener than the square root of that."""
    shapes: dict[tuple[int, ...], list[Group]] = {}
    for group in groups:
        shapes.setdefault(group.patch.shape[1:3], []).append(group)
    kinds = list(shapes)
    weights = {s: np.array([len(g.patch) ** 0.5 for g in shapes[s]]) for s in kinds}
    share = np.array([weights[s].sum() for s in kinds])
    while True:
        shape = kinds[rng.choice(len(kinds), p=share / share.sum())]
        own = shapes[shape]
        chosen = rng.choice(len(own), BATCH, p=weights[shape] / weights[shape].sum())
        patch, boxes = [], []
        for k in chosen:
            n = int(rng.integers(len(own[k].patch)))
            patch.append(own[k].patch[n])
            boxes.append(own[k].boxes[own[k].boxes[:, 0] == n, 1:])
        yield np.stack(patch).astype(np.float32), boxes


def fit(groups: Sequence[Group], held: Sequence[Group], steps: int, seed: int) -> PeopleNetwork:
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = PeopleNetwork()
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps, pct_start=0.1)
    mean = 0.0
    for step, (patch, boxes) in enumerate(islice(batches(groups, rng), steps), 1):
        x = F.dropout2d(torch.from_numpy(patch).permute(0, 3, 1, 2), DROP).permute(0, 2, 3, 1)
        logits, sides = network(x)
        terms = loss_of(logits, sides, targets(boxes, patch.shape[1:3]))
        loss = sum(terms.values(), torch.zeros(()))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        mean += (float(loss.detach()) - mean) / min(step, 100)
        if step % EVERY == 0 or step == steps:
            print(f"step {step} of {steps}: loss {mean:.3f}; {precision_text(network, held)}", flush=True)
    return network.eval()


def precision_text(network: PeopleNetwork, held: Sequence[Group]) -> str:
    """Average precision of each class on clips, "-" where they have none."""
    if not held:
        return "no clip held back"
    network.eval()
    found = [rows for group in held for rows in found_by(network, group)]
    true = [rows for group in held for rows in group.true]
    network.train()
    told = [f"{name} {average_precision(found, true, number):.3f}" for number, name in enumerate(CLASSES)]
    return ", ".join(told)


def found_by(network: PeopleNetwork, group: Group) -> list[np.ndarray]:
    """Boxes (n, 6) in each picture of a group."""
    found: list[np.ndarray] = []
    with torch.no_grad():
        for n in range(0, len(group.patch), BATCH):
            logits, sides = network(torch.from_numpy(group.patch[n : n + BATCH].astype(np.float32)))
            found += [found_in(s, d) for s, d in zip(logits.sigmoid().numpy(), sides.numpy(), strict=True)]
    return found


def main(given: Sequence[str] | None = None) -> None:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without", nargs="*", default=())
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(given)
    groups = read(args.frames)
    held = [g for g in groups if g.clip.startswith(tuple(args.without))] if args.without else []
    names = {g.clip for g in held}
    train = [g for g in groups if g.clip not in names]
    print(f"{sum(len(g.patch) for g in train)} pictures to learn from, {sum(len(g.patch) for g in held)} held back")
    network = fit(train, held, args.steps, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    save(network, args.out / "people.safetensors")
    print(f"{args.out / 'people.safetensors'} written")


def save(network: PeopleNetwork, path: Path) -> None:
    """As safetensors in half precision, whole or not at all."""
    from tvad.evidence import write_atomic

    write_atomic(path, lambda file: file.write(network.to_bytes()))


if __name__ == "__main__":
    main()
