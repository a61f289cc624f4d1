"""Walkers: one, a group, those who stand and wait, and those who jog, skate or ride where that is ordinary.

Next: training/datasets/synthetic/scripts_normal.py
"""

import cmath

import numpy as np

from training.datasets.synthetic.crowd import Body, Program, Stage
from training.datasets.synthetic.scripts_moves import accompany, act, go, leave, wait

CHILDREN = 0.05


def somebody(stage: Stage, start_s: float | None, noun: str = "person", kind: str = "person") -> Body:
    """A body at an entrance (if it comes later) or anywhere (if it is already there)."""
    noun = "child" if noun == "person" and stage.chance(CHILDREN) else noun
    p = stage.ground.anywhere(stage.rng, 0.5)
    gate = stage.ground.gate(stage.rng, p, wheels=kind != "person") if start_s is not None else None
    if gate is None:
        for _ in range(10):
            if all(abs(b.p - p) > 1.0 for b in stage.bodies if b.start_s <= stage.t):
                break
            p = stage.ground.anywhere(stage.rng, 0.5)
        return stage.add(noun, kind, p, stage.between(-np.pi, np.pi), None)
    return stage.add(noun, kind, gate[1], cmath.phase(p - gate[1]), start_s)


def pace_of(stage: Stage, body: Body) -> float:
    """A walker's pace, m/s, around the actor's own."""
    return float(np.clip(body.actor.pace * stage.between(0.8, 1.25), 0.9, 1.7))


def stroll(stage: Stage, body: Body, pace: float, action: str = "walk", pauses: bool = True) -> Program:
    """Walk, perhaps by way of somewhere, perhaps with a pause, and leave."""
    if stage.chance(0.45):
        via = stage.ground.anywhere(stage.rng, 0.8, near=body.p)
        if 3 < abs(via - body.p) < 25:
            yield from go(stage, body, via, pace, action, near_m=1.2)
            if pauses and stage.chance(0.35):
                yield from pause(stage, body)
                body.action = action
    yield from leave(stage, body, pace, action)


def pause(stage: Stage, body: Body) -> Program:
    """Stop suddenly, and look around, wave or take a photograph."""
    yield from wait(stage, body, stage.between(0.8, 2.5))
    if stage.chance(0.35):
        yield from wait(stage, body, stage.between(1, 3), body.heading + stage.between(-1.6, 1.6))
    if stage.chance(0.2):
        for _ in range(int(stage.rng.integers(2, 5))):
            yield from act(stage, body, "wave", 0.7)
        body.action = "stand"


def walker(stage: Stage, start: float | None) -> int:
    body = somebody(stage, start)
    pace = pace_of(stage, body)
    body.phrase = "walks briskly" if pace > 1.55 else stage.pick("walks", "walks by", "walks along")
    body.program = stroll(stage, body, pace)
    return 1


def group(stage: Stage, start: float | None) -> int:
    """Two to four who walk together; they may part."""
    leader = somebody(stage, start)
    size = int(stage.rng.integers(2, 5))
    leader.company, leader.phrase = (
        stage.company(),
        stage.pick("walks in a group", "walks with others", "walks and talks"),
    )
    pace = min(pace_of(stage, leader), 1.35)
    leader.program = _chatting(stage, leader, pace) if stage.chance(0.3) else stroll(stage, leader, pace)
    slots = [0.05 - 0.75j, 0.1 + 0.75j, -0.9 + 0.35j][: size - 1]
    for slot in slots:
        p = leader.p + slot * cmath.exp(1j * leader.heading)
        mate = stage.add("child" if stage.chance(0.15) else "person", "person", p, leader.heading, leader.start_s)
        mate.company, mate.phrase = leader.company, leader.phrase
        mate.program = _partly(stage, mate, leader, slot, pace)
    return size


def _partly(stage: Stage, body: Body, leader: Body, slot: complex, pace: float) -> Program:
    """With the leader, and in one case of six on one's own after a while."""
    if not stage.chance(0.17):
        yield from accompany(stage, body, leader, slot, pace)
        return
    until = stage.t + stage.between(3, 12)
    for _ in accompany(stage, body, leader, slot, pace):
        if stage.t > until:
            break
        yield
    body.company = 0
    yield from leave(stage, body, pace)


def _chatting(stage: Stage, body: Body, pace: float) -> Program:
    """Stand together for a while, then go."""
    p = stage.ground.anywhere(stage.rng, 0.9, near=body.p)
    if body.start_s > 0 and abs(p - body.p) < 25:
        yield from go(stage, body, p, pace, stop=True)
    yield from wait(stage, body, stage.between(4, 25))
    yield from stroll(stage, body, pace)


def stander(stage: Stage, start: float | None) -> int:
    """Comes, waits at a place and goes on; one who is there already has been waiting."""
    body = somebody(stage, start)
    body.phrase = stage.pick("stands and waits", "waits", "stands around", "stands and looks around")
    body.program = _stands(stage, body, start is None)
    return 1


def _stands(stage: Stage, body: Body, there: bool) -> Program:
    pace = pace_of(stage, body)
    if not there:
        yield from go(stage, body, stage.ground.anywhere(stage.rng, 0.5, near=body.p), pace, stop=True)
    for _ in range(int(stage.rng.integers(1, 5))):
        turn = body.heading + stage.between(-1.2, 1.2)
        yield from wait(stage, body, stage.between(2, 8), turn if stage.chance(0.6) else body.heading)
    yield from stroll(stage, body, pace)


def tow(stage: Stage, owner: Body, noun: str, offset: complex, z: float = 0.0, phrase: str = "is pushed") -> Body:
    """A thing that goes along with its owner at a place in his frame."""
    p = owner.p + offset * cmath.exp(1j * owner.heading)
    thing = stage.add(noun, "thing", p, owner.heading, owner.start_s)
    thing.tied, thing.phrase = (owner, offset, z), phrase
    thing.program = _until_gone(owner, thing)
    return thing


def _until_gone(owner: Body, thing: Body) -> Program:
    while not owner.gone:
        yield
    thing.gone = True


def jogger(stage: Stage, start: float | None) -> int:
    """Only where running is ordinary."""
    body = somebody(stage, start)
    body.phrase = stage.pick("jogs", "runs for exercise", "jogs along")
    body.program = stroll(stage, body, stage.between(2.4, 3.6), "run", pauses=False)
    return 1


def skater(stage: Stage, start: float | None) -> int:
    """Only where skating is ordinary."""
    body = somebody(stage, start, "skater", "rider")
    body.phrase = stage.pick("skates along", "rides a skateboard", "skates by")
    body.program = stroll(stage, body, stage.between(2.5, 4.5), "skate", pauses=False)
    return 1


def rider(stage: Stage, start: float | None) -> int:
    """Only where cycling is ordinary and there is no road for it."""
    body = somebody(stage, start, "cyclist", "rider")
    body.phrase = stage.pick("rides a bicycle", "cycles along", "rides by on a bicycle")
    body.program = stroll(stage, body, stage.between(2.8, 5.0), "ride", pauses=False)
    return 1
