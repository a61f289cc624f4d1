"""From scores to events and from heat to tracks: pure functions on arrays.

Next: tvad/findings.py
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from heatmap.levels import to_rarity, to_score
from heatmap.regions import extract_regions
from heatmap.tracks import RegionTrack, Tracker, smooth

KEEP_NATS = 3.4  # an event goes on while the rarity is at most this far below the threshold (30 times as frequent)
MERGE_S = 1.0  # events closer than this are one
MIN_TRACK_S = 0.3
TRACKS_PER_EVENT = 5
REGION_SHARE = 0.6  # where an event's heat stays below the threshold, regions are cut so far from its ground to its top
PLACE_SHARE = 0.8  # ... and where a single frame's does, so far to the frame's top
QUIET_SHARE = 0.3  # a frame that does not rise so far to the event's top has no hottest place
FLAT = 1e-3  # heat that differs less than this has no place at all
MAX_GAP_S = 0.6


@dataclass(frozen=True)
class Span:
    """Sampled frames start..end (inclusive) of one event, and the frame of its highest score."""

    start: int
    end: int
    peak: int


def find_events(rarity: np.ndarray, times_s: np.ndarray, threshold: float) -> list[Span]:
    """Where the rarity (T,) reaches `threshold`, extended while it stays within KEEP_NATS of it, near ones merged."""
    found: list[tuple[int, int]] = []
    for start, end in _runs(rarity >= threshold - KEEP_NATS):
        if rarity[start : end + 1].max() < threshold:
            continue
        if found and times_s[start] - times_s[found[-1][1]] < MERGE_S:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return [Span(a, b, a + int(np.argmax(rarity[a : b + 1]))) for a, b in found]


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def follow(
    heat: np.ndarray, times_s: np.ndarray, spans: Sequence[Span], threshold: float, size_wh: tuple[int, int]
) -> list[RegionTrack]:
    """Tracks of the hot places during the events; heat (T, h, w) in [0, 1], boxes in pixels of `size_wh`.

    Regions are cut at `threshold`. While an event's hottest place stays below it, that place alone is cut out, and
    counts where it belongs to a track that reaches the threshold at another time.
    """
    keep = float(to_score(to_rarity(np.array(threshold)) - KEEP_NATS))
    cut = np.full(len(times_s), np.inf)
    counts = np.ones(len(times_s), bool)
    for span in spans:
        rows = slice(span.start, span.end + 1)
        hottest = heat[rows].reshape(span.end + 1 - span.start, -1).max(1).astype(np.float64)
        # From the ground up: it is as warm as a weak top, and a share of the top alone would be all of the picture.
        ground, top = float(np.median(heat[rows])), float(hottest.max())
        if top - ground <= FLAT:
            continue
        if top <= threshold:
            cut[rows] = ground + REGION_SHARE * (top - ground)
            continue
        lowest = ground + QUIET_SHARE * (top - ground)
        place = np.maximum(keep, ground + PLACE_SHARE * (hottest - ground))
        weak = np.where(hottest < lowest, np.inf, place)
        cut[rows] = np.where(hottest < threshold, weak, max(threshold, lowest))
        counts[rows] = hottest >= max(threshold, lowest)
    tracker = Tracker(size_wh, max_gap_s=MAX_GAP_S)
    for i, t in enumerate(times_s):
        hot = 0 < cut[i] <= float(heat[i].max())
        tracker.step(extract_regions(heat[i], float(t), size_wh, float(cut[i])) if hot else [], float(t))
    seen = tracker.times_s
    telling = set(times_s[counts].tolist())
    tracks = [t for t in tracker.tracks(min_length=1) if any(r.t_s in telling for r in t.present())]
    return [smooth(track, seen) for track in tracks]


def share_out(tracks: Sequence[RegionTrack], times_s: np.ndarray, spans: Sequence[Span]) -> list[list[RegionTrack]]:
    """The tracks of each event, hottest first: those present in it for MIN_TRACK_S, or the hottest one."""
    out = []
    for span in spans:
        start_s, end_s = times_s[span.start], times_s[span.end]
        seen = {t.id: [r for r in t.present() if start_s <= r.t_s <= end_s] for t in tracks}
        inside = [t for t in tracks if any(r.score > 0 for r in seen[t.id])]
        inside.sort(key=lambda t: (-sum(r.score for r in seen[t.id]), t.id))
        long = [t for t in inside if seen[t.id][-1].t_s - seen[t.id][0].t_s >= MIN_TRACK_S]
        out.append(long[:TRACKS_PER_EVENT] or inside[:1])
    return out
