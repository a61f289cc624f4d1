"""Things: bags, boxes, parked bicycles, and what is thrown.

Next: training/datasets/synthetic/actors/effects.py
"""

import math
from collections.abc import Callable

import numpy as np

from training.datasets.synthetic.actors.drawn import Drawn
from training.datasets.synthetic.actors.paint import Model, Rgb
from training.datasets.synthetic.actors.palette import BAGS, PAINTED, choose_colour, shade
from training.datasets.synthetic.actors.riders import PUSHED, TYRE, bicycle, block, motorcycle
from training.datasets.synthetic.actors.skeleton import Vec
from training.datasets.synthetic.stage import Pose


class Thing(Drawn):
    """Something without a life of its own. What is thrown turns with the phase."""

    def __init__(self, rng: np.random.Generator, noun: str) -> None:
        super().__init__(rng)
        build, size, shares, fixed, self.stride = THINGS[noun]
        k = 1.0 if noun in ("bicycle", "parked motorcycle") else float(rng.uniform(0.88, 1.15))
        colour = fixed or choose_colour(rng, shares)
        self.build, self.paint, self.second = build, shade(colour, rng), shade(choose_colour(rng, BAGS), rng)
        self.noun, self.colours, self.carried = noun, {"whole": colour}, ""
        self.size_m = (size[0] * k, size[1] * k, size[2] * k)
        self.pace = 0.0
        self.is_cyclic = noun in ("ball", "bottle", "stone")

    def model(self, pose: Pose) -> Model:
        m = Model()
        self.build(m, self.size_m, self.paint, self.second, pose)
        return m


def _bag(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
    length, wide, tall = size
    rings = [
        ((0.0, 0.0, z * tall), (length * x, 0.0, 0.0), (0.0, wide * y, 0.0), 0.02)
        for z, x, y in ((0.06, 0.44, 0.42), (0.4, 0.48, 0.46), (0.72, 0.4, 0.2))
    ]
    m.loft(rings, paint)
    arch = [(length * 0.25 * math.cos(a), 0.0, tall * (0.7 + 0.28 * math.sin(a))) for a in np.linspace(0, math.pi, 7)]
    m.line(arch, 0.025, tuple(int(v * 0.6) for v in paint), -0.1)  # type: ignore[arg-type]


def _backpack(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
    length, wide, tall = size
    m.loft(
        [
            ((0.0, 0.0, z * tall), (length * 0.42 * s, 0.0, 0.0), (0.0, wide * 0.42 * s, 0.0), 0.02)
            for z, s in ((0.08, 1.0), (0.6, 1.0), (0.9, 0.7))
        ],
        paint,
    )
    m.loft(
        [((length * 0.35, 0.0, z * tall), (0.04, 0.0, 0.0), (0.0, wide * 0.3, 0.0), 0.01) for z in (0.12, 0.45)], paint
    )


def _suitcase(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
    length, wide, tall = size
    block(m, (0.0, 0.0, 0.05), (length, wide, tall * 0.72), paint)
    for x in (-0.25, 0.25):
        m.line([(x * length, -wide / 2, 0.08), (x * length, -wide / 2, tall * 0.7)], 0.012, (60, 60, 62), -0.01)
    rods = [(x * length, 0.0, z * tall) for x, z in ((-0.2, 0.75), (-0.2, 1.0), (0.2, 1.0), (0.2, 0.75))]
    m.line(rods, 0.02, (90, 90, 94))
    for x in (-0.4, 0.4):
        m.chain([((x * length, 0.0, 0.03), 0.03)], TYRE, 0.05)


def _box(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
    length, _, tall = size
    block(m, (0.0, 0.0, 0.0), size, paint)
    tape = [(-length / 2, -0.03, tall + 0.001), (length / 2, -0.03, tall + 0.001), (length / 2, 0.03, tall + 0.001)]
    m.face([*tape, (-length / 2, 0.03, tall + 0.001)], tuple(int(v * 0.85) for v in paint), -0.2)  # type: ignore[arg-type]


def _bicycle(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
    bicycle(m, paint, 0.7)
    m.line([(0.0, 0.05, 0.28), (0.11, 0.1, 0.16)], 0.03, (100, 100, 104))
    m.roll(0.1)


def _motorcycle(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
    motorcycle(m, paint)
    m.roll(-0.12)


def _ball(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
    r = size[2] / 2
    m.chain([((0.0, 0.0, r), r)], paint)
    a = 2 * math.pi * pose.phase
    m.chain([((r * 0.5 * math.cos(a), -r * 0.4, r + r * 0.5 * math.sin(a)), r * 0.3)], _dim(paint), -r, shaded=False)


def _bottle(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
    a = 2 * math.pi * pose.phase
    x, z = math.sin(a), math.cos(a)
    half, r = size[2] / 2, size[0] / 2
    at = [(-half + r, r), (half * 0.35, r), (half * 0.6, r * 0.45), (half, r * 0.4)]
    m.chain([((x * s, 0.0, half + z * s), w) for s, w in at], paint)


def _stone(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
    a, r = 2 * math.pi * pose.phase, size[2] / 2
    dx, dz = r * 0.4 * math.cos(a), r * 0.4 * math.sin(a)
    m.chain([((dx, 0.0, r + dz), r * 0.8), ((-dx, 0.0, r - dz), r * 0.65)], paint)


def _bin(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
    length, wide, tall = size

    def rim(height: float, share: float, rounding: float) -> tuple[Vec, Vec, Vec, float]:
        return (0.0, 0.0, height * tall), (length * share, 0.0, 0.0), (0.0, wide * share, 0.0), rounding

    m.loft([rim(0.03, 0.42, 0.01), rim(0.9, 0.5, 0.01)], paint)
    m.loft([rim(0.9, 0.5, 0.02), rim(0.98, 0.5, 0.02)], _dim(paint), -0.3)


def _pushed(name: str) -> "Build":
    """What people push, its middle over the origin."""

    def build(m: Model, size: Vec, paint: Rgb, second: Rgb, pose: Pose) -> None:
        PUSHED[name](m, (-size[0] / 2, 0.0, 0.0), size[2], paint)

    return build


def _dim(colour: Rgb) -> Rgb:
    return tuple(int(v * 0.82) for v in colour)  # type: ignore[return-value]


Build = Callable[[Model, Vec, Rgb, Rgb, Pose], None]

# noun: how it is built, size in metres, how frequent its colours are, its only colour ("" for any), metres per turn.
THINGS: dict[str, tuple[Build, Vec, tuple[float, ...], str, float]] = {
    "bag": (_bag, (0.55, 0.3, 0.38), BAGS, "", 1.0),
    "backpack": (_backpack, (0.3, 0.34, 0.5), BAGS, "", 1.0),
    "suitcase": (_suitcase, (0.45, 0.26, 0.85), BAGS, "", 1.0),
    "box": (_box, (0.5, 0.4, 0.38), BAGS, "brown", 1.0),
    "bicycle": (_bicycle, (1.75, 0.5, 1.02), PAINTED, "", 1.0),
    "parked motorcycle": (_motorcycle, (2.0, 0.7, 1.1), PAINTED, "", 1.0),
    "ball": (_ball, (0.22, 0.22, 0.22), PAINTED, "", 0.7),
    "bottle": (_bottle, (0.08, 0.08, 0.3), BAGS, "green", 1.5),
    "stone": (_stone, (0.12, 0.12, 0.12), BAGS, "grey", 1.0),
    "pram": (_pushed("pram"), (0.9, 0.5, 1.02), BAGS, "", 1.0),
    "trolley": (_pushed("trolley"), (0.95, 0.55, 1.02), BAGS, "", 1.0),
    "cart": (_pushed("cart"), (1.05, 0.6, 1.0), BAGS, "", 1.0),
    "bin": (_bin, (0.5, 0.5, 1.0), BAGS, "", 1.0),
}
