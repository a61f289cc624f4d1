"""Alarm levels: does a promised rate of false alarms hold, and do scores keep the order?"""

import numpy as np
import pytest
from scipy.stats import norm

from heatmap.levels import (
    BLOCK_S,
    BLOCKS_PER_HOUR,
    PEAK_SHARE,
    AlarmLevel,
    block_peaks,
    threshold,
    to_rarity,
    to_score,
)

HOURS = 0.5


def fits(draw: str, hours: float = HOURS) -> list[AlarmLevel]:
    """Levels fitted to this much footage each, a hundred times."""
    blocks = int(hours * BLOCKS_PER_HOUR)
    return [
        AlarmLevel.of_peaks(getattr(np.random.default_rng(seed), f"standard_{draw}")(blocks)) for seed in range(100)
    ]


@pytest.mark.parametrize("promised", [10.0, 1.0, 0.1])
def test_promised_rate_holds_for_exponential_peaks(promised: float) -> None:
    at = np.array([level.level_at(promised) for level in fits("exponential")])
    rate = BLOCKS_PER_HOUR * np.exp(-at)  # the true rate at those levels
    assert 0.3 * promised < np.median(rate) < 0.9 * promised  # errs to the quiet side
    assert (rate < 3 * promised).mean() > 0.9


@pytest.mark.parametrize("promised", [30.0, 10.0])
def test_promised_rate_errs_to_the_quiet_side_for_gaussian_peaks(promised: float) -> None:
    at = np.array([level.level_at(promised) for level in fits("normal")])
    rate = BLOCKS_PER_HOUR * norm.sf(at)
    assert 0.1 * promised < np.median(rate) < 1.1 * promised


def test_rate_at_the_start_is_the_measured_one() -> None:
    peaks = np.random.default_rng(0).exponential(size=1000)
    level = AlarmLevel.of_peaks(peaks)
    assert level.level_at(PEAK_SHARE * BLOCKS_PER_HOUR) == pytest.approx(level.start)
    assert (peaks > level.start).mean() == pytest.approx(PEAK_SHARE)


def test_hours_say_how_much_was_measured() -> None:
    assert AlarmLevel.of_peaks(np.arange(900.0)).hours == pytest.approx(0.5)


def test_rarity_is_minus_the_logarithm_of_the_rate() -> None:
    level = AlarmLevel.of_peaks(np.random.default_rng(1).exponential(size=900))
    at = np.array([level.level_at(rate) for rate in (10.0, 1.0, 0.01)])
    assert level.rarity(at) == pytest.approx(-np.log([10.0, 1.0, 0.01]), abs=1e-4)


def test_rarity_keeps_the_shape_and_the_order() -> None:
    level = AlarmLevel.of_peaks(np.random.default_rng(1).exponential(size=900))
    rarity = level.rarity(np.arange(6.0).reshape(2, 3))
    assert rarity.shape == (2, 3)
    assert (np.diff(rarity.ravel()) > 0).all()


def test_less_footage_makes_a_more_careful_level() -> None:
    little, much = (np.median([x.level_at(1.0) for x in fits("exponential", hours)]) for hours in (0.02, 0.5))
    assert little > much + 0.5


def test_unit_of_the_level_does_not_matter() -> None:
    peaks = np.random.default_rng(3).exponential(size=500)
    rarity = AlarmLevel.of_peaks(peaks).rarity(np.array([2.0, 9.0]))
    assert AlarmLevel.of_peaks(40 * peaks).rarity(np.array([80.0, 360.0])) == pytest.approx(rarity, rel=1e-3)


def test_constant_footage_gives_a_usable_level() -> None:
    level = AlarmLevel.of_peaks(np.full(50, 2.0))
    assert level.rarity(np.array([2.0]))[0] < 0 < level.rarity(np.array([5.0]))[0]


def test_curves_of_several_clips_are_fitted_as_their_blocks() -> None:
    rng = np.random.default_rng(4)
    curves, times_s = [rng.random(100), rng.random(60)], [np.arange(100) / 10, np.arange(60) / 10]
    peaks = np.concatenate([curve.reshape(-1, 20).max(1) for curve in curves])
    assert AlarmLevel.fit(curves, times_s) == AlarmLevel.of_peaks(peaks)


def test_block_peaks_are_the_maxima_of_two_seconds() -> None:
    times_s = 100 + np.arange(52) / 10  # 5.2 s: two blocks and more than half a one
    curve = np.zeros(52)
    curve[[3, 25, 51]] = 1, 2, 3
    assert block_peaks(curve, times_s).tolist() == [1, 2, 3]


def test_last_block_shorter_than_half_is_left_out() -> None:
    times_s = np.arange(49) / 10
    assert len(block_peaks(np.zeros(49), times_s)) == 2


def test_block_of_one_frame_a_block_counts() -> None:
    assert block_peaks(np.array([1.0, 2.0, 3.0]), BLOCK_S * np.arange(3)).tolist() == [1, 2, 3]


def test_too_little_footage_is_refused_with_what_is_needed() -> None:
    with pytest.raises(ValueError, match=r"6 s of normal footage are too little .* at least 8 s"):
        AlarmLevel.of_peaks(np.zeros(3))


@pytest.mark.parametrize(
    "values",
    [(0.0, 0.0, 1.0), (0.0, -1.0, 1.0), (0.0, 1.0, 0.0), (np.nan, 1.0, 1.0), (0.0, np.inf, 1.0), (0.0, 1.0, np.nan)],
)
def test_impossible_levels_are_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="needs a positive scale and rate"):
        AlarmLevel(*values, hours=1.0)


def test_score_is_a_half_at_rarity_zero() -> None:
    assert to_score(np.array(0.0)) == 0.5


def test_score_rises_with_rarity_even_in_half_precision() -> None:
    rarity = np.arange(-60.0, 61.0)
    score = to_score(rarity).astype(np.float16)
    assert (np.diff(score) > 0).all()
    assert score[0] > 0 and score[-1] < 1


def test_rarity_comes_back_from_the_score() -> None:
    rarity = np.linspace(-40, 40, 81)
    assert to_rarity(to_score(rarity)) == pytest.approx(rarity, abs=1e-3)


def test_rarity_comes_back_from_a_half_precision_score_near_the_threshold() -> None:
    rarity = np.linspace(-5, 5, 41)
    assert to_rarity(to_score(rarity).astype(np.float16)) == pytest.approx(rarity, abs=0.02)


def test_rarity_of_the_ends_of_the_scale_is_finite() -> None:
    assert np.isfinite(to_rarity(np.array([0.0, 1.0]))).all()


def test_threshold_of_one_alarm_an_hour_is_a_half() -> None:
    assert threshold(1.0) == 0.5


def test_rarer_alarms_need_a_higher_threshold() -> None:
    at = [threshold(rate) for rate in (100.0, 10.0, 1.0, 0.1, 0.01)]
    assert at == sorted(at)
    assert 0 < at[0] < 0.5 < at[-1] < 1


def test_threshold_is_the_score_of_the_level_with_that_rate() -> None:
    level = AlarmLevel.of_peaks(np.random.default_rng(5).exponential(size=900))
    assert to_score(level.rarity(np.array(level.level_at(0.2)))) == pytest.approx(threshold(0.2), abs=1e-5)
