"""Multi-scale network: masked normalisation, the non-local block, branches and residual."""

import pytest
import torch
from torch import nn

from tvad.temporal.mtn import ChannelNorm, MaskedBatchNorm, Mtn, NonLocal, norm_of, start_xavier

FULL = torch.ones(1, 16, dtype=torch.bool)


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    torch.manual_seed(0)


def shaken(module: nn.Module) -> nn.Module:
    """The same module with other weights: what begins as zero no longer hides what it is multiplied by."""
    dice = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=dice))
    return module


def test_masked_normalisation_is_the_common_one_without_padding():
    ours, common = shaken(MaskedBatchNorm(6)), nn.BatchNorm1d(6)
    common.load_state_dict(ours.state_dict())
    x = torch.randn(3, 6, 8)
    mask = torch.ones(3, 8, dtype=torch.bool)
    for _ in range(3):
        torch.testing.assert_close(ours(x, mask), common(x))
    for name, value in common.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    torch.testing.assert_close(ours.eval()(x, mask), common.eval()(x))


def test_statistics_are_of_real_steps():
    ours, common = MaskedBatchNorm(6), nn.BatchNorm1d(6)
    x = torch.randn(2, 6, 8)
    mask = torch.arange(8)[None] < torch.tensor([[8], [3]])
    rows = x.transpose(1, 2)[mask]
    torch.testing.assert_close(ours(x, mask).transpose(1, 2)[mask], common(rows))
    torch.testing.assert_close(ours.running_mean, common.running_mean)
    torch.testing.assert_close(ours.running_var, common.running_var)


def test_one_step_can_be_normalised():
    found = MaskedBatchNorm(6)(torch.randn(1, 6, 1), torch.ones(1, 1, dtype=torch.bool))
    assert not found.any()


def test_non_local_block_begins_as_the_identity():
    for norm in ("bn", "ln"):
        block = NonLocal(6, 4, norm)
        x, mask = torch.randn(2, 6, 16), torch.ones(2, 16, dtype=torch.bool)
        assert torch.equal(block(x, mask), x)
        assert torch.equal(block.eval()(x, mask), x)


def test_non_local_block_reads_by_affinity_over_the_length():
    block = shaken(NonLocal(6, 4)).eval()
    assert isinstance(block, NonLocal)
    x, mask = torch.randn(1, 6, 16), FULL.clone()
    mask[:, 11:] = False
    theta, phi, g = (conv(x[..., :11]) for conv in (block.theta, block.phi, block.g))
    affinity = theta.transpose(1, 2) @ phi / 11  # (1, 11, 11)
    read = (affinity @ g.transpose(1, 2)).transpose(1, 2)
    wanted = x[..., :11] + block.norm(block.out(read), mask[:, :11])
    torch.testing.assert_close(block(x, mask)[..., :11], wanted)
    assert torch.equal(block(x, mask)[..., 11:], x[..., 11:])
    assert not torch.allclose(wanted, x[..., :11], atol=0.1)


def test_multi_scale_network_is_its_branches_and_the_input():
    net = shaken(Mtn(8, 4, 2)).eval()
    assert isinstance(net, Mtn)
    x = torch.randn(1, 8, 16)
    near = [
        nn.functional.conv1d(x, conv.weight, conv.bias, padding=d, dilation=d).relu()
        for conv, d in zip(net.dilated, (1, 2, 4), strict=True)
    ]
    normed = [norm(part, FULL) for part, norm in zip(near, net.norms, strict=True)]
    parts = torch.cat([*normed, net.whole(net.narrow(x).relu(), FULL)], 1)
    torch.testing.assert_close(net(x, FULL), x + net.fuse_norm(net.fuse(parts).relu(), FULL))


def test_zeros_stay_zeros_at_the_start():
    for norm in ("bn", "ln"):
        net = Mtn(8, 4, 2, norm).apply(start_xavier).eval()
        assert not net(torch.zeros(1, 8, 16), FULL).any()


def test_layer_normalisation_is_of_the_channels_of_a_step():
    x = torch.randn(2, 6, 16)
    found = norm_of("ln", 6)(x, FULL.expand(2, -1))
    wanted = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(found, wanted)
    assert isinstance(norm_of("ln", 6), ChannelNorm) and isinstance(norm_of("bn", 6), MaskedBatchNorm)
    with pytest.raises(ValueError, match=r"norm is 'gn'; choose one of \['bn', 'ln'\]"):
        norm_of("gn", 6)
