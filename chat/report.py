"""The narrator: answers from the Evidence by rules, no language model. The same evidence gives the same words.

Yes/no questions are answered with Yes or No first. What a kind of question is answered with is in chat/answers.py,
moments are in chat/moments.py.

Next: chat/prompt.py
"""

from dataclasses import dataclass, replace

from chat import facts, present
from chat.answers import ANSWERS, View
from chat.beyond import beyond, declined
from chat.conversation import Conversation, Focus, Turn
from chat.focus import Resolved, of_event, resolve
from chat.lexicon import is_courtesy, is_english, plural
from chat.moments import at_moment
from chat.nothing import ASKS, nothing_found
from chat.questions import (
    BEYOND,
    COUNT,
    DEED,
    HARM,
    LABEL,
    RECALL,
    UNKNOWN,
    WHAT,
    WHEN,
    WHERE,
    WHETHER,
    Question,
)
from chat.standing import recalled
from tvad.evidence import Event, Evidence, Track


@dataclass(frozen=True)
class Said:
    """An answer: text, what it is about, and the events and tracks it rests on."""

    text: str
    kinds: tuple[str, ...]
    focus: Focus
    events: tuple[int, ...] = ()
    tracks: tuple[int, ...] = ()


def narrate(evidence: Evidence, question: Question, conversation: Conversation, stand: Turn | None = None) -> Said:
    """Answer one question. stand: the turn that told whether there is an anomaly; None for the conversation's."""
    resolved, stand = resolve(question, evidence, conversation), stand or conversation.stand
    if BEYOND in resolved.kinds:
        return Said(declined(beyond(question.text)), resolved.kinds, resolved.focus)
    if resolved.unknown:
        return Said(resolved.unknown, resolved.kinds, resolved.focus)
    if RECALL in resolved.kinds:
        return _recalled(evidence, resolved, conversation, stand)
    if is_courtesy(question.text):
        return Said(ASKS, resolved.kinds, Focus())
    if resolved.kinds == (UNKNOWN,) and question.text and not is_english(question.text):
        return Said(f"That was not understood: questions are read in English. {ASKS}", resolved.kinds, Focus())
    if question.span_s is not None and set(resolved.kinds) & {WHETHER, WHAT, UNKNOWN, WHERE, LABEL, WHEN}:
        text, event, track = at_moment(evidence, question, stand)
        focus = Focus(event.id if event else None, track.id if track else None, True) if event else Focus()
        return _said(text, resolved.kinds, focus, event, track)
    if (counted := present.asked(evidence, question)) is not None:
        return Said(present.told(counted, question), (COUNT,), Focus())
    if not evidence.events and not (evidence.tracks and resolved.focus.track is not None):
        if set(resolved.kinds) & {HARM, DEED}:
            text = ANSWERS[resolved.kinds[0]](View(evidence, question, None, None, False, stand))
        else:
            text = nothing_found(evidence, question, resolved.kinds[0], stand)
        return Said(text, resolved.kinds, Focus())
    return _of_findings(evidence, question, resolved, stand)


def _recalled(evidence: Evidence, resolved: Resolved, conversation: Conversation, stand: Turn | None) -> Said:
    event = facts.strongest(evidence.events) if evidence.events else None
    last = conversation.turns[-1] if conversation.turns else None
    return _said(recalled(evidence, stand, last, event), resolved.kinds, resolved.focus, event, None)


def _of_findings(evidence: Evidence, question: Question, resolved: Resolved, stand: Turn | None) -> Said:
    view = replace(_view(evidence, question, resolved.focus), stand=stand)
    if question.ordinal is not None and not resolved.focus.chosen:
        return Said(_too_few(evidence, question), resolved.kinds, resolved.focus)
    # What is anomalous is told with its time.
    kinds = [k for k in resolved.kinds if k != WHEN or not {WHETHER, WHAT} & set(resolved.kinds)]
    parts = list(dict.fromkeys(ANSWERS[kind](view) for kind in kinds))
    focus = replace(
        resolved.focus,
        event=view.event.id if view.event else None,
        track=view.track.id if view.track else None,
    )
    said = _said(" ".join(parts), resolved.kinds, focus, view.event, view.track)
    listed = [e.id for e in facts.in_time(view.rest)][: facts.LISTED]
    if set(resolved.kinds) & {WHETHER, WHAT, WHEN, COUNT}:
        return replace(said, events=tuple(dict.fromkeys((*said.events, *listed))))
    return said


def _said(text: str, kinds: tuple[str, ...], focus: Focus, event: Event | None, track: Track | None) -> Said:
    return Said(text, kinds, focus, (event.id,) if event else (), (track.id,) if track else ())


def _view(evidence: Evidence, question: Question, focus: Focus) -> View:
    event = next((e for e in evidence.events if e.id == focus.event), None)
    if event is None and focus.track is None and evidence.events:
        event = facts.strongest(evidence.events)
        focus = of_event(event, chosen=False)
    track = evidence.track(focus.track) if focus.track is not None else None
    return View(evidence, question, event, track, focus.chosen)


def _too_few(evidence: Evidence, question: Question) -> str:
    if question.of == "track":
        return f"There are not that many tracks; {plural('track', len(evidence.tracks))} in all."
    return f"There are not that many: {facts.others(evidence.events)}."
