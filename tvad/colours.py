"""Colours of a moving thing's upper and lower half, read from its pixels and their surroundings.

    reader = ColourReader.packaged()
    shares = reader([crop, ...], [mask, ...])      (2, 11) of heatmap.appearance.TERMS, rows sum to 1

A pixel's own name (heatmap/appearance.py) tells little of a garment: masks take ground and shadow along, lamps tint,
haze makes black and white grey. So a small network reads each pixel beside the ground around the thing, the light of
the picture and its place in the thing: what colour a garment would have there, and how much that pixel is to be asked
about either half. It learns from drawn clips of which only the garments' colours are known (training/colours.py), not
which pixels are whose: answers of pixels are pooled by attention (Ilse, Tomczak and Welling, ICML 2018). Footage
without colours keeps its names.

Next: tvad/findings.py
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from heatmap.appearance import GREY_SPREAD, TERMS, colour_shares, name_terms

FILE = Path(__file__).parent / "codes" / "mini" / "colours.safetensors"
INPUTS, HIDDEN = 15, 32
OUTPUTS = len(TERMS) + 2  # colours, attention for the upper and the lower half
SHAPES = {"w1": (HIDDEN, INPUTS), "b1": (HIDDEN,), "w2": (HIDDEN, HIDDEN), "b2": (HIDDEN,), "w3": (OUTPUTS, HIDDEN),
          "b3": (OUTPUTS,)}  # fmt: skip
SAMPLES = 32  # a crop is looked at on a grid of at most this many rows and columns
STRONG = (
    50.0  # chroma from which on a pixel's own name is believed: drawn clips are dull, and of yellow tops there are few
)
LEAST_AROUND = 12  # pixels outside the mask that tell the ground


class ColoursError(ValueError):
    """A file that is no colour reader, or is damaged."""


@dataclass(frozen=True)
class ColourReader:
    """weights: SHAPES."""

    weights: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        found = {name: values.shape for name, values in self.weights.items()}
        if found != SHAPES or not all(np.isfinite(values).all() for values in self.weights.values()):
            raise ColoursError(f"a colour reader has {SHAPES}, all finite; here are {found}")

    def __call__(self, crops: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> np.ndarray:
        """(2, 11) float32: each crop one vote; zero without any pixel. crops (h, w, 3) uint8 RGB, masks (h, w) bool."""
        seen = [(crop, mask) for crop, mask in zip(crops, masks, strict=True) if mask.any()]
        if not seen or all(int(np.ptp(crop, axis=2).max()) <= GREY_SPREAD for crop, _ in seen):
            return colour_shares(crops, masks)
        return np.mean([self._of(*sampled(*pair)) for pair in seen], axis=0).astype(np.float32)

    def _of(self, picture: np.ndarray, own: np.ndarray) -> np.ndarray:
        w, x, pixels = self.weights, inputs(picture, own), picture[own]
        hidden = np.tanh(x @ w["w1"].T + w["b1"])
        hidden = np.tanh(hidden @ w["w2"].T + w["b2"])
        out = hidden @ w["w3"].T + w["b3"]
        colours = softmax(out[:, :-2], 1)
        strong = np.hypot(*lab_of(pixels[None])[0, :, 1:].T) >= STRONG
        if strong.any():
            colours[strong] = np.eye(len(TERMS))[name_terms(pixels[strong])]
        found: np.ndarray = softmax(out[:, -2:], 0).T @ colours
        return found

    @classmethod
    def load(cls, path: Path) -> "ColourReader":
        """ColoursError for a file that is none."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return cls({name: np.asarray(values, np.float32) for name, values in load_file(path).items()})
        except (OSError, SafetensorError) as error:
            raise ColoursError(f"{path} is no colour reader: {error}; train one with training/colours.py") from None

    @classmethod
    @lru_cache(maxsize=1)
    def packaged(cls) -> "ColourReader":
        """The one that comes with the program."""
        return cls.load(FILE)


def sampled(crop: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A crop (h, w, 3) and its mask (h, w), which has a pixel, on a grid of at most SAMPLES rows and columns."""
    every = max(1, -(-crop.shape[0] // SAMPLES)), max(1, -(-crop.shape[1] // SAMPLES))
    some = (slice(None, None, every[0]), slice(None, None, every[1]))
    return (crop[some], mask[some]) if mask[some].any() else (crop, mask)


def lab_of(rgb: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 RGB as CIELAB."""
    return np.asarray(cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def inputs(picture: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(n, INPUTS) float32 of the pixels of a thing, `own` (h, w), in a picture (h, w, 3) uint8."""
    lab = lab_of(picture)
    lab = (lab - (50.0, 0.0, 0.0)) / (50.0, 40.0, 40.0)
    around = lab[~own] if (~own).sum() >= LEAST_AROUND else lab.reshape(-1, 3)
    ground = np.median(around, axis=0)
    dark, light = np.percentile(lab[..., 0], (2, 98))
    rows, columns = np.nonzero(own)
    high = (rows - rows.min()) / max(int(np.ptp(rows)), 1)
    wide = np.abs(columns - np.median(columns)) / max(int(np.ptp(columns)), 1) * 2
    inner = np.minimum(cv2.distanceTransform(np.pad(own, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1], 4)[own] / 4
    pixel = lab[own]
    near = cv2.blur(lab, (3, 3))[own]
    context = np.broadcast_to(np.array([*ground, dark, light]), (len(pixel), 5))
    places = np.stack([high, wide, inner, (lab[..., 0][own] - dark) / max(light - dark, 0.1)], 1)
    return np.concatenate([pixel, near, context, places], 1).astype(np.float32)


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    top = np.exp(x - x.max(axis, keepdims=True))
    found: np.ndarray = top / top.sum(axis, keepdims=True)
    return found
