"""DSANet: the invariants of its specification, and those of every head; SG-NM by itself: test_temporal_normality.py."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from temporal_checks import ALL, CLASSES, STEPS, WIDTH, batch, check_learns, check_padding, outputs
from test_clip_text import NAMES, adapted

from tvad.temporal.dsanet import (
    DsaNet,
    DsaNetConfig,
    background_target,
    event_background,
    event_target,
    soft_cross_entropy,
    time_weights,
)
from tvad.temporal.normality import consistency_loss, gather_loss
from tvad.temporal.text import random_text
from tvad.temporal.vadclip import alignment, class_loss, fuse, text_loss, video_loss

SMALL = {"width": WIDTH, "classes": CLASSES, "length": STEPS, "window": 4, "prototypes": 4, "normality_blocks": 2}


def config(**changes: Any) -> DsaNetConfig:
    return DsaNetConfig(**(SMALL | changes))


def head(text: str = "fixed", **changes: Any) -> DsaNet:
    torch.manual_seed(0)
    towers: dict[str, Callable[[], Any]] = {
        "fixed": lambda: random_text(NAMES, WIDTH),
        "other width": lambda: adapted(12),
        "adapted": lambda: adapted(WIDTH),
    }
    return DsaNet(config(**changes), towers[text]())


MODES: dict[str, dict[str, Any]] = {
    "all": {},
    "adapted": {"text": "adapted", "rho_abnormal": 0.5},
    "normality": {"parts": ("normality",), "text": "other width"},
    "alignment": {"parts": ("alignment",), "tau": 1.0},
    "branches": {"parts": ()},
}
REST = [c for c in ALL if c is not check_learns]


@pytest.mark.parametrize("check", REST, ids=lambda c: c.__name__)
@pytest.mark.parametrize("mode", MODES)
def test_what_every_head_passes(mode: str, check: Callable[..., None]) -> None:
    check(lambda: head(**MODES[mode]))


@pytest.mark.parametrize("mode", ["all", "adapted", "branches"])
def test_the_head_learns(mode: str) -> None:
    check_learns(lambda: head(**MODES[mode]))


@pytest.mark.parametrize("check", [c for c in REST if c is not check_padding], ids=lambda c: c.__name__)
def test_the_published_padding_passes_the_rest(check: Callable[..., None]) -> None:
    check(lambda: head(pad_mode="reference"))


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="the published code mixes padding in")
def test_the_published_padding_reaches_real_steps() -> None:
    check_padding(lambda: head(pad_mode="reference"))


# Class probabilities.


def test_fused_probabilities_are_the_worked_example() -> None:
    got = fuse(torch.zeros(1), torch.tensor([[0.0, math.log(3), 0.0]]), 1.0)
    torch.testing.assert_close(got, torch.tensor([[0.5, 0.375, 0.125]]))


def test_fused_probabilities_sum_to_one_and_normal_is_what_the_scores_leave() -> None:
    dice = torch.Generator().manual_seed(0)
    a, m = 6 * torch.randn(9, generator=dice), 9 * torch.randn(9, 5, generator=dice)
    for tau in (1.0, 5.0):
        got = fuse(a, m, tau)
        torch.testing.assert_close(got.sum(1), torch.ones(9))
        torch.testing.assert_close(1 - got[:, 0], (a / tau).sigmoid())
        shares = (m / tau).softmax(1)
        wanted = (a / tau).sigmoid()[:, None] * shares[:, 1:] / shares[:, 1:].sum(1, keepdim=True)
        torch.testing.assert_close(got[:, 1:], wanted)


def test_the_head_answers_with_both_branches() -> None:
    x, mask, _ = batch()
    with torch.no_grad():
        out = head().eval()(x, mask)
    seen = out.aux["seen"]
    torch.testing.assert_close(out.scores[mask], seen.coarse.sigmoid()[mask])
    assert out.class_probs is not None
    torch.testing.assert_close(out.class_probs[mask], fuse(seen.coarse, seen.fine, 5.0)[mask])


# SG-NM.


@pytest.mark.parametrize(("length", "count"), [(16, 12), (9, 7), (1, 1), (10, 8)])
def test_a_share_of_the_real_steps_is_chosen(length: int, count: int) -> None:
    x, mask, _ = batch(lengths=(length, 5))
    out = head()(x, mask)
    chosen, logits = out.aux["normality"].chosen[0], out.logits[0]
    assert int(chosen.sum()) == count and not chosen[length:].any()
    if count < length:
        assert logits[chosen].max() <= logits[:length][~chosen[:length]].min()


def test_the_published_choice_is_among_padded_steps_too() -> None:
    x, mask, _ = batch(lengths=(3, 3), steps=5)
    found = head(pad_mode="reference")(x, mask).aux["normality"]
    assert found.chosen.shape == (2, STEPS)
    assert found.chosen.sum(1).tolist() == [12, 12]  # floor(.8 * 16)


def test_anomalous_videos_may_have_another_share_in_training() -> None:
    x, mask, y = batch(lengths=(10, 10))
    model = head(rho_abnormal=0.3)
    assert model(x, mask, y=y).aux["normality"].chosen.sum(1).tolist() == [3, 8]
    assert model(x, mask).aux["normality"].chosen.sum(1).tolist() == [8, 8]
    assert model.eval()(x, mask, y=y).aux["normality"].chosen.sum(1).tolist() == [8, 8]
    assert head()(x, mask, y=y).aux["normality"].chosen.sum(1).tolist() == [8, 8]


def test_gradients_flow_to_scores_and_to_the_rebuilding() -> None:
    x, mask, y = batch()
    model = head()
    losses = model.loss(model(x, mask), y, mask)
    for name in ("consistency", "gather"):
        model.zero_grad()
        losses[name].backward(retain_graph=True)
        assert bool(model.branches.adapter.join.weight.grad.any()), name
        assert bool(model.normality.prototypes.grad.any()), name
    model.zero_grad()
    losses["consistency"].backward()
    assert bool(model.branches.coarse_out.weight.grad.any())
    assert bool(model.normality.decoder[0].attention.query.weight.grad.any())


def test_leaving_normality_out_after_training_changes_no_score() -> None:
    x, mask, y = batch()
    model, without = head().eval(), head(curve=False).eval()
    without.load_state_dict(model.state_dict())
    with torch.no_grad():
        out, same = model(x, mask), without(x, mask)
    for a, b in zip(outputs(out), outputs(same), strict=True):
        assert torch.equal(a, b)
    assert "error" in out.aux and "error" not in same.aux and same.aux["normality"] is None
    assert "gather" in model.loss(out, y, mask) and "gather" not in without.loss(same, y, mask)
    trained = without.train()(x, mask)
    assert "gather" in without.loss(trained, y, mask)


def test_the_error_is_a_curve_beside_the_scores() -> None:
    x, mask, _ = batch()
    error = head().eval()(x, mask).aux["error"]
    assert error.shape == mask.shape and not error[~mask].any()
    assert bool((error[mask] > 0).all()) and bool((error <= 1).all())


# DCSA.


def weights(*scores: float) -> torch.Tensor:
    return time_weights(torch.tensor([scores]), torch.ones(1, len(scores), dtype=torch.bool), 10.0)[0]


def test_time_weights_are_the_worked_examples() -> None:
    assert weights(1.0, 0.0).tolist() == [1, 0]
    assert weights(0.9, 0.6, 0.1).tolist() == pytest.approx([0.95249, 0.04731, 0.00020], abs=6e-6)
    assert weights(0.3, 0.3, 0.3, 0.3).tolist() == pytest.approx([0.25] * 4)
    assert weights(0.0, 0.0).tolist() == [0, 0]  # and not NaN


def test_even_scores_make_event_and_background_the_mean() -> None:
    v = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(6)[None] < torch.tensor([6, 3])[:, None]
    for part in event_background(v, torch.full((2, 6), 0.4), mask, 10.0):
        torch.testing.assert_close(part, torch.stack([v[0].mean(0), v[1, :3].mean(0)]))
    v = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    event, background = event_background(v, torch.tensor([[1.0, 0.0]]), torch.ones(1, 2, dtype=torch.bool), 10.0)
    assert event.tolist() == [[1, 2]] and background.tolist() == [[3, 4]]


def test_targets_are_the_worked_examples() -> None:
    row = background_target(14, 0.1)
    assert row[0].item() == pytest.approx(0.803603, abs=1e-6)
    assert row[1:].tolist() == pytest.approx([0.015107] * 13, abs=1e-6)
    got = event_target(F.one_hot(torch.tensor([2, 0]), 7).float(), 0.1)
    assert got[0].tolist() == pytest.approx([0.014286] * 2 + [0.914286] + [0.014286] * 4, abs=1e-6)
    assert got[1, 0].item() == pytest.approx(0.914286, abs=1e-6)  # the event of a normal video is normal
    both = event_target(torch.tensor([[0.0, 1.0, 1.0, 0.0]]), 0.1)
    assert both[0].tolist() == pytest.approx([0.025, 0.475, 0.475, 0.025])


def test_event_and_background_are_compared_with_plain_texts() -> None:
    x, mask, y = batch()
    model = head()
    out = model(x, mask)
    losses, seen = model.loss(out, y, mask), out.aux["seen"]
    text = random_text(NAMES, WIDTH)()
    event, background = event_background(seen.features, out.scores, mask, 10.0)
    wanted = F.cross_entropy(alignment(event, text, 0.07), event_target(y, 0.1))
    torch.testing.assert_close(losses["event"], wanted)
    every = background_target(CLASSES, 0.1).expand(4, -1)  # of normal videos too
    torch.testing.assert_close(losses["background"], F.cross_entropy(alignment(background, text, 0.07), every))
    one = soft_cross_entropy(torch.tensor([[1.0, 2.0]]), torch.tensor([0.25, 0.75]))
    assert one.item() == pytest.approx(-(0.25 * -1.313262 + 0.75 * -0.313262), abs=1e-6)


# The whole.


def test_the_total_is_the_sum_of_its_weighted_terms() -> None:
    x, mask, y = batch()
    model = head(class_weight=3.0, context_weight=0.5)
    out = model(x, mask)
    losses = model.loss(out, y, mask)
    assert out.class_logits is not None
    torch.testing.assert_close(losses["bce"], video_loss(out.scores, mask, 1 - y[:, 0]))
    torch.testing.assert_close(losses["nce"], class_loss(out.class_logits, mask, y))
    torch.testing.assert_close(losses["cts"], text_loss(random_text(NAMES, WIDTH)()))
    found = out.aux["normality"]
    torch.testing.assert_close(losses["gather"], gather_loss(found.nearest, found.chosen))
    torch.testing.assert_close(losses["consistency"], consistency_loss(out.scores, found.error, mask))
    plain = losses["bce"] + 3 * losses["nce"] + 0.5 * losses["cts"]
    extra = losses["event"] + losses["background"] + losses["consistency"] + losses["gather"]
    torch.testing.assert_close(losses["total"], plain + extra)


@pytest.mark.parametrize(
    ("parts", "extra", "weight"),
    [
        (("normality",), {"consistency", "gather"}, 3.0),
        (("alignment",), {"event", "background"}, 1.0),
        ((), set(), 1.0),
    ],
)
def test_each_part_brings_its_own_losses(parts: tuple[str, ...], extra: set[str], weight: float) -> None:
    x, mask, y = batch()
    model = head(parts=parts, class_weight=3.0)
    losses = model.loss(model(x, mask), y, mask)
    assert set(losses) == {"bce", "nce", "cts", "total"} | extra
    wanted = losses["bce"] + weight * losses["nce"] + losses["cts"] + sum(losses[name] for name in extra)
    torch.testing.assert_close(losses["total"], wanted)
    assert hasattr(model, "normality") == ("normality" in parts)


def test_gradients_reach_every_learned_number_and_nothing_of_clip() -> None:
    model = head("adapted").train()
    x, mask, y = batch()
    model.loss(model(x, mask), y, mask)["total"].backward()
    frozen = {name for name, _ in model.named_parameters() if ".body." in name or ".projection." in name}
    for name, p in model.named_parameters():
        assert p.requires_grad == (name not in frozen) == (p.grad is not None), name
    assert {n for n, p in model.named_parameters() if ".text." in n and p.requires_grad} == {
        "branches.text.views.0.weight", "branches.text.views.1.weight", "branches.text.out.0.weight",
    }  # fmt: skip


def test_texts_are_not_stale_after_an_update() -> None:
    x, mask, y = batch()
    model = head("adapted").eval()
    with torch.no_grad():
        before = model(x, mask).aux["seen"].text
    model.train()
    optimiser = torch.optim.AdamW(model.groups(), 1e-2)
    model.loss(model(x, mask), y, mask)["total"].backward()
    optimiser.step()
    model.eval()
    with torch.no_grad():
        after = model(x, mask).aux["seen"].text
    assert bool(((after - before).norm(dim=1) > 1e-3).all())


def test_an_optimiser_gets_normality_apart_and_everything_once() -> None:
    model = head("adapted")
    groups = model.groups()
    assert [(g["name"], g["weight_decay"]) for g in groups] == [("branches", 0.01), ("normality", 1e-4)]
    given = [p for g in groups for p in g["params"]]
    assert len(given) == len({id(p) for p in given}) == sum(p.requires_grad for p in model.parameters())
    assert {id(p) for p in groups[1]["params"]} == {id(p) for p in model.normality.parameters()}
    assert [g["name"] for g in head(parts=()).groups()] == ["branches"]


def test_longer_videos_are_blocks_with_prototypes_of_their_own() -> None:
    model = head().eval()
    x, mask, y = batch(lengths=(40, 16), steps=40)
    with torch.no_grad():
        whole = model(x, mask)
        for start in (0, 16, 32):
            part = model(x[:1, start : start + STEPS], mask[:1, start : start + STEPS])
            for a, b in zip([*outputs(whole), whole.aux["error"]], [*outputs(part), part.aux["error"]], strict=True):
                torch.testing.assert_close(a[:1, start : start + STEPS], b, rtol=1e-4, atol=1e-4)
        assert torch.isfinite(model.loss(whole, y[:2], mask)["total"])
    assert int(whole.aux["normality"].chosen[1].sum()) == 12 and not whole.aux["normality"].chosen[1, 16:].any()


def test_settings_are_those_of_the_paper() -> None:
    ucf, xd = DsaNetConfig.ucf_crime(), DsaNetConfig.xd_violence(width=64)
    assert (ucf.width, ucf.length, ucf.window, ucf.layers, ucf.classes) == (512, 256, 8, 2, 14)
    assert (ucf.class_weight, ucf.context_weight, ucf.tau, ucf.rho, ucf.prototypes) == (1.1, 1, 5, 0.8, 16)
    assert (ucf.normality_heads, ucf.normality_blocks, ucf.sharpness, ucf.smoothing) == (8, 8, 10, 0.1)
    assert (xd.width, xd.window, xd.layers, xd.classes, xd.class_weight, xd.tau) == (64, 64, 1, 7, 5, 1)
    assert dataclasses.asdict(xd)["context_weight"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": ("anomaly",)}, "parts is"),
        ({"class_weight": -1.0}, "class_weight is"),
        ({"context_weight": -1.0}, "context_weight is"),
        ({"rho": 0.0}, r"rho is 0\.0; it must be in \(0, 1\]"),
        ({"rho_abnormal": 1.5}, r"rho_abnormal is 1\.5"),
        ({"prototypes": 0}, "prototypes is 0; it must be at least 1"),
        ({"normality_blocks": 0}, "normality_blocks is 0"),
        ({"normality_heads": 5}, r"width is 32; it must be a multiple of normality_heads \(5\)"),
        ({"sharpness": 0.0}, "sharpness is"),
        ({"tau": -1.0}, "tau is"),
        ({"smoothing": 1.0}, r"smoothing is 1\.0; it must be in \[0, 1\)"),
    ],
)
def test_settings_that_cannot_be_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**changes)
    assert config(parts=(), normality_heads=5).normality_heads == 5
