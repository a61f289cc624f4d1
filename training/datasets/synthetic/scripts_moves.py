"""Moves: what programs are made of: going, waiting, following, falling, driving.

Each is a generator of steps (crowd.Program); programs string them together with `yield from`.

Next: training/datasets/synthetic/scripts_walkers.py
"""

import cmath
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from training.datasets.synthetic.crowd import FIRM_M_S, Body, Program, Stage
from training.datasets.synthetic.paths import STEP_S, Rail, resample, smooth

STUCK_S = 3.0  # who does not get on for so long takes a step aside, then gives up
GIVE_WAY_S = 2.5  # people step on the road if no car is there within that time
BRAKE = 3.0  # m/s^2, comfortable


def go(
    stage: Stage,
    body: Body,
    goal: complex,
    pace: float,
    action: str = "walk",
    stop: bool = False,
    weave_m: float = 0.0,
    near_m: float = 0.5,
    via: Sequence[complex] = (),
) -> Program:
    """Move to the goal around obstacles at about `pace` m/s, by way of the points `via` in one sweep; stop: slow down
    to be there at rest."""
    line = way_by(stage, [body.p, *via, goal])
    limit = _bends(line, body.acc)
    body.action, body.face = action, None
    i, best, since = 0, np.inf, 0.0
    wave, phase = stage.between(5, 11), stage.between(0, 6.28)
    while True:
        ahead_m = max(0.8, 0.3 + 0.5 * abs(body.v))
        while i < len(line) - 1 and abs(line[i] - body.p) < ahead_m:
            i += 1
        left = abs(goal - body.p) if i >= len(line) - 1 else 0.25 * (len(line) - i)
        if left < near_m and i >= len(line) - 1:
            break
        to = complex(line[i])
        if weave_m and i < len(line) - 1:
            step = complex(line[i + 1] - line[i])
            to += 1j * step / (abs(step) + 1e-9) * weave_m * np.sin(2 * np.pi * body.travelled / wave + phase)
        way = (to - body.p) / (abs(to - body.p) + 1e-9)
        speed = pace * (1 + 0.08 * np.sin(stage.t * 0.9 + phase))
        if abs(body.v) > 0.5:
            speed *= max(0.35, (way * body.v.conjugate()).real / abs(body.v))
        speed = min(speed, float(limit[i]))
        if stop:
            speed = min(speed, 0.25 + np.sqrt(2 * 0.6 * body.acc * left) * 0.6)
        if action == "walk" and _must_wait(stage, body, way):
            speed, since = 0.0, 0.0
        body.want = complex(way * speed)
        if left < best - 0.05:
            best, since = left, 0.0
        since += STEP_S
        if since > STUCK_S and i >= len(line) - 1 and left < 2.5:
            break
        if since > 2 * STUCK_S:
            line, i, best, since = way_by(stage, [body.p, goal]), 0, np.inf, 0.0
            limit = _bends(line, body.acc)
        yield
    if stop:
        body.want = 0j


def way_by(stage: Stage, points: Sequence[complex]) -> np.ndarray:
    """(n,) complex: the way from one point to the next, bends rounded; straight where there is no other."""
    legs = []
    for a, b in pairwise(points):
        leg = stage.ground.route(a, b)
        legs.append(leg if leg is not None else np.array([a, b]))
    if len(legs) == 1:
        return legs[0]
    return smooth(resample(np.concatenate([legs[0], *(leg[1:] for leg in legs[1:])]), 0.25), 8.0)


def _bends(line: np.ndarray, acc: float) -> np.ndarray:
    """(n,) m/s: how fast one can follow a line (n,) with half of an acceleration, seeing its bends in time."""
    if len(line) < 5:
        return np.full(len(line), np.inf)
    step = np.abs(np.gradient(line)) + 1e-9
    bend = np.abs(np.gradient(np.unwrap(np.angle(np.gradient(line))))) / step
    limit = np.sqrt(0.5 * acc / np.maximum(bend, 1e-3))
    for i in range(len(line) - 2, -1, -1):
        limit[i] = min(limit[i], np.sqrt(limit[i + 1] ** 2 + acc * step[i]))
    return np.asarray(limit)


def _must_wait(stage: Stage, body: Body, way: complex) -> bool:
    """Whether the next step would be onto the road, in front of a car."""
    ground = stage.ground
    if ground.on_road(body.p) or not ground.on_road(body.p + way * 1.2):
        return False
    return cars_come(stage, body.p + way * 3.0, GIVE_WAY_S)


def cars_come(stage: Stage, middle: complex, within_s: float) -> bool:
    """Whether a car that drives will be at a point of the road within that time."""
    for car in stage.present("vehicle"):
        away = (middle - car.p) * cmath.exp(-1j * car.heading)
        gap = away.real - car.actor.size_m[0] / 2
        if abs(away.imag) < 4 and -car.actor.size_m[0] - 1 < gap < 1.5 + abs(car.v) * within_s and abs(car.v) > 0.4:
            return True
    return False


def straight(
    stage: Stage, body: Body, goal: complex, pace: float, action: str = "walk", near_m: float = 0.3
) -> Program:
    """Move straight to the goal, through everything."""
    body.action, body.face = action, None
    limit = stage.t + 2.0 + 2.0 * abs(goal - body.p) / pace
    while abs(goal - body.p) > near_m and stage.t < limit:
        body.want = (goal - body.p) / abs(goal - body.p) * pace
        yield


def wait(stage: Stage, body: Body, seconds: float, face: float | None = None, action: str = "stand") -> Program:
    """Stay; face: heading to turn to."""
    until = stage.t + seconds
    body.want, body.action = 0j, action
    if face is not None:
        body.face = face
    while stage.t < until:
        body.want = 0j
        yield
    body.face = None


def act(stage: Stage, body: Body, action: str, seconds: float, hold_s: float = 0.0, back: bool = False) -> Program:
    """Do something once, progress from 0 to 1; then hold it, and go back to 0 as fast if `back`."""
    body.want, body.action, body.progress = 0j, action, 0.0
    start = stage.t
    while body.progress < 1:
        body.want = 0j
        body.progress = min(1.0, (stage.t - start) / seconds)
        yield
    until = stage.t + hold_s
    while stage.t < until:
        body.want = 0j
        yield
    while back and body.progress > 0:
        body.want = 0j
        body.progress = max(0.0, body.progress - STEP_S / seconds)
        yield
    if back:
        body.action = "stand"


def fall(stage: Stage, body: Body, seconds: float = 0.8) -> Program:
    """Fall over and lie."""
    body.face = body.heading
    body.acc = max(body.acc, 6.0)
    yield from act(stage, body, "fall", seconds)
    body.action, body.progress = "lie", 1.0
    yield


def lie(stage: Stage, body: Body, seconds: float = np.inf) -> Program:
    yield from wait(stage, body, seconds, body.heading, "lie")


def leave(stage: Stage, body: Body, pace: float, action: str = "walk", gate: complex | None = None) -> Program:
    """Go out by an entrance, a random one of those that can be reached, and be gone."""
    found = stage.ground.gate(stage.rng, body.p, 4.0, wheels=body.kind in ("rider", "vehicle"))
    if gate is not None and stage.ground.gates:
        found = min(stage.ground.gates, key=lambda g: abs(g[0] - gate))
    if found is None:
        yield from wait(stage, body, np.inf)
        return
    inner, outer = found
    yield from go(stage, body, inner, pace, action, near_m=1.0)
    yield from straight(stage, body, outer, pace, action, near_m=0.4)


def accompany(stage: Stage, body: Body, leader: Body, slot: complex, pace: float) -> Program:
    """Walk with someone, at a place in his frame (ahead, left); leave with him."""
    while not leader.gone:
        at = leader.p + slot * cmath.exp(1j * leader.heading)
        if stage.ground.room_at(at) < 0.2:
            at = leader.p - 0.8 * cmath.exp(1j * leader.heading) * abs(slot)
        want = leader.v + 1.2 * (at - body.p)
        most = max(1.5 * pace, 1.2 * abs(leader.v))
        body.want = want if abs(want) <= most else want / abs(want) * most
        if abs(body.want) < 0.15:
            body.want = 0j
        body.action = leader.action if leader.action in ("walk", "run") else "walk"
        body.face = None
        if abs(leader.v) < 0.2 and abs(body.v) < 0.3:
            body.face = cmath.phase(leader.p - body.p)
        yield
    yield from leave(stage, body, pace, gate=leader.p)


def follow_rail(
    stage: Stage,
    body: Body,
    rail: Rail,
    s: float,
    v: float,
    pace: float,
    aside: Callable[[], float] = lambda: 0.0,
    careful: bool = True,
    back: bool = False,
    until_s: float = np.inf,
    goal_m: float = np.inf,
) -> Program:
    """Drive along a rail from s at v m/s, at `pace` if nothing is in the way (intelligent driver model, Treiber et al.
    2000, eq. 3). aside: metres to the left; back: against its direction; goal_m: stop there for good."""
    lateral, shift = aside(), 0.0
    number = body.rail = stage.rails.index(rail)
    while 0 <= s <= rail.length and stage.t < until_s:
        p, heading = rail.at(s, lateral)
        # Aside by 1 m/s at most, and eased in and out.
        to = float(np.clip(0.08 * (aside() - lateral), -STEP_S, STEP_S)) * min(1.0, v / 2)
        shift += float(np.clip(to - shift, -0.006, 0.006))
        lateral += shift
        lean = np.arctan2(shift, max(v * STEP_S, 0.05)) * 0.7
        body.put(p, heading + lean + (np.pi if back else 0.0))
        gap, lead = _ahead(stage, body, v) if careful else (np.inf, 0.0)
        if careful and not back:
            gap, lead = min((gap, lead), (_crossings(stage, body, rail, number, s, v), 0.0))
        gap = min(gap, (goal_m - s if not back else s - goal_m) if goal_m < np.inf else np.inf)
        free = 1 - (v / max(pace, 0.1)) ** 4
        safe = 1.5 + 1.2 * v + v * (v - lead) / (2 * np.sqrt(2.0 * BRAKE))
        push = 2.0 * (free - (max(safe, 1.0) / max(gap, 0.3)) ** 2)
        v = max(0.0, v + float(np.clip(push, -6.0, 2.5)) * STEP_S)
        s += (-v if back else v) * STEP_S
        yield
    for holders in stage.held.values():
        holders.discard(body)


def _ahead(stage: Stage, body: Body, v: float) -> tuple[float, float]:
    """Metres to the next thing in the way and its speed along the way; infinity if there is none."""
    length, width = body.actor.size_m[0], body.actor.size_m[1]
    look = 6 + v * v / (2 * BRAKE) + 2 * v
    turned = cmath.exp(-1j * body.heading)
    best = (np.inf, 0.0)
    for other in stage.present():
        if other is body or not other.solid or other.tied is not None:
            continue
        away = (other.p - body.p) * turned
        if not 0 < away.real < look + 5 or abs(away.imag) > width / 2 + 3:
            continue
        facing = np.cos(other.heading - body.heading)
        if other.kind == "vehicle":
            if facing < -0.3:
                continue
            along = abs(facing) * other.actor.size_m[0] / 2 + abs(np.sin(other.heading - body.heading)) * 0.9
            across = abs(np.sin(other.heading - body.heading)) * other.actor.size_m[0] / 2 + other.actor.size_m[1] / 2
        else:
            if facing < -0.3 and body.kind == "person":
                continue
            along, across = other.radius, min(other.radius, 0.3)
            # Where a person will be when the car arrives counts, not where it is.
            away += complex(0, (other.v * turned).imag * min(away.real / max(v, 2.0), 1.5))
        if abs(away.imag) > width / 2 + across + 0.15:
            continue
        gap = away.real - length / 2 - along
        if gap < best[0] and gap < look:
            best = (max(gap, 0.1), max((other.v * turned).real, 0.0))
    return best


def _crossings(stage: Stage, body: Body, rail: Rail, number: int, s: float, v: float) -> float:
    """Metres to where it has to stop: for people at a crossing, or for traffic that is already on the crossing road."""
    half = body.actor.size_m[0] / 2
    stop = np.inf
    for at, point in stage.crossings[number]:
        gap = at - s - half - 2.0
        if gap < 0 or gap > 4 + v * v / (2 * BRAKE) + 2 * v or gap < v * v / (2 * 5.0):
            continue
        for person in stage.present("person"):
            off = abs(person.p - point)
            wants = abs(person.v) > FIRM_M_S and (person.v.conjugate() * (point - person.p)).real > 0
            if off < rail.width / 2 + 0.8 or (off < rail.width / 2 + 3.0 and wants):
                stop = min(stop, gap)
                break
    for other, mine in stage.conflicts[number]:
        holders = stage.held.setdefault((min(other, number), max(other, number)), set())
        holders -= {h for h in holders if h.gone}
        gap = mine - s - half - 3.0
        if body in holders:
            if s > mine + half + 2.5:
                holders.discard(body)
        elif gap < 2 + v * v / (2 * BRAKE) + v and s < mine:
            if all(h.rail == number for h in holders):
                holders.add(body)
            elif gap >= 0:
                stop = min(stop, gap)
    return stop


def attend(stage: Stage, body: Body, point: complex) -> float:
    """Heading from a body to a point."""
    return cmath.phase(point - body.p) if abs(point - body.p) > 1e-6 else body.heading
