"""Evidence, conversation and question to messages: the one prompt builder, for training and for answering.

A model of 135M parameters copies, and loses its way among many numbers. So it is given only the facts that the question
is about, in plain words, without ids, scores and other events; which event "it" is, the conversation decides here.

Next: tvad/explainer.py
"""

from collections.abc import Callable
from typing import Any

from chat import facts
from chat.conversation import Conversation
from chat.facts import article, capital, seconds, stretch
from chat.focus import of_event, resolve
from chat.lexicon import plural
from chat.meaning import understand
from chat.questions import (
    APPEARANCE,
    COUNT,
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
from chat.report import narrate
from tvad.evidence import Event, Evidence, Track

SYSTEM = "You are a helpful assistant that answers questions about a video in one sentence."
SYSTEM_LVLM = "You answer questions about a video."  # short: every token is read on a CPU


def build_messages(
    evidence: Evidence, conversation: Conversation, question: str, turns: int = 0
) -> list[dict[str, str]]:
    """Messages of role "system", "user", "assistant", in turn; the last is the user's: facts, then the question.

    turns: how many of the last turns are repeated before it. ValueError for an empty question.
    """
    asked = " ".join(question.split())
    if not asked:
        raise ValueError("the question is empty")
    messages = [{"role": "system", "content": SYSTEM}]
    for turn in conversation.turns[-turns:] if turns else ():
        messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]
    told = " ".join(fact_lines(evidence, conversation, asked))
    messages.append({"role": "user", "content": f"Context: {told}\n\nQuestion: {asked}"})
    return messages


def build_lvlm_messages(
    conversation: Conversation, question: str, n_tokens: int, turns: int = 2
) -> list[dict[str, Any]]:
    """Messages for a language model that reads embeddings of the video, in training and in answering alike.

    The first of the user has "tokens": n_tokens, the embeddings that stand before its text. turns: how many of the last
    turns are repeated before the question. ValueError for an empty question.
    """
    asked = " ".join(question.split())
    if not asked:
        raise ValueError("the question is empty")
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM_LVLM}]
    for turn in conversation.turns[-turns:] if turns else ():
        messages += [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]
    messages.append({"role": "user", "content": asked})
    messages[1]["tokens"] = n_tokens
    return messages


def fact_lines(evidence: Evidence, conversation: Conversation, question: str) -> list[str]:
    """The evidence that a question is about, as short sentences."""
    if not evidence.events:
        length = seconds(evidence.video.duration_s)
        return [f"There is no anomaly in the video of {length}.", "No score reached the alarm threshold."]
    read = understand(question)
    resolved = resolve(read, evidence, conversation)
    if resolved.unknown or _wants_judgement(read, resolved.kinds):
        return [narrate(evidence, read, conversation).text]
    event = next((e for e in evidence.events if e.id == resolved.focus.event), None)
    track_id = resolved.focus.track
    if event is None:
        event = facts.strongest(evidence.events)
        track_id = of_event(event).track if track_id is None else track_id
    track = evidence.track(track_id) if track_id is not None else None
    lines = [line for kind in resolved.kinds for line in FACTS[kind](evidence, event, track)]
    return list(dict.fromkeys(lines))


def _wants_judgement(question: Question, kinds: tuple[str, ...]) -> bool:
    """Moments, places, "the fifth one" and yes or no on a detail need comparing, which a small model cannot do."""
    compares = question.yes_no and bool({MOTION, WHERE, APPEARANCE, COUNT} & set(kinds))
    named = question.span_s is not None or question.place is not None or question.ordinal is not None
    return compares or named or LABEL in kinds or question.asks_normal


def _name(track: Track) -> str:
    return f"the {track.label.strip() or 'thing'}"


def _what(evidence: Evidence, event: Event, track: Track | None) -> list[str]:
    which = "The anomaly" if len(evidence.events) == 1 else "The strongest anomaly"
    when = stretch(event.start_s, event.end_s)
    if track is None:
        return [f"{which} is {event.category}, {when}."]
    return [f"{which} is {article(facts.noun(track))}.", f"It {track.motion.summary.rstrip('. ')}, {when}."]


def _whether(evidence: Evidence, event: Event, track: Track | None) -> list[str]:
    return ["Yes, there is an anomaly.", *_what(evidence, event, track)]


def _when(evidence: Evidence, event: Event, track: Track | None) -> list[str]:
    name = capital(_name(track)) if track else f"The {event.category}"
    return [f"{name} is seen {stretch(event.start_s, event.end_s)}."]


def _where(evidence: Evidence, event: Event, track: Track | None) -> list[str]:
    if track is None:
        return ["The place is not known."]
    t_s = min(max(event.peak_s, track.start_s), track.end_s)
    return [f"At {seconds(t_s)} {_name(track)} is {facts.at_cell(facts.cell_at(evidence, track, t_s))} of the picture."]


def _motion(evidence: Evidence, event: Event, track: Track | None) -> list[str]:
    if track is None:
        return ["Its movement is not known."]
    lines = [f"{capital(_name(track))} {track.motion.summary.rstrip('. ')}."]
    borders = (("comes in at", track.entry), ("goes out at", track.exit))
    return lines + [f"It {verb} the {border} border." for verb, border in borders if border]


def _count(evidence: Evidence, event: Event, track: Track | None) -> list[str]:
    count = len(evidence.events)
    return [f"There {'is' if count == 1 else 'are'} {plural('anomalous event', count)} in the video."]


def _appearance(evidence: Evidence, event: Event, track: Track | None) -> list[str]:
    return ["Its looks are not known." if track is None else f"It is {article(facts.noun(track))}."]


def _why(evidence: Evidence, event: Event, track: Track | None) -> list[str]:
    parts = facts.listed([facts.part_in_words(evidence, p) for p in event.raised_by]) or "its score"
    name = _name(track) if track else f"the {event.category}"
    return [f"{capital(name)} is anomalous because of {parts}.", "Its score is above the alarm threshold."]


def _sure(evidence: Evidence, event: Event, track: Track | None) -> list[str]:
    return [f"The confidence that there is an anomaly is {evidence.confidence:.0%}."]


FACTS: dict[str, Callable[[Evidence, Event, Track | None], list[str]]] = {
    WHETHER: _whether,
    WHAT: _what,
    WHEN: _when,
    WHERE: _where,
    MOTION: _motion,
    COUNT: _count,
    APPEARANCE: _appearance,
    WHY: _why,
    SURE: _sure,
    LABEL: _whether,
    UNKNOWN: _what,
}
