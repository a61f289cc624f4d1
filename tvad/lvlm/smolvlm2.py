"""SmolVLM2 (Marafioti et al. 2025, arXiv:2504.05299): a SigLIP tower, 81 tokens a frame, SmolLM2 as the language model.
The processor writes the time of each frame before it, in whole seconds.

Next: tvad/lvlm/family.py
"""

import numpy as np

from tvad.lvlm.family import Family


class SmolVLM2(Family):
    """See the module. Frames of a video go through the model's door for pictures."""

    model_type = "smolvlm"
    title = "SmolVLM2"
    door = "image"
    inputs = ("pixel_values", "pixel_attention_mask")
    tower = "model.vision_model"
    aligned = "siglip"

    def said(self, times_s: np.ndarray) -> str:
        """Whole seconds are in the dialogue already."""
        return ""


SMOLVLM2 = SmolVLM2()
