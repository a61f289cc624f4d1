"""Actors: how people, riders, vehicles, animals, things, fire and smoke look. `Cast().make(noun, rng)` makes one.

The phase of a pose should come from `phase_of`: by the way travelled, and by the clock for what is done in one place.

Next: training/datasets/synthetic/actors/people.py
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from training.datasets.synthetic.actors.animals import Bird, Dog
from training.datasets.synthetic.actors.cutouts import recast
from training.datasets.synthetic.actors.effects import EFFECTS, Effect
from training.datasets.synthetic.actors.people import Person
from training.datasets.synthetic.actors.poses import phase_of
from training.datasets.synthetic.actors.riders import Rider
from training.datasets.synthetic.actors.things import THINGS, Thing
from training.datasets.synthetic.actors.vehicles import GolfCart, Vehicle
from training.datasets.synthetic.stage import Actor, Play

if TYPE_CHECKING:
    from training.datasets.synthetic.assets import Assets

__all__ = ["NOUNS", "Cast", "phase_of"]

Make = Callable[[np.random.Generator], Actor]


def _thing(noun: str) -> Make:
    return lambda rng: Thing(rng, noun)


def _effect(noun: str) -> Make:
    return lambda rng: Effect(rng, noun)


def _car(rng: np.random.Generator) -> Actor:
    return Vehicle(rng, "car", str(rng.choice(["car", "hatchback", "estate"])))


NOUNS: dict[str, Make] = {
    "person": lambda rng: Person(rng, "person"),
    "child": lambda rng: Person(rng, "child"),
    "cyclist": lambda rng: Rider(rng, "cyclist", "bicycle"),
    "skater": lambda rng: Rider(rng, "skater", "skateboard"),
    "scooter rider": lambda rng: Rider(rng, "scooter rider", "scooter"),
    "wheelchair user": lambda rng: Rider(rng, "wheelchair user", "wheelchair"),
    "motorcyclist": lambda rng: Rider(rng, "motorcyclist", "motorcycle"),
    "motorcycle": lambda rng: Rider(rng, "motorcycle", "motorcycle"),
    "person with a pram": lambda rng: Rider(rng, "person with a pram", "pram"),
    "person with a trolley": lambda rng: Rider(rng, "person with a trolley", "trolley"),
    "person with a cart": lambda rng: Rider(rng, "person with a cart", "cart"),
    "car": _car,
    "van": lambda rng: Vehicle(rng, "van", "van"),
    "truck": lambda rng: Vehicle(rng, "truck", "truck"),
    "bus": lambda rng: Vehicle(rng, "bus", "bus"),
    "train": lambda rng: Vehicle(rng, "train", "train"),
    "golf cart": lambda rng: GolfCart(rng, "golf cart"),
    "dog": lambda rng: Dog(rng, "dog"),
    "bird": lambda rng: Bird(rng, "bird"),
    **{noun: _effect(noun) for noun in EFFECTS},
    **{noun: _thing(noun) for noun in THINGS},
}


class Cast:
    """Makes actors of all nouns of NOUNS; with assets, some of those who only walk or drive are real ones."""

    def __init__(self, assets: "Assets | None" = None) -> None:
        self.assets = assets

    def make(self, noun: str, rng: np.random.Generator) -> Actor:
        """A new actor, drawn. KeyError for an unknown noun, with the known ones."""
        if noun not in NOUNS:
            raise KeyError(f"no actor {noun!r}; choose one of {sorted(NOUNS)}")
        return NOUNS[noun](rng)

    def recast(
        self,
        play: Play,
        seconds: float,
        rng: np.random.Generator,
        seen_heading: Callable[[float, float, float], float] | None = None,
    ) -> Play:
        """The play with about 40 % of the lives that a real person or vehicle can play given to one; without assets the
        play as it is. It is done when a play is complete: only then is it known who will fall, sit or fight."""
        if self.assets is None:
            return play
        return recast(play, seconds, self.assets.cutouts, rng, seen_heading=seen_heading)
