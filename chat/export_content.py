"""What an export says, before it is a page or paper: clean words, rows, ticks, bands. Knows no format.

Whatever comes from a user, a file name or a model passes `clean` or `one_line` on its way out.

Next: chat/export_html.py
"""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chat import facts
from tvad.evidence import Analysis, Event, Evidence

if TYPE_CHECKING:
    import numpy as np

    from chat.session import Answer

Pictures = Mapping[str, bytes]  # PNG or JPEG by name: "event-1", "timeline", "trajectory"

COLUMNS = ("Event", "Start", "End", "Peak", "Score", "Category", "Tracks", "Raised by")
NO_QUESTION = "No question was asked."
CONFLICT = "Conflict with the evidence:"
RESTS_ON = "Rests on:"
CAPTIONS = {"timeline": "Score curve with pictures of the events", "trajectory": "Where the things of the events went"}
MAX_THINGS = 6  # tracks described of one event; the rest are counted
LABEL_ROWS = 3  # of event numbers above the curve
TICK_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)
LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
JOINERS = "\u200c\u200d"  # hold together letters of Indian and Arabic scripts, and emoji


@dataclass(frozen=True)
class Said:
    """One turn of the dialogue. yes: the language model's probability that there is an anomaly, in [0, 1], or None;
    citations and conflicts as in chat.session.Answer."""

    question: str
    answer: str
    citations: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    yes: float | None = None

    @classmethod
    def of(cls, question: str, answer: "Answer") -> "Said":
        return cls(question, answer.text, answer.citations, answer.conflicts, answer.yes)


# Words


def clean(text: str) -> str:
    """`text` without control characters; every kind of line end is "\\n", a tab is a space.

    Signs that turn the direction of writing go too, for they let a name look like another; half of a surrogate pair
    (an undecodable file name) becomes U+FFFD, so that the result is always valid UTF-8.
    """
    text = LINE_ENDS.sub("\n", text).replace("\t", " ")
    return "".join(_kept(c) for c in text)


def _kept(c: str) -> str:
    if c == "\n" or c in JOINERS:
        return c
    kind = unicodedata.category(c)
    if kind == "Cs":
        return "\ufffd"
    is_no_character = ord(c) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(c) <= 0xFDEF
    return "" if kind in ("Cc", "Cf") or is_no_character else c


def one_line(text: str) -> str:
    """`clean`, and every run of white space is one space."""
    return " ".join(clean(text).split())


def file_name(evidence: Evidence) -> str:
    """The name of the video's file, without its folders; "video" when there is none."""
    return one_line(re.split(r"[\\/]", evidence.video.path)[-1]) or "video"


def percent(share: float) -> str:
    """0.93 -> "93%", as the narrator writes it."""
    return f"{share:.0%}"


def counted(number: int, noun: str) -> str:
    """ "1 event", "2 events"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


# Findings


def verdict(evidence: Evidence) -> str:
    """ "2 anomalous events"."""
    return counted(len(evidence.events), "anomalous event") if evidence.events else "No anomalous event"


def verdict_details(evidence: Evidence) -> list[str]:
    """Sentences after the verdict: the summary, the highest score, the confidence."""
    summary = one_line(evidence.summary).removeprefix(verdict(evidence)).lstrip(": ")  # the verdict stands above it
    said = [facts.capital(summary)] if summary.strip(".") else []
    threshold = f"the threshold {evidence.threshold:.2f}"
    peak = evidence.peak_score
    if evidence.events:
        best = facts.strongest(evidence.events)
        said.append(f"The highest score of an event is {best.score:.2f} (event {best.id}); {threshold} was crossed.")
    # A score just below the threshold may be rounded up to it, which would read as a contradiction.
    elif peak is None or f"{peak:.2f}" >= f"{evidence.threshold:.2f}":
        said.append(f"No score reached {threshold}.")
    else:
        said.append(f"The highest score, {peak:.2f}, stays below {threshold}.")
    return [*said, f"Confidence in this verdict: {percent(evidence.confidence)}."]


def calibration(evidence: Evidence) -> str:
    return "calibrated on this camera" if evidence.calibration == "scene" else "uncalibrated"


def how_made(evidence: Evidence) -> list[tuple[str, str]]:
    """What was analysed and how, as (name, value); no path of a folder is in it."""
    video, settings = evidence.video, evidence.settings
    rows = [
        ("File", file_name(evidence)),
        ("SHA-256", one_line(video.sha256)),
        ("Video", f"{facts.clock(video.duration_s)} long, {video.width} x {video.height} px, {video.fps:g} frames/s"),
        ("Analysed", _stretch(evidence)),
        ("Preset", one_line(evidence.preset)),
        ("Calibration", f"{calibration(evidence)}; judged against {facts.compared_with(evidence)}"),
        ("Scene", one_line(re.split(r"[\\/]", str(settings.get("scene") or ""))[-1])),
        ("Threshold", f"{evidence.threshold:.2f}{facts.alarm_rate(evidence)}"),
        ("Parts", _joined(settings.get("parts"))),
        ("Anomaly words", _joined(settings.get("anomaly"))),
        ("Normal words", _joined(settings.get("normal"))),
        ("Sampled at", f"{_joined(settings.get('fps'))} frames/s" if settings.get("fps") else ""),
        ("Versions", ", ".join(one_line(f"{name} {version}") for name, version in evidence.versions.items())),
    ]
    return [(name, value) for name, value in rows if value]


def _stretch(evidence: Evidence) -> str:
    start_s, end_s = evidence.settings.get("start_s"), evidence.settings.get("end_s")
    if start_s is None and end_s is None:
        return "the whole video"
    return facts.stretch(float(start_s or 0.0), float(evidence.video.duration_s if end_s is None else end_s))


def _joined(value: object) -> str:
    """A setting in words: a list is joined, None and nothing are ""."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(one_line(str(v)) for v in value)
    return one_line(f"{value:g}" if isinstance(value, float) else str(value))


def category(event: Event) -> str:
    return one_line(event.category) or "anomaly"


def cells(event: Event) -> tuple[str, ...]:
    """An event under COLUMNS."""
    times = (facts.clock(max(t, 0.0)) for t in (event.start_s, event.end_s, event.peak_s))
    raised = one_line(", ".join(event.raised_by))
    tracks = ", ".join(str(i) for i in event.tracks)
    return (str(event.id), *times, f"{event.score:.2f}", category(event), tracks or "none", raised or "unknown")


def things(evidence: Evidence, event: Event) -> list[str]:
    """A sentence a track of the event: what it is and how it moves."""
    tracks = facts.tracks_of(evidence, event)
    said = []
    for track in tracks[:MAX_THINGS]:
        words = f"{facts.article(facts.noun(track))} {track.motion.summary.rstrip('. ')}"
        said.append(f"{facts.capital(one_line(words))} (track {track.id}).")
    if len(tracks) > MAX_THINGS:
        said.append(f"And {len(tracks) - MAX_THINGS} more.")
    return said or ["No single thing was followed."]


def is_more(event: Event, pictures: Pictures) -> bool:
    """Whether there is more to tell of an event than its row in the table."""
    return bool(event.tracks) or f"event-{event.id}" in pictures


def curve_caption(evidence: Evidence, line: "Timeline") -> str:
    """What is to be seen on the timeline."""
    words = f"Score over time (minutes:seconds); shaded: events; dashed: the threshold {evidence.threshold:.2f}."
    if line.unnumbered:
        words += f" {counted(line.unnumbered, 'event')} without a number for want of room; the table has them all."
    return words


def meaning(evidence: Evidence) -> list[str]:
    """What the score, the threshold and the confidence mean, in sentences."""
    rate = facts.alarm_rate(evidence).removeprefix(", set for ")
    promise = f"It is set for {rate}. " if rate else ""
    if evidence.calibration == "scene":
        held = "This was measured on normal footage of this camera."
    else:
        held = (
            "This was not measured on this camera: the video was judged against its own frequent patterns, so trust it "
            "less (tvad calibrate)."
        )
    return [
        "The score of a moment lies between 0 and 1 and says how rare such a moment is in normal footage: 0.5 is "
        "exceeded about once an hour, a higher score more seldom.",
        f"From the threshold {evidence.threshold:.2f} on a moment belongs to an event. {promise}{held}",
        "Unusual is not the same as dangerous or forbidden. A person has to look at every event.",
        f"The confidence, {percent(evidence.confidence)}, is the probability that the verdict (anomaly or none) is "
        "right, as far as the calibration can say.",
    ]


def caption(evidence: Evidence, name: str) -> str:
    """The words under the picture with this name."""
    found = next((e for e in evidence.events if name == f"event-{e.id}"), None)
    return f"Event {found.id}: {category(found)}" if found else CAPTIONS.get(name, one_line(name))


def other_pictures(evidence: Evidence, pictures: Pictures) -> list[str]:
    """Names of the pictures that belong to no event: timeline and trajectory first."""
    own = {f"event-{e.id}" for e in evidence.events}
    return sorted((n for n in pictures if n not in own), key=lambda n: (n not in CAPTIONS, n))


def picture_type(name: str, data: bytes) -> str:
    """ "image/png" or "image/jpeg"; ValueError for anything else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    raise ValueError(f"picture {name!r} begins with {data[:8]!r}; it must be PNG or JPEG")


# Timeline


@dataclass(frozen=True)
class Band:
    """An event on the timeline: `left` and `right` as shares of its width, the place `middle` of its number and the
    row it stands in, 0 nearest to the curve; None where there was no room for the number."""

    number: int
    left: float
    right: float
    middle: float
    row: int | None


@dataclass(frozen=True)
class Timeline:
    """The analysed stretch: x (M,) shares of its width and scores (M,) in [0, 1], thinned; ticks as (share, label);
    bands in the order of time."""

    start_s: float
    end_s: float
    x: "np.ndarray"
    scores: "np.ndarray"
    ticks: tuple[tuple[float, str], ...]
    bands: tuple[Band, ...]

    @property
    def rows(self) -> int:
        """Rows of numbers that are used."""
        return max((b.row + 1 for b in self.bands if b.row is not None), default=0)

    @property
    def unnumbered(self) -> int:
        return sum(b.row is None for b in self.bands)

    def described(self, evidence: Evidence) -> str:
        """The picture in words, for those who cannot see it."""
        stretch = f"from {facts.clock(self.start_s)} to {facts.clock(self.end_s)}"
        events = "; ".join(
            f"event {e.id} from {facts.clock(e.start_s)} to {facts.clock(e.end_s)}, score {e.score:.2f}"
            for e in facts.in_time(evidence.events)
        )
        highest = f", highest {self.scores.max():.2f}" if len(self.scores) else ""
        return f"Score {stretch}{highest}, threshold {evidence.threshold:.2f}. {events or 'No event'}."


def make_timeline(analysis: Analysis, points: int, ticks: int, digit: float) -> Timeline:
    """At most `points` of the curve and `ticks` labels; `digit` is the width of a digit as a share of the whole."""
    import numpy as np

    from tvad.stills import thinned

    evidence, curves = analysis
    start_s, end_s = _analysed(analysis)
    length_s = end_s - start_s
    times_s, scores = thinned(curves.times_s, curves.scores, points)
    x = np.clip((times_s - start_s) / length_s, 0.0, 1.0)
    return Timeline(start_s, end_s, x, scores, _ticks(start_s, end_s, ticks), _bands(evidence, start_s, end_s, digit))


def _analysed(analysis: Analysis) -> tuple[float, float]:
    from tvad.stills import analysed_stretch  # brings matplotlib along

    start_s, end_s = analysed_stretch(analysis)
    start_s = max(start_s, 0.0)
    return start_s, max(end_s, start_s + 0.1)


def _ticks(start_s: float, end_s: float, most: int) -> tuple[tuple[float, str], ...]:
    length_s = end_s - start_s
    step = next((s for s in TICK_STEPS_S if length_s / s <= most), math.ceil(length_s / most / 86400) * 86400)
    first, last = math.ceil(start_s / step - 1e-9), math.floor(end_s / step + 1e-9)
    labels = ((i * step, facts.clock(i * step)) for i in range(first, last + 1))
    return tuple(((t - start_s) / length_s, label if step < 1 else label[:-2]) for t, label in labels)


def _bands(evidence: Evidence, start_s: float, end_s: float, digit: float) -> tuple[Band, ...]:
    """The numbers of the strongest events are placed first."""
    length_s = end_s - start_s
    taken: Sequence[list[tuple[float, float]]] = [[] for _ in range(LABEL_ROWS)]
    bands = []
    for event in sorted(evidence.events, key=lambda e: (-e.score, e.id)):
        left, right = (min(max((t - start_s) / length_s, 0.0), 1.0) for t in (event.start_s, event.end_s))
        half = digit * (len(str(event.id)) + 1) / 2
        middle = min(max((left + right) / 2, half), 1 - half)
        span = middle - half, middle + half
        row = next((i for i, r in enumerate(taken) if not any(span[0] < q and span[1] > p for p, q in r)), None)
        if row is not None:
            taken[row].append(span)
        bands.append(Band(event.id, left, right, middle, row))
    return tuple(sorted(bands, key=lambda b: (b.left, b.number)))
