"""Multi-scale temporal network of RTFM and CLIP-TSA: three dilated convolutions, a look at the whole, and a residual.

Tian et al., ICCV 2021, section 3.2, at the width of CLIP-TSA (ICIP 2023). Differs from the papers: padded steps are
zero wherever a neighbour could read them, are no part of the statistics of a normalisation, and do not count in the
mean over the whole. Tensors are (B, C, T), masks (B, T). Next: tvad/temporal/vadclip.py
"""

import torch
from torch import nn

DILATIONS = (1, 2, 4)
NORMS = ("bn", "ln")


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation whose mean and variance are those of the real steps."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        if not self.training:
            return super().forward(x)
        real = mask.unsqueeze(1)
        count = real.sum()
        wide = x.float()
        mean = wide.masked_fill(~real, 0.0).sum((0, 2)) / count
        away = (wide - mean[:, None]).masked_fill(~real, 0.0)
        variance = away.square().sum((0, 2)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1).clamp(min=1))
        scale = self.weight.float() * torch.rsqrt(variance + self.eps)
        return (away * scale[:, None] + self.bias.float()[:, None]).to(x)

    def _remember(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var), self.momentum)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each step: nothing of a step depends on another one."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def norm_of(kind: str, channels: int) -> nn.Module:
    """A normalisation of channels, by name; ValueError for another name."""
    if kind not in NORMS:
        raise ValueError(f"norm is {kind!r}; choose one of {list(NORMS)}")
    return MaskedBatchNorm(channels) if kind == "bn" else ChannelNorm(channels)


class NonLocal(nn.Module):
    """Every step reads all steps; an affinity is a dot product over the number of steps, without a softmax. Begins as
    the identity."""

    def __init__(self, channels: int, inner: int, norm: str = "bn") -> None:
        super().__init__()
        self.theta, self.phi, self.g = (nn.Conv1d(channels, inner, 1) for _ in range(3))
        self.out = nn.Conv1d(inner, channels, 1)
        self.norm = norm_of(norm, channels)
        for p in self.norm.parameters():
            nn.init.zeros_(p)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        padding = ~mask.unsqueeze(1)
        keys = self.phi(x).masked_fill(padding, 0.0)
        values = self.g(x) / mask.sum(1)[:, None, None]
        # Without a softmax the product may be taken from the right, and no (T, T) table is needed for a long video.
        read = (values @ keys.transpose(1, 2)) @ self.theta(x)
        return x + self.norm(self.out(read), mask).masked_fill(padding, 0.0)


class Mtn(nn.Module):
    """(B, width, T) -> (B, width, T), zero on padding. branch: channels of each of the four branches; inner: of the
    non-local block."""

    def __init__(self, width: int, branch: int, inner: int, norm: str = "bn") -> None:
        super().__init__()
        self.dilated = nn.ModuleList(nn.Conv1d(width, branch, 3, padding=d, dilation=d) for d in DILATIONS)
        self.norms = nn.ModuleList(norm_of(norm, branch) for _ in DILATIONS)
        self.narrow = nn.Conv1d(width, branch, 1, bias=False)
        self.whole = NonLocal(branch, inner, norm)
        self.fuse = nn.Conv1d(branch * (len(DILATIONS) + 1), width, 3, padding=1, bias=False)
        self.fuse_norm = norm_of(norm, width)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        padding = ~mask.unsqueeze(1)
        x = x.masked_fill(padding, 0.0)
        near = [norm(conv(x).relu(), mask) for conv, norm in zip(self.dilated, self.norms, strict=True)]
        parts = torch.cat([*near, self.whole(self.narrow(x).relu(), mask)], 1).masked_fill(padding, 0.0)
        return x + self.fuse_norm(self.fuse(parts).relu(), mask).masked_fill(padding, 0.0)


def start_xavier(module: nn.Module) -> None:
    """For `Module.apply`: Xavier-uniform weights and zero biases in linear layers and convolutions."""
    if isinstance(module, nn.Linear | nn.Conv1d):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
