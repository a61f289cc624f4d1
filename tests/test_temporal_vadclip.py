"""VadCLIP: the invariants of its specification, and those of every head."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from temporal_checks import (
    ALL,
    CLASSES,
    STEPS,
    WIDTH,
    batch,
    check_learns,
    check_padding,
    outputs,
)
from test_clip_text import NAMES, prompted

from tvad.temporal.clip_text import LearnedContext
from tvad.temporal.mil import k_sixteenth
from tvad.temporal.text import random_text
from tvad.temporal.vadclip import (
    VadClip,
    VadClipConfig,
    abnormal_logit,
    alignment,
    class_loss,
    fuse,
    text_loss,
    video_loss,
    visual_prompt,
)


def config(**changes: Any) -> VadClipConfig:
    return VadClipConfig(**({"width": WIDTH, "classes": CLASSES, "length": STEPS, "window": 4} | changes))


def head(text: str = "fixed", **changes: Any) -> VadClip:
    torch.manual_seed(0)
    towers: dict[str, Callable[[], Any]] = {
        "fixed": lambda: random_text(NAMES, WIDTH),
        "other width": lambda: LearnedContext(NAMES, random_text(NAMES, 12)()),
        "prompted": lambda: prompted(WIDTH),
        "none": lambda: None,
    }
    return VadClip(config(**changes), towers[text]())


MODES: dict[str, dict[str, Any]] = {
    "fixed": {},
    "coarse only": {"text": "none", "parts": ("coarse",)},
    "prompted, fine scores": {"text": "prompted", "detect": "fine"},
    "other width, fused": {"text": "other width", "class_rule": "fused", "tau": 2.0, "window": 64, "layers": 1},
    "distance rows of 1": {"dist_norm": True, "heads": 2},
}


@pytest.mark.parametrize("check", ALL, ids=lambda c: c.__name__)
@pytest.mark.parametrize("mode", MODES)
def test_what_every_head_passes(mode: str, check: Callable[..., None]) -> None:
    check(lambda: head(**MODES[mode]))


@pytest.mark.parametrize("check", [c for c in ALL if c is not check_padding], ids=lambda c: c.__name__)
def test_the_published_padding_passes_the_rest(check: Callable[..., None]) -> None:
    check(lambda: head(pad_mode="reference"))


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="the published code mixes padding in")
def test_the_published_padding_reaches_real_steps() -> None:
    check_padding(lambda: head(pad_mode="reference"))


def test_the_published_padding_is_zeros_to_the_full_length() -> None:
    model = head(pad_mode="reference", length=24).eval()
    x, mask, _ = batch(lengths=(5, 7), steps=7)
    with torch.no_grad():
        short = model(x, mask)
        long = model(F.pad(x, (0, 0, 0, 17)), F.pad(mask, (0, 17)))
        # All 24 steps weigh in, the padded ones too.
        seen = long.aux["seen"]
        assert seen.features[~F.pad(mask, (0, 17))].abs().sum() > 0
        prompt = F.normalize((seen.coarse[:, None] @ seen.features)[:, 0], dim=1)
        torch.testing.assert_close(prompt, visual_prompt(seen.features, seen.coarse))
        texts = seen.text + prompt[:, None]
        texts = texts + model.branches.fine_mlp(texts)
        torch.testing.assert_close(alignment(seen.features, texts, 0.07), seen.fine)
    for a, b in zip(outputs(short), outputs(long), strict=True):
        torch.testing.assert_close(a[mask], b[:, :7][mask])


def test_a_padded_video_is_as_one_alone() -> None:
    model = head().eval()
    lengths = (16, 9, 1, 2)
    x, mask, _ = batch(lengths=lengths)
    with torch.no_grad():
        out = model(x, mask)
        for n, length in enumerate(lengths):
            alone = model(x[n : n + 1, :length], mask[n : n + 1, :length])
            for a, b in zip(outputs(out), outputs(alone), strict=True):
                torch.testing.assert_close(a[n : n + 1, :length], b, rtol=1e-4, atol=1e-4)


def test_not_even_nan_gets_out_of_padding() -> None:
    model = head()
    x, mask, y = batch()
    bad = x.masked_fill(~mask[..., None], float("nan"))
    torch.testing.assert_close(model(bad, mask).logits, model(x, mask).logits)
    model.loss(model(bad, mask), y, mask)["total"].backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in model.parameters())


def test_a_head_scores_blocks_as_if_each_were_a_video() -> None:
    model = head().eval()
    x, mask, y = batch(lengths=(40, 32), steps=40)
    y = y[:2]
    with torch.no_grad():
        whole = model(x, mask)
        for start in (0, 16, 32):
            part = model(x[:1, start : start + STEPS], mask[:1, start : start + STEPS])
            for a, b in zip(outputs(whole), outputs(part), strict=True):
                torch.testing.assert_close(a[:1, start : start + STEPS], b, rtol=1e-4, atol=1e-4)
        assert torch.isfinite(model.loss(whole, y, mask)["total"])
    assert not whole.scores[1, 32:].any()


# The branches.


def test_the_coarse_branch_follows_the_formula() -> None:
    model = head().branches
    x, mask, _ = batch(lengths=(16, 9))
    with torch.no_grad():
        seen = model.eval()(x, mask, None)
        v = seen.features
        wanted = (v + model.coarse_mlp(v)) @ model.coarse_out.weight[0] + model.coarse_out.bias
    torch.testing.assert_close(seen.coarse[mask], wanted[mask])
    assert not v[~mask].any()


def test_the_visual_prompt_uses_raw_logits_and_has_length_one() -> None:
    v = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    torch.testing.assert_close(visual_prompt(v, torch.tensor([[-3.0, 4.0]])), torch.tensor([[-0.6, 0.8]]))
    assert not visual_prompt(v, torch.zeros(1, 2)).any()  # and not NaN


def test_texts_see_the_video_before_they_are_compared() -> None:
    model = head().eval()
    x, mask, _ = batch()
    with torch.no_grad():
        out = model(x, mask)
        seen = out.aux["seen"]
        texts = seen.text + visual_prompt(seen.features, seen.coarse * mask)[:, None]
        texts = texts + model.branches.fine_mlp(texts)
        wanted = F.cosine_similarity(seen.features[:, :, None], texts[:, None], dim=-1) / 0.07
    torch.testing.assert_close(out.class_logits[mask], wanted[mask], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(out.class_probs[mask], wanted.softmax(-1)[mask], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(out.scores[mask], seen.coarse.sigmoid()[mask])


def test_the_length_of_texts_does_not_matter_after_the_prompt() -> None:
    dice = torch.Generator().manual_seed(0)
    v, texts = torch.randn(2, 5, 8, generator=dice), torch.randn(2, 4, 8, generator=dice)
    torch.testing.assert_close(alignment(v, texts, 0.07), alignment(v, 7.5 * texts, 0.07), rtol=1e-4, atol=1e-4)


def test_another_order_of_classes_is_another_order_of_columns() -> None:
    model = head().eval()
    x, mask, _ = batch()
    rows, order = random_text(NAMES, WIDTH, 5)(), [0, 3, 1, 2]
    with torch.no_grad():
        one, other = model(x, mask, rows), model(x, mask, rows[order])
    assert one.class_logits is not None and other.class_logits is not None
    torch.testing.assert_close(one.class_logits[..., order], other.class_logits, rtol=1e-4, atol=1e-4)
    assert torch.equal(one.scores, other.scores)


def test_fine_detection_is_one_minus_normal() -> None:
    x, mask, _ = batch()
    model = head(detect="fine").eval()
    with torch.no_grad():
        out = model(x, mask)
    assert out.class_probs is not None
    torch.testing.assert_close(out.scores[mask], 1 - out.class_probs[mask][:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(out.scores[mask], out.logits[mask].sigmoid())
    logits = torch.tensor([0.0, 1.0, 2.0])
    torch.testing.assert_close(abnormal_logit(logits).sigmoid(), 1 - logits.softmax(0)[0])


def test_fused_classes_are_dsanets() -> None:
    x, mask, _ = batch()
    with torch.no_grad():
        out = head(class_rule="fused", tau=3.0).eval()(x, mask)
    assert out.class_probs is not None and out.class_logits is not None
    torch.testing.assert_close(out.class_probs[mask], fuse(out.logits, out.class_logits, 3.0)[mask])
    torch.testing.assert_close(out.class_probs[mask][:, 0], 1 - (out.logits[mask] / 3).sigmoid())


# The losses.


def test_best_scores_of_a_short_video_are_its_best_one() -> None:
    scores, mask = torch.tensor([[0.9, 0.1, 0.5]]), torch.ones(1, 3, dtype=torch.bool)
    assert video_loss(scores, mask, torch.tensor([1.0])).item() == pytest.approx(0.105361, abs=1e-6)
    assert video_loss(scores, mask, torch.tensor([0.0])).item() == pytest.approx(2.302585, abs=1e-6)


def test_the_mean_is_over_a_sixteenth_and_one() -> None:
    assert k_sixteenth(torch.tensor([1, 15, 16, 31, 32, 256])).tolist() == [1, 1, 2, 2, 3, 17]
    scores = torch.full((1, 16), 0.1)
    scores[0, 3], scores[0, 9] = 0.9, 0.5
    loss = video_loss(scores, torch.ones(1, 16, dtype=torch.bool), torch.tensor([1.0]))
    assert loss.item() == pytest.approx(-math.log(0.7), abs=1e-6)


def test_certain_scores_have_a_finite_loss() -> None:
    scores = torch.tensor([[1.0], [0.0]], requires_grad=True)
    loss = video_loss(scores, torch.ones(2, 1, dtype=torch.bool), torch.tensor([0.0, 1.0]))
    loss.backward()
    assert torch.isfinite(loss) and scores.grad is not None and bool(torch.isfinite(scores.grad).all())


def test_classes_are_pooled_each_for_itself() -> None:
    logits, mask = torch.tensor([[[2.0, 0.0], [0.0, 4.0], [1.0, 1.0]]]), torch.ones(1, 3, dtype=torch.bool)
    assert class_loss(logits, mask, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(2.126928, abs=1e-6)
    assert class_loss(logits, mask, torch.tensor([[0.0, 1.0]])).item() == pytest.approx(0.126928, abs=1e-6)
    both = class_loss(logits, mask, torch.tensor([[1.0, 1.0]])).item()
    assert both == pytest.approx((2.126928 + 0.126928) / 2, abs=1e-6)


def test_texts_are_held_apart_whatever_the_sign() -> None:
    assert text_loss(torch.eye(4)).item() == 0
    assert text_loss(torch.tensor([2.0, 1.0, 1.0]).expand(4, 3)).item() == pytest.approx(1)
    rows = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    flipped = rows * torch.tensor([[1.0], [-1], [1], [-1]])
    torch.testing.assert_close(text_loss(rows), text_loss(flipped))
    # Only pairs with normal count, and one class of three.
    assert text_loss(torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])).item() == pytest.approx(1 / 3)


def test_the_total_is_the_sum_of_its_weighted_terms() -> None:
    x, mask, y = batch()
    model = head(context_weight=0.25)
    out = model(x, mask)
    losses = model.loss(out, y, mask)
    assert set(losses) == {"bce", "nce", "cts", "total"}
    torch.testing.assert_close(losses["total"], losses["bce"] + losses["nce"] + 0.25 * losses["cts"])
    assert out.class_logits is not None
    torch.testing.assert_close(losses["bce"], video_loss(out.scores, mask, 1 - y[:, 0]))
    torch.testing.assert_close(losses["nce"], class_loss(out.class_logits, mask, y))
    torch.testing.assert_close(losses["cts"], text_loss(random_text(NAMES, WIDTH)()))  # before the visual prompt


def test_the_ablation_has_scores_alone() -> None:
    x, mask, y = batch()
    model = head("none", parts=("coarse",))
    out = model(x, mask)
    assert out.class_logits is None and out.class_probs is None
    assert set(model.loss(out, y, mask)) == {"bce", "total"}
    assert not any("fine" in name or "text" in name for name, _ in model.named_parameters())


def test_gradients_reach_what_the_paper_trains_and_nothing_of_clip() -> None:
    model = head("prompted").train()
    x, mask, y = batch()
    model.loss(model(x, mask), y, mask)["total"].backward()
    learned = {name for name, p in model.named_parameters() if p.grad is not None}
    frozen = {name for name, _ in model.named_parameters() if ".body." in name or ".projection." in name}
    assert len(frozen) > 10 and learned == {name for name, _ in model.named_parameters()} - frozen
    assert {name.split(".")[1] for name in learned} == {"adapter", "coarse_mlp", "coarse_out", "fine_mlp", "text"}
    assert {name for name in learned if ".text." in name} == {"branches.text.context"}
    assert not any(p.requires_grad for name, p in model.named_parameters() if name in frozen)


def test_several_classes_at_once_can_be_learned() -> None:
    x, mask, y = batch()
    y[0, 2] = 1
    model = head()
    assert torch.isfinite(model.loss(model(x, mask), y, mask)["total"])
    check_learns(lambda: head("prompted", window=8))


# Settings.


def test_settings_are_those_of_the_paper() -> None:
    ucf, xd = VadClipConfig.ucf_crime(), VadClipConfig.xd_violence(width=32)
    assert (ucf.width, ucf.length, ucf.window, ucf.layers, ucf.heads, ucf.classes) == (512, 256, 8, 2, 1, 14)
    assert (ucf.temperature, ucf.context_weight, ucf.detect, ucf.pad_mode) == (0.07, 0.1, "coarse", "masked")
    assert (xd.width, xd.window, xd.layers, xd.classes, xd.context_weight, xd.detect) == (32, 64, 1, 7, 1e-4, "fine")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width is 0; it must be at least 1"),
        ({"width": 33}, "width is 33; it must be even"),
        ({"heads": 3}, "a multiple of heads"),
        ({"pad_mode": "none"}, "pad_mode is 'none'; choose one of"),
        ({"threshold": 2.0}, r"threshold is 2\.0"),
        ({"classes": 1}, "classes is 1; it must be at least 2"),
        ({"temperature": 0.0}, r"temperature is 0\.0; it must be above 0"),
        ({"parts": ("fine",)}, "parts is"),
        ({"parts": ("coarse",), "detect": "fine"}, "detect is 'fine'; choose one of parts"),
        ({"class_rule": "both"}, "class_rule is 'both'"),
        ({"context_weight": -1.0}, "context_weight is"),
        ({"tau": 0.0}, r"tau is 0\.0"),
    ],
)
def test_settings_that_cannot_be_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**changes)


def test_texts_that_do_not_fit_are_named() -> None:
    x, mask, _ = batch()
    with pytest.raises(ValueError, match="texts of 2 classes; the head has 4"):
        VadClip(config(), random_text(("normal", "fire"), WIDTH))
    with pytest.raises(ValueError, match="no class texts"):
        head("none")(x, mask)
    with pytest.raises(ValueError, match=r"texts \(4, 5\); expected \(4, 32\)"):
        head()(x, mask, torch.zeros(4, 5))
    with pytest.raises(ValueError, match="expected"):
        head()(x[..., :5], mask)
    assert head("none")(x, mask, random_text(NAMES, WIDTH)()).class_probs is not None
