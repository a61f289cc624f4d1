"""Frame, event and pixel figures: worked examples, a brute-force count, scikit-learn, and what must not matter."""

import itertools
import math

import numpy as np
import pytest

from training.level_counts import LevelCounts
from training.metrics import (
    Aupro,
    PixelAuroc,
    PixelOverlap,
    anomalous_auc,
    auc,
    average_precision,
    event_scores,
    false_alarms_per_hour,
    intervals,
    macro_auc,
    micro_auc,
    repeat_snippets,
    upsample,
)

A = (np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
B = (np.array([0.9, 0.2]), np.array([0, 0]))
SCORES, LABELS = [A[0], B[0]], [A[1], B[1]]
MASK = np.array([[[1, 1, 0, 0], [0, 0, 0, 1]]], bool)
HEAT = np.array([[[0.9, 0.15, 0.2, 0.1], [0.3, 0.1, 0.1, 0.6]]])


def brute_auc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Every pair of an anomalous and a normal element, a tie for one half."""
    pairs = list(itertools.product(scores[labels == 1], scores[labels == 0]))
    return sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs)


def videos(seed: int, levels: int = 7) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Four videos with both classes and many ties."""
    rng = np.random.default_rng(seed)
    lengths = (12, 30, 7, 21)
    labels = [np.append([0, 1], rng.integers(0, 2, n)) for n in lengths]
    return [rng.integers(0, levels, y.size) / levels for y in labels], labels


def pixel_auroc(heat: np.ndarray, mask: np.ndarray, **options: int) -> float:
    measure = PixelAuroc(**options)
    measure.add(heat, mask)
    return measure.value()


def aupro(heat: np.ndarray, mask: np.ndarray, limit: float = 0.3) -> float:
    measure = Aupro()
    measure.add(heat, mask)
    return measure.value(limit)


# Frames


def test_the_worked_example_of_frames() -> None:
    assert micro_auc([A[0]], [A[1]]) == anomalous_auc(SCORES, LABELS) == 0.75
    assert micro_auc(SCORES, LABELS) == 0.625
    assert macro_auc(SCORES, LABELS, pad=True) == pytest.approx((8 / 9 + 1) / 2)
    assert macro_auc(SCORES, LABELS) == 0.75
    assert average_precision([A[0]], [A[1]]) == pytest.approx(0.833333, abs=1e-6)
    assert average_precision([A[0]], [A[1]], mode="trapz") == pytest.approx(0.791667, abs=1e-6)
    assert average_precision(SCORES, LABELS) == pytest.approx(0.5)


def test_snippets_are_repeated_cut_and_held() -> None:
    frames = repeat_snippets(np.array([0.2, 0.9]), 40)
    assert frames.tolist() == [0.2] * 16 + [0.9] * 24
    assert auc(frames, np.arange(40) >= 16) == 1
    assert repeat_snippets(np.array([0.2, 0.9]), 17).tolist() == [0.2] * 16 + [0.9]
    assert repeat_snippets(np.array([0.2, 0.9])).size == 32
    with pytest.raises(ValueError, match=r"shape \(0,\)"):
        repeat_snippets(np.zeros(0), 4)


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_the_count_of_pairs(seed: int) -> None:
    scores, labels = videos(seed)
    assert micro_auc(scores, labels) == pytest.approx(brute_auc(np.concatenate(scores), np.concatenate(labels)))
    expected = np.mean([brute_auc(s, y) for s, y in zip(scores, labels, strict=True)])
    assert macro_auc(scores, labels) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_frame_figures_agree_with_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    scores, labels = videos(seed)
    s, y = np.concatenate(scores), np.concatenate(labels)
    assert micro_auc(scores, labels) == pytest.approx(metrics.roc_auc_score(y, s))
    assert average_precision(scores, labels) == pytest.approx(metrics.average_precision_score(y, s))
    precision, recall, _ = metrics.precision_recall_curve(y, s)
    assert average_precision(scores, labels, mode="trapz") == pytest.approx(metrics.auc(recall, precision))


def test_an_increasing_transform_changes_nothing() -> None:
    scores, labels = videos(1)
    inside = [0.1 + 0.8 * s**3 for s in scores]
    outside = [np.exp(5 * s) - 9 for s in scores]
    for figure in (micro_auc, macro_auc, anomalous_auc, average_precision):
        assert figure(inside, labels) == pytest.approx(figure(scores, labels))
        assert figure(outside, labels) == pytest.approx(figure(scores, labels))
    open_ended = [0.05 + 0.9 * s for s in scores]
    assert macro_auc(inside, labels, pad=True) == pytest.approx(macro_auc(open_ended, labels, pad=True))
    with pytest.raises(ValueError, match=r"needs scores in \[0, 1\]"):
        macro_auc(outside, labels, pad=True)


def test_turned_scores_constant_scores_and_the_order_of_videos() -> None:
    scores, labels = videos(2)
    assert micro_auc(scores, labels) + micro_auc([-s for s in scores], labels) == pytest.approx(1)
    constant = [np.full(s.shape, 0.3) for s in scores]
    assert micro_auc(constant, labels) == 0.5
    assert average_precision(constant, labels) == pytest.approx(np.concatenate(labels).mean())
    for figure in (micro_auc, macro_auc, anomalous_auc, average_precision):
        assert figure(scores[::-1], labels[::-1]) == pytest.approx(figure(scores, labels))


def test_padding_defines_videos_of_one_class() -> None:
    assert macro_auc([np.array([0.2, 0.7])], [np.array([0, 0])], pad=True) == 1
    assert macro_auc([np.array([0.2, 0.7])], [np.array([1, 1])], pad=True) == 1


@pytest.mark.parametrize("figure", [micro_auc, macro_auc, anomalous_auc, average_precision])
def test_one_class_is_nan_and_said(figure) -> None:
    with pytest.warns(UserWarning, match="NaN"):
        assert math.isnan(figure([np.array([0.2, 0.7])], [np.array([0, 0])]))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([np.zeros(3)], [np.zeros(4)], r"video 0: scores have shape \(3,\), labels \(4,\)"),
        ([np.zeros(3)], [], "1 videos have scores and 0 have labels"),
        ([np.array([0, np.nan])], [np.array([0, 1])], "1 values that are not finite"),
        ([np.zeros(2)], [np.array([0, 2])], "expected 0 and 1"),
        ([], [], "no videos"),
    ],
)
def test_wrong_frame_arguments_are_named(scores, labels, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        micro_auc(scores, labels)


def test_an_unknown_estimator_is_refused() -> None:
    with pytest.raises(ValueError, match="known: 'step', 'trapz'"):
        average_precision(SCORES, LABELS, mode="interpolated")


# Events


def test_runs_of_labels_become_half_open_seconds() -> None:
    assert intervals(np.array([1, 0, 1, 1, 0, 1]), 2.0) == [(0.0, 0.5), (1.0, 2.0), (2.5, 3.0)]
    assert intervals(np.zeros(4, bool), 2.0) == []
    assert intervals(np.ones(4, bool), 2.0) == [(0.0, 2.0)]


def test_alarms_are_right_false_and_late() -> None:
    alarms = [[(8.0, 12.0), (15.0, 16.0), (100.0, 101.0)], [(5.0, 6.0)]]
    truth = [[(10.0, 20.0), (14.0, 30.0), (60.0, 70.0)], []]
    found = event_scores(alarms, truth, [600.0, 1230.0])
    assert (found.found, found.events, found.false_alarms, found.alarms) == (2, 3, 2, 4)
    assert found.delays_s == (0.0, 1.0)
    assert (found.recall, found.precision) == (pytest.approx(2 / 3), 0.5)
    # 30 of the 1830 s are anomalous: the two first events overlap and count once.
    assert found.ordinary_s == pytest.approx(1800)
    assert found.false_alarms_per_hour == false_alarms_per_hour(alarms, truth, [600.0, 1230.0]) == pytest.approx(4)


def test_tolerance_forgives_and_a_moment_can_be_right() -> None:
    assert event_scores([[(3.0, 3.0)]], [[(2.0, 4.0)]], [10.0]).false_alarms == 0
    assert event_scores([[(5.0, 6.0)]], [[(2.0, 4.0)]], [10.0]).false_alarms == 1
    assert event_scores([[(5.0, 6.0)]], [[(2.0, 4.0)]], [10.0], tolerance_s=1.0).found == 1


def test_figures_of_events_without_events() -> None:
    quiet = event_scores([[]], [[]], [3600.0])
    assert quiet.false_alarms_per_hour == 0 and math.isnan(quiet.recall) and math.isnan(quiet.precision)
    assert math.isnan(event_scores([[]], [[(0.0, 50.0)]], [50.0]).false_alarms_per_hour)


def test_nested_events_cover_their_time_once() -> None:
    truth = [(5.0, 8.0), (0.0, 10.0), (2.0, 4.0), (18.0, 25.0)]
    assert event_scores([[]], [truth], [20.0]).ordinary_s == pytest.approx(8)


def test_wrong_intervals_are_named() -> None:
    with pytest.raises(ValueError, match=r"video 0: interval 4.0 to 2.0 s"):
        event_scores([[(4.0, 2.0)]], [[]], [10.0])
    with pytest.raises(ValueError, match="2 durations"):
        event_scores([[]], [[]], [10.0, 4.0])


# Pixels


def test_the_worked_example_of_pixels() -> None:
    assert pixel_auroc(HEAT, MASK) == pytest.approx(13 / 15)
    assert aupro(HEAT, MASK) == pytest.approx(0.75)
    assert aupro(HEAT, MASK, limit=1.0) == pytest.approx(0.9)


def test_a_perfect_map_and_a_constant_one() -> None:
    assert pixel_auroc(MASK * 0.7, MASK) == aupro(MASK * 0.7, MASK) == 1
    assert pixel_auroc(np.full(MASK.shape, 0.4), MASK) == 0.5
    # The one step from (0, 0) to (1, 1) is a line.
    assert aupro(np.full(MASK.shape, 0.4), MASK, limit=0.2) == pytest.approx(0.1)


def made_clips(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Clips of several sizes with ties, negatives and both zeros."""
    rng = np.random.default_rng(seed)
    shapes = ((3, 8, 9), (1, 8, 9), (4, 5, 6))
    masks = [rng.random(shape) < 0.2 for shape in shapes]
    return [(np.round(rng.normal(0.6 * m, 0.5), 1), m) for m in masks]


@pytest.mark.parametrize("seed", range(3))
def test_pixel_auroc_added_in_pieces_is_the_count_of_pairs(seed: int) -> None:
    clips = made_clips(seed)
    measure = PixelAuroc()
    for heat, mask in clips:
        measure.add(heat, mask)
    heat, mask = (np.concatenate([c[i].ravel() for c in clips]) for i in (0, 1))
    assert measure.value() == pytest.approx(brute_auc(heat, mask))
    assert measure.exact and measure.bounds() == (measure.value(), measure.value())


def test_pixel_auroc_agrees_with_scikit_learn_on_many_values() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    mask = rng.random((6, 60, 80)) < 0.1
    heat = rng.random(mask.shape, dtype=np.float32) + np.float32(0.3) * mask
    assert pixel_auroc(heat, mask) == pytest.approx(metrics.roc_auc_score(mask.ravel(), heat.ravel()), abs=1e-12)


def test_too_many_values_are_joined_within_the_stated_bounds() -> None:
    rng = np.random.default_rng(4)
    mask = rng.random((2, 60, 80)) < 0.1
    heat = rng.random(mask.shape) + 0.3 * mask
    measure = PixelAuroc(max_levels=200)
    for h, m in zip(heat, mask, strict=True):
        measure.add(h[None], m[None])
    low, high = measure.bounds()
    assert not measure.exact
    assert low <= pixel_auroc(heat, mask) <= high
    assert 0 < high - low < 0.02


def test_no_more_levels_are_kept_than_allowed() -> None:
    levels = LevelCounts(limit=50)
    levels.add(np.random.default_rng(0).normal(size=1000), np.arange(1000) % 7 == 0)
    positive, negative = levels.table()
    assert positive.size <= 50 and (positive.sum(), negative.sum()) == (143, 857)
    with pytest.raises(ValueError, match="max_levels is 1"):
        LevelCounts(limit=1)


def brute_aupro(heat: np.ndarray, regions: list[np.ndarray], mask: np.ndarray, limit: float) -> float:
    """Bergmann's definition, threshold by threshold, integrated on a fine grid."""
    curve = [(0.0, 0.0)]
    for threshold in sorted(set(heat.ravel()), reverse=True):
        hot = heat >= threshold
        curve.append(((hot & ~mask).sum() / (~mask).sum(), float(np.mean([hot[r].mean() for r in regions]))))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        end = min(x1, limit)
        if end > x0:
            area += (end - x0) * (y0 + (y0 + (y1 - y0) * (end - x0) / (x1 - x0))) / 2
    return area / limit


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_aupro_follows_its_definition(limit: float) -> None:
    # Squares, one pair of which touches at a corner and is therefore one region, on two frames.
    squares = [[(0, 0, 3)], [(1, 6, 6)], [(0, 8, 8), (0, 10, 10)]]
    regions = []
    for group in squares:
        region = np.zeros((2, 16, 16), bool)
        for t, y, x in group:
            region[t, y : y + 2, x : x + 2] = True
        regions.append(region)
    mask = np.any(regions, axis=0)
    heat = np.round(np.random.default_rng(5).random(mask.shape) + 0.4 * mask, 1).astype(np.float32)
    measure = Aupro()
    for h, m in zip(heat, mask, strict=True):
        measure.add(h[None], m[None])
    assert measure.value(limit) == pytest.approx(brute_aupro(heat, regions, mask, limit))


def test_an_increasing_transform_of_heat_changes_nothing() -> None:
    heat = np.random.default_rng(6).random((2, 12, 12))
    mask = np.random.default_rng(7).random(heat.shape) < 0.2
    for figure in (pixel_auroc, aupro):
        assert figure(np.exp(3 * heat) - 2, mask) == pytest.approx(figure(heat, mask))
    assert pixel_auroc(heat, mask) + pixel_auroc(-heat, mask) == pytest.approx(1)


def test_overlap_at_a_threshold() -> None:
    measure = PixelOverlap(threshold=0.3)
    measure.add(HEAT, MASK)
    measure.add(np.zeros_like(HEAT), np.zeros_like(MASK))
    # Hot: .9 and .6, which are anomalous, and .3, which is not; .15 is missed.
    assert measure.iou() == pytest.approx(2 / 4)
    assert measure.f1() == pytest.approx(4 / 6)


@pytest.mark.parametrize(
    ("heat", "mask", "message"),
    [
        (np.zeros((2, 3, 3)), np.zeros((3, 3, 3)), r"heat has shape \(2, 3, 3\), masks \(3, 3, 3\)"),
        (np.zeros((3, 3)), np.zeros((3, 3)), r"expected \(T, H, W\)"),
        (np.full((1, 2, 2), np.inf), np.zeros((1, 2, 2)), "4 values that are not finite"),
        (np.zeros((1, 2, 2)), np.full((1, 2, 2), 255), "masks hold 255 to 255"),
    ],
)
@pytest.mark.parametrize("measure", [PixelAuroc, Aupro, PixelOverlap])
def test_wrong_pixel_arguments_are_named(measure, heat, mask, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measure().add(heat, mask)


def test_pixels_of_one_class_are_nan_and_said() -> None:
    for figure in (pixel_auroc, aupro):
        with pytest.warns(UserWarning, match="only one class"):
            assert math.isnan(figure(HEAT, np.zeros_like(MASK)))
    with pytest.warns(UserWarning, match="nothing"):
        assert math.isnan(PixelOverlap().iou())


@pytest.mark.parametrize("size_hw", [(240, 360), (17, 23), (8, 12)])
def test_upsampling_is_opencvs(size_hw: tuple[int, int]) -> None:
    cv2 = pytest.importorskip("cv2")
    heat = np.random.default_rng(8).random((2, 8, 12), dtype=np.float32)
    expected = [cv2.resize(h, size_hw[::-1], interpolation=cv2.INTER_LINEAR) for h in heat]
    np.testing.assert_allclose(upsample(heat, size_hw), expected, atol=1e-6)
