"""What a question asks, by its meaning: for wordings that the rules of chat/questions.py were not made for.

A linear map of MiniLM's vector of the question to kinds of questions, trained on the training phrasings
(training/question_kinds.py). The rules go first, since they also read numbers, times and names; where they understood
nothing, or where the meaning is another one with little doubt, the kind of the meaning stands instead. What people ask
is not kept anywhere. Wordings that the rules are known to read well cost nothing: they are told by their hashes, and
MiniLM is not loaded for them.

Next: chat/session.py
"""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from chat.lexicon import is_courtesy, is_english
from chat.questions import (
    APPEARANCE,
    BEYOND,
    COUNT,
    DEED,
    HARM,
    LABEL,
    MOTION,
    RECALL,
    SURE,
    UNKNOWN,
    WHAT,
    WHEN,
    WHERE,
    WHETHER,
    WHY,
    Question,
    read_question,
)

FILE = Path(__file__).parent / "meaning.safetensors"
OTHER = "other"  # anything else than the kinds below: left to the rules
# Kind of the phrasings -> what the narrator answers it with, and what of the rules' kinds is as good.
ANSWERED_BY: dict[str, tuple[str, ...]] = {
    "whether": (WHETHER,),
    "normal": (WHETHER,),
    "what": (WHAT, APPEARANCE, LABEL),
    "details": (WHAT, APPEARANCE, MOTION),
    "appearance": (APPEARANCE, WHAT),
    "action": (MOTION, WHAT),
    "motion": (MOTION,),
    "where": (WHERE,),
    "entry": (MOTION, WHERE),
    "exit": (MOTION, WHERE),
    "when": (WHEN,),
    "count": (COUNT,),
    "unanswerable": (BEYOND,),
}
# Chosen on phrasings that neither the rules nor the map had seen (docs/RESULTS.md).
ENOUGH = 0.4  # probability, where the rules understood nothing
ELSE = 0.5  # where they understood something else
REFUSED = 0.8  # where they understood something else, and it would be declined
KEPT = {
    WHY,
    SURE,
    LABEL,
    BEYOND,
    HARM,
    DEED,
    RECALL,
}  # what the rules read, the map does not know, or does not know as well
LONGEST = 300  # characters; longer texts are not one question


@dataclass(frozen=True)
class Meaning:
    """weight (K, 384), bias (K,); names of the K kinds, OTHER among them; known: hashes of wordings."""

    weight: np.ndarray
    bias: np.ndarray
    names: tuple[str, ...]
    known: frozenset[int]

    def probs(self, vectors: np.ndarray) -> np.ndarray:
        """(N, K) of unit vectors (N, 384)."""
        logits = vectors @ self.weight.T + self.bias
        shares = np.exp(logits - logits.max(1, keepdims=True))
        return shares / shares.sum(1, keepdims=True)

    def of(self, text: str) -> tuple[str, float]:
        """The most likely kind of a question and its probability; MissingWeights without MiniLM."""
        from tvad.minilm import vectors

        probs = self.probs(vectors([text]))[0]
        best = int(probs.argmax())
        return self.names[best], float(probs[best])


@lru_cache(maxsize=1)
def shipped() -> Meaning:
    """The map that comes with the package. ValueError for a file of other shapes."""
    from safetensors.numpy import load_file

    held = load_file(FILE)
    names = (*ANSWERED_BY, OTHER)
    shapes = held["weight"].shape, held["bias"].shape
    if shapes[0][:1] != (len(names),) or shapes[1] != (len(names),):
        raise ValueError(
            f"{FILE.name} has shapes {shapes}; expected {len(names)} kinds: python -m training.question_kinds"
        )
    return Meaning(held["weight"], held["bias"], names, frozenset(held["known"].tolist()))


def hash_of(text: str) -> int:
    """Of a wording, whatever its case, spaces and marks at its end."""
    plain = " ".join(text.lower().split()).rstrip("?!. ")
    return int.from_bytes(hashlib.blake2b(plain.encode(), digest_size=7).digest(), "big")


def understand(text: str) -> Question:
    """Any text as a question: by the rules, and by its meaning."""
    return understood(read_question(text))


def understood(read: Question) -> Question:
    """The question with the kind of its meaning, where the rules did not find it; itself otherwise, and where MiniLM is
    not installed."""
    from tvad.weights import MissingWeights

    meaning = shipped()
    if not read.text or len(read.text) > LONGEST or hash_of(read.text) in meaning.known:
        return read
    if not is_english(read.text) or is_courtesy(read.text):
        return read  # MiniLM knows English alone
    try:
        kind, sure = meaning.of(read.text)
    except MissingWeights:
        return read
    return corrected(read, kind, sure)


def corrected(read: Question, kind: str, sure: float) -> Question:
    """What the rules read, given the kind of the meaning and its probability."""
    if kind == OTHER or set(read.kinds) & KEPT:
        return read
    wanted = ANSWERED_BY[kind]
    if wanted == (WHEN,) and read.span_s is not None:
        return read  # who names the time does not ask for it
    enough = ENOUGH if read.kinds == (UNKNOWN,) else REFUSED if wanted == (BEYOND,) else ELSE
    if sure < enough:
        return read
    if wanted == (WHETHER,):
        # The rules know the sense of "is nothing wrong?" where they see it; else the kind says it.
        sense = read.asks_normal if read.yes_no and WHETHER in read.kinds else kind == "normal"
        return replace(read, kinds=(WHETHER,), yes_no=True, asks_normal=sense)
    if set(read.kinds) & set(wanted):
        return read
    return replace(read, kinds=wanted[:1], yes_no=False, asks_normal=False)
