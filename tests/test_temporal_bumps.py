"""RefineVAD's smoothing: peaks, and the bumps that a video's scores should form."""

import pytest
import torch

from tvad.temporal.refinevad import find_peaks, smoothing_loss


def test_peaks_are_the_largest_with_room_between_them() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.8, 0.3, 0.7, 0.2], [0.5, 0.4, 0.0, 0.0, 0.0, 0.0]])
    mask = torch.arange(6) < torch.tensor([[6], [2]])
    steps, there = find_peaks(scores, mask, 3, 2)
    # 2 is too near to 1; after 1 and 4 none is left, nor in a video of two snippets.
    assert steps[0, :2].tolist() == [1, 4] and steps[1, 0].item() == 0
    assert there.tolist() == [[True, True, False], [True, False, False]]


def test_one_bump_of_the_right_width_costs_nothing() -> None:
    time = torch.arange(16.0)
    mask = torch.ones(1, 16, dtype=torch.bool)
    sigma = torch.tensor([2.5])
    bump = 0.8 * torch.exp(-0.5 * ((time - 6) / 2.5).square())[None]
    assert float(smoothing_loss(bump, mask, sigma, 1, 2)) == pytest.approx(0, abs=1e-12)
    assert float(smoothing_loss(bump, mask, torch.tensor([1.5]), 1, 2)) > 1e-3
    # Two more peaks on its sides would make the target broader.
    assert float(smoothing_loss(bump, mask, sigma, 3, 2)) > 1e-3


def test_a_flat_curve_costs_unless_bumps_are_wide() -> None:
    mask = torch.ones(1, 16, dtype=torch.bool)
    flat = torch.full((1, 16), 0.5)
    assert float(smoothing_loss(flat, mask, torch.tensor([1.7]), 3, 2)) > 0.05
    assert float(smoothing_loss(flat, mask, torch.tensor([1e4]), 3, 2)) == pytest.approx(0, abs=1e-6)


def test_several_bumps_are_as_high_together_as_the_highest_peak() -> None:
    """Specification of RefineVAD, "Losses": the mixture's largest value is 1, times the highest score."""
    scores = torch.tensor([[0.9, 0.1, 0.2, 0.1, 0.6, 0.3]])
    time, sigma = torch.arange(6.0), 1.5
    mixture = sum(h / 1.5 * torch.exp(-0.5 * ((time - at) / sigma).square()) for at, h in ((0, 0.9), (4, 0.6)))
    assert isinstance(mixture, torch.Tensor) and mixture.max() < 0.7
    wanted = (scores[0] - 0.9 * mixture / mixture.max()).square().mean()
    found = smoothing_loss(scores, torch.ones(1, 6, dtype=torch.bool), torch.tensor([sigma]), 2, 2)
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)
