"""Looks of simulated things: what the classifier, the anomaly words and the colours would say of them.

Logits are drawn around the ImageNet classes that a thing is usually taken for, or taken from footage that was looked at
(`python -m training.lvlm.rendered looks`).

Next: training/lvlm/data.py
"""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from training.datasets.truth import Target
from training.lvlm.scenes import BASE_COLOURS, DRESSED
from tvad.classifier import N_CLASSES, class_names
from tvad.findings import SURE

REAL = 0.7  # of the looks, where there are real ones of that thing
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


def looked_at(
    target: Target | None, mislabel: float, unseen: float, rng: np.random.Generator, real: Real | None = None
) -> tuple[np.ndarray, np.ndarray, str, float, bool]:
    """Logits (1000,), colour shares (2, 11), label, its probability and whether it is one of the anomaly words.

    mislabel, unseen: how often it looks like another thing, and was not looked at.
    """
    nothing = np.zeros(N_CLASSES, np.float32), np.zeros((2, len(BASE_COLOURS)), np.float32), "small object", 0.0, False
    if target is None or rng.random() < unseen:
        return nothing
    bank = _bank()
    noun = target.noun
    if rng.random() < mislabel:
        noun = list(BANK)[rng.integers(len(BANK))]
    logits = _logits(noun, target.carried, rng, real)
    classes = bank[noun]
    label, sure, is_word = "person-sized object", 0.0, False
    p = np.exp(logits - logits.max())
    p /= p.sum()
    if noun in WORDS and p[classes].sum() >= SURE:
        label, sure, is_word = WORDS[noun], float(p[classes].sum()), True
    elif p.max() >= SURE:
        label, sure = class_names()[int(p.argmax())][0], float(p.max())
    elif noun not in DRESSED:
        label = "small object" if noun in ("bag", "suitcase", "backpack", "box", "dog") else "large object"
    return logits, _colours(target, rng), label, sure, is_word


def _logits(noun: str, carried: str, rng: np.random.Generator, real: Real | None) -> np.ndarray:
    if real is not None and noun in real and rng.random() < REAL:
        rows = real[noun]
        return rows[int(rng.integers(len(rows)))].astype(np.float32)
    bank = _bank()
    logits = rng.normal(0, 1.0, N_CLASSES).astype(np.float32)
    logits[rng.integers(0, N_CLASSES, 12)] += rng.exponential(1.5, 12)
    classes = bank[noun]
    logits[classes] += rng.uniform(1.5, 5.0) + rng.normal(0, 1.0, len(classes))
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
