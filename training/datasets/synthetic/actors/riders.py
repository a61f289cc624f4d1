"""Riders: people on bicycles, boards, scooters, motorcycles and in wheelchairs, and people who push something.

Next: training/datasets/synthetic/actors/vehicles.py
"""

import math
from dataclasses import replace

import numpy as np

from training.datasets.synthetic.actors.drawn import Drawn
from training.datasets.synthetic.actors.looks import dress, random_look
from training.datasets.synthetic.actors.paint import Model, Rgb, Vec
from training.datasets.synthetic.actors.palette import BAGS, PAINTED, choose_colour, shade
from training.datasets.synthetic.actors.people import STRIDE, random_manner
from training.datasets.synthetic.actors.poses import Manner, angles_of
from training.datasets.synthetic.actors.skeleton import Angles, Body, pose_body
from training.datasets.synthetic.stage import Pose

TYRE: Rgb = (30, 30, 32)
STEEL: Rgb = (120, 122, 126)
WHEEL = 0.34  # metres, radius of a bicycle's wheel


class Rider(Drawn):
    """Someone on wheels; `mount` is what one rides, as a name of MOUNTS."""

    def __init__(self, rng: np.random.Generator, noun: str, mount: str) -> None:
        super().__init__(rng)
        look = random_look(rng, carries=mount in ("bicycle", "skateboard", "scooter"))
        if look.carried in ("handbag", "shoulder bag"):
            look = replace(look, carried="")
        if mount in ("motorcycle",) or (mount in ("bicycle", "scooter") and rng.random() < 0.35):
            look = replace(look, hat="helmet")
        self.look = replace(look, bottom="trousers" if look.bottom == "skirt" else look.bottom)
        if self.look.top == "coat":
            self.look = replace(self.look, top="jacket")
        self.mount = mount
        self.frame = shade(choose_colour(rng, PAINTED if mount != "pram" else BAGS), rng)
        self.noun = noun
        self.colours = {"upper": look.upper, "lower": look.lower}
        self.carried = look.carried
        self.manner = random_manner(rng)
        self.rests = mount == "skateboard" and bool(rng.random() < 0.5)
        length, tall, pace, self.stride = MOUNTS[mount]
        self.size_m = (length, 0.6, tall if mount == "wheelchair" else look.build.height + tall)
        self.pace = pace * float(rng.uniform(0.85, 1.15))
        if mount in PUSHED:
            self.pace, self.stride = float(rng.uniform(0.9, 1.3)), STRIDE * look.build.height

    def model(self, pose: Pose) -> Model:
        m = Model()
        draw = {
            "bicycle": self._bicycle, "motorcycle": self._motorcycle, "skateboard": self._board,
            "scooter": self._scooter, "wheelchair": self._chair,
        }.get(self.mount, self._pushed)  # fmt: skip
        draw(m, pose)
        if pose.action == "fall":
            u = min(1.0, pose.progress / 0.8)
            m.roll(self.manner.side * 1.35 * u * u)
        return m

    def _bicycle(self, m: Model, pose: Pose) -> None:
        k = self.look.build.height / 1.75
        standing = pose.action == "stand"
        turn = 2 * math.pi * (0.1 if standing else pose.phase)
        crank = (0.0, 0.0, 0.28)
        pedals = [_pedal(crank, turn + s, 0.165, y) for s, y in ((0.0, 0.1), (math.pi, -0.1))]
        feet: list[Vec] = [(x - 0.07, y, z + 0.09 * k) for x, y, z in pedals]
        if standing:
            feet[0] = (0.12, 0.22, 0.08)
        seat = (-0.22, 0.02 * math.sin(turn), 0.86 * k + 0.09)
        bicycle(m, self.frame, turn)
        body = pose_body(
            self.look.build,
            Angles(
                trunk=0.55, seat=seat, hands=((0.4, 0.22, 1.0), (0.4, -0.22, 1.0)), feet=(feet[0], feet[1]), nod=-0.1
            ),
        )
        for pedal, y in zip(pedals, (0.06, -0.06), strict=True):
            m.line([(crank[0], y, crank[2]), pedal], 0.03, STEEL)
        dress(m, body, self.look)

    def _motorcycle(self, m: Model, pose: Pose) -> None:
        motorcycle(m, self.frame)
        feet = ((0.05, 0.2, 0.32), (0.05, -0.2, 0.32))
        hands = ((0.42, 0.3, 1.02), (0.42, -0.3, 1.02))
        angles = Angles(trunk=0.35, seat=(-0.25, 0.0, 0.92), hands=hands, feet=feet, spread=(0.3, 0.3), nod=0.0)
        dress(m, pose_body(self.look.build, angles), self.look)

    def _board(self, m: Model, pose: Pose) -> None:
        phase = 0.6 if self.rests else pose.phase
        a = angles_of("skate", phase, 0.0, self.manner)
        body = pose_body(self.look.build, replace(a, yaw=0.7 * self.manner.side))
        dress(m, body, self.look)
        standing = body.ankles[0 if self.manner.side > 0 else 1]
        m.move((-standing[0] + 0.12, -standing[1], 0.1 + 0.055 * self.look.build.height - standing[2]))
        m.loft([((x, 0.0, 0.09), (0.03, 0.0, 0.0), (0.0, 0.1, 0.0), 0.012) for x in (-0.38, 0.38)], self.frame, 0.05)
        for x in (-0.26, 0.26):
            m.loft([((x, y, 0.035), (0.035, 0.0, 0.0), (0.0, 0.0, 0.035), 0.0) for y in (-0.09, 0.09)], TYRE, 0.08)

    def _scooter(self, m: Model, pose: Pose) -> None:
        h = self.look.build.height
        sway = 0.02 * math.sin(2 * math.pi * pose.phase)
        feet = ((0.12, 0.05, 0.2), (-0.18, -0.05, 0.2))
        hands = ((0.4, 0.2, 1.08), (0.4, -0.2, 1.08))
        a = Angles(trunk=0.08, seat=(-0.03, sway, 0.52 * h + 0.13), hands=hands, feet=feet, nod=0.0)
        dress(m, pose_body(self.look.build, a), self.look)
        m.loft([((x, 0.0, 0.12), (0.03, 0.0, 0.0), (0.0, 0.09, 0.0), 0.02) for x in (-0.45, 0.4)], self.frame, 0.05)
        m.chain([((0.52, 0.0, 0.12), 0.03), ((0.42, 0.0, 1.08), 0.025)], self.frame)
        m.line([(0.42, 0.23, 1.08), (0.42, -0.23, 1.08)], 0.04, TYRE)
        for x in (-0.5, 0.54):
            m.loft([((x, y, 0.11), (0.11, 0.0, 0.0), (0.0, 0.0, 0.11), 0.0) for y in (-0.025, 0.025)], TYRE)

    def _chair(self, m: Model, pose: Pose) -> None:
        reach = 0.25 * math.sin(2 * math.pi * pose.phase)
        grip = 0.62 + 0.07 * math.cos(2 * math.pi * pose.phase)
        hands = ((0.05 + reach, 0.33, grip), (0.05 + reach, -0.33, grip))
        feet = ((0.52, 0.1, 0.16), (0.52, -0.1, 0.16))
        a = Angles(trunk=0.1 + 0.3 * max(0.0, reach), seat=(-0.08, 0.0, 0.56), hands=hands, feet=feet)
        dress(m, pose_body(self.look.build, a), self.look)
        for y in (0.3, -0.3):
            m.wheel((-0.1, y, 0.3), 0.3, 0.045, TYRE)
            m.line([(0.42, y * 0.8, 0.05), (0.42, y * 0.8, 0.14)], 0.07, TYRE)
            m.line([(-0.3, y * 0.85, 0.95), (-0.28, y * 0.85, 0.45), (0.32, y * 0.85, 0.45)], 0.035, STEEL)
        m.loft([((-0.26, 0.0, z), (0.0, 0.2, 0.0), (0.03, 0.0, 0.0), 0.01) for z in (0.5, 0.9)], (40, 40, 46), 0.1)
        m.loft([((x, 0.0, 0.45), (0.0, 0.2, 0.0), (0.0, 0.0, 0.03), 0.01) for x in (-0.26, 0.15)], (40, 40, 46), 0.1)

    def _pushed(self, m: Model, pose: Pose) -> None:
        on_foot = {"stand": "stand", "fall": "stand", "sit": "stand"}.get(pose.action, "push")
        body = self._pusher(on_foot, pose)
        dress(m, body, self.look)
        grip = body.hands[0]
        ahead: Vec = (grip[0] + 0.03, 0.0, 0.0)
        PUSHED[self.mount](m, ahead, grip[2], self.frame)

    def _pusher(self, action: str, pose: Pose) -> Body:
        a = angles_of(action, pose.phase, 0.0, self.manner)
        push = angles_of("push", 0.0, 0.0, Manner())
        return pose_body(
            self.look.build, replace(a, shoulder=push.shoulder, elbow=push.elbow, inward=push.inward, trunk=push.trunk)
        )


def _pedal(crank: Vec, angle: float, length: float, y: float) -> Vec:
    return crank[0] + length * math.sin(angle), y, crank[2] + length * math.cos(angle)


def bicycle(m: Model, frame: Rgb, turn: float = 0.0) -> None:
    """A bicycle over the origin, its pedals turned by an angle."""
    for x in (-0.52, 0.53):
        m.wheel((x, 0.0, WHEEL), WHEEL - 0.02, 0.045, TYRE)
        spin = turn * 2.2
        for i in range(3):
            a = spin + i * math.pi / 3
            dx, dz = 0.3 * math.cos(a), 0.3 * math.sin(a)
            m.line([(x - dx, 0.0, WHEEL + dz), (x + dx, 0.0, WHEEL - dz)], 0.006, STEEL, 0.01)
    crank, saddle, head = (0.0, 0.0, 0.28), (-0.2, 0.0, 0.86), (0.36, 0.0, 0.86)
    m.line([crank, saddle], 0.035, frame)
    m.line([crank, (0.39, 0.0, 0.74)], 0.04, frame)
    m.line([(-0.17, 0.0, 0.76), head], 0.035, frame)
    m.line([crank, (-0.52, 0.0, WHEEL), (-0.17, 0.0, 0.76)], 0.025, frame)
    m.line([(0.53, 0.0, WHEEL), (0.39, 0.0, 0.74), (0.36, 0.0, 1.0)], 0.03, frame)
    m.line([(0.4, 0.25, 1.0), (0.4, -0.25, 1.0)], 0.035, TYRE)
    m.chain([((-0.3, 0.0, 0.9), 0.05), ((-0.1, 0.0, 0.9), 0.025)], TYRE)


def motorcycle(m: Model, paint: Rgb) -> None:
    """A motorcycle over the origin."""
    for x in (-0.65, 0.7):
        m.loft([((x, y, 0.31), (0.31, 0.0, 0.0), (0.0, 0.0, 0.31), 0.0) for y in (-0.06, 0.06)], TYRE, 0.03)
        m.loft([((x, y, 0.31), (0.14, 0.0, 0.0), (0.0, 0.0, 0.14), 0.0) for y in (-0.07, 0.07)], STEEL, 0.02)
    m.loft(
        [((x, 0.0, z), (0.16, 0.0, 0.0), (0.0, 0.12, 0.0), 0.05) for x, z in ((0.0, 0.35), (0.0, 0.55))], (50, 50, 54)
    )
    m.chain([((-0.75, 0.0, 0.78), 0.09), ((-0.2, 0.0, 0.76), 0.12)], (28, 28, 30))
    m.chain([((-0.1, 0.0, 0.8), 0.13), ((0.3, 0.0, 0.86), 0.12)], paint, -0.02)
    m.chain([((0.7, 0.0, 0.31), 0.05), ((0.45, 0.0, 0.95), 0.06)], STEEL)
    m.chain([((0.55, 0.0, 0.85), 0.11), ((0.68, 0.0, 0.62), 0.08)], paint)
    m.line([(0.42, 0.34, 1.02), (0.42, -0.34, 1.02)], 0.05, TYRE)
    m.chain([((-0.6, -0.14, 0.35), 0.05), ((0.05, -0.14, 0.3), 0.04)], STEEL)


def pram(m: Model, at: Vec, grip: float, colour: Rgb) -> None:
    x = at[0]
    for wx in (0.25, 0.75):
        for y in (0.24, -0.24):
            m.wheel((x + wx, y, 0.12), 0.11, 0.04, TYRE)
    m.line([(x, 0.22, grip), (x + 0.72, 0.22, 0.15)], 0.03, STEEL)
    m.line([(x, -0.22, grip), (x + 0.72, -0.22, 0.15)], 0.03, STEEL)
    m.line([(x, 0.22, grip), (x, -0.22, grip)], 0.04, TYRE)
    m.loft([((x + a, 0.0, b), (0.05, 0.0, 0.08), (0.0, 0.22, 0.0), 0.06) for a, b in ((0.2, 0.6), (0.8, 0.52))], colour)
    hood = [((x + a, 0.0, b), (0.06, 0.0, 0.1), (0.0, 0.22, 0.0), 0.05) for a, b in ((0.22, 0.72), (0.4, 0.9))]
    m.loft(hood, colour, -0.01)


def trolley(m: Model, at: Vec, grip: float, colour: Rgb) -> None:
    """A shopping trolley: a grid of wires with goods in it."""
    x, top = at[0], grip - 0.05
    corners = [(x + 0.05, 0.26), (x + 0.9, 0.2)]
    for z in (0.45, 0.62, 0.78, top):
        (x0, w0), (x1, w1) = corners
        m.line([(x0, w0, z), (x1, w1, z), (x1, -w1, z), (x0, -w0, z), (x0, w0, z)], 0.018, STEEL)
    for i in range(6):
        s = i / 5
        px, w = x + 0.05 + 0.85 * s, 0.26 - 0.06 * s
        m.line([(px, w, top), (px, w, 0.45), (px, -w, 0.45), (px, -w, top)], 0.014, STEEL)
    m.loft([((x + 0.5, 0.0, z), (0.28, 0.0, 0.0), (0.0, 0.14, 0.0), 0.03) for z in (0.5, 0.72)], colour)
    m.line([(x, 0.28, grip), (x, -0.28, grip)], 0.04, colour)
    for wx, w in ((0.15, 0.25), (0.85, 0.2)):
        for y in (w, -w):
            m.wheel((x + wx, y, 0.06), 0.05, 0.03, TYRE)
            m.line([(x + wx, y, 0.1), (x + wx, y, 0.45)], 0.02, STEEL)


def cart(m: Model, at: Vec, grip: float, colour: Rgb) -> None:
    """A platform with boxes on it."""
    x = at[0]
    m.line([(x, 0.25, 0.2), (x, 0.25, grip), (x, -0.25, grip), (x, -0.25, 0.2)], 0.04, STEEL)
    block(m, (x + 0.5, 0.0, 0.2), (1.0, 0.6, 0.06), (90, 90, 92))
    block(m, (x + 0.45, 0.0, 0.27), (0.7, 0.5, 0.45), colour, -0.05)
    for wx in (0.1, 0.9):
        for y in (0.25, -0.25):
            m.wheel((x + wx, y, 0.09), 0.08, 0.04, TYRE)


def block(m: Model, at: Vec, size: Vec, colour: Rgb, bias: float = 0.0) -> None:
    """A box; at: middle of its bottom."""
    x, y, z = at
    a, b, c = size[0] / 2, size[1] / 2, size[2]
    low = [(x - a, y - b, z), (x + a, y - b, z), (x + a, y + b, z), (x - a, y + b, z)]
    high = [(px, py, z + c) for px, py, _ in low]
    m.face(high, colour, bias - 0.01)
    for i in range(4):
        j = (i + 1) % 4
        m.face([low[i], low[j], high[j], high[i]], colour, bias)


PUSHED = {"pram": pram, "trolley": trolley, "cart": cart}

# What one rides: length, how much taller the rider is on it, usual pace (m/s), metres per cycle of the legs.
MOUNTS = {
    "bicycle": (1.75, 0.06, 4.2, 4.5), "motorcycle": (2.1, 0.0, 9.0, 6.0), "skateboard": (0.85, 0.06, 3.6, 4.0),
    "scooter": (1.15, 0.12, 4.0, 6.0), "wheelchair": (1.1, 1.42, 1.1, 1.2), "pram": (1.4, 0.0, 1.2, 1.4),
    "trolley": (1.5, 0.0, 1.0, 1.4), "cart": (1.6, 0.0, 1.0, 1.4),
}  # fmt: skip
