"""Adapter: what training adds to a language model, as a folder that explains itself: config.json, adapter.safetensors.

Holds the region encoder, the low-rank matrices and the two numbers that turn "yes" against "no" into a probability.
Loads strictly, and without torch for answering. Next: tvad/explainer.py
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tvad.evidence import write_atomic
from tvad.lvlm.lora import Change, LoraConfig, add_lora, is_target, lora_weights, same_shapes, set_lora_weights, whole
from tvad.lvlm.slots import FIRST_GROUPS
from tvad.lvlm.tokens import RaeConfig, embed, shapes
from tvad.lvlm.view import View, ViewConfig
from tvad.weights import MissingWeights

KIND, VERSION = "tvad-adapter", 1
FILES = ("config.json", "adapter.safetensors")
SHIPPED = Path(__file__).parent.parent / "adapters"  # a folder for each preset


class AdapterError(ValueError):
    """An adapter that is damaged, from another version, or not one."""


@dataclass(frozen=True)
class AdapterConfig:
    """backbone: the language model, a name in PACKAGED or a family in BACKBONES. placeholder: the token that embeddings
    are written over. ahd: the heatmap decoder on the model's own vision tower (`DecoderConfig.to_dict`), None where the
    heat comes from the analysis. about: how it was trained and what it reached, for people."""

    backbone: str = "smollm2-135m-instruct"
    placeholder: str = "<empty_output>"
    rae: RaeConfig = field(default_factory=RaeConfig)
    lora: LoraConfig = field(default_factory=LoraConfig)
    ahd: dict[str, Any] | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"kind": KIND, "version": VERSION, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "AdapterConfig":
        """AdapterError for anything that `to_json` of this version did not write."""
        try:
            raw = json.loads(text)
            if (raw.pop("kind"), raw.pop("version")) != (KIND, VERSION):
                raise AdapterError(f"not a {KIND} of version {VERSION}; train it again with this program")
            rae = dict(raw.pop("rae"))
            view = dict(rae.pop("view"))
            view["grid"] = tuple(view["grid"])
            lora = LoraConfig(**raw.pop("lora"))
            rae.setdefault("groups", FIRST_GROUPS)
            return cls(**raw, rae=RaeConfig(**rae, view=ViewConfig(**view)), lora=lora)
        except AdapterError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise AdapterError(f"config.json of the adapter is malformed: {error}") from None


class Adapter:
    """A loaded adapter.

    rae, lora: weights by name, as tokens.shapes and lora.lora_weights name them. yes_no: slope and offset that make a
    probability of the log odds of "yes" against "no" (Platt 1999).
    """

    def __init__(
        self,
        config: AdapterConfig,
        rae: Mapping[str, np.ndarray],
        lora: Mapping[str, np.ndarray],
        yes_no: tuple[float, float] = (1.0, 0.0),
        ahd: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """ValueError for weights that are not exactly those of the configuration."""
        self.config = config
        self.ahd = {name: np.asarray(values, np.float32) for name, values in (ahd or {}).items()}
        if bool(self.ahd) != (config.ahd is not None):
            raise ValueError("an adapter has a heatmap decoder and its configuration, or neither")
        self.rae = {name: np.asarray(values, np.float32) for name, values in rae.items()}
        self.lora = {name: np.asarray(values, np.float32) for name, values in lora.items()}
        self.yes_no = yes_no
        same_shapes("region encoder", {name: values.shape for name, values in self.rae.items()}, shapes(config.rae))
        _check_lora(self.lora, config.lora.rank)

    @classmethod
    def load(cls, folder: Path) -> "Adapter":
        """Read a folder that `save` wrote. MissingWeights when there is none; AdapterError when it is not whole."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            text, body = (folder / FILES[0]).read_text(encoding="utf-8"), (folder / FILES[1]).read_bytes()
        except OSError as error:
            raise MissingWeights(
                f"no adapter of the language model in {folder} ({error.strerror}); use --explain report"
            ) from None
        config = AdapterConfig.from_json(text)
        try:
            tensors = load(body)
            slope, offset = tensors.pop("yes_no").tolist()
            parts = {part: _part(tensors, part) for part in ("rae", "lora", "ahd")}
            if unknown := [name for name in tensors if name.split(".")[0] not in parts]:
                raise ValueError(f"unknown tensors {unknown}")
            return cls(config, **parts, yes_no=(slope, offset))
        except (SafetensorError, KeyError, ValueError) as error:
            raise AdapterError(f"{folder / FILES[1]}: {error}; get or train the adapter again") from None

    def save(self, folder: Path, half: bool = False) -> None:
        """Write the folder. half: 16 bits a number, for shipping."""
        from safetensors.numpy import save

        kind = np.float16 if half else np.float32
        parts = {"rae": self.rae, "lora": self.lora, "ahd": self.ahd}
        tensors = {f"{p}.{name}": np.array(t, kind, order="C") for p, held in parts.items() for name, t in held.items()}
        tensors["yes_no"] = np.array(self.yes_no, np.float32)
        write_atomic(folder / FILES[1], lambda file: file.write(save(tensors)))
        write_atomic(folder / FILES[0], lambda file: file.write(self.config.to_json().encode()))

    def embed(self, view: View) -> np.ndarray:
        """(N, D) float32: what the language model reads for a view. ValueError for a view of another configuration."""
        wanted = self.config.rae.view
        heat = (wanted.slices, wanted.channels, *wanted.grid)
        fits = view.heat.shape == heat and view.n_things <= wanted.slots and bool(view.facts) == wanted.facts
        if not fits or len(view.visual) > wanted.pictures:
            raise ValueError(f"the view (heat {view.heat.shape}) is not one of {wanted}, which the adapter reads")
        return embed(self.config.rae, self.rae, view)

    @cached_property
    def change(self) -> Change:
        """What it does to the language model."""
        return Change(self.config.placeholder, self.lora, self.config.lora.scale)


def shipped(preset: str) -> Adapter:
    """The adapter that comes with a preset. MissingWeights when none does."""
    return Adapter.load(SHIPPED / preset)


def from_training(
    config: AdapterConfig, rae: Any, model: Any, yes_no: tuple[float, float] = (1.0, 0.0), decoder: Any = None
) -> Adapter:
    """The adapter of a trained RegionAwareEncoder and peft model, and of the HeatmapDecoder that the configuration's
    `ahd` names."""
    weights = {name: whole(values) for name, values in rae.state_dict().items()}
    ahd = {name: whole(values) for name, values in decoder.state_dict().items()} if decoder is not None else None
    return Adapter(config, weights, lora_weights(model), yes_no, ahd)


def load_for_training(adapter: Adapter, model: Any) -> tuple[Any, Any]:
    """RegionAwareEncoder and peft model with an adapter's weights, from a transformers model without any.

    ValueError when the model is not of the adapter's kind.
    """
    import torch

    from tvad.lvlm.rae import RegionAwareEncoder

    rae = RegionAwareEncoder(adapter.config.rae)
    rae.load_state_dict({name: torch.tensor(values) for name, values in adapter.rae.items()})
    tuned = add_lora(model, adapter.config.lora)
    set_lora_weights(tuned, adapter.lora)
    return rae, tuned


def _part(tensors: Mapping[str, np.ndarray], part: str) -> dict[str, np.ndarray]:
    return {name[len(part) + 1 :]: values for name, values in tensors.items() if name.startswith(f"{part}.")}


def _check_lora(lora: Mapping[str, np.ndarray], rank: int) -> None:
    for key in lora:
        name, _, side = key.rpartition(".")
        a, b = lora.get(f"{name}.A"), lora.get(f"{name}.B")
        if a is None or b is None or side not in "AB" or not is_target(name):
            raise ValueError(f"low-rank weights {key} are not of a pair A and B of an attention or MLP layer")
        if a.ndim != 2 or b.ndim != 2 or len(a) != rank or b.shape[1] != rank:
            raise ValueError(f"low-rank weights {name} are {a.shape} and {b.shape}; the rank is {rank}")
