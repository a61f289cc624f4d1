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
    park(stage)
    for number, rail in enumerate(stage.rails):
        if number in stage.closed:
            continue
        if rail.use == "cars":
            _cars(stage, rail, busy)
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
    s = stage.between(0, rail.length * (1.3 - busy))
    while s < rail.length - 5:
        body = vehicle(stage, rail, s, _noun(stage))
        pace = speed_on(stage, rail)
        body.program = follow_rail(stage, body, rail, s, pace, pace)
        s += body.actor.size_m[0] + stage.between(9, 15 + 50 * (1 - busy))
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
    yield from follow_rail(stage, body, rail, 0.0, pace, pace)


def _cyclists(stage: Stage, rail: Rail, busy: float) -> None:
    for k in range(int(stage.rng.poisson(0.8 + 2.2 * busy))):
        start = None if k == 0 and stage.chance(0.5) else stage.between(-3, stage.seconds)
        s = stage.between(0, rail.length * 0.6) if start is None else 0.0
        cyclist(stage, rail, s, start)


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


def park(stage: Stage) -> None:
    """A car at every parked car's spot; some pull out."""
    for spot in stage.layout.spots.get("parked car", ()):
        p = complex(*spot)
        if any(abs(b.p - p) < 1 for b in stage.bodies):
            continue
        body = parked(stage, p)
        rail = near_rail(stage, p)
        if rail is not None and stage.chance(0.15) and stage.rails.index(rail) not in stage.closed:
            body.program = _pull_out(stage, body, rail, stage.between(0, stage.seconds))


def near_rail(stage: Stage, p: complex) -> Rail | None:
    """The car lane next to a point, if one is near."""
    cars = [r for r in stage.rails if r.use == "cars"]
    best = min(cars, key=lambda r: r.find(p)[1], default=None)
    return best if best is not None and best.find(p)[1] < 6 else None


def parked(stage: Stage, p: complex) -> Body:
    """A car that stands at a point, along the nearest lane."""
    cars = [r for r in stage.rails if r.use == "cars"]
    best = min(cars, key=lambda r: r.find(p)[1], default=None)
    heading = best.at(best.find(p)[0])[1] if best is not None else stage.pick("0", "3.14159")
    body = stage.add("car" if stage.chance(0.85) else "van", "vehicle", p, float(heading))
    body.action, body.phrase, body.program = "stand", stage.pick("is parked", "stands parked"), stay(body)
    return body


def stay(body: Body) -> Program:
    """Stand there for good."""
    heading = body.heading
    while True:
        body.put(body.p, heading)
        yield


def _pull_out(stage: Stage, body: Body, rail: Rail, start_s: float) -> Program:
    """Wait for a gap, then drive away along the lane."""
    s, aside = rail.find(body.p)[0], 0.0
    p, heading = rail.at(s)
    aside = ((body.p - p) * cmath.exp(-1j * heading)).imag
    ways = stay(body)
    while stage.t < start_s or any(
        -18 < ((b.p - body.p) * cmath.exp(-1j * heading)).real < 9 and abs(b.p - body.p) < 18 and b.rail is not None
        for b in stage.present("vehicle")
        if b is not body
    ):
        next(ways)
        yield
    body.action, body.phrase = "drive", stage.pick("pulls out and drives away", "pulls out of its parking space")
    begin = stage.t

    def side() -> float:
        return aside * max(0.0, 1 - (stage.t - begin) / 5)

    offset = (body.p - rail.at(s, aside)[0]) * cmath.exp(-1j * heading)
    s += offset.real
    yield from follow_rail(stage, body, rail, s, 0.0, 0.7 * speed_on(stage, rail), side)


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
