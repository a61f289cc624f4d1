"""Presets of full-size language models: their own vision tower beside the analysis of `mini`. They want a GPU.

Sizes are those of the weights in 16 bits, from numbers of parameters, about. No revision is pinned here: the commits
could not be looked up where this was written, so `tvad models pull` pins the one it finds.
"""

from dataclasses import replace

from tvad.presets.base import Preset
from tvad.presets.mini import MINI
from tvad.repos import Repo


def full_size(name: str, backbone: str, repo: str, licence: str, source: str, size_bytes: int) -> Preset:
    """`mini` with another language model. backbone: its family in tvad.lvlm.BACKBONES."""
    weights = Repo(name, "language model", repo, licence, source, size_bytes)
    return replace(
        MINI,
        name=name,
        summary=f"the analysis of mini; {source.partition(':')[2].strip()} looks at frames and answers",
        runs_on="a GPU; a CPU takes minutes for an answer",
        backbone=backbone,
        explain_weights={"report": (), "text": (weights,), "lvlm": (weights,)},
    )


QWEN2_5_VL_3B = full_size(
    "qwen2.5-vl-3b",
    "qwen2_5_vl",
    "Qwen/Qwen2.5-VL-3B-Instruct",
    "Qwen Research Licence",
    "Alibaba Qwen: Qwen2.5-VL-3B-Instruct",
    7_500_000_000,
)
QWEN2_5_VL_7B = full_size(
    "qwen2.5-vl-7b",
    "qwen2_5_vl",
    "Qwen/Qwen2.5-VL-7B-Instruct",
    "Apache-2.0",
    "Alibaba Qwen: Qwen2.5-VL-7B-Instruct",
    16_600_000_000,
)
QWEN3_VL_4B = full_size(
    "qwen3-vl-4b",
    "qwen3_vl",
    "Qwen/Qwen3-VL-4B-Instruct",
    "Apache-2.0",
    "Alibaba Qwen: Qwen3-VL-4B-Instruct",
    8_900_000_000,
)
QWEN3_VL_8B = full_size(
    "qwen3-vl-8b",
    "qwen3_vl",
    "Qwen/Qwen3-VL-8B-Instruct",
    "Apache-2.0",
    "Alibaba Qwen: Qwen3-VL-8B-Instruct",
    17_500_000_000,
)
LLAVA_ONEVISION_7B = full_size(
    "llava-onevision-7b",
    "llava_onevision",
    "llava-hf/llava-onevision-qwen2-7b-ov-hf",
    "Apache-2.0",
    "LMMs-Lab: LLaVA-OneVision-Qwen2-7B-OV, as llava-hf converted it",
    16_100_000_000,
)
SMOLVLM2_2_2B = full_size(
    "smolvlm2-2.2b",
    "smolvlm",
    "HuggingFaceTB/SmolVLM2-2.2B-Instruct",
    "Apache-2.0",
    "Hugging Face: SmolVLM2-2.2B-Instruct",
    4_500_000_000,
)
