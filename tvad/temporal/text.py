"""Class texts: what a head compares snippets with. A text tower is a module without input that gives (C + 1, d).

Towers are frozen; what is learned of a text (contexts, adapters) belongs to the heads of the papers that have it.
Next: tvad/temporal/typed.py
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import nn


class TextTower(Protocol):
    """A module whose call gives the texts of its classes. names: of the classes, "normal" first. width: d."""

    names: tuple[str, ...]
    width: int

    def __call__(self) -> torch.Tensor: ...


class FixedText(nn.Module):
    """Embeddings that were made before: MiniLM in `mini`, or any frozen encoder's."""

    def __init__(self, names: Sequence[str], embeddings: torch.Tensor) -> None:
        """embeddings (C + 1, d), a row for each name; ValueError otherwise."""
        super().__init__()
        if embeddings.ndim != 2 or len(embeddings) != len(names) or not len(names):
            raise ValueError(
                f"embeddings {tuple(embeddings.shape)} for {len(names)} names; expected a row for each name"
            )
        self.names = tuple(names)
        self.width = int(embeddings.shape[1])
        self.register_buffer("embeddings", embeddings.detach().float().clone())

    def forward(self) -> torch.Tensor:
        out: torch.Tensor = self.embeddings  # type: ignore[assignment]
        return out


def random_text(names: Sequence[str], width: int, seed: int = 0) -> FixedText:
    """Unit vectors drawn at random: classes that mean nothing, for tests and for runs without any text encoder."""
    dice = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(names), width, generator=dice)
    return FixedText(names, nn.functional.normalize(rows, dim=1))
