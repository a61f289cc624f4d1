"""Losses of the anomaly heatmap decoder, and the cells that a mask makes its targets.

Anomalous cells are about one in a hundred: focal loss (Lin et al. 2017) keeps the many easy ones from drowning them,
Dice (Milletari et al. 2016) asks for the whole shape and, on normal clips, for silence. The combination is that of
AnomalyGPT (Gu et al. 2024) and APRIL-GAN (Chen et al. 2023). Every tap is asked the same on its own (`DEEP`).

Next: heatmap/prompts.py
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage

from heatmap.decoder import Heat

GAMMA = 2.0
DEEP = 0.25  # weight of each tap's own loss
COVERED = 0.25  # share of a cell that makes it a target
MODES = ("focal+dice", "ref")
EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


def merged_frames(masks: np.ndarray, temporal_patch: int) -> np.ndarray:
    """(T, H, W) masks to (T', H, W) of a network that sees `temporal_patch` frames as one; the last may be short."""
    return np.stack([masks[i : i + temporal_patch].max(0) for i in range(0, len(masks), temporal_patch)])


def coverage(mask: np.ndarray, grid_hw: tuple[int, int]) -> np.ndarray:
    """(H, W) bool to the covered share of each cell, (h, w) float32; grids that do not divide the picture are exact."""
    return _overlap(mask.shape[0], grid_hw[0]) @ mask.astype(np.float32) @ _overlap(mask.shape[1], grid_hw[1]).T


def cell_targets(masks: np.ndarray, grid_hw: tuple[int, int]) -> np.ndarray:
    """(T, H, W) bool masks to (T, h, w) bool: cells covered by COVERED, and the best covered cell of every connected
    component, so that nothing small is lost."""
    out = np.zeros((len(masks), *grid_hw), bool)
    for target, mask in zip(out, masks, strict=True):
        if not mask.any():
            continue
        target |= coverage(mask, grid_hw) >= COVERED
        labels, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
        for i in range(1, count + 1):
            mark_best(target, coverage(labels == i, grid_hw))
    return out


def mark_best(target: np.ndarray, share: np.ndarray) -> None:
    """Set the cell of `target` (h, w) that a thing of this coverage (h, w) covers most; none where it covers none."""
    if share.any():
        target.flat[int(share.argmax())] = True


def focal(logits: torch.Tensor, target: torch.Tensor, gamma: float = GAMMA) -> torch.Tensor:
    """Mean over all cells of the focal loss; logits (B, 2, T, h, w), target (B, T, h, w) in {0, 1}."""
    log_p = logits.float().log_softmax(1)
    log_own = torch.where(target > 0.5, log_p[:, 1], log_p[:, 0])
    return (-((1 - log_own.exp()) ** gamma) * log_own).mean()


def dice(heat: torch.Tensor, target: torch.Tensor, smooth: float = 1.0) -> torch.Tensor:
    """Mean over moments of 1 - Dice; heat and target (B, T, h, w). Where nothing is anomalous it is
    1 - 1 / (1 + sum of the heat)."""
    heat, target = heat.float().flatten(2), target.float().flatten(2)
    both, total = (heat * target).sum(-1), heat.sum(-1) + target.sum(-1)
    return (1 - (2 * both + smooth) / (total + smooth)).mean()


def heat_loss(heat: Heat, target: torch.Tensor, mode: str = "focal+dice") -> dict[str, torch.Tensor]:
    """Terms and their sum "loss", scalars. target (B, T, h, w) in {0, 1}.

    mode "focal+dice": focal and Dice of the fused map, and DEEP times the same of each tap. "ref": plain cross-entropy
    of the fused map, as the method's development code has it. ValueError for another mode.
    """
    if mode == "ref":
        entropy = F.cross_entropy(heat.logits.float(), (target > 0.5).long())
        return {"entropy": entropy, "loss": entropy}
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; choose one of {list(MODES)}")
    terms = {"focal": focal(heat.logits, target), "dice": dice(heat.prob, target)}
    deep = torch.zeros((), device=target.device)
    for i in range(heat.taps.shape[1]):
        own = Heat(heat.taps[:, i], heat.taps)
        deep = deep + focal(own.logits, target) + dice(own.prob, target)
    terms["deep"] = deep
    return terms | {"loss": terms["focal"] + terms["dice"] + DEEP * deep}


def _overlap(pixels: int, cells: int) -> np.ndarray:
    """(cells, pixels) float32: share of each cell that each pixel takes up."""
    edges = np.arange(cells + 1) * pixels / cells
    left, right = np.arange(pixels)[None], np.arange(1, pixels + 1)[None]
    inside = np.minimum(right, edges[1:, None]) - np.maximum(left, edges[:-1, None])
    return (np.clip(inside, 0, None) / (pixels / cells)).astype(np.float32)
