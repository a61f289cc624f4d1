"""What a temporal head is: features, mask and class texts in, scores out; and a loss from video labels alone.

    head = Head(Config(width=512, classes=14), text)
    out = head(x, mask)                      x (B, T, D) float32, mask (B, T) bool, True = a real snippet
    losses = head.loss(out, y, mask)         y (B, C + 1) multi-hot, class 0 = normal; "total" is what is minimised

Nothing depends on the place in a batch, and nothing of a padded step reaches a real one, a loss or a gradient, but in
the modes that are named after the published code. Next: tvad/temporal/mil.py
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from tvad.temporal.constants import SNIPPET as SNIPPET

EPS = 1e-8

Losses = dict[str, torch.Tensor]


@dataclass(frozen=True)
class HeadOutput:
    """logits (B, T), scores (B, T) in [0, 1], zero on padding. class_logits, class_probs (B, T, C + 1), rows of real
    steps sum to 1, class 0 = normal; None where a head knows no classes. aux: what its loss needs."""

    logits: torch.Tensor
    scores: torch.Tensor
    class_logits: torch.Tensor | None = None
    class_probs: torch.Tensor | None = None
    aux: dict[str, Any] = field(default_factory=dict)


class TemporalHead(nn.Module):
    """Base of all heads. classes: C + 1, or 1 for heads without classes."""

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> HeadOutput:
        """text (C + 1, d) instead of the head's own class texts. y (B, C + 1): labels, for the heads that use them
        while they are trained; without meaning in eval()."""
        raise NotImplementedError

    def loss(self, out: HeadOutput, y: torch.Tensor, mask: torch.Tensor, pseudo: torch.Tensor | None = None) -> Losses:
        """Scalars by name, with "total". pseudo (B, T) in [0, 1]: pseudo labels of snippets, for the head that learns
        from them."""
        raise NotImplementedError


def check_input(x: torch.Tensor, mask: torch.Tensor, width: int) -> None:
    """ValueError for shapes that are not (B, T, width) and (B, T), and for rows without a single real step."""
    if x.ndim != 3 or x.shape[2] != width or mask.shape != x.shape[:2] or mask.dtype != torch.bool:
        raise ValueError(
            f"features {tuple(x.shape)} and mask {tuple(mask.shape)} {mask.dtype}; "
            f"expected (B, T, {width}) and (B, T) bool"
        )
    if not bool(mask.any(1).all()):
        raise ValueError("a video without any snippet; leave it out of the batch")


def check_labels(y: torch.Tensor, batch: int, classes: int) -> None:
    """ValueError for labels that are not (batch, classes) of 0 and 1, with at least one 1 a row, and normal alone."""
    if y.shape != (batch, classes):
        raise ValueError(f"labels {tuple(y.shape)}; expected ({batch}, {classes})")
    if not bool(((y == 0) | (y == 1)).all()) or not bool((y.sum(1) >= 1).all()):
        raise ValueError("labels are 0 or 1, and at least one class of each video is 1")
    if bool(((y[:, 0] == 1) & (y.sum(1) > 1)).any()):
        raise ValueError("a video is labelled normal and anomalous at once")


def anomalous(y: torch.Tensor) -> torch.Tensor:
    """(B,) float: 1 where a video is not normal. y (B, C + 1)."""
    return 1.0 - y[:, 0].float()
