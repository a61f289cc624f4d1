"""Parts of places: a builder that collects ground, walls, boxes and things, and what streets and rooms are made of.

Next: training/datasets/synthetic/layouts_outdoor.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from training.datasets.synthetic.backdrop_materials import MATERIALS, Material, Rgb
from training.datasets.synthetic.backdrop_surfaces import Detail, Face
from training.datasets.synthetic.stage import Lane, Point

UP = (0.0, 0.0, 1.0)
Polygon = tuple[Point, ...]


@dataclass(frozen=True)
class Thing:
    """Something upright without a flat face ("tree", "bush", "lamp", "sign", "plant", "light"), height in metres."""

    kind: str
    x: float
    y: float
    height: float


@dataclass(frozen=True)
class Slope:
    """Ground that rises along y: from z0 at y0 to z1 at y1 between x0 and x1 (stairs, escalators), and stays z1 behind
    up to `until`."""

    x0: float
    x1: float
    y0: float
    y1: float
    z0: float
    z1: float
    until: float

    def height(self, x: float, y: float) -> float:
        if not (self.x0 <= x <= self.x1 and self.y0 <= y <= self.until):
            return 0.0
        return self.z0 + (self.z1 - self.z0) * min((y - self.y0) / (self.y1 - self.y0), 1.0)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def pane(x0: float, y0: float, x1: float, y1: float, rgb: Rgb, glow: float = 0.0) -> Detail:
    return Detail(rectangle(x0, y0, x1, y1), rgb, glow)


def disc(x: float, y: float, radius: float, rgb: Rgb, corners: int = 12) -> Detail:
    angles = np.arange(corners) * 2 * math.pi / corners
    return Detail(tuple((x + radius * math.cos(a), y + radius * math.sin(a)) for a in angles), rgb)


@dataclass
class Builder:
    """Collects a place. Materials are taken by name from MATERIALS, each in another shade, or given as they are."""

    rng: np.random.Generator
    walkable: list[Polygon] = field(default_factory=list)
    lanes: list[Lane] = field(default_factory=list)
    doors: list[Point] = field(default_factory=list)
    obstacles: list[tuple[float, float, float, float]] = field(default_factory=list)
    spots: dict[str, list[Point]] = field(default_factory=dict)
    grounds: list[Face] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    slopes: list[Slope] = field(default_factory=list)
    lamps: list[tuple[float, float, float]] = field(default_factory=list)

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def print_colour(self, strength: float = 0.5) -> Rgb:
        """A colour as of packages and posters: many are pale, some strong, few neon."""
        rgb = self.rng.uniform(30, 235, 3)
        mixed = rgb.mean() + (rgb - rgb.mean()) * strength * self.uniform(0.3, 1.4)
        red, green, blue = (int(v) for v in np.clip(mixed, 15, 240))
        return red, green, blue

    def choice(self, *names: str) -> str:
        return names[int(self.rng.integers(len(names)))]

    def choice_of(self, *values: float) -> float:
        return values[int(self.rng.integers(len(values)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def stuff(self, *names: str) -> Material:
        """One of these materials, in a shade of its own."""
        return MATERIALS[self.choice(*names)].tinted(self.rng)

    def spot(self, name: str, x: float, y: float) -> None:
        self.spots.setdefault(name, []).append((x, y))

    def obstacle(self, x: float, y: float, radius: float, height: float) -> None:
        self.obstacles.append((x, y, radius, height))

    def ground(self, points: Polygon, material: Material, turn: float = 0.0, z: float = 0.0) -> None:
        """A polygon of ground; its grid is turned by `turn` radians."""
        cos, sin = math.cos(turn), math.sin(turn)
        flat = tuple((x * cos + y * sin, y * cos - x * sin) for x, y in points)
        self.grounds.append(Face((0, 0, z), (cos, sin, 0), (-sin, cos, 0), flat, material, casts=False))

    def stripe(self, a: Point, b: Point, width: float, material: Material, dash: tuple[float, float] = (0, 0)) -> None:
        """A line on the ground, whole or in dashes of (length, gap) m."""
        length = math.dist(a, b)
        along = ((b[0] - a[0]) / length, (b[1] - a[1]) / length)
        step = sum(dash) or length
        for i in range(max(1, int(length / step))):
            start, end = i * step, min(i * step + (dash[0] or length), length)
            side = (-along[1] * width / 2, along[0] * width / 2)
            p = (a[0] + along[0] * start, a[1] + along[1] * start)
            q = (a[0] + along[0] * end, a[1] + along[1] * end)
            corners = ((p[0] + side[0], p[1] + side[1]), (p[0] - side[0], p[1] - side[1]),
                       (q[0] - side[0], q[1] - side[1]), (q[0] + side[0], q[1] + side[1]))  # fmt: skip
            self.ground(corners, material)

    def kerb(self, a: Point, b: Point) -> None:
        """The edge of a pavement: light stone and the dark gutter."""
        self.stripe(a, b, 0.34, Material((70, 68, 66), grain=0.1))
        self.stripe(a, b, 0.16, Material((172, 168, 160), cell=(1.0, 1.0)))

    def wall(
        self, a: Point, b: Point, height: float, material: Material, details: Sequence[Detail] = (), z: float = 0.0
    ) -> None:
        """An upright wall from a to b; details in metres along it and up from its foot."""
        length = math.dist(a, b)
        along = ((b[0] - a[0]) / length, (b[1] - a[1]) / length, 0.0)
        outline = rectangle(0, 0, length, height)
        self.faces.append(Face((a[0], a[1], z), along, UP, outline, material, tuple(details)))

    def prism(
        self,
        at: Point,
        size: tuple[float, float],
        z: tuple[float, float],
        material: Material,
        *,
        heading: float = 0.0,
        top: tuple[float, float] | None = None,
        lid: Material | None = None,
        sides: dict[int, tuple[Detail, ...]] | None = None,
    ) -> None:
        """A box of `size` (length along heading, width), narrowing to `top`, from z[0] to z[1]. sides: details of the
        faces 0 (right of the heading), 1 (front), 2 (left), 3 (back)."""
        cos, sin = math.cos(heading), math.sin(heading)
        top = top or size

        def corner(i: int, span: tuple[float, float], height: float) -> np.ndarray:
            x, y = span[0] / 2 * (-1, 1, 1, -1)[i % 4], span[1] / 2 * (-1, -1, 1, 1)[i % 4]
            return np.array([at[0] + x * cos - y * sin, at[1] + x * sin + y * cos, height])

        for i in range(4):
            low, right = corner(i, size, z[0]), corner(i + 1, size, z[0])
            high, far = corner(i, top, z[1]), corner(i + 1, top, z[1])
            u = (right - low) / np.linalg.norm(right - low)
            slant = (high + far) / 2 - (low + right) / 2
            v = slant / np.linalg.norm(slant)
            corners = [(float((p - low) @ u), float((p - low) @ v)) for p in (low, right, far, high)]
            self.faces.append(
                Face(tuple(low), tuple(u), tuple(v), tuple(corners), material, (sides or {}).get(i, ()), outward=True)
            )
        lids = tuple((float(p[0] - at[0]), float(p[1] - at[1])) for p in (corner(i, top, z[1]) for i in range(4)))
        self.faces.append(
            Face((at[0], at[1], z[1]), (1, 0, 0), (0, 1, 0), lids, lid or replace(material, cell=None), outward=True)
        )

    def thing(self, kind: str, x: float, y: float, height: float, radius: float = 0.3) -> None:
        self.things.append(Thing(kind, x, y, height))
        self.obstacle(x, y, radius, height)
        if kind == "lamp":
            self.lamps.append((x, y, height))

    def room(
        self,
        box: tuple[float, float, float, float],
        height: float,
        material: Material,
        back: Sequence[Detail] = (),
        left: Sequence[Detail] = (),
        right: Sequence[Detail] = (),
    ) -> None:
        """Walls of the room (x0, y0, x1, y1) at the back and on both sides, with their details, and a ceiling with
        lamps."""
        x0, y0, x1, y1 = box
        self.wall((x0, y1), (x1, y1), height, material, back)
        self.wall((x0, y0), (x0, y1), height, material, left)
        self.wall((x1, y0), (x1, y1), height, material, right)
        self.skirting(x0, y0, x1, y1)
        ceiling = Material((196, 196, 190), grain=0.01, cell=(0.6, 0.6), joint_m=0.03, joint=0.86)
        step = self.uniform(2.2, 3.6)
        lamps = []
        for x in np.arange(x0 + step / 2, x1, step):
            for y in np.arange(y0 + step / 2, y1, step):
                self.lamps.append((float(x), float(y), height - 0.1))
                lamps.append(pane(x - 0.3, y - 0.6, x + 0.3, y + 0.6, (250, 250, 244), 1.0))
        outline = rectangle(x0, y0, x1, y1)
        self.faces.append(Face((0, 0, height), (1, 0, 0), (0, 1, 0), outline, ceiling, tuple(lamps), casts=False))

    def skirting(self, x0: float, y0: float, x1: float, y1: float) -> None:
        dark = self.stuff("wood", "dark", "steel")
        inset = 0.02
        self.wall((x0, y1 - inset), (x1, y1 - inset), 0.12, dark)
        self.wall((x0 + inset, y0), (x0 + inset, y1), 0.12, dark)
        self.wall((x1 - inset, y0), (x1 - inset, y1), 0.12, dark)


def window(b: Builder, x: float, y: float, width: float, height: float, bars: int = 1) -> list[Detail]:
    """A window with frame, panes, a reflection and perhaps a curtain; at night some are lit."""
    lit = 0.85 if b.chance(0.3) else 0.0
    light = b.uniform(0.7, 1.2)
    glass = tuple(int(min(c * light, 250)) for c in ((214, 196, 150) if lit and b.chance(0.5) else (74, 90, 104)))
    frame = (220, 218, 210) if b.chance(0.6) else (84, 76, 68)
    out = [pane(x, y, x + width, y + height, frame)]
    step = width / (bars + 1)
    for i in range(bars + 1):
        left, right = x + i * step + 0.06, x + (i + 1) * step - 0.04
        out.append(pane(left, y + 0.07, right, y + height - 0.07, (glass[0], glass[1], glass[2]), lit))
        bright = (min(glass[0] + 40, 250), min(glass[1] + 44, 250), min(glass[2] + 48, 250))
        cut = b.uniform(0.25, 0.75)
        corners = (
            (left, y + height - 0.07),
            (left + (right - left) * cut, y + height - 0.07),
            (left, y + height * cut),
        )
        out.append(Detail(corners, bright, lit))
        if b.chance(0.35):
            out.append(pane(left, y + height * b.uniform(0.45, 0.8), right, y + height - 0.07, (196, 190, 176), lit))
    out.append(pane(x - 0.08, y - 0.1, x + width + 0.08, y, (176, 172, 164)))
    return out


def window_rows(b: Builder, length: float, height: float, first: float = 1.0, every: float = 3.2) -> list[Detail]:
    """Windows of a façade: storeys of `every` m, one rhythm a building."""
    width, tall, gap = b.uniform(1.0, 2.0), b.uniform(1.2, 1.9), b.uniform(0.7, 1.8)
    bars = int(b.rng.integers(0, 3))
    out: list[Detail] = []
    for level in np.arange(first, height - tall, every):
        for x in np.arange(gap / 2, length - width, width + gap):
            out += window(b, float(x), float(level), width, tall, bars)
    return out


def door(b: Builder, x: float, width: float = 1.0, height: float = 2.1) -> list[Detail]:
    paint = ((112, 76, 50), (70, 84, 96), (150, 152, 150), (96, 40, 36), (52, 74, 60), (186, 180, 166))
    rgb = paint[int(b.rng.integers(len(paint)))]
    dark = (rgb[0] * 3 // 4, rgb[1] * 3 // 4, rgb[2] * 3 // 4)
    out = [pane(x - 0.08, 0, x + width + 0.08, height + 0.08, (206, 202, 194)), pane(x, 0, x + width, height, rgb)]
    out.append(pane(x + 0.15, height * 0.55, x + width - 0.15, height * 0.92, (84, 96, 106) if b.chance(0.4) else dark))
    out.append(pane(x + 0.15, height * 0.1, x + width - 0.15, height * 0.45, dark))
    out.append(pane(x + width - 0.14, height * 0.47, x + width - 0.06, height * 0.5, (214, 206, 180)))
    return out


def posters(b: Builder, length: float, count: int, low: float = 1.2) -> list[Detail]:
    """Notices and pictures on a wall."""
    out = []
    for _ in range(count):
        width, height = b.uniform(0.3, 1.2), b.uniform(0.3, 0.9)
        x = b.uniform(0.3, max(length - width - 0.3, 0.4))
        paper, ink = (224, 222, 212), b.print_colour()
        out.append(pane(x, low, x + width, low + height, paper))
        cut = b.uniform(0.05, 0.5) * height
        out.append(pane(x + 0.04, low + cut, x + width - 0.04, low + height - 0.04, ink))
        out.append(pane(x + 0.12, low + height * 0.7, x + width * 0.6, low + height * 0.8, paper))
        for line in np.arange(low + 0.06, low + cut - 0.03, 0.07):
            out.append(
                pane(x + 0.06, float(line), x + width * b.uniform(0.6, 0.92), float(line) + 0.02, (110, 108, 104))
            )
    return out


def shop_front(b: Builder, x: float, width: float) -> list[Detail]:
    """A shop window with goods behind the glass, a door and a sign with letters."""
    base = b.print_colour(0.7)
    lit = 0.8 if b.chance(0.6) else 0.0
    out = [pane(x, 0, x + width, 3.0, (96, 92, 88)), pane(x + 0.1, 0.4, x + width - 0.1, 2.5, (66, 74, 80), lit * 0.8)]
    for _ in range(int(width * 3)):
        goods = b.print_colour()
        left, low = x + b.uniform(0.2, width - 0.6), 0.42 + 0.6 * int(b.rng.integers(0, 3))
        size = (b.uniform(0.12, 0.4), b.uniform(0.15, 0.55))
        out.append(pane(left, low, left + size[0], low + size[1], goods, lit))
    shine = b.uniform(0.3, 0.7) * width
    out.append(Detail(((x + shine, 0.4), (x + shine + 0.5, 0.4), (x + shine + 1.1, 2.5), (x + shine + 0.8, 2.5)),
                      (120, 132, 140), lit))  # fmt: skip
    out += door(b, x + b.uniform(0.2, max(width - 1.3, 0.3)), 1.0, 2.3)
    out.append(pane(x, 2.55, x + width, 3.2, base, lit))
    ink = (245, 244, 236) if sum(base) < 380 else (40, 36, 40)
    at = x + 0.3
    while at < x + width - 0.5:
        wide = b.uniform(0.14, 0.32)
        out.append(pane(at, 2.7, at + wide, 3.05, ink, lit))
        at += wide + (0.08 if b.chance(0.8) else 0.4)
    return out
