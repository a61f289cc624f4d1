"""Full-size language models with random weights of the real size: memory, first word, follow-up, batches, training.

    python benchmarks/full_size.py [--model qwen2.5-vl-7b] [--ways bf16 int8 nf4] [--json FILE]
    python benchmarks/full_size.py --tiny            the same on a CPU with a tiny model: it shows that this runs

Weights are random, made on the device from the sizes below; the words are nonsense, and none of the figures depends on
them. "first" is from frames to the first token, "follow" from a follow-up question to its first token, "overhead" what
the heatmap decoder and the region encoder add to "first". For --tiny give a folder of a model with --folder.
"""

import argparse
import gc
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tvad.lvlm.loaded import DTYPES, Loaded, load
from tvad.lvlm.rae import RegionAwareEncoder, collate_views
from tvad.lvlm.tokens import RaeConfig, n_tokens
from tvad.lvlm.view import View, ViewConfig
from tvad.lvlm.watching import Prompt, Watching, answer_together

# Sizes as the models' config.json has them, from their reports and cards; nothing was fetched.
QWEN2_5_VISION = {
    "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14, "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2,
}  # fmt: skip
QWEN3_VISION = {
    "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16, "patch_size": 16,
    "num_position_embeddings": 2304, "deepstack_visual_indexes": [8, 16, 24],
}  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {
    "qwen2.5-vl-7b": {
        "model_type": "qwen2_5_vl",
        "text_config": {
            "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
            "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 128000,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        },
        "vision_config": QWEN2_5_VISION | {"out_hidden_size": 3584},
    },
    "qwen3-vl-8b": {
        "model_type": "qwen3_vl",
        "text_config": {
            "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 262144,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True,
            },
        },
        "vision_config": QWEN3_VISION | {"out_hidden_size": 4096},
    },
}  # fmt: skip
QUESTION, LATER = "What is anomalous in this video?", "Where is it, and when does it leave?"
CLIP_HW = (476, 868)
WORDS = 48  # tokens of an answer
BATCHES = (1, 8, 32)
STEPS = 5  # of training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-vl-7b", choices=sorted(SIZES))
    parser.add_argument("--ways", nargs="+", default=["bf16", "int8", "nf4"])
    parser.add_argument("--frames", type=int, default=24, help="of the clip")
    parser.add_argument("--long", type=int, default=150, help="of the video of five minutes, one every two seconds")
    parser.add_argument("--batches", type=int, nargs="*", default=list(BATCHES))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--folder", type=Path, help="of a model, instead of making one")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.tiny:
        given.ways, given.batches = ["fp32"], [1, 2]
        given.frames, given.long = min(given.frames, 4), min(given.long, 8)
    elif not torch.cuda.is_available():
        print("no GPU here: nothing is measured; --tiny shows on a CPU that the benchmark runs")
        return
    rows = []
    with tempfile.TemporaryDirectory() as room:
        folder = given.folder or make(given.model, given.tiny, Path(room))
        for way in given.ways:
            rows.append(measure(folder, way, given))
            print_row(rows[-1])
            gc.collect()
            torch.cuda.empty_cache()
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


def make(name: str, tiny: bool, room: Path) -> Path:
    """A folder of random weights; the processor is the tests' own, with the real patch sizes."""
    import sys

    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import tiny_backbones
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    kind = SIZES[name]["model_type"]
    folder = tiny_backbones.make_backbone(kind, room / "tiny")
    if tiny:
        return folder
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    patch = SIZES[name]["vision_config"]["patch_size"]
    for part in (processor.image_processor, processor.video_processor):
        part.patch_size = patch
        part.size = {"shortest_edge": 64 * 64, "longest_edge": 10**9}  # frames keep their size
    small = AutoConfig.from_pretrained(folder, local_files_only=True)
    about = {n: getattr(small, n) for n in small.to_dict() if n.endswith("_token_id") and getattr(small, n) is not None}
    config = AutoConfig.for_model(**SIZES[name], **about)
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("cuda"):
            model: Any = AutoModelForImageTextToText.from_config(config)
    finally:
        torch.set_default_dtype(before)
    with torch.no_grad():
        for values in model.parameters():
            if values.ndim > 1:
                values.normal_(0, 0.02)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.save_pretrained(room / "full")
    processor.save_pretrained(room / "full")
    del model
    gc.collect()
    torch.cuda.empty_cache()
    return room / "full"


def measure(folder: Path, way: str, given: argparse.Namespace) -> dict[str, Any]:
    """All figures of one way of keeping the weights."""
    device = "cpu" if given.tiny else "cuda"
    reset(device)
    dtype, quantise = (way, "") if way in DTYPES else ("bf16", way)
    began = time.perf_counter()
    loaded = load(folder, device, dtype, quantise)
    row: dict[str, Any] = {"model": given.model if not given.tiny else "tiny", "way": way, "device": device}
    if device == "cuda":
        row["gpu"] = torch.cuda.get_device_name()
    row["load_s"] = time.perf_counter() - began
    row["weights_gib"] = held(device)
    size = (32, 32) if given.tiny else CLIP_HW
    for name, count, step_s in (("clip", given.frames, 1 / 24), ("long", given.long, 2.0)):
        frames = np.random.default_rng(0).integers(0, 255, (count, *size, 3), dtype=np.uint8)
        row |= {f"{name}_{key}": value for key, value in dialogue(loaded, frames, np.arange(count) * step_s).items()}
    row |= throughput(loaded, given.frames, size, given.batches)
    row["peak_gib"] = held(device, peak=True)
    row |= learning(folder, way, given, size, device)
    return row


def dialogue(loaded: Loaded, frames: np.ndarray, times_s: np.ndarray) -> dict[str, Any]:
    """A first question with and without heat decoder and region encoder, words, and a follow-up."""
    device = loaded.device.type
    for _ in range(2):  # the first time warms up
        bare, _, _ = first(loaded, frames, times_s, None)
    parts = Parts(loaded, len(frames))
    for _ in range(2):
        whole, backbone, rows = first(loaded, frames, times_s, parts)
    ids = backbone.encode(asked(len(rows)))
    word = loaded.tokenizer.encode("x", add_special_tokens=False)[0]
    ids.append(word)
    began = time.perf_counter()
    for _ in range(WORDS):
        backbone.next_logits(ids, rows)
        ids.append(word)
    spoken = time.perf_counter() - began
    later = [*asked(len(rows)), {"role": "assistant", "content": "a thing"}, {"role": "user", "content": LATER}]
    sync(device)
    began = time.perf_counter()
    backbone.next_logits(backbone.encode(later), rows)
    follow = time.perf_counter() - began
    return {
        "tokens": len(ids) - WORDS - 1,
        "first_s": whole,
        "bare_first_s": bare,
        "overhead": whole / bare - 1,
        "follow_s": follow,
        "follow_share": follow / whole,
        "words_per_s": WORDS / spoken,
    }


class Parts:
    """Decoder and region encoder of the size that T-VAD gives them, random."""

    def __init__(self, loaded: Loaded, frames: int) -> None:
        from heatmap.decoder import HeatmapDecoder
        from tvad.lvlm.tower_heat import decoder_config, text_of

        tiny = loaded.width < 256
        hidden = 16 if tiny else 1024
        slices = max(1, -(-frames // loaded.family.time_patch))
        self.view = ViewConfig(slices=slices, grid=(6, 8), logits=True, slots=0, pictures=0, facts=False)
        config = RaeConfig(view=self.view, width=loaded.width, hidden=hidden, base=10, delta=True, things=False)
        self.rae = RegionAwareEncoder(config).to(loaded.device).eval()
        self.decoder = HeatmapDecoder(decoder_config(loaded, hidden=hidden)).to(loaded.device).eval()
        self.text = text_of(loaded)  # once for all videos
        self.config = config

    @torch.inference_mode()
    def __call__(self, taps: list[torch.Tensor]) -> np.ndarray:
        logits = self.decoder([tap[None].float() for tap in taps], self.text).logits[0]  # (2, T', h, w)
        heat = torch.nn.functional.adaptive_max_pool2d(logits.transpose(0, 1), self.view.grid)
        nothing = np.zeros((0, 12, 152), np.float32)
        from tvad.lvlm.slots import GROUPS

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
    began = time.perf_counter()
    taps = loaded.taps() if parts else ()
    seen = loaded.look(frames, times_s, taps)
    rows = parts([seen.taps[n] for n in taps]) if parts else np.zeros((0, loaded.width), np.float32)
    backbone = Watching(loaded, seen)
    backbone.next_logits(backbone.encode(asked(len(rows))), rows)
    return time.perf_counter() - began, backbone, rows


def throughput(loaded: Loaded, count: int, size: tuple[int, int], batches: list[int]) -> dict[str, Any]:
    """Videos a minute, each looked at and answered in WORDS tokens at most, several side by side."""
    out = {}
    rng = np.random.default_rng(1)
    for batch in batches:
        clips = [rng.integers(0, 255, (count, *size, 3), dtype=np.uint8) for _ in range(batch)]
        sync(loaded.device.type)
        began = time.perf_counter()
        prompts = []
        for frames in clips:
            seen = loaded.look(frames, np.arange(count) / 24)
            prompts.append(
                Prompt(loaded.encode(asked(0), seen.pictures), np.zeros((0, loaded.width), np.float32), seen)
            )
        answer_together(loaded, prompts, WORDS)
        out[f"videos_per_min_{batch}"] = 60 * batch / (time.perf_counter() - began)
    return out


def learning(folder: Path, way: str, given: argparse.Namespace, size: tuple[int, int], device: str) -> dict[str, Any]:
    """Dialogues a second and peak memory of training by LoRA (QLoRA for quantised weights), checkpointed."""
    from training.lvlm.full_data import Shown
    from training.lvlm.full_tuned import FullTuned
    from tvad.lvlm.adapter import AdapterConfig
    from tvad.lvlm.lora import LoraConfig

    gc.collect()
    reset(device)
    dtype, quantise = (way, "") if way in DTYPES else ("bf16", way)
    loaded = load(folder, device, dtype, quantise)
    parts = ViewConfig(slices=12, grid=(6, 8), slots=0, pictures=0, facts=False)
    rae = RaeConfig(view=parts, width=loaded.width, hidden=16 if given.tiny else 1024, base=10, things=False)
    tuned = FullTuned(AdapterConfig(loaded.family.model_type, rae=rae, lora=LoraConfig(32)), loaded)
    tuned.train()
    from tvad.lvlm.slots import GROUPS

    things = {name: np.zeros((0, width), np.float32) for name, width in GROUPS.items()}
    rng = np.random.default_rng(2)
    heat = rng.random((12, 1, 6, 8), dtype=np.float32)
    view = View(heat, np.zeros((0, 12, 152), np.float32), {}, things)
    frames = rng.integers(0, 255, (given.frames, *size, 3), dtype=np.uint8)
    messages = [*asked(n_tokens(rae, view)), {"role": "assistant", "content": "a thing " * 16}]
    optimiser = torch.optim.AdamW(tuned.groups(1e-4, 5e-5, 0.01))
    times = []
    for _ in range(STEPS):
        sync(device)
        began = time.perf_counter()
        row = tuned.row([tuned.written(Shown("", frames, np.arange(given.frames) / 24, view, messages))])
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = tuned(row) / len(row.wanted)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        sync(device)
        times.append(time.perf_counter() - began)
    return {"train_tokens": row.ids.shape[1], "train_per_s": 1 / min(times), "train_peak_gib": held(device, peak=True)}


def sync(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def reset(device: str) -> None:
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def held(device: str, peak: bool = False) -> float | None:
    """GiB on the GPU now, or at most since `reset`; None on a CPU."""
    if device != "cuda":
        return None
    found = torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()
    return found / 2**30


def print_row(row: dict[str, Any]) -> None:
    say: Callable[[Any], str] = lambda v: f"{v:.4g}" if isinstance(v, float) else str(v)  # noqa: E731
    print("\n".join(f"{name:22} {say(value)}" for name, value in row.items() if value is not None), flush=True)
    print(flush=True)


if __name__ == "__main__":
    main()
