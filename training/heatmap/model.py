"""The decoder of the small preset before training, and its checkpoint folder.

Next: training/heatmap/loop.py
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from heatmap.decoder import CONFIG_FILE, WEIGHTS_FILE, DecoderConfig, HeatmapDecoder, Tap
from heatmap.prompts import PLAIN, Text
from tvad import minilm
from tvad.decoder_taps import TAPS
from tvad.evidence import write_atomic

HIDDEN, CONTEXT = 128, 5


def mini_config(hidden: int = HIDDEN, context: int = CONTEXT) -> DecoderConfig:
    """For the taps of tvad/decoder_taps.py. Appearance alone says little about a cell's neighbours, so it gets the
    context; a thing's look is the same all over it."""
    around = {"fine": 0, "coarse": context and 3, "motion": context, "look": 0}
    taps = tuple(Tap(n, c, hidden, around[n], text_space=n == "look") for n, c in TAPS.items())
    return DecoderConfig(taps, minilm.WIDTH, temporal=True)


def new_decoder(config: DecoderConfig | None = None, seed: int = 0) -> HeatmapDecoder:
    """Untrained, but calm: the default words work through the looks of things alone."""
    torch.manual_seed(seed)
    ground = torch.from_numpy(Text.of(minilm.embed, templates=PLAIN).ground)
    return HeatmapDecoder(config or mini_config()).calm(ground)


def write_checkpoint(folder: str | Path, decoder: HeatmapDecoder, about: dict[str, Any]) -> None:
    """`config.json` and `model.safetensors`, each whole or not at all. about: where the weights come from."""
    folder = Path(folder)
    text = json.dumps({"decoder": decoder.config.to_dict(), "about": about}, indent=1) + "\n"
    weights = {k: v.detach().cpu().contiguous() for k, v in decoder.state_dict().items()}
    write_atomic(folder / CONFIG_FILE, lambda file: file.write(text.encode()))
    write_atomic(folder / WEIGHTS_FILE, lambda file: file.write(save(weights)))
