"""CLIP-TSA: the head with its options, weights of snippets, the choice of the longest features, the losses."""

import math

import pytest
import temporal_checks
import torch
from temporal_checks import CLASSES, WIDTH, batch
from torch import nn

from tvad.temporal.base import HeadOutput
from tvad.temporal.clip_tsa import ClipTsa, ClipTsaConfig, magnitudes, regularisers

SMALL = {"scorer": 16, "branch": 16, "inner": 8, "hidden": (32, 16), "samples": 20}
# Features of 32 numbers are not 100 long, and a quarter of a few neurons does not learn in 200 steps.
QUICK = {**SMALL, "margin": 10.0, "dropout": 0.2}
MODES = {
    "bn": {},
    "ln": {"norm": "ln"},
    "hard": {"tsa_eval": "hard"},
    "few": {"share": 0.3},
    "centred": {"share": 0.5, "centred": True},
    "squeeze": {"squeeze": (24, 20)},
}
FULL = torch.ones(1, 16, dtype=torch.bool)


def head(seed: int = 5, **changes: object) -> ClipTsa:
    torch.manual_seed(seed)
    return ClipTsa(ClipTsaConfig(**{"width": WIDTH, **QUICK, **changes}))  # type: ignore[arg-type]


def shaken(module: nn.Module) -> nn.Module:
    """The same module with other weights: what begins as zero no longer hides what it is multiplied by."""
    dice = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=dice))
    return module


@pytest.mark.parametrize("check", temporal_checks.ALL)
@pytest.mark.parametrize("mode", MODES)
def test_invariants_of_all_heads(check, mode):
    check(lambda: head(**MODES[mode]))


@pytest.mark.parametrize("check", [c for c in temporal_checks.ALL if c is not temporal_checks.check_batch_order])
def test_invariants_of_flat_regularisers(check):
    check(lambda: head(flatten_reg=True))


@pytest.mark.parametrize("check", [temporal_checks.check_padding, temporal_checks.check_longer_padding])
@pytest.mark.parametrize("norm", ["bn", "ln"])
def test_padding_of_a_network_that_no_longer_begins(check, norm):
    check(lambda: shaken(head(norm=norm, share=0.5)))


# Weights of snippets


@pytest.mark.parametrize("share", [0.01, 0.3, 0.95, 1.0])
@pytest.mark.parametrize("mode", ["train", "fixed", "hard"])
def test_weights_sum_to_kappa(share, mode):
    model = head(share=share, tsa_eval="hard" if mode == "hard" else "fixed").train(mode == "train")
    x, mask, _ = batch()
    weights = model(x, mask).aux["weights"][:, 0]
    kappa = [max(1, math.floor(share * n + 1e-9)) for n in (16, 9, 1, 12)]
    times = (weights * 20).round()
    torch.testing.assert_close(weights, times / 20)
    assert times.sum(1).tolist() == [20 * k for k in kappa]
    assert weights.min() >= 0 and weights.max() <= 1 and not weights[~mask].any()


def test_kappa_has_a_limit_outside_training():
    x, mask, _ = batch()
    model = head(share=0.95, cap=4)
    assert model(x, mask).aux["weights"].sum((1, 2)).tolist() == pytest.approx([15, 8, 1, 11])
    assert model.eval()(x, mask).aux["weights"].sum((1, 2)).tolist() == pytest.approx([4, 4, 1, 4])


@pytest.mark.parametrize("mode", [True, False])
def test_all_snippets_have_weight_one_where_kappa_is_all(mode):
    model = head(share=1.0).train(mode)
    x, mask, _ = batch()
    assert torch.equal(model.weights(x, mask), mask.float())


def test_training_disturbs_anew_and_eval_does_not():
    x, mask, _ = batch()
    model = head(share=0.5, dropout=0.0)
    assert not torch.equal(model(x, mask).scores, model(x, mask).scores)
    assert torch.equal(model.eval()(x, mask).scores, model(x, mask).scores)
    other = head(share=0.5, seed=5)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.eval()(x, mask).aux["weights"], model(x, mask).aux["weights"])


def test_output_is_features_times_weights():
    model = head(share=0.3).eval()
    seen: list[torch.Tensor] = []
    model.mtn.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x, mask, _ = batch()
    weights = model(x, mask).aux["weights"]
    torch.testing.assert_close(seen[0].transpose(1, 2), x * weights[:, 0, :, None])


# The whole


@pytest.mark.parametrize("norm", ["bn", "ln"])
@pytest.mark.parametrize("training", [True, False])
def test_padding_changes_nothing_while_training(norm, training):
    found = []
    for filler in (0.0, 37.0):
        model = shaken(head(norm=norm, share=0.5)).train(training)
        x, mask, y = batch()
        torch.manual_seed(9)
        out = model(torch.where(mask[..., None], x, torch.tensor(filler)), mask)
        total = model.loss(out, y, mask)["total"]
        total.backward()
        grads = [p.grad for p in model.parameters() if p.grad is not None]
        found.append((out.scores.detach(), total.detach(), grads, model.state_dict()))
    torch.testing.assert_close(found[0], found[1])


def test_padding_may_be_anything():
    """Even no number at all, which nothing that is multiplied by zero would survive."""
    x, mask, y = batch()
    found = []
    for filler in (0.0, math.nan):
        model = head(share=0.5)
        out = model(torch.where(mask[..., None], x, torch.tensor(filler)), mask)
        assert not out.logits[~mask].any() and not out.scores[~mask].any()
        model.loss(out, y, mask)["total"].backward()
        found.append((out.scores.detach(), [p.grad for p in model.parameters()]))
    torch.testing.assert_close(found[0], found[1])


def test_sizes_are_the_published_ones():
    model = ClipTsa(ClipTsaConfig(width=512))
    scorer = 512 * 256 + 256 + 256 + 1
    branches = 3 * (512 * 128 * 3 + 128 + 2 * 128) + 512 * 128
    whole = 3 * (128 * 64 + 64) + 64 * 128 + 128 + 2 * 128
    fuse = 512 * 512 * 3 + 2 * 512
    classifier = 512 * 128 + 128 + 128 * 32 + 32 + 32 + 1
    assert sum(p.numel() for p in model.parameters()) == scorer + branches + whole + fuse + classifier
    wide = ClipTsa(ClipTsaConfig(width=2048, squeeze=(1024, 512)))
    more = 2048 * 1024 + 1024 + 1024 * 512 + 512
    assert sum(p.numel() for p in wide.parameters()) == more + scorer + branches + whole + fuse + classifier
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.7, 0.7, 0.7]
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            assert module.bias is None or not module.bias.any()
    limit = math.sqrt(6 / (512 + 128))
    assert 0.99 * limit < model.classifier[0].weight.abs().max() <= limit


# The choice and the losses


def test_the_longest_features_stand_for_a_video():
    model = shaken(head()).eval()
    x, mask, _ = batch()
    out = model(x, mask)
    aux = out.aux
    for row, length in enumerate((16, 9, 1, 12)):
        chosen = aux["magnitude"][row, :length].topk(min(3, length)).indices
        assert set(aux["picked"][row].nonzero().flatten().tolist()) == set(chosen.tolist())
        assert aux["video"][row].item() == pytest.approx(out.scores[row, chosen].mean().item(), abs=1e-6)


def choices(model: ClipTsa, mask: torch.Tensor) -> list[set[int]]:
    """What is picked of features that are the longer the later they come, ten times."""
    features = torch.arange(1.0, 17.0).reshape(1, 1, 16, 1).expand(-1, -1, -1, WIDTH)
    rows = [model._picked(features, torch.zeros(1, 16), mask)["picked"][0] for _ in range(10)]
    return [set(row.nonzero().flatten().tolist()) for row in rows]


def test_training_keeps_snippets_out_of_the_choice():
    model = head(dropout=0.7)
    torch.manual_seed(0)
    found = choices(model, FULL)
    assert all(len(c) == 3 for c in found)
    assert len({tuple(sorted(c)) for c in found}) > 3
    assert choices(model.eval(), FULL) == [{13, 14, 15}] * 10


def test_padding_is_never_picked_wherever_it_is():
    mask = FULL.clone()
    mask[:, 0], mask[:, 12:] = False, False
    model = head(dropout=0.7)
    torch.manual_seed(0)
    assert all(c <= set(range(1, 12)) for c in choices(model, mask))
    assert choices(model.eval(), mask) == [{9, 10, 11}] * 10


def test_scores_of_crops_are_averaged_and_their_choice_is_one():
    model = shaken(head(share=0.5)).eval()
    x, mask, y = batch()
    crops = torch.stack([x, x * 0.5 + 0.1, -x], 1)
    with torch.no_grad():
        out = model(crops, mask)
        alone = [model(crops[:, n], mask) for n in range(3)]
    torch.testing.assert_close(out.scores, torch.stack([o.scores for o in alone]).mean(0))
    torch.testing.assert_close(out.logits.sigmoid()[mask], out.scores[mask])
    torch.testing.assert_close(out.aux["magnitude"], torch.stack([o.aux["magnitude"] for o in alone]).mean(0))
    assert out.aux["features"].shape == (4, 3, WIDTH)
    assert torch.isfinite(model.loss(out, y, mask)["total"])
    same = torch.stack([x, x], 1)
    with torch.no_grad():
        torch.testing.assert_close(model(same, mask).scores, model(x, mask).scores)


def made(scores: torch.Tensor, lengths: list[float], video: list[float]) -> HeadOutput:
    """An output whose picked features have the given lengths."""
    features = torch.zeros(len(lengths), 1, WIDTH)
    features[:, 0, 0] = torch.tensor(lengths)
    return HeadOutput(scores, scores, aux={"features": features, "video": torch.tensor(video)})


def labels(*odd: int) -> torch.Tensor:
    return torch.tensor([[1.0 - o, float(o)] for o in odd])


def test_hand_values_of_the_losses():
    scores = torch.tensor([[0.3, 0.4, 0.0], [0.9, 0.1, 0.5]])
    mask = torch.ones(2, 3, dtype=torch.bool)
    model = head(margin=100.0)
    found = model.loss(made(scores, [60.0, 5.0], [0.8, 0.3]), labels(1, 0), mask)
    assert found["magnitude"].item() == pytest.approx(2025)
    assert model.config.magnitude * found["magnitude"].item() == pytest.approx(0.2025)
    assert found["classification"].item() == pytest.approx(-(math.log(0.8) + math.log(0.7)) / 2)
    assert found["smooth"].item() == pytest.approx(0.01 + 0.16)
    assert found["sparse"].item() == pytest.approx(0.5)
    total = 0.2025 + found["classification"].item() + 8e-4 * 16 * 0.17 + 8e-3 * 4 * 0.5
    assert found["total"].item() == pytest.approx(total)
    perfect = model.loss(made(scores, [100.0, 0.0], [0.8, 0.3]), labels(1, 0), mask)
    assert perfect["magnitude"].item() == 0


def test_features_of_all_pairs_count_crop_by_crop():
    a, n = 100 * torch.rand(3, 2), 100 * torch.rand(4, 2)
    slow = [(abs(60 - i[k]) + j[k]) ** 2 for i in a for j in n for k in range(2)]
    torch.testing.assert_close(magnitudes(a, n, 60.0), torch.stack(slow).mean())
    assert magnitudes(a, n[:0], 60.0).item() == 0 and magnitudes(a[:0], n, 60.0).item() == 0


def test_flat_regularisers_see_a_jump_between_videos_and_grow_with_the_batch():
    scores = torch.tensor([[0.2, 0.2, 0.0], [0.5, 0.5, 0.5], [0.8, 0.8, 0.8]])
    mask = torch.tensor([[True, True, False], [True] * 3, [True] * 3])
    odd = torch.tensor([1.0, 0.0, 1.0])
    smooth, sparse, more, much = regularisers(scores, odd, mask, flatten=True)
    assert (smooth.item(), more, much) == (pytest.approx(0.36), 1.0, 1.0)
    assert sparse.item() == pytest.approx(math.sqrt(2 * 0.04 + 3 * 0.64))
    smooth, sparse, more, much = regularisers(scores, odd, mask, flatten=False)
    assert (smooth.item(), more, much) == (0.0, 16.0, 4.0)
    assert sparse.item() == pytest.approx((math.sqrt(0.08) + math.sqrt(1.92)) / 2)
    # Sixteen equal videos without a jump between them cost the same either way.
    scores = torch.tensor([[0.2, 0.5, 0.2]]).repeat(16, 1)
    both = [regularisers(scores, torch.ones(16), torch.ones(16, 3).bool(), flatten) for flatten in (True, False)]
    weighted = [(smooth * more, sparse * much) for smooth, sparse, more, much in both]
    torch.testing.assert_close(weighted[0], weighted[1])


def test_flat_regularisers_are_those_of_the_loss():
    x, mask, y = batch()
    y[2] = y[0]
    found = {}
    for flatten in (True, False):
        model = shaken(head(flatten_reg=flatten)).eval()
        out = model(x, mask)
        losses = model.loss(out, y, mask)
        smooth, sparse, more, much = regularisers(out.scores, 1 - y[:, 0], mask, flatten)
        kept = 1e-4 * losses["magnitude"] + 8e-4 * more * smooth + 8e-3 * much * sparse
        torch.testing.assert_close(losses["total"], losses["classification"] + kept)
        found[flatten] = losses["smooth"].item(), losses["sparse"].item()
    assert found[True] != found[False]


@pytest.mark.parametrize("flatten", [True, False])
def test_batches_of_one_kind_have_a_loss(flatten):
    x, mask, _ = batch()
    for odd in (True, False):
        model = head(flatten_reg=flatten)
        losses = model.loss(model(x, mask), labels(*[int(odd)] * 4), mask)
        losses["total"].backward()
        assert losses["magnitude"].item() == 0
        assert (losses["sparse"].item() > 0) is odd
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_scorer_of_snippets_learns_in_training_alone():
    x, mask, y = batch()
    model = head(share=0.5)
    model.loss(model(x, mask), y, mask)["total"].backward()
    learned = [p.grad for p in model.weights.parameters()]
    assert all(g is not None and g.any() for g in learned)
    model = head(share=0.5, tsa_eval="hard").eval()
    model.loss(model(x, mask), y, mask)["total"].backward()
    assert all(p.grad is None for p in model.weights.parameters())


def test_errors_say_what_is_allowed():
    for changes, said in (
        ({"samples": 0}, "samples is 0; it must be at least 1"),
        ({"share": 0.0}, r"share is 0.0; it must be in \(0, 1\]"),
        ({"sigma": 0.0}, "sigma is 0.0; it must be above 0"),
        ({"norm": "gn"}, r"norm is 'gn'; choose one of \['bn', 'ln'\]"),
        ({"tsa_eval": "soft"}, r"tsa_eval is 'soft'; choose one of \['fixed', 'hard'\]"),
        ({"squeeze": (8, 0)}, r"squeeze is \(8, 0\); it must be two sizes"),
        ({"sparse": -1.0}, "sparse is -1.0; it must be 0 or more"),
    ):
        with pytest.raises(ValueError, match=said):
            head(**changes)
    x, mask, _ = batch()
    model = head()
    with pytest.raises(ValueError, match="features"):
        model(x[:, :, :5], mask)
    with pytest.raises(ValueError, match="labels"):
        model.loss(model(x, mask), torch.zeros(4, CLASSES), mask)
