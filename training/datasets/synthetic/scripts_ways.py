"""Anomalies of where people go: climbing, jaywalking, crowd panic; and fleeing, for explosions too.

Next: training/datasets/synthetic/scripts_riders.py
"""

import cmath

import numpy as np

from training.datasets.synthetic.crowd import Body, Program, Stage
from training.datasets.synthetic.paths import Ground
from training.datasets.synthetic.scripts_moves import act, attend, cars_come, fall, go, leave, lie, straight, wait
from training.datasets.synthetic.scripts_people import (
    arrive,
    far_from,
    get_up,
    nearer,
    onset,
    perpetrator,
    place,
    some,
    wander,
)
from training.datasets.synthetic.scripts_walkers import pace_of, somebody

RASH_S = 1.3  # jaywalkers go if no car is there within that time


def climbing(stage: Stage) -> None:
    """Climbs over a fence, or up a wall and down again; some sit on top."""
    spots = climbable(stage)
    kind, spot = spots[nearer(stage, [p for _, p in spots])]
    foot, over = foot_of(stage.ground, spot)
    t_s = onset(stage, 4.0)
    phrase = stage.pick(f"climbs the {kind}", f"climbs up the {kind}", f"scales the {kind}", f"climbs up a {kind}")
    height = stage.between(1.4, 2.4)
    for k in range(some(stage, 7, 2)):
        body = perpetrator(stage, t_s)
        aside = 0.9 * k * 1j * over
        if t_s < 6:
            body.p = stage.ground.snap(foot + aside - stage.between(0, 1.5) * over)
        beyond = abs(spot - foot) if kind == "fence" else 0.0
        body.program = _climbs(stage, body, foot + aside, over, beyond, t_s + 1.5 * k, height, phrase)


def foot_of(ground: Ground, spot: complex) -> tuple[complex, complex]:
    """Where one stands before a fence or wall, and the direction from there to it."""
    foot = ground.snap(spot)
    if abs(foot - spot) < 0.25:
        over = -ground.away(spot) or 1j
        foot = ground.snap(spot - 0.5 * over)
    else:
        over = (spot - foot) / abs(spot - foot)
    return foot, over


def climbable(stage: Stage) -> list[tuple[str, complex]]:
    """(kind, point) of fences and, outdoors, walls that can be walked to and are seen."""
    kinds = ("fence",) if stage.layout.indoor else ("fence", "wall")
    found = [(k, complex(*p)) for k in kinds for p in stage.layout.spots.get(k, ())]
    return [(k, p) for k, p in found if abs(stage.ground.snap(p) - p) < 3 and stage.ground.margin(p) > 1]


def _climbs(
    stage: Stage, body: Body, foot: complex, over: complex, beyond: float, t_s: float, height: float, phrase: str
) -> Program:
    """Up and, if there is a beyond (metres to the middle of the fence), over it; up and down again at a wall."""
    yield from arrive(stage, body, foot, t_s, cmath.phase(over))
    body.loose = True
    if beyond > 0.4:
        yield from straight(stage, body, foot + (beyond - 0.3) * over, 1.2, near_m=0.15)
    body.begin("climbing", phrase, stage.t)
    body.face, body.want = cmath.phase(over), 0j
    yield from _rise(stage, body, 0.0, height, stage.between(1.8, 3.5), 0.12 * over)
    if stage.chance(0.3):
        yield from wait(stage, body, np.inf if stage.chance(0.6) else stage.between(1, 4), body.face, "sit")
    body.face = cmath.phase(over)
    yield from _rise(stage, body, height, 0.0, stage.between(1.2, 2.2), 0.5 * over if beyond else -0.1 * over)
    yield from act(stage, body, "crouch", 0.3, 0.2, back=True)
    body.end(stage.t)
    body.face = None
    if beyond:
        yield from straight(stage, body, body.p + 15 * over, stage.between(1.2, 2.5))
    else:
        body.loose = False
        yield from leave(stage, body, stage.between(1.2, 1.7))


def _rise(stage: Stage, body: Body, low: float, high: float, seconds: float, drift: complex) -> Program:
    """Climb from one height to another within so many seconds, drifting so many m/s."""
    begin, body.action = stage.t, "climb"
    while stage.t < begin + seconds:
        share = (stage.t - begin) / seconds
        body.z, body.want = low + (high - low) * share, drift
        body.progress = share if high > low else 1 - share
        yield
    body.z, body.want, body.progress = high, 0j, 0.0


def jaywalking(stage: Stage) -> None:
    """Crosses the road away from the crossing, between the cars."""
    ways = crossings_of_road(stage)
    t_s = onset(stage, 4.0)
    phrase = stage.pick("crosses the road between the cars", "walks across the road away from the crossing",
                        "steps onto the road and crosses it", "crosses the street without a crossing")  # fmt: skip
    a, b = ways[nearer(stage, [(a + b) / 2 for a, b in ways])]
    if stage.chance(0.5):
        a, b = b, a
    pace = stage.between(1.1, 2.6)
    for k in range(some(stage, 7, 2, 1)):
        aside = 0.9 * k * 1j * (b - a) / abs(b - a)
        body = stage.add("person", "person", a + aside, cmath.phase(b - a), t_s - stage.between(1.0, 4.0))
        if t_s > 8 and stage.chance(0.6):
            body.p, body.start_s = somebody_comes(stage, a), stage.between(max(0.0, t_s - 14), t_s - 5)
        body.program = _jaywalks(stage, body, a + aside, b + aside, t_s + 0.3 * k, pace, phrase)


def _between_cars(stage: Stage, body: Body) -> None:
    """Turn a crossing step that would lead into a car along it, to its nearer end; a car that drives is let pass."""
    for car in stage.present("vehicle"):
        turned = cmath.exp(-1j * car.heading)
        at, step = (body.p - car.p) * turned, body.want * turned
        half, side = car.actor.size_m[0] / 2 + 0.35, car.actor.size_m[1] / 2 + 0.35
        soon = at + 0.6 * step
        if abs(soon.real) < half and abs(soon.imag) < side and abs(soon.imag) < abs(at.imag):
            end = 1.0 if at.real > 0 else -1.0
            body.want = end * abs(body.want) / turned if abs(car.v) < 0.5 else 0j


def somebody_comes(stage: Stage, to: complex) -> complex:
    """The outside of an entrance from which one can walk to a point; the point itself if there is none."""
    gate = stage.ground.gate(stage.rng, to)
    return gate[1] if gate is not None else to


def _jaywalks(stage: Stage, body: Body, a: complex, b: complex, t_s: float, pace: float, phrase: str) -> Program:
    yield from arrive(stage, body, a, t_s, cmath.phase(b - a))
    patience = stage.t + 5.0
    while stage.t < patience and cars_come(stage, a + 3.0 * (b - a) / abs(b - a), RASH_S):
        yield
    # Who crosses among cars leaves it to them to brake.
    body.acc, body.face, body.loose = 3.0, None, True
    crossing = straight(stage, body, b, pace, "run" if pace > 2.2 else "walk")
    for _ in crossing:
        if stage.ground.on_road(body.p) and (not body.spans or body.spans[-1][1] < np.inf):
            body.begin("jaywalking", phrase, stage.t)
        elif not stage.ground.on_road(body.p):
            body.end(stage.t)
        _between_cars(stage, body)
        yield
    body.end(stage.t)
    body.loose = False
    yield from leave(stage, body, min(pace, 1.6))


def crossings_of_road(stage: Stage) -> list[tuple[complex, complex]]:
    """Pairs of points on both sides of a road, at the kerb, away from its crossings and inside the extent."""
    zebras = [complex(*p) for p in stage.layout.spots.get("crossing", ())]
    found = []
    for rail in (r for r in stage.rails if r.use == "cars"):
        for s in np.arange(1.0, rail.length - 1, 1.0):
            p, heading = rail.at(float(s))
            side = 1j * cmath.exp(1j * heading)
            far = min((abs(p - z) for z in zebras), default=np.inf) >= 6
            # Where people walk on the road anyway, crossing it is nothing.
            if not far or stage.ground.free[stage.ground.index(p)] or stage.ground.margin(p) < 2:
                continue
            ends = [_kerb(stage.ground, p, way) for way in (side, -side)]
            if ends[0] is not None and ends[1] is not None:
                found.append((ends[0], ends[1]))
    return found


def _kerb(ground: Ground, p: complex, way: complex) -> complex | None:
    """The first ground to stand on beside the road, at most 20 m away."""
    for k in range(1, 81):
        q = p + 0.25 * k * way
        if not ground.on_road(q) and ground.room_at(q) >= 0.3:
            return q
    return None


def crowd_panic(stage: Stage) -> None:
    """All of a sudden everybody runs away from one place."""
    t_s = onset(stage)
    for _ in range(int(stage.rng.integers(5, 12))):
        body = somebody(stage, None)
        body.program = wander(stage, body, pace_of(stage, body))
    source = place(stage, 0.4, 2.0)
    phrase = stage.pick("runs away in panic", "flees with the crowd", "runs away from the place like everybody else")
    stage.later(t_s, lambda: scare(stage, source, np.inf, "crowd panic", phrase))


def scare(stage: Stage, source: complex, within_m: float, anomaly: str, phrase: str) -> None:
    """People within that distance run away from a point, each after a moment."""
    for body in stage.present("person"):
        if abs(body.p - source) > within_m or body.anomaly or body.rail is not None or body.action in ("drive", "push"):
            continue
        body.program = flee(stage, body, source, anomaly, phrase)


def flee(stage: Stage, body: Body, source: complex, anomaly: str, phrase: str) -> Program:
    """Run to an entrance away from the source; one in twelve stumbles and falls."""
    body.loose, body.z = False, 0.0
    yield from wait(stage, body, stage.between(0, 0.6), attend(stage, body, source))
    body.begin(anomaly, phrase, stage.t)
    body.acc, body.company, pace = 4.5, 0, stage.between(3.2, 5.5)
    gates = [g[0] for g in stage.ground.gates if stage.ground.joined(body.p, g[0])]
    away = (body.p - source) / (abs(body.p - source) + 1e-6)
    gates.sort(key=lambda g: -((g - body.p) * away.conjugate()).real / (abs(g - body.p) + 1))
    if stage.chance(0.08) and abs(body.p - source) > 1:
        yield from go(stage, body, stage.ground.snap(body.p + 4 * away), pace, "run", near_m=1.0)
        yield from fall(stage, body, 0.6)
        yield from lie(stage, body, stage.between(0.5, 3))
        yield from get_up(body)
    if gates:
        best = gates[int(stage.rng.integers(min(2, len(gates))))]
        yield from leave(stage, body, pace, "run", best)
    else:
        yield from go(stage, body, far_from(stage, source), pace, "run")
        yield from wait(stage, body, np.inf)
