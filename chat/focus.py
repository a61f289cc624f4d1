"""Which event and track a question is about, with the evidence and the conversation at hand.

Next: chat/report.py
"""

import re
from dataclasses import dataclass

from chat.conversation import Conversation, Focus
from chat.facts import event_of, in_time, span, strongest, tracks_of
from chat.lexicon import kin, singular
from chat.questions import COUNT, LABEL, UNKNOWN, WHAT, WHETHER, Question
from tvad.evidence import Event, Evidence, Track

FRESH = {WHETHER, WHAT, COUNT, LABEL}  # without "it" these ask about the whole video

_AROUND = re.compile(r"\b(after|before)(?:wards|hand)?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Resolved:
    """The kinds of a question after "and the second one?" took those of the question before, and what it is about.

    unknown: a sentence when it names an event or track that does not exist.
    """

    kinds: tuple[str, ...]
    focus: Focus
    unknown: str = ""


def resolve(question: Question, evidence: Evidence, conversation: Conversation) -> Resolved:
    kinds = question.kinds
    if kinds == (UNKNOWN,) and (question.more or question.names_one):
        inherits = question.more and conversation.kinds not in ((), (UNKNOWN,)) and not _AROUND.search(question.text)
        kinds = conversation.kinds if inherits else (WHAT,)
    if unknown := _missing(question, evidence):
        return Resolved(kinds, conversation.focus, unknown)
    named = _named(question, evidence, conversation)
    if (way := _AROUND.search(question.text)) and asks_around(question, kinds) and evidence.events:
        return _neighbour(way[1].lower(), kinds, named or conversation.focus, evidence)
    if named is not None:
        return Resolved(kinds, named)
    whole_video = question.everything or (set(kinds) <= FRESH and not question.back)
    return Resolved(kinds, Focus() if whole_video else conversation.focus)


def asks_around(question: Question, kinds: tuple[str, ...] = ()) -> bool:
    """Whether it asks what is before or after something: "what happened before that?". kinds: of the question before,
    where it goes on with that."""
    return question.span_s is None and set(kinds or question.kinds) <= FRESH and bool(_AROUND.search(question.text))


def _neighbour(way: str, kinds: tuple[str, ...], focus: Focus, evidence: Evidence) -> Resolved:
    """ "what happens after that?": the next event in time, or the one before."""
    events = in_time(evidence.events)
    now = next((i for i, e in enumerate(events) if e.id == focus.event), None)
    if now is None:
        return Resolved(kinds, Focus())
    there = now + (1 if way == "after" else -1)
    if 0 <= there < len(events):
        return Resolved(kinds, of_event(events[there]))
    return Resolved(
        kinds,
        focus,
        f"Nothing anomalous {way} event {events[now].id} ({span(events[now].start_s, events[now].end_s)}).",
    )


def _missing(question: Question, evidence: Evidence) -> str:
    for kind, asked, known in (
        ("event", question.event, [e.id for e in evidence.events]),
        ("track", question.track, [t.id for t in evidence.tracks]),
    ):
        if asked is not None and asked not in known:
            return f"There is no {kind} {asked}; " + _known(kind, known)
    return ""


def _known(kind: str, known: list[int]) -> str:
    if not known:
        return f"no {kind} was found at all."
    if len(known) == 1:
        return f"the only {kind} is {kind} {known[0]}."
    return f"the {kind}s are numbered {known[0]} to {known[-1]}."


def _named(question: Question, evidence: Evidence, conversation: Conversation) -> Focus | None:
    """What the question itself points at; None when it points at nothing."""
    if question.track is not None:
        return of_track(evidence, evidence.track(question.track))
    if question.event is not None:
        return of_event(next(e for e in evidence.events if e.id == question.event))
    if not evidence.events:
        return None
    if question.ordinal is not None:
        return _nth(question, evidence, conversation)
    if question.pick:
        return _picked(question.pick, evidence, conversation)
    if question.thing and LABEL not in question.kinds and COUNT not in question.kinds:
        return _labelled(question.thing, evidence)
    return _labelled(question.text, evidence)


def of_event(event: Event, chosen: bool = True) -> Focus:
    return Focus(event.id, event.tracks[0] if event.tracks else None, chosen)


def of_track(evidence: Evidence, track: Track) -> Focus:
    event = event_of(evidence, track)
    return Focus(event.id if event else None, track.id, True)


def _nth(question: Question, evidence: Evidence, conversation: Conversation) -> Focus | None:
    place = question.ordinal or 1
    events = in_time(evidence.events)
    of_tracks = question.of == "track" or (question.of == "" and len(events) == 1)
    if not of_tracks:
        return of_event(events[_index(place)]) if _index(place) < len(events) else None
    about = next((e for e in events if e.id == conversation.focus.event), strongest(events))
    tracks = tracks_of(evidence, about)
    return of_track(evidence, tracks[_index(place)]) if _index(place) < len(tracks) else None


def _index(place: int) -> int:
    return place - 1 if place > 0 else place


def _picked(pick: str, evidence: Evidence, conversation: Conversation) -> Focus | None:
    events = in_time(evidence.events)
    keys = {
        "strongest": lambda e: e.score,
        "weakest": lambda e: -e.score,
        "longest": lambda e: e.end_s - e.start_s,
        "shortest": lambda e: e.start_s - e.end_s,
    }
    if pick in keys:
        return of_event(max(events, key=keys[pick]))
    now = next((i for i, e in enumerate(events) if e.id == conversation.focus.event), 0)
    step = {"next": now + 1, "previous": now - 1}.get(pick, now + 1 if now + 1 < len(events) else now - 1)
    return of_event(events[step]) if 0 <= step < len(events) else None


def matches(thing: str, track: Track) -> bool:
    """Whether a track's label is what `thing` names: "bikes" is kin to "bicycle"; "person" is not "person-sized"."""
    asked = {singular(w) for w in thing.lower().split()}
    own = {singular(w) for w in track.label.lower().split()} - {
        "object",
        "thing",
        "small",
        "large",
        "of",
        "a",
        "on",
        "the",
    }
    label = track.label.lower()
    return bool(asked & own) or any(label in kin(w) or kin(w) & own for w in asked if len(kin(w)) > 1)


def _labelled(text: str, evidence: Evidence) -> Focus | None:
    """The strongest event's track whose label the text names."""
    for event in sorted(evidence.events, key=lambda e: -e.score):
        for track in tracks_of(evidence, event):
            if matches(text.strip("?!. "), track):
                return of_track(evidence, track)
    return None
