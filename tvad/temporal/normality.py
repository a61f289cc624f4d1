"""Self-guided normality modelling of DSANet (AAAI 2026): a video's features, rebuilt from its own normal prototypes.

The snippets that look least anomalous make the prototypes; what they cannot rebuild is unusual for this video. It
teaches the adapter while training and never enters a score. Next: tvad/temporal/dsanet.py
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.base import EPS
from tvad.temporal.lgt import MLP_RATIO, QuickMlp
from tvad.temporal.mil import masked_mean

WEIGHT_STD, WEIGHT_LIMIT = 0.01, 0.03


class Normality(NamedTuple):
    """error (B, T) in [0, 1]: how badly a step is rebuilt. nearest (B, T) in [0, 2]: cosine distance to the nearest
    prototype. chosen (B, T) bool: the steps that made the prototypes."""

    error: torch.Tensor
    nearest: torch.Tensor
    chosen: torch.Tensor


class NormalityModel(nn.Module):
    """Prototypes of what is normal in a video, and a decoder that rebuilds its features from nothing else."""

    def __init__(self, width: int, prototypes: int = 16, heads: int = 8, blocks: int = 8) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(prototypes, width))
        self.gather = GatherBlock(width, heads)
        self.bottleneck = QuickMlp(width, MLP_RATIO * width)
        self.decoder = nn.ModuleList(PrototypeBlock(width, heads) for _ in range(blocks))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=WEIGHT_STD, a=-WEIGHT_LIMIT, b=WEIGHT_LIMIT)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: torch.Tensor, chosen: torch.Tensor) -> Normality:
        """features (B, T, D), chosen (B, T) bool: the steps taken for normal."""
        normal = self.gather(self.prototypes, features, chosen)
        x = self.bottleneck(features)
        for block in self.decoder:
            x = block(x, normal)
        return Normality(rebuild_error(features, x), nearest_prototype(features, normal), chosen)


class GatherBlock(nn.Module):
    """Learned prototypes look at a video's normal steps and become its own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.norm_mlp = nn.LayerNorm(width, eps=EPS), nn.LayerNorm(width, eps=EPS)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.mlp = gelu_mlp(width)

    def forward(self, prototypes: torch.Tensor, features: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """(K, D), (B, T, D), (B, T) bool -> (B, K, D)."""
        # A block of padding alone chooses nothing, and a softmax over nothing is not a number.
        keys = (chosen | ~chosen.any(1, keepdim=True))[:, None, None, :]
        q = split(self.query(self.norm(prototypes)).expand(len(features), -1, -1), self.heads)
        k, v = (split(part, self.heads) for part in self.key_value(self.norm(features)).chunk(2, -1))
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=keys)
        found = prototypes + self.out(joined(seen))
        return found + self.mlp(self.norm_mlp(found))  # type: ignore[no-any-return]


class PrototypeBlock(nn.Module):
    """A decoder block without a residual around its attention: what comes out is made of prototypes."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.norm_mlp = nn.LayerNorm(width, eps=EPS), nn.LayerNorm(width, eps=EPS)
        self.attention = PrototypeAttention(width, heads)
        self.mlp = gelu_mlp(width)

    def forward(self, x: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        """(B, T, D), (B, K, D) -> (B, T, D)."""
        x = self.attention(self.norm(x), self.norm(prototypes))
        return x + self.mlp(self.norm_mlp(x))  # type: ignore[no-any-return]


class PrototypeAttention(nn.Module):
    """Cosines of queries and keys, times a learned scale a head; those below zero count for nothing (ReLU, no
    softmax)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.scale = nn.Parameter(torch.ones(heads, 1, 1))
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
        """(B, T, D), (B, K, D) -> (B, T, D)."""
        q = F.normalize(split(self.query(x), self.heads), dim=-1, eps=EPS)
        k, v = (split(part, self.heads) for part in self.key_value(prototypes).chunk(2, -1))
        weights = F.relu(self.scale * (q @ F.normalize(k, dim=-1, eps=EPS).transpose(2, 3)))
        out: torch.Tensor = self.out(joined(weights @ v))
        return out


def gelu_mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, MLP_RATIO * width), nn.GELU(), nn.Linear(MLP_RATIO * width, width))


def split(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(B, T, D) -> (B, heads, T, D / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def joined(x: torch.Tensor) -> torch.Tensor:
    """The way back: (B, heads, T, d) -> (B, T, heads * d)."""
    return x.transpose(1, 2).flatten(2)


def lowest(logits: torch.Tensor, mask: torch.Tensor, count: torch.Tensor) -> torch.Tensor:
    """The `count` (B,) real steps of a video with the lowest logits (B, T): (B, T) bool; the earlier one where they
    are equal."""
    order = logits.detach().masked_fill(~mask, float("inf")).argsort(dim=1, stable=True)
    rank = order.argsort(dim=1)
    return (rank < count.unsqueeze(1)) & mask


def rebuild_error(features: torch.Tensor, rebuilt: torch.Tensor) -> torch.Tensor:
    """Halved cosine distance, (B, T, D) twice -> (B, T) in [0, 1]."""
    unit, other = F.normalize(features, dim=-1, eps=EPS), F.normalize(rebuilt, dim=-1, eps=EPS)
    return ((1 - (unit * other).sum(-1)) / 2).clamp(0, 1)


def nearest_prototype(features: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """Cosine distance of features (B, T, D) to the nearest of prototypes (B, K, D): (B, T)."""
    unit, other = F.normalize(features, dim=-1, eps=EPS), F.normalize(prototypes, dim=-1, eps=EPS)
    return 1 - (unit @ other.transpose(1, 2)).amax(-1)


def gather_loss(nearest: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Mean distance of the chosen steps to their prototypes, each video alike; both (B, T)."""
    return masked_mean(nearest, chosen).mean()


def consistency_loss(scores: torch.Tensor, error: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of scores and errors over real steps, each video alike; all (B, T)."""
    return masked_mean((scores - error).square(), mask).mean()
