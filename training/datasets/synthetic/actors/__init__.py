"""Actors: how people, riders, vehicles, animals, things, fire and smoke look. `Cast().make(noun, rng)` makes one.

Next: training/datasets/synthetic/actors/people.py
"""

from collections.abc import Callable

import numpy as np

from training.datasets.synthetic.actors.animals import Bird, Dog
from training.datasets.synthetic.actors.effects import EFFECTS, Effect
from training.datasets.synthetic.actors.people import Person
from training.datasets.synthetic.actors.riders import Rider
from training.datasets.synthetic.actors.things import THINGS, Thing
from training.datasets.synthetic.actors.vehicles import GolfCart, Vehicle
from training.datasets.synthetic.stage import Actor

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
    """Makes actors of all nouns of NOUNS."""

    def __init__(self, assets: None = None) -> None:
        self.assets = assets

    def make(self, noun: str, rng: np.random.Generator) -> Actor:
        """A new actor. KeyError for an unknown noun, with the known ones."""
        if noun not in NOUNS:
            raise KeyError(f"no actor {noun!r}; choose one of {sorted(NOUNS)}")
        return NOUNS[noun](rng)
