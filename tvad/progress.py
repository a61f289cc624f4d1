"""How far an analysis is."""

from typing import NamedTuple


class Progress(NamedTuple):
    """Seconds of video done, seconds in all (0 when unknown), sampled frames done."""

    done_s: float
    total_s: float
    frames: int
