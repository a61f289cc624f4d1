"""Checkpoints: everything a training needs to go on as if it had never been stopped, in a folder that appears whole.

config.json says where it was; adapter/ is what inference reads; state.safetensors holds the optimiser and the random
numbers. No pickle. Next: training/lvlm/evaluate.py
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from training.lvlm.tuned import Tuned
from tvad.cache import drop_abandoned
from tvad.lvlm.adapter import Adapter

PREFIX = "checkpoint-"
KEPT = 1


def save_checkpoint(
    folder: Path, step: int, tuned: Tuned, optimiser: torch.optim.Optimizer, about: dict[str, Any]
) -> Path:
    """Write `folder`/checkpoint-STEP whole or not at all, then drop the older ones. about: JSON, kept beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    drop_abandoned(folder)
    unfinished = Path(tempfile.mkdtemp(prefix=".new-", dir=folder))
    target = folder / f"{PREFIX}{step:08d}"
    try:
        tuned.adapter().save(unfinished / "adapter")
        save_file(_state(optimiser), unfinished / "state.safetensors")
        (unfinished / "config.json").write_text(json.dumps({"step": step, **about}, indent=1) + "\n")
        unfinished.chmod(0o755)
        if target.exists():
            shutil.rmtree(target)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for old in found(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def found(folder: Path) -> list[Path]:
    """The checkpoints in a training's folder, oldest first; unfinished ones are none."""
    return sorted(p for p in folder.glob(f"{PREFIX}*") if (p / "config.json").is_file())


def load_checkpoint(path: Path, tuned: Tuned, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a checkpoint's weights, optimiser and random numbers in place; what `about` was, and "step".

    ValueError when it is of another configuration.
    """
    adapter = Adapter.load(path / "adapter")
    if adapter.config != tuned.config:
        raise ValueError(f"{path} was trained as {adapter.config}, not as {tuned.config}; choose another --out")
    put_weights(tuned, adapter)
    _put_state(optimiser, load_file(path / "state.safetensors"))
    about: dict[str, Any] = json.loads((path / "config.json").read_text(encoding="utf-8"))
    return about


def put_weights(tuned: Tuned, adapter: Adapter) -> None:
    """The weights of an adapter of the same sizes into a model in training. Matrices of MLPs that the adapter has none
    of begin anew, changing nothing; so do groups of numbers that it does not read, as training/lvlm/begin.py says."""
    from tvad.lvlm.lora import lora_weights, set_lora_weights

    own = tuned.rae.state_dict()
    held = {name: torch.tensor(values) for name, values in adapter.rae.items()}
    if (rows := held.get("kind")) is not None:  # a row for each group
        held["kind"] = torch.cat([rows, own["kind"][len(rows) :].to(rows)])
    tuned.rae.load_state_dict({**own, **held})
    new = {name: values for name, values in lora_weights(tuned.model).items() if ".mlp." in name}
    set_lora_weights(tuned.model, new | adapter.lora)


def _state(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    tensors = {
        f"{number}.{name}": value.detach().cpu().contiguous()
        for number, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
    }
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    return tensors


def _put_state(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(tensors.pop("random.cpu"))
    if (cuda := tensors.pop("random.cuda", None)) is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(cuda)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        number, key = name.split(".", 1)
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
