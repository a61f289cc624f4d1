"""Crowd: bodies that follow their programs step by step, and keep out of each other's way.

A program is a generator: every `yield` is one step of STEP_S, before which it says what its body wants (`want`, in
m/s, and `action`), or puts it somewhere (`put`, for what runs on rails). Avoidance looks ahead in time, in the spirit
of Karamouzas et al. 2009 ("A predictive collision avoidance model for pedestrian simulation", section 3).

Next: training/datasets/synthetic/scripts_moves.py
"""

import cmath
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from training.datasets.synthetic.paths import STEP_S, Ground, Rail, Track, crossing_rails
from training.datasets.synthetic.stage import Actor, Cast, Layout, Life, Play

WARM_S = 4.0  # lives that are there at the beginning have lived so long, so that nobody starts from a standstill
STILL = ("sit", "lie", "fall", "climb", "crouch", "burn")  # who does this is not pushed aside
FIRM_M_S = 0.2  # slower than this is standing
HANDLE_M_S = 2.5  # what somebody carries moves in his frame at most so fast
LOOK_S = 2.5  # people look so far ahead
SHORT_S = 0.2  # shorter anomalous stretches are dropped, and such gaps closed

# A cast may know fewer nouns: others that will do, in order of preference.
ALIASES = {
    "child": ("child", "person"),
    "person with a pram": ("person with a pram", "person"),
    "person with a trolley": ("person with a trolley", "person"),
    "wheelchair user": ("wheelchair user", "person"),
    "scooter rider": ("scooter rider", "skater"),
    "motorcycle": ("motorcycle", "motorcyclist", "car"),
    "golf cart": ("golf cart", "car"),
    "van": ("van", "car"),
    "bus": ("bus", "van", "car"),
    "truck": ("truck", "van", "car"),
    "backpack": ("backpack", "bag"),
    "box": ("box", "bag"),
}

Program = Iterator[None]


@dataclass(eq=False)
class Body:
    """Someone or something that moves. p, v: m and m/s, complex. acc: m/s^2 at most; turn: rad/s at most.
    kind: "person", "rider", "vehicle" or "thing". company: who walks together has the same number, not 0.
    loose: goes where it wants, through walls and others. tied: (owner, offset in the owner's frame, height)."""

    actor: Actor
    kind: str
    p: complex
    heading: float
    start_s: float
    phrase: str = "walks"
    radius: float = 0.25
    acc: float = 2.5
    turn: float = 3.5
    company: int = 0
    v: complex = 0j
    z: float = 0.0
    want: complex = 0j
    face: float | None = None
    action: str = "walk"
    progress: float = 0.0
    travelled: float = 0.0
    loose: bool = False
    solid: bool = True
    tied: "tuple[Body, complex, float] | None" = None
    placed: complex | None = None
    program: Program | None = None
    anomaly: str | None = None
    usual: str = ""
    spans: list[list[float]] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)
    rail: int | None = None  # it drives along this one
    gone: bool = False

    def put(self, p: complex, heading: float) -> None:
        """Be there at the end of this step."""
        self.placed, self.face = p, heading

    def begin(self, anomaly: str, phrase: str, t_s: float) -> None:
        """It is anomalous from now on."""
        if not self.anomaly:
            self.usual = self.phrase
        self.anomaly, self.phrase = anomaly, phrase
        if not self.spans or self.spans[-1][1] < np.inf:
            self.spans.append([t_s, np.inf])

    def end(self, t_s: float) -> None:
        """It is no longer anomalous."""
        if self.spans and self.spans[-1][1] == np.inf:
            self.spans[-1][1] = t_s


class Stage:
    """A layout with its cast, and the bodies on it. t: seconds; rails: one for every lane of the layout."""

    def __init__(self, layout: Layout, rng: np.random.Generator, seconds: float, cast: Cast, ground: Ground) -> None:
        self.layout, self.rng, self.seconds, self.cast, self.ground = layout, rng, seconds, cast, ground
        far = {"cars": 8.0, "trains": 20.0, "bicycles": 3.0, "people": 0.0}
        self.rails = [Rail(lane, layout.extent, far.get(lane.use, 3.0)) for lane in layout.lanes]
        self.t = -WARM_S
        self.bodies: list[Body] = []
        self.flashes: list[float] = []
        self.about: dict[str, str] = {}
        self.closed: set[int] = set()  # rails that ordinary traffic leaves alone
        self.held: dict[tuple[int, int], set[Body]] = {}  # where two rails cross: who is there
        self.conflicts = crossing_rails(self.rails)
        zebras = [complex(*p) for p in layout.spots.get("crossing", ())]
        near = [[(*rail.find(z), z) for z in zebras] for rail in self.rails]
        self.crossings = [
            [(s, rail.at(s)[0]) for s, off, _ in found if off < rail.width / 2 + 4.0]
            for rail, found in zip(self.rails, near, strict=True)
        ]  # per rail: metres along it and point
        self.companies = 0
        self._events: list[tuple[float, Callable[[], None]]] = []

    def actor(self, noun: str) -> Actor:
        """KeyError if the cast knows neither the noun nor another one for it."""
        names = ALIASES.get(noun, (noun,))
        for name in names[:-1]:
            try:
                return self.cast.make(name, self.rng)
            except KeyError:
                continue
        return self.cast.make(names[-1], self.rng)

    def add(self, noun: str, kind: str, p: complex, heading: float, start_s: float | None = None) -> Body:
        """A new body, there from start_s on (default: from the beginning); give it a program next."""
        actor = self.actor(noun)
        start = -WARM_S if start_s is None else max(start_s, -WARM_S)
        body = Body(actor, kind, p, heading, start, usual="walks")
        if kind == "rider":
            body.radius, body.acc, body.turn = 0.4, 3.5, 2.5
        elif kind == "vehicle":
            body.radius, body.acc, body.turn = actor.size_m[1] / 2 + 0.3, 6.0, 2.0
        elif kind == "thing":
            body.solid, body.action, body.radius = False, "stand", 0.2
        self.bodies.append(body)
        return body

    def later(self, t_s: float, event: Callable[[], None]) -> None:
        """Call at that time."""
        self._events.append((t_s, event))

    def company(self) -> int:
        self.companies += 1
        return self.companies

    def present(self, kind: str = "") -> list[Body]:
        """Bodies that are there now."""
        there = [b for b in self.bodies if not b.gone and b.start_s <= self.t + 1e-9]
        return [b for b in there if b.kind == kind] if kind else there

    def pick(self, *phrases: str) -> str:
        return phrases[int(self.rng.integers(len(phrases)))]

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def run(self) -> None:
        """Let all happen."""
        steps = round((self.seconds + WARM_S) / STEP_S)
        for k in range(steps + 1):
            self.t = k * STEP_S - WARM_S
            for event in [e for e in self._events if e[0] <= self.t]:
                self._events.remove(event)
                event[1]()
            self._step()

    def _step(self) -> None:
        for body in self.present():
            body.placed = None
            if body.program is not None:
                try:
                    next(body.program)
                except StopIteration:
                    body.gone = body.kind != "thing"
                    body.program = None
        there = self.present()
        free = [b for b in there if b.placed is None and b.tied is None]
        steer = dict(zip(map(id, free), self._avoid(free, there), strict=True))
        for body in there:
            if body.tied is None:
                self._move(body, steer.get(id(body), 0j))
        for body in there:
            if body.tied is not None:
                self._tow(body, *body.tied)
        for body in there:
            self._note(body)

    def _avoid(self, free: list[Body], there: list[Body]) -> np.ndarray:
        """Velocities (n,) complex that keep each free body out of the others' way."""
        others = [b for b in there if b.solid and b.tied is None]
        if not free or not others:
            return np.zeros(len(free), complex)
        p, q = np.array([b.p for b in free]), np.array([b.p for b in others])
        v, w = np.array([b.v for b in free]), np.array([b.v for b in others])
        need = np.array([b.radius for b in free])[:, None] + np.array([b.radius for b in others])
        mates = np.array([[a.company == b.company and a.company > 0 for b in others] for a in free])
        apart, closing = q - p[:, None], w - v[:, None]
        distance = np.abs(apart) + 1e-9
        tau = np.clip(-(apart.conj() * closing).real / (np.abs(closing) ** 2 + 1e-6), 0, LOOK_S)
        closest = apart + closing * tau
        comfort = need + np.where(mates, 0.0, 0.3)
        risk = np.clip(1 - np.abs(closest) / comfort, 0, 1) * np.exp(-tau / 1.2) * (distance < 7)
        right = -1j * v / (np.abs(v) + 1e-6)
        way = -closest / (np.abs(closest) + 0.05) + 0.4 * right[:, None]
        steer = risk * way * np.where(mates, 0.6, 1.4)
        steer += -apart / distance * np.clip(need - distance, 0, 0.5) * 4
        alone = np.array([[a is b or a.loose for b in others] for a in free])
        steer[alone] = 0
        pushed = steer.sum(1)
        for i, body in enumerate(free):
            if body.action in STILL or not body.solid:
                pushed[i] = 0
            elif abs(body.want) < 0.05:
                pushed[i] *= 0.4
        return np.where(np.abs(pushed) > 1.5, pushed / (np.abs(pushed) + 1e-9) * 1.5, pushed)

    def _move(self, body: Body, steer: complex) -> None:
        if body.placed is not None:
            body.v = (body.placed - body.p) / STEP_S if body.rows else 0j
            body.p = body.placed
            body.heading += _wrap((body.face or 0.0) - body.heading)
        else:
            target = body.want + steer
            if not body.loose and body.action not in STILL and body.kind != "thing":
                tight = max(body.radius, 0.25) + 0.15 - self.ground.room_at(body.p)
                if tight > 0:
                    target += self.ground.away(body.p) * min(2.0 * tight, max(0.8, 0.5 * abs(body.v)))
            most = max(1.25 * abs(body.want), 0.6)
            if abs(target) > most:
                target *= most / abs(target)
            change = target - body.v
            if abs(change) > body.acc * STEP_S:
                change *= body.acc * STEP_S / abs(change)
            body.v += change
            body.p += body.v * STEP_S
            to = body.face if body.face is not None else cmath.phase(body.v) if abs(body.v) > 0.15 else body.heading
            gap = _wrap(to - body.heading)
            body.heading += min(max(gap, -body.turn * STEP_S), body.turn * STEP_S)
        body.travelled += abs(body.v) * STEP_S

    def _tow(self, body: Body, owner: Body, offset: complex, z: float) -> None:
        """Go with the owner; what has just been taken up comes to its place in his frame without a jump."""
        goal = owner.p + offset * cmath.exp(1j * owner.heading)
        carried = body.p + owner.v * STEP_S
        gap, turn = goal - carried, _wrap(owner.heading - body.heading)
        most = HANDLE_M_S * STEP_S
        step = gap if abs(gap) <= most else gap / abs(gap) * most
        body.z += float(np.clip(owner.z + z - body.z, -most, most))
        body.put(carried + step, body.heading + float(np.clip(turn, -5 * STEP_S, 5 * STEP_S)))
        self._move(body, 0j)

    def _note(self, body: Body) -> None:
        action = body.action
        if action in ("walk", "stand"):
            action = "walk" if abs(body.v) > FIRM_M_S and body.kind != "thing" else "stand"
        row = (body.p.real, body.p.imag, body.z, body.heading, body.progress, body.travelled, self.t)
        body.rows.append(row)
        body.actions.append(action)

    def play(self) -> Play:
        """What has happened between 0 and `seconds` where the camera looks."""
        found = [life for body in self.bodies if (life := self._life(body)) is not None]
        return Play(tuple(found), tuple(t for t in self.flashes if 0 <= t <= self.seconds), dict(self.about))

    def _life(self, body: Body) -> Life | None:
        keep = [i for i, row in enumerate(body.rows) if -1e-9 <= row[6] <= self.seconds + 1e-9]
        seen = [self.ground.sees(complex(body.rows[i][0], body.rows[i][1])) for i in keep]
        if not any(seen):
            return None
        table = np.array([body.rows[i] for i in keep])
        path = Track(float(table[0, 6]), table[:, :6], [body.actions[i] for i in keep])
        spans = self._spans(body, table[:, 6], np.array(seen))
        if not spans:
            phrase = body.usual if body.anomaly else body.phrase
            return Life(body.actor, path, action=phrase)
        return Life(body.actor, path, body.anomaly, spans, body.phrase)

    def _spans(self, body: Body, times: np.ndarray, seen: np.ndarray) -> tuple[tuple[float, float], ...]:
        """Its anomalous stretches, as far as it is there and inside the extent."""
        on = np.zeros(len(times), bool)
        for a, b in body.spans:
            on |= (times >= a - 1e-9) & (times <= b + 1e-9)
        on &= seen
        edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(int)))
        found: list[list[float]] = []
        for i, j in zip(edges[::2], edges[1::2], strict=True):
            a, b = max(0.0, float(times[i])), min(self.seconds, float(times[j - 1]))
            if found and a - found[-1][1] <= SHORT_S:
                found[-1][1] = b
            else:
                found.append([a, b])
        return tuple((a, b) for a, b in found if b - a >= SHORT_S)


def _wrap(angle: float) -> float:
    """In [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi
