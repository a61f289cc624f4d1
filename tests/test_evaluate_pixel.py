"""training/evaluate_pixel.py: figures of heat against masks, at several cuts."""

from pathlib import Path

import numpy as np
import pytest

from training.evaluate_pixel import FIGURES, Result
from training.pixel_data import GroundTruthClip
from tvad.evidence import Curves

FRAMES, HW = 24, (12, 16)


@pytest.fixture
def clip(tmp_path: Path) -> GroundTruthClip:
    """A box of 4 x 5 cells that is anomalous in the second half of the clip; 20 px a cell."""
    masks = np.zeros((FRAMES, HW[0] * 20, HW[1] * 20), bool)
    masks[FRAMES // 2 :, 80:160, 100:200] = True
    np.savez_compressed(tmp_path / "01.npz", mask=masks)
    return GroundTruthClip("01", tmp_path / "01.mp4", tmp_path / "01.npz")


def curves(level: float) -> Curves:
    """Heat of that level exactly where the truth is."""
    times = np.arange(FRAMES) / 8
    heat = np.full((FRAMES, *HW), 0.05, np.float32)
    heat[FRAMES // 2 :, 4:8, 5:10] = level
    return Curves(times, heat.max((1, 2)), times, heat)


def test_exact_heat_is_found_where_it_reaches_the_cut(clip: GroundTruthClip) -> None:
    found = Result(cuts=(0.3, 0.7))
    found.add(clip, curves(0.6), None, 8.0)
    low, high = (dict(zip(FIGURES, row, strict=True)) for row in found.figures())
    assert low["micro"] == high["micro"] == 1.0 and low["pixel"] == high["pixel"] > 0.97
    assert np.isnan(low["raw"])
    assert low["RBDC"] == pytest.approx(1.0) and low["TBDC"] == pytest.approx(1.0)
    assert high["RBDC"] == high["TBDC"] == 0.0


def test_heat_elsewhere_finds_nothing(clip: GroundTruthClip) -> None:
    given = curves(0.6)
    moved = Curves(given.times_s, given.scores, given.heat_times_s, np.roll(given.heat, (5, 6), (1, 2)))
    found = Result()
    found.add(clip, moved, None, 8.0)
    figures = dict(zip(FIGURES, found.figures()[0], strict=True))
    assert figures["micro"] == 1.0 and figures["pixel"] < 0.6 and figures["RBDC"] == figures["TBDC"] == 0.0
