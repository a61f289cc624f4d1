"""Findings: spans, region tracks and things to the events and tracks of the Evidence, with labels and words.

Next: tvad/detector.py
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from heatmap.appearance import describe_appearance
from heatmap.motion import cell_path, describe_motion, entry_exit
from heatmap.tracks import RegionTrack
from tvad.classifier import N_CLASSES, class_names
from tvad.colours import ColourReader
from tvad.crowd import NAMES, Crowd, Named, probability
from tvad.events import Span
from tvad.evidence import Event, Motion, Track, TrackBox
from tvad.falls import Fall
from tvad.parts import ScoredThing
from tvad.people import PERSON as PERSON_SEEN
from tvad.people import overlaps
from tvad.sight import COLOURS
from tvad.spill import Objects
from tvad.watcher import Shot
from tvad.words import WordGuide, softmax

SURE = 0.12  # probability from which the classifier's class, or a word, is taken as the label
OVERLAP = 0.2  # mean overlap from which a thing is the one a track follows
FALLEN = 0.3  # overlap from which a track is the one who falls
PERSON = (0.5, 2.0)  # height relative to the usual moving thing here


@dataclass(frozen=True)
class SeenThing:
    """A thing after scoring: boxes (n, 4) source px at times_s (n,), words level (n,), label, pictures, and the mean of
    the classifier's logits (1000,), zero where it did not look."""

    boxes: np.ndarray
    times_s: np.ndarray
    level: np.ndarray
    label: str
    label_confidence: float
    is_word: bool
    shots: tuple[Shot, ...]
    look: np.ndarray

    @classmethod
    def of(cls, scored: ScoredThing, guide: WordGuide | None, scale: float) -> "SeenThing":
        """`scale`: source pixels per analysed pixel."""
        label, confidence, is_word = name_of(scored.logits, guide)
        thing = scored.thing
        return cls(
            np.array(thing.boxes) * scale,
            np.array(thing.times_s),
            scored.level,
            label,
            confidence,
            is_word,
            tuple(thing.shots),
            thing.look_logits.mean(axis=0) if thing.logits else np.zeros(N_CLASSES, np.float32),
        )

    @property
    def height(self) -> float:
        return float(np.median(self.boxes[:, 3] - self.boxes[:, 1]))

    def overlap(self, track: RegionTrack) -> float:
        """Mean over the track of the share of the smaller box that both cover, where both are there; in [0, 1]."""
        regions = track.regions
        t = np.array([r.t_s for r in regions])
        shared = (t >= self.times_s[0]) & (t <= self.times_s[-1])
        if not shared.any():
            return 0.0
        own = np.stack([np.interp(t, self.times_s, self.boxes[:, i]) for i in range(4)], 1)
        other = np.array([r.box_xyxy for r in regions])
        low, high = np.maximum(own[:, :2], other[:, :2]), np.minimum(own[:, 2:], other[:, 2:])
        both = np.clip(high - low, 0, None).prod(1)
        smaller = np.minimum((own[:, 2:] - own[:, :2]).prod(1), (other[:, 2:] - other[:, :2]).prod(1))
        return float((both / np.maximum(smaller, 1.0) * shared).mean())


class SeenThings:
    """All things of a video in the order they came; of a long one, in a file."""

    def __init__(self, things: Sequence[SeenThing] = ()) -> None:
        self._kept: Objects[SeenThing] = Objects()
        self._start_s, self._end_s, self._height = array("d"), array("d"), array("d")
        for thing in things:
            self.add(thing)

    def add(self, thing: SeenThing) -> None:
        """The next one."""
        self._kept.add(thing)
        self._start_s.append(float(thing.times_s[0]))
        self._end_s.append(float(thing.times_s[-1]))
        self._height.append(thing.height)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[SeenThing]:
        return (self._kept[n] for n in range(len(self)))

    def during(self, start_s: float, end_s: float) -> Iterator[SeenThing]:
        """Those that were there between two times, both included."""
        there = (np.array(self._start_s) <= end_s) & (np.array(self._end_s) >= start_s)
        return (self._kept[n] for n in np.flatnonzero(there).tolist())

    @property
    def usual_height(self) -> float:
        """Median height, source px; there must be one."""
        return float(np.median(self._height))


def name_of(logits: np.ndarray, guide: WordGuide | None) -> tuple[str, float, bool]:
    """Label, its probability, whether it is one of the anomaly words; ("", 0, False) when nothing is likely."""
    if not len(logits):
        return "", 0.0, False
    if guide is not None and guide.classes:
        word, p = guide.best_word(logits)
        if p >= SURE:
            return word, p, True
    mean = softmax(logits).mean(0)
    best = int(mean.argmax())
    if mean[best] >= SURE:
        return class_names()[best][0], float(mean[best]), False
    return "", 0.0, False


def thing_of(track: RegionTrack, things: SeenThings) -> SeenThing | None:
    """The thing that a track follows; None where none overlaps it enough."""
    seen = track.regions
    near = things.during(seen[0].t_s, seen[-1].t_s) if seen else iter(())
    best = max(near, key=lambda s: s.overlap(track), default=None)
    return best if best is not None and best.overlap(track) >= OVERLAP else None


def seen_of(tracks: Sequence[RegionTrack], things: SeenThings) -> tuple[np.ndarray, np.ndarray]:
    """Looks (N, 1000) and colours (N, 2, 11) of tracks, as in Sight."""
    looks = np.zeros((len(tracks), N_CLASSES), np.float16)
    colours = np.zeros((len(tracks), 2, COLOURS), np.float16)
    for n, track in enumerate(tracks):
        if (thing := thing_of(track, things)) is not None:
            looks[n] = thing.look
            colours[n] = colours_of(thing)
    return looks, colours


def colours_of(thing: SeenThing) -> np.ndarray:
    """(2, 11) shares of colours in the upper and the lower half of a thing."""
    return ColourReader.packaged()([s.rgb for s in thing.shots], [s.mask for s in thing.shots])


def make_track(
    number: int,
    track: RegionTrack,
    things: SeenThings,
    size_wh: tuple[int, int],
    stretch_s: tuple[float, float],
    crowd: Crowd | None = None,
) -> tuple[Track, bool]:
    """The Evidence's track, and whether its label is one of the anomaly words. Other labels are of the classifier or of
    the finder of people, whichever is surer."""
    regions = track.regions
    times = [r.t_s for r in regions]
    boxes = [r.box_xyxy for r in regions]
    thing = thing_of(track, things)
    entry, exit_ = entry_exit(times, boxes, size_wh, *stretch_s)
    shots = thing.shots if thing else ()
    label, sure = (thing.label, thing.label_confidence) if thing and thing.label else ("", 0.0)
    is_word = bool(thing and label and thing.is_word)
    seen = crowd.name_of(times, boxes) if crowd and not is_word else Named()
    if seen.sure > sure:
        label, sure = seen.name, seen.sure
    out = Track(
        id=number,
        label=label or _size_label(thing, boxes, things),
        label_confidence=round(sure, 3),
        appearance=describe_appearance(
            [s.rgb for s in shots],
            [s.mask for s in shots],
            float(np.median([r.area for r in regions])),
            colours_of(thing) if thing else None,
        ),
        boxes=tuple(
            TrackBox(round(r.t_s, 4), _rounded(r.box_xyxy), round(float(np.clip(r.score, 0, 1)), 4)) for r in regions
        ),
        trajectory=cell_path(boxes, size_wh),
        motion=Motion(**asdict(describe_motion(times, boxes, size_wh))),
        entry=entry,
        exit=exit_,
    )
    return out, is_word


def with_faller(track: Track, fall: Fall, size_wh: tuple[int, int]) -> Track:
    """The track, called a person where it had no name but its size and is the one who falls."""
    times = [b.t_s for b in track.boxes]
    at = np.clip(fall.low_s, times[0], times[-1])
    own = np.array([np.interp(at, times, [b.xyxy[k] for b in track.boxes]) for k in range(4)])
    fallen = np.array([np.interp(at, fall.times_s, fall.boxes[:, k]) for k in range(4)]) * (*size_wh, *size_wh)
    if track.label_confidence or overlaps(own, fallen[None])[0] < FALLEN:
        return track
    return replace(track, label=NAMES[PERSON_SEEN], label_confidence=round(float(probability(np.array(fall.score))), 3))


def _rounded(box: Sequence[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (round(float(v), 1) for v in box)
    return x0, y0, x1, y1


def _size_label(thing: SeenThing | None, boxes: Sequence[Sequence[float]], things: SeenThings) -> str:
    """By height, among everything that moves here: most moving things are people or of their size."""
    height = thing.height if thing else float(np.median([b[3] - b[1] for b in boxes]))
    usual = things.usual_height if len(things) else height
    if height < PERSON[0] * usual:
        return "small object"
    return "person-sized object" if height <= PERSON[1] * usual else "large object"


def category(span: Span, motion_share: np.ndarray, raised_by: Sequence[str], word: str | None) -> str:
    """What kind of event: the anomaly word or class seen in it, else whether movement or look is unusual."""
    if word is not None:
        return word
    if "memory" not in raised_by:
        return "unusual movement" if "head" in raised_by else "unusual object"
    share = float(np.median(motion_share[span.start : span.end + 1]))
    if share > 0.6:
        return "unusual movement"
    return "unusual appearance" if share < 0.4 else "unusual appearance and movement"


def summarise(events: Sequence[Event], tracks: Sequence[Track]) -> str:
    """One or two sentences for lists and page heads; the narrator has more."""
    if not events:
        return "Nothing anomalous was found."
    strongest = max(events, key=lambda e: e.score)
    by_id = {t.id: t for t in tracks}
    head = "1 anomalous event" if len(events) == 1 else f"{len(events)} anomalous events, the strongest"
    text = f"{head}: {strongest.category} from {strongest.start_s:.1f} to {strongest.end_s:.1f} s"
    if strongest.tracks:
        track = by_id[strongest.tracks[0]]
        text += f"; {track.appearance} {track.label}".replace("  ", " ") + f" {track.motion.summary}"
    return text + "."


def confidence(peak_rarity: float, hours: float, found: bool, limit: float) -> float:
    """Probability in [0.5, limit] that the yes or no is right, from the p-value of the highest score.

    Expected normal alarms of this rarity in footage this long give the p-value; the Bayes factor is bounded as by
    Sellke, Bayarri and Berger 2001, with one anomalous clip in ten beforehand.
    """
    p = float(-np.expm1(-hours * np.exp(-np.clip(peak_rarity, -60, 60))))
    factor = -np.e * p * np.log(p) if 0 < p < 1 / np.e else (0.0 if p <= 0 else 1.0)
    normal = 0.9 * factor / (0.9 * factor + 0.1)
    return round(float(np.clip(1 - normal if found else normal, 0.5, limit)), 3)
