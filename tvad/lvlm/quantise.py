"""Quantisation of a language model by bitsandbytes: 4-bit NF4 (Dettmers et al. 2023, arXiv:2305.14314) and 8 bits (the
same 2022, arXiv:2208.07339). The vision tower, what joins it to the language model, and the head stay as they are.

Next: tvad/lvlm/loaded.py
"""

import importlib.util
from typing import Any

from tvad.lvlm.choice import QUANTISED
from tvad.lvlm.family import Family

# What is not a layer of the language model, by the names that the families have for it. The decoder and the region
# encoder are no part of the model.
APART = ("model.multi_modal_projector", "model.connector", "lm_head")


def quantisation(way: str, family: Family, dtype: Any, device: str) -> Any:
    """The `BitsAndBytesConfig` of a way. ValueError for an unknown one, and where bitsandbytes or a GPU is missing."""
    if way not in QUANTISED:
        raise ValueError(f"no quantisation {way!r}; choose one of {list(QUANTISED)} (--quantise)")
    if way == "int8" and not device.startswith("cuda"):
        raise ValueError(f"quantisation 'int8' runs on a GPU only, not on {device!r} (--device cuda, --quantise nf4)")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise ValueError(f"quantisation {way!r} needs bitsandbytes: pip install 'tvad[gpu]' (or leave out --quantise)")
    from transformers import BitsAndBytesConfig

    kept = [family.tower, *APART]
    if way == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=kept)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=kept,
    )
