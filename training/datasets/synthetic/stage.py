"""Stage: the values that the parts of the generator exchange.

    layouts.py -> Layout     where one can walk, drive, enter; how high the camera hangs
    scripts*.py -> Life      who does what, where on the ground, when, and since when it is anomalous
    actors/*.py -> Actor     how someone looks in a pose
    clip.py                  draws the lives of a layout through its camera, and keeps the truth

The ground is a plane in metres: x to the right, y away from the camera, z up. Angles are radians, headings on the
ground counter-clockwise from x (0 moves right, pi/2 moves away from the camera).
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

Point = tuple[float, float]


@dataclass(frozen=True)
class Lane:
    """A strip of road, track or path along a line, driven from the first point to the last; width in metres."""

    points: tuple[Point, ...]
    width: float
    use: str  # "cars", "bicycles", "people" (one-way passages and escalators), "trains"


@dataclass(frozen=True)
class Layout:
    """A place. walkable: polygons on the ground where people may be. lanes: where things move one way.
    entrances: points where people come and go (edges of the picture, doors). obstacles: (x, y, radius, height) of what
    stands there (pillars, trees, shelves, benches) and is drawn over what is behind it. spots: named places: "bench",
    "counter", "shelf", "door", "fence", "wall", "crossing", "bin", "parked car".
    normal: what is ordinary here besides walking: "cycling", "driving", "running", "skating", "loitering" ...
    sizes in metres; extent: (x0, y0, x1, y1) of the ground that the camera sees.
    """

    name: str
    indoor: bool
    walkable: tuple[tuple[Point, ...], ...]
    lanes: tuple[Lane, ...]
    entrances: tuple[Point, ...]
    obstacles: tuple[tuple[float, float, float, float], ...]
    spots: dict[str, tuple[Point, ...]]
    normal: frozenset[str]
    extent: tuple[float, float, float, float]


@dataclass(frozen=True)
class Pose:
    """How an actor is to be drawn. action: "stand", "walk", "run", "sit", "lie", "fall", "fight", "crouch", "climb",
    "throw", "kick", "reach", "wave", "ride", "skate", "push", "drive", "burn". phase: of the gait, in cycles, any
    real number. progress: of an action that happens once, in [0, 1]. heading: as seen by the camera (0 right, pi/2
    away, pi left, -pi/2 towards). tilt: the camera looks down by this many radians (0 is level)."""

    action: str
    phase: float
    progress: float
    heading: float
    tilt: float


@dataclass(frozen=True)
class Sprite:
    """A picture to put on the frame: rgba (h, w, 4) uint8, not premultiplied; foot (x, y) px is where it touches the
    ground."""

    rgba: np.ndarray
    foot: Point


class Actor(Protocol):
    """Someone or something that can be drawn. noun, colours, carried: as in truth.Target."""

    noun: str
    colours: dict[str, str]
    carried: str
    size_m: tuple[float, float, float]  # length (along heading), width, height
    pace: float  # usual speed in metres per second
    stride: float  # metres per gait cycle

    def draw(self, px_per_m: float, pose: Pose) -> Sprite:
        """Picture at a scale of px_per_m pixels a metre, 1 to 300."""
        ...


@dataclass(frozen=True)
class State:
    """Where an actor is and what it does at a moment; see Pose for action and progress. z: height of its foot."""

    x: float
    y: float
    z: float
    heading: float
    action: str
    progress: float
    travelled: float  # metres since the beginning, for the gait


class Path(Protocol):
    """State at a time, None while the actor is not there."""

    def __call__(self, t_s: float) -> State | None: ...


@dataclass(frozen=True)
class Life:
    """One actor's part. anomaly, anomalous_s, action: as in truth.Target."""

    actor: Actor
    path: Path
    anomaly: str | None = None
    anomalous_s: tuple[tuple[float, float], ...] = ()
    action: str = "walks"


@dataclass(frozen=True)
class Play:
    """All lives of a clip. flash_s: moments at which the light flares up (explosions)."""

    lives: tuple[Life, ...]
    flash_s: tuple[float, ...] = ()
    about: dict[str, str] = field(default_factory=dict)


class Cast(Protocol):
    """Makes actors: `scripts` ask for nouns, `actors` decide how they look. KeyError lists the known nouns."""

    def make(self, noun: str, rng: np.random.Generator) -> Actor: ...
