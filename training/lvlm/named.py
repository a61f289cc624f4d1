"""Names that a head gives to simulated events: which kinds it knows, how likely it finds each, and what it says.

Modelled on what the shipped one does (training/temporal/kinds.py): of fights that it has not seen it names two thirds,
of what is no fight every eighth where people are as lively, and hardly any elsewhere; falls are named by
tvad/falls.py, surely or not at all. Other heads know other kinds, so any may be among them.

Next: training/lvlm/simulate.py
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from tvad.kinds import FALLING, UNSPECIFIED
from tvad.lvlm.slots import DEEDS

SHIPPED = ("falling", "fighting")
NONE = 0.08  # of the clips: no head, or one that tells no kinds apart
NAMED_FROM = 0.58  # probability from which a kind is named
FELL, INVENTED = 0.75, 0.02  # of the falls, and of all else: named by the outline
OWN, OTHER, LIVELY = (1.4, 1.7), (-2.4, 1.3), (-1.4, 1.4)  # log odds against normal: mean, deviation
LIVELY_SHARE = 0.35  # of what is not of a kind


class Told(NamedTuple):
    """name: one of DEEDS or "unspecified". probs: of each kind, normal first; empty where nothing was told apart."""

    name: str = UNSPECIFIED
    probs: tuple[tuple[str, float], ...] = ()

    @property
    def named(self) -> bool:
        return self.name != UNSPECIFIED


def knows(anomalies: Collection[str], rng: np.random.Generator, told: float) -> tuple[str, ...]:
    """The kinds that the head of a clip tells apart; () for none. told: how often it is another one than ours, which
    knows what there is to see."""
    draw = rng.random()
    if draw < NONE:
        return ()
    if draw >= NONE + told:
        return SHIPPED
    others = rng.choice(DEEDS, int(rng.integers(2, 10)), replace=False).tolist()
    return tuple(sorted({*others, *(name for name in anomalies if name in DEEDS)}))


def told_of(anomalies: Collection[str], known: tuple[str, ...], rng: np.random.Generator) -> Told:
    """What such a head says of an event in which these anomalies are, none of them in one that is ordinary."""
    if not known:
        return Told()
    lively = rng.random() < LIVELY_SHARE
    odds = {}
    for name in known:
        mean, spread = OWN if name in anomalies else LIVELY if lively else OTHER
        odds[name] = rng.normal(mean, spread)
    if FALLING in odds:
        fell = rng.random() < (FELL if FALLING in anomalies else INVENTED)
        odds[FALLING] = rng.uniform(3.0, 7.0) if fell else rng.normal(-2.4, 0.9)
    # Many kinds share what is not of theirs.
    shares = np.exp([0.0, *(value - np.log(max(len(known) / 2, 1)) * (value < 0) for value in odds.values())])
    shares /= shares.sum()
    probs = tuple((name, round(float(p), 4)) for name, p in zip(("normal", *known), shares, strict=True))
    best = max(range(len(probs)), key=lambda n: probs[n][1])
    return Told(probs[best][0] if best and probs[best][1] >= NAMED_FROM else UNSPECIFIED, probs)
