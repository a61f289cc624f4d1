"""Questions that name a thing or a colour: as often there as not.

Next: training/datasets/answers_things.py
"""

import re

import numpy as np

from chat.lexicon import COLOURS, kin, singular
from training.datasets.answers_things import Answer, Named, declined, has_colour, is_not_there, is_there
from training.datasets.phrasings import templates
from training.datasets.qa_words import NAMELESS, PEOPLE, a_, colours, is_person
from training.datasets.records import ClipRecord
from training.datasets.truth import UNNAMED

# What people ask for, one word for each kind of thing; the first word of a kind is also the answer's.
ASKED_FOR: tuple[tuple[str, ...], ...] = (
    ("cyclist", "bicycle", "bike"),
    ("skater", "skateboard", "skateboarder"),
    ("motorcyclist", "motorcycle", "motorbike", "moped"),
    ("car", "taxi"),
    ("van",),
    ("truck", "lorry"),
    ("bus",),
    ("train", "tram"),
    ("cart", "trolley"),
    ("pram", "stroller"),
    ("wheelchair user", "wheelchair"),
    ("dog",),
    ("cat",),
    ("horse",),
    ("bird",),
    ("boat",),
    ("ball",),
    ("bag", "backpack", "suitcase"),
    ("umbrella",),
    ("fire",),
)
# What one may take for another.
ALIKE = (
    frozenset({"car", "van"}),
    frozenset({"van", "truck"}),
    frozenset({"truck", "bus"}),
    frozenset({"cart", "pram"}),
    frozenset({"cycling", "bicycle", "motorcycle"}),
    frozenset({"skating", "skateboard"}),
    frozenset({"explosion", "fire"}),
)
_RIDDEN = ("bicycle", "bike", "skateboard", "motorcycle", "motorbike", "moped", "horse")
# What may stand about in a place as part of it, and so is never denied there.
SCENERY: dict[str, frozenset[str]] = {
    r"street|road|parking|crossing|junction|highway|traffic|car|drive|alley|gate": frozenset(
        {"car", "van", "truck", "bus"}
    ),
    r"station|platform|metro|subway|rail|train|tram": frozenset({"train"}),
    r"shop|store|market|mall": frozenset({"cart", "bag"}),
    r"airport|terminal|lobby|hall|office|platform|station|school|campus": frozenset({"bag"}),
    r"harbour|harbor|river|lake|quay|pier": frozenset({"boat", "bird"}),
    r"park|campus|plaza|square|garden": frozenset({"bird"}),
}


def thing_question(
    record: ClipRecord, rng: np.random.Generator, split: str, follows: bool
) -> tuple[str, Answer] | None:
    """ "Is there a truck?" with its true answer; there and not there are equally likely where both can be asked.

    In a clip with an anomaly, what is asked for and there is anomalous: of other things its evidence knows nothing. An
    anomaly of which nobody can tell what it is may be anything: then the answer is that the video does not tell. None
    where nothing is known of what is there.
    """
    if not record.complete:
        return None
    if any(t.noun in NAMELESS or (t.noun == "person" and t.anomaly == UNNAMED) for t in record.targets):
        words = ASKED_FOR[int(rng.integers(len(ASKED_FOR)))]
        return _asking(_one_of(words, rng), rng, split, follows), declined()
    nouns = [t.noun for t in record.targets] if record.has_anomaly else list(record.nouns)
    there = [noun for noun in dict.fromkeys(nouns) if noun not in PEOPLE - _kinds() and noun not in NAMELESS]
    missing = _missing(record)
    if there and (rng.random() < 0.5 or not missing):
        noun = there[int(rng.integers(len(there)))]
        words = next((kind for kind in ASKED_FOR if noun in kind), (noun,))
        return _asking(_one_of(words, rng), rng, split, follows), is_there(noun)
    if not missing:
        return None
    words = missing[int(rng.integers(len(missing)))]
    thing = _one_of(words, rng)
    return _asking(thing, rng, split, follows), is_not_there(thing)


def _kinds() -> frozenset[str]:
    return frozenset(word for kind in ASKED_FOR for word in kind)


def _missing(record: ClipRecord) -> list[tuple[str, ...]]:
    """Kinds of things that are surely not in the clip."""
    words = {w for noun in record.nouns for w in (noun, *noun.split())} | {singular(w) for w in record.beside}
    near = frozenset().union(*(kin(word) for word in words), *(like for like in ALIKE if like & words))
    scenery = frozenset().union(
        *(kinds for pattern, kinds in SCENERY.items() if re.search(pattern, record.layout)), frozenset()
    )
    return [
        kind
        for kind in ASKED_FOR
        if not near & frozenset().union(*(kin(word) - {"vehicle"} for word in kind)) and kind[0] not in scenery
    ]


def _asking(thing: str, rng: np.random.Generator, split: str, follows: bool) -> str:
    kinds = ["absent", "ridden"] if thing in _RIDDEN and rng.random() < 0.5 else ["absent"]
    fitting = [t for form, t in templates(kinds[-1], split) if form == "open" or (form == "follow" and follows)]
    return _one_of(fitting, rng).replace("{a thing}", a_(thing)).replace("{thing}", thing)


def colour_question(named: Named, rng: np.random.Generator, split: str, follows: bool) -> tuple[str, Answer]:
    """ "Is it wearing red?" with its true answer; the colour is the target's own in half of all cases.

    A colour next to its own (white for grey) is not asked for: what the truth calls grey may look white. The template
    still holds {it}, {him} and {its}.
    """
    own = colours(named.target)
    near = frozenset(own).union(*(NEAR.get(colour, frozenset()) for colour in own))
    others = sorted(COLOURS - near)
    asked = _one_of(own, rng) if rng.random() < 0.5 else _one_of(others, rng)
    kind = "colour" if is_person(named.target) else "whole colour"
    forms = {"pointed", "follow"} if follows else {"pointed"}
    text = _one_of([t for form, t in templates(kind, split) if form in forms], rng)
    return text.replace("{colour}", asked), has_colour(named, asked)


NEAR: dict[str, frozenset[str]] = {
    "black": frozenset({"grey", "blue", "brown"}),
    "grey": frozenset({"black", "white", "blue"}),
    "white": frozenset({"grey", "yellow"}),
    "red": frozenset({"pink", "orange", "brown", "purple"}),
    "pink": frozenset({"red", "purple"}),
    "orange": frozenset({"red", "yellow", "brown"}),
    "brown": frozenset({"orange", "red", "black", "yellow"}),
    "yellow": frozenset({"orange", "brown", "green", "white"}),
    "green": frozenset({"yellow", "blue"}),
    "blue": frozenset({"purple", "black", "green", "grey"}),
    "purple": frozenset({"blue", "pink", "red"}),
}


def _one_of(items: "tuple[str, ...] | list[str]", rng: np.random.Generator) -> str:
    return items[int(rng.integers(len(items)))]
