"""Fine-VAD: guidance from level to level, the groups of classes, the three losses and what they reach."""

import dataclasses
import math
from collections.abc import Callable

import pytest
import temporal_checks as checks
import torch
import torch.nn.functional as F

from tvad.temporal.clip_text import LearnedContext
from tvad.temporal.finevad import (
    FineVad,
    FineVadConfig,
    centroids,
    chosen_mean,
    contrast,
    info_nce,
    kmeans,
    map_guidance,
    mean_logit,
    refine_loss,
    same_group,
)
from tvad.temporal.text import FixedText, random_text

NAMES = ("normal", "fight", "fire", "theft")
SMALL = FineVadConfig(width=checks.WIDTH, classes=checks.CLASSES, length=32, window=4)
MODES = {
    "default": {},
    "fine alone": {"levels": ("fine",)},
    "without inter": {"levels": ("coarse", "fine")},
    "without coarse": {"levels": ("inter", "fine")},
    "mha": {"guide": "mha"},
    "literal": {"refine": "literal"},
    "score of the fine level": {"detect": "fine"},
    "score of the coarse level": {"detect": "coarse", "lgt": False},
    "blocks": {"length": 16, "macros": 1},
}


def made(text: FixedText | None = None, **changes: object) -> FineVad:
    torch.manual_seed(0)
    # Texts of another width than the features.
    return FineVad(dataclasses.replace(SMALL, **changes), text or random_text(NAMES, 24))  # type: ignore[arg-type]


def grouped(head: FineVad, groups: list[int]) -> FineVad:
    head.macro.copy_(torch.tensor(groups))
    return head


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("check", checks.ALL, ids=lambda f: f.__name__)
def test_what_every_head_must_pass(check: Callable[[checks.Maker], None], mode: str) -> None:
    check(lambda: made(**MODES[mode]))


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("classes", 1, "at least 2"),
        ("levels", ("coarse", "inter"), "'fine' among them"),
        ("levels", ("fine", "finer"), "choose of"),
        ("guide", "attention", "choose one of"),
        ("refine", "sum", "choose one of"),
        ("macros", 4, "from 1 to"),
        ("omega", 0.5, "at least 1"),
        ("temperature", 0.0, "above 0"),
    ],
)
def test_a_wrong_setting_is_refused(field: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(SMALL, **{field: value})  # type: ignore[arg-type]


def test_wrong_texts_and_a_score_without_its_level_are_refused() -> None:
    with pytest.raises(ValueError, match="choose 'mean' or 'fine'"):
        FineVadConfig(width=32, levels=("fine",), detect="coarse")
    with pytest.raises(ValueError, match="give text"):
        FineVad(SMALL)
    with pytest.raises(ValueError, match="texts of 3 classes"):
        FineVad(SMALL, random_text(NAMES[:3], 24))
    with pytest.raises(ValueError, match="multiple of guide_heads"):
        FineVad(dataclasses.replace(SMALL, guide="mha", guide_heads=5), random_text(NAMES, 24))
    x, mask, _ = checks.batch()
    with pytest.raises(ValueError, match=r"expected \(4, 24\)"):
        made()(x, mask, text=torch.zeros(4, 25))


def test_published_settings() -> None:
    ucf, xd = FineVadConfig.ucf_crime(), FineVadConfig.xd_violence()
    assert (ucf.classes, ucf.groups, ucf.window, ucf.layers) == (14, 4, 8, 2)
    assert (xd.classes, xd.groups, xd.window, xd.layers) == (7, 3, 64, 1)
    assert ucf.width == xd.width == 512


# Guidance


def test_guidance_lies_in_the_hull_of_the_real_steps() -> None:
    # With unit vectors as features, guidance is the weights themselves.
    features = torch.eye(6).expand(2, 6, 6)
    mask = torch.arange(6) < torch.tensor([[6], [4]])
    seen = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0)) * 5
    weights = map_guidance(seen, features, mask)
    assert weights.shape == (2, 3, 6) and bool((weights >= 0).all())
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3))
    assert not weights[1, :, 4:].any() and bool((weights[1, :, :4] > 0).all())


def test_guidance_of_a_uniform_map_is_the_mean_and_of_a_sharp_one_its_step() -> None:
    x, mask, _ = checks.batch()
    flat = map_guidance(torch.full((4, 16, 2), 3.0), x, mask)
    mean = x.sum(1) / mask.sum(1, keepdim=True)
    torch.testing.assert_close(flat, mean[:, None].expand(-1, 2, -1))
    sharp = torch.zeros(4, 16, 1)
    sharp[0, 5] = 200.0
    torch.testing.assert_close(map_guidance(sharp, x, mask)[0, 0], x[0, 5])


def test_fine_texts_take_the_guidance_of_their_parents() -> None:
    x, mask, _ = checks.batch()
    words = random_text(NAMES, 24)()
    for levels in (("coarse", "inter", "fine"), ("coarse", "fine"), ("inter", "fine"), ("fine",)):
        head = grouped(made(levels=levels), [0, 1, 0]).eval()
        seen = head(x, mask).aux["seen"]
        moved = words.expand(4, -1, -1)
        if len(levels) > 1:
            above, parents = (seen.inter, [0, 1, 2, 1]) if "inter" in levels else (seen.coarse, [0, 1, 1, 1])
            moved = moved + head.fine.lean(map_guidance(above, seen.features, mask)[:, parents])
        moved = moved + head.fine.mlp(moved)
        wanted = F.cosine_similarity(seen.features[:, :, None], moved[:, None], dim=-1) / 0.07
        torch.testing.assert_close(seen.fine[mask], wanted[mask], rtol=1e-4, atol=1e-4)


def test_groups_take_the_guidance_of_normal_and_of_anomaly() -> None:
    x, mask, _ = checks.batch()
    head = grouped(made(), [0, 1, 0]).eval()
    seen, words = head(x, mask).aux["seen"], random_text(NAMES, 24)()
    assert head.inter is not None and torch.equal(seen.anomaly, words[1:].mean(0))
    rows = torch.stack([words[0], (words[1] + words[3]) / 2, words[2]])
    rows = rows + head.inter.lean(map_guidance(seen.coarse, seen.features, mask)[:, [0, 1, 1]])
    rows = rows + head.inter.mlp(rows)
    wanted = F.cosine_similarity(seen.features[:, :, None], rows[:, None], dim=-1) / 0.07
    torch.testing.assert_close(seen.inter[mask], wanted[mask], rtol=1e-4, atol=1e-4)


def test_attention_gives_one_guidance_for_all() -> None:
    x, mask, _ = checks.batch()
    head = made(guide="mha").eval()
    seen = head(x, mask).aux["seen"]
    guidance = head.fine.guidance(seen.inter, seen.features, mask)
    assert guidance.shape == (4, 3, 24) and torch.equal(guidance[:, 0], guidance[:, 2])
    other = head.fine.guidance(-seen.inter, seen.features, mask)
    assert float((guidance[0] - other[0]).detach().abs().max()) > 1e-4


def test_the_middle_level_learns_through_the_fine_one_alone() -> None:
    x, mask, y = checks.batch()
    head = made()
    losses = head.loss(head(x, mask), y, mask)
    assert set(losses) == {"bce", "cts", "refine", "total"}
    assert head.inter is not None
    for name, reached in (("bce", False), ("cts", False), ("refine", True)):
        head.zero_grad()
        losses[name].backward(retain_graph=True)
        grad = head.inter.lean.weight.grad
        assert (grad is not None and float(grad.abs().max()) > 0) == reached


def test_texts_and_adapter_are_trained_where_they_can_be() -> None:
    x, mask, y = checks.batch()
    text = LearnedContext(NAMES, random_text(NAMES, 24)())
    head = made(text)
    head.loss(head(x, mask), y, mask)["total"].backward()
    still = [n for n, p in head.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == [] and text.context in set(head.parameters())


# Groups of classes


def test_kmeans_finds_tight_clusters_and_says_the_same_each_time() -> None:
    dice = torch.Generator().manual_seed(0)
    middle = torch.randn(2, 8, generator=dice) * 5
    owner = torch.tensor([0, 1, 1, 0, 0, 1, 1])
    points = (middle[owner] + 0.05 * torch.randn(7, 8, generator=dice)).double()
    assert kmeans(points, 2).tolist() == owner.tolist()
    many = torch.randn(13, 8, generator=dice).double()
    first = kmeans(many, 4)
    torch.manual_seed(2)
    assert torch.equal(first, kmeans(many, 4))
    assert first.shape == (13,) and set(first.tolist()) == {0, 1, 2, 3}


def test_kmeans_is_the_best_partition_of_a_few_points() -> None:
    points = torch.randn(6, 3, generator=torch.Generator().manual_seed(14)).double()

    def cost(owner: torch.Tensor) -> float:
        return float((points - centroids(points, owner, 2)[owner]).square().sum())

    every = [torch.tensor([n >> i & 1 for i in range(6)]) for n in range(1, 63)]
    assert cost(kmeans(points, 2)) == pytest.approx(min(cost(owner) for owner in every))


@pytest.mark.parametrize("points", [torch.eye(5).double(), torch.zeros(5, 4).double()], ids=["apart", "all equal"])
def test_as_many_groups_as_classes_are_singletons(points: torch.Tensor) -> None:
    assert kmeans(points, 5).tolist() == [0, 1, 2, 3, 4]
    assert sorted(set(kmeans(points, 3).tolist())) == [0, 1, 2]


def test_groups_are_those_of_the_plain_texts_and_saved_with_the_weights() -> None:
    plain = torch.tensor([[0.0, 1], [1, 0], [0, 1], [3, 0]])
    head = FineVad(SMALL, random_text(NAMES, 24), plain)
    assert head.macro.tolist() == [0, 1, 0]
    other = grouped(made(), [1, 1, 0])
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.macro, head.macro)


def test_a_further_text_is_that_of_any_anomaly() -> None:
    x, mask, y = checks.batch()
    words = random_text((*NAMES, "anomaly"), 24)
    head = made(words).eval()
    out = head(x, mask)
    assert torch.equal(out.aux["seen"].anomaly, words()[4])
    assert out.class_probs is not None and out.class_probs.shape == (4, 16, 4)
    changed = words().clone()
    changed[4] = -changed[4]
    assert not torch.equal(head(x, mask, text=changed).scores, out.scores)
    assert torch.isfinite(head.loss(out, y, mask)["total"])


def test_another_order_of_the_classes_permutes_the_map_and_no_loss() -> None:
    x, mask, y = checks.batch()
    order = torch.tensor([0, 3, 1, 2])
    words = random_text(NAMES, 24)
    turned_words = FixedText([NAMES[i] for i in order], words()[order])
    for refine in ("sibling", "literal"):
        head = grouped(made(words, refine=refine), [0, 1, 0]).eval()
        turned = grouped(made(turned_words, refine=refine), [0, 0, 1]).eval()
        out, other = head(x, mask), turned(x, mask)
        assert out.class_logits is not None and other.class_logits is not None
        torch.testing.assert_close(out.class_logits[..., order], other.class_logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(out.scores, other.scores)
        losses, others = head.loss(out, y, mask), turned.loss(other, y[:, order], mask)
        for name in losses:
            torch.testing.assert_close(losses[name], others[name], rtol=1e-4, atol=1e-5)


# Losses

POOLED = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
SINGLE = torch.eye(4)[[0, 1, 2, 3, 1]]
TOGETHER = same_group(torch.tensor([0, 1, 0]))


def cross_entropy(rows: slice) -> float:
    return float(F.cross_entropy(POOLED[rows], SINGLE[rows].argmax(1)))


def test_the_published_refinement_is_a_multiple_of_cross_entropy() -> None:
    anomalous, normal = slice(1, 5), slice(0, 1)
    for omega in (1.0, 2.0, 3.5):
        found = float(refine_loss(POOLED[anomalous], SINGLE[anomalous], TOGETHER, omega, "literal"))
        assert found == pytest.approx(omega * cross_entropy(anomalous), rel=1e-6)
        for refine in ("literal", "sibling"):
            found = float(refine_loss(POOLED[normal], SINGLE[normal], TOGETHER, omega, refine))
            assert found == pytest.approx(cross_entropy(normal), rel=1e-6)


def test_siblings_count_more_and_nobody_else_does() -> None:
    assert TOGETHER.int().tolist() == [[0, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 1, 0, 1]]
    everyone = slice(0, 5)
    losses = [float(refine_loss(POOLED, SINGLE, TOGETHER, omega)) for omega in (1.0, 1.5, 2.0, 8.0)]
    assert losses[0] == pytest.approx(cross_entropy(everyone), rel=1e-6)
    assert losses == sorted(losses) and losses[0] < losses[1] < losses[3]
    alone = same_group(torch.tensor([0, 1, 2]))
    assert float(refine_loss(POOLED, SINGLE, alone, 8.0)) == pytest.approx(cross_entropy(everyone), rel=1e-6)
    # Class 2 has no sibling, class 1 has class 3: -log(e^z1 / (e^z0 + e^z1 + e^z2 + omega e^z3)).
    e = POOLED[1].exp()
    wanted = -math.log(e[1] / (e[0] + e[1] + e[2] + 2 * e[3]))
    assert float(refine_loss(POOLED[1:2], SINGLE[1:2], TOGETHER, 2.0)) == pytest.approx(wanted, rel=1e-5)
    assert float(refine_loss(POOLED[2:3], SINGLE[2:3], TOGETHER, 2.0)) == pytest.approx(cross_entropy(slice(2, 3)))


def test_several_labels_share_and_do_not_push_each_other() -> None:
    y = torch.tensor([[0.0, 1, 0, 1]])
    shared = -float(POOLED[:1].log_softmax(-1)[0, [1, 3]].mean())
    assert float(refine_loss(POOLED[:1], y, TOGETHER, 2.0)) == pytest.approx(shared, rel=1e-6)
    assert float(refine_loss(POOLED[:1], y, TOGETHER, 2.0, "literal")) == pytest.approx(2 * shared, rel=1e-6)


def test_contrast_of_the_worked_example() -> None:
    anchor, other = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    own = torch.tensor([[True]])
    assert float(info_nce(anchor, anchor, own, other, 1.0)) == pytest.approx(0.313262, abs=1e-6)
    angles = torch.tensor([1.5, 1.0, 0.5])
    losses = [float(info_nce(anchor, anchor, own, torch.stack([a.cos(), a.sin()])[None], 1.0)) for a in angles]
    assert losses == sorted(losses) and losses[0] < losses[2]
    assert float(info_nce(anchor[:0], anchor, own[:0], other, 1.0)) == 0
    assert float(info_nce(anchor, anchor, own, other[:0], 1.0)) == 0


def test_contrast_takes_the_most_and_the_least_anomalous_steps() -> None:
    values = torch.tensor([[0.1, 0.9, 0.5, 7.0], [0.3, 0.2, 0.1, 0.0]])
    mask = torch.tensor([[True, True, True, False], [True] * 4])
    features = torch.arange(8.0).reshape(2, 4, 1)
    assert chosen_mean(features, values, mask, torch.tensor([1, 2])).tolist() == [[1.0], [4.5]]
    assert chosen_mean(features, -values, mask, torch.tensor([1, 2])).tolist() == [[0.0], [6.5]]


def test_contrast_of_whole_videos() -> None:
    # Two anomalous videos and a normal one; the anomaly text is the first axis.
    axis = torch.eye(4)
    features = torch.stack([axis[[0, 1]], axis[[0, 1]], axis[[2, 3]]])
    evidence = torch.tensor([[1.0, 0.0]] * 3)
    mask = torch.ones(3, 2, dtype=torch.bool)
    kind = torch.tensor([True, True, False])
    # Two positives at cosine 1; negatives at 0: one hard normal step and two backgrounds.
    wanted = -math.log(2 * math.e / (2 * math.e + 3))
    assert float(contrast(features, evidence, mask, kind, axis[0], 1.0)) == pytest.approx(wanted, rel=1e-6)
    # A lone anomalous video still has the text, and its background.
    wanted = -math.log(math.e / (math.e + 1))
    assert float(contrast(features[:1], evidence[:1], mask[:1], kind[:1], axis[0], 1.0)) == pytest.approx(wanted)
    assert float(contrast(features, evidence, mask, torch.zeros(3, dtype=torch.bool), axis[0], 1.0)) == 0


def test_the_coarse_loss_is_the_cross_entropy_of_the_anomaly_column() -> None:
    x, mask, y = checks.batch()
    head = made().eval()
    out = head(x, mask)
    coarse = torch.zeros(4, 16, 2)
    coarse[:, 2, 1] = 5.0  # of a padded step in the third video, which has one
    coarse[:, 3, 0] = torch.tensor([3.0, 3.0, 9.0, 3.0])
    out.aux["seen"] = out.aux["seen"]._replace(coarse=coarse)
    # k is 2, 1, 1 and 1 for 16, 9, 1 and 12 steps.
    odds = torch.tensor([2.5 - 1.5, 5.0 - 3.0, 0.0, 5.0 - 3.0])
    right = torch.tensor([1.0, -1, 1, -1])
    losses = head.loss(out, y, mask)
    assert float(losses["bce"]) == pytest.approx(-float(F.logsigmoid(right * odds).mean()), rel=1e-5)


def test_the_total_is_the_weighted_sum_of_what_the_levels_have() -> None:
    x, mask, y = checks.batch()
    head = made(cts_weight=0.25, refine_weight=3.0)
    losses = head.loss(head(x, mask), y, mask)
    torch.testing.assert_close(losses["total"], losses["bce"] + 0.25 * losses["cts"] + 3 * losses["refine"])
    alone = made(levels=("inter", "fine"), refine_weight=3.0)
    losses = alone.loss(alone(x, mask), y, mask)
    assert set(losses) == {"refine", "total"}
    torch.testing.assert_close(losses["total"], 3 * losses["refine"])


# Scores


def test_scores_are_those_of_the_level_that_is_asked() -> None:
    x, mask, _ = checks.batch()
    outs = {detect: made(detect=detect).eval()(x, mask) for detect in ("mean", "fine", "coarse")}
    seen = outs["mean"].aux["seen"]
    fine, coarse = 1 - seen.fine.softmax(-1)[..., 0], seen.coarse.softmax(-1)[..., 1]
    for detect, wanted in (("fine", fine), ("coarse", coarse), ("mean", (fine + coarse) / 2)):
        torch.testing.assert_close(outs[detect].scores[mask], wanted[mask], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(outs[detect].logits.sigmoid()[mask], outs[detect].scores[mask])
    alone = made(levels=("inter", "fine")).eval()(x, mask)
    torch.testing.assert_close(alone.scores[mask], 1 - alone.class_probs[..., 0][mask], rtol=1e-4, atol=1e-5)


def test_the_mean_of_certain_scores_has_a_finite_logit() -> None:
    odds = torch.tensor([[0.0, 90.0, -90.0, 2.0], [0.0, 90.0, -90.0, -1.0]])
    found = mean_logit(odds)
    assert found[:3].tolist() == pytest.approx([0.0, 90.0, -90.0])
    mean = (1 / (1 + math.exp(-2)) + 1 / (1 + math.exp(1))) / 2
    assert float(found[3]) == pytest.approx(math.log(mean / (1 - mean)), rel=1e-5)


def test_padding_reaches_no_level() -> None:
    x, mask, _ = checks.batch()
    head, found = made().eval(), []
    for filler in (0.0, 37.0):
        seen = head(torch.where(mask[..., None], x, filler), mask).aux["seen"]
        found.append(torch.cat([seen.coarse, seen.inter, seen.fine], -1)[mask])
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-5)


def test_a_video_longer_than_the_adapters_blocks_is_guided_as_a_whole() -> None:
    head = made(length=16).eval()
    x = torch.randn(1, 40, checks.WIDTH, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[:, :16] += 1.0
    mask = torch.ones(1, 40, dtype=torch.bool)
    with torch.no_grad():
        out, other = head(x, mask), head(changed, mask)
    assert out.scores.shape == (1, 40)
    # Features of the last block are its own, its texts saw the first.
    torch.testing.assert_close(out.aux["seen"].features[:, 32:], other.aux["seen"].features[:, 32:])
    assert not torch.allclose(out.aux["seen"].fine[:, 32:], other.aux["seen"].fine[:, 32:], atol=1e-4)
