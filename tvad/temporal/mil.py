"""Pooling over time, as multiple-instance learning does it: masked means, maxima and means of the k largest.

The papers choose k differently, so each rule has a function of its own. Next: tvad/temporal/text.py
"""

from collections.abc import Callable

import torch

CountRule = Callable[[torch.Tensor], torch.Tensor]


def k_sixteenth(lengths: torch.Tensor) -> torch.Tensor:
    """floor(n / 16 + 1) of (B,) lengths: VadCLIP, DSANet, Fine-VAD; RefineVAD names none (ours)."""
    return lengths // 16 + 1


def k_tenth(lengths: torch.Tensor, alpha: int = 10) -> torch.Tensor:
    """ceil(n / alpha): CMSIL and AFR."""
    return -(-lengths // alpha)


def k_share(lengths: torch.Tensor, share: float) -> torch.Tensor:
    """max(1, floor(share * n)): CLIP-TSA's snippet weighting, share in (0, 1]."""
    # A hair more, or 0.3 * 10 would be 2.
    return (lengths * share + 1e-6).floor().long().clamp(min=1)


def top_k(values: torch.Tensor, mask: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Mean of the k largest real values: (B, T) or (B, T, C), mask (B, T), k (B,) -> (B,) or (B, C). k is cut to the
    number of real steps; columns are pooled each for itself."""
    flat = values.unsqueeze(-1) if values.ndim == 2 else values
    lengths = mask.sum(1)
    k = torch.minimum(k.to(lengths), lengths).clamp(min=1)
    most = int(k.max())
    filled = flat.masked_fill(~mask.unsqueeze(-1), float("-inf"))
    best = filled.topk(most, dim=1).values  # (B, most, C)
    wanted = torch.arange(most, device=values.device)[None, :] < k[:, None]
    total = best.masked_fill(~wanted.unsqueeze(-1), 0.0).sum(1)
    mean = total / k[:, None].to(total)
    return mean.squeeze(-1) if values.ndim == 2 else mean


def masked_mean(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over real steps: (B, T) or (B, T, C) -> (B,) or (B, C)."""
    weight = mask.to(values)
    if values.ndim == 3:
        weight = weight.unsqueeze(-1)
    return (values * weight).sum(1) / weight.sum(1).clamp(min=1)


def masked_max(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Maximum over real steps: (B, T) or (B, T, C) -> (B,) or (B, C)."""
    wide = mask.unsqueeze(-1) if values.ndim == 3 else mask
    return values.masked_fill(~wide, float("-inf")).amax(1)


def masked_softmax(values: torch.Tensor, mask: torch.Tensor, dim: int = 1) -> torch.Tensor:
    """Softmax over real steps, zero on the others; mask is broadcast to the shape of values."""
    wide = mask.unsqueeze(-1) if values.ndim == mask.ndim + 1 else mask
    out = values.masked_fill(~wide, float("-inf")).softmax(dim)
    return out.masked_fill(~wide, 0.0)


def pairs(of_anomalous: torch.Tensor, of_normal: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    """Mean hinge max(0, margin - a + n) over all pairs of (A,) and (N,) scores; 0 where one kind is missing (Sultani et
    al. 2018, eq. 3, over pairs)."""
    if not len(of_anomalous) or not len(of_normal):
        return (of_anomalous.sum() + of_normal.sum()) * 0.0
    return (margin - of_anomalous[:, None] + of_normal[None, :]).clamp(min=0).mean()
