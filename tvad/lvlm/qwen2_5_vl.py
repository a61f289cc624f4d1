"""Qwen2.5-VL (Bai et al. 2025, arXiv:2502.13923): the backbone of T-VAD. Two frames a slice, windowed attention in the
tower, positions of three axes (time, row, column) whose steps in time are seconds.

Next: tvad/lvlm/family.py
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from tvad.lvlm.family import Family, Pictures

if TYPE_CHECKING:
    import torch


class Qwen25VL(Family):
    """See the module."""

    model_type = "qwen2_5_vl"
    title = "Qwen2.5-VL"
    inputs = ("pixel_values_videos", "video_grid_thw")
    tower, blocks = "model.visual", "blocks"
    time_patch = 2
    frames = 24

    def pictures(self, processor: Any, config: Any, frames: np.ndarray, times_s: np.ndarray) -> Pictures:
        """See `Family.pictures`."""
        found = super().pictures(processor, config, frames, times_s)
        times = found.times_s
        # Seconds between slices, from which the model counts its positions in time.
        step = float(np.diff(times).mean()) if len(times) > 1 else 1.0
        return Pictures(found.inputs | self.timing(step), found.written, found.said, found.grid, times)

    def timing(self, step_s: float) -> dict[str, Any]:
        return {"second_per_grid_ts": [step_s]}

    def said(self, times_s: np.ndarray) -> str:
        """The steps in time are in the positions; where they begin is not."""
        return f"The video shows second {times_s[0]:.1f} to {times_s[-1]:.1f}.\n"

    def grid(self, inputs: Any, config: Any) -> tuple[int, int, int]:
        t, h, w = inputs["video_grid_thw"][0].tolist()
        return int(t), int(h), int(w)

    def patches(self, model: Any, hidden: "torch.Tensor", pictures: Pictures) -> "torch.Tensor":
        """See `Family.patches`: tokens come in the order of the attention's windows."""
        from heatmap.patches import from_windows

        tower = self.tower_of(model)
        return from_windows(hidden, self.window_index(tower, pictures), pictures.grid, tower.spatial_merge_size)

    def window_index(self, tower: Any, pictures: Pictures) -> "torch.Tensor":
        """Which group of patches stands at each place inside the tower."""
        from transformers.vision_utils import get_vision_window_index

        index, _ = get_vision_window_index(
            pictures.inputs["video_grid_thw"],
            spatial_merge_size=tower.spatial_merge_size,
            window_size=tower.window_size,
            patch_size=tower.patch_size,
        )
        return index

    def positions(self, model: Any, ids: "torch.Tensor", pictures: Pictures | None) -> "torch.Tensor":
        """See `Family.positions`: pictures lie on a grid; each word and each token of evidence is one on.

        Words behind a video follow the largest position in it, as in the model's own code and its training.
        transformers 5.23 lets them follow its width alone, so that they would lie inside a video of many seconds.
        """
        import torch

        if pictures is None:
            return super().positions(model, ids, None).expand(3, 1, -1)
        kinds = torch.zeros_like(ids, dtype=torch.int)
        kinds[ids == model.config.image_token_id] = 1
        kinds[ids == model.config.video_token_id] = 2
        wanted = {n: pictures.inputs.get(n) for n in ("video_grid_thw", "second_per_grid_ts")}
        found, _ = model.model.get_rope_index(ids, mm_token_type_ids=kinds, **wanted)
        behind = 1 + int(kinds[0].nonzero().max()) if kinds.any() else ids.shape[1]
        if behind < ids.shape[1]:
            found[..., behind:] += max(0, int(found[..., :behind].max()) + 1 - int(found[0, 0, behind]))
        return found


QWEN2_5_VL = Qwen25VL()
