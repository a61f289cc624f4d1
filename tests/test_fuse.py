"""Fusing the rarities of memory and words."""

import numpy as np
import pytest

from heatmap.fuse import ALONE, SUPPORT_FROM, beside, either, fuse

NOTHING = np.full(1, -1e3)
GRID = np.linspace(-20, 40, 61)


@pytest.mark.parametrize("scene", [False, True])
def test_words_that_find_nothing_change_nothing(scene: bool) -> None:
    for words in (SUPPORT_FROM, -50.0, -np.inf):
        assert fuse(GRID, np.full(61, words), scene) == pytest.approx(GRID, abs=1e-5)


@pytest.mark.parametrize("scene", [False, True])
def test_fused_is_never_below_the_memory(scene: bool) -> None:
    memory, words = np.meshgrid(GRID, GRID)
    assert (fuse(memory, words, scene) >= memory.astype(np.float32)).all()


@pytest.mark.parametrize("scene", [False, True])
def test_fused_never_falls_when_a_part_rises(scene: bool) -> None:
    fused = fuse(*np.meshgrid(GRID, GRID), scene)
    assert (np.diff(fused, axis=0) >= 0).all()
    assert (np.diff(fused, axis=1) > 0).any()
    assert (np.diff(fused, axis=1) >= 0).all()


@pytest.mark.parametrize(("scene", "share"), [(False, 2), (True, 20)])
def test_words_alone_get_a_share_of_the_promised_rate(scene: bool, share: int) -> None:
    needed = np.log(share)  # nats rarer than the threshold at 0
    assert fuse(NOTHING, np.array([needed + 0.01]), scene)[0] > 0
    assert fuse(NOTHING, np.array([needed - 0.01]), scene)[0] < 0


def test_words_lift_a_memory_just_below_the_threshold() -> None:
    memory = np.array([-0.5])
    assert fuse(memory, np.array([0.0]), True)[0] > 0 > fuse(memory, np.array([-2.9]), True)[0]


def test_rarer_words_support_more() -> None:
    fused = fuse(np.full(3, 5.0), np.array([-3.0, 0.0, 3.0]), True)
    assert np.diff(fused).tolist() == pytest.approx([0.9, 0.9], abs=1e-5)


def test_shape_is_kept_and_cells_do_not_mix() -> None:
    memory, words = np.zeros((2, 3, 4, 5))
    words -= 10
    words[1, 2, 3] = 8
    fused = fuse(memory, words, False)
    assert fused.shape == (3, 4, 5)
    assert fused.dtype == np.float32
    assert np.argwhere(fused > 0).tolist() == [[1, 2, 3]]


def test_either_of_one_is_that_one() -> None:
    assert either([GRID]) == pytest.approx(GRID, abs=1e-5)


def test_either_pays_for_every_part() -> None:
    fused = either([GRID, np.full(61, -50.0), NOTHING.repeat(61)])
    assert fused == pytest.approx(np.maximum(GRID, -50) - np.log(3), abs=1e-5)


def test_nothing_cannot_be_fused() -> None:
    with pytest.raises(ValueError, match="no part"):
        either([])


def test_a_head_beside_them_raises_alone_and_never_lowers() -> None:
    fused, head = np.array([-7.0, 2.0, -7.0]), np.array([1.0, -12.0, -6.5])
    for scene in (False, True):
        found = beside(fused, head, scene)
        assert (found >= fused).all() and found[1] == 2.0
        assert found[0] == pytest.approx(1.0 - ALONE[scene])
    assert beside(fused, head, True)[0] < beside(fused, head, False)[0]
