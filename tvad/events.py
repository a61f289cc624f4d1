"""From scores to events and from heat to tracks: pure functions on arrays.

Next: tvad/findings.py
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from heatmap.levels import to_rarity, to_score
from heatmap.regions import Region, extract_regions
from heatmap.tracks import RegionTrack, Tracker, smooth
from tvad.spill import PIECE, pieces, release

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
    counts where it belongs to a track that reaches the threshold at another time. Of each event only the tracks that
    `share_out` may take: one of hours has very many.
    """
    found: list[RegionTrack] = []
    for span in spans:  # they are further apart than a track reaches
        own = _followed(heat[span.start : span.end + 1], times_s[span.start : span.end + 1], threshold, size_wh)
        first = found[-1].id if found else 0
        found += [replace(track, id=first + track.id) for track in own]
        release(heat)
    return found


def _followed(heat: np.ndarray, times_s: np.ndarray, threshold: float, size_wh: tuple[int, int]) -> list[RegionTrack]:
    """The tracks of one event, whose heat and times these are."""
    keep = float(to_score(to_rarity(np.array(threshold)) - KEEP_NATS))
    hottest = np.concatenate([piece.reshape(len(piece), -1).max(1) for piece in pieces(heat)]).astype(np.float64)
    # From the ground up: it is as warm as a weak top, and a share of the top alone would be all of the picture.
    ground, top = _median(heat), float(hottest.max())
    if top - ground <= FLAT:
        return []
    counts = np.ones(len(times_s), bool)
    if top <= threshold:
        cut = np.full(len(times_s), ground + REGION_SHARE * (top - ground))
    else:
        lowest = ground + QUIET_SHARE * (top - ground)
        place = np.maximum(keep, ground + PLACE_SHARE * (hottest - ground))
        weak = np.where(hottest < lowest, np.inf, place)
        cut = np.where(hottest < threshold, weak, max(threshold, lowest))
        counts = hottest >= max(threshold, lowest)
    tracker = Tracker(size_wh, max_gap_s=MAX_GAP_S)
    kept: list[RegionTrack] = []

    def keep_of(ended: Sequence[RegionTrack]) -> list[RegionTrack]:
        telling = [track for track in ended if counts[list(track.slices)].any()]
        return _hottest([*kept, *(smooth(track, times_s) for track in telling)])

    for i, t in enumerate(times_s):
        hot = 0 < cut[i] <= hottest[i]
        tracker.step(extract_regions(heat[i], float(t), size_wh, float(cut[i])) if hot else [], float(t))
        if i % PIECE == 0:
            kept = keep_of(tracker.take_ended())
            release(heat)
    return sorted(keep_of(tracker.tracks(min_length=1)), key=lambda track: track.id)


def _hottest(tracks: Sequence[RegionTrack]) -> list[RegionTrack]:
    """Of the tracks of one event those that it may show."""
    long, first = _ranked([(track, track.regions) for track in tracks])
    return long + [track for track in first if track not in long]


def _ranked(seen: Sequence[tuple[RegionTrack, Sequence[Region]]]) -> tuple[list[RegionTrack], list[RegionTrack]]:
    """Of tracks and where they are in an event: the hottest that stay for MIN_TRACK_S, and the hottest of all."""
    inside = [(track, regions) for track, regions in seen if any(r.score > 0 for r in regions)]
    inside.sort(key=lambda one: (-sum(r.score for r in one[1]), one[0].id))
    long = [track for track, regions in inside if regions[-1].t_s - regions[0].t_s >= MIN_TRACK_S]
    return long[:TRACKS_PER_EVENT], [track for track, _ in inside[:1]]


def _median(heat: np.ndarray) -> float:
    """Median of all values, in [0, 1]. Of float16, as numpy has it, by counting: a long event needs no copy."""
    if heat.dtype != np.float16:
        return float(np.median(heat))
    count = np.zeros(1 << 16, np.int64)
    for piece in pieces(heat):
        count += np.bincount(np.abs(piece).view(np.uint16).ravel(), minlength=1 << 16)
    middle = np.array([(heat.size - 1) // 2, heat.size // 2])
    bits = np.searchsorted(np.cumsum(count), middle, side="right").astype(np.uint16)
    return float(bits.view(np.float16).mean())


def share_out(tracks: Sequence[RegionTrack], times_s: np.ndarray, spans: Sequence[Span]) -> list[list[RegionTrack]]:
    """The tracks of each event, hottest first: those present in it for MIN_TRACK_S, or the hottest one."""
    out = []
    for span in spans:
        start_s, end_s = times_s[span.start], times_s[span.end]
        near = [t for t in tracks if t.regions and t.regions[0].t_s <= end_s and t.regions[-1].t_s >= start_s]
        long, first = _ranked([(t, [r for r in t.regions if start_s <= r.t_s <= end_s]) for t in near])
        out.append(long or first)
    return out
