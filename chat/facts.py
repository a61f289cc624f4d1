"""The evidence in plain words: times, things, events, tracks. Every word of an answer stems from here and the evidence.

Next: chat/report.py
"""

import re
from collections.abc import Sequence

from chat.lexicon import same_cell
from heatmap.motion import cell_of, place
from tvad.evidence import Event, Evidence, Track
from tvad.kinds import FALLING

LISTED = 4  # further events named in one answer; the rest are counted


def seconds(t_s: float) -> str:
    """ "5.2 s"; from a minute on with the clock: "75.2 s (1:15.2)"."""
    return f"{t_s:.1f} s" + (f" ({clock(t_s)})" if round(t_s, 1) >= 60 else "")


def clock(t_s: float) -> str:
    """75.24 -> 1:15.2, 3723 -> 1:02:03.0."""
    tenths = round(t_s * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{tenths / 10:04.1f}"


def stretch(start_s: float, end_s: float) -> str:
    """ "from 3.2 to 5.8 s"."""
    if round(start_s, 1) == round(end_s, 1):
        return f"at {seconds(start_s)}"
    clocks = f" ({clock(start_s)} to {clock(end_s)})" if round(end_s, 1) >= 60 else ""
    return f"from {start_s:.1f} to {end_s:.1f} s{clocks}"


def span(start_s: float, end_s: float) -> str:
    """ "3.2-5.8 s", for brackets and citations."""
    return f"{start_s:.1f}-{end_s:.1f} s"


def cite_event(event: Event) -> str:
    return f"event {event.id}, {span(event.start_s, event.end_s)}"


def cite_track(track: Track) -> str:
    return f"track {track.id}"


def noun(track: Track) -> str:
    """What a track is: "small red bicycle"; its label alone when nothing is known of its looks."""
    label, looks = track.label.strip(), track.appearance.strip().rstrip(".,")
    if label.endswith("object"):  # such a name tells the size already
        looks = re.sub(r"^(?:small|medium-sized|large)\b,? *", "", looks)
    if not looks:
        return label or "thing"
    if not label:
        return f"{looks} thing"
    return looks if label.lower() in looks.lower() else f"{looks} {label}"


def article(words: str) -> str:
    """ "a small bicycle", "an orange cart"; words that bring their own article stay."""
    first = words.split(maxsplit=1)[0].lower() if words else ""
    if first in ("a", "an", "the", "one", "two", "some", "several"):
        return words
    vowel = (first[:1] in tuple("aeiou") and not first.startswith(("uni", "use", "eu", "one-"))) or first.startswith(
        "unin"
    )
    return f"{'an' if vowel else 'a'} {words}"


def named(track: Track) -> str:
    """ "the bicycle (track 4)"."""
    label = track.label.strip() or "thing"
    label = label.split(maxsplit=1)[1] if label.lower().startswith(("a ", "an ", "the ")) else label
    return f"the {label} (track {track.id})"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def listed(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def strongest(events: Sequence[Event]) -> Event:
    return max(events, key=lambda e: e.score)


def in_time(events: Sequence[Event]) -> list[Event]:
    return sorted(events, key=lambda e: (e.start_s, e.id))


def tracks_of(evidence: Evidence, event: Event) -> list[Track]:
    """The event's tracks, most important first."""
    return [evidence.track(i) for i in event.tracks]


def event_of(evidence: Evidence, track: Track) -> Event | None:
    """The strongest event that names a track."""
    own = [e for e in evidence.events if track.id in e.tracks]
    return strongest(own) if own else None


def cell_at(evidence: Evidence, track: Track, t_s: float) -> str:
    """The cell of the 3 x 3 grid a track is in at the box nearest to `t_s`."""
    box = min(track.boxes, key=lambda b: abs(b.t_s - t_s))
    x0, y0, x1, y1 = box.xyxy
    return cell_of((x0 + x1) / 2, (y0 + y1) / 2, evidence.video.width, evidence.video.height)


def at_cell(cell: str) -> str:
    """ "in the middle", "at the top left"."""
    return f"{'in' if same_cell(cell) == 'middle' else 'at'} {place(cell)}"


def cells_of(evidence: Evidence, track: Track) -> set[str]:
    """Every cell that any of the track's boxes touches, and those of its trajectory."""
    width, height = evidence.video.width, evidence.video.height
    corners = {
        tuple(min(max(int(3 * v / side), 0), 2) for v, side in zip(b.xyxy, (width, height) * 2, strict=True))
        for b in track.boxes
    }
    cells = {(c, r) for c0, r0, c1, r1 in corners for c in range(c0, c1 + 1) for r in range(r0, r1 + 1)}
    return {same_cell(c) for c in track.trajectory} | {cell_of(c + 0.5, r + 0.5, 3, 3) for c, r in cells}


def headline(evidence: Evidence, event: Event, track: Track | None = None) -> str:
    """A sentence without its full stop: when, what (the track, else the event's first), how it moves, the numbers."""
    tracks = tracks_of(evidence, event)
    when = stretch(event.start_s, event.end_s)
    if not tracks:
        return f"{when} {event.category} (event {event.id}, score {event.score:.2f})"
    first = track if track in tracks else tracks[0]
    kind = "" if event.category.lower() in noun(first).lower() else f"; {event.category}"
    more = f" with {len(tracks) - 1} more" if len(tracks) > 1 else ""
    said = f"{when} {article(noun(first))} {first.motion.summary.rstrip('. ')}".rstrip()
    return f"{said}{kind} (event {event.id}, score {event.score:.2f}; track {first.id}{more})"


def kind_note(evidence: Evidence) -> str:
    """A sentence about what the anomaly, or the least usual moment, looks like; "" where that is unspecified."""
    share = evidence.class_probs.get(evidence.kind)
    if share is None:
        return ""
    told = "somebody falls" if evidence.kind == FALLING else f"the movement looks like {evidence.kind}"
    return f"[From the evidence: {told} ({share:.0%}).]"


def kind_in_words(event: Event) -> str:
    """ "fighting (86%)", "unusual movement (kind unspecified)", "bicycle"."""
    share = event.class_probs.get(event.kind)
    if share is not None and event.category == event.kind:
        return f"{event.category} ({share:.0%})"
    unusual = event.class_probs and event.category.startswith("unusual")
    return f"{event.category} (kind unspecified)" if unusual else event.category


def brief(event: Event) -> str:
    """ "event 2 (unusual movement, 8.0-9.1 s)"."""
    return f"event {event.id} ({event.category}, {span(event.start_s, event.end_s)})"


def others(events: Sequence[Event]) -> str:
    """The given events in time order, briefly; beyond LISTED only counted."""
    parts = [brief(e) for e in in_time(events)[:LISTED]]
    if len(events) > LISTED:
        parts.append(f"{len(events) - LISTED} more")
    return listed(parts)


def compared_with(evidence: Evidence) -> str:
    """What the video was judged against."""
    if evidence.calibration == "scene":
        return "normal footage of this camera"
    return "the clip's own frequent patterns"


def part_in_words(evidence: Evidence, part: str) -> str:
    """ "memory" -> what it is. Parts unknown here keep their name."""
    if part == "memory":
        return f"the memory (unlike {compared_with(evidence)})"
    if part == "words":
        given = evidence.settings.get("anomaly")
        told = ", ".join(word for word in given if isinstance(word, str)) if isinstance(given, list | tuple) else ""
        return f"the anomaly words ({told})" if told else "the anomaly words"
    return f'the part "{part}"'


def alarm_rate(evidence: Evidence) -> str:
    """What the threshold promises, as far as the settings say."""
    rate = evidence.settings.get("false_alarms_per_hour")
    if not isinstance(rate, int | float):
        return ""
    return f", set for {rate:g} false {'alarm' if rate == 1 else 'alarms'} per hour of normal footage"


def uncalibrated_note(evidence: Evidence) -> str:
    """Said once, in the first answer; empty for a calibrated analysis."""
    if evidence.calibration == "scene":
        return ""
    return (
        f"Uncalibrated: judged against {compared_with(evidence)}, not this camera's normal footage, "
        "so trust it less (`tvad calibrate`)."
    )
