"""Who was in the picture: the boxes of people and vehicles of every look at a video, and whose box a track has.

    crowd = Crowd(size_wh)
    crowd.add(t_s, rows)                     rows of tvad/people.py
    crowd.name_of(times_s, boxes)            Named("person", 0.86)
    crowd.counts()                           (Seen("person", most=7, most_at_s=12.3, usual=4),)

What is long goes to a file.  Next: tvad/findings.py
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter

from tvad.evidence import Seen
from tvad.people import PERSON, VEHICLE, inside, overlaps
from tvad.spill import Maps

NAMES = {PERSON: "person", VEHICLE: "motor vehicle"}  # "vehicle" is one of the anomaly words
MATCH = 0.35  # overlap over union from which a box is the one of a track
# Shares: of somebody's box that lies in a track's, or of the track's in it, from which it is part of what is followed;
# and of the track's box that all of these cover.
WITHIN, AROUND, COVER = 0.3, 0.5, 0.5
CELLS = 24  # a side, at which it is counted what is covered
LOOKS = 64  # of a track, at most, evenly spread
SHARE = 0.5  # of a track's looks in which its box is one of a kind, at least
SURE = 0.5  # probability from which a name is given
SLOPE, MIDDLE = 14.4, 0.426  # of the probability of a box by its score
COUNTED = 0.35  # score of a box that is counted: with it as many are found as the detector finds


@dataclass(frozen=True)
class Named:
    """A name, and the probability that what was looked at is one; "" and 0 where nothing is sure enough."""

    name: str = ""
    sure: float = 0.0


def probability(scores: np.ndarray) -> np.ndarray:
    """That a box of a score is one of its class, as the detector says that taught it (training/people/evaluate.py)."""
    return np.asarray(1 / (1 + np.exp(-SLOPE * (scores - MIDDLE))))


class Crowd:
    """size_wh: of the frame, in the pixels of the boxes that are asked about."""

    def __init__(self, size_wh: tuple[int, int]) -> None:
        self.size_wh = size_wh
        self._rows = Maps()
        self._times_s, self._ends = array("d"), array("q", [0])

    def __len__(self) -> int:
        return len(self._times_s)

    def add(self, t_s: float, rows: np.ndarray) -> None:
        """The boxes (n, 6) of the next look."""
        self._rows.add(np.asarray(rows, np.float32))
        self._times_s.append(t_s)
        self._ends.append(self._ends[-1] + len(rows))

    def rows(self, look: int) -> np.ndarray:
        """(n, 6) of a look by its number."""
        start, stop = self._ends[look], self._ends[look + 1]
        return self._rows.read(start, stop) if stop > start else np.zeros((0, 6), np.float32)

    def name_of(self, times_s: Sequence[float], boxes: Sequence[Sequence[float]]) -> Named:
        """What a track with these boxes (x0, y0, x1, y1), in order of time, is: one thing of a kind, part of
        somebody, or several people beside each other who are followed as one, as two who fight are."""
        at = np.array(self._times_s)
        looks = np.arange(*np.searchsorted(at, [times_s[0] - 1e-6, times_s[-1] + 1e-6]))
        if not len(looks) and len(at):  # shorter than the time between two looks
            looks = np.array([int(np.abs(at - times_s[0]).argmin())])
        if not len(looks):
            return Named()
        looks = looks[np.unique(np.linspace(0, len(looks) - 1, LOOKS).round().astype(int))]
        corners = np.array(boxes, np.float64) / (*self.size_wh, *self.size_wh)
        own = np.stack([np.interp(at[looks], times_s, corners[:, k]) for k in range(4)], 1)
        sure = {kind: np.zeros(len(looks)) for kind in NAMES}
        for n, look in enumerate(looks.tolist()):
            rows = self.rows(look)
            if len(rows):
                for kind in NAMES:
                    chances = probability(_of_track(own[n], rows[rows[:, 5] == kind], kind))
                    sure[kind][n] = 1 - np.prod(1 - chances)  # that any of them is one
        kind = max(NAMES, key=lambda k: float(sure[k].sum()))
        there = sure[kind] > 0
        mean = float(sure[kind][there].mean()) if there.any() else 0.0
        if there.mean() < SHARE or mean < SURE:
            return Named()
        return Named(NAMES[kind], round(mean, 3))

    def counts(self) -> tuple[Seen, ...]:
        """Of each kind of which anybody was seen."""
        numbers = np.zeros((len(NAMES), len(self)), int)
        for look in range(len(self)):
            rows = self.rows(look)
            for kind in NAMES:
                numbers[kind, look] = int(((rows[:, 5] == kind) & (rows[:, 4] >= COUNTED)).sum())
        out = []
        for kind, raw in enumerate(numbers):
            own = median_filter(raw, 3, mode="nearest")  # what is there in a single look may be nobody
            if own.any():
                most = int(own.argmax())
                usual = round(float(np.median(own[own > 0])))
                out.append(Seen(NAMES[kind], int(own.max()), round(self._times_s[most], 4), usual))
        return tuple(out)


def _of_track(box: np.ndarray, rows: np.ndarray, kind: int) -> np.ndarray:
    """Scores of the boxes (n, 6) of a kind that are what is in a box (4,)."""
    if not len(rows):
        return rows[:, 4]
    same = overlaps(box, rows) >= MATCH
    if kind == PERSON:
        parts = same | (inside(box, rows) >= AROUND) | ([inside(row, box[None])[0] >= WITHIN for row in rows])
        if _covered(box, rows[parts]) >= COVER:
            same = parts
    return rows[same, 4]


def _covered(box: np.ndarray, rows: np.ndarray) -> float:
    """Share of a box (4,) that lies in any of the boxes (n, 6)."""
    x, y = (box[k] + (np.arange(CELLS) + 0.5) / CELLS * (box[k + 2] - box[k]) for k in (0, 1))
    across = (rows[:, 0, None] <= x) & (x <= rows[:, 2, None])
    down = (rows[:, 1, None] <= y) & (y <= rows[:, 3, None])
    return float((down[:, :, None] & across[:, None, :]).any(0).mean())
