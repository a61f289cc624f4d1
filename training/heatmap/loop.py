"""The loop: step, clip, log, select, save, resume.

A run that was killed and started again gives the same weights as one that was not (on the same machine): what a step
learns from depends on the seed and its number alone, and the state is one file that is replaced whole.

    OUT/config.json, model.safetensors   the best decoder so far, by the selection data
    OUT/state.safetensors                where the run is
    OUT/metrics.jsonl                    a line a measurement

Next: training/heatmap/evaluate.py
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from heatmap.decoder import DecoderConfig, HeatmapDecoder, Tap
from heatmap.decoder_loss import MODES, heat_loss
from training.heatmap.data import Augment, Batch, Folder, batch_at
from training.heatmap.model import mini_config, new_decoder, write_checkpoint
from training.heatmap.selection import SelectionScore, selection
from tvad.evidence import write_atomic

STATE_FILE, LOG_FILE = "state.safetensors", "metrics.jsonl"
APPEARANCE = ("fine", "coarse")  # taps of what cells look like
Say = Callable[[str], None]


@dataclass(frozen=True)
class TrainConfig:
    """steps: updates. clips: per update, one after another; runs: of each, every one with its own question. lr:
    highest, after a warm-up over a share of the steps, then falling to a twentieth as a cosine. loss: one of
    decoder_loss.MODES. every: updates between two selections. precision: "no" or "bf16". look_lr: learning rate of
    taps that lie in the text space, as a share; 0 leaves them as they are: what the classifier says of a look was
    learned from photographs, and drawn things would only unteach it. appearance_lr: the same for the taps named in
    APPEARANCE, whose drawn features differ from filmed ones; movement is the same in both.
    """

    steps: int = 2000
    clips: int = 8
    runs: int = 2
    lr: float = 1e-3
    look_lr: float = 0.0
    appearance_lr: float = 1.0
    warm_up: float = 0.03
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    loss: str = "focal+dice"
    every: int = 100
    log_every: int = 10
    seed: int = 0
    precision: str = "no"
    threads: int | None = None
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        for name in ("steps", "clips", "runs", "every", "log_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1 (--{name.replace('_', '-')})")
        if not self.lr > 0:
            raise ValueError(f"lr is {self.lr}; it must be above 0 (--lr)")
        for name in ("look_lr", "appearance_lr"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is {share}; it must be in [0, 1] (--{name.replace('_', '-')})")
        if self.loss not in MODES:
            raise ValueError(f"loss is {self.loss!r}; choose one of {list(MODES)} (--loss)")
        if self.precision not in ("no", "bf16"):
            raise ValueError(f"precision is {self.precision!r}; choose 'no' or 'bf16' (--precision)")

    def lr_at(self, step: int) -> float:
        """Learning rate of an update, counted from 0."""
        warm = max(1, round(self.warm_up * self.steps))
        if step < warm:
            return self.lr * (step + 1) / warm
        done = (step - warm) / max(1, self.steps - warm)
        return self.lr * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


class Lessons(Protocol):
    """What a decoder learns from: cached clips (`CachedLessons`), or a tower that looks (training/heatmap/tower.py)."""

    def start(self, model: DecoderConfig, seed: int) -> HeatmapDecoder:
        """The decoder before training."""
        ...

    def batch(self, step: int, number: int, config: TrainConfig, model: DecoderConfig) -> Batch:
        """What part `number` of a step learns from: a function of its arguments alone."""
        ...

    def select(self, decoder: HeatmapDecoder, step: int) -> SelectionScore:
        """How good it is, on what it does not learn from."""
        ...

    def counts(self) -> dict[str, int]:
        """Clips: "normal", "anomalous", "validation"."""
        ...

    def write(self, out: Path, decoder: HeatmapDecoder, about: dict[str, Any]) -> None:
        """The checkpoint."""
        ...


@dataclass(frozen=True)
class CachedLessons:
    """Cached clips of the small preset; validation None: nothing to select on."""

    data: Folder
    validation: Folder | None

    def start(self, model: DecoderConfig, seed: int) -> HeatmapDecoder:
        return new_decoder(model, seed)

    def batch(self, step: int, number: int, config: TrainConfig, model: DecoderConfig) -> Batch:
        return batch_at(self.data, config.seed, step, number, config.augment, config.runs)

    def select(self, decoder: HeatmapDecoder, step: int) -> SelectionScore:
        return selection(decoder, self.validation) if self.validation else SelectionScore.none(step)

    def counts(self) -> dict[str, int]:
        held = len(self.validation.paths) if self.validation else 0
        return {"normal": len(self.data.normal), "anomalous": len(self.data.anomalous), "validation": held}

    def write(self, out: Path, decoder: HeatmapDecoder, about: dict[str, Any]) -> None:
        write_checkpoint(out, decoder, about)


def fit(
    data: Folder,
    validation: Folder | None,
    out: Path,
    config: TrainConfig | None = None,
    model: DecoderConfig | None = None,
    say: Say = print,
    stop_at: int | None = None,
) -> HeatmapDecoder:
    """`learn_from` cached clips, by the small preset's decoder."""
    lessons = CachedLessons(data, validation)
    return learn_from(lessons, out, config or TrainConfig(), model or mini_config(), say, stop_at)


def learn_from(
    lessons: Lessons,
    out: Path,
    config: TrainConfig,
    model: DecoderConfig,
    say: Say = print,
    stop_at: int | None = None,
    device: str = "",
) -> HeatmapDecoder:
    """Train, or go on training what is in `out`. Returns the best decoder. ValueError where `out` holds another run.

    stop_at: end before this update, as if the process had been killed after its last save. device: "cpu" keeps away
    from a GPU that is there.
    """
    from accelerate import Accelerator

    if config.threads:
        torch.set_num_threads(config.threads)
    accelerator = Accelerator(mixed_precision=config.precision, cpu=device == "cpu")
    run = Run(out, config, model)
    decoder = lessons.start(run.model, config.seed)
    optimizer = torch.optim.AdamW(groups_of(decoder, config), config.lr, weight_decay=config.weight_decay)
    step, best = run.resume(decoder, optimizer)
    main = accelerator.is_main_process
    if main:
        run.trim_log(step)
        say(_opening(lessons.counts(), out, step, config, str(accelerator.device)))
    prepared, optimizer = accelerator.prepare(decoder, optimizer)
    began, first = time.monotonic(), step
    sums: dict[str, float] = {}
    while step < config.steps and step != stop_at:
        for group in optimizer.param_groups:
            group["lr"] = config.lr_at(step) * group["share"]
        optimizer.zero_grad(set_to_none=True)
        for part in range(config.clips):
            number = part * accelerator.num_processes + accelerator.process_index
            batch = lessons.batch(step, number, config, run.model).to(accelerator.device)
            for name, value in learn(prepared, batch, config, accelerator.backward).items():
                sums[name] = sums.get(name, 0.0) + value
        norm = accelerator.clip_grad_norm_(prepared.parameters(), config.clip_norm)
        optimizer.step()
        step += 1
        if main and (step % config.log_every == 0 or step == config.steps):
            count = (step - 1) % config.log_every + 1
            line = {"step": step, "lr": config.lr_at(step - 1), "norm": float(norm)}
            line |= {name: value / count for name, value in sums.items()}
            run.log(line)
            say(_progress(line, config.steps, (time.monotonic() - began) / (step - first)))
        if step % config.log_every == 0:
            sums = {}
        if main and (step % config.every == 0 or step == config.steps):
            score = lessons.select(decoder, step)
            run.log({"step": step, "selection": score.value, **score.figures})
            say(f"  selection {score.value:.4f}  " + "  ".join(f"{k} {v:.3f}" for k, v in score.figures.items()))
            if best is None or score.value > best:
                best = score.value
                lessons.write(out, decoder, run.about(step, score, lessons.counts()))
            run.save(decoder, optimizer, step, best)
    accelerator.wait_for_everyone()
    return HeatmapDecoder.load(out) if (out / "model.safetensors").is_file() else decoder


def groups_of(decoder: HeatmapDecoder, config: TrainConfig) -> list[dict[str, Any]]:
    """What the optimizer changes, and with which share of the learning rate; the rest takes no gradient."""
    by_share: dict[float, list[torch.nn.Parameter]] = {1.0: [decoder.omega]}
    for module in decoder.projections:
        tap: Tap = module.tap  # type: ignore[assignment]
        share = config.look_lr if tap.text_space else config.appearance_lr if tap.name in APPEARANCE else 1.0
        by_share.setdefault(share, []).extend(module.parameters())
    for p in by_share.pop(0.0, []):
        p.requires_grad_(False)
    return [{"params": params, "share": share} for share, params in by_share.items()]


def learn(decoder: Any, batch: Batch, config: TrainConfig, backward: Callable[[torch.Tensor], Any]) -> dict[str, float]:
    """Gradients of one clip's share of an update; the loss terms' shares."""
    heat = decoder(batch.taps, batch.text, batch.words)
    terms = heat_loss(heat, batch.target, config.loss)
    backward(terms["loss"] / config.clips)
    return {name: value.item() / config.clips for name, value in terms.items()}


@dataclass(frozen=True)
class Run:
    """The files of a run."""

    out: Path
    config: TrainConfig
    model: DecoderConfig

    @property
    def state(self) -> Path:
        return self.out / STATE_FILE

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to be gone on with."""
        free = {"threads", "precision", "log_every"}
        return {
            "config": {k: v for k, v in asdict(self.config).items() if k not in free},
            "model": self.model.to_dict(),
        }

    def save(self, decoder: torch.nn.Module, optimizer: Any, step: int, best: float | None) -> None:
        """Weights, moments and step, in one file that is replaced whole."""
        tensors = {f"model.{k}": v.detach().cpu().contiguous() for k, v in decoder.state_dict().items()}
        inner = getattr(optimizer, "optimizer", optimizer)
        for i, moments in inner.state_dict()["state"].items():
            for k, v in moments.items():
                tensors[f"optimizer.{i}.{k}"] = torch.as_tensor(v).detach().cpu().contiguous()
        about = {"step": str(step), "best": json.dumps(best), "run": json.dumps(self.identity())}
        data = save_tensors(tensors, about)
        write_atomic(self.state, lambda file: file.write(data))

    def resume(self, decoder: torch.nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float | None]:
        """Step and best selection of the state in `out`, 0 and None where there is none yet."""
        found = self.read()
        if found is None:
            return 0, None
        tensors, about = found
        decoder.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        full = optimizer.state_dict()
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, i, key = name.split(".")
                full["state"].setdefault(int(i), {})[key] = value
        optimizer.load_state_dict(full)
        return int(about["step"]), json.loads(about["best"])

    def read(self) -> tuple[dict[str, torch.Tensor], dict[str, str]] | None:
        """The state in `out`, None where there is none; ValueError for one that is damaged or of another run."""
        if not self.state.is_file():
            return None
        try:
            data = self.state.read_bytes()
            about = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
            tensors = load_tensors(data)
        except (ValueError, KeyError, SafetensorError) as error:
            raise ValueError(f"{self.state}: cannot be read ({error}); remove it to start again") from None
        if json.loads(about["run"]) != json.loads(json.dumps(self.identity())):
            raise ValueError(f"{self.out} holds a run with other settings; give another --out, or remove {self.state}")
        return tensors, about

    def log(self, line: dict[str, Any]) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()}) + "\n")

    def trim_log(self, step: int) -> None:
        """Drop what a killed run logged after its last save: it is done again."""
        path = self.out / LOG_FILE
        if path.is_file():
            kept = [x for x in path.read_text(encoding="utf-8").splitlines() if _step_of(x) <= step]
            write_atomic(path, lambda file: file.write("".join(f"{x}\n" for x in kept).encode()))

    def about(self, step: int, score: SelectionScore, counts: dict[str, int]) -> dict[str, Any]:
        """Where the weights come from."""
        clips = {name: counts[name] for name in ("normal", "anomalous")}
        return {"step": step, "selection": score.value, **score.figures, "data": clips, **self.identity()["config"]}


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # a line cut short


def _opening(counts: dict[str, int], out: Path, step: int, config: TrainConfig, device: str) -> str:
    held = counts["validation"]
    chosen = f"selected on {held}" if held else "nothing to select on: the last weights are kept"
    begin = f"goes on at step {step}" if step else "begins"
    return (
        f"{begin}: {config.steps} steps of {config.clips} clips on {device}; {counts['normal']} normal and "
        f"{counts['anomalous']} anomalous clips, {chosen}; writes {out}"
    )


def _progress(line: dict[str, Any], steps: int, step_s: float) -> str:
    left = (steps - line["step"]) * step_s
    terms = "  ".join(f"{k} {v:.4f}" for k, v in line.items() if k not in ("step", "lr", "norm"))
    return f"step {line['step']}/{steps}  {terms}  {step_s:.2f} s a step, {left / 60:.0f} min left"
