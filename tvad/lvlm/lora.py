"""Low-rank adapters (LoRA; Hu et al. 2021, arXiv:2106.09685) on a language model: its attention, its MLPs if wished.

Trained through peft; for answering they are added to the weights, in numpy: W + scale * B A. A vision tower is never
adapted. Torch and peft are imported inside functions. Next: tvad/lvlm/adapter.py
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Of the language model's layers, whatever is around them; names of vision towers and projectors never match.
_LAYERS = r"(?!.*(?:vision|visual|image|mm_|multi_modal))(?:.*\.)?layers\.\d+\."
TARGETS = rf"{_LAYERS}self_attn\.[qkvo]_proj"
WITH_MLP = rf"{_LAYERS}(?:self_attn\.[qkvo]_proj|mlp\.(?:gate|up|down)_proj)"


@dataclass(frozen=True)
class LoraConfig:
    """rank: of the added matrices. alpha: they are multiplied by alpha / rank. dropout: of their input in training.
    mlp: whether the MLPs have them too, not only the attention: a small model learns more from as many examples."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    mlp: bool = False

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise ValueError(f"a low-rank adapter has rank {self.rank}; it must be 1 or more")

    @property
    def scale(self) -> float:
        return self.alpha / self.rank


class Change:
    """What an adapter does to a language model: low-rank weights, and a token that embeddings are written over.

    Two with the same numbers are equal; digest is their sha256.
    """

    def __init__(self, placeholder: str, lora: Mapping[str, np.ndarray], scale: float) -> None:
        self.placeholder, self.lora, self.scale = placeholder, lora, scale
        found = hashlib.sha256(f"{placeholder} {scale}".encode())
        for name, values in sorted(lora.items()):
            found.update(f"{name} {values.shape} {values.dtype}".encode())
            found.update(np.ascontiguousarray(values).data)
        self.digest = found.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Change) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def add_lora(model: Any, config: LoraConfig) -> Any:
    """The peft model around a transformers model: everything frozen but the new matrices, which change nothing yet.

    ValueError when the model has no layer named like TARGETS, or like WITH_MLP where the MLPs are to have matrices.
    """
    import peft

    targets = WITH_MLP if config.mlp else TARGETS
    if not any(re.fullmatch(targets, name) for name, _ in model.named_modules()):
        raise ValueError(f"{type(model).__name__} has no attention layers named like {targets}")
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,  # type: ignore[arg-type]
        lora_dropout=config.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    return peft.get_peft_model(model, settings)


def is_target(name: str) -> bool:
    """Whether a module of this name may have an adapter."""
    return re.fullmatch(WITH_MLP, name) is not None


def trainable(rae: Any, model: Any) -> list[Any]:
    """Set gradients on for the encoder and the adapters of a peft model, off for all else; the former's parameters."""
    out = []
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        out += [parameter] if parameter.requires_grad else []
    for parameter in rae.parameters():
        out.append(parameter.requires_grad_(True))
    return out


def lora_weights(model: Any) -> dict[str, np.ndarray]:
    """Module -> its matrices, as "model.layers.0.self_attn.q_proj.A" (rank, in) and ".B" (out, rank), float32."""
    out: dict[str, np.ndarray] = {}
    for name, module in _adapted(model).items():
        for side, held in (("A", module.lora_A), ("B", module.lora_B)):
            out[f"{name}.{side}"] = whole(held["default"].weight)
    return out


def whole(tensor: Any) -> np.ndarray:
    """A tensor of torch as an array, float32, also where its parts lie on several GPUs."""
    full = tensor.detach()
    full = full.full_tensor() if hasattr(full, "full_tensor") else full
    out: np.ndarray = full.float().cpu().numpy()
    return out


def set_lora_weights(model: Any, weights: Mapping[str, np.ndarray]) -> None:
    """Put what `lora_weights` gave into a peft model. ValueError unless names and shapes are exactly its own."""
    import torch

    own = {name: values.shape for name, values in lora_weights(model).items()}
    same_shapes("low-rank weights", {name: values.shape for name, values in weights.items()}, own)
    with torch.no_grad():
        for name, module in _adapted(model).items():
            for side, held in (("A", module.lora_A), ("B", module.lora_B)):
                held["default"].weight.copy_(torch.tensor(np.asarray(weights[f"{name}.{side}"], np.float32)))


def merged(weights: Mapping[str, np.ndarray], lora: Mapping[str, np.ndarray], scale: float) -> dict[str, np.ndarray]:
    """Weights of a model ("NAME.weight") with `lora` ("NAME.A", "NAME.B") added, float32 where it is. ValueError where
    a matrix has no place in the model."""
    out = dict(weights)
    for name in sorted({key[:-2] for key in lora}):
        a, b = (lora[f"{name}.{side}"].astype(np.float32) for side in "AB")
        full = out.get(f"{name}.weight")
        if full is None or full.shape != (len(b), a.shape[1]):
            found = "it has none" if full is None else f"its own is {full.shape}"
            raise ValueError(f"the adapter changes {name} by {(len(b), a.shape[1])} numbers, but in the model {found}")
        out[f"{name}.weight"] = full.astype(np.float32) + np.float32(scale) * (b @ a)
    return out


def merge_into(model: Any, lora: Mapping[str, np.ndarray], scale: float) -> None:
    """Add low-rank matrices to the weights of a transformers model, which are not quantised. ValueError where one has
    no place in the model."""
    import torch

    modules = dict(model.named_modules())
    for name in sorted({key[:-2] for key in lora}):
        a, b = (torch.from_numpy(np.asarray(lora[f"{name}.{side}"], np.float32)) for side in "AB")
        own = getattr(modules.get(name), "weight", None)
        if own is None or tuple(own.shape) != (len(b), a.shape[1]):
            found = "it has none" if own is None else f"its own is {tuple(own.shape)}"
            raise ValueError(f"the adapter changes {name} by {(len(b), a.shape[1])} numbers, but in the model {found}")
        with torch.no_grad():
            own += (scale * (b @ a)).to(own.device, own.dtype)


def same_shapes(what: str, found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> None:
    """ValueError that names the first missing, unknown or misshapen entry."""
    for name in sorted({*found, *wanted}):
        if found.get(name) != wanted.get(name):
            raise ValueError(f"{what}: {name} is {found.get(name, 'missing')}, expected {wanted.get(name, 'nothing')}")


def _adapted(model: Any) -> dict[str, Any]:
    # peft puts its own names before those of the model.
    modules = {name.split("base_model.model.", 1)[-1]: m for name, m in model.named_modules() if hasattr(m, "lora_A")}
    return {name: module for name, module in modules.items() if is_target(name)}
