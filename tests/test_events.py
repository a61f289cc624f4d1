"""Events from rarities, and tracks of what is hot during them."""

import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from heatmap.regions import Region, extract_regions
from heatmap.tracks import RegionTrack, Tracker, smooth
from tvad.events import (
    KEEP_NATS,
    MAX_GAP_S,
    MERGE_S,
    MIN_TRACK_S,
    TRACKS_PER_EVENT,
    Span,
    _median,
    find_events,
    follow,
    share_out,
)

RATE = 8.0
SIZE_WH = (640, 360)
GRID_HW = (18, 32)  # cells of 20 px
LOW = -20.0


def rarity_of(*stretches: tuple[float, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rarity from (value, frames) one after the other, and the times."""
    rarity = np.concatenate([np.full(count, value) for value, count in stretches])
    return rarity, np.arange(len(rarity)) / RATE


def spans_of(*stretches: tuple[float, int], threshold: float = 0.0) -> list[tuple[int, int]]:
    return [(s.start, s.end) for s in find_events(*rarity_of(*stretches), threshold)]


def blob(x: float, y: float, peak: float = 0.9) -> np.ndarray:
    """A heat map with a round hot place at this pixel, about 100 px wide."""
    rows, columns = np.mgrid[: GRID_HW[0], : GRID_HW[1]]
    distance = np.hypot((columns + 0.5) * 20 - x, (rows + 0.5) * 20 - y)
    return peak * np.exp(-((distance / 60) ** 2))


def track_of(number: int, first: int, last: int, score: float = 0.8, x: float = 100) -> RegionTrack:
    slices = tuple(range(first, last + 1))
    regions = (Region(i / RATE, (x, 100, x + 50, 150), score, (x + 25, 125), 0.01) for i in slices)
    return RegionTrack(number, slices, tuple(regions))


def ids(groups: Sequence[Sequence[RegionTrack]]) -> list[list[int]]:
    return [[t.id for t in group] for group in groups]


def test_nothing_rare_is_no_event() -> None:
    assert spans_of((LOW, 50)) == []
    assert find_events(np.zeros(0), np.zeros(0), 0.0) == []


def test_reaching_the_threshold_exactly_is_an_event() -> None:
    assert spans_of((LOW, 10), (0.0, 3), (LOW, 10)) == [(10, 12)]


def test_almost_reaching_the_threshold_is_none() -> None:
    assert spans_of((LOW, 10), (-0.01, 30), (LOW, 10)) == []


def test_event_extends_both_ways_while_almost_as_rare() -> None:
    near = -KEEP_NATS + 0.1
    assert spans_of((LOW, 10), (near, 5), (1.0, 2), (near, 5), (LOW, 10)) == [(10, 21)]


def test_event_ends_where_it_is_no_longer_almost_as_rare() -> None:
    far = -KEEP_NATS - 0.1
    assert spans_of((far, 20), (1.0, 2), (far, 20)) == [(20, 21)]


def test_dip_within_reach_does_not_split_an_event() -> None:
    assert spans_of((LOW, 5), (2.0, 3), (-3.0, 40), (2.0, 3), (LOW, 5)) == [(5, 50)]


def test_events_touching_the_ends_of_the_clip_are_whole() -> None:
    assert spans_of((1.0, 4), (LOW, 30), (1.0, 4)) == [(0, 3), (34, 37)]


@pytest.mark.parametrize(("gap", "count"), [(int(MERGE_S * RATE) - 2, 1), (int(MERGE_S * RATE), 2)])
def test_events_nearer_than_a_second_are_one(gap: int, count: int) -> None:
    assert len(spans_of((1.0, 3), (LOW, gap), (1.0, 3))) == count


def test_three_near_events_are_one() -> None:
    assert spans_of((1.0, 2), (LOW, 5), (1.0, 2), (LOW, 5), (1.0, 2)) == [(0, 15)]


def test_merging_goes_by_time_not_by_frames() -> None:
    rarity, times_s = rarity_of((1.0, 3), (LOW, 5), (1.0, 3))
    assert len(find_events(rarity, times_s, 0.0)) == 1
    assert len(find_events(rarity, times_s * 4, 0.0)) == 2


def test_peak_is_the_frame_of_the_highest_rarity() -> None:
    rarity, times_s = rarity_of((LOW, 5), (1.0, 10), (LOW, 20), (1.0, 10))
    rarity[[9, 40]] = 3.0
    assert [s.peak for s in find_events(rarity, times_s, 0.0)] == [9, 40]


def test_higher_threshold_finds_no_more() -> None:
    rarity = np.cumsum(np.random.default_rng(0).normal(0, 1.5, 2000))
    times_s = np.arange(2000) / RATE
    peaks = [{s.peak for s in find_events(rarity, times_s, t)} for t in (0.0, 5.0, 15.0)]
    frames = [sum(s.end - s.start + 1 for s in find_events(rarity, times_s, t)) for t in (0.0, 5.0, 15.0)]
    assert all(len(p) for p in peaks)
    assert frames[0] >= frames[1] >= frames[2]


def test_moving_blob_is_followed_in_one_track() -> None:
    x = np.linspace(100, 540, 40)
    heat = np.zeros((80, *GRID_HW))
    heat[20:60] = [blob(v, 200) for v in x]
    times_s = np.arange(80) / RATE
    (track,) = follow(heat, times_s, [Span(20, 59, 40)], 0.5, SIZE_WH)
    seen = track.regions
    assert (seen[0].t_s, seen[-1].t_s) == (times_s[20], times_s[59])
    assert np.array([r.centroid_xy[0] for r in seen]) == pytest.approx(x, abs=25)
    assert np.array([r.centroid_xy[1] for r in seen]) == pytest.approx(np.full(40, 200), abs=15)
    for region, centre in zip(seen, x, strict=True):
        assert region.box_xyxy[0] < centre < region.box_xyxy[2]


def test_two_blobs_far_apart_are_two_tracks() -> None:
    heat = np.array([blob(100 + 4 * i, 80) + blob(500 - 4 * i, 280) for i in range(20)])
    tracks = follow(heat, np.arange(20) / RATE, [Span(0, 19, 5)], 0.5, SIZE_WH)
    assert sorted(round(t.regions[0].centroid_xy[1], -1) for t in tracks) == [80, 280]


def test_heat_outside_the_events_is_not_followed() -> None:
    heat = np.array([blob(300, 200)] * 60)
    (track,) = follow(heat, np.arange(60) / RATE, [Span(10, 19, 15)], 0.5, SIZE_WH)
    assert len(track.regions) == 10
    assert follow(heat, np.arange(60) / RATE, [], 0.5, SIZE_WH) == []


def test_blob_that_flickers_shortly_keeps_its_track_without_a_hole() -> None:
    heat = np.array([blob(300, 200)] * 30)
    heat[12 : 12 + int(MAX_GAP_S * RATE) - 1] = 0
    (track,) = follow(heat, np.arange(30) / RATE, [Span(0, 29, 5)], 0.5, SIZE_WH)
    assert [r.t_s for r in track.regions] == (np.arange(30) / RATE).tolist()


def test_blob_that_is_gone_for_long_comes_back_as_another() -> None:
    heat = np.array([blob(300, 200)] * 40)
    heat[10:25] = 0
    assert len(follow(heat, np.arange(40) / RATE, [Span(0, 39, 5)], 0.5, SIZE_WH)) == 2


def test_event_with_little_heat_shows_its_hottest_place() -> None:
    heat = np.array([blob(300, 200, peak=0.2) + blob(100, 60, peak=0.05)] * 10)
    (track,) = follow(heat, np.arange(10) / RATE, [Span(0, 9, 5)], 0.5, SIZE_WH)
    assert track.regions[0].centroid_xy == pytest.approx((300, 200), abs=20)


def test_event_with_enough_heat_shows_nothing_below_the_threshold() -> None:
    heat = np.array([blob(300, 200, peak=0.6) + blob(100, 60, peak=0.45)] * 10)
    (track,) = follow(heat, np.arange(10) / RATE, [Span(0, 9, 5)], 0.5, SIZE_WH)
    assert track.regions[0].centroid_xy == pytest.approx((300, 200), abs=20)


def test_event_without_any_heat_has_no_track_of_the_whole_picture() -> None:
    tracks = follow(np.zeros((10, *GRID_HW)), np.arange(10) / RATE, [Span(0, 9, 5)], 0.5, SIZE_WH)
    assert tracks == []


def test_tracks_go_to_the_event_they_are_in() -> None:
    spans = [Span(0, 19, 5), Span(40, 59, 50), Span(80, 90, 85)]
    tracks = [track_of(1, 0, 10), track_of(2, 45, 59)]
    assert ids(share_out(tracks, np.arange(100) / RATE, spans)) == [[1], [2], []]


def test_hottest_track_comes_first() -> None:
    tracks = [track_of(1, 0, 9, 0.6), track_of(2, 0, 19, 0.6), track_of(3, 0, 9, 0.9)]
    assert ids(share_out(tracks, np.arange(100) / RATE, [Span(0, 19, 5)])) == [[2, 3, 1]]


def test_equally_hot_tracks_come_in_order_of_id() -> None:
    tracks = [track_of(2, 0, 9), track_of(1, 0, 9)]
    assert ids(share_out(tracks, np.arange(100) / RATE, [Span(0, 19, 5)])) == [[1, 2]]


def test_flash_is_left_out_beside_a_thing_that_stays() -> None:
    short = int(MIN_TRACK_S * RATE) - 1
    tracks = [track_of(1, 0, short, 1.0), track_of(2, 0, 19, 0.5)]
    assert ids(share_out(tracks, np.arange(100) / RATE, [Span(0, 19, 5)])) == [[2]]


def test_flash_is_shown_when_there_is_nothing_else() -> None:
    tracks = [track_of(1, 5, 5, 0.6), track_of(2, 7, 7, 0.9)]
    assert ids(share_out(tracks, np.arange(100) / RATE, [Span(0, 19, 5)])) == [[2]]


def test_track_that_is_in_an_event_for_a_moment_only_is_not_its_thing() -> None:
    tracks = [track_of(1, 19, 60), track_of(2, 0, 18)]
    assert ids(share_out(tracks, np.arange(100) / RATE, [Span(0, 19, 5), Span(30, 60, 40)])) == [[2], [1]]


def test_event_shows_a_few_tracks_at_most() -> None:
    tracks = [track_of(i, 0, 19, 0.5 + i / 100) for i in range(12)]
    (own,) = ids(share_out(tracks, np.arange(100) / RATE, [Span(0, 19, 5)]))
    assert own == list(range(11, 11 - TRACKS_PER_EVENT, -1))


def test_track_is_followed_from_the_start_of_its_event_though_it_gets_hot_later() -> None:
    x = np.linspace(100, 500, 40)
    peak = np.where(np.arange(40) < 20, 0.42, 0.8)
    heat = np.array([blob(a, 100, peak=p) + blob(300, 280, peak=0.42) for a, p in zip(x, peak, strict=True)])
    (track,) = follow(heat, np.arange(40) / RATE, [Span(0, 39, 30)], 0.5, SIZE_WH)  # the still one never counts
    seen = track.regions
    assert seen[0].t_s == 0.0
    assert np.array([r.centroid_xy[0] for r in seen]) == pytest.approx(x, abs=25)


@pytest.mark.parametrize("top", [0.232, 0.24, 0.3, 0.49])
@pytest.mark.parametrize("threshold", [0.2, 0.2318, 0.5])
def test_what_is_least_usual_is_a_place_and_not_all_of_the_picture(top: float, threshold: float) -> None:
    heat = np.full((12, 24, 36), 0.23, np.float16)
    heat[3:9, 8:14, 20:26] = top
    times = np.arange(12) / 8
    tracks = follow(heat, times, [Span(0, 11, 5)], threshold, (360, 240))
    assert len(tracks) == 1
    for region in tracks[0].regions:
        x0, y0, x1, y1 = region.box_xyxy
        assert 180 <= x0 < x1 <= 280 and 60 <= y0 < y1 <= 160
    assert times[3] <= tracks[0].regions[0].t_s and tracks[0].regions[-1].t_s <= times[8]


def test_heat_that_is_the_same_everywhere_has_no_place() -> None:
    heat = np.full((12, 24, 36), 0.23, np.float16)
    assert follow(heat, np.arange(12) / 8, [Span(0, 11, 5)], 0.2, (360, 240)) == []


def test_the_median_is_numpys_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    for shape in [(1, 1, 1), (3, 5, 7), (700, 4, 5), (2, 1, 1)]:
        heat = rng.random(shape).astype(np.float16)
        assert _median(heat) == float(np.median(heat))
    assert _median(heat.astype(np.float32)) == float(np.median(heat.astype(np.float32)))


def test_tracks_of_several_events_have_numbers_of_their_own() -> None:
    heat = np.stack([blob(200, 100) if i < 20 or i > 60 else np.zeros(GRID_HW) for i in range(90)])
    tracks = follow(heat, np.arange(90) / RATE, [Span(0, 19, 5), Span(61, 89, 70)], 0.5, SIZE_WH)
    assert [t.id for t in tracks] == [1, 2]
    assert [round(t.regions[0].t_s * RATE) for t in tracks] == [0, 61]


def test_a_restless_stretch_of_hours_is_followed_in_little_memory() -> None:
    rng = np.random.default_rng(0)
    count = 2000
    heat = (0.2 + 0.05 * rng.random((count, *GRID_HW))).astype(np.float16)
    heat[np.arange(count), rng.integers(0, 18, count), rng.integers(0, 32, count)] = 0.9
    times_s = np.arange(float(count))  # a second apart: nothing is the same thing a frame later
    span = Span(0, count - 1, 9)
    tracemalloc.start()
    try:
        tracks = follow(heat, times_s, [span], 0.5, SIZE_WH)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8e6  # 64 MB where each track has a place for each frame
    assert ids(share_out(tracks, times_s, [span])) == [[tracks[0].id]]
    assert tracks[0].regions[0].score == pytest.approx(0.9, abs=0.01)


def test_the_tracks_of_a_long_event_are_those_that_all_of_them_would_give() -> None:
    rng = np.random.default_rng(1)
    heat = np.zeros((1500, *GRID_HW), np.float16)
    for start in range(0, 1500, 30):
        x, y, peak = rng.uniform(60, 580), rng.uniform(60, 300), rng.uniform(0.55, 0.95)
        heat[start : start + int(rng.integers(2, 22))] = blob(x, y, peak)
    times_s, span = np.arange(1500) / RATE, Span(0, 1499, 9)
    tracker = Tracker(SIZE_WH, max_gap_s=MAX_GAP_S)
    for frame, t in zip(heat, times_s.tolist(), strict=True):
        tracker.step(extract_regions(frame, t, SIZE_WH, 0.5), t)
    everything = [smooth(track, tracker.times_s) for track in tracker.tracks(min_length=1)]
    (wanted,) = share_out(everything, times_s, [span])
    (found,) = share_out(follow(heat, times_s, [span], 0.5, SIZE_WH), times_s, [span])
    assert len(everything) == 50 and len(wanted) == TRACKS_PER_EVENT
    assert found == wanted
