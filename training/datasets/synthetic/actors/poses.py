"""Poses: the angles of a body in every action.

The curves of walking are sagittal angles of hip, knee and ankle over the stride after Winter, "Biomechanics and Motor
Control of Human Movement" (appendix A), those of running after Novacheck (1998), "The biomechanics of running", both
rounded to a tenth of a stride. Other actions are ours, looked at.

Next: training/datasets/synthetic/actors/people.py
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from training.datasets.synthetic.actors.skeleton import Angles, Pair

# Degrees at 0, 10, ... 90 % of the stride, which begins as the heel strikes.
WALK_HIP = (26, 23, 15, 6, -3, -9, -6, 9, 23, 29)
WALK_KNEE = (5, 16, 17, 10, 7, 14, 40, 60, 51, 20)
WALK_ANKLE = (0, -4, 3, 7, 9, 3, -15, -8, 0, 1)
RUN_HIP = (38, 28, 12, -4, -15, -13, 8, 34, 48, 46)
RUN_KNEE = (20, 40, 38, 24, 22, 52, 92, 104, 72, 30)
RUN_ANKLE = (6, 14, 18, 8, -16, -24, -10, 0, 4, 6)


@dataclass(frozen=True)
class Manner:
    """How someone moves: energy (1 is usual) scales swings; side: 1 or -1, the hand that acts; falls: radians, the
    way of a fall from straight ahead; seed: order of blows."""

    energy: float = 1.0
    side: int = 1
    falls: float = 0.0
    seed: int = 0


def angles_of(action: str, phase: float, progress: float, manner: Manner) -> Angles:
    """Angles for an action, ValueError for one that no body does."""
    if action not in POSES:
        raise ValueError(f"no body does {action!r}; choose one of {sorted(POSES)}")
    return POSES[action](phase, progress, manner)


def _curve(table: tuple[int, ...], phase: float) -> float:
    """Radians at a phase, smooth (Catmull & Rom 1974) between the entries of a periodic table in degrees."""
    x = (phase % 1.0) * len(table)
    i, u = int(x), x - int(x)
    p0, p1, p2, p3 = (table[(i + k) % len(table)] for k in (-1, 0, 1, 2))
    value = p1 + 0.5 * u * (p2 - p0 + u * (2 * p0 - 5 * p1 + 4 * p2 - p3 + u * (3 * (p1 - p2) + p3 - p0)))
    return math.radians(value)


def _both(table: tuple[int, ...], phase: float, size: float = 1.0) -> Pair:
    return _curve(table, phase) * size, _curve(table, phase + 0.5) * size


def _wave(phase: float, offset: float = 0.0) -> float:
    return math.sin(2 * math.pi * (phase + offset))


def _ease(u: float) -> float:
    u = min(1.0, max(0.0, u))
    return u * u * (3 - 2 * u)


def _sided(manner: Manner, acting: float, other: float) -> Pair:
    return (acting, other) if manner.side > 0 else (other, acting)


def walk(phase: float, progress: float, m: Manner) -> Angles:
    swing = 0.42 * m.energy * math.cos(2 * math.pi * phase)
    elbow = 0.25 + 0.12 * m.energy
    return Angles(
        hip=_both(WALK_HIP, phase, 0.6 + 0.4 * m.energy), knee=_both(WALK_KNEE, phase), ankle=_both(WALK_ANKLE, phase),
        shoulder=(-swing, swing), elbow=(elbow - 0.4 * swing, elbow + 0.4 * swing), trunk=0.05,
        lean=0.02 * _wave(phase), twist=0.12 * m.energy * math.cos(2 * math.pi * phase), out=(0.14, 0.14),
    )  # fmt: skip


def run(phase: float, progress: float, m: Manner) -> Angles:
    swing = 0.75 * m.energy * math.cos(2 * math.pi * phase)
    flight = 0.05 * max(0.0, math.cos(4 * math.pi * (phase - 0.43)))
    return Angles(
        hip=_both(RUN_HIP, phase, m.energy), knee=_both(RUN_KNEE, phase), ankle=_both(RUN_ANKLE, phase),
        shoulder=(-swing, swing), elbow=(1.55 - 0.3 * swing, 1.55 + 0.3 * swing), inward=(0.5, 0.5), out=(0.22, 0.22),
        trunk=0.2, twist=0.2 * math.cos(2 * math.pi * phase), lift=flight, nod=0.0,
    )  # fmt: skip


def stand(phase: float, progress: float, m: Manner) -> Angles:
    sway = _wave(phase / 4)
    busy = 0.5 + 0.5 * _wave(phase / 4, 0.3)  # the acting hand goes to a pocket or a telephone
    return Angles(
        hip=(0.03 + 0.03 * sway, 0.03 - 0.03 * sway), knee=(0.06 + 0.06 * sway, 0.06 - 0.06 * sway),
        spread=(0.07, 0.07), lean=0.03 * sway, twist=0.12 * _wave(phase / 4, 0.1), trunk=0.03,
        shoulder=_sided(m, 0.1 + 0.25 * busy, 0.02), elbow=_sided(m, 0.3 + 1.3 * busy * (m.seed % 2), 0.2),
        inward=_sided(m, 0.4, 0.0), nod=0.1 + 0.12 * _wave(phase / 4, 0.6),
    )  # fmt: skip


def sit(phase: float, progress: float, m: Manner) -> Angles:
    sway = _wave(phase / 4)
    return Angles(
        hip=(1.5, 1.46), knee=(1.5, 1.42 + 0.08 * sway), spread=(0.12, 0.12), trunk=-0.06 + 0.04 * sway,
        shoulder=(0.5, 0.45), elbow=(0.8, 0.9), inward=(0.4, 0.5), nod=0.15 + 0.15 * sway,
    )  # fmt: skip


def crouch(phase: float, progress: float, m: Manner) -> Angles:
    """Down as the progress goes up."""
    sway = _wave(phase)
    down = Angles(
        hip=(1.75, 1.35), knee=(2.2, 2.0), ankle=(0.3, 0.5), spread=(0.2, 0.2), trunk=0.6 + 0.05 * sway,
        shoulder=(0.75 + 0.2 * sway, 0.75 - 0.2 * sway), elbow=(0.7, 0.7), inward=(0.3, 0.3), nod=0.2,
    )  # fmt: skip
    return _mixed(stand(phase, 0.0, m), down, _ease(progress))


def lie(phase: float, progress: float, m: Manner) -> Angles:
    return _down(1.0, m, still=0.03 * _wave(phase / 4))


def fall(phase: float, progress: float, m: Manner) -> Angles:
    """From standing to lying; the knees give way first, the arms go out."""
    if progress < 0.12:
        return _mixed(stand(0.0, 0.0, m), _down(0.12, m), progress / 0.12)
    return _down(progress, m)


def _down(u: float, m: Manner, still: float = 0.0) -> Angles:
    u = min(1.0, max(0.0, u))
    over = _ease(min(1.0, u / 0.8) ** 1.5)
    buckle = math.sin(math.pi * min(1.0, u / 0.85)) * 0.8
    reach = math.sin(math.pi * min(1.0, u * 0.9 + 0.08))
    ahead = math.cos(m.falls) >= 0
    rest = 0.25 * over
    arms = 1.5 * reach if ahead else 0.7 * reach
    return Angles(
        hip=(0.1 + buckle * 0.9 + rest, 0.05 + buckle * 0.6), knee=(0.1 + buckle * 1.4 + 2 * rest, buckle * 1.1 + rest),
        spread=(0.1 + 0.1 * over, 0.06 + 0.1 * over), trunk=0.12 * buckle,
        shoulder=(arms + 0.5 * over, arms * 0.8 + 0.9 * over * (m.seed % 3) + still),
        out=(0.2 + 0.7 * over, 0.2 + 0.4 * over), elbow=(0.3 + 0.5 * over, 0.3 + 0.2 * over),
        pitch=math.cos(m.falls) * 1.48 * over, roll=math.sin(m.falls) * 1.3 * over, nod=0.05,
    )  # fmt: skip


def _mixed(a: Angles, b: Angles, share: float) -> Angles:
    """Angles between two poses that both stand on the ground."""

    def one(x: float, y: float) -> float:
        return x + (y - x) * share

    def pair(x: Pair, y: Pair) -> Pair:
        return one(x[0], y[0]), one(x[1], y[1])

    return Angles(
        hip=pair(a.hip, b.hip), spread=pair(a.spread, b.spread), knee=pair(a.knee, b.knee),
        ankle=pair(a.ankle, b.ankle), shoulder=pair(a.shoulder, b.shoulder), out=pair(a.out, b.out),
        elbow=pair(a.elbow, b.elbow), inward=pair(a.inward, b.inward), trunk=one(a.trunk, b.trunk),
        lean=one(a.lean, b.lean), twist=one(a.twist, b.twist), nod=one(a.nod, b.nod), pitch=one(a.pitch, b.pitch),
        roll=one(a.roll, b.roll), yaw=one(a.yaw, b.yaw), lift=one(a.lift, b.lift),
    )  # fmt: skip


def _guard(m: Manner) -> Angles:
    return Angles(
        hip=(0.35, -0.12), knee=(0.35, 0.3), spread=(0.14, 0.14), trunk=0.16, twist=-0.3 * m.side,
        shoulder=(0.75, 0.6), elbow=(1.9, 2.0), inward=(0.35, 0.35), out=(0.25, 0.25), nod=0.1,
    )  # fmt: skip


def fight(phase: float, progress: float, m: Manner) -> Angles:
    """Blows by the phase: jab, cross, kick, clinch or ducking, in an order that differs from one fighter to another."""
    at = phase + progress
    blow = (math.floor(at) * 7 + m.seed) % 5
    hit = math.sin(math.pi * (at % 1.0)) ** 2
    base = _guard(m)
    if blow in (0, 1):
        side = m.side if blow == 0 else -m.side
        arm = Manner(side=side)
        struck = replace(
            base, shoulder=_sided(arm, 1.55, 0.5), elbow=_sided(arm, 0.1, 2.0), inward=_sided(arm, 0.1, 0.4),
            twist=-0.5 * side, trunk=0.3, hip=(0.55, -0.3), knee=(0.5, 0.15),
        )  # fmt: skip
    elif blow == 2:
        struck = replace(_kicked(m), shoulder=(0.6, 0.6), elbow=(1.7, 1.8))
    elif blow == 3:
        struck = replace(
            base, shoulder=(1.5, 1.25), elbow=(0.45, 0.7), out=(0.25, 0.25), inward=(0.3, 0.3), trunk=0.5,
            hip=(0.5, -0.45), knee=(0.45, 0.4), lean=0.15 * m.side,
        )  # fmt: skip
    else:
        struck = replace(
            base, trunk=0.6, hip=(0.8, 0.5), knee=(1.1, 1.0), shoulder=(1.2, 1.1), elbow=(2.2, 2.2), nod=0.4,
            lean=-0.25 * m.side,
        )  # fmt: skip
    return _mixed(base, struck, hit)


def _kicked(m: Manner) -> Angles:
    return Angles(
        hip=_sided(m, 1.35, -0.1), knee=_sided(m, 0.15, 0.15), ankle=_sided(m, -0.3, 0.0), trunk=-0.25,
        shoulder=_sided(m, -0.4, 0.8), elbow=(0.8, 0.8), out=(0.4, 0.4), spread=(0.1, 0.1), twist=0.2 * m.side,
    )  # fmt: skip


def kick(phase: float, progress: float, m: Manner) -> Angles:
    u = progress
    wound = Angles(
        hip=_sided(m, -0.45, 0.1), knee=_sided(m, 1.2, 0.15), trunk=0.1, shoulder=_sided(m, 0.5, -0.4),
        elbow=(0.6, 0.6), out=(0.35, 0.35),
    )  # fmt: skip
    if u < 0.35:
        return _mixed(stand(0.0, 0.0, m), wound, _ease(u / 0.35))
    if u < 0.6:
        return _mixed(wound, _kicked(m), _ease((u - 0.35) / 0.25))
    return _mixed(_kicked(m), stand(0.0, 0.0, m), _ease((u - 0.6) / 0.4))


def throw(phase: float, progress: float, m: Manner) -> Angles:
    u = progress
    wound = Angles(
        hip=_sided(m, -0.3, 0.4), knee=(0.25, 0.25), trunk=-0.2, twist=-0.7 * m.side, shoulder=_sided(m, 2.6, 1.0),
        elbow=_sided(m, 1.4, 0.3), out=_sided(m, 0.7, 0.3),
    )  # fmt: skip
    loosed = Angles(
        hip=_sided(m, -0.35, 0.5), knee=(0.3, 0.4), trunk=0.4, twist=0.6 * m.side, shoulder=_sided(m, 1.5, -0.4),
        elbow=_sided(m, 0.2, 0.5), out=(0.2, 0.3),
    )  # fmt: skip
    if u < 0.4:
        return _mixed(stand(0.0, 0.0, m), wound, _ease(u / 0.4))
    if u < 0.6:
        return _mixed(wound, loosed, _ease((u - 0.4) / 0.2))
    return _mixed(loosed, stand(0.0, 0.0, m), _ease((u - 0.6) / 0.4))


def reach(phase: float, progress: float, m: Manner) -> Angles:
    """An arm goes out and comes back."""
    out = Angles(
        trunk=0.32, hip=(0.15, 0.05), knee=(0.15, 0.1), shoulder=_sided(m, 1.5, 0.15), elbow=_sided(m, 0.15, 0.3),
        out=_sided(m, 0.1, 0.12), twist=-0.25 * m.side, nod=0.15,
    )  # fmt: skip
    return _mixed(stand(0.0, 0.0, m), out, math.sin(math.pi * min(1.0, max(0.0, progress))))


def wave(phase: float, progress: float, m: Manner) -> Angles:
    swing = _wave(phase + progress)
    return replace(
        stand(0.0, 0.0, m), shoulder=_sided(m, 2.7, 0.05), out=_sided(m, 0.35 + 0.3 * swing, 0.12),
        elbow=_sided(m, 0.35, 0.2), inward=_sided(m, 0.5 * swing, 0.0), lean=0.04 * swing,
    )  # fmt: skip


def climb(phase: float, progress: float, m: Manner) -> Angles:
    """Hand over hand, by the phase or the progress (two pulls)."""
    at = phase + 2 * progress
    up = _wave(at)
    return Angles(
        hip=(0.75 + 0.6 * up, 0.75 - 0.6 * up), knee=(1.1 + 0.6 * up, 1.1 - 0.6 * up), spread=(0.35, 0.35),
        shoulder=(2.5 - 0.45 * up, 2.5 + 0.45 * up), elbow=(0.5 + 0.45 * up, 0.5 - 0.45 * up), out=(0.25, 0.25),
        trunk=0.12, nod=-0.3,
    )  # fmt: skip


def push(phase: float, progress: float, m: Manner) -> Angles:
    return replace(
        walk(phase, progress, m), shoulder=(0.62, 0.62), elbow=(0.55, 0.55), inward=(0.1, 0.1), trunk=0.14, twist=0.0
    )


def skate(phase: float, progress: float, m: Manner) -> Angles:
    """Sideways on a board, one push of the hind foot a cycle."""
    push_off = max(0.0, _wave(phase)) ** 2
    sway = _wave(phase, 0.2)
    return Angles(
        hip=_sided(m, 0.5 - 0.1 * sway, -0.05 - 0.55 * push_off), knee=_sided(m, 0.65, 0.45 - 0.25 * push_off),
        spread=(0.12, 0.12), trunk=0.28 + 0.12 * push_off, twist=0.5 * m.side * (1 - push_off),
        shoulder=_sided(m, 0.3 + 0.3 * sway, -0.3 - 0.3 * sway), out=(0.55, 0.55), elbow=(0.5, 0.5), nod=0.0,
    )  # fmt: skip


POSES: dict[str, Callable[[float, float, Manner], Angles]] = {
    "stand": stand, "walk": walk, "run": run, "sit": sit, "lie": lie, "fall": fall, "fight": fight, "crouch": crouch,
    "climb": climb, "throw": throw, "kick": kick, "reach": reach, "wave": wave, "push": push, "skate": skate,
    "ride": sit, "drive": sit, "burn": stand,
}  # fmt: skip

# Cycles a second of what goes on while one stays where one is; what is not named goes by the way travelled.
CLOCK = {"stand": 0.5, "sit": 0.4, "lie": 0.3, "crouch": 0.5, "fight": 1.3, "wave": 1.6, "burn": 1.1}


def phase_of(action: str, travelled: float, stride: float, t_s: float) -> float:
    """Phase of a pose, in cycles: by the metres travelled, or by the clock (seconds) for what is done in one place."""
    steps = travelled / max(stride, 1e-3)
    return steps + CLOCK.get(action, 0.0) * t_s


# Cycles after which an action looks the same again; those that are not named: 1.
PERIOD = {"stand": 4, "sit": 4, "lie": 4, "fight": 5}
