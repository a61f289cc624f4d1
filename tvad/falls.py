"""Falls: a person who stood a moment ago is low and wide, and stays so.

    part = FallsPart(aspect)
    found = part.push(features)              with people; falls of people who are up again or gone, in order
    found += part.finish()
    curve(found, times_s)                    (T,) level of the moment

What counts is the outline alone: its height against how high the same person stood in the seconds before, how much
wider it became, that the head came down rather than the feet up, and that it lasts. Who sits down, stoops or walks out
of the picture below does less of that, or not for long. Ours; docs/RESULTS.md says what it is worth.

Next: tvad/findings.py
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from heatmap.levels import AlarmLevel
from heatmap.objects import ProposalLinker
from tvad.crowd import Crowd
from tvad.encoder import Features
from tvad.kinds import FALLING, Kind
from tvad.people import PERSON, looks, overlaps

LEAST = 0.25  # score of a person who is followed ...
STOOD = 0.4  # ... and of one who is seen to stand
GAP_S, COST = 1.2, 1.2  # of the linking: unseen at most, unlike at most
BEFORE_S = 2.5  # how long ago the person stood at most
LASTS_S = 1.0  # how long the person is low at least
SHORT_S = 0.35  # by which that may be too short: looks are people.EVERY_S apart
UPRIGHT = 1.3  # height over width of who stands, at least
KEPT_S = 12.0  # of a person's past
ONE_S = 5.0  # within which two moments are of one fall
EDGE, CUT = 0.012, 0.5  # of the frame's width: who ends there is cut by its side, and is so much less of a fall
SAME_PLACE = 0.5  # overlap from which two boxes are in one place
TAKEN = 0.4  # share of the looks before in which somebody may be where a person lies then
FEW_HIGHER = 0.7  # share of a second's looks that are at least as low as what counts
STILL = 0.7  # of its level that a fall must keep ...
RISES_FROM = 0.85  # of its level, at the last moment before the way down
GROWS, LONG_S = 0.15, 3.0  # ... to grow by this share a second, for so long
SHOWN = 0.8  # level from which it counts at all: below are people who only move about
TOLD = 0.1  # least level there is, and that of a moment without any
NAMED_FROM = 1.2  # level from which a fall is called one
SLOPE, MIDDLE = 3.1, 0.65  # of its probability (training/people/evaluate_falls.py)


@dataclass(frozen=True)
class Fall:
    """boxes (n, 4) in parts of the frame at times_s (n,), from the last moment before the way down on; low_s: the first
    moment at which the person is low. level: how much of a fall it is. score: of the box of who stood."""

    times_s: np.ndarray
    boxes: np.ndarray
    low_s: float
    level: float
    score: float = STOOD

    @property
    def start_s(self) -> float:
        return float(self.times_s[0])

    @property
    def end_s(self) -> float:
        return float(self.times_s[-1])


@dataclass
class _Person:
    """boxes: x0, y0, x1, y1 in frame heights, and the score."""

    times_s: list[float] = field(default_factory=list)
    boxes: list[tuple[float, ...]] = field(default_factory=list)
    best: Fall | None = None
    plain: float = 0.0  # the best one's level before it grew


class FallsPart:
    """Follows people and tells, of each, the moments that look most like a fall. aspect: width of the frame over its
    height. least: level of what is told. Memory does not grow with time."""

    def __init__(self, aspect: float, least: float = SHOWN) -> None:
        self.aspect, self.least = aspect, least
        self._linker = ProposalLinker(GAP_S, COST)
        self._people: dict[int, _Person] = {}
        self._looks: deque[tuple[float, np.ndarray]] = deque()

    def push(self, features: Features, crowd: Crowd | None = None) -> list[Fall]:
        """The next features of a stream, with the people that were seen. crowd: is told of them all."""
        found: list[Fall] = []
        for _, t, rows in looks(features):
            if crowd is not None:
                crowd.add(t, rows)
            found += self.step(t, rows)
        return found

    def step(self, t_s: float, rows: np.ndarray) -> list[Fall]:
        """The boxes (n, 6) of the next moment, as `tvad.people` finds them."""
        wide = (self.aspect, 1.0, self.aspect, 1.0, 1.0)
        boxes = [tuple((row[:5] * wide).tolist()) for row in rows if row[5] == PERSON and row[4] >= LEAST]
        ids, ended = self._linker.step([box[:4] for box in boxes], t_s)  # type: ignore[misc]
        self._looks.append((t_s, np.array(boxes).reshape(-1, 5)))
        while t_s - self._looks[0][0] > KEPT_S:
            self._looks.popleft()
        done = [fall for track in ended if (fall := self._people.pop(track.id).best) is not None]
        for number, box in zip(ids, boxes, strict=True):
            person = self._people.setdefault(number, _Person())
            person.times_s.append(t_s)
            person.boxes.append(box)
            done += self._judge(person)
        return [fall for fall in done if fall.level >= self.least]

    def finish(self) -> list[Fall]:
        """Of those who were seen last."""
        left, self._people = self._people, {}
        return [p.best for p in left.values() if p.best is not None and p.best.level >= self.least]

    def _judge(self, person: _Person) -> Iterator[Fall]:
        now = person.times_s[-1]
        while now - person.times_s[0] > KEPT_S:
            del person.times_s[0], person.boxes[0]
        best = person.best
        if best is not None and now - best.low_s > ONE_S:
            yield best
            person.best = best = None
        times, boxes = np.array(person.times_s), np.array(person.boxes)
        found = fall_of(times, boxes, self.aspect)
        if found is not None and (best is None or found.level > best.level) and self._is_one(found):
            person.best, person.plain = found, found.level
        elif best is not None and now - best.low_s > LASTS_S:
            self._stays(person, best, times, boxes)

    def _is_one(self, fall: Fall) -> bool:
        """Whether it is one person: not if somebody else's box is where the person stood, nor if a box was there before
        where the person lies. Then one thing was taken for another."""
        wide = (self.aspect, 1.0, self.aspect, 1.0)
        stood, lies = fall.boxes[0] * wide, fall.boxes[-1] * wide
        now = self._looks[-1][1]
        others = now[overlaps(lies, now) < SAME_PLACE] if len(now) else now
        if len(others) and overlaps(stood, others).max() >= SAME_PLACE:
            return False
        before = [rows for t, rows in self._looks if fall.start_s - BEFORE_S <= t <= fall.start_s + 1e-6]
        taken = [bool(len(rows) and overlaps(lies, rows).max() >= SAME_PLACE) for rows in before]
        return sum(taken) <= len(taken) * TAKEN

    def _stays(self, person: _Person, fall: Fall, times: np.ndarray, boxes: np.ndarray) -> None:
        """Who is still down is the surer fallen, the longer the more."""
        stood = fall.boxes[0] * (self.aspect, 1.0, self.aspect, 1.0)
        low = boxes[times >= times[-1] - LASTS_S - 1e-6, :4]
        if level_of(stood, low, self.aspect) >= STILL * person.plain:
            level = person.plain * (1 + GROWS * min(times[-1] - fall.low_s - LASTS_S, LONG_S))
            if level > fall.level:
                rows = times >= fall.start_s - 1e-6
                parts = (boxes[rows, :4] / (self.aspect, 1.0, self.aspect, 1.0)).astype(np.float32)
                person.best = Fall(times[rows], parts, fall.low_s, float(level), fall.score)


def fall_of(times_s: np.ndarray, boxes: np.ndarray, aspect: float) -> Fall | None:
    """What the last LASTS_S of a person's boxes and scores (n, 5), in frame heights, are after what was before; None
    where they are too short, where nobody stood before, and where it is no fall at all."""
    low = times_s >= times_s[-1] - LASTS_S - 1e-6
    first = int(low.argmax())
    if first == 0 or times_s[-1] - times_s[first] < LASTS_S - SHORT_S:
        return None
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    stood = (times_s < times_s[first]) & (times_s >= times_s[first] - BEFORE_S) & (high >= UPRIGHT * wide)
    stood &= boxes[:, 4] >= STOOD
    if not stood.any():
        return None
    tallest = int(np.flatnonzero(stood)[high[stood].argmax()])
    level = level_of(boxes[tallest, :4], boxes[low, :4], aspect)
    if level < TOLD:
        return None
    parts = boxes[tallest:, :4] / (aspect, 1.0, aspect, 1.0)
    score = float(boxes[tallest, 4])
    return Fall(times_s[tallest:].copy(), parts.astype(np.float32), float(times_s[first]), level, score)


def level_of(stood: np.ndarray, low: np.ndarray, aspect: float) -> float:
    """How much a box (4,) of a person and those of a second (n, 4), all in frame heights, are those before and after a
    fall: the least of what each sign says, 1 where that is as in a plain fall."""
    lies = np.median(low, axis=0)
    # Of the second, one of the least fallen moments: who stoops is up again before it is over.
    height = stood[3] - stood[1]
    now, wide = np.quantile(low[:, 3] - low[:, 1], FEW_HIGHER), np.quantile(low[:, 2] - low[:, 0], 1 - FEW_HIGHER)
    lower = np.log(height / now)
    wider = lower + np.log(wide / (stood[2] - stood[0]))
    head = (np.quantile(low[:, 1], 1 - FEW_HIGHER) - stood[1]) / height
    feet = (lies[3] - stood[3]) / height
    aside = abs(lies[0] + lies[2] - stood[0] - stood[2]) / 2 / height
    middles = (low[:, :2] + low[:, 2:]) / 2
    drift = float(np.hypot(*(middles[len(low) // 2 :].mean(0) - middles[: -(-len(low) // 2)].mean(0)))) / height
    told = [lower / 0.5, wider / 0.7, head / 0.4, 2 + feet / 0.25, (1.4 - aside) / 0.4, (0.6 - drift) / 0.2]
    # Who goes out at the side gets narrow, not wide; what is left of them may look like anything.
    cut = lies[0] < EDGE * aspect or lies[2] > (1 - EDGE) * aspect
    return float(min(told)) - (CUT if cut else 0.0)


def curve(falls: Iterable[Fall], times_s: np.ndarray) -> np.ndarray:
    """Level of the highest fall of each moment (T,) float32, TOLD where there is none. It rises on the way down: the
    first moment at which the person is low is the strongest."""
    out = np.full(len(times_s), TOLD, np.float32)
    for fall in falls:
        rows = slice(*np.searchsorted(times_s, [fall.start_s - 1e-6, fall.end_s + 1e-6]))
        rising = np.interp(times_s[rows], [fall.start_s, fall.low_s], [RISES_FROM * fall.level, fall.level])
        np.maximum(out[rows], rising, out=out[rows], casting="unsafe")
    return out


def rarity_of(falls: Iterable[Fall], alarm: AlarmLevel, times_s: np.ndarray, nothing: float) -> np.ndarray:
    """Rarity of the moments (T,) float32, `nothing` where there is no fall."""
    level = curve(falls, times_s)
    return np.where(level > TOLD, np.maximum(alarm.rarity(level), nothing), nothing).astype(np.float32)


def probability(level: float) -> float:
    """That it is a fall, by its level; of clips of which half have one."""
    return float(1 / (1 + np.exp(-SLOPE * (level - MIDDLE))))


def kind_with(kind: Kind, fall: Fall | None) -> tuple[Kind, bool]:
    """The kind of an event in which there is a fall, and whether that names it: one is named from NAMED_FROM on, and
    what else it may be shares the rest."""
    if fall is None or fall.level < NAMED_FROM:
        return kind, False
    chance = probability(fall.level)
    others = [(name, share) for name, share in kind.probs if name != FALLING] or [("normal", 1.0)]
    total = sum(share for _, share in others) or 1.0
    told = [(name, round(share / total * (1 - chance), 4)) for name, share in others]
    return Kind(FALLING, (*told, (FALLING, round(chance, 4)))), True


def strongest(falls: Sequence[Fall], start_s: float, end_s: float) -> Fall | None:
    """Of those between two times, both included; None where there is none."""
    own = [f for f in falls if f.start_s <= end_s and f.end_s >= start_s]
    return max(own, key=lambda f: f.level, default=None)
