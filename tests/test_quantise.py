"""Quantisation of a language model: what is configured, what is left alone, what is refused."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_backbones
import torch
from tiny_backbones import make_backbone

from tvad.lvlm import BACKBONES
from tvad.lvlm.choice import QUANTISED, Choice
from tvad.lvlm.loaded import load
from tvad.lvlm.quantise import quantisation
from tvad.lvlm.watching import Watching


@pytest.fixture
def installed(monkeypatch: Any) -> None:
    """As if bitsandbytes were here: only its configuration is made."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: find("json") if n == "bitsandbytes" else find(n, *a))


@pytest.mark.parametrize("kind", sorted(BACKBONES))
def test_lvlm_quantisation_leaves_vision_and_head_alone(kind: str, installed: None) -> None:
    family = BACKBONES[kind]
    config = quantisation("nf4", family, torch.bfloat16, "cuda")
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4" and config.bnb_4bit_use_double_quant
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert {family.tower, "lm_head"} <= set(config.llm_int8_skip_modules)
    assert quantisation("int8", family, torch.bfloat16, "cuda:1").load_in_8bit


def test_lvlm_quantisation_that_cannot_be_had_is_named(installed: None, monkeypatch: Any) -> None:
    family = BACKBONES["qwen3_vl"]
    with pytest.raises(ValueError, match="int8' runs on a GPU only, not on 'cpu'"):
        quantisation("int8", family, torch.bfloat16, "cpu")
    with pytest.raises(ValueError, match=r"no quantisation 'q2'; choose one of \['nf4', 'int8'\]"):
        quantisation("q2", family, torch.bfloat16, "cuda")
    with pytest.raises(ValueError, match="no quantisation 'q2'"):
        Choice(quantise="q2")
    assert QUANTISED == ("nf4", "int8")
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None)
    with pytest.raises(ValueError, match=r"needs bitsandbytes: pip install 'tvad\[gpu\]'"):
        quantisation("nf4", family, torch.bfloat16, "cuda")


def test_a_quantised_model_reads_and_its_adapter_learns(tmp_path: Path, monkeypatch: Any) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes", reason="pip install 'tvad[gpu]'")
    from tvad.lvlm.lora import LoraConfig, add_lora

    monkeypatch.setattr(tiny_backbones, "TEXT", tiny_backbones.TEXT | {"hidden_size": 256, "intermediate_size": 256})
    folder = make_backbone("llava_onevision", tmp_path / "tiny")
    loaded = load(folder, dtype="bf16", quantise="nf4")
    four = {n for n, m in loaded.base.named_modules() if type(m).__name__ == "Linear4bit"}
    assert four and all(".layers." in n and not n.startswith(loaded.family.tower) for n in four)
    assert len(four) == 7 * loaded.config.text_config.num_hidden_layers
    tower = loaded.family.tower_of(loaded.base)
    assert {p.dtype for p in tower.parameters()} == {torch.bfloat16}
    plain = load(folder, dtype="bf16")
    name = "model.language_model.layers.1.mlp.up_proj"
    kept = loaded.base.get_submodule(name).weight  # on a CPU it is laid out otherwise once it was used
    back = bitsandbytes.functional.dequantize_4bit(kept.data, kept.quant_state).float()
    own = plain.base.get_submodule(name).weight.float()
    assert 0 < (back - own).norm() / own.norm() < 0.15
    frames = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8)
    seen = loaded.look(frames, np.arange(2.0))
    ids = loaded.encode([{"role": "user", "content": "What?"}], seen.pictures)
    assert np.isfinite(Watching(loaded, seen).next_logits(ids)).all()
    fresh = load(folder, dtype="bf16", quantise="nf4")
    tuned = add_lora(fresh.model, LoraConfig(rank=2, dropout=0))
    words = torch.tensor([fresh.tokenizer("the thing")["input_ids"]])
    tuned(input_ids=words, labels=words).loss.backward()
    learned = {n for n, p in tuned.named_parameters() if p.grad is not None}
    assert learned and all("lora_" in n for n in learned)
