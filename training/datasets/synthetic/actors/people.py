"""People on foot.

Next: training/datasets/synthetic/actors/riders.py
"""

import numpy as np

from training.datasets.synthetic.actors.drawn import Drawn
from training.datasets.synthetic.actors.looks import Look, dress, random_look
from training.datasets.synthetic.actors.paint import Model
from training.datasets.synthetic.actors.poses import Manner, angles_of
from training.datasets.synthetic.actors.skeleton import pose_body
from training.datasets.synthetic.stage import Pose

STRIDE = 0.83  # of standing height, for a cycle of two steps at usual pace


class Person(Drawn):
    """Someone on foot, in all actions of poses.py."""

    def __init__(self, rng: np.random.Generator, noun: str = "person", look: Look | None = None) -> None:
        super().__init__(rng)
        self.look = look or random_look(rng, child=noun == "child")
        height = self.look.build.height
        self.noun = noun
        self.colours = {"upper": self.look.upper, "lower": self.look.lower}
        self.carried = self.look.carried
        self.size_m = (0.35 * height / 1.7, 0.5 * self.look.build.wide * height / 1.7, height)
        self.pace = float(np.clip(rng.normal(1.35, 0.18), 0.9, 1.9)) * (height / 1.7) ** 0.5
        self.stride = STRIDE * height
        self.manner = random_manner(rng)

    def model(self, pose: Pose) -> Model:
        m = Model()
        angles = angles_of(pose.action, pose.phase, pose.progress, self.manner)
        dress(m, pose_body(self.look.build, angles), self.look)
        return m


def random_manner(rng: np.random.Generator) -> Manner:
    """How one moves. Falls go ahead or backwards, a little to a side."""
    falls = float(rng.normal(0.0, 0.25)) + (np.pi if rng.random() < 0.4 else 0.0)
    return Manner(float(np.clip(rng.normal(1.0, 0.13), 0.7, 1.3)), 1 if rng.random() < 0.25 else -1, falls,
                  int(rng.integers(0, 30)))  # fmt: skip
