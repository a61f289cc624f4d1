"""Preview: many clips on one sheet, to look at.

Next: tvad/cli_synth.py
"""

from collections.abc import Sequence
from itertools import islice

import cv2
import numpy as np

from training.datasets.synthetic.clip import SyntheticClip

COLUMNS = 4
LABEL_PX = 20


def middle_s(clip: SyntheticClip) -> float:
    """A telling moment: in the middle of what is anomalous, or of the clip."""
    spans = [span for life in clip.play.lives for span in life.anomalous_s]
    inside = [(max(a, 0.0), min(b, clip.seconds)) for a, b in spans if b > 0 and a < clip.seconds]
    if not inside:
        return clip.seconds / 2
    start, end = max(inside, key=lambda s: s[1] - s[0])
    return (start + end) / 2


def frame_at(clip: SyntheticClip, t_s: float, outlines: bool = False) -> np.ndarray:
    """The frame (H, W, 3) uint8 nearest to a moment; outlines: what is anomalous in red, other targets in green."""
    wanted = int(np.argmin(np.abs(clip.times_s - t_s)))
    frame, ids = next(islice(clip.frames(), wanted, None))
    if not outlines:
        return frame
    frame = frame.copy()
    odd = [n for n, life in enumerate(clip.play.lives, 1) if any(a <= t_s <= b for a, b in life.anomalous_s)]
    for mask, colour in ((ids > 0, (60, 220, 90)), (np.isin(ids, odd), (255, 40, 40))):
        found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(frame, found, -1, colour, 1)
    return frame


def sheet(pictures: Sequence[np.ndarray], labels: Sequence[str], columns: int = COLUMNS) -> np.ndarray:
    """(H', W', 3) uint8: pictures of one size in a grid, each with a line below it."""
    height, width = pictures[0].shape[:2]
    cells = []
    for picture, label in zip(pictures, labels, strict=True):
        cell = np.full((height + LABEL_PX, width, 3), 24, np.uint8)
        cell[:height] = picture
        cv2.putText(cell, label, (4, height + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (230, 230, 230), 1, cv2.LINE_AA)
        cells.append(cell)
    columns = min(columns, len(cells))
    cells += [np.zeros_like(cells[0])] * (-len(cells) % columns)
    return np.vstack([np.hstack(cells[i : i + columns]) for i in range(0, len(cells), columns)])


def label(clip: SyntheticClip) -> str:
    kinds = sorted({life.anomaly for life in clip.play.lives if life.anomaly})
    return f"{clip.seed} {clip.place.name} | {', '.join(kinds) or '-'} | {', '.join(clip.conditions.names)}"
