"""Tracks: time alignment, gaps, linking, smoothing, bounded memory."""

import numpy as np
import pytest

from heatmap.regions import Region
from heatmap.tracks import RegionTrack, Tracker, box_iou, smooth

SIZE = (640, 360)
FPS = 8.0


def _region(x: float, y: float, t_s: float, side: float = 40, score: float = 0.8) -> Region:
    half = side / 2
    return Region(t_s, (x - half, y - half, x + half, y + half), score, (x, y), 0.01)


def _run(tracker: Tracker, slices: list[list[tuple[float, float]]]) -> list[list[int]]:
    return [tracker.step([_region(x, y, i / FPS) for x, y in s], i / FPS) for i, s in enumerate(slices)]


def test_absent_for_ten_then_present_for_fourteen() -> None:
    tracker = Tracker(SIZE)
    _run(tracker, [[]] * 10 + [[(100.0 + 5 * i, 100.0)] for i in range(14)])
    (track,) = tracker.tracks()
    assert track.slices == tuple(range(10, 24))
    assert [r.t_s for r in track.regions] == [tracker.times_s[i] for i in track.slices]


def test_a_track_that_has_gone_keeps_its_slices() -> None:
    tracker = Tracker(SIZE)
    _run(tracker, [[(100, 100)]] * 3 + [[]] * 20)
    (track,) = tracker.tracks()
    assert len(tracker.times_s) == 23
    assert track.slices == (0, 1, 2)


def test_what_has_ended_can_be_taken_away() -> None:
    tracker, other = Tracker(SIZE), Tracker(SIZE)
    slices: list[list[tuple[float, float]]] = [[(100, 100), (400, 200)]] * 3 + [[(400, 200)]] * 9
    _run(other, slices)
    _run(tracker, slices)
    (gone,) = tracker.take_ended()
    (live,) = tracker.tracks()
    assert [gone, live] == other.tracks()
    assert tracker.take_ended() == []


def test_a_track_of_other_slices_than_regions_is_refused() -> None:
    with pytest.raises(ValueError, match="track 3 has 1 regions in 2 slices"):
        RegionTrack(3, (0, 1), (_region(100, 100, 0.0),))


@pytest.mark.parametrize(("gap", "same"), [(2, True), (3, True), (4, False)])
def test_gaps_keep_or_end_an_id(gap: int, same: bool) -> None:
    ids = _run(Tracker(SIZE), [[(100, 100)]] * 4 + [[]] * gap + [[(100, 100)]] * 4)
    assert (ids[-1] == ids[0]) is same


@pytest.mark.parametrize(("gap_s", "same"), [(0.5, True), (0.4, False)])
def test_gaps_in_seconds(gap_s: float, same: bool) -> None:
    ids = _run(Tracker(SIZE, max_gap_s=gap_s), [[(100, 100)], [], [], [], [(100, 100)]])
    assert (ids[-1] == ids[0]) is same


def test_two_that_pass_each_other_keep_their_ids() -> None:
    tracker = Tracker(SIZE)
    ids = _run(tracker, [[(40.0 + 20 * i, 100.0), (600.0 - 20 * i, 260.0)] for i in range(28)])
    assert all(pair == ids[0] for pair in ids)
    assert [t.id for t in tracker.tracks()] == ids[0]


def test_the_assignment_is_the_best_overall() -> None:
    # The left track is nearest to the first region too, but must leave it to the right one.
    tracker = Tracker(SIZE)
    left, right = _run(tracker, [[(100, 100), (140, 100)]])[0]
    ids = tracker.step([_region(130, 100, 1.0), _region(150, 100, 1.0)], 1.0)
    assert ids == [left, right]


def test_ids_follow_the_order_of_the_given_regions() -> None:
    tracker = Tracker(SIZE)
    a, b = _run(tracker, [[(100, 100), (400, 100)]])[0]
    assert tracker.step([_region(400, 100, 1.0), _region(100, 100, 1.0)], 1.0) == [b, a]


@pytest.mark.parametrize(("step_px", "same"), [(63, True), (66, False)])
def test_the_distance_gate_is_a_tenth_of_the_longer_side(step_px: float, same: bool) -> None:
    first, second = _run(Tracker(SIZE), [[(100, 100)], [(100 + step_px, 100)]])
    assert (first == second) is same


def test_overlap_links_beyond_the_distance_gate() -> None:
    tracker = Tracker(SIZE)
    ids = tracker.step([_region(300, 180, 0.0, side=300)], 0.0)
    assert tracker.step([_region(400, 180, 0.1, side=300)], 0.1) == ids


def test_a_far_jump_starts_a_new_track_and_the_short_ones_are_left_out() -> None:
    tracker = Tracker(SIZE)
    _run(tracker, [[(100, 100)], [(500, 300)]])
    assert tracker.tracks() == []
    assert [t.id for t in tracker.tracks(min_length=1)] == [1, 2]


def test_times_must_rise() -> None:
    tracker = Tracker(SIZE)
    tracker.step([], 1.0)
    with pytest.raises(ValueError, match="does not come after"):
        tracker.step([], 1.0)


def test_a_frame_without_size_is_refused() -> None:
    with pytest.raises(ValueError, match="frame size"):
        Tracker((0, 360))


def test_memory_of_a_track_is_bounded_and_its_span_kept() -> None:
    tracker = Tracker(SIZE, max_regions=16)
    _run(tracker, [[(100.0 + i, 100.0)] for i in range(200)])
    (track,) = tracker.tracks()
    assert len(track.regions) <= 16
    assert (track.slices[0], track.slices[-1]) == (0, 199)
    whole = smooth(track, tracker.times_s)
    assert [r.centroid_xy[0] for r in whole.regions] == pytest.approx([100.0 + i for i in range(200)])


def test_smoothing_fills_gaps_and_keeps_the_span() -> None:
    tracker = Tracker(SIZE)
    _run(tracker, [[], [(100, 100)], [], [], [(130, 100)], [], []])
    (track,) = tracker.tracks()
    filled = smooth(track, tracker.times_s)
    assert filled.slices == (1, 2, 3, 4)
    assert [r.t_s for r in filled.regions] == pytest.approx([i / FPS for i in (1, 2, 3, 4)])
    assert [r.centroid_xy[0] for r in filled.regions] == pytest.approx([100, 110, 120, 130])
    assert smooth(track).regions == filled.regions


def test_smoothing_uses_the_given_times_for_filled_slices() -> None:
    tracker = Tracker(SIZE)
    for t_s, regions in ((0.0, [_region(100, 100, 0.0)]), (0.1, []), (1.0, [_region(110, 100, 1.0)])):
        tracker.step(regions, t_s)
    assert [r.t_s for r in smooth(tracker.tracks()[0], tracker.times_s).regions] == [0.0, 0.1, 1.0]


def test_smoothing_calms_jitter_but_leaves_first_last_and_straight_lines() -> None:
    rng = np.random.default_rng(3)
    jitter = rng.normal(0, 4, 40)
    tracker = Tracker(SIZE)
    _run(tracker, [[(100.0 + 5 * i + float(jitter[i]), 100.0)] for i in range(40)])
    raw = tracker.tracks()[0]
    calm = smooth(raw)
    off = [r.centroid_xy[0] - (100 + 5 * i) for i, r in enumerate(calm.regions)]
    assert np.std(off) < 0.6 * np.std(jitter)
    assert calm.regions[0].box_xyxy == pytest.approx(raw.regions[0].box_xyxy)
    assert calm.regions[-1].box_xyxy == pytest.approx(raw.regions[-1].box_xyxy)
    assert [r.score for r in calm.regions] == [r.score for r in raw.regions]


def test_iou_counts_pixels_inclusively() -> None:
    boxes = np.array([[0.0, 0, 9, 9], [5, 0, 14, 9], [20, 20, 20, 20]])
    assert box_iou(boxes, boxes) == pytest.approx(np.array([[1, 1 / 3, 0], [1 / 3, 1, 0], [0, 0, 1]]))
