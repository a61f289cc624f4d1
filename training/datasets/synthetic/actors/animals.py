"""Animals: dogs that trot, birds that fly or hop.

Next: training/datasets/synthetic/actors/things.py
"""

import math

import numpy as np

from training.datasets.synthetic.actors.drawn import Drawn
from training.datasets.synthetic.actors.paint import Model, Vec
from training.datasets.synthetic.actors.palette import choose_colour, shade
from training.datasets.synthetic.stage import Pose

FUR = (0.3, 0.12, 0.18, 0.0, 0.0, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0)


class Dog(Drawn):
    """A dog on four legs; sits, lies, or moves them in diagonal pairs."""

    def __init__(self, rng: np.random.Generator, noun: str = "dog") -> None:
        super().__init__(rng)
        colour = choose_colour(rng, FUR)
        self.fur = shade(colour, rng)
        self.tall = float(rng.uniform(0.32, 0.68))  # at the shoulders
        self.noun, self.colours, self.carried = noun, {"whole": colour}, ""
        self.size_m = (self.tall * 1.7, self.tall * 0.45, self.tall * 1.3)
        self.pace, self.stride = float(rng.uniform(1.3, 2.4)), self.tall * 1.5
        self.tail = float(rng.uniform(-0.2, 0.9))

    def model(self, pose: Pose) -> Model:
        m, t = Model(), self.tall
        still = pose.action in ("stand", "sit", "lie", "crouch")
        low = {"lie": 0.62, "fall": 0.6 * pose.progress}.get(pose.action, 0.0) * t
        drop = 0.38 * t if pose.action == "sit" else 0.0
        front, rear = (0.42 * t, 0.0, 0.8 * t - low), (-0.42 * t, 0.0, 0.78 * t - low - drop)
        size = 0.9 if pose.action != "run" else 1.5
        for i, (x, y) in enumerate(((0.4, 0.12), (0.4, -0.12), (-0.42, 0.12), (-0.42, -0.12))):
            top: Vec = (x * t, y * t, (front if i < 2 else rear)[2] - 0.08 * t)
            step = 2 * math.pi * (pose.phase + (0.5 if i in (1, 2) else 0.0))
            swing = 0.0 if still else size * 0.45 * math.sin(step)
            lift = 0.0 if still else 0.12 * max(0.0, math.cos(step))
            paw: Vec = (x * t + math.sin(swing) * 0.6 * t, y * t, 0.04 * t + lift * t)
            knee: Vec = ((top[0] + paw[0]) / 2 + (0.05 if i < 2 else -0.1) * t, y * t, (top[2] + paw[2]) / 2)
            m.chain([(top, 0.1 * t), (knee, 0.06 * t), (paw, 0.045 * t)], self.fur)
        m.chain([(rear, 0.17 * t), ((0.0, 0.0, (front[2] + rear[2]) / 2), 0.17 * t), (front, 0.2 * t)], self.fur)
        nod = 0.04 * t * math.sin(4 * math.pi * pose.phase)
        head: Vec = (0.72 * t, 0.0, 1.08 * t - low * 0.8 + nod)
        m.chain([(front, 0.15 * t), (head, 0.12 * t)], self.fur)
        m.chain([(head, 0.13 * t), ((0.95 * t, 0.0, 1.0 * t - low * 0.8 + nod), 0.07 * t)], self.fur, -0.01)
        for y in (0.1, -0.1):
            ear: Vec = (0.66 * t, y * t, 1.16 * t - low * 0.8)
            tip = (0.6 * t, y * 1.3 * t, 1.02 * t - low * 0.8)
            m.chain([(ear, 0.05 * t), (tip, 0.04 * t)], _darker(self.fur), -0.02)
        wag = 0.2 * math.sin(6 * math.pi * pose.phase)
        tip = (rear[0] - 0.4 * t, wag * t, rear[2] + 0.4 * t * self.tail)
        m.chain([((rear[0] - 0.12 * t, 0.0, rear[2] + 0.08 * t), 0.06 * t), (tip, 0.03 * t)], self.fur)
        return m


class Bird(Drawn):
    """A bird: it beats its wings unless it stands."""

    def __init__(self, rng: np.random.Generator, noun: str = "bird") -> None:
        super().__init__(rng)
        colour = choose_colour(rng, (0.35, 0.4, 0.2, 0.0, 0.0, 0.0, 0.05, 0.0, 0.0, 0.0, 0.0))
        self.plumage = shade(colour, rng)
        self.long = float(rng.uniform(0.25, 0.5))
        self.noun, self.colours, self.carried = noun, {"whole": colour}, ""
        self.size_m = (self.long, self.long * 1.9, self.long * 0.6)
        self.pace, self.stride = float(rng.uniform(5.0, 9.0)), 1.6

    def model(self, pose: Pose) -> Model:
        m, s = Model(), self.long
        z = 0.35 * s
        m.chain([((-0.25 * s, 0.0, z), 0.09 * s), ((0.1 * s, 0.0, z), 0.16 * s)], self.plumage)
        m.chain([((0.3 * s, 0.0, z + 0.14 * s), 0.1 * s), ((0.45 * s, 0.0, z + 0.12 * s), 0.03 * s)], self.plumage)
        m.chain([((-0.3 * s, 0.0, z), 0.06 * s), ((-0.5 * s, 0.0, z - 0.02 * s), 0.07 * s)], _darker(self.plumage))
        flies = pose.action not in ("stand", "sit", "lie")
        beat = math.sin(2 * math.pi * pose.phase)
        for y in (1.0, -1.0):
            if flies:
                up, reach = 0.75 * beat, 0.5 * s
                bend: Vec = (0.08 * s, y * reach * math.cos(up), z + reach * math.sin(up))
                fold = 1.1 * math.sin(2 * math.pi * (pose.phase - 0.12)) - 0.25
                tip: Vec = (-0.1 * s, bend[1] + y * reach * math.cos(fold), bend[2] + reach * math.sin(fold))
                m.chain([((0.0, y * 0.08 * s, z), 0.11 * s), (bend, 0.09 * s), (tip, 0.03 * s)], self.plumage)
            else:
                m.chain([((0.05 * s, y * 0.12 * s, z + 0.02 * s), 0.1 * s), ((-0.4 * s, y * 0.06 * s, z), 0.04 * s)],
                        _darker(self.plumage))  # fmt: skip
                m.line([(0.0, y * 0.06 * s, 0.22 * s), (0.02, y * 0.06 * s, 0.0)], 0.04 * s, (150, 90, 60))
        return m


def _darker(colour: tuple[int, int, int]) -> tuple[int, int, int]:
    return int(colour[0] * 0.85), int(colour[1] * 0.85), int(colour[2] * 0.85)
