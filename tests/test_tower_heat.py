"""Heat of a language model's own tower: the precision of the decoder behind it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_backbones import make_backbone

from heatmap.decoder import HeatmapDecoder
from tvad.lvlm.loaded import load
from tvad.lvlm.tower_heat import decoded, decoder_config, text_of


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_the_decoder_behind_a_tower_in_bf16_computes_in_bf16(tmp_path: Path, dtype: str) -> None:
    loaded = load(make_backbone("qwen2_5_vl", tmp_path / "model"), dtype=dtype)
    torch.manual_seed(0)
    decoder = HeatmapDecoder(decoder_config(loaded, hidden=64)).eval()
    rng = np.random.default_rng(0)
    width = decoder.config.taps[0].channels
    taps = [torch.from_numpy(rng.normal(size=(2, 4, 6, width)).astype(np.float32)) for _ in decoder.config.taps]
    inner = []
    decoder.projections[0].first.register_forward_hook(lambda module, inputs, out: inner.append(out.dtype))
    heat = decoded(loaded, decoder, taps, text_of(loaded))
    assert inner == [torch.bfloat16 if dtype == "bf16" else torch.float32]
    with torch.inference_mode():
        exact = decoder([tap[None] for tap in taps], text_of(loaded))
    assert heat.prob.dtype == torch.float32 and exact.prob.std() > 0.05
    np.testing.assert_allclose(heat.prob, exact.prob, atol=0.03 if dtype == "bf16" else 1e-6)
