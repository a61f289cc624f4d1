"""Anomalies with things: abandoned objects, theft, throwing, vandalism, fire and explosions.

Next: training/datasets/synthetic/scripts.py
"""

import cmath

import numpy as np

from training.datasets.synthetic.crowd import Body, Program, Stage
from training.datasets.synthetic.paths import STEP_S
from training.datasets.synthetic.scripts_moves import act, attend, fall, go, leave, lie, wait
from training.datasets.synthetic.scripts_people import (
    RUN_M_S,
    arrive,
    close_by,
    nearer,
    onset,
    perpetrator,
    place,
    some,
    until,
    wander,
)
from training.datasets.synthetic.scripts_walkers import pace_of, somebody, stroll, tow
from training.datasets.synthetic.scripts_ways import scare

LEFT_M = 2.5  # a thing is abandoned once its owner is so far away
GRAVITY = 9.81
CARRIED_M = 0.3  # height of a bag in the hand


def abandoned_object(stage: Stage) -> None:
    """Somebody puts a bag down and leaves; from then on it stands there alone."""
    t_s, spot = onset(stage, 4.0), close_by(stage, 0.5, 1.5)
    noun = stage.pick("bag", "backpack", "suitcase", "box")
    phrase = stage.pick(
        "is left behind", "stands there without its owner", "has been left behind", "is left unattended"
    )
    if t_s < 0:
        bag = stage.add(noun, "thing", spot, stage.between(-3, 3))
        bag.begin("abandoned object", phrase, stage.t)
        return
    owner = perpetrator(stage, t_s)
    if t_s < 6:
        owner.p = stage.ground.snap(spot + complex(stage.between(-3, 3), stage.between(-3, 3)))
    owner.phrase = stage.pick(
        f"puts a {noun} down and leaves", f"leaves a {noun} behind", f"goes away without the {noun}"
    )
    bag = tow(stage, owner, noun, 0.05 - 0.35j, 0.0 if noun == "suitcase" else CARRIED_M, "is carried by its owner")
    bag.usual = bag.phrase
    bag.program = _is_abandoned(stage, bag, owner, phrase)
    owner.program = _abandons(stage, owner, bag, spot, t_s)


def _abandons(stage: Stage, owner: Body, bag: Body, spot: complex, t_s: float) -> Program:
    yield from arrive(stage, owner, spot, t_s)
    yield from put_down(stage, owner, bag)
    yield from wait(stage, owner, stage.between(0.2, 2.0))
    yield from leave(stage, owner, min(1.7, 1.15 * pace_of(stage, owner)))


def put_down(stage: Stage, owner: Body, bag: Body) -> Program:
    """Bend down and let go."""
    for _ in act(stage, owner, "crouch", 0.7):
        if bag.tied is not None:
            bag.tied = (bag.tied[0], bag.tied[1], min(bag.tied[2], CARRIED_M * (1 - owner.progress)))
        yield
    bag.tied, bag.want, bag.v, bag.z, bag.face = None, 0j, 0j, 0.0, None
    bag.placed = None
    yield from act(stage, owner, "crouch", 0.3, 0.0, back=True)


def _is_abandoned(stage: Stage, bag: Body, owner: Body, phrase: str) -> Program:
    while bag.tied is not None or (abs(owner.p - bag.p) < LEFT_M and not owner.gone):
        yield
    bag.begin("abandoned object", phrase, stage.t)


def theft(stage: Stage) -> None:
    """Grabs a bag that stands beside its owner, or snatches it from somebody who walks, and runs off with it."""
    t_s = onset(stage, 3.0)
    spot = close_by(stage, 0.9, 2.5)
    noun = stage.pick("bag", "bag", "suitcase")
    victim = somebody(stage, None)
    snatched = t_s > 2 and stage.chance(0.4)
    if not snatched:
        victim.p = spot
    bag = tow(stage, victim, noun, -0.2 - 0.55j, CARRIED_M if snatched else 0.0, "belongs to somebody nearby")
    phrase = stage.pick(f"grabs a {noun} and runs away", f"steals a {noun}", f"snatches a {noun} and runs off",
                        f"takes somebody's {noun} and flees")  # fmt: skip
    thief = somebody(stage, None)
    if t_s < 5:
        thief.p = stage.ground.snap(bag.p + 2.5 * cmath.exp(1j * stage.between(-3, 3)))
    victim.phrase = stage.pick(f"is robbed of a {noun}", f"has a {noun} stolen")
    victim.program = _is_robbed(stage, victim, bag, thief, snatched)
    thief.program = _steals(stage, thief, bag, t_s, phrase)


def _steals(stage: Stage, thief: Body, bag: Body, t_s: float, phrase: str) -> Program:
    yield from until(stage, thief, wander(stage, thief, pace_of(stage, thief)), t_s - 2.5, -1.0)
    thief.acc, thief.solid, limit = 4.0, False, stage.t + 15
    while abs(bag.p - thief.p) > 0.55 and stage.t < limit:
        way = stage.ground.route(thief.p, bag.p)
        near = complex(way[min(4, len(way) - 1)]) if way is not None else bag.p
        gap = near - thief.p
        thief.face, thief.action = None, "walk"
        thief.want = gap / (abs(gap) + 1e-6) * min(1.7 + 1.0 * (abs(bag.v) > 0.5), 0.5 + 1.5 * abs(bag.p - thief.p))
        yield
    thief.action = "run" if abs(thief.v) > 2 else "walk"
    thief.begin("theft", phrase, stage.t)
    yield from act(stage, thief, "crouch" if bag.z < 0.1 else "reach", 0.4)
    bag.tied, bag.phrase = (thief, 0.1 - 0.3j, CARRIED_M), "is stolen"
    thief.solid = True
    gate = stage.ground.gate(stage.rng, thief.p, 8.0)
    yield from leave(stage, thief, stage.between(*RUN_M_S), "run", gate[0] if gate else None)
    bag.gone = True


def _is_robbed(stage: Stage, victim: Body, bag: Body, thief: Body, walks: bool) -> Program:
    """Stand or walk until the bag is gone; then look, wave, or run after the thief."""
    pace = min(pace_of(stage, victim), 1.2)
    before = wander(stage, victim, pace) if walks else wait(stage, victim, np.inf, victim.heading)
    for _ in before:
        if bag.tied is None or bag.tied[0] is thief:
            break
        yield
    yield from wait(stage, victim, stage.between(0.3, 1.0), attend(stage, victim, thief.p))
    if stage.chance(0.35):
        victim.begin("theft", stage.pick("runs after the thief", "chases the thief"), stage.t)
        victim.acc = 4.0
        yield from go(stage, victim, thief.p, stage.between(2.8, 4.2), "run", near_m=1.5)
        victim.end(stage.t)
    for _ in range(3):
        victim.face = attend(stage, victim, thief.p)
        yield from act(stage, victim, "wave", 0.8)
    yield from wait(stage, victim, stage.between(2, 8))
    yield from leave(stage, victim, pace)


def throwing(stage: Stage) -> None:
    """Throws a bottle or a stone, perhaps several, at somebody or something."""
    t_s, noun = onset(stage, 3.0), stage.pick("bottle", "stone")
    body = perpetrator(stage, t_s)
    phrase = stage.pick(f"throws a {noun}", f"hurls a {noun}", f"throws a {noun} through the air", f"flings a {noun}")
    body.program = _throws(stage, body, noun, t_s, phrase)


def _throws(stage: Stage, body: Body, noun: str, t_s: float, phrase: str) -> Program:
    yield from until(stage, body, wander(stage, body, pace_of(stage, body)), t_s, 1.5)
    yield from wait(stage, body, 0.3)
    body.begin("throwing", phrase, stage.t)
    goal = _aim(stage, body)
    yield from wait(stage, body, stage.between(0.4, 0.9), attend(stage, body, goal))
    for _ in range(int(stage.rng.integers(1, 4))):
        loosed = False
        body.face = attend(stage, body, goal)
        for _ in act(stage, body, "throw", stage.between(0.8, 1.2)):
            if not loosed and body.progress >= 0.55:
                loosed = True
                _fly(stage, body, noun, goal)
            yield
        yield from wait(stage, body, stage.between(0.3, 1.2), attend(stage, body, goal))
    body.end(stage.t)
    if stage.chance(0.5):
        yield from leave(stage, body, stage.between(1.0, 1.7))
    yield from stroll(stage, body, 1.3)


def _aim(stage: Stage, body: Body) -> complex:
    """Somebody, or a place inside the extent, 4 to 12 m away."""
    others = [b.p for b in stage.present("person") if b is not body and 4 < abs(b.p - body.p) < 12]
    if others and stage.chance(0.5):
        return others[int(stage.rng.integers(len(others)))]
    found = [body.p + stage.between(4, 11) * cmath.exp(1j * stage.between(-np.pi, np.pi)) for _ in range(20)]
    return max(found, key=lambda p: min(stage.ground.margin(p), 1.0))


def _fly(stage: Stage, body: Body, noun: str, goal: complex) -> None:
    """Let a thing fly in an arc from the hand to the ground at the goal."""
    start = body.p + 0.4 * cmath.exp(1j * body.heading) - 0.2j * cmath.exp(1j * body.heading)
    thing = stage.add(noun, "thing", start, body.heading, stage.t)
    thing.z, thing.acc = 1.8, 100.0
    away = goal + complex(stage.between(-0.6, 0.6), stage.between(-0.6, 0.6)) - start
    thing.program = _flies(stage, thing, away, stage.between(0.5, 0.9))


def _flies(stage: Stage, thing: Body, away: complex, angle: float) -> Program:
    """A throw's parabola from z, with two small bounces; away: where it comes down, seen from here."""
    far, z = abs(away), thing.z
    # far = v cos(a) t and 0 = z + v sin(a) t - g t^2 / 2.
    time = float(np.sqrt(2 * (z + far * np.tan(angle)) / GRAVITY))
    rise, flat = far * np.tan(angle) / time, away / time
    thing.begin("throwing", stage.pick("flies through the air", "is thrown", "flies in an arc"), stage.t)
    heading, bounces, landed = thing.heading, 0, 0.0
    p = thing.p
    while bounces < 3:
        rise -= GRAVITY * STEP_S
        z, p, heading = z + rise * STEP_S, p + flat * STEP_S, heading + 0.3
        if z <= 0:
            z, rise, flat, bounces, landed = 0.0, -0.3 * rise, 0.4 * flat, bounces + 1, stage.t
        thing.z = z
        thing.put(p, heading)
        yield
    thing.placed, thing.v, thing.z = None, 0j, 0.0
    while stage.t < landed + 0.8:
        yield
    thing.end(stage.t)
    thing.face = None


def vandalism(stage: Stage) -> None:
    """Kicks or hits a parked car, a bin, a door."""
    kinds = [k for k in ("parked car", "bin", "door", "bench") if stage.layout.spots.get(k)]
    kind = kinds[int(stage.rng.integers(len(kinds)))]
    spots = [complex(*p) for p in stage.layout.spots[kind]]
    spots = [p for p in spots if stage.ground.margin(p) > 1] or spots
    spot = spots[nearer(stage, spots)]
    name = kind.split()[-1]
    phrase = stage.pick(f"kicks a {name}", f"damages a {name}", f"hits and kicks a {name}", f"vandalises a {name}")
    foot = stage.ground.snap(spot)
    way = (spot - foot) / abs(spot - foot) if abs(spot - foot) > 0.3 else stage.ground.facing(foot)
    if kind == "door":
        way = -stage.ground.away(foot) or way
    t_s = onset(stage, 3.5)
    body = perpetrator(stage, t_s)
    if t_s < 6:
        body.p = foot - way * stage.between(0, 1)
    body.program = _vandalises(stage, body, foot, way, t_s, phrase)


def _vandalises(stage: Stage, body: Body, foot: complex, way: complex, t_s: float, phrase: str) -> Program:
    yield from arrive(stage, body, foot, t_s, cmath.phase(way))
    body.begin("vandalism", phrase, stage.t)
    for _ in range(int(stage.rng.integers(3, 12))):
        body.face = cmath.phase(way)
        if stage.chance(0.6):
            yield from act(stage, body, "kick", stage.between(0.6, 1.0))
        else:
            yield from wait(stage, body, stage.between(0.7, 1.4), body.face, "fight")
        yield from wait(stage, body, stage.between(0.1, 0.5), cmath.phase(way))
    body.end(stage.t)
    fast = stage.chance(0.4)
    yield from leave(stage, body, stage.between(2.8, 4.0) if fast else 1.4, "run" if fast else "walk")


def fire(stage: Stage) -> None:
    """A fire that grows, with smoke; people keep away or watch."""
    named = [complex(*p) for k in ("bin", "parked car", "shelf") for p in stage.layout.spots.get(k, ())]
    named = [p for p in named if stage.ground.margin(p) > 1]
    spot = named[nearer(stage, named)] if named and stage.chance(0.5) else place(stage, 0.4, 1.5)
    t_s, grow = onset(stage), stage.between(3, 15)
    phrase = stage.pick("burns", "burns and grows", "breaks out and spreads", "burns with flames")
    spreads = int(stage.rng.choice([0, 1, 2, 3], p=[0.4, 0.3, 0.2, 0.1]))
    for k in range(1 + spreads):
        aside = 0j if k == 0 else stage.between(0.4, 1.0) * cmath.exp(1j * stage.between(0, 6.28))
        flames = stage.add("fire", "thing", spot + aside, 0.0, t_s + grow * k * stage.between(0.5, 1.0))
        flames.program = _burns(stage, flames, "fire", phrase, grow)
    for k in range(some(stage, 6, 4)):
        rising = stage.pick("rises from the fire", "rises", "spreads")
        smoke = stage.add("smoke", "thing", spot + 0.3 * k - 0.05j, 0.0, t_s + stage.between(0.3, 2.0) + 2.0 * k)
        smoke.z = stage.between(0.4, 1.0)
        smoke.program = _burns(stage, smoke, "fire", rising, grow * 1.3)
    if stage.chance(0.5):
        stage.later(t_s + stage.between(1, 3), lambda: _watch(stage, spot))


def _burns(stage: Stage, body: Body, anomaly: str, phrase: str, grow_s: float) -> Program:
    """Grow (progress from 0 to about 1) within grow_s, and stay."""
    body.begin(anomaly, phrase, stage.t)
    body.action, start, most = "burn", stage.t, stage.between(0.7, 1.0)
    while True:
        body.progress = most * min(1.0, 0.05 + (stage.t - start) / grow_s)
        yield


def _watch(stage: Stage, spot: complex) -> None:
    """Some of those near stop at a distance and look."""
    for body in stage.present("person"):
        if body.anomaly is None and abs(body.p - spot) < 15 and body.action in ("walk", "stand") and stage.chance(0.5):
            body.program = _looks_at(stage, body, spot)
            body.phrase = stage.pick("stops and looks at the fire", "watches the fire", "keeps away from the fire")


def _looks_at(stage: Stage, body: Body, spot: complex) -> Program:
    if abs(body.p - spot) < 4:
        away = (body.p - spot) / (abs(body.p - spot) + 1e-6)
        yield from go(stage, body, stage.ground.snap(spot + 6 * away), 1.7, near_m=1.0)
    yield from wait(stage, body, stage.between(3, 30), attend(stage, body, spot))
    yield from leave(stage, body, pace_of(stage, body))


def explosion(stage: Stage) -> None:
    """A flash, flames and a cloud of smoke; people run away, those near are thrown down."""
    t_s, spot = max(0.0, onset(stage)), place(stage, 0.4, 2.0)
    stage.flashes.append(t_s)
    blast = stage.add("explosion", "thing", spot, 0.0, t_s)
    burst = stage.pick("explodes", "goes off", "bursts into flames")
    blast.program = _bursts(stage, blast, burst, stage.between(2, 4.5))
    for k in range(some(stage, 3, 4, 3)):
        smoke = stage.add("smoke", "thing", spot + complex(stage.between(-0.8, 0.8), 0.1), 0.0, t_s + 0.4 + 0.5 * k)
        smoke.z = stage.between(0, 0.8)
        rising = stage.pick("rises after the explosion", "spreads", "billows up")
        smoke.program = _burns(stage, smoke, "explosion", rising, 3.0)
    if stage.chance(0.5):
        flames = stage.add("fire", "thing", spot, 0.0, t_s + 0.6)
        flames.program = _burns(stage, flames, "explosion", "burns after the explosion", 1.0)
    phrase = stage.pick("runs away from the explosion", "flees from the explosion", "runs for safety")
    stage.later(t_s + 0.15, lambda: _blast(stage, spot, phrase))


def _bursts(stage: Stage, body: Body, phrase: str, seconds: float) -> Program:
    """From the flash (progress 0) to the cloud's end (1)."""
    body.begin("explosion", phrase, stage.t)
    body.action, start = "burn", stage.t
    while body.progress < 1:
        body.progress = min(1.0, 0.01 + (stage.t - start) / seconds)
        yield
    body.gone = True


def _blast(stage: Stage, spot: complex, phrase: str) -> None:
    scare(stage, spot, 25.0, "explosion", phrase)
    for body in stage.present("person"):
        if abs(body.p - spot) < 3 and body.rail is None and body.action not in ("drive", "push"):
            body.program = _is_thrown(stage, body, spot)


def _is_thrown(stage: Stage, body: Body, spot: complex) -> Program:
    body.begin("explosion", stage.pick("is thrown to the ground", "is knocked down by the explosion"), stage.t)
    body.loose, body.acc = True, 8.0
    body.v = 3.0 * (body.p - spot) / (abs(body.p - spot) + 1e-6)
    yield from fall(stage, body, 0.5)
    yield from lie(stage, body)
