"""Materials: what surfaces are made of, evaluated per pixel in metres of the surface, so that perspective is exact.

A texture is noise of several wavelengths, joints of a grid of cells (paving, tiles, bricks, planks, goods) and stains.
What is finer than a pixel fades out instead of flickering.

Next: training/datasets/synthetic/backdrop_surfaces.py
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

Rgb = tuple[int, int, int]
TILE = 512  # texels of the noise, which repeats
TEXELS = 4.0  # a wavelength
# Wavelengths in metres and their share of the grain (the first three) or of the blotches.
WAVES_M = ((0.03, 1.0), (0.12, 0.55), (0.5, 0.25), (2.1, 0.3), (8.0, 0.6))
MAX_COORDINATE = 30_000.0  # cv2.remap counts in 16 bits


@dataclass(frozen=True)
class Material:
    """rgb at full light. grain, blotches: strength of fine and of coarse noise, as shares of the brightness. cell: size
    in metres of paving stones, tiles, bricks or planks; joint_m and joint: their width and brightness; variation: from
    cell to cell; running: every other row shifted. palette: colours that the cells take. hue: noise of the colour
    (grass, leaves). stains: share of dark spots. pattern: "" solid, "bars" or "mesh" of a fence, "leaves". gloss: how
    much it mirrors, 0 to 1. glow: how much light it gives itself, 0 to 1."""

    rgb: Rgb
    grain: float = 0.05
    blotches: float = 0.05
    cell: tuple[float, float] | None = None
    joint_m: float = 0.012
    joint: float = 0.72
    variation: float = 0.03
    running: bool = False
    palette: tuple[Rgb, ...] = ()
    hue: float = 0.0
    stains: float = 0.0
    pattern: str = ""
    gloss: float = 0.0
    glow: float = 0.0

    def tinted(self, rng: np.random.Generator, spread: float = 0.08) -> "Material":
        """The same stuff of another brightness and slightly another colour."""
        gain = 1 + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
        red, green, blue = (int(v) for v in np.clip(np.array(self.rgb) * gain, 4, 250))
        return replace(self, rgb=(red, green, blue))


MATERIALS: dict[str, Material] = {
    "asphalt": Material((96, 96, 98), grain=0.09, blotches=0.07, stains=0.5),
    "old asphalt": Material((122, 119, 114), grain=0.1, blotches=0.1, stains=0.9),
    "concrete": Material((158, 154, 146), grain=0.05, blotches=0.07, cell=(4.0, 4.0), joint_m=0.02, stains=0.5),
    "slabs": Material((168, 163, 152), cell=(0.9, 0.6), joint_m=0.02, variation=0.06, running=True, stains=0.35),
    "flags": Material((146, 143, 138), cell=(0.5, 0.5), joint_m=0.015, variation=0.05, stains=0.4),
    "cobbles": Material((112, 106, 100), grain=0.1, cell=(0.16, 0.12), joint_m=0.02, variation=0.12, running=True),
    "brick paving": Material((146, 98, 78), cell=(0.22, 0.11), joint_m=0.01, variation=0.1, running=True, stains=0.3),
    "grass": Material((86, 102, 60), grain=0.16, blotches=0.12, hue=0.16),
    "dry grass": Material((132, 126, 76), grain=0.15, blotches=0.14, hue=0.14),
    "soil": Material((112, 92, 70), grain=0.12, blotches=0.1, hue=0.05),
    "gravel": Material((152, 144, 130), grain=0.2, blotches=0.08, stains=0.3),
    "ballast": Material((108, 100, 92), grain=0.28, blotches=0.08),
    "court": Material((88, 122, 96), grain=0.05, blotches=0.06, stains=0.3),
    "clay": Material((158, 96, 66), grain=0.06, blotches=0.06, stains=0.3),
    "white tiles": Material((206, 202, 194), grain=0.015, cell=(0.6, 0.6), joint_m=0.008, joint=0.7, gloss=0.5),
    "grey tiles": Material((150, 150, 150), grain=0.03, cell=(0.45, 0.45), joint_m=0.01, variation=0.04, gloss=0.35),
    "beige tiles": Material((190, 172, 144), grain=0.03, cell=(0.4, 0.4), joint_m=0.01, variation=0.05, gloss=0.3),
    "marble": Material((196, 190, 182), grain=0.03, blotches=0.09, cell=(1.2, 1.2), joint_m=0.006, gloss=0.6),
    "linoleum": Material((148, 152, 140), grain=0.03, blotches=0.04, stains=0.25, gloss=0.45),
    "carpet": Material((94, 98, 116), grain=0.1, blotches=0.04, hue=0.03),
    "red carpet": Material((124, 66, 60), grain=0.1, blotches=0.05, hue=0.03),
    "parquet": Material((152, 108, 68), grain=0.06, cell=(0.9, 0.09), joint_m=0.004, variation=0.1, gloss=0.3),
    "brick": Material((138, 88, 70), grain=0.07, cell=(0.24, 0.08), joint_m=0.012, joint=1.2, running=True,
                      variation=0.09),
    "yellow brick": Material((176, 152, 110), cell=(0.24, 0.08), joint_m=0.012, joint=1.1, running=True,
                             variation=0.07),
    "plaster": Material((192, 186, 172), grain=0.03, blotches=0.06, stains=0.3),
    "white wall": Material((204, 202, 194), grain=0.015, blotches=0.025),
    "green wall": Material((142, 166, 150), grain=0.015, blotches=0.03),
    "blue wall": Material((112, 146, 176), grain=0.015, blotches=0.03),
    "wall tiles": Material((206, 208, 202), grain=0.02, cell=(0.3, 0.2), joint_m=0.008, variation=0.03, running=True),
    "panels": Material((142, 148, 154), grain=0.02, cell=(1.2, 2.4), joint_m=0.02, variation=0.03),
    "shutter": Material((148, 150, 150), grain=0.03, cell=(9.0, 0.1), joint_m=0.025, joint=0.75),
    "glass": Material((72, 88, 98), grain=0.02, blotches=0.2, cell=(1.5, 3.0), joint_m=0.07, joint=1.7, variation=0.12,
                      gloss=0.5),
    "wood": Material((126, 92, 60), grain=0.08, cell=(2.2, 0.14), joint_m=0.008, variation=0.1),
    "steel": Material((150, 154, 158), grain=0.03, blotches=0.06),
    "rust": Material((112, 76, 56), grain=0.12, blotches=0.14, hue=0.05),
    "leather": Material((66, 52, 46), grain=0.04, blotches=0.05),
    "cloth": Material((116, 112, 128), grain=0.06, blotches=0.05, hue=0.03),
    "dark": Material((38, 38, 40), grain=0.05, blotches=0.05),
    "paint": Material((214, 212, 204), grain=0.1, blotches=0.12, stains=0.6),
    "yellow paint": Material((204, 172, 62), grain=0.1, blotches=0.12, stains=0.6),
    "hedge": Material((58, 82, 42), grain=0.3, blotches=0.14, hue=0.2, pattern="leaves"),
    "bars": Material((58, 60, 60), grain=0.02, pattern="bars"),
    "mesh": Material((132, 136, 134), grain=0.02, pattern="mesh"),
}  # fmt: skip


@dataclass(frozen=True)
class Points:
    """Points of a surface, all (h, w) float32: u and v in metres, and the metres that one pixel covers along each."""

    u: np.ndarray
    v: np.ndarray
    step_u: np.ndarray
    step_v: np.ndarray


@lru_cache(maxsize=1)
def noise_tile() -> np.ndarray:
    """(512, 512) float32: smooth noise of unit deviation that repeats without a seam."""
    white = np.random.default_rng(7).normal(size=(TILE, TILE)).astype(np.float32)
    smooth = cv2.GaussianBlur(np.tile(white, (3, 3))[TILE - 16 : 2 * TILE + 16, TILE - 16 : 2 * TILE + 16], (0, 0), 1.3)
    tile = smooth[16:-16, 16:-16]
    return np.ascontiguousarray(tile / tile.std())


def noise(u: np.ndarray, v: np.ndarray, wave_m: float, shift: tuple[float, float]) -> np.ndarray:
    """(h, w) float32 noise of a wavelength in metres at surface points u, v (h, w) m."""
    scale = TEXELS / wave_m
    x = np.clip(u * scale + shift[0] * TILE, -MAX_COORDINATE, MAX_COORDINATE)
    y = np.clip(v * scale + shift[1] * TILE, -MAX_COORDINATE, MAX_COORDINATE)
    return cv2.remap(noise_tile(), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def texture(material: Material, points: Points, rng: np.random.Generator) -> np.ndarray:
    """(h, w, 3) uint8 RGB of a material at points of its surface."""
    u, v = points.u, points.v
    pixel = np.maximum(points.step_u, points.step_v)
    finest, coarsest = float(pixel.min()), float(np.ptp(u) + np.ptp(v))
    tone = np.ones(u.shape, np.float32)
    for i, (wave_m, share) in enumerate(WAVES_M):
        strength = share * (material.grain if i < 3 else material.blotches)
        shift = (float(rng.random()), float(rng.random()))
        if wave_m < 1.2 * finest or wave_m > 6 * coarsest or strength == 0:
            continue
        weight = np.clip(wave_m / (1.6 * pixel) - 0.5, 0, 1) * np.float32(strength)
        tone += weight * noise(u, v, wave_m, shift)
    if material.stains:
        spots = noise(u, v, 1.1, (float(rng.random()), float(rng.random())))
        spots += 0.7 * noise(u, v, 3.7, (float(rng.random()), float(rng.random())))
        tone *= 1 - np.float32(0.16 * material.stains) * np.clip(spots - 0.9, 0, 1)
    base = np.broadcast_to(np.array(material.rgb, np.float32), (*u.shape, 3))
    if material.cell:
        tone, base = _cells(material, points, tone, base, rng)
    out = base * tone[..., None]
    if material.hue:
        shade = 0.4 * noise(u, v, 0.4, (float(rng.random()), float(rng.random())))
        shade += 0.6 * noise(u, v, 4.0, (float(rng.random()), float(rng.random())))
        out = out * (1 + material.hue * shade[..., None] * np.array([0.7, 0.35, 0.2], np.float32))
    return np.clip(out, 0, 255).astype(np.uint8)


def _cells(
    material: Material, points: Points, tone: np.ndarray, base: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Stones and their joints: brightness and colour of every pixel, both shaped as before."""
    assert material.cell is not None
    width, height = material.cell
    u, pixel = points.u, (points.step_u, points.step_v)
    rows = points.v / height
    row = np.floor(rows)
    columns = u / width + (0.5 * (row % 2) if material.running else 0)
    column = np.floor(columns)
    table = rng.normal(0, 1, 1024).astype(np.float32)
    index = (column.astype(np.int64) * 73 + row.astype(np.int64) * 179) & 1023
    clear = np.clip(width / (1.5 * pixel[0]) - 0.5, 0, 1) * np.clip(height / (1.5 * pixel[1]) - 0.5, 0, 1)
    tone = tone + material.variation * clear * table[index]
    if material.palette:
        colours = np.array(material.palette, np.float32)
        # The same goods stand side by side.
        lot = (np.floor(column / 5).astype(np.int64) * 73 + row.astype(np.int64) * 179) & 1023
        base = colours[rng.integers(0, len(colours), 1024)[lot]]
    inside_u = columns - column
    inside_v = rows - row
    for inside, size, step in ((inside_u, width, pixel[0]), (inside_v, height, pixel[1])):
        edge_m = np.minimum(inside, 1 - inside) * size
        cover = np.clip((material.joint_m / 2 + step / 2 - edge_m) / step, 0, 1) * np.minimum(
            material.joint_m / step, 1
        )
        tone = tone * (1 - (1 - material.joint) * cover)
    return tone.astype(np.float32), base


def solidity(material: Material, points: Points) -> np.ndarray | None:
    """(h, w) float32 share of each pixel that a fence or hedge covers; None where it is solid."""
    if not material.pattern:
        return None
    u, v, pixel_u, pixel_v = points.u, points.v, points.step_u, points.step_v

    def lines(along: np.ndarray, pixel: np.ndarray, gap_m: float, thick_m: float) -> np.ndarray:
        inside = along / gap_m - np.floor(along / gap_m)
        edge_m = np.minimum(inside, 1 - inside) * gap_m
        near = np.clip((thick_m / 2 + pixel / 2 - edge_m) / pixel, 0, 1) * np.minimum(thick_m / pixel, 1)
        return np.where(gap_m > 1.5 * pixel, near, thick_m / gap_m)

    if material.pattern == "bars":
        return np.maximum(lines(u, pixel_u, 0.13, 0.025), lines(v - 0.1, pixel_v, 0.9, 0.05)).astype(np.float32)
    if material.pattern == "mesh":
        wires = np.maximum(lines(u + v, pixel_u + pixel_v, 0.09, 0.008), lines(u - v, pixel_u + pixel_v, 0.09, 0.008))
        return np.maximum(wires, lines(u, pixel_u, 2.5, 0.06)).astype(np.float32)
    top = 1 - v / max(float(v.max()), 1e-6)  # leaves: ragged towards the upper edge
    return np.clip(0.6 + 6 * top + 0.5 * noise(u, v, 0.3, (0.3, 0.6)), 0, 1).astype(np.float32)
