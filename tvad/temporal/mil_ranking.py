"""MilRanking: deep MIL ranking (Sultani, Chen and Shah, CVPR 2018, sections 3.1 to 3.3).

Three layers score every segment for itself; the best segment of an anomalous video must score above the best of a
normal one. Differs from the paper: every anomalous video is compared with every normal one of the batch, means stand
for the published sums, padded steps are left out, and there may be any number of segments. Here, too: how snippets
become segments and how scores get back to frames. Next: tvad/temporal/clip_tsa.py
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.base import SNIPPET, HeadOutput, Losses, TemporalHead, anomalous, check_input, check_labels
from tvad.temporal.mil import masked_max, pairs

SEGMENTS = 32
RULES = ("floor", "round")


@dataclass(frozen=True)
class MilRankingConfig:
    """width: D. hidden, small: of the two hidden layers. unit: vectors are brought to length 1 first, as the published
    segments are. margin: of the hinge. smooth, sparse: weights of the two regularisers. decay: weight of the squared
    layer weights, the published 1e-3 in a loss that is a mean over 30 videos."""

    width: int
    hidden: int = 512
    small: int = 32
    dropout: float = 0.6
    unit: bool = True
    margin: float = 1.0
    smooth: float = 8e-5
    sparse: float = 8e-5
    decay: float = 1e-3 / 30

    def __post_init__(self) -> None:
        for name in ("width", "hidden", "small"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must be in [0, 1)")
        if not self.margin > 0:
            raise ValueError(f"margin is {self.margin}; it must be above 0")
        for name in ("smooth", "sparse", "decay"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or more")


class MilRanking(TemporalHead):
    """Scores of steps that see nothing of each other. Knows no classes."""

    def __init__(self, config: MilRankingConfig) -> None:
        super().__init__()
        self.config = config
        # No activation after the second layer: so it is published, and so it is trained.
        self.layers = nn.Sequential(
            nn.Linear(config.width, config.hidden),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, config.small),
            nn.Dropout(config.dropout),
            nn.Linear(config.small, 1),
        )
        for layer in self._linear():
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> HeadOutput:
        """x (B, T, D): segments as in the paper, or snippets. text and y are not used."""
        check_input(x, mask, self.config.width)
        x = x.masked_fill(~mask.unsqueeze(-1), 0.0)
        logits = self.layers(F.normalize(x, dim=-1) if self.config.unit else x).squeeze(-1)
        return HeadOutput(logits.masked_fill(~mask, 0.0), logits.sigmoid().masked_fill(~mask, 0.0))

    def loss(self, out: HeadOutput, y: torch.Tensor, mask: torch.Tensor, pseudo: torch.Tensor | None = None) -> Losses:
        """ranking, smooth, sparse and decay without their weights, and total with them. y (B, C + 1) for any C."""
        check_labels(y, len(mask), y.shape[-1])
        config, scores, odd = self.config, out.scores.float(), anomalous(y)
        best = masked_max(scores, mask)
        losses = {
            "ranking": pairs(best[odd > 0], best[odd == 0], config.margin),
            "smooth": weighted_mean(smoothness(scores, mask), odd),
            "sparse": weighted_mean(scores.masked_fill(~mask, 0.0).sum(1), odd),
            "decay": torch.stack([layer.weight.float().square().sum() for layer in self._linear()]).sum(),
        }
        kept = losses["smooth"] * config.smooth + losses["sparse"] * config.sparse + losses["decay"] * config.decay
        losses["total"] = losses["ranking"] + kept
        return losses

    def _linear(self) -> list[nn.Linear]:
        return [layer for layer in self.layers if isinstance(layer, nn.Linear)]


def smoothness(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Sum of squared differences of neighbours that are both real: (B, T) -> (B,)."""
    real = mask[:, 1:] & mask[:, :-1]
    return scores.diff(dim=1).masked_fill(~real, 0.0).square().sum(1)


def weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean of (B,) values by (B,) weights of 0 or 1; 0 where all weights are 0."""
    return (values * weights).sum() / weights.sum().clamp(min=1)


def edges(steps: int, count: int = SEGMENTS, rule: str = "floor") -> torch.Tensor:
    """Where segments begin, (count + 1,) int64 in [0, steps]: segment j is [edges[j], edges[j + 1]), and where that is
    empty the snippet edges[j] alone. "floor" leaves nothing out. "round" is the published rule: halves are rounded up,
    and a last snippet is in no segment. ValueError for less than one snippet or segment, or another rule."""
    if steps < 1 or count < 1:
        raise ValueError(f"{steps} snippets in {count} segments; both must be at least 1")
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}; choose one of {list(RULES)}")
    at = torch.arange(count + 1)
    # Whole numbers: a quotient of floats may fall just below the one it stands for.
    return at * steps // count if rule == "floor" else (2 * at * (steps - 1) + count) // (2 * count)


def _owners(bounds: torch.Tensor, steps: int) -> torch.Tensor:
    """Segment of each snippet, (steps,); `count` for one that is in no segment."""
    return torch.searchsorted(bounds, torch.arange(steps, device=bounds.device), right=True) - 1


def segments(x: torch.Tensor, count: int = SEGMENTS, rule: str = "floor") -> torch.Tensor:
    """Means of snippets, segment by segment: (n, D) -> (count, D); see `edges`. Segments are not brought to length 1
    here; the head does that, so that snippets are treated the same."""
    bounds = edges(len(x), count, rule).to(x.device)
    owners = _owners(bounds, len(x))
    total = x.new_zeros(count + 1, *x.shape[1:]).index_add(0, owners, x)[:count]
    sizes = torch.bincount(owners, minlength=count + 1)[:count].reshape(-1, *[1] * (x.ndim - 1))
    return torch.where(sizes > 0, total / sizes.clamp(min=1), x[bounds[:count]])


def paint(scores: torch.Tensor, steps: int, rule: str = "floor") -> torch.Tensor:
    """Scores of segments (count,) on the snippets they were made of, (steps,). What is in no segment has the score of
    the last one."""
    bounds = edges(steps, len(scores), rule).to(scores.device)
    return scores[_owners(bounds, steps).clamp(max=len(scores) - 1)]


def to_frames(scores: torch.Tensor, frames: int) -> torch.Tensor:
    """Scores of snippets (n,) on frames (frames,): each 16 times, cut at the end of the video, the last one held where
    the video is longer."""
    return scores[(torch.arange(frames, device=scores.device) // SNIPPET).clamp(max=len(scores) - 1)]
