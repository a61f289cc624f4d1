"""Words of training: what is asked for in a clip, and which cells that makes hot.

Half of the questions are the general one (every kind of anomaly against what is ordinary); the others name one or a
few words, of things that are there or of things that are not, so that the user's own words mean something; and some
call a kind ordinary that otherwise is not.

Next: training/heatmap/data.py
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from heatmap.prompts import ANYTHING, EVENTS, GROUND, ORDINARY, Text
from training.datasets.truth import Target
from training.heatmap.features import CachedClip
from tvad.classifier import class_names
from tvad.minilm import embed

GENERAL, EXCUSED = 0.5, 0.12  # shares of the questions; the rest names words
MOST_WORDS = 4
ALIKE = 0.45  # cosine above which a word may mean what is there, and so is not used as one that is absent
SAME = 0.6  # ... above which an ordinary word must not stand against a wanted one

# How else one calls the things of the truth. A noun that is not here is its own only phrase.
NOUNS: dict[str, tuple[str, ...]] = {
    "person": ("person", "pedestrian", "person walking", "people"),
    "child": ("child", "boy or girl"),
    "cyclist": ("bicycle", "cyclist", "bike", "person riding a bicycle", "cycling"),
    "skater": ("skateboard", "skater", "person on a skateboard", "skating"),
    "scooter rider": ("scooter", "scooter rider", "person on a kick scooter"),
    "wheelchair user": ("wheelchair", "person in a wheelchair"),
    "motorcyclist": ("motorcycle", "motorbike", "motorcyclist"),
    "person with a pram": ("pram", "baby carriage", "stroller"),
    "person with a trolley": ("trolley", "suitcase on wheels", "luggage"),
    "person with a cart": ("cart", "handcart", "person pushing a cart"),
    "car": ("car", "vehicle", "automobile"),
    "van": ("van", "vehicle", "minibus"),
    "truck": ("truck", "vehicle", "lorry"),
    "bus": ("bus", "vehicle", "coach"),
    "train": ("train", "railway train", "tram"),
    "golf cart": ("golf cart", "cart", "small electric vehicle", "vehicle"),
    "bag": ("bag", "luggage", "abandoned bag"),
    "backpack": ("backpack", "bag", "rucksack"),
    "suitcase": ("suitcase", "luggage", "bag"),
    "dog": ("dog", "animal"),
    "fire": ("fire", "flames"),
    "smoke": ("smoke", "fire and smoke"),
}  # fmt: skip
# Kinds that one also does when nobody minds; the verbs of the truth's actions that say so.
VERBS = {"running": ("run", "jog"), "climbing": ("climb",), "throwing": ("throw",), "fighting": ("fight", "punch")}


@dataclass(frozen=True)
class Question:
    """What is asked of a clip: the words of both sides, and which target is meant when, wanted (n, N) bool."""

    anomaly: tuple[str, ...]
    normal: tuple[str, ...]
    wanted: np.ndarray

    @property
    def text(self) -> Text:
        return Text(embed(self.normal), embed(self.anomaly))


def general(clip: CachedClip) -> Question:
    """The question of the product when the user gives no words."""
    kinds = (*(phrases[0] for phrases in EVENTS.values()), ANYTHING)
    return Question(kinds, ORDINARY, clip.anomalous())


def sample(clip: CachedClip, rng: np.random.Generator) -> Question:
    """One question to a clip."""
    kind = rng.random()
    if kind < GENERAL:
        return _general(rng, clip, ())
    if kind < GENERAL + EXCUSED:
        there = sorted({t.anomaly for t in clip.truth.anomalous if t.anomaly in EVENTS})
        excused = str(rng.choice(there if there and rng.random() < 0.8 else list(EVENTS)))
        return _general(rng, clip, (excused,))
    return _specific(rng, clip)


def meaning(word: str, clip: CachedClip) -> np.ndarray:
    """(n, N) bool: which targets a word of NOUNS or EVENTS means, and when."""
    is_noun = word in _flat(NOUNS.values())  # "cart" is no car, though both are driven
    kinds = [] if is_noun else [k for k, phrases in EVENTS.items() if word in (k, *phrases)]
    out = clip.anomalous(kinds)
    by_id = {t.id: t for t in clip.truth.targets}
    for row, identity in zip(out, clip.ids.tolist(), strict=True):
        row |= _is_called(by_id[identity], word, kinds)
    return out


def phrases_of(target: Target) -> tuple[str, ...]:
    """All words that mean a target."""
    kinds = EVENTS.get(target.anomaly or "", ())
    return (*NOUNS.get(target.noun, (target.noun,)), *kinds, *_verb_phrases(target))


def _is_called(target: Target, word: str, kinds: list[str]) -> bool:
    if word in NOUNS.get(target.noun, (target.noun,)):
        return True
    return any(target.action.startswith(VERBS.get(k, ("\0",))) for k in kinds)


def _verb_phrases(target: Target) -> tuple[str, ...]:
    return tuple(p for k, verbs in VERBS.items() if target.action.startswith(verbs) for p in EVENTS[k])


def _general(rng: np.random.Generator, clip: CachedClip, excused: tuple[str, ...]) -> Question:
    """Every kind in some wording, a few left unsaid; what is excused stands on the normal side."""
    said = tuple(str(rng.choice(phrases)) for k, phrases in EVENTS.items() if k not in excused)
    share = rng.uniform(0.2, 1.0)  # some name little of what is ordinary
    usual = tuple(w for w in ORDINARY if w in GROUND or rng.random() < share)
    forgiven = tuple(str(rng.choice(EVENTS[k])) for k in excused)
    kinds = None if not excused else [k for k in _kinds(clip) if k not in excused]
    return Question((*said, ANYTHING), (*usual, *forgiven), clip.anomalous(kinds))


def _kinds(clip: CachedClip) -> list[str]:
    return [t.anomaly for t in clip.truth.anomalous if t.anomaly]


def _specific(rng: np.random.Generator, clip: CachedClip) -> Question:
    there = sorted({p for t in clip.truth.targets for p in phrases_of(t) if clip.cover[_row(clip, t)].any()})
    words: list[str] = []
    for _ in range(int(rng.integers(1, MOST_WORDS + 1))):
        present = bool(there) and rng.random() < 0.5
        words.append(str(rng.choice(there)) if present else _absent(rng, clip))
    words = list(dict.fromkeys(words))
    wanted = np.zeros((len(clip.ids), len(clip.taps)), bool)
    for word in words:
        wanted |= meaning(word, clip)
    return Question(tuple(words), _unlike(words), wanted)


def _row(clip: CachedClip, target: Target) -> int:
    return clip.ids.tolist().index(target.id)


def _unlike(words: list[str]) -> tuple[str, ...]:
    """Ordinary words that mean none of these."""
    close = (embed(ORDINARY) @ embed(words).T).max(1) > SAME
    return tuple(w for w, near in zip(ORDINARY, close.tolist(), strict=True) if w in GROUND or not near)


def _absent(rng: np.random.Generator, clip: CachedClip) -> str:
    """A word that means nothing in a clip."""
    known = [*sorted({p for t in clip.truth.targets for p in phrases_of(t)}), "person"]
    mine, theirs = embed(known), _vocabulary()
    for _ in range(20):
        i = int(rng.integers(len(theirs[0])))
        if (mine @ theirs[1][i]).max() < ALIKE:
            return theirs[0][i]
    return "aircraft carrier"


@lru_cache(maxsize=1)
def _vocabulary() -> tuple[list[str], np.ndarray]:
    """Words that may be absent: those of the truth as often as the names of the classifier's classes."""
    own = list(dict.fromkeys(_flat(NOUNS.values()) + _flat(EVENTS.values())))
    others = [names[0] for names in class_names()[::4]]
    words = own * max(1, len(others) // len(own)) + others
    return words, embed(words)


def _flat(groups: Iterable[tuple[str, ...]]) -> list[str]:
    return [p for group in groups for p in group]
