"""Surfaces: flat textured polygons anywhere in the world, drawn into one picture with exact depth.

Next: training/datasets/synthetic/backdrop_things.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from training.datasets.synthetic.backdrop_materials import Material, Points, Rgb, solidity, texture
from training.datasets.synthetic.camera import Camera, before_camera, clipped

BITS = 4  # of a pixel, for cv2's polygons
BEYOND_PX = 1500  # cv2's polygons count in 16 bits
ROW = 256


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
        (a, b, c), (d, e, f) = self.u, self.v
        return np.array([b * f - c * e, c * d - a * f, a * e - b * d])

    def looks_at(self, point: np.ndarray) -> bool:
        return bool(self.normal @ (point - np.array(self.origin)) > 0)

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
        pixels = self.camera.project(seen)[0]
        if np.abs(pixels).max() < BEYOND_PX:
            return pixels
        low, right, down = -BEYOND_PX, width + BEYOND_PX, height + BEYOND_PX
        window = np.array([[low, low], [right, low], [right, down], [low, down]], float)
        return clipped(pixels, window)

    def surface(self, face: Face, x: np.ndarray, y: np.ndarray) -> Points:
        """Where pixels x, y (h, w) meet a face."""
        back = np.linalg.inv(self.camera.plane(np.array(face.origin), np.array(face.u), np.array(face.v)))
        w = back[2, 0] * x + back[2, 1] * y + back[2, 2]
        w = 1 / np.where(np.abs(w) < 1e-12, 1e-12, w)
        found = []
        for row in back[:2]:
            value = (row[0] * x + row[1] * y + row[2]) * w
            # How far one pixel right and one pixel down move on the face: the derivative of the line above.
            step = np.abs((row[0] - value * back[2, 0]) * w) + np.abs((row[1] - value * back[2, 1]) * w)
            found += [np.clip(value, -1e4, 1e4).astype(np.float32), np.maximum(step, 1e-4).astype(np.float32)]
        return Points(found[0], found[2], found[1], found[3])

    def paint(self, face: Face, shade: float, rng: np.random.Generator, standing: bool = True) -> None:
        """Draw a face under light `shade` (1 is full); what is nearer already stays. standing: it hides what is behind
        it, the ground does not."""
        seed = int(rng.integers(1 << 62))  # drawn or not, the next face gets the same dice
        if face.outward and not face.looks_at(self.camera.centre):
            return
        outline = self.polygon(face.corners)
        box = self.box_of(outline)
        if box is None:
            return
        x0, y0, x1, y1 = box
        cover = np.zeros((y1 - y0, x1 - x0), np.uint8)
        fill(cover, outline - (x0, y0), 255)
        inside = np.flatnonzero(cover)
        if not len(inside):
            return
        # Only covered pixels are worked on, in rows of ROW, the last one filled up with copies.
        at = np.pad(inside, (0, -len(inside) % min(ROW, len(inside))), mode="edge").reshape(-1, min(ROW, len(inside)))
        points = self.surface(face, x0 + at % (x1 - x0) + 0.5, y0 + at // (x1 - x0) + 0.5)
        alpha = cover.ravel()[at].astype(np.float32) / 255
        holes = solidity(face.material, points)
        if holes is not None:
            alpha *= holes
        place = face_points(face, points.u, points.v)
        camera = self.camera
        distance = (place[..., 1] - camera.y) * math.cos(camera.yaw) - (place[..., 0] - camera.x) * math.sin(camera.yaw)
        # Row and column in the whole picture, without the copies at the end.
        flat = (y0 + inside // (x1 - x0)) * self.camera.size_wh[0] + x0 + inside % (x1 - x0)
        count = len(inside)
        distance, alpha, place = distance.ravel()[:count], alpha.ravel()[:count], place.reshape(-1, 3)[:count]
        if standing:
            alpha *= distance < self.depth.ravel()[flat] + 1e-3
        colours = texture(face.material, points, np.random.default_rng(seed)).reshape(-1, 3)[:count]
        if shade != 1:
            colours = np.clip(colours * np.float32(shade), 0, 255).astype(np.uint8)
        glow = np.full(count, round(255 * face.material.glow), np.uint8)
        if face.details:
            colours, glow = self.detailed(face, (x0, y0), cover.shape, inside, colours, glow, shade)
        weight = alpha[:, None]
        pixels, light = self.rgb.reshape(-1, 3), self.glow.ravel()
        pixels[flat] = (pixels[flat] * (1 - weight) + colours * weight + 0.5).astype(np.uint8)
        light[flat] = (glow * alpha + light[flat] * (1 - alpha)).astype(np.uint8)
        solid = alpha > 0.5
        kept = flat[solid]
        self.gloss.ravel()[kept] = face.material.gloss
        self.place.reshape(-1, 3)[kept] = place[solid]
        self.is_ground.ravel()[kept] = not standing
        if standing:
            self.depth.ravel()[kept] = distance[solid]

    def detailed(
        self,
        face: Face,
        corner: tuple[int, int],
        shape: tuple[int, ...],
        inside: np.ndarray,
        colours: np.ndarray,
        glow: np.ndarray,
        shade: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Colours (n, 3) and glow (n,) uint8 of a face's pixels `inside` its box, with its details on them."""
        patch, light = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8)
        patch.reshape(-1, 3)[inside] = colours
        light.ravel()[inside] = glow
        origin, along, up = (np.array(p) for p in (face.origin, face.u, face.v))
        for detail in face.details:
            flat = np.array(detail.points)
            outline = self.polygon(origin + flat[:, :1] * along + flat[:, 1:] * up)
            if len(outline) < 3:
                continue
            fill(patch, outline - corner, tuple(int(min(c * shade, 255)) for c in detail.rgb))
            fill(light, outline - corner, round(255 * detail.glow))
        return patch.reshape(-1, 3)[inside], light.ravel()[inside]


def face_points(face: Face, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32 m: where the pixels of a face lie in the world."""
    axes = np.array([face.u, face.v], np.float32)
    return np.array(face.origin, np.float32) + u[..., None] * axes[0] + v[..., None] * axes[1]


def fill(picture: np.ndarray, outline: np.ndarray, value: int | Sequence[int]) -> None:
    """Fill a polygon (n, 2) px with soft edges, in place."""
    if len(outline) >= 3:
        points = np.round((outline - 0.5) * (1 << BITS)).astype(np.int32)
        cv2.fillPoly(picture, [points], value, lineType=cv2.LINE_AA, shift=BITS)
