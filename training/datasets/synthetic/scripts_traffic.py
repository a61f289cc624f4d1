"""Traffic: cars, cyclists and trains in their lanes, people on escalators, parked cars, birds.

Next: training/datasets/synthetic/scripts_people.py
"""

import cmath

import numpy as np

from training.datasets.synthetic.crowd import WARM_S, Body, Program, Stage
from training.datasets.synthetic.paths import Rail
from training.datasets.synthetic.scripts_moves import follow_rail

VEHICLES = {"car": 0.66, "van": 0.14, "motorcycle": 0.1, "bus": 0.06, "truck": 0.04}
TOWN_M_S = (6.0, 11.0)
RIDE_M_S = (3.2, 6.0)


def traffic(stage: Stage, busy: float) -> None:
    """Ordinary traffic in every lane that is not closed; busy: 0 to 1."""
    for number, rail in enumerate(stage.rails):
        if number in stage.closed:
            continue
        if rail.use == "cars":
            _cars(stage, rail, busy)
            if "cycling" in stage.layout.normal and not any(r.use == "bicycles" for r in stage.rails):
                _cyclists(stage, rail, 0.3 * busy, -(rail.width / 2 - 0.6))
        elif rail.use == "bicycles":
            _cyclists(stage, rail, busy)
        elif rail.use == "people":
            _passage(stage, rail, busy)
        elif rail.use == "trains" and stage.chance(0.4):
            train(stage, rail)
    if not stage.layout.indoor and stage.chance(0.3):
        birds(stage)


def vehicle(stage: Stage, rail: Rail, s: float, noun: str, start_s: float | None = None, back: bool = False) -> Body:
    """A vehicle on a rail, without a program."""
    p, heading = rail.at(s)
    body = stage.add(noun, "vehicle", p, heading + (np.pi if back else 0.0), start_s)
    body.action, body.phrase = "drive", stage.pick("drives along", "drives by", "drives down the road")
    if noun == "motorcycle":
        body.action, body.phrase = "ride", stage.pick("rides along", "rides down the road")
    return body


def speed_on(stage: Stage, rail: Rail) -> float:
    """A usual speed on a rail, m/s: short lanes (car parks, yards) are driven slowly."""
    if rail.use == "bicycles":
        return stage.between(*RIDE_M_S)
    bends = np.abs(np.diff(rail.headings)).max() / Rail.STEP_M
    return min(stage.between(*TOWN_M_S), 2.5 + rail.length / 8, float(np.sqrt(2.5 / max(bends, 1e-3))))


def _noun(stage: Stage) -> str:
    names = list(VEHICLES)
    return names[int(stage.rng.choice(len(names), p=list(VEHICLES.values())))]


def _cars(stage: Stage, rail: Rail, busy: float) -> None:
    """Some already on the way, others to come; every one keeps its distance."""
    aside = room_for_bicycles(stage, rail)
    s = stage.between(0, rail.length * (1.3 - busy))
    while s < rail.length - 5:
        body = vehicle(stage, rail, s, _noun(stage))
        pace = speed_on(stage, rail)
        body.program = follow_rail(stage, body, rail, s, pace, pace, lambda: aside)
        s += body.actor.size_m[0] + stage.between(9, 15 + 50 * (1 - busy))
    if rail.width > 3.2 and aside == 0 and stage.chance(0.12):
        pulls_out(stage, rail)
    t = stage.between(-2, 4 + 10 * (1 - busy))
    while t < stage.seconds:
        body = vehicle(stage, rail, 0.0, _noun(stage), t)
        body.program = enter(stage, body, rail)
        t += stage.between(3, 6 + 16 * (1 - busy))


def enter(stage: Stage, body: Body, rail: Rail) -> Program:
    """Come by the beginning of a rail, as soon as there is room."""
    pace = speed_on(stage, rail)
    body.solid = False
    while any(b.solid and abs(b.p - rail.at(0.0)[0]) < 7 + body.actor.size_m[0] for b in stage.present("vehicle")):
        body.put(body.p, body.heading)
        yield
        body.rows.clear()
        body.actions.clear()
    body.solid = True
    aside = room_for_bicycles(stage, rail)
    yield from follow_rail(stage, body, rail, 0.0, pace, pace, lambda: aside)


def room_for_bicycles(stage: Stage, rail: Rail) -> float:
    """How far cars keep to the left because of a lane for bicycles at the edge of theirs."""
    for other in stage.rails:
        p = other.at(other.length / 2)[0]
        if other.use == "bicycles" and rail.use == "cars" and rail.find(p)[1] < 2.0:
            s, off = rail.find(p)
            left = ((p - rail.at(s)[0]) * cmath.exp(-1j * rail.at(s)[1])).imag > 0
            return (-1 if left else 1) * min(0.5, max(0.0, 2.0 - off))
    return 0.0


def _cyclists(stage: Stage, rail: Rail, busy: float, aside: float = 0.0) -> None:
    for k in range(int(stage.rng.poisson((0.8 if aside == 0 else 0.2) + 2.2 * busy))):
        start = None if k == 0 and stage.chance(0.5) else stage.between(-3, stage.seconds)
        s = stage.between(0, rail.length * 0.6) if start is None else 0.0
        cyclist(stage, rail, s, start, aside)


def cyclist(stage: Stage, rail: Rail, s: float, start: float | None, aside: float = 0.0) -> Body:
    """Rides where it may be ridden."""
    p, heading = rail.at(s, aside)
    body = stage.add("cyclist", "rider", p, heading, start)
    body.action, body.phrase = "ride", stage.pick("rides a bicycle", "cycles along", "rides by on a bicycle")
    wobble, phase, pace = stage.between(0.02, 0.12), stage.between(0, 6.28), stage.between(*RIDE_M_S)
    body.program = follow_rail(
        stage, body, rail, s, pace, pace, lambda: aside + wobble * float(np.sin(0.9 * stage.t + phase))
    )
    return body


def _passage(stage: Stage, rail: Rail, busy: float) -> None:
    """People in a one-way passage or on an escalator."""
    moving = stage.chance(0.5) and rail.width < 1.6
    for k in range(int(stage.rng.poisson(1 + 5 * busy))):
        start = None if k % 2 == 0 else stage.between(0, stage.seconds)
        s = stage.between(0, rail.length) if start is None else 0.0
        passenger(stage, rail, s, start, stands=moving)


def passenger(stage: Stage, rail: Rail, s: float, start: float | None, stands: bool, back: bool = False) -> Body:
    aside = stage.between(-0.25, 0.25) * rail.width
    p, heading = rail.at(s, aside)
    body = stage.add("person", "person", p, heading + (np.pi if back else 0.0), start)
    body.phrase = stage.pick("walks with the others", "goes the usual way", "walks through the passage")
    pace = 0.55 if stands else stage.between(0.9, 1.5)
    body.program = follow_rail(stage, body, rail, s, pace, pace, lambda: aside, back=back)
    return body


def train(stage: Stage, rail: Rail) -> None:
    body = stage.add("train", "vehicle", rail.at(0)[0], rail.at(0)[1], stage.between(-WARM_S, stage.seconds * 0.6))
    body.action, body.phrase = "drive", stage.pick("runs along its track", "passes", "runs through")
    pace = stage.between(5, 14)
    body.program = follow_rail(stage, body, rail, 0.0, pace, pace, careful=False)


def pulls_out(stage: Stage, rail: Rail) -> None:
    """A car that stands at the edge of its lane, waits for a gap and drives away."""
    s, heading = stage.between(0.2, 0.6) * rail.length, 0.0
    edge = -(rail.width / 2 - 1.0)
    p, heading = rail.at(s, edge)
    body = stage.add("car" if stage.chance(0.85) else "van", "vehicle", p, heading)
    body.action, body.phrase = "stand", stage.pick("pulls out and drives away", "starts and drives away")
    body.program = _pull_out(stage, body, rail, s, edge, stage.between(0, 6))


def _pull_out(stage: Stage, body: Body, rail: Rail, s: float, edge: float, start_s: float) -> Program:
    p, heading = body.p, body.heading
    while stage.t < start_s or _coming(stage, body):
        body.put(p, heading)
        yield
    body.action, begin = "drive", stage.t
    pace = 0.7 * speed_on(stage, rail)
    yield from follow_rail(stage, body, rail, s, 0.0, pace, lambda: edge * max(0.0, 1 - (stage.t - begin) / 5))


def _coming(stage: Stage, body: Body) -> bool:
    """Whether somebody drives up from behind who would have to brake hard."""
    for other in stage.present("vehicle"):
        away = ((other.p - body.p) * cmath.exp(-1j * body.heading)).real
        if other is not body and abs(other.v) > 1 and -18 < away < 6 and abs(other.p - body.p) < 18:
            return True
    return False


def birds(stage: Stage) -> None:
    """A few fly across, high up."""
    x0, y0, x1, y1 = stage.layout.extent
    start, left, y = stage.between(0, stage.seconds), stage.chance(0.5), stage.between(y0, y1)
    for _ in range(int(stage.rng.integers(1, 5))):
        p = complex(x1 + 1 if left else x0 - 1, y + stage.between(-3, 3))
        body = stage.add("bird", "bird", p, np.pi if left else 0.0, start + stage.between(0, 1.5))
        body.phrase, body.acc, body.loose, body.solid = stage.pick("flies by", "flies across"), 20.0, True, False
        body.program = _flies(stage, body, x0 - 1.5 if left else x1 + 1.5, stage.between(3, 6))


def _flies(stage: Stage, body: Body, goal_x: float, height: float) -> Program:
    speed, phase = stage.between(5, 9), stage.between(0, 6)
    way = 1.0 if goal_x > body.p.real else -1.0
    while (goal_x - body.p.real) * way > 0:
        body.z = height + 0.6 * float(np.sin(stage.t * 1.3 + phase))
        body.want = complex(way * speed, 0.8 * np.sin(stage.t + phase))
        yield
