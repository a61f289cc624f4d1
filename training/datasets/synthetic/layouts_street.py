"""Places with traffic: road, crossing, shopping street, alley, platform.

Next: training/datasets/synthetic/layouts_indoor.py
"""

import math

import numpy as np

from training.datasets.synthetic import layouts_furniture as furniture
from training.datasets.synthetic.backdrop_materials import MATERIALS, Material
from training.datasets.synthetic.camera import View
from training.datasets.synthetic.layouts_outdoor import facade, greenery
from training.datasets.synthetic.layouts_parts import Builder, door, pane, posters, rectangle, shop_front, window_rows
from training.datasets.synthetic.layouts_place import Place, finished
from training.datasets.synthetic.stage import Lane


def roadway(b: Builder, y: float, width: float, cycles: bool) -> None:
    """A road along x, y its middle: two lanes, lines, kerbs; cars on the left go left, as seen from below."""
    b.ground(rectangle(-60, y - width / 2, 60, y + width / 2), b.stuff("asphalt", "asphalt", "old asphalt"))
    paint = MATERIALS["paint"]
    for lane in (-1, 1):
        for wheel in (-0.75, 0.75):
            worn = Material((88, 88, 88), grain=0.08, blotches=0.1)
            if b.chance(0.6):
                b.stripe((-60, y + lane * width / 4 + wheel), (60, y + lane * width / 4 + wheel), 0.35, worn)
    if b.chance(0.8):
        b.stripe((-60, y), (60, y), 0.13, paint, (3, b.uniform(2, 6)) if b.chance(0.7) else (0, 0))
    if b.chance(0.4):
        for side in (-1, 1):
            b.stripe((-60, y + side * (width / 2 - 0.4)), (60, y + side * (width / 2 - 0.4)), 0.12, paint)
    for side in (-1, 1):
        b.kerb((-60, y + side * width / 2), (60, y + side * width / 2))
    b.lanes.append(Lane(((-80, y - width / 4), (80, y - width / 4)), width / 2, "cars"))
    b.lanes.append(Lane(((80, y + width / 4), (-80, y + width / 4)), width / 2, "cars"))
    if cycles:
        for side in (-1, 1):
            edge = y + side * (width / 2 - 0.8)
            ends = ((-80.0, edge), (80.0, edge))
            b.lanes.append(Lane(ends if side < 0 else ends[::-1], 1.2, "bicycles"))


def road(rng: np.random.Generator) -> Place:
    """A road with pavements, seen along it at an angle."""
    b = Builder(rng)
    width = b.uniform(6.5, 9)
    roadway(b, 0, width, b.chance(0.5))
    walk = b.stuff("slabs", "flags", "concrete", "old asphalt")
    near, far = width / 2 + b.uniform(2, 3.5), width / 2 + b.uniform(2, 4)
    b.ground(rectangle(-60, -near, 60, -width / 2 - 0.15), walk)
    b.ground(rectangle(-60, width / 2 + 0.15, 60, far), walk)
    b.walkable += [rectangle(-60, -near, 60, -width / 2 - 0.3), rectangle(-60, width / 2 + 0.3, 60, far)]
    for x in np.arange(-34, 35, b.uniform(11, 18)):
        b.thing("lamp", float(x), width / 2 + 0.6, b.uniform(6, 8), 0.15)
    if b.chance(0.6):
        facade(b, -60, 60, far + b.uniform(0.1, 5), shops=b.chance(0.4))
    else:
        furniture.fence(b, (-60, far + 0.3), (60, far + 0.3), b.uniform(1, 1.8))
        greenery(b, (-40, far + 1, 40, far + 9), int(b.rng.integers(6, 18)), 10)
    greenery(b, (-12, -near - 7, 12, -near - 3), int(b.rng.integers(0, 2)), 3)
    if b.chance(0.5):
        for x in np.arange(-20, 20, 6.5):
            if b.chance(0.6):
                b.spot("parked car", float(x), width / 2 - 1.0)
    b.thing("sign", b.uniform(-8, 8), -width / 2 - 0.6, b.uniform(2.2, 3))
    turned = b.uniform(6, 17)
    view = View((turned, turned + 4), (-15, -9), (-6, 1), (-1, 2), (4.5, 9), (44, 72))
    return finished(b, "road", indoor=False, normal={"driving", "cycling"}, view=view,
                    base=b.stuff("grass", "dry grass", "soil", "gravel"))  # fmt: skip


def crossing(rng: np.random.Generator) -> Place:
    """Zebra crossings where two streets meet."""
    b = Builder(rng)
    width, side_width = b.uniform(7, 9), b.uniform(6, 8)
    walk = b.stuff("slabs", "flags", "concrete")
    roadway(b, 0, width, False)
    asphalt = b.stuff("asphalt", "old asphalt")
    half, across = width / 2, side_width / 2
    side_x = b.uniform(8, 12)
    b.ground(rectangle(side_x - across, half - 0.3, side_x + across, 45), asphalt)
    for x in (side_x - across, side_x + across):
        b.kerb((x, half), (x, 45))
    zebra = b.uniform(-3, 2)
    for y in np.arange(-half + 0.4, half - 0.3, 1.0):
        b.ground(rectangle(zebra - 1.7, float(y), zebra + 1.7, float(y) + 0.5), MATERIALS["paint"])
    for stop in (zebra - 2.7, zebra + 2.7):
        y0, y1 = (-half, 0.0) if stop < zebra else (0.0, half)
        b.stripe((stop, y0 + 0.2), (stop, y1 - 0.2), 0.3, MATERIALS["paint"])
    far = half + b.uniform(3, 5)
    b.walkable.append(rectangle(-45, -half - 4, 45, -half - 0.3))
    b.walkable.append(rectangle(-45, half + 0.3, side_x - across - 0.3, far))
    b.walkable.append(rectangle(side_x + across + 0.3, half + 0.3, 45, far))
    b.walkable.append(rectangle(zebra - 1.6, -half - 0.4, zebra + 1.6, half + 0.4))
    b.spot("crossing", zebra, 0)
    for x, y in ((zebra - 2.2, -half - 0.5), (zebra + 2.2, half + 0.5)):
        b.thing("light", x, y, 3.2, 0.15)
    facade(b, -50, side_x - across - far + half, far + 0.2, shops=b.chance(0.7))
    facade(b, side_x + across + 3, 50, far + 0.2, shops=b.chance(0.7))
    b.thing("lamp", -7, half + 0.8, 7, 0.15)
    b.lanes.append(
        Lane(((side_x - across / 2, 60), (side_x - across / 2, half * 0.4), (80, -width / 4)), across, "cars")
    )
    view = View((-12, 10), (-18, -11), (-2, 4), (-1, 2), (5.5, 9), (46, 74))
    b.lanes.pop()  # cars that turn would need a bend; they stay out of the side street
    return finished(b, "crossing", indoor=False, normal={"driving", "cycling"}, view=view, base=walk)


def shopping_street(rng: np.random.Generator) -> Place:
    """A street without cars between two rows of shops."""
    b = Builder(rng)
    half = b.uniform(4, 6.5)
    b.walkable.append(rectangle(-half + 0.3, -12, half - 0.3, 55))
    for side in (-1, 1):
        y = -14.0
        while y < 50:
            length, height = b.uniform(6, 14), b.uniform(6, 11)
            details = shop_front(b, 0.3, min(length - 0.6, 5.5)) + window_rows(b, length, height, 4.0)
            if length > 9:
                details += shop_front(b, 6.2, length - 6.6)
            stuff = b.stuff("brick", "plaster", "white wall", "yellow brick", "concrete")
            b.wall((side * half, y), (side * half, y + length), height, stuff, details)
            b.doors.append((side * (half - 0.5), y + 1.5))
            b.spot("door", side * (half - 0.6), y + 1.5)
            b.spot("wall", side * (half - 0.6), y + 4)
            y += length
    b.wall((-30, 52), (30, 52), 12, b.stuff("plaster", "brick"), window_rows(b, 60, 12))
    band = b.stuff("flags", "cobbles", "slabs")
    for x in (-half + 1.2, half - 1.2):
        b.stripe((x, -14), (x, 52), 0.4, band)
    for y in np.arange(2, 40, b.uniform(7, 12)):
        kind = b.choice("bench", "tree", "bin", "lamp", "none")
        x = b.choice_of(-1.0, 1.0) * (half - 1.8)
        if kind in ("tree", "lamp"):
            b.thing(kind, x, float(y), b.uniform(3.5, 5.5), 0.3)
        elif kind == "bench":
            furniture.bench(b, (x, float(y)), math.pi / 2)
        elif kind == "bin":
            furniture.bin_(b, (x, float(y)))
    for y in (6.0, 18.0):
        b.lamps.append((0, y, 5))
    view = View((-half + 0.8, half - 0.8), (-9, -5), (-1, 1), (4, 9), (4, 7), (46, 70))
    return finished(b, "shopping street", indoor=False, normal={"loitering"}, view=view, far_m=40,
                    base=b.stuff("slabs", "flags", "brick paving", "cobbles"))  # fmt: skip


def alley(rng: np.random.Generator) -> Place:
    """A back yard between blind walls: bins, shutters, a fence at the end."""
    b = Builder(rng)
    half, deep = b.uniform(2.6, 4.2), b.uniform(16, 24)
    b.walkable.append(rectangle(-half + 0.3, -9, half - 0.3, deep - 0.6))
    for side in (-1, 1):
        details = posters(b, 20, 3) + window_rows(b, 34, 7, 3.2)
        for x in np.arange(b.uniform(2, 6), 28, b.uniform(6, 9)):
            if b.chance(0.5):
                details += door(b, float(x))
                b.doors.append((side * (half - 0.5), -10 + float(x) + 0.5))
                b.spot("door", side * (half - 0.6), -10 + float(x) + 0.5)
            else:
                details.append(pane(float(x), 0, float(x) + 2.6, 2.6, (132, 134, 134)))
                details += [pane(float(x), z, float(x) + 2.6, z + 0.03, (96, 98, 98)) for z in np.arange(0.2, 2.6, 0.2)]
            b.spot("wall", side * (half - 0.6), -10 + float(x))
        stuff = b.stuff("brick", "plaster", "concrete", "yellow brick")
        b.wall((side * half, -10), (side * half, deep + 12), b.uniform(5, 9), stuff, details)
    if b.chance(0.6):
        furniture.fence(b, (-half, deep), (half, deep), b.uniform(1.8, 2.6))
        b.wall((-20, deep + 10), (20, deep + 10), 8, b.stuff("brick", "plaster"), window_rows(b, 40, 8))
    else:
        b.wall((-half, deep), (half, deep), b.uniform(2.2, 6), b.stuff("brick", "plaster"), posters(b, 4, 2))
        b.spot("fence", 0, deep - 0.5)
    for _ in range(int(b.rng.integers(1, 4))):
        furniture.dumpster(b, (b.choice_of(-1.0, 1.0) * (half - 0.75), b.uniform(2, deep - 2)), math.pi / 2)
    if half > 3.4 and b.chance(0.5):
        furniture.parked_car(b, (b.choice_of(-1.0, 1.0) * (half - 1.1), b.uniform(6, deep - 3)), math.pi / 2)
    for _ in range(int(b.rng.integers(0, 5))):
        at = (b.choice_of(-1.0, 1.0) * (half - 0.5), b.uniform(0, deep - 1))
        size = b.uniform(0.3, 0.6)
        b.prism(at, (size, size), (0, size), Material((164, 128, 88), blotches=0.08), heading=b.uniform(0, 1.5))
    b.lamps += [(half - 0.4, 6, 3.6), (-half + 0.4, deep - 3, 3.6)]
    view = View((-half + 0.5, half - 0.5), (-4.5, -2.5), (-0.5, 0.5), (4, 8), (3.2, 5.5), (52, 78))
    return finished(b, "alley", indoor=False, normal=set(), view=view, far_m=30,
                    base=b.stuff("old asphalt", "asphalt", "cobbles", "concrete"))  # fmt: skip


def side_street(rng: np.random.Generator) -> Place:
    """A residential street seen along its length: front walls, houses, cars at the kerb."""
    b = Builder(rng)
    half, walk = b.uniform(3.2, 4.2), b.uniform(1.8, 2.6)
    b.ground(rectangle(-half, -30, half, 70), b.stuff("asphalt", "old asphalt", "asphalt"))
    for x in (-half, half):
        b.kerb((x, -30), (x, 70))
    if b.chance(0.5):
        b.stripe((0, -30), (0, 70), 0.12, MATERIALS["paint"], (2.5, b.uniform(2, 4)))
    paving = b.stuff("slabs", "flags", "concrete", "old asphalt")
    for side in (-1, 1):
        x0, x1 = sorted((side * (half + 0.15), side * (half + walk)))
        b.ground(rectangle(x0, -30, x1, 70), paving)
        b.walkable.append(rectangle(x0 + 0.15, -20, x1 - 0.15, 55))
        edge = side * (half + walk + 0.1)
        y = -20.0
        while y < 60:
            length = b.uniform(6, 11)
            b.wall(
                (edge, y), (edge, y + length - 1.3), b.uniform(0.6, 1.2), b.stuff("brick", "hedge", "plaster", "bars")
            )
            b.doors.append((edge - side * 0.4, y + length - 0.7))
            b.spot("wall", edge - side * 0.6, y + length / 2)
            house = side * (half + walk + b.uniform(3.5, 6))
            details = window_rows(b, length - 0.5, b.uniform(5.5, 8)) + door(b, length - 2.0)
            stuff = b.stuff("brick", "plaster", "yellow brick", "white wall")
            b.wall((house, y), (house, y + length - 0.5), b.uniform(6, 9), stuff, details)
            b.wall((house, y), (house + side * 8, y), b.uniform(6, 8), stuff)
            if b.chance(0.5):
                b.thing("bush" if b.chance(0.5) else "tree", (edge + house) / 2, y + b.uniform(1, 5), b.uniform(1.5, 5))
            y += length
        for y in np.arange(b.uniform(1, 5), 45, b.uniform(5.6, 8)):
            if b.chance(0.45):
                b.spot("parked car", side * (half - 1.05), float(y))
    for y in np.arange(4, 50, b.uniform(14, 20)):
        b.thing("lamp", b.choice_of(-1.0, 1.0) * (half + 0.5), float(y), b.uniform(5, 7), 0.15)
    b.lanes.append(Lane(((half / 2 - 0.2, -60), (half / 2 - 0.2, 90)), half * 0.8, "cars"))
    b.lanes.append(Lane(((-half / 2 + 0.2, 90), (-half / 2 + 0.2, -60)), half * 0.8, "cars"))
    view = View((-half - 1, half + 1), (-9, -5), (-1, 1), (5, 9), (4, 7.5), (44, 68))
    base = b.stuff("grass", "dry grass", "gravel")
    return finished(b, "side street", indoor=False, normal={"driving", "cycling"}, view=view, far_m=45, base=base)


def platform(rng: np.random.Generator) -> Place:
    """A station platform beside a track."""
    b = Builder(rng)
    wide, drop = b.uniform(4.5, 7), -1.0
    track = -wide / 2 - 2.4
    floor = b.stuff("grey tiles", "flags", "slabs", "concrete")
    b.ground(rectangle(track - 8, -20, track + 2.4, 70), MATERIALS["ballast"].tinted(rng), z=drop)
    for y in np.arange(-10, 60, 0.65):
        b.ground(
            rectangle(track - 1.3, float(y), track + 1.3, float(y) + 0.26),
            Material((92, 84, 76), grain=0.1),
            z=drop + 0.05,
        )
    for x in (track - 0.72, track + 0.72):
        b.ground(rectangle(x - 0.05, -20, x + 0.05, 70), Material((150, 142, 136)), z=drop + 0.15)
    edge = -wide / 2
    b.wall((edge, -20), (edge, 70), 1.0, b.stuff("concrete"), z=drop)
    b.ground(rectangle(edge, -20, wide / 2, 70), floor)
    b.stripe((edge + 0.15, -20), (edge + 0.15, 70), 0.3, MATERIALS["concrete"].tinted(rng))
    b.stripe((edge + 0.75, -20), (edge + 0.75, 70), 0.35, MATERIALS["yellow paint"].tinted(rng))
    b.walkable.append(rectangle(edge + 0.9, -7, wide / 2 - 0.4, 55))
    indoor = b.chance(0.6)
    height = b.uniform(3.8, 5)
    wall_stuff = b.stuff("wall tiles", "white wall", "panels", "green wall")
    b.wall((wide / 2, -20), (wide / 2, 70), height, wall_stuff, posters(b, 70, 22) + door(b, 32))
    b.doors.append((wide / 2 - 0.6, 12.5))
    b.spot("door", wide / 2 - 0.7, 12.5)
    b.spot("wall", wide / 2 - 0.7, 7)
    b.wall((track - 3.2, -20), (track - 3.2, 70), height + 1, b.stuff("wall tiles", "concrete", "panels"),
           posters(b, 80, 18, 2.0), z=drop)  # fmt: skip
    b.wall((-30, 62), (30, 62), 8, MATERIALS["dark"])
    for y in np.arange(b.uniform(2, 6), 50, b.uniform(6, 9)):
        furniture.column(b, (b.uniform(0.6, 1.2), float(y)), height, b.uniform(0.4, 0.7))
    for y in np.arange(4, 40, b.uniform(8, 12)):
        furniture.bench(b, (wide / 2 - 0.7, float(y)), math.pi / 2)
    furniture.bin_(b, (wide / 2 - 0.6, b.uniform(2, 9)))
    if indoor:
        lamps = tuple(pane(x - 0.12, y, x + 0.12, y + 4, (250, 250, 244), 1.0)
                      for x in (-0.5, wide / 2 - 1) for y in np.arange(-8, 60, 5.5))  # fmt: skip
        outline = rectangle(track - 3.2, -20, wide / 2, 62)
        b.faces.append(furniture.Face((0, 0, height), (1, 0, 0), (0, 1, 0), outline, b.stuff("concrete"), lamps))
    b.lamps += [(0.5, float(y), height - 0.2) for y in np.arange(-4, 50, 6)]
    b.lanes.append(Lane(((track, 75), (track, -25)), 2.8, "trains"))
    b.slopes.append(furniture.Slope(track - 1.4, track + 1.4, -40, -39, drop, drop, 90))
    view = View((-0.5, wide / 2 - 0.6), (-6, -3), (-1.6, 0.2), (5, 9), (2.8, 3.7), (54, 78))
    return finished(b, "platform", indoor=indoor, normal={"loitering"}, view=view, far_m=45, base=MATERIALS["ballast"])
