"""Open places: plaza, walkway, park, school yard, gate, car park.

Next: training/datasets/synthetic/layouts_street.py
"""

import math
from itertools import pairwise

import numpy as np

from training.datasets.synthetic import layouts_furniture as furniture
from training.datasets.synthetic.backdrop_materials import MATERIALS
from training.datasets.synthetic.backdrop_surfaces import Detail
from training.datasets.synthetic.camera import View
from training.datasets.synthetic.layouts_parts import (
    Builder,
    Polygon,
    door,
    rectangle,
    shop_front,
    window_rows,
)
from training.datasets.synthetic.layouts_place import Place, finished
from training.datasets.synthetic.stage import Lane


def facade(b: Builder, x0: float, x1: float, y: float, *, shops: bool = False, z: float = 0.0) -> None:
    """Houses side by side along x, their doors as entrances."""
    x = x0
    while x < x1 - 3:
        length = min(b.uniform(9, 22), x1 - x)
        height = b.uniform(5.5, 13)
        details: list[Detail] = []
        first = 1.0
        if shops:
            first = 4.0
            for left in np.arange(0.4, length - 3.5, 4.6):
                details += shop_front(b, float(left), min(b.uniform(3.4, 4.4), length - float(left) - 0.2))
                if b.chance(0.6):
                    b.doors.append((x + float(left) + 1.0, y - 0.6))
                    b.spot("door", x + float(left) + 1.0, y - 0.7)
        details += window_rows(b, length, height, first)
        if not shops and length > 5:
            at = b.uniform(1.0, length - 2.2)
            details += door(b, at, b.uniform(0.95, 1.8), 2.3)
            b.doors.append((x + at + 0.5, y - 0.6))
            b.spot("door", x + at + 0.5, y - 0.7)
        stuff = b.stuff("brick", "yellow brick", "plaster", "concrete", "white wall", "panels", "plaster")
        b.wall((x, y), (x + length, y), height, stuff, details, z)
        for at in np.arange(x + 1.5, x + length, 5.0):
            b.spot("wall", float(at), y - 0.7)
        x += length


def greenery(b: Builder, box: tuple[float, float, float, float], trees: int, bushes: int) -> None:
    """Trees and bushes at random in a rectangle."""
    x0, y0, x1, y1 = box
    for _ in range(trees):
        b.thing("tree", b.uniform(x0, x1), b.uniform(y0, y1), b.uniform(4.5, 9.5), 0.3)
    for _ in range(bushes):
        b.thing("bush", b.uniform(x0, x1), b.uniform(y0, y1), b.uniform(0.7, 1.8), 0.7)


def plaza(rng: np.random.Generator) -> Place:
    """A paved square before houses, with trees, benches and lamps."""
    b = Builder(rng)
    back = b.uniform(12, 26)
    paved = b.stuff("slabs", "flags", "concrete", "cobbles", "brick paving", "old asphalt")
    b.walkable.append(rectangle(-32, -26, 32, back - 0.4))
    if b.chance(0.6):
        band = b.stuff("flags", "brick paving", "slabs", "cobbles")
        for x in np.arange(-30, 30, b.uniform(5, 9)):
            b.stripe((float(x), -30), (float(x), back), b.uniform(0.4, 0.9), band)
    facade(b, -38, 38, back, shops=b.chance(0.5))
    for _ in range(int(b.rng.integers(0, 4))):
        at = (b.uniform(-14, 14), b.uniform(0, back - 4))
        b.ground(rectangle(at[0] - 1.2, at[1] - 1.2, at[0] + 1.2, at[1] + 1.2), b.stuff("soil", "grass"))
        b.thing("tree", *at, b.uniform(4.5, 8), 0.4)
    for _ in range(int(b.rng.integers(1, 5))):
        furniture.bench(
            b, (b.uniform(-12, 12), b.uniform(-4, back - 3)), b.uniform(-0.3, 0.3) + b.rng.integers(2) * 1.57
        )
    furniture.bin_(b, (b.uniform(-10, 10), b.uniform(-3, back - 3)))
    for x in np.arange(-20, 21, b.uniform(8, 13)):
        b.thing("lamp", float(x), back - 3.0, b.uniform(4, 6))
    if b.chance(0.4):
        furniture.bollards(b, (-9, -6), (9, -6), 2.2)
    view = View((-9, 9), (-32, -14), (-3, 3), (-1, 5), (6.5, 9), (36, 74))
    return finished(b, "plaza", indoor=False, normal={"loitering"}, view=view, base=paved)


def walkway(rng: np.random.Generator) -> Place:
    """A broad path between lawns, seen from the side and from high up."""
    b = Builder(rng)
    width, slant = b.uniform(5, 8.5), b.uniform(-0.12, 0.12)

    def strip(low: float, high: float) -> Polygon:
        return ((-45, low - 45 * slant), (45, low + 45 * slant), (45, high + 45 * slant), (-45, high - 45 * slant))

    path = b.stuff("concrete", "concrete", "slabs", "old asphalt", "flags")
    b.ground(strip(0, width), path, math.atan(slant))
    for edge in (0.0, width):
        b.stripe((-45, edge - 45 * slant), (45, edge + 45 * slant), 0.18, b.stuff("concrete"))
    b.walkable.append(strip(0.2, width - 0.2))
    if b.chance(0.5):
        x = b.uniform(-14, 14)
        side = (x - 1.3, width - 0.1 + x * slant, x + 1.3, width + 22)
        b.ground(rectangle(*side), path)
        b.walkable.append(rectangle(*side))
    hedge = width + b.uniform(3, 7)
    if b.chance(0.7):
        b.wall((-45, hedge - 45 * slant), (45, hedge + 45 * slant), b.uniform(0.8, 1.6), MATERIALS["hedge"].tinted(rng))
    if b.chance(0.6):
        facade(b, -48, 48, hedge + b.uniform(6, 12))
    greenery(b, (-30, hedge + 1, 30, hedge + 6), int(b.rng.integers(1, 6)), int(b.rng.integers(0, 6)))
    greenery(b, (-20, -8, 20, -2), int(b.rng.integers(0, 2)), int(b.rng.integers(0, 4)))
    for x in np.arange(-34 + b.uniform(0, 8), 34, b.uniform(10, 16)):
        b.thing("lamp", float(x), width + 0.8 + float(x) * slant, b.uniform(3.5, 5.5), 0.15)
    if b.chance(0.6):
        x = b.uniform(-8, 8)
        furniture.bench(b, (x, width + 0.8 + x * slant))
    view = View((-8, 8), (-30, -15), (-2, 2), (1, 4), (6.5, 9), (23, 46))
    grass = b.stuff("grass", "grass", "dry grass")
    return finished(b, "walkway", indoor=False, normal=set(), view=view, base=grass)


def park(rng: np.random.Generator) -> Place:
    """Lawns and trees with winding paths."""
    b = Builder(rng)
    wide, bend, phase = b.uniform(2.2, 4), b.uniform(1.5, 4), b.uniform(0, 6)
    xs = np.linspace(-40, 40, 41)
    middle = 3 + bend * np.sin(xs / b.uniform(7, 14) + phase)
    upper = [(float(x), float(y) + wide / 2) for x, y in zip(xs, middle, strict=True)]
    lower = [(float(x), float(y) - wide / 2) for x, y in zip(xs, middle, strict=True)]
    path = b.stuff("gravel", "soil", "old asphalt", "brick paving")
    b.ground(tuple(lower + upper[::-1]), path)
    x = b.uniform(-8, 8)
    b.ground(((x - 1.2, 3), (x + 1.2, 3), (x + 6, 40), (x + 3, 40)), path)
    b.walkable.append(rectangle(-40, -24, 40, 24))
    for _ in range(int(b.rng.integers(6, 16))):
        at = (b.uniform(-22, 22), b.uniform(-6, 30))
        if abs(at[1] - float(np.interp(at[0], xs, middle))) > wide:
            b.thing("tree", *at, b.uniform(5, 11), 0.35)
    greenery(b, (-30, 22, 30, 34), 14, 10)
    for _ in range(int(b.rng.integers(1, 4))):
        at_x = b.uniform(-12, 12)
        furniture.bench(b, (at_x, float(np.interp(at_x, xs, middle)) + wide / 2 + 0.5))
    furniture.bin_(b, (b.uniform(-8, 8), 3 + wide))
    furniture.fence(b, (-45, 16), (45, 16), b.uniform(1.2, 2.2), MATERIALS["bars"].tinted(rng))
    view = View((-8, 8), (-20, -12), (-3, 3), (1, 5), (4.5, 9), (38, 64))
    return finished(b, "park", indoor=False, normal={"running", "cycling", "loitering"}, view=view,
                    base=b.stuff("grass", "grass", "dry grass"))  # fmt: skip


def school_yard(rng: np.random.Generator) -> Place:
    """A sports court with painted lines, fences and a school behind."""
    b = Builder(rng)
    paint = MATERIALS[b.choice("paint", "yellow paint")]
    half, deep = b.uniform(7, 10), b.uniform(12, 16)
    court = b.stuff("court", "clay", "old asphalt", "asphalt")
    b.ground(rectangle(-half - 2, -2, half + 2, deep + 2), court)
    corners = ((-half, 0.0), (half, 0.0), (half, deep), (-half, deep))
    for a, c in zip(corners, corners[1:] + corners[:1], strict=True):
        b.stripe(a, c, 0.08, paint)
    b.stripe((-half, deep / 2), (half, deep / 2), 0.08, paint)
    ring = [(2 * math.cos(a), deep / 2 + 2 * math.sin(a)) for a in np.linspace(0, 2 * math.pi, 21)]
    for a, c in pairwise(ring):
        b.stripe(a, c, 0.08, paint)
    for side in (-1, 1):
        b.thing("hoop", side * (half + 0.3), deep / 2, 3.4, 0.2)
    b.walkable.append(rectangle(-half - 8, -14, half + 8, deep + 3.5))
    furniture.fence(b, (-half - 10, deep + 4), (half + 10, deep + 4), b.uniform(2, 4), MATERIALS["mesh"].tinted(rng))
    facade(b, -40, 40, deep + b.uniform(9, 16))
    greenery(b, (-20, deep + 5, 20, deep + 8), int(b.rng.integers(0, 5)), 3)
    for _ in range(int(b.rng.integers(1, 4))):
        furniture.bench(b, (b.choice_of(-half - 3, half + 3), b.uniform(1, deep)), math.pi / 2)
    b.thing("lamp", -half - 3, deep + 2, 7)
    view = View((-9, 9), (-16, -9), (-2, 2), (2, 6), (4.5, 8.5), (50, 78))
    return finished(b, "school yard", indoor=False, normal={"running", "skating"}, view=view,
                    base=b.stuff("old asphalt", "flags", "concrete"))  # fmt: skip


def gate(rng: np.random.Generator) -> Place:
    """The way in: a drive with an open gate in a fence, a hut, a footpath beside."""
    b = Builder(rng)
    wide, line = b.uniform(3.4, 4.6), b.uniform(3, 7)
    drive = b.stuff("asphalt", "old asphalt", "concrete")
    b.ground(rectangle(-wide, -30, wide, 45), drive)
    walk = b.stuff("slabs", "flags", "brick paving")
    b.ground(rectangle(wide, -30, wide + 3, 45), walk)
    b.kerb((wide, -30), (wide, 45))
    b.kerb((-wide, -30), (-wide, 45))
    b.walkable.append(rectangle(-wide, -24, wide + 3, 30))
    b.walkable.append(rectangle(-wide - 9, -20, -wide + 0.5, line - 0.8))
    kind = b.stuff("bars", "bars", "mesh")
    height = b.uniform(1.8, 2.6)
    furniture.fence(b, (-30, line), (-wide - 0.2, line), height, kind)
    furniture.fence(b, (wide + 3.2, line), (30, line), height, kind)
    stone = b.stuff("brick", "concrete", "plaster")
    for x in (-wide - 0.2, wide + 3.2):
        b.prism((x, line), (0.6, 0.6), (0, height + 0.4), stone)
        b.obstacle(x, line, 0.5, height + 0.4)
    hut = (-wide - 2.6, line + 2.5)
    glass = (furniture.pane(0.3, 1.0, 2.1, 1.9, (86, 100, 110), 0.8),)
    b.prism(hut, (2.4, 2.2), (0, 2.6), b.stuff("panels", "white wall", "wood"), sides=dict.fromkeys(range(4), glass))
    b.obstacle(*hut, 1.6, 2.6)
    b.spot("door", hut[0] + 1.6, hut[1] - 1.4)
    facade(b, -40, -wide - 5, line + b.uniform(12, 20))
    facade(b, wide + 6, 40, line + b.uniform(12, 20))
    greenery(b, (wide + 4, line + 2, 20, line + 12), int(b.rng.integers(1, 5)), 4)
    greenery(b, (-24, line + 5, -wide - 6, line + 12), int(b.rng.integers(0, 4)), 3)
    for y in (line - 6, line + 8):
        b.thing("lamp", wide + 3.3, y, b.uniform(4, 6), 0.15)
    b.lanes.append(Lane(((-wide / 2, 60), (-wide / 2, -40)), wide, "cars"))
    view = View((wide + 1, wide + 7), (-15, -8), (-2, 2), (1, 6), (3.5, 7.5), (46, 74))
    return finished(
        b, "gate", indoor=False, normal={"driving"}, view=view, base=b.stuff("grass", "gravel", "dry grass")
    )


def car_park(rng: np.random.Generator) -> Place:
    """Rows of bays with parked cars and a lane between them."""
    b = Builder(rng)
    paint = MATERIALS["paint"]
    lane, bay = b.uniform(5.5, 7), b.uniform(2.4, 2.7)
    filled = b.uniform(0.35, 0.85)
    for sign, y0, y1 in ((1, lane / 2, lane / 2 + 5.0), (-1, -lane / 2 - 5.0, -lane / 2)):
        for i in range(-11, 12):
            x = i * bay
            b.stripe((x, y0), (x, y1), 0.1, paint)
            if b.chance(filled) and (sign > 0 or abs(x) > 3):
                at = (x + bay / 2 + b.uniform(-0.1, 0.1), (y0 + y1) / 2 + b.uniform(-0.2, 0.2))
                furniture.parked_car(b, at, b.choice_of(1.0, -1.0) * math.pi / 2 + b.uniform(-0.04, 0.04))
    back = lane / 2 + 6
    b.stripe((-30, back), (30, back), 0.2, b.stuff("concrete"))
    b.walkable.append(rectangle(-30, -lane / 2 - 12, 30, back + 2.0))
    b.lanes.append(Lane(((-60, -lane / 4), (60, -lane / 4)), lane / 2, "cars"))
    b.lanes.append(Lane(((60, lane / 4), (-60, lane / 4)), lane / 2, "cars"))
    if b.chance(0.5):
        furniture.fence(b, (-40, back + 2.5), (40, back + 2.5), b.uniform(1.4, 2.4))
        greenery(b, (-28, back + 3, 28, back + 7), int(b.rng.integers(2, 9)), 6)
    if b.chance(0.6):
        facade(b, -44, 44, back + b.uniform(7, 14), shops=b.chance(0.3))
    for x in (-13.0, 0.0, 13.0):
        b.thing("lamp", x + b.uniform(-2, 2), back + 0.6, b.uniform(5, 8), 0.2)
    view = View((-8, 8), (-19, -11), (-3, 3), (-1, 3), (5.5, 9), (44, 72))
    return finished(b, "car park", indoor=False, normal={"driving"}, view=view,
                    base=b.stuff("asphalt", "old asphalt", "asphalt", "concrete"))  # fmt: skip
