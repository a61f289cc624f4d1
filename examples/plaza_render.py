"""A small renderer: one fixed pinhole camera, round primitives, hazy sun. Light is linear until `to_srgb`.

World: metres, x right, y away from the camera, z up, the ground at z = 0. Pixels: x right, y down.
Figures are made of round cones (two spheres and what lies between). A pixel's ray meets one where it passes the axis
closer than the radius; that is exact for spheres and close for slim cones. Knows no people and no plaza.
"""

from dataclasses import dataclass

import cv2
import numpy as np

WIDTH, HEIGHT = 640, 360
SS = 3  # samples per pixel and side
FOCAL_PX = 705.0
PITCH_RAD = np.radians(21.0)
EYE = np.array([0.0, 0.0, 6.2])

SUN = np.array([-0.60, 0.22, 0.77]) / np.linalg.norm([-0.60, 0.22, 0.77])  # towards the sun
SUN_RGB = np.array([1.02, 0.94, 0.80])
SKY_RGB = np.array([0.40, 0.45, 0.52])
BOUNCE_RGB = np.array([0.20, 0.18, 0.15])

# The piece of ground that shadows are drawn on: metres, and texels per metre.
GROUND_X, GROUND_Y, TEXELS = (-14.0, 14.0), (6.0, 27.0), 32


def axes() -> np.ndarray:
    """(3, 3): rows are the camera's right, down and forward in the world."""
    s, c = np.sin(PITCH_RAD), np.cos(PITCH_RAD)
    return np.array([[1.0, 0.0, 0.0], [0.0, -s, -c], [0.0, c, -s]])


AXES = axes()


def to_camera(points: np.ndarray) -> np.ndarray:
    """World (..., 3) metres to camera (..., 3) metres."""
    return (points - EYE) @ AXES.T


def project(points: np.ndarray) -> np.ndarray:
    """World (..., 3) metres to pixels (..., 2)."""
    p = to_camera(np.asarray(points, np.float64))
    return np.stack([WIDTH / 2 + FOCAL_PX * p[..., 0] / p[..., 2], HEIGHT / 2 + FOCAL_PX * p[..., 1] / p[..., 2]], -1)


def linear(rgb: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """sRGB 0..255 to linear 0..1."""
    v = np.asarray(rgb, np.float64) / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def to_srgb(light: np.ndarray) -> np.ndarray:
    """Linear light to sRGB 0..255 floats, highlights rolled off as a camera does."""
    v = np.clip(light, 0.0, None)
    v = v * (1.0 + v / 2.4) / (1.0 + v)
    v = np.clip(v * 1.35, 0.0, 1.0)
    return np.where(v <= 0.0031308, v * 12.92, 1.055 * np.power(v, 1 / 2.4) - 0.055) * 255.0


@dataclass(frozen=True)
class Parts:
    """N round cones in the world. a, b (N, 3) metres; ra, rb (N,) metres; rgb (N, 3) linear; gloss (N,) 0..1."""

    a: np.ndarray
    b: np.ndarray
    ra: np.ndarray
    rb: np.ndarray
    rgb: np.ndarray
    gloss: np.ndarray


class Builder:
    """Collects round cones in a figure's own frame: x ahead, y to its left, z up."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, ...]] = []

    def add(
        self,
        a: tuple[float, float, float] | np.ndarray,
        b: tuple[float, float, float] | np.ndarray,
        radii: tuple[float, float] | float,
        rgb: np.ndarray,
        gloss: float = 0.0,
    ) -> None:
        """One round cone from `a` to `b`; radii at both ends, or one for both."""
        ra, rb = radii if isinstance(radii, tuple) else (radii, radii)
        self._rows.append((*a, *b, ra, rb, *rgb, gloss))

    def place(self, x: float, y: float, heading: float, scale: float = 1.0, lift: float = 0.0) -> Parts:
        """The parts in the world: scaled, turned to `heading` (radians from +x), raised by `lift`, moved to (x, y)."""
        rows = np.array(self._rows, np.float64)
        c, s = np.cos(heading), np.sin(heading)
        turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        at = np.array([x, y, lift])
        ends = [rows[:, i : i + 3] * scale @ turn + at for i in (0, 3)]
        return Parts(ends[0], ends[1], rows[:, 6] * scale, rows[:, 7] * scale, rows[:, 8:11], rows[:, 11])


@dataclass
class Patch:
    """A rendered figure on the fine grid. origin: (x, y) of its corner in whole pixels; rgba (h, w, 4) linear,
    premultiplied; depth (h, w) metres along the ray."""

    origin: tuple[int, int]
    rgba: np.ndarray
    depth: np.ndarray


def _bounds(parts: Parts) -> tuple[np.ndarray, np.ndarray] | None:
    """(N, 4) fine-grid boxes x0, y0, x1, y1 of every part, and the whole-pixel frame box; None when out of sight."""
    ends = [to_camera(parts.a), to_camera(parts.b)]
    boxes = []
    for p, r in zip(ends, (parts.ra, parts.rb), strict=True):
        z = np.maximum(p[:, 2], 0.5)
        x, y = WIDTH / 2 + FOCAL_PX * p[:, 0] / z, HEIGHT / 2 + FOCAL_PX * p[:, 1] / z
        reach = FOCAL_PX * r / z * 1.15 + 1.0
        boxes.append(np.stack([x - reach, y - reach, x + reach, y + reach], 1))
    box = np.concatenate([np.minimum(boxes[0], boxes[1])[:, :2], np.maximum(boxes[0], boxes[1])[:, 2:]], 1)
    frame = np.concatenate([np.floor(box[:, :2].min(0)), np.ceil(box[:, 2:].max(0))])
    frame = np.clip(frame, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(int)
    if frame[2] - frame[0] < 1 or frame[3] - frame[1] < 1:
        return None
    return np.round(box * SS).astype(int), frame


def render(parts: Parts, sun: float = 1.0) -> Patch | None:
    """Draw the parts, nearest in front. sun: how much sunlight reaches the figure, 0..1. None when out of sight."""
    found = _bounds(parts)
    if found is None:
        return None
    boxes, frame = found
    h, w = (frame[3] - frame[1]) * SS, (frame[2] - frame[0]) * SS
    px = ((np.arange(w) + 0.5) / SS + frame[0] - WIDTH / 2) / FOCAL_PX
    py = ((np.arange(h) + 0.5) / SS + frame[1] - HEIGHT / 2) / FOCAL_PX
    inverse = 1.0 / np.sqrt(px[None] ** 2 + py[:, None] ** 2 + 1.0)
    a, b = to_camera(parts.a), to_camera(parts.b)
    lamp, up = AXES @ SUN, AXES @ np.array([0.0, 0.0, 1.0])
    maps = [(px[None] * v[0] + py[:, None] * v[1] + v[2]) * inverse for v in (lamp, up)]
    depth = np.full((h, w), np.inf)
    rgba = np.zeros((h, w, 4))
    corner = np.array([frame[0], frame[1], frame[0], frame[1]]) * SS
    for i, box in enumerate(boxes - corner):
        x0, y0, x1, y1 = max(box[0], 0), max(box[1], 0), min(box[2], w), min(box[3], h)
        if x1 <= x0 or y1 <= y0:
            continue
        cut = (slice(y0, y1), slice(x0, x1))
        ray = (px[x0:x1][None], py[y0:y1][:, None], inverse[cut])
        cone = (a[i], b[i], parts.ra[i], parts.rb[i])
        lights = [(v, ahead[cut]) for v, ahead in zip((lamp, up), maps, strict=True)]
        _draw(cone, (parts.rgb[i], parts.gloss[i]), ray, lights, sun, depth[cut], rgba[cut])
    return Patch((int(frame[0]), int(frame[1])), rgba, depth)


def _draw(
    cone: tuple[np.ndarray, np.ndarray, float, float],
    paint: tuple[np.ndarray, float],
    ray: tuple[np.ndarray, np.ndarray, np.ndarray],
    lights: list[tuple[np.ndarray, np.ndarray]],
    sun: float,
    depth: np.ndarray,
    rgba: np.ndarray,
) -> None:
    """Draw one round cone into `depth` and `rgba`, which are views of the patch."""
    a, b, ra, rb = cone
    dx, dy, inverse = ray

    def along(v: np.ndarray) -> np.ndarray:
        return (dx * v[0] + dy * v[1] + v[2]) * inverse

    ab = b - a
    length2 = float(ab @ ab)
    da = along(a)
    if length2 > 1e-9:
        dab = along(ab)
        s = np.clip((dab * da - float(a @ ab)) / np.maximum(length2 - dab * dab, 1e-9), 0.0, 1.0)
        t = da + s * dab
        centre2 = float(a @ a) + s * (2 * float(a @ ab) + s * length2)
        radius = ra + s * (rb - ra)
    else:
        s, t, centre2, radius = np.zeros_like(da), da, float(a @ a), ra
    inside = radius * radius - (centre2 - t * t)
    near = t - np.sqrt(np.maximum(inside, 0.0))
    hit = (inside > 0) & (near < depth)
    if not hit.any():
        return
    near, s = near[hit], s[hit]
    radius = radius[hit] if isinstance(radius, np.ndarray) else radius
    n_lamp, n_up = ((near * ahead[hit] - float(a @ v) - s * float(ab @ v)) / radius for v, ahead in lights)
    facing = (t[hit] - near) / radius
    depth[hit] = near
    light = _shade(paint, n_lamp, n_up, facing, sun)
    if paint[1] == 0.0:
        # Cloth hangs in folds.
        light *= (1 + 0.09 * np.sin(s * np.sqrt(length2) * 42 + 5 * facing + 9 * n_lamp))[:, None]
    rgba[hit, :3] = light
    rgba[hit, 3] = 1.0


def _shade(
    paint: tuple[np.ndarray, float], n_lamp: np.ndarray, n_up: np.ndarray, facing: np.ndarray, sun: float
) -> np.ndarray:
    """(M, 3) light leaving a matt surface with some gloss, under sun, sky and the ground's reflection."""
    rgb, gloss = paint
    # The terminator is soft: cloth is rough and the sun hazy.
    lit = np.maximum((n_lamp + 0.15) / 1.15, 0.0)
    sky = 0.55 + 0.45 * n_up
    edge = 0.72 + 0.28 * facing
    light = sun * lit[:, None] * SUN_RGB + (sky * edge)[:, None] * SKY_RGB + (1 - sky)[:, None] * BOUNCE_RGB
    if gloss == 0.0:
        return light * rgb
    shine = gloss * (sun * np.maximum(n_lamp, 0) ** 24 + 0.12 * np.maximum(n_up, 0) ** 4)
    return light * rgb + shine[:, None]


def ground_map() -> np.ndarray:
    """(3, 3): texels of the ground raster to pixels."""
    (x0, x1), (y0, y1) = GROUND_X, GROUND_Y
    world = np.array([[x0, y0, 0], [x1, y0, 0], [x1, y1, 0], [x0, y1, 0]], np.float64)
    return cv2.getPerspectiveTransform(texel(world).astype(np.float32), project(world).astype(np.float32))


def texel(world: np.ndarray) -> np.ndarray:
    """World (..., 3) dropped along the sun's rays onto the ground, in texels (..., 2)."""
    flat = world[..., :2] - world[..., 2:3] / SUN[2] * SUN[:2]
    return (flat - np.array([GROUND_X[0], GROUND_Y[0]])) * TEXELS


def empty_ground() -> np.ndarray:
    """A ground raster without shadow, (rows, columns) uint8; 255 is full shadow."""
    return np.zeros((int(np.ptp(GROUND_Y) * TEXELS), int(np.ptp(GROUND_X) * TEXELS)), np.uint8)


def cast(raster: np.ndarray, parts: Parts) -> None:
    """Draw the parts' shadows into a ground raster."""
    bits = 4
    ends = np.round(np.stack([texel(parts.a), texel(parts.b)], 1) * 2**bits).astype(int)
    # A sphere's shadow is longer than wide by 1 / sin(elevation); a round line between the two stays close.
    widths = np.maximum(np.round((parts.ra + parts.rb) * TEXELS * 1.1), 1).astype(int)
    for (p, q), width in zip(ends, widths, strict=True):
        if width < 2:
            continue
        cv2.line(raster, p.tolist(), q.tolist(), 255, int(width), cv2.LINE_AA, bits)
