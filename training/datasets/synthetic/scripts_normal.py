"""Normal life on foot: walkers, groups, those who wait, sit, shop, meet, and what looks odd and is not.

Next: training/datasets/synthetic/scripts_traffic.py
"""

import cmath
from collections.abc import Callable

import numpy as np

from training.datasets.synthetic.crowd import Body, Program, Stage
from training.datasets.synthetic.paths import border
from training.datasets.synthetic.scripts_moves import accompany, act, attend, go, leave, wait

BUSY = 15  # people at once in a crowd, about


def people(stage: Stage, busy: float) -> None:
    """Fill the place with ordinary life; busy: 0 (one or two people) to 1 (a crowd)."""
    target = max(1, round(1 + busy * (BUSY - 1)))
    crossing_s = 18.0  # about so long someone stays
    arriving = stage.rng.poisson(target * 0.8 * (stage.seconds / crossing_s))
    scenes = _scenes(stage)
    names, weights = list(scenes), np.array([w for w, _ in scenes.values()])
    count = 0
    for k in range(4 * (target + arriving)):
        if count >= target + arriving:
            break
        start = None if k < target else stage.between(0, max(stage.seconds - 2, 0.5))
        name = names[int(stage.rng.choice(len(names), p=weights / weights.sum()))]
        count += scenes[name][1](stage, start)


Scene = Callable[[Stage, float | None], int]


def _scenes(stage: Stage) -> dict[str, tuple[float, Scene]]:
    """What can go on here: weight and a function that adds it (start None: it is already there) and counts people."""
    spots, indoor = stage.layout.spots, stage.layout.indoor
    found: dict[str, tuple[float, Scene]] = {
        "walker": (8, walker),
        "group": (2.5, group),
        "stander": (1.5, stander),
        "pram": (0.7, with_pram),
        "wheelchair": (0.4, wheelchair),
        "bag": (0.5, puts_down_bag),
        "meeting": (0.7, meeting),
        "bends": (0.5, bends),
    }
    if stage.layout.normal & {"loitering"}:
        found["stander"] = (3, stander)
    if not indoor:
        found |= {"dog": (0.7, with_dog), "bicycle": (0.4, with_bicycle)}
    if spots.get("bench"):
        found["bench"] = (1.5, sitter)
    if spots.get("shelf") or spots.get("counter"):
        found["customer"] = (5, customer)
    if "running" in stage.layout.normal:
        found["runner"] = (2, jogger)
    if "skating" in stage.layout.normal:
        found["skater"] = (1.5, skater)
    return found


def somebody(stage: Stage, start_s: float | None, noun: str = "person", kind: str = "person") -> Body:
    """A body at an entrance (if it comes later) or anywhere (if it is already there)."""
    gates = stage.ground.gates
    if start_s is None or not gates:
        p = stage.ground.anywhere(stage.rng, 0.5, near=gates[0][0] if gates and stage.chance(0.7) else None)
        for _ in range(10):
            if all(abs(b.p - p) > 1.0 for b in stage.bodies if b.start_s <= stage.t):
                break
            p = stage.ground.anywhere(stage.rng, 0.5)
        return stage.add(noun, kind, p, stage.between(-np.pi, np.pi), None)
    inner, p = gates[int(stage.rng.integers(len(gates)))]
    to = inner if abs(inner - p) > 0.1 else stage.ground.anywhere(stage.rng, 0.5, near=inner)
    return stage.add(noun, kind, p, cmath.phase(to - p), start_s)


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
        mate = stage.add("person", "person", p, leader.heading, leader.start_s)
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


def sitter(stage: Stage, start: float | None) -> int:
    """Sits on a bench, or comes to it and sits down."""
    benches = [complex(*p) for p in stage.layout.spots["bench"]]
    taken = [b.p for b in stage.bodies if "sits" in b.phrase]
    bench = benches[int(stage.rng.integers(len(benches)))] + stage.between(-0.35, 0.35)
    if any(abs(bench - p) < 0.6 for p in taken):
        return walker(stage, start)
    body = somebody(stage, start)
    front = stage.ground.snap(bench)
    if abs(front - bench) < 0.3:
        front = bench - 0.7j
    if start is None:
        body.p, body.heading = bench, cmath.phase(front - bench)
    body.phrase = stage.pick("sits on a bench", "sits and rests", "sits there")
    body.program = _sits(stage, body, bench, front, start is None)
    return 1


def _sits(stage: Stage, body: Body, bench: complex, front: complex, there: bool) -> Program:
    pace, face = pace_of(stage, body), cmath.phase(front - bench)
    if not there:
        yield from go(stage, body, front, pace, stop=True, near_m=0.3)
        body.loose = True
        while abs(body.p - bench) > 0.12:
            body.want, body.face = (bench - body.p) * 1.5 + 0.05 * cmath.exp(1j * cmath.phase(bench - body.p)), face
            yield
    body.loose = True
    yield from wait(stage, body, stage.between(6, 60), face, "sit")
    body.action = "walk"
    while abs(body.p - front) > 0.2:
        body.want = (front - body.p) / abs(front - body.p) * 0.6
        yield
    body.loose = False
    yield from leave(stage, body, pace)


def customer(stage: Stage, start: float | None) -> int:
    body = somebody(stage, start)
    counter = bool(stage.layout.spots.get("counter")) and (stage.chance(0.35) or not stage.layout.spots.get("shelf"))
    body.phrase = (
        stage.pick("stands at the counter", "waits at the counter", "is served at the counter")
        if counter
        else stage.pick("looks at the goods", "takes something off a shelf", "shops", "looks along the shelves")
    )
    body.program = _shops(stage, body)
    return 1


def _shops(stage: Stage, body: Body) -> Program:
    pace = 0.85 * pace_of(stage, body)
    for _ in range(int(stage.rng.integers(1, 5))):
        kind = "counter" if stage.layout.spots.get("counter") and stage.chance(0.35) else "shelf"
        spots = stage.layout.spots.get(kind) or stage.layout.spots.get("counter") or ()
        if not spots:
            break
        spot = complex(*spots[int(stage.rng.integers(len(spots)))])
        front = stage.ground.snap(spot) + complex(stage.between(-0.4, 0.4), stage.between(-0.4, 0.4))
        yield from go(stage, body, stage.ground.snap(front), pace, stop=True, near_m=0.6)
        yield from wait(stage, body, stage.between(1, 4), attend(stage, body, spot))
        for _ in range(int(stage.rng.integers(1, 4))):
            body.face = attend(stage, body, spot)
            kind_of = "crouch" if stage.chance(0.15) else "reach"
            yield from act(stage, body, kind_of, stage.between(1.2, 2.5), back=kind_of == "crouch")
            yield from wait(stage, body, stage.between(0.5, 3), attend(stage, body, spot))
    yield from leave(stage, body, pace)


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


def with_pram(stage: Stage, start: float | None) -> int:
    body = somebody(stage, start)
    body.turn, body.radius = 1.8, 0.5
    body.phrase = stage.pick("pushes a pram", "walks with a pram", "pushes a pram along")
    tow(stage, body, "pram", 0.75 + 0j, phrase="is pushed along")
    body.program = stroll(stage, body, min(pace_of(stage, body), 1.3), "push", pauses=False)
    return 1


def wheelchair(stage: Stage, start: float | None) -> int:
    body = somebody(stage, start, "wheelchair")
    body.turn, body.radius, body.acc = 1.5, 0.45, 1.5
    body.phrase = stage.pick("drives along in a wheelchair", "rolls along in a wheelchair", "sits in a wheelchair")
    body.program = stroll(stage, body, stage.between(0.8, 1.4), "drive", pauses=False)
    return 1


def with_dog(stage: Stage, start: float | None) -> int:
    body = somebody(stage, start)
    pace = min(pace_of(stage, body), 1.5)
    body.phrase, body.company = stage.pick("walks a dog", "is out with a dog", "walks with a dog"), stage.company()
    body.program = stroll(stage, body, pace)
    dog = stage.add("dog", "person", body.p + 0.8 * cmath.exp(1j * (body.heading - 0.9)), body.heading, body.start_s)
    dog.radius, dog.acc, dog.turn, dog.company, dog.kind = 0.2, 5.0, 5.0, body.company, "animal"
    dog.phrase = stage.pick("walks on a lead", "walks beside its owner", "trots along")
    dog.program = accompany(stage, dog, body, complex(stage.between(0.3, 1.1), stage.between(-0.9, -0.6)), pace * 1.2)
    return 2


def with_bicycle(stage: Stage, start: float | None) -> int:
    """Walks beside a bicycle, which is not cycling."""
    body = somebody(stage, start)
    body.radius, body.turn = 0.5, 1.8
    body.phrase = stage.pick("walks beside a bicycle", "pushes a bicycle", "walks and pushes a bicycle")
    tow(stage, body, "bicycle", 0.3 - 0.45j, phrase="is pushed along")
    body.program = stroll(stage, body, min(pace_of(stage, body), 1.4), "push", pauses=False)
    return 1


def puts_down_bag(stage: Stage, start: float | None) -> int:
    """Puts a bag down, stays beside it, takes it up and goes."""
    body = somebody(stage, start)
    body.phrase = stage.pick(
        "waits beside a bag", "puts a bag down and picks it up again", "stands next to the luggage"
    )
    bag = tow(stage, body, "suitcase" if stage.chance(0.4) else "bag", -0.1 - 0.4j, 0.0, "is with its owner")
    body.program = _with_bag(stage, body, bag, start is None)
    return 1


def _with_bag(stage: Stage, body: Body, bag: Body, there: bool) -> Program:
    pace = min(pace_of(stage, body), 1.3)
    if not there:
        yield from go(stage, body, stage.ground.anywhere(stage.rng, 0.6, near=body.p), pace, stop=True)
    yield from act(stage, body, "crouch", 0.7, 0.2, back=True)
    tied, bag.tied = bag.tied, None
    bag.want, bag.v = 0j, 0j
    yield from wait(stage, body, stage.between(5, 20), body.heading)
    if abs(body.p - bag.p) > 0.6:
        yield from go(stage, body, bag.p + 0.4, 0.8, stop=True, near_m=0.45)
    yield from act(stage, body, "crouch", 0.7, 0.2)
    bag.tied = tied
    yield from stroll(stage, body, pace)


def meeting(stage: Stage, start: float | None) -> int:
    """Two come from different sides, embrace or wave, talk and part."""
    a = somebody(stage, start)
    b = somebody(stage, start)
    place = stage.ground.anywhere(stage.rng, 0.8, near=a.p)
    a.phrase = b.phrase = stage.pick("meets someone and talks", "greets someone", "meets a friend")
    until = [0.0]
    a.program = _meets(stage, a, b, place - 0.3, until)
    b.program = _meets(stage, b, a, place + 0.3, until)
    a.company = b.company = stage.company()
    return 2


def _meets(stage: Stage, body: Body, other: Body, place: complex, until: list[float]) -> Program:
    pace = pace_of(stage, body)
    yield from go(stage, body, stage.ground.snap(place), pace, stop=True, near_m=0.35)
    limit = stage.t + 15
    while abs(other.p - body.p) > 1.3 and stage.t < limit and not other.gone:
        body.face, body.want = attend(stage, body, other.p), 0j
        near = abs(other.p - body.p) < 6 and body.start_s <= other.start_s and body.progress < 1
        body.action = "wave" if near else "stand"
        body.progress = min(1.0, body.progress + 0.04) if near else body.progress
        yield
    until[0] = max(until[0], stage.t + stage.between(4, 15))
    body.face = attend(stage, body, other.p)
    yield from act(stage, body, "reach", 1.6)
    while stage.t < until[0]:
        yield from wait(stage, body, 0.5, attend(stage, body, other.p))
    body.company = 0
    yield from leave(stage, body, pace)


def bends(stage: Stage, start: float | None) -> int:
    """Bends down to a shoe or for something on the ground: neither a fall nor a theft."""
    body = somebody(stage, start)
    body.phrase = stage.pick("bends down and goes on", "ties a shoe", "picks something up and walks on")
    body.program = _bends(stage, body)
    return 1


def _bends(stage: Stage, body: Body) -> Program:
    pace = pace_of(stage, body)
    via = stage.ground.anywhere(stage.rng, 0.5, near=body.p)
    if border(via, stage.layout.extent) > 0.5:
        yield from go(stage, body, via, pace, stop=True, near_m=0.6)
    yield from act(stage, body, "crouch", 0.8, stage.between(1, 5), back=True)
    yield from leave(stage, body, pace)


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
