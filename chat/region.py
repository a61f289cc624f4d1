"""A question about a place in the picture: the evidence of that place alone, as an analysis of its own.

Heat outside the place is put down to the ground, and events and tracks that never touch it are left out; what answers
then, with or without a language model, sees no more than that. Next: chat/session.py
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from chat.facts import at_cell, clock, seconds
from heatmap.motion import cell_of
from tvad.evidence import Analysis, Event, Evidence, Track
from tvad.findings import summarise
from tvad.lvlm.view import shown_evidence
from tvad.sight import Sight

_VIDEO = re.compile(r"\b(?:in|of) (?:(?:the|this) )?video\b", re.IGNORECASE)
NEAR_S = 0.5  # a question about a paused picture is about so long before and after it, too
LEAST = 0.15  # share of a track's box, or of the place, that the other covers where they touch


@dataclass(frozen=True)
class Region:
    """A box (x0, y0, x1, y1) in shares of the picture, marked at t_s."""

    t_s: float
    box: tuple[float, float, float, float]

    @classmethod
    def of(cls, given: Any) -> Self | None:
        """From {"t": seconds, "box": [x0, y0, x1, y1]} or a Region; None for anything else."""
        if isinstance(given, cls):
            return given
        try:
            t_s, box = float(given["t"]), tuple(float(v) for v in given["box"])
        except (TypeError, KeyError, ValueError):
            return None
        fits = len(box) == 4 and all(0 <= v <= 1 for v in box) and box[0] < box[2] and box[1] < box[3]
        return cls(t_s, box) if fits and 0 <= t_s < 1e6 else None  # type: ignore[arg-type]

    def words(self) -> str:
        """ "at 0:12.0, in the middle of the picture"."""
        x, y = (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2
        cell = cell_of(x, y, 1, 1)
        return f"at {clock(self.t_s)}, {at_cell(cell)} of the picture"


def of_region(analysis: Analysis, region: Region) -> Analysis:
    """What was found in the place around that moment."""
    evidence, curves = analysis
    sight = curves.sight
    near = region.t_s - NEAR_S, region.t_s + NEAR_S
    odd = shown_evidence(evidence, sight) if sight is not None else evidence
    kept = [t.id for t in odd.tracks if _touches(t, region, near, (evidence.video.width, evidence.video.height))]
    heat = _inside(curves.heat, region)
    within = np.abs(curves.heat_times_s - region.t_s) <= NEAR_S
    peak = float(heat[within].max()) if within.any() else 0.0
    own = _with(evidence, [t for t in evidence.tracks if t.id in kept], peak)
    if sight is not None:
        rows = [n for n, t in enumerate(odd.tracks) if t.id in kept]
        suspects = _with(odd, [odd.tracks[n] for n in rows], peak).to_json() if sight.suspects and rows else ""
        known = [n for n in rows if n < len(sight.looks)]
        sight = Sight(sight.times_s, sight.patch, sight.looks[known], sight.colours[known], suspects)
    return Analysis(own, replace(curves, heat=heat, sight=sight))


def highest(analysis: Analysis, region: Region) -> tuple[float, float]:
    """Highest heat in the place near that moment, and when; (0, t_s) where nothing was looked at."""
    curves = analysis.curves
    within = np.flatnonzero(np.abs(curves.heat_times_s - region.t_s) <= NEAR_S)
    if not len(within):
        return 0.0, region.t_s
    tops = _cells(curves.heat[within], region).reshape(len(within), -1).max(1)
    best = int(tops.argmax())
    return float(tops[best]), float(curves.heat_times_s[within[best]])


def told_first(analysis: Analysis, region: Region) -> str:
    """What an answer about the place begins with."""
    heat, t_s = highest(analysis, region)
    return f"In the marked region ({region.words()}; highest heat there {heat:.2f}, at {seconds(t_s)}): "


def told_last(text: str) -> str:
    """What an answer about the place ends with, where its words speak of the video: who answers sees the place as one;
    "" for others."""
    return ' ["The video" here is the marked region alone.]' if _VIDEO.search(text) else ""


def nothing_in(place: Analysis) -> str:
    """What there is to say about a place (`of_region`) that nothing anomalous or unusual touches; "" where something
    does. A language model has nothing to see there, and would tell of what was said about the rest."""
    sight = place.curves.sight
    if place.evidence.tracks or (sight is not None and sight.suspects):
        return ""
    return "nothing that stands out was followed here then."


def _with(evidence: Evidence, tracks: list[Track], peak: float) -> Evidence:
    """Events that one of the tracks is part of, with those tracks alone."""
    ids = {t.id for t in tracks}
    events: list[Event] = [
        replace(e, tracks=tuple(i for i in e.tracks if i in ids)) for e in evidence.events if ids & set(e.tracks)
    ]
    return replace(
        evidence,
        events=tuple(events),
        tracks=tuple(tracks),
        has_anomaly=bool(events),
        summary=summarise(events, tracks),
        peak_score=round(peak, 4) if not events else evidence.peak_score,
    )


def _touches(track: Track, region: Region, near: tuple[float, float], size_wh: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = (v * side for v, side in zip(region.box, (*size_wh, *size_wh), strict=True))
    for box in track.boxes:
        if not near[0] <= box.t_s <= near[1]:
            continue
        a0, b0, a1, b1 = box.xyxy
        both = max(0.0, min(x1, a1) - max(x0, a0)) * max(0.0, min(y1, b1) - max(y0, b0))
        smaller = max(1.0, min((a1 - a0) * (b1 - b0), (x1 - x0) * (y1 - y0)))
        if both / smaller >= LEAST:
            return True
    return False


def _places(shape: tuple[int, ...], region: Region) -> tuple[slice, slice]:
    """Rows and columns of the heat that the place touches, one at least."""
    h, w = shape[1:]
    x0, y0, x1, y1 = region.box
    rows = slice(int(y0 * h), max(int(np.ceil(y1 * h)), int(y0 * h) + 1))
    return rows, slice(int(x0 * w), max(int(np.ceil(x1 * w)), int(x0 * w) + 1))


def _cells(heat: np.ndarray, region: Region) -> np.ndarray:
    rows, columns = _places(heat.shape, region)
    return heat[:, rows, columns]


def _inside(heat: np.ndarray, region: Region) -> np.ndarray:
    """The heat, at its median outside of the place."""
    if heat.ndim != 3 or not heat.size:
        return heat
    out = np.minimum(heat, np.median(heat))
    rows, columns = _places(heat.shape, region)
    out[:, rows, columns] = heat[:, rows, columns]
    return out
