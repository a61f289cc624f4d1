"""BACKBONES: the one registry of language models, name of the weights -> what loads them. Add yours with one line here.

Nothing heavy is imported before a backbone is loaded.
"""

from collections.abc import Callable

from tvad.lvlm import smollm
from tvad.lvlm.base import Backbone
from tvad.lvlm.lora import Change

BACKBONES: dict[str, Callable[[Change | None], Backbone]] = {"smollm2-135m-instruct": smollm.load}


def load_backbone(name: str, change: Change | None = None) -> Backbone:
    """The backbone of this name, ready to read; change: what an adapter does to it.

    ValueError lists the known ones; MissingWeights when it is not here.
    """
    if name not in BACKBONES:
        raise ValueError(f"no language model {name!r}; choose one of {sorted(BACKBONES)}")
    return BACKBONES[name](change)
