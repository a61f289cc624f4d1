"""LLaVA-OneVision (Li et al. 2024, arXiv:2408.03326): a SigLIP tower, 196 tokens a frame, Qwen2 as the language model.
It knows nothing of time: when the frames were seen is told in words.

Next: tvad/lvlm/family.py
"""

from collections.abc import Sequence
from typing import Any

from tvad.lvlm.family import Family


class LlavaOnevision(Family):
    """See the module."""

    model_type = "llava_onevision"
    title = "LLaVA-OneVision"
    aligned = "siglip"

    def joined(self, features: Sequence[Any]) -> Any:
        """See `Family.joined`. The model flattens (B, N, D): videos of different length go in as one long one."""
        import torch

        whole = torch.cat([f["pooler_output"].flatten(0, 1) for f in features])
        return type(features[0])(pooler_output=whole[None])


LLAVA_ONEVISION = LlavaOnevision()
