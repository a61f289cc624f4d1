"""Full-size language models with random weights of the real size: memory, first word, follow-up, batches, training.

    python benchmarks/full_size.py [--model qwen2.5-vl-7b] [--ways bf16 int8 nf4] [--json FILE]
    python benchmarks/full_size.py --device cpu --model smolvlm2-500m --ways bf16 --batches 1 4 8 --long 0
    python benchmarks/full_size.py --tiny            with a tiny model: it shows that this runs

Weights are random, made on the device from the sizes of model_sizes.py; the words are nonsense, and none of the figures
depends on them. "first" is from frames to the first token, "follow" from a follow-up question to its first token,
"overhead" what the heatmap decoder and the region encoder add to "first". On a CPU seconds are those of one core that
this process computed (OMP_NUM_THREADS=1), whatever else the machine does. For --tiny give a folder of a model with
--folder.
"""

import argparse
import gc
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model_sizes import SIZES, make

from tvad.lvlm.loaded import DTYPES, Loaded, load
from tvad.lvlm.rae import RegionAwareEncoder, collate_views
from tvad.lvlm.slots import GROUPS
from tvad.lvlm.tokens import RaeConfig, n_tokens
from tvad.lvlm.tower_heat import decoded, decoder_config, text_of
from tvad.lvlm.view import CELLS, CHANNELS, FACTS, View, ViewConfig
from tvad.lvlm.watching import Prompt, Watching, answer_together
from tvad.presets import PRESETS

QUESTION, LATER = "What is anomalous in this video?", "Where is it, and when does it leave?"
CLIP_HW = (476, 868)
REPEATS = 1
BATCHES = (1, 8, 32)
STEPS = 3  # of training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-vl-7b", choices=sorted(SIZES))
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--attention", default="sdpa", help="sdpa, eager or flash_attention_2")
    parser.add_argument("--size", type=int, nargs=2, default=CLIP_HW, metavar=("H", "W"), help="of the frames")
    parser.add_argument("--words", type=int, default=48, help="tokens of an answer")
    training = parser.add_mutually_exclusive_group()
    training.add_argument("--skip-training", action="store_true")
    training.add_argument("--only-training", action="store_true", help="its memory is not met by what was before")
    parser.add_argument("--ways", nargs="+", default=["bf16", "int8", "nf4"])
    parser.add_argument("--frames", type=int, default=24, help="of the clip")
    parser.add_argument("--long", type=int, default=150, help="of the video of five minutes, evenly; 0: none")
    parser.add_argument("--batches", type=int, nargs="*", default=list(BATCHES))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--folder", type=Path, help="of a model, instead of making one")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.tiny:
        given.ways, given.batches, given.device, given.size = ["fp32"], [1, 2], "cpu", (32, 32)
        given.frames, given.long = min(given.frames, 4), min(given.long, 8)
    elif given.device == "cuda" and not torch.cuda.is_available():
        print("no GPU here: nothing is measured; --device cpu measures on the CPU, with a smaller --model")
        return
    rows = []
    with tempfile.TemporaryDirectory() as room:
        folder = given.folder or make(given.model, given.tiny, Path(room), given.device)
        size = (given.size[0], given.size[1])
        for way in given.ways:
            only = given.only_training
            rows.append(told(learning(folder, way, given, size)) if only else measure(folder, way, given))
            print()
            gc.collect()
            torch.cuda.empty_cache()
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


def measure(folder: Path, way: str, given: argparse.Namespace) -> dict[str, Any]:
    """All figures of one way of keeping the weights."""
    device = given.device
    reset(device)
    dtype, quantise = (way, "") if way in DTYPES else ("bf16", way)
    began = now(device)
    loaded = load(folder, device, dtype, quantise, given.attention)
    row: dict[str, Any] = {"model": given.model if not given.tiny else "tiny", "way": way, "device": device}
    if device == "cuda":
        row["gpu"] = torch.cuda.get_device_name()
    row |= {"parameters_m": sum(p.numel() for p in loaded.model.parameters()) / 1e6, "attention": given.attention}
    row["load_s"] = now(device) - began
    row["weights_gib"] = held(device)
    size, words = (given.size[0], given.size[1]), given.words
    told(row)
    for name, count, step_s in (("clip", given.frames, 1 / 24), ("long", given.long, 300 / max(given.long, 1))):
        if not count:
            continue
        frames = np.random.default_rng(0).integers(0, 255, (count, *size, 3), dtype=np.uint8)
        found = dialogue(loaded, frames, np.arange(count) * step_s, words)
        row |= told({f"{name}_{key}": value for key, value in found.items()})
    row |= throughput(loaded, given.frames, size, given.batches, words)
    row |= told({"peak_gib": held(device, peak=True)})
    del loaded
    return row if given.skip_training else row | told(learning(folder, way, given, size))


def dialogue(loaded: Loaded, frames: np.ndarray, times_s: np.ndarray, words: int) -> dict[str, Any]:
    """A first question with and without heat decoder and region encoder, words, and a follow-up."""
    device = loaded.device.type
    parts = Parts(loaded, len(frames))
    timed = []  # one after the other, so that what else a machine does meets both
    for _ in range(1 + REPEATS):  # the first time warms up
        bare, _, _ = first(loaded, frames, times_s, None)
        whole, backbone, rows = first(loaded, frames, times_s, parts)
        timed.append((bare, whole))
    bare, whole = np.median(timed[1:], axis=0).tolist()
    ids = backbone.encode(asked(len(rows)))
    word = loaded.tokenizer.encode("x", add_special_tokens=False)[0]
    ids.append(word)
    began = now(device)
    for _ in range(words):
        backbone.next_logits(ids, rows)
        ids.append(word)
    spoken = now(device) - began
    backbone.next_logits(ids[: -words - 1], rows)  # back to where the answer began
    later = [*asked(len(rows)), {"role": "assistant", "content": "a thing"}, {"role": "user", "content": LATER}]
    sync(device)
    began = now(device)
    backbone.next_logits(backbone.encode(later), rows)
    follow = now(device) - began
    return {
        "tokens": len(ids) - words - 1,
        "first_s": whole,
        "bare_first_s": bare,
        "overhead": whole / bare - 1,
        "follow_s": follow,
        "follow_share": follow / whole,
        "words_per_s": words / spoken,
    }


class Parts:
    """Decoder and region encoder of the size that T-VAD gives them, random."""

    def __init__(self, loaded: Loaded, frames: int) -> None:
        from heatmap.decoder import HeatmapDecoder

        tiny = loaded.width < 256
        hidden = 16 if tiny else 1024
        slices = max(1, -(-frames // loaded.family.time_patch))
        self.view = ViewConfig(slices=slices, grid=(6, 8), logits=True, slots=0, pictures=0, facts=False)
        config = RaeConfig(view=self.view, width=loaded.width, hidden=hidden, base=10, delta=True, things=False)
        self.rae = RegionAwareEncoder(config).to(loaded.device).eval()
        self.decoder = HeatmapDecoder(decoder_config(loaded, hidden=hidden)).to(loaded.device).eval()
        self.text = text_of(loaded)  # once for all videos
        self.loaded, self.config = loaded, config

    @torch.inference_mode()
    def __call__(self, taps: list[torch.Tensor]) -> np.ndarray:
        logits = decoded(self.loaded, self.decoder, taps, self.text).logits[0]  # (2, T', h, w)
        heat = torch.nn.functional.adaptive_max_pool2d(logits.transpose(0, 1), self.view.grid)
        nothing = np.zeros((0, CELLS, CHANNELS), np.float32)
        things = {name: np.zeros((0, width), np.float32) for name, width in GROUPS.items()}
        view = View(heat.float().cpu().numpy(), nothing, {}, things)
        assert n_tokens(self.config, view) == self.config.steps * (self.config.base + 10)
        found = self.rae(collate_views([view]).to(next(self.rae.parameters()).device))
        return found.embeddings[0].float().cpu().numpy()


def asked(count: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": QUESTION, "tokens": count}]


def first(
    loaded: Loaded, frames: np.ndarray, times_s: np.ndarray, parts: Parts | None
) -> tuple[float, Watching, np.ndarray]:
    """Seconds from frames to the logits of the first word."""
    sync(loaded.device.type)
    began = now(loaded.device.type)
    taps = loaded.taps() if parts else ()
    seen = loaded.look(frames, times_s, taps)
    rows = parts([seen.taps[n] for n in taps]) if parts else np.zeros((0, loaded.width), np.float32)
    backbone = Watching(loaded, seen)
    backbone.next_logits(backbone.encode(asked(len(rows))), rows)
    return now(loaded.device.type) - began, backbone, rows


def throughput(loaded: Loaded, count: int, size: tuple[int, int], batches: list[int], words: int) -> dict[str, Any]:
    """Videos a minute, each looked at and answered in `words` tokens at most, several side by side."""
    out: dict[str, Any] = {}
    rng = np.random.default_rng(1)
    for batch in batches:
        clips = [rng.integers(0, 255, (count, *size, 3), dtype=np.uint8) for _ in range(batch)]
        sync(loaded.device.type)
        began = now(loaded.device.type)
        prompts = []
        for frames in clips:
            seen = loaded.look(frames, np.arange(count) / 24)
            prompts.append(
                Prompt(loaded.encode(asked(0), seen.pictures), np.zeros((0, loaded.width), np.float32), seen)
            )
        answer_together(loaded, prompts, words)
        out |= told({f"videos_per_min_{batch}": 60 * batch / (now(loaded.device.type) - began)})
    return out


def learning(folder: Path, way: str, given: argparse.Namespace, size: tuple[int, int]) -> dict[str, Any]:
    """Dialogues a second and peak memory of training by LoRA (QLoRA for quantised weights), checkpointed, beside what
    `tvad train lvlm --dry-run` says of a row of that length."""
    from training.lvlm.estimate import estimate
    from training.lvlm.full import FullOptions
    from training.lvlm.full_data import Shown
    from training.lvlm.full_tuned import FullTuned

    device = given.device
    reset(device)
    before = held(device)
    dtype, quantise = (way, "") if way in DTYPES else ("bf16", way)
    loaded = load(folder, device, dtype, quantise, given.attention)
    preset = next(name for name, p in PRESETS.items() if p.backbone == loaded.family.model_type)
    options = FullOptions(
        preset=preset, weights=str(folder), dtype=dtype, quantise=quantise, device=device, rows=6, columns=8
    )
    config = options.config(loaded.family.model_type, loaded.width)
    tuned = FullTuned(config, loaded, options.checkpointing)
    tuned.train()
    rng = np.random.default_rng(2)
    view = View(
        rng.random((options.slices, config.rae.view.channels, *config.rae.view.grid), dtype=np.float32),
        np.zeros((0, CELLS, CHANNELS), np.float32),
        {name: np.zeros(width, np.float32) for name, width in FACTS.items()},
        {name: np.zeros((0, width), np.float32) for name, width in GROUPS.items()},
    )
    frames = rng.integers(0, 255, (given.frames, *size, 3), dtype=np.uint8)
    messages = [*asked(n_tokens(config.rae, view)), {"role": "assistant", "content": "a thing " * 16}]
    optimiser = torch.optim.AdamW(tuned.groups(1e-4, 5e-5, 0.01))
    times = []
    for _ in range(STEPS):
        sync(device)
        began = now(device)
        row = tuned.row([tuned.written(Shown("", frames, np.arange(given.frames) / 24, view, messages))])
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = tuned(row) / len(row.wanted)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        sync(device)
        times.append(now(device) - began)
    said = estimate(replace(options, longest=row.ids.shape[1]))
    return {
        "train_tokens": row.ids.shape[1],
        "train_per_s": 1 / min(times),
        "train_peak_gib": held(device, peak=True),
        "train_held_before_gib": before,
        "dry_run_gib": said.bytes / 2**30,
        "dry_run_per_s": 1 / said.step_s,
    }


def now(device: str) -> float:
    """Seconds; on a CPU those that this process computed, so that what else a machine does is not counted."""
    return time.perf_counter() if device == "cuda" else time.process_time()


def sync(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def reset(device: str) -> None:
    """Begin to look for the peak anew."""
    gc.collect()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")


def held(device: str, peak: bool = False) -> float:
    """GiB on the GPU, or of the process on a CPU (weights that are mapped from their file included); now, or at most
    since `reset`."""
    if device == "cuda":
        found = torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()
        return found / 2**30
    wanted = "VmHWM" if peak else "VmRSS"
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[wanted].split()[0]) / 2**20


def told(row: dict[str, Any]) -> dict[str, Any]:
    """The same, printed: what was measured last stands there if the rest takes too long."""
    for name, value in row.items():
        print(f"{name:22} {value:.4g}" if isinstance(value, float) else f"{name:22} {value}", flush=True)
    return row


if __name__ == "__main__":
    main()
