"""BACKBONES: the one registry of full-size language models that see, model_type of their config.json -> their family.
PACKAGED: whole models that come as packages, name of the weights -> what loads them. Add yours with one line here.

Nothing heavy is imported before a model is loaded.
"""

from collections.abc import Callable

from tvad.lvlm import smollm
from tvad.lvlm.base import Backbone
from tvad.lvlm.family import Family
from tvad.lvlm.internvl import INTERNVL
from tvad.lvlm.llava import LLAVA, LLAVA_NEXT
from tvad.lvlm.llava_onevision import LLAVA_ONEVISION
from tvad.lvlm.lora import Change
from tvad.lvlm.qwen2_5_vl import QWEN2_5_VL
from tvad.lvlm.qwen3_vl import QWEN3_VL
from tvad.lvlm.smolvlm2 import SMOLVLM2

PACKAGED: dict[str, Callable[[Change | None], Backbone]] = {"smollm2-135m-instruct": smollm.load}

BACKBONES: dict[str, Family] = {
    "qwen2_5_vl": QWEN2_5_VL,
    "qwen3_vl": QWEN3_VL,
    "llava_onevision": LLAVA_ONEVISION,
    "llava": LLAVA,
    "llava_next": LLAVA_NEXT,
    "smolvlm": SMOLVLM2,
    "internvl": INTERNVL,
}


def load_backbone(name: str, change: Change | None = None) -> Backbone:
    """The packaged model of this name, ready to read; change: what an adapter does to it.

    ValueError lists the known ones; MissingWeights when it is not here.
    """
    if name not in PACKAGED:
        raise ValueError(f"no language model {name!r}; choose one of {sorted(PACKAGED)}")
    return PACKAGED[name](change)


def family_of(model_type: str) -> Family:
    """The family of a model; ValueError lists the known ones."""
    if model_type not in BACKBONES:
        raise ValueError(f"no family of language models for {model_type!r}; known are {sorted(BACKBONES)}")
    return BACKBONES[model_type]
