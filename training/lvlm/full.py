"""Training of a full-size language model's adapter: LoRA, or QLoRA with --quantise nf4, on one process or many.

    tvad train lvlm --preset qwen2.5-vl-7b --weights FOLDER --data DATA.jsonl --out runs/a --steps 2000
    accelerate launch --config_file training/lvlm/accelerate/ddp.yaml -m tvad train lvlm --preset ... (the same)

DATA.jsonl is what `python -m training.datasets.build` writes. A step is the same for any number of processes: they
share its dialogues, and its loss is the mean over the tokens of all of them. A training that was killed goes on where
its last checkpoint was. --dry-run says what it would take.  Next: training/lvlm/full_tuned.py
"""

import argparse
import contextlib
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from heatmap.decoder import HeatmapDecoder
from training.heatmap.tower import trained_for
from training.lvlm.checkpoint import found, load_checkpoint, save_checkpoint
from training.lvlm.full_data import Clips, order, packed, read_lines
from training.lvlm.full_tuned import FullTuned
from tvad.lvlm.adapter import Adapter, AdapterConfig
from tvad.lvlm.choice import Choice
from tvad.lvlm.loaded import PLACEHOLDER, Loaded, load
from tvad.lvlm.lora import LoraConfig
from tvad.lvlm.tokens import RaeConfig
from tvad.lvlm.view import ViewConfig
from tvad.presets import get_preset
from tvad.seeing import weights_of


@dataclass(frozen=True)
class FullOptions:
    """preset: with a full-size language model. weights: its folder, "" for what was pulled. data: a file that
    training.datasets.build wrote; clips: folder of its videos, "" for that of the file; split: of its lines. out:
    folder of the training.

    steps: updates. batch: dialogues an update, of all processes together. longest: tokens of a row that dialogues are
    packed into. frames: of a clip, 0 for the family's number. turns: asked of a clip at most. rae_rate, lora_rate:
    learning rates at their highest, after warm_up steps; they end at `last` of that. decay: of matrices of the region
    encoder. rank, alpha, dropout, mlp: of the low-rank matrices. slices, rows, columns, base: of the heat that the
    region encoder reads. quantise: nf4 or int8 for the language model (QLoRA). checkpointing: layers compute their
    inside again instead of keeping it. every: steps between checkpoints. ahd: folder of a decoder on this model's tower
    (tvad train heatmap --preset), whose heat is shown in training and in answering, "" for that of the analysis.
    dry_run: say what memory and time it would take, and stop.
    """

    preset: str = "qwen2.5-vl-7b"
    weights: str = ""
    data: str = ""
    clips: str = ""
    split: str = "train"
    out: str = "runs/full"
    steps: int = 1000
    batch: int = 8
    longest: int = 16384
    frames: int = 0
    turns: int = 8
    rae_rate: float = 1e-4
    lora_rate: float = 5e-5
    warm_up: int = 30
    last: float = 0.05
    decay: float = 0.01
    rank: int = 32
    alpha: float = 32.0
    dropout: float = 0.1
    mlp: bool = False
    slices: int = 12
    rows: int = 18
    columns: int = 24
    base: int = 10
    seed: int = 0
    every: int = 100
    device: str = "cuda"
    dtype: str = "bf16"
    quantise: str = ""
    attention: str = "sdpa"
    checkpointing: bool = True
    ahd: str = ""
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not get_preset(self.preset).backbone:
            raise ValueError(f"preset {self.preset!r} has no full-size language model (--preset)")
        if min(self.steps, self.batch, self.longest, self.turns, self.every) < 1 or self.frames < 0:
            raise ValueError("steps, batch, longest, turns and every are 1 or more, frames 0 or more")
        Choice(quantise=self.quantise)

    def config(self, backbone: str, width: int, decoder: HeatmapDecoder | None = None) -> AdapterConfig:
        """Of a new adapter for a language model of this width. decoder: on its tower."""
        view = ViewConfig(slices=self.slices, grid=(self.rows, self.columns), pictures=0)
        rae = RaeConfig(view=view, width=width, hidden=min(1024, 4 * width), base=self.base)
        lora = LoraConfig(self.rank, self.alpha, self.dropout, self.mlp)
        # As a file would give it back.
        ahd = json.loads(json.dumps(decoder.config.to_dict())) if decoder is not None else None
        return AdapterConfig(backbone=backbone, placeholder=PLACEHOLDER, rae=rae, lora=lora, ahd=ahd)

    def rate(self, step: int) -> float:
        """Share of the learning rates at a step: a straight warm-up, then half a cosine down to `last`."""
        wave = 0.5 * (1 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return min(1.0, (step + 1) / max(self.warm_up, 1)) * (self.last + (1 - self.last) * wave)


class FullTraining:
    """A training, ready to run. clips: of a line's number; None reads the data set of the options."""

    def __init__(
        self,
        options: FullOptions,
        clips: Any = None,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> None:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs

        o = self.options = options
        torch.manual_seed(o.seed)
        cpu = o.device == "cpu"
        self.accelerator = Accelerator(
            mixed_precision="bf16" if o.dtype == "bf16" else "no",
            cpu=cpu,
            # Clips without any track have no tokens of tracks.
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        if o.batch < self.accelerator.num_processes:
            raise ValueError(f"{o.batch} dialogues for {self.accelerator.num_processes} processes (--batch)")
        self.say = say if self.accelerator.is_main_process else (lambda line: None)
        preset = get_preset(o.preset)
        folder = weights_of(preset, Choice(weights=Path(o.weights) if o.weights else None))
        loaded = load(folder, str(self.accelerator.device), o.dtype, o.quantise, o.attention)
        self.check(loaded, preset.backbone, folder)
        decoder = trained_for(Path(o.ahd), loaded) if o.ahd else None
        self.tuned = FullTuned(o.config(preset.backbone, loaded.width, decoder), loaded, o.checkpointing, decoder)
        frames = o.frames or loaded.family.frames
        if clips is None:
            lines = read_lines(Path(o.data), o.split, Path(o.clips) if o.clips else None)
            tower = (self.tuned.loaded, decoder) if decoder is not None else None
            clips = Clips(lines, self.tuned.config.rae, o.preset, frames, o.turns, tower=tower)
        self.clips = clips
        optimiser = torch.optim.AdamW(self.tuned.groups(o.rae_rate, o.lora_rate, o.decay), betas=(0.9, 0.98))
        self.rates = [group["lr"] for group in optimiser.param_groups]
        self.step, self.spent_s = 0, 0.0
        self.out = Path(o.out)
        if checkpoints := found(self.out):
            about = load_checkpoint(checkpoints[-1], self.tuned, optimiser)  # type: ignore[arg-type]
            if about["seed"] != o.seed:
                raise ValueError(f"{checkpoints[-1]} was begun with another --seed than {o.seed}; choose another --out")
            self.step, self.spent_s = int(about["step"]), float(about["spent_s"])
            self.say(f"goes on from {checkpoints[-1]}")
        self.model, self.optimiser = self.accelerator.prepare(self.tuned, optimiser)

    @staticmethod
    def check(loaded: Loaded, backbone: str, folder: Path) -> None:
        """ValueError when the folder holds a model of another family."""
        if loaded.family.model_type != backbone:
            raise ValueError(f"{folder} holds a {loaded.family.model_type!r}, the preset wants {backbone!r} (--preset)")

    def run(self) -> Adapter:
        """Train until it is over; the adapter, also written to out/adapter."""
        o = self.options
        self.model.train()
        began_s = time.monotonic() - self.spent_s
        while self.step < o.steps:
            share = o.rate(self.step)
            for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
                group["lr"] = rate * share
            # What is left out by chance is the same whether a training was stopped before this step or not.
            torch.manual_seed(o.seed * 1_000_003 + self.step * self.accelerator.num_processes + self.index)
            loss, tokens, norm = self.update()
            self.step += 1
            self.spent_s = time.monotonic() - began_s
            row = {
                "step": self.step,
                "loss": round(loss, 5),
                "norm": round(norm, 5),
                "tokens": tokens,
                "spent_s": round(self.spent_s, 2),
            }
            self.log(row)
            if self.step % o.every == 0 or self.step == o.steps:
                self.save()
        adapter = self.tuned.adapter()
        if self.accelerator.is_main_process:
            adapter.save(self.out / "adapter")
        self.accelerator.wait_for_everyone()
        return adapter

    @property
    def index(self) -> int:
        return int(self.accelerator.process_index)

    def update(self) -> tuple[float, int, float]:
        """One step; the mean loss of its supervised tokens, how many in all processes, the gradients' length."""
        o, every = self.options, self.accelerator.num_processes
        numbers = order(len(self.clips), o.batch, o.seed, self.step)[self.index :: every]
        written = [self.tuned.written(self.clips[n]) for n in numbers]
        lengths = [len(one.ids) for one in written]
        rows = [self.tuned.row([written[n] for n in row]) for row in packed(lengths, o.longest)]
        mine = torch.tensor(sum(len(row.wanted) for row in rows), device=self.accelerator.device)
        tokens = int(self.accelerator.reduce(mine, "sum"))
        total = torch.zeros((), device=self.accelerator.device)
        for n, row in enumerate(rows):
            # Processes are averaged over when gradients meet, after the last row; each may have another number of rows.
            waits = n + 1 < len(rows)
            with self.accelerator.no_sync(self.model) if waits else contextlib.nullcontext():
                loss = self.model(row) * (every / tokens)
                self.accelerator.backward(loss)
            total += loss.detach()
        norm = self.accelerator.clip_grad_norm_([p for p in self.model.parameters() if p.requires_grad], 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return float(self.accelerator.reduce(total, "mean")), tokens, float(norm)

    def log(self, row: dict[str, Any]) -> None:
        """A line of OUT/log.jsonl; those of steps that a resumed training does again are dropped."""
        if not self.accelerator.is_main_process:
            return
        self.say(json.dumps(row))
        path = self.out / "log.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] < row["step"]]
        path.write_text("\n".join([*kept, json.dumps(row)]) + "\n", encoding="utf-8")

    def save(self) -> None:
        """A checkpoint, by the first process."""
        if self.accelerator.is_main_process:
            about = {"seed": self.options.seed, "spent_s": self.spent_s}
            inner: Any = getattr(self.optimiser, "optimizer", self.optimiser)
            save_checkpoint(self.out, self.step, self.tuned, inner, about)  # type: ignore[arg-type]
        self.accelerator.wait_for_everyone()


def main(options: FullOptions) -> int:
    """Train as told; 0 when it is over."""
    if options.dry_run:
        from training.lvlm.estimate import estimate, report

        print("\n".join(report(estimate(options))))
        return 0
    if not options.data:
        raise ValueError("a data set is missing: --data DATA.jsonl, as python -m training.datasets.build writes it")
    training = FullTraining(options)
    training.run()
    training.say(f"adapter: {training.out / 'adapter'}")
    return 0


def parse(arguments: list[str], name: str | None = None) -> FullOptions:
    """Flags named like the fields of FullOptions."""
    parser = argparse.ArgumentParser(
        name, description=FullOptions.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for f in fields(FullOptions):
        flag = f"--{f.name.replace('_', '-')}"
        if isinstance(f.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=f.default)
        else:
            parser.add_argument(flag, type=type(f.default), default=f.default)
    try:
        return FullOptions(**vars(parser.parse_args(arguments)))
    except ValueError as error:
        parser.error(str(error))
