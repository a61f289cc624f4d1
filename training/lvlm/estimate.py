"""What a training of a full-size model would take, before it is begun: counted from config.json, no weights are read.

Bytes are counted exactly for what is kept (weights, adapters, optimiser); what passes through is bounded by the largest
tensors of a layer. Time is counted in multiplications and divided by the speed of a matrix product on this machine.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tvad.lvlm import family_of
from tvad.lvlm.choice import Choice
from tvad.lvlm.lora import TARGETS, WITH_MLP
from tvad.lvlm.tokens import shapes
from tvad.presets import get_preset
from tvad.seeing import weights_of

if TYPE_CHECKING:
    from training.lvlm.full import FullOptions

BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}
QUANTISED = {"nf4": 0.5 + 4 / 64 / 8, "int8": 1.0}  # 4 bits and a doubly quantised scale for 64 weights; 8 bits
TRAINED = 16  # bytes of a trained number: itself, its gradient, two moments
USED = 0.4  # share of a matrix product's speed that a training is taken to reach: an assumption, not a measurement
SIDE = {"cuda": 8192, "cpu": 1024}


@dataclass(frozen=True)
class Estimate:
    """Numbers of parameters; bytes on each GPU; multiplications-and-additions times two of a step; seconds."""

    language: int
    vision: int
    lora: int
    rae: int
    weights_bytes: int
    trained_bytes: int
    passing_bytes: int
    step_flop: float
    flop_per_s: float
    steps: int
    longest: int
    device: str

    @property
    def bytes(self) -> int:
        return self.weights_bytes + self.trained_bytes + self.passing_bytes

    @property
    def step_s(self) -> float:
        return self.step_flop / (self.flop_per_s * USED)


def estimate(options: "FullOptions") -> Estimate:
    """MissingWeights without a config.json of the model."""
    import re

    from transformers import AutoConfig, AutoModelForImageTextToText

    preset = get_preset(options.preset)
    folder = weights_of(preset, Choice(weights=Path(options.weights) if options.weights else None))
    family = family_of(preset.backbone)
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        model: Any = AutoModelForImageTextToText.from_config(config)
    whole = sum(p.numel() for p in model.parameters())
    layers = re.compile(WITH_MLP)
    inner = sum(m.weight.numel() for n, m in model.named_modules() if layers.fullmatch(n))
    vision = sum(p.numel() for n, p in model.named_parameters() if n.startswith(family.tower))
    targets = re.compile(WITH_MLP if options.mlp else TARGETS)
    adapted = [m.weight.shape for n, m in model.named_modules() if targets.fullmatch(n)]
    lora = sum(options.rank * (rows + columns) for rows, columns in adapted)
    text = config.text_config
    rae = sum(_size(shape) for shape in shapes(options.config(preset.backbone, text.hidden_size).rae).values())
    each = QUANTISED.get(options.quantise, BYTES[options.dtype])
    weights = inner * each + (whole - inner) * BYTES[options.dtype]
    number = BYTES[options.dtype]
    tokens, width, deep = options.longest, text.hidden_size, text.num_hidden_layers
    kept = deep if options.checkpointing else 0
    # A layer's inside: its input, normed twice, queries to output, and three of the MLP's width.
    inside = tokens * number * (8 * width + 3 * text.intermediate_size)
    passing = kept * tokens * width * number + inside * (1 if options.checkpointing else deep)
    passing += tokens * tokens * number  # who sees whom, in a packed row
    # Forward, back through what is frozen (no gradients of its weights), and forward again with checkpointing.
    passes = 3 if options.checkpointing else 2
    flop = 2.0 * inner * tokens * passes + 4.0 * deep * tokens * tokens * width * passes
    device = "cuda" if torch.cuda.is_available() and options.device != "cpu" else "cpu"
    return Estimate(
        language=inner,
        vision=vision,
        lora=lora,
        rae=rae,
        weights_bytes=int(weights),
        trained_bytes=TRAINED * (lora + rae),
        passing_bytes=int(passing),
        step_flop=flop,
        flop_per_s=speed(device, options.dtype),
        steps=options.steps,
        longest=options.longest,
        device=device,
    )


def report(found: Estimate) -> list[str]:
    """The estimate in lines."""
    gib = 2**30
    return [
        f"language model's layers {found.language / 1e6:.1f} M, vision tower {found.vision / 1e6:.1f} M parameters; "
        f"trained: {found.lora / 1e6:.2f} M low-rank, {found.rae / 1e6:.2f} M region encoder",
        f"memory of a process with one row of {found.longest} tokens: {found.bytes / gib:.2f} GiB, of it weights "
        f"{found.weights_bytes / gib:.2f}, trained numbers {found.trained_bytes / gib:.2f}, passing through about "
        f"{found.passing_bytes / gib:.2f}",
        f"time of a full row: {found.step_s:.3g} s at {found.flop_per_s / 1e12:.3g} TFLOP/s, the speed of a matrix "
        f"product on this {found.device}, of which {USED:.0%} is taken to be reached (an assumption)",
        f"{found.steps} steps of one row: {found.steps * found.step_s / 3600:.3g} h; decoding and analysing the clips, "
        "and the vision tower, come on top",
    ]


def speed(device: str, dtype: str) -> float:
    """Floating-point operations a second of a square matrix product here, the best of ten."""
    side = SIDE[device]
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[dtype]
    a = torch.randn(side, side, device=device, dtype=kind)
    best = 0.0
    for _ in range(10):  # other processes come and go
        began_s = time.perf_counter()
        out = a @ a
        float(out[0, 0])  # waits for it
        best = max(best, 2.0 * side**3 / (time.perf_counter() - began_s))
    return best


def _size(shape: tuple[int, ...]) -> int:
    out = 1
    for n in shape:
        out *= n
    return out
