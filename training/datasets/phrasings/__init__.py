"""How people ask: templates of questions by kind, each in exactly one split.

A template may hold {it} (subject: "it", "he", "the second van"), {him} (object) and {its}; questions about things
{thing}, about colours {colour}. A leading "~" marks what makes sense only after an earlier turn, a leading "+" what
asks about several things at once. The "test" templates are built in other ways than the "train" ones: they tell
whether a model reads questions or knows them by heart.

Next: training/datasets/qa.py
"""

from training.datasets.phrasings.more import MORE
from training.datasets.phrasings.moving import ENTRY, EXIT, MOTION, WHERE
from training.datasets.phrasings.telling import COUNT, UNANSWERABLE, WHEN
from training.datasets.phrasings.things import ABSENT, ACTION, APPEARANCE, COLOUR, DETAILS, RIDDEN, WHOLE_COLOUR
from training.datasets.phrasings.whether import NORMAL, WHAT, WHETHER
from training.datasets.phrasings.wider import WIDER

Phrasings = dict[str, tuple[str, ...]]

KINDS: dict[str, Phrasings] = {
    "whether": WHETHER,
    "normal": NORMAL,
    "what": WHAT,
    "details": DETAILS,
    "appearance": APPEARANCE,
    "action": ACTION,
    "motion": MOTION,
    "where": WHERE,
    "entry": ENTRY,
    "exit": EXIT,
    "when": WHEN,
    "count": COUNT,
    "absent": ABSENT,
    "ridden": RIDDEN,
    "colour": COLOUR,
    "whole colour": WHOLE_COLOUR,
    "unanswerable": UNANSWERABLE,
}
FORMS = ("open", "pointed", "follow", "several")


def added(kind: str) -> tuple[str, ...]:
    """The training templates of a kind that the rules of chat/questions.py were not made with."""
    return MORE.get(kind, ()) + WIDER.get(kind, ())


def templates(kind: str, split: str) -> list[tuple[str, str]]:
    """(form, template) of a kind, marks taken off. Forms: "open" stands alone, "pointed" holds {it}, {him} or {its},
    "follow" needs an earlier turn, "several" asks about many. KeyError lists the kinds, ValueError the splits."""
    if kind not in KINDS:
        raise KeyError(f"no kind of question {kind!r}; known: {list(KINDS)}")
    if split not in ("train", "test"):
        raise ValueError(f"no split {split!r} of phrasings; choose 'train' or 'test'")
    found = KINDS[kind][split] + (added(kind) if split == "train" else ())
    return [_read(text) for text in found]


def phrasings(kind: str, split: str) -> list[str]:
    """The templates of a kind alone; errors as `templates`."""
    return [text for _, text in templates(kind, split)]


def _read(text: str) -> tuple[str, str]:
    if text[0] in "~+":
        return {"~": "follow", "+": "several"}[text[0]], text[1:]
    return ("pointed" if any(mark in text for mark in ("{it}", "{him}", "{its}")) else "open"), text
