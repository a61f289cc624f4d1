"""Histograms of flow: true directions and speeds, stillness, and gradients that a moving camera does not change."""

import numpy as np
import pytest

from tvad.flow import C_FLOW, STILL, WAYS, flow_histograms

H, W = 128, 192
CELLS = (8, 12)


def backward(x: float, y: float) -> np.ndarray:
    """Flow back to the frame before of a picture that moves by (x, y) px."""
    return np.broadcast_to(np.array([-x, -y], np.float32), (H, W, 2)).copy()


@pytest.mark.parametrize("way", range(WAYS))
def test_all_goes_one_way(way: int) -> None:
    angle = way * 2 * np.pi / WAYS
    found = flow_histograms(backward(8 * np.cos(angle), 8 * np.sin(angle)), 0.125)
    assert found.shape == (*CELLS, C_FLOW)
    expected = 16 * 8 / H / 0.125  # sixteenths of frame heights a second
    assert found[..., way] == pytest.approx(expected, rel=1e-3)
    others = np.delete(found, way, -1)
    assert np.abs(others).max() < 1e-2


def test_between_two_directions_both_count_and_speed_is_kept() -> None:
    angle = np.pi / WAYS
    found = flow_histograms(backward(8 * np.cos(angle), 8 * np.sin(angle)), 0.125)
    assert found[..., 0] == pytest.approx(found[..., 1], rel=1e-3)
    assert found[..., :WAYS].sum(-1) == pytest.approx(8.0, rel=1e-3)


def test_speeds_do_not_depend_on_the_step_or_the_size() -> None:
    slow = flow_histograms(backward(4, 0), 0.125)
    np.testing.assert_allclose(flow_histograms(backward(8, 0), 0.25), slow, rtol=1e-5)
    larger = np.broadcast_to(np.array([-8, 0], np.float32), (2 * H, 2 * W, 2)).copy()
    assert flow_histograms(larger, 0.125)[..., 0] == pytest.approx(slow[0, 0, 0], rel=1e-5)


def test_what_is_slow_stands_still() -> None:
    px = STILL / 16 * H * 0.125
    assert (flow_histograms(backward(0.9 * px, 0), 0.125)[..., WAYS] == 1).all()
    found = flow_histograms(backward(1.1 * px, 0), 0.125)
    assert (found[..., WAYS] == 0).all() and (found[..., 0] > 0).all()


def test_gradients_do_not_see_a_moving_camera_but_what_goes_another_way() -> None:
    flow = backward(0, 0)
    flow[40:88, 56:120] = [-6, 0]
    still, panned = flow_histograms(flow, 0.125), flow_histograms(flow + backward(5, 3), 0.125)
    np.testing.assert_allclose(panned[..., WAYS + 1 :], still[..., WAYS + 1 :], atol=1e-4)
    horizontal, vertical = still[..., WAYS + 1 : 2 * WAYS + 1], still[..., 2 * WAYS + 1 :]
    assert vertical.max() == 0  # nothing moves up or down anywhere
    assert horizontal[3, 3].sum() > 1 and horizontal[3, 5].max() == 0  # at the left edge, and inside
    assert horizontal[3, 3].argmax() == 0 and horizontal[3, 7].argmax() == WAYS // 2  # faster to the right, slower
