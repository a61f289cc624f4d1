"""The tiny Llama as transformers and peft see it, with an encoder and an adapter to fit, for the tests of the LVLM."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from view_fakes import make_analysis

from tvad.lvlm.adapter import Adapter, AdapterConfig, from_training
from tvad.lvlm.lora import LoraConfig, add_lora
from tvad.lvlm.rae import RegionAwareEncoder
from tvad.lvlm.tokens import RaeConfig
from tvad.lvlm.view import View, ViewConfig, view_of

PLACEHOLDER = "<|endoftext|>"
RAE = RaeConfig(view=ViewConfig(slices=2, grid=(6, 8), pictures=1, slots=2), width=64, hidden=16, hidden_things=8)
CONFIG = AdapterConfig(placeholder=PLACEHOLDER, rae=RAE, lora=LoraConfig(rank=4, alpha=8, dropout=0.1))


def make_view(seed: int = 0, things: int = 1) -> View:
    analysis, sight = make_analysis(seed, things)
    return view_of(*analysis, sight, RAE.view)


def language_model(folder: Path) -> Any:
    """The LlamaForCausalLM of a folder made by tiny_llama.make_folder."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def tuned(folder: Path, config: LoraConfig = CONFIG.lora) -> Any:
    """The same with adapters that change its answers."""
    model = add_lora(language_model(folder), config).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.05)
    return model


def make_adapter(folder: Path, seed: int = 0) -> Adapter:
    """An adapter that fits the model in `folder`, as training would leave it."""
    torch.manual_seed(seed)
    rae = RegionAwareEncoder(RAE, 4.0)
    return replaced(from_training(CONFIG, rae, tuned(folder), (2.0, -0.5)), seed)


def replaced(adapter: Adapter, seed: int) -> Adapter:
    """Another language model change for another seed."""
    lora = {name: values * np.float32(1 + seed / 10) for name, values in adapter.lora.items()}
    return Adapter(replace(adapter.config, about={"seed": seed}), adapter.rae, lora, adapter.yes_no)
