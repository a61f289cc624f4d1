"""Rooms: corridor, shop, hall with stairs, lobby, office, living room.

Next: training/datasets/synthetic/backdrop.py
"""

import math

import numpy as np

from training.datasets.synthetic import layouts_furniture as furniture
from training.datasets.synthetic.backdrop_materials import MATERIALS, Material
from training.datasets.synthetic.camera import View
from training.datasets.synthetic.layouts_parts import Builder, door, pane, posters, rectangle, window
from training.datasets.synthetic.layouts_place import Place, finished
from training.datasets.synthetic.stage import Lane

WALLS = ("white wall", "white wall", "plaster", "green wall", "blue wall", "panels")


def corridor(rng: np.random.Generator) -> Place:
    """A long passage with doors on both sides."""
    b = Builder(rng)
    half, deep, height = b.uniform(1.2, 2.2), b.uniform(16, 30), b.uniform(2.7, 3.2)
    sides = []
    for side in (-1, 1):
        details = posters(b, deep, int(b.rng.integers(1, 6)), 1.3)
        for y in np.arange(b.uniform(3, 5), deep - 1.5, b.uniform(3.4, 5.5)):
            details += door(b, float(y) + 1.0)
            b.doors.append((side * (half - 0.4), float(y) + 0.5))
            b.spot("door", side * (half - 0.5), float(y) + 0.5)
            b.spot("wall", side * (half - 0.5), float(y) + 2)
        band = b.stuff("blue wall", "green wall", "wood", "panels").rgb
        if b.chance(0.5):
            details.insert(0, pane(0, 0, deep + 1, 1.1, band))
        sides.append(details)
    back = door(b, half - 0.9, 1.8, 2.2) if b.chance(0.6) else window(b, half - 0.7, 0.9, 1.4, 1.4)
    b.room((-half, -1, half, deep), height, b.stuff(*WALLS), back, sides[0], sides[1])
    b.doors.append((0, deep - 0.5))
    b.walkable.append(rectangle(-half + 0.3, -0.8, half - 0.3, deep - 0.2))
    if b.chance(0.4):
        furniture.cabinet(b, (half - 0.3, b.uniform(5, 10)), (1.0, 0.4), 1.6, math.pi / 2)
    view = View((-half + 0.25, half - 0.25), (-0.7, -0.3), (-0.3, 0.3), (4, 7), (2.5, height - 0.15), (66, 88))
    floor = b.stuff("linoleum", "grey tiles", "white tiles", "carpet", "beige tiles")
    return finished(b, "corridor", indoor=True, normal=set(), view=view, base=floor, far_m=deep - 0.3)


def shop(rng: np.random.Generator) -> Place:
    """Aisles between shelves, a counter, coolers along the wall."""
    b = Builder(rng)
    half, deep, height = b.uniform(4, 6), b.uniform(9, 13), b.uniform(2.9, 3.4)
    posts = posters(b, 2 * half, 3, 2.1)
    b.room((-half, -1, half, deep), height, b.stuff(*WALLS), posts, posters(b, deep, 3, 2.1), posters(b, deep, 3, 2.1))
    gap, depth = b.uniform(1.5, 2.0), 0.7
    across = b.chance(0.5)
    tall = b.uniform(1.3, 1.8)
    if across:
        for y in np.arange(3.4, deep - 1.5, gap + depth):
            furniture.shelf(b, (b.uniform(-0.8, 0.8), float(y)), 2 * half - 3.6, 0.0, tall)
    else:
        for x in np.arange(-half + 2.3, half - 1.2, gap + depth):
            furniture.shelf(b, (float(x), (3.0 + deep) / 2), deep - 5.0, math.pi / 2, tall)
    for side in (-1, 1):
        furniture.shelf(b, (side * (half - 0.3), (deep + 3) / 2), deep - 4, math.pi / 2, 2.0, 0.55)
    furniture.shelf(b, (0, deep - 0.3), 2 * half - 1.2, 0.0, 2.1, 0.5)
    furniture.counter(b, (b.choice_of(-1.0, 1.0) * (half - 1.8), 1.6), 2.2, b.choice_of(0.0, 0.15, -0.15))
    b.doors.append((b.uniform(-1, 1), -0.6))
    b.spot("door", 0.0, 0.6)
    b.walkable.append(rectangle(-half + 0.6, -0.9, half - 0.6, deep - 0.7))
    view = View((-half + 0.4, half - 0.4), (-0.8, -0.3), (-0.6, 0.6), (3.5, 5.5), (2.6, height - 0.15), (68, 92))
    floor = b.stuff("white tiles", "grey tiles", "beige tiles", "linoleum")
    return finished(b, "shop", indoor=True, normal=set(), view=view, base=floor, far_m=deep - 0.4)


def stairs(rng: np.random.Generator) -> Place:
    """A hall with a staircase and escalators to a landing."""
    b = Builder(rng)
    half, foot = b.uniform(6, 9), b.uniform(6, 9)
    rise, count = b.uniform(2.0, 3.0), int(b.rng.integers(12, 17))
    wide = b.uniform(2.4, 3.6)
    top = furniture.stairs(b, -wide / 2, wide / 2, foot, rise, count, 3.0)
    deep = top + 3.0
    height = rise + b.uniform(2.6, 3.4)
    b.room((-half, -2, half, deep), height, b.stuff(*WALLS, "wall tiles", "marble"),
           posters(b, 2 * half, 3, rise + 1.2), posters(b, deep, 4, 1.6), posters(b, deep, 4, 1.6))  # fmt: skip
    run = top - foot
    lane = b.choice_of(-1.0, 1.0)
    for k, x in enumerate((lane * (wide / 2 + 0.9), lane * (wide / 2 + 2.4))):
        furniture.escalator(b, x, foot, rise, run)
        ends = ((x, foot - 0.6), (x, top + 1.0))
        b.lanes.append(Lane(ends if k == 0 else ends[::-1], 0.9, "people"))
        for y in np.arange(foot + 0.5, top, 0.9):
            b.obstacle(x, float(y), 0.6, 1.0)
    for x0, x1 in ((-half, -wide / 2 - 3.2), (wide / 2 + 3.2, half)):
        if x1 - x0 > 0.5:
            b.wall((x0, foot + 0.5), (x1, foot + 0.5), rise, b.stuff("wall tiles", "concrete", "panels"))
    b.prism((0, top + 2.2), (2 * half, 1.6), (rise - 0.3, rise), MATERIALS["concrete"])
    b.walkable.append(rectangle(-half + 0.5, -1.8, half - 0.5, foot - 0.2))
    b.walkable.append(rectangle(-wide / 2 + 0.2, foot - 0.5, wide / 2 - 0.2, top + 2.6))
    b.doors += [(-half + 0.6, foot - 3), (half - 0.6, foot - 3), (0.0, top + 2.4)]
    b.spot("wall", -half + 0.8, foot - 2)
    if b.chance(0.6):
        furniture.column(b, (-half + 2, foot - 2.5), height, 0.7)
        furniture.column(b, (half - 2, foot - 2.5), height, 0.7)
    furniture.bench(b, (b.choice_of(-1.0, 1.0) * (half - 1.0), 3), math.pi / 2)
    view = View((-half + 1, half - 1), (-1.8, -0.8), (-0.6, 0.6), (foot - 2, foot), (3.0, 4.6), (60, 80))
    floor = b.stuff("marble", "grey tiles", "white tiles", "beige tiles")
    return finished(b, "stairs", indoor=True, normal=set(), view=view, base=floor, far_m=deep - 0.3)


def lobby(rng: np.random.Generator) -> Place:
    """An entrance hall: reception, seats, plants, glass doors."""
    b = Builder(rng)
    half, deep, height = b.uniform(5, 8), b.uniform(10, 15), b.uniform(3.2, 4.5)
    glass = [pane(half - 3, 0, half + 3, 2.7, (90, 96, 100))]
    for i in range(4):
        x = half - 3 + 1.5 * i
        glass.append(pane(x + 0.06, 0.08, x + 1.44, 2.6, (186, 204, 214), 0.4))
        glass.append(pane(x + 0.1, 0.1, x + 0.7, 1.2, (146, 166, 160), 0.3))
    b.room(
        (-half, -2, half, deep),
        height,
        b.stuff(*WALLS, "marble", "wood"),
        glass,
        posters(b, deep, 3),
        posters(b, deep, 3),
    )
    b.doors += [(-0.8, deep - 0.5), (0.8, deep - 0.5), (-half + 0.5, deep * 0.7)]
    b.spot("door", 0, deep - 0.8)
    side = b.choice_of(-1.0, 1.0)
    furniture.counter(b, (side * (half - 1.6), b.uniform(5, 7)), 3.4, side * math.pi / 2)
    for y in np.arange(3.5, deep - 3, 2.8):
        if b.chance(0.6):
            furniture.sofa(b, (-side * (half - 0.7), float(y)), math.pi / 2 - side * math.pi / 2)
    for _ in range(int(b.rng.integers(1, 5))):
        b.thing("plant", b.choice_of(-1.0, 1.0) * (half - 0.6), b.uniform(1, deep - 0.6), b.uniform(1.2, 2), 0.35)
    if b.chance(0.5):
        for x in (-half / 2, half / 2):
            furniture.column(b, (x, deep * 0.55), height, b.uniform(0.4, 0.8))
    if b.chance(0.5):
        rug = b.stuff("carpet", "red carpet")
        b.ground(rectangle(-1.6, deep - 3.2, 1.6, deep - 0.4), rug)
    b.walkable.append(rectangle(-half + 0.5, -1.8, half - 0.5, deep - 0.4))
    view = View((-half + 0.8, half - 0.8), (-1.6, -0.6), (-0.8, 0.8), (4, 6.5), (2.8, min(height - 0.2, 4.2)), (66, 86))
    floor = b.stuff("marble", "marble", "grey tiles", "white tiles", "carpet")
    return finished(b, "lobby", indoor=True, normal={"loitering"}, view=view, base=floor, far_m=deep - 0.3)


def office(rng: np.random.Generator) -> Place:
    """Desks, screens, cabinets and windows."""
    b = Builder(rng)
    half, deep, height = b.uniform(3.6, 5.5), b.uniform(7, 11), b.uniform(2.7, 3.1)
    panes = [d for x in np.arange(0.6, 2 * half - 1.8, 2.2) for d in window(b, float(x), 0.95, 1.6, 1.3)]
    left = door(b, deep * 0.6) + posters(b, deep, 2, 1.4)
    b.room((-half, -1, half, deep), height, b.stuff(*WALLS), panes, left, posters(b, deep, 3, 1.3))
    b.doors.append((-half + 0.5, deep * 0.6 - 0.5))
    b.spot("door", -half + 0.7, deep * 0.6 - 0.5)
    for y in np.arange(3.2, deep - 0.8, b.uniform(2.4, 3.0)):
        for x in np.arange(-half + 1.4, half - 0.8, b.uniform(2.3, 3.2)):
            if b.chance(0.7):
                furniture.desk(b, (float(x), float(y)))
    furniture.cabinet(b, (half - 0.3, b.uniform(3, deep - 1)), (1.8, 0.45), b.uniform(1.1, 2), math.pi / 2)
    if b.chance(0.6):
        b.thing("plant", half - 0.5, b.uniform(1.5, deep - 0.6), b.uniform(1, 1.7), 0.3)
    b.walkable.append(rectangle(-half + 0.5, -0.8, half - 0.5, deep - 0.5))
    view = View((-half + 0.4, half - 0.4), (-0.8, -0.3), (-0.5, 0.5), (3.2, 4.6), (2.5, height - 0.1), (70, 92))
    floor = b.stuff("carpet", "linoleum", "carpet", "parquet", "grey tiles")
    return finished(b, "office", indoor=True, normal={"loitering"}, view=view, base=floor, far_m=deep - 0.3)


def living_room(rng: np.random.Generator) -> Place:
    """A room at home: sofa, table, shelf, television, rug."""
    b = Builder(rng)
    half, deep, height = b.uniform(2.4, 3.4), b.uniform(5, 7), b.uniform(2.6, 2.9)
    back = window(b, b.uniform(0.5, 1.2), 0.9, 1.6, 1.3) + door(b, 2 * half - 1.5)
    b.room((-half, -1, half, deep), height, b.stuff(*WALLS, "yellow brick"), back, posters(b, deep, 2, 1.3),
           posters(b, deep, 2, 1.3))  # fmt: skip
    b.doors.append((half - 1.0, deep - 0.5))
    b.spot("door", half - 1.0, deep - 0.7)
    rug = b.stuff("red carpet", "carpet", "cloth")
    b.ground(rectangle(-1.4, 2.2, 1.0, deep - 1.6), rug)
    furniture.sofa(b, (-half + 0.6, deep / 2 + 0.4), 0.0, b.uniform(1.6, 2.1))
    furniture.table(b, (-half + 2.0, deep / 2 + 0.4), (0.6, 1.0), 0.45)
    glow = (pane(0.04, 0.04, 1.06, 0.6, (70, 96, 140), 0.6),)
    furniture.cabinet(b, (half - 0.3, deep / 2), (1.4, 0.4), 0.5, math.pi / 2)
    b.prism(
        (half - 0.3, deep / 2),
        (1.1, 0.06),
        (0.55, 1.2),
        MATERIALS["dark"],
        heading=math.pi / 2,
        sides={2: glow, 0: glow},
    )
    furniture.cabinet(b, (-half / 2, deep - 0.25), (1.2, 0.4), b.uniform(0.8, 1.9))
    furniture.chair(b, (half - 1.4, deep - 1.6), b.uniform(0, 6))
    if b.chance(0.5):
        b.thing("plant", -half + 0.4, deep - 0.4, b.uniform(0.9, 1.5), 0.25)
    b.walkable.append(rectangle(-half + 0.4, -0.8, half - 0.4, deep - 0.4))
    view = View((-half + 0.3, half - 0.3), (-0.9, -0.6), (-0.3, 0.4), (2.6, 3.6), (2.5, height - 0.08), (70, 94))
    floor = b.stuff("parquet", "carpet", "beige tiles", "parquet", "linoleum")
    return finished(b, "living room", indoor=True, normal={"loitering"}, view=view, base=floor, far_m=deep - 0.3)


def underpass(rng: np.random.Generator) -> Place:
    """A tiled passage under a road, open at both ends."""
    b = Builder(rng)
    half, deep, height = b.uniform(2.2, 3.4), b.uniform(20, 34), b.uniform(2.8, 3.4)
    stuff = b.stuff("wall tiles", "concrete", "white wall", "yellow brick")
    daylight = [pane(half - 1.8, 0, half + 1.8, 2.6, (206, 212, 214), 0.6)]
    b.room((-half, -2, half, deep), height, stuff, daylight, posters(b, deep, 7), posters(b, deep, 7))
    for x in (-half + 0.25, half - 0.25):
        b.stripe((x, -2), (x, deep), 0.12, Material((70, 70, 70)))
    b.doors += [(-0.6, deep - 0.6), (0.7, deep - 0.6)]
    b.spot("wall", -half + 0.6, 6)
    b.spot("wall", half - 0.6, 10)
    b.walkable.append(rectangle(-half + 0.4, -1.8, half - 0.4, deep - 0.3))
    view = View((-half + 0.3, half - 0.3), (-1.6, -0.8), (-0.4, 0.4), (5, 8), (2.5, height - 0.15), (60, 84))
    floor = b.stuff("flags", "concrete", "grey tiles", "old asphalt")
    return finished(b, "underpass", indoor=True, normal=set(), view=view, base=floor, far_m=deep - 0.4)
