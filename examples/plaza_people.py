"""Who crosses the plaza: walkers with a gait, and a cyclist. A figure is a list of round cones at a time.

The joint angles follow the usual curves of human walking (hip swing, knee flexion in stance and swing; Winter,
Biomechanics and Motor Control of Human Movement, 2009), as a few bumps each.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from plaza_render import Builder, Parts, linear

Vec = np.ndarray
SKIN = [linear(c) for c in ((226, 178, 150), (205, 150, 118), (160, 108, 78), (112, 74, 54), (235, 194, 170))]
HAIR = [linear(c) for c in ((36, 26, 20), (24, 22, 22), (84, 56, 34), (128, 94, 56), (120, 116, 112))]
TOPS = [
    linear(c)
    for c in (
        (38, 52, 92),
        (196, 190, 176),
        (62, 66, 70),
        (70, 104, 76),
        (150, 160, 172),
        (112, 84, 60),
        (92, 128, 164),
        (216, 212, 204),
        (104, 60, 92),
        (178, 152, 92),
        (40, 40, 44),
        (58, 112, 116),
    )
]
LEGS = [linear(c) for c in ((42, 52, 78), (38, 38, 42), (120, 104, 80), (84, 88, 94), (60, 76, 108), (70, 56, 46))]
SHOES = [linear(c) for c in ((30, 28, 28), (200, 198, 194), (82, 56, 40))]
BLACK, DARK, SILVER = linear((26, 26, 28)), linear((52, 50, 50)), linear((196, 198, 202))
RED = linear((222, 14, 20))


@dataclass(frozen=True)
class Look:
    """What a walker wears. bag: "none", "backpack" or "shoulder"; coat: a hem down to the thigh."""

    top: Vec
    legs: Vec
    skin: Vec
    hair: Vec
    shoes: Vec
    height_m: float
    bag: str
    coat: bool
    long_hair: bool


@dataclass(frozen=True)
class Walk:
    """A straight way across, swaying a little. start (2,) metres at start_s; heading radians; speed m/s, 0 stands."""

    look: Look
    start: tuple[float, float]
    heading: float
    speed: float
    start_s: float
    sway: float

    def at(self, t_s: float) -> tuple[float, float, float]:
        """x, y in metres and the heading at a time."""
        gone = self.speed * (t_s - self.start_s)
        aside = 0.22 * np.sin(gone * 0.45 + self.sway)
        turn = 0.22 * 0.45 * np.cos(gone * 0.45 + self.sway) if self.speed else 0.0
        c, s = np.cos(self.heading), np.sin(self.heading)
        return (
            self.start[0] + c * gone - s * aside,
            self.start[1] + s * gone + c * aside,
            self.heading + np.arctan(turn),
        )


def by(point: Vec, x: float, y: float, z: float) -> Vec:
    """The point moved by (x, y, z)."""
    return point + np.array((x, y, z))


def new_look(rng: np.random.Generator, top: int) -> Look:
    """Random clothes; `top` chooses the colour, so that walkers of one clip differ."""

    def one(choices: list[Vec]) -> Vec:
        return choices[int(rng.integers(len(choices)))]

    bag = ("none", "backpack", "shoulder")[int(rng.choice(3, p=[0.5, 0.25, 0.25]))]
    shade = float(rng.uniform(0.85, 1.15))
    return Look(
        TOPS[top % len(TOPS)] * shade,
        one(LEGS) * float(rng.uniform(0.85, 1.2)),
        one(SKIN),
        one(HAIR),
        one(SHOES),
        float(rng.uniform(1.6, 1.86)),
        bag,
        bool(rng.random() < 0.3),
        bool(rng.random() < 0.4),
    )


def _bump(p: float, at: float, width: float) -> float:
    """A bump on the cycle 0..1."""
    d = (p - at + 0.5) % 1.0 - 0.5
    return float(np.exp(-0.5 * (d / width) ** 2))


def _swing(angle: float, length: float) -> Vec:
    """A limb of `length` hanging from a joint, turned forwards by `angle` radians."""
    return np.array([np.sin(angle) * length, 0.0, -np.cos(angle) * length])


def _leg(p: float, side: float, amount: float) -> list[Vec]:
    """Hip, knee, ankle, toe at phase p (0 is heel strike), relative to the pelvis."""
    hip_angle = np.radians(4 + 24 * amount * np.cos(2 * np.pi * p))
    knee = np.radians(5 + amount * (13 * _bump(p, 0.14, 0.06) + 58 * _bump(p, 0.72, 0.10)))
    hip = np.array([0.0, 0.085 * side, -0.02])
    knee_at = hip + _swing(hip_angle, 0.43)
    ankle = knee_at + _swing(hip_angle - knee, 0.42)
    foot = hip_angle - knee + np.radians(90 + amount * (10 * _bump(p, 0.0, 0.06) - 22 * _bump(p, 0.60, 0.08)))
    return [hip, knee_at, ankle, by(ankle + _swing(foot, 0.16), 0, 0.02 * side, 0)]


def _arm(swing: float, side: float, shoulder: Vec, bend: float) -> list[Vec]:
    """Shoulder, elbow, wrist, finger tips."""
    out = np.array([0.0, 0.05 * side, 0.0])
    elbow = shoulder + _swing(swing, 0.28) + out
    wrist = elbow + _swing(swing + bend, 0.25) - 0.4 * out
    return [shoulder, elbow, wrist, wrist + _swing(swing + bend, 0.08)]


def walker(walk: Walk, t_s: float) -> Parts:
    """The walker's body at a time."""
    x, y, heading = walk.at(t_s)
    look = walk.look
    scale = look.height_m / 1.75
    amount = min(walk.speed / 1.3, 1.15)
    stride = 4 * 0.85 * scale * np.sin(np.radians(24 * max(amount, 0.1)))
    phase = walk.speed * (t_s - walk.start_s) / stride + walk.sway
    body = Builder()
    feet = []
    for side, p in ((1.0, phase % 1.0), (-1.0, (phase + 0.5) % 1.0)):
        feet.append(_draw_leg(body, look, p, side, amount))
    _draw_torso(body, look)
    sway = 0.0 if walk.speed else 0.06 * np.sin(0.9 * t_s + walk.sway)
    for side, p in ((1.0, phase), (-1.0, phase + 0.5)):
        swing = -np.radians(1 + 21 * amount * np.cos(2 * np.pi * p)) + sway
        bend = np.radians(16 + 8 * amount * (1 - np.cos(2 * np.pi * p))) if walk.speed else 0.35 + 0.5 * (side > 0)
        points = _arm(swing, side, np.array([0.0, 0.185 * side, 0.46]), bend)
        body.add(points[0], points[1], (0.058, 0.046), look.top)
        body.add(points[1], points[2], (0.046, 0.036), look.top)
        body.add(points[2], points[3], (0.034, 0.03), look.skin)
    _draw_head(body, look, np.array([0.02, 0.0, 0.68]))
    _draw_bag(body, look)
    return body.place(x, y, heading, scale, lift=-min(feet) * scale)


def _draw_leg(body: Builder, look: Look, p: float, side: float, amount: float) -> float:
    """Returns how low the sole reaches."""
    hip, knee, ankle, toe = _leg(p, side, amount)
    heel = by(ankle, -0.05, 0, -0.035)
    body.add(hip, knee, (0.092, 0.062), look.legs)
    body.add(knee, ankle, (0.06, 0.045), look.legs)
    body.add(heel, toe, (0.045, 0.036), look.shoes, 0.05)
    return float(min(heel[2] - 0.045, toe[2] - 0.036))


def _draw_torso(body: Builder, look: Look) -> None:
    for side in (1.0, -1.0):
        body.add((0.0, 0.075 * side, 0.02), (0.0, 0.10 * side, 0.40), (0.115, 0.105), look.top)
        body.add((0.01, 0.10 * side, 0.42), (0.0, 0.17 * side, 0.46), (0.085, 0.062), look.top)
        body.add((-0.01, 0.05 * side, -0.02), (0.0, 0.075 * side, 0.02), 0.11, look.top if look.coat else look.legs)
        if look.coat:
            body.add((0.0, 0.07 * side, 0.02), (0.0, 0.075 * side, -0.30), (0.12, 0.115), look.top * 0.94)
    body.add((0.02, 0.0, 0.08), (0.02, 0.0, 0.42), 0.12, look.top)


def _draw_head(body: Builder, look: Look, at: Vec) -> None:
    body.add(by(at, -0.02, 0, -0.16), by(at, 0, 0, -0.06), 0.055, look.skin)
    body.add(by(at, 0.015, 0, -0.035), by(at, 0.005, 0, 0.035), (0.075, 0.092), look.skin, 0.03)
    body.add(by(at, -0.025, 0, 0.03), by(at, -0.01, 0, 0.06), (0.10, 0.092), look.hair, 0.06)
    if look.long_hair:
        body.add(by(at, -0.05, 0, 0.0), by(at, -0.07, 0, -0.2), (0.095, 0.07), look.hair, 0.06)


def _draw_bag(body: Builder, look: Look) -> None:
    if look.bag == "backpack":
        body.add((-0.17, 0.05, 0.10), (-0.16, 0.05, 0.36), 0.10, look.legs * 0.7)
        body.add((-0.17, -0.05, 0.10), (-0.16, -0.05, 0.36), 0.10, look.legs * 0.7)
    elif look.bag == "shoulder":
        body.add((-0.06, -0.2, -0.08), (0.08, -0.2, -0.08), 0.085, look.hair * 1.2, 0.05)
        body.add((0.0, -0.19, -0.02), (0.0, 0.05, 0.50), 0.014, look.hair)


@dataclass(frozen=True)
class Ride:
    """A cyclist's straight way: where at start_s, heading radians, speed m/s."""

    start: tuple[float, float]
    heading: float
    speed: float
    start_s: float


WHEEL_M, BASE_M = 0.35, 1.06


def _wheel(body: Builder, hub: Vec, turn: float) -> None:
    """Tyre, rim, spokes and one pale reflector, so that the turning shows."""
    angles = np.linspace(0, 2 * np.pi, 25)
    ring = np.stack([np.cos(angles), np.zeros(25), np.sin(angles)], 1)
    for p, q in pairwise(ring):
        body.add(hub + p * (WHEEL_M - 0.02), hub + q * (WHEEL_M - 0.02), 0.021, BLACK, 0.03)
        body.add(hub + p * (WHEEL_M - 0.05), hub + q * (WHEEL_M - 0.05), 0.011, SILVER, 0.2)
    for i in range(14):
        angle = -turn + i * 2 * np.pi / 14
        spoke = np.array([np.cos(angle), 0.0, np.sin(angle)])
        body.add(by(hub, 0, 0.02 * (-1) ** i, 0), hub + spoke * (WHEEL_M - 0.05), 0.0035, SILVER * 0.8, 0.1)
    at = np.array([np.cos(-turn), 0.0, np.sin(-turn)]) * 0.22
    body.add(hub + at * 0.85, hub + at * 1.15, 0.022, linear((250, 190, 70)), 0.2)
    body.add(by(hub, 0, 0.05, 0), by(hub, 0, -0.05, 0), 0.026, DARK, 0.2)


def _frame(body: Builder, crank: Vec, turn: float) -> None:
    rear, front = np.array([0.0, 0.0, WHEEL_M]), np.array([BASE_M, 0.0, WHEEL_M])
    seat, head, neck = np.array([0.26, 0.0, 0.80]), np.array([0.84, 0.0, 0.84]), np.array([0.88, 0.0, 0.70])
    for a, b, r in ((crank, seat, 0.027), (seat, head, 0.027), (crank, neck, 0.031), (head, neck, 0.030)):
        body.add(a, b, r, RED, 0.25)
    for side in (0.055, -0.055):
        body.add(by(crank, 0, side * 0.5, 0), by(rear, 0, side, 0), 0.016, RED, 0.25)
        body.add(seat, by(rear, 0, side, 0), 0.015, RED, 0.25)
        body.add(by(neck, 0, side, -0.02), by(front, 0, side, 0), (0.021, 0.016), RED, 0.25)
    body.add(seat, by(seat, -0.03, 0, 0.13), 0.014, SILVER, 0.3)
    body.add(by(seat, -0.16, 0, 0.15), by(seat, 0.10, 0, 0.15), (0.055, 0.025), BLACK, 0.1)
    body.add(head, by(head, -0.03, 0, 0.14), 0.016, DARK, 0.3)
    bar = by(head, 0.03, 0, 0.16)
    body.add(by(bar, 0, 0.28, 0), by(bar, 0, -0.28, 0), 0.014, BLACK, 0.2)
    ring = [crank + np.array([np.cos(a), 0.0, np.sin(a)]) * 0.085 - [0, 0.05, 0] for a in np.linspace(0, 2 * np.pi, 11)]
    for p, q in pairwise(ring):
        body.add(p, q, 0.012, DARK, 0.3)
    body.add(by(rear, 0, -0.05, 0.03), by(crank, 0, -0.05, 0.085), 0.007, DARK)
    body.add(by(rear, 0, -0.05, -0.03), by(crank, 0, -0.05, -0.085), 0.007, DARK)


def _knee(hip: Vec, ankle: Vec, thigh: float, shin: float) -> Vec:
    """Where the knee is, bent forwards, by the law of cosines."""
    line = ankle - hip
    span = min(float(np.linalg.norm(line)), thigh + shin - 1e-3)
    along = (thigh**2 - shin**2 + span**2) / (2 * span)
    out = np.sqrt(max(thigh**2 - along**2, 0.0))
    direction = line / np.linalg.norm(line)
    forward = np.array([-direction[2], 0.0, direction[0]])
    return hip + direction * along + forward * out


def _rider(body: Builder, crank: Vec, pedal_turn: float) -> None:
    shirt, shorts, skin = linear((236, 196, 44)), linear((30, 32, 40)), SKIN[1]
    hip = np.array([0.14, 0.0, 1.03])
    chest, grip = np.array([0.56, 0.0, 1.40]), np.array([0.88, 0.0, 1.02])
    for side in (1.0, -1.0):
        angle = -pedal_turn + (np.pi if side > 0 else 0.0)
        pedal = crank + np.array([np.cos(angle) * 0.17, 0.11 * side, np.sin(angle) * 0.17])
        body.add(by(crank, 0, 0.07 * side, 0), pedal - [0, 0.03 * side, 0], 0.013, DARK, 0.3)
        body.add(by(pedal, -0.05, 0, -0.01), by(pedal, 0.05, 0, -0.01), 0.018, BLACK)
        ankle = by(pedal, -0.07, 0, 0.10)
        joint = by(hip, 0, 0.09 * side, -0.02)
        knee = _knee(joint, ankle, 0.43, 0.43)
        body.add(joint, knee, (0.095, 0.066), shorts)
        body.add(knee, ankle, (0.056, 0.042), skin)
        body.add(by(ankle, -0.03, 0, -0.05), by(pedal, 0.10, 0, 0.035), (0.045, 0.036), SHOES[1])
        shoulder, hand = by(chest, 0.0, 0.18 * side, -0.01), by(grip, 0, 0.25 * side, 0)
        elbow = by((shoulder + hand) / 2, -0.05, 0.06 * side, -0.04)
        body.add(shoulder, elbow, (0.058, 0.045), shirt)
        body.add(elbow, hand, (0.042, 0.032), skin)
        body.add(by(hip, 0, 0.075 * side, 0.03), by(chest, -0.03, 0.10 * side, -0.03), (0.115, 0.105), shirt)
        body.add(by(chest, -0.02, 0.08 * side, 0), shoulder, (0.09, 0.06), shirt)
        body.add(by(hip, 0, 0.06 * side, -0.02), by(hip, 0.06, 0.07 * side, 0.05), 0.12, shorts)
    head = by(chest, 0.15, 0, 0.22)
    body.add(by(chest, 0.03, 0, 0.03), by(head, -0.02, 0, -0.06), 0.055, skin)
    body.add(by(head, 0.03, 0, -0.04), by(head, 0.0, 0, 0.03), (0.075, 0.09), skin, 0.03)
    body.add(by(head, -0.08, 0, 0.05), by(head, 0.05, 0, 0.07), (0.085, 0.095), linear((232, 234, 236)), 0.25)


def cyclist(ride: Ride, t_s: float) -> Parts:
    """Bicycle and rider at a time; wheels roll without slipping, pedals turn at half the wheels' rate."""
    gone = ride.speed * (t_s - ride.start_s)
    body = Builder()
    turn = gone / WHEEL_M
    crank = np.array([0.43, 0.0, 0.29])
    for hub in (0.0, BASE_M):
        _wheel(body, np.array([hub, 0.0, WHEEL_M]), turn)
    _frame(body, crank, turn)
    _rider(body, crank, turn * 0.5)
    x = ride.start[0] + np.cos(ride.heading) * gone
    y = ride.start[1] + np.sin(ride.heading) * gone
    return body.place(x, y, ride.heading)
