"""One function for each kind of question: from a View of the evidence to sentences.

Next: chat/report.py
"""

from collections.abc import Callable
from dataclasses import dataclass

from chat import facts
from chat.conversation import Turn
from chat.deeds import done
from chat.facts import capital, named, seconds, stretch
from chat.focus import matches
from chat.harm import harm, untold
from chat.lexicon import arrow, cells_for, colours_in, deeds, kin, opposed, plural, same_cell, singular
from chat.nothing import ASKS, asks_length, confidence, counts_findings, length_of
from chat.questions import (
    APPEARANCE,
    COUNT,
    DEED,
    HARM,
    LABEL,
    MOTION,
    SURE,
    UNKNOWN,
    WHAT,
    WHEN,
    WHERE,
    WHETHER,
    WHY,
    Question,
)
from chat.standing import how_sure, otherwise, seen, warned
from heatmap.motion import place
from tvad.evidence import Event, Evidence, Track


@dataclass(frozen=True)
class View:
    """What an answer is made from. event: the one in focus, else the strongest; None when there is none.

    chosen: the person named it; then nothing is said of the others. stand: the turn that said whether there is an
    anomaly.
    """

    evidence: Evidence
    question: Question
    event: Event | None
    track: Track | None
    chosen: bool
    stand: Turn | None = None

    @property
    def rest(self) -> list[Event]:
        """The other events, when they may be meant too."""
        return [] if self.chosen else [e for e in self.evidence.events if e is not self.event]


# --- one function a kind ------------------------------------------------------------------------------------------


def _whether(view: View) -> str:
    assert view.event is not None
    lead = "No, not everything: " if view.question.asks_normal else "Yes: "
    if view.question.place and not view.question.back:
        return _at_place(view)
    if view.question.says(r"\belse\b|\bother\b|\bmore\b"):
        return _else(view)
    return f"{lead}{_head(view)} {confidence(view.evidence)}"


def _else(view: View) -> str:
    """ "anything else?": beside the strongest event."""
    assert view.event is not None
    rest = [e for e in view.evidence.events if e is not view.event]
    return f"Yes: {facts.others(rest)}." if rest else f"No: nothing else, only {facts.brief(view.event)}."


def _head(view: View) -> str:
    assert view.event is not None
    text = facts.headline(view.evidence, view.event, view.track) + "."
    if view.rest:
        count = len(view.evidence.events)
        text += f" It is the strongest of {count} events; the others: {facts.others(view.rest)}."
    return text


def _what(view: View) -> str:
    if view.event is None:
        return _appearance(view)
    lead = "Yes: " if view.question.yes_no else ""
    return lead + (_head(view) if lead else capital(_head(view)))


def _at_place(view: View) -> str:
    wanted = cells_for(view.question.place or "")
    words = place(view.question.place or "").replace("-", " ")
    passing = [t for t in _candidates(view) if {same_cell(c) for c in t.trajectory} & wanted]
    if passing:
        return f"Yes: {_was_at(passing[0], words)}; {_path(passing[0])}."
    where = [f"{named(t)} is seen {_cells(t)}" for t in _candidates(view)[:1]]
    return f"No: nothing anomalous was followed through {words}" + (f"; {where[0]}." if where else ".")


def _was_at(track: Track, words: str) -> str:
    return f"{named(track)} passes {words}" if len(track.trajectory) > 1 else f"{named(track)} is at {words}"


def _candidates(view: View) -> list[Track]:
    if view.chosen or view.question.back:
        return [view.track] if view.track else []
    by_score = sorted(view.evidence.events, key=lambda e: -e.score)
    return list({t.id: t for e in by_score for t in facts.tracks_of(view.evidence, e)}.values())


def _when(view: View) -> str:
    event, track = view.event, view.track
    if asks_length(view.question):
        return length_of(view.evidence)
    if event is None:
        assert track is not None
        return f"{capital(named(track))} is seen {stretch(track.start_s, track.end_s)}."
    if view.question.says(r"how long|duration|last\b"):
        took = f"{event.end_s - event.start_s:.1f} s long"
        text = f"Event {event.id} is {took}: {stretch(event.start_s, event.end_s)}."
    else:
        text = (
            f"{capital(stretch(event.start_s, event.end_s))} (event {event.id}), strongest at {seconds(event.peak_s)}."
        )
    if view.question.track is not None and track is not None:
        text += f" {capital(named(track))} is seen {stretch(track.start_s, track.end_s)}."
    if view.rest:
        text += f" The others: {facts.others(view.rest)}."
    return text


def _where(view: View) -> str:
    track = view.track
    if track is None:
        return _no_track(view, "place")
    if view.question.yes_no and view.question.place:
        return _at_place(view)
    t_s = view.event.peak_s if view.event else max(track.boxes, key=lambda b: b.score).t_s
    # The event may be strongest while another of its things is seen.
    t_s = min(max(t_s, track.start_s), track.end_s)
    cell = facts.cell_at(view.evidence, track, t_s)
    text = f"At {seconds(t_s)} {named(track)} is {facts.at_cell(cell)} of the picture"
    return f"{text}; {_path(track)}." if len(track.trajectory) > 1 else f"{text}, and stays there."


def _cells(track: Track) -> str:
    if len(track.trajectory) == 1:
        return facts.at_cell(track.trajectory[0])
    return f"on the way {_way(track)}"


def _way(track: Track) -> str:
    return " - ".join(c.replace("-", " ") for c in track.trajectory)


def _path(track: Track) -> str:
    if len(track.trajectory) < 2:
        return f"it is seen {stretch(track.start_s, track.end_s)}"
    return f"its path: {_way(track)}"


def _no_track(view: View, what: str) -> str:
    number = f"event {view.event.id}" if view.event else "this"
    return f"Nothing was followed in {number}, so there is no {what} to tell."


def _motion(view: View) -> str:
    track = view.track
    if track is None:
        return _no_track(view, "movement")
    motion = track.motion
    text = f"{named(track)} {motion.summary.rstrip('. ')}"
    if len(track.trajectory) > 2:
        text += f"; path: {_way(track)}"
    text += f" ({stretch(track.start_s, track.end_s)})"
    if view.question.says(r"speed|fast|slow|quick|accelerat"):
        text += f"; {motion.speed_change}, {_speeds(track)}"
    if border := _borders(track, view.question.says(r"where|enter|exit|leav|come|came|go(es|ing)? (to|away|out)|from")):
        text += f"; {border}"
    verdict = _motion_verdict(view.question, track) if view.question.yes_no else None
    return capital(f"{text}.") if verdict is None else f"{verdict}: {text}."


def _speeds(track: Track) -> str:
    mean, top = track.motion.mean_speed, track.motion.max_speed
    return f"on average {mean:.2f} and at most {top:.2f} frame diagonals per second"


def _borders(track: Track, asked: bool) -> str:
    parts = [
        f"it {verb} the {border} border"
        for verb, border in (("comes in at", track.entry), ("goes out at", track.exit))
        if border
    ]
    if asked and not track.entry:
        parts.append("it is not seen coming in")
    if asked and not track.exit:
        parts.append("it is not seen going out")
    return " and ".join(parts)


def _motion_verdict(question: Question, track: Track) -> str | None:
    """Yes or No to a question on how it moves; None when the evidence does not tell."""
    motion = track.motion
    holds: bool | None = None
    if question.says(r"\bstop"):
        holds = motion.stops or motion.displacement == "still"
    elif question.says(r"\bturn"):
        holds = motion.turn
    elif question.says(r"accelerat|faster|speed(s|ing)? up"):
        holds = motion.speed_change == "accelerates"
    elif question.says(r"slower|slow(s|ing)? down"):
        holds = motion.speed_change == "slows"
    elif question.says(r"\benter|com(e|es|ing) in"):
        holds = track.entry is not None
    elif question.says(r"\bleav|\bexit|go(es|ing)? (out|away)"):
        holds = track.exit is not None
    elif question.direction:
        holds = motion.direction is not None and not opposed(arrow(question.direction), arrow(motion.direction))
    elif question.says(r"\bmov"):
        holds = motion.displacement != "still"
    return None if holds is None else "Yes" if holds else "No"


def _count(view: View) -> str:
    evidence = view.evidence
    thing = view.question.thing
    if not counts_findings(thing):
        own = [t for t in evidence.tracks if matches(thing, t)]
        number = f"{len(own)} of {plural('track', len(evidence.tracks))} {'is' if len(own) == 1 else 'are'}"
        return f'{number} labelled "{thing}"{_labels(evidence.tracks)}; normal things are not counted.'
    if view.chosen and view.event is not None and view.question.back:
        tracks = facts.tracks_of(evidence, view.event)
        return f"Event {view.event.id} has {plural('track', len(tracks))}{_labels(tracks)}."
    events = plural("anomalous event", len(evidence.events))
    text = f"{events} with {plural('track', len(evidence.tracks))}{_labels(evidence.tracks)}."
    if view.question.yes_no:
        more = len(evidence.events) > 1
        text = ("Yes: " if more == view.question.says(r"more than one|several|many|multiple") else "No: ") + text
    return text + (f" In time order: {facts.others(evidence.events)}." if len(evidence.events) > 1 else "")


def _labels(tracks: tuple[Track, ...] | list[Track]) -> str:
    counts: dict[str, int] = {}
    for track in tracks:
        counts[track.label or "unnamed"] = counts.get(track.label or "unnamed", 0) + 1
    return f" ({', '.join(f'{n} x {label}' for label, n in counts.items())})" if counts else ""


def _appearance(view: View) -> str:
    track = view.track
    if track is None:
        return _no_track(view, "appearance")
    looks = track.appearance.strip().rstrip(".")
    asked = colours_in(view.question.text)
    lead = ""
    if view.question.yes_no and asked and colours_in(looks):
        lead = "Yes: " if set(asked) <= set(colours_in(looks)) else "No: "
    says = f"{named(track)} is {looks}" if looks else f"nothing is known of the looks of {named(track)}"
    text = lead + (says if lead else capital(says))
    if track.label_confidence > 0:
        return f'{text}; the label "{track.label}" has a probability of {track.label_confidence:.0%}.'
    return (
        f'{text}; "{track.label}" is a name by size only, its kind was not recognised.' if track.label else f"{text}."
    )


def _why(view: View) -> str:
    event, evidence = view.event, view.evidence
    if event is None:
        return f"Track {view.track.id if view.track else '?'} belongs to no event: it raised no alarm."
    parts = facts.listed([facts.part_in_words(evidence, p) for p in event.raised_by])
    by = f" It was raised by {parts}." if parts else ""
    return (
        f"The score of event {event.id} reaches {event.score:.2f} at {seconds(event.peak_s)}; the threshold is "
        f"{evidence.threshold:.2f}{facts.alarm_rate(evidence)}.{by} Kind: {facts.kind_in_words(event)}."
        + _also_said(view)
    )


def _also_said(view: View) -> str:
    said = otherwise(view.evidence, view.stand)
    return f" {said}" if said else ""


def _sure(view: View) -> str:
    text = how_sure(view.evidence, view.question, view.stand)
    if view.event:
        text += (
            f" Event {view.event.id} scores {view.event.score:.2f} against the threshold {view.evidence.threshold:.2f}."
        )
    return text + warned(view.evidence)


def _harm(view: View) -> str:
    about = harm(view.question.text)
    own = [t for t in _candidates(view) if about == "weapon" and kin(singular(t.label)) & {"weapon"}]
    if own:
        return f"Yes: {named(own[0])} is seen {stretch(own[0].start_s, own[0].end_s)}, {_cells(own[0])}."
    return f"{untold(about)} {seen(view.evidence, view.stand, view.event, view.track)}"


def _deed(view: View) -> str:
    return done(view.evidence, deeds(view.question.text), view.stand, view.event, view.chosen)


def _label(view: View) -> str:
    thing = view.question.thing
    own = [t for t in (_candidates(view) if not view.question.names_one else [view.track]) if t and matches(thing, t)]
    if own:
        return f"Yes: {named(own[0])} is seen {stretch(own[0].start_s, own[0].end_s)}, {_cells(own[0])}."
    labels = facts.listed([named(t) for t in _candidates(view)[:3]]) or "no track"
    text = f'anomalous here is labelled "{thing}", but {labels}; normal things are not listed.'
    return f"No: nothing {text}" if view.question.names_one or view.question.back else f"Nothing {text}"


def _unknown(view: View) -> str:
    head = (
        facts.headline(view.evidence, view.event, view.track)
        if view.event
        else named(view.track)
        if view.track
        else "nothing"
    )
    text = f"The evidence does not tell. It holds: {head}. {ASKS}"
    return " ".join(filter(None, [text, otherwise(view.evidence, view.stand)]))


ANSWERS: dict[str, Callable[[View], str]] = {
    WHETHER: _whether,
    WHAT: _what,
    WHEN: _when,
    WHERE: _where,
    MOTION: _motion,
    COUNT: _count,
    APPEARANCE: _appearance,
    WHY: _why,
    SURE: _sure,
    HARM: _harm,
    DEED: _deed,
    LABEL: _label,
    UNKNOWN: _unknown,
}
