"""The region-aware encoder: its tokens, what moves them, and that numpy computes what torch trained."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from view_fakes import make_analysis, make_curves, make_evidence

from tvad.lvlm.rae import RegionAwareEncoder, collate_views, mean_row_norm
from tvad.lvlm.slots import GROUPS
from tvad.lvlm.tokens import PAPER, RaeConfig, embed, n_tokens, shapes
from tvad.lvlm.view import View, ViewConfig, view_of

SMALL = RaeConfig(width=32, hidden=16, hidden_things=8)
BARE = ViewConfig(slots=0, pictures=0, facts=False)
HEAT_ONLY = replace(SMALL, view=BARE, things=False)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def shown(config: RaeConfig, seed: int = 0, things: int = 2) -> View:
    analysis, sight = make_analysis(seed, things)
    return view_of(*analysis, sight, config.view)


def of_heat(heat: np.ndarray) -> View:
    """A view of nothing but heat (T', C, h, w)."""
    empty = view_of(make_evidence([], []), make_curves(np.random.default_rng(0)), None, BARE)
    return replace(empty, heat=heat.astype(np.float32))


def run(rae: RegionAwareEncoder, *views: View) -> list[torch.Tensor]:
    with torch.no_grad():
        embeddings, counts = rae(collate_views(views))
    return [row[:count] for row, count in zip(embeddings, counts.tolist(), strict=True)]


def steps(tokens: torch.Tensor, config: RaeConfig) -> torch.Tensor:
    """(T' - 1, base + 10, D)"""
    return tokens.reshape(config.steps, config.base + 10, config.width)


def test_the_paper_s_sizes() -> None:
    sizes = {name: math.prod(shape) for name, shape in shapes(PAPER).items()}
    assert sum(sizes.values()) - sizes["scale"] == 7_539_600
    assert n_tokens(PAPER, shown(PAPER)) == 220
    assert n_tokens(replace(PAPER, view=replace(PAPER.view, slices=1)), shown(PAPER)) == 20


@pytest.mark.parametrize("slices", [1, 2, 4, 12])
@pytest.mark.parametrize("base", [2, 10])
def test_every_step_has_its_tokens(slices: int, base: int) -> None:
    config = replace(HEAT_ONLY, view=replace(BARE, slices=slices), base=base)
    (tokens,) = run(RegionAwareEncoder(config), shown(config))
    assert tokens.shape == (max(slices - 1, 1) * (base + 10), 32)


@pytest.mark.parametrize("things", [0, 1, 4])
def test_unused_tracks_are_left_out(things: int) -> None:
    view = shown(SMALL, things=things)
    (tokens,) = run(RegionAwareEncoder(SMALL), view)
    assert len(tokens) == n_tokens(SMALL, view) == 24 + 5 * 12 + 2 + things * len(GROUPS)


def test_a_single_slice_does_not_change() -> None:
    config = replace(HEAT_ONLY, view=replace(BARE, slices=1), delta=True)
    rng = np.random.default_rng(0)
    rae = RegionAwareEncoder(config)
    one, other = (run(rae, of_heat(rng.random((1, 1, 18, 24))))[0] for _ in range(2))
    assert torch.equal(one, other)


def test_constant_heat_has_the_same_tokens_at_every_step() -> None:
    rng = np.random.default_rng(1)
    low, high = (np.repeat(rng.random((1, 1, 18, 24)), 6, 0) for _ in range(2))
    for config, follows in ((replace(HEAT_ONLY, delta=True), False), (HEAT_ONLY, True)):
        rae = RegionAwareEncoder(config)
        seen = [steps(run(rae, of_heat(heat))[0], config) for heat in (low, high)]
        for tokens in seen:
            torch.testing.assert_close(tokens, tokens[:1].expand_as(tokens))
        assert torch.allclose(*seen, atol=1e-4) != follows


def test_a_spot_that_moves_changes_its_regions_and_never_the_base() -> None:
    left, right = (np.zeros((6, 1, 18, 24)) for _ in range(2))
    left[3, 0, 8:10, 2:5] = right[3, 0, 8:10, 19:22] = 1
    rae = RegionAwareEncoder(HEAT_ONLY)
    a, b = (steps(run(rae, of_heat(heat))[0], HEAT_ONLY) for heat in (left, right))
    base, regions = slice(0, 2), slice(2, 11)
    assert torch.equal(a[:, base], b[:, base])
    changed = (a - b)[:, regions].abs().amax(-1) > 1e-5
    # Where it comes and where it goes, left and right; three convolutions reach one row of regions further.
    assert changed[2:4, [3, 5]].all()
    assert not changed[:2].any() and not changed[4:].any() and not changed[:, [1, 4, 7]].any()


def test_base_tokens_are_those_of_any_video() -> None:
    rae = RegionAwareEncoder(SMALL)
    found = [run(rae, shown(SMALL, seed))[0][24:84] for seed in (0, 1)]
    a, b = (steps(tokens, SMALL)[:, :2] for tokens in found)
    assert torch.equal(a, b) and torch.equal(a[0], a[-1])


def test_a_closed_gate_adds_tokens_of_zeros() -> None:
    config = replace(SMALL, gate=0.0)
    view = shown(config)
    rae = RegionAwareEncoder(config)
    (tokens,) = run(rae, view)
    own = 2 * len(GROUPS)
    assert len(tokens) == n_tokens(replace(config, things=False), view) + own
    assert (tokens[-own:] == 0).all() and (tokens[:-own].norm(dim=1) > 0).all()
    rae(collate_views([view])).embeddings.square().sum().backward()
    embeddings = rae(collate_views([view])).embeddings
    (embeddings * torch.randn_like(embeddings)).sum().backward()
    assert rae.gate.grad is not None and rae.gate.grad != 0  # it can open


def test_tokens_begin_as_long_as_words() -> None:
    table = torch.randn(50, 32) * 0.3
    length = mean_row_norm(table)
    assert length == pytest.approx(float(table.norm(dim=1).mean()))
    (tokens,) = run(RegionAwareEncoder(SMALL, length), shown(SMALL))
    torch.testing.assert_close(tokens.norm(dim=1), torch.full((len(tokens),), length), rtol=0.03, atol=0)


@pytest.mark.parametrize("turn", [False, True])
def test_a_batch_of_two_is_two_single_runs(turn: bool) -> None:
    rae = RegionAwareEncoder(SMALL)
    bare = replace(shown(SMALL, 2), visual=np.zeros((0, 12, 152), np.float32))
    views = [shown(SMALL, 0, things=3), bare][:: -1 if turn else 1]
    with torch.no_grad():
        embeddings, counts = rae(collate_views(views))
    assert counts.tolist() == [n_tokens(SMALL, view) for view in views]
    for row, count, view in zip(embeddings, counts.tolist(), views, strict=True):
        torch.testing.assert_close(row[:count], run(rae, view)[0], rtol=1e-5, atol=1e-6)
        assert (row[count:] == 0).all()


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        HEAT_ONLY,
        replace(SMALL, view=ViewConfig(slices=1, grid=(7, 5), slots=2)),
        replace(SMALL, view=ViewConfig(slices=3, logits=True, pictures=0), base=10),
        replace(SMALL, view=ViewConfig(logits=True, facts=False), delta=True, gate=0.5),
    ],
)
def test_numpy_computes_what_torch_trained(config: RaeConfig) -> None:
    rae = RegionAwareEncoder(config, 3.0)
    weights = {name: values.numpy() for name, values in rae.state_dict().items()}
    assert {name: values.shape for name, values in weights.items()} == shapes(config)
    for things in (0, 2):
        view = shown(config, seed=things, things=things)
        found = embed(config, weights, view)
        assert found.shape == (n_tokens(config, view), 32) and found.dtype == np.float32
        np.testing.assert_allclose(found, run(rae, view)[0].numpy(), atol=2e-5)


def test_every_weight_learns() -> None:
    rae = RegionAwareEncoder(SMALL)
    embeddings, _ = rae(collate_views([shown(SMALL, seed, things=4) for seed in range(3)]))
    (embeddings * torch.randn_like(embeddings)).sum().backward()
    idle = [name for name, p in rae.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_views_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be one batch"):
        collate_views([shown(SMALL), shown(replace(SMALL, view=ViewConfig(slices=3)))])
    with pytest.raises(ValueError, match="cannot be one batch"):
        collate_views([])
