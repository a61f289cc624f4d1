"""LLaVA-1.5 and LLaVA-NeXT (Liu et al. 2023, arXiv:2310.03744; 2024): frames as pictures, a CLIP tower, a Llama.

LLaVA-NeXT looks at tiles of each picture besides the whole, which makes five times as many tokens: its heat is that of
the whole. Their contexts of 4096 tokens hold six frames, or one.  Next: tvad/lvlm/family.py
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from tvad.lvlm.family import Family, Pictures, side

if TYPE_CHECKING:
    import torch


INSIDE = "inside"  # of the tower's grid


class Llava(Family):
    """LLaVA-1.5."""

    model_type = "llava"
    title = "LLaVA-1.5"
    kind = door = "image"
    inputs = ("pixel_values", "image_sizes")
    first = 1
    aligned = "clip"
    frames = 6

    def taps(self, depth: int) -> tuple[int, ...]:
        """See `Family.taps`: of CLIP ViT-L/14 the blocks 0, 7, 15 and 23."""
        return (0, 7, 15, 23) if depth == 24 else super().taps(depth)

    def pictures(self, processor: Any, config: Any, frames: np.ndarray, times_s: np.ndarray) -> Pictures:
        """See `Family.pictures`. Frames are made square by margins of the mean colour, as in its training: the
        processor would cut their sides off. The margins are no part of the heat."""
        inputs = dict(processor.image_processor(list(self.shaped(processor, frames)), return_tensors="pt"))
        written = tuple(processor.replace_image_token(inputs, n) for n in range(len(frames)))
        grid = self.grid(inputs, config)
        inputs[INSIDE] = self.inside(frames.shape[1:3], grid[1:])
        return Pictures(inputs, written, self.said(times_s), grid, np.asarray(times_s))

    def shaped(self, processor: Any, frames: np.ndarray) -> np.ndarray:
        """Frames (T, H, W, 3) as the processor gets them."""
        h, w = frames.shape[1:3]
        whole = max(h, w)
        mean = np.round(np.array(processor.image_processor.image_mean) * 255).astype(np.uint8)
        out = np.broadcast_to(mean, (len(frames), whole, whole, 3)).copy()
        top, left = (whole - h) // 2, (whole - w) // 2
        out[:, top : top + h, left : left + w] = frames
        return out

    def inside(self, size_hw: tuple[int, int], grid_hw: tuple[int, int]) -> tuple[slice, slice]:
        """Rows and columns of patches with something of the picture."""
        whole = max(size_hw)
        spans = []
        for size, cells in zip(size_hw, grid_hw, strict=True):
            begin = (whole - size) // 2
            spans.append(slice(begin * cells // whole, -(-(begin + size) * cells // whole)))
        return spans[0], spans[1]

    def patches(self, model: Any, hidden: "torch.Tensor", pictures: Pictures) -> "torch.Tensor":
        """See `Family.patches`."""
        rows, columns = pictures.inputs[INSIDE]
        return super().patches(model, hidden, pictures)[:, rows, columns]


class LlavaNext(Llava):
    """LLaVA-NeXT (1.6)."""

    model_type = "llava_next"
    title = "LLaVA-NeXT"
    frames = 1

    def shaped(self, processor: Any, frames: np.ndarray) -> np.ndarray:
        """See `Llava.shaped`. The whole picture is squeezed into a square, not cut."""
        return frames

    def inside(self, size_hw: tuple[int, int], grid_hw: tuple[int, int]) -> tuple[slice, slice]:
        """All of them."""
        return slice(0, grid_hw[0]), slice(0, grid_hw[1])

    def grid(self, inputs: Any, config: Any) -> tuple[int, int, int]:
        pixels = inputs["pixel_values"]  # (T, tiles, 3, H, W)
        patch = side(config.vision_config.patch_size)
        return len(pixels), int(pixels.shape[-2]) // patch, int(pixels.shape[-1]) // patch

    def patches(self, model: Any, hidden: "torch.Tensor", pictures: Pictures) -> "torch.Tensor":
        """See `Family.patches`: the whole picture comes before its tiles."""
        from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches

        from heatmap.patches import from_rows

        config = model.config
        counts = [
            image_size_to_num_patches(size, config.image_grid_pinpoints, config.vision_config.image_size)
            for size in pictures.inputs["image_sizes"]
        ]
        starts = np.cumsum([0, *counts[:-1]])
        return from_rows(hidden[starts.tolist()], pictures.grid[1:], self.first)


LLAVA, LLAVA_NEXT = Llava(), LlavaNext()
