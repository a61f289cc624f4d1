"""Anomalies of people: running, fighting, falling, loitering; and what all anomalies share.

Every script puts its perpetrators on the stage and says, by `begin` and `end`, when what they do is to be seen.

Next: training/datasets/synthetic/scripts_ways.py
"""

import cmath

import numpy as np

from training.datasets.synthetic.crowd import WARM_S, Body, Program, Stage
from training.datasets.synthetic.paths import STEP_S
from training.datasets.synthetic.scripts_moves import act, attend, fall, go, leave, lie, wait
from training.datasets.synthetic.scripts_walkers import pace_of, somebody

RUN_M_S = (3.0, 5.5)
LEAST_S = 2.5  # an anomaly begins so long before the end, or earlier


def onset(stage: Stage, need_s: float = LEAST_S) -> float:
    """When it begins: any time, in one case of ten or so before the clip does."""
    return max(stage.between(-0.12 * stage.seconds, max(stage.seconds - need_s, 0.1)), -0.8 * WARM_S)


def some(stage: Stage, *shares: float) -> int:
    """1, 2, ... with these shares."""
    return 1 + int(stage.rng.choice(len(shares), p=np.array(shares) / sum(shares)))


def close_by(stage: Stage, room_m: float, margin_m: float) -> complex:
    """A place near the camera rather than far away, for what is small."""
    return max((place(stage, room_m, margin_m) for _ in range(3)), key=lambda p: float(stage.ground.nearness(p)))


def place(stage: Stage, room_m: float = 0.8, margin_m: float = 1.5, near: complex | None = None) -> complex:
    """A point well inside the extent, off the road."""
    best, most = 0j, -np.inf
    for _ in range(30):
        p = stage.ground.anywhere(stage.rng, room_m, near)
        inner = stage.ground.margin(p)
        if inner >= margin_m:
            return p
        if inner > most:
            best, most = p, inner
    return best


def nearer(stage: Stage, points: list[complex]) -> int:
    """The number of a random one of some points; what is near is likelier, as it is seen better."""
    weight = stage.ground.nearness(np.array(points)) ** 2
    return int(stage.rng.choice(len(points), p=weight / weight.sum()))


def perpetrator(stage: Stage, t_s: float, noun: str = "person") -> Body:
    """Someone who will be inside the extent at t_s: there from the beginning, or come in a few seconds before."""
    if t_s < 6 or stage.chance(0.4):
        return somebody(stage, None, noun)
    return somebody(stage, stage.between(max(0.0, t_s - 14), t_s - 4), noun)


def wander(stage: Stage, body: Body, pace: float) -> Program:
    """Walk from one place to another, without end."""
    while True:
        yield from go(stage, body, place(stage, 0.6, 1.5, body.p), pace, near_m=1.0)
        if stage.chance(0.3):
            yield from wait(stage, body, stage.between(0.5, 3))


def until(stage: Stage, body: Body, program: Program, t_s: float, margin_m: float = 1.0) -> Program:
    """Do as the program says until t_s, and then until one is inside the extent and off the road."""
    for _ in program:
        if stage.t >= t_s and stage.ground.margin(body.p) >= margin_m and not stage.ground.on_road(body.p):
            break
        yield


def arrive(stage: Stage, body: Body, p: complex, t_s: float, face: float | None = None) -> Program:
    """Be at p at t_s, or as soon after it as one can walk there."""
    yield from go(stage, body, p, pace_of(stage, body), stop=True, near_m=0.3)
    if stage.t < t_s:
        yield from wait(stage, body, t_s - stage.t, face)


def running(stage: Stage) -> None:
    """Somebody runs through, or breaks into a run; perhaps several, after each other."""
    t_s, count = onset(stage), some(stage, 6, 2, 1)
    how = stage.pick("in", "breaks") if t_s > 1 else "breaks"
    pace = stage.between(*RUN_M_S)
    phrase = stage.pick(
        "runs", "runs through the scene", "suddenly runs", "runs fast past the others", "sprints across"
    )
    first = None
    for k in range(count):
        if how == "in":
            body = somebody(stage, t_s + 0.7 * k)
            body.program = _runs_in(stage, body, pace, phrase)
        else:
            body = perpetrator(stage, t_s)
            if first is not None:
                body.p, body.start_s = first.p - 1.1 * k * cmath.exp(1j * first.heading), first.start_s
                body.company = first.company = first.company or stage.company()
            first = first or body
            body.program = _breaks_into_run(stage, body, t_s + 0.3 * k, pace * stage.between(0.9, 1.1), phrase)


def _runs_in(stage: Stage, body: Body, pace: float, phrase: str) -> Program:
    body.acc = 4.0
    body.begin("running", phrase, stage.t)
    if stage.chance(0.4):
        yield from go(stage, body, place(stage, 0.6, 1.5, body.p), pace, "run", near_m=1.5)
    yield from leave(stage, body, pace, "run")


def _breaks_into_run(stage: Stage, body: Body, t_s: float, pace: float, phrase: str) -> Program:
    yield from until(stage, body, wander(stage, body, pace_of(stage, body)), t_s)
    body.acc = 4.0
    body.begin("running", phrase, stage.t)
    yield from go(stage, body, far_from(stage, body.p), pace, "run", near_m=1.5)
    if stage.chance(0.3):
        yield from go(stage, body, far_from(stage, body.p), pace, "run", near_m=1.5)
    yield from leave(stage, body, pace, "run")


def far_from(stage: Stage, p: complex) -> complex:
    """The farthest of some random places."""
    return max((place(stage, 0.6, 1.0, p) for _ in range(6)), key=lambda q: abs(q - p))


def falling(stage: Stage) -> None:
    """Somebody falls and lies; some get up again, sometimes another comes to help."""
    t_s = onset(stage)
    body = perpetrator(stage, t_s)
    phrase = stage.pick("falls to the ground and stays there", "collapses", "falls over and lies on the ground",
                        "suddenly falls down")  # fmt: skip
    body.program = _falls(stage, body, t_s, phrase)
    if stage.chance(0.35):
        helper = perpetrator(stage, t_s)
        helper.phrase = stage.pick("bends over the person on the ground", "comes to help")
        helper.program = _helps(stage, helper, body)


def _falls(stage: Stage, body: Body, t_s: float, phrase: str) -> Program:
    pace = pace_of(stage, body)
    yield from until(stage, body, wander(stage, body, pace), t_s)
    body.begin("falling", phrase, stage.t)
    yield from fall(stage, body, stage.between(0.5, 1.2))
    if stage.chance(0.75):
        yield from lie(stage, body)
    yield from lie(stage, body, stage.between(3, 10))
    yield from get_up(body)
    body.end(stage.t - STEP_S)
    yield from wait(stage, body, stage.between(0.5, 2))
    yield from leave(stage, body, 0.8 * pace)


def get_up(body: Body) -> Program:
    body.action = "fall"
    while body.progress > 0:
        body.progress, body.want = max(0.0, body.progress - STEP_S / 1.6), 0j
        yield
    body.action, body.face, body.acc = "stand", None, 2.5


def _helps(stage: Stage, body: Body, victim: Body) -> Program:
    pace = pace_of(stage, body)
    for _ in wander(stage, body, pace):
        if victim.action == "lie":
            break
        yield
    yield from wait(stage, body, stage.between(0.5, 2), attend(stage, body, victim.p))
    yield from go(stage, body, victim.p, 1.6, stop=True, near_m=0.9)
    body.face = attend(stage, body, victim.p)
    yield from act(stage, body, "crouch", 0.8, stage.between(3, 20), back=True)
    yield from wait(stage, body, np.inf, attend(stage, body, victim.p))


def fighting(stage: Stage) -> None:
    """Two or three strike and push each other; perhaps one goes down, perhaps the others run away."""
    t_s, spot, count = onset(stage), place(stage, 1.2, 2.0), some(stage, 0.001, 7, 3)
    late = t_s > 9 and stage.chance(0.5)
    fighters: list[Body] = []
    company = stage.company()
    phrase = stage.pick("fights", "fights with another person", "hits and kicks another person",
                        "is in a brawl", "exchanges blows")  # fmt: skip
    first = stage.between(0, 6.28)
    end = t_s + stage.between(3, max(4.0, 0.7 * stage.seconds))
    for k in range(count):
        side = spot + 0.5 * cmath.exp(1j * (first + 2 * np.pi * k / count))
        body = somebody(stage, stage.between(0, max(t_s - 9, 0.1)) if late else None)
        if not late:
            body.p = side + stage.between(0, 1.5) * (side - spot)
        fighters.append(body)
        body.company = company
        body.phrase = stage.pick("stands with others", "talks with others")
        body.program = _fights(stage, body, fighters, side, t_s, end, phrase)


def _fights(
    stage: Stage, body: Body, all_of: list[Body], side: complex, t_s: float, end_s: float, phrase: str
) -> Program:
    others = [b for b in all_of if b is not body]
    centre = sum(b.p for b in all_of) / len(all_of)
    yield from arrive(stage, body, side, t_s, cmath.phase(centre - side))
    while min(abs(b.p - body.p) for b in others) > 1.6 and stage.t < stage.seconds:
        body.want, body.face, body.action = 0j, attend(stage, body, others[0].p), "stand"
        yield
    body.begin("fighting", phrase, stage.t)
    start, lurch, change = stage.t, 0j, 0.0
    body.loose, body.acc, body.turn = True, 6.0, 6.0
    end_s = max(end_s, start + 2.5)
    while stage.t < end_s:
        standing = [b for b in others if b.action not in ("fall", "lie") and not b.gone] or others
        rival = min(standing, key=lambda b: abs(b.p - body.p))
        gap = rival.p - body.p
        way = gap / (abs(gap) + 1e-6)
        if stage.t > change:
            change = stage.t + stage.between(0.3, 0.9)
            lurch = way * stage.between(-1.1, 0.9) + 1j * way * stage.between(-0.5, 0.5)
            body.action = "kick" if stage.chance(0.2) else "fight"
            body.progress = 0.0
        if body.action == "kick":
            body.progress = min(1.0, body.progress + STEP_S / 0.6)
        near = min((b.p - body.p for b in others), key=abs)
        body.want = lurch + 2.5 * way * (abs(gap) - 0.75) - 2.0 * near / (abs(near) + 1e-6) * max(0.0, 0.55 - abs(near))
        body.want += 0.5 * (side - body.p)
        body.face = cmath.phase(gap)
        if body is all_of[-1] and stage.t > start + 2 and stage.chance(0.004):
            yield from fall(stage, body, 0.7)
            yield from lie(stage, body)
        yield
    body.loose, body.acc, body.face = False, 4.0, None
    body.end(stage.t)
    body.company = 0
    if stage.chance(0.4):
        yield from leave(stage, body, stage.between(*RUN_M_S) * 0.9, "run")
    yield from leave(stage, body, stage.between(1.0, 1.6))


def loitering(stage: Stage) -> None:
    """Paces around in one place all the time."""
    spots = [
        complex(*p) for name in ("door", "parked car", "wall", "counter") for p in stage.layout.spots.get(name, ())
    ]
    near = [stage.ground.snap(p) for p in spots if stage.ground.margin(p) > 1]
    home = near[nearer(stage, near)] if near and stage.chance(0.4) else place(stage, 1.0, 2.5)
    phrase = stage.pick("loiters", "paces up and down in one place", "hangs around without a purpose",
                        "keeps walking around in the same place")  # fmt: skip
    for _ in range(some(stage, 8, 2)):
        body = somebody(stage, None)
        if stage.chance(0.8):
            body.p = stage.ground.snap(home + stage.between(-1, 1))
        elif stage.ground.gates:
            body.start_s = stage.between(0, 0.2 * stage.seconds)
            gate = stage.ground.gate(stage.rng, home)
            body.p = gate[1] if gate is not None else body.p
        body.program = _loiters(stage, body, home, phrase)


def _loiters(stage: Stage, body: Body, home: complex, phrase: str) -> Program:
    pace = 0.8 * pace_of(stage, body)
    if abs(body.p - home) > 3.5:
        yield from go(stage, body, home, pace, near_m=2.0)
    body.begin("loitering", phrase, stage.t)
    reach = stage.between(1.2, 2.8)
    while True:
        goal = home + reach * np.sqrt(stage.rng.random()) * cmath.exp(2j * np.pi * stage.rng.random())
        if stage.ground.room_at(goal) < 0.3 or stage.ground.on_road(goal):
            yield
            continue
        yield from go(stage, body, goal, pace, stop=True, near_m=0.4)
        if stage.chance(0.6):
            yield from wait(stage, body, stage.between(0.5, 4), body.heading + stage.between(-1.8, 1.8))
