"""The training loop of the region tokens and the adapter: stage 2 of T-VAD, on simulated and rendered clips.

    python -m training.lvlm.loop --out runs/a --minutes 60                                  2a: simulated scenes
    python -m training.lvlm.loop --out runs/b --start runs/a/adapter --rendered PACK --steps 2000          2b

The language model stays as it is, in bfloat16; encoder and low-rank matrices are trained in float32. A training that
was killed goes on where its last checkpoint was when it is started again with the same --out.

Next: training/lvlm/checkpoint.py
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import ConcatDataset, DataLoader

from training.lvlm.asking import quick_check
from training.lvlm.begin import telling
from training.lvlm.checkpoint import found, load_checkpoint, put_weights, save_checkpoint
from training.lvlm.data import Example, Mixed, Numbers, Pools, Simulated, Source, Talk, collate
from training.lvlm.tuned import Batch, Tuned, padding_of, quick
from tvad.evidence import write_atomic
from tvad.lvlm.adapter import Adapter, AdapterConfig
from tvad.lvlm.lora import LoraConfig
from tvad.lvlm.slots import GROUPS
from tvad.lvlm.tokens import RaeConfig
from tvad.lvlm.view import ViewConfig

UNSEEN = 10**6  # number of the first simulated validation clip


@dataclass(frozen=True)
class Options:
    """out: folder of the training. model: folder of the language model, "" for that of the mini preset. start: an
    adapter to begin with, "" for a new one. named: a new one begins with words (training/lvlm/begin.py).

    rendered: packs of analysed clips (training/lvlm/rendered.py), and share: how many of the examples come from them.
    looks: a file of real looks for simulated clips (same place), "" for none. steps, minutes: whichever is over first;
    0 for no limit. batch: sequences a step, in `accumulate` parts. warm_up: steps. rae_rate, lora_rate: learning rates,
    at their highest; they end at `last` of that. mlp: low-rank matrices on the MLPs too, which a start without them
    gets anew. lead: weight of an answer's first token, in which yes or no is decided, and stress: of words that tell
    what was found (training/lvlm/begin.py), against that of the words between. slices, pictures, base: of the view and
    the encoder (tvad/lvlm/view.py). every: steps between checkpoints, check: between validations, of `checked` clips.
    With --preset NAME of a full-size language model (docs/BACKBONES.md) the settings are others: --preset NAME --help.
    threads: of the CPU, 0 for all. On a CPU, dropout keeps training/lvlm/lean.py from being used.
    """

    out: Path = Path("runs/lvlm")
    model: str = ""
    start: str = ""
    named: bool = True
    looks: str = ""
    rendered: tuple[str, ...] = ()
    share: float = 0.6
    steps: int = 0
    minutes: float = 0.0
    batch: int = 16
    accumulate: int = 1
    warm_up: int = 30
    rae_rate: float = 1e-3
    lora_rate: float = 4e-4
    last: float = 0.05
    lead: float = 5.0
    stress: float = 1.0
    decay: float = 0.01
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    mlp: bool = False
    slices: int = 6
    pictures: int = 2
    base: int = 2
    slots: int = 4
    turns: int = 5
    normal_turns: int = 2
    longest: int = 480
    seed: int = 0
    every: int = 100
    check: int = 200
    checked: int = 48
    workers: int = 0
    threads: int = 0
    cpu: bool = False

    def __post_init__(self) -> None:
        if not self.steps and not self.minutes:
            raise ValueError("a training needs an end: --steps or --minutes")
        if self.batch % self.accumulate:
            raise ValueError(f"{self.batch} sequences cannot be read in {self.accumulate} equal parts (--accumulate)")
        if not min(self.lead, self.stress) > 0:
            raise ValueError(
                f"weights of tokens are {self.lead} and {self.stress}; they are above 0 (--lead, --stress)"
            )
        if not 0 <= self.share <= 1:
            raise ValueError(f"share of rendered clips is {self.share}; it is between 0 and 1 (--share)")

    def config(self) -> AdapterConfig:
        view = ViewConfig(slices=self.slices, pictures=self.pictures, slots=self.slots)
        rae = RaeConfig(view=view, base=self.base)
        return AdapterConfig(rae=rae, lora=LoraConfig(self.rank, self.alpha, self.dropout, self.mlp))

    def rate(self, step: int, spent_s: float) -> float:
        """Share of the learning rates at a step: a straight warm-up, then half a cosine down to `last`."""
        done = max(step / self.steps if self.steps else 0.0, spent_s / 60 / self.minutes if self.minutes else 0.0)
        wave = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return min(1.0, (step + 1) / max(self.warm_up, 1)) * (self.last + (1 - self.last) * wave)

    def over(self, step: int, spent_s: float) -> bool:
        return bool(self.steps and step >= self.steps) or bool(self.minutes and spent_s >= 60 * self.minutes)


@dataclass
class Progress:
    """What has been done: optimiser steps, seconds, sequences and supervised answers."""

    step: int = 0
    spent_s: float = 0.0
    sequences: int = 0
    answers: int = 0

    def about(self, seed: int) -> dict[str, Any]:
        return {"seed": seed, "spent_s": self.spent_s, "sequences": self.sequences, "answers": self.answers}


@dataclass
class Training:
    """A training, ready to run: `run` until it is over. folder: of the language model."""

    options: Options
    folder: Path
    dtype: torch.dtype = torch.bfloat16
    say: Callable[[str], None] = field(default=lambda line: print(line, file=sys.stderr, flush=True))

    def __post_init__(self) -> None:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs

        o = self.options
        if o.threads:
            torch.set_num_threads(o.threads)
        torch.manual_seed(o.seed)
        half = self.dtype == torch.bfloat16
        self.accelerator = Accelerator(
            mixed_precision="bf16" if half else "no",
            cpu=o.cpu or not torch.cuda.is_available(),
            # Clips without any track have no tokens of tracks.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        if o.start:
            adapter = Adapter.load(Path(o.start))
            own = adapter.config
            wider = replace(own.lora, mlp=own.lora.mlp or o.mlp)
            reads = replace(own.rae, groups=len(GROUPS))
            tuned = Tuned.begin(replace(own, about={}, rae=reads, lora=wider), self.folder, self.dtype)
            put_weights(tuned, adapter)
        else:
            tuned = Tuned.begin(o.config(), self.folder, self.dtype, o.named)
        tuned.lead = o.lead
        tuned.weights = telling(tuned.dialogue, tuned.model.get_input_embeddings().num_embeddings, o.stress)
        self.tuned = tuned.to(self.accelerator.device)
        optimiser = torch.optim.AdamW(tuned.groups(o.rae_rate, o.lora_rate, o.decay), betas=(0.9, 0.98))
        self.rates = [group["lr"] for group in optimiser.param_groups]
        self.progress = Progress()
        if checkpoints := found(o.out):
            about = load_checkpoint(checkpoints[-1], tuned, optimiser)
            if about.pop("seed") != o.seed:
                raise ValueError(f"{checkpoints[-1]} was begun with another --seed than {o.seed}; choose another --out")
            self.progress = Progress(**about)
            self.say(f"goes on from {checkpoints[-1]}")
        self.model, self.optimiser = self.accelerator.prepare(self.tuned, optimiser)
        self.packed = packed_examples(o.rendered, "train", self.rae)
        self.unseen = self._unseen()

    @property
    def rae(self) -> RaeConfig:
        return self.tuned.config.rae

    def run(self) -> Adapter:
        """Train until it is over; the adapter, also written to out/adapter."""
        o, p = self.options, self.progress
        self.model.train()
        began = time.monotonic() - p.spent_s
        losses: list[float] = []
        batches = self._batches()
        while not o.over(p.step, p.spent_s):
            share = o.rate(p.step, p.spent_s)
            for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
                group["lr"] = rate * share
            losses.append(self._step([next(batches) for _ in range(o.accumulate)]))
            p.step += 1
            p.spent_s = self._agreed(time.monotonic() - began)
            if p.step % 10 == 0 or p.step == 1:
                self._log(losses, share)
                losses = []
            last = o.over(p.step, p.spent_s)
            if p.step % o.every == 0 or last:
                self.save()
            if o.check and (p.step % o.check == 0 or last):
                self.validate()
                began = time.monotonic() - p.spent_s  # validation costs no training time
        return self._finish()

    def _agreed(self, spent_s: float) -> float:
        """The main process's time in all of them: else one stops for --minutes while another waits for its step."""
        if self.accelerator.num_processes == 1:
            return spent_s
        from accelerate.utils import broadcast

        return float(broadcast(torch.tensor(spent_s, dtype=torch.float64, device=self.accelerator.device)))

    def _step(self, parts: list[Batch]) -> float:
        total = 0.0
        for part in parts:
            loss = self.model(part.to(self.accelerator.device)) / len(parts)
            self.accelerator.backward(loss)
            total += float(loss.detach())
            self.progress.sequences += len(part.ids) * self.accelerator.num_processes
            self.progress.answers += part.answers * self.accelerator.num_processes
        self.accelerator.clip_grad_norm_([p for p in self.model.parameters() if p.requires_grad], 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return total

    def _batches(self) -> Iterator[Batch]:
        """Parts of steps from where the training is, without end."""
        o = self.options
        source: Source = Simulated(self.rae, o.seed, real=_looks(o.looks))
        if len(self.packed):
            source = Mixed(source, self.packed, o.share, o.seed)
        talk = Talk(o.turns, o.normal_turns, o.longest)
        size = o.batch // o.accumulate
        # Each process has its own pools; a pool lasts for 8 steps.
        mine, all_ = self.accelerator.process_index, self.accelerator.num_processes
        pools = Pools(source, self.tuned.dialogue, self.rae, talk, size, 8 * o.accumulate, o.seed, together=all_)
        done = self.progress.step // 8
        loader = DataLoader(
            pools,
            batch_size=None,
            sampler=Numbers(done * all_ + mine, all_),
            num_workers=o.workers,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # or the global random numbers would be used up, and resuming be visible
            multiprocessing_context="fork" if o.workers else None,
        )
        skipped = self.progress.step % 8 * o.accumulate
        for pool in loader:
            yield from pool[skipped:]
            skipped = 0

    def _unseen(self) -> list[Example]:
        """Clips for validation, half of them rendered where there are some; about half are anomalous."""
        o = self.options
        rendered = packed_examples(o.rendered, "validation", self.rae)
        packed = [rendered[n] for n in range(min(len(rendered), o.checked // 2))]
        simulated = Simulated(self.rae, o.seed, "validation")
        return packed + [simulated[UNSEEN + n] for n in range(o.checked - len(packed))]

    def validate(self) -> dict[str, float]:
        """Loss and slot accuracy on unseen clips, written to metrics.jsonl."""
        if not self.accelerator.is_main_process or not self.unseen:
            return {}
        o = self.options
        pools = Pools(_Listed(self.unseen), self.tuned.dialogue, self.rae, Talk(3, 2), 16, 1, 1)
        with quick(self.tuned, self.accelerator.device), torch.no_grad():
            batch = collate(
                [pools.sequence(n) for n in range(min(32, len(self.unseen)))], padding_of(self.tuned.dialogue)
            )
            loss = float(self.tuned(batch.to(self.accelerator.device)))
            values = quick_check(self.tuned, self.rae, self.unseen, self.say)
        values = {"loss": loss, **values}
        self.say(f"step {self.progress.step}: " + ", ".join(f"{k} {v:.2f}" for k, v in values.items()))
        _append(o.out / "metrics.jsonl", {"step": self.progress.step, "unseen": values})
        return values

    def save(self) -> None:
        if self.accelerator.is_main_process:
            about = self.progress.about(self.options.seed)
            save_checkpoint(self.options.out, self.progress.step, self.tuned, self.optimiser, about)

    def _log(self, losses: list[float], share: float) -> None:
        o, p = self.options, self.progress
        if not self.accelerator.is_main_process:
            return
        mean = sum(losses) / len(losses)
        ends = [o.steps / p.step * p.spent_s] if o.steps else []
        ends += [60 * o.minutes] if o.minutes else []
        rates = f"{p.sequences / p.spent_s:.1f} sequences/s, {p.answers / p.spent_s:.1f} answers/s"
        self.say(f"step {p.step}: loss {mean:.3f}, {rates}, {max(0.0, min(ends) - p.spent_s) / 60:.1f} min left")
        row = {"step": p.step, "loss": round(mean, 4), "rate": round(share, 4), **p.about(o.seed)}
        _append(o.out / "metrics.jsonl", row)

    def _finish(self) -> Adapter:
        o, p = self.options, self.progress
        about: dict[str, Any] = {"steps": p.step, "sequences": p.sequences, "answers": p.answers, "seed": o.seed}
        about |= {"minutes": round(p.spent_s / 60, 1), "rendered": [Path(r).name for r in o.rendered]}
        trained = self.tuned.adapter()
        adapter = Adapter(replace(trained.config, about=about), trained.rae, trained.lora)
        if self.accelerator.is_main_process:
            adapter.save(o.out / "adapter")
        return adapter


@dataclass(frozen=True)
class _Listed:
    examples: list[Example]

    def __getitem__(self, number: int) -> Example:
        return self.examples[number % len(self.examples)]


def packed_examples(folders: tuple[str, ...], split: str, rae: RaeConfig) -> Sequence[Example]:
    """The examples of a split in packs; ValueError when their views are of another configuration."""
    if not folders:
        return []
    from training.lvlm.rendered import load_pack

    packs: list[Any] = [load_pack(Path(folder), split, rae.view) for folder in folders]
    joined: Any = ConcatDataset(packs)
    return joined


def _looks(path: str) -> dict[str, np.ndarray] | None:
    if not path:
        return None
    with np.load(path, allow_pickle=False) as held:
        return {noun: held[noun] for noun in held.files}


def _as_it_is(pool: list[Batch]) -> list[Batch]:
    return pool


def _append(path: Path, row: dict[str, Any]) -> None:
    """One more line; those of steps that a resumed training does again are dropped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if json.loads(line)["step"] <= row["step"]]
    if len(kept) == len(lines):
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    else:
        text = "\n".join([*kept, json.dumps(row)]) + "\n"
        write_atomic(path, lambda file: file.write(text.encode()))


def main(options: Options) -> int:
    """Train as told; 0 when it is over."""
    from tvad.lvlm.smollm import model_folder

    folder = Path(options.model) if options.model else model_folder()
    Training(options, folder).run()
    return 0


def parse(arguments: list[str] | None = None, name: str | None = None) -> Options:
    """Flags named like the fields of Options. name: of the command, in messages."""
    parser = argparse.ArgumentParser(
        name, description=Options.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for f in fields(Options):
        flag = f"--{f.name.replace('_', '-')}"
        if isinstance(f.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=f.default)
        elif isinstance(f.default, tuple):
            parser.add_argument(flag, nargs="*", default=f.default)
        else:
            parser.add_argument(flag, type=type(f.default), default=f.default)
    given = vars(parser.parse_args(arguments))
    try:
        return Options(**given | {"rendered": tuple(given["rendered"])})
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main(parse()))
