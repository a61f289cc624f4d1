"""Looks of simulated things: what the classifier, the anomaly words and the colours would say of them.

Logits are drawn around the ImageNet classes that a thing is usually taken for, or taken from footage that was looked at
(`python -m training.lvlm.rendered looks`).

Next: training/lvlm/tellable.py
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from training.datasets.truth import Target
from training.lvlm.scenes import BASE_COLOURS, SHAPES
from tvad.classifier import N_CLASSES, class_names
from tvad.findings import PERSON, SURE

REAL = 0.7  # of the looks, where there are real ones of that thing
ALONE = 0.3  # of the things: nothing else moves, so they are as large as what moves
Real = Mapping[str, np.ndarray]  # noun -> (n, 1000) logits
# What the classifier takes a thing for, by the names of its classes; people are not among these, their clothes are.
BANK: dict[str, tuple[str, ...]] = {
    "person": ("jean", "trench coat", "sweatshirt", "suit", "cardigan", "jersey", "running shoe", "miniskirt"),
    "cyclist": ("mountain bike", "bicycle-built-for-two", "tricycle", "unicycle", "crash helmet"),
    "skater": ("ski", "running shoe", "snowmobile", "unicycle", "jean", "crash helmet", "swing"),
    "car": ("cab", "sports car", "beach wagon", "minivan", "convertible", "limousine", "jeep"),
    "bus": ("minibus", "school bus", "trolleybus", "trailer truck"),
    "golf cart": ("golfcart", "forklift", "go-kart", "tractor"),
    "child": ("jean", "sweatshirt", "jersey", "running shoe", "miniskirt", "diaper"),
    "van": ("minivan", "moving van", "police van", "ambulance", "minibus"),
    "truck": ("trailer truck", "moving van", "garbage truck", "pickup", "tow truck", "fire engine"),
    "motorcyclist": ("motor scooter", "moped", "crash helmet", "mountain bike"),
    "dog": ("Labrador retriever", "golden retriever", "German shepherd", "whippet", "Pembroke"),
    "bag": ("mailbag", "purse", "plastic bag", "backpack"),
    "suitcase": ("mailbag", "chest", "purse", "backpack"),
    "backpack": ("backpack", "mailbag", "purse"),
    "box": ("carton", "crate", "chest", "packet"),
    "fire": ("torch", "volcano", "stove", "candle", "fire screen"),
    "explosion": ("volcano", "geyser", "fountain", "cannon", "fire screen"),
}  # fmt: skip
HELD = {
    "handbag": "purse",
    "backpack": "backpack",
    "umbrella": "umbrella",
    "suitcase": "mailbag",
    "shopping bag": "purse",
}
WORDS = {
    "cyclist": "bicycle",
    "car": "vehicle",
    "van": "vehicle",
    "truck": "vehicle",
    "bus": "vehicle",
    "golf cart": "cart",
    "motorcyclist": "scooter",
}


@lru_cache(maxsize=1)
def _bank() -> dict[str, np.ndarray]:
    """Noun -> numbers of its classes."""
    number = {name: i for i, names in reversed(list(enumerate(class_names()))) for name in names}
    found = BANK | {f"held {k}": (v,) for k, v in HELD.items()}
    return {noun: np.array([number[name] for name in names]) for noun, names in found.items()}


def classes_of(noun: str) -> np.ndarray:
    """Numbers of the classes that a noun of BANK is taken for."""
    return _bank()[noun]


# Whom the finder of people (tvad/people.py) finds, and as what.
FOUND = dict.fromkeys(("person", "child", "cyclist", "skater"), "person")
FOUND |= dict.fromkeys(("car", "van", "truck", "bus", "motorcyclist"), "motor vehicle")


class Looked(NamedTuple):
    """logits (1000,); colours (2, 11) shares; label, its probability and whether it is one of the anomaly words. clear:
    whether the classifier knows what the thing is. found: what the finder of people calls it, where that is the label,
    else ""."""

    logits: np.ndarray
    colours: np.ndarray
    label: str
    sure: float
    is_word: bool
    clear: bool
    found: str = ""


def with_found(seen: Looked, target: Target | None, rng: np.random.Generator, found: float, invented: float) -> Looked:
    """The same, after the finder of people has looked, too: whichever is surer names it (tvad/findings.py), but for
    anomaly words. found, invented: how often it knows people and motor vehicles, and takes all else for people."""
    name = FOUND.get(target.noun, "") if target else ""
    wrong = "person" if rng.random() < invented else ""
    name = (name if rng.random() < found else "") if name else wrong
    sure = float(rng.uniform(0.5, 0.98))
    if not name or seen.is_word or sure <= seen.sure:
        return seen
    return seen._replace(label=name, sure=sure, found=name)


def looked_at(
    target: Target | None,
    rng: np.random.Generator,
    mislabel: float,
    unseen: float,
    vague: float,
    real: Real | None = None,
) -> Looked:
    """What the classifier sees of a thing, or of nothing. mislabel, unseen, vague: how often it looks like another
    thing, was not looked at, and looks like nothing that it knows, as most people and much else in footage do."""
    if target is None or rng.random() < unseen:
        blank = np.zeros(N_CLASSES, np.float32), np.zeros((2, len(BASE_COLOURS)), np.float32)
        return Looked(*blank, _size_label(target, rng), 0.0, False, False)
    noun = list(BANK)[rng.integers(len(BANK))] if rng.random() < mislabel else target.noun
    logits = _vague(noun, rng) if rng.random() < vague else _logits(noun, target.carried, rng, real)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    own = float(p[_bank()[noun]].sum())
    if noun in WORDS and own >= SURE:
        label, sure, is_word = WORDS[noun], own, True
    elif p.max() >= SURE:
        label, sure, is_word = class_names()[int(p.argmax())][0], float(p.max()), False
    else:
        label, sure, is_word = _size_label(target, rng), 0.0, False
    return Looked(logits, _colours(target, rng), label, sure, is_word, noun == target.noun and own >= SURE)


def _size_label(target: Target | None, rng: np.random.Generator) -> str:
    """As the program calls what it does not know: by its height among what moves, if anything else does."""
    height = float(rng.lognormal(0.0, 0.7)) if target is None else SHAPES[target.noun][0] * rng.lognormal(0.0, 0.25)
    if target is not None and rng.random() < ALONE:
        height = 1.0
    return "small object" if height < PERSON[0] else "person-sized object" if height <= PERSON[1] else "large object"


def _noise(rng: np.random.Generator) -> np.ndarray:
    logits = rng.normal(0, 1.0, N_CLASSES).astype(np.float32)
    logits[rng.integers(0, N_CLASSES, 12)] += rng.exponential(1.5, 12)
    return logits


def _vague(noun: str, rng: np.random.Generator) -> np.ndarray:
    """Logits that favour a thing, and others, by next to nothing; now and then a class that has nothing to do with it:
    of eight looks at ordinary street and room footage, two were a swing and a potter's wheel at 0.14 and 0.20."""
    bank = _bank()
    logits = _noise(rng)
    others = [list(BANK)[n] for n in rng.integers(0, len(BANK), 2)]
    for some in (noun, *others):
        logits[bank[some]] += rng.uniform(0.0, 1.5)
    if rng.random() < 0.3:
        logits[rng.integers(N_CLASSES)] += rng.uniform(3.0, 7.5)
    return logits


def _logits(noun: str, carried: str, rng: np.random.Generator, real: Real | None) -> np.ndarray:
    if real is not None and noun in real and rng.random() < REAL:
        rows = real[noun]
        return rows[int(rng.integers(len(rows)))].astype(np.float32)
    bank = _bank()
    logits = _noise(rng)
    classes = bank[noun]
    logits[classes] += rng.uniform(3.0, 7.0) + rng.normal(0, 1.0, len(classes))
    if carried:
        logits[bank[f"held {carried}"]] += rng.uniform(0.0, 4.0)
    return logits


def _colours(target: Target, rng: np.random.Generator) -> np.ndarray:
    """(2, 11) shares: the truth, spread by shade and light, with some of the ground."""
    shares = rng.dirichlet(np.full(len(BASE_COLOURS), 0.15), 2).astype(np.float32)
    for row, part in enumerate(("upper", "lower") if "upper" in target.colours else ("whole", "whole")):
        if (name := target.colours.get(part)) in BASE_COLOURS:
            own = rng.uniform(0.35, 0.95)
            shares[row] *= 1 - own
            shares[row, BASE_COLOURS.index(name)] += own
    return shares
