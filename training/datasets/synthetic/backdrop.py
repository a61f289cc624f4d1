"""Backdrop: the empty picture of a place through one camera, painted once a clip, with the depth of what stands there.

Next: training/datasets/synthetic/conditions.py
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from training.datasets.synthetic.backdrop_materials import noise_tile
from training.datasets.synthetic.backdrop_surfaces import Canvas, Face, fill
from training.datasets.synthetic.backdrop_things import THINGS, thing_picture
from training.datasets.synthetic.camera import Camera
from training.datasets.synthetic.layouts_parts import Thing
from training.datasets.synthetic.layouts_place import Place

AMBIENT = 0.62  # share of the daylight that comes from everywhere
SKY_M = 400.0


@dataclass(frozen=True)
class Sun:
    """Where the light comes from. azimuth: on the ground, counter-clockwise from x; elevation: over it, radians;
    strength: 0 (overcast) to 1 (hard shadows); blur: softness of the shadows' edges in pixels."""

    azimuth: float
    elevation: float
    strength: float
    blur: float

    @property
    def towards(self) -> np.ndarray:
        """Unit vector to the sun."""
        flat = math.cos(self.elevation)
        return np.array([flat * math.cos(self.azimuth), flat * math.sin(self.azimuth), math.sin(self.elevation)])

    @property
    def cast(self) -> tuple[float, float]:
        """How far (x, y) m the shadow of a point 1 m up falls."""
        reach = 1 / math.tan(self.elevation)
        return -reach * math.cos(self.azimuth), -reach * math.sin(self.azimuth)


@dataclass(frozen=True)
class Backdrop:
    """The empty picture in neutral light. rgb (H, W, 3) uint8; glow (H, W) uint8, light of lamps and windows;
    gloss (H, W) float32 of floors; depth (H, W) float32 m along the ground to what stands there (infinite elsewhere);
    place (H, W, 3) float32 m, the world point of a pixel; is_ground and is_sky (H, W) bool."""

    rgb: np.ndarray
    glow: np.ndarray
    gloss: np.ndarray
    depth: np.ndarray
    place: np.ndarray
    is_ground: np.ndarray
    is_sky: np.ndarray


def paint(place: Place, camera: Camera, sun: Sun, rng: np.random.Generator) -> Backdrop:
    """Draw a place."""
    canvas = Canvas(camera)
    # 1. Sky and ground.
    sky(canvas, rng)
    turn = float(rng.uniform(-0.25, 0.25)) if not place.indoor else 0.0
    canvas.paint(whole_ground(place, camera, turn), 1.0, rng, standing=False)
    for ground in place.grounds:
        canvas.paint(ground, 1.0, rng, standing=False)
    is_sky = ~canvas.is_ground
    # 2. What mirrors, what is dark: contact and cast shadows.
    mirror(canvas, place)
    shaded = shadows(place, camera, sun)
    canvas.rgb[:] = cv2.convertScaleAbs(canvas.rgb * np.where(canvas.is_ground, shaded, 1)[..., None])
    # 3. What stands, the far before the near.
    standing: list[Face | Thing] = [*place.faces, *place.things]
    for item in sorted(standing, key=lambda i: -_distance(i, camera)):
        if isinstance(item, Thing):
            put_thing(canvas, item, sun, rng)
        else:
            canvas.paint(item, face_light(item, camera, sun, place.indoor), rng)
    is_sky &= ~np.isfinite(canvas.depth)
    canvas.place[is_sky] = (*camera.centre[:2] + SKY_M, SKY_M / 4)
    return Backdrop(canvas.rgb, canvas.glow, canvas.gloss, canvas.depth, canvas.place, canvas.is_ground, is_sky)


def whole_ground(place: Place, camera: Camera, turn: float) -> Face:
    cos, sin = math.cos(turn), math.sin(turn)
    points = camera.view(300.0, 30)
    flat = tuple((float(x * cos + y * sin), float(y * cos - x * sin)) for x, y in points)
    return Face((0, 0, 0), (cos, sin, 0), (-sin, cos, 0), flat, place.base, casts=False)


def sky(canvas: Canvas, rng: np.random.Generator) -> None:
    """A pale gradient with clouds; behind the ground's far end it is haze."""
    height, width = canvas.glow.shape
    top = np.array([(150, 178, 206), (186, 192, 196), (168, 176, 184), (112, 152, 200)][int(rng.integers(4))], float)
    fade = np.linspace(0, 1, height)[:, None, None]
    picture = top * (1 - fade) + np.array([222, 224, 222]) * fade
    clouds = cv2.resize(noise_tile()[:24, :40], (width, height), interpolation=cv2.INTER_CUBIC)
    picture = picture + 9 * np.clip(clouds, -1, 1.5)[..., None]
    canvas.rgb[:] = np.clip(picture, 0, 255).astype(np.uint8)


def face_light(face: Face, camera: Camera, sun: Sun, indoor: bool) -> float:
    """Light on a face as a share of that on the ground."""
    normal = face.normal
    if normal @ (camera.centre - np.array(face.origin)) < 0:
        normal = -normal
    if indoor:
        return float(0.86 + 0.16 * abs(normal[1]) - 0.1 * abs(normal[0]) + 0.1 * max(normal[2], 0))
    full = AMBIENT + sun.strength * sun.towards[2]
    light = AMBIENT * (0.82 + 0.18 * normal[2]) + sun.strength * max(float(normal @ sun.towards), 0)
    return float(np.clip(light / full, 0.45, 1.35))


def shadows(place: Place, camera: Camera, sun: Sun) -> np.ndarray:
    """(H, W) float32 in (0, 1]: how much light reaches the ground beside and behind what stands on it."""
    width, height = camera.size_wh
    canvas = Canvas(camera)
    contact, wide, cast = (np.zeros((height, width), np.uint8) for _ in range(3))
    reach = sun.cast
    for face in place.faces:
        corners = face.corners
        if corners[:, 2].min() < 0.45 and abs(face.normal[2]) < 0.8:
            a, b = corners[np.argsort(corners[:, 2])[:2]]
            for half, into in ((0.16, contact), (0.6, wide)):
                fill(into, canvas.polygon(_strip(a[:2], b[:2], half)), 255)
        if face.casts and not place.indoor and sun.strength > 0.05:
            fallen = corners + corners[:, 2:] * np.array([*reach, -1.0])
            fill(cast, canvas.polygon(fallen), 255)
    for item in place.things:
        _thing_shadow(item, canvas, reach, contact, cast if sun.strength > 0.05 and not place.indoor else wide)
    blurred = cv2.GaussianBlur(cast, (0, 0), max(sun.blur, 0.8)) if cast.any() else cast
    # Reflected light keeps shadows from being black.
    dark = blurred.astype(np.float32) * (0.6 * sun.strength / (AMBIENT + 0.6 * sun.strength) / 255)
    soft = cv2.GaussianBlur(wide, (0, 0), 0.02 * height).astype(np.float32) * (0.3 / 255)
    close = cv2.GaussianBlur(contact, (0, 0), 0.006 * height).astype(np.float32) * (0.42 / 255)
    return (1 - dark) * (1 - soft) * (1 - close)


def _strip(a: np.ndarray, b: np.ndarray, half: float) -> np.ndarray:
    """(4, 3) m: the ground within `half` metres of a line."""
    along = (b - a) / max(float(np.linalg.norm(b - a)), 1e-6)
    side = np.array([-along[1], along[0]]) * half
    flat = np.array(
        [a - along * half + side, a - along * half - side, b + along * half - side, b + along * half + side]
    )
    return np.column_stack([flat, np.zeros(4)])


def _thing_shadow(
    item: Thing, canvas: Canvas, reach: tuple[float, float], contact: np.ndarray, cast: np.ndarray
) -> None:
    """A dark foot, and what pole and crown throw."""
    angles = np.arange(16) * 2 * math.pi / 16
    ring = np.column_stack([np.cos(angles), np.sin(angles), np.zeros(16)])
    foot = np.array([item.x, item.y, 0.0])
    fill(contact, canvas.polygon(foot + 0.35 * ring), 255)
    fallen = np.array([*reach, 0.0])
    share = THINGS[item.kind][0]
    if share < 0.5:
        fill(cast, canvas.polygon(_strip(foot[:2], (foot + item.height * fallen)[:2], 0.06)), 255)
        return
    crown = share * item.height * 0.42
    fill(cast, canvas.polygon(_strip(foot[:2], (foot + 0.5 * item.height * fallen)[:2], 0.12)), 255)
    for k, part in enumerate((0.45, 0.62, 0.8, 0.6)):
        aside = np.array([math.cos(2.4 * k), math.sin(2.4 * k), 0]) * crown * 0.4
        fill(
            cast,
            canvas.polygon(foot + aside + part * item.height * fallen + crown * (0.9 - 0.4 * (part - 0.45)) * ring),
            255,
        )


def mirror(canvas: Canvas, place: Place) -> None:
    """What polished floors reflect: the walls, lamps and boxes upside down, without texture."""
    camera = canvas.camera
    strength = np.where(canvas.is_ground, canvas.gloss, 0)
    if strength.max() < 0.05:
        return
    picture = canvas.rgb.copy()
    for face in sorted(place.faces, key=lambda f: -_distance(f, camera)):
        if face.outward and not face.looks_at(camera.centre):
            continue
        flip = np.array([1, 1, -1])
        fill(picture, canvas.polygon(face.corners * flip), tuple(int(0.8 * c) for c in face.material.rgb))
        for detail in face.details:
            if (min(p[1] for p in detail.points) > 1.5 and not detail.glow) or len(face.details) > 60:
                continue
            flat = np.array(detail.points)
            corners = np.array(face.origin) + flat[:, :1] * np.array(face.u) + flat[:, 1:] * np.array(face.v)
            fill(picture, canvas.polygon(corners * flip), tuple(int(c * (1 + 0.6 * detail.glow)) for c in detail.rgb))
    height = picture.shape[0]
    smeared = cv2.GaussianBlur(picture, (0, 0), sigmaX=0.006 * height, sigmaY=0.02 * height)
    weight = 0.42 * strength
    canvas.rgb[:] = cv2.blendLinear(canvas.rgb, smeared, 1 - weight, weight)


def put_thing(canvas: Canvas, item: Thing, sun: Sun, rng: np.random.Generator) -> None:
    """Draw a thing upright at its foot."""
    camera = canvas.camera
    local = np.random.default_rng(int(rng.integers(1 << 62)))
    distance = camera.distance(item.x, item.y)
    if distance < 1.0:
        return
    (foot, top), depth = camera.project(np.array([[item.x, item.y, 0], [item.x, item.y, item.height]]))
    height_px = float(np.hypot(*(top - foot)))
    if depth.min() <= 0.3 or height_px > 4 * camera.size_wh[1]:
        return
    picture = thing_picture(item.kind, max(height_px, 4), local)
    h, w = picture.shape[:2]
    x0, y0 = round(float(foot[0]) - w / 2), round(float(foot[1]) - h)
    width, height = camera.size_wh
    left, upper, right, lower = max(x0, 0), max(y0, 0), min(x0 + w, width), min(y0 + h, height)
    if right <= left or lower <= upper:
        return
    cut = picture[upper - y0 : lower - y0, left - x0 : right - x0]
    alpha = cut[..., 3].astype(np.float32) / 255 * (canvas.depth[upper:lower, left:right] > distance)
    light = 0.72 + 0.3 * sun.strength
    roi = canvas.rgb[upper:lower, left:right]
    roi[:] = cv2.blendLinear(
        cv2.convertScaleAbs(np.ascontiguousarray(cut[..., :3]), alpha=light),
        np.ascontiguousarray(roi),
        alpha,
        1 - alpha,
    )
    solid = alpha > 0.5
    canvas.depth[upper:lower, left:right][solid] = distance
    canvas.glow[upper:lower, left:right][solid] = 0
    if item.kind == "lamp":
        head = slice(upper, max(upper, min(lower, y0 + max(2, h // 18))))
        canvas.glow[head, left:right][solid[: head.stop - upper]] = 255
    canvas.is_ground[upper:lower, left:right][solid] = False
    rise = np.linspace(item.height * (upper - y0 - h) / -h, item.height * (lower - y0 - h) / -h, lower - upper)
    canvas.place[upper:lower, left:right][solid] = (item.x, item.y, 0)
    canvas.place[upper:lower, left:right, 2] = np.where(solid, rise[:, None], canvas.place[upper:lower, left:right, 2])


def _distance(item: Face | Thing, camera: Camera) -> float:
    if isinstance(item, Thing):
        return camera.distance(item.x, item.y)
    middle = item.corners.mean(0)
    return camera.distance(float(middle[0]), float(middle[1]))
