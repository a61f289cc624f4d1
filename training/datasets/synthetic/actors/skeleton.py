"""Skeleton: joints of a body from the angles between its limbs.

Lengths of limbs are shares of standing height after Drillis & Contini (1966), as given in Winter, "Biomechanics and
Motor Control of Human Movement", section 4.1. Frame: x ahead, y to the left, z up, metres; the pelvis is above the
origin.

Next: training/datasets/synthetic/actors/poses.py
"""

import math
from dataclasses import dataclass

from training.datasets.synthetic.actors.paint import Vec

ANKLE, SHIN, THIGH, TRUNK, NECK = 0.039, 0.246, 0.245, 0.288, 0.052
UPPER_ARM, FOREARM, HAND, FOOT = 0.186, 0.146, 0.06, 0.145
SHOULDER, HIP = 0.112, 0.05  # half widths
LEFT, RIGHT = 0, 1
SIDES = (1.0, -1.0)

Pair = tuple[float, float]


@dataclass(frozen=True)
class Build:
    """height in metres; wide: how much broader than usual; head: how much larger than usual (children)."""

    height: float = 1.72
    wide: float = 1.0
    head: float = 1.0


@dataclass(frozen=True)
class Angles:
    """Radians; pairs are (left, right), positive bends forwards or outwards.

    trunk, lean, twist: of the back: forwards, to the left, turning left. pitch, roll, yaw: of the whole body. lift:
    metres above the ground. seat: where the pelvis is, in place of standing on the ground. hands, feet: points to be
    reached, in place of angles; only with a seat.
    """

    hip: Pair = (0.0, 0.0)
    spread: Pair = (0.04, 0.04)
    knee: Pair = (0.0, 0.0)
    ankle: Pair = (0.0, 0.0)
    shoulder: Pair = (0.0, 0.0)
    out: Pair = (0.12, 0.12)
    elbow: Pair = (0.15, 0.15)
    inward: Pair = (0.0, 0.0)
    trunk: float = 0.03
    lean: float = 0.0
    twist: float = 0.0
    nod: float = 0.1
    pitch: float = 0.0
    roll: float = 0.0
    yaw: float = 0.0
    lift: float = 0.0
    seat: Vec | None = None
    hands: tuple[Vec, Vec] | None = None
    feet: tuple[Vec, Vec] | None = None


@dataclass(frozen=True)
class Body:
    """Joints, pairs are (left, right). ahead, left, up: unit vectors of the back; head: its middle."""

    pelvis: Vec
    neck: Vec
    head: Vec
    ahead: Vec
    left: Vec
    up: Vec
    face: Vec
    hips: tuple[Vec, Vec]
    knees: tuple[Vec, Vec]
    ankles: tuple[Vec, Vec]
    toes: tuple[Vec, Vec]
    shoulders: tuple[Vec, Vec]
    elbows: tuple[Vec, Vec]
    wrists: tuple[Vec, Vec]
    hands: tuple[Vec, Vec]

    def at(self, x: float, y: float, z: float) -> Vec:
        """A point given in the frame of the back, from the pelvis, metres."""
        return plus(self.pelvis, plus(plus(times(self.ahead, x), times(self.left, y)), times(self.up, z)))


def plus(a: Vec, b: Vec) -> Vec:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def minus(a: Vec, b: Vec) -> Vec:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def times(a: Vec, s: float) -> Vec:
    return a[0] * s, a[1] * s, a[2] * s


def between(a: Vec, b: Vec, share: float) -> Vec:
    return plus(times(a, 1 - share), times(b, share))


def turned(v: Vec, pitch: float, roll: float, yaw: float) -> Vec:
    """v after turning by yaw (about z), roll (about x) and pitch (about y; positive bends z towards x)."""
    x, y, z = v
    c, s = math.cos(yaw), math.sin(yaw)
    x, y = x * c - y * s, x * s + y * c
    c, s = math.cos(roll), math.sin(roll)
    y, z = y * c + z * s, z * c - y * s
    c, s = math.cos(pitch), math.sin(pitch)
    return x * c + z * s, y, z * c - x * s


def bend(start: Vec, end: Vec, first: float, second: float, towards: Vec) -> tuple[Vec, Vec]:
    """Middle and end joint of two limbs that reach for `end`, the middle joint bulging towards a direction."""
    line = minus(end, start)
    far = math.sqrt(sum(v * v for v in line)) or 1e-6
    reach = min(max(far, abs(first - second) * 1.02), (first + second) * 0.999)
    along = times(line, 1 / far)
    share = (first**2 - second**2 + reach**2) / (2 * reach)
    side = minus(towards, times(along, sum(a * b for a, b in zip(towards, along, strict=True))))
    length = math.sqrt(sum(v * v for v in side)) or 1e-6
    bulge = math.sqrt(max(0.0, first**2 - share**2))
    middle = plus(plus(start, times(along, share)), times(side, bulge / length))
    return middle, plus(start, times(along, reach))


def pose_body(build: Build, a: Angles) -> Body:
    """Joints of a body; without a seat its lowest part touches the ground."""
    h = build.height

    def back(v: Vec) -> Vec:
        return turned(v, a.trunk, a.lean, a.twist)

    ahead, left, up = back((1.0, 0.0, 0.0)), back((0.0, 1.0, 0.0)), back((0.0, 0.0, 1.0))
    origin = (0.0, 0.0, 0.0) if a.seat is None else a.seat
    neck = plus(origin, times(up, TRUNK * h))
    look = turned((1.0, 0.0, 0.0), a.trunk * 0.5 + a.nod, a.lean * 0.5, a.twist * 0.5)
    crown = turned((0.0, 0.0, 1.0), a.trunk * 0.7 + a.nod, a.lean * 0.7, 0.0)
    head = plus(neck, plus(times(crown, (NECK + 0.065 * build.head) * h), times(look, 0.012 * h)))
    legs = [_leg(build, a, side, origin) for side in (LEFT, RIGHT)]
    arms = [_arm(build, a, side, neck, (ahead, left, up)) for side in (LEFT, RIGHT)]
    parts = [origin, neck, head, *legs[0], *legs[1], *arms[0], *arms[1]]
    ways = [ahead, left, up, look]
    if a.pitch or a.roll or a.yaw:
        parts = [turned(v, a.pitch, a.roll, a.yaw) for v in parts]
        ways = [turned(v, a.pitch, a.roll, a.yaw) for v in ways]
    if a.seat is None:
        thick = [0.07, 0.05, 0.06, *[0.06, 0.03, 0.02, 0.012] * 2, *[0.03, 0.02, 0.02, 0.015] * 2]
        lowest = min(p[2] - t * h for p, t in zip(parts, thick, strict=True))
        parts = [(x, y, z - lowest + a.lift) for x, y, z in parts]
    pelvis, neck, head, *rest = parts
    both = [(rest[i], rest[i + 4]) for i in range(4)] + [(rest[i + 8], rest[i + 12]) for i in range(4)]
    return Body(pelvis, neck, head, ways[0], ways[1], ways[2], ways[3], *both)


def _leg(build: Build, a: Angles, side: int, origin: Vec) -> list[Vec]:
    """Hip, knee, ankle, toe."""
    h, s = build.height, SIDES[side]
    start = plus(origin, (0.0, s * HIP * h * build.wide, 0.0))
    swing, out, knee = a.hip[side], a.spread[side], a.knee[side]
    if a.feet is not None:
        middle, end = bend(start, a.feet[side], THIGH * h, SHIN * h, (1.0, 0.15 * s, 0.3))
        slope = -0.15
    else:
        middle = plus(start, times(_swung(swing, out, s), THIGH * h))
        end = plus(middle, times(_swung(swing - knee, out, s), SHIN * h))
        slope = swing - knee + a.ankle[side]
    c, o = math.cos(slope), math.sin(slope)
    sole = plus(end, (o * ANKLE * h, 0.0, -c * ANKLE * h * 0.7))
    toe = plus(sole, times((c, s * 0.18, o), FOOT * 0.62 * h))
    return [start, middle, end, toe]


def _arm(build: Build, a: Angles, side: int, neck: Vec, ways: tuple[Vec, Vec, Vec]) -> list[Vec]:
    """Shoulder, elbow, wrist, hand."""
    h, s = build.height, SIDES[side]
    ahead, left, up = ways

    def placed(v: Vec) -> Vec:
        return plus(plus(times(ahead, v[0]), times(left, v[1])), times(up, v[2]))

    start = plus(neck, placed((0.0, s * (SHOULDER * build.wide - 0.012) * h, -0.022 * h)))
    if a.hands is not None:
        middle, end = bend(start, a.hands[side], UPPER_ARM * h, FOREARM * h, (-0.3, 0.5 * s, -0.8))
        return [start, middle, end, plus(end, times(minus(end, middle), 0.35))]
    swing, out, elbow = a.shoulder[side], a.out[side], a.elbow[side]
    middle = plus(start, times(placed(_swung(swing, out, s)), UPPER_ARM * h))
    fore = placed(_swung(swing + elbow, out - a.inward[side], s))
    end = plus(middle, times(fore, FOREARM * h))
    return [start, middle, end, plus(end, times(fore, HAND * h))]


def _swung(swing: float, out: float, side: float) -> Vec:
    """Unit vector that hangs down, swung forwards and out to a side."""
    return math.sin(swing) * math.cos(out), side * math.sin(out), -math.cos(swing) * math.cos(out)
