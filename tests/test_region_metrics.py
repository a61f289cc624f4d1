"""RBDC and TBDC: the worked examples, a brute-force rewrite, and what must not matter."""

import math
import random

import numpy as np
import pytest

from training.region_metrics import (
    Box,
    FrameRegion,
    detection_curve,
    iou,
    rbdc_tbdc,
    rbdc_tbdc_of_levels,
    tracks_of_masks,
)

LEFT: Box = (0, 0, 9, 9)
FAR: Box = (80, 80, 89, 89)
R1_TRUTH = [[dict.fromkeys(range(4), LEFT), dict.fromkeys((2, 3), (50, 50, 59, 59))]]
R1_FOUND: list[list[FrameRegion]] = [
    [(0, LEFT, 0.9), (1, (30, 30, 39, 39), 0.8), (2, (50, 50, 59, 59), 0.7), (3, FAR, 0.6), (3, (0, 0, 9, 4), 0.5)]
]


def test_r1_point_by_point() -> None:
    fpr, regions, tracks = detection_curve(R1_FOUND, R1_TRUTH, 4)
    assert fpr.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.5]
    assert regions == pytest.approx([0, 1 / 6, 1 / 6, 1 / 3, 1 / 3, 1 / 2])
    assert tracks.tolist() == [0, 0.5, 0.5, 1, 1, 1]
    assert rbdc_tbdc(R1_FOUND, R1_TRUTH, 4) == pytest.approx((0.375, 0.875))
    assert rbdc_tbdc(R1_FOUND, R1_TRUTH, [4]).tbdc == pytest.approx(0.875)


def test_r2_one_region_over_two_boxes_finds_both() -> None:
    truth = [[{0: LEFT}, {0: (10, 0, 19, 9)}]]
    assert rbdc_tbdc([[(0, (0, 0, 19, 9), 0.5)]], truth, 1) == (1, 1)


def test_r3_a_duplicate_changes_nothing() -> None:
    doubled = [[*R1_FOUND[0], (0, LEFT, 0.85), (0, LEFT, 0.1)]]
    assert rbdc_tbdc(doubled, R1_TRUTH, 4) == pytest.approx((0.375, 0.875))


@pytest.mark.parametrize(("hits", "rbdc", "tbdc"), [(1, 0.05, 0), (2, 0.1, 1)])
def test_r4_a_track_needs_a_tenth_of_its_boxes(hits: int, rbdc: float, tbdc: float) -> None:
    found: list[list[FrameRegion]] = [[(frame, LEFT, 0.5) for frame in range(hits)]]
    assert rbdc_tbdc(found, [[dict.fromkeys(range(20), LEFT)]], 20) == pytest.approx((rbdc, tbdc))


def test_r5_too_many_false_regions_first() -> None:
    found: list[list[FrameRegion]] = [[(0, FAR, 0.9), (1, FAR, 0.8), (1, FAR, 0.7), (0, LEFT, 0.6)]]
    assert rbdc_tbdc(found, [[{0: LEFT}]], 2) == (0, 0)


def test_r6_equal_scores() -> None:
    right, wrong, truth = (0, LEFT, 0.5), (0, FAR, 0.5), [[{0: LEFT}]]
    assert rbdc_tbdc([[right, wrong]], truth, 1, ties="sequential").rbdc == 1
    assert rbdc_tbdc([[wrong, right]], truth, 1, ties="sequential").rbdc == 0
    assert rbdc_tbdc([[right, wrong]], truth, 1) == rbdc_tbdc([[wrong, right]], truth, 1) == (0.5, 0.5)


def test_a_score_grid_exactly_at_beta() -> None:
    # 10 x 1 pixels of 10 x 10: IoU is one tenth.
    assert rbdc_tbdc([[(0, (0, 0, 9, 0), 0.5)]], [[{0: LEFT}]], 1) == (1, 1)
    assert rbdc_tbdc([[(0, (0, 0, 8, 0), 0.5)]], [[{0: LEFT}]], 1) == (0, 0)
    assert iou(np.array([0, 0, 0, 0]), np.array([[0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 1, 0]])).tolist() == [1, 0, 0.5]


def made(seed: int) -> tuple[list[list[FrameRegion]], list[list[dict[int, Box]]], list[int]]:
    """Three videos, one of them normal, with many equal scores."""
    rng = random.Random(seed)

    def box() -> Box:
        x, y = rng.randrange(40), rng.randrange(40)
        return (x, y, x + rng.randrange(4, 20), y + rng.randrange(4, 20))

    truth: list[list[dict[int, Box]]] = [
        [{f: box() for f in range(s, s + 5)} for s in (0, 3)],
        [{f: box() for f in range(2, 8)}],
        [],
    ]
    found: list[list[FrameRegion]] = [[] for _ in truth]
    for video, tracks in enumerate(truth):
        found[video] += [(f, b, rng.randrange(3, 9) / 10) for t in tracks for f, b in t.items() if rng.random() < 0.6]
        found[video] += [(rng.randrange(8), box(), rng.randrange(8) / 10) for _ in range(8)]
    return found, truth, [8, 8, 8]


def brute(found: list[list[FrameRegion]], truth: list[list[dict[int, Box]]], n_frames: int) -> tuple[float, float]:
    """Every threshold from scratch, with sets of covered pixels."""

    def pixels(b: Box) -> set[tuple[int, int]]:
        return {(x, y) for x in range(int(b[0]), int(b[2]) + 1) for y in range(int(b[1]), int(b[3]) + 1)}

    def meets(a: Box, b: Box) -> bool:
        return len(pixels(a) & pixels(b)) >= 0.1 * len(pixels(a) | pixels(b))

    n_boxes, n_tracks = sum(len(t) for v in truth for t in v), sum(map(len, truth))
    points = [(0.0, 0.0, 0.0)]
    for threshold in sorted({r[2] for v in found for r in v}, reverse=True):
        kept = [[r for r in v if r[2] >= threshold] for v in found]
        false = sum(not any(f in t and meets(b, t[f]) for t in truth[n]) for n, v in enumerate(kept) for f, b, _ in v)
        hit = [
            [sum(any(f == g and meets(b, box) for g, b, _ in kept[n]) for f, box in t.items()) / len(t) for t in tracks]
            for n, tracks in enumerate(truth)
        ]
        boxes = sum(h * len(t) for n, tracks in enumerate(truth) for h, t in zip(hit[n], tracks, strict=True))
        points.append((false / n_frames, boxes / n_boxes, sum(h >= 0.1 for v in hit for h in v) / n_tracks))
    inside = [p for p in points if p[0] <= 1]
    x, regions, tracks = np.array([*inside, (1.0, *inside[-1][1:])]).T
    return float(np.trapezoid(regions, x)), float(np.trapezoid(tracks, x))


@pytest.mark.parametrize("seed", range(4))
def test_the_walk_is_every_threshold_from_scratch(seed: int) -> None:
    found, truth, n_frames = made(seed)
    assert rbdc_tbdc(found, truth, n_frames) == pytest.approx(brute(found, truth, sum(n_frames)))


def test_order_transform_and_permutation_change_nothing() -> None:
    found, truth, n_frames = made(9)
    expected = rbdc_tbdc(found, truth, n_frames)
    shuffled = [random.Random(1).sample(v, len(v)) for v in found]
    assert rbdc_tbdc(shuffled, truth, n_frames) == expected
    assert rbdc_tbdc([[(f, b, math.exp(s) - 5) for f, b, s in v] for v in found], truth, n_frames) == expected
    assert rbdc_tbdc(found[::-1], truth[::-1], n_frames[::-1]) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_more_false_regions(seed: int) -> None:
    found, truth, n_frames = made(seed)
    before = rbdc_tbdc(found, truth, n_frames)
    assert all(0 <= value <= 1 for value in before)
    below = [[*found[0], (0, (90, 90, 95, 95), -1.0)], *found[1:]]
    assert rbdc_tbdc(below, truth, n_frames) == pytest.approx(before)
    above = [[*found[0], (0, (90, 90, 95, 95), 2.0)], *found[1:]]
    after = rbdc_tbdc(above, truth, n_frames)
    assert after.rbdc <= before.rbdc and after.tbdc <= before.tbdc


@pytest.mark.parametrize("ties", ["group", "sequential"])
def test_the_truth_itself_scores_one(ties: str) -> None:
    _, truth, n_frames = made(3)
    found: list[list[FrameRegion]] = [[(f, b, 0.5) for t in v for f, b in t.items()] * 2 for v in truth]
    assert rbdc_tbdc(found, truth, n_frames, ties=ties) == (1, 1)


def test_nothing_found_and_nothing_to_find() -> None:
    assert rbdc_tbdc([[]], R1_TRUTH, 4) == (0, 0)
    with pytest.warns(UserWarning, match="no true box"):
        assert all(math.isnan(value) for value in rbdc_tbdc([[(0, LEFT, 0.5)]], [[]], 4))


def test_levels_are_points_of_one_curve() -> None:
    truth = [[{0: LEFT, 1: LEFT}]]
    strict: list[list[FrameRegion]] = [[(0, LEFT, 0.9)]]
    loose: list[list[FrameRegion]] = [[(0, LEFT, 0.9), (1, LEFT, 0.2), (1, FAR, 0.3)]]
    # Points (0, 0), (0, 1/2), (1/2, 1), then held; the track is found at the first.
    expected = (0.5 * 0.75 + 0.5, 1)
    assert rbdc_tbdc_of_levels([strict, loose], truth, 2) == pytest.approx(expected)
    assert rbdc_tbdc_of_levels([loose, strict], truth, 2) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("found", "truth", "n_frames", "message"),
    [
        ([[(0, LEFT, math.nan)]], R1_TRUTH, 4, "video 0, frame 0: score is nan"),
        ([[(0, (5, 0, 4, 9), 0.5)]], R1_TRUTH, 4, r"region is \(5, 0, 4, 9\)"),
        ([[]], [[{0: (0, 0, 9)}]], 4, r"true box is \(0, 0, 9\)"),
        ([[]], [[{}]], 4, "a track without boxes"),
        ([[], []], R1_TRUTH, 4, "2 videos have regions and 1 have truth"),
        ([[]], R1_TRUTH, 0, "n_frames is 0"),
        ([[]], R1_TRUTH, [2, 2], "2 frame counts for 1 videos"),
    ],
)
def test_wrong_arguments_are_named(found, truth, n_frames, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rbdc_tbdc(found, truth, n_frames)


def test_an_unknown_rule_for_ties_is_refused() -> None:
    with pytest.raises(ValueError, match="known: group, sequential"):
        rbdc_tbdc(R1_FOUND, R1_TRUTH, 4, ties="legacy")


# Truth from masks


def drawn(*boxes: Box, value: int | None = None) -> np.ndarray:
    mask = np.zeros((20, 30), bool if value is None else np.int32)
    for x0, y0, x1, y1 in boxes:
        mask[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1] = True if value is None else value
    return mask


def test_components_are_linked_through_time() -> None:
    moving: list[Box] = [(x, 2, x + 4, 6) for x in (0, 2, 4)]
    standing: Box = (20, 10, 25, 15)
    masks = [drawn(moving[0]), drawn(standing, moving[1]), drawn(moving[2], standing), drawn(), drawn(standing)]
    assert tracks_of_masks(masks) == [
        dict(enumerate(moving)),
        {1: standing, 2: standing},
        {4: standing},  # one that was away is a new one
    ]


def test_where_two_meet_the_one_with_more_common_pixels_goes_on() -> None:
    small, large = (0, 0, 2, 2), (8, 0, 14, 6)
    joined: Box = (2, 0, 14, 6)
    assert tracks_of_masks([drawn(small, large), drawn(joined)]) == [{0: small}, {0: large, 1: joined}]


def test_specks_are_dropped_and_corners_connect() -> None:
    mask = drawn((0, 0, 1, 1), (2, 2, 3, 3), (10, 10, 10, 10))
    assert tracks_of_masks([mask]) == [{0: (0, 0, 3, 3)}, {0: (10, 10, 10, 10)}]
    assert tracks_of_masks([mask], min_area_px=2) == [{0: (0, 0, 3, 3)}]


def test_object_ids_are_tracks_with_the_largest_component() -> None:
    first = drawn((0, 0, 1, 1), (5, 5, 9, 9), value=7) + drawn((20, 0, 22, 2), value=3)
    second = drawn((6, 5, 10, 9), value=7)
    assert tracks_of_masks([first, second]) == [{0: (20, 0, 22, 2)}, {0: (5, 5, 9, 9), 1: (6, 5, 10, 9)}]


def test_no_masks_no_tracks() -> None:
    assert tracks_of_masks([]) == tracks_of_masks([drawn()]) == []
    with pytest.raises(ValueError, match=r"mask 0 has shape \(4,\)"):
        tracks_of_masks([np.zeros(4, bool)])
