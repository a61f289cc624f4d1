"""What was said in a dialogue on whether there is an anomaly, and how the narrator speaks with that in mind.

A language model may say yes where no score reached the threshold, or no where an event did. What is answered next must
know of it: neither is taken back, both are told. Next: chat/report.py
"""

import re

from chat import facts
from chat.claims import sentences
from chat.conversation import Turn
from chat.questions import ODD, Question
from tvad.evidence import Event, Evidence, Track

SURE_FROM = 0.8  # confidence from which "are you sure?" is answered with yes
LONGEST_CHARS = 160  # of what is repeated
# Before what it says: a note, and a yes or no, which belongs to the question.
_LEAD = re.compile(r"^(?:\[[^\]]*\]\s*)?(?:(?:yes|no)\b[,:;]?\s+(?=\w))?", re.IGNORECASE)


def differs(evidence: Evidence, stand: Turn | None) -> bool:
    """Whether it was said otherwise than the evidence has it."""
    return stand is not None and stand.verdict is not None and stand.verdict != evidence.has_anomaly


def words_of(turn: Turn) -> str:
    """The first sentence that an answer told, without a yes or no before it."""
    said = sentences(_LEAD.sub("", turn.answer, count=1))
    words = facts.capital(said[0].text) if said else ("Yes." if turn.verdict else "No.")
    return words if len(words) <= LONGEST_CHARS else words[:LONGEST_CHARS].rsplit(" ", 1)[0] + " ..."


def quoted(stand: Turn) -> str:
    """'"Yes, there is a fire that burns." (60% for an anomaly)'"""
    return f'"{words_of(stand)}"' + ("" if stand.sure is None else f" ({stand.sure:.0%} for an anomaly)")


def otherwise(evidence: Evidence, stand: Turn | None) -> str:
    """A sentence that what is told here was said otherwise; "" where it was not."""
    if stand is None or not differs(evidence, stand):
        return ""
    who = "Before, it was said otherwise" if stand.sure is None else "The language model has it otherwise"
    return f"{who}: {quoted(stand)}."


def below(evidence: Evidence) -> str:
    """That the threshold was not reached, with the highest score where it is known."""
    threshold = f"the threshold {evidence.threshold:.2f}"
    # A score just below the threshold may be rounded up to it, which would read as a contradiction.
    if evidence.peak_score is None or f"{evidence.peak_score:.2f}" >= f"{evidence.threshold:.2f}":
        return f"no score reached {threshold}"
    return f"the highest score, {evidence.peak_score:.2f}, stays below {threshold}"


def nothing(evidence: Evidence, stand: Turn | None) -> str:
    """That there is no event, without a full stop: no more than that where an anomaly was said before."""
    length = facts.seconds(evidence.video.duration_s)
    if differs(evidence, stand):
        return f"the evidence has no event in {length} of video"
    return f"nothing anomalous was found in {length} of video"


def seen(
    evidence: Evidence,
    stand: Turn | None,
    event: Event | None = None,
    track: Track | None = None,
    kind: bool = True,
) -> str:
    """What is seen, in a sentence or two, for an answer that can tell no more. kind: with the kind of the movement,
    where there is no event to name it."""
    if event is not None:
        text = f"What is seen: {facts.headline(evidence, event, track)}."
    elif track is not None:
        text = f"What is seen: {facts.named(track)}, {facts.stretch(track.start_s, track.end_s)}."
    elif evidence.events:
        text = f"What is seen: {facts.headline(evidence, facts.strongest(evidence.events))}."
    elif stand is not None and differs(evidence, stand):
        held = f"the evidence has no event: {below(evidence)}"
        who = "it was said before" if stand.sure is None else "the language model has it"
        return " ".join(
            filter(None, [f"What is seen, as {who}: {quoted(stand)}; {held}.", facts.kind_note(evidence) * kind])
        )
    else:
        text = f"{facts.capital(nothing(evidence, stand))}: {below(evidence)}; normal things are not described."
    return " ".join(filter(None, [text, otherwise(evidence, stand)]))


def recalled(evidence: Evidence, stand: Turn | None, last: Turn | None, event: Event | None) -> str:
    """What was said so far on whether there is an anomaly, and what the evidence has on it. last: the last turn."""
    if stand is not None:
        before = f"On whether there is an anomaly this was said: {quoted(stand)}."
    elif last is not None:
        before = f'The last answer was: "{words_of(last)}"'
    else:
        before = "Nothing was said before this."
    own = facts.headline(evidence, event) if event else f"no event: {below(evidence)}"
    if differs(evidence, stand):
        return f"{before} The evidence has {own}. The two disagree, so trust neither unseen."
    return f"{before} The evidence {'has' if stand is None or not event else 'agrees:'} {own}."


def how_sure(evidence: Evidence, question: Question, stand: Turn | None) -> str:
    """How sure the evidence is of its verdict, and the language model of the one that it gave."""
    of = "something is anomalous" if evidence.has_anomaly else "nothing is anomalous"
    base = "calibrated on this camera's normal footage" if evidence.calibration == "scene" else "uncalibrated"
    if stand is not None and differs(evidence, stand):
        lead = _doubted(question, sure=False) if question.yes_no else "Not sure: "
        own = f"the evidence has it that {of}, with a confidence of {evidence.confidence:.0%} ({base})."
        return f"{lead}{own} {otherwise(evidence, stand)}"
    own = f"that {of} has a confidence of {evidence.confidence:.0%} ({base})."
    sure, other = evidence.confidence >= SURE_FROM, ""
    if stand is not None and stand.sure is not None:
        sure = sure and (stand.sure if stand.verdict else 1 - stand.sure) >= SURE_FROM
        other = f" The language model gives an anomaly {stand.sure:.0%}."
    if _supposes(question) not in (None, evidence.has_anomaly):
        return f"No: {own}{other}"
    return (f"{_doubted(question, sure)}{own}" if question.yes_no else facts.capital(own)) + other


def _supposes(question: Question) -> bool | None:
    """Whether "are you sure that ...?" takes an anomaly for granted, or that there is none; None for neither."""
    if not question.yes_no:
        return None
    if question.says(
        rf"\b(?:nothing|no)\b.*{ODD.pattern}|\b(?:is|are|was) (?:\w+ )?(?:normal|fine|ok|okay|all right)\b"
    ):
        return False
    return True if question.says(rf"\bthere(?:'s| is| was| are| were) (?:an?|some\w*)\b.*{ODD.pattern}") else None


def _doubted(question: Question, sure: bool) -> str:
    if question.says(r"\bfalse\b|\bmistak|(?<!nothing )(?<!anything )(?<!something )\bwrong\b"):
        return "No, probably not: " if sure else "Yes, it could be: "
    return "Yes, fairly: " if sure else "No, not fully: "


def warned(evidence: Evidence) -> str:
    """The evidence's warnings, as sentences."""
    return "".join(f" Note: {w.rstrip('.')}." for w in evidence.warnings)
