"""Questions as people type them: with a greeting or without, hasty, shortened, with slips of the keyboard.

Ours. A model that only ever sees whole sentences learns their exact words; these changes leave the meaning as it is.

Next: training/lvlm/data.py
"""

import re

import numpy as np

BEFORE = (
    "Please tell me: ", "Hi, ", "Hello. ", "Hey, ", "For the log: ", "One more thing: ", "I'd like to know: ",
    "Question: ", "Quick question: ", "Now, ", "OK, ", "So, ", "And ", "Also, ", "Well, ", "Right. ", "Thanks. ",
    "Camera 2: ", "For my report: ", "Control room here. ", "Let me ask: ", "Next question: ", "Just checking: ",
    "Could you answer this: ",
)  # fmt: skip
AFTER = (
    " Thanks.", " Thank you.", " please", " Please be brief.", " Answer in one sentence.", " I need it for my report.",
    " thx", " pls", " Go ahead.", " Be precise.", " I am in a hurry.", " As exactly as you can.",
)  # fmt: skip
SHORT = (
    (r"\bWhat is\b", "What's"), (r"\bWhat's\b", "Whats"), (r"\bplease\b", "pls"), (r"\byou\b", "u"),
    (r"\bdoes not\b", "doesn't"), (r"\bIs there\b", "Is there perhaps"), (r"\bvideo\b", "clip"),
    (r"\bvideo\b", "footage"), (r"\bvideo\b", "recording"), (r"\banything\b", "something"),
    (r"\bthe anomaly\b", "this anomaly"),
)  # fmt: skip


def disturbed(question: str, rng: np.random.Generator, share: float = 0.6) -> str:
    """A question, with probability `share` changed in one to three ways."""
    if rng.random() >= share:
        return question
    ways = rng.permutation(len(WAYS))[: 1 + int(rng.integers(0, 3))]
    for way in sorted(ways.tolist()):
        question = WAYS[way](question, rng)
    return question


def _shortened(text: str, rng: np.random.Generator) -> str:
    pattern, words = SHORT[int(rng.integers(len(SHORT)))]
    return re.sub(pattern, words, text, count=1)


def _slipped(text: str, rng: np.random.Generator) -> str:
    """One letter of a long word left out, doubled or changed for its neighbour's place."""
    words = [m.span() for m in re.finditer(r"[A-Za-z]{5,}", text)]
    if not words:
        return text
    start, end = words[int(rng.integers(len(words)))]
    at = int(rng.integers(start + 1, end - 1))
    left_out = text[:at] + text[at + 1 :]
    doubled = text[:at] + text[at] + text[at:]
    turned = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return (left_out, doubled, turned)[int(rng.integers(3))]


def _before(text: str, rng: np.random.Generator) -> str:
    said = BEFORE[int(rng.integers(len(BEFORE)))]
    own = text if said.endswith(". ") or text[:2] in ("I ", "I'") else text[:1].lower() + text[1:]
    return said + own


def _after(text: str, rng: np.random.Generator) -> str:
    said = AFTER[int(rng.integers(len(AFTER)))]
    return text.rstrip("?.!") + said if said[1:2].islower() else text + said


def _hasty(text: str, rng: np.random.Generator) -> str:
    text = text.lower() if rng.random() < 0.7 else text
    return text.rstrip("?.!") if rng.random() < 0.7 else text


WAYS = (_shortened, _before, _after, _slipped, _hasty)
