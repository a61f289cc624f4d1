"""Real backdrops: an empty picture of a real place, with a camera over its ground such as could have taken it.

Nothing in it hides actors, since nothing is known of its depth. Only clips for training use them.

Next: training/datasets/synthetic/conditions.py
"""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.datasets.synthetic.backdrop import SKY_M, Backdrop, Sun
from training.datasets.synthetic.backdrop_materials import MATERIALS
from training.datasets.synthetic.camera import Camera, View
from training.datasets.synthetic.conditions import Conditions
from training.datasets.synthetic.layouts_place import Place

if TYPE_CHECKING:
    from training.datasets.synthetic.assets import Background

NAME = "other"  # kind of place of a picture that nobody has named
TALL_M = 1.72
LEAST_PX = 18  # people are not put where they would be smaller
OUTDOOR = ("street/vtest", "street/road")


def is_known(background: "Background") -> bool:
    """Whether people were seen there, so that scale and horizon need no guess."""
    return background.horizon_px is not None and background.gain is not None


def real_place(
    background: "Background", size_wh: tuple[int, int], rng: np.random.Generator
) -> tuple[Place, Camera, np.ndarray]:
    """Place, camera and picture (H, W, 3) uint8, for a background whose ground `is_known`: horizon and scale are those
    of the people seen there. Walkable is the lower part of the picture."""
    assert background.horizon_px is not None and background.gain is not None
    width, height = size_wh
    photo = np.asarray(cv2.resize(background.rgb, size_wh, interpolation=cv2.INTER_AREA))
    stretch = height / background.rgb.shape[0]
    horizon, gain = background.horizon_px * stretch, background.gain
    focal = width / 2 / math.tan(math.radians(float(rng.uniform(48, 62))) / 2)
    tilt = math.atan2(height / 2 - horizon, focal)
    camera = Camera(size_wh, focal, 0.0, 0.0, float(np.clip(TALL_M / gain, 2.2, 9.0)), 0.0, tilt)
    top = max(horizon + LEAST_PX / gain, 0.5 * height)
    across = np.linspace(-0.1, 1.1, 7) * width
    outline = [(x, top) for x in across] + [(x, 1.3 * height) for x in across[::-1]]
    walkable = tuple((float(x), float(y)) for x, y in camera.ground(np.array(outline)))
    if rng.random() < 0.5:
        photo = np.ascontiguousarray(photo[:, ::-1])
    nothing = (0.0, 0.0)
    place = Place(
        name=NAME,
        indoor=not background.source.startswith(OUTDOOR),
        walkable=(walkable,),
        lanes=(),
        doors=(),
        obstacles=(),
        spots={},
        normal=frozenset({"loitering"}),
        view=View(nothing, nothing, nothing, nothing, nothing, nothing),
        base=MATERIALS["concrete"],
        grounds=(),
        faces=(),
        things=(),
        slopes=(),
        lamps=(),
        far_m=float(max(np.hypot(x, y) for x, y in walkable)) + 0.5,
    )
    return place, camera, photo


def real_backdrop(photo: np.ndarray, camera: Camera) -> Backdrop:
    """A picture as a Backdrop: bare ground below the horizon, sky above."""
    height, width = photo.shape[:2]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    points = camera.ground(np.column_stack([x.ravel(), y.ravel()])).reshape(height, width, 2)
    near = np.isfinite(points).all(2) & (np.hypot(points[..., 0], points[..., 1]) < SKY_M / 4)
    place = np.zeros((height, width, 3), np.float32)
    place[..., :2] = np.where(near[..., None], points, SKY_M / 4)
    return Backdrop(
        rgb=photo,
        glow=np.zeros((height, width), np.uint8),
        gloss=np.zeros((height, width), np.float32),
        depth=np.full((height, width), np.inf, np.float32),
        place=place,
        is_ground=near,
        is_sky=np.zeros((height, width), bool),
    )


def as_it_was(conditions: Conditions, indoor: bool, rng: np.random.Generator) -> Conditions:
    """Conditions without weather and light of their own: the picture has some already."""
    sun = Sun(float(rng.uniform(0, 6.28)), 1.0, float(rng.uniform(0.0, 0.4)), 2.0)
    time = "lamps" if indoor else "day"
    return replace(conditions, time=time, infrared=False, rain=False, haze_m=math.inf, sun=sun, vignette=0.0)
