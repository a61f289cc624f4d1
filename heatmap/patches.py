"""Patch tokens of vision towers back onto their grid: what a tap of the decoder wants.

Windowed towers (Qwen2.5-VL) keep their tokens in groups of merge x merge patches, and these groups in the order of the
attention's windows; plain ones (CLIP, SigLIP) row by row, some with a class token first.

Next: heatmap/decoder.py
"""

import torch


def from_windows(
    tokens: torch.Tensor, window_index: torch.Tensor, grid_thw: tuple[int, int, int], merge: int = 2
) -> torch.Tensor:
    """Tokens (S, C) inside a windowed tower to (T', H', W', C).

    window_index (S / merge^2,): which group stands at each place, as the tower's own method gives it. grid_thw: T', H',
    W' in patches. ValueError where the counts do not fit.
    """
    t, h, w = grid_thw
    unit = merge * merge
    if tokens.shape[0] != t * h * w or window_index.numel() * unit != tokens.shape[0] or h % merge or w % merge:
        raise ValueError(
            f"{tokens.shape[0]} tokens and {window_index.numel()} groups of {unit} do not fit the grid {grid_thw}"
        )
    groups = tokens.reshape(-1, unit, tokens.shape[-1])[torch.argsort(window_index)]
    cells = groups.reshape(t, h // merge, w // merge, merge, merge, -1)
    return cells.transpose(2, 3).reshape(t, h, w, -1)


def from_rows(tokens: torch.Tensor, grid_hw: tuple[int, int], first: int = 0) -> torch.Tensor:
    """Tokens (T, first + h w, C) to (T, h, w, C); `first` tokens (CLIP's class token: 1) are left out."""
    h, w = grid_hw
    if tokens.shape[1] != first + h * w:
        raise ValueError(f"{tokens.shape[1]} tokens a frame; expected {first} + {h} x {w}")
    return tokens[:, first:].reshape(tokens.shape[0], h, w, -1)
