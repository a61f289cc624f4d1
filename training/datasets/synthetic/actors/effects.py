"""Effects: fire, smoke and the cloud of an explosion, from noise that rises.

Noise is summed over octaves (Perlin 1985), moves up with the phase and is cut by the outline of a flame or a cloud; it
repeats after a while, so that each effect is computed once.

Next: training/datasets/synthetic/actors/__init__.py
"""

import math

import cv2
import numpy as np

from training.datasets.synthetic.stage import Pose, Sprite

FRAMES = 24  # of a loop, or of an explosion
CYCLES = 3  # phases after which the loop begins again
SIZE = (112, 80)  # rows, columns
# Brightness of a flame to colour: dark red, orange, yellow, nearly white.
GLOW = np.array([(60, 12, 6), (170, 48, 12), (236, 118, 24), (252, 190, 70), (255, 240, 190)], np.float32)


class Effect:
    """Fire, smoke or an explosion. It loops by the phase and grows with the progress, where there is any;
    explosions go by the progress, or by the phase without."""

    def __init__(self, rng: np.random.Generator, noun: str) -> None:
        size, self.colours, self.stride, self._make = EFFECTS[noun]
        k = float(rng.uniform(0.75, 1.4))
        self.noun, self.carried, self.pace = noun, "", 0.0
        self.colours = dict(self.colours)
        self.size_m = (size[0] * k, size[0] * k, size[1] * k)
        self._seed = int(rng.integers(1 << 30))
        self._frames: list[np.ndarray] = []

    def draw(self, px_per_m: float, pose: Pose) -> Sprite:
        """Picture at a scale of px_per_m pixels a metre. ValueError for a scale outside 1 to 300."""
        if not 1 <= px_per_m <= 300:
            raise ValueError(f"a scale of {px_per_m} px/m; expected 1 to 300")
        if not self._frames:
            self._frames = self._make(np.random.default_rng(self._seed))
        at = pose.phase / CYCLES * FRAMES
        if self.noun == "explosion":
            at = min((pose.progress if pose.progress > 0 else pose.phase % 1.0) * FRAMES, FRAMES - 1)
        first, share = math.floor(at), at - math.floor(at)
        a, b = self._frames[first % FRAMES], self._frames[(first + 1) % FRAMES]
        if self.noun == "explosion" and first + 1 >= FRAMES:
            b = a
        grown = pose.progress if self.noun != "explosion" and pose.progress > 0 else 1.0
        width = max(1, round(self.size_m[0] * px_per_m * (0.3 + 0.7 * grown)))
        height = max(1, round(self.size_m[2] * px_per_m * (0.2 + 0.8 * grown)))
        mixed = a if share < 0.02 else cv2.addWeighted(a, 1 - share, b, share, 0.0)
        way = cv2.INTER_AREA if height < SIZE[0] else cv2.INTER_LINEAR
        small = cv2.resize(mixed, (width, height), interpolation=way)
        alpha = np.maximum(small[..., 3:], 1).astype(np.float32)
        rgb = np.minimum(small[..., :3] * (255.0 / alpha), 255)
        return Sprite(np.concatenate([rgb, small[..., 3:]], axis=2).astype(np.uint8), (width / 2, height * 0.96))


def _noise(rng: np.random.Generator, rows: int, columns: int, cell: int, tall: float = 1.0) -> np.ndarray:
    """(rows, columns) float32 in [0, 1] over octaves, periodic in rows; tall: height of its cells to width."""
    total, weight = np.zeros((rows, columns), np.float32), 0.0
    for octave in range(4):
        step = max(2, cell >> octave)
        grid = rng.random((max(2, int(rows / step / tall)), max(2, columns // step))).astype(np.float32)
        wide = np.concatenate([grid, grid[:1]])
        fine = cv2.resize(wide, (columns, rows + rows // len(grid)), interpolation=cv2.INTER_CUBIC)[:rows]
        total += fine * 0.55**octave
        weight += 0.55**octave
    return np.clip(total / weight, 0, 1)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Height above the ground in [0, 1] and distance from the middle in [-1, 1]."""
    rows, columns = SIZE
    y = np.linspace(1, 0, rows, dtype=np.float32)[:, None] * np.ones((1, columns), np.float32)
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None] * np.ones((rows, 1), np.float32)
    return y, x


def _packed(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(h, w, 4) uint8, multiplied by opacity."""
    alpha = np.clip(alpha, 0, 1)[..., None]
    return (np.concatenate([np.clip(rgb, 0, 255) * alpha, alpha * 255], axis=2)).astype(np.uint8)


def _fire(rng: np.random.Generator) -> list[np.ndarray]:
    rows, columns = SIZE
    tongues, sparks = _noise(rng, rows * 2, columns, 30, 2.6), _noise(rng, rows * 2, columns, 14, 2.0)
    y, x = _grid()
    lean, starts = float(rng.uniform(-0.3, 0.3)), rng.uniform(0, 2 * math.pi, 3)
    out = []
    for i in range(FRAMES):
        turn, rise = 2 * math.pi * i / FRAMES, round(rows * 2 * i / FRAMES)
        lick = 0.7 * np.roll(tongues, -rise, axis=0)[:rows] + 0.3 * np.roll(sparks, -2 * rise, axis=0)[:rows]
        lick = (lick - lick.min()) / float(np.ptp(lick))
        bent = x - (lean + 0.12 * math.sin(turn + starts[0])) * y + 0.1 * np.sin(6 * y - 2 * turn + starts[1])
        tall = 1.0 + 0.12 * math.sin(3 * turn + starts[2])
        heat = 0.75 + 1.15 * (lick - 0.5) - 1.05 * y / tall - (1.15 + 1.2 * y) * bent**2
        heat = np.clip(heat, 0, 1) * np.clip(y * 12 + 1.6 * (lick - 0.6), 0, 1)
        level = np.clip(heat * 1.5, 0, 1) * (len(GLOW) - 1.001)
        low = level.astype(int)
        rgb = GLOW[low] + (GLOW[low + 1] - GLOW[low]) * (level - low)[..., None]
        out.append(_packed(rgb, np.clip(heat * 3.0, 0, 0.97)))
    return out


def _smoke(rng: np.random.Generator) -> list[np.ndarray]:
    rows, columns = SIZE
    slow = _noise(rng, rows * 2, columns, 40)
    y, x = _grid()
    tone, drift = float(rng.uniform(50, 165)), float(rng.uniform(-0.5, 0.5))
    out = []
    for i in range(FRAMES):
        rise = round(rows * 2 * i / FRAMES)
        puffs = np.roll(slow, -rise, axis=0)[:rows]
        wide = 0.18 + 0.62 * y
        inside = np.clip(1.15 - np.abs(x - drift * y + 0.5 * (puffs - 0.5)) / wide, 0, 1)
        opacity = np.clip(inside * (3.0 * puffs - 0.65), 0, 1) * (1 - y) ** 0.6 * 0.95
        opacity *= np.clip((1 - np.abs(x)) * 5, 0, 1)
        rgb = (tone * (0.65 + 0.7 * puffs))[..., None] * np.array([1.0, 0.99, 0.97], np.float32)
        out.append(_packed(rgb, opacity))
    return out


def _explosion(rng: np.random.Generator) -> list[np.ndarray]:
    rows, columns = SIZE
    noise = _noise(rng, rows * 2, columns, 30)
    y, x = _grid()
    out = []
    for i in range(FRAMES):
        u = i / (FRAMES - 1)
        reach = 0.16 + 0.5 * (1 - (1 - u) ** 3)
        middle = 0.18 + 0.42 * u
        puffs = np.roll(noise, -round(rows * 0.4 * u), axis=0)[:rows]
        far = np.hypot(x * 0.9, (y - middle) * (1.35 - 0.3 * u)) / reach
        cloud = np.clip((1.12 - far + 0.9 * (puffs - 0.5)) * 2.4, 0, 1)
        hot = np.clip(1.25 - 2.4 * u - far * 0.6 + 0.8 * (puffs - 0.4), 0, 1)
        level = hot * (len(GLOW) - 1.001)
        low = level.astype(int)
        glow = GLOW[low] + (GLOW[low + 1] - GLOW[low]) * (level - low)[..., None]
        soot = (48 + 95 * puffs)[..., None] * np.array([1.0, 0.96, 0.9], np.float32)
        burning = np.clip(hot * 2.2, 0, 1)[..., None]
        cloud *= np.clip((1 - np.abs(x)) * 6, 0, 1) * np.clip((1 - y) * 8, 0, 1)
        out.append(_packed(glow * burning + soot * (1 - burning), cloud * (0.97 - 0.75 * max(0.0, u - 0.55) / 0.45)))
    return out


# noun: (width, height) in metres, colours, metres per cycle (the phase runs with time where nothing travels), frames.
EFFECTS = {
    "fire": ((1.3, 1.9), {"whole": "orange"}, 1.0, _fire),
    "smoke": ((2.2, 3.6), {"whole": "grey"}, 1.0, _smoke),
    "explosion": ((4.5, 5.0), {"whole": "orange"}, 1.0, _explosion),
}
