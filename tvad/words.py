"""Words to scores without training: the user's words become classes of the packaged classifier.

Each word or phrase is compared with the names of the 1000 ImageNet classes by sentence embedding; the nearest classes
stand for it. A look at something is scored by the log odds of those classes, after the classifier's habits in this
scene are taken out: its logits are corrected by the mean prediction over everything *else* that moves here (label-shift
correction of the prior; Saerens et al. 2002), so a class it sees in every pedestrian means nothing, and neither does a
car on a road. No class exists for people or for actions; such words find nothing, and the guide says so.

Next: tvad/watcher.py
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from tvad.classifier import N_CLASSES, class_names
from tvad.minilm import embed

CLASSES_PER_WORD = 6
MIN_SIMILARITY = 0.5  # of the best class; below it a word has no class
REACH = 0.15  # further classes may be this much less similar than the best one
UNIFORM_LOOKS = 30.0  # the uniform prior weighs as much as this many looks
FLOOR = 1e-4  # prior of a class never predicted here
_FILLER_TEXT = """a an the of on in at with without and or by to from is are being person persons people man men woman
women child someone somebody riding driving walking pushing carrying holding using left standing moving"""
FILLER = frozenset(_FILLER_TEXT.split())


@dataclass(frozen=True)
class WordGuide:
    """The classes of the anomaly words, of the normal words (never counted as anomalous), and words without a class.

    classes: word -> class indices, best first.
    """

    classes: dict[str, tuple[int, ...]]
    normal: frozenset[int]
    without_class: tuple[str, ...]

    @classmethod
    def of(cls, anomaly: Sequence[str], normal: Sequence[str]) -> "WordGuide":
        """Match words; ValueError for a list of nothing but blanks."""
        if any(not w.strip() for w in (*anomaly, *normal)):
            raise ValueError("an empty word among the anomaly or normal words; give words separated by commas")
        found = {w: _match(w) for w in (*anomaly, *normal)}
        ordinary = frozenset(i for w in normal for i in found[w])
        classes = {w: tuple(i for i in found[w] if i not in ordinary) for w in anomaly}
        return cls(
            {w: c for w, c in classes.items() if c},
            ordinary,
            tuple(w for w in anomaly if not classes[w]),
        )

    @property
    def indices(self) -> np.ndarray:
        """All classes of the anomaly words, (k,)."""
        return np.array(sorted({i for c in self.classes.values() for i in c}), int)

    def score(self, logits: np.ndarray) -> np.ndarray:
        """Log odds of the anomaly words against all else, (n,), of corrected logits (n, 1000)."""
        if not self.classes:
            return np.full(len(logits), -np.inf)
        others = np.delete(logits, self.indices, axis=1)
        return logsumexp(logits[:, self.indices], axis=1) - logsumexp(others, axis=1)

    def best_word(self, logits: np.ndarray) -> tuple[str, float]:
        """The most probable anomaly word over looks (n, 1000) of one thing, and its probability."""
        p = softmax(logits).mean(0)
        chances = {w: float(p[list(c)].sum()) for w, c in self.classes.items()}
        word = max(chances, key=lambda w: chances[w])
        return word, chances[word]


@dataclass
class Habit:
    """What the classifier predicts for the things of a scene: the sum of its predictions (1000,) and how many."""

    total: np.ndarray
    looks: float = 0.0

    @classmethod
    def empty(cls) -> "Habit":
        return cls(np.zeros(N_CLASSES))

    def add(self, logits: np.ndarray) -> None:
        self.total += softmax(logits).sum(0)
        self.looks += len(logits)

    def corrected(self, logits: np.ndarray) -> np.ndarray:
        """Logits (n, 1000) of one thing, already among those added, with the habit of all *others* taken out."""
        others = self.total - softmax(logits).sum(0)
        count = self.looks - len(logits)
        prior = (np.maximum(others, 0) + UNIFORM_LOOKS / N_CLASSES) / (count + UNIFORM_LOOKS)
        return logits - np.log(prior + FLOOR)


def softmax(logits: np.ndarray) -> np.ndarray:
    x = logits.astype(np.float64)
    return np.exp(x - logsumexp(x, axis=1)[:, None])


def _match(phrase: str) -> tuple[int, ...]:
    """Classes for a phrase, best first: by the phrase and, since names are nouns, by each of its telling words."""
    telling = [w for w in phrase.lower().replace("-", " ").split() if w not in FILLER]
    wanted = list(dict.fromkeys([phrase, *telling]))
    names = [(i, name) for i, own in enumerate(class_names()) for name in own]
    similarity = (embed(wanted) @ embed([name for _, name in names]).T).max(0)
    best = np.full(N_CLASSES, -1.0)
    np.maximum.at(best, [i for i, _ in names], similarity)
    if best.max() < MIN_SIMILARITY:
        return ()
    order = np.argsort(-best, kind="stable")[:CLASSES_PER_WORD]
    return tuple(int(i) for i in order if best[i] >= best.max() - REACH)
