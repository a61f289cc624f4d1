"""Choice: what a person may choose about a full-size language model. A frozen value; needs no torch.

Next: tvad/seeing.py
"""

from dataclasses import dataclass
from pathlib import Path

QUANTISED = ("nf4", "int8")


@dataclass(frozen=True)
class Choice:
    """weights: folder of the model, None for where `tvad models pull` puts the preset's. adapter: folder of what
    training added, None for the one that comes with the preset, if any. device: "" for that of the analysis. dtype:
    bf16, fp16 or fp32. quantise: nf4 or int8 for the language model, "" for none. attention: as transformers
    calls it. frames: looked at, None for the family's own number."""

    weights: Path | None = None
    adapter: Path | None = None
    device: str = ""
    dtype: str = "bf16"
    quantise: str = ""
    attention: str = "sdpa"
    frames: int | None = None

    def __post_init__(self) -> None:
        if self.quantise and self.quantise not in QUANTISED:
            raise ValueError(f"no quantisation {self.quantise!r}; choose one of {list(QUANTISED)} (--quantise)")
        if self.frames is not None and not 1 <= self.frames <= 512:
            raise ValueError(f"{self.frames} frames; it is a number from 1 to 512 (--frames)")
