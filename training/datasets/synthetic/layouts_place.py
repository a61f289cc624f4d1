"""Place: a finished place with all that is painted there, and what of it one camera sees as a Layout.

Next: training/datasets/synthetic/layouts.py
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np

from training.datasets.synthetic.backdrop_materials import MATERIALS, Material
from training.datasets.synthetic.backdrop_surfaces import Face
from training.datasets.synthetic.camera import Camera, View, clipped
from training.datasets.synthetic.layouts_parts import Builder, Polygon, Slope, Thing, window_rows
from training.datasets.synthetic.stage import Lane, Layout, Point

PERSON_M = 1.9
FAR_M = 60.0
VEHICLE_M = 7.0  # lanes reach this far out of the picture


@dataclass(frozen=True)
class Place:
    """A place in the world: `stage.Layout` before a camera is chosen, and what is painted.

    base: the ground everywhere; grounds: on it, in order; faces and things stand. lamps: (x, y, z) m. doors: points
    where people come and go inside the picture. is_shiny: floors mirror. far_m: how far people go.
    """

    name: str
    indoor: bool
    walkable: tuple[Polygon, ...]
    lanes: tuple[Lane, ...]
    doors: tuple[Point, ...]
    obstacles: tuple[tuple[float, float, float, float], ...]
    spots: dict[str, tuple[Point, ...]]
    normal: frozenset[str]
    view: View
    base: Material
    grounds: tuple[Face, ...]
    faces: tuple[Face, ...]
    things: tuple[Thing, ...]
    slopes: tuple[Slope, ...]
    lamps: tuple[tuple[float, float, float], ...]
    far_m: float = FAR_M

    def height(self, x: float, y: float) -> float:
        """Metres of the ground over z = 0 at a point: stairs and landings rise, elsewhere 0."""
        return max((slope.height(x, y) for slope in self.slopes), default=0.0)

    def layout(self, camera: Camera) -> Layout:
        """What of the place this camera sees. People enter at doors and where walkable ground leaves the picture."""
        window = self.seen(camera)
        polygons = [clipped(np.array(p), window) for p in self.walkable]
        walkable = tuple(_points(p) for p in polygons if len(p) >= 3 and _area(p) > 1.0)
        ground = camera.view(self.far_m)
        inner = grown(ground, 1.5)
        near = [p for p in self.doors if _inside(ground, p) > 0.2]
        entrances = tuple(near) + tuple(_gates(window, walkable))
        lanes = tuple(lane for lane in (_cut(lane, grown(window, VEHICLE_M)) for lane in self.lanes) if lane)
        spots = {k: tuple(p for p in at if _inside(ground, p) > 0.3) for k, at in sorted(self.spots.items())}
        x0, y0, x1, y1 = (float(v) for v in (*ground.min(0), *ground.max(0)))
        return Layout(
            name=self.name,
            indoor=self.indoor,
            walkable=walkable,
            lanes=lanes,
            entrances=entrances or tuple(near),
            obstacles=tuple(o for o in self.obstacles if _inside(inner, o[:2]) > 0),
            spots={k: at for k, at in spots.items() if at},
            normal=self.normal,
            extent=(x0, y0, x1, y1),
        )

    def seen(self, camera: Camera) -> np.ndarray:
        """(n, 2) m: the convex region outside of which nobody is in the picture, not even with head or feet."""
        top = camera.view(self.far_m, 14, min(PERSON_M, camera.height - 0.3))
        both = np.vstack([camera.view(self.far_m, 14), top]).astype(np.float32)
        return cv2.convexHull(both)[:, 0].astype(float)

    def mirrored(self) -> "Place":
        """The same place with left and right exchanged."""

        def turn(face: Face) -> Face:
            # u is reversed as well, so that outward normals stay outward.
            flip = (-face.origin[0], face.origin[1], face.origin[2])
            u, v = (face.u[0], -face.u[1], -face.u[2]), (-face.v[0], face.v[1], face.v[2])
            details = tuple(replace(d, points=_negative(d.points)) for d in face.details)
            return replace(face, origin=flip, u=u, v=v, points=_negative(face.points), details=details)

        def across(points: Polygon) -> Polygon:
            return tuple((-x, y) for x, y in points)

        view = replace(
            self.view,
            stand_x=(-self.view.stand_x[1], -self.view.stand_x[0]),
            aim_x=(-self.view.aim_x[1], -self.view.aim_x[0]),
        )
        return replace(
            self,
            walkable=tuple(across(p) for p in self.walkable),
            lanes=tuple(replace(lane, points=across(lane.points)) for lane in self.lanes),
            doors=across(self.doors),
            obstacles=tuple((-x, y, r, h) for x, y, r, h in self.obstacles),
            spots={k: across(at) for k, at in self.spots.items()},
            view=view,
            grounds=tuple(turn(f) for f in self.grounds),
            faces=tuple(turn(f) for f in self.faces),
            things=tuple(replace(t, x=-t.x) for t in self.things),
            slopes=tuple(replace(s, x0=-s.x1, x1=-s.x0) for s in self.slopes),
            lamps=tuple((-x, y, z) for x, y, z in self.lamps),
        )


def finished(
    b: Builder, name: str, *, indoor: bool, normal: set[str], view: View, base: Material, far_m: float = FAR_M
) -> Place:
    """The place that a builder has collected, perhaps mirrored; outdoors the distance is filled."""
    if not indoor:
        distance(b)
    place = Place(
        name=name,
        indoor=indoor,
        walkable=tuple(b.walkable),
        lanes=tuple(b.lanes),
        doors=tuple(b.doors),
        obstacles=tuple(b.obstacles),
        spots={k: tuple(at) for k, at in b.spots.items()},
        normal=frozenset(normal),
        view=view,
        base=base,
        grounds=tuple(b.grounds),
        faces=tuple(b.faces),
        things=tuple(b.things),
        slopes=tuple(b.slopes),
        lamps=tuple(b.lamps),
        far_m=far_m,
    )
    return place.mirrored() if b.chance(0.5) else place


def distance(b: Builder) -> None:
    """Trees and houses far away on all sides, so that no ground runs bare to the horizon."""
    wood = replace(MATERIALS["hedge"].tinted(b.rng), rgb=(66, 78, 54), grain=0.2)
    for a, c in (((-90.0, 66.0), (90.0, 66.0)), ((-62.0, -10.0), (-90.0, 66.0)), ((62.0, -10.0), (90.0, 66.0))):
        at = 0.0
        while at < 1 and b.chance(0.92):
            to = min(at + b.uniform(0.04, 0.2), 1.0)
            p, q = ((a[0] + (c[0] - a[0]) * s, a[1] + (c[1] - a[1]) * s) for s in (at, to))
            b.wall(p, q, b.uniform(4, 10), wood.tinted(b.rng, 0.12))
            at = to
        at = 0.0
        while at < 0.85:
            wide = b.uniform(0.08, 0.2)
            length = math.dist(a, c) * wide
            p, q = ((a[0] + (c[0] - a[0]) * s, a[1] + (c[1] - a[1]) * s) for s in (at, at + wide))
            # Stands a little behind the trees, whose wall has the same ends.
            behind = ((p[0] * 1.06, p[1] * 1.06 + 3), (q[0] * 1.06, q[1] * 1.06 + 3))
            stuff = b.stuff("brick", "plaster", "concrete", "white wall", "panels")
            height = b.uniform(8, 20)
            b.wall(*behind, height, stuff, window_rows(b, length, height) if b.chance(0.5) else ())
            at += wide + b.uniform(0.0, 0.2)


def _negative(points: Polygon) -> Polygon:
    return tuple((-x, y) for x, y in points)


def _points(polygon: np.ndarray) -> Polygon:
    return tuple((float(x), float(y)) for x, y in polygon)


def _area(polygon: np.ndarray) -> float:
    x, y = polygon[:, 0], polygon[:, 1]
    return abs(float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))) / 2


def _inside(polygon: np.ndarray, point: tuple[float, ...]) -> float:
    """Metres from the border of a polygon (n, 2), positive inside."""
    at = (float(point[0]), float(point[1]))
    return float(cv2.pointPolygonTest(polygon.astype(np.float32)[:, None], at, True))


def grown(polygon: np.ndarray, by_m: float) -> np.ndarray:
    """A convex polygon (n, 2) m and everything within `by_m` of it."""
    angles = np.arange(12) * 2 * math.pi / 12
    ring = by_m * np.column_stack([np.cos(angles), np.sin(angles)])
    return cv2.convexHull((polygon[:, None] + ring).reshape(-1, 2).astype(np.float32))[:, 0].astype(float)


def _gates(window: np.ndarray, walkable: tuple[Polygon, ...], every_m: float = 2.0) -> list[Point]:
    """Points on the border of the window on walkable ground, not within half a metre of its edges."""
    out: list[Point] = []
    middle = window.mean(0)
    for a, b in zip(window, np.roll(window, -1, axis=0), strict=True):
        steps = max(1, round(float(np.linalg.norm(b - a)) / every_m))
        for i in range(steps):
            p = a + (b - a) * (i + 0.5) / steps
            inner = p + (middle - p) / np.linalg.norm(middle - p) * 0.6
            if any(_inside(np.array(w), tuple(inner)) > 0.3 for w in walkable):
                out.append((float(p[0]), float(p[1])))
    return out


def _cut(lane: Lane, window: np.ndarray) -> Lane | None:
    """The stretch of a lane from where it first is in a window to where it last is; None where it never is."""
    points = np.array(lane.points)
    steps = [np.linspace(0, 1, max(2, int(math.dist(a, b) / 0.5)), endpoint=False)[:, None] * (b - a) + a
             for a, b in pairwise(points)]  # fmt: skip
    fine = np.vstack([*steps, points[-1:]])
    on = [i for i, p in enumerate(fine) if _inside(window, tuple(p)) > 0]
    if not on or on[-1] - on[0] < 4:
        return None
    corners = [i for i in range(on[0] + 1, on[-1]) if any(np.allclose(fine[i], p) for p in points)]
    kept = [fine[i] for i in (on[0], *corners, on[-1])]
    return replace(lane, points=_points(np.array(kept)))
