"""CORE, the category part of RefineVAD (AAAI 2026): what kinds of anomaly a video may hold, as soft weights of learned
prototypes, and snippets that are refined by them.

Letters: B videos, T snippets, D channels, C kinds of anomaly. Differs from the paper: its cross-attention takes one
query and cannot give a vector for each snippet; here the snippets ask and the prototypes answer.
Next: tvad/temporal/finevad.py
"""

from typing import NamedTuple

import torch
from torch import nn

from tvad.temporal.base import check_labels
from tvad.temporal.mil import masked_softmax
from tvad.temporal.motar import Attention

INJECTIONS = ("segment_query", "pooled", "none")
GAMMA = 0.1  # the share of the pooled vector at the start


class CoreOutput(NamedTuple):
    """segments (B, T, D); logits (B, C, 2), of a kind's absence and presence in the video; weights (B, C), which sum to
    1; embedding (B, D), the weighted prototypes without the labels'."""

    segments: torch.Tensor
    logits: torch.Tensor
    weights: torch.Tensor
    embedding: torch.Tensor


def category_weights(present: torch.Tensor, tau: float) -> torch.Tensor:
    """softmax(p / tau) over kinds, (B, C). Probabilities lie in [0, 1], so tau = 1 gives the first of 13 kinds 0.18 at
    most."""
    return (present / tau).softmax(-1)


def label_embedding(prototypes: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean prototype of a video's own kinds, zero for a normal one: (C, D) and labels (B, C + 1) -> (B, D)."""
    kinds = y[:, 1:].to(prototypes)
    return kinds @ prototypes / kinds.sum(1, keepdim=True).clamp(min=1)


class Core(nn.Module):
    """(B, T, D) -> CoreOutput."""

    def __init__(
        self, width: int, categories: int, injection: str, heads: int, tau: float, label_prob: float, hidden: int
    ) -> None:
        """injection: one of INJECTIONS. "segment_query": each snippet asks the C + 1 tokens; "pooled": the embedding
        asks the snippets, one answer is added to all; "none": the video is classified, the snippets stay as they are.
        label_prob in [0, 1]: how often a training video's own prototype is added to its embedding (1: as published)."""
        super().__init__()
        self.injection, self.tau, self.label_prob = injection, tau, label_prob
        self.importance = nn.Linear(width, 1)
        self.classifier = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, 2 * categories))
        self.prototypes = nn.Parameter(0.02 * torch.randn(categories, width))
        self.norm = nn.LayerNorm(width)
        if injection != "none":
            self.attention = Attention(width, heads)
        if injection == "segment_query":
            self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        if injection == "pooled":
            self.gamma = nn.Parameter(torch.tensor(GAMMA))

    def forward(self, x: torch.Tensor, mask: torch.Tensor, y: torch.Tensor | None = None) -> CoreOutput:
        """y (B, C + 1): labels, needed in training and not looked at in eval()."""
        share = masked_softmax(self.importance(x).squeeze(-1), mask)
        whole = (share[..., None] * x).sum(1)  # (B, D)
        logits = self.classifier(whole).unflatten(-1, (-1, 2))
        weights = category_weights(logits.softmax(-1)[..., 1], self.tau)
        embedding = weights @ self.prototypes
        told = embedding + self.labels(y, len(x)) if self.training and self.label_prob > 0 else embedding
        return CoreOutput(self.inject(x, mask, told, weights), logits, weights, embedding)

    def labels(self, y: torch.Tensor | None, batch: int) -> torch.Tensor:
        """What labels add to the embedding, (B, D). ValueError without labels."""
        if y is None:
            raise ValueError("no labels; in training RefineVAD adds the prototype of the label: give y, or call eval()")
        check_labels(y, batch, len(self.prototypes) + 1)
        told = torch.rand(batch, 1, device=self.prototypes.device) < self.label_prob
        return label_embedding(self.prototypes, y) * told

    def inject(self, x: torch.Tensor, mask: torch.Tensor, v: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Snippets (B, T, D) refined by the embedding v (B, D) and the weights (B, C)."""
        if self.injection == "segment_query":
            # C times, or the tokens of many kinds would be small.
            own = weights.shape[1] * weights[..., None] * self.prototypes  # (B, C, D)
            x = self.norm(x + self.attention(x, torch.cat([v[:, None], own], 1)))
            x = x + self.mlp(x)
        elif self.injection == "pooled":
            x = self.norm(x + self.gamma * self.attention(v[:, None], x, mask))
        else:
            x = self.norm(x)
        return x
