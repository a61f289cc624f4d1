"""VadCLIP (Wu et al., AAAI 2024): one branch scores snippets, the other compares them with class texts.

    head = VadClip(VadClipConfig.ucf_crime(), PromptedClip(clip, tokenizer, names))

Both branches stand on the local-global adapter (lgt.py). C-branch: a logit a snippet. A-branch: texts that saw the
video (a visual prompt, weighted by those logits) against its snippets. DSANet is built on the same two branches.
Next: tvad/temporal/lgt.py
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.base import EPS, HeadOutput, Losses, TemporalHead, anomalous, check_input, check_labels
from tvad.temporal.lgt import MLP_RATIO, LgtAdapter, LgtConfig, QuickMlp, from_blocks, on_real, to_blocks
from tvad.temporal.mil import k_sixteenth, top_k
from tvad.temporal.text import TextTower

COARSE, FINE, FUSED = "coarse", "fine", "fused"


@dataclass(frozen=True)
class DualConfig(LgtConfig):
    """The adapter's settings and: classes: C + 1, normal first. temperature: cosines are divided by it."""

    classes: int = 14
    temperature: float = 0.07

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes < 2:
            raise ValueError(f"classes is {self.classes}; it must be at least 2, normal and one more")
        if not self.temperature > 0:
            raise ValueError(f"temperature is {self.temperature}; it must be above 0")


@dataclass(frozen=True)
class VadClipConfig(DualConfig):
    """parts: ("coarse", "fine"), or ("coarse",) for the paper's ablation without class texts. context_weight: of the
    loss that holds normal and anomalous texts apart, 0.1 for UCF-Crime and 1e-4 for XD-Violence. detect: whose score
    a snippet gets, "coarse" (reported for UCF-Crime) or "fine" (XD-Violence). class_rule: "fine", the published one,
    or "fused", as DSANet does it, softened by tau."""

    parts: tuple[str, ...] = (COARSE, FINE)
    context_weight: float = 0.1
    detect: str = COARSE
    class_rule: str = FINE
    tau: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if tuple(self.parts) not in ((COARSE, FINE), (COARSE,)):
            raise ValueError(f"parts is {self.parts}; choose ('coarse', 'fine') or ('coarse',)")
        if self.context_weight < 0:
            raise ValueError(f"context_weight is {self.context_weight}; it must be at least 0")
        if self.detect not in self.parts:
            raise ValueError(f"detect is {self.detect!r}; choose one of parts, {list(self.parts)}")
        if self.class_rule not in (FINE, FUSED):
            raise ValueError(f"class_rule is {self.class_rule!r}; choose 'fine' or 'fused'")
        if not self.tau > 0:
            raise ValueError(f"tau is {self.tau}; it must be above 0")

    @classmethod
    def ucf_crime(cls, **changes: Any) -> Self:
        """As published for UCF-Crime; changes: fields to set otherwise."""
        return cls(**changes)

    @classmethod
    def xd_violence(cls, **changes: Any) -> Self:
        """As published for XD-Violence."""
        given: dict[str, Any] = {"window": 64, "layers": 1, "classes": 7, "context_weight": 1e-4, "detect": FINE}
        return cls(**(given | changes))


class Seen(NamedTuple):
    """What both branches make of a batch. T' = T, or more where the input was filled up to whole blocks.

    features (B, T', D); coarse (B, T') logits; fine (B, T', C + 1) logits and text (C + 1, D), before the visual
    prompt, None without an A-branch; mask (B, T')."""

    features: torch.Tensor
    coarse: torch.Tensor
    fine: torch.Tensor | None
    text: torch.Tensor | None
    mask: torch.Tensor


class DualBranch(nn.Module):
    """Adapter, C-branch and A-branch."""

    def __init__(self, config: DualConfig, text: TextTower | None, fine: bool = True) -> None:
        """text: its width may differ from the head's; then a linear map brings it there. None: texts come with each
        call. fine: with an A-branch."""
        super().__init__()
        width, hidden = config.width, MLP_RATIO * config.width
        self.config, self.fine = config, fine
        self.adapter = LgtAdapter(config)
        self.coarse_mlp, self.coarse_out = QuickMlp(width, hidden), nn.Linear(width, 1)
        if not fine:
            return
        if text is not None and len(text.names) != config.classes:
            raise ValueError(f"texts of {len(text.names)} classes; the head has {config.classes}")
        self.text: TextTower | None = text
        self.text_width = width if text is None else text.width
        same = self.text_width == width
        self.text_in: nn.Module = nn.Identity() if same else nn.Linear(self.text_width, width, bias=False)
        self.fine_mlp = QuickMlp(width, hidden)

    def forward(self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None) -> Seen:
        """Longer inputs are blocks of their own, each with its own visual prompt (eval() only)."""
        words = self.words(text) if self.fine else None
        if not self.adapter.needs_blocks(mask.shape[1]):
            return self._block(x, mask, words)
        length, batch = self.config.length, len(x)
        seen = self._block(to_blocks(x, length), to_blocks(mask, length), words)
        whole = -(-mask.shape[1] // length) * length
        features, coarse, there = (from_blocks(v, batch, whole) for v in (seen.features, seen.coarse, seen.mask))
        fine = None if seen.fine is None else from_blocks(seen.fine, batch, whole)
        return Seen(features, coarse, fine, words, there)

    def words(self, text: torch.Tensor | None) -> torch.Tensor:
        """(C + 1, D) of given texts, or the tower's."""
        if text is None and self.text is None:
            raise ValueError("no class texts: give the head a text tower, or each call a text")
        rows = self.text() if text is None else text  # type: ignore[misc]
        if rows.shape != (self.config.classes, self.text_width):
            raise ValueError(f"texts {tuple(rows.shape)}; expected ({self.config.classes}, {self.text_width})")
        out: torch.Tensor = self.text_in(rows.to(self.coarse_out.weight.dtype))
        return out

    def _block(self, x: torch.Tensor, mask: torch.Tensor, words: torch.Tensor | None) -> Seen:
        features = self.adapter(x, mask)
        real = self.adapter.real(mask)
        coarse = self.coarse_out(features + on_real(self.coarse_mlp, features, real)).squeeze(-1)
        if words is None:
            return Seen(features, coarse, None, None, mask)
        # Features of padding are zero in masked mode, so nothing of it is in the prompt.
        texts = words + visual_prompt(features, coarse).unsqueeze(1)
        texts = texts + self.fine_mlp(texts)
        return Seen(features, coarse, alignment(features, texts, self.config.temperature), words, mask)


class VadClip(TemporalHead):
    """VadCLIP. aux["seen"]: what the branches saw."""

    def __init__(self, config: VadClipConfig, text: TextTower | None = None) -> None:
        super().__init__()
        self.config = config
        self.branches = DualBranch(config, text, FINE in config.parts)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> HeadOutput:
        config, steps = self.config, mask.shape[1]
        check_input(x, mask, config.width)
        seen = self.branches(x, mask, text)
        coarse = seen.coarse[:, :steps]
        if seen.fine is None:
            return scored(coarse, None, None, mask, {"seen": seen})
        fine = seen.fine[:, :steps]
        probs = fine.softmax(-1) if config.class_rule == FINE else fuse(coarse, fine, config.tau)
        logits = coarse if config.detect == COARSE else abnormal_logit(fine)
        return scored(logits, fine, probs, mask, {"seen": seen})

    def loss(self, out: HeadOutput, y: torch.Tensor, mask: torch.Tensor, pseudo: torch.Tensor | None = None) -> Losses:
        """bce + nce + context_weight * cts; bce alone without an A-branch."""
        check_labels(y, len(mask), self.config.classes)
        seen: Seen = out.aux["seen"]
        bce = video_loss(seen.coarse.sigmoid(), seen.mask, anomalous(y))
        if seen.fine is None or seen.text is None:
            return {"bce": bce, "total": bce}
        nce, cts = class_loss(seen.fine, seen.mask, y), text_loss(seen.text)
        return {"bce": bce, "nce": nce, "cts": cts, "total": bce + nce + self.config.context_weight * cts}


def scored(
    logits: torch.Tensor,
    class_logits: torch.Tensor | None,
    class_probs: torch.Tensor | None,
    mask: torch.Tensor,
    aux: dict[str, Any],
) -> HeadOutput:
    """An output that is zero on padding; logits (B, T), class_logits and class_probs (B, T, C + 1)."""
    gone = ~mask
    wide = gone.unsqueeze(-1)
    return HeadOutput(
        logits.masked_fill(gone, 0.0),
        logits.sigmoid().masked_fill(gone, 0.0),
        None if class_logits is None else class_logits.masked_fill(wide, 0.0),
        None if class_probs is None else class_probs.masked_fill(wide, 0.0),
        aux,
    )


def visual_prompt(features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Sum of features (B, T, D) weighted by raw logits (B, T), made a unit vector: (B, D)."""
    return F.normalize((logits.unsqueeze(1) @ features).squeeze(1), dim=-1, eps=EPS)


def alignment(features: torch.Tensor, texts: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cosines of features (B, T, D) and texts (C + 1, D) or (B, C + 1, D), divided by the temperature."""
    unit = F.normalize(texts, dim=-1, eps=EPS)
    return F.normalize(features, dim=-1, eps=EPS) @ unit.transpose(-2, -1) / temperature


def abnormal_logit(class_logits: torch.Tensor) -> torch.Tensor:
    """(..., C + 1) -> (...): its sigmoid is 1 - softmax(class_logits)[normal]."""
    return class_logits[..., 1:].logsumexp(-1) - class_logits[..., 0]


def fuse(logits: torch.Tensor, class_logits: torch.Tensor, tau: float) -> torch.Tensor:
    """DSANet's class probabilities (..., C + 1): sigmoid(logits / tau) says how anomalous, and the class logits, over
    the anomalous classes alone, say what. logits (...), class_logits (..., C + 1)."""
    odds = logits.unsqueeze(-1) / tau
    kinds = (class_logits[..., 1:] / tau).softmax(-1)
    return torch.cat([torch.sigmoid(-odds), torch.sigmoid(odds) * kinds], -1)


def video_loss(scores: torch.Tensor, mask: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy of the mean of a video's floor(n / 16 + 1) best scores (B, T) in [0, 1]; wanted (B,)."""
    p = top_k(scores, mask, k_sixteenth(mask.sum(1)))
    return -(wanted * p.clamp(min=EPS).log() + (1 - wanted) * (1 - p).clamp(min=EPS).log()).mean()


def class_loss(class_logits: torch.Tensor, mask: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """MIL-Align: cross entropy of the means of each class's own best logits, (B, T, C + 1); y (B, C + 1) multi-hot
    counts its classes alike."""
    pooled = top_k(class_logits, mask, k_sixteenth(mask.sum(1)))
    share = y / y.sum(1, keepdim=True)
    return -(share * pooled.log_softmax(-1)).sum(1).mean()


def text_loss(text: torch.Tensor) -> torch.Tensor:
    """Mean |cosine| of the normal text, row 0 of (C + 1, D), and each anomalous one."""
    unit = F.normalize(text, dim=-1, eps=EPS)
    return (unit[1:] @ unit[0]).abs().mean()
