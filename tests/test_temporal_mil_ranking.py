"""MIL ranking: the losses to the digit, which scores they move, and the way from snippets to segments and back."""

import math
from itertools import pairwise

import pytest
import temporal_checks
import torch
from temporal_checks import CLASSES, WIDTH, batch

from tvad.temporal.base import HeadOutput
from tvad.temporal.mil import masked_max, pairs
from tvad.temporal.mil_ranking import MilRanking, MilRankingConfig, edges, paint, segments, smoothness, to_frames

NORMAL, ANOMALOUS = [1.0, 0.0], [0.0, 1.0]


def head(**changes: object) -> MilRanking:
    torch.manual_seed(5)
    return MilRanking(MilRankingConfig(width=WIDTH, **changes))  # type: ignore[arg-type]


def losses_of(
    anomalous: torch.Tensor, normal: torch.Tensor, mask: torch.Tensor | None = None, **changes: object
) -> dict[str, torch.Tensor]:
    """Losses of scores (A, T) and (N, T); mask (A + N, T)."""
    scores = torch.cat([anomalous, normal])
    mask = torch.ones(scores.shape, dtype=torch.bool) if mask is None else mask
    y = torch.tensor([ANOMALOUS] * len(anomalous) + [NORMAL] * len(normal))
    return head(**changes).loss(HeadOutput(scores, scores), y, mask)


def made(count: int, steps: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, steps, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("check", temporal_checks.ALL)
@pytest.mark.parametrize("unit", [True, False])
def test_invariants_of_all_heads(check, unit):
    check(lambda: head(unit=unit))


def test_hand_value():
    found = losses_of(torch.tensor([[0.2, 0.9, 0.4]]), torch.tensor([[0.1, 0.3, 0.2]]), decay=0.0)
    assert found["ranking"].item() == pytest.approx(0.4)
    assert found["smooth"].item() == pytest.approx(0.74)
    assert found["sparse"].item() == pytest.approx(1.5)
    assert found["total"].item() == pytest.approx(0.40017920, abs=5e-8)


def test_at_margin_one_pairing_does_not_matter():
    a, n = made(6, seed=1), made(6, seed=2)
    by_index = (1 - a.amax(1) + n.amax(1)).clamp(min=0).mean()
    plain = 1 - a.amax(1).mean() + n.amax(1).mean()
    found = losses_of(a, n)["ranking"]
    torch.testing.assert_close(found, by_index)
    torch.testing.assert_close(found, plain)
    # With a smaller margin it does.
    by_index = (0.05 - a.amax(1) + n.amax(1)).clamp(min=0).mean()
    assert abs(losses_of(a, n, margin=0.05)["ranking"] - by_index) > 1e-3


def test_a_margin_that_is_kept_costs_nothing():
    a = torch.tensor([[0.1, 0.9, 0.3]], requires_grad=True)
    n = torch.tensor([[0.2, 0.0, 0.1]], requires_grad=True)
    found = losses_of(a, n, margin=0.3)["ranking"]
    found.backward()
    assert found.item() == 0
    assert not a.grad.any() and not n.grad.any()
    assert losses_of(a, n, margin=1.0)["ranking"].item() == pytest.approx(0.3)


def test_ranking_moves_only_the_best_segment_of_each_video():
    a, n = made(3, seed=3).requires_grad_(), made(2, seed=4).requires_grad_()
    losses_of(a, n)["ranking"].backward()
    for scores, sign in ((a, -1.0), (n, 1.0)):
        wanted = torch.zeros_like(scores)
        wanted[torch.arange(len(scores)), scores.argmax(1)] = sign / len(scores)
        torch.testing.assert_close(scores.grad, wanted)


def test_order_of_segments_matters_to_smoothness_alone():
    a, n = made(2, seed=5), made(2, seed=6)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(1))
    before, after = losses_of(a, n), losses_of(a[:, order], n[:, order])
    for name in ("ranking", "sparse", "decay"):
        torch.testing.assert_close(before[name], after[name])
    assert abs(before["smooth"] - after["smooth"]) > 1e-2


def test_regularisers_are_zero_where_they_should_be_and_leave_normal_videos_alone():
    n = made(2)
    assert losses_of(torch.full((2, 8), 0.7), n)["smooth"].item() == 0
    assert losses_of(torch.zeros(2, 8), n)["sparse"].item() == 0
    assert losses_of(torch.full((2, 8), 0.5), n)["sparse"].item() == pytest.approx(4.0)
    n.requires_grad_()
    found = losses_of(made(2, seed=9), n)
    (found["smooth"] + found["sparse"]).backward()
    assert not n.grad.any()


def test_normal_and_anomalous_videos_may_stand_in_any_order():
    a, n = made(5, seed=7), made(3, seed=8)
    torch.testing.assert_close(losses_of(a, n, margin=0.2), losses_of(a.flip(0), n[[2, 0, 1]], margin=0.2))


def test_padding_is_no_segment():
    a, n = made(2, seed=9) * 0.5, made(2, seed=10) * 0.5
    mask = torch.cat([torch.ones(4, 8), torch.zeros(4, 3)], 1).bool()
    wide = [torch.cat([part, torch.ones(2, 3)], 1) for part in (a, n)]
    torch.testing.assert_close(losses_of(*wide, mask=mask), losses_of(a, n))


def test_padding_may_be_anything():
    """Even no number at all, which nothing that is multiplied by zero would survive."""
    x, mask, y = batch()
    found = []
    for filler in (0.0, math.nan):
        model = head(dropout=0.0)
        out = model(torch.where(mask[..., None], x, torch.tensor(filler)), mask)
        assert not out.logits[~mask].any() and not out.scores[~mask].any()
        model.loss(out, y, mask)["total"].backward()
        found.append((out.scores.detach(), [p.grad for p in model.parameters()]))
    torch.testing.assert_close(found[0], found[1])


def test_a_difference_counts_where_both_are_real():
    scores = torch.tensor([[0.0, 1.0, 0.5, 0.1]])
    mask = torch.tensor([[True, True, False, True]])
    assert smoothness(scores, mask).item() == pytest.approx(1.0)


def test_batches_of_one_kind_have_a_loss():
    for odd in (True, False):
        scores = made(3).requires_grad_()
        y = torch.tensor([ANOMALOUS if odd else NORMAL] * 3)
        found = head().loss(HeadOutput(scores, scores), y, torch.ones(3, 8, dtype=torch.bool))
        found["total"].backward()
        assert found["ranking"].item() == 0
        assert torch.isfinite(scores.grad).all() and (scores.grad != 0).any().item() is odd


def test_pairs_and_masked_max_agree_with_a_loop():
    a, n = made(3, seed=11), made(4, seed=12)
    mask = torch.ones(3, 8, dtype=torch.bool)
    top = masked_max(a, mask)
    slow = torch.stack([(0.4 - i + j).clamp(min=0) for i in top for j in n.amax(1)]).mean()
    torch.testing.assert_close(pairs(top, n.amax(1), 0.4), slow)


def test_layers_are_the_published_ones():
    model = MilRanking(MilRankingConfig(width=4096))
    shapes = [tuple(p.shape) for p in model.parameters()]
    assert shapes == [(512, 4096), (512,), (32, 512), (32,), (1, 32), (1,)]
    first = model.layers[0].weight
    assert first.std().item() == pytest.approx((2 / (4096 + 512)) ** 0.5, rel=0.01)
    # A normal distribution: a uniform one of this deviation ends at 1.73 times it.
    assert first.abs().max() > 3 * first.std()
    assert not any(p.any() for p in list(model.parameters())[1::2])
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "Dropout", "Linear"]
    assert [layer.p for layer in model.layers if hasattr(layer, "p")] == [0.6, 0.6]


def test_weights_are_penalised_and_biases_are_not():
    model = head()
    x, mask, y = batch()
    by_hand = sum(p.detach().square().sum().item() for p in model.parameters() if p.ndim == 2)
    assert model.loss(model(x, mask), y, mask)["decay"].item() == pytest.approx(by_hand, rel=1e-5)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 1:
                p.fill_(7.0)
    found = model.loss(model(x, mask), y, mask)
    assert found["decay"].item() == pytest.approx(by_hand, rel=1e-5)
    found["decay"].backward()
    torch.testing.assert_close(model.layers[0].weight.grad, 2 * model.layers[0].weight)
    kept = 8e-5 * (found["smooth"] + found["sparse"]) + 1e-3 / 30 * found["decay"]
    torch.testing.assert_close(found["total"], found["ranking"] + kept)


def test_steps_see_nothing_of_each_other():
    model = head().eval()
    x, _, _ = batch(lengths=(16,))
    mask = torch.ones(1, 16, dtype=torch.bool)
    with torch.no_grad():
        alone = model(x[:, 3:4], mask[:, :1]).scores
        torch.testing.assert_close(model(x, mask).scores[:, 3:4], alone)
        # Features have length 1 inside, or do not.
        torch.testing.assert_close(model(x * 9, mask).scores, model(x, mask).scores)
        assert not torch.allclose(head(unit=False).eval()(x * 9, mask).scores, model(x, mask).scores, atol=1e-2)


@pytest.mark.parametrize("rule", ["floor", "round"])
def test_edges_by_hand(rule):
    wanted = {"floor": [0, 2, 5, 7, 10], "round": [0, 2, 5, 7, 9]}  # linspace(0, 10, 5); linspace(1, 10, 5) less 1
    assert edges(10, 4, rule).tolist() == wanted[rule]
    # Fewer snippets than segments: some are empty.
    few = {"floor": [0, 0, 1, 1, 2], "round": [0, 0, 1, 1, 1]}
    assert edges(2, 4, rule).tolist() == few[rule]


def test_both_rules_differ_by_a_snippet_at_most():
    for steps in range(1, 200):
        assert (edges(steps) - edges(steps, rule="round")).abs().max() <= 1


@pytest.mark.parametrize("rule", ["floor", "round"])
@pytest.mark.parametrize("steps", [1, 2, 7, 31, 32, 33, 100])
def test_segments_are_means_of_their_snippets(rule, steps):
    x = torch.randn(steps, 5, generator=torch.Generator().manual_seed(steps))
    bounds = edges(steps, 32, rule).tolist()
    slow = [x[b:e].mean(0) if e > b else x[b] for b, e in pairwise(bounds)]
    torch.testing.assert_close(segments(x, rule=rule), torch.stack(slow))
    assert segments(x, 4, rule).shape == (4, 5)


def test_the_published_rule_leaves_the_last_snippet_out():
    x = torch.zeros(64, 1)
    x[-1] = 1.0
    assert segments(x, rule="floor")[-1].item() == 0.5
    assert not segments(x, rule="round").any()


def test_as_many_segments_as_snippets_are_the_snippets():
    x = torch.randn(32, 3)
    assert torch.equal(segments(x), x)
    scores = torch.rand(32)
    assert torch.equal(paint(scores, 32), scores)


@pytest.mark.parametrize("rule", ["floor", "round"])
def test_scores_go_back_to_their_snippets(rule):
    scores = torch.tensor([0.1, 0.2, 0.3, 0.4])
    # Under "round" the last snippet is in no segment and holds the last score.
    assert paint(scores, 10, rule).tolist() == pytest.approx([0.1] * 2 + [0.2] * 3 + [0.3] * 2 + [0.4] * 3)
    assert paint(scores, 1, rule).tolist() == pytest.approx([0.4])


@pytest.mark.parametrize("rule", ["floor", "round"])
def test_a_painted_snippet_is_part_of_its_segment(rule):
    # Features that name their snippet: a segment's mean lies between its own snippets.
    for steps in (5, 32, 47, 90):
        where = paint(torch.arange(32.0), steps, rule).long()
        bounds = edges(steps, 32, rule)
        for snippet in range(steps - 1):
            assert bounds[where[snippet]] <= snippet < bounds[where[snippet] + 1]
        assert (where.diff() >= 0).all() and where[-1] == 31


def test_scores_of_snippets_on_frames():
    scores = torch.tensor([0.1, 0.9])
    assert to_frames(scores, 20).tolist() == pytest.approx([0.1] * 16 + [0.9] * 4)
    assert to_frames(scores, 40).tolist() == pytest.approx([0.1] * 16 + [0.9] * 24)


def test_errors_say_what_is_allowed():
    for changes, said in (
        ({"hidden": 0}, "hidden is 0; it must be at least 1"),
        ({"dropout": 1.0}, r"dropout is 1.0; it must be in \[0, 1\)"),
        ({"margin": 0.0}, "margin is 0.0; it must be above 0"),
        ({"smooth": -1.0}, "smooth is -1.0; it must be 0 or more"),
    ):
        with pytest.raises(ValueError, match=said):
            head(**changes)
    with pytest.raises(ValueError, match="rule is 'ceil'; choose one of"):
        edges(5, 4, "ceil")
    with pytest.raises(ValueError, match="0 snippets"):
        segments(torch.zeros(0, 3))
    x, mask, _ = batch()
    with pytest.raises(ValueError, match="labels"):
        head().loss(head()(x, mask), torch.zeros(4, CLASSES), mask)
