"""PRESETS: the one registry of presets. A preset is one literal file; add yours with one line here."""

from tvad.presets.base import Preset
from tvad.presets.full_size import (
    LLAVA_ONEVISION_7B,
    QWEN2_5_VL_3B,
    QWEN2_5_VL_7B,
    QWEN3_VL_4B,
    QWEN3_VL_8B,
    SMOLVLM2_2_2B,
)
from tvad.presets.mini import MINI

PRESETS: dict[str, Preset] = {
    "mini": MINI,
    "qwen2.5-vl-3b": QWEN2_5_VL_3B,
    "qwen2.5-vl-7b": QWEN2_5_VL_7B,
    "qwen3-vl-4b": QWEN3_VL_4B,
    "qwen3-vl-8b": QWEN3_VL_8B,
    "llava-onevision-7b": LLAVA_ONEVISION_7B,
    "smolvlm2-2.2b": SMOLVLM2_2_2B,
}


def get_preset(name: str) -> Preset:
    """The preset of this name; ValueError lists the known ones."""
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; choose one of {sorted(PRESETS)} (--preset)")
    return PRESETS[name]
