"""Vehicles: cars, vans, buses, trucks, golf carts and trains, as shells over a row of cross-sections.

Next: training/datasets/synthetic/actors/animals.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from training.datasets.synthetic.actors.drawn import Drawn
from training.datasets.synthetic.actors.looks import dress, random_look
from training.datasets.synthetic.actors.paint import Model, Rgb, Vec
from training.datasets.synthetic.actors.palette import PAINTED, choose_colour, shade
from training.datasets.synthetic.actors.riders import STEEL, TYRE, block
from training.datasets.synthetic.actors.skeleton import Angles, pose_body
from training.datasets.synthetic.stage import Pose

GLASS: Rgb = (46, 54, 62)
SHEEN: Rgb = (92, 104, 114)
DARK: Rgb = (26, 26, 28)
LAMP: Rgb = (236, 234, 220)
REAR: Rgb = (150, 28, 26)
# Layers from back to front; the camera looks down, so what is above is nearer.
UNDER, BODY, TRIM, CABIN, WINDOW = 30.0, 20.0, 10.0, 0.0, -10.0


@dataclass(frozen=True)
class Section:
    """A cross-section at x: half widths at the bottom and the top edge, and their heights, metres."""

    x: float
    low: float
    high: float
    bottom: float
    top: float


@dataclass(frozen=True)
class Kind:
    """length, width, height in metres; belt: height of the body under the windows; wheel: radius; axles: shares of the
    length from the middle; pace in m/s; cabin: (x share, top share) of the sections of the cabin, rear to front;
    windows: number on each side."""

    length: float
    width: float
    height: float
    belt: float
    wheel: float
    axles: tuple[float, ...]
    pace: float
    cabin: tuple[tuple[float, float], ...]
    windows: int
    hood: float


_SALOON = ((-0.46, 0.0), (-0.33, 1.0), (0.06, 1.0), (0.24, 0.0))
_HATCH = ((-0.49, 0.2), (-0.44, 1.0), (0.08, 1.0), (0.26, 0.0))
_VAN = ((-0.5, 0.9), (-0.49, 1.0), (0.27, 1.0), (0.42, 0.0))
_BUS = ((-0.5, 0.9), (-0.49, 1.0), (0.485, 1.0), (0.5, 0.1))
_CAB = ((0.2, 0.95), (0.22, 1.0), (0.44, 1.0), (0.49, 0.1))
_TRAIN = ((-0.5, 0.9), (-0.495, 1.0), (0.48, 1.0), (0.5, 0.2))
KINDS = {
    "car": Kind(4.3, 1.78, 1.46, 0.92, 0.32, (-0.31, 0.31), 9.0, _SALOON, 3, 0.8),
    "hatchback": Kind(3.8, 1.7, 1.5, 0.95, 0.3, (-0.33, 0.32), 8.5, _HATCH, 2, 0.82),
    "estate": Kind(4.6, 1.85, 1.68, 1.02, 0.36, (-0.31, 0.31), 9.0, _HATCH, 3, 0.92),
    "van": Kind(4.9, 1.95, 2.1, 1.1, 0.34, (-0.31, 0.33), 8.0, _VAN, 1, 0.85),
    "bus": Kind(11.0, 2.5, 3.0, 1.25, 0.48, (-0.26, 0.3), 8.0, _BUS, 8, 1.0),
    "truck": Kind(7.5, 2.4, 3.1, 1.2, 0.48, (-0.34, 0.34), 8.0, _CAB, 1, 1.0),
    "train": Kind(18.0, 2.8, 3.6, 1.6, 0.4, (-0.38, -0.3, 0.3, 0.38), 12.0, _TRAIN, 12, 1.0),
}


class Vehicle(Drawn):
    """Something with an engine, drawn whole whatever the action is."""

    grain = 0.025
    is_cyclic = False

    def __init__(self, rng: np.random.Generator, noun: str, kind: str) -> None:
        super().__init__(rng)
        sizes = KINDS[kind]
        k = float(rng.uniform(0.94, 1.06))
        self.kind = replace(
            sizes, length=sizes.length * k, width=sizes.width * (0.5 + 0.5 * k), height=sizes.height * (0.6 + 0.4 * k)
        )
        self.name = kind
        colour = choose_colour(rng, PAINTED)
        self.paint = shade(colour, rng)
        self.box = shade(colour, rng)
        self.noun, self.colours, self.carried = noun, {"whole": colour}, ""
        self.size_m = (self.kind.length, self.kind.width, self.kind.height)
        self.pace = sizes.pace * float(rng.uniform(0.85, 1.15))
        self.stride = 2 * math.pi * sizes.wheel
        self.lit = bool(rng.random() < 0.25)

    def model(self, pose: Pose) -> Model:
        m, k = Model(), self.kind
        half, length = k.width / 2, k.length
        floor = k.wheel * 0.75
        body = [
            Section(x * length, half * w, half * w * 0.97, floor + up, k.belt * top)
            for x, w, up, top in (
                (-0.5, 0.8, 0.1, 0.85), (-0.485, 0.92, 0.03, 0.98), (-0.44, 1.0, 0.0, 1.0), (0.22, 1.0, 0.0, 1.0),
                (0.43, 0.97, 0.0, k.hood), (0.485, 0.9, 0.04, k.hood * 0.92), (0.5, 0.76, 0.1, k.hood * 0.8),
            )
        ]  # fmt: skip
        shell(m, body, self.paint, BODY, sill=0.28)
        self._wheels(m)
        self._lamps(m, body)
        if self.name == "truck":
            high = k.height - k.belt * 0.85
            block(m, (-0.16 * length, 0.0, k.belt * 0.85), (0.67 * length, k.width, high), self.box, CABIN)
        self._cabin(m)
        if pose.action == "fall":
            u = min(1.0, pose.progress / 0.8)
            m.roll(1.5 * u * u)
        return m

    def _cabin(self, m: Model) -> None:
        k = self.kind
        half, tall = k.width / 2, k.height - k.belt
        upright = self.name in ("bus", "van", "truck", "train")
        narrow = 0.95 if upright else 0.78
        sections = [
            Section(x * k.length, half * 0.96, half * (0.96 + (narrow - 0.96) * up), k.belt * 0.98, k.belt + tall * up)
            for x, up in k.cabin
        ]
        tops = [GLASS if abs(b.top - a.top) > 0.3 * tall else self.paint for a, b in _pairs(sections)]
        shell(m, sections, self.paint, CABIN, tops=tops)
        first, last = sections[1].x, sections[-2].x
        begin = 0.02 if self.name != "van" else 0.62
        step = (1 - begin) / k.windows
        for i in range(k.windows):
            a, b = begin + step * (i + 0.06), begin + step * (i + 0.94)
            for side in (1.0, -1.0):
                _window(m, sections, first + (last - first) * a, first + (last - first) * b, side)

    def _wheels(self, m: Model) -> None:
        k = self.kind
        half, r = k.width / 2, k.wheel
        length, low = k.length, r * 0.55
        m.loft(
            [((x * length, 0.0, low), (0.0, half * 0.9, 0.0), (0.1, 0.0, 0.0), 0.12) for x in (-0.46, 0.46)],
            DARK, UNDER, shaded=False,
        )  # fmt: skip
        for axle in k.axles:
            x = axle * length
            for s in (1.0, -1.0):
                inner, outer = s * half * 0.78, s * half * 0.985
                m.loft([((x, y, r), (r, 0.0, 0.0), (0.0, 0.0, r), 0.0) for y in (inner, outer)], TYRE, UNDER - 2, False)
                _disc(m, (x, s * (half + 0.004), r), r * 1.12, DARK, s, TRIM + 1)
                _disc(m, (x, s * (half + 0.006), r), r * 0.95, TYRE, s, TRIM)
                _disc(m, (x, s * (half + 0.008), r), r * 0.58, (128, 130, 134), s, TRIM - 1)

    def _lamps(self, m: Model, body: Sequence[Section]) -> None:
        k = self.kind
        w, front, rear = k.width / 2, body[-1], body[0]
        lamp = LAMP if self.lit else (196, 198, 196)
        for s in (1.0, -1.0):
            z = k.belt * k.hood * 0.68
            _plate(m, front.x + 0.012, s * w * 0.56, z, 0.16 * k.width, 0.1 * k.belt + 0.04, lamp, 1.0)
            _plate(m, rear.x - 0.012, s * w * 0.6, k.belt * 0.72, 0.13 * k.width, 0.12 * k.belt + 0.04, REAR, -1.0)
        _plate(m, front.x + 0.012, 0.0, k.belt * 0.42, 0.5 * k.width, 0.16, DARK, 1.0)
        _plate(m, front.x + 0.02, 0.0, k.belt * 0.42, 0.26 * k.width, 0.1, (205, 205, 200), 1.0)
        _plate(m, rear.x - 0.02, 0.0, k.belt * 0.5, 0.26 * k.width, 0.11, (205, 205, 190), -1.0)
        if self.name in ("bus", "van", "train"):
            top = k.belt + (k.height - k.belt) * 0.8
            _plate(m, rear.x - 0.02, 0.0, (top + k.belt) / 2, 0.7 * k.width, top - k.belt, GLASS, -1.0, WINDOW)


def _pairs(sections: Sequence[Section]) -> list[tuple[Section, Section]]:
    return list(pairwise(sections))


def shell(
    m: Model,
    sections: Sequence[Section],
    paint: Rgb,
    layer: float,
    tops: Sequence[Rgb] | None = None,
    sill: float = 0.0,
) -> None:
    """Sides, top and ends over cross-sections from rear to front. sill: share of the sides that is darker, below."""
    for i, (a, b) in enumerate(_pairs(sections)):
        for s in (1.0, -1.0):
            cuts = [0.0, sill, 0.8, 1.0] if sill else [0.0, 1.0]
            for low, high, light in zip(cuts[:-1], cuts[1:], (0.8, 1.0, 1.12) if sill else (1.0,), strict=True):
                quad = [_side(a, low, s), _side(b, low, s), _side(b, high, s), _side(a, high, s)]
                m.face(quad if s < 0 else quad[::-1], _lit(paint, light), layer)
        top = [_side(a, 1.0, -1), _side(b, 1.0, -1), _side(b, 1.0, 1), _side(a, 1.0, 1)]
        m.face(top, paint if tops is None else tops[i], layer - 0.5)
    for end, s in ((sections[0], -1.0), (sections[-1], 1.0)):
        cap = [_side(end, 0.0, -1), _side(end, 0.0, 1), _side(end, 1.0, 1), _side(end, 1.0, -1)]
        m.face(cap if s > 0 else cap[::-1], paint, layer)


def _side(section: Section, share: float, s: float) -> Vec:
    """A point on a side, at a share of the height."""
    return (
        section.x,
        s * (section.low + (section.high - section.low) * share),
        section.bottom + (section.top - section.bottom) * share,
    )


def _lit(colour: Rgb, light: float) -> Rgb:
    return tuple(min(255, int(v * light)) for v in colour)  # type: ignore[return-value]


def _window(m: Model, sections: Sequence[Section], x0: float, x1: float, s: float) -> None:
    a, b = sections[1], sections[-2]
    corners: list[Vec] = []
    for x, share in ((x0, 0.1), (x1, 0.1), (x1, 0.84), (x0, 0.84)):
        u = (x - a.x) / max(1e-6, b.x - a.x)
        section = Section(x, a.low + (b.low - a.low) * u, a.high + (b.high - a.high) * u, a.bottom, a.top)
        px, py, pz = _side(section, share, s)
        corners.append((px, py + s * 0.004, pz))
    m.face(corners if s < 0 else corners[::-1], GLASS, WINDOW)
    low, high = corners[:2], corners[2:]
    sheen = [low[0], low[1], *((x, y, z) for x, y, z in (_between(low[1], high[0]), _between(low[0], high[1])))]
    m.face(sheen if s < 0 else sheen[::-1], SHEEN, WINDOW - 0.1)


def _between(a: Vec, b: Vec) -> Vec:
    return tuple(v + (w - v) * 0.35 for v, w in zip(a, b, strict=True))  # type: ignore[return-value]


def _disc(m: Model, at: Vec, radius: float, colour: Rgb, s: float, layer: float) -> None:
    x, y, z = at
    rim = [(x + radius * math.cos(a), y, z + radius * math.sin(a)) for a in (2 * math.pi * i / 14 for i in range(14))]
    m.face(rim if s < 0 else rim[::-1], colour, layer, lit=False)


def _plate(
    m: Model, x: float, y: float, z: float, wide: float, tall: float, colour: Rgb, s: float, layer: float = TRIM
) -> None:
    """A rectangle that faces ahead (s = 1) or back (-1)."""
    a, b = wide / 2, tall / 2
    corners = [(x, y - a, z - b), (x, y + a, z - b), (x, y + a, z + b), (x, y - a, z + b)]
    m.face(corners if s > 0 else corners[::-1], colour, layer, lit=False)


# Of a golf cart: x, half width (share), top.
GOLF = (
    (-1.15, 0.85, 0.72), (-1.05, 1.0, 0.8), (-0.35, 1.0, 0.8), (-0.3, 1.0, 0.42), (0.5, 1.0, 0.42), (0.58, 1.0, 0.85),
    (1.0, 0.95, 0.72), (1.15, 0.75, 0.55),
)  # fmt: skip


class GolfCart(Drawn):
    """A small open cart with a roof and a driver."""

    grain = 0.03
    is_cyclic = False

    def __init__(self, rng: np.random.Generator, noun: str) -> None:
        super().__init__(rng)
        colour = choose_colour(rng, PAINTED)
        self.paint = shade(colour, rng)
        self.look = replace(random_look(rng, carries=False), bottom="trousers", top="shirt")
        self.noun, self.colours, self.carried = noun, {"whole": colour}, ""
        self.size_m = (2.4, 1.2, 1.85)
        self.pace, self.stride = float(rng.uniform(2.5, 5.0)), 1.4

    def model(self, pose: Pose) -> Model:
        m = Model()
        body = [Section(x, 0.55 * w, 0.55 * w, 0.25, top) for x, w, top in GOLF]
        shell(m, body, self.paint, BODY, sill=0.3)
        for x in (-0.78, 0.8):
            for s in (1.0, -1.0):
                m.loft([((x, s * y, 0.22), (0.22, 0, 0), (0, 0, 0.22), 0.0) for y in (0.38, 0.55)], TYRE, UNDER, False)
                _disc(m, (x, s * 0.56, 0.22), 0.22, TYRE, s, TRIM)
                _disc(m, (x, s * 0.565, 0.22), 0.1, STEEL, s, TRIM - 1)
        angles = Angles(
            seat=(-0.32, 0.26, 0.86), trunk=-0.05, hands=((0.28, 0.38, 1.05), (0.28, 0.12, 1.05)),
            feet=((0.25, 0.36, 0.5), (0.25, 0.16, 0.5)),
        )  # fmt: skip
        dress(m, pose_body(self.look.build, angles), self.look)
        block(m, (-0.5, 0.0, 0.8), (0.12, 1.0, 0.4), (70, 64, 58), 0.1)
        for x, top in ((-0.95, -0.75), (0.62, 0.42)):
            for y in (0.5, -0.5):
                m.line([(x, y, 0.75), (top, y, 1.78)], 0.045, (200, 200, 198))
        block(m, (-0.2, 0.0, 1.78), (1.6, 1.16, 0.07), (214, 214, 208), -20.0)
        return m
