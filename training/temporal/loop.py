"""The loop that trains a temporal head: batch, step, log, select, save, resume, stop early.

    python -m training.temporal.loop --head vadclip --data LIST --features FOLDER --out OUT [--set window=64 ...]
    python -m training.temporal.loop --help

A run that was killed and started again gives the same weights as one that was not (on the same machine): what a step
learns from depends on the seed and its number alone, and the state is one file that is replaced whole (state.py). The
head is selected on videos held back from training, never on a test split. Next: training/temporal/texts.py
"""

import hashlib
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from training.temporal.batches import RESAMPLES, Batch, FeatureStore, batch_at, epoch_steps
from training.temporal.evaluate import Scoring, has_segments, selection
from training.temporal.state import Progress, RunFiles
from training.temporal.texts import make_text
from tvad.temporal.base import TemporalHead
from tvad.temporal.reading import Reading, ReadingConfig, ReadingHead
from tvad.temporal.registry import UCF, SavedHead, load_head, make_head, save_head

SCHEDULES = ("cosine", "drops", "constant")
SELECTS = ("auto", "video", "frame")
OPTIMIZERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}
Say = Callable[[str], None]


@dataclass(frozen=True)
class TemporalTrainConfig:
    """steps: updates; None: `epochs` times through all crops. normal, anomalous: items an update. length: T. resample:
    how a video becomes T steps: "pad" (a longer one by segment means), "stretch" (a shorter one by repeats, too), or
    "window" (a longer one by a random piece).

    lr: highest, after a warm-up over a share of the steps; then "cosine" down to a twentieth, "drops" to a tenth at
    each of these shares of the run, or "constant". optimizer: "adamw", or "adam", whose decay is part of the gradient.
    weight_decay: of all weights, or without decay_all of matrices only.
    clip_norm: 0 for none. every: updates between two selections; None: 20 in a run. patience: selections without a
    better figure before a run ends, 0 for never. select: by the AUC of "video" or "frame"; "auto": by frames where
    segments are known. precision: "no" or "bf16".
    """

    steps: int | None = None
    epochs: int = 10
    normal: int = 32
    anomalous: int = 32
    length: int = 256
    resample: str = "pad"
    lr: float = 1e-4
    schedule: str = "cosine"
    warm_up: float = 0.03
    drops: tuple[float, ...] = (0.4, 0.8)
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    decay_all: bool = True
    clip_norm: float = 1.0
    every: int | None = None
    patience: int = 10
    select: str = "auto"
    log_every: int = 10
    seed: int = 0
    precision: str = "no"
    threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "epochs", "normal", "anomalous", "length", "every", "log_every", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it must be at least 1 (--{name.replace('_', '-')})")
        for name in ("weight_decay", "clip_norm", "patience", "seed"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or more (--{name.replace('_', '-')})")
        if not self.lr > 0:
            raise ValueError(f"lr is {self.lr}; it must be above 0 (--lr)")
        if not 0 <= self.warm_up < 1 or not all(0 < drop < 1 for drop in self.drops):
            raise ValueError(f"warm_up is {self.warm_up}, drops are {self.drops}; they are shares of the run, below 1")
        choices = {"resample": RESAMPLES, "schedule": SCHEDULES, "select": SELECTS, "precision": ("no", "bf16")}
        choices["optimizer"] = tuple(OPTIMIZERS)
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {list(known)} (--{name})")

    def lr_at(self, step: int, steps: int) -> float:
        """Learning rate of an update, counted from 0, of `steps`."""
        warm = round(self.warm_up * steps)
        if step < warm:
            return self.lr * (step + 1) / warm
        if self.schedule == "drops":
            return self.lr * 0.1 ** sum(step >= round(drop * steps) for drop in self.drops)
        if self.schedule == "constant":
            return self.lr
        done = (step - warm) / max(1, steps - warm)
        return self.lr * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True)
class Plan:
    """What is trained: a head of HEADS, settings of its config, and its class texts (training/temporal/texts.py).
    reading: settings of what stands before it (tvad/temporal/reading.py) but the width; None: nothing does. recipe: of
    the data set whose published text adapters are made."""

    head: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    text: str = "auto"
    reading: Mapping[str, Any] | None = None
    recipe: str = UCF

    def make(self, store: FeatureStore, seed: int) -> TemporalHead:
        """The untrained head for these videos; the same each time. Its reading knows their features already."""
        torch.manual_seed(seed)
        text = make_text(self.text, self.head, store.names, self.recipe)
        if self.reading is None:
            return make_head(self.head, store.width, store.names, text, **self.settings)
        reading = Reading(ReadingConfig(store.width, **self.reading))
        reading.learn(np.concatenate([store.features(item) for item in store.items]))
        return ReadingHead(reading, make_head(self.head, reading.config.out, store.names, text, **self.settings))


def fit(
    plan: Plan,
    store: FeatureStore,
    validation: FeatureStore | None,
    out: Path,
    config: TemporalTrainConfig | None = None,
    say: Say = print,
    stop_at: int | None = None,
) -> SavedHead:
    """Train, or go on training what is in `out`. Returns the best head; without `validation` the last.

    ValueError where `out` holds another run, where videos do not fit together, or where the loss is not finite.
    stop_at: end before this update, as if the process had been killed after its last save.
    """
    from accelerate import Accelerator, DistributedDataParallelKwargs
    from accelerate.utils import broadcast_object_list

    config = config or TemporalTrainConfig()
    if config.threads:
        torch.set_num_threads(config.threads)
    # Some heads leave parts of themselves out of some batches.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    accelerator = Accelerator(mixed_precision=config.precision, kwargs_handlers=[unused])
    rank, ranks, main = accelerator.process_index, accelerator.num_processes, accelerator.is_main_process
    config = settled(config, store, validation, ranks)
    steps, every = config.steps or 1, config.every or 1
    head = plan.make(store, config.seed)
    files = RunFiles(out, identity(plan, head, store, validation, config))
    make = OPTIMIZERS[config.optimizer]
    optimizer = make(groups_of(head, config), config.lr, weight_decay=config.weight_decay)
    progress = files.resume(head, optimizer)
    first = step = progress.step
    if main:
        files.trim_log(step)
        say(_opening(plan, head, store, validation, out, step, config, str(accelerator.device)))
    prepared, optimizer = accelerator.prepare(Learner(head), optimizer)
    began, sums, summed = time.monotonic(), dict[str, float](), 0
    while step < steps and step != stop_at and not _is_over(progress, config, validation):
        for group in optimizer.param_groups:
            group["lr"] = config.lr_at(step, steps)
        torch.manual_seed(int(np.random.SeedSequence([config.seed, step, rank]).generate_state(1)[0]))
        optimizer.zero_grad(set_to_none=True)
        try:
            losses = prepared(batch_at(store, config, step, rank, ranks).to(accelerator.device))
        except FloatingPointError as error:
            raise ValueError(f"{error} at update {step + 1}; try a smaller lr than {config.lr} (--lr)") from None
        accelerator.backward(losses["total"])
        terms = {name: float(value.detach()) for name, value in losses.items()}
        norm = accelerator.clip_grad_norm_(prepared.parameters(), config.clip_norm or math.inf)
        optimizer.step()
        step, summed = step + 1, summed + 1
        sums = {name: sums.get(name, 0.0) + value for name, value in terms.items()}
        if step % config.log_every == 0 or step == steps:
            if main:
                line = {"step": step, "lr": config.lr_at(step - 1, steps), "norm": float(norm)}
                line |= {name: value / summed for name, value in sums.items()}
                files.log(line)
                say(_progress(line, steps, (time.monotonic() - began) / (step - first)))
            sums, summed = {}, 0
        if step % every == 0 or step == steps:
            if main:
                progress = _select(head, files, plan, store, validation, config, replace(progress, step=step), say)
                files.save(head, optimizer, progress)
            told = [progress]
            progress = (broadcast_object_list(told) if ranks > 1 else told)[0]
    if main and _is_over(progress, config, validation) and step < steps:
        say(f"ended at step {step}: no better selection for {progress.waited} measurements")
    accelerator.wait_for_everyone()
    if not (out / "model.safetensors").is_file():
        return SavedHead(plan.head, head.eval(), store.names, {})
    return load_head(out)


class Learner(nn.Module):
    """A head and its loss as one module, for processes that train together. Losses are computed in 32 bits: logarithms
    of scores near 0 and 1 need them."""

    def __init__(self, head: TemporalHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, batch: Batch) -> dict[str, torch.Tensor]:
        """FloatingPointError where scores or losses are not finite."""
        out = self.head(batch.x, batch.mask, y=batch.y)
        if not bool(out.scores.isfinite().all()):
            raise FloatingPointError("the scores are not finite")
        with torch.autocast(batch.x.device.type, enabled=False):
            losses = self.head.loss(in_float(out), batch.y, batch.mask, batch.pseudo)
        if not bool(losses["total"].isfinite()):
            raise FloatingPointError(f"the loss is {float(losses['total'])}")
        return losses


def in_float(value: Any) -> Any:
    """Every floating-point tensor of an output in 32 bits, in tuples, lists, dicts and dataclasses too."""
    if isinstance(value, torch.Tensor):
        return value.float() if value.is_floating_point() else value
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: in_float(getattr(value, f.name)) for f in fields_of(value) if f.init})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(in_float(part) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(in_float(part) for part in value)
    return {key: in_float(part) for key, part in value.items()} if isinstance(value, dict) else value


def groups_of(head: TemporalHead, config: TemporalTrainConfig) -> list[dict[str, Any]]:
    """What the optimizer changes. A head that has groups of its own (DSANet) says their decay itself."""
    own = getattr(head, "groups", None)
    found: list[dict[str, Any]] | None = own() if own else None
    if found is not None:
        return found
    learned = [p for p in head.parameters() if p.requires_grad]
    if config.decay_all:
        return [{"params": learned}]
    flat = {"params": [p for p in learned if p.ndim < 2], "weight_decay": 0.0}
    return [{"params": [p for p in learned if p.ndim >= 2]}, flat]


def settled(
    config: TemporalTrainConfig, store: FeatureStore, validation: FeatureStore | None, ranks: int = 1
) -> TemporalTrainConfig:
    """With numbers in place of None and "auto". ValueError for videos that cannot be trained or selected on."""
    for kind, what in enumerate(("normal", "anomalous")):
        for held, data in (("", store), ("held back ", validation)):
            if data is not None and not data.of_kind(kind):
                raise ValueError(
                    f"no {what} video among the {len(data.videos)} {held}(classes: {', '.join(data.names)}); "
                    "say which labels mean normal (--normal-label)"
                )
    select = config.select
    if validation is not None:
        if validation.width != store.width:
            raise ValueError(
                f"features of width {validation.width} are held back; those to train on have {store.width}"
            )
        if both := {v.name for v in store.videos} & {v.name for v in validation.videos}:
            raise ValueError(f"{min(both)} is to be trained on, and held back")
        if select == "frame" and not has_segments(validation.videos):
            raise ValueError("select is 'frame', and segments are not known of all videos that are held back")
        if select == "auto":
            select = "frame" if has_segments(validation.videos) else "video"
    steps = config.steps or config.epochs * epoch_steps(store, config, ranks)
    return replace(config, steps=steps, every=config.every or max(1, steps // 20), select=select)


def identity(
    plan: Plan, head: TemporalHead, store: FeatureStore, validation: FeatureStore | None, config: TemporalTrainConfig
) -> dict[str, Any]:
    """What must be the same for a run to be gone on with."""
    # Runs of before there was a choice of optimizer go on, too.
    free = {"threads", "log_every"} | ({"optimizer"} if config.optimizer == "adamw" else set())
    return {
        "head": plan.head,
        "settings": asdict(head.config),  # type: ignore[call-overload]
        "text": plan.text,
        "reading": None if plan.reading is None else dict(plan.reading),
        "classes": list(store.names),
        "data": _digest(store),
        "validation": None if validation is None else _digest(validation),
        "training": {k: v for k, v in asdict(config).items() if k not in free},
    }


def _digest(store: FeatureStore) -> str:
    """Of videos, labels, segments and shapes; not of where they lie."""
    said = [
        (v.name, v.labels, v.segments, v.frames, [(path.name, store.shapes[path]) for path in v.features])
        for v in store.videos
    ]
    text = json.dumps([said, store.pseudo_folder is not None])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _select(
    head: TemporalHead,
    files: RunFiles,
    plan: Plan,
    store: FeatureStore,
    validation: FeatureStore | None,
    config: TemporalTrainConfig,
    progress: Progress,
    say: Say,
) -> Progress:
    """Measure, and write the head if it is the best so far. Of equal figures the wider gap is better, but only a better
    figure counts against the end of a run."""
    figures: dict[str, float] = {}
    if validation is not None:
        figures = selection(head, validation, Scoring())
        value = figures[f"{config.select}_auc"]
        files.log({"step": progress.step, "selection": value, **figures})
        say(f"  selection {value:.4f}  " + "  ".join(f"{k} {v:.3f}" for k, v in figures.items()))
        found, best = (value, figures["gap"]), progress.best
        waited = 0 if best is None or value > best[0] else progress.waited + 1
        progress = replace(progress, best=found if best is None or found > best else best, waited=waited)
        if progress.best != found:
            return progress
    about = {
        "step": progress.step,
        "selection": figures,
        "trained_on": {"normal": sum(not v.labels for v in store.videos), "videos": len(store.videos)},
        "held_back": 0 if validation is None else len(validation.videos),
        "text": plan.text,
        "training": asdict(config),
    }
    save_head(head, files.out, store.names, about)
    return progress


def _is_over(progress: Progress, config: TemporalTrainConfig, validation: FeatureStore | None) -> bool:
    return validation is not None and 0 < config.patience <= progress.waited


def _opening(
    plan: Plan,
    head: TemporalHead,
    store: FeatureStore,
    validation: FeatureStore | None,
    out: Path,
    step: int,
    config: TemporalTrainConfig,
    device: str,
) -> str:
    chosen = "nothing is held back: the last weights are kept"
    if validation:
        chosen = f"selected by {config.select} AUC on {len(validation.videos)}"
    begin = f"goes on at step {step}" if step else "begins"
    learned = sum(p.numel() for p in head.parameters() if p.requires_grad)
    return (
        f"{plan.head} {begin}: {learned / 1e6:.2f} million weights, {config.steps} steps on {device}; "
        f"{len(store.videos)} videos of {len(store.names)} classes ({len(store.items)} crops), {chosen}; writes {out}"
    )


def _progress(line: Mapping[str, Any], steps: int, step_s: float) -> str:
    left = (steps - line["step"]) * step_s
    terms = "  ".join(f"{k} {v:.4f}" for k, v in line.items() if k not in ("step", "lr", "norm"))
    return f"step {line['step']}/{steps}  {terms}  {step_s:.2f} s a step, {left / 60:.0f} min left"


if __name__ == "__main__":
    from training.temporal.command import main, parse

    sys.exit(main(parse()))
