"""The plaza itself: paving, shop fronts, planters, benches, lamps and trees, drawn once on the fine grid.

The same camera and the same things for every clip: nothing here is random from clip to clip.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from plaza_render import (
    AXES,
    BOUNCE_RGB,
    EYE,
    FOCAL_PX,
    GROUND_X,
    GROUND_Y,
    HEIGHT,
    SKY_RGB,
    SS,
    SUN,
    SUN_RGB,
    TEXELS,
    WIDTH,
    Builder,
    Parts,
    cast,
    empty_ground,
    ground_map,
    linear,
    project,
    render,
    texel,
)

SEED = 11
FACADE_Y = 25.0
LEAVES = 9000
Texture = Callable[[np.ndarray, np.ndarray], np.ndarray]
Corner = tuple[float, float, float]


@dataclass(frozen=True)
class Scene:
    """light (H, W, 3) linear; depth (H*SS, W*SS) metres along the ray; ground (H, W) how much of each pixel is ground;
    shade (rows, columns) 0..1 shadow of what stands there, on the ground raster; shadowed (H, W) as the camera sees it.
    """

    light: np.ndarray
    depth: np.ndarray
    ground: np.ndarray
    shade: np.ndarray
    shadowed: np.ndarray


def noise(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Smooth noise in -1..1 that repeats every 64 units."""
    table = np.random.default_rng(seed).uniform(-1, 1, (64, 64)).astype(np.float32)
    ix, iy = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - ix, y - iy
    fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
    a, b = table[iy & 63, ix & 63], table[iy & 63, (ix + 1) & 63]
    c, d = table[(iy + 1) & 63, ix & 63], table[(iy + 1) & 63, (ix + 1) & 63]
    return (a * (1 - fx) + b * fx) * (1 - fy) + (c * (1 - fx) + d * fx) * fy


def grain(x: np.ndarray, y: np.ndarray, scale: float, octaves: int, seed: int) -> np.ndarray:
    """Several octaves of noise, finest weakest; about -1..1."""
    total = np.zeros(np.broadcast(x, y).shape, np.float32)
    for k in range(octaves):
        total += noise(x * scale * 2**k, y * scale * 2**k, seed + k) * 0.55**k
    return total / 1.6


def _hash(ix: np.ndarray, iy: np.ndarray, seed: int) -> np.ndarray:
    table = np.random.default_rng(seed).uniform(-1, 1, (64, 64))
    return table[iy & 63, ix & 63]


def paving(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(..., 3) linear colour of the ground at world metres: slabs in running bond, darker bands, dirt, spots."""
    row = np.floor(y / 0.55).astype(int)
    u, v = x / 0.82 + 0.5 * (row & 1), y / 0.55
    column = np.floor(u).astype(int)
    fu, fv = u - column, v - row
    slab = 1 + 0.075 * _hash(column, row, SEED)[..., None]
    tint = _hash(column, row, SEED + 1)[..., None] * np.array([0.015, 0.0, -0.02])
    base = linear((166, 158, 146)) * slab + tint * 0.6
    band = (np.abs((x + 1.2) % 6.6 - 3.3) < 0.41) | (np.abs((y + 0.55) % 6.6 - 3.3) < 0.275)
    base = np.where(band[..., None], linear((126, 116, 108)) * slab, base)
    edge = np.minimum(np.minimum(fu, 1 - fu) * 0.82, np.minimum(fv, 1 - fv) * 0.55)
    joint = np.clip(1 - edge / 0.016, 0, 1)
    dirt = 1 + 0.10 * grain(x, y, 0.35, 4, SEED + 2) + 0.05 * grain(x, y, 6.0, 3, SEED + 8)
    stain = np.clip(grain(x, y, 0.8, 3, SEED + 20) - 0.34, 0, 1) * 0.55
    wear = 1 - 0.10 * np.exp(-(((y - 13) / 2.5) ** 2)) * (0.5 + 0.5 * grain(x, y, 0.2, 2, SEED + 30))
    factor = dirt * (1 - stain) * wear * (1 - 0.42 * joint)
    gully = np.clip(1 - np.abs(np.abs(y - 22.9) - 0.0) / 0.12, 0, 1)
    return base * (factor * (1 - 0.45 * gully))[..., None]


def _facade(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Shop fronts: u metres along, v metres up. Glass with a dim inside, frames, stone piers, a dark plinth."""
    bay = np.floor(u / 4.2).astype(int)
    fu = u - bay * 4.2
    stone = linear((176, 160, 138)) * (1 + 0.09 * grain(u, v, 1.5, 4, 50))[..., None]
    course = np.clip(1 - np.abs(v % 0.45 - 0.225) / 0.012, 0, 1)
    stone = stone * (1 - 0.25 * course[..., None])
    shop = _hash(bay, bay * 0, 61)
    wall = np.stack([0.06 + 0.03 * shop, 0.055 + 0.012 * shop, 0.05 - 0.02 * shop], -1)
    inside = wall * (1.2 + 1.1 * grain(u * 1.0, v * 2.2, 1.6, 3, 70))[..., None]
    lamps = np.exp(-(((u % 1.4 - 0.7) / 0.12) ** 2) - ((v - 2.25) / 0.06) ** 2)[..., None] * linear((255, 226, 170))
    sky = (
        np.array([0.16, 0.19, 0.22])
        * np.clip(0.25 + 0.3 * v + 0.4 * grain(u + v * 0.6, v * 0.2, 0.5, 2, 80), 0, 2)[..., None]
    )
    glass = inside + 0.5 * lamps + 0.55 * sky
    is_glass = (fu > 0.55) & (v > 0.45) & (v < 2.55)
    mullion = (np.abs((fu - 0.55) % 1.2167 - 0.0) < 0.05) | (np.abs(v - 2.05) < 0.03) | (np.abs(v - 0.47) < 0.04)
    out = np.where(is_glass[..., None], np.where(mullion[..., None], linear((58, 56, 54)), glass), stone)
    plinth = linear((92, 88, 84)) * (1 + 0.15 * grain(u, v, 3.0, 3, 90))[..., None]
    return np.where((v < 0.35)[..., None], plinth, out)


def _stripes(colour: tuple[int, int, int]) -> Texture:
    def texture(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        light = (np.floor(u / 0.3).astype(int) & 1)[..., None] == 0
        cloth = np.where(light, linear(colour), linear((214, 206, 190)))
        return cloth * (1 + 0.08 * grain(u, v, 2.0, 2, 40))[..., None]

    return texture


def _plain(colour: tuple[int, int, int], scale: float = 4.0, contrast: float = 0.15) -> Texture:
    def texture(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return linear(colour) * (1 + contrast * grain(u, v, scale, 3, sum(colour)))[..., None]

    return texture


@dataclass
class Canvas:
    """The picture being drawn on the fine grid: light (h, w, 3), depth (h, w), and the rays (h, w, 3) of its pixels."""

    light: np.ndarray
    depth: np.ndarray
    rays: np.ndarray

    def quad(self, corner: Corner, along: Corner, up: Corner, texture: Texture, sun: float = 1.0) -> None:
        """A textured rectangle; `along` and `up` are its sides from `corner`, in metres."""
        o, e, f = (np.array(v, np.float64) for v in (corner, along, up))
        corners = project(np.array([o, o + e, o + f, o + e + f])) * SS
        low = np.clip(np.floor(corners.min(0)) - 1, 0, [WIDTH * SS, HEIGHT * SS]).astype(int)
        high = np.clip(np.ceil(corners.max(0)) + 1, 0, [WIDTH * SS, HEIGHT * SS]).astype(int)
        cut = (slice(low[1], high[1]), slice(low[0], high[0]))
        rays, depth = self.rays[cut], self.depth[cut]
        if rays.size == 0:
            return
        normal = np.cross(e, f)
        normal *= -np.sign((o - EYE) @ normal) / np.linalg.norm(normal)
        facing = rays @ normal
        distance = float((o - EYE) @ normal) / np.where(np.abs(facing) < 1e-9, -1e-9, facing)
        hit = EYE + rays * distance[..., None] - o
        long, tall = float(np.linalg.norm(e)), float(np.linalg.norm(f))
        u, v = hit @ e / long, hit @ f / tall
        inside = (u >= 0) & (u <= long) & (v >= 0) & (v <= tall) & (distance > 0) & (distance < depth)
        lit = sun * max(float(normal @ SUN), 0.0) * SUN_RGB
        sky = 0.5 + 0.5 * normal[2]
        light = lit + sky * SKY_RGB + (1 - sky) * BOUNCE_RGB
        self.light[cut][inside] = texture(u[inside], v[inside]) * light
        depth[inside] = distance[inside]

    def box(self, low: Corner, high: Corner, side: Texture, top: Texture | None = None) -> None:
        """An upright box; the sides that the camera can see and the top."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        self.quad((x0, y0, z0), (x1 - x0, 0, 0), (0, 0, z1 - z0), side)
        self.quad((x0 if x0 > 0 else x1, y0, z0), (0, y1 - y0, 0), (0, 0, z1 - z0), side)
        self.quad((x0, y0, z1), (x1 - x0, 0, 0), (0, y1 - y0, 0), top or side)

    def parts(self, parts: Parts, sun: float = 1.0) -> None:
        """Round cones, as the figures are made of."""
        patch = render(parts, sun)
        if patch is None:
            return
        h, w = patch.depth.shape
        x, y = patch.origin[0] * SS, patch.origin[1] * SS
        cut = (slice(y, y + h), slice(x, x + w))
        front = patch.depth < self.depth[cut]
        self.light[cut][front] = patch.rgba[front][:, :3]
        self.depth[cut][front] = patch.depth[front]


# What stands on the plaza: boxes (low corner, high corner), and where the rest is. Metres.
PLANTERS = (((-7.6, 19.0, 0.0), (-5.2, 20.2, 0.55)), ((4.9, 20.4, 0.0), (7.6, 21.5, 0.55)))
BENCHES = ((-2.6, 21.6), (1.2, 21.6))
LAMPS = ((-3.9, 22.4), (9.2, 17.2))
BOLLARDS = tuple((x, 23.6) for x in np.arange(-12.0, 12.1, 2.0))
TREES = ((-7.7, 17.6, 1.9), (6.3, 21.0, 1.5))


def _ball_cloud(
    centre: Corner, size: Corner, count: int, radius: float, colour: tuple[int, int, int], seed: int
) -> Parts:
    """Leaves: many small balls within an egg, darker inside."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    far = rng.uniform(0.35, 1.0, count) ** 0.6
    clump = 0.8 + 0.25 * np.sin(direction @ rng.normal(size=(3, 3)) * 3).mean(1)
    at = np.array(centre) + direction * (far * clump)[:, None] * np.array(size)
    shade = (0.35 + 0.65 * far**3) * rng.uniform(0.45, 1.5, count)
    hue = 1 + rng.normal(0, 0.08, (count, 3)) * [1.2, 0.6, 1.0]
    r = radius * rng.uniform(0.5, 1.2, count)
    long = rng.normal(0, radius * 0.6, (count, 3))
    return Parts(at, at + long, r, r * 0.6, linear(colour) * shade[:, None] * hue, np.full(count, 0.015))


def _lamp() -> Builder:
    lamp = Builder()
    iron = linear((48, 54, 54))
    lamp.add((0, 0, 0), (0, 0, 0.5), (0.11, 0.07), iron, 0.1)
    lamp.add((0, 0, 0.5), (0, 0, 4.4), (0.055, 0.045), iron, 0.15)
    return lamp


def _bench() -> Builder:
    bench = Builder()
    wood, iron = linear((134, 96, 62)), linear((46, 46, 48))
    for k in range(4):
        bench.add((-0.9, -0.05 + 0.11 * k, 0.44), (0.9, -0.05 + 0.11 * k, 0.44), 0.04, wood * (0.9 + 0.07 * (k % 3)))
    for k in range(3):
        bench.add((-0.9, 0.36, 0.56 + 0.12 * k), (0.9, 0.36, 0.56 + 0.12 * k), 0.04, wood * (0.92 + 0.06 * (k % 2)))
    for x in (-0.75, 0.75):
        bench.add((x, -0.03, 0), (x, -0.03, 0.42), 0.03, iron)
        bench.add((x, 0.36, 0), (x, 0.37, 0.8), 0.03, iron)
    return bench


def _bin() -> Builder:
    thing = Builder()
    thing.add((0, 0, 0.1), (0, 0, 0.75), 0.24, linear((62, 76, 70)), 0.08)
    thing.add((0, 0, 0.80), (0, 0, 0.86), (0.25, 0.2), linear((44, 50, 48)), 0.1)
    return thing


def furniture() -> list[Parts]:
    """Everything round that stands about and casts a shadow."""
    post = Builder()
    post.add((0, 0, 0), (0, 0, 0.82), 0.07, linear((70, 72, 74)), 0.12)
    post.add((0, 0, 0.7), (0, 0, 0.72), 0.078, linear((190, 188, 180)), 0.1)
    things = [_lamp().place(x, y, 0.0) for x, y in LAMPS]
    things += [_bench().place(x, y, 0.0) for x, y in BENCHES]
    things += [post.place(x, y, 0.0) for x, y in BOLLARDS]
    things.append(_bin().place(3.4, 21.7, 0.0))
    for n, (low, high) in enumerate(PLANTERS):
        middle = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, 0.72)
        size = ((high[0] - low[0]) * 0.52, (high[1] - low[1]) * 0.55, 0.42)
        things.append(_ball_cloud(middle, size, 900, 0.055, (92, 122, 62), 100 + n))
        flowers = (196, 96, 120) if n else (222, 196, 110)
        things.append(_ball_cloud((middle[0], middle[1], 0.86), (size[0], size[1], 0.3), 46, 0.05, flowers, 120 + n))
    for n, (x, y, spread) in enumerate(TREES):
        trunk = Builder()
        bark = linear((92, 76, 60))
        trunk.add((0, 0, 0), (0.05, 0, 2.2), (0.17, 0.12), bark)
        for k in range(5):
            a = k * 2 * np.pi / 5
            trunk.add((0.05, 0, 1.9), (np.cos(a) * 0.9, np.sin(a) * 0.9, 3.4), (0.08, 0.04), bark)
        things.append(trunk.place(x, y, 0.0))
        things.append(_ball_cloud((x, y, 3.7), (spread, spread, 1.45), LEAVES, 0.052, (88, 108, 60), 140 + n))
    return things


def _shade() -> np.ndarray:
    """(rows, columns) 0..1: shadow of everything that stands still, softened by the sun's width."""
    raster = empty_ground()
    for parts in furniture():
        # Between leaves the sun comes through.
        cast(raster, parts if len(parts.ra) < LEAVES else Parts(*(v[::12] for v in vars(parts).values())))
    for low, high in PLANTERS:
        corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (0.0, high[2])])
        cv2.fillConvexPoly(raster, cv2.convexHull(np.round(texel(corners)).astype(np.int32)), 255, cv2.LINE_AA)
    soft = cv2.GaussianBlur(raster, (0, 0), 0.06 * TEXELS).astype(np.float32) / 255
    # A house behind the camera, to the left, shades the near corner.
    rows, columns = np.mgrid[0 : raster.shape[0], 0 : raster.shape[1]].astype(np.float32) / TEXELS
    x, y = columns + GROUND_X[0], rows + GROUND_Y[0]
    house = np.clip((9.6 - y - 0.55 * (x + 3.0)) / 0.35, 0, 1) * (x < 0.4)
    return np.maximum(soft, house * 0.95)


def _rays() -> np.ndarray:
    """(h, w, 3) unit rays of the fine grid, in the world."""
    px = ((np.arange(WIDTH * SS) + 0.5) / SS - WIDTH / 2) / FOCAL_PX
    py = ((np.arange(HEIGHT * SS) + 0.5) / SS - HEIGHT / 2) / FOCAL_PX
    gx, gy = np.meshgrid(px, py)
    rays = np.stack([gx, gy, np.ones_like(gx)], -1) @ AXES
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def seen(raster: np.ndarray, scale: int = 1) -> np.ndarray:
    """A ground raster as the camera sees it, (H*scale, W*scale)."""
    zoom = np.diag([float(scale), float(scale), 1.0])
    return cv2.warpPerspective(raster, zoom @ ground_map(), (WIDTH * scale, HEIGHT * scale), flags=cv2.INTER_LINEAR)


def build() -> Scene:
    """Draw the plaza."""
    rays = _rays()
    distance = -EYE[2] / np.minimum(rays[..., 2], -1e-3)
    at = EYE + rays * distance[..., None]
    shade = _shade()
    dark = seen(shade.astype(np.float32), SS)[..., None]
    # Corners where things meet the ground see less sky.
    near = cv2.GaussianBlur(_footprints(), (0, 0), 0.22 * TEXELS).astype(np.float32) / 255
    open_sky = 1 - 0.6 * seen(near, SS)[..., None]
    light = paving(at[..., 0], at[..., 1]) * ((1 - dark) * SUN[2] * SUN_RGB + open_sky * SKY_RGB)
    canvas = Canvas(light, distance, rays)
    ground = canvas.depth.copy()
    _draw_houses(canvas)
    for low, high in PLANTERS:
        canvas.box(low, high, _plain((150, 142, 132)), _plain((72, 58, 44), 8.0, 0.4))
    for parts in furniture():
        canvas.parts(parts)
    is_ground = (canvas.depth == ground).astype(np.float32)
    size = (WIDTH, HEIGHT)
    return Scene(
        cv2.resize(canvas.light.astype(np.float32), size, interpolation=cv2.INTER_AREA),
        canvas.depth,
        cv2.resize(is_ground, size, interpolation=cv2.INTER_AREA),
        shade,
        seen(shade),
    )


def _footprints() -> np.ndarray:
    """Where things stand on the ground raster, 255 there."""
    raster = empty_ground()
    origin = np.array([GROUND_X[0], GROUND_Y[0]])
    for low, high in PLANTERS:
        a, b = (np.round((np.array(c[:2]) - origin) * TEXELS).astype(int).tolist() for c in (low, high))
        cv2.rectangle(raster, a, b, 255, -1)
    for x, y in (*LAMPS, *BOLLARDS, *(tree[:2] for tree in TREES), (3.4, 21.7)):
        cv2.circle(raster, np.round((np.array([x, y]) - origin) * TEXELS).astype(int).tolist(), 6, 255, -1)
    wall = int((FACADE_Y - GROUND_Y[0]) * TEXELS)
    raster[wall:] = 255
    return raster


def _draw_houses(canvas: Canvas) -> None:
    canvas.quad((-18, FACADE_Y, 0), (36, 0, 0), (0, 0, 5.0), _facade)
    awnings = ((-11.9, (150, 52, 46)), (-3.4, (54, 86, 110)), (4.9, (70, 98, 72)))
    for x, colour in awnings:
        canvas.quad((x, FACADE_Y - 1.1, 2.15), (3.3, 0, 0), (0, 1.1, 0.55), _stripes(colour))
        canvas.quad((x, FACADE_Y - 1.1, 1.97), (3.3, 0, 0), (0, 0, 0.18), _stripes(colour), sun=0.5)
