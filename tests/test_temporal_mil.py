"""Pooling over time: invariant 5 of all heads (specification of the heads, README) and its table of top-k rules."""

import math

import pytest
import torch
from temporal_checks import batch

from tvad.temporal.clip_tsa import ClipTsaConfig
from tvad.temporal.mil import k_share, k_sixteenth, k_tenth, masked_max, masked_mean, masked_softmax, top_k

LENGTHS = (16, 9, 1, 12)


@pytest.mark.parametrize("columns", [None, 3])
def test_with_k_1_the_pool_is_the_maximum_and_with_k_n_the_mean(columns: int | None) -> None:
    x, mask, _ = batch(lengths=LENGTHS)
    values = x[..., 0] if columns is None else x[..., :columns]
    # What stands on padding is the largest there is.
    values = torch.where(mask if columns is None else mask[..., None], values, 99.0)
    n = mask.sum(1)
    rows = [values[row, :length] for row, length in enumerate(LENGTHS)]
    assert torch.equal(top_k(values, mask, torch.ones(4).long()), torch.stack([r.amax(0) for r in rows]))
    torch.testing.assert_close(top_k(values, mask, torch.ones(4).long()), masked_max(values, mask))
    torch.testing.assert_close(top_k(values, mask, n), torch.stack([r.mean(0) for r in rows]))
    torch.testing.assert_close(top_k(values, mask, n), masked_mean(values, mask))
    assert torch.equal(top_k(values, mask, n + 5), top_k(values, mask, n))  # no more than there are


def test_each_video_has_a_k_of_its_own_and_columns_are_pooled_apart() -> None:
    values = torch.tensor([[[4.0, 1.0], [2.0, 5.0], [0.0, 3.0]], [[1.0, 0.0], [3.0, 8.0], [7.0, 2.0]]])
    mask = torch.ones(2, 3, dtype=torch.bool)
    assert top_k(values, mask, torch.tensor([1, 2])).tolist() == [[4.0, 5.0], [5.0, 5.0]]


def test_only_what_is_chosen_gets_a_gradient() -> None:
    values = torch.tensor([[0.2, 0.9, 0.5, 7.0]], requires_grad=True)
    top_k(values, torch.tensor([[True, True, True, False]]), torch.tensor([2])).sum().backward()
    assert values.grad is not None and values.grad.tolist() == [[0.0, 0.5, 0.5, 0.0]]


def test_the_rules_of_the_papers() -> None:
    n = torch.tensor([1, 15, 16, 31, 32, 256])
    assert k_sixteenth(n).tolist() == [1, 1, 2, 2, 3, 17]  # VadCLIP, DSANet, Fine-VAD; RefineVAD by our choice
    assert k_tenth(n).tolist() == [math.ceil(v / 10) for v in n.tolist()] == [1, 2, 2, 4, 4, 26]  # AFR
    assert [int(k_share(torch.tensor([32]), rho)) for rho in (0.95, 0.90, 0.01)] == [30, 28, 1]  # CLIP-TSA's weights
    assert k_share(torch.tensor([1, 10, 20]), 0.3).tolist() == [1, 3, 6]
    assert ClipTsaConfig(width=512).picked == 32 // 10  # and what it picks by the length of features


def test_softmax_is_over_real_steps_alone() -> None:
    values = torch.tensor([[0.0, math.log(3), 50.0]])
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(masked_softmax(values, mask), torch.tensor([[0.25, 0.75, 0.0]]))
