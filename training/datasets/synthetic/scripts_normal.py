"""Normal life on foot: who sits, shops, pushes a pram, meets a friend, and what looks odd and is not.

Next: training/datasets/synthetic/scripts_traffic.py
"""

import cmath
from collections.abc import Callable

import numpy as np

from training.datasets.synthetic.crowd import Body, Program, Stage
from training.datasets.synthetic.scripts_moves import accompany, act, attend, go, leave, wait
from training.datasets.synthetic.scripts_walkers import (
    group,
    jogger,
    pace_of,
    rider,
    skater,
    somebody,
    stander,
    stroll,
    tow,
    walker,
)

BUSY = 15  # people at once in a crowd, about


def people(stage: Stage, busy: float) -> None:
    """Fill the place with ordinary life; busy: 0 (one or two people) to 1 (a crowd)."""
    target = max(1, round(1 + busy * (BUSY - 1)))
    crossing_s = 18.0  # about so long someone stays
    arriving = stage.rng.poisson(target * 0.8 * (stage.seconds / crossing_s))
    scenes = _scenes(stage)
    names, weights = list(scenes), np.array([w for w, _ in scenes.values()])
    count = 0
    for _ in range(4 * (target + arriving)):
        if count >= target + arriving:
            break
        start = None if count < target else stage.between(0, max(stage.seconds - 2, 0.5))
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
    if spots.get("bench") or spots.get("chair"):
        found["bench"] = (1.5, sitter)
    if spots.get("shelf") or spots.get("counter"):
        found["customer"] = (5, customer)
    if "running" in stage.layout.normal:
        found["runner"] = (2, jogger)
    if "skating" in stage.layout.normal:
        found["skater"] = (1.5, skater)
    if "cycling" in stage.layout.normal and not any(r.use == "cars" for r in stage.rails):
        found["cyclist"] = (2, rider)
    return found


def sitter(stage: Stage, start: float | None) -> int:
    """Sits on a bench, or comes to it and sits down."""
    benches = [complex(*p) for kind in ("bench", "chair") for p in stage.layout.spots.get(kind, ())]
    taken = [b.p for b in stage.bodies if "sits" in b.phrase]
    bench = benches[int(stage.rng.integers(len(benches)))]
    if any(abs(bench - p) < 0.6 for p in taken):
        return walker(stage, start)
    body = somebody(stage, start)
    front = _front_of(stage, bench)
    if start is None:
        body.p, body.heading = bench, cmath.phase(front - bench)
    body.phrase = stage.pick("sits and rests", "sits there", "sits down and waits")
    body.program = _sits(stage, body, bench, front, start is None)
    return 1


def _front_of(stage: Stage, bench: complex) -> complex:
    """Where the feet of one who sits there are: on the side with more room, towards the camera rather than away."""
    ways = [cmath.exp(1j * k * np.pi / 2) for k in range(4)]
    way = max(ways, key=lambda w: stage.ground.room_at(bench + 1.1 * w) - 0.3 * w.imag)
    return stage.ground.snap(bench + 0.9 * way)


def _sits(stage: Stage, body: Body, bench: complex, front: complex, there: bool) -> Program:
    pace, face = pace_of(stage, body), cmath.phase(front - bench)
    if not there:
        yield from go(stage, body, front, pace, stop=True, near_m=0.3)
        body.loose = True
        while abs(body.p - bench) > 0.12:
            body.want, body.face = (bench - body.p) * 1.5 + 0.05 * cmath.exp(1j * attend(stage, body, bench)), face
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
        front = spot + complex(stage.between(-0.4, 0.4), stage.between(-0.4, 0.4))
        yield from go(stage, body, stage.ground.snap(front), pace, stop=True, near_m=0.6)
        face = cmath.phase(stage.ground.facing(body.p))
        yield from wait(stage, body, stage.between(1, 4), face)
        for _ in range(int(stage.rng.integers(1, 4))):
            body.face = face
            kind_of = "crouch" if stage.chance(0.15) else "reach"
            yield from act(stage, body, kind_of, stage.between(1.2, 2.5), back=kind_of == "crouch")
            yield from wait(stage, body, stage.between(0.5, 3), face)
    yield from leave(stage, body, pace)


def with_pram(stage: Stage, start: float | None) -> int:
    shop = stage.layout.name == "shop"
    body = somebody(stage, start, "person with a trolley" if shop else "person with a pram")
    body.turn, body.radius = 1.8, 0.5
    name = "trolley" if shop else "pram"
    body.phrase = stage.pick(f"pushes a {name}", f"walks with a {name}", f"pushes a {name} along")
    body.program = stroll(stage, body, min(pace_of(stage, body), 1.3), "push", pauses=False)
    return 1


def wheelchair(stage: Stage, start: float | None) -> int:
    body = somebody(stage, start, "wheelchair user")
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
    bag = tow(stage, body, stage.pick("suitcase", "bag", "bag"), -0.1 - 0.4j, 0.0, "is with its owner")
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
    if stage.ground.margin(via) > 0.5:
        yield from go(stage, body, via, pace, stop=True, near_m=0.6)
    yield from act(stage, body, "crouch", 0.8, stage.between(1, 5), back=True)
    yield from leave(stage, body, pace)
