"""How fast are the temporal heads? Against VadCLIP as one would write it down from the paper, in the same run.

    python benchmarks/heads.py [--batch 64] [--steps 256] [--width 512] [--threads 2] [--fill 1.0] [--clock cpu]
                               [HEAD ...]

A training step is forward, loss, backward and AdamW; inference is a forward pass without gradients; times are the best
of --runs after a warm-up. --clock cpu counts processor time, which others at work do not stretch (with --threads 1:
waiting threads count too). --fill: share of the steps that are real snippets, the rest is padding at the end (on
average; videos differ). The plain VadCLIP has the weights of ours, and its scores must be the same on every real
snippet. Class texts are given vectors for both, so that no text encoder is measured.
"""

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.base import TemporalHead
from tvad.temporal.registry import HEADS, UCF, make_head
from tvad.temporal.text import random_text
from tvad.temporal.vadclip import VadClip

RUNS = 3
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
CLASSES = 14
NAMES = ("normal", *(f"class {n}" for n in range(1, CLASSES)))


class QuickGelu(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


def mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), QuickGelu(), nn.Linear(4 * width, width))


class PlainLayer(nn.Module):
    """Pre-LN transformer layer with a mask of the whole sequence."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm1, self.norm2, self.mlp = nn.LayerNorm(width), nn.LayerNorm(width), mlp(width)

    def forward(self, x: torch.Tensor, blocked: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False, attn_mask=blocked)[0]
        return x + self.mlp(self.norm2(x))


class PlainGraph(nn.Module):
    """Graph convolution with a temporal convolution beside it."""

    def __init__(self, into: int, out: int, beside: bool) -> None:
        super().__init__()
        self.weight = nn.Linear(into, out, bias=False)
        self.conv = nn.Conv1d(into, out, 5, padding=2) if beside else None

    def forward(self, x: torch.Tensor, graph: torch.Tensor) -> torch.Tensor:
        rest = self.conv(x.permute(0, 2, 1)).permute(0, 2, 1) if self.conv is not None else x
        return torch.matmul(graph, self.weight(x)) + rest


class PlainVadClip(nn.Module):
    """VadCLIP (Wu et al., AAAI 2024): what the paper describes, padding masked out, nothing more."""

    def __init__(self, width: int, length: int, window: int, layers: int, texts: torch.Tensor) -> None:
        super().__init__()
        half = width // 2
        self.window = window
        self.positions = nn.Embedding(length, width)
        self.layers = nn.ModuleList(PlainLayer(width, 1) for _ in range(layers))
        self.similar = nn.ModuleList([PlainGraph(width, half, True), PlainGraph(half, half, False)])
        self.near = nn.ModuleList([PlainGraph(width, half, True), PlainGraph(half, half, False)])
        self.join = nn.Linear(width, width)
        self.mlp, self.out, self.text_mlp = mlp(width), nn.Linear(width, 1), mlp(width)
        self.texts = nn.Parameter(texts.clone(), requires_grad=False)
        self.gelu = QuickGelu()

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, T) and alignment (B, T, C + 1)."""
        steps = x.shape[1]
        place = torch.arange(steps)
        kept = mask[..., None].to(x.dtype)
        z = x * kept + self.positions(place)
        other = place[:, None] // self.window != place[None, :] // self.window
        # A row that may look nowhere is not a number, so padding looks at its own window.
        blocked = (
            (other | (~mask[:, None, :] & mask[:, :, None]))
            .to(x.dtype)
            .masked_fill_(other | (~mask[:, None, :] & mask[:, :, None]), float("-inf"))
        )
        for layer in self.layers:
            z = layer(z, blocked)
        z = z * kept
        unit = z / z.norm(dim=2, keepdim=True).clamp(min=1e-8)
        cosine = torch.matmul(unit, unit.permute(0, 2, 1))
        cosine = torch.where(cosine < 0.7, torch.zeros_like(cosine), cosine)
        alike = torch.softmax(cosine.masked_fill(~mask[:, None, :], float("-inf")), 2) * kept
        near = torch.exp(-(place[:, None] - place[None, :]).abs() / math.e).expand(len(x), -1, -1)
        branches = []
        for branch, graph in ((self.similar, alike), (self.near, near)):
            hidden = self.gelu(branch[0](z, graph)) * kept
            branches.append(self.gelu(branch[1](hidden, graph)))
        v = self.join(torch.cat(branches, 2)) * kept
        logits = self.out(v + self.mlp(v)).squeeze(2)
        prompt = torch.matmul(logits.unsqueeze(1), v)
        prompt = prompt / prompt.norm(dim=2, keepdim=True).clamp(min=1e-8)
        texts = self.texts + prompt
        texts = texts + self.text_mlp(texts)
        texts = texts / texts.norm(dim=2, keepdim=True)
        unit = v / v.norm(dim=2, keepdim=True).clamp(min=1e-8)
        return logits, torch.matmul(unit, texts.permute(0, 2, 1)) / 0.07

    def loss(self, logits: torch.Tensor, fine: torch.Tensor, y: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """BCE of the best scores, MIL-Align, and texts held apart."""
        bce, align = [], []
        for n in range(len(y)):
            steps = int(mask[n].sum())
            k = steps // 16 + 1
            bce.append(torch.topk(torch.sigmoid(logits[n, :steps]), k)[0].mean())
            align.append(torch.topk(fine[n, :steps], k, dim=0)[0].mean(0))
        wanted = 1 - y[:, 0]
        share = y / y.sum(1, keepdim=True)
        first = F.binary_cross_entropy(torch.stack(bce), wanted)
        second = -(share * F.log_softmax(torch.stack(align), 1)).sum(1).mean()
        unit = self.texts / self.texts.norm(dim=1, keepdim=True)
        return first + second + 0.1 * (unit[1:] @ unit[0]).abs().mean()

    def take(self, ours: VadClip) -> None:
        """The weights of ours."""
        branches = ours.branches
        with torch.no_grad():
            self.positions.weight.copy_(branches.adapter.positions)
        for mine, own in zip(self.layers, branches.adapter.layers, strict=True):
            mine.attention.in_proj_weight.data.copy_(own.qkv.weight)
            mine.attention.in_proj_bias.data.copy_(own.qkv.bias)
            for to, of in (
                (mine.attention.out_proj, own.out), (mine.norm1, own.norm_attention), (mine.norm2, own.norm_mlp),
                (mine.mlp[0], own.mlp.up), (mine.mlp[2], own.mlp.down),
            ):  # fmt: skip
                to.load_state_dict(of.state_dict())
        for graph, own in ((self.similar, branches.adapter.similar), (self.near, branches.adapter.near)):
            graph[0].weight.load_state_dict(own.first.state_dict())
            graph[0].conv.load_state_dict(own.beside.state_dict())
            graph[1].weight.load_state_dict(own.second.state_dict())
        for to, of in (
            (self.join, branches.adapter.join), (self.out, branches.coarse_out),
            (self.mlp[0], branches.coarse_mlp.up), (self.mlp[2], branches.coarse_mlp.down),
            (self.text_mlp[0], branches.fine_mlp.up), (self.text_mlp[2], branches.fine_mlp.down),
        ):  # fmt: skip
            to.load_state_dict(of.state_dict())


@dataclass(frozen=True)
class Stopwatch:
    """The best of so many runs after a warm-up, in seconds of a clock."""

    clock: Callable[[], float]
    runs: int

    def best_s(self, run: Callable[[], object]) -> float:
        run()
        times_s = []
        for _ in range(self.runs):
            began_s = self.clock()
            run()
            times_s.append(self.clock() - began_s)
        return min(times_s)


def step_s(watch: Stopwatch, model: nn.Module, loss: Callable[[], torch.Tensor]) -> float:
    """Seconds of a training step."""
    model.train()
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, 1e-6)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return watch.best_s(step)


def pass_s(watch: Stopwatch, model: nn.Module, forward: Callable[[], object]) -> float:
    """Seconds of a forward pass."""
    model.eval()
    with torch.no_grad():
        return watch.best_s(forward)


def head_of(name: str, width: int, length: int) -> TemporalHead:
    torch.manual_seed(0)
    settings = dict(HEADS[name].recipes[UCF].head)
    if name in ("vadclip", "dsanet", "finevad"):
        settings["length"] = length
    classes = [*NAMES, "anomaly"] if name == "finevad" else list(NAMES)
    return make_head(name, width, NAMES, random_text(classes, width), **settings)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("heads", nargs="*", default=list(HEADS), metavar="HEAD")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fill", type=float, default=1.0)
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu: on a machine that is shared")
    parser.add_argument("--runs", type=int, default=RUNS)
    given = parser.parse_args()
    watch = Stopwatch(CLOCKS[given.clock], given.runs)
    torch.set_num_threads(given.threads)
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(given.batch, given.steps, given.width, generator=dice)
    real = (given.fill + (1 - given.fill) * (2 * torch.rand(given.batch, generator=dice) - 1)) * given.steps
    mask = torch.arange(given.steps) < real.round().clamp(1, given.steps)[:, None]
    y = F.one_hot(torch.arange(given.batch) % CLASSES, CLASSES).float()
    y[::2] = F.one_hot(torch.tensor(0), CLASSES).float()
    print(f"B={given.batch}, T={given.steps}, D={given.width}, {given.threads} threads, {mask.float().mean():.2f} real")

    ours = head_of("vadclip", given.width, given.steps)
    assert isinstance(ours, VadClip)
    plain = PlainVadClip(given.width, given.steps, 8, 2, ours.branches.words(None).detach())
    plain.take(ours)
    with torch.no_grad():
        mine, (logits, fine) = ours.eval()(x, mask), plain.eval()(x, mask)
    assert mine.class_logits is not None
    off = (mine.logits - logits)[mask].abs().max(), (mine.class_logits - fine)[mask].abs().max()
    print(f"ours and plain VadCLIP differ by {off[0]:.1e} in logits, {off[1]:.1e} in class logits")
    assert max(off) < 1e-3, "not the same outputs"

    plain_step = step_s(watch, plain, lambda: plain.loss(*plain(x, mask), y, mask))
    plain_pass = pass_s(watch, plain, lambda: plain(x, mask))
    print(f"{'':16s}{'step':>9s}{'ratio':>7s}{'pass':>9s}{'ratio':>7s}   ratio: plain VadCLIP's time over this one's")
    print(f"{'plain vadclip':16s}{plain_step:8.2f}s{1:7.2f}{plain_pass:8.2f}s{1:7.2f}")
    for name in given.heads:
        head = head_of(name, given.width, given.steps)
        step = step_s(watch, head, lambda head=head: head.loss(head(x, mask, y=y), y, mask)["total"])  # type: ignore[misc]
        forward = pass_s(watch, head, lambda head=head: head(x, mask))  # type: ignore[misc]
        print(f"{name:16s}{step:8.2f}s{plain_step / step:7.2f}{forward:8.2f}s{plain_pass / forward:7.2f}", flush=True)


if __name__ == "__main__":
    main()
