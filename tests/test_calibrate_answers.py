"""The calibration of the language model's yes on real clips: groups that count alike, and sets held out."""

import numpy as np
import pytest

from training.calibrate_answers import Row, by_folds, fitted, stretches, table, weights


def rows(name: str, odds: list[float], anomalous: list[bool], start_s: float | None = None) -> list[Row]:
    return [
        Row(name, f"{name}{n}", start_s, y, value, True)
        for n, (value, y) in enumerate(zip(odds, anomalous, strict=True))
    ]


def test_every_set_and_kind_counts_alike() -> None:
    given = rows("fights", [0.0] * 6, [True] * 4 + [False] * 2) + rows("falls", [0.0] * 2, [True, False])
    found = weights(given)
    assert found.mean() == pytest.approx(1)
    assert found[:4].sum() == pytest.approx(found[6]) == pytest.approx(found[4:6].sum()) == pytest.approx(found[7])


def test_a_set_without_a_kind_leaves_the_kinds_even() -> None:
    given = rows("fights", [0.0] * 3, [True, True, False]) + rows("street", [0.0] * 2, [False, False])
    found, truth = weights(given), np.array([row.anomalous for row in given])
    assert found[truth].sum() == pytest.approx(found[~truth].sum())


def test_the_curve_says_yes_between_the_kinds() -> None:
    odds = np.random.default_rng(0).normal([-3.0] * 50 + [1.0] * 50, 1).tolist()
    slope, offset = fitted(rows("fights", odds, [False] * 50 + [True] * 50))
    assert slope > 0 and -offset / slope == pytest.approx(-1, abs=0.3)


def test_a_set_is_judged_by_the_curve_of_the_others() -> None:
    fights = rows("fights", [-3.0, -2.8, -0.2, 0.2], [False, False, True, True])
    falls = rows("falls", [-0.3, -0.2, 2.0, 2.2], [False, False, True, True])
    street = rows("street", [-3.0, 0.2], [False, True])
    lines = "\n".join(table(fights + falls + street + rows("street", [2.0, -3.0], [False, False], start_s=1.0)))
    # By its own curve the falls would be told apart entirely.
    assert "falls: 2 anomalous, 2 ordinary" in lines and "no to 0.50 of 2 stretches of 2 ordinary clips" in lines
    assert "yes to 1.00 and no to 0.00, balanced 0.500" in next(x for x in lines.split("\n") if x.startswith("falls"))


@pytest.mark.parametrize(("length_s", "count"), [(1.5, 0), (2.0, 0), (4.0, 2), (6.0, 3 + 2), (60.0, 8 + 8 + 6)])
def test_stretches_lie_inside_of_a_clip(length_s: float, count: int) -> None:
    found = list(stretches(length_s))
    assert len(found) == count
    assert all(0 <= a < b <= length_s + 1e-6 and round(b - a, 3) in (2, 5, 10) for a, b in found)


def test_a_large_set_is_judged_by_folds_too() -> None:
    rng = np.random.default_rng(3)
    fights = rows("fights", rng.normal([-9.0] * 30 + [1.0] * 30, 0.5).tolist(), [False] * 30 + [True] * 30)
    falls = rows("falls", [-1.0, -1.2, 9.0, 9.2], [False, False, True, True])  # their curve says no to every fight
    found, truth = by_folds(fights + falls, "fights"), np.array([row.anomalous for row in fights])
    assert (found == truth).mean() > 0.8
    lines = "\n".join(table(fights + falls))
    assert lines.count("of four fifths of it") == 1
    assert "yes to 0.00" in lines.split("\n")[0]
