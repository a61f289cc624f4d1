"""AFR: its pyramid, its gates, its losses, and what every temporal head must pass."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import temporal_checks as checks
import torch
import torch.nn.functional as F
from temporal_checks import CLASSES, STEPS, WIDTH, batch
from torch import nn

from tvad.temporal.afr import (
    GATES,
    Afr,
    AfrConfig,
    spread,
    video_scores,
)
from tvad.temporal.attention_gates import ChannelGate, MaskedConv, Scam, SmallObjectAttention, StepGate, pool_grid
from tvad.temporal.base import HeadOutput, Losses
from tvad.temporal.mil import k_tenth
from tvad.temporal.pyramid import Pyramid, halved, local_attention, masked_max_pool

SMALL = AfrConfig(WIDTH, hidden=32)
FAST = replace(SMALL, levels=3, stem=1)


class Taught(Afr):
    """AFR with pseudo labels that are made of the features, so that each video keeps its own in any order; garbage on
    padding. `plain`: what is minimised is the sum of the terms."""

    plain = False

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor, text: torch.Tensor | None = None, y: torch.Tensor | None = None
    ) -> HeadOutput:
        out = super().forward(x, mask, text, y)
        out.aux["pseudo"] = (x.detach()[..., 0:3].amax(-1).float() / 2).clamp(0, 1).masked_fill(~mask, 7.0)
        return out

    def loss(self, out: HeadOutput, y: torch.Tensor, mask: torch.Tensor, pseudo: torch.Tensor | None = None) -> Losses:
        losses = super().loss(out, y, mask, out.aux["pseudo"] if pseudo is None else pseudo)
        if self.plain:
            losses["total"] = losses["cls"] + losses["pseudo"] + losses["triplet"]
        return losses


class PlainTaught(Taught):
    plain = True


def maker(config: AfrConfig, kind: type[Afr] = Afr) -> checks.Maker:
    def make() -> Afr:
        torch.manual_seed(0)
        return kind(config)

    return make


MODES = {
    "default": maker(SMALL),
    "taught": maker(SMALL, Taught),
    "taught, seed, XD, residual": maker(AfrConfig.xd_violence(WIDTH, hidden=32, balance="seed", residual=True), Taught),
    "taught, reference, se": maker(replace(FAST, gates="se", balance="reference"), Taught),
    "scam": maker(replace(FAST, gates="scam")),
    "scam+channel": maker(replace(FAST, gates="scam+channel")),
    "scam+space": maker(replace(FAST, gates="scam+space")),
}


@pytest.mark.parametrize("check", [c for c in checks.ALL if c is not checks.check_learns])
@pytest.mark.parametrize("mode", MODES)
def test_what_every_head_must_pass(check: Callable[[checks.Maker], None], mode: str) -> None:
    check(MODES[mode])


@pytest.mark.parametrize("make", [maker(FAST), maker(FAST, PlainTaught)], ids=["videos", "videos and pseudo labels"])
def test_learns(make: checks.Maker) -> None:
    checks.check_learns(make, rate=1e-2)


# Levels


def test_levels_halve_and_masks_are_nested() -> None:
    head = Afr(SMALL).eval()
    x, mask, y = batch()
    out = head(x, mask, y=y)
    levels = out.aux["levels"]
    assert [level.mask.shape[1] for level in levels] == [16, 8, 4, 2, 1]
    assert [tuple(level.features.shape) for level in levels] == [(4, n, 32) for n in (16, 8, 4, 2, 1)]
    assert [tuple(logits.shape) for logits in out.aux["level_logits"]] == [(4, n) for n in (16, 8, 4, 2, 1)]
    # Videos of 16, 9, 1 and 12 snippets; the one of a single snippet has one level.
    counts = [level.mask.sum(1).tolist() for level in levels]
    assert counts == [[16, 9, 1, 12], [8, 5, 0, 6], [4, 3, 0, 3], [2, 2, 0, 2], [1, 1, 0, 1]]
    for long, short in pairwise(levels):
        assert not (short.mask & ~long.mask[:, ::2]).any()
        assert not short.features[~short.mask].any() and short.features[short.mask].any()
    assert out.logits.shape == out.scores.shape == mask.shape
    torch.testing.assert_close(out.logits[mask].sigmoid(), out.scores[mask])
    assert out.class_logits is None and out.class_probs is None


@pytest.mark.parametrize(("steps", "lengths"), [(1, [1]), (2, [2, 1]), (11, [11, 6, 3, 2, 1]), (32, [32, 16, 8, 4, 2])])
def test_short_inputs_have_fewer_levels(steps: int, lengths: list[int]) -> None:
    pyramid = Pyramid(WIDTH, 32)
    levels = pyramid(torch.randn(2, steps, WIDTH), torch.ones(2, steps, dtype=torch.bool))
    assert [int(level.mask.sum(1)[0]) for level in levels] == lengths


def test_padding_is_no_neighbour_of_the_last_step() -> None:
    """A video alone, without a single padded step, has the levels that it has in a longer batch."""
    head = Afr(SMALL).eval()
    x, mask, _ = batch()
    with torch.no_grad():
        together, alone = head(x, mask), head(x[1:2, :9], mask[1:2, :9])
    for long, short in zip(together.aux["levels"], alone.aux["levels"], strict=True):
        n = short.mask.shape[1]
        torch.testing.assert_close(long.features[1, :n], short.features[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.scores[1, :9], alone.scores[0], rtol=1e-4, atol=1e-6)


def test_max_pool_of_negative_numbers_stays_negative_at_the_boundary() -> None:
    x = -torch.tensor([[[1.0], [2.0], [3.0], [4.0], [9.0], [9.0]]])
    mask = torch.tensor([[True] * 3 + [False] * 3])
    assert masked_max_pool(x, mask, halved(mask)).squeeze().tolist() == [-1.0, -2.0, 0.0]


def test_local_attention_is_attention_with_a_band() -> None:
    q, k, v = torch.randn(3, 2, 21, 8).unbind(0)
    mask = torch.arange(21)[None] < torch.tensor([[21], [13]])
    steps = torch.arange(21)
    band = (steps[:, None] - steps[None]).abs() <= 4
    allowed = (band & mask[:, None, :])[:, None]
    per_head = [x.reshape(2, 21, 2, 4).transpose(1, 2) for x in (q, k, v)]
    told = F.scaled_dot_product_attention(*per_head, attn_mask=allowed).transpose(1, 2).reshape(2, 21, 8)
    found = local_attention(q, k, v, mask, heads=2, reach=4)
    torch.testing.assert_close(found[mask], told[mask], rtol=1e-4, atol=1e-5)
    assert torch.isfinite(found).all()


def test_a_step_padded_in_between_is_refused() -> None:
    with pytest.raises(ValueError, match="padding stands at the end"):
        Afr(FAST)(torch.randn(1, 3, WIDTH), torch.tensor([[True, False, True]]))


def test_scores_begin_near_the_prior() -> None:
    torch.manual_seed(0)
    x, mask, _ = batch()
    scores = Afr(SMALL).eval()(x, mask).scores[mask]
    assert 0.002 < float(scores.mean().detach()) < 0.05


# Gates

GRIDS = [((7,), 1), ((5, 6), 2)]


def grid(shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (2, *shape, 8) and a mask that lacks the last step of the first axis in the second row."""
    dice = torch.Generator().manual_seed(3)
    mask = torch.ones(2, *shape, dtype=torch.bool)
    mask[1, -1] = False
    return torch.randn(2, *shape, 8, generator=dice), mask


def force_open(module: nn.Module) -> None:
    """Every gate to exactly 1."""
    for part in module.modules():
        last = part.mlp[-1] if isinstance(part, ChannelGate) else getattr(part, "place", None)
        layer = last.conv if isinstance(last, MaskedConv) else last
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d) and layer.bias is not None:
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, 100.0)


@pytest.mark.parametrize(("shape", "dims"), GRIDS)
def test_gates_lie_between_zero_and_one_and_shrink(shape: tuple[int, ...], dims: int) -> None:
    scam, small = Scam(8, dims), SmallObjectAttention(8, dims)
    x, mask = grid(shape)
    local = scam.local(x, mask)
    seen = scam(x, mask)
    out = small(seen, mask)
    gates = [scam.gate(local, mask), small.channel_gate(seen, mask), small.space_gate(seen, mask)]
    ones = (1,) * dims
    assert [tuple(g.shape) for g in gates] == [(2, *ones, 8), (2, *ones, 8), (2, *shape, 1)]
    assert all(bool(((g > 0) & (g < 1)).all()) for g in gates[:2]) and bool(
        ((gates[2] > 0) & (gates[2] < 1))[mask].all()
    )
    assert out.shape == x.shape and bool((out.abs() <= local.abs()).all()) and bool((local >= 0).all())
    assert not out[~mask].any()
    for before, after in ((local, seen), (seen, out)):
        assert bool((after < before)[before > 0].all())


@pytest.mark.parametrize(("shape", "dims"), GRIDS)
def test_with_open_gates_the_modules_are_phi_and_identity(shape: tuple[int, ...], dims: int) -> None:
    scam, small = Scam(8, dims), SmallObjectAttention(8, dims)
    x, mask = grid(shape)
    real = mask[..., None]
    assert not torch.equal(small(x, mask), x * real)
    force_open(scam)
    force_open(small)
    phi = F.relu(scam.norm(scam.conv(x, mask))) * real
    assert torch.equal(scam(x, mask), phi) and bool(phi.any())
    assert torch.equal(small(x, mask), x * real)


@pytest.mark.parametrize(("shape", "dims"), GRIDS)
def test_gates_do_not_see_padding(shape: tuple[int, ...], dims: int) -> None:
    x, mask = grid(shape)
    other = torch.where(mask[..., None], x, torch.full_like(x, 37.0))
    for module in (Scam(8, dims), SmallObjectAttention(8, dims), Scam(8, dims, residual=True), StepGate(8)):
        torch.testing.assert_close(module(x, mask), module(other, mask))
    # What was cut away is the same as what is masked.
    for module in (Scam(8, dims), SmallObjectAttention(8, dims)):
        torch.testing.assert_close(module(x[1:, :-1], mask[1:, :-1]), module(x, mask)[1:, :-1])


def test_pools_are_added_before_one_mlp() -> None:
    gate = ChannelGate(8)
    with torch.no_grad():
        gate.mlp[0].weight.mul_(3)
    most, mean = torch.randn(2, 5, 8).unbind(0)
    assert torch.equal(gate(most, mean), gate(mean, most))
    assert torch.equal(gate(most, mean), gate(most + mean, torch.zeros(5, 8)))
    cbam = (gate.mlp(most) + gate.mlp(mean)).sigmoid()
    assert not torch.allclose(gate(most, mean), cbam, atol=1e-3)


def test_pools_are_masked() -> None:
    x = torch.tensor([[[-1.0], [-3.0], [9.0]], [[5.0], [5.0], [5.0]]])
    most, mean = pool_grid(x, torch.tensor([[True, True, False], [False] * 3]))
    assert most.tolist() == [[-1.0], [0.0]] and mean.tolist() == [[-2.0], [0.0]]


def test_gates_begin_open_and_the_map_at_a_half() -> None:
    scam, small = Scam(8), SmallObjectAttention(8)
    for gate in (scam.channel, small.channel):
        assert gate is not None and gate.mlp[-1].bias.tolist() == [2.0] * 8
    assert small.place is not None and small.place.conv.bias is not None and small.place.conv.bias.tolist() == [0.0]


def test_residual_adds_what_came_in() -> None:
    x, mask = grid((7,))
    for kind in (Scam, SmallObjectAttention):
        module, other = kind(8), kind(8, residual=True)
        other.load_state_dict(module.state_dict())
        torch.testing.assert_close(other(x, mask), module(x, mask) + x * mask[..., None])


def test_each_half_of_small_object_attention_alone() -> None:
    x, mask = grid((7,))
    both = SmallObjectAttention(8)
    channel, space = SmallObjectAttention(8, space=False), SmallObjectAttention(8, channel=False)
    channel.load_state_dict({k: v for k, v in both.state_dict().items() if k.startswith("channel")})
    space.load_state_dict({k: v for k, v in both.state_dict().items() if k.startswith("place")})
    torch.testing.assert_close(space(channel(x, mask), mask), both(x, mask))
    with pytest.raises(ValueError, match="leave it out"):
        SmallObjectAttention(8, channel=False, space=False)


def test_ablations_hold_the_gates_they_name() -> None:
    found = {}
    for gates in GATES:
        neck = Afr(replace(FAST, gates=gates)).necks[0].gates
        small = neck[1] if len(neck) > 1 else None
        has = [isinstance(small, SmallObjectAttention) and p is not None for p in _halves(small)]
        found[gates] = (type(neck[0]).__name__, *has)
    assert found == {
        "se": ("StepGate", False, False),
        "scam": ("Scam", False, False),
        "scam+channel": ("Scam", True, False),
        "scam+space": ("Scam", False, True),
        "afr": ("Scam", True, True),
    }


def _halves(module: nn.Module | None) -> tuple[nn.Module | None, nn.Module | None]:
    return (module.channel, module.place) if isinstance(module, SmallObjectAttention) else (None, None)


# Losses


def test_a_video_has_the_mean_over_levels_of_its_best() -> None:
    assert k_tenth(torch.tensor([1, 10, 11, 128])).tolist() == [1, 1, 2, 13]
    long = torch.rand(2, 16)
    masks = [torch.arange(16)[None] < torch.tensor([[11], [1]]), torch.tensor([[True, False], [False, False]])]
    told = (long[0, :11].topk(2).values.mean() + 0.3) / 2
    found = video_scores([long, torch.tensor([[0.3, 0.9], [0.9, 0.9]])], masks, 10)
    torch.testing.assert_close(found, torch.stack([told, long[1, 0]]))


@pytest.mark.parametrize("balance", ["square", "seed", "reference"])
def test_the_total_of_the_head(balance: str) -> None:
    torch.manual_seed(0)
    head = Taught(replace(FAST, balance=balance)).eval()
    x, mask, y = batch()
    losses = head.loss(head(x, mask), y, mask)
    cls, pseudo, trip = (losses[name] for name in ("cls", "pseudo", "triplet"))
    assert all(float(v.detach()) > 0 for v in (cls, pseudo, trip))
    torch.testing.assert_close(head.betas(), torch.ones(3))
    whole, half = cls + pseudo + trip + 3 * math.log(2), (cls + pseudo) / 2 + 2 * math.log(2)
    torch.testing.assert_close(losses["total"], half if balance == "reference" else whole)
    losses["total"].backward()
    if balance == "reference":
        assert not head.beta.requires_grad and head.beta.grad is None
    else:
        assert head.beta.grad is not None and bool(head.beta.grad.all())


# Scores


def test_interpolation_of_a_constant_is_constant() -> None:
    for factor in (1, 2, 16, 48):
        values = torch.full((2, 5), 0.37)
        assert torch.equal(spread(values, torch.tensor([5, 3]), factor, 5 * factor), torch.full((2, 5 * factor), 0.37))


def test_interpolation_is_that_of_the_valid_part() -> None:
    values = torch.rand(2, 5)
    found = spread(values, torch.tensor([5, 3]), 4, 20)
    for row, n in enumerate((5, 3)):
        told = F.interpolate(values[row, :n].view(1, 1, n), size=4 * n, mode="linear", align_corners=False)
        torch.testing.assert_close(found[row, : 4 * n], told.flatten())


def test_levels_that_agree_agree_with_their_mean() -> None:
    head = Afr(SMALL).eval()
    with torch.no_grad():
        head.scorer.last.conv.weight.zero_()
    x, mask, _ = batch()
    out = head(x, mask)
    told = torch.full_like(out.scores, 0.01).masked_fill(~mask, 0)
    torch.testing.assert_close(out.scores, told)
    frames = head.frame_scores(out, mask)
    assert frames.shape == (4, 16 * STEPS)
    torch.testing.assert_close(frames, told.repeat_interleave(16, 1))


def test_frames_have_the_mean_of_the_levels_spread_over_them() -> None:
    torch.manual_seed(0)
    head = Afr(FAST).eval()
    x, mask, _ = batch(lengths=(16,))
    out = head(x, mask)
    told = [
        F.interpolate(v.sigmoid()[:, None], scale_factor=16 * 2**i, mode="linear")[:, 0]
        for i, v in enumerate(out.aux["level_logits"])
    ]
    torch.testing.assert_close(head.frame_scores(out, mask), torch.stack(told).mean(0))


# Configurations


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width is 0"),
        ({"levels": 0}, "levels is 0"),
        ({"stem": -1}, "stem is -1"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"hidden": 30}, "multiple of heads"),
        ({"reduction": 64}, "at most hidden"),
        ({"gates": "sam"}, "gates is 'sam'"),
        ({"balance": "sum"}, "balance is 'sum'"),
    ],
)
def test_wrong_configurations_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_the_data_sets_of_the_paper() -> None:
    ucf, xd = AfrConfig.ucf_crime(), AfrConfig.xd_violence()
    assert (ucf.width, ucf.convs, ucf.stem, ucf.heads, ucf.focal_alpha, ucf.focal_gamma) == (1024, 1, 2, 4, 0.2, 1.0)
    assert (xd.width, xd.convs, xd.stem, xd.heads, xd.focal_alpha, xd.focal_gamma) == (1024, 2, 1, 8, 0.4, 2.5)
    pyramid = Afr(replace(xd, width=WIDTH, hidden=32)).pyramid
    assert (len(pyramid.convs), len(pyramid.stem), len(pyramid.branch)) == (2, 1, 4)
    assert CLASSES > 1 and Afr.classes == 1
