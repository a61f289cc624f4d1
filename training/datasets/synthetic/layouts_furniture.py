"""What stands in places: parked cars, benches, shelves, counters, desks, stairs, fences.

Next: training/datasets/synthetic/layouts_outdoor.py
"""

import math
from dataclasses import replace

import numpy as np

from training.datasets.synthetic.backdrop_materials import MATERIALS, Material, Rgb
from training.datasets.synthetic.backdrop_surfaces import Detail, Face
from training.datasets.synthetic.layouts_parts import Builder, Slope, disc, pane
from training.datasets.synthetic.stage import Point

CAR_COLOURS: tuple[Rgb, ...] = (
    (196, 198, 200), (150, 152, 154), (44, 44, 48), (226, 226, 224), (72, 78, 86), (44, 60, 104), (140, 34, 36),
    (60, 84, 64), (176, 164, 136), (92, 92, 92),
)  # fmt: skip


def placed(at: Point, heading: float, x: float, y: float) -> Point:
    """A point (x along the heading, y to its left) of something that stands at `at`."""
    cos, sin = math.cos(heading), math.sin(heading)
    return at[0] + x * cos - y * sin, at[1] + x * sin + y * cos


def parked_car(b: Builder, at: Point, heading: float) -> None:
    """A car of boxes: body, cabin, wheels, lights."""
    length, width, roof = b.uniform(3.9, 4.8), b.uniform(1.7, 1.85), b.uniform(1.38, 1.75)
    rgb = CAR_COLOURS[int(b.rng.integers(len(CAR_COLOURS)))]
    paint = replace(Material(rgb, grain=0.01, blotches=0.03).tinted(b.rng, 0.04), gloss=0.3)
    dark: Rgb = (26, 26, 28)
    waist = 0.56 * roof - 0.28
    wheels: list[Detail] = []
    for x in (0.19 * length, 0.8 * length):
        wheels += [disc(x, 0.06, 0.36, dark), disc(x, 0.05, 0.3, (16, 16, 16)), disc(x, 0.05, 0.17, (140, 142, 144))]
    seams = [pane(x * length, 0.1, x * length + 0.02, waist + 0.25, (rgb[0] // 2, rgb[1] // 2, rgb[2] // 2))
             for x in (0.36, 0.6)]  # fmt: skip
    low = [pane(0, -0.1, length, 0.1, dark)]
    front = (pane(0, 0, width, 0.14, dark), pane(0.1, 0.32, 0.4, 0.46, (236, 236, 226)),
             pane(width - 0.4, 0.32, width - 0.1, 0.46, (236, 236, 226)),
             pane(0.6, 0.1, width - 0.6, 0.22, (230, 226, 200)))  # fmt: skip
    back = (pane(0, 0, width, 0.14, dark), pane(0.08, 0.3, 0.36, 0.48, (156, 22, 22)),
            pane(width - 0.36, 0.3, width - 0.08, 0.48, (156, 22, 22)),
            pane(0.6, 0.2, width - 0.6, 0.32, (230, 226, 200)))  # fmt: skip
    side = (*low, *seams, *wheels)
    b.prism(at, (length, width), (0.27, 0.27 + waist), paint, heading=heading, top=(length * 0.97, width * 0.97),
            sides={0: side, 1: front, 2: side, 3: back})  # fmt: skip
    cabin, top = 0.58 * length, 0.36 * length
    glass: Rgb = (46, 54, 62)
    height = math.hypot(roof - waist - 0.27, 0.05)
    panes = (
        Detail(((0.12, 0.04), (cabin / 2 - 0.05, 0.04), (cabin / 2 - 0.05, height - 0.08), (0.5, height - 0.08)),
               glass),
        Detail(((cabin / 2 + 0.05, 0.04), (cabin - 0.12, 0.04), (cabin - 0.5, height - 0.08),
                (cabin / 2 + 0.05, height - 0.08)), glass),
    )  # fmt: skip
    slant = math.hypot(roof - waist - 0.27, (cabin - top) / 2)
    shield = Detail(((0.1, 0.05), (width - 0.15, 0.05), (width - 0.25, slant - 0.06), (0.22, slant - 0.06)), glass)
    shine = Detail(((0.3, 0.1), (0.7, 0.1), (1.0, slant - 0.1), (0.75, slant - 0.1)), (96, 108, 118))
    b.prism(placed(at, heading, -0.06 * length, 0), (cabin, width * 0.95), (0.27 + waist, roof), paint, heading=heading,
            top=(top, width * 0.78), sides={0: panes, 1: (shield, shine), 2: panes, 3: (shield,)})  # fmt: skip
    for x in (-length / 3, 0.0, length / 3):
        px, py = placed(at, heading, x, 0)
        b.obstacle(px, py, width / 2 + 0.15, roof)
    b.spot("parked car", *placed(at, heading, 0, -width / 2 - 0.5))


def bench(b: Builder, at: Point, heading: float = 0.0) -> None:
    """A bench along its heading, 1.8 m; the spot is the seat."""
    wood = b.stuff("wood", "steel", "wood")
    back = placed(at, heading, 0, 0.24)
    b.prism(back, (1.8, 0.06), (0.5, 0.85), wood, heading=heading)
    b.prism(at, (1.8, 0.45), (0.4, 0.46), wood, heading=heading)
    for x in (-0.75, 0.75):
        b.prism(placed(at, heading, x, 0), (0.08, 0.42), (0, 0.4), MATERIALS["dark"], heading=heading)
    b.obstacle(*at, 0.6, 0.6)
    b.spot("bench", *at)


def bin_(b: Builder, at: Point) -> None:
    paint = Material(((52, 70, 56), (60, 60, 62), (124, 124, 120))[int(b.rng.integers(3))])
    b.prism(at, (0.45, 0.45), (0.08, 0.9), paint, top=(0.5, 0.5), lid=MATERIALS["dark"])
    b.obstacle(*at, 0.35, 0.9)
    b.spot("bin", *at)


def dumpster(b: Builder, at: Point, heading: float = 0.0) -> None:
    paint = Material(((54, 82, 60), (60, 74, 104), (110, 110, 108))[int(b.rng.integers(3))], blotches=0.1, stains=0.8)
    lid = replace(paint, rgb=(paint.rgb[0] // 2, paint.rgb[1] // 2, paint.rgb[2] // 2))
    b.prism(at, (1.5, 0.95), (0.15, 1.25), paint, heading=heading, top=(1.75, 1.1), lid=lid)
    b.obstacle(*at, 0.95, 1.3)
    b.spot("bin", *placed(at, heading, 0, -1.0))


def table(b: Builder, at: Point, size: tuple[float, float] = (1.4, 0.8), height: float = 0.74) -> None:
    wood = b.stuff("wood", "white wall", "parquet")
    b.prism(at, size, (height - 0.05, height), wood)
    for x in (-1, 1):
        for y in (-1, 1):
            leg = (at[0] + x * (size[0] / 2 - 0.06), at[1] + y * (size[1] / 2 - 0.06))
            b.prism(leg, (0.05, 0.05), (0, height - 0.05), MATERIALS["dark"])
    b.obstacle(*at, max(size) / 2, height)


def chair(b: Builder, at: Point, heading: float) -> None:
    """Looks along its heading."""
    cloth = b.stuff("cloth", "wood", "dark", "leather")
    b.prism(at, (0.44, 0.44), (0.4, 0.47), cloth, heading=heading)
    b.prism(placed(at, heading, -0.2, 0), (0.05, 0.42), (0.47, 0.92), cloth, heading=heading)
    for x, y in ((-0.18, -0.18), (0.18, -0.18), (0.18, 0.18), (-0.18, 0.18)):
        b.prism(placed(at, heading, x, y), (0.04, 0.04), (0, 0.4), MATERIALS["dark"])
    b.obstacle(*at, 0.32, 0.6)
    b.spot("chair", *at)


def desk(b: Builder, at: Point) -> None:
    """A desk with a screen, and a chair behind it."""
    table(b, at, (1.5, 0.75))
    glow = pane(0.03, 0.03, 0.49, 0.31, (90, 130, 170) if b.chance(0.6) else (32, 36, 42), 0.5)
    x = at[0] + b.uniform(-0.4, 0.4)
    b.prism((x, at[1]), (0.52, 0.05), (0.84, 1.18), MATERIALS["dark"], sides={0: (glow,)})
    for _ in range(3):
        spot = (at[0] + b.uniform(-0.6, 0.6), at[1] + b.uniform(-0.3, 0.0))
        b.prism(spot, (0.28, 0.2), (0.74, 0.74 + b.uniform(0.01, 0.1)), Material(b.print_colour(0.3)))
    chair(b, (at[0], at[1] - 0.85), math.pi / 2 + b.uniform(-0.5, 0.5))


def sofa(b: Builder, at: Point, heading: float = -math.pi / 2, length: float = 2.0) -> None:
    """Looks along its heading."""
    cloth = b.stuff("cloth", "leather", "red carpet", "carpet")
    b.prism(at, (0.85, length), (0.08, 0.44), cloth, heading=heading)
    b.prism(placed(at, heading, -0.38, 0), (0.22, length), (0.3, 0.86), cloth, heading=heading)
    for end in (-1, 1):
        b.prism(placed(at, heading, 0, end * length / 2), (0.85, 0.2), (0.08, 0.62), cloth, heading=heading)
    for y in np.arange(-length / 2 + 0.4, length / 2, 0.7):
        b.obstacle(*placed(at, heading, 0, float(y)), 0.45, 0.7)
    b.spot("bench", *placed(at, heading, 0.1, 0))


def goods(b: Builder, muted: float = 0.36) -> Material:
    """Packed shelves: cells of many colours."""
    palette = tuple(b.print_colour(muted) for _ in range(24))
    return Material((150, 150, 150), grain=0.1, cell=(b.uniform(0.06, 0.14), 0.4), joint_m=0.02, joint=0.4,
                    variation=0.14, palette=palette)  # fmt: skip


def shelf(b: Builder, at: Point, length: float, heading: float, height: float = 1.7, depth: float = 0.7) -> None:
    """A shelf full of goods along its heading, seen from both sides."""
    boards = tuple(pane(0, z - 0.04, length, z + 0.04, (176, 174, 168)) for z in np.arange(0.05, height, 0.4))
    tags = tuple(
        pane(x, z - 0.03, x + 0.08, z + 0.03, (236, 214, 92) if b.chance(0.3) else (240, 240, 236))
        for z in np.arange(0.45, height, 0.4)
        for x in np.arange(0.1, length - 0.1, 0.45)
    )
    b.prism(at, (length, depth), (0, height), goods(b), heading=heading, lid=b.stuff("white wall", "wood"),
            sides={0: boards + tags, 2: boards + tags})  # fmt: skip
    for x in np.arange(-length / 2 + depth / 2, length / 2 - depth / 2 + 0.01, depth):
        b.obstacle(*placed(at, heading, float(x), 0), depth / 2 + 0.05, height)
    b.spot("shelf", *placed(at, heading, b.uniform(-0.35, 0.35) * length, -depth / 2 - 0.45))
    b.spot("shelf", *placed(at, heading, b.uniform(-0.35, 0.35) * length, depth / 2 + 0.45))


def counter(b: Builder, at: Point, length: float, heading: float = 0.0, height: float = 1.05) -> None:
    front = b.stuff("wood", "panels", "white wall", "blue wall")
    b.prism(at, (length, 0.7), (0, height), front, heading=heading, lid=b.stuff("wood", "marble", "dark"))
    till = placed(at, heading, b.uniform(-0.3, 0.3) * length, 0.1)
    b.prism(till, (0.4, 0.35), (height, height + 0.35), MATERIALS["dark"], heading=heading + 0.3)
    for x in np.arange(-length / 2 + 0.35, length / 2, 0.6):
        b.obstacle(*placed(at, heading, float(x), 0), 0.42, height)
    b.spot("counter", *placed(at, heading, b.uniform(-0.3, 0.3) * length, -0.9))


def column(b: Builder, at: Point, height: float, width: float = 0.6) -> None:
    b.prism(at, (width, width), (0, height), b.stuff("concrete", "white wall", "wall tiles", "marble"))
    b.obstacle(*at, width * 0.75, height)


def cabinet(b: Builder, at: Point, size: tuple[float, float], height: float, heading: float = 0.0) -> None:
    wood = b.stuff("wood", "white wall", "steel", "panels")
    seams = tuple(pane(x, 0.05, x + 0.02, height - 0.05, (60, 56, 52)) for x in np.arange(0.45, size[0], 0.45))
    b.prism(at, size, (0, height), wood, heading=heading, sides={0: seams})
    b.obstacle(*at, max(size) / 2, height)


def bollards(b: Builder, a: Point, to: Point, every: float = 1.6) -> None:
    for s in np.arange(0, 1.001, every / math.dist(a, to)):
        at = (a[0] + (to[0] - a[0]) * float(s), a[1] + (to[1] - a[1]) * float(s))
        band = (pane(0, 0.62, 0.14, 0.74, (226, 222, 210)),)
        b.prism(at, (0.14, 0.14), (0, 0.85), MATERIALS["dark"], sides=dict.fromkeys(range(4), band))
        b.obstacle(*at, 0.15, 0.85)


def fence(b: Builder, a: Point, to: Point, height: float, material: Material | None = None) -> None:
    """A see-through fence; spots "fence" every 4 m."""
    b.wall(a, to, height, material or b.stuff("bars", "mesh"))
    length = math.dist(a, to)
    for s in np.arange(2.0, length, 4.0):
        x, y = a[0] + (to[0] - a[0]) * s / length, a[1] + (to[1] - a[1]) * s / length
        b.spot("fence", float(x), float(y))


def stairs(b: Builder, x0: float, x1: float, y0: float, rise: float, steps: int, landing: float) -> float:
    """Steps up along y with a landing behind; returns y of the landing's edge."""
    stone = b.stuff("concrete", "marble", "grey tiles")
    tread, step = b.uniform(0.3, 0.36), rise / steps
    nose = Material((70, 68, 64))
    for i in range(steps):
        at = ((x0 + x1) / 2, y0 + tread * (i + 0.5))
        lip = (pane(0, step - 0.035, x1 - x0, step, nose.rgb),)
        b.prism(at, (x1 - x0, tread), (step * i, step * (i + 1)), stone, sides={0: lip})
    top = y0 + tread * steps
    b.prism(((x0 + x1) / 2, top + landing / 2), (x1 - x0, landing), (rise - step, rise), stone)
    b.slopes.append(Slope(x0, x1, y0, top, 0.0, rise, top + landing))
    return top


def escalator(b: Builder, x: float, y0: float, rise: float, length: float) -> None:
    """A moving stair 1 m wide along y with glass sides."""
    steps = Material((84, 86, 88), grain=0.05, cell=(9.0, 0.4), joint_m=0.05, joint=0.5)
    slant = math.hypot(length, rise)
    v = (0.0, length / slant, rise / slant)
    outline = ((0.0, 0.0), (1.0, 0.0), (1.0, slant), (0.0, slant))
    b.faces.append(Face((x - 0.5, y0, 0.02), (1, 0, 0), v, outline, steps))
    for side in (-0.62, 0.62):
        rail = ((0.0, 0.0), (length, rise), (length, rise + 0.95), (0.0, 0.95))
        band = Detail(((0.0, 0.85), (length, rise + 0.85), (length, rise + 0.95), (0.0, 0.95)), (24, 24, 26))
        glass = Material((104, 118, 122), grain=0.02, blotches=0.05)
        b.faces.append(Face((x + side, y0, 0), (0, 1, 0), (0, 0, 1), rail, glass, (band,)))
    b.slopes.append(Slope(x - 0.6, x + 0.6, y0, y0 + length, 0.0, rise, y0 + length + 0.5))
