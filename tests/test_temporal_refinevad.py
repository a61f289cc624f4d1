"""RefineVAD: the shift and its gradient, the weights of categories, the injection and the three losses."""

import dataclasses
import math
from collections.abc import Callable

import pytest
import temporal_checks as checks
import torch
import torch.nn.functional as F

from tvad.temporal.core import Core, category_weights, label_embedding
from tvad.temporal.motar import Motar, channel_masks, motion, positions, shift, standardised
from tvad.temporal.refinevad import (
    BumpWidth,
    RefineVad,
    RefineVadConfig,
    category_loss,
    class_log_probs,
    smoothing_loss,
)

SMALL = RefineVadConfig(width=checks.WIDTH, classes=checks.CLASSES, hidden=32, category_hidden=32, score_hidden=32)
MODES = {
    "default": {},
    "hard": {"motar_gate": "hard"},
    "const": {"motar_gate": "const"},
    "pooled": {"core_attn": "pooled"},
    "none": {"core_attn": "none"},
    "half the labels": {"gt_inject_prob": 0.5, "category_tau": 1.0, "mil_bce": 1.0},
    "without MoTAR": {"motar": False},
    "without CORE": {"core": False},
    "base": {"motar": False, "core": False},
}


def made(**changes: object) -> RefineVad:
    torch.manual_seed(0)
    return RefineVad(dataclasses.replace(SMALL, **changes))  # type: ignore[arg-type]


def motar(gate: str = "ste", seed: int = 0) -> Motar:
    torch.manual_seed(seed)
    return Motar(32, gate, 2, 1.0, 16, 1, 4, 0.1).eval()


def core(injection: str = "segment_query", seed: int = 0, label_prob: float = 1.0) -> Core:
    torch.manual_seed(seed)
    return Core(32, 3, injection, 4, 0.1, label_prob, 16)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("check", checks.ALL, ids=lambda f: f.__name__)
def test_what_every_head_must_pass(check: Callable[[checks.Maker], None], mode: str) -> None:
    check(lambda: made(**MODES[mode]))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("hidden", 30, "multiple of heads"),
        ("classes", 1, "at least 2"),
        ("fold_div", 1, "at least 2"),
        ("motar_gate", "soft", "choose one of"),
        ("core_attn", "literal", "choose one of"),
        ("category_tau", 0.0, "above 0"),
        ("gt_inject_prob", 1.5, r"in \[0, 1\]"),
        ("dropout", 1.0, r"in \[0, 1\)"),
        ("mil_bce", -1.0, "at least 0"),
    ],
)
def test_a_wrong_setting_is_refused(field: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(SMALL, **{field: value})  # type: ignore[arg-type]


# MoTAR


def test_no_shift_is_the_identity() -> None:
    x, mask, _ = checks.batch()
    assert torch.equal(shift(x, mask, torch.zeros(mask.shape), 8), x)


def test_the_shift_of_the_worked_example() -> None:
    x = torch.arange(24.0).reshape(1, 3, 8)
    mask = torch.ones(1, 3, dtype=torch.bool)
    wanted = [[0, 0, 10, 11, 4, 5, 6, 7], [0, 1, 18, 19, 12, 13, 14, 15], [8, 9, 0, 0, 20, 21, 22, 23]]
    assert shift(x, mask, torch.full((1, 3), 0.5), 2)[0].tolist() == wanted


def test_the_last_real_step_sees_zeros_after_it_not_padding() -> None:
    x = torch.arange(24.0).reshape(1, 3, 8) + 100
    mask = torch.tensor([[True, True, False]])
    out = shift(x, mask, torch.full((1, 3), 0.5), 2)
    assert out[0, 1].tolist() == [100, 101, 0, 0, 112, 113, 114, 115]


def test_ratios_lie_between_0_and_1_and_differ() -> None:
    x, mask, _ = checks.batch()
    ratio = motar().ratio(5 * x, mask)
    assert bool(((ratio > 0) & (ratio < 1)).all()) and ratio[0].detach().std() > 1e-3
    assert torch.equal(motar("const").ratio(x, mask), torch.full(mask.shape, 0.5))


def test_straight_through_says_the_same_as_hard_to_the_bit() -> None:
    x, mask, _ = checks.batch()
    ratio = torch.rand(mask.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(shift(x, mask, ratio, 2, tau=1.0), shift(x, mask, ratio, 2))
    assert torch.equal(motar("ste")(x, mask)[0], motar("hard")(x, mask)[0])
    before, after = channel_masks(ratio, 32, 2, tau=1.0)
    assert set(before.unique().tolist()) | set(after.unique().tolist()) == {0.0, 1.0}


def test_only_straight_through_trains_the_predictor() -> None:
    x, mask, _ = checks.batch()
    grads = {}
    for gate in ("ste", "hard"):
        part = motar(gate)
        part(x, mask)[0].square().sum().backward()
        grads[gate] = part.predictor[0].weight.grad
    assert grads["ste"] is not None and float(grads["ste"].abs().max()) > 0
    assert grads["hard"] is None


def test_the_straight_through_gradient_is_that_of_the_soft_masks() -> None:
    ratio = torch.tensor([[0.4]], requires_grad=True)
    before, after = channel_masks(ratio, 8, 2, tau=1.0)
    (of_before,) = torch.autograd.grad(before.sum(), ratio, retain_graph=True)
    (of_after,) = torch.autograd.grad(after.sum(), ratio)

    def slope(u: float, c: int) -> float:
        share = 1 / (1 + math.exp(-(u - c - 0.5)))
        return share * (1 - share)

    # u = ratio D / K = 1.6
    first, both = sum(slope(1.6, c) for c in range(8)), sum(2 * slope(3.2, c) for c in range(8))
    assert float(of_before) == pytest.approx(4 * first, rel=1e-5)
    assert float(of_after) == pytest.approx(4 * (both - first), rel=1e-5)


def test_motion_of_a_still_video_is_zero_and_ratios_are_one_number() -> None:
    mask = torch.ones(1, 7, dtype=torch.bool)
    still = torch.randn(1, 1, 32, generator=torch.Generator().manual_seed(0)).expand(1, 7, 32)
    assert not motion(still, mask).any()
    ratio = motar().ratio(still, mask)
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio), rtol=0, atol=1e-6)
    x = still.clone().requires_grad_()
    motar()(x, mask)[0].square().sum().backward()
    assert x.grad is not None and bool(torch.isfinite(x.grad).all())


def test_a_constant_added_to_every_step_changes_no_ratio() -> None:
    x, mask, _ = checks.batch()
    offset = torch.randn(32, generator=torch.Generator().manual_seed(1))
    part = motar()
    torch.testing.assert_close(part.ratio(x + offset, mask)[mask], part.ratio(x, mask)[mask], rtol=1e-4, atol=1e-5)


def test_motion_of_unit_vectors_is_too_small_for_a_gate() -> None:
    x = F.normalize(torch.randn(1, 200, 768, generator=torch.Generator().manual_seed(0)), dim=-1)
    mask = torch.ones(1, 200, dtype=torch.bool)
    moved = motion(x, mask)
    assert float(moved[0, 0]) == 0
    assert float(moved[0, 1:].mean()) == pytest.approx(2.6e-3, abs=5e-5)
    told = standardised(moved, mask)
    assert float(told.mean()) == pytest.approx(0, abs=1e-4)
    assert float(told.std(unbiased=False)) == pytest.approx(1, abs=0.02)


def test_positions_are_those_of_the_transformer_and_never_end() -> None:
    table = positions(1000, 8)
    wanted = [math.sin(3), math.cos(3), math.sin(0.3), math.cos(0.3)]
    assert table[3, :4].tolist() == pytest.approx(wanted)
    assert table.shape == (1000, 8) and positions(4, 5).shape == (4, 5)


# CORE


def test_weights_of_thirteen_categories_at_both_temperatures() -> None:
    present = torch.zeros(1, 13)
    present[0, 4] = 1.0
    assert float(category_weights(present, 1.0).max()) == pytest.approx(0.1847, abs=5e-5)
    assert float(category_weights(present, 0.1).max()) > 0.99


def test_labels_add_their_mean_prototype_and_normal_adds_nothing() -> None:
    prototypes = torch.tensor([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    y = torch.tensor([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0]]).float()
    assert label_embedding(prototypes, y).tolist() == [[0, 0], [0, 1], [0.5, 0.5]]


@pytest.mark.parametrize("injection", ["segment_query", "pooled"])
def test_labels_reach_the_snippets_in_training_only(injection: str) -> None:
    x, mask, y = checks.batch()
    other = y.roll(1, 0)
    part = core(injection)
    assert not torch.equal(part(x, mask, y).segments, part(x, mask, other).segments)
    part.label_prob = 0.0
    assert torch.equal(part(x, mask, y).segments, part(x, mask, other).segments)
    part.label_prob = 1.0
    part.eval()
    assert torch.equal(part(x, mask, y).segments, part(x, mask, other).segments)
    assert torch.equal(part(x, mask, y).segments, part(x, mask).segments)


def test_a_normal_video_gets_the_embedding_that_it_gets_after_training() -> None:
    x, mask, y = checks.batch()
    part = core()
    trained, after = part(x, mask, y).segments, part.eval()(x, mask).segments
    same = [bool(torch.equal(trained[n], after[n])) for n in range(4)]
    assert same == (y[:, 0] == 1).tolist()


def test_labels_are_asked_for_in_training() -> None:
    x, mask, y = checks.batch()
    with pytest.raises(ValueError, match="give y"):
        made().train()(x, mask)
    with pytest.raises(ValueError, match="normal and anomalous"):
        made().train()(x, mask, y=torch.ones_like(y))
    assert made(core=False).train()(x, mask).class_probs is None


def test_labels_change_nothing_in_eval() -> None:
    x, mask, y = checks.batch()
    head = made().eval()
    found = checks.outputs(head(x, mask, y=y)), checks.outputs(head(x, mask, y=y.roll(1, 0)))
    assert all(torch.equal(left, right) for left, right in zip(*found, strict=True))


def test_another_order_of_the_categories_changes_no_score() -> None:
    x, mask, y = checks.batch()
    order = torch.tensor([2, 0, 1])
    head, turned = made(), made()
    assert head.core is not None and turned.core is not None
    with torch.no_grad():
        turned.core.prototypes.copy_(head.core.prototypes[order])
        last, new = head.core.classifier[2], turned.core.classifier[2]
        new.weight.copy_(last.weight.unflatten(0, (3, 2))[order].flatten(0, 1))
        new.bias.copy_(last.bias.unflatten(0, (3, 2))[order].flatten(0, 1))
    classes = torch.cat([torch.tensor([0]), 1 + order])
    for mode in (True, False):
        torch.manual_seed(0)
        out = head.train(mode)(x, mask, y=y)
        torch.manual_seed(0)
        other = turned.train(mode)(x, mask, y=y[:, classes])
        torch.testing.assert_close(out.scores, other.scores)
        assert out.class_probs is not None and other.class_probs is not None
        torch.testing.assert_close(out.class_probs[..., classes], other.class_probs)
        losses = head.loss(out, y, mask), turned.loss(other, y[:, classes], mask)
        for name in losses[0]:
            torch.testing.assert_close(losses[0][name], losses[1][name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("injection", ["segment_query", "pooled"])
def test_the_injection_depends_on_the_embedding_and_keeps_steps_apart(injection: str) -> None:
    # The published formula fails one of the two, however it is read.
    x, mask, _ = checks.batch(lengths=(16, 9, 2, 12))
    part = core(injection).eval()
    weights = torch.full((4, 3), 1 / 3)
    dice = torch.Generator().manual_seed(3)
    v, other = torch.randn(4, 32, generator=dice), torch.randn(4, 32, generator=dice)
    with torch.no_grad():
        seen, changed = part.inject(x, mask, v, weights), part.inject(x, mask, other, weights)
    assert bool(((seen - changed).abs().amax(-1) > 1e-4)[mask].all())
    assert float((seen[0, 1:] - seen[0, :-1]).abs().amax(-1).min()) > 0.1


def test_snippets_ask_the_embedding_and_the_weighted_prototypes() -> None:
    x, mask, _ = checks.batch()
    part = core().eval()
    out = part(x, mask)
    tokens = torch.cat([out.embedding[:, None], 3 * out.weights[..., None] * part.prototypes], 1)
    refined = part.norm(x + part.attention(x, tokens))
    torch.testing.assert_close(out.segments, refined + part.mlp(refined))
    torch.testing.assert_close(out.embedding, out.weights @ part.prototypes)
    torch.testing.assert_close(out.weights.sum(1), torch.ones(4))


def test_pooled_with_gamma_0_is_no_injection() -> None:
    x, mask, _ = checks.batch()
    pooled, none = core("pooled").eval(), core("none").eval()
    none.load_state_dict({k: v for k, v in pooled.state_dict().items() if k in none.state_dict()})
    assert pooled.gamma.item() == pytest.approx(0.1)
    assert not torch.equal(pooled(x, mask).segments[mask], none(x, mask).segments[mask])
    with torch.no_grad():
        pooled.gamma.zero_()
    assert torch.equal(pooled(x, mask).segments[mask], none(x, mask).segments[mask])


# Outputs and losses


def test_class_probabilities_share_the_score_of_the_snippet() -> None:
    logits = torch.tensor([[0.0, math.log(3)]])
    present = torch.tensor([[0.8, 0.4]])
    categories = torch.stack([(1 - present).log(), present.log()], -1)
    probs = class_log_probs(logits, categories).exp()
    torch.testing.assert_close(probs, torch.tensor([[[0.5, 1 / 3, 1 / 6], [0.25, 0.5, 0.25]]]))


def test_categories_of_a_normal_video_are_pushed_down_and_a_label_pulls_up_its_own() -> None:
    zero = torch.zeros(1, 3, 2)
    normal, second = torch.tensor([[1.0, 0, 0, 0]]), torch.tensor([[0.0, 0, 1, 0]])
    assert float(category_loss(zero, normal)) == pytest.approx(math.log(2))
    certain = torch.tensor([30.0, -30.0]).expand(1, 3, 2)
    assert float(category_loss(certain, normal)) == pytest.approx(0, abs=1e-6)
    for y, pulled_up in ((normal, [False, False, False]), (second, [False, True, False])):
        z = zero.clone().requires_grad_()
        category_loss(z, y).backward()
        assert z.grad is not None and (z.grad[0, :, 1] < 0).tolist() == pulled_up


def test_smoothing_trains_scores_widths_and_prototypes_but_no_peak() -> None:
    x, mask, y = checks.batch()
    head = made().eval()
    out = head(x, mask)
    head.loss(out, y, mask)["gmm"].backward()
    assert head.core is not None and head.smoothing.q is not None
    for p in (head.smoothing.q, head.smoothing.b, head.core.prototypes, head.score[2].weight):
        assert p.grad is not None and float(p.grad.abs().max()) > 0
    # At a lone peak score and target are the same number; a gradient through the peak's height would show elsewhere.
    scores = torch.tensor([[0.0, 0.9, 0.0, 0.0, 0.0, 0.0]], requires_grad=True)
    all_real = torch.ones(1, 6, dtype=torch.bool)
    smoothing_loss(scores, all_real, torch.tensor([1.5]), 1, 2).sum().backward()
    assert scores.grad is not None and float(scores.grad[0, 1]) == 0 and float(scores.grad[0, 2]) < 0


def test_widths_are_above_one_snippet_and_of_the_categories() -> None:
    torch.manual_seed(0)
    width = BumpWidth(32)
    v = torch.randn(3, 32)
    found = width(v)
    assert bool((found > 1).all()) and len(set(found.tolist())) == 3
    with torch.no_grad():
        width.q.zero_()  # type: ignore[union-attr]
    assert width(v).tolist() == pytest.approx([1 + math.log(2)] * 3)
    assert BumpWidth(0)(v[:, :0]).tolist() == pytest.approx([1 + math.log(2)] * 3)


def test_the_total_is_the_weighted_sum_and_ranking_pairs_by_label() -> None:
    x, mask, y = checks.batch(lengths=(12, 12, 12, 12))
    head = made(mil_bce=0.5).eval()
    out = head(x, mask)
    scores = torch.zeros(4, checks.STEPS)
    for n, best in enumerate((0.9, 0.2, 0.6, 0.5)):
        scores[n, 3] = best
    losses = head.loss(dataclasses.replace(out, scores=scores), y, mask)
    # k = 12 // 16 + 1 = 1; pairs (.9, .2), (.9, .5), (.6, .2), (.6, .5)
    assert float(losses["mil"]) == pytest.approx((0.3 + 0.6 + 0.6 + 0.9) / 4)
    assert float(losses["bce"]) == pytest.approx(-sum(math.log(p) for p in (0.9, 0.8, 0.6, 0.5)) / 4)
    parts = losses["mil"] + 0.1 * losses["gmm"] + 0.2 * losses["category"] + 0.5 * losses["bce"]
    torch.testing.assert_close(losses["total"], parts)


def test_normal_videos_are_not_smoothed() -> None:
    x, mask, y = checks.batch()
    head = made().eval()
    normal = torch.zeros_like(y)
    normal[:, 0] = 1
    with torch.no_grad():
        losses = head.loss(head(x, mask), normal, mask)
    assert float(losses["gmm"]) == 0 and float(losses["mil"]) == 0
    assert float(losses["total"]) == pytest.approx(0.2 * float(losses["category"]))


def test_a_video_longer_than_any_trained_on() -> None:
    head = made().eval()
    x = torch.randn(1, 700, checks.WIDTH, generator=torch.Generator().manual_seed(0))
    out = head(x, torch.ones(1, 700, dtype=torch.bool))
    assert out.scores.shape == (1, 700) and bool(torch.isfinite(out.logits).all())
