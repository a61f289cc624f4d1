"""From a View to the embeddings that a language model reads, in numpy: what rae.py trains, without importing torch.

Next: tvad/lvlm/llama.py
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tvad.lvlm.slots import FIRST_GROUPS, GROUPS
from tvad.lvlm.view import CELLS, CHANNELS, FACTS, View, ViewConfig

CONVS = (16, 32, 64)
REGIONS = 9  # of a slice, 3 x 3 in reading order
EPSILON = 1e-5  # of the layer norms


@dataclass(frozen=True)
class RaeConfig:
    """Sizes of the Region-aware Anomaly Encoder.

    width: D of the language model. hidden: between the two layers of an MLP; hidden_things: of those that read a group.
    base: learned tokens repeated with every slice. delta: only changes of the heat go in, not the heat. things: whether
    tracks and events have tokens. gate: what those are multiplied by before training, 0 or 1. groups: how many of
    GROUPS they have. ValueError for a number that there is not.
    """

    view: ViewConfig = field(default_factory=ViewConfig)
    width: int = 576
    hidden: int = 256
    hidden_things: int = 192
    base: int = 2
    delta: bool = False
    things: bool = True
    gate: float = 1.0
    groups: int = len(GROUPS)

    def __post_init__(self) -> None:
        if not FIRST_GROUPS <= self.groups <= len(GROUPS):
            raise ValueError(f"{self.groups} groups of tokens; this program has {FIRST_GROUPS} to {len(GROUPS)}")

    @property
    def told(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(GROUPS)[: self.groups]

    @property
    def maps(self) -> int:
        """Maps that the convolutions see of a slice."""
        return self.view.channels + (not self.delta)

    @property
    def steps(self) -> int:
        """Slices that have tokens: differences of neighbours, one for a single slice."""
        return max(self.view.slices - 1, 1)


PAPER = RaeConfig(
    view=ViewConfig(slices=12, grid=(34, 62), logits=True, slots=0, pictures=0, facts=False),
    width=3584,
    hidden=1024,
    base=10,
    delta=True,
    things=False,
)  # 220 tokens


def n_tokens(config: RaeConfig, view: View) -> int:
    """Embeddings that a view becomes: pictures, then base, region and global of every step, then facts and things."""
    things = config.groups * view.n_things if config.things else 0
    pictures = CELLS * len(view.visual) if config.view.pictures else 0
    return pictures + config.steps * (config.base + REGIONS + 1) + len(view.facts) + things


def shapes(config: RaeConfig) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every weight of the encoder."""
    out: dict[str, tuple[int, ...]] = {"scale": (), "base": (config.base, config.width)}
    for n, (before, after) in enumerate(zip((config.maps, *CONVS), CONVS, strict=False)):
        out |= {f"conv.{2 * n}.weight": (after, before, 3, 3), f"conv.{2 * n}.bias": (after,)}
    mlps = dict.fromkeys(("region", "whole"), (CONVS[-1], config.hidden))
    if config.view.pictures:
        out["visual_place"] = (config.view.pictures * CELLS, config.width)
        mlps["visual"] = (CHANNELS, config.hidden)
    if config.view.facts:
        out["fact_kind"] = (len(FACTS), config.width)
        mlps |= {f"facts.{name}": (size, config.hidden_things) for name, size in FACTS.items()}
    if config.things:
        out |= {"gate": (), "kind": (config.groups, config.width), "place": (config.view.slots, config.width)}
        mlps |= {f"things.{name}": (size, config.hidden_things) for name, size in GROUPS.items() if name in config.told}
    for name, (size, hidden) in mlps.items():
        out |= {f"{name}.0.weight": (hidden, size), f"{name}.0.bias": (hidden,)}
        out |= {f"{name}.2.weight": (config.width, hidden), f"{name}.2.bias": (config.width,)}
    return out


def embed(config: RaeConfig, weights: Mapping[str, np.ndarray], view: View) -> np.ndarray:
    """(N, D) float32 embeddings of a view, N = n_tokens; the same numbers as RegionAwareEncoder gives."""
    w = {name: values.astype(np.float32) for name, values in weights.items()}
    out = []
    if config.view.pictures and len(view.visual):
        cells = view.visual.reshape(-1, CHANNELS)
        out.append(_normed(_normed(_mlp(w, "visual", cells)) + w["visual_place"][: len(cells)]))
    seen = _maps(config, view.heat)
    for n in range(len(CONVS)):
        seen = np.maximum(_conv(seen, w[f"conv.{2 * n}.weight"], w[f"conv.{2 * n}.bias"]), 0)
    regions = _mlp(w, "region", _pooled(seen))  # (T' - 1, 9, D)
    whole = _mlp(w, "whole", seen.mean((2, 3)))[:, None]
    base = np.broadcast_to(w["base"], (len(seen), *w["base"].shape))
    out.append(_normed(np.concatenate([base, regions, whole], 1)).reshape(-1, config.width))
    if view.facts:
        read = np.stack([_mlp(w, f"facts.{name}", view.facts[name]) for name in FACTS])
        out.append(_normed(_normed(read) + w["fact_kind"]))
    scaled = np.concatenate(out) * w["scale"]
    if not config.things or not view.n_things:
        return scaled
    read = np.stack([_mlp(w, f"things.{name}", view.things[name]) for name in config.told], 1)  # (S, groups, D)
    told = _normed(_normed(read) + w["kind"] + w["place"][: view.n_things, None])
    return np.concatenate([scaled, told.reshape(-1, config.width) * w["scale"] * w["gate"]])


def _maps(config: RaeConfig, heat: np.ndarray) -> np.ndarray:
    """Heat (T', C, h, w) -> what the convolutions see, (T' - 1, maps, h, w)."""
    heat = np.repeat(heat, 2, 0) if len(heat) == 1 else heat
    change = heat[1:] - heat[:-1]
    if config.delta:
        return change
    now = 1 / (1 + np.exp(heat[1:, :1] - heat[1:, 1:])) if config.view.logits else heat[1:]
    return np.concatenate([change, now], 1)


def _conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """3 x 3 convolution with a border of zeros: (N, in, h, w) -> (N, out, h, w)."""
    wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), (2, 3))  # (N, in, h, w, 3, 3)
    found = np.tensordot(windows, weight, ((1, 4, 5), (1, 2, 3)))
    return np.ascontiguousarray((found + bias).transpose(0, 3, 1, 2), np.float32)


def _pooled(x: np.ndarray) -> np.ndarray:
    """Means over 3 x 3 parts, as torch's AdaptiveAvgPool2d cuts them: (N, C, h, w) -> (N, 9, C)."""
    rows, columns = ([slice(n * size // 3, -(-(n + 1) * size // 3)) for n in range(3)] for size in x.shape[2:])
    return np.stack([x[:, :, r, c].mean((2, 3)) for r in rows for c in columns], 1)


def _mlp(w: Mapping[str, np.ndarray], name: str, x: np.ndarray) -> np.ndarray:
    hidden = x @ w[f"{name}.0.weight"].T + w[f"{name}.0.bias"]
    return _gelu(hidden) @ w[f"{name}.2.weight"].T + w[f"{name}.2.bias"]


def _gelu(x: np.ndarray) -> np.ndarray:
    # The tanh form (Hendrycks & Gimpel 2016, section 2): numpy has no error function.
    return 0.5 * x * (1 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * x**3)))


def _normed(x: np.ndarray) -> np.ndarray:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(EPSILON))
