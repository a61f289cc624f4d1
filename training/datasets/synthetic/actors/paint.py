"""Paint: solids in metres, projected, shaded and drawn small with soft edges.

A model has solids in its own frame (x ahead, y to its left, z up, metres). The view is orthographic: heading turns it
on the ground, tilt is how far the camera looks down. Everything is drawn larger than asked for and averaged down, so
that borders are as soft as a sensor makes them.

Next: training/datasets/synthetic/actors/drawn.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

Vec = tuple[float, float, float]
Rgb = tuple[int, int, int]
Bands = tuple[tuple[float, float, float], ...]

AROUND = 12  # points on the rim of a blob
SHIFT = 4  # binary digits after the point in drawing
BANDS = ((1.0, 0.0, 0.74), (0.74, 0.16, 0.96), (0.42, 0.34, 1.1))  # size, way to the light, brightness
PLAIN = ((1.0, 0.0, 1.0),)
FINE = 48.0  # px/m above which light has a third band: below, that would be a line of a pixel or two
LIGHT = (-0.45, -0.75)  # towards the light, on the picture (x right, y down)
SUN = (-0.35, -0.4, 0.85)  # the same for faces: right, away, up
MOST_PIXELS = 900_000  # of the large drawing
_T = np.linspace(0, 2 * math.pi, AROUND, endpoint=False)
_RIM = np.stack([np.cos(_T), np.sin(_T)]).astype(np.float32)  # (2, AROUND)


@dataclass(frozen=True)
class Drawing:
    """rgba (h, w, 4) uint8, colour multiplied by opacity; foot (x, y) px: where the model's origin is."""

    rgba: np.ndarray
    foot: tuple[float, float]


@dataclass(frozen=True)
class _Solid:
    kind: str  # "chain", "face", "line"
    start: int
    count: int
    colours: Sequence[Rgb]
    bias: float
    width: float
    shaded: bool


class Model:
    """Solids that are drawn together, the far ones first."""

    def __init__(self) -> None:
        self._points: list[Vec] = []
        self._first: list[Vec] = []  # half axes of each point's ellipse
        self._second: list[Vec] = []
        self._radius: list[float] = []
        self._solids: list[_Solid] = []

    def chain(
        self,
        blobs: Sequence[tuple[Vec, float]],
        colours: Rgb | Sequence[Rgb],
        bias: float = 0.0,
        shaded: bool = True,
    ) -> None:
        """Balls (centre, radius), each wrapped together with the next: a limb. colours: one, or one for each link.

        bias: metres by which it counts as farther away than it is.
        """
        self.loft([(c, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), r) for c, r in blobs], colours, bias, shaded)

    def loft(
        self,
        rings: Sequence[tuple[Vec, Vec, Vec, float]],
        colours: Rgb | Sequence[Rgb],
        bias: float = 0.0,
        shaded: bool = True,
    ) -> None:
        """Ellipses (centre, half axis, half axis, rounding), each wrapped together with the next: a body."""
        start = len(self._points)
        for centre, first, second, rounding in rings:
            self._points.append(centre)
            self._first.append(first)
            self._second.append(second)
            self._radius.append(rounding)
        links = max(1, len(rings) - 1)
        each = [colours] * links if isinstance(colours[0], int) else list(colours)
        if len(each) != links:
            raise ValueError(f"{len(each)} colours for {links} links")
        self._solids.append(_Solid("chain", start, len(rings), each, bias, 0.0, shaded))  # type: ignore[arg-type]

    def face(self, corners: Sequence[Vec], colour: Rgb, bias: float = 0.0, lit: bool = True) -> None:
        """A flat convex polygon, seen only from where its corners run counter-clockwise; lit: shaded by its slope."""
        self._flat("face", corners, colour, bias, 0.0, lit)

    def line(self, points: Sequence[Vec], width: float, colour: Rgb, bias: float = 0.0) -> None:
        """A line through points, width in metres."""
        self._flat("line", points, colour, bias, width, False)

    def wheel(self, hub: Vec, radius: float, width: float, colour: Rgb, turn: float = 0.0) -> None:
        """A rim in the plane of travel; turn: steering angle."""
        c, s = math.cos(turn), math.sin(turn)
        angles = [2 * math.pi * i / 16 for i in range(17)]
        rim = [
            (hub[0] + radius * math.cos(a) * c, hub[1] + radius * math.cos(a) * s, hub[2] + radius * math.sin(a))
            for a in angles
        ]
        self.line(rim, width, colour)

    def move(self, by: Vec) -> None:
        """Shift everything drawn so far."""
        self._points = [(x + by[0], y + by[1], z + by[2]) for x, y, z in self._points]

    def roll(self, angle: float) -> None:
        """Turn everything drawn so far about the line of travel, on the ground; positive falls to its right."""
        c, s = math.cos(angle), math.sin(angle)

        def turned(vs: list[Vec]) -> list[Vec]:
            return [(x, y * c - z * s, y * s + z * c) for x, y, z in vs]

        self._points, self._first, self._second = map(turned, (self._points, self._first, self._second))

    def draw(self, px_per_m: float, heading: float, tilt: float) -> Drawing:
        """Everything, at a scale of px_per_m pixels a metre."""
        turn = _projection(heading, tilt)
        n = len(self._points)
        all3 = np.array(self._points + self._first + self._second, np.float32) @ turn.T  # right, down, depth
        radius = np.array(self._radius, np.float32)
        centre, depth = all3[:n, :2], all3[:n, 2]
        low, high = _bounds(centre, all3[n:, :2], radius, n)
        size_m = high - low
        over = _oversampling(px_per_m, float(size_m[0]), float(size_m[1]))
        scale = px_per_m * over
        pad = 2
        width, height = (np.ceil(size_m * px_per_m).astype(int) + 2 * pad).tolist()
        ow, oh = max(1, round(width * over)), max(1, round(height * over))
        canvas = np.zeros((oh, ow, 4), np.uint8)
        origin = -low * scale + pad * over
        flat = centre * scale + origin
        bands = BANDS if px_per_m > FINE else BANDS[:2]
        rims = _rims(flat, all3[n:, :2] * scale, radius * scale, bands)
        corners = np.round(flat * (1 << SHIFT)).astype(np.int32)
        for solid in self._sorted(depth):
            if solid.kind == "chain":
                _chain(canvas, rims, solid, bands)
            else:
                self._flat_on(canvas, corners, solid, scale, turn)
        small = canvas if over == 1 else cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)
        return Drawing(small, (float(origin[0]) / over, float(origin[1]) / over))

    def _flat(self, kind: str, points: Sequence[Vec], colour: Rgb, bias: float, width: float, lit: bool) -> None:
        nothing = (0.0, 0.0, 0.0)
        self._solids.append(_Solid(kind, len(self._points), len(points), [colour], bias, width, lit))
        for point in points:
            self._points.append(point)
            self._first.append(nothing)
            self._second.append(nothing)
            self._radius.append(width / 2)

    def _sorted(self, depth: np.ndarray) -> list[_Solid]:
        far = depth.tolist()
        keys = [sum(far[s.start : s.start + s.count]) / s.count + s.bias for s in self._solids]
        return [self._solids[i] for i in sorted(range(len(keys)), key=lambda i: -keys[i])]

    def _flat_on(self, canvas: np.ndarray, corners: np.ndarray, solid: _Solid, scale: float, turn: np.ndarray) -> None:
        fixed = corners[solid.start : solid.start + solid.count]
        colour = solid.colours[0]
        if solid.kind == "line":
            thick = max(1, round(solid.width * scale))
            cv2.polylines(canvas, [fixed], False, (*colour, 255), thick, cv2.LINE_8, SHIFT)
            return
        (ax, ay), (bx, by), (cx, cy) = fixed[:3].tolist()
        if (bx - ax) * (cy - by) - (by - ay) * (cx - bx) >= 0:  # counter-clockwise to the eye, as y runs down
            return
        light = _sunlight(self._points[solid.start : solid.start + 3], turn) if solid.shaded else 1.0
        cv2.fillConvexPoly(canvas, fixed, (*_times(colour, light), 255), cv2.LINE_8, SHIFT)


def _sunlight(corners: Sequence[Vec], turn: np.ndarray) -> float:
    """Brightness of a face from its slope, about 0.6 to 1.1."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners
    ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - bx, cy - by, cz - bz
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    size = math.sqrt(nx * nx + ny * ny + nz * nz) or 1e-9
    cos, sin = float(turn[0, 0]), float(-turn[0, 1])
    right, away = cos * nx - sin * ny, sin * nx + cos * ny
    return 0.8 + 0.28 * (SUN[0] * right + SUN[1] * away + SUN[2] * nz) / size


def _chain(canvas: np.ndarray, rims: np.ndarray, solid: _Solid, bands: Bands) -> None:
    """Links of a chain, a darker rim first, then the band in the light; rims (bands, n, AROUND, 2), fixed point."""
    links = max(1, solid.count - 1)
    each = 1 if solid.count == 1 else 2
    bands = bands if solid.shaded else PLAIN
    outlines = []
    for i in range(solid.start, solid.start + links):
        points = rims[: len(bands), i : i + each].reshape(len(bands), -1, 2)
        outlines.append(points.take(cv2.convexHull(points[0], returnPoints=False)[:, 0], axis=1))
    for k, (_, _, bright) in enumerate(bands):
        for outline, colour in zip(outlines, solid.colours, strict=True):
            cv2.fillConvexPoly(canvas, outline[k], (*_times(colour, bright), 255), cv2.LINE_8, SHIFT)


def _rims(centre: np.ndarray, axes: np.ndarray, radius: np.ndarray, bands: Bands) -> np.ndarray:
    """Rims of n blobs in each band of light, (bands, n, AROUND, 2) px, fixed point; axes (2 n, 2)."""
    first, second = axes[: len(centre)], axes[len(centre) :]
    # Rounding adds to an ellipse only where both run around the same way.
    first = np.where(first[:, :1] < 0, -first, first) + radius[:, None] * (1, 0)
    second = np.where(second[:, 1:] < 0, -second, second) + radius[:, None] * (0, 1)
    rims = first[:, None] * _RIM[0][None, :, None] + second[:, None] * _RIM[1][None, :, None]
    aside = np.abs(rims).max(axis=1, keepdims=True) * LIGHT
    shifted = [rims * size + aside * way + centre[:, None] for size, way, _ in bands]
    return np.round(np.stack(shifted) * (1 << SHIFT)).astype(np.int32)


@lru_cache(maxsize=4096)
def _times(colour: Rgb, light: float) -> Rgb:
    return min(255, int(colour[0] * light)), min(255, int(colour[1] * light)), min(255, int(colour[2] * light))


def _projection(heading: float, tilt: float) -> np.ndarray:
    """(3, 3): model metres to right, down, depth."""
    ch, sh, ct, st = math.cos(heading), math.sin(heading), math.cos(tilt), math.sin(tilt)
    return np.array([[ch, -sh, 0], [-sh * st, -ch * st, -ct], [sh * ct, ch * ct, -st]], np.float32)


def _bounds(centre: np.ndarray, axes: np.ndarray, radius: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the box (metres on the picture) that holds every blob and the origin."""
    reach = np.hypot(axes[:n], axes[n:]) + radius[:, None]
    low = np.minimum((centre - reach).min(axis=0), 0)
    high = np.maximum((centre + reach).max(axis=0), 0)
    return low, high


def _oversampling(px_per_m: float, width_m: float, height_m: float) -> float:
    over = 8 if px_per_m < 12 else 4 if px_per_m < 45 else 3 if px_per_m < 90 else 2
    pixels = max(1.0, width_m * height_m * px_per_m**2)
    while over > 1 and pixels * over**2 > MOST_PIXELS:
        over -= 1
    return over
