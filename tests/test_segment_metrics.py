"""mAP of segments: the worked example in every mode, a second way to count, and what must not matter."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from training.segment_metrics import IOUS, MODES, TrueSegment, cut_segments, match_segments, segment_map, temporal_iou

NAMES = ("A", "Fight", "Fire")
V0 = [(0.8, 0.1, 0.1), (0.15, 0.8, 0.05), (0.05, 0.9, 0.05), (0.8, 0.1, 0.1)]
V1 = [(0.7, 0.2, 0.1), (0.7, 0.2, 0.1), (0.3, 0.6, 0.1), (0.7, 0.2, 0.1)]
TRUTH: list[list[TrueSegment]] = [[(16, 32, "Fight")], [(0, 64, "A")]]


def frames(rows: Sequence[Sequence[float]]) -> np.ndarray:
    return np.repeat(np.array(rows), 16, axis=0)


EXAMPLE = [frames(V0), frames(V1)]


def names_of(mode: str) -> tuple[str, ...]:
    return ("Normal", *NAMES[1:]) if mode == "reference_ucf" else NAMES


# The worked example


@pytest.mark.parametrize(
    ("mode", "at_half"), [("reference_xd", 44.4444), ("reference_ucf", 33.3333), ("anomaly_only", 100.0)]
)
def test_the_worked_example(mode: str, at_half: float) -> None:
    found = segment_map(EXAMPLE, TRUTH, names_of(mode), mode, ious=(0.5, 0.6))
    assert found.mean_ap == (pytest.approx(at_half, abs=1e-4), 0.0)
    assert found.average == pytest.approx(at_half / 2, abs=1e-4)
    assert found.classes == (("Fight",) if mode == "anomaly_only" else names_of(mode))


def test_the_segments_of_the_worked_example() -> None:
    first, second = map(cut_segments, EXAMPLE)
    assert first.classes.tolist() == [0, 0, 1, 2, 2]
    assert list(zip(first.starts, first.ends, strict=True)) == [(0, 16), (48, 64), (16, 48), (0, 16), (48, 64)]
    np.testing.assert_allclose(first.scores, [1.36, 1.36, 1.53, 0.17, 0.17])
    assert second.classes.tolist() == [0, 0, 1]  # Fire is constant
    assert list(zip(second.starts, second.ends, strict=True)) == [(0, 32), (48, 64), (32, 48)]
    np.testing.assert_allclose(second.scores, [1.19, 1.19, 1.02])


def test_average_precision_of_each_class_of_the_worked_example() -> None:
    found = segment_map(EXAMPLE, TRUTH, NAMES, "reference_xd", (*IOUS, 0.6))
    np.testing.assert_allclose(found.ap[:5], [[1 / 3, 1, 0]] * 5)
    np.testing.assert_allclose(found.ap[5], 0)


def test_a_false_alarm_that_ranks_first_halves_the_precision() -> None:
    louder = [*V1[:2], (0.05, 0.95, 0.0), V1[3]]
    assert cut_segments(frames(louder)).scores[2] == pytest.approx(1.615)
    found = segment_map([EXAMPLE[0], frames(louder)], TRUTH, NAMES, ious=(0.5,))
    assert found.ap.tolist() == [[0.5]]


# Which classes are averaged


def perfect(classes: int) -> tuple[list[np.ndarray], list[list[TrueSegment]], tuple[str, ...]]:
    """One video a class, that shows it in its second half, and one normal video."""
    names = ("Normal", *(f"c{i}" for i in range(1, classes)))
    probs, truth = [], []
    for c in range(1, classes):
        rows = np.full((4, classes), 0.001)
        rows[2:, c], rows[:2, 0] = 0.9, 0.9
        probs.append(frames(rows.tolist()))
        truth.append([(32, 64, names[c])])
    # The normal video is the likeliest of its class from end to end, and least so in its last frame.
    rows = np.full((64, classes), 0.0)
    rows[:63, 0] = 1.0
    return [*probs, rows], [*truth, []], names


def test_the_reference_for_ucf_cannot_reach_100() -> None:
    probs, truth, names = perfect(14)
    assert segment_map(probs, truth, names, "reference_ucf").mean_ap == pytest.approx([100 * 13 / 14] * 5)
    assert segment_map(probs, truth, names, "anomaly_only").mean_ap == pytest.approx([100] * 5)


def test_a_normal_video_is_one_segment_in_the_reference_for_xd() -> None:
    unsaid = [TRUTH[0], []]
    assert segment_map(EXAMPLE, unsaid, NAMES, "reference_xd").mean_ap == pytest.approx([44.4444] * 5, abs=1e-4)
    probs, truth, names = perfect(4)
    # The normal halves of the other videos are false, but score below the normal video.
    assert segment_map(probs, truth, names, "reference_xd").mean_ap == pytest.approx([100] * 5)


@pytest.mark.parametrize("mode", ["reference_ucf", "reference_xd"])
def test_a_class_without_segments_zeroes_the_reference_modes_only(mode: str) -> None:
    flat = [EXAMPLE[0].copy(), EXAMPLE[1]]
    flat[0][:, 2] = 0.1
    assert segment_map(flat, TRUTH, names_of(mode), mode).mean_ap == (0.0,) * 5
    assert segment_map(flat, TRUTH, NAMES).mean_ap == (100.0,) * 5
    # A class with truth and without segments counts 0 here.
    burning = [[*TRUTH[0], (0, 16, "Fire")], TRUTH[1]]
    assert segment_map(flat, burning, NAMES).mean_ap == (50.0,) * 5


def test_no_anomalous_truth_is_nan_and_said() -> None:
    with pytest.warns(UserWarning, match="no class has an anomalous segment"):
        assert all(map(math.isnan, segment_map(EXAMPLE[1:], TRUTH[1:], NAMES).mean_ap))


# Cutting and matching


def test_runs_are_strictly_above_and_two_frames_long() -> None:
    column = np.array([1.0, 0.0, 1.0, 1.0, 0.25, 0.5, 0.5, 0.0, 1.0, 1.0])
    found = cut_segments(column[:, None])
    assert list(zip(found.starts, found.ends, strict=True)) == [(2, 4), (5, 7), (8, 10)]
    np.testing.assert_allclose(found.scores, [1.7, 1.2, 1.7])  # fewer than 16 frames: the highest alone
    # 10 - 0.6 * 10 is 4 exactly, and a frame at 4 does not count.
    exact = cut_segments(np.array([10.0, 10.0, 4.0, 4.0, 0.0])[:, None])
    assert list(zip(exact.starts, exact.ends, strict=True)) == [(0, 2)]


def test_the_evidence_of_a_class_is_its_highest_sixteenth() -> None:
    column = np.array([0.0] * 40 + [0.1 * i for i in range(1, 9)] + [0.0] * 2)
    # Of 50 frames 3: 0.8, 0.7 and 0.6.
    assert cut_segments(column[:, None]).scores == pytest.approx([0.8 + 0.7 * 0.7])


def test_a_true_segment_is_taken_once_by_the_best() -> None:
    # The first two segments overlap the true one; the stronger of them takes it, though it overlaps less.
    column = np.array([0.9] * 10 + [0.0] * 2 + [1.0] * 6 + [0.0] * 14)
    probs = np.stack((1 - column, column), axis=1)
    found = match_segments([probs], [[(2, 18, "x")]], ("A", "x"), ious=(0.3, 0.4))
    assert found.hits[1].tolist() == [[True, False], [False, True]]
    np.testing.assert_allclose(found.scores().ap[:, 0], [1, 0.5])


def test_of_several_true_segments_the_largest_overlap_is_taken() -> None:
    column = np.array([1.0] * 16 + [0.0] * 16)
    probs = np.stack((1 - column, column), axis=1)
    truth: list[TrueSegment] = [(0, 8, "x"), (0, 14, "x"), (4, 16, "x")]
    found = match_segments([probs, probs], [truth, []], ("A", "x"), ious=(0.5,))
    assert found.hits[1].tolist() == [[True, False]]
    assert found.scores().ap == pytest.approx(np.array([[1 / 3]]))


def test_temporal_iou_counts_frames() -> None:
    spans = np.array([[0, 10], [5, 20], [30, 31]])
    expected = [
        [len(set(range(*a)) & set(range(*b))) / len(set(range(*a)) | set(range(*b))) for b in spans] for a in spans
    ]
    np.testing.assert_allclose(temporal_iou(spans, spans), expected)


# A second way to count, frame by frame


def counted(
    probs: list[np.ndarray], truth: list[list[TrueSegment]], names: Sequence[str], mode: str, least: float
) -> float:
    """The five steps of the definition, with loops and sets."""
    values = []
    for c, name in enumerate(names):
        found = []
        for v, p in enumerate(probs):
            column = p[:, c]
            evidence = np.mean(sorted(column)[-(len(column) // 16) :])
            theta = column.max() - 0.6 * (column.max() - column.min())
            run: list[int] = []
            for i in range(len(column) + 1):
                if i < len(column) and column[i] > theta:
                    run.append(i)
                    continue
                if len(run) >= 2:
                    found.append((max(column[run]) + 0.7 * evidence, v, set(run)))
                run = []
        if not found and mode != "anomaly_only":
            return 0.0
        wanted = [(v, set(range(s, e))) for v, own in enumerate(truth) for s, e, n in own if n == name]
        if mode == "anomaly_only" and (c == 0 or not wanted):
            continue
        total, right, area = len(wanted), 0, 0.0
        for rank, (_, v, span) in enumerate(sorted(found, key=lambda f: -f[0]), start=1):
            shares = [(len(span & w[1]) / len(span | w[1]), w) for w in wanted if w[0] == v]
            best = max(shares, key=lambda s: s[0], default=(0.0, None))
            if best[1] is not None and best[0] >= least:
                wanted.remove(best[1])
                right += 1
                area += right / rank
        values.append(area / total if total else 0.0)
    return 100 * float(np.mean(values))


def made(seed: int, classes: int = 4, videos: int = 5) -> tuple[list[np.ndarray], list[list[TrueSegment]], list[str]]:
    """Random videos without ties; two of them normal, their one segment said."""
    rng = np.random.default_rng(seed)
    names = ["A", *(f"c{i}" for i in range(1, classes))]
    probs = [np.repeat(rng.dirichlet(np.ones(classes), rng.integers(2, 9)), 16, axis=0) for _ in range(videos)]
    truth: list[list[TrueSegment]] = []
    for v, p in enumerate(probs):
        cuts = [sorted(rng.choice(len(p) + 1, 2, replace=False).tolist()) for _ in range(rng.integers(1, 4))]
        truth.append([(0, len(p), "A")] if v < 2 else [(s, e, names[rng.integers(1, classes)]) for s, e in cuts])
    return probs, truth, names


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(8))
def test_map_is_what_counting_gives(seed: int, mode: str) -> None:
    probs, truth, names = made(seed)
    if mode == "reference_ucf":
        names[0] = "Normal"  # "A" of the truth then has no class, as in the published files
    for least in (0.1, 0.3, 0.5):
        expected = counted(probs, truth, names, mode, least)
        assert segment_map(probs, truth, names, mode, (least,)).mean_ap[0] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", MODES)
def test_videos_drawn_twice_are_videos_given_twice(seed: int, mode: str) -> None:
    probs, truth, names = made(seed)
    counts = np.array([1, 0, 2, 1, 3])
    drawn = np.repeat(np.arange(5), counts)
    again = segment_map([probs[i] for i in drawn], [truth[i] for i in drawn], names, mode)
    assert match_segments(probs, truth, names, mode).scores(counts).mean_ap == pytest.approx(again.mean_ap)


# What must not matter


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", MODES)
def test_invariants(seed: int, mode: str) -> None:
    probs, truth, names = made(seed + 20)
    ious = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9)
    plain = segment_map(probs, truth, names, mode, ious).mean_ap
    assert plain == pytest.approx(sorted(plain, reverse=True))
    scale, shift = np.array([2.0, 0.5, 3.0, 1.0]), np.array([0.0, 1.0, -0.4, 0.3])
    assert segment_map([p * scale + shift for p in probs], truth, names, mode, ious).mean_ap == pytest.approx(plain)
    assert segment_map(probs[::-1], truth[::-1], names, mode, ious).mean_ap == pytest.approx(plain)
    turned = [0, 3, 1, 2]
    other = segment_map([p[:, turned] for p in probs], truth, [names[i] for i in turned], mode, ious)
    assert other.mean_ap == pytest.approx(plain)


def test_a_monotone_map_that_is_not_affine_changes_it() -> None:
    # Strictly increasing, but it lowers the threshold below the frames around the event.
    column = np.repeat([1.0, 0.2, 0.0, 0.0], 16)
    before, after = (np.stack((1 - c, c), axis=1) for c in (column, column**0.25))
    truth: list[list[TrueSegment]] = [[(0, 16, "x")]]
    assert segment_map([before], truth, ("A", "x"), ious=(0.9,)).mean_ap == (100.0,)
    assert segment_map([after], truth, ("A", "x"), ious=(0.9,)).mean_ap == (0.0,)


# Wrong arguments


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "reference"}, "known: anomaly_only, reference_ucf, reference_xd"),
        ({"ious": ()}, "ious are"),
        ({"ious": (0.0,)}, "above 0, at most 1"),
        ({"truth": TRUTH[:1]}, "2 videos have probabilities and 1 have truth"),
        ({"classes": ("A", "Fight")}, "2 classes"),
        ({"classes": ("A", "Fight", "Fight")}, "a name of its own"),
        ({"truth": [[(16, 32, "Flood")], []]}, "video 0: class 'Flood' of the truth is not one of A, Fight, Fire"),
        ({"truth": [[], [(32, 32, "Fire")]]}, "video 1: segment 32 to 32"),
        ({"probs": [EXAMPLE[0], EXAMPLE[1] * np.nan]}, "finite numbers"),
    ],
)
def test_wrong_arguments_are_named(change: dict, message: str) -> None:
    arguments = {"probs": EXAMPLE, "truth": TRUTH, "classes": NAMES} | change
    with pytest.raises(ValueError, match=message):
        segment_map(**arguments)
