"""Answers about a video without an event, and what is said alike with and without one.

Next: chat/report.py
"""

from chat import facts
from chat.conversation import Turn
from chat.facts import capital, seconds
from chat.focus import asks_around
from chat.questions import APPEARANCE, COUNT, LABEL, MOTION, SURE, UNKNOWN, WHAT, WHEN, WHERE, WHETHER, WHY, Question
from chat.standing import below, differs, how_sure, nothing, otherwise, warned
from tvad.evidence import Evidence

ASKS = "Ask what, when, where, how it moves, how many, its looks or why."


def nothing_found(evidence: Evidence, question: Question, kind: str, stand: Turn | None = None) -> str:
    """Every answer about a video without events starts from that. stand: what was said before, where it was an anomaly
    the answer says no more than that the evidence has no event."""
    whole = nothing(evidence, stand)
    if kind == WHEN and asks_length(question):
        return length_of(evidence)
    if kind == SURE:
        return how_sure(evidence, question, stand) + warned(evidence)
    text = _nothing_of(evidence, question, kind, whole, differs(evidence, stand))
    return " ".join(filter(None, [text, otherwise(evidence, stand), ASKS if kind == UNKNOWN else ""]))


def _nothing_of(evidence: Evidence, question: Question, kind: str, whole: str, differ: bool) -> str:
    low = below(evidence)
    if kind == LABEL:
        return f'Nothing is labelled "{question.thing}", but normal things are not listed, and {whole}.'
    if kind in (WHETHER, WHAT):
        first = "Yes, as far as can be seen: " if question.asks_normal else "No: "
        if not question.yes_no and (differ or asks_around(question)):
            first, whole = "", capital(whole)
        return f"{first}{whole}; {low}. {confidence(evidence)}"
    if kind == COUNT:
        counted = "" if counts_findings(question.thing) else f' "{question.thing}" as such is not counted.'
        return f"None: 0 anomalous events were found.{counted}"
    if kind == WHY:
        return (
            f"{capital(low)}{facts.alarm_rate(evidence)}. "
            f"The video was compared with {facts.compared_with(evidence)}.{warned(evidence)}"
        )
    if kind == UNKNOWN:
        held = whole.replace("the evidence has", "it has")
        return f"The evidence does not tell: {held} ({low}), and normal things are not described."
    about = {WHEN: "no time to give", WHERE: "no place to show", MOTION: "nothing to follow"}
    about[APPEARANCE] = "nothing to describe"
    return f"{capital(whole)}, so there is {about[kind]}."


def confidence(evidence: Evidence) -> str:
    return f"Confidence: {evidence.confidence:.0%}."


def asks_length(question: Question) -> bool:
    return question.says(
        r"how long (is|was) (the|this) (video|clip|footage)|(duration|length) of (the|this) (video|clip)"
    )


def length_of(evidence: Evidence) -> str:
    return f"The video is {seconds(evidence.video.duration_s)} long."


def counts_findings(thing: str) -> bool:
    """Whether a count is one of what was found, and not of a kind of thing."""
    return not thing or matches_any(thing, "event anomaly incident time alarm thing object track one")


def matches_any(thing: str, names: str) -> bool:
    """Whether a counted noun ("events", "anomalies") is one of `names`."""
    return any(word.rstrip("s").replace("anomalie", "anomaly") in names.split() for word in thing.split())
