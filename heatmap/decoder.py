"""The anomaly heatmap decoder (AHD, T-VAD): patch features against words, as one probability for each cell and moment.

Each tap of a vision network (a level of features on a grid) has its own two-layer projection into the text space, and
is compared with the vectors of what is normal and of what is not: 100 x cosine. The taps are summed with learned
weights and a softmax over the two sides gives the heat. The class knows no network: how many taps there are, how wide
they are and how wide the text is stands in its config, so it serves a small encoder and a vision tower alike.

Ours, and all without effect before training: context in time and in space in the hidden layer (`temporal`, `context`),
taps whose features lie in the text space already (`text_space`), and several words on each side, of which the best
fitting one counts most (with one vector on each side this is the paper's formula).

Torch in, torch out.  Next: heatmap/decoder_loss.py
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import nn

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
QUIET = 1e-3  # spread of the last layer after `HeatmapDecoder.calm`


@dataclass(frozen=True)
class Tap:
    """One level of features.

    channels: its width C_i. hidden: width of the hidden layer. context: side of the depth-wise window that hidden
    cells look at, 0 for none, else odd. text_space: the first channels are a vector of the text's width (its own first
    guess, to which the projection adds) and the last channel says in [0, 1] how much of the cell it describes.
    """

    name: str
    channels: int
    hidden: int = 1024
    context: int = 0
    text_space: bool = False

    def __post_init__(self) -> None:
        if self.channels < 1 or self.hidden < 1:
            raise ValueError(f"tap {self.name!r} has {self.channels} channels, {self.hidden} hidden; both must be >= 1")
        if self.context < 0 or (self.context and self.context % 2 == 0):
            raise ValueError(f"tap {self.name!r}: context is {self.context}; give 0 or an odd number")


@dataclass(frozen=True)
class DecoderConfig:
    """What a decoder is made for. text_width: D of the text vectors. temporal: mix neighbouring moments (off for
    towers that merge frames themselves). scale: of the cosine (100, as CLIP's)."""

    taps: tuple[Tap, ...]
    text_width: int
    temporal: bool = True
    scale: float = 100.0

    def __post_init__(self) -> None:
        if not self.taps or len({t.name for t in self.taps}) != len(self.taps):
            raise ValueError(f"taps are {[t.name for t in self.taps]}; give at least one, each with its own name")
        for tap in self.taps:
            if tap.text_space and tap.channels != self.text_width + 1:
                raise ValueError(
                    f"tap {tap.name!r} lies in the text space: it needs {self.text_width + 1} channels "
                    f"(the text's {self.text_width} and one for presence), not {tap.channels}"
                )

    @classmethod
    def tower(
        cls, channels: int, layers: tuple[int, ...], text_width: int, hidden: int = 1024, temporal: bool = False
    ) -> Self:
        """For a vision tower of equally wide blocks, tapped at these layers (Qwen-VL: 0, 7, 15, 31)."""
        return cls(tuple(Tap(f"layer{i}", channels, hidden) for i in layers), text_width, temporal)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"taps": [asdict(t) for t in self.taps]}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Self:
        """The inverse of `to_dict`; TypeError or KeyError for anything else."""
        return cls(**(raw | {"taps": tuple(Tap(**t) for t in raw["taps"])}))


class Heat(NamedTuple):
    """logits (B, 2, T, h, w): normal and abnormal, fused. taps (B, L, 2, T, h, w): of each tap."""

    logits: torch.Tensor
    taps: torch.Tensor

    @property
    def prob(self) -> torch.Tensor:
        """Heat (B, T, h, w) in [0, 1], on an absolute scale."""
        return self.logits.softmax(1)[:, 1]

    @property
    def level(self) -> torch.Tensor:
        """Log odds of abnormal against normal, (B, T, h, w)."""
        return self.logits[:, 1] - self.logits[:, 0]


class Projection(nn.Module):
    """MLP_i of one tap: (B, T, h, w, C) features to (B, T, h, w, D) in the text space."""

    def __init__(self, tap: Tap, text_width: int, temporal: bool) -> None:
        super().__init__()
        self.tap, self.width = tap, text_width
        self.first = nn.Linear(tap.channels, tap.hidden)
        self.last = nn.Linear(tap.hidden, text_width)
        # (3, hidden): before, now, after. What lies in the text space was gathered over time already.
        self.mixer = nn.Parameter(_identity(tap.hidden)) if temporal and not tap.text_space else None
        self.around = None
        if tap.context:
            self.around = nn.Conv2d(
                tap.hidden, tap.hidden, tap.context, padding=tap.context // 2, groups=tap.hidden, bias=False
            )
            nn.init.zeros_(self.around.weight)
        if tap.text_space:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.last(self.hidden(x))
        return out + x[..., : self.width] if self.tap.text_space else out

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, h, w, C) to (B, T, h, w, hidden), after the ReLU."""
        hidden: torch.Tensor = self.first(x)
        if self.mixer is not None:
            # The ends stand for what was before and after, so that a piece of a clip is no darker at its rims.
            before = torch.cat([hidden[:, :1], hidden[:, :-1]], 1)
            after = torch.cat([hidden[:, 1:], hidden[:, -1:]], 1)
            hidden = self.mixer[0] * before + self.mixer[1] * hidden + self.mixer[2] * after
        if self.around is not None:
            b, t, h, w, c = hidden.shape
            flat = hidden.reshape(b * t, h, w, c).permute(0, 3, 1, 2)
            hidden = hidden + self.around(flat).permute(0, 2, 3, 1).reshape(b, t, h, w, c)
        return hidden.relu()

    def cosine(self, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Cosines of `forward(x)` with unit vectors, rows (B or 1, K, D), as (B, T h w, K) float32.

        The vectors of the cells, D wide, are never made: with r the hidden layer and 1, their products with the text
        are r (W^T S) and their squared lengths r (W^T W) r, which costs a third where the hidden layer is narrow.
        """
        r = self.hidden(x).flatten(1, 3)
        r = torch.cat([r, torch.ones_like(r[..., :1])], -1)
        weight = torch.cat([self.last.weight, self.last.bias[:, None]], 1)  # (D, hidden + 1)
        product = r @ (rows @ weight).transpose(1, 2).to(r.dtype)
        square = (r @ (weight.T @ weight).to(r.dtype) * r).float().sum(-1, keepdim=True)
        if self.tap.text_space:
            own = x[..., : self.width].flatten(1, 3)
            product = product + own @ rows.transpose(1, 2).to(own.dtype)
            square = square + own.float().square().sum(-1, keepdim=True)
            square = square + 2 * (own @ weight.to(own.dtype) * r).float().sum(-1, keepdim=True)
        return product.float() / square.clamp(min=1e-6).sqrt()


class HeatmapDecoder(nn.Module):
    """The decoder. `forward` takes the taps and the text, and returns `Heat`."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.projections = nn.ModuleList(Projection(t, config.text_width, config.temporal) for t in config.taps)
        self.omega = nn.Parameter(torch.ones(len(config.taps)))

    def forward(self, taps: list[torch.Tensor], text: torch.Tensor, words: torch.Tensor | None = None) -> Heat:
        """Heat of B clips.

        taps: one (B, T, h_i, w_i, C_i) a tap; coarser ones are enlarged to the grid of the first. text: (2, D) or
        (B, 2, D) normal and abnormal, or (B, 2, K, D) with K words a side; words (B, 2, K) bool tells those that are
        there from padding. ValueError where shapes do not fit the config.
        """
        self._check(taps, text)
        if text.ndim == 2:
            text = text[None]
        if text.ndim == 3:
            text = text[:, :, None]
        size = taps[0].shape[2:4]
        maps = [
            _resized(self._similarity(project, x, text, words), size)
            for project, x in zip(self.projections, taps, strict=True)
        ]
        each = torch.stack(maps, 1)  # (B, L, 2, T, h, w)
        weight = self.weights().view(1, -1, 1, 1, 1, 1)
        return Heat((each * weight).sum(1), each)

    def weights(self) -> torch.Tensor:
        """softmax(omega), (L,): how much each tap says."""
        return self.omega.softmax(0)

    def calm(self, ground: torch.Tensor) -> Self:
        """Begin with "nothing is there": projections point at `ground` (D,), the text of an ordinary place, wherever
        a text-space tap sees nothing, and nearly everywhere for the others. Then words work before any training."""
        ground = F.normalize(ground, dim=0)
        with torch.no_grad():
            for module in self.projections:
                assert isinstance(module, Projection)
                first, last = module.first, module.last
                if module.tap.text_space:
                    # One hidden unit is 1 - presence; what it adds is the ground.
                    first.weight[0].zero_()
                    first.weight[0, -1], first.bias[0] = -1.0, 1.0
                    last.weight[:, 0] = ground
                else:
                    nn.init.normal_(last.weight, std=QUIET)
                    last.bias.copy_(ground)
        return self

    def _similarity(
        self, project: nn.Module, x: torch.Tensor, text: torch.Tensor, words: torch.Tensor | None
    ) -> torch.Tensor:
        """scale x cosine of a tap's projection with (B, 2, K, D), the words of a side pooled: (B, 2, T, h, w)."""
        assert isinstance(project, Projection)
        batch, sides, count, width = text.shape
        rows = F.normalize(text.float(), dim=-1).reshape(batch, sides * count, width)
        h = self.config.scale * project.cosine(x, rows).reshape(x.shape[0], -1, sides, count)
        if count > 1:
            # Log of the mean of exp: the best word counts most, and saying a word twice changes nothing.
            there = torch.ones_like(h[:1, :1]) if words is None else words[:, None].to(h.dtype)
            h = h.masked_fill(there == 0, -1e4)
            pooled = h.logsumexp(-1) - there.sum(-1).clamp(min=1).log()
        else:
            pooled = h[..., 0]
        return pooled.permute(0, 2, 1).reshape(x.shape[0], sides, *x.shape[1:4])

    def _check(self, taps: list[torch.Tensor], text: torch.Tensor) -> None:
        wanted = [(t.name, t.channels) for t in self.config.taps]
        found = [x.shape[-1] for x in taps]
        if found != [c for _, c in wanted]:
            raise ValueError(f"taps have widths {found}; this decoder wants {wanted}")
        if text.shape[-1] != self.config.text_width or text.ndim < 2 or text.shape[-2 if text.ndim < 4 else -3] != 2:
            raise ValueError(
                f"text is {tuple(text.shape)}; expected (2, D), (B, 2, D) or (B, 2, K, D), D = {self.config.text_width}"
            )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read `config.json` and `model.safetensors`, strictly. OSError where they are not, ValueError for others."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        folder = Path(folder)
        try:
            config = DecoderConfig.from_dict(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["decoder"])
            decoder = cls(config)
            decoder.load_state_dict(load((folder / WEIGHTS_FILE).read_bytes()))
        except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise ValueError(
                f"{folder}: no decoder that can be read ({error}); `tvad train heatmap --out` writes one"
            ) from None
        return decoder.eval()


def frame_score(heat: torch.Tensor, share: float = 0.01) -> torch.Tensor:
    """Heat (..., h, w) to the mean of its hottest `share` of cells, (...)."""
    cells = heat.flatten(-2)
    return cells.topk(math.ceil(share * cells.shape[-1]), dim=-1).values.mean(-1)


def enlarged(heat: torch.Tensor, size_hw: tuple[int, int], temporal_patch: int = 1) -> torch.Tensor:
    """Heat (B, T', h, w) to (B, T' x temporal_patch, H, W): bilinear in space, repeated in time."""
    out = F.interpolate(heat, size_hw, mode="bilinear", align_corners=False)
    return out.repeat_interleave(temporal_patch, dim=1)


def _identity(hidden: int) -> torch.Tensor:
    return torch.tensor([0.0, 1.0, 0.0])[:, None].repeat(1, hidden)


def _resized(maps: torch.Tensor, size_hw: torch.Size) -> torch.Tensor:
    """(B, 2, T, h, w) on another grid."""
    if maps.shape[-2:] == size_hw:
        return maps
    b, sides, t = maps.shape[:3]
    flat = F.interpolate(maps.flatten(0, 2)[:, None], size_hw, mode="bilinear", align_corners=False)
    return flat.reshape(b, sides, t, *size_hw)
