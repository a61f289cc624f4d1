"""Qwen3-VL (2025, arXiv:2511.21631): time stamps as words between slices, and features of three depths of the tower
added to the language model's first layers at the tokens of pictures (DeepStack). Tokens of evidence are no such tokens.

Next: tvad/lvlm/qwen2_5_vl.py
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tvad.lvlm.family import Pictures
from tvad.lvlm.qwen2_5_vl import Qwen25VL

if TYPE_CHECKING:
    import torch


class Qwen3VL(Qwen25VL):
    """See the module."""

    model_type = "qwen3_vl"
    title = "Qwen3-VL"

    def timing(self, step_s: float) -> dict[str, Any]:
        return {}

    def said(self, times_s: np.ndarray) -> str:
        return ""

    def expand(self, processor: Any, text: str, pictures: Pictures) -> str:
        """Every slice has a start and an end of its own here. The chat template writes another pair around all of
        them, which transformers 5 leaves there and the model was not trained with (its version 4 took it away)."""
        token = processor.video_token
        around = f"{processor.vision_start_token}{token}{processor.vision_end_token}"
        return super().expand(processor, text.replace(around, token), pictures)

    def joined(self, features: Sequence[Any]) -> Any:
        """See `Family.joined`: features of each depth as well."""
        found = super().joined(features)
        depths = zip(*[f["deepstack_features"] for f in features], strict=True)
        found["deepstack_features"] = [[part for video in depth for part in video] for depth in depths]
        return found

    def window_index(self, tower: Any, pictures: Pictures) -> "torch.Tensor":
        """There are no windows: groups stand row by row."""
        import torch

        t, h, w = pictures.grid
        return torch.arange(t * h * w // tower.spatial_merge_size**2)


QWEN3_VL = Qwen3VL()
