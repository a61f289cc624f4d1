"""Where the region encoder begins: tokens that tell a name start out near the words of that name.

A language model copies words that it reads long before it learns a new code. So the one-hot groups of a thing (its
cells, direction, colours, the verdict) are first written as the mean embedding of the words that stand for them, and
training goes on from there. What has no name begins near one word, with a little of its own.

Next: training/lvlm/tuned.py
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from heatmap.appearance import TERMS
from heatmap.motion import DIRECTIONS
from training.lvlm.looks import BANK as CLASSES_OF
from training.lvlm.looks import classes_of
from tvad.lvlm.dialogue import Dialogue
from tvad.lvlm.rae import RegionAwareEncoder
from tvad.lvlm.slots import (
    BORDERS,
    CELL_NAMES,
    CHANGES,
    COLOURS,
    COLUMNS,
    DEEDS,
    DISPLACEMENTS,
    LETTERS,
    MANY,
    PLACES,
    ROWS,
    SIDEWAYS,
    SPEEDS,
    STEPS,
    UPRIGHT,
    hashed,
)
from tvad.lvlm.view import FACTS

GAIN = 4.0  # of a one-hot number: there GELU is the identity
NAMED = 0.5  # norm of a kind's embedding in those of what it tells
QUIET = 0.25  # of the random start of what has no name
KNOWN = 0.6  # mean number of a thing's classes (slots._look) from which it is known: at 0.12 it is about 0.9
HALF = 0.5
VIDEO = " video"
# How the program calls things (tvad/findings.py), in words that a reader knows.
LABELS = {
    "person-sized object": " person", "small object": " small object", "large object": " large object",
    "bicycle": " bicycle", "vehicle": " vehicle", "cart": " cart", "scooter": " scooter",
}  # fmt: skip
# Of what a head names, the words that say it (training/datasets/qa_words.py).
DONE = {
    "cycling": "bicycle", "skating": "skateboard", "driving": "drives", "running": "runs", "fighting": "fights",
    "falling": "falls", "loitering": "loiters", "abandoned object": "abandoned", "theft": "steals",
    "wrong way": "wrong way", "jaywalking": "crosses road", "crowd panic": "panic", "climbing": "climbs",
    "throwing": "throws", "vandalism": "damages", "fire": "burns", "explosion": "explosion",
    "traffic accident": "accident",
}  # fmt: skip
DIGITS = tuple("0123456789")
COUNTS = (" no", " one", " two", " three", " four", " five", " many")

_CELLS = tuple(f" {name.replace('-', ' ')}" for name in CELL_NAMES)
_BORDERS = tuple("" if name == "none" else f" {name} border" for name in BORDERS)
_SIDES = tuple("" if name == "none" else f" {name}" for name in BORDERS)
_WAYS = tuple(f" {name.replace('-', ' and ')}" for name in DIRECTIONS)
_COLOURS = tuple(f" {name}" for name in TERMS)
_PACES = tuple([" slowly"] * 2 + [""] * (len(SPEEDS) - 3) + [" quickly"] * 2)
# Of each group, what its numbers are called, in their order; "" where a number has no name, the rest have none.
NAMES: dict[str, tuple[str, ...]] = {
    "first": _CELLS + _BORDERS,
    "last": _CELLS + _BORDERS,
    "way": (
        *_WAYS,
        " stays",
        *({"still": " stays", "small": " slightly"}.get(d, "") for d in DISPLACEMENTS),
        *({"accelerates": " faster", "slows": " slower"}.get(c, "") for c in CHANGES),
        " turning",
        " stops",
        "",
        *_PACES,
    ),
    "path": _CELLS * (1 + STEPS),
    "colour": _COLOURS * 2,
    "verdict": (" yes", " no", *COUNTS, *COUNTS),
    **{f"{end}_{place}": DIGITS for end in ("from", "until") for place in PLACES},
    "entry": _SIDES,
    "exit": _SIDES,
    "upright": tuple("" if name == "none" else f" {name}" for name in UPRIGHT),
    "sideways": tuple("" if name == "none" else f" {name}" for name in SIDEWAYS),
    "upper": _COLOURS,
    "lower": _COLOURS,
    **{
        f"{end}_{part}": tuple("" if name == "none" else f" {name}" for name in words)
        for end in ("first", "last")
        for part, words in (("row", ROWS), ("column", COLUMNS))
    },
    "noun": (" person", " vehicle"),
    "deed": tuple(f" {DONE[name]}" for name in DEEDS),
}
KINDS = {
    "when": " time", "event": " anomaly", "first": " from", "last": " to", "way": " moves", "path": " through",
    "box": " place", "look": " thing", "colour": " colour", "clip": " video", "verdict": " anomaly",
    **{f"from_{place}": " from" for place in PLACES}, **{f"until_{place}": " to" for place in PLACES},
    "entry": " enters", "exit": " leaves", "upright": " moves", "sideways": " moves", "upper": " top",
    "lower": " trousers",
    **{f"{end}_{part}": said for end, said in (("first", " from"), ("last", " to")) for part in ("row", "column")},
    "noun": " thing", "deed": " does",
}  # fmt: skip

# Words that say how and whether, beside those of NAMES.
SAID = " enters leaves moves stays turning stopping steadily within until there inside already"


def telling(dialogue: Dialogue, count: int, weight: float) -> torch.Tensor:
    """(count,) weights of tokens in the loss: `weight` where an answer tells what was found (a cell, border, direction,
    colour, digit or name), 1 for the words between, which any answer has."""
    words = {word for names in NAMES.values() for name in names for word in name.split()}
    words |= {word for text in (*LABELS.values(), *CLASSES_OF, SAID) for word in text.split()}
    out = torch.ones(count)
    out[dialogue.first_tokens([word if word in DIGITS else f" {word}" for word in sorted(words)])] = weight
    return out


def begin_with_names(rae: RegionAwareEncoder, table: torch.Tensor, dialogue: Dialogue) -> None:
    """Write the names into an encoder. table: the language model's embeddings (V, D)."""
    assert len(TERMS) == COLOURS and len(COUNTS) == MANY + 1
    words = Words(table, dialogue)
    with torch.no_grad():
        _calm(rae, words)
        for kind, groups, modules in (("fact_kind", tuple(FACTS), "facts"), ("kind", rae.config.told, "things")):
            if not hasattr(rae, modules):
                continue
            held: nn.ModuleDict = getattr(rae, modules)
            rows: torch.Tensor = getattr(rae, kind)
            for n, name in enumerate(groups):
                rows[n] = words.mean(KINDS[name]) * NAMED
                if name in NAMES:
                    _name(held[name], [words.mean(text) for text in NAMES[name]])
                if name == "look":
                    name_looks(held[name], words)


def name_looks(mlp: nn.Module, words: "Words") -> None:
    """Let what the classifier is sure of, and how the program calls a thing, add the words for it."""
    first, last = mlp[0], mlp[2]  # type: ignore[index]
    last.weight.mul_(QUIET)
    labels = torch.tensor(np.stack([hashed(label) for label in LABELS]), dtype=torch.float32)
    apart = torch.linalg.pinv(labels)  # a column is 1 for its label and 0 for the others
    told = [(noun, f" {noun}") for noun in CLASSES_OF] + list(LABELS.items())
    for n, (name, text) in enumerate(told[: first.out_features]):
        first.weight[n] = 0
        if n < len(CLASSES_OF):
            first.weight[n, classes_of(name)] = GAIN / len(classes_of(name))
            first.bias[n] = -GAIN * KNOWN
        else:
            first.weight[n, -LETTERS:] = GAIN * apart[:, n - len(CLASSES_OF)]
            first.bias[n] = -GAIN * HALF
        last.weight[:, n] = words.mean(text) / (GAIN * HALF)


def _calm(rae: RegionAwareEncoder, words: "Words") -> None:
    """Tokens of heat and pictures all begin near one word, and differ little: sixty loud ones would drown the rest."""
    rae.base[:] = words.mean(VIDEO)
    for name in ("region", "whole", "visual"):
        if hasattr(rae, name):
            last = getattr(rae, name)[2]
            last.weight.mul_(QUIET)
            last.bias[:] = words.mean(VIDEO)
    for name in ("visual_place", "place"):
        if hasattr(rae, name):
            getattr(rae, name).mul_(QUIET)


class Words:
    """Mean embeddings of words, of length sqrt(D); zero for no words."""

    def __init__(self, table: torch.Tensor, dialogue: Dialogue) -> None:
        self._table, self._dialogue = table.detach().float(), dialogue

    def mean(self, text: str) -> torch.Tensor:
        width = self._table.shape[1]
        if not text:
            return torch.zeros(width)
        # In numbers no space stands before a digit.
        said = [word if word in DIGITS else f" {word}" for word in text.split()]
        tokens = [self._dialogue.first_tokens([word])[0] for word in said]
        found = self._table[tokens].cpu()
        mean = nn.functional.normalize(found, dim=1).mean(0)
        return nn.functional.normalize(mean, dim=0) * width**0.5


def _name(mlp: nn.Module, rows: Sequence[torch.Tensor]) -> None:
    """Let the first numbers of a group's MLP add these rows; as many hidden units pass them on unchanged."""
    first, last = mlp[0], mlp[2]  # type: ignore[index]
    count = min(len(rows), first.out_features)
    last.weight.mul_(QUIET)
    first.weight[:count] = 0
    first.bias[:count] = 0
    for n in range(count):
        first.weight[n, n] = GAIN
        last.weight[:, n] = rows[n] / GAIN
