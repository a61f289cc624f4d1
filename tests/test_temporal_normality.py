"""SG-NM of DSANet by itself: choice, prototypes, rebuilding and its two losses."""

import pytest
import torch
import torch.nn.functional as F
from temporal_checks import WIDTH

from tvad.temporal.normality import (
    GatherBlock,
    NormalityModel,
    PrototypeAttention,
    PrototypeBlock,
    consistency_loss,
    gather_loss,
    lowest,
    nearest_prototype,
    rebuild_error,
)


def test_the_lowest_real_steps_are_taken_for_normal() -> None:
    logits = torch.tensor([[3.0, -1.0, 2.0, 0.0, -9.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    mask = torch.tensor([[True, True, True, True, False], [True] * 5])
    got = lowest(logits, mask, torch.tensor([3, 2]))
    assert got.tolist() == [[False, True, True, True, False], [True, True, False, False, False]]


def test_prototypes_see_the_chosen_steps_alone() -> None:
    torch.manual_seed(0)
    block = GatherBlock(WIDTH, 4)
    dice = torch.Generator().manual_seed(0)
    p0, v = torch.randn(3, WIDTH, generator=dice), torch.randn(2, 6, WIDTH, generator=dice)
    chosen = torch.tensor([[True, False, True, False, False, True], [True] * 6])
    with torch.no_grad():
        got = block(p0, v, chosen)
        alone = block(p0, v[:1, [0, 2, 5]], torch.ones(1, 3, dtype=torch.bool))
        torch.testing.assert_close(got[:1], alone, rtol=1e-4, atol=1e-5)
        # The formula, with torch's own attention.
        twin = torch.nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        twin.in_proj_weight.copy_(torch.cat([block.query.weight, block.key_value.weight]))
        twin.in_proj_bias.copy_(torch.cat([block.query.bias, block.key_value.bias]))
        twin.out_proj.load_state_dict(block.out.state_dict())
        kv = block.norm(v[1:])
        wanted = p0 + twin(block.norm(p0)[None], kv, kv)[0]
        wanted = wanted + block.mlp(block.norm_mlp(wanted))
    torch.testing.assert_close(got[1:], wanted, rtol=1e-4, atol=1e-5)


def test_cosines_below_zero_give_nothing() -> None:
    torch.manual_seed(0)
    attention = PrototypeAttention(4, 1)
    x = torch.tensor([[[1.0, 2.0, 0.0, 1.0]]])
    with torch.no_grad():
        attention.query.weight.copy_(torch.eye(4))
        attention.query.bias.zero_()
        attention.key_value.weight[:4].copy_(torch.eye(4))
        attention.key_value.bias.zero_()
        away = attention(x, torch.cat([-x, -3 * x], 1))
        torch.testing.assert_close(away[0, 0], attention.out.bias)
        # One prototype that points the same way counts with its cosine, whatever its length.
        near = attention(x, torch.cat([5 * x, -x], 1))
        value = 5 * x[0, 0] @ attention.key_value.weight[4:].T
        torch.testing.assert_close(near[0, 0], attention.out(value))
        attention.scale.fill_(0.5)
        torch.testing.assert_close(attention(x, 5 * x)[0, 0], attention.out(0.5 * value))


def test_a_decoder_block_has_no_way_around_its_attention() -> None:
    torch.manual_seed(0)
    block = PrototypeBlock(8, 2)
    with torch.no_grad():
        block.attention.out.weight.zero_()
        got = block(torch.randn(1, 3, 8), torch.randn(1, 2, 8))
        base = block.attention.out.bias
        wanted = base + block.mlp(block.norm_mlp(base))
    torch.testing.assert_close(got, wanted.expand(1, 3, 8))


def test_the_normality_model_starts_as_published() -> None:
    torch.manual_seed(0)
    model = NormalityModel(64)
    assert model.prototypes.shape == (16, 64) and len(model.decoder) == 8 and model.gather.heads == 8
    assert model.prototypes.std().item() == pytest.approx(1, abs=0.1)
    assert all(bool((block.attention.scale == 1).all()) for block in model.decoder)
    weights = torch.cat([m.weight.flatten() for m in model.modules() if isinstance(m, torch.nn.Linear)])
    assert weights.std().item() == pytest.approx(0.01, abs=0.0005) and weights.abs().max() <= 0.03
    assert not any(m.bias.any() for m in model.modules() if isinstance(m, torch.nn.Linear))


def test_the_normality_model_rebuilds_from_its_bottleneck_and_prototypes() -> None:
    torch.manual_seed(0)
    model = NormalityModel(WIDTH, prototypes=3, heads=4, blocks=2)
    v = torch.randn(2, 5, WIDTH)
    chosen = torch.tensor([[True, False, True, True, True], [True, True, True, True, False]])
    with torch.no_grad():
        found = model(v, chosen)
        normal = model.gather(model.prototypes, v, chosen)
        rebuilt = model.bottleneck(v)
        for block in model.decoder:
            rebuilt = block(rebuilt, normal)
    torch.testing.assert_close(found.error, (1 - F.cosine_similarity(v, rebuilt, dim=-1)) / 2, rtol=1e-4, atol=1e-5)
    distances = 1 - F.cosine_similarity(v[:, :, None], normal[:, None], dim=-1)
    torch.testing.assert_close(found.nearest, distances.amin(-1), rtol=1e-4, atol=1e-5)


def test_gathered_steps_that_are_prototypes_cost_nothing() -> None:
    prototypes = torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(0))
    v = torch.cat([4 * prototypes[:, [2]], 0.1 * prototypes[:, [0]], -prototypes[:, [1]]], 1)
    nearest = nearest_prototype(v, prototypes)
    chosen = torch.tensor([[True, True, False]])
    assert gather_loss(nearest, chosen).item() == pytest.approx(0, abs=1e-6)
    assert gather_loss(nearest, ~chosen).item() > 0.1


def test_scores_that_are_the_errors_cost_nothing() -> None:
    mask = torch.tensor([[True, True, True, False]])
    scores = torch.tensor([[0.2, 0.9, 0.5, 0.1]])
    assert consistency_loss(scores, torch.tensor([[0.2, 0.9, 0.5, 0.8]]), mask).item() == 0
    off = torch.tensor([[0.2, 0.6, 0.5, 0.8]])
    assert consistency_loss(scores, off, mask).item() == pytest.approx(0.03, abs=1e-6)


def test_errors_are_halved_cosine_distances() -> None:
    v = torch.tensor([[[1.0, 0.0]] * 3])
    assert rebuild_error(v, torch.tensor([[[7.0, 0.0], [0.0, 2.0], [-1.0, 0.0]]])).tolist() == [[0, 0.5, 1]]
