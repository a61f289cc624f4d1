"""Small places, an undrawn cast, and plays in them, for tests of the scripts."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np

from training.datasets.synthetic.paths import STEP_S, Track
from training.datasets.synthetic.scripts import can_happen, plan
from training.datasets.synthetic.stage import Lane, Layout, Life, Play, Pose, Sprite
from training.datasets.truth import ANOMALIES

SECONDS = 12.0
# noun: (length, width, height) m, pace m/s. All are nouns that the drawn cast knows, see `test_the_drawn_cast`.
NOUNS = {
    "person": (0.4, 0.5, 1.75, 1.3), "child": (0.3, 0.4, 1.2, 1.1), "cyclist": (1.7, 0.6, 1.8, 4.5),
    "skater": (0.8, 0.5, 1.8, 3.5), "scooter rider": (1.1, 0.5, 1.8, 4.0), "wheelchair user": (1.1, 0.7, 1.3, 1.1),
    "person with a pram": (1.4, 0.6, 1.7, 1.2), "person with a trolley": (1.5, 0.6, 1.7, 1.1),
    "car": (4.3, 1.8, 1.5, 9.0), "van": (5.0, 2.0, 2.2, 8.0), "bus": (11.0, 2.5, 3.0, 8.0),
    "truck": (7.5, 2.4, 3.0, 8.0), "motorcycle": (2.1, 0.7, 1.7, 9.0), "golf cart": (2.4, 1.2, 1.8, 4.0),
    "train": (18.0, 2.8, 3.6, 12.0), "dog": (0.8, 0.3, 0.6, 1.5), "bird": (0.3, 0.5, 0.2, 7.0),
    "bicycle": (1.7, 0.5, 1.1, 0.0), "bag": (0.5, 0.3, 0.4, 0.0), "backpack": (0.3, 0.3, 0.5, 0.0),
    "suitcase": (0.4, 0.3, 0.8, 0.0), "box": (0.5, 0.4, 0.4, 0.0), "bottle": (0.1, 0.1, 0.3, 0.0),
    "stone": (0.1, 0.1, 0.1, 0.0), "fire": (1.3, 1.3, 1.9, 0.0), "smoke": (2.2, 2.2, 3.6, 0.0),
    "explosion": (4.5, 4.5, 5.0, 0.0),
}  # fmt: skip
PEOPLE = ("person", "child")
DRIVEN = ("car", "van", "bus", "truck", "motorcycle")


@dataclass
class Dummy:
    noun: str
    size_m: tuple[float, float, float]
    pace: float
    stride: float = 1.4
    colours: dict[str, str] = field(default_factory=dict)
    carried: str = ""

    def draw(self, px_per_m: float, pose: Pose) -> Sprite:
        raise AssertionError("planning draws nothing")


class DummyCast:
    def make(self, noun: str, rng: np.random.Generator) -> Dummy:
        *size, pace = NOUNS[noun]
        return Dummy(noun, (size[0], size[1], size[2]), pace * float(rng.uniform(0.9, 1.1)))


def box(x0: float, y0: float, x1: float, y1: float) -> tuple[tuple[float, float], ...]:
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


PLAZA = Layout(
    "plaza", False, (box(-12, 4, 12, 34),), (), ((-12, 10), (12, 12), (-12, 28), (12, 30), (0, 34), (0, 4)),
    ((0, 18, 1.2, 1), (-6, 14, 0.3, 4), (6, 25, 0.3, 4), (9, 20, 0.35, 0.9)),
    {"bench": ((-8, 20),), "bin": ((9, 20),), "fence": ((-4, 34.5), (6, 34.5)), "door": ((5, 33.3),)},
    frozenset(), (-12, 4, 12, 36),
)  # fmt: skip
STREET = Layout(
    "road", False, (box(-20, 4, 20, 8), box(-20, 15.8, 20, 20), box(-2, 7.5, 2, 16)),
    (Lane(((-20, 10), (20, 10)), 3.5, "cars"), Lane(((20, 13.6), (-20, 13.6)), 3.5, "cars")),
    ((-20, 6), (20, 6), (-20, 18), (20, 18)), ((8, 18, 0.3, 5),),
    {"crossing": ((0, 11.8),), "parked car": ((-12, 16.5),)}, frozenset({"driving", "cycling"}), (-20, 4, 20, 20),
)  # fmt: skip
STATION = Layout(
    "stairs", True, (box(-10, 4, 10, 16),), (Lane(((0, 16), (0, 26)), 1.5, "people"),),
    ((-10, 6), (10, 6), (0, 15.5)), ((-4, 10, 0.4, 3), (4, 10, 0.4, 3)), {"shelf": ((-4, 9),)},
    frozenset({"loitering"}), (-10, 2, 10, 26),
)  # fmt: skip
LAYOUTS = {"plaza": PLAZA, "street": STREET, "station": STATION}
CASES = [(name, kind) for name, layout in LAYOUTS.items() for kind in (None, *ANOMALIES)
         if kind is None or can_happen(kind, layout)]  # fmt: skip


@cache
def play_of(name: str, kind: str | None, seed: int = 1) -> Play:
    return plan(LAYOUTS[name], np.random.default_rng(seed), SECONDS, kind, DummyCast())


def odd(play: Play) -> list[Life]:
    return [life for life in play.lives if life.anomaly is not None]


def track(life: Life) -> Track:
    assert isinstance(life.path, Track)
    return life.path


def points(life: Life) -> np.ndarray:
    """(n,) complex."""
    rows = track(life).rows
    return rows[:, 0] + 1j * rows[:, 1]


def times(life: Life) -> np.ndarray:
    return track(life).start_s + STEP_S * np.arange(len(track(life).actions))


def in_spans(life: Life) -> np.ndarray:
    """(n,) bool of the rows inside its anomalous stretches."""
    t = times(life)
    return np.any([(t >= a - 1e-6) & (t <= b + 1e-6) for a, b in life.anomalous_s], axis=0)


def speeds(life: Life) -> np.ndarray:
    """(n,) m/s, of the step that leads to each row."""
    p = points(life)
    return np.abs(np.diff(p, prepend=p[:1])) / STEP_S


def told(life: Life) -> list[str]:
    return [a for a, on in zip(track(life).actions, in_spans(life), strict=True) if on]


def by_kind(kind: str) -> list[tuple[Layout, Play]]:
    return [(LAYOUTS[name], play_of(name, kind)) for name, k in CASES if k == kind]
