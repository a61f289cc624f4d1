"""MoTAR, the motion part of RefineVAD (AAAI 2026): how many channels a snippet takes from its neighbours is told by how
much it moves, then a light transformer looks along the video.

Letters: B videos, T snippets, D channels, K the divisor of the largest shift. Next: tvad/temporal/core.py
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.mil import masked_mean

GATES = ("ste", "hard", "const")
CONSTANT = 0.5  # the shift ratio of the gate "const"


def motion(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Population variance over channels of x_t - x_{t-1}: (B, T, D) and mask (B, T) -> (B, T); 0 at the first step and
    on padding."""
    steps = F.pad(x[:, 1:] - x[:, :-1], (0, 0, 1, 0))
    return steps.var(-1, unbiased=False).masked_fill(~mask, 0.0)


def standardised(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """(B, T) to mean 0 and deviation 1 over the real steps of each video; 0 on padding, and all 0 where none differs.

    Differences of unit vectors have variances near 2 / D, from which a sigmoid could tell nothing."""
    centred = values - masked_mean(values, mask)[:, None]
    # The root has no finite gradient at 0, where all are equal.
    deviation = masked_mean(centred.square(), mask).clamp(min=1e-20).sqrt()
    return (centred / (deviation + 1e-6)[:, None]).masked_fill(~mask, 0.0)


def channel_masks(
    ratio: torch.Tensor, width: int, fold_div: int, tau: float | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which channels come from the step before and from the step after: ratio (B, T) in [0, 1] -> two (B, T, D) of 0
    and 1, the first s = floor(ratio D / K) channels and the s after them.

    tau: pass the gradient of sigmoids of this temperature to the ratio; the values stay 0 and 1. A gradient put
    through s alone would be lost where channels are compared with it."""
    u = ratio.float()[..., None] * (width / fold_div)
    channel = torch.arange(width, device=ratio.device)
    s = u.floor()
    before = (channel < s).to(u)
    after = (channel < 2 * s).to(u) - before
    if tau is not None:
        soft_before = ((u - channel - 0.5) / tau).sigmoid()
        soft_after = ((2 * u - channel - 0.5) / tau).sigmoid() - soft_before
        before = before + (soft_before - soft_before.detach())
        after = after + (soft_after - soft_after.detach())
    return before, after


def shift(
    x: torch.Tensor, mask: torch.Tensor, ratio: torch.Tensor, fold_div: int, tau: float | None = None
) -> torch.Tensor:
    """[x_{t-1}[0:s], x_{t+1}[s:2s], x_t[2s:D]] of (B, T, D). Steps before the first and after the last real one are
    zeros, as in the temporal shift module (Lin et al. 2019)."""
    before, after = (m.to(x) for m in channel_masks(ratio, x.shape[-1], fold_div, tau))
    x = x.masked_fill(~mask[..., None], 0.0)
    previous, following = F.pad(x, (0, 0, 1, 0))[:, :-1], F.pad(x, (0, 0, 0, 1))[:, 1:]
    return before * previous + after * following + (1 - before - after) * x


def positions(steps: int, width: int) -> torch.Tensor:
    """Sines and cosines of the step, (T, D) in [-1, 1], for any number of steps (Vaswani et al. 2017)."""
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angle = torch.arange(steps)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, :width]


class Attention(nn.Module):
    """Queries (B, Q, D) over context (B, N, D), of which mask (B, N) is real -> (B, Q, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, queries: torch.Tensor, context: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        def split(x: torch.Tensor) -> torch.Tensor:
            return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, D / heads)

        # Never a whole Q x N table of a long video, which the ready-made module would keep.
        mixed = F.scaled_dot_product_attention(
            split(self.query(queries)),
            split(self.key(context)),
            split(self.value(context)),
            attn_mask=None if mask is None else mask[:, None, None, :],
        )
        out: torch.Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return out


class Block(nn.Module):
    """A transformer layer that normalises first; the MLP is twice as wide."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        normed = self.norms[0](x)
        x = x + self.dropout(self.attention(normed, normed, mask))
        x = x + self.dropout(self.mlp(self.norms[1](x)))
        return x


class Motar(nn.Module):
    """(B, T, D) -> features with motion in them (B, T, D), zero on padding, and the shift ratios (B, T)."""

    def __init__(
        self,
        width: int,
        gate: str,
        fold_div: int,
        tau: float,
        gate_hidden: int,
        layers: int,
        heads: int,
        dropout: float,
    ) -> None:
        """gate: one of GATES. "ste" trains the ratio through the floor (straight-through), "hard" is the published
        formula, whose ratio stays as it was drawn, "const" shifts every step by half of D / K."""
        super().__init__()
        self.gate, self.fold_div, self.tau = gate, fold_div, tau
        if gate != "const":
            self.predictor = nn.Sequential(
                nn.Linear(1, gate_hidden),
                nn.GELU(),
                nn.Linear(gate_hidden, gate_hidden),
                nn.GELU(),
                nn.Linear(gate_hidden, 1),
            )
        self.blocks = nn.ModuleList([Block(width, heads, dropout) for _ in range(layers)])

    def ratio(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, T) in (0, 1): how much of the largest shift each step takes."""
        if self.gate == "const":
            return torch.full_like(x[..., 0], CONSTANT)
        moved = standardised(motion(x.float(), mask), mask).to(x)
        told: torch.Tensor = self.predictor(moved[..., None]).squeeze(-1)
        return told.sigmoid()

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ratio = self.ratio(x, mask)
        y = shift(x, mask, ratio, self.fold_div, self.tau if self.gate == "ste" else None)
        y = y + positions(y.shape[1], y.shape[2]).to(y)
        for block in self.blocks:
            y = block(y, mask)
        return y.masked_fill(~mask[..., None], 0.0), ratio
