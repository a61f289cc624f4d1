"""Records of truth: windows, what they say of a target, timelines of windows, blurred backgrounds."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_truths import FPS, SIZE_WH, clip, random_truth, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from heatmap.motion import cell_of
from training.datasets.records import blurred_background, caption, clip_record, stretches, window_records, windows
from training.datasets.timeline import overlap, timeline

SEEDS = st.integers(0, 10**6)


def test_a_tail_window_ends_with_the_last_frame() -> None:
    assert [w.start for w in windows(30)] == [0, 6]
    assert [w.start for w in windows(36)] == [0, 12]
    assert [w.start for w in windows(24)] == [0]


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 60))
def test_windows_cover_every_frame(n_frames: int, length: int, stride: int) -> None:
    found = windows(n_frames, length, stride)
    assert set(np.concatenate([w.frames()[w.flags()] for w in found]).tolist()) == set(range(n_frames))
    assert all(len(w.frames()) == length and w.frames().max() < n_frames for w in found)


def test_a_short_video_is_padded_with_its_last_frame() -> None:
    (only,) = windows(5, 8)
    assert only.frames().tolist() == [0, 1, 2, 3, 4, 4, 4, 4]
    assert only.flags().tolist() == [True] * 5 + [False] * 3
    assert only.end == 4


def test_windows_need_frames() -> None:
    with pytest.raises(ValueError, match="0 frames"):
        windows(0)


def test_cells_at_the_corners_and_on_the_lines() -> None:
    width, height = SIZE_WH
    assert cell_of(width - 1, height - 1, width, height) == "bottom-right"
    assert cell_of(0, 0, width, height) == "top-left"
    assert cell_of(0, height / 3, width, height) == "left"


def test_a_target_is_told_while_it_is_anomalous_and_visible() -> None:
    target = walk(3, start_s=1.0, end_s=6.0, anomalous_s=((2.0, 5.0),))
    hidden = replace(target, seen=tuple(0.0 if t < 3.0 else 1.0 for t in target.times_s))
    (found,) = clip_record(clip(hidden)).targets
    assert found.start_s == pytest.approx(3.0)
    assert found.end_s == pytest.approx(5.0)
    assert found.frames[0] == 36
    # It came in through the left long before it was anomalous, and is not gone when that ends.
    assert (found.entry, found.exit) == (None, None)
    assert found.motion.direction == "right"
    assert found.cells[-1] != "left"


def test_borders_are_those_of_the_way() -> None:
    (found,) = clip_record(clip(walk(1, way=(12, 120, 308, 120)))).targets
    assert (found.entry, found.exit) == ("left", "right")
    assert found.cells == ("left", "middle", "right")
    assert not found.from_start and not found.to_end


def test_colours_are_kept_by_day_and_dropped_at_night() -> None:
    target = walk(1, colours={"upper": "red", "lower": "dark blue"})
    assert clip_record(clip(target)).targets[0].colours == {"upper": "red", "lower": "dark blue"}
    assert clip_record(clip(target, conditions=("rain", "night"))).targets[0].colours == {}


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_a_record_is_anomalous_where_something_anomalous_is_seen(seed: int) -> None:
    truth = random_truth(seed)
    assert clip_record(truth).has_anomaly == truth.has_anomaly
    for record in window_records(truth, 24, 12):
        first, last = record.window
        seen = [
            round(t * truth.fps)
            for target in truth.anomalous
            for t in target.times_s
            if any(a - 1e-6 <= t <= b + 1e-6 for a, b in target.anomalous_s)
        ]
        assert record.has_anomaly == any(first <= frame <= last for frame in seen)
        starts = [t.start_s for t in record.targets]
        assert starts == sorted(starts)
        assert all(first <= t.frames[0] <= t.frames[-1] <= last for t in record.targets)


def test_absences_split_a_stretch() -> None:
    assert stretches([1.0, 1.5, 2.4, 4.0, 4.1]) == ((1.0, 2.4), (4.0, 4.1))


def test_the_timeline_of_windows_is_that_of_the_clip() -> None:
    truth = clip(
        walk(1, start_s=0.5, end_s=6.0), walk(2, "van", "driving", 2.0, 7.5, (160, 10, 160, 230)), duration_s=8.0
    )
    found = timeline(window_records(truth))
    whole = clip_record(truth).targets
    assert [e.record.noun for e in found] == ["person", "van"]
    for entry, target in zip(found, whole, strict=True):
        assert entry.record.frames == target.frames
        assert entry.record.motion == target.motion
        assert (entry.record.entry, entry.record.exit) == (target.entry, target.exit)
    assert set(found[0].to_dict()) == {"target", "start", "end", "start_s", "end_s", "cells", "motion", "appearance"}
    assert (found[0].to_dict()["start"], found[0].to_dict()["end"]) == (6, 72)


def test_the_timeline_needs_no_instance_ids() -> None:
    truth = clip(walk(1, start_s=0.5, end_s=6.0))
    records = [
        replace(r, targets=tuple(replace(t, id=100 + n) for t in r.targets))
        for n, r in enumerate(window_records(truth))
    ]
    assert len(timeline(records)) == 1


def test_things_apart_stay_two() -> None:
    near = walk(2, way=(20, 136, 300, 136))
    truth = clip(walk(1), near)
    assert len(timeline(window_records(truth))) == 2
    one, two = clip_record(truth).targets
    assert 0 < overlap(one, two) < 0.5


def test_a_timeline_is_of_one_video() -> None:
    one = window_records(clip(walk(1)))
    with pytest.raises(ValueError, match="several videos"):
        timeline([*one, replace(one[0], video="other")])
    assert timeline([]) == []


def test_the_background_is_blurred_and_the_thing_is_not() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    mask = np.zeros((120, 160), bool)
    mask[50:70, 70:90] = True
    out = blurred_background(noise, mask)
    near = np.zeros_like(mask)
    near[45:75, 65:95] = True  # well within 8 px of the mask
    far = np.ones_like(mask)
    far[40:80, 60:100] = False
    assert (out[near] == noise[near]).all()
    assert out[far].std() < 0.5 * noise[far].std()
    with pytest.raises(ValueError, match="mask has shape"):
        blurred_background(noise, mask[:-1])


def test_a_captioner_sees_the_crop_of_a_thing() -> None:
    frame, mask = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100), bool)
    mask[20:40, 60:80] = True
    frame[mask] = (200, 0, 0)
    seen: list[np.ndarray] = []

    def captioner(crop: np.ndarray) -> str:
        seen.append(crop)
        return " a red box \n"

    assert caption(frame, mask, captioner) == "a red box"
    assert seen[0].shape == (30, 30, 3)
    assert (seen[0][10, 10] == (200, 0, 0)).all()
    assert caption(frame, np.zeros_like(mask), captioner) == ""
    assert len(seen) == 1


def test_json_of_a_record_tells_spans_in_frames() -> None:
    truth = clip(walk(1, start_s=2.0, end_s=4.0))
    (record,) = [r for r in window_records(truth) if r.window == (24, 47)]
    line = record.to_dict()
    assert line["size"] == [SIZE_WH[1], SIZE_WH[0]]
    assert line["window"] == [24, 47]
    assert line["fps"] == FPS
    (target,) = line["targets"]
    assert (target["start"], target["start_in_window"], target["end"]) == (24, 0, 47)
