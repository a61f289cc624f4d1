"""ClipTsa: snippets weighted by a differentiable top-k, then features learned by their length (Joo et al., ICIP 2023).

Scores of snippets are disturbed by noise many times; how often a snippet is among the kappa best is its weight. The
multi-scale network of mtn.py follows, and a classifier. Differs from the published code: padding is masked throughout,
the answer of eval() does not depend on chance, videos are paired by label, and regularisers are taken video by video
(`flatten_reg=True` for the published ones, which read across the videos of a batch). Next: tvad/temporal/mtn.py
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.base import HeadOutput, Losses, TemporalHead, anomalous, check_input, check_labels
from tvad.temporal.mil import k_share
from tvad.temporal.mil_ranking import smoothness, weighted_mean
from tvad.temporal.mtn import NORMS, Mtn, start_xavier

TSA_EVAL = ("fixed", "hard")
PUBLISHED_BATCH = 16  # anomalous videos in a batch, for which the published weights were chosen
NOISE_BLOCK = 64  # steps


@dataclass(frozen=True)
class ClipTsaConfig:
    """width: D. squeeze: sizes of the two layers before everything else, (1024, 512) for I3D and C3D features; None for
    CLIP's. scorer: of the hidden layer that scores snippets.

    share: kappa / T, published 0.95 (UCF-Crime), 0.90 (XD-Violence), 0.01 (ShanghaiTech). cap: greatest kappa in
    eval(). samples, sigma: number and deviation of the disturbances. centred: gradients of weights less their mean,
    which has the same expectation and less variance. tsa_eval: weights in eval(), from noise that is always the same
    ("fixed", drawn with `seed`) or from none ("hard").

    branch, inner: channels in the multi-scale network. norm: "bn" or "ln". hidden: of the classifier. picked: snippets
    that stand for a video. margin: length that features of anomalous videos are to have. magnitude, smooth, sparse:
    weights of losses; flatten_reg: see `regularisers`.
    """

    width: int
    squeeze: tuple[int, int] | None = None
    scorer: int = 256
    share: float = 0.95
    cap: int = 1000
    samples: int = 100
    sigma: float = 0.05
    centred: bool = False
    tsa_eval: str = "fixed"
    seed: int = 0
    branch: int = 128
    inner: int = 64
    norm: str = "bn"
    hidden: tuple[int, int] = (128, 32)
    dropout: float = 0.7
    picked: int = 3
    margin: float = 100.0
    magnitude: float = 1e-4
    smooth: float = 8e-4
    sparse: float = 8e-3
    flatten_reg: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "scorer", "cap", "samples", "branch", "inner", "picked"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("squeeze", "hidden"):
            sizes = getattr(self, name)
            if sizes is not None and (len(sizes) != 2 or min(sizes) < 1):
                raise ValueError(f"{name} is {sizes}; it must be two sizes of at least 1")
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}; it must be in (0, 1]")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it must be in [0, 1)")
        for name in ("sigma", "margin"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        for name in ("magnitude", "smooth", "sparse"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        for name, allowed in (("norm", NORMS), ("tsa_eval", TSA_EVAL)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {list(allowed)}")

    @property
    def features(self) -> int:
        """F, width after `squeeze`."""
        return self.squeeze[1] if self.squeeze else self.width


class ClipTsa(TemporalHead):
    """Scores from weighted, multi-scale features. Knows no classes."""

    def __init__(self, config: ClipTsaConfig) -> None:
        super().__init__()
        self.config = config
        size, (first, second) = config.features, config.hidden
        self.squeeze: nn.Module = nn.Identity()
        if config.squeeze:
            wide = config.squeeze[0]
            self.squeeze = nn.Sequential(nn.Linear(config.width, wide), nn.ReLU(), nn.Linear(wide, size), nn.Sigmoid())
        self.weights = SnippetWeights(config)
        self.mtn = Mtn(size, config.branch, config.inner, config.norm)
        self.drop = nn.Dropout(config.dropout)
        self.classifier = nn.Sequential(
            nn.Linear(size, first),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Dropout(config.dropout),
            nn.Linear(second, 1),
        )
        self.apply(start_xavier)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> HeadOutput:
        """x (B, T, D), or (B, K, T, D) for K crops of each frame, whose scores are averaged. text and y are not used.
        aux: video (B,) score, features (B, K, F) of the picked snippets, magnitude (B, T), picked (B, T) 0 or 1 and
        weights (B, K, T) in [0, 1]."""
        crops = x.unsqueeze(1) if x.ndim == 3 else x
        check_input(crops[:, 0], mask, self.config.width)
        shape = crops.shape[:3]
        real = mask.repeat_interleave(shape[1], 0)
        flat = self.squeeze(crops.flatten(0, 1).masked_fill(~real.unsqueeze(-1), 0.0))
        weights = self.weights(flat, real)
        flat = flat * weights.unsqueeze(-1).to(flat)  # zero on padding, too
        features = self.drop(self.mtn(flat.transpose(1, 2), real).transpose(1, 2))
        raw = self.classifier(features).squeeze(-1).reshape(shape)
        scores = raw.sigmoid().mean(1).masked_fill(~mask, 0.0)
        logits = raw[:, 0] if shape[1] == 1 else torch.logit(scores, 1e-6)
        aux = {"weights": weights.reshape(shape), **self._picked(features.reshape(*shape, -1), scores, mask)}
        return HeadOutput(logits.masked_fill(~mask, 0.0), scores, aux=aux)

    def _picked(self, features: torch.Tensor, scores: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Mean score and feature of the snippets with the longest features, the same ones for all crops. While it is
        trained most of them are kept out of the choice at random, or always the same few would learn."""
        magnitude = features.norm(dim=-1).mean(1)
        ranked = F.dropout(magnitude.detach(), self.config.dropout, self.training)
        count = mask.sum(1).clamp(max=self.config.picked)
        picked = best(ranked.masked_fill(~mask, -math.inf), count)
        return {
            "video": (scores * picked).sum(1) / count,
            "features": torch.einsum("bktf,bt->bkf", features, picked) / count[:, None, None],
            "magnitude": magnitude,
            "picked": picked,
        }

    def loss(self, out: HeadOutput, y: torch.Tensor, mask: torch.Tensor, pseudo: torch.Tensor | None = None) -> Losses:
        """classification, magnitude, smooth and sparse without their weights, and total with them. y (B, C + 1) for
        any C."""
        check_labels(y, len(mask), y.shape[-1])
        config, odd = self.config, anomalous(y)
        lengths = out.aux["features"].float().norm(dim=-1)
        smooth, sparse, more, much = regularisers(out.scores.float(), odd, mask, config.flatten_reg)
        losses = {
            "classification": F.binary_cross_entropy(out.aux["video"].float(), odd),
            "magnitude": magnitudes(lengths[odd > 0], lengths[odd == 0], config.margin),
            "smooth": smooth,
            "sparse": sparse,
        }
        kept = config.smooth * more * smooth + config.sparse * much * sparse
        losses["total"] = losses["classification"] + config.magnitude * losses["magnitude"] + kept
        return losses


def magnitudes(of_anomalous: torch.Tensor, of_normal: torch.Tensor, margin: float) -> torch.Tensor:
    """Mean over all pairs of (|margin - a| + n)^2; feature lengths (A, K) and (N, K), a crop paired with the same crop.
    0 where one kind is missing."""
    if not len(of_anomalous) or not len(of_normal):
        return (of_anomalous.sum() + of_normal.sum()) * 0.0
    return ((margin - of_anomalous).abs()[:, None] + of_normal[None, :]).square().mean()


def regularisers(
    scores: torch.Tensor, odd: torch.Tensor, mask: torch.Tensor, flatten: bool
) -> tuple[torch.Tensor, torch.Tensor, float, float]:
    """Smoothness and sparsity of anomalous videos, and what their published weights are multiplied by.

    Each video for itself, and their mean, with weights that give the published size at 16 anomalous videos. flatten:
    all steps of all anomalous videos are one vector, as published: a jump from one video to the next counts, and both
    grow with the batch."""
    if flatten:
        row = scores[(odd > 0)[:, None] & mask]
        return row.diff().square().sum(), row.norm(), 1.0, 1.0
    sparse = scores.masked_fill(~mask, 0.0).norm(dim=1)
    more, much = float(PUBLISHED_BATCH), math.sqrt(PUBLISHED_BATCH)
    return weighted_mean(smoothness(scores, mask), odd), weighted_mean(sparse, odd), more, much


class SnippetWeights(nn.Module):
    """Temporal self-attention of the paper: (B, T, F) -> weights (B, T) in [0, 1] that sum to kappa, 0 on padding."""

    def __init__(self, config: ClipTsaConfig) -> None:
        super().__init__()
        self.config = config
        self.scorer = nn.Sequential(nn.Linear(config.features, config.scorer), nn.ReLU(), nn.Linear(config.scorer, 1))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        config = self.config
        u = self.scorer(x).squeeze(-1).float().sigmoid().masked_fill(~mask, -math.inf)
        kappa = k_share(mask.sum(1), config.share)
        if self.training:
            noise = torch.randn(len(x), config.samples, x.shape[1], device=x.device)
        else:
            kappa = kappa.clamp(max=config.cap)
            if config.tsa_eval == "hard":
                return best(u.detach(), kappa)
            noise = fixed_noise(config.samples, x.shape[1], config.seed).to(x.device)[None]
        return perturbed_top_k(u, kappa, noise, config.sigma, config.centred)


def fixed_noise(samples: int, steps: int, seed: int) -> torch.Tensor:
    """(samples, steps) of standard normal numbers, always the same; a longer row begins as a shorter one does."""
    # In blocks, each of its own seed: how many numbers are drawn at once changes the numbers.
    blocks = range(-(-steps // NOISE_BLOCK))
    drawn = [torch.randn(samples, NOISE_BLOCK, generator=torch.Generator().manual_seed(seed + n)) for n in blocks]
    return torch.cat(drawn, 1)[:, :steps]


def best(values: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """1 for the k largest along the last axis, else 0: (..., T) with k (...) -> (..., T). Of equals the first ones."""
    order = values.argsort(dim=-1, descending=True, stable=True)
    wanted = torch.arange(values.shape[-1], device=values.device) < k.unsqueeze(-1)
    return torch.zeros_like(values).scatter(-1, order, wanted.to(values).expand_as(values))


def perturbed_top_k(
    u: torch.Tensor, k: torch.Tensor, noise: torch.Tensor, sigma: float, centred: bool = False
) -> torch.Tensor:
    """How often each step is among the k largest of u + sigma * noise: u (B, T), -inf on padding, k (B,), noise
    (B or 1, N, T) -> (B, T) in [0, 1], rows sum to k.

    It is the sum over the k ordered one-hot rows of Cordonnier et al. (CVPR 2021), without making them. Its gradient is
    the score-function estimate of Berthet et al. (NeurIPS 2020); centred: see ClipTsaConfig."""
    out: torch.Tensor = _PerturbedTopK.apply(u, k, noise, sigma, centred)
    return out


class _PerturbedTopK(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, u: torch.Tensor, k: torch.Tensor, noise: torch.Tensor, sigma: float, centred: bool
    ) -> torch.Tensor:
        among = best(u.unsqueeze(1) + sigma * noise, k.unsqueeze(1).expand(-1, noise.shape[1]))
        ctx.save_for_backward(among, noise.expand_as(among), u > -math.inf)
        ctx.sigma, ctx.centred = sigma, centred
        return among.mean(1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        among, noise, real = ctx.saved_tensors
        if ctx.centred:
            grad = grad - (grad * real).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        gain = torch.einsum("bnt,bt->bn", among, grad)
        found = torch.einsum("bn,bnt->bt", gain, noise) / (among.shape[1] * ctx.sigma)
        return found.masked_fill(~real, 0.0), None, None, None, None
