"""Paths: ground to walk on, rails to drive along, and the recorded way of a life.

Points on the ground are complex numbers here, x + iy in metres: turning is multiplying.

Next: training/datasets/synthetic/crowd.py
"""

from collections.abc import Sequence

import cv2
import numpy as np
from scipy import ndimage, sparse
from scipy.sparse.csgraph import dijkstra

from training.datasets.synthetic.stage import Lane, Layout, State

STEP_S = 0.05  # lives are simulated and recorded in such steps
BEYOND_M = 1.5  # who leaves the picture walks so far out of it
CELLS = 20_000  # at most about so many cells of ground
EDGE_M = 2.0  # a lane that ends so near the border of the extent goes on outside
GATE_M = 0.5  # an entrance so near to it, or outside, leads out of the picture
DOOR_M = 1.2  # an entrance so near to a spot "door" is this door
NEAR_M = 6.0  # halves how often something is drawn at this distance from where the picture begins


class Track:
    """A recorded way. start_s, then one row every STEP_S: rows (n, 6) of x, y, z, heading (unwrapped), progress,
    travelled; actions (n,). Between rows it interpolates linearly, so `travelled` is the integral of the speed."""

    def __init__(self, start_s: float, rows: np.ndarray, actions: Sequence[str]) -> None:
        if rows.shape != (len(actions), 6) or not len(actions):
            raise ValueError(f"rows {rows.shape} for {len(actions)} actions; needs (n, 6) for n actions, n >= 1")
        self.start_s, self.rows, self.actions = start_s, rows, tuple(actions)

    @property
    def end_s(self) -> float:
        return self.start_s + STEP_S * (len(self.actions) - 1)

    def __call__(self, t_s: float) -> State | None:
        at = (t_s - self.start_s) / STEP_S
        last = len(self.actions) - 1
        if at < -1e-6 or at > last + 1e-6:
            return None
        at = min(max(at, 0.0), float(last))
        i = min(int(at), max(last - 1, 0))
        j = min(i + 1, last)
        x, y, z, heading, progress, travelled = self.rows[i] + (at - i) * (self.rows[j] - self.rows[i])
        k = j if at - i >= 1 - 1e-9 else i
        if self.actions[i] != self.actions[j] or self.rows[j, 4] < self.rows[i, 4] - 0.5:
            progress = self.rows[k, 4]
        return State(float(x), float(y), float(z), float(heading), self.actions[k], float(progress), float(travelled))


def resample(points: np.ndarray, step_m: float) -> np.ndarray:
    """Polyline (n,) complex -> (m,) complex, evenly spaced, same ends."""
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(points)))])
    at = np.linspace(0.0, length[-1], max(2, round(float(length[-1]) / step_m) + 1))
    return np.interp(at, length, points.real) + 1j * np.interp(at, length, points.imag)


def smooth(points: np.ndarray, sigma: float) -> np.ndarray:
    """Evenly spaced polyline (n,) with rounded corners and the same ends; sigma in points."""
    n = len(points)
    sigma = min(sigma, n / 6)
    if n < 3 or sigma < 0.5:
        return points
    pad = int(4 * sigma) + 1
    # Mirrored through its end points, so that the ends stay where they are.
    ahead = 2 * points[0] - points[min(pad, n - 1) : 0 : -1]
    behind = 2 * points[-1] - points[-2 : max(-pad - 2, -n - 1) : -1]
    long = np.concatenate([ahead, points, behind])
    real = ndimage.gaussian_filter1d(long.real, sigma, mode="nearest")
    imag = ndimage.gaussian_filter1d(long.imag, sigma, mode="nearest")
    return (real + 1j * imag)[len(ahead) : len(ahead) + n]


class Rail:
    """A lane as a smooth line with room to come from and go to outside the extent. length in metres."""

    STEP_M = 0.25

    def __init__(self, lane: Lane, extent: tuple[float, float, float, float], beyond_m: float) -> None:
        self.lane, self.width, self.use = lane, lane.width, lane.use
        points = np.array([complex(*p) for p in lane.points])
        if len(points) < 2:
            raise ValueError(f"a lane of {len(points)} point(s); it needs 2 or more")
        first, last = points[0], points[-1]
        # Lanes that already begin outside are made no longer than needed.
        before, behind = (beyond_m + min(border(p, extent), 0.0) for p in (first, last))
        if border(first, extent) < EDGE_M and before > 0:
            points = np.concatenate([[stretch(points[1], first, before)], points])
        if border(last, extent) < EDGE_M and behind > 0:
            points = np.concatenate([points, [stretch(points[-2], last, behind)]])
        self.points = smooth(resample(points, self.STEP_M), 4.0)
        self.at_m = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(self.points)))])
        self.length = float(self.at_m[-1])
        self.headings = np.unwrap(np.angle(np.gradient(self.points)))

    def at(self, s: float, aside: float = 0.0) -> tuple[complex, float]:
        """Point and heading at s metres from the beginning, `aside` metres to the left of the line."""
        real = float(np.interp(s, self.at_m, self.points.real))
        imag = float(np.interp(s, self.at_m, self.points.imag))
        heading = float(np.interp(s, self.at_m, self.headings))
        return complex(real, imag) + 1j * aside * np.exp(1j * heading), heading

    def find(self, p: complex) -> tuple[float, float]:
        """(s, distance) of the line's point nearest to p, metres."""
        away = np.abs(self.points - p)
        i = int(np.argmin(away))
        return float(self.at_m[i]), float(away[i])


def crossing_rails(rails: Sequence[Rail]) -> list[list[tuple[int, float]]]:
    """For every rail for vehicles: (number of a rail that crosses it, metres along itself to that place)."""
    found: list[list[tuple[int, float]]] = [[] for _ in rails]
    for i, a in enumerate(rails):
        for j, b in enumerate(rails):
            if i == j or "people" in (a.use, b.use):
                continue
            away = np.abs(a.points[:, None] - b.points)
            k, m = np.unravel_index(int(np.argmin(away)), away.shape)
            if away[k, m] < 1.0 and abs(np.sin(a.headings[k] - b.headings[m])) > 0.35:
                found[i].append((j, float(a.at_m[k])))
    return found


def border(p: complex, extent: tuple[float, float, float, float]) -> float:
    """Metres from p to the border of the extent, negative outside."""
    x0, y0, x1, y1 = extent
    return min(p.real - x0, x1 - p.real, p.imag - y0, y1 - p.imag)


def inside(p: complex, extent: tuple[float, float, float, float]) -> bool:
    return border(p, extent) >= 0


def stretch(a: complex, b: complex, metres: float) -> complex:
    """The point `metres` behind b as seen from a."""
    return b + metres * (b - a) / max(abs(b - a), 1e-9)


def outside(p: complex, extent: tuple[float, float, float, float]) -> complex:
    """Where someone stands who has left by the entrance p: beyond the border, or p itself if it is a door inside."""
    if border(p, extent) >= GATE_M:
        return p
    x0, y0, x1, y1 = extent
    gaps = [(p.real - x0, -1 + 0j), (x1 - p.real, 1 + 0j), (p.imag - y0, -1j), (y1 - p.imag, 1j)]
    gap, way = min(gaps, key=lambda g: g[0])
    return stretch(p - way, p, max(gap, 0.0) + BEYOND_M)


class Ground:
    """Where one can walk: a grid of cells, with the room around each and the shortest ways between them."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.extent = layout, layout.extent
        doors = [complex(*p) for p in layout.entrances]
        self.gates = [(p, outside(p, layout.extent)) for p in doors]
        corners = [complex(*p) for polygon in layout.walkable for p in polygon] + [q for g in self.gates for q in g]
        if not layout.walkable:
            raise ValueError(f"layout {layout.name!r} has no walkable polygon; it needs 1 or more")
        low = complex(min(c.real for c in corners) - 1, min(c.imag for c in corners) - 1)
        high = complex(max(c.real for c in corners) + 1, max(c.imag for c in corners) + 1)
        size = high - low
        self.low, self.cell = low, max(0.25, float(np.sqrt(size.real * size.imag / CELLS)))
        shape = (int(np.ceil(size.imag / self.cell)) + 1, int(np.ceil(size.real / self.cell)) + 1)
        free = np.zeros(shape, np.uint8)
        for polygon in layout.walkable:
            cv2.fillPoly(free, [self._pixels([complex(*p) for p in polygon])], 1)
        for a, b in self.gates:
            cv2.line(free, self._pixel(a), self._pixel(b), 1, max(1, round(1.2 / self.cell)))
        for x, y, radius, _ in layout.obstacles:
            cv2.circle(free, self._pixel(complex(x, y)), max(1, round((radius + 0.1) / self.cell)), 0, -1)
        free[[0, -1]] = free[:, [0, -1]] = 0
        self.road = np.zeros(shape, np.uint8)
        for lane in layout.lanes:
            if lane.use in ("cars", "trains"):
                line = [self._pixels([complex(*p) for p in lane.points])]
                cv2.polylines(self.road, line, False, 1, max(1, round(lane.width / self.cell)))
        self.free = free.astype(bool)
        if not self.free.any():
            raise ValueError(f"layout {layout.name!r} has no free ground: obstacles cover all of its walkable polygons")
        self.room = cv2.distanceTransform(free, cv2.DIST_L2, 5) * self.cell
        self.part, _ = ndimage.label(self.free, np.ones((3, 3)))
        self.nearest = ndimage.distance_transform_edt(~self.free, return_distances=False, return_indices=True)
        self.slope = np.gradient(self.room, self.cell)
        self.likely = self._likely()
        spots = [p for at in layout.spots.values() for p in at]
        known = (
            [p for polygon in layout.walkable for p in polygon] + [p for a in layout.lanes for p in a.points] + spots
        )
        self._hull = cv2.convexHull(np.array(known, np.float32))
        self._graph: sparse.csr_matrix | None = None
        self._ways: dict[int, np.ndarray] = {}
        self._sums: dict[tuple[float, int], np.ndarray] = {}

    def _pixel(self, p: complex) -> tuple[int, int]:
        q = (p - self.low) / self.cell
        return round(q.real), round(q.imag)

    def _pixels(self, points: Sequence[complex]) -> np.ndarray:
        return np.array([self._pixel(p) for p in points], np.int32)

    def index(self, p: complex) -> tuple[int, int]:
        """(row, column) of the cell at p, of the nearest one for points outside the grid."""
        x, y = self._pixel(p)
        return min(max(y, 0), self.free.shape[0] - 1), min(max(x, 0), self.free.shape[1] - 1)

    def _point(self, row: int, column: int) -> complex:
        return self.low + self.cell * complex(column, row)

    def snap(self, p: complex) -> complex:
        """The nearest point where one can walk."""
        i = self.index(p)
        if self.free[i]:
            return p
        return self._point(*(int(n[i]) for n in self.nearest))

    def room_at(self, p: complex) -> float:
        """Metres to the next wall, 0 where one cannot walk."""
        return float(self.room[self.index(p)])

    def away(self, p: complex) -> complex:
        """Unit vector to where there is more room, 0 in the open."""
        i = self.index(p)
        step = complex(self.slope[1][i], self.slope[0][i]) if self.free[i] else self.snap(p) - p
        return step / abs(step) if abs(step) > 1e-6 else 0j

    def on_road(self, p: complex) -> bool:
        return bool(self.road[self.index(p)])

    def joined(self, a: complex, b: complex) -> bool:
        """Whether one can walk from a to b."""
        return bool(self.part[self.index(self.snap(a))] == self.part[self.index(self.snap(b))])

    def _likely(self) -> np.ndarray:
        """How likely a cell is drawn at random: what is near fills more of the picture, so that places are about as
        frequent everywhere in the picture."""
        corners = np.array([complex(*p) for polygon in self.layout.walkable for p in polygon])
        low = corners[corners.imag <= np.quantile(corners.imag, 0.25)]
        eye = complex(float(low.real.mean()), self.extent[1])
        rows, columns = np.indices(self.free.shape)
        self._cells = self.low.real + self.cell * columns + 1j * (self.low.imag + self.cell * rows)
        x0, y0, x1, y1 = self.extent
        x, y = self._cells.real, self._cells.imag
        seen = (x > x0) & (x < x1) & (y > y0) & (y < y1)
        self.near = eye
        return np.where(seen & (self.road == 0) & self.free, self.nearness(self._cells) ** 2, 0.0)

    def nearness(self, p: np.ndarray | complex) -> np.ndarray:
        """1 where the picture begins, 0.5 at NEAR_M from it, towards 0 far away."""
        return np.asarray(NEAR_M / (NEAR_M + np.abs(p - self.near)))

    def anywhere(self, rng: np.random.Generator, room_m: float = 0.4, near: complex | None = None) -> complex:
        """A random point off the road, inside the extent, with so much room if there is such; `near`: joined to it."""
        key = (room_m, int(self.part[self.index(self.snap(near))]) if near is not None else -1)
        if key not in self._sums:
            weight = self.likely if near is None else self.likely * (self.part == key[1])
            for least in (room_m, 0.3, 0.0):
                sums = np.cumsum(np.where(self.room >= least, weight, 0.0))
                if sums[-1] > 0:
                    break
            self._sums[key] = sums
        sums = self._sums[key]
        if sums[-1] <= 0:
            return self.snap((complex(*self.extent[:2]) + complex(*self.extent[2:])) / 2)
        found = int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))
        return complex(self._cells.flat[min(found, sums.size - 1)])

    def gate(
        self, rng: np.random.Generator, near: complex, least_m: float = 0.0, wheels: bool = False
    ) -> tuple[complex, complex] | None:
        """A random entrance (point, where one stands outside) joined to a point and, if there is such, so far from it,
        and no door for what is on wheels; near ones are likelier. None if none is joined."""
        found = [g for g in self.gates if self.joined(near, g[0])]
        if wheels and not self.layout.indoor:
            found = [g for g in found if not self.is_door(g[0])] or found
        found = [g for g in found if abs(g[0] - near) >= least_m] or found
        if not found:
            return None
        weight = self.nearness(np.array([g[0] for g in found]))
        return found[int(rng.choice(len(found), p=weight / weight.sum()))]

    def sees(self, p: complex) -> bool:
        """Whether the camera looks there, as far as a layout tells: inside the extent, and not farther to a side than
        all that the layout has (a camera sees a wedge of the extent)."""
        at = (float(p.real), float(p.imag))
        return inside(p, self.extent) and cv2.pointPolygonTest(self._hull, at, True) > -GATE_M

    def is_door(self, p: complex) -> bool:
        """Whether an entrance is the door of a house, not the border of the picture."""
        return any(abs(complex(*d) - p) < DOOR_M for d in self.layout.spots.get("door", ()))

    def margin(self, p: complex) -> float:
        """Metres from where one leaves the picture: its border and the entrances; negative outside."""
        return min(border(p, self.extent), min((abs(p - g[0]) for g in self.gates), default=np.inf))

    def shared(self) -> bool:
        """Whether people walk on the road anyway, as in a car park."""
        road = self.road.astype(bool)
        return bool(road.any()) and float((self.free & road).sum()) > 0.3 * float(road.sum())

    def facing(self, p: complex) -> complex:
        """Unit vector from a point to the thing one stands before: the nearest obstacle, else the nearest wall."""
        things = [complex(x, y) for x, y, r, _ in self.layout.obstacles if abs(complex(x, y) - p) < r + 1.6]
        if things:
            step = min(things, key=lambda q: abs(q - p)) - p
            if abs(step) > 0.05:
                return step / abs(step)
        return -self.away(p) or 1j

    def clear(self, a: complex, b: complex, room_m: float) -> bool:
        """Whether the straight line from a to b keeps so far from walls."""
        n = max(2, int(abs(b - a) / (0.7 * self.cell)) + 1)
        return all(self.room_at(a + (b - a) * k / n) >= room_m for k in range(n + 1))

    def route(self, a: complex, b: complex) -> np.ndarray | None:
        """Points (n,) complex about 0.25 m apart from a to b around the obstacles; None if there is no way."""
        start, goal = self.snap(a), self.snap(b)
        if not self.joined(start, goal):
            return None
        if self.clear(start, goal, 0.4) and not self.road.any():
            corners = [start, goal]
        else:
            corners = self._pull(self._walk(start, goal))
        line = np.array([a, *corners[1:-1], b] if abs(a - b) > 1e-6 else [a, b + 1e-3])
        return smooth(resample(line, 0.25), 3.0)

    def _walk(self, a: complex, b: complex) -> list[complex]:
        """Cells of the shortest way, by Dijkstra from the goal; ways to a goal are kept."""
        width = self.free.shape[1]
        row, column = self.index(b)
        goal = row * width + column
        if goal not in self._ways:
            if self._graph is None:
                self._graph = self._edges()
            self._ways[goal] = dijkstra(self._graph, indices=goal, return_predecessors=True)[1]
        row, column = self.index(a)
        at, cells = row * width + column, [a]
        while at != goal and at >= 0:
            at = int(self._ways[goal][at])
            cells.append(self._point(at // width, at % width))
        return [*cells[:-1], b] if len(cells) > 1 else [a, b]

    def _pull(self, cells: list[complex]) -> list[complex]:
        """The way as one would walk it: straight where nothing is in between."""
        kept, i = [cells[0]], 0
        while i < len(cells) - 1:
            j = i + 1
            stride = 16
            while stride:
                far = min(j + stride, len(cells) - 1)
                if far > j and self.clear(cells[i], cells[far], 0.35) and not self._shortcut(cells, i, far):
                    j = far
                else:
                    stride //= 2
            kept.append(cells[j])
            i = j
        return kept

    def _shortcut(self, cells: list[complex], i: int, j: int) -> bool:
        """Whether going straight would use more road than the way does."""
        straight = [cells[i] + (cells[j] - cells[i]) * k / (j - i) for k in range(j - i + 1)]
        return sum(map(self.on_road, straight)) > sum(map(self.on_road, cells[i : j + 1])) + 1

    def _edges(self) -> sparse.csr_matrix:
        height, width = self.free.shape
        cost = 1 + 1.5 * np.exp(-self.room / 0.5) + 3.0 * self.road
        number = np.arange(height * width).reshape(height, width)
        starts, ends, weights = [], [], []
        for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
            a = np.s_[0 : height - dy, max(0, -dx) : width - max(0, dx)]
            b = np.s_[dy:height, max(0, dx) : width - max(0, -dx)]
            both = self.free[a] & self.free[b]
            starts.append(number[a][both])
            ends.append(number[b][both])
            weights.append((self.cell * np.hypot(dx, dy) * (cost[a] + cost[b]) / 2)[both])
        shape = (height * width, height * width)
        half = sparse.coo_matrix(
            (np.concatenate(weights), (np.concatenate(starts), np.concatenate(ends))), shape=shape
        ).tocsr()
        return half + half.T
