"""Reading: which numbers of a snippet's features a head gets, each brought to mean 0 and deviation 1 of its training.

    head = ReadingHead(Reading(ReadingConfig(445, columns=((417, 445),), project=128)), VadClip(...))
    head.reading.learn(rows)                 rows (n, 445), of the videos that it is trained on

Published heads read CLIP's vectors as they are. Features whose numbers are of different kinds and sizes (those of the
preset `mini`: looks in hundredths, movement in units) need this first, or the large ones drown the rest. Ours.
Next: tvad/temporal/registry.py
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from tvad.temporal.base import HeadOutput, Losses, TemporalHead, check_input

LEAST = 1e-3  # deviations below it count as this: a number that never changes tells nothing


@dataclass(frozen=True)
class ReadingConfig:
    """width: of the features. columns: stretches (start, end) of them that are read, () for all. clip: deviations a
    number counts as at most. project: width of a learned linear map after that, 0 for none."""

    width: int
    columns: tuple[tuple[int, int], ...] = ()
    clip: float = 5.0
    project: int = 0

    def __post_init__(self) -> None:
        if bad := [c for c in self.columns if len(c) != 2 or not 0 <= c[0] < c[1] <= self.width]:
            raise ValueError(f"columns {bad[0]}; expected (start, end) with 0 <= start < end <= {self.width}")
        if not self.clip > 0 or self.project < 0:
            raise ValueError(f"clip is {self.clip}, project is {self.project}; above 0, at least 0")

    @property
    def read(self) -> list[int]:
        """Numbers of the columns that are read."""
        if not self.columns:
            return list(range(self.width))
        return [n for start, end in self.columns for n in range(start, end)]

    @property
    def out(self) -> int:
        """Width of what a head gets."""
        return self.project or len(self.read)


class Reading(nn.Module):
    """(B, T, width) to (B, T, config.out), zero on padding."""

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, config: ReadingConfig) -> None:
        super().__init__()
        self.config = config
        count = len(config.read)
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("deviation", torch.ones(count))
        self.map = nn.Linear(count, config.project) if config.project else None

    def learn(self, rows: np.ndarray) -> None:
        """Means and deviations of rows (n, width) of training videos. ValueError for another width, or no row."""
        if rows.ndim != 2 or rows.shape[1] != self.config.width or not len(rows):
            raise ValueError(f"features {rows.shape}; expected rows of {self.config.width} numbers")
        read = np.asarray(rows[:, self.config.read], np.float64)
        self.mean.copy_(torch.from_numpy(read.mean(0)))
        self.deviation.copy_(torch.from_numpy(np.maximum(read.std(0), LEAST)))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        read = x[..., self.config.read] if self.config.columns else x
        out = ((read - self.mean) / self.deviation).clamp(-self.config.clip, self.config.clip)
        out = self.map(out) if self.map is not None else out
        return torch.where(mask[..., None], out, 0.0)


class ReadingHead(TemporalHead):
    """A head behind a reading; `config` is the head's, `width` that of the features."""

    def __init__(self, reading: Reading, head: TemporalHead) -> None:
        """ValueError where the head does not read what the reading gives."""
        super().__init__()
        if head.config.width != reading.config.out:  # type: ignore[union-attr]
            raise ValueError(
                f"the head reads {head.config.width} numbers; its reading gives {reading.config.out}"  # type: ignore[union-attr]
            )
        self.reading, self.head = reading, head

    @property
    def config(self) -> Any:
        return self.head.config

    def groups(self) -> list[dict[str, Any]] | None:
        """Of the optimizer, for heads that have some of their own (DSANet); None for the others."""
        own = getattr(self.head, "groups", None)
        if own is None:
            return None
        mapped = list(self.reading.parameters())
        return [*own(), {"params": mapped}] if mapped else own()  # type: ignore[no-any-return]

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> HeadOutput:
        check_input(x, mask, self.reading.config.width)
        return self.head(self.reading(x, mask), mask, text=text, y=y)  # type: ignore[no-any-return]

    def loss(self, out: HeadOutput, y: torch.Tensor, mask: torch.Tensor, pseudo: torch.Tensor | None = None) -> Losses:
        return self.head.loss(out, y, mask, pseudo)


def width_of(head: TemporalHead) -> int:
    """Of the features that a head takes."""
    config: Any = head.reading.config if isinstance(head, ReadingHead) else head.config
    return int(config.width)


def inner(head: TemporalHead) -> TemporalHead:
    """The head itself, behind its reading."""
    return head.head if isinstance(head, ReadingHead) else head
