"""Gates of AFR (2025 preprint): SCAM and the small-object attention module, for time or for patch grids; and the
channel gate of CMSIL (ICME 2024), which they replace.

Features are (B, *grid, C) with a mask (B, *grid), True = real. `attn_dims` is the number of grid axes: 1 for time, 2
for h×w patches. Padding is zero in every output and reaches no real place. Next: tvad/temporal/pseudo_labels.py
"""

import torch
import torch.nn.functional as F
from torch import nn

OPEN = 2.0  # sigmoid(2) = 0.88: several gates in a row would otherwise begin by shrinking what they let through


def blank(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Zeros on padding, whatever stands there (NaN too): (B, *grid, C), mask (B, *grid)."""
    return x.masked_fill(~mask.unsqueeze(-1), 0.0)


class MaskedConv(nn.Module):
    """Convolution of 3 steps a grid axis that sees padding as zeros, as it sees what lies beyond the ends."""

    def __init__(
        self, width: int, out_width: int, attn_dims: int = 1, stride: int = 1, depthwise: bool = False
    ) -> None:
        """depthwise: each channel for itself, without bias, since a norm follows. ValueError for other attn_dims."""
        super().__init__()
        if attn_dims not in (1, 2):
            raise ValueError(f"attn_dims is {attn_dims}; choose 1 (time) or 2 (a grid of patches)")
        kind = nn.Conv1d if attn_dims == 1 else nn.Conv2d
        groups = width if depthwise else 1
        self.stride = stride
        self.conv = kind(width, out_width, 3, stride, padding=1, groups=groups, bias=not depthwise)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, *grid, C) -> (B, *grid, C'), each axis ceil(n / stride) long, zero where its middle step is padding."""
        out = self.conv(blank(x, mask).movedim(-1, 1)).movedim(1, -1)
        return blank(out, mask[(slice(None), *(slice(None, None, self.stride),) * (mask.ndim - 1))])


def pool_grid(x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Maximum and mean over the real places of (B, *grid, C), both (B, C); zeros for a row without any."""
    flat, real = x.flatten(1, -2), mask.flatten(1)
    there = real.any(1, keepdim=True)
    most = flat.masked_fill(~real.unsqueeze(-1), float("-inf")).amax(1).masked_fill(~there, 0.0)
    mean = blank(flat, real).sum(1) / real.sum(1, keepdim=True).clamp(min=1).to(flat)
    return most, mean


def _mlp(width: int, reduction: int, bias: float) -> nn.Sequential:
    """C -> C / reduction -> C with a ReLU between, open by `bias` at the start."""
    if reduction < 1 or width < reduction:
        raise ValueError(f"reduction is {reduction}; it must be from 1 to the width, {width}")
    last = nn.Linear(width // reduction, width)
    nn.init.constant_(last.bias, bias)
    return nn.Sequential(nn.Linear(width, width // reduction), nn.ReLU(), last)


class ChannelGate(nn.Module):
    """A number in (0, 1) for each channel, from the sum of maximum and mean: added before one MLP, unlike CBAM, which
    runs it on both."""

    def __init__(self, width: int, reduction: int = 4, bias: float = OPEN) -> None:
        super().__init__()
        self.mlp = _mlp(width, reduction, bias)

    def forward(self, most: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """Two (B, C) -> (B, C)."""
        return self.mlp(most + mean).sigmoid()


class StepGate(nn.Module):
    """CMSIL's channel gate: each step weighs its own channels, nothing is pooled."""

    def __init__(self, width: int, reduction: int = 4, bias: float = 0.0) -> None:
        super().__init__()
        self.mlp = _mlp(width, reduction, bias)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, *grid, C) -> the same."""
        return blank(x * self.mlp(x).sigmoid(), mask)


class Scam(nn.Module):
    """F' = phi(F), phi = convolution, LayerNorm, ReLU; F'' = F' · sigmoid(MLP(max F' + mean F'))."""

    def __init__(
        self, width: int, attn_dims: int = 1, reduction: int = 4, residual: bool = False, bias: float = OPEN
    ) -> None:
        """residual: F is added to the result. bias: of the gate at the start, before the sigmoid."""
        super().__init__()
        self.conv = MaskedConv(width, width, attn_dims)
        self.norm = nn.LayerNorm(width)
        self.channel = ChannelGate(width, reduction, bias)
        self.residual = residual

    def local(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """phi: (B, *grid, C) -> the same."""
        return blank(F.relu(self.norm(self.conv(x, mask))), mask)

    def gate(self, local: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, *grid, C) of phi -> (B, 1, ..., C) in (0, 1)."""
        return _spread(self.channel(*pool_grid(local, mask)), local)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, *grid, C) -> the same."""
        local = self.local(x, mask)
        out = local * self.gate(local, mask)
        return blank(x + out, mask) if self.residual else out


class SmallObjectAttention(nn.Module):
    """X' = X · sigmoid(MLP(max X + mean X)), X'' = X' · sigmoid(f(X')), f = convolution to one channel.

    The paper calls it SAM; it has nothing to do with Segment Anything.
    """

    def __init__(
        self,
        width: int,
        attn_dims: int = 1,
        reduction: int = 4,
        residual: bool = False,
        bias: float = OPEN,
        channel: bool = True,
        space: bool = True,
    ) -> None:
        """channel, space: which of the two gates there are (the paper's ablation). residual: X is added to the result.
        bias: of the channel gate at the start; that of f starts at 0."""
        super().__init__()
        if not channel and not space:
            raise ValueError("small-object attention without a channel and without a space gate; leave it out instead")
        self.channel = ChannelGate(width, reduction, bias) if channel else None
        self.place = MaskedConv(width, 1, attn_dims) if space else None
        if self.place is not None and self.place.conv.bias is not None:
            nn.init.zeros_(self.place.conv.bias)
        self.residual = residual

    def channel_gate(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, *grid, C) -> (B, 1, ..., C) in (0, 1); ones where the module has no such gate."""
        if self.channel is None:
            return torch.ones_like(x[(slice(None), *(slice(0, 1),) * (x.ndim - 2))])
        return _spread(self.channel(*pool_grid(x, mask)), x)

    def space_gate(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, *grid, C) after the channel gate -> (B, *grid, 1) in (0, 1); ones where the module has no such gate."""
        return torch.ones_like(x[..., :1]) if self.place is None else self.place(x, mask).sigmoid()

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, *grid, C) -> the same."""
        out = x * self.channel_gate(x, mask)
        out = blank(out * self.space_gate(out, mask), mask)
        return blank(x + out, mask) if self.residual else out


def _spread(gate: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """(B, C) -> (B, 1, ..., C) with as many axes as x."""
    return gate.reshape(len(gate), *(1,) * (x.ndim - 2), gate.shape[-1])
