"""Prompts: the words of what is normal and of what is not, as vectors that the decoder compares features with.

Three nested levels (T-VAD): words (what may happen) in states (there it is, there it is not) in scenes (who says so).
A word's vector is the mean over its sentences, so no single wording decides. `embed` is whatever turns N phrases into
(N, D): a sentence encoder, or a language model's own input embeddings averaged over the tokens.

Strings and arrays only.  Next: heatmap/decoder.py
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

Embed = Callable[[Sequence[str]], np.ndarray]

# The kinds of anomaly that the decoder is trained on, as phrases; the first of each is used where one is enough.
EVENTS: dict[str, tuple[str, ...]] = {
    "cycling": ("bicycle", "person riding a bicycle", "cycling"),
    "skating": ("skateboard", "person on a skateboard", "skating", "scooter"),
    "driving": ("vehicle", "car driving where people walk", "cart", "motorcycle"),
    "running": ("person running", "running"),
    "fighting": ("people fighting", "fight", "one person hitting another"),
    "falling": ("person falling to the ground", "person lying on the ground", "fall"),
    "loitering": ("loitering", "person hanging around in one place"),
    "abandoned object": ("abandoned object", "bag left behind", "unattended luggage"),
    "theft": ("theft", "thief taking something"),
    "wrong way": ("going the wrong way", "moving against the flow"),
    "jaywalking": ("jaywalking", "person crossing the road between cars"),
    "crowd panic": ("crowd panic", "people running away in all directions"),
    "climbing": ("person climbing over a fence", "climbing"),
    "throwing": ("person throwing an object", "throwing"),
    "vandalism": ("vandalism", "person kicking and damaging property"),
    "fire": ("fire", "flames and smoke"),
    "explosion": ("explosion", "blast"),
    "traffic accident": ("traffic accident", "car crash", "collision"),
}
ANYTHING = "anomaly"  # the generic word beside the kinds
GROUND = ("empty ground", "background")  # where nothing is; always normal
ORDINARY = ("person walking", "people standing", "bag", "umbrella", *GROUND, "building", "tree")

ABSENT = (
    "no {}", "a scene free of {}", "a place without {}", "there is no {}", "no sign of {}", "nothing like {}",
    "an ordinary scene, no {}",
)  # fmt: skip
PRESENT = (
    "{}", "footage showing {}", "a scene with {}", "there is {}", "signs of {}", "something like {}",
    "an unusual scene, {}",
)  # fmt: skip
USUAL = ("{}", "footage showing {}", "a scene with {}", "there is {}", "an ordinary scene, {}")
SCENES = (
    "{}", "{}, seen by a surveillance camera", "footage of a security camera: {}", "a fixed camera records {}",
    "{}, filmed from above in a public place",
)  # fmt: skip
TOO_ALIKE = 1e-4  # 1 - cosine of the two sides below which the decoder has little to hold on to


@dataclass(frozen=True)
class Templates:
    """How words become sentences. absent: states of an anomalous word on the normal side (none: that side is made of
    normal words only). present: on the abnormal side; usual: of a normal word. scenes: around each."""

    absent: tuple[str, ...] = ABSENT
    present: tuple[str, ...] = PRESENT
    usual: tuple[str, ...] = USUAL
    scenes: tuple[str, ...] = SCENES


ENSEMBLE = Templates()
PLAIN = Templates((), ("{}",), ("{}",), ("{}",))  # for sentence encoders, to which "no bicycle" is nearly "bicycle"


@dataclass(frozen=True)
class Text:
    """Unit vectors of the words: normal (K, D), abnormal (J, D) float32."""

    normal: np.ndarray
    abnormal: np.ndarray

    @classmethod
    def of(
        cls,
        embed: Embed,
        anomaly: Sequence[str] = (),
        normal: Sequence[str] = (),
        templates: Templates = ENSEMBLE,
        pooled: bool = False,
    ) -> "Text":
        """Vectors of these words; none given means the default ones. pooled: one vector a side (the paper's S_c).

        Warns where the two sides are nearly the same vector. ValueError for blanks, and where nothing is normal.
        """
        anomaly = tuple(anomaly) or (*(phrases[0] for phrases in EVENTS.values()), ANYTHING)
        if not templates.absent:  # then nothing else says what an empty place looks like
            normal = tuple(dict.fromkeys((*normal, *GROUND))) if normal else ORDINARY
        normal = tuple(normal)
        if any(not w.strip() for w in (*anomaly, *normal)):
            raise ValueError("an empty word among the anomaly or normal words; give words separated by commas")
        groups = [sentences(w, templates.present, templates.scenes) for w in anomaly]
        ordinary = [sentences(w, templates.usual, templates.scenes) for w in normal]
        if templates.absent:
            ordinary += [sentences(w, templates.absent, templates.scenes) for w in anomaly]
        vectors = _means(embed, [*groups, *ordinary])
        text = cls(_unit(vectors[len(groups) :]), _unit(vectors[: len(groups)]))
        if pooled:
            text = cls(_unit(vectors[len(groups) :].mean(0)[None]), _unit(vectors[: len(groups)].mean(0)[None]))
        text.warn_if_alike()
        return text

    @property
    def distance(self) -> float:
        """1 - cosine of the means of the two sides."""
        a, b = _unit(self.normal.mean(0)), _unit(self.abnormal.mean(0))
        return float(1 - a @ b)

    @property
    def ground(self) -> np.ndarray:
        """Mean direction of what is normal, (D,): what the decoder starts from (`HeatmapDecoder.calm`)."""
        return _unit(self.normal.mean(0))

    def warn_if_alike(self) -> None:
        if self.distance < TOO_ALIKE:
            warnings.warn(
                f"normal and anomalous words are nearly the same to the text encoder (1 - cosine {self.distance:.1e}, "
                f"wanted at least {TOO_ALIKE:.0e}); the heat will depend on chance: choose other words",
                RuntimeWarning,
                stacklevel=3,
            )


def sentences(word: str, states: Sequence[str], scenes: Sequence[str]) -> list[str]:
    """Every scene around every state of a word."""
    return [scene.format(state.format(word)) for state, scene in product(states, scenes)]


def stacked(texts: Sequence[Text]) -> tuple[np.ndarray, np.ndarray]:
    """Texts of B clips as the decoder takes them: (B, 2, K, D) float32, padded with zeros, and words (B, 2, K) bool."""
    sides = [(t.normal, t.abnormal) for t in texts]
    most = max(len(side) for pair in sides for side in pair)
    vectors = np.zeros((len(texts), 2, most, sides[0][0].shape[1]), np.float32)
    words = np.zeros((len(texts), 2, most), bool)
    for i, pair in enumerate(sides):
        for c, side in enumerate(pair):
            vectors[i, c, : len(side)] = side
            words[i, c, : len(side)] = True
    return vectors, words


def _means(embed: Embed, groups: list[list[str]]) -> np.ndarray:
    """Mean vector of each group of sentences, (len(groups), D); one call of the encoder for all."""
    vectors = np.asarray(embed([s for group in groups for s in group]), np.float64)
    ends = np.cumsum([len(group) for group in groups])
    return np.stack([part.mean(0) for part in np.split(vectors, ends[:-1])])


def _unit(x: np.ndarray) -> np.ndarray:
    out: np.ndarray = (x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)).astype(np.float32)
    return out
