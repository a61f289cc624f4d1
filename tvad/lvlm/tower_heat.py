"""Heat of a language model's own vision tower: the anomaly heatmap decoder (AHD) on its tapped blocks, words as the
mean of the language model's own input embeddings (T-VAD).

Next: heatmap/decoder.py
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from heatmap.decoder import DecoderConfig, Heat, HeatmapDecoder
from heatmap.prompts import Text
from tvad.lvlm.loaded import Loaded, Seen

PREFIX = "layer"


def decoder_config(loaded: Loaded, taps: Sequence[int] = (), hidden: int = 1024) -> DecoderConfig:
    """Of a decoder for this model's tower; taps: 0-based blocks, none for the family's own."""
    tower = loaded.family.tower_of(loaded.base)
    # Towers that merge frames mix neighbouring moments themselves.
    temporal = loaded.family.time_patch == 1
    chosen = tuple(taps) or loaded.taps()
    return DecoderConfig.tower(int(tower.config.hidden_size), chosen, loaded.width, hidden, temporal)


def layers_of(config: Mapping[str, Any]) -> tuple[int, ...]:
    """The blocks that a decoder of this configuration (`DecoderConfig.to_dict`) reads."""
    return tuple(int(tap["name"].removeprefix(PREFIX)) for tap in config["taps"])


def text_of(loaded: Loaded, anomaly: Sequence[str] = (), normal: Sequence[str] = ()) -> torch.Tensor:
    """(2, D) vectors of what is normal and of what is not; no words: the default ones."""
    text = Text.of(loaded.embed, tuple(anomaly), tuple(normal), pooled=True)
    return torch.from_numpy(np.concatenate([text.normal, text.abnormal])).to(loaded.device)


def decoder_of(loaded: Loaded, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> HeatmapDecoder:
    """The trained decoder, in float32 on the model's device. ValueError where weights and configuration do not fit."""
    decoder = HeatmapDecoder(DecoderConfig.from_dict(dict(config)))
    try:
        decoder.load_state_dict({name: torch.tensor(values) for name, values in weights.items()})
    except RuntimeError as error:
        raise ValueError(f"the adapter's heatmap decoder does not fit its configuration: {error}") from None
    return decoder.to(loaded.device).eval()


@torch.inference_mode()
def tower_heat(
    loaded: Loaded, seen: Seen, decoder: HeatmapDecoder, anomaly: Sequence[str] = (), normal: Sequence[str] = ()
) -> np.ndarray:
    """Heat (T', h, w) float32 in [0, 1] of a video that was looked at with the decoder's taps."""
    taps = [seen.taps[n] for n in layers_of(decoder.config.to_dict())]
    return decoded(loaded, decoder, taps, text_of(loaded, anomaly, normal)).prob[0].float().cpu().numpy()


@torch.inference_mode()
def decoded(loaded: Loaded, decoder: HeatmapDecoder, taps: Sequence[torch.Tensor], text: torch.Tensor) -> Heat:
    """The decoder on taps (T', h, w, C) of one video, text (2, D). Behind a tower in bf16 its matrix products are in
    bf16, too: in float32 they took half of what the decoder adds to a first answer. In fp16 squares could overflow."""
    with torch.autocast(loaded.device.type, torch.bfloat16, enabled=loaded.base.dtype == torch.bfloat16):
        heat: Heat = decoder([tap[None].float() for tap in taps], text)
    return heat
