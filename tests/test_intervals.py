"""Bootstrap intervals over videos, and figures of drawn videos against those of the videos themselves."""

import math
from typing import Any

import numpy as np
import pytest

from training.intervals import CountedFrames, bootstrap, bootstrap_all, pooled, resampled, video_auc
from training.metrics import average_precision, macro_auc, micro_auc

A, B = np.array([0.1, 0.4, 0.35, 0.8]), np.array([0.9, 0.2])


def sets(seed: int, count: int = 5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Videos with many ties; some of one class."""
    rng = np.random.default_rng(seed)
    labels = [rng.integers(0, 2, rng.integers(5, 20)) * int(v != 1) for v in range(count)]
    return [np.round(rng.random(y.size) * 0.8 + 0.2 * y, 1) for y in labels], labels


@pytest.mark.parametrize("seed", range(6))
def test_counted_frames_give_the_figures_of_the_videos_drawn(seed: int) -> None:
    scores, labels = sets(seed)
    frames = CountedFrames(scores, labels)
    for counts in (np.ones(5, int), np.array([2, 0, 1, 0, 4]), np.array([0, 3, 0, 1, 0])):
        index = np.repeat(np.arange(5), counts)
        s, y = [scores[i] for i in index], [labels[i] for i in index]
        expected = (micro_auc(s, y), average_precision(s, y), average_precision(s, y, "trapz"))
        assert frames.figures(counts) == pytest.approx(expected)
        assert resampled(macro_auc, scores, labels)(counts) == pytest.approx(macro_auc(s, y))
    assert frames.auc() == frames.auc(np.ones(5, int))
    assert math.isnan(frames.auc(np.array([0, 2, 0, 0, 0])))


def test_ties_at_the_top_count_as_in_the_figures_of_frames() -> None:
    labels = [np.array([0, 1, 1]), np.array([0, 0])]
    for scores in ([np.full(3, 0.4), np.full(2, 0.4)], [np.array([0.9, 0.9, 0.1]), np.array([0.9, 0.3])]):
        expected = (micro_auc(scores, labels), average_precision(scores, labels))
        found = CountedFrames(scores, labels).figures()
        assert found == pytest.approx((*expected, average_precision(scores, labels, "trapz")))


def test_both_ways_to_an_interval_agree_and_repeat() -> None:
    scores, labels = sets(3)
    frames = CountedFrames(scores, labels)
    quick = bootstrap(frames.auc, 5, draws=200, seed=1)
    assert quick == pytest.approx(bootstrap(resampled(micro_auc, scores, labels), 5, draws=200, seed=1))
    assert quick == bootstrap(frames.auc, 5, draws=200, seed=1) != bootstrap(frames.auc, 5, draws=200, seed=2)
    assert quick.low < frames.auc() < quick.high
    wider, narrower = (bootstrap(frames.auc, 5, share, 200, 1) for share in (0.99, 0.5))
    assert wider.low <= quick.low < narrower.low < narrower.high < quick.high <= wider.high


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    own = np.random.default_rng(5).normal(size=100)
    found = bootstrap(lambda counts: float(counts @ own / 100), 100, draws=4000)
    reach = 1.96 * own.std() / 10
    assert found == pytest.approx((own.mean() - reach, own.mean() + reach), abs=0.02)


def test_videos_alike_have_no_spread_and_undefined_draws_are_left_out() -> None:
    scores, labels = [A] * 6, [np.array([0, 0, 1, 1])] * 6
    assert bootstrap(CountedFrames(scores, labels).auc, 6, draws=50) == (0.75, 0.75)
    # Of one anomalous and one normal video, half of the draws have both.
    two = CountedFrames([np.array([0.9]), np.array([0.1])], [np.array([1]), np.array([0])])
    assert bootstrap(two.auc, 2, draws=50) == (1.0, 1.0)
    with pytest.warns(UserWarning, match="no draw has a value"):
        assert all(map(math.isnan, bootstrap(CountedFrames([B], [np.zeros(2)]).auc, 1, draws=5)))
    assert set(bootstrap_all(lambda counts: {"one": 1.0, "two": 2.0}, 3, draws=4)) == {"one", "two"}


def test_an_interval_of_more_videos_is_narrower() -> None:
    few, many = (bootstrap(CountedFrames(*sets(4, n)).auc, n, draws=300) for n in (6, 60))
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_auc_of_whole_videos() -> None:
    scores = [A, B, np.array([0.95, 0.0]), np.array([0.3])]
    assert pooled(scores).tolist() == [0.8, 0.9, 0.95, 0.3]
    # Anomalous: .8 and .95; .8 is above .3 only.
    assert video_auc(scores, [True, False, True, False]) == 0.75
    assert video_auc(scores, [True, False, True, False], "mean") == 0.5
    with pytest.warns(UserWarning, match="only one class"):
        assert math.isnan(video_auc(scores[:1], [True]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap(lambda counts: 1.0, 3, share=1.0), "share is 1.0"),
        (lambda: bootstrap(lambda counts: 1.0, 0), "0 videos and 1000 draws"),
        (lambda: resampled(micro_auc, [A], [A, B]), "columns of"),
        (lambda: CountedFrames([A], [B]), "expected \\(T,\\) twice"),
        (lambda: CountedFrames([A * np.inf], [A > 0.3]), "not finite"),
        (lambda: CountedFrames([A], [A > 0.3]).auc(np.ones(2)), "counts have shape"),
        (lambda: video_auc([A], [True], "median"), "known: max, mean"),
        (lambda: video_auc([A], [True, False]), "1 videos have scores and 2 have labels"),
    ],
)
def test_wrong_arguments_of_intervals_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
