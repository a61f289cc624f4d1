"""DSANet (AAAI 2026): VadCLIP's two branches, taught to know normal from anomalous twice more.

    head = DsaNet(DsaNetConfig.ucf_crime(), AdaptedClip(clip, tokenizer, names))

"normality" (SG-NM, normality.py): what a video's own normal prototypes cannot rebuild should score high. "alignment"
(DCSA): the video's event should lie near its class text, and the rest of it near "normal". Both teach only: scores
come from the two branches, class probabilities from both together. Next: tvad/temporal/refinevad.py
"""

from dataclasses import dataclass
from typing import Any, Self

import torch

from tvad.temporal.base import EPS, HeadOutput, Losses, TemporalHead, anomalous, check_input, check_labels
from tvad.temporal.lgt import from_blocks, to_blocks
from tvad.temporal.mil import k_share
from tvad.temporal.normality import Normality, NormalityModel, consistency_loss, gather_loss, lowest
from tvad.temporal.text import TextTower
from tvad.temporal.vadclip import (
    DualBranch,
    DualConfig,
    Seen,
    alignment,
    class_loss,
    fuse,
    scored,
    text_loss,
    video_loss,
)

NORMALITY, ALIGNMENT = "normality", "alignment"
BACKGROUND = 0.01  # weight of each anomalous class in what a background should look like


@dataclass(frozen=True)
class DsaNetConfig(DualConfig):
    """parts: of ("normality", "alignment"), the paper's ablation; () leaves the branches alone. class_weight: of the
    class loss, 1.1 for UCF-Crime and 5 for XD-Violence; 1 without "normality", as published. context_weight: of the
    loss that holds normal and anomalous texts apart.

    rho: share of a video's steps taken for normal; rho_abnormal: the same for anomalous videos in training, None = rho
    (not in the paper). prototypes, normality_heads, normality_blocks: sizes of SG-NM. curve: False leaves SG-NM out
    in eval(), with its losses; no score changes. sharpness: how far a score tells event and background apart.
    smoothing: of the labels of "alignment". tau: softens class probabilities, 5 for UCF-Crime, 1 for XD-Violence."""

    parts: tuple[str, ...] = (NORMALITY, ALIGNMENT)
    class_weight: float = 1.1
    context_weight: float = 1.0
    rho: float = 0.8
    rho_abnormal: float | None = None
    prototypes: int = 16
    normality_heads: int = 8
    normality_blocks: int = 8
    curve: bool = True
    sharpness: float = 10.0
    smoothing: float = 0.1
    tau: float = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not set(self.parts) <= {NORMALITY, ALIGNMENT}:
            raise ValueError(f"parts is {self.parts}; choose of {[NORMALITY, ALIGNMENT]}")
        for name in ("class_weight", "context_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")
        for name in ("rho", "rho_abnormal"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise ValueError(f"{name} is {share}; it must be in (0, 1]")
        for name in ("prototypes", "normality_heads", "normality_blocks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if NORMALITY in self.parts and self.width % self.normality_heads:
            raise ValueError(
                f"width is {self.width}; it must be a multiple of normality_heads ({self.normality_heads})"
            )
        for name in ("sharpness", "tau"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing is {self.smoothing}; it must be in [0, 1)")

    @classmethod
    def ucf_crime(cls, **changes: Any) -> Self:
        """As published for UCF-Crime; changes: fields to set otherwise."""
        return cls(**changes)

    @classmethod
    def xd_violence(cls, **changes: Any) -> Self:
        """As published for XD-Violence."""
        given: dict[str, Any] = {"window": 64, "layers": 1, "classes": 7, "class_weight": 5.0, "tau": 1.0}
        return cls(**(given | changes))


class DsaNet(TemporalHead):
    """DSANet. aux: "seen", what the branches saw; "normality", None without that part; "error" (B, T) in [0, 1], how
    unusual a snippet is in its video, zero on padding, where there is a normality."""

    def __init__(self, config: DsaNetConfig, text: TextTower | None = None) -> None:
        """text: AdaptedClip in the paper; the losses take any."""
        super().__init__()
        self.config = config
        self.branches = DualBranch(config, text)
        if NORMALITY in config.parts:
            sizes = config.prototypes, config.normality_heads, config.normality_blocks
            self.normality = NormalityModel(config.width, *sizes)

    def groups(self) -> list[dict[str, Any]]:
        """Trainable parameters for one AdamW, SG-NM apart from the rest: weight decay 1e-4 and 0.01 as published."""
        apart = [p for n, p in self.named_parameters() if n.startswith("normality.") and p.requires_grad]
        rest = [p for n, p in self.named_parameters() if not n.startswith("normality.") and p.requires_grad]
        found = [{"params": rest, "weight_decay": 0.01, "name": "branches"}]
        return [*found, {"params": apart, "weight_decay": 1e-4, "name": NORMALITY}] if apart else found

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> HeadOutput:
        """y: tells anomalous videos apart where rho_abnormal is set, in training only."""
        check_input(x, mask, self.config.width)
        steps = mask.shape[1]
        seen: Seen = self.branches(x, mask, text)
        assert seen.fine is not None  # a branch with texts
        coarse, fine = seen.coarse[:, :steps], seen.fine[:, :steps]
        aux: dict[str, Any] = {"seen": seen, NORMALITY: None}
        if NORMALITY in self.config.parts and (self.training or self.config.curve):
            found = aux[NORMALITY] = self._normality(seen, y)
            aux["error"] = found.error[:, :steps].masked_fill(~mask, 0.0)
        return scored(coarse, fine, fuse(coarse, fine, self.config.tau), mask, aux)

    def _normality(self, seen: Seen, y: torch.Tensor | None) -> Normality:
        """Blocks have prototypes of their own, as they have a visual prompt."""
        batch, whole = seen.mask.shape
        length = min(self.config.length, whole)
        features, logits, mask = (to_blocks(v, length) for v in (seen.features, seen.coarse, seen.mask))
        if self.config.pad_mode == "reference":
            mask = torch.ones_like(mask)  # the published code chooses among padded steps too
        count = k_share(mask.sum(1), self.config.rho)
        if self.training and y is not None and self.config.rho_abnormal is not None:
            count = torch.where(y[:, 0] == 1, count, k_share(mask.sum(1), self.config.rho_abnormal))
        found = self.normality(features, lowest(logits, mask, count))
        return Normality(*(from_blocks(v, batch, whole) for v in found))

    def loss(self, out: HeadOutput, y: torch.Tensor, mask: torch.Tensor, pseudo: torch.Tensor | None = None) -> Losses:
        """bce + class_weight * nce + context_weight * cts, and of the parts event + background, consistency +
        gather."""
        config = self.config
        check_labels(y, len(mask), config.classes)
        seen: Seen = out.aux["seen"]
        found: Normality | None = out.aux[NORMALITY]
        assert seen.fine is not None and seen.text is not None
        scores = seen.coarse.sigmoid()
        losses = {
            "bce": video_loss(scores, seen.mask, anomalous(y)),
            "nce": class_loss(seen.fine, seen.mask, y),
            "cts": text_loss(seen.text),
        }
        weight = config.class_weight if NORMALITY in config.parts else 1.0
        total = losses["bce"] + weight * losses["nce"] + config.context_weight * losses["cts"]
        extra: Losses = {}
        if ALIGNMENT in config.parts:
            extra |= self._alignment(seen, scores, y)
        if found is not None:
            extra["consistency"] = consistency_loss(scores, found.error, seen.mask)
            extra["gather"] = gather_loss(found.nearest, found.chosen)
        return losses | extra | {"total": total + sum(extra.values())}

    def _alignment(self, seen: Seen, scores: torch.Tensor, y: torch.Tensor) -> Losses:
        config = self.config
        assert seen.text is not None
        mask = seen.mask if config.pad_mode == "masked" else torch.ones_like(seen.mask)
        both = torch.stack(event_background(seen.features, scores, mask, config.sharpness), 1)  # (B, 2, D)
        logits = alignment(both, seen.text, config.temperature)
        away = background_target(config.classes, config.smoothing).to(logits)
        return {
            "event": soft_cross_entropy(logits[:, 0], event_target(y, config.smoothing)),
            "background": soft_cross_entropy(logits[:, 1], away),
        }


def time_weights(scores: torch.Tensor, mask: torch.Tensor, sharpness: float) -> torch.Tensor:
    """(B, T) that sum to 1 over real steps: exp(sharpness * score) - 1; scores (B, T) in [0, 1]. All zero where every
    score is."""
    weights = torch.expm1(sharpness * scores) * mask
    return weights / weights.sum(1, keepdim=True).clamp(min=EPS)


def event_background(
    features: torch.Tensor, scores: torch.Tensor, mask: torch.Tensor, sharpness: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """A video's event and its background, (B, D) each: means of features (B, T, D) weighted by scores and by 1 -
    scores."""
    event, background = (time_weights(s, mask, sharpness) for s in (scores, 1 - scores))
    return (event.unsqueeze(1) @ features).squeeze(1), (background.unsqueeze(1) @ features).squeeze(1)


def event_target(y: torch.Tensor, smoothing: float) -> torch.Tensor:
    """Smoothed class probabilities (B, C + 1) of labels (B, C + 1); a normal video's event is "normal"."""
    return (1 - smoothing) * y / y.sum(1, keepdim=True) + smoothing / y.shape[1]


def background_target(classes: int, smoothing: float) -> torch.Tensor:
    """(classes,): what every video's background should be, nearly all of it normal."""
    row = torch.full((classes,), BACKGROUND)
    row[0] = 1.0
    return (1 - smoothing) * row / row.sum() + smoothing / classes


def soft_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of logits (B, C + 1) and probabilities (B, C + 1) or (C + 1,)."""
    return -(target * logits.log_softmax(-1)).sum(-1).mean()
