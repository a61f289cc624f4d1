"""Layouts: the kinds of places, and which of them are only ever seen in which split.

Next: training/datasets/synthetic/layouts_parts.py
"""

from collections.abc import Callable

import numpy as np

from training.datasets.synthetic import layouts_indoor, layouts_outdoor, layouts_street
from training.datasets.synthetic.layouts_place import Place

LAYOUTS: dict[str, Callable[[np.random.Generator], Place]] = {
    "plaza": layouts_outdoor.plaza,
    "walkway": layouts_outdoor.walkway,
    "park": layouts_outdoor.park,
    "school yard": layouts_outdoor.school_yard,
    "gate": layouts_outdoor.gate,
    "car park": layouts_outdoor.car_park,
    "road": layouts_street.road,
    "crossing": layouts_street.crossing,
    "shopping street": layouts_street.shopping_street,
    "side street": layouts_street.side_street,
    "alley": layouts_street.alley,
    "platform": layouts_street.platform,
    "corridor": layouts_indoor.corridor,
    "shop": layouts_indoor.shop,
    "stairs": layouts_indoor.stairs,
    "lobby": layouts_indoor.lobby,
    "office": layouts_indoor.office,
    "living room": layouts_indoor.living_room,
    "underpass": layouts_indoor.underpass,
}

# A place of one split is never drawn for another, so that a test measures places that training has not seen.
SPLIT_LAYOUTS: dict[str, tuple[str, ...]] = {
    "train": (
        "plaza", "walkway", "gate", "car park", "road", "crossing", "shopping street", "alley", "corridor", "shop",
        "office", "underpass",
    ),
    "validation": ("lobby", "school yard"),
    "test": ("platform", "park", "stairs", "living room", "side street"),
}  # fmt: skip


def split_of(layout: str) -> str:
    """The split that a layout belongs to; ValueError for an unknown one."""
    for split, names in SPLIT_LAYOUTS.items():
        if layout in names:
            return split
    raise ValueError(f"no layout {layout!r}; choose one of {sorted(LAYOUTS)}")
