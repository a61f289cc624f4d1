"""Picture: draws actors into the lit backdrop, far before near, with shadows, reflections and exact instance ids.

Next: training/datasets/synthetic/conditions.py
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from training.datasets.synthetic.actors import phase_of
from training.datasets.synthetic.backdrop import Backdrop
from training.datasets.synthetic.camera import Camera
from training.datasets.synthetic.conditions import Light
from training.datasets.synthetic.layouts_place import Place
from training.datasets.synthetic.stage import Life, Pose, Sprite, State

SLACK_M = 0.3  # who sits on a bench is not behind its front edge
MIN_DISTANCE_M = 0.6
PX_PER_M = (1.0, 300.0)  # scales that actors draw at
MAX_SHADOW = 0.45
BURNING = ("fire", "explosion")


@dataclass(frozen=True)
class Shown:
    """A drawn actor: box (x0, y0, x1, y1) of its whole picture in pixels, and how many pixels it would fill."""

    box: tuple[int, int, int, int]
    pixels: int


@lru_cache(maxsize=1)
def _blob() -> np.ndarray:
    """(32, 32) uint8: the dark spot under feet."""
    x, y = np.meshgrid(np.linspace(-1, 1, 32), np.linspace(-1, 1, 32))
    return (255 * np.clip(1 - np.hypot(x, y), 0, 1) ** 0.8).astype(np.uint8)


class Picture:
    """Draws moments of a play."""

    def __init__(self, place: Place, camera: Camera, backdrop: Backdrop, light: Light) -> None:
        self.place, self.camera, self.backdrop, self.light = place, camera, backdrop, light
        self.base = light.lit(backdrop)
        sun = light.conditions.sun
        is_sunny = not place.indoor and light.conditions.time == "day" and sun.strength > 0.1
        self.shadow = MAX_SHADOW * sun.strength if is_sunny else 0.0
        self.wet = 0.5 if light.conditions.rain else 0.0

    def draw(self, lives: Sequence[Life], t_s: float) -> tuple[np.ndarray, np.ndarray, dict[int, Shown]]:
        """RGB (H, W, 3) uint8, ids (H, W) uint16 (the index in `lives` and 1), and what was drawn, by id."""
        frame = self.base.copy()
        ids = np.zeros(frame.shape[:2], np.uint16)
        present = []
        for number, life in enumerate(lives, 1):
            state = life.path(t_s)
            if state is not None:
                distance = self.camera.distance(state.x, state.y)
                if distance > MIN_DISTANCE_M and self._is_near(life, state):
                    present.append((-distance, number, life, state))
        shown = {}
        placed = [(p, self._sprite(p[2], p[3], t_s)) for p in sorted(present, key=lambda p: p[:2])]
        for (_, _, life, state), (sprite, foot, scale) in placed:
            self._shade(frame, life, state, sprite, foot, scale)
        for (distance, number, life, state), (sprite, foot, scale) in placed:
            burns = life.actor.noun in BURNING
            if burns and self.light.conditions.time != "day":
                self._shine(frame, foot, scale * life.actor.size_m[2])
            shown[number] = self._put(frame, ids, number, sprite, foot, state, -distance, burns)
        return frame, ids, shown

    def _is_near(self, life: Life, state: State) -> bool:
        """Whether an actor can be in the picture, or its shadow."""
        width, height = self.camera.size_wh
        x, y = self.camera.pixel(state.x, state.y, state.z + self.place.height(state.x, state.y))
        reach = self.camera.px_per_m(state.x, state.y, state.z) * max(life.actor.size_m) * (2.5 if self.shadow else 1.0)
        return -reach < x < width + reach and -reach < y < height + 1.1 * reach

    def _sprite(self, life: Life, state: State, t_s: float) -> tuple[Sprite, tuple[float, float], float]:
        """An actor's picture, its foot in the frame, and its scale in pixels a metre."""
        camera, actor = self.camera, life.actor
        z = state.z + self.place.height(state.x, state.y)
        scale = float(np.clip(camera.px_per_m(state.x, state.y, z), *PX_PER_M))
        pose = Pose(
            action=state.action,
            phase=phase_of(state.action, state.travelled, actor.stride, t_s),
            progress=state.progress,
            heading=camera.seen_heading(state.x, state.y, state.heading),
            tilt=camera.sight_tilt(state.x, state.y),
        )
        return actor.draw(scale, pose), camera.pixel(state.x, state.y, z), scale

    def _put(
        self,
        frame: np.ndarray,
        ids: np.ndarray,
        number: int,
        sprite: Sprite,
        foot: tuple[float, float],
        state: State,
        distance: float,
        burns: bool,
    ) -> Shown:
        """Blend a sprite in where nothing nearer stands; its id where it covers more than half of a pixel."""
        h, w = sprite.rgba.shape[:2]
        x0, y0 = round(foot[0] - sprite.foot[0]), round(foot[1] - sprite.foot[1])
        height, width = ids.shape
        full = int(np.count_nonzero(sprite.rgba[..., 3] > 127))
        left, top, right, low = max(x0, 0), max(y0, 0), min(x0 + w, width), min(y0 + h, height)
        if right <= left or low <= top:
            return Shown((left, top, max(right, left), max(low, top)), full)
        cut = sprite.rgba[top - y0 : low - y0, left - x0 : right - x0]
        free = self.backdrop.depth[top:low, left:right] > distance - SLACK_M
        alpha = cut[..., 3] * (free * np.float32(1 / 255))
        middle = np.array([state.x, state.y, state.z + 0.9])
        colours = cv2.transform(np.ascontiguousarray(cut[..., :3]), self.light.matrix(middle, (left, top), burns))
        roi = frame[top:low, left:right]
        roi[:] = cv2.blendLinear(colours, np.ascontiguousarray(roi), alpha, 1 - alpha)
        ids[top:low, left:right][alpha > 0.5] = number
        return Shown((left, top, right, low), full)

    def _shine(self, frame: np.ndarray, foot: tuple[float, float], tall_px: float) -> None:
        """The light of a fire on what is around it."""
        reach = max(4, round(2.2 * tall_px))
        height, width = frame.shape[:2]
        left, top = max(round(foot[0]) - reach, 0), max(round(foot[1]) - reach, 0)
        right, low = min(round(foot[0]) + reach, width), min(round(foot[1]) + reach, height)
        if right <= left or low <= top:
            return
        spot = cv2.resize(_blob(), (2 * reach, 2 * reach))
        x0, y0 = round(foot[0]) - reach, round(foot[1]) - reach
        cut = spot[top - y0 : low - y0, left - x0 : right - x0].astype(np.float32) ** 2 / 255**2
        roi = frame[top:low, left:right]
        lit = roi * (1 + cut[..., None] * (1.3, 0.7, 0.2)) + cut[..., None] * (26, 12, 2)
        roi[:] = np.minimum(lit, 255).astype(np.uint8)

    def _shade(
        self,
        frame: np.ndarray,
        life: Life,
        state: State,
        sprite: Sprite,
        foot: tuple[float, float],
        scale: float,
    ) -> None:
        """The dark spot below, the shadow in the sun, the reflection on a polished or wet floor."""
        length, wide, _ = life.actor.size_m
        lifted = 1 / (1 + 2 * max(state.z, 0))
        turned = abs(math.cos(self.camera.seen_heading(state.x, state.y, state.heading)))
        across = (turned * length + (1 - turned) * wide) * 0.62 * scale + 2
        flat = max(math.sin(self.camera.sight_tilt(state.x, state.y)) * across * 0.7, 1.5)
        ground = self.camera.pixel(state.x, state.y, self.place.height(state.x, state.y))
        size = (max(2, round(2 * across)), max(2, round(2 * flat)))
        if size[0] < 900 and size[1] < 900:
            blob = cv2.resize(_blob(), size)
            self._darken(frame, blob, (round(ground[0] - across), round(ground[1] - flat)), 0.5 * lifted)
        if self.shadow:
            self._sun(frame, state, sprite, foot, scale)
        gloss = self.wet or self._gloss(ground)
        if gloss > 0.1 and state.z < 0.2:
            self._reflect(frame, sprite, foot, 0.3 * gloss)

    def _gloss(self, at: tuple[float, float]) -> float:
        height, width = self.backdrop.gloss.shape
        x, y = min(max(int(at[0]), 0), width - 1), min(max(int(at[1]), 0), height - 1)
        return float(self.backdrop.gloss[y, x]) if self.backdrop.is_ground[y, x] else 0.0

    def _sun(self, frame: np.ndarray, state: State, sprite: Sprite, foot: tuple[float, float], scale: float) -> None:
        """The sprite's outline, sheared onto the ground away from the sun."""
        reach = self.light.conditions.sun.cast
        base = np.array(self.camera.pixel(state.x, state.y, 0.0))
        tip_at = (state.x + reach[0], state.y + reach[1])
        if self.camera.distance(*tip_at) < MIN_DISTANCE_M:
            return
        per_m = np.array(self.camera.pixel(*tip_at, 0.0)) - base
        up_px = scale * math.cos(self.camera.sight_tilt(state.x, state.y))
        lean = per_m / max(up_px, 1e-3)
        matrix = np.array([[1.0, -lean[0], 0], [0.0, -lean[1], 0]])
        h, w = sprite.rgba.shape[:2]
        fx, fy = sprite.foot
        raised = state.z * per_m
        corners = np.array([[0 - fx, 0 - fy], [w - fx, 0 - fy], [0 - fx, h - fy], [w - fx, h - fy]]) @ matrix[:, :2].T
        low = np.floor(corners.min(0)).astype(int) - 1
        size = np.ceil(corners.max(0)).astype(int) + 1 - low
        if size.max() > 1500 or size.min() < 2:
            return
        matrix[:, 2] = -matrix[:, :2] @ (fx, fy) - low
        fallen = cv2.warpAffine(sprite.rgba[..., 3], matrix, (int(size[0]), int(size[1])), flags=cv2.INTER_LINEAR)
        blur = self.light.conditions.sun.blur
        if blur > 1.5:
            fallen = cv2.blur(fallen, (int(2 * blur), int(2 * blur)))
        corner = np.round(base + raised + low).astype(int)
        self._darken(frame, fallen, (int(corner[0]), int(corner[1])), self.shadow)

    def _darken(self, frame: np.ndarray, cover: np.ndarray, corner: tuple[int, int], share: float) -> None:
        """Less light on the ground below `cover` (h, w) uint8 that begins at a pixel."""
        height, width = frame.shape[:2]
        h, w = cover.shape
        left, top = max(corner[0], 0), max(corner[1], 0)
        right, low = min(corner[0] + w, width), min(corner[1] + h, height)
        if right <= left or low <= top:
            return
        cut = cover[top - corner[1] : low - corner[1], left - corner[0] : right - corner[0]]
        dark = cut * (self.backdrop.is_ground[top:low, left:right] * np.float32(share / 255))
        roi = frame[top:low, left:right]
        roi[:] = cv2.blendLinear(np.ascontiguousarray(roi), np.zeros_like(roi), 1 - dark, dark)

    def _reflect(self, frame: np.ndarray, sprite: Sprite, foot: tuple[float, float], share: float) -> None:
        """The sprite upside down below its foot, faint."""
        height, width = frame.shape[:2]
        flipped = sprite.rgba[::-1]
        h, w = flipped.shape[:2]
        x0, y0 = round(foot[0] - sprite.foot[0]), round(foot[1] - (h - sprite.foot[1]))
        left, top, right, low = max(x0, 0), max(y0, 0), min(x0 + w, width), min(y0 + h, height)
        if right <= left or low <= top:
            return
        cut = flipped[top - y0 : low - y0, left - x0 : right - x0]
        weight = cut[..., 3] * (self.backdrop.is_ground[top:low, left:right] * np.float32(share / 255))
        roi = frame[top:low, left:right]
        roi[:] = cv2.blendLinear(np.ascontiguousarray(cut[..., :3]), np.ascontiguousarray(roi), weight, 1 - weight)
