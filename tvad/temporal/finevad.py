"""Fine-VAD (CVPR 2026): a video is aligned with texts on three levels, each guided by what the one above it saw.

    coarse: normal, anomaly  ->  intermediate: normal, groups of classes  ->  fine: normal, classes
    L = L_bce (coarse) + 0.1 L_cts (coarse) + 1.0 L_refine (fine)

Published AVG mAP: 14.99 on UCF-Crime, 31.87 on XD-Violence. Stands on the local-global adapter of VadCLIP; a video
longer than the adapter's blocks is guided as a whole. Recipe: AdamW, rate 1e-5, a tenth after epochs 4 and 8 of 10,
decay 0.01, 32 normal and 32 anomalous videos.
Differs from the paper, which has no code: guidance is the alignment map's softmax over time applied to the video; the
refinement weighs classes inside the softmax, since the published formula weighs the right class alone; the contrastive
term and all weights are ours. Next: tvad/temporal/afr.py
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.base import HeadOutput, Losses, TemporalHead, anomalous, check_input, check_labels
from tvad.temporal.lgt import MLP_RATIO, LgtAdapter, LgtConfig, QuickMlp
from tvad.temporal.mil import k_sixteenth, masked_mean, masked_softmax, top_k
from tvad.temporal.motar import Attention
from tvad.temporal.text import TextTower
from tvad.temporal.vadclip import abnormal_logit, alignment, scored

LEVELS = ("coarse", "inter", "fine")
GUIDES = ("map", "mha")
REFINES = ("sibling", "literal")
DETECTS = ("mean", "fine", "coarse")


@dataclass(frozen=True)
class FineVadConfig:
    """width: of the features. classes: C + 1. levels: of LEVELS, those that there are (ablation); "fine" always is,
    and the terms of the coarse level go with it. macros: groups of classes; None is the root of C rounded up, 4 for
    UCF-Crime and 3 for XD-Violence.

    guide: one of GUIDES, guide_heads of "mha". refine: one of REFINES, with the weight omega of classes in the group
    of the right one. detect: whose score a snippet gets, the fine level's, the coarse one's, or their mean (the fine
    one's where there is no coarse level). temperature, cts_temperature: what cosines are divided by. cts_weight,
    refine_weight: of the terms. lgt: False leaves the adapter out (ablation); length, window, layers: of the adapter.
    """

    width: int
    classes: int = 14
    levels: tuple[str, ...] = LEVELS
    macros: int | None = None
    guide: str = "map"
    guide_heads: int = 4
    refine: str = "sibling"
    omega: float = 2.0
    detect: str = "mean"
    temperature: float = 0.07
    cts_temperature: float = 0.1
    cts_weight: float = 0.1
    refine_weight: float = 1.0
    lgt: bool = True
    length: int = 256
    window: int = 8
    layers: int = 2

    def __post_init__(self) -> None:
        least = {"width": 1, "classes": 2, "guide_heads": 1, "omega": 1, "cts_weight": 0, "refine_weight": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least {low}")
        if not set(self.levels) <= set(LEVELS) or "fine" not in self.levels:
            raise ValueError(f"levels is {self.levels}; choose of {list(LEVELS)}, 'fine' among them")
        for name, choices in (("guide", GUIDES), ("refine", REFINES), ("detect", DETECTS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {list(choices)}")
        if self.detect == "coarse" and "coarse" not in self.levels:
            raise ValueError(f"detect is 'coarse', which levels {self.levels} leave out; choose 'mean' or 'fine'")
        if not 1 <= self.groups < self.classes:
            raise ValueError(f"macros is {self.macros}; it must be from 1 to the anomalous classes, {self.classes - 1}")
        for name in ("temperature", "cts_temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")

    @property
    def groups(self) -> int:
        """K."""
        return math.ceil(math.sqrt(self.classes - 1)) if self.macros is None else self.macros

    @classmethod
    def ucf_crime(cls, **changes: Any) -> Self:
        """For UCF-Crime, with CLIP ViT-B/16 features; changes: fields to set otherwise."""
        return cls(**({"width": 512} | changes))

    @classmethod
    def xd_violence(cls, **changes: Any) -> Self:
        """For XD-Violence."""
        return cls(**({"width": 512, "classes": 7, "window": 64, "layers": 1} | changes))


class Seen(NamedTuple):
    """What the losses need: features (B, T, d), the text of any anomaly (d,), and the alignment maps: coarse (B, T, 2),
    inter (B, T, K + 1), None where the level is left out, and fine (B, T, C + 1)."""

    features: torch.Tensor
    anomaly: torch.Tensor
    coarse: torch.Tensor | None
    inter: torch.Tensor | None
    fine: torch.Tensor


class GuidedText(nn.Module):
    """Texts of one level, moved by what the level above saw in the video: e + W g(parent), then a residual MLP."""

    def __init__(self, width: int, above: int, guide: str, heads: int) -> None:
        """width: d of texts and features. above: texts of the level above, 0 for none."""
        super().__init__()
        self.above, self.guide = above, guide
        self.mlp = QuickMlp(width, MLP_RATIO * width)
        if above:
            self.lean = nn.Linear(width, width, bias=False)
        if above and guide == "mha":
            self.queries = nn.Linear(above, width)
            self.attention = Attention(width, heads)

    def forward(
        self, text: torch.Tensor, parents: torch.Tensor, features: torch.Tensor, mask: torch.Tensor, seen: Any
    ) -> torch.Tensor:
        """text (n, d); parents (n,): the row of each text's parent in the map `seen` (B, T, above) of the level above,
        None without one; features (B, T, d). (B, n, d)."""
        text = text.expand(len(features), -1, -1)
        if self.above:
            text = text + self.lean(self.guidance(seen, features, mask)[:, parents])
        return text + self.mlp(text)  # type: ignore[no-any-return]

    def guidance(self, seen: torch.Tensor, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(B, above, d). With "mha" all texts of the level above give the same."""
        if self.guide == "map":
            return map_guidance(seen, features, mask)
        asked = self.attention(self.queries(seen), features, mask)
        return masked_mean(asked, mask)[:, None].expand(-1, self.above, -1)


class FineVad(TemporalHead):
    """aux["seen"]: a Seen. macro (C,), kept with the weights: the group of each anomalous class."""

    macro: torch.Tensor

    def __init__(self, config: FineVadConfig, text: TextTower | None = None, plain: torch.Tensor | None = None) -> None:
        """text: of C + 1 classes, whose width is that of all levels; one more row, if there is one, is the text of any
        anomaly, which is else the mean of the anomalous classes. plain (C + 1, any width): the classes as K-means is to
        group them, by a frozen encoder without learned context; None: the tower's `plain` where it has one, else its
        own."""
        super().__init__()
        c = self.config = config
        if text is None:
            raise ValueError("no class texts; Fine-VAD groups and compares them: give text, a tower of its classes")
        if len(text.names) not in (c.classes, c.classes + 1):
            raise ValueError(
                f"texts of {len(text.names)} classes; expected {c.classes}, or one more: the text of any anomaly"
            )
        self.text, self.rows, d = text, len(text.names), text.width
        if c.guide == "mha" and d % c.guide_heads:
            raise ValueError(f"texts of width {d}; it must be a multiple of guide_heads, {c.guide_heads}")
        self.adapter: LgtAdapter | None = None
        if c.lgt:
            self.adapter = LgtAdapter(LgtConfig(width=c.width, length=c.length, window=c.window, layers=c.layers))
        self.project = nn.Linear(c.width, d)
        coarse = 2 if "coarse" in c.levels else 0
        self.inter = GuidedText(d, coarse, c.guide, c.guide_heads) if "inter" in c.levels else None
        self.fine = GuidedText(d, coarse if self.inter is None else c.groups + 1, c.guide, c.guide_heads)
        with torch.no_grad():
            own = getattr(text, "plain", text)  # a learned context is noise before it has learned
            rows = own() if plain is None else plain
        if rows.ndim != 2 or len(rows) < c.classes:
            raise ValueError(f"plain texts {tuple(rows.shape)}; expected a row for each of {c.classes} classes")
        self.register_buffer("macro", kmeans(F.normalize(rows[1 : c.classes].double(), dim=1), c.groups))

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> HeadOutput:
        """text: as many rows, of the same width, as the tower gives. Labels have no meaning here."""
        check_input(x, mask, self.config.width)
        x = x.masked_fill(~mask[..., None], 0.0)
        x = x if self.adapter is None else self.adapter(x, mask)
        seen = self.align(self.project(x).masked_fill(~mask[..., None], 0.0), mask, self.words(text))
        odds = []
        if self.config.detect != "coarse":
            odds.append(abnormal_logit(seen.fine))
        if self.config.detect != "fine" and seen.coarse is not None:
            odds.append(abnormal_logit(seen.coarse))
        return scored(mean_logit(torch.stack(odds)), seen.fine, seen.fine.softmax(-1), mask, {"seen": seen})

    def words(self, text: torch.Tensor | None) -> torch.Tensor:
        """Given texts, or the tower's, in the type of the weights."""
        rows = self.text() if text is None else text
        if rows.shape != (self.rows, self.text.width):
            raise ValueError(f"texts {tuple(rows.shape)}; expected ({self.rows}, {self.text.width})")
        return rows.to(self.project.weight)

    def align(self, f: torch.Tensor, mask: torch.Tensor, words: torch.Tensor) -> Seen:
        """All levels: features (B, T, d), texts (C + 1 or C + 2, d)."""
        c = self.config
        normal, kinds = words[:1], words[1 : c.classes]
        anomaly = words[-1] if len(words) > c.classes else kinds.mean(0)
        # Children of normal stay normal; any other has one parent in the coarse level, and its group in the next.
        of_coarse = torch.ones(c.classes, dtype=torch.long, device=f.device)
        of_coarse[0] = 0
        of_inter = F.pad(self.macro + 1, (1, 0))
        coarse, inter = None, None
        if "coarse" in c.levels:
            coarse = alignment(f, torch.cat([normal, anomaly[None]]), c.temperature)
        if self.inter is not None:
            groups = torch.cat([normal, centroids(kinds, self.macro, c.groups)])
            inter = alignment(f, self.inter(groups, of_coarse[: c.groups + 1], f, mask, coarse), c.temperature)
        above, parents = (coarse, of_coarse) if inter is None else (inter, of_inter)
        fine = alignment(f, self.fine(words[: c.classes], parents, f, mask, above), c.temperature)
        return Seen(f, anomaly, coarse, inter, fine)

    def loss(self, out: HeadOutput, y: torch.Tensor, mask: torch.Tensor, pseudo: torch.Tensor | None = None) -> Losses:
        """refine, and bce and cts with a coarse level; total."""
        c = self.config
        check_labels(y, len(mask), c.classes)
        seen: Seen = out.aux["seen"]
        k = k_sixteenth(mask.sum(1))
        refine = refine_loss(top_k(seen.fine, mask, k), y, same_group(self.macro), c.omega, c.refine)
        total = c.refine_weight * refine
        if seen.coarse is None:
            return {"refine": refine, "total": total}
        # Cross-entropy of two classes is the binary one of the second's probability.
        bce = F.cross_entropy(top_k(seen.coarse, mask, k), anomalous(y).long())
        evidence = abnormal_logit(seen.coarse).detach()
        cts = contrast(seen.features, evidence, mask, anomalous(y) > 0, seen.anomaly, c.cts_temperature)
        return {"bce": bce, "cts": cts, "refine": refine, "total": bce + c.cts_weight * cts + total}


def mean_logit(odds: torch.Tensor) -> torch.Tensor:
    """The logit of the mean of sigmoids: (n, ...) -> (...)."""
    return F.logsigmoid(odds).logsumexp(0) - F.logsigmoid(-odds).logsumexp(0)


def map_guidance(seen: torch.Tensor, features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """What each text of a level saw: features (B, T, d) averaged over real steps with the softmax over time of its
    column in the map (B, T, n), (B, n, d). The map holds the logits of texts that ask the video."""
    return masked_softmax(seen, mask).transpose(1, 2) @ features


def centroids(kinds: torch.Tensor, macro: torch.Tensor, count: int) -> torch.Tensor:
    """Mean text of each group: (C, d), macro (C,) -> (count, d)."""
    member = F.one_hot(macro, count).T.to(kinds)
    return member @ kinds / member.sum(1, keepdim=True)


def same_group(macro: torch.Tensor) -> torch.Tensor:
    """(C + 1, C + 1) bool: whether two anomalous classes are of one group, a class and itself too; normal has none."""
    return F.pad(macro[:, None] == macro[None, :], (1, 0, 1, 0))


def refine_loss(
    pooled: torch.Tensor, y: torch.Tensor, together: torch.Tensor, omega: float, refine: str = "sibling"
) -> torch.Tensor:
    """Cross-entropy of pooled logits (B, C + 1) that tells a class from others of its group; several labels share.

    "sibling": classes of the same group count omega-fold in the softmax's sum, so that a class must stand log(omega)
    higher above them; another label of the video does not. "literal": the published formula, omega times the
    cross-entropy for every anomalous video."""
    y = y.to(pooled)
    share = y / y.sum(1, keepdim=True)
    if refine == "literal":
        weight = 1 + (omega - 1) * ((y @ together.to(pooled)) > 0).to(pooled)
        return -(weight * share * pooled.log_softmax(-1)).sum(1).mean()
    raised = math.log(omega) * together.to(pooled) * (1 - y)[:, None, :]  # (B, the label, a class)
    total = (pooled[:, None, :] + raised).logsumexp(-1)
    return (share * (total - pooled)).sum(1).mean()


def contrast(
    features: torch.Tensor,
    evidence: torch.Tensor,
    mask: torch.Tensor,
    is_anomalous: torch.Tensor,
    anomaly: torch.Tensor,
    temperature: float,
) -> torch.Tensor:
    """Events of anomalous videos near each other and the text of any anomaly (d,), far from the same videos' background
    and from what looks most anomalous in normal ones. features (B, T, d), evidence (B, T), is_anomalous (B,) bool. 0
    without an anomalous video."""
    k = k_sixteenth(mask.sum(1))
    events = chosen_mean(features, evidence, mask, k)
    background = chosen_mean(features, -evidence, mask, k)[is_anomalous]
    anchors = events[is_anomalous]
    others = ~torch.eye(len(anchors), dtype=torch.bool, device=mask.device)
    return info_nce(
        anchors,
        torch.cat([anchors, anomaly[None]]),
        F.pad(others, (0, 1), value=True),
        torch.cat([events[~is_anomalous], background]),
        temperature,
    )


def chosen_mean(features: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Mean of the features (B, T, d) on the k (B,) real steps with the largest values (B, T): (B, d)."""
    most = int(k.max())
    steps = values.masked_fill(~mask, float("-inf")).topk(most, 1).indices
    wanted = torch.arange(most, device=k.device) < k[:, None]
    return masked_mean(features.gather(1, steps[..., None].expand(-1, -1, features.shape[2])), wanted)


def info_nce(
    anchors: torch.Tensor, positives: torch.Tensor, allowed: torch.Tensor, negatives: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Mean over anchors (A, d) of -log(sum of positives / sum of all), each exp(cosine / temperature); allowed (A, P)
    bool: which positives are an anchor's own. 0 without anchors or negatives."""
    if not len(anchors) or not len(negatives):
        return anchors.sum() * 0.0
    near = alignment(anchors, positives, temperature).masked_fill(~allowed, float("-inf"))
    far = alignment(anchors, negatives, temperature)
    return (torch.cat([near, far], 1).logsumexp(1) - near.logsumexp(1)).mean()


def kmeans(points: torch.Tensor, count: int, seed: int = 0, restarts: int = 10, iterations: int = 100) -> torch.Tensor:
    """The cluster of each point, (N, d) -> (N,) int64, all of `count` clusters in use, numbered as they first appear.
    The best of several starts by k-means++ (Arthur & Vassilvitskii 2007); the same every time."""
    dice = torch.Generator().manual_seed(seed)
    points = points.detach().cpu()
    best, least = torch.zeros(len(points), dtype=torch.long), math.inf
    for _ in range(restarts):
        centres = _spread(points, count, dice)
        owner = torch.full((len(points),), -1)
        for _ in range(iterations):
            before, owner = owner, _owners(points, centres)
            if torch.equal(before, owner):
                break
            centres = centroids(points, owner, count)
        inertia = float((points - centres[owner]).square().sum())
        # More than a rounding error, so that the first of equal ones stays.
        if inertia < least - 1e-9:
            best, least = owner, inertia
    numbers: dict[int, int] = {}
    return torch.tensor([numbers.setdefault(int(o), len(numbers)) for o in best])


def _distances(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    return (points[:, None] - centres[None]).square().sum(-1)


def _spread(points: torch.Tensor, count: int, dice: torch.Generator) -> torch.Tensor:
    chosen = [int(torch.randint(len(points), (1,), generator=dice))]
    while len(chosen) < count:
        away = _distances(points, points[chosen]).amin(1)
        odds = away if bool(away.sum() > 0) else torch.ones_like(away)
        chosen.append(int(torch.multinomial(odds, 1, generator=dice)))
    return points[chosen]


def _owners(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """The nearest centre of each point; a centre without points gets the farthest point that is not alone."""
    distances = _distances(points, centres)
    away, owner = distances.min(1)
    for empty in (torch.bincount(owner, minlength=len(centres)) == 0).nonzero().flatten().tolist():
        alone = torch.bincount(owner, minlength=len(centres))[owner] == 1
        taken = int(away.masked_fill(alone, -1.0).argmax())
        owner[taken], away[taken] = empty, 0.0
    return owner
