"""The perturbed top-k of CLIP-TSA: weights, their gradient against formula and expectation, and the fixed noise."""

import math

import pytest
import torch
from torch import nn

from tvad.temporal.clip_tsa import best, fixed_noise, perturbed_top_k


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def count_of(rows: int, k: int) -> torch.Tensor:
    return torch.full((rows,), k)


def test_no_noise_is_the_hard_choice():
    u = drawn(6, 16)
    w = perturbed_top_k(u, count_of(6, 5), drawn(1, 50, 16, seed=1), sigma=1e-9)
    assert torch.equal(w, best(u, count_of(6, 5)))
    wanted = torch.zeros_like(u).scatter(1, u.topk(5, dim=1).indices, 1.0)
    assert torch.equal(w, wanted)


def test_a_shift_of_all_scores_changes_nothing():
    u, noise = drawn(3, 16), drawn(1, 100, 16, seed=1)
    once, shifted = (perturbed_top_k(v, count_of(3, 4), noise, 0.5) for v in (u, u + 3.7))
    assert torch.equal(once, shifted)
    assert ((once > 0) & (once < 1)).any()


def jacobian(u: torch.Tensor, k: int, samples: int, sigma: float, centred: bool = False) -> torch.Tensor:
    """(T, T): of weight t by score e."""
    noise = drawn(1, samples, len(u), seed=2)
    found = torch.autograd.functional.jacobian(
        lambda v: perturbed_top_k(v[None], count_of(1, k), noise, sigma, centred)[0], u
    )
    assert isinstance(found, torch.Tensor)
    return found


def test_rows_of_the_jacobian_sum_to_zero_and_it_is_symmetric():
    u = torch.tensor([0.50, 0.46, 0.53, 0.40], dtype=torch.float64)
    found = jacobian(u, 2, 100_000, 0.05)
    size = found.abs().max()
    assert size > 2
    assert found.sum(1).abs().max() < 0.06 * size
    assert (found - found.T).abs().max() < 0.06 * size


def test_gradient_is_that_of_the_expected_weight():
    # Of two, the chance that the first is above the second is a normal distribution function.
    sigma, gap = 0.05, 0.03
    u = torch.tensor([0.5 + gap, 0.5], dtype=torch.float64)
    spread = sigma * math.sqrt(2)
    slope = math.exp(-0.5 * (gap / spread) ** 2) / math.sqrt(2 * math.pi) / spread
    wanted = torch.tensor([[slope, -slope], [-slope, slope]], dtype=torch.float64)
    for centred in (False, True):
        torch.testing.assert_close(jacobian(u, 1, 200_000, sigma, centred), wanted, rtol=0.03, atol=0.03)
    chance = 0.5 * (1 + math.erf(gap / spread / math.sqrt(2)))
    w = perturbed_top_k(u[None], count_of(1, 1), drawn(1, 200_000, 2, seed=2), sigma)
    assert w[0, 0].item() == pytest.approx(chance, abs=0.004)


def test_gradient_is_the_formula_of_the_estimator():
    u, noise, x = drawn(2, 6).requires_grad_(), drawn(2, 30, 6, seed=1), drawn(2, 6, 4, seed=2)
    wanted_x, sigma = drawn(2, 6, 4, seed=3), 0.4
    w = perturbed_top_k(u, torch.tensor([2, 3]), noise, sigma)
    (w[..., None] * x * wanted_x).sum().backward()
    among = best(u.detach()[:, None] + sigma * noise, torch.tensor([[2], [3]]).expand(2, 30))
    slow = torch.zeros(2, 6, dtype=torch.float64)
    for b in range(2):
        for n in range(30):
            gain = sum(among[b, n, t] * (wanted_x[b, t] * x[b, t]).sum() for t in range(6))
            slow[b] += gain * noise[b, n] / (30 * sigma)
    torch.testing.assert_close(u.grad, slow)


def test_centring_varies_less_and_leaves_weights_alone():
    u, far = drawn(1, 8), 50 + drawn(8, seed=4)
    found: dict[bool, list[torch.Tensor]] = {True: [], False: []}
    for seed in range(40):
        noise = drawn(1, 50, 8, seed=100 + seed)
        for centred, rows in found.items():
            v = u.clone().requires_grad_()
            w = perturbed_top_k(v, count_of(1, 3), noise, 0.5, centred)
            (w[0] * far).sum().backward()
            assert v.grad is not None
            rows.append(v.grad[0])
    with_, without = (torch.stack(found[c]) for c in (True, False))
    assert with_.std(0).mean() < 0.3 * without.std(0).mean()
    close = 4 * without.std(0) / math.sqrt(40)
    assert ((with_.mean(0) - without.mean(0)).abs() < close).all()


def test_padding_has_no_weight_and_no_gradient():
    u = torch.tensor([[0.4, 0.5, -math.inf, -math.inf]], requires_grad=True)
    for centred in (False, True):
        u.grad = None
        w = perturbed_top_k(u, count_of(1, 1), drawn(1, 200, 4).float(), 0.2, centred)
        (w * torch.tensor([1.0, 2.0, 9.0, 9.0])).sum().backward()
        assert w.sum().item() == pytest.approx(1) and not w[:, 2:].any()
        assert u.grad is not None and (u.grad[:, :2] != 0).all() and not u.grad[:, 2:].any()


def test_membership_is_the_ordered_rows_summed():
    u, noise = drawn(4, 10), drawn(4, 60, 10, seed=1)
    order = (u[:, None] + 0.5 * noise).topk(3, dim=-1).indices.sort(-1).values
    rows = nn.functional.one_hot(order, 10).double().mean(1)  # (B, k, T)
    torch.testing.assert_close(perturbed_top_k(u, count_of(4, 3), noise, 0.5), rows.sum(1))


def test_hand_example():
    u = torch.tensor([[0.9, 0.1, 0.8, 0.2]])
    w = perturbed_top_k(u, count_of(1, 2), torch.randn(1, 100, 4, generator=torch.Generator().manual_seed(0)), 0.05)
    assert w.tolist() == [[1.0, 0.0, 1.0, 0.0]]


def test_equals_are_chosen_in_their_order():
    assert best(torch.zeros(2, 5), torch.tensor([2, 4])).tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]
    # Few equals stand in their order after any sort.
    assert best(torch.zeros(300), torch.tensor(7)).nonzero().flatten().tolist() == list(range(7))


def test_fixed_noise_is_normal_and_a_longer_row_begins_as_a_shorter_one():
    long = fixed_noise(100, 200, 0)
    for steps in (1, 15, 64, 65):
        assert torch.equal(fixed_noise(100, steps, 0), long[:, :steps])
    assert abs(long.mean()) < 0.03 and abs(long.std() - 1) < 0.03
    assert not torch.equal(long[:, :64], long[:, 64:128])
    assert not torch.equal(fixed_noise(100, 8, 1), long[:, :8])
