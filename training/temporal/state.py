"""The files of a run: where it is, so that it can be gone on with, and what was measured.

    OUT/config.json, model.safetensors   the best head so far (tvad/temporal/registry.py)
    OUT/state.safetensors                where the run is, replaced whole
    OUT/metrics.jsonl                    a line a measurement

Next: training/temporal/command.py
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from tvad.evidence import write_atomic

STATE_FILE, LOG_FILE = "state.safetensors", "metrics.jsonl"


@dataclass(frozen=True)
class Progress:
    """step: updates done. best: of the selection, figure and gap, None before the first. waited: measurements since the
    figure was last bettered."""

    step: int = 0
    best: tuple[float, float] | None = None
    waited: int = 0


@dataclass(frozen=True)
class RunFiles:
    """identity: what must be the same for a run to be gone on with, as JSON."""

    out: Path
    identity: Mapping[str, Any]

    @property
    def state(self) -> Path:
        return self.out / STATE_FILE

    def save(self, head: torch.nn.Module, optimizer: Any, progress: Progress) -> None:
        """Weights, moments and progress. What is frozen is left out: it comes from where it came from."""
        tensors = {f"model.{k}": v.detach().cpu().contiguous() for k, v in _kept(head).items()}
        inner = getattr(optimizer, "optimizer", optimizer)
        for i, moments in inner.state_dict()["state"].items():
            for key, value in moments.items():
                tensors[f"optimizer.{i}.{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
        said = {"step": progress.step, "best": progress.best, "waited": progress.waited}
        data = save_tensors(tensors, {"progress": json.dumps(said), "run": json.dumps(dict(self.identity))})
        write_atomic(self.state, lambda file: file.write(data))

    def resume(self, head: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
        """Progress of the state in `out`, whose weights and moments are put in place; none where there is no state."""
        found = self.read()
        if found is None:
            return Progress()
        tensors, progress = found
        weights = {k[6:]: v for k, v in tensors.items() if k.startswith("model.")}
        own = _kept(head)
        if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in own.items()}:
            raise ValueError(f"{self.state} is not of this head; remove it to start again")
        head.load_state_dict({**head.state_dict(), **weights})
        full = optimizer.state_dict()
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, i, key = name.split(".")
                full["state"].setdefault(int(i), {})[key] = value
        optimizer.load_state_dict(full)
        return progress

    def read(self) -> tuple[dict[str, torch.Tensor], Progress] | None:
        """The state in `out`, None where there is none; ValueError for one that is damaged or of another run."""
        if not self.state.is_file():
            return None
        try:
            data = self.state.read_bytes()
            about = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
            tensors = load_tensors(data)
            said, run = json.loads(about["progress"]), json.loads(about["run"])
            best = None if said["best"] is None else (float(said["best"][0]), float(said["best"][1]))
            progress = Progress(int(said["step"]), best, int(said["waited"]))
        except (ValueError, KeyError, TypeError, SafetensorError) as error:
            raise ValueError(f"{self.state}: cannot be read ({error}); remove it to start again") from None
        own = json.loads(json.dumps(dict(self.identity)))
        if other := [key for key in own if run.get(key) != own[key]]:
            raise ValueError(
                f"{self.out} holds a run with another {other[0]}; give another --out, or remove {self.state}"
            )
        return tensors, progress

    def log(self, line: Mapping[str, Any]) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        with (self.out / LOG_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in line.items()}) + "\n")

    def trim_log(self, step: int) -> None:
        """Drop what a killed run logged after its last save: it is done again."""
        path = self.out / LOG_FILE
        if path.is_file():
            kept = [x for x in path.read_text(encoding="utf-8").splitlines() if _step_of(x) <= step]
            write_atomic(path, lambda file: file.write("".join(f"{x}\n" for x in kept).encode()))


def _kept(head: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state of a head without its frozen parameters."""
    frozen = {name for name, p in head.named_parameters() if not p.requires_grad}
    return {name: value for name, value in head.state_dict().items() if name not in frozen}


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # a line cut short
