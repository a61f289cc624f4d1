"""Slots: a track or an event as groups of numbers that a language model can learn to read, one token for each group.

Small models read one-hot digits, cells and directions far sooner than raw coordinates. No text goes in: names enter as
hashed letters, and what they mean must be learned. Next: tvad/lvlm/rae.py
"""

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heatmap.levels import to_rarity
from heatmap.motion import CELLS, DIRECTIONS, QUICK, SLOW, cell_of
from tvad.evidence import Event, Evidence, Track
from tvad.sight import COLOURS, Sight

CELL_NAMES = tuple(name for row in CELLS for name in row)
BORDERS = ("none", "left", "right", "top", "bottom")
DISPLACEMENTS = ("still", "small", "large")
CHANGES = ("steady", "accelerates", "slows")
PARTS = ("memory", "decoder", "words")
SIZES = ("small", "medium-sized", "large")
SPEEDS = (0.005, SLOW, 0.05, 0.1, 0.2, QUICK, 0.5)  # frame diagonals per second; borders of the one-hot
LETTERS = 64  # places of a hashed name
UNUSUAL = "unusual movement"  # what an event of a named kind is in its own group; the name is in "deed" ...
AS_SIZE = {"person": "person-sized object", "motor vehicle": "large object"}  # ... and such a thing's in "noun"
SEEN = ("person", "motor vehicle", "none")  # names of the finder of people (tvad/crowd.py)
DEEDS = (
    "cycling", "skating", "driving", "running", "fighting", "falling", "loitering", "abandoned object", "theft",
    "wrong way", "jaywalking", "crowd panic", "climbing", "throwing", "vandalism", "fire", "explosion",
    "traffic accident",
)  # fmt: skip
# What a head that was trained on UCF-Crime calls them.
ALIASES = {
    "arson": "fire", "burglary": "theft", "roadaccidents": "traffic accident", "robbery": "theft",
    "shoplifting": "theft", "stealing": "theft",
}  # fmt: skip
CLASSES = 1000
GREYS = 3  # the first of the colour terms: black, grey, white
STEPS = 4  # cells of a path that are told in order
MANY = 6  # counts from here on are one
RARE = 10.0  # nats that count as 1
CLOCK = (10, 6, 10, 6)  # hours, tens of minutes, minutes, tens of seconds
TENTHS = 6  # decimal digits of a time in tenths of a second: up to 27 hours
TIME = 10 * TENTHS + sum(CLOCK)
WAVES = 4
TRACK_VECTOR = 44
PLACES = ("thousands", "hundreds", "tens", "ones", "tenths")  # digits of a time in seconds
BLANK = 10  # the digit before the first one that is written
UPRIGHT, SIDEWAYS = ("up", "down", "none"), ("left", "right", "none")
ROWS, COLUMNS = ("top", "bottom", "middle", "none"), ("left", "right", "none")  # words of a cell's name

GROUPS: dict[str, int] = {
    "when": 3 * TIME + 4 * WAVES + 1,
    "event": 3 * TIME + 2 + len(PARTS) + 1 + LETTERS + 2 * MANY + 9 + 2,
    "first": 9 + len(BORDERS),
    "last": 9 + len(BORDERS),
    "way": len(DIRECTIONS) + 1 + len(DISPLACEMENTS) + len(CHANGES) + 2 + 2 * (1 + len(SPEEDS) + 1),
    "path": 9 + 9 * STEPS,
    "box": TRACK_VECTOR,
    "look": CLASSES + 2 + LETTERS,
    "colour": 2 * COLOURS + 3 + len(SIZES),
    # What answers say in one word, each in a token of its own: small models copy words, and one token has no order.
    **{f"{end}_{place}": BLANK + 1 for end in ("from", "until") for place in PLACES},
    "entry": len(BORDERS),
    "exit": len(BORDERS),
    "upright": len(UPRIGHT),
    "sideways": len(SIDEWAYS),
    "upper": COLOURS,
    "lower": COLOURS,
    **{
        f"{end}_{part}": len(words) for end in ("first", "last") for part, words in (("row", ROWS), ("column", COLUMNS))
    },
    "noun": len(SEEN) + 1,
    "deed": len(DEEDS) + 1 + len(DEEDS) + 2,
}  # name -> how many numbers; new ones come last
FIRST_GROUPS = list(GROUPS).index("noun")  # how many an adapter reads that does not say


@dataclass(frozen=True)
class Slot:
    """What a slot is about: a track, the event it belongs to, or both. main: the event's first track, or no track."""

    track: Track | None
    event: Event | None
    main: bool


def choose(evidence: Evidence, count: int) -> list[Slot]:
    """The `count` most telling slots at most: the first track of each event, the strongest event first (an event
    without tracks stands for itself), then the events' other tracks, then what is left by score."""
    events = sorted(evidence.events, key=lambda e: (-e.score, e.start_s, e.id))
    out: list[Slot] = []
    told: set[int] = set()
    for event in events:
        first = evidence.track(event.tracks[0]) if event.tracks else None
        if first is None or first.id not in told:
            out.append(Slot(first, event, True))
            told |= {first.id} if first else set()
    for event in events:
        for number in event.tracks:
            if number not in told:
                out.append(Slot(evidence.track(number), event, False))
                told.add(number)
    others = [t for t in evidence.tracks if t.id not in told]
    out += [Slot(t, None, False) for t in sorted(others, key=lambda t: (-max(b.score for b in t.boxes), t.id))]
    return out[:count]


def features(slot: Slot, evidence: Evidence, sight: Sight) -> dict[str, np.ndarray]:
    """Group -> (GROUPS[group],) float32, zero where the slot has no track or event to tell of."""
    out = {name: np.zeros(width, np.float32) for name, width in GROUPS.items()}
    length_s = length_of(evidence)
    if slot.event is not None:
        out["event"] = _event(slot, slot.event, evidence)
        out["when"] = _when(slot.event.start_s, slot.event.end_s, length_s)
        out["deed"] = _deed(slot.event)
        out |= _spelled(slot.event.start_s, slot.event.end_s)
    if (track := slot.track) is None:
        return out
    size_wh = max(evidence.video.width, 1), max(evidence.video.height, 1)
    path = [name for name in track.trajectory if name in CELL_NAMES]
    first = path[0] if path else _cell(track.boxes[0].xyxy, size_wh)
    last = path[-1] if path else _cell(track.boxes[-1].xyxy, size_wh)
    row = evidence.tracks.index(track)
    known = row < len(sight.looks)
    out |= {
        "when": _when(track.start_s, track.end_s, length_s),
        "first": np.concatenate([one_hot(CELL_NAMES, first), one_hot(BORDERS, track.entry or "none")]),
        "last": np.concatenate([one_hot(CELL_NAMES, last), one_hot(BORDERS, track.exit or "none")]),
        "way": _way(track),
        "path": _path(path or [first, last]),
        "box": track_vector(track, size_wh, length_s, (first, last)),
        "look": _look(track, sight.looks[row] if known else np.zeros(CLASSES)),
        "colour": _colour(track, sight.colours[row] if known else np.zeros((2, COLOURS))),
        "noun": _noun(track),
        "entry": one_hot(BORDERS, track.entry or "none"),
        "exit": one_hot(BORDERS, track.exit or "none"),
    }
    out |= (
        _spelled(track.start_s, track.end_s) | _heading(track) | _cell_words("first", first) | _cell_words("last", last)
    )
    out |= _clothes(sight.colours[row] if known else np.zeros((2, COLOURS)))
    return {name: np.nan_to_num(values, posinf=0, neginf=0).astype(np.float32) for name, values in out.items()}


def length_of(evidence: Evidence) -> float:
    """Length of the video in seconds, positive, no shorter than what was found in it."""
    ends = [evidence.video.duration_s, *(e.end_s for e in evidence.events), *(t.end_s for t in evidence.tracks)]
    return max([1e-3, *(e for e in ends if math.isfinite(e))])


def one_hot(names: Sequence[str], name: str | None) -> np.ndarray:
    """(len(names),); all zero for a name that is not among them."""
    return np.array([n == name for n in names], np.float32)


def count_of(n: int) -> np.ndarray:
    """One-hot (MANY + 1,) of a count; MANY and more are one."""
    return np.eye(MANY + 1, dtype=np.float32)[min(max(n, 0), MANY)]


def digits(t_s: float) -> np.ndarray:
    """(TIME,) one-hot digits of a time, rounded to tenths as answers do: as seconds and as a clock says it."""
    tenths = min(max(round(float(f"{t_s:.1f}") * 10), 0), 10**TENTHS - 1)
    out = [np.eye(10)[tenths // 10**n % 10] for n in reversed(range(TENTHS))]
    seconds = tenths // 10
    values = (min(seconds // 3600, 9), seconds // 600 % 6, seconds // 60 % 10, seconds // 10 % 6)
    out += [np.eye(size)[value] for size, value in zip(CLOCK, values, strict=True)]
    return np.concatenate(out).astype(np.float32)


def spelled(t_s: float) -> list[np.ndarray]:
    """One-hot (BLANK + 1,) digits of a time as answers write it, "12.3", one for each of PLACES, blanks before it; from
    10 000 s on 9999.9."""
    text = f"{min(max(t_s, 0.0), 9999.9):.1f}".replace(".", "").rjust(len(PLACES))
    return [np.eye(BLANK + 1, dtype=np.float32)[BLANK if c == " " else int(c)] for c in text]


def waves(share: float) -> np.ndarray:
    """(2 * WAVES,) sines and cosines of a number in [0, 1], from half a turn on, each twice as fast."""
    turns = np.pi * share * 2.0 ** np.arange(WAVES)
    return np.concatenate([np.sin(turns), np.cos(turns)])


def hashed(name: str) -> np.ndarray:
    """(LETTERS,) of length 1: which three letters follow each other in a name. Like names lie near each other."""
    out = np.zeros(LETTERS)
    word = f"^{name.strip().lower()}$"
    for n in range(len(word) - 2):
        code = zlib.crc32(word[n : n + 3].encode())
        out[code % LETTERS] += 1.0 if code >> 16 & 1 else -1.0
    return out / max(float(np.linalg.norm(out)), 1e-9)


def _cell(box: Sequence[float], size_wh: tuple[int, int]) -> str:
    return cell_of((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, *size_wh)


def _when(start_s: float, end_s: float, length_s: float) -> np.ndarray:
    times = [digits(start_s), digits(end_s), digits(end_s - start_s)]
    return np.concatenate([*times, waves(start_s / length_s), waves(end_s / length_s), [math.log1p(end_s - start_s)]])


def _spelled(start_s: float, end_s: float) -> dict[str, np.ndarray]:
    times = (("from", spelled(start_s)), ("until", spelled(end_s)))
    return {f"{end}_{place}": digit for end, told in times for place, digit in zip(PLACES, told, strict=True)}


def _heading(track: Track) -> dict[str, np.ndarray]:
    """Both parts of the direction, none of what stays."""
    direction = track.motion.direction if track.motion.displacement != "still" else None
    return {"upright": _word_of(UPRIGHT, direction), "sideways": _word_of(SIDEWAYS, direction)}


def _cell_words(end: str, cell: str) -> dict[str, np.ndarray]:
    return {f"{end}_row": _word_of(ROWS, cell), f"{end}_column": _word_of(COLUMNS, cell)}


def _word_of(words: Sequence[str], name: str | None) -> np.ndarray:
    """One-hot of the word of "up-left" or "top-left" that is among `words`, else "none"."""
    parts = (name or "").split("-")
    return one_hot(words, next((w for w in words if w in parts), "none"))


def _clothes(shares: np.ndarray) -> dict[str, np.ndarray]:
    """The first colour of the upper and the lower part, zero where none was seen."""
    first = np.eye(COLOURS, dtype=np.float32)[shares.argmax(1)] * (shares.sum(1, keepdims=True) > 0)
    return {"upper": first[0], "lower": first[1]}


def _event(slot: Slot, event: Event, evidence: Evidence) -> np.ndarray:
    in_time = sorted(evidence.events, key=lambda e: (e.start_s, e.id))
    strength = sorted(evidence.events, key=lambda e: (-e.score, e.start_s, e.id))
    place = np.zeros(9)
    if slot.track is not None:
        box = min(slot.track.boxes, key=lambda b: abs(b.t_s - event.peak_s))
        place = one_hot(CELL_NAMES, _cell(box.xyxy, (max(evidence.video.width, 1), max(evidence.video.height, 1))))
    parts = [float(part in event.raised_by) for part in PARTS]
    return np.concatenate(
        [
            *(digits(t) for t in (event.start_s, event.end_s, event.peak_s)),
            [event.score, float(np.clip(to_rarity(np.array(event.score)) / RARE, -1, 3))],
            [*parts, float(any(part not in PARTS for part in event.raised_by))],
            hashed(event.category if event.category != event.kind else UNUSUAL),
            count_of(in_time.index(event))[:MANY],
            count_of(strength.index(event))[:MANY],
            place,
            [float(slot.main), float(slot.track is not None)],
        ]
    )


def _deed(event: Event) -> np.ndarray:
    """Which of DEEDS it is called, or none; how likely each is, that it is nothing of the kind, and whether anything
    told them apart."""
    probs = np.zeros(len(DEEDS))
    for name, share in event.class_probs.items():
        probs += share * one_hot(DEEDS, _deed_of(name))
    named = _deed_of(event.kind)
    known = float(bool(event.class_probs))
    named = named if named in DEEDS else "none"
    return np.concatenate([one_hot((*DEEDS, "none"), named), probs, [max(known - probs.sum(), 0.0), known]])


def _deed_of(kind: str) -> str:
    name = kind.strip().lower()
    return ALIASES.get(name, name)


def _noun(track: Track) -> np.ndarray:
    """What the finder of people calls it, and how sure it is."""
    name = track.label if track.label in SEEN else "none"
    return np.append(one_hot(SEEN, name), track.label_confidence if name != "none" else 0.0)


def _way(track: Track) -> np.ndarray:
    motion = track.motion
    speeds = [_speed(motion.mean_speed), _speed(motion.max_speed)]
    return np.concatenate(
        [
            one_hot((*DIRECTIONS, "none"), motion.direction or "none"),
            one_hot(DISPLACEMENTS, motion.displacement),
            one_hot(CHANGES, motion.speed_change),
            [float(motion.turn), float(motion.stops)],
            *speeds,
        ]
    )


def _speed(speed: float) -> np.ndarray:
    bins = np.eye(len(SPEEDS) + 1)[int(np.searchsorted(SPEEDS, speed))]
    return np.concatenate([[math.log(max(speed, 0.0) + 0.01)], bins])


def _path(path: Sequence[str]) -> np.ndarray:
    # Of a long path the first and the last cell, and others evenly between.
    chosen = [path[round(n)] for n in np.linspace(0, len(path) - 1, min(STEPS, len(path)))]
    steps = [one_hot(CELL_NAMES, name) for name in chosen] + [np.zeros(9)] * (STEPS - len(chosen))
    return np.concatenate([[float(name in path) for name in CELL_NAMES], *steps])


def track_vector(track: Track, size_wh: tuple[int, int], length_s: float, cells: tuple[str, str]) -> np.ndarray:
    """The 44 numbers of a track: first, last and mean box (centre and size as shares of the frame), way, speeds, turn,
    times and scores, first and last cell. Speeds in frame diagonals per second, the way in diagonals."""
    width, height = size_wh
    boxes = np.array([b.xyxy for b in track.boxes], np.float64)
    scores = np.array([b.score for b in track.boxes])
    times = np.array([b.t_s for b in track.boxes])
    corners = boxes / [width, height, width, height]
    shape = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
    xy = shape[:, :2] * size_wh / math.hypot(*size_wh)
    steps = np.hypot(*np.diff(xy, axis=0).T) if len(xy) > 1 else np.zeros(1)
    spent = np.maximum(np.diff(times), 1e-3) if len(xy) > 1 else np.ones(1)
    speeds = steps / spent
    half = len(speeds) // 2
    ratio = math.log((speeds[half:].mean() + 0.01) / ((speeds[:half].mean() if half else speeds.mean()) + 0.01))
    third = (len(xy) - 1) // 3
    a, b = (xy[third] - xy[0], xy[-1] - xy[-1 - third]) if third else (np.zeros(2), np.zeros(2))
    norm = max(float(np.hypot(*a) * np.hypot(*b)), 1e-9)
    turn = [(a[0] * b[1] - a[1] * b[0]) / norm, float(a @ b) / norm]
    net = xy[-1] - xy[0]
    spans = [track.start_s / length_s, track.end_s / length_s, (track.end_s - track.start_s) / length_s]
    return np.concatenate(
        [
            *(shape[0], shape[-1], shape.mean(0)),
            [*net, min(steps.sum(), 5.0), min(speeds.mean(), 5.0), min(speeds.max(), 5.0), ratio],
            turn,
            spans,
            [scores.mean(), scores.max(), float((shape[:, 2] * shape[:, 3]).mean())],
            *(one_hot(CELL_NAMES, cell) for cell in cells),
        ]
    )


def _look(track: Track, logits: np.ndarray) -> np.ndarray:
    out = np.zeros(CLASSES)
    seen = bool(np.any(logits))
    if seen:
        raw = logits.astype(np.float64)
        raw = raw - raw.max()
        # 0 where a class is as likely as any.
        out = np.clip(raw - np.log(np.exp(raw).sum()) + math.log(CLASSES), -8, 8) / 4
    # It learned what the classifier says, and sizes: names of the finder of people are given to it as the latter.
    label, sure = (AS_SIZE[track.label], 0.0) if track.label in AS_SIZE else (track.label, track.label_confidence)
    return np.concatenate([out, [float(seen), sure], hashed(label)])


def _colour(track: Track, shares: np.ndarray) -> np.ndarray:
    known = shares.sum(1) > 0
    grey = bool(known.any()) and float(shares[:, GREYS:].sum()) < 0.02
    size = track.appearance.strip().split(" ")[0]
    return np.concatenate([shares.ravel(), known, [float(grey)], one_hot(SIZES, size)])
