"""RefineVAD (AAAI 2026): motion shifts channels between snippets (MoTAR), prototypes of categories refine them (CORE).

    L = L_MIL + 0.1 L_GMM + 0.2 L_cat        published: UCF-Crime AUC 88.92, XD-Violence AP 88.66

Features are [visual; caption] embeddings of a snippet, projected and normalised first. Videos are read whole, however
long. Recipe: AdamW, 32 normal and 32 anomalous videos, rate 1e-4, decay 1e-2, 3 % warm-up then a cosine, gradients
clipped at 1, at most 30 epochs.
Differs from the paper, which leaves much open: the shift gate is trained straight-through, since its floor has no
gradient; the weights of categories are sharper; snippets ask in the cross-attention; the smoothing term is our reading.
Next: tvad/temporal/motar.py
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.base import EPS, HeadOutput, Losses, TemporalHead, anomalous, check_input, check_labels
from tvad.temporal.core import INJECTIONS, Core, CoreOutput
from tvad.temporal.mil import k_sixteenth, masked_max, masked_mean, pairs, top_k
from tvad.temporal.motar import GATES, Motar


@dataclass(frozen=True)
class RefineVadConfig:
    """width: of the features, visual and caption together. classes: C + 1. hidden: D, which fold_div divides into the
    largest shift; gate_tau: of the straight-through gradient. layers, heads, dropout: of the light transformer.

    motar, core: False leaves the part out (ablation); without CORE there are no class probabilities, and every video is
    smoothed with one width. motar_gate, core_attn: see motar.GATES and core.INJECTIONS. category_tau: 0.1 ours, 1.0 as
    published. gt_inject_prob: how often labels are added in training. peaks, spacing: of the smoothing, snippets.
    gmm_weight, category_weight, mil_bce: of the terms; mil_bce makes scores calibrated, 0 as published.
    """

    width: int
    classes: int = 14
    hidden: int = 512
    motar: bool = True
    motar_gate: str = "ste"
    fold_div: int = 8
    gate_tau: float = 1.0
    gate_hidden: int = 64
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    core: bool = True
    core_attn: str = "segment_query"
    category_tau: float = 0.1
    category_hidden: int = 256
    gt_inject_prob: float = 1.0
    score_hidden: int = 128
    peaks: int = 3
    spacing: int = 2
    gmm_weight: float = 0.1
    category_weight: float = 0.2
    mil_bce: float = 0.0

    def __post_init__(self) -> None:
        least = {"width": 1, "classes": 2, "hidden": 1, "gate_hidden": 1, "layers": 0, "heads": 1, "peaks": 1}
        least |= {"category_hidden": 1, "score_hidden": 1, "spacing": 1, "fold_div": 2}
        least |= {"gmm_weight": 0, "category_weight": 0, "mil_bce": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}")
        if self.hidden % self.heads:
            raise ValueError(f"hidden is {self.hidden}; it must be a multiple of heads, {self.heads}")
        for name, choices in (("motar_gate", GATES), ("core_attn", INJECTIONS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {list(choices)}")
        for name in ("gate_tau", "category_tau"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must be in [0, 1)")
        if not 0 <= self.gt_inject_prob <= 1:
            raise ValueError(f"gt_inject_prob is {self.gt_inject_prob}; it must be in [0, 1]")


class RefineVad(TemporalHead):
    """aux: core, a CoreOutput or None; ratio (B, T), the shift ratios, or None."""

    def __init__(self, config: RefineVadConfig) -> None:
        super().__init__()
        c = self.config = config
        self.project = nn.Sequential(nn.Linear(c.width, c.hidden), nn.LayerNorm(c.hidden))
        self.motar: Motar | None = None
        self.core: Core | None = None
        if c.motar:
            self.motar = Motar(
                c.hidden, c.motar_gate, c.fold_div, c.gate_tau, c.gate_hidden, c.layers, c.heads, c.dropout
            )
        if c.core:
            self.core = Core(
                c.hidden, c.classes - 1, c.core_attn, c.heads, c.category_tau, c.gt_inject_prob, c.category_hidden
            )
        self.score = nn.Sequential(nn.Linear(c.hidden, c.score_hidden), nn.GELU(), nn.Linear(c.score_hidden, 1))
        self.smoothing = BumpWidth(c.hidden if c.core else 0)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> HeadOutput:
        """text has no meaning: categories are learned prototypes. y is needed in training (with CORE)."""
        check_input(x, mask, self.config.width)
        seen = self.project(x.masked_fill(~mask[..., None], 0.0))
        found, ratio = None, None
        if self.motar is not None:
            seen, ratio = self.motar(seen, mask)
        if self.core is not None:
            found = self.core(seen, mask, y)
            seen = found.segments
        logits = self.score(seen).squeeze(-1).masked_fill(~mask, 0.0)
        scores = logits.sigmoid().masked_fill(~mask, 0.0)
        class_logits = None if found is None else class_log_probs(logits, found.logits)
        class_probs = None if class_logits is None else class_logits.exp()
        return HeadOutput(logits, scores, class_logits, class_probs, {"core": found, "ratio": ratio})

    def loss(self, out: HeadOutput, y: torch.Tensor, mask: torch.Tensor, pseudo: torch.Tensor | None = None) -> Losses:
        """mil, gmm, category (with CORE), bce (with mil_bce), total."""
        c = self.config
        check_labels(y, len(mask), c.classes)
        is_anomalous = anomalous(y)
        pooled = top_k(out.scores, mask, k_sixteenth(mask.sum(1)))
        found: CoreOutput | None = out.aux["core"]
        sigma = self.smoothing(found.embedding if found else out.scores[:, :0])
        smooth = smoothing_loss(out.scores, mask, sigma, c.peaks, c.spacing)
        losses = {
            "mil": pairs(pooled[is_anomalous > 0], pooled[is_anomalous == 0]),
            "gmm": (smooth * is_anomalous).sum() / is_anomalous.sum().clamp(min=1),
        }
        total = losses["mil"] + c.gmm_weight * losses["gmm"]
        if found is not None:
            losses["category"] = category_loss(found.logits, y)
            total = total + c.category_weight * losses["category"]
        if c.mil_bce:
            right = torch.where(is_anomalous > 0, pooled, 1 - pooled)
            losses["bce"] = -right.clamp(min=EPS).log().mean()
            total = total + c.mil_bce * losses["bce"]
        return losses | {"total": total}


def class_log_probs(logits: torch.Tensor, categories: torch.Tensor) -> torch.Tensor:
    """Log of [1 - s_t, s_t p_c / sum p]: the video's categories share the snippet's score. Scores' logits (B, T),
    categories (B, C, 2) -> (B, T, C + 1), rows of which are log probabilities."""
    present = categories.log_softmax(-1)[..., 1].log_softmax(-1)
    kinds = F.logsigmoid(logits)[..., None] + present[:, None]
    return torch.cat([F.logsigmoid(-logits)[..., None], kinds], -1)


def category_loss(categories: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy over videos and kinds of anomaly; all targets of a normal video are 0. categories
    (B, C, 2), y (B, C + 1)."""
    return F.cross_entropy(categories.flatten(0, 1), y[:, 1:].flatten().long())


class BumpWidth(nn.Module):
    """Width in snippets, above 1, of the bumps a video's scores should form: 1 + softplus(b + q . LN(v)), from the
    embedding v (B, D) of its categories, (B,). D = 0: one width for all."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.zeros(()))
        self.q = nn.Parameter(0.02 * torch.randn(width)) if width else None

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        if self.q is None:
            return (1 + F.softplus(self.b)).expand(len(v))
        return 1 + F.softplus(self.b + F.layer_norm(v, v.shape[-1:]) @ self.q)


def find_peaks(scores: torch.Tensor, mask: torch.Tensor, count: int, spacing: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Steps of the largest scores, each at least `spacing` from those before it: (B, count) steps, and (B, count) bool,
    which of them there are: a short video has room for fewer."""
    time = torch.arange(scores.shape[1], device=scores.device)
    free, steps, there = mask, [], []
    for _ in range(count):
        best = scores.masked_fill(~free, float("-inf")).argmax(1)
        steps.append(best)
        there.append(free.any(1))
        free = free & ((time - best[:, None]).abs() >= spacing)
    return torch.stack(steps, 1), torch.stack(there, 1)


def smoothing_loss(
    scores: torch.Tensor, mask: torch.Tensor, sigma: torch.Tensor, count: int, spacing: int
) -> torch.Tensor:
    """Mean square distance (B,) of scores (B, T) from a mixture of Gaussian bumps of width sigma (B,) on their own
    peaks, as high as the highest. Gradient reaches the scores, and sigma through the mixture; peaks have none."""
    steps, there = find_peaks(scores.detach(), mask, count, spacing)
    heights = scores.detach().gather(1, steps) * there
    shares = heights / heights.sum(1, keepdim=True).clamp(min=EPS)
    time = torch.arange(scores.shape[1], device=scores.device)
    away = (time - steps[..., None]) / sigma[:, None, None]  # (B, count, T)
    mixture = (shares[..., None] * torch.exp(-0.5 * away.square())).sum(1)
    mixture = mixture / masked_max(mixture, mask).clamp(min=EPS)[:, None]
    return masked_mean((scores - heights.amax(1, keepdim=True) * mixture).square(), mask)
