"""The local-global adapter: windows, graphs, padding and blocks."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from temporal_checks import STEPS, WIDTH, batch

from tvad.temporal.lgt import (
    LgtAdapter,
    LgtConfig,
    QuickMlp,
    conv_on_real,
    distance_graph,
    similarity_graph,
    thresholded_cosines,
    to_blocks,
)


def adapter(**changes: Any) -> LgtAdapter:
    torch.manual_seed(0)
    return LgtAdapter(LgtConfig(**({"width": WIDTH, "length": STEPS, "window": 4} | changes))).eval()


@pytest.mark.parametrize("lengths", [(16, 13, 1), (16, 16, 16), (2, 9, 16)])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_convolution_on_real_steps_is_that_on_all(lengths: tuple[int, ...], kernel: int) -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv1d(WIDTH, 6, kernel, padding=kernel // 2)
    x, mask, _ = batch(lengths=lengths)
    results = []
    for real in (mask, None):
        given = (x * mask.unsqueeze(-1)).requires_grad_(True)
        out = conv_on_real(conv, given, real)[mask]
        conv.zero_grad()
        out.square().sum().backward()  # type: ignore[no-untyped-call]
        assert given.grad is not None and conv.weight.grad is not None
        results.append((out, given.grad[mask], conv.weight.grad.clone()))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    gap = mask.clone()
    gap[0, 4] = False
    holed = x * gap.unsqueeze(-1)
    torch.testing.assert_close(conv_on_real(conv, holed, gap)[gap], conv_on_real(conv, holed, None)[gap])


def test_attention_stays_in_its_window() -> None:
    model = adapter()
    x, mask, _ = batch(lengths=(16, 13))
    other = x.clone()
    other[:, 5] += torch.randn(WIDTH, generator=torch.Generator().manual_seed(0))  # window 1: steps 4 to 7
    with torch.no_grad():
        moved = (model.local(x, mask) - model.local(other, mask)).abs().amax(2)
    assert bool((moved[:, 4:8] > 1e-4).all())
    assert not moved[:, :4].any() and not moved[:, 8:].any()


def test_a_window_is_a_plain_transformer_layer() -> None:
    model = adapter(layers=1, window=STEPS, heads=2)
    layer = model.layers[0]
    twin = torch.nn.MultiheadAttention(WIDTH, 2, batch_first=True)
    x = torch.randn(2, STEPS, WIDTH, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        twin.in_proj_weight.copy_(layer.qkv.weight)
        twin.in_proj_bias.copy_(layer.qkv.bias)
        twin.out_proj.load_state_dict(layer.out.state_dict())
        start = x + model.positions
        normed = layer.norm_attention(start)
        wanted = start + twin(normed, normed, normed)[0]
        wanted = wanted + layer.mlp(layer.norm_mlp(wanted))
        torch.testing.assert_close(model.local(x, torch.ones(2, STEPS, dtype=torch.bool)), wanted, rtol=1e-4, atol=1e-5)


def test_the_activation_is_quick_gelu() -> None:
    mlp = QuickMlp(1, 1)
    with torch.no_grad():
        for p in mlp.parameters():
            p.fill_(1.0 if p.ndim == 2 else 0.0)
        assert mlp(torch.tensor([[2.0]])).item() == pytest.approx(2 / (1 + math.exp(-3.404)), abs=1e-5)


def test_rows_of_the_similarity_graph_sum_to_one_over_real_steps() -> None:
    z = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(6)[None] < torch.tensor([6, 4])[:, None]
    graph = similarity_graph(z, mask)
    torch.testing.assert_close(graph.sum(2), mask.float())
    assert not graph[1, :, 4:].any() and not graph[1, 4:].any()
    alike = similarity_graph(torch.ones(2, 6, 8) * torch.tensor([1.0, 3.0, 1, 2, 5, 1])[:, None], mask)
    torch.testing.assert_close(alike[0], torch.full((6, 6), 1 / 6))
    torch.testing.assert_close(alike[1, :4, :4], torch.full((4, 4), 1 / 4))
    cosines = thresholded_cosines(z, 0.1)
    torch.testing.assert_close(cosines, cosines.transpose(1, 2))


def test_weak_cosines_count_as_zero_and_still_share_the_row() -> None:
    z = torch.tensor([[[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]]])  # cosines .8, .6, .96
    values = thresholded_cosines(z, 0.7)
    torch.testing.assert_close(values[0], torch.tensor([[1, 0.8, 0], [0.8, 1, 0.96], [0, 0.96, 1]]))
    row = similarity_graph(z, torch.ones(1, 3, dtype=torch.bool))[0, 0]
    torch.testing.assert_close(row, torch.tensor([1.0, 0.8, 0.0]).softmax(0))


def test_the_distance_graph_knows_only_how_far() -> None:
    graph = distance_graph(256)
    assert graph[0, 1].item() == pytest.approx(0.6922, abs=5e-5)
    assert bool((graph.diagonal() == 1).all())
    torch.testing.assert_close(graph[1:, 1:], graph[:-1, :-1])
    torch.testing.assert_close(graph, graph.T)
    assert graph[128].sum().item() == pytest.approx(5.50, abs=0.005)  # rows are not normalised


def test_rows_of_the_distance_graph_can_sum_to_one() -> None:
    _, mask, _ = batch(lengths=(16, 5))
    for mode, wanted in (("masked", mask), ("reference", torch.ones_like(mask))):
        graph = adapter(dist_norm=True, pad_mode=mode)._near_graph(mask).expand(2, -1, -1)
        torch.testing.assert_close(graph.sum(2)[mask], torch.ones(21))
        assert bool(((graph[1, 0] > 0) == wanted[1]).all())


def test_graph_branches_follow_the_formula() -> None:
    model = adapter()
    x, _, _ = batch(lengths=(16, 16))
    mask = torch.ones(2, STEPS, dtype=torch.bool)

    def act(v: torch.Tensor) -> torch.Tensor:
        return v * torch.sigmoid(1.702 * v)

    with torch.no_grad():
        z = model.local(x, mask)
        halves = []
        for branch, graph in ((model.similar, similarity_graph(z, mask)), (model.near, distance_graph(STEPS))):
            beside = F.conv1d(z.transpose(1, 2), branch.beside.weight, branch.beside.bias, padding=2).transpose(1, 2)
            first = act(graph @ z @ branch.first.weight.T + beside)
            halves.append(act(graph @ first @ branch.second.weight.T + first))
        wanted = torch.cat(halves, 2) @ model.join.weight.T + model.join.bias
        torch.testing.assert_close(model(x, mask), wanted, rtol=1e-4, atol=1e-4)


def test_a_padded_video_is_as_one_alone() -> None:
    model = adapter()
    lengths = (16, 9, 1, 2)
    x, mask, _ = batch(lengths=lengths)
    with torch.no_grad():
        together = model(x, mask)
        for n, length in enumerate(lengths):
            alone = x[n : n + 1, :length], mask[n : n + 1, :length]
            torch.testing.assert_close(together[n : n + 1, :length], model(*alone), rtol=1e-4, atol=1e-5)
    assert not together[~mask].any()


def test_a_length_of_whole_blocks_makes_no_further_block() -> None:
    """Specification of VadCLIP, "Ambiguities": the published code adds a block of zeros there."""
    for steps, count in ((256, 1), (512, 2), (513, 3)):
        assert to_blocks(torch.ones(2, steps, 3), 256).shape == (2 * count, 256, 3)
    model, seen = adapter(), []
    model.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[0]))
    x, mask, _ = batch(lengths=(32,), steps=32)
    with torch.no_grad():
        model(x, mask)
    assert seen == [8]  # windows of 4 steps


def test_longer_inputs_are_blocks_of_their_own() -> None:
    model = adapter()
    x, mask, _ = batch(lengths=(40, 16), steps=40)
    with torch.no_grad():
        whole = model(x, mask)
        parts = [model(x[:1, i : i + STEPS], mask[:1, i : i + STEPS]) for i in (0, 16, 32)]
        torch.testing.assert_close(whole[:1], torch.cat(parts, 1), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(whole[1:, :16], model(x[1:, :16], mask[1:, :16]), rtol=1e-4, atol=1e-5)
        assert not whole[1, 16:].any()
    with pytest.raises(ValueError, match="40 steps; training takes 16 at most"):
        model.train()(x, mask)
