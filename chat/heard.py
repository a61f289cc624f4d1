"""The words of a language model as they come: kept, cut after the first sentence, stopped where they run off.

Next: chat/session.py
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chat.lexicon import singular

LONGEST_CHARS = 700  # an answer beyond this has run off
REPEATS = 3  # so many times the same six words: it runs in circles
NEW_SHARE = 0.5  # of an answer's telling words that may be its own
SENTENCE_WORDS = 3
SENTENCE_END = re.compile(r"[.!?](?=\s)|\n")
# A time has its unit, a stretch its end, and a place its noun.
_BROKEN = re.compile(r"\b(?:from|to|at|until|between|and|the|a|an|of|in|with)(?: \d+(?:\.\d*)?)?\W*$", re.IGNORECASE)


@dataclass
class Heard:
    """What a language model has said so far, and why it was stopped ("" while all is well)."""

    text: str = ""
    trouble: str = ""
    yes: float | None = None
    verdict: bool | None = None  # of the first step, where what was asked builds on it


def kept(pieces: Iterator[str], heard: Heard, longest: int = LONGEST_CHARS) -> Iterator[str]:
    """The pieces, noted in `heard`, until they run off."""
    for piece in pieces:
        heard.text += piece
        yield piece
        heard.trouble = _runs_off(heard.text, longest)
        if heard.trouble:
            return


def first_sentence(pieces: Iterator[str]) -> Iterator[str]:
    """Up to the end of the first sentence: that is what the prompt asks for, and small models wander off after it."""
    said = ""
    for piece in pieces:
        text = said + (piece if said else piece.lstrip())
        # A full stop counts once the space after it is there, and "Yes." is no sentence yet.
        ends = (m.start() for m in SENTENCE_END.finditer(text, max(len(said) - 1, 0)))
        end = next((at for at in ends if len(text[:at].split()) >= SENTENCE_WORDS), None)
        if end is not None:
            text = text[: end + 1].rstrip()
        if len(text) > len(said):
            yield text[len(said) :]
        if end is not None:
            return
        said = text


def broke_off(text: str) -> bool:
    """Whether a sentence ends where a number or a word is still to come: "from 0.", "from 3.5 to"."""
    return bool(_BROKEN.search(text.rstrip()))


def _runs_off(text: str, longest: int) -> str:
    """Why a language model should be stopped; "" while it talks sense."""
    if len(text) > longest:
        return "did not come to an end"
    words = re.findall(r"\w+", text.lower())
    last = words[-6:]
    if len(last) == 6:
        again = sum(words[i : i + 6] == last for i in range(len(words) - 5))
        if again >= REPEATS:
            return "began to repeat itself"
    return ""


def yes_or_no(text: str) -> str | None:
    """The yes or no that a text begins with."""
    m = re.match(r"\W*(yes|no)\b", text, re.IGNORECASE)
    return m[1].lower() if m else None


def strays(text: str, prompt: str) -> str:
    """Why an answer is not one: most of its telling words are in neither the facts nor the question."""
    told = set(_telling(prompt))
    words = _telling(text)
    new = [w for w in words if w not in told]
    return "strayed from the evidence" if words and len(new) > NEW_SHARE * len(words) else ""


def _telling(text: str) -> list[str]:
    words = re.findall(r"\d+(?:\.\d+)?|[a-z]+", text.lower())
    return [singular(w) for w in dict.fromkeys(words) if len(w) > 3 or w[0].isdigit()]


def in_sentences(text: str) -> Iterator[str]:
    """A text sentence by sentence, nothing lost."""
    yield from re.findall(r".+?(?:[.!?](?=\s)\s+|$)", text, re.DOTALL)
