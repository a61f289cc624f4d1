"""Pseudo labels of snippets from class probabilities of image-text models, and the losses that learn from them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from temporal_checks import STEPS, WIDTH, batch

from tvad.temporal.afr import (
    Afr,
    AfrConfig,
    balanced,
    best_steps,
    focal,
    level_maxima,
    mean_direction,
    share_count,
    triplet,
)
from tvad.temporal.pseudo_labels import (
    class_probabilities,
    class_share,
    pseudo_labels,
    runs_above,
    snippet_maxima,
    spread_to_frames,
    training_window,
    unit_range,
)

TEXTS = np.eye(3, 4)
FAST = AfrConfig(WIDTH, hidden=32, levels=3, stem=1)


def test_probabilities_are_a_softmax_over_the_anomaly_classes() -> None:
    images = np.array([[5.0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 2]])
    found = class_probabilities(images, TEXTS, scale=2.0)
    np.testing.assert_allclose(found.sum(1), 1)
    np.testing.assert_allclose(found[0], np.exp([2, 0, 0]) / (np.exp(2) + 2))  # the length of an image is nothing
    np.testing.assert_allclose(found[1], np.exp([0, 2**0.5, 2**0.5]) / (1 + 2 * np.exp(2**0.5)))
    np.testing.assert_allclose(found[2], 1 / 3)


def test_large_scales_do_not_overflow() -> None:
    found = class_probabilities(TEXTS[:1], TEXTS, scale=1e4)
    np.testing.assert_allclose(found, [[1, 0, 0]], atol=1e-12)


def test_one_class_stands_against_normal() -> None:
    images = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    found = class_probabilities(images, TEXTS[:1], scale=3.0, normal=TEXTS[1])
    np.testing.assert_allclose(found, [[1 / (1 + np.exp(-3))], [1 / (1 + np.exp(3))]])
    with pytest.raises(ValueError, match="needs the text of normal"):
        class_probabilities(images, TEXTS[:1])


def test_several_classes_of_a_video_are_added() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    np.testing.assert_allclose(class_share(probabilities, np.array([1, 0, 0])), [0.5, 0.1])
    np.testing.assert_allclose(class_share(probabilities, np.array([0, 1, 1])), [0.5, 0.9])


def test_samples_are_spread_linearly() -> None:
    np.testing.assert_allclose(spread_to_frames(np.array([0.0, 1.0]), 4.0, 7), [0, 0.25, 0.5, 0.75, 1, 1, 1])


def test_range_is_zero_to_one_and_constants_are_zero() -> None:
    np.testing.assert_allclose(unit_range(np.array([0.2, 0.4, 0.3])), [0, 1, 0.5])
    assert unit_range(np.full(4, 0.7)).tolist() == [0, 0, 0, 0]


def test_a_snippet_has_its_largest_frame() -> None:
    values = np.zeros(40)
    values[[3, 31, 39]] = [0.5, 0.25, 0.75]
    assert snippet_maxima(values).tolist() == [0.5, 0.25, 0.75]
    assert snippet_maxima(values, 2).tolist() == [0.5, 0.25]
    assert snippet_maxima(values, 4).tolist() == [0.5, 0.25, 0.75, 0.75]


def test_backbones_are_averaged_after_each_is_brought_to_range() -> None:
    # Two looks a snippet apart; the second has ten times the range of the first.
    first, second = np.array([0.0, 0.1, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, 0.5])
    labels = pseudo_labels([first, second], every=16.0, frames=64)
    # Means at frames 16 · (0, 1, 2, 3) are 0, 1/2, 1/2, 1/4; frame 15 is 15/16 of the way to the first peak.
    np.testing.assert_allclose(labels, [15 / 16, 1, 1, 31 / 32 - 1 / 2 + 1 / 32], atol=1e-6)
    assert labels.dtype == np.float32


def test_normal_videos_and_constants_have_none() -> None:
    look = np.array([0.1, 0.9, 0.3])
    assert pseudo_labels([look], 16.0, 48, normal=True).tolist() == [0, 0, 0]
    assert pseudo_labels([np.full(3, 0.9)], 16.0, 48).tolist() == [0, 0, 0]
    assert pseudo_labels([look], 16.0, 48).max() == 1
    assert len(pseudo_labels([look], 16.0, 48, snippets=2)) == 2


def test_runs() -> None:
    labels = np.array([0.9] * 5 + [0.45] + [0.9] * 4 + [0.1] + [0.5] * 6)
    assert runs_above(labels).tolist() == [[0, 5], [11, 17]]
    assert runs_above(np.zeros(3)).tolist() == []


def test_windows_cover_half_of_a_run() -> None:
    labels = np.zeros(300)
    labels[40:60] = 0.8
    labels[200:203] = 1.0  # too short for a run
    starts = [training_window(300, 32, np.random.default_rng(seed), labels) for seed in range(50)]
    assert all(min(s + 32, 60) - max(s, 40) >= 10 for s in starts)
    assert len(set(starts)) > 5


def test_windows_elsewhere_are_any() -> None:
    dice = np.random.default_rng(0)
    assert training_window(32, 32, dice) == 0
    assert training_window(5, 32, dice) == 0
    for labels in (None, np.zeros(40)):
        assert {training_window(40, 38, dice, labels) for _ in range(60)} == {0, 1, 2}
    # Half of a run that is longer than two windows cannot be covered; it ends, all the same.
    assert 0 <= training_window(100, 10, dice, np.ones(100)) <= 90


@pytest.mark.parametrize(
    "call",
    [
        lambda: class_probabilities(np.ones((2, 3)), TEXTS),
        lambda: class_share(np.ones((2, 3)), np.ones(2)),
        lambda: spread_to_frames(np.ones(3), 0.0, 4),
        lambda: snippet_maxima(np.ones(0)),
        lambda: pseudo_labels([], 1.0, 4),
        lambda: training_window(10, 4, np.random.default_rng(0), np.ones(9)),
    ],
)
def test_what_does_not_fit_is_refused(call: object) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=r"expected|give"):
        call()


# What learns from them (tvad/temporal/afr.py)


def test_max_pooled_pseudo_labels() -> None:
    levels = level_maxima(torch.tensor([[0.0, 0.9, 0.1, 0.2]]), 2)
    torch.testing.assert_close(levels[1], torch.tensor([[0.9, 0.2]]))
    assert (levels[1] > 0.45).long().tolist() == [[1, 0]]
    assert [v.shape[1] for v in level_maxima(torch.zeros(1, 11), 5)] == [11, 6, 3, 2, 1]


def test_focal_loss() -> None:
    half, one = torch.zeros(1), torch.ones(1)
    torch.testing.assert_close(focal(half, one, 0.2, 1.0), torch.tensor([0.0693147]), rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(focal(half, half, 0.2, 1.0), torch.tensor([0.4 * math.log(2)]))
    logits, targets = torch.randn(50), (torch.rand(50) > 0.5).float()
    cross = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    torch.testing.assert_close(focal(logits, targets, 0.5, 0.0), cross / 2)
    far = torch.tensor([200.0, -200.0], requires_grad=True)
    focal(far, torch.tensor([1.0, 0.0]), 0.2, 0.5).sum().backward()
    assert far.grad is not None and torch.isfinite(far.grad).all()


def test_triplet() -> None:
    a, n = torch.tensor([[0.6, 0.8]]), torch.tensor([[-0.8, 0.6]])
    assert triplet(a, a, n).item() == 0  # sqrt(2) apart, more than the margin
    assert triplet(a, a, a).item() == 1
    torch.testing.assert_close(triplet(a, n, a), torch.tensor(1 + math.sqrt(2)))
    leaf = a.clone().requires_grad_()
    triplet(leaf, leaf, leaf).backward()
    assert leaf.grad is not None and torch.isfinite(leaf.grad).all()


def test_triplet_takes_the_best_steps() -> None:
    values = torch.tensor([[0.1, 0.9, 0.9, 0.9, 5.0], [0.2, 5.0, 5.0, 5.0, 5.0]])
    mask = torch.arange(5)[None] < torch.tensor([[4], [1]])
    chosen = best_steps(values, mask, 2)
    assert chosen.long().tolist() == [[0, 1, 1, 0, 0], [1, 0, 0, 0, 0]]
    x = torch.randn(2, 5, 3)
    mean = x[0, 1:3].mean(0)
    torch.testing.assert_close(mean_direction(x, chosen)[0], mean / mean.norm())
    lengths = torch.arange(16)[None] < torch.tensor([[16], [4]])
    assert [share_count(lengths, u) for u in (0.01, 0.2, 0.3, 0.31)] == [1, 2, 3, 4]


def test_the_sum_at_beta_one() -> None:
    losses, beta = torch.tensor([0.3, 1.2, 0.7]), torch.ones(3, requires_grad=True)
    total = balanced(losses, beta, "seed")
    torch.testing.assert_close(total, losses.sum() + 2.0794415)
    total.backward()
    torch.testing.assert_close(beta.grad, -2 * losses + 0.5)
    other = torch.tensor([0.5, 2.0, 1.5], requires_grad=True)
    balanced(losses, other, "seed").backward()
    value = other.detach()
    torch.testing.assert_close(other.grad, -2 * losses / value**3 + 1 / (1 + value))


def test_the_sign_of_beta_is_irrelevant_and_zero_is_no_pole() -> None:
    losses, beta = torch.tensor([0.3, 1.2]), torch.tensor([0.5, 3.0])
    told = (losses / beta**2).sum() + (1 + beta**2).log().sum()
    torch.testing.assert_close(balanced(losses, beta), told)
    torch.testing.assert_close(balanced(losses, -beta), told)
    torch.testing.assert_close(balanced(losses, beta, "reference"), told - (losses / beta**2).sum() / 2)
    assert torch.isfinite(balanced(losses, torch.zeros(2)))


def test_without_pseudo_labels_only_the_video_is_learned_from() -> None:
    head = Afr(FAST).eval()
    x, mask, y = batch()
    out = head(x, mask)
    losses = head.loss(out, y, mask)
    assert set(losses) == {"cls", "total"}
    torch.testing.assert_close(losses["total"], losses["cls"] + math.log(2))
    normal, sick = y.clone(), y.clone()
    normal[:] = torch.tensor([1.0, 0, 0, 0])
    sick[:] = torch.tensor([0.0, 1, 0, 0])
    pseudo = torch.rand(mask.shape)
    assert set(head.loss(out, normal, mask, pseudo)) == {"cls", "total"}
    assert set(head.loss(out, sick, mask, pseudo)) == {"cls", "pseudo", "total"}


def test_pseudo_labels_are_learned_from_where_a_video_is_anomalous() -> None:
    torch.manual_seed(0)
    head = Afr(FAST).eval()
    x, mask, y = batch()
    out = head(x, mask)
    pseudo = torch.rand(mask.shape)
    changed = torch.where(y[:, :1] > 0, 1 - pseudo, pseudo)
    here = [head.loss(out, y, mask, p)["pseudo"] for p in (pseudo, changed, 1 - pseudo)]
    assert torch.equal(here[0], here[1]) and not torch.isclose(here[0], here[2])
    # All steps of all levels of the two anomalous videos count the same.
    told = []
    for logits, level, target in zip(
        out.aux["level_logits"], out.aux["levels"], level_maxima(pseudo * mask, 3), strict=True
    ):
        for n in (0, 2):
            told.append(focal(logits[n], (target[n] > 0.45).float(), 0.2, 1.0)[level.mask[n]])
    torch.testing.assert_close(here[0], torch.cat(told).mean())


def test_the_triplet_of_a_head_by_hand() -> None:
    torch.manual_seed(0)
    head = Afr(replace(FAST, levels=1)).eval()
    x, mask, y = batch(lengths=(16, 16))  # anomalous, normal
    out = head(x, mask)
    features, pseudo = out.aux["levels"][0].features, torch.rand(mask.shape)
    rows = [(0, out.aux["level_logits"][0], 4), (0, pseudo, 4), (1, out.aux["level_logits"][0], 5)]
    a, p, n = (F.normalize(features[row, by[row].topk(k).indices].mean(0), dim=0) for row, by, k in rows)
    told = 1 + (a - p).norm() - (a - n).norm()
    assert float(told.detach()) > 0
    torch.testing.assert_close(head.loss(out, y, mask, pseudo)["triplet"], told)


def test_the_triplet_draws_in_training_only() -> None:
    torch.manual_seed(0)
    head = Afr(FAST)
    x, mask, y = batch(lengths=(16, 16, 16, 16))
    pseudo = torch.rand(mask.shape)
    out = head(x, mask)
    found = {float(head.loss(out, y, mask, pseudo)["triplet"].detach()) for _ in range(12)}
    assert len(found) > 1
    seeded = []
    for _ in range(2):
        torch.manual_seed(4)
        seeded.append(float(head.loss(out, y, mask, pseudo)["triplet"].detach()))
    assert seeded[0] == seeded[1]
    head.eval()
    assert len({float(head.loss(out, y, mask, pseudo)["triplet"].detach()) for _ in range(3)}) == 1


@pytest.mark.parametrize(
    "wrong", [torch.zeros(4, STEPS - 1), torch.full((4, STEPS), 1.5), torch.full((4, STEPS), math.nan)]
)
def test_wrong_pseudo_labels_are_refused(wrong: torch.Tensor) -> None:
    head = Afr(FAST).eval()
    x, mask, y = batch()
    with pytest.raises(ValueError, match="pseudo labels"):
        head.loss(head(x, mask), y, mask, wrong)
