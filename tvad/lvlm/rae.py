"""RegionAwareEncoder: heat, pictures, tracks and facts of a video to embeddings that a language model reads.

The heat part is the Region-aware Anomaly Encoder of T-VAD: differences of neighbouring heat maps, three convolutions,
3 x 3 regions, the whole, and learned base tokens. Differs from the paper: the heat itself goes in beside its
differences, or a parked car would be invisible; tracks, pictures and facts have tokens of their own.
Needs torch: answering uses tvad/lvlm/tokens.py. Next: tvad/lvlm/inject.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from tvad.lvlm.slots import GROUPS
from tvad.lvlm.tokens import CONVS, EPSILON, RaeConfig
from tvad.lvlm.view import CELLS, CHANNELS, FACTS, View


class Embedded(NamedTuple):
    """embeddings (B, N, D), each row's own first; counts (B,) how many of them are its own, the rest are zero."""

    embeddings: torch.Tensor
    counts: torch.Tensor


@dataclass(frozen=True)
class ViewBatch:
    """Views side by side: heat (B, T', C, h, w), visual (B, F, 12, 152), facts and things group -> (B, width) and
    (B, S, width), padded with zeros; n_pictures, n_things (B,) int64 how many are there."""

    heat: torch.Tensor
    visual: torch.Tensor
    facts: dict[str, torch.Tensor]
    things: dict[str, torch.Tensor]
    n_pictures: torch.Tensor
    n_things: torch.Tensor

    def to(self, device: torch.device | str) -> "ViewBatch":
        def moved(value: torch.Tensor | dict[str, torch.Tensor]) -> torch.Tensor | dict[str, torch.Tensor]:
            return value.to(device) if isinstance(value, torch.Tensor) else {k: v.to(device) for k, v in value.items()}

        return ViewBatch(**{f.name: moved(getattr(self, f.name)) for f in fields(self)})  # type: ignore[arg-type]


def collate_views(views: Sequence[View]) -> ViewBatch:
    """Views of one configuration as a batch. ValueError for none, or views whose heat differs in shape."""
    if len({v.heat.shape for v in views}) != 1 or len({tuple(v.facts) for v in views}) != 1:
        raise ValueError(f"views of {[v.heat.shape for v in views]} cannot be one batch; make them with one ViewConfig")
    return ViewBatch(
        heat=_padded([v.heat for v in views]),
        visual=_padded([v.visual for v in views]),
        facts={name: _padded([v.facts[name] for v in views]) for name in views[0].facts},
        things={name: _padded([v.things[name] for v in views]) for name in GROUPS},
        n_pictures=torch.tensor([len(v.visual) for v in views]),
        n_things=torch.tensor([v.n_things for v in views]),
    )


def _padded(arrays: Sequence[np.ndarray]) -> torch.Tensor:
    longest = max(len(a) for a in arrays)
    room = np.zeros((len(arrays), longest, *arrays[0].shape[1:]), np.float32)
    for row, values in zip(room, arrays, strict=True):
        row[: len(values)] = values
    return torch.from_numpy(room)


def _mlp(size: int, hidden: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, width))


class RegionAwareEncoder(nn.Module):
    """Views to embeddings, float32, of the length of the language model's own."""

    def __init__(self, config: RaeConfig, row_norm: float | None = None) -> None:
        """row_norm: mean length of the rows of the language model's embedding table (`mean_row_norm`), which is the
        length of an embedding at the start; None starts with sqrt(D)."""
        super().__init__()
        self.config = config
        width, hidden, small = config.width, config.hidden, config.hidden_things
        layers: list[nn.Module] = []
        for before, after in zip((config.maps, *CONVS), CONVS, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
        self.conv = nn.Sequential(*layers)
        self.region = _mlp(CONVS[-1], hidden, width)
        self.whole = _mlp(CONVS[-1], hidden, width)
        self.base = nn.Parameter(0.02 * torch.randn(config.base, width))
        self.scale = nn.Parameter(torch.tensor((row_norm or math.sqrt(width)) / math.sqrt(width)))
        if config.view.pictures:
            self.visual = _mlp(CHANNELS, hidden, width)
            self.visual_place = nn.Parameter(0.5 * torch.randn(config.view.pictures * CELLS, width))
        if config.view.facts:
            self.facts = nn.ModuleDict({name: _mlp(size, small, width) for name, size in FACTS.items()})
            self.fact_kind = nn.Parameter(0.5 * torch.randn(len(FACTS), width))
        if config.things:
            self.things = nn.ModuleDict({name: _mlp(GROUPS[name], small, width) for name in config.told})
            self.kind = nn.Parameter(0.5 * torch.randn(config.groups, width))
            self.place = nn.Parameter(0.5 * torch.randn(config.view.slots, width))
            self.gate = nn.Parameter(torch.tensor(float(config.gate)))

    def forward(self, batch: ViewBatch) -> Embedded:
        """Embeddings of each view in the order pictures, steps (base, regions, whole), facts, things."""
        size = len(batch.heat)
        parts: list[torch.Tensor] = []
        there: list[torch.Tensor] = []

        def add(tokens: torch.Tensor, counts: torch.Tensor | None, each: int = 1) -> None:
            # tokens (B, n * each, D), of which `counts` times `each` are there.
            parts.append(tokens)
            numbers = torch.arange(tokens.shape[1], device=tokens.device)[None]
            limit = torch.full((size,), tokens.shape[1]) if counts is None else counts * each
            there.append(numbers < limit.to(tokens.device)[:, None])

        if self.config.view.pictures and batch.visual.shape[1]:
            add(self._pictures(batch.visual) * self.scale, batch.n_pictures, CELLS)
        add(self._steps(batch.heat) * self.scale, None)
        if batch.facts:
            read = torch.stack([self.facts[name](batch.facts[name]) for name in FACTS], 1)
            add(_normed(_normed(read) + self.fact_kind) * self.scale, None)
        if self.config.things and (slots := batch.things["when"].shape[1]):
            read = torch.stack(
                [self.things[name](batch.things[name]) for name in self.config.told], 2
            )  # (B, S, groups, D)
            told = _normed(_normed(read) + self.kind + self.place[:slots, None])
            add(told.flatten(1, 2) * self.scale * self.gate, batch.n_things, self.config.groups)
        return _packed(torch.cat(parts, 1), torch.cat(there, 1))

    def _pictures(self, visual: torch.Tensor) -> torch.Tensor:
        read = self.visual(visual.flatten(1, 2))  # (B, F * 12, D)
        return _normed(_normed(read) + self.visual_place[: read.shape[1]])

    def _steps(self, heat: torch.Tensor) -> torch.Tensor:
        """(B, T', C, h, w) -> (B, (T' - 1) * (base + 10), D)."""
        heat = heat.repeat(1, 2, 1, 1, 1) if heat.shape[1] == 1 else heat
        maps = heat[:, 1:] - heat[:, :-1]
        if not self.config.delta:
            now = heat[:, 1:]
            now = torch.sigmoid(now[:, :, 1:] - now[:, :, :1]) if self.config.view.logits else now
            maps = torch.cat([maps, now], 2)
        seen = self.conv(maps.flatten(0, 1))  # (B * (T' - 1), 64, h, w)
        regions = self.region(F.adaptive_avg_pool2d(seen, 3).flatten(2).transpose(1, 2))
        whole = self.whole(seen.mean((2, 3)))[:, None]
        base = self.base.expand(len(seen), -1, -1)
        tokens = _normed(torch.cat([base, regions, whole], 1))
        return tokens.reshape(len(heat), -1, self.config.width)


def _normed(x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=EPSILON)


def _packed(tokens: torch.Tensor, there: torch.Tensor) -> Embedded:
    """Each row's own tokens to its front, in their order; zeros after them."""
    counts = there.sum(1)
    order = torch.argsort((~there).to(torch.int8), dim=1, stable=True)[:, : int(counts.max())]
    front = torch.gather(tokens, 1, order[..., None].expand(-1, -1, tokens.shape[-1]))
    kept = torch.arange(front.shape[1], device=front.device)[None] < counts[:, None]
    return Embedded(torch.where(kept[..., None], front, 0.0), counts)


def mean_row_norm(table: torch.Tensor) -> float:
    """Mean length of the rows of an embedding table (V, D)."""
    return float(table.detach().float().norm(dim=1).mean())
