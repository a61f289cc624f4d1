"""Words of training dialogues: what things are called, what they do, how they look. One table for writing and reading.

Answers are written with these words, and training/slots.py reads them back with the same tables.

Next: training/datasets/qa.py
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chat.facts import article, listed
from chat.lexicon import NUMBERS, THINGS, colours_in
from training.datasets.records import TargetRecord
from training.datasets.truth import UNNAMED


@dataclass(frozen=True)
class Doing:
    """How an anomaly is said: one "runs", many "run"; read: a pattern of all its wordings."""

    one: str
    many: str
    read: str


_ITS = r"(?:an? |the |his |her |their |its )?"

DOINGS: dict[str, Doing] = {
    "cycling": Doing(
        "rides a bicycle",
        "ride bicycles",
        rf"\b(?:rid(?:es?|ing)|rode)(?: along)? (?:on )?{_ITS}(?:bi(?:cycle|ke)s?)\b|\bcycl(?:es|ing)\b"
        r"|\bon (?:an? |the )?(?:bicycle|bike)s?\b",
    ),
    "skating": Doing(
        "rides a skateboard",
        "ride skateboards",
        rf"\b(?:rid(?:es?|ing)|rode)(?: along)? (?:on )?{_ITS}skateboards?\b|\bskat(?:es|ing)\b|\bskateboarding\b"
        r"|\bon (?:an? |the )?skateboards?\b",
    ),
    "driving": Doing(
        "drives where people walk", "drive where people walk", r"\bdriv(?:es?|ing)\b(?: where people walk)?"
    ),
    "running": Doing(
        "runs",
        "run",
        r"\b(?:runs?|running|ran|jog(?:s|ging)?|sprint(?:s|ing)?)\b(?! away in panic| from the (?:explosion|blast))",
    ),
    "fighting": Doing("fights", "fight", r"\b(?:fight(?:s|ing)?|brawl\w*|punch(?:es|ing)?)\b"),
    "falling": Doing("falls to the ground", "fall to the ground", r"\b(?:falls?|falling|fell)\b(?: to the ground)?"),
    "loitering": Doing("loiters", "loiter", r"\b(?:loiter\w*|linger\w*|hang(?:s|ing)? around)\b"),
    "abandoned object": Doing("is abandoned", "are abandoned", r"\b(?:left behind|abandoned|unattended|left alone)\b"),
    "theft": Doing(
        "steals something",
        "steal something",
        r"\b(?:steal(?:s|ing)?(?: something)?|theft|shoplift\w*|snatch\w*|chas(?:es?|ing) the thief)\b",
    ),
    "wrong way": Doing(
        "goes the wrong way",
        "go the wrong way",
        r"\b(?:go(?:es)? the )?(?:wrong way|wrong direction|against the (?:traffic|flow))\b",
    ),
    "jaywalking": Doing(
        "crosses the road beside the crossing",
        "cross the road beside the crossing",
        r"\b(?:jaywalk\w*|cross(?:es|ing)? the (?:road|street)(?: (?:beside|away from|outside) the crossing)?)\b",
    ),
    "crowd panic": Doing(
        "runs away in panic",
        "run away in panic",
        r"\b(?:(?:runs?|running) away in panic|in panic|panics?|panicking|flee(?:s|ing)?)\b",
    ),
    "climbing": Doing("climbs over something", "climb over something", r"\bclimb(?:s|ing)?\b"),
    "throwing": Doing(
        "throws something",
        "throw something",
        r"\b(?:throw(?:s|ing)?(?: something)?|thrown|threw|hurl(?:s|ing)?)\b(?! down by the (?:explosion|blast))",
    ),
    "vandalism": Doing(
        "damages something",
        "damage something",
        r"\b(?:damag(?:es?|ing|ed)|vandal\w*|smash(?:es|ing)?|kick(?:s|ing)?|spray(?:s|ing)?)\b",
    ),
    "fire": Doing(
        "burns", "burn", r"\b(?:burn(?:s|ing)?|on fire|catches fire|rises? from the fire)\b(?! after the explosion)"
    ),
    "explosion": Doing(
        "goes off",
        "go off",
        r"\b(?:explod(?:es?|ing)|blows? up|go(?:es)? off"
        r"|(?:runs? from|(?:is|are) thrown down by|(?:rises?|burns?) after) the (?:explosion|blast))\b",
    ),
    "traffic accident": Doing(
        "has an accident", "have an accident", r"\b(?:accident|crash(?:es|ing)?|collid(?:es?|ing)|collision)\b"
    ),
    UNNAMED: Doing("behaves unusually", "behave unusually", r"\bbehav(?:es?|ing) unusually\b"),
}

PEOPLE = frozenset((
    "person", "man", "woman", "child", "boy", "girl", "pedestrian", "cyclist", "bicyclist", "biker", "skater",
    "skateboarder", "jogger", "runner", "rider", "thief", "motorcyclist", "wheelchair user", "scooter rider", "driver",
    "worker", "guard", "officer", "student", "passenger", "visitor", "shopper", "customer", "climber",
    "person with a pram", "person with a trolley", "person with a cart",
))  # fmt: skip
NAMELESS = frozenset({"thing", "object", "target"})
MASS = frozenset({"smoke"})  # nouns without an article
# Their glow is theirs whatever burns; nobody asks for the colour of a fire.
GLOWING = frozenset({"fire", "smoke", "flames", "explosion"})
_MORE_NOUNS = (
    "thing", "object", "target", "crowd", "bottle", "stone", "crate", "bin", "kart", "animal", "fence",
    "parked motorcycle",
)  # fmt: skip
NOUNS: tuple[str, ...] = tuple(
    sorted(PEOPLE | {n for kind in THINGS for n in kind} | set(_MORE_NOUNS), key=lambda n: (-len(n), n))
)
_PLURALS = {"person": "people", "man": "men", "woman": "women", "child": "children", "thief": "thieves", "bus": "buses"}
SINGULARS = {many: one for one, many in _PLURALS.items()}
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
MAX_WORDS = 45  # of an answer


def several(noun: str) -> str:
    """ "person" -> "people", "bus" -> "buses", "van" -> "vans", "person with a cart" -> "people with a cart"."""
    if noun in MASS:
        return noun
    head, with_, rest = noun.partition(" with ")
    if with_:
        return f"{several(head)}{with_}{rest}"
    if noun in _PLURALS:
        return _PLURALS[noun]
    if re.search(r"(?:s|x|ch|sh)$", noun):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if re.search(r"[^aeiou]y$", noun) else f"{noun}s"


def a_(noun: str) -> str:
    """ "a van", "an umbrella", "smoke"."""
    return noun if noun.split()[-1] in MASS else article(noun)


def count_word(n: int) -> str:
    """1 -> "one"; digits above twelve."""
    return next((word for word, value in NUMBERS.items() if value == n), str(n))


def is_person(target: TargetRecord) -> bool:
    return target.noun in PEOPLE


def basic(colour: str) -> str | None:
    """ "dark blue" -> "blue": one of the eleven basic colour words, None where there is none."""
    found = colours_in(colour)
    return found[0] if found else None


def worn(target: TargetRecord) -> tuple[tuple[str, str], ...]:
    """What can be said of a target's colours: (colour, "top" | "trousers" | "clothes" | ""), "" for a thing itself."""
    if target.noun in GLOWING:
        return ()
    said = []
    for part, words in (("upper", "top"), ("lower", "trousers"), ("whole", "")):
        colour = basic(target.colours.get(part, ""))
        if colour is None:
            continue
        if is_person(target):
            said.append((colour, words or "clothes"))
        elif part == "whole":
            said.append((colour, ""))
    if any(words in ("top", "trousers") for _, words in said):
        said = [pair for pair in said if pair[1] != "clothes"]
    return tuple(said)


def colours(target: TargetRecord, full: bool = True) -> tuple[str, ...]:
    """The colour words of a target in the order of `phrase`."""
    pairs = worn(target) if full else worn(target)[:1]
    return tuple(dict.fromkeys(colour for colour, _ in pairs))


def outfit(target: TargetRecord, full: bool = True) -> str:
    """ "a red top and blue trousers"; "" where no clothes are known."""
    pairs = [pair for pair in worn(target) if pair[1]]
    shown = pairs if full else pairs[:1]
    return listed([article(f"{colour} {part}") if part == "top" else f"{colour} {part}" for colour, part in shown])


def phrase(target: TargetRecord, full: bool = False) -> str:
    """A target with its article and colours: "a cyclist in a red top", "a white van"; full names the trousers too."""
    clothes = outfit(target, full)
    if clothes:
        return f"{a_(target.noun)} in {clothes}"
    pairs = worn(target)
    return a_(f"{pairs[0][0]} {target.noun}" if pairs else target.noun)


def who(target: TargetRecord) -> str:
    return "who" if is_person(target) else "that"


def subjects(targets: Sequence[TargetRecord]) -> list[str]:
    """How each of all targets of a clip is called: "the van"; "the first person" where there are several."""
    nouns = [t.noun for t in targets]
    out = []
    for i, noun in enumerate(nouns):
        place = nouns[:i].count(noun)
        alone = nouns.count(noun) == 1 or place >= len(ORDINALS)
        out.append(f"the {noun}" if alone else f"the {ORDINALS[place]} {noun}")
    return out


# Who is part of an anomaly without being the one that does it: (anomaly, pattern of the noun, pattern of the truth's
# action, what to say of one, of many).
_PARTS: tuple[tuple[str, str, str, str, str], ...] = (
    ("theft", r"", r"\b(?:after|chas|pursu|robbed)", "chases the thief", "chase the thief"),
    ("throwing", r"^(?!person|child|man|woman)", r"", "is thrown", "are thrown"),
    ("vandalism", r"^(?!person|child|man|woman)", r"", "is damaged", "are damaged"),
    ("fire", r"smoke", r"", "rises from the fire", "rise from the fire"),
    ("explosion", r"fire|flames", r"", "burns after the explosion", "burn after the explosion"),
    ("explosion", r"smoke", r"", "rises after the explosion", "rise after the explosion"),
    ("explosion", r"^(?:person|child|man|woman)", r"\b(?:thrown|knock|fall|hit)", "is thrown down by the blast",
     "are thrown down by the blast"),
    ("explosion", r"^(?:person|child|man|woman)", r"", "runs from the blast", "run from the blast"),
)  # fmt: skip


def doing(target: TargetRecord, many: bool = False) -> str:
    """What a target does: "rides a bicycle", "is thrown"; in the plural of many."""
    for anomaly, noun, deed, one, all_ in _PARTS:
        if target.anomaly == anomaly and re.search(noun, target.noun) and re.search(deed, target.action):
            return all_ if many else one
    return DOINGS[target.anomaly].many if many else DOINGS[target.anomaly].one
