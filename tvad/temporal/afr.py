"""AFR (2025 preprint): CMSIL (ICME 2024) with two attention modules in its temporal pyramid, learned from video labels
and from pseudo labels of snippets.

    head = Afr(AfrConfig.ucf_crime(width=1024))
    losses = head.loss(head(x, mask), y, mask, pseudo)       pseudo (B, T): `pseudo_labels` of each video

Differs from the paper: terms are weighted with log(1 + β²), which cannot fail for β below -1 (`balance="seed"` has the
paper's form); the gates begin open; normal and anomalous videos are paired each with each, since nothing may depend on
the order of a batch; a video of n snippets has no level after its first one of a single step. It knows no classes.
Next: tvad/temporal/pyramid.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.attention_gates import MaskedConv, Scam, SmallObjectAttention, StepGate, blank
from tvad.temporal.base import EPS, SNIPPET, HeadOutput, Losses, TemporalHead, anomalous, check_input, check_labels
from tvad.temporal.mil import k_tenth, masked_mean, top_k
from tvad.temporal.pseudo_labels import THRESHOLD
from tvad.temporal.pyramid import Level, Pyramid

# CMSIL's own gate; SCAM alone; with one half of small-object attention; with all of it.
GATES = ("se", "scam", "scam+channel", "scam+space", "afr")
BALANCES = ("square", "seed", "reference")
TERMS = ("cls", "pseudo", "triplet")
SHARES = (0.2, 0.3)  # of snippets that the triplet takes: anomalous, normal
SPREAD = 0.1  # while it is trained they are drawn this far to both sides
LOGIT_EPS = 1e-6  # float32 knows nothing between 1 - 1e-8 and 1
PRIOR = 0.01  # of a snippet to be anomalous, before anything is learned
BETA_SQUARE = 1e-2  # least β²: a term that is zero for long would otherwise draw an endless weight


@dataclass(frozen=True)
class AfrConfig:
    """width: D of the features, 1024 for I3D. hidden: C. levels: at most. convs, stem: convolutions and full blocks
    before the levels. reach: steps that attention looks to each side. gates: one of GATES; "scam" is AFR without
    small-object attention. residual: gates add to what they get. threshold: pseudo labels above it are positive.
    divisor: a video's score is the mean of its ceil(n / divisor) best. balance: one of BALANCES; "reference" weighs
    as the published code of CMSIL does: β fixed at 1 and the triplet left out of the sum.

    Defaults are those of UCF-Crime.
    """

    width: int
    hidden: int = 1024
    levels: int = 5
    convs: int = 1
    stem: int = 2
    heads: int = 4
    reach: int = 4
    gates: str = "afr"
    reduction: int = 4
    residual: bool = False
    threshold: float = THRESHOLD
    focal_alpha: float = 0.2
    focal_gamma: float = 1.0
    divisor: int = 10
    margin: float = 1.0
    balance: str = "square"

    def __post_init__(self) -> None:
        for name in ("width", "hidden", "levels", "convs", "heads", "reach", "reduction", "divisor"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("stem", "focal_gamma", "margin"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        for name in ("threshold", "focal_alpha"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be in [0, 1]")
        if self.hidden % self.heads:
            raise ValueError(f"hidden is {self.hidden}; it must be a multiple of heads, {self.heads}")
        if self.reduction > self.hidden:
            raise ValueError(f"reduction is {self.reduction}; it must be at most hidden, {self.hidden}")
        if self.gates not in GATES:
            raise ValueError(f"gates is {self.gates!r}; choose one of {list(GATES)}")
        if self.balance not in BALANCES:
            raise ValueError(f"balance is {self.balance!r}; choose one of {list(BALANCES)}")

    @classmethod
    def ucf_crime(cls, width: int = 1024, **others: Any) -> "AfrConfig":
        return cls(width, **others)

    @classmethod
    def xd_violence(cls, width: int = 1024, **others: Any) -> "AfrConfig":
        return cls(width, **({"convs": 2, "stem": 1, "heads": 8, "focal_alpha": 0.4, "focal_gamma": 2.5} | others))


class Neck(nn.Module):
    """LayerNorm and gates of one level."""

    def __init__(self, config: AfrConfig) -> None:
        super().__init__()
        width, reduction, residual = config.hidden, config.reduction, config.residual
        self.norm = nn.LayerNorm(width)
        self.gates = nn.ModuleList()
        if config.gates == "se":
            self.gates.append(StepGate(width, reduction))
            return
        self.gates.append(Scam(width, 1, reduction, residual))
        channel, space = config.gates in ("afr", "scam+channel"), config.gates in ("afr", "scam+space")
        if channel or space:
            self.gates.append(SmallObjectAttention(width, 1, reduction, residual, channel=channel, space=space))

    def forward(self, level: Level) -> Level:
        x = blank(self.norm(level.features), level.mask)
        for gate in self.gates:
            x = gate(x, level.mask)
        return Level(x, level.mask)


class SnippetScorer(nn.Module):
    """Three convolutions of 3 steps, (B, T_i, C) -> logits (B, T_i), the same for all levels; at the start all scores
    are near PRIOR."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(MaskedConv(width, width) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.last = MaskedConv(width, 1)
        nn.init.constant_(self.last.conv.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, level: Level) -> torch.Tensor:
        x = level.features
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x, level.mask)))
        out: torch.Tensor = self.last(x, level.mask)
        return out.squeeze(-1)


class Afr(TemporalHead):
    """aux of the output: "levels" as list of `Level` after the gates, "level_logits" list of (B, T_i)."""

    classes = 1

    def __init__(self, config: AfrConfig) -> None:
        super().__init__()
        self.config = config
        c = config
        self.pyramid = Pyramid(c.width, c.hidden, c.levels, c.convs, c.stem, c.heads, c.reach)
        self.necks = nn.ModuleList(Neck(c) for _ in range(c.levels))
        self.scorer = SnippetScorer(c.hidden)
        # softplus of it is 1 for "seed".
        start = math.log(math.e - 1) if c.balance == "seed" else 1.0
        self.beta = nn.Parameter(torch.full((len(TERMS),), start), requires_grad=c.balance != "reference")

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> HeadOutput:
        """x (B, T, width), padding after the real steps. Scores are the mean of the levels', spread linearly over
        snippets; logits are the logits of that mean. text and y are not used. ValueError for padding in between."""
        check_input(x, mask, self.config.width)
        if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError("a real step after a padded one; padding stands at the end of a video")
        found = self.pyramid(blank(x, mask), mask)
        levels = [neck(level) for neck, level in zip(self.necks, found, strict=False)]
        aux = {"levels": levels, "level_logits": [self.scorer(level).float() for level in levels]}
        scores = _mean_of_levels(aux, mask, 1)
        near = scores.clamp(LOGIT_EPS, 1 - LOGIT_EPS)
        return HeadOutput(near.log() - (1 - near).log(), scores, aux=aux)

    def frame_scores(self, out: HeadOutput, mask: torch.Tensor) -> torch.Tensor:
        """(B, 16 · T) in [0, 1], zero on padding: the levels spread over frames instead of snippets. Crops of a video
        are rows of the batch; their mean is the caller's."""
        return _mean_of_levels(out.aux, mask, SNIPPET)

    def betas(self) -> torch.Tensor:
        """β of TERMS, (3,)."""
        return F.softplus(self.beta) if self.config.balance == "seed" else self.beta

    def loss(self, out: HeadOutput, y: torch.Tensor, mask: torch.Tensor, pseudo: torch.Tensor | None = None) -> Losses:
        """cls, pseudo, triplet and total, which weighs them by their β.

        With pseudo=None the pseudo-label and triplet terms are left out, and their β with them; so are, with pseudo
        (B, T) in [0, 1], "pseudo" of a batch without anomalous videos and "triplet" of one that lacks either kind.
        In train() the triplet takes random shares of snippets, from torch's generator; in eval() fixed ones.
        ValueError for labels or pseudo labels of other shapes or ranges.
        """
        check_labels(y, len(mask), y.shape[-1])
        sick = anomalous(y) > 0
        levels, logits = out.aux["levels"], out.aux["level_logits"]
        terms: Losses = {"cls": self._cls(levels, logits, sick)}
        if pseudo is not None and bool(sick.any()):
            targets = level_maxima(_checked(pseudo, mask), len(levels))
            terms["pseudo"] = self._pseudo(levels, logits, targets, sick)
            if not bool(sick.all()):
                terms["triplet"] = self._triplet(levels, logits, targets, sick)
        summed = [n for n in TERMS if n in terms and (n != "triplet" or self.config.balance != "reference")]
        beta = self.betas()[[TERMS.index(n) for n in summed]]
        return terms | {"total": balanced(torch.stack([terms[n] for n in summed]), beta, self.config.balance)}

    def _cls(self, levels: Sequence[Level], logits: Sequence[torch.Tensor], sick: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of the videos' scores."""
        p = video_scores([v.sigmoid() for v in logits], [level.mask for level in levels], self.config.divisor)
        # A video has one score, not one logit: it is a mean of means.
        return -torch.where(sick, (p + EPS).log(), (1 - p + EPS).log()).mean()

    def _pseudo(
        self,
        levels: Sequence[Level],
        logits: Sequence[torch.Tensor],
        targets: Sequence[torch.Tensor],
        sick: torch.Tensor,
    ) -> torch.Tensor:
        """Mean focal loss over the real steps of all levels of anomalous videos."""
        real = [level.mask & sick[:, None] for level in levels]
        said = torch.cat([v[r] for v, r in zip(logits, real, strict=True)])
        told = torch.cat([v[r] for v, r in zip(targets, real, strict=True)]) > self.config.threshold
        return focal(said, told.to(said), self.config.focal_alpha, self.config.focal_gamma).mean()

    def _triplet(
        self,
        levels: Sequence[Level],
        logits: Sequence[torch.Tensor],
        targets: Sequence[torch.Tensor],
        sick: torch.Tensor,
    ) -> torch.Tensor:
        """Mean over the levels that an anomalous and a normal video have."""
        shares = torch.tensor(SHARES)
        if self.training:
            shares = shares + SPREAD * (2 * torch.rand(2) - 1)
        parts = []
        for level, score, target in zip(levels, logits, targets, strict=True):
            there = level.mask.any(1)
            a, n = there & sick, there & ~sick
            if bool(a.any()) and bool(n.any()):
                k_a, k_n = (share_count(level.mask[rows], float(u)) for rows, u in ((a, shares[0]), (n, shares[1])))
                x, real = level.features.float(), level.mask
                anchor = mean_direction(x[a], best_steps(score[a], real[a], k_a))
                positive = mean_direction(x[a], best_steps(target[a], real[a], k_a))
                negative = mean_direction(x[n], best_steps(score[n], real[n], k_n))
                parts.append(triplet(anchor, positive, negative, self.config.margin))
        return torch.stack(parts).mean()


def balanced(losses: torch.Tensor, beta: torch.Tensor, form: str = "square") -> torch.Tensor:
    """Σ L / β² + Σ log(1 + β²) of (J,) losses and β ("square"); + Σ log(1 + β) for β > 0, the paper's ("seed");
    Σ L / 2β² + Σ log(1 + β²), CMSIL's code ("reference"). β² counts as at least BETA_SQUARE."""
    square = beta.square().clamp(min=BETA_SQUARE)
    weighted = (losses / square).sum() * (0.5 if form == "reference" else 1.0)
    return weighted + (beta.log1p() if form == "seed" else square.log1p()).sum()


def focal(logits: torch.Tensor, targets: torch.Tensor, alpha: float, gamma: float) -> torch.Tensor:
    """-α_t (1 - p_t)^γ log p_t, element by element; α_t = α where the target is 1, else 1 - α."""
    # From logits: log p_t is exact where p_t itself is rounded to 0 or 1.
    cross = F.softplus(torch.where(targets > 0, -logits, logits))
    weight = torch.where(targets > 0, alpha, 1 - alpha)
    return weight * (-torch.expm1(-cross)).clamp(min=EPS).pow(gamma) * cross


def triplet(anchor: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, margin: float = 1.0) -> torch.Tensor:
    """Mean of max(0, margin + |a - p| - |a - n|) over pairs: anchor, positive (A, C), each with all negative (N, C)."""
    near = (anchor - positive).norm(dim=-1)
    far = (anchor[:, None] - negative[None]).norm(dim=-1)
    return (margin + near[:, None] - far).clamp(min=0).mean()


def level_maxima(pseudo: torch.Tensor, levels: int) -> list[torch.Tensor]:
    """N_i = max-pooled pseudo labels of each level: (B, T), zero on padding -> (B, ceil(T / 2^i)), i from 0."""
    out = [pseudo]
    while len(out) < levels:
        out.append(F.max_pool1d(out[-1].unsqueeze(1), 2, 2, ceil_mode=True).squeeze(1))
    return out


def video_scores(scores: Sequence[torch.Tensor], masks: Sequence[torch.Tensor], divisor: int) -> torch.Tensor:
    """Mean over a video's levels of the mean of its ceil(n_i / divisor) best scores: (B, T_i) each -> (B,)."""
    there = torch.stack([mask.any(1) for mask in masks])
    best = torch.stack([top_k(s, m, k_tenth(m.sum(1), divisor)) for s, m in zip(scores, masks, strict=True)])
    return best.masked_fill(~there, 0.0).sum(0) / there.sum(0)


def share_count(mask: torch.Tensor, share: float) -> int:
    """ceil(mean length · share) of (B, T), at least 1."""
    # A hair less, or 10 · 0.3 would be 4.
    return max(1, math.ceil(float(mask.sum()) / len(mask) * share - 1e-6))


def best_steps(values: torch.Tensor, mask: torch.Tensor, k: int) -> torch.Tensor:
    """(B, T) bool: the k real steps with the largest values, all of a video that has fewer; of equals, the first."""
    order = values.detach().masked_fill(~mask, float("-inf")).sort(dim=1, descending=True, stable=True).indices
    chosen = torch.zeros_like(mask).scatter(1, order[:, :k], True)
    return chosen & mask


def mean_direction(x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Mean feature of the chosen steps, of length 1: (B, T, C), (B, T) bool -> (B, C)."""
    return F.normalize(masked_mean(x, chosen), dim=-1)


def spread(values: torch.Tensor, counts: torch.Tensor, factor: int, length: int) -> torch.Tensor:
    """Linear interpolation of a level: (B, T_i), of which counts (B,) are real -> (B, length), `factor` places a step.

    A value stands in the middle of its step; before the first and after the last real one it holds, so padding is not
    looked at.
    """
    last = (counts - 1).clamp(min=0)[:, None]
    place = (torch.arange(length, device=values.device, dtype=values.dtype) + 0.5) / factor - 0.5
    place = torch.minimum(place.clamp(min=0)[None], last.to(values))
    low = place.long()
    high = torch.minimum(low + 1, last)
    return torch.lerp(values.gather(1, low), values.gather(1, high), place - low)


def _mean_of_levels(aux: dict[str, Any], mask: torch.Tensor, unit: int) -> torch.Tensor:
    """Scores with `unit` places a snippet: (B, unit · T)."""
    total = torch.zeros(len(mask), unit * mask.shape[1], device=mask.device)
    there = torch.zeros(len(mask), 1, device=mask.device)
    for i, (level, logits) in enumerate(zip(aux["levels"], aux["level_logits"], strict=True)):
        counts = level.mask.sum(1)
        has = (counts > 0).to(total)[:, None]
        total = total + has * spread(logits.sigmoid(), counts, unit * 2**i, total.shape[1])
        there = there + has
    return (total / there).masked_fill(~mask.repeat_interleave(unit, 1), 0.0)


def _checked(pseudo: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Pseudo labels, float32, zero on padding; ValueError for what they cannot be."""
    if pseudo.shape != mask.shape:
        raise ValueError(f"pseudo labels {tuple(pseudo.shape)}; expected {tuple(mask.shape)}, one a snippet")
    out = pseudo.detach().float().masked_fill(~mask, 0.0)
    if not bool(((out >= 0) & (out <= 1)).all()):
        raise ValueError(f"pseudo labels from {float(out.min()):.3g} to {float(out.max()):.3g}; expected [0, 1]")
    return out
