"""Palette: colours that a camera would show for a colour word, and that heatmap/appearance.py names so.

Next: training/datasets/synthetic/actors/paint.py
"""

from functools import cache

import cv2
import numpy as np

from heatmap.appearance import NAMES, name_pixels
from training.datasets.synthetic.actors.paint import Rgb

COLOURS = ("black", "grey", "white", "red", "pink", "orange", "brown", "yellow", "green", "blue", "purple")
# What people, cars and bags have on the street: mostly dark, grey or blue.
UPPER = (0.22, 0.14, 0.15, 0.1, 0.04, 0.03, 0.05, 0.04, 0.07, 0.13, 0.03)
LOWER = (0.29, 0.16, 0.05, 0.02, 0.01, 0.01, 0.11, 0.015, 0.03, 0.31, 0.01)
PAINTED = (0.22, 0.24, 0.24, 0.09, 0.0, 0.02, 0.03, 0.03, 0.03, 0.1, 0.0)
BAGS = (0.35, 0.1, 0.03, 0.12, 0.04, 0.04, 0.12, 0.03, 0.06, 0.1, 0.01)

LIGHTS = (0.72, 0.8, 0.92, 1.0, 1.08)  # a colour keeps its name under these

SKIN = ((232, 190, 165), (215, 170, 140), (198, 150, 118), (168, 120, 88), (120, 82, 60), (88, 60, 45))
HAIR = ((28, 24, 22), (45, 34, 28), (70, 50, 36), (98, 72, 48), (150, 120, 78), (130, 128, 126))


def choose_colour(rng: np.random.Generator, shares: tuple[float, ...] = UPPER) -> str:
    """One of COLOURS, as frequent as `shares` says."""
    weights = np.array(shares)
    return COLOURS[int(rng.choice(len(COLOURS), p=weights / weights.sum()))]


def shade(name: str, rng: np.random.Generator) -> Rgb:
    """A colour that is named so in light and in shade. KeyError for a name that is none of COLOURS."""
    if name not in COLOURS:
        raise KeyError(f"no colour {name!r}; choose one of {list(COLOURS)}")
    fitting = _fitting(name)
    r, g, b = fitting[int(rng.integers(len(fitting)))].tolist()
    return r, g, b


def family(names: np.ndarray) -> list[str]:
    """Colour words without light and dark, of indices as name_pixels gives them."""
    return [NAMES[i].split()[-1] for i in names.tolist()]


@cache
def _fitting(name: str) -> np.ndarray:
    """(n, 3) uint8 RGB: muted colours that go by a name in most lights."""
    rng = np.random.default_rng(COLOURS.index(name))
    lab = np.stack([rng.uniform(8, 94, 30000), *(rng.uniform(-62, 62, (2, 30000)))], axis=1).astype(np.float32)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    if name in ("black", "grey", "white"):
        lab[:, 1:] *= 0.06
    else:
        lab = lab[(chroma > 14) & (chroma < 62)]
    rgb = cv2.cvtColor(lab[None], cv2.COLOR_LAB2RGB)[0]
    rgb = rgb[((rgb > 0.01) & (rgb < 0.97)).all(axis=1)]
    votes = np.zeros(len(rgb))
    for light in LIGHTS:
        named = name_pixels(np.clip(rgb * light * 255, 0, 255).astype(np.uint8))
        # Black in the sun is dark grey, white in the shade light grey.
        good = np.array(
            [NAMES[i] == name if name == "black" else NAMES[i].split()[-1] == name for i in range(len(NAMES))]
        )
        if name == "white":
            good[NAMES.index("light grey")] = light < 0.95
        if name == "grey":
            good[NAMES.index("light grey")] = False
        votes += good[named]
    best = max(4.0, votes.max() - 1) if (votes >= 4).sum() >= 20 else votes.max()
    fitting = rgb[votes >= best]
    # Strong and bright colours are rare on the street.
    light, *ab = np.moveaxis(cv2.cvtColor(fitting[None], cv2.COLOR_RGB2LAB)[0], -1, 0)
    chroma = np.hypot(*ab)
    keen = (chroma - np.percentile(chroma, 5)) / 12
    if name not in ("white", "yellow", "pink", "orange"):
        keen += np.maximum(0, light - 50) / 14
    keep = rng.random(len(fitting)) < np.exp(-np.maximum(0, keen))
    return (fitting[keep] * 255).astype(np.uint8)
