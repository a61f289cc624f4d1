"""Answers about a moment or a stretch of time: what is anomalous then, or where in time the nearest event is.

Next: chat/report.py
"""

import math

from chat import facts
from chat.conversation import Turn
from chat.facts import seconds, stretch
from chat.questions import WHERE, Question
from chat.standing import differs, otherwise
from tvad.evidence import Event, Evidence, Track


def at_moment(
    evidence: Evidence, question: Question, stand: Turn | None = None
) -> tuple[str, Event | None, Track | None]:
    """The answer, and the event and track it is about (None when nothing is anomalous then). stand: the turn that said
    whether there is an anomaly."""
    assert question.span_s is not None
    duration_s = evidence.video.duration_s
    start_s, end_s = (_within(t, duration_s) for t in question.span_s)
    if not math.isinf(question.span_s[0]) and start_s > duration_s:
        return f"There is no {seconds(start_s)}: the video is {seconds(duration_s)} long.", None, None
    end_s = min(end_s, duration_s)
    if outside := _not_analysed(evidence, start_s, end_s):
        return outside, None, None
    then = [e for e in evidence.events if e.start_s <= end_s and e.end_s >= start_s]
    if question.event is not None:
        then = [e for e in then if e.id == question.event]
    if not then:
        text = _nothing(evidence, question, start_s, end_s, differs(evidence, stand))
        return " ".join(filter(None, [text, otherwise(evidence, stand)])), None, None
    event = facts.strongest(then)
    tracks = [t for t in facts.tracks_of(evidence, event) if t.start_s <= end_s and t.end_s >= start_s]
    track = tracks[0] if tracks else None
    lead = "" if not question.yes_no else "No, not normal: " if question.asks_normal else "Yes: "
    text = _under_way(evidence, event, track, start_s, end_s, WHERE in question.kinds)
    if len(then) > 1:
        text += f" Also then: {facts.others([e for e in then if e is not event])}."
    return lead + (text if lead else facts.capital(text)), event, track


def _within(t_s: float, duration_s: float) -> float:
    """Seconds counted from the end made seconds; the infinite end made the end."""
    if math.isinf(t_s):
        return duration_s
    return max(duration_s + t_s, 0.0) if t_s < 0 else t_s


def _not_analysed(evidence: Evidence, start_s: float, end_s: float) -> str:
    low, high = evidence.settings.get("start_s") or 0.0, evidence.settings.get("end_s")
    if end_s < low or (high is not None and start_s > high):
        until = seconds(high) if high is not None else "the end"
        return f"That stretch was not analysed: only from {seconds(low)} to {until}."
    return ""


def _nothing(evidence: Evidence, question: Question, start_s: float, end_s: float, differ: bool) -> str:
    lead = "" if differ or not question.yes_no else "Yes: " if question.asks_normal else "No: "
    text = f"{'no event' if differ else 'nothing anomalous'} {stretch(start_s, end_s)}"
    text = f"{lead}{text if lead else facts.capital(text)}"
    events = facts.in_time(evidence.events)
    if not events:
        return f"{text}, nor at any other time of the video."
    after = next((e for e in events if e.start_s > end_s), None)
    before = max((e for e in events if e.end_s < start_s), key=lambda e: e.end_s, default=None)
    if before is None and after is not None:
        return f"{text}; the first event starts at {seconds(after.start_s)}."
    if after is None and before is not None:
        return f"{text}; the last event ends at {seconds(before.end_s)}."
    assert before is not None and after is not None
    return f"{text}; {facts.brief(before)} is over and {facts.brief(after)} is yet to come."


def _under_way(
    evidence: Evidence, event: Event, track: Track | None, start_s: float, end_s: float, only_place: bool
) -> str:
    if track is None:
        return f"{facts.headline(evidence, event)}."
    # The moment asked for, or the strongest one of the stretch.
    t_s = min(max(event.peak_s, start_s, track.start_s), end_s, track.end_s)
    place = (
        f"at {seconds(t_s)} {facts.named(track)} is {facts.at_cell(facts.cell_at(evidence, track, t_s))} of the picture"
    )
    return f"{place}." if only_place else f"{facts.headline(evidence, event, track)}. {facts.capital(place)}."
