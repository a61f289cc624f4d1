"""Surfaces: flat textured polygons anywhere in the world, drawn into one picture with exact depth.

Next: training/datasets/synthetic/backdrop_things.py
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from training.datasets.synthetic.backdrop_materials import Material, Rgb, solidity, texture
from training.datasets.synthetic.camera import Camera, before_camera, clipped

BITS = 4  # of a pixel, for cv2's polygons
BEYOND_PX = 1500  # cv2's polygons count in 16 bits


@dataclass(frozen=True)
class Detail:
    """A flat-coloured polygon (n, 2) m on a face: a window pane, a sign, a mark. glow: light of its own, 0 to 1."""

    points: tuple[tuple[float, float], ...]
    rgb: Rgb
    glow: float = 0.0


@dataclass(frozen=True)
class Face:
    """A polygon of (u, v) metres on a plane at `origin` along unit vectors u, v. outward: drawn only where its normal
    u x v looks at the camera (sides of boxes). casts: it throws a shadow in the sun."""

    origin: tuple[float, float, float]
    u: tuple[float, float, float]
    v: tuple[float, float, float]
    points: tuple[tuple[float, float], ...]
    material: Material
    details: tuple[Detail, ...] = ()
    outward: bool = False
    casts: bool = True

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.u, self.v)

    @property
    def corners(self) -> np.ndarray:
        """(n, 3) m."""
        flat = np.array(self.points)
        return np.array(self.origin) + flat[:, :1] * np.array(self.u) + flat[:, 1:] * np.array(self.v)


class Canvas:
    """The picture of a place as it is painted. rgb (H, W, 3) uint8; glow (H, W) uint8; gloss (H, W) float32;
    depth (H, W) float32 m along the ground to what stands there, infinite on bare ground and sky; place (H, W, 3)
    float32 m, where each pixel lies in the world."""

    def __init__(self, camera: Camera) -> None:
        width, height = camera.size_wh
        self.camera = camera
        self.rgb = np.zeros((height, width, 3), np.uint8)
        self.glow = np.zeros((height, width), np.uint8)
        self.gloss = np.zeros((height, width), np.float32)
        self.depth = np.full((height, width), np.inf, np.float32)
        self.place = np.zeros((height, width, 3), np.float32)
        self.is_ground = np.zeros((height, width), bool)

    def box_of(self, polygon: np.ndarray) -> tuple[int, int, int, int] | None:
        """Whole-pixel box (x0, y0, x1, y1) of a polygon (n, 2) px inside the picture, or None."""
        if len(polygon) < 3:
            return None
        width, height = self.camera.size_wh
        low, high = np.floor(polygon.min(0)).astype(int), np.ceil(polygon.max(0)).astype(int) + 1
        x0, y0, x1, y1 = max(low[0], 0), max(low[1], 0), min(high[0], width), min(high[1], height)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None

    def polygon(self, corners: np.ndarray) -> np.ndarray:
        """Pixels (m, 2) of a flat polygon (n, 3) m, cut where it leaves the view; empty where nothing is seen."""
        seen = before_camera(corners, self.camera)
        if len(seen) < 3:
            return np.zeros((0, 2))
        width, height = self.camera.size_wh
        low, right, down = -BEYOND_PX, width + BEYOND_PX, height + BEYOND_PX
        window = np.array([[low, low], [right, low], [right, down], [low, down]], float)
        return clipped(self.camera.project(seen)[0], window)

    def surface(self, face: Face, box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """u and v (h, w) float32 m of the pixels in a box."""
        x0, y0, x1, y1 = box
        back = np.linalg.inv(self.camera.plane(np.array(face.origin), np.array(face.u), np.array(face.v)))
        x, y = np.arange(x0, x1) + 0.5, (np.arange(y0, y1) + 0.5)[:, None]
        w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
        w = np.where(np.abs(w) < 1e-12, 1e-12, w)
        u = (back[0, 0] * x + back[0, 1] * y + back[0, 2]) / w
        v = (back[1, 0] * x + back[1, 1] * y + back[1, 2]) / w
        limit = 1e4
        return np.clip(u, -limit, limit).astype(np.float32), np.clip(v, -limit, limit).astype(np.float32)

    def paint(self, face: Face, shade: float, rng: np.random.Generator, standing: bool = True) -> None:
        """Draw a face under light `shade` (1 is full); what is nearer already stays. standing: it hides what is behind
        it, the ground does not."""
        seed = int(rng.integers(1 << 62))  # drawn or not, the next face gets the same dice
        if face.outward and face.normal @ (self.camera.centre - np.array(face.origin)) <= 0:
            return
        outline = self.polygon(face.corners)
        box = self.box_of(outline)
        if box is None:
            return
        x0, y0, x1, y1 = box
        u, v = self.surface(face, box)
        cover = np.zeros(u.shape, np.uint8)
        fill(cover, outline - (x0, y0), 255)
        alpha = cover.astype(np.float32) / 255
        holes = solidity(face.material, u, v)
        if holes is not None:
            alpha *= holes
        place = face_points(face, u, v)
        camera = self.camera
        distance = (place[..., 1] - camera.y) * np.cos(camera.yaw) - (place[..., 0] - camera.x) * np.sin(camera.yaw)
        if standing:
            alpha *= distance < self.depth[y0:y1, x0:x1] + 1e-3
        patch, glow = self.picture(face, (x0, y0), u, v, shade, np.random.default_rng(seed))
        roi = self.rgb[y0:y1, x0:x1]
        roi[:] = cv2.blendLinear(patch, np.ascontiguousarray(roi), alpha, 1 - alpha)
        light = self.glow[y0:y1, x0:x1]
        light[:] = (glow * alpha + light * (1 - alpha)).astype(np.uint8)
        solid = alpha > 0.5
        self.gloss[y0:y1, x0:x1][solid] = face.material.gloss
        self.place[y0:y1, x0:x1][solid] = place[solid]
        self.is_ground[y0:y1, x0:x1][solid] = not standing
        if standing:
            self.depth[y0:y1, x0:x1][solid] = distance[solid]

    def picture(
        self,
        face: Face,
        corner: tuple[int, int],
        u: np.ndarray,
        v: np.ndarray,
        shade: float,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, np.ndarray]:
        """RGB (h, w, 3) and glow (h, w) uint8 of a face with its details, in the box that begins at `corner`."""
        patch = texture(face.material, u, v, rng)
        if shade != 1:
            patch = cv2.convertScaleAbs(patch, alpha=shade)
        glow = np.full(u.shape, round(255 * face.material.glow), np.uint8)
        origin, along, up = (np.array(p) for p in (face.origin, face.u, face.v))
        for detail in face.details:
            flat = np.array(detail.points)
            outline = self.polygon(origin + flat[:, :1] * along + flat[:, 1:] * up)
            if len(outline) < 3:
                continue
            fill(patch, outline - corner, tuple(int(min(c * shade, 255)) for c in detail.rgb))
            fill(glow, outline - corner, round(255 * detail.glow))
        return patch, glow


def face_points(face: Face, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32 m: where the pixels of a face lie in the world."""
    axes = np.array([face.u, face.v], np.float32)
    return np.array(face.origin, np.float32) + u[..., None] * axes[0] + v[..., None] * axes[1]


def fill(picture: np.ndarray, outline: np.ndarray, value: int | Sequence[int]) -> None:
    """Fill a polygon (n, 2) px with soft edges, in place."""
    if len(outline) >= 3:
        points = np.round((outline - 0.5) * (1 << BITS)).astype(np.int32)
        cv2.fillPoly(picture, [points], value, lineType=cv2.LINE_AA, shift=BITS)
