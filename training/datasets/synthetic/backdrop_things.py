"""Things without flat faces, drawn upright: trees, bushes, lamps, signs, traffic lights, plants, basketball hoops.

Next: training/datasets/synthetic/backdrop.py
"""

import math
from collections.abc import Callable

import cv2
import numpy as np

from training.datasets.synthetic.backdrop_materials import TEXELS, Rgb, noise_tile

Draw = Callable[[np.ndarray, np.ndarray, np.random.Generator], None]
SHIFT = 3
BIG_PX, MAX_PX = 260, 420  # rows of a drawing: what is larger than the first is not drawn at twice the size


def thing_picture(kind: str, height_px: float, rng: np.random.Generator) -> np.ndarray:
    """(h, w, 4) uint8 RGBA, h about height_px, its foot in the middle of the lowest row. KeyError for an unknown kind.

    Drawn at twice the size and made small, so that edges are soft.
    """
    share, draw = THINGS[kind]
    h = int(np.clip(2 * height_px, 8, max(BIG_PX, min(height_px, MAX_PX))))
    w = max(6, int(h * share))
    rgb, alpha = np.zeros((h, w, 3), np.uint8), np.zeros((h, w), np.uint8)
    draw(rgb, alpha, rng)
    grain = rng.normal(1, 0.06, (h, w, 1)).astype(np.float32)
    rgb = np.clip(rgb * grain, 0, 255).astype(np.uint8)
    size = (max(3, round(w * height_px / h)), max(4, round(height_px)))
    flat = (rgb * (alpha[..., None] > 0)).astype(np.float32)
    weight = cv2.resize(alpha.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    colour = cv2.resize(flat * (alpha[..., None] / np.float32(255)), size, interpolation=cv2.INTER_AREA)
    out = colour / np.maximum(weight[..., None] / 255, 1e-3)
    return np.dstack([np.clip(out, 0, 255), weight]).astype(np.uint8)


def _shape(rgb: np.ndarray, alpha: np.ndarray, points: list[tuple[float, float]], colour: Rgb) -> None:
    """A polygon in shares of the picture's width and height."""
    h, w = alpha.shape
    at = np.round(np.array(points) * (w, h)).astype(np.int32)
    cv2.fillPoly(rgb, [at], colour)
    cv2.fillPoly(alpha, [at], 255)


def _leaves(
    rgb: np.ndarray,
    alpha: np.ndarray,
    rng: np.random.Generator,
    box: tuple[float, float, float, float],
    green: np.ndarray,
    holes: float = 0.25,
) -> None:
    """A crown in a box of shares (centre x, y, half width, half height): ragged, lighter to the upper left."""
    h, w = alpha.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    x, y = (x / w - box[0]) / box[2], (y / h - box[1]) / box[3]
    lumps, twigs, leaf, fine = (_speckle((h, w), cells, rng) for cells in (4.0, 12.0, 60.0, 130.0))
    inside = 1.05 - np.hypot(x, y) + 0.14 * lumps + 0.06 * twigs + 0.09 * leaf + 0.05 * fine
    full = (inside > 0.15) & (0.5 * twigs + 0.7 * leaf + 0.7 * fine + 3 * inside > holes - 0.9)
    light = 0.64 + 0.13 * lumps + 0.08 * twigs + 0.12 * leaf + 0.16 * fine - 0.26 * y - 0.14 * x
    picture = green * np.clip(light, 0.18, 1.6)[..., None] * np.array([1, 1, 0.9]) + 6 * lumps[..., None] * (1, 0.4, 0)
    rgb[full] = np.clip(picture, 4, 240).astype(np.uint8)[full]
    alpha[full] = 255


def _speckle(shape: tuple[int, int], cells: float, rng: np.random.Generator) -> np.ndarray:
    """(h, w) float32 noise of unit deviation with about so many spots across the width."""
    size = min(max(3, round(TEXELS * cells / 2)), 500)
    x, y = (int(v) for v in rng.integers(0, 512 - size, 2))
    tall = max(3, min(round(size * shape[0] / shape[1]), 512 - y))
    return cv2.resize(noise_tile()[y : y + tall, x : x + size], shape[::-1], interpolation=cv2.INTER_CUBIC)


def _green(rng: np.random.Generator) -> np.ndarray:
    warm = rng.uniform(0, 1)
    return np.array([70 + 50 * warm, 104 + 14 * warm, 46 + 10 * warm])


def tree(rgb: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> None:
    bark = (78, 64, 52)
    lean = rng.uniform(-0.04, 0.04)
    _shape(rgb, alpha, [(0.465, 1.0), (0.535, 1.0), (0.52 + lean, 0.4), (0.485 + lean, 0.4)], bark)
    for side in (-1, 1):
        reach = rng.uniform(0.12, 0.25) * side
        _shape(rgb, alpha, [(0.5, 0.62), (0.52, 0.58), (0.5 + reach, 0.35), (0.49 + reach, 0.36)], bark)
    green = _green(rng)
    _leaves(rgb, alpha, rng, (0.5 + lean, 0.35, 0.46, 0.34), green * 0.85, 0.4)
    _leaves(rgb, alpha, rng, (0.46 + lean, 0.3, 0.34, 0.24), green * 1.1, 1.2)


def bush(rgb: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> None:
    green = _green(rng)
    _leaves(rgb, alpha, rng, (0.5, 0.6, 0.46, 0.4), green * 0.85)


def plant(rgb: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> None:
    pot = (150, 92, 66) if rng.random() < 0.5 else (210, 208, 202)
    green = _green(rng) * 0.8
    h, w = alpha.shape
    for _ in range(46):
        angle = rng.uniform(-2.4, -0.7)
        tip = (0.5 + 0.46 * math.cos(angle) * rng.uniform(0.5, 1), 0.72 + 0.7 * math.sin(angle) * rng.uniform(0.5, 1))
        colour = tuple(int(c) for c in np.clip(green * rng.uniform(0.6, 1.4), 0, 255))
        line = ((round(0.5 * w), round(0.75 * h)), (round(tip[0] * w), round(tip[1] * h)))
        for picture, value in ((rgb, colour), (alpha, (255,))):
            cv2.line(picture, *line, value, max(2, w // 22))
    _shape(rgb, alpha, [(0.3, 0.72), (0.7, 0.72), (0.63, 1.0), (0.37, 1.0)], pot)


def lamp(rgb: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> None:
    grey = int(rng.integers(40, 130))
    pole = (grey, grey, grey)
    thick = 0.1
    _shape(rgb, alpha, [(0.5 - thick, 1.0), (0.5 + thick, 1.0), (0.5 + thick / 2, 0.04), (0.5 - thick / 2, 0.04)], pole)
    _shape(
        rgb, alpha, [(0.5 - 1.6 * thick, 1.0), (0.5 + 1.6 * thick, 1.0), (0.5 + thick, 0.95), (0.5 - thick, 0.95)], pole
    )
    head = 0.0 if rng.random() < 0.5 else 0.3
    _shape(rgb, alpha, [(0.2 + head, 0.0), (0.8 + head, 0.0), (0.7 + head, 0.05), (0.3 + head, 0.05)], (214, 212, 200))


def sign(rgb: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> None:
    _shape(rgb, alpha, [(0.47, 1.0), (0.53, 1.0), (0.53, 0.1), (0.47, 0.1)], (120, 122, 124))
    h, w = alpha.shape
    rim, inner = (((186, 36, 36), (236, 234, 228)), ((36, 70, 150), (36, 70, 150)))[int(rng.integers(2))]
    at = (w // 2, round(0.14 * h))
    for radius, colour in ((0.46, rim), (0.34, inner)):
        cv2.circle(rgb, at, max(1, round(radius * w)), colour, -1)
        cv2.circle(alpha, at, max(1, round(radius * w)), 255, -1)


def traffic_light(rgb: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> None:
    _shape(rgb, alpha, [(0.44, 1.0), (0.56, 1.0), (0.56, 0.1), (0.44, 0.1)], (80, 84, 84))
    _shape(rgb, alpha, [(0.2, 0.0), (0.8, 0.0), (0.8, 0.26), (0.2, 0.26)], (24, 26, 26))
    h, w = alpha.shape
    lit = int(rng.integers(0, 3))
    for i, colour in enumerate(((236, 60, 44), (240, 176, 50), (70, 220, 120))):
        shown = colour if i == lit else (50, 44, 40)
        cv2.circle(rgb, (w // 2, round((0.05 + 0.08 * i) * h)), max(1, round(0.034 * h)), shown, -1)


def hoop(rgb: np.ndarray, alpha: np.ndarray, rng: np.random.Generator) -> None:
    _shape(rgb, alpha, [(0.46, 1.0), (0.54, 1.0), (0.54, 0.2), (0.46, 0.2)], (84, 88, 92))
    _shape(rgb, alpha, [(0.1, 0.0), (0.9, 0.0), (0.9, 0.24), (0.1, 0.24)], (222, 222, 216))
    _shape(rgb, alpha, [(0.36, 0.1), (0.64, 0.1), (0.64, 0.2), (0.36, 0.2)], (176, 60, 44))
    _shape(rgb, alpha, [(0.4, 0.12), (0.6, 0.12), (0.6, 0.18), (0.4, 0.18)], (222, 222, 216))


# Width as a share of the height, and how it is drawn.
THINGS: dict[str, tuple[float, Draw]] = {
    "tree": (0.75, tree),
    "bush": (1.35, bush),
    "plant": (0.6, plant),
    "lamp": (0.055, lamp),
    "sign": (0.26, sign),
    "light": (0.13, traffic_light),
    "hoop": (0.36, hoop),
}
