"""Camera: a pinhole over the ground plane; metres <-> pixels, the ground it sees, small movements.

Next: training/datasets/synthetic/layouts.py
"""

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from training.datasets.synthetic.stage import Point

NEAR_M = 0.3
EYE_LINE_M = 0.9  # height of the point that a camera is aimed at


@dataclass(frozen=True)
class View:
    """Where a place's cameras hang and look: ranges (low, high) in metres, of the horizontal field of view in degrees.

    stand_x, stand_y: the pole or wall; aim_x, aim_y: the point on the ground in the middle of the picture.
    """

    stand_x: Point
    stand_y: Point
    aim_x: Point
    aim_y: Point
    height: Point
    fov_deg: Point


@dataclass(frozen=True)
class Camera:
    """A pinhole camera at (x, y, height) in metres, over the ground z = 0.

    yaw: its view turned counter-clockwise from +y; tilt: looking down, both in radians; roll: small; focal in pixels.
    """

    size_wh: tuple[int, int]
    focal: float
    x: float
    y: float
    height: float
    yaw: float
    tilt: float
    roll: float = 0.0

    @classmethod
    def aimed(cls, view: View, size_wh: tuple[int, int], rng: np.random.Generator) -> "Camera":
        """A camera of a place's kind, at random within its view; the height stays in 2.5 to 9 m."""
        x, y = rng.uniform(*view.stand_x), rng.uniform(*view.stand_y)
        aim_x, aim_y = rng.uniform(*view.aim_x), rng.uniform(*view.aim_y)
        height = float(np.clip(rng.uniform(*view.height), 2.5, 9.0))
        focal = size_wh[0] / 2 / math.tan(math.radians(rng.uniform(*view.fov_deg)) / 2)
        yaw = math.atan2(x - aim_x, aim_y - y)
        tilt = math.atan2(height - EYE_LINE_M, math.hypot(aim_x - x, aim_y - y))
        roll = math.radians(float(np.clip(rng.normal(0, 1.0), -2.5, 2.5)))
        return cls(size_wh, focal, x, y, height, yaw, tilt, roll)

    @cached_property
    def axes(self) -> np.ndarray:
        """(3, 3): rows right, down, forward, as unit vectors of the world."""
        sin_yaw, cos_yaw = math.sin(self.yaw), math.cos(self.yaw)
        sin_tilt, cos_tilt = math.sin(self.tilt), math.cos(self.tilt)
        right = np.array([cos_yaw, sin_yaw, 0.0])
        forward = np.array([-sin_yaw * cos_tilt, cos_yaw * cos_tilt, -sin_tilt])
        down = np.cross(forward, right)
        cos_roll, sin_roll = math.cos(self.roll), math.sin(self.roll)
        return np.stack([cos_roll * right + sin_roll * down, cos_roll * down - sin_roll * right, forward])

    @cached_property
    def centre(self) -> np.ndarray:
        return np.array([self.x, self.y, self.height])

    @cached_property
    def matrix(self) -> np.ndarray:
        """(3, 4): homogeneous pixels of homogeneous world points; the third coordinate is the depth in metres."""
        width, height = self.size_wh
        inner = np.array([[self.focal, 0, width / 2], [0, self.focal, height / 2], [0, 0, 1.0]])
        return inner @ np.hstack([self.axes, -(self.axes @ self.centre)[:, None]])

    @cached_property
    def _rows(self) -> list[list[float]]:
        """`matrix` as plain numbers, for one point at a time."""
        return self.matrix.tolist()

    def plane(self, origin: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """(3, 3) homography of (u, v) metres on a plane at `origin` along unit vectors u, v to pixels."""
        basis = np.zeros((4, 3))
        basis[:3, 0], basis[:3, 1], basis[:3, 2], basis[3, 2] = u, v, origin, 1
        return self.matrix @ basis

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points (n, 3) m -> pixels (n, 2) and depths (n,) m along the view; those behind have depth <= 0."""
        flat = np.asarray(points, float).reshape(-1, 3)
        seen = np.hstack([flat, np.ones((len(flat), 1))]) @ self.matrix.T
        depth = seen[:, 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)
        return seen[:, :2] / safe[:, None], depth

    def pixel(self, x: float, y: float, z: float = 0.0) -> Point:
        """Where one point of the world appears; for a point before the camera."""
        a, b, c = self._rows
        depth = c[0] * x + c[1] * y + c[2] * z + c[3]
        depth = depth if abs(depth) > 1e-9 else 1e-9
        return (a[0] * x + a[1] * y + a[2] * z + a[3]) / depth, (b[0] * x + b[1] * y + b[2] * z + b[3]) / depth

    def ground(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (n, 2) -> points on the ground (n, 2) m; not a number at and above the horizon."""
        width, height = self.size_wh
        flat = np.asarray(pixels, float).reshape(-1, 2)
        rays = np.column_stack([(flat - (width / 2, height / 2)) / self.focal, np.ones(len(flat))]) @ self.axes
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(rays[:, 2] < -1e-9, self.height / -rays[:, 2], np.nan)
        return self.centre[:2] + rays[:, :2] * reach[:, None]

    def px_per_m(self, x: float, y: float, z: float = 0.0) -> float:
        """Pixels a metre across the view at a point before the camera, at least 1e-6."""
        a, b, c, d = self._rows[2]
        return self.focal / max(a * x + b * y + c * z + d, NEAR_M)

    def distance(self, x: float, y: float) -> float:
        """Metres on the ground along the view: what is less, hides what is more. Below 0 behind the camera."""
        return (y - self.y) * math.cos(self.yaw) - (x - self.x) * math.sin(self.yaw)

    def seen_heading(self, x: float, y: float, heading: float) -> float:
        """A heading on the ground as it looks from here: 0 right, pi/2 away."""
        away = math.atan2(y - self.y, x - self.x)
        return heading - away + math.pi / 2

    def sight_tilt(self, x: float, y: float) -> float:
        """How steeply this camera looks down on a point of the ground, radians in (0, pi/2)."""
        return math.atan2(self.height, max(math.hypot(x - self.x, y - self.y), 1e-6))

    def view(self, far_m: float, margin_px: float = 0.0, z: float = 0.0) -> np.ndarray:
        """(n, 2) m: the convex polygon of what the picture, `margin_px` wider, shows `z` m over the ground, up to
        `far_m` away; z is less than the camera's height."""
        width, height = self.size_wh
        steps = np.linspace(0, 1, 9)
        xs, ys = -margin_px + steps * (width + 2 * margin_px), -margin_px + steps * (height + 2 * margin_px)
        border = [(x, y) for x in xs for y in (ys[0], ys[-1])] + [(x, y) for y in ys for x in (xs[0], xs[-1])]
        rays = np.column_stack(
            [(np.array(border) - (width / 2, height / 2)) / self.focal, np.ones(len(border))]
        ) @ self.axes  # fmt: skip
        along = np.hypot(rays[:, 0], rays[:, 1])
        reach = np.where(rays[:, 2] < -1e-9, (self.height - z) * along / np.maximum(-rays[:, 2], 1e-9), far_m)
        points = self.centre[:2] + rays[:, :2] / along[:, None] * np.minimum(reach, far_m)[:, None]
        return cv2.convexHull(points.astype(np.float32))[:, 0].astype(float)


def clipped(polygon: np.ndarray, window: np.ndarray) -> np.ndarray:
    """The part (m, 2) of a polygon (n, 2) inside a convex one, by Sutherland and Hodgman (1974); empty where none."""
    inside = np.asarray(polygon, float)
    area = np.sum(window[:, 0] * np.roll(window[:, 1], -1) - window[:, 1] * np.roll(window[:, 0], -1))
    corners = window if area > 0 else window[::-1]
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if not len(inside):
            break
        side = (b[0] - a[0]) * (inside[:, 1] - a[1]) - (b[1] - a[1]) * (inside[:, 0] - a[0])
        inside = _half(inside, side)
    return inside


def _half(points: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The closed polygon `points` where `side` (one signed value a corner) is not negative."""
    if side.min() >= 0:
        return points
    kept = []
    for i in range(len(points)):
        j = (i + 1) % len(points)
        if side[i] >= 0:
            kept.append(points[i])
        if (side[i] >= 0) != (side[j] >= 0):
            kept.append(points[i] + (points[j] - points[i]) * side[i] / (side[i] - side[j]))
    return np.array(kept).reshape(-1, points.shape[1])


def before_camera(polygon: np.ndarray, camera: Camera) -> np.ndarray:
    """The part (m, 3) of a flat polygon (n, 3) m that lies before the camera's near plane; empty where none."""
    points = np.asarray(polygon, float)
    return _half(points, (points - camera.centre) @ camera.axes[2] - NEAR_M)
