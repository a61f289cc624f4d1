"""Sight: what was seen of a video besides the Evidence, kept so that a language model can look at it later.

Arrays only, saved with the curves. Next: tvad/lvlm/view.py
"""

from dataclasses import dataclass

import numpy as np

GRID = (3, 4)  # rows and columns of a kept picture
EVERY_S = 1.0  # at most one picture in this time
COLOURS = 11  # names in heatmap/appearance.py


@dataclass(frozen=True)
class Sight:
    """times_s (S,) float64 and patch (S, 3, 4, C) float16: the encoder's features averaged over the cells of GRID, a
    picture about every EVERY_S. Of the Evidence's tracks, in their order: looks (N, 1000) float16, mean logits of the
    classifier, zero where it did not look; colours (N, 2, 11) float16 in [0, 1], share of each colour in the upper and
    lower half of the thing, zero where unknown. suspects: where the Evidence has no events, evidence of the least usual
    moment (JSON) that looks and colours then belong to; else "". A language model may judge it otherwise than the
    threshold does."""

    times_s: np.ndarray
    patch: np.ndarray
    looks: np.ndarray
    colours: np.ndarray
    suspects: str = ""

    def __post_init__(self) -> None:
        if self.patch.ndim != 4 or self.patch.shape[:1] != self.times_s.shape or self.patch.shape[1:3] != GRID:
            raise ValueError(f"sight: patch {self.patch.shape} does not fit times {self.times_s.shape}, grid {GRID}")
        n = len(self.looks)
        if self.looks.shape != (n, 1000) or self.colours.shape != (n, 2, COLOURS):
            raise ValueError(f"sight: looks {self.looks.shape} and colours {self.colours.shape} do not fit")

    @classmethod
    def empty(cls, tracks: int = 0, channels: int = 152) -> "Sight":
        """Nothing was kept."""
        none = np.zeros((0, *GRID, channels), np.float16)
        shares = np.zeros((tracks, 2, COLOURS), np.float16)
        return cls(np.zeros(0), none, np.zeros((tracks, 1000), np.float16), shares)


def coarse(patch: np.ndarray) -> np.ndarray:
    """Patch features (h, w, C) of a frame averaged over the cells of GRID, (3, 4, C) float16."""
    rows, columns = (np.array_split(np.arange(n), cells) for n, cells in zip(patch.shape[:2], GRID, strict=True))
    cells = [
        [patch[r[:, None], c[None]].mean((0, 1)) if r.size and c.size else patch.mean((0, 1)) for c in columns]
        for r in rows
    ]
    return np.array(cells, np.float16)
