"""InternVL in the form of transformers (Zhu et al. 2025, arXiv:2504.10479): an InternViT tower, 256 tokens a frame.

Next: tvad/lvlm/family.py
"""

from typing import Any

from tvad.lvlm.family import Family, Pictures


class InternVL(Family):
    """See the module. Frames of a video go through the model's door for pictures."""

    model_type = "internvl"
    title = "InternVL"
    door = "image"
    blocks = "encoder.layer"
    first = 1
    frames = 12

    def features(self, model: Any, pictures: Pictures) -> Any:
        """See `Family.features`."""
        from tvad.lvlm.family import moved

        pixels = moved(pictures.inputs["pixel_values_videos"], model).flatten(0, 1)
        return model.model.get_image_features(pixel_values=pixels, return_dict=True)


INTERNVL = InternVL()
