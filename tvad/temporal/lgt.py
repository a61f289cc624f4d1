"""The local-global temporal adapter (LGT) of VadCLIP (Wu et al., AAAI 2024, section "LGT-Adapter").

    adapter = LgtAdapter(LgtConfig(width=512))
    v = adapter(x, mask)                     x (B, T, 512), mask (B, T) bool, True = a real snippet; v (B, T, 512)

Local: transformer layers whose attention stays in windows that do not overlap. Global: a graph of similar steps beside
a graph of near steps. DSANet and Fine-VAD use it too. The published code lets padding reach real steps; here that is
pad_mode="reference" only. Next: tvad/temporal/clip_text.py
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.base import EPS

PAD_MODES = ("masked", "reference")
MLP_RATIO = 4
CONV_KERNEL = 5
QUICK = 1.702


@dataclass(frozen=True)
class LgtConfig:
    """width: D. length: steps of a block, which have a position each. window: steps that attend to each other, 8 for
    UCF-Crime and 64 for XD-Violence; layers: 2 and 1. pad_mode: "masked", or "reference" for the published weights,
    which expect zeros up to `length` and mix them in. dist_norm: rows of the distance graph sum to 1 (not in the
    paper). threshold: cosines below it count as 0 in the similarity graph."""

    width: int = 512
    length: int = 256
    window: int = 8
    layers: int = 2
    heads: int = 1
    pad_mode: str = "masked"
    dist_norm: bool = False
    threshold: float = 0.7

    def __post_init__(self) -> None:
        for name in ("width", "length", "window", "layers", "heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.width % 2 or self.width % self.heads:
            raise ValueError(f"width is {self.width}; it must be even, and a multiple of heads ({self.heads})")
        if self.pad_mode not in PAD_MODES:
            raise ValueError(f"pad_mode is {self.pad_mode!r}; choose one of {list(PAD_MODES)}")
        if not -1 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; a cosine lies in [-1, 1]")


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """x * sigmoid(1.702 x), CLIP's activation: written so, its gradient keeps one tensor instead of three."""
    return F.silu(QUICK * x) / QUICK


class QuickMlp(nn.Module):
    """Linear, QuickGELU, Linear: width -> hidden -> width."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # QuickGELU's two factors go into the weights: a pass over the widest tensors saved, each way.
        hidden = F.silu(F.linear(x, QUICK * self.up.weight, QUICK * self.up.bias))
        return F.linear(hidden, self.down.weight / QUICK, self.down.bias)


def to_blocks(x: torch.Tensor, length: int) -> torch.Tensor:
    """(B, T, ...) -> (B * n, length, ...): consecutive blocks, the last one filled with zeros; n = ceil(T / length)."""
    missing = -x.shape[1] % length
    if missing:
        x = torch.cat([x, x.new_zeros(x.shape[0], missing, *x.shape[2:])], 1)
    return x.reshape(-1, length, *x.shape[2:])


def on_real(part: nn.Module, x: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """A part that treats every step for itself, on the real ones alone: (B, T, D) -> (B, T, D'), zero elsewhere; real
    (B, T) bool, None = all. Much of a batch is padding, and most of the work is done here."""
    if real is None:
        return part(x)  # type: ignore[no-any-return]
    if torch.jit.is_tracing():  # a graph has one shape for every mask
        return part(x).masked_fill(~real.unsqueeze(-1), 0.0)  # type: ignore[no-any-return]
    found = part(x[real])
    out = found.new_zeros(*real.shape, found.shape[-1])
    out[real] = found
    return out


def conv_on_real(conv: nn.Conv1d, x: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
    """A convolution over time of features that are zero on padding, (B, T, D) -> (B, T, D'), computed on the real steps
    alone where they stand together; real as in `on_real`."""
    if real is None or torch.jit.is_tracing() or bool((real[:, 1:] & ~real[:, :-1]).any()):
        return conv(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]
    # All videos one after the other, with as much room between two as the convolution looks around.
    counts, room = real.sum(1), conv.kernel_size[0] // 2
    rows = torch.arange(int(counts.sum()), device=x.device) + room * torch.repeat_interleave(
        torch.arange(len(counts), device=x.device), counts
    )
    line = x.new_zeros(int(counts.sum()) + room * len(counts), x.shape[-1]).index_copy(0, rows, x[real])
    found = conv(line.T.unsqueeze(0)).squeeze(0).T[rows]
    out = found.new_zeros(*real.shape, found.shape[-1])
    out[real] = found
    return out


def from_blocks(x: torch.Tensor, batch: int, steps: int) -> torch.Tensor:
    """The way back: (B * n, length, ...) -> (B, T, ...)."""
    return x.reshape(batch, -1, *x.shape[2:])[:, :steps]


class WindowLayer(nn.Module):
    """A pre-LN transformer layer whose steps attend to those of their own window only."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = QuickMlp(width, MLP_RATIO * width)

    def forward(self, x: torch.Tensor, keys: torch.Tensor | None) -> torch.Tensor:
        """x (N, w, width), a row a window; keys (N, 1, 1, w) bool: which steps are looked at, None = all."""
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=keys).transpose(1, 2).flatten(2)
        x = x + self.out(seen)
        return x + self.mlp(self.norm_mlp(x))  # type: ignore[no-any-return]


class GraphBranch(nn.Module):
    """Two graph convolutions, width -> width / 2; a convolution over time stands beside the first."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.first = nn.Linear(width, half, bias=False)
        self.second = nn.Linear(half, half, bias=False)
        self.beside = nn.Conv1d(width, half, CONV_KERNEL, padding=CONV_KERNEL // 2)
        nn.init.xavier_uniform_(self.first.weight)
        nn.init.xavier_uniform_(self.second.weight)

    def forward(self, z: torch.Tensor, graph: torch.Tensor, real: torch.Tensor | None) -> torch.Tensor:
        """z (B, T, width), graph (T, T) or (B, T, T); real (B, T): no other step may see the rest, None = all."""
        beside = conv_on_real(self.beside, z, real)
        hidden = quick_gelu(graph @ on_real(self.first, z, real) + beside)
        hidden = hidden if real is None else hidden * real.unsqueeze(-1)
        return quick_gelu(graph @ on_real(self.second, hidden, real) + hidden)


class LgtAdapter(nn.Module):
    """Snippet features to features that know their video, (B, T, width) -> (B, T, width)."""

    def __init__(self, config: LgtConfig) -> None:
        super().__init__()
        self.config = config
        self.positions = nn.Parameter(0.01 * torch.randn(config.length, config.width))
        self.layers = nn.ModuleList(WindowLayer(config.width, config.heads) for _ in range(config.layers))
        self.similar, self.near = GraphBranch(config.width), GraphBranch(config.width)
        self.join = nn.Linear(config.width, config.width)
        self.register_buffer("distance", distance_graph(config.length), persistent=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """x (B, T, width), mask (B, T) -> (B, T, width), zero on padding unless pad_mode is "reference". T > length:
        blocks of their own in eval(), ValueError in training."""
        batch, steps = mask.shape
        if not self.needs_blocks(steps):
            return self._block(x, mask)
        length = self.config.length
        return from_blocks(self._block(to_blocks(x, length), to_blocks(mask, length)), batch, steps)

    def needs_blocks(self, steps: int) -> bool:
        """Whether an input of so many steps is cut, or filled, to blocks of `length`."""
        if self.training and steps > self.config.length:
            raise ValueError(
                f"{steps} steps; training takes {self.config.length} at most (mil_ranking.segments shortens a video)"
            )
        return steps > self.config.length or self.config.pad_mode == "reference"

    def _block(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        real = self.real(mask)
        z = self.local(x, mask)
        alike = self.similar(z, similarity_graph(z, mask, self.config.threshold), real)
        near = self.near(z, self._near_graph(mask), real)
        return on_real(self.join, torch.cat([alike, near], -1), real)

    def real(self, mask: torch.Tensor) -> torch.Tensor | None:
        """The mask, or None where there is no padding, or it counts ("reference")."""
        return None if self.config.pad_mode == "reference" or bool(mask.all()) else mask

    def local(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Positions and transformer, T <= length: (B, T, width) -> (B, T, width), zero on padding in masked mode."""
        batch, steps, _ = x.shape
        masked, window = self.config.pad_mode == "masked", min(self.config.window, steps)
        x = x.masked_fill(~mask.unsqueeze(-1), 0.0) if masked else x
        there = mask if masked else torch.ones_like(mask)
        blocks, keys = to_blocks(x + self.positions[:steps], window), to_blocks(there, window)
        # A window without any real step is left out: a softmax over nothing is not a number. In a graph, which has one
        # shape for every mask, it looks at itself.
        some = keys.any(1)
        used = slice(None) if torch.jit.is_tracing() else some
        rows, keys = blocks[used], (keys | ~some[:, None])[used][:, None, None, :]
        for layer in self.layers:
            rows = layer(rows, keys)
        whole = torch.zeros_like(blocks)
        whole[used] = rows
        out = from_blocks(whole, batch, steps)
        return out.masked_fill(~mask.unsqueeze(-1), 0.0) if masked else out

    def _near_graph(self, mask: torch.Tensor) -> torch.Tensor:
        """(T, T), or (B, T, T) where each video's rows are normalised. Columns of padding need no zeros in masked mode:
        the features there are zero."""
        steps = mask.shape[1]
        graph: torch.Tensor = self.distance[:steps, :steps]  # type: ignore[index]
        if not self.config.dist_norm:
            return graph
        if self.config.pad_mode == "reference":
            return graph / graph.sum(1, keepdim=True)
        columns = graph * mask.unsqueeze(1)
        return columns / columns.sum(2, keepdim=True).clamp(min=EPS)


def distance_graph(steps: int) -> torch.Tensor:
    """(T, T): exp(-|i - j| / e), rows not normalised."""
    place = torch.arange(steps, dtype=torch.float32)
    return torch.exp(-(place[:, None] - place[None, :]).abs() / math.e)


def similarity_graph(z: torch.Tensor, mask: torch.Tensor, threshold: float = 0.7) -> torch.Tensor:
    """(B, T, T) of features (B, T, D): cosines, 0 where below the threshold, softmax over the real steps of each row;
    rows and columns of padding are 0."""
    cosines = thresholded_cosines(z, threshold)
    # Cosines are small, so the softmax needs no shift; a sum of nothing stays 0, which -inf would not allow.
    weights = cosines.exp() * (mask.unsqueeze(1) & mask.unsqueeze(2))
    return weights / weights.sum(2, keepdim=True).clamp(min=EPS)


def thresholded_cosines(z: torch.Tensor, threshold: float) -> torch.Tensor:
    """(B, T, D) -> (B, T, T), symmetric: cosines, and 0 instead of those below the threshold."""
    unit = F.normalize(z, dim=-1, eps=EPS)
    cosines = unit @ unit.transpose(1, 2)
    return cosines.masked_fill(cosines < threshold, 0.0)
