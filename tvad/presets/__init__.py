"""PRESETS: the one registry of presets. A preset is one literal file; add yours with one line here."""

from tvad.presets.base import Preset
from tvad.presets.mini import MINI

PRESETS: dict[str, Preset] = {"mini": MINI}


def get_preset(name: str) -> Preset:
    """The preset of this name; ValueError lists the known ones."""
    if name not in PRESETS:
        raise ValueError(f"no preset {name!r}; choose one of {sorted(PRESETS)} (--preset)")
    return PRESETS[name]
