"""Sight: what is kept of a video for a language model."""

import numpy as np
import pytest

from heatmap.appearance import TERMS, colour_shares
from tvad.evidence import Curves, EvidenceError
from tvad.sight import COLOURS, GRID, Sight, coarse


def some_sight() -> Sight:
    rng = np.random.default_rng(0)
    colours = rng.random((2, 2, COLOURS)).astype(np.float16)
    pictures = rng.random((3, *GRID, 5)).astype(np.float16)
    return Sight(np.arange(3.0), pictures, np.ones((2, 1000), np.float16), colours, "told: {}")


def test_survives_saving_with_the_curves(tmp_path):
    sight = some_sight()
    curves = Curves(np.zeros(1), np.zeros(1, np.float32), np.zeros(1), np.zeros((1, 2, 2), np.float16), sight=sight)
    curves.save(tmp_path / "scores.npz")
    back = Curves.load(tmp_path / "scores.npz").sight
    assert back is not None
    for name, value in vars(sight).items():
        np.testing.assert_array_equal(getattr(back, name), value)


def test_curves_without_sight_load_without_one(tmp_path):
    Curves(np.zeros(1), np.zeros(1, np.float32), np.zeros(1), np.zeros((1, 2, 2), np.float16)).save(tmp_path / "s.npz")
    assert Curves.load(tmp_path / "s.npz").sight is None


def test_a_sight_that_does_not_fit_is_refused(tmp_path):
    good = vars(some_sight())
    for change in ({"times_s": np.zeros(2)}, {"looks": np.zeros((2, 7))}, {"colours": np.zeros((1, 2, COLOURS))}):
        with pytest.raises(ValueError, match="sight"):
            Sight(**{**good, **change})
    bare = Curves(np.zeros(1), np.zeros(1, np.float32), np.zeros(1), np.zeros((1, 2, 2), np.float16))
    bare.save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as z:
        arrays = dict(z)
    np.savez(
        tmp_path / "s.npz",
        **arrays,
        **{f"sight_{k}": v[:1] if k == "looks" else np.array(v) for k, v in good.items()},
    )
    with pytest.raises(EvidenceError, match="sight"):
        Curves.load(tmp_path / "s.npz")


def test_coarse_is_the_mean_of_each_cell():
    patch = np.zeros((6, 8, 2), np.float32)
    patch[2:4, 6:, 1] = 3.0
    cells = coarse(patch)
    assert cells.shape == (*GRID, 2)
    assert cells[1, 3, 1] == 3.0
    assert cells.sum() == 3.0


def test_coarse_of_a_tiny_grid_has_no_empty_cell():
    assert np.isfinite(coarse(np.ones((2, 2, 1), np.float32))).all()


def test_colours_of_the_halves_of_a_thing():
    crop = np.full((40, 20, 3), 128, np.uint8)
    mask = np.zeros((40, 20), bool)
    mask[4:36, 5:15] = True
    crop[4:20, 5:15] = 200, 20, 20
    crop[20:36, 5:15] = 20, 40, 160
    upper, lower = colour_shares([crop], [mask])
    assert TERMS[int(upper.argmax())] == "red"
    assert TERMS[int(lower.argmax())] == "blue"
    assert upper.sum() == pytest.approx(1) and lower.sum() == pytest.approx(1)


def test_no_mask_no_colours():
    assert not colour_shares([np.zeros((4, 4, 3), np.uint8)], [np.zeros((4, 4), bool)]).any()
    assert len(TERMS) == COLOURS
