"""ConvTransformer: snippet features -> a pyramid of levels, each half as long as the one before (CMSIL, ICME 2024,
after ActionFormer, ECCV 2022).

Attention is local, without place embeddings; convolutions before it tell steps apart. A video has a level more only as
long as the one before has more than one of its steps, however long the batch is. Next: tvad/temporal/attention_gates.py
"""

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.attention_gates import MaskedConv, blank


class Level(NamedTuple):
    """features (B, T_i, C), zero on padding; mask (B, T_i). Step j begins at snippet j · 2^i, i counted from 0. A row
    whose mask is empty has no such level."""

    features: torch.Tensor
    mask: torch.Tensor


def halved(mask: torch.Tensor) -> torch.Tensor:
    """Mask of the next level, (B, T) -> (B, ceil(T / 2)): every other step; none for rows of at most one step."""
    return mask[:, ::2] & (mask.sum(1, keepdim=True) > 1)


def masked_max_pool(x: torch.Tensor, mask: torch.Tensor, out_mask: torch.Tensor) -> torch.Tensor:
    """Maximum of three real neighbours, every other step: (B, T, C) -> (B, ceil(T / 2), C)."""
    # -inf, not zero: a padded step would otherwise be the largest of negative ones.
    filled = x.masked_fill(~mask.unsqueeze(-1), float("-inf")).transpose(1, 2)
    return blank(F.max_pool1d(filled, 3, 2, padding=1).transpose(1, 2), out_mask)


def local_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor, heads: int, reach: int
) -> torch.Tensor:
    """Attention of each step to the real steps at most `reach` away: q, k, v (B, T, C), mask (B, T) -> (B, T, C).

    Memory grows with T · reach: blocks of queries, each with the keys of its block and `reach` more on both sides.
    """
    size, steps, width = q.shape
    block, span = 2 * reach, 4 * reach
    blocks = -(-steps // block)
    rest = blocks * block - steps

    def around(x: torch.Tensor) -> torch.Tensor:  # (B, T, C) -> (B, blocks, C, span)
        return F.pad(x, (0, 0, reach, reach + rest)).unfold(1, span, block)

    queries = F.pad(q, (0, 0, 0, rest)).reshape(size, blocks, block, heads, -1).transpose(2, 3)
    keys = around(k).reshape(size, blocks, heads, -1, span)
    values = around(v).reshape(size, blocks, heads, -1, span)
    scores = queries @ keys / (width // heads) ** 0.5  # (B, blocks, heads, block, span)
    ahead = torch.arange(span, device=q.device)[None, :] - torch.arange(block, device=q.device)[:, None]
    seen = (ahead >= 0) & (ahead <= 2 * reach)  # keys begin `reach` steps before the block
    real = F.pad(mask, (reach, reach + rest)).unfold(1, span, block)  # (B, blocks, span)
    allowed = seen & real[:, :, None, None, :]
    # Finite, since queries on padding may see no key at all.
    weights = scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).softmax(-1)
    out = (weights @ values.transpose(-1, -2)).transpose(2, 3)
    return out.reshape(size, blocks * block, width)[:, :steps]


class LocalAttention(nn.Module):
    """Local attention whose queries, keys and values each pass a depth-wise convolution and a LayerNorm first; the
    stride is that of the convolutions."""

    def __init__(self, width: int, heads: int, reach: int, stride: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(MaskedConv(width, width, stride=stride, depthwise=True) for _ in range(3))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.projections = nn.ModuleList(nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.heads, self.reach = heads, reach

    def forward(self, x: torch.Tensor, mask: torch.Tensor, out_mask: torch.Tensor) -> torch.Tensor:
        """(B, T, C), mask (B, T), out_mask (B, ceil(T / stride)) -> (B, ceil(T / stride), C)."""
        q, k, v = (
            project(norm(conv(x, mask)))
            for conv, norm, project in zip(self.convs, self.norms, self.projections, strict=True)
        )
        return blank(self.out(local_attention(q, k, v, out_mask, self.heads, self.reach)), out_mask)


class LocalBlock(nn.Module):
    """Pre-norm transformer block; with stride 2 the skip path is a maximum of three steps."""

    def __init__(self, width: int, heads: int, reach: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.norm = nn.LayerNorm(width)
        self.attention = LocalAttention(width, heads, reach, stride)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: torch.Tensor, mask: torch.Tensor, out_mask: torch.Tensor) -> torch.Tensor:
        """(B, T, C) -> (B, ceil(T / stride), C), zero on padding."""
        skip = x if self.stride == 1 else masked_max_pool(x, mask, out_mask)
        x = skip + self.attention(self.norm(x), mask, out_mask)
        return blank(x + self.mlp(x), out_mask)


class Pyramid(nn.Module):
    """Convolutions, blocks of full length, then a block of stride 2 for every further level."""

    def __init__(
        self, width: int, hidden: int, levels: int = 5, convs: int = 1, stem: int = 2, heads: int = 4, reach: int = 4
    ) -> None:
        """width: of the input; hidden: C, a multiple of heads. convs, stem: how many convolutions and full blocks.
        reach: steps that attention looks to each side."""
        super().__init__()
        widths = [width, *[hidden] * convs]
        self.convs = nn.ModuleList(MaskedConv(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(convs))
        self.stem = nn.ModuleList(LocalBlock(hidden, heads, reach) for _ in range(stem))
        self.branch = nn.ModuleList(LocalBlock(hidden, heads, reach, stride=2) for _ in range(levels - 1))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> list[Level]:
        """(B, T, width), mask (B, T) -> at most `levels` levels; fewer where a level of one step comes before."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = blank(F.relu(norm(conv(x, mask))), mask)
        for block in self.stem:
            x = block(x, mask, mask)
        levels = [Level(x, mask)]
        for block in self.branch:
            x, mask = levels[-1]
            if mask.shape[1] == 1:
                break
            shorter = halved(mask)
            levels.append(Level(block(x, mask, shorter), shorter))
        return levels
