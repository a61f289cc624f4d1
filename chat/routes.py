"""Who answers a question: the small language model, what it was taught; the narrator, the rest.

Next: chat/session.py
"""

from chat.focus import asks_around
from chat.lexicon import is_courtesy, is_english, is_known, kin, singular
from chat.present import asked
from chat.questions import DEED, HARM, LABEL, RECALL, SURE, UNKNOWN, WHETHER, WHY, Question
from chat.report import Said
from tvad.evidence import Evidence

NARRATED = frozenset({WHY, SURE, RECALL})  # about scores, thresholds and what was said, not about the video
ABSTAINS = frozenset({HARM, DEED})  # what nobody taught the small model, and it would make up
# Things with a name here that no dialogue of the training asks for.
STRANGE = frozenset({"smoke", "explosion"})
_BESIDE = r"\belse\b|\bother\b|\bmore\b"


def asks_whole(read: Question) -> bool:
    """Whether a question is the dialogue's first step: is there an anomaly, in all of the video?"""
    part = read.place or read.names_one or read.span_s is not None or asks_around(read) or read.says(_BESIDE)
    return read.yes_no and read.kinds == (WHETHER,) and not part


def untaught(read: Question, said: Said, evidence: Evidence) -> bool:
    """Whether the model that is shown a view of the video was not taught to answer that. said: by the narrator."""
    kinds = set(read.kinds)
    # Numbers of events and tracks are the evidence's; which there are not it would make up.
    numbered = read.event is not None or read.track is not None
    missing = evidence.has_anomaly and read.names_one and not said.focus.chosen
    unread = kinds == {UNKNOWN} and (read.yes_no or not is_english(read.text) or is_courtesy(read.text))
    words = {singular(word) for word in read.thing.split()}
    unasked = bool(words & STRANGE) or any(kin(word) & {"weapon", "aeroplane"} for word in words)
    strange = LABEL in kinds and (unasked or not is_known(read.thing))
    beside = WHETHER in kinds and read.says(_BESIDE) and evidence.has_anomaly
    apart = read.span_s is not None or asks_around(read, said.kinds) or beside
    counted = asked(evidence, read) is not None
    return bool(kinds & ABSTAINS) or counted or apart or unread or strange or numbered or missing
