"""Anomalies on wheels: cycling, skating and driving where one walks, the wrong way, and accidents.

Next: training/datasets/synthetic/scripts_things.py
"""

import cmath

import numpy as np

from training.datasets.synthetic.crowd import Body, Program, Stage
from training.datasets.synthetic.paths import STEP_S, Rail
from training.datasets.synthetic.scripts_moves import act, follow_rail, go, leave, straight, wait, way_by
from training.datasets.synthetic.scripts_people import nearer, onset, place, some
from training.datasets.synthetic.scripts_traffic import cyclist, enter, passenger, speed_on, vehicle
from training.datasets.synthetic.scripts_walkers import somebody

CYCLE_M_S = (2.8, 6.5)
SKATE_M_S = (2.5, 5.0)
DRIVE_M_S = (2.5, 6.5)
CRASH_M_S2 = 14.0  # a car that has hit something stops so fast
CAR_ROOM_M = 1.3  # half of what a car needs between walls


def cycling(stage: Stage) -> None:
    """Rides a bicycle where people walk."""
    phrase = stage.pick(f"rides a bicycle across the {ground_word(stage)}", "cycles among the pedestrians",
                        "rides a bicycle where people walk", "rides through on a bicycle")  # fmt: skip
    _riders(stage, "cyclist", "ride", "cycling", phrase, CYCLE_M_S)


def skating(stage: Stage) -> None:
    """Rides a skateboard or a scooter where people walk."""
    ground = ground_word(stage)
    if stage.chance(0.25):
        phrase = stage.pick(f"rides a scooter across the {ground}", "rides a scooter among the pedestrians",
                            "rolls through on a scooter")  # fmt: skip
        _riders(stage, "scooter rider", "ride", "skating", phrase, SKATE_M_S)
        return
    phrase = stage.pick(f"skates across the {ground}", "rides a skateboard among the pedestrians",
                        "skates past the people", "rolls through on a skateboard")  # fmt: skip
    _riders(stage, "skater", "skate", "skating", phrase, SKATE_M_S)


def ground_word(stage: Stage) -> str:
    """What one calls the ground people walk on here."""
    name, word = stage.layout.name, "floor" if stage.layout.indoor else "walkway"
    return name if name in ("plaza", "walkway", "school yard", "platform", "corridor", "shopping street") else word


def _riders(stage: Stage, noun: str, action: str, anomaly: str, phrase: str, paces: tuple[float, float]) -> None:
    t_s, pace = onset(stage), stage.between(*paces)
    for k in range(some(stage, 7, 2, 1)):
        body = somebody(stage, t_s + stage.between(0.6, 1.5) * k if t_s > 0 else None, noun, "rider")
        body.program = _rides(stage, body, action, anomaly, phrase, pace * stage.between(0.9, 1.1))


def _rides(stage: Stage, body: Body, action: str, anomaly: str, phrase: str, pace: float) -> Program:
    """Across with some weaving; some ride around for a while."""
    turns: list[complex] = []
    at = body.p
    for _ in range(int(stage.rng.choice([0, 1, 2, 3], p=[0.45, 0.3, 0.15, 0.1]))):
        at = max((place(stage, 0.9, 1.5, at) for _ in range(4)), key=lambda q: abs(q - at))
        turns.append(at)
    gate = stage.ground.gate(stage.rng, at, 12.0, wheels=True)
    goal = gate[0] if gate is not None else place(stage, 0.9, 1.5, at)
    line = way_by(stage, [body.p, *turns, goal])
    body.heading = cmath.phase(complex(line[min(4, len(line) - 1)]) - body.p)
    body.v = pace * cmath.exp(1j * body.heading)
    body.begin(anomaly, phrase, stage.t)
    yield from go(stage, body, goal, pace, action, weave_m=stage.between(0.1, 0.7), near_m=1.0, via=turns)
    yield from leave(stage, body, pace, action, goal)


def driving(stage: Stage) -> None:
    """Drives a vehicle where people walk."""
    noun = stage.pick("car", "car", "van", "motorcycle", "motorcycle", "golf cart")
    phrase = stage.pick(f"drives across the {ground_word(stage)}", "drives among the pedestrians",
                        "drives where people walk", "drives through the people")  # fmt: skip
    ways = roomy_ways(stage)
    t_s, (a, b) = onset(stage), ways[int(stage.rng.integers(len(ways)))]
    body = stage.add(noun, "vehicle", a, cmath.phase(b - a), t_s)
    body.acc, body.turn = 2.5, 1.2
    body.program = _drives(stage, body, b, "ride" if noun == "motorcycle" else "drive", phrase, t_s)


def roomy_ways(stage: Stage) -> list[tuple[complex, complex]]:
    """Pairs of entrances (their outsides) between which a car can pass; no doors, and not all if there are many."""
    ground = stage.ground
    gates = [g for g in ground.gates if not ground.is_door(g[0])]
    gates.sort(key=lambda g: -float(ground.nearness(g[0])))
    gates = gates[:: max(1, len(gates) // 8)]
    found = []
    for inner, a in gates:
        for goal, b in gates:
            line = ground.route(inner, goal) if abs(goal - inner) > 8 else None
            rooms = [ground.room_at(complex(p)) for p in line[8:-8:3]] if line is not None else []
            if rooms and np.quantile(rooms, 0.1) >= CAR_ROOM_M:
                found.append((a, b))
    return found


def _drives(stage: Stage, body: Body, goal: complex, action: str, phrase: str, t_s: float) -> Program:
    pace = stage.between(*DRIVE_M_S)
    line = stage.ground.route(body.p, goal)
    if t_s < 0 and line is not None:
        k = int(stage.between(0.1, 0.5) * len(line))
        body.p = complex(line[k])
        body.heading = cmath.phase(complex(line[min(k + 2, len(line) - 1)]) - body.p)
    body.v = pace * cmath.exp(1j * body.heading)
    body.begin("driving", phrase, stage.t)
    if stage.chance(0.25) and line is not None:
        middle = complex(line[int(stage.between(0.4, 0.7) * len(line))])
        yield from go(stage, body, middle, pace, action, stop=True, near_m=1.0)
        yield from wait(stage, body, stage.between(1, 4), body.heading, action)
    yield from go(stage, body, goal, pace, action, weave_m=stage.between(0, 0.3), near_m=1.5)
    yield from straight(stage, body, goal + 3 * cmath.exp(1j * body.heading), pace, action)


def wrong_way(stage: Stage) -> None:
    """Drives, rides or walks against the direction of a lane."""
    numbers = [i for i, r in enumerate(stage.rails) if r.use in ("cars", "bicycles", "people")]
    number = numbers[int(stage.rng.integers(len(numbers)))]
    rail, t_s = stage.rails[number], onset(stage)
    late = t_s > 0
    s = rail.length if late else rail.length * stage.between(0.6, 0.95)
    if rail.use == "people":
        phrase = stage.pick("walks against the stream", "goes the wrong way", "walks in the wrong direction")
        for k in range(some(stage, 7, 2)):
            pace = stage.between(1.1, 2.0)
            body = passenger(stage, rail, s, t_s + 0.9 * k if late else None, stands=False, back=True)
            body.program = _against(stage, body, rail, s, pace, 0.35 * rail.width, phrase)
        return
    stage.closed.add(number)
    if rail.use == "bicycles":
        phrase = stage.pick(
            "cycles against the traffic", "rides a bicycle the wrong way", "cycles in the wrong direction"
        )
        body = stage.add("cyclist", "rider", rail.at(s)[0], rail.at(s)[1] + np.pi, t_s if late else None)
        body.action = "ride"
        cyclist(stage, rail, stage.between(0, 0.3) * rail.length, None, -0.25 * rail.width)
    else:
        phrase = stage.pick("drives against the traffic", "drives the wrong way", "drives in the wrong direction")
        body = vehicle(stage, rail, s, stage.pick("car", "car", "van", "motorcycle"), t_s if late else None, back=True)
        meets = vehicle(stage, rail, 0.0, "car", t_s + stage.between(1, 5))
        meets.program = follow_rail(
            stage, meets, rail, 0.0, 6.0, speed_on(stage, rail), lambda: -0.28 * rail.width, careful=False
        )
    body.program = _against(stage, body, rail, s, speed_on(stage, rail) * 0.8, 0.28 * rail.width, phrase)


def _against(stage: Stage, body: Body, rail: Rail, s: float, pace: float, aside: float, phrase: str) -> Program:
    body.begin("wrong way", phrase, stage.t)
    yield from follow_rail(stage, body, rail, s, pace, pace, lambda: aside, back=True)


def traffic_accident(stage: Stage) -> None:
    """A car runs into a car, a cyclist or someone on foot; both stay where they are."""
    numbers = [i for i, r in enumerate(stage.rails) if r.use == "cars"]
    number = numbers[int(stage.rng.integers(len(numbers)))]
    rail = stage.rails[number]
    stage.closed.add(number)
    stations = [float(s) for s in np.arange(3, rail.length - 4, 0.5) if stage.ground.margin(rail.at(s)[0]) > 3]
    s = stations[nearer(stage, [rail.at(s)[0] for s in stations])] if stations else rail.length / 2
    t_s = round(max(onset(stage), -1.0) / STEP_S) * STEP_S
    victim = stage.pick("car", "car", "cyclist", "person")
    hitter = vehicle(stage, rail, 0.0, stage.pick("car", "car", "van"))
    speed = min(stage.between(5.5, 10.0), 1.5 * speed_on(stage, rail))
    front = s - hitter.actor.size_m[0] / 2
    told = {
        "car": ("runs into another car", "crashes into a car in front of it", "hits another car and stops"),
        "cyclist": ("hits a cyclist", "runs into a cyclist", "knocks a cyclist over"),
        "person": ("hits a person on the road", "runs over a person", "knocks a person down"),
    }[victim]
    hitter.program = _hits(stage, hitter, rail, front, speed, t_s, stage.pick(*told))
    hitter.start_s = max(hitter.start_s, t_s - front / speed)
    hitter.p, hitter.heading = rail.at(max(0.0, front - speed * (t_s - hitter.start_s)))
    _victim(stage, victim, rail, s, speed, t_s)
    stage.later(t_s + 2.5, lambda: _next_car(stage, rail))


def _next_car(stage: Stage, rail: Rail) -> None:
    """Traffic goes on behind an accident, and stops there."""
    body = vehicle(stage, rail, 0.0, "car", stage.t)
    body.program = enter(stage, body, rail)


def _hits(stage: Stage, body: Body, rail: Rail, front: float, speed: float, t_s: float, phrase: str) -> Program:
    s, v, aside, twist = front - speed * STEP_S, speed, 0.0, 0.0
    sway = stage.between(0.3, 1.0) * stage.rng.choice([-1, 1])
    while stage.t < t_s - 1e-6:
        p, heading = rail.at(front - speed * (t_s - stage.t))
        body.put(p, heading)
        yield
    body.begin("traffic accident", phrase, stage.t)
    while True:
        v = max(0.0, v - CRASH_M_S2 * STEP_S)
        s, aside, twist = s + v * STEP_S, aside + 0.12 * sway * v * STEP_S, twist + 0.12 * sway * v * STEP_S
        p, heading = rail.at(s, aside)
        body.put(p, heading + twist)
        yield


def _victim(stage: Stage, noun: str, rail: Rail, s: float, speed: float, t_s: float) -> None:
    """Who is hit at s at t_s: a car that has stopped, a cyclist who rides ahead, somebody who crosses."""
    p, heading = rail.at(s)
    side = 1j * cmath.exp(1j * heading)
    if noun == "car":
        body = vehicle(stage, rail, s, "car")
        middle = s + body.actor.size_m[0] / 2
        body.program = _is_rammed(stage, body, rail, middle, speed, t_s)
        body.start_s = max(body.start_s, t_s - 1.5 - middle / speed)
    elif noun == "cyclist":
        body = stage.add("cyclist", "rider", p, heading)
        body.action = "ride"
        body.program = _is_knocked(stage, body, p - 0.75j * side, heading, 3.5, speed, t_s)
        body.start_s = max(body.start_s, t_s - s / 3.5)
    else:
        across = heading + np.pi / 2 * stage.rng.choice([-1, 1])
        body = stage.add("person", "person", p, across)
        body.program = _is_knocked(stage, body, p, across, 1.4, speed, t_s)
        body.start_s = max(body.start_s, t_s - (rail.width / 2 + 2) / 1.4)


def _is_rammed(stage: Stage, body: Body, rail: Rail, middle: float, speed: float, t_s: float) -> Program:
    """Drive there, stop a second before, be pushed on and turned."""
    begin = max(0.0, middle - speed * (t_s - 1.5 - stage.t))
    for _ in follow_rail(stage, body, rail, begin, speed, speed, careful=False, goal_m=middle + 2.5):
        if stage.t >= t_s - 1e-6:
            break
        yield
    body.begin(
        "traffic accident", stage.pick("is hit by a car", "is rammed from behind", "is pushed on by a crash"), t_s
    )
    s, v, twist = rail.find(body.p)[0], 0.6 * speed, 0.0
    sway = stage.between(-0.2, 0.2)
    while True:
        v = max(0.0, v - 0.5 * CRASH_M_S2 * STEP_S)
        s, twist = s + v * STEP_S, twist + sway * v * STEP_S
        p, heading = rail.at(s)
        body.put(p, heading + twist)
        yield


def _is_knocked(stage: Stage, body: Body, p: complex, heading: float, pace: float, speed: float, t_s: float) -> Program:
    """Go on steadily so as to be at p at t_s, be thrown aside and lie."""
    way = cmath.exp(1j * heading)
    body.p, body.heading, body.loose = p - way * pace * (t_s - stage.t), heading, True
    while stage.t < t_s - 1e-6:
        body.put(p - way * pace * (t_s - stage.t), heading)
        yield
    phrase = stage.pick("is hit by a car", "is knocked down by a car", "is run over")
    body.begin("traffic accident", phrase, stage.t)
    body.acc, body.face = 9.0, body.heading
    body.v = way * pace + 0.5 * speed * cmath.exp(1j * heading)
    yield from act(stage, body, "fall", 0.6)
    # Riders have no pose for lying: they stay fallen with their bicycles.
    yield from wait(stage, body, np.inf, body.heading, "lie" if body.kind == "person" else "fall")
