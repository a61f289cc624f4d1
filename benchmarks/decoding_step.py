"""Ways to decode a word with a full-size language model: eager attention, SDPA, a static cache, torch.compile.

    python benchmarks/decoding_step.py [--model smolvlm2-500m] [--device cpu] [--prompt 320] [--words 16]

Random weights of the real size, words only. Ours is SDPA with a cache that grows (tvad/lvlm/watching.py). Each way
reads the same prompt and then the same words, in three rounds. Printed are seconds a word (the median of a round's
words but the first two, which compile; the best round), the ratio to ours of the same round, and the largest difference
of logits from ours. On a CPU seconds are those that the process computed.
"""

import argparse
import gc
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from full_size import now, sync
from model_sizes import SIZES, make

from tvad.lvlm.loaded import Loaded, load

WARM = 2  # words that are not counted
ROUNDS = 3  # all ways one after the other, so that what else a machine does meets all
# Way -> attention, whether the cache is static, whether the step is compiled.
WAYS: dict[str, tuple[str, bool, bool]] = {
    "sdpa (ours)": ("sdpa", False, False),
    "eager": ("eager", False, False),
    "sdpa, static cache": ("sdpa", True, False),
    "sdpa, static cache, torch.compile": ("sdpa", True, True),
    "sdpa (ours, again)": ("sdpa", False, False),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smolvlm2-500m", choices=sorted(SIZES))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--device", default="cpu", choices=("cuda", "cpu"))
    parser.add_argument("--prompt", type=int, default=320, help="tokens that are read first")
    parser.add_argument("--words", type=int, default=16)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as room:
        folder = make(given.model, given.tiny, Path(room), given.device)
        found: dict[str, list[float]] = {name: [] for name in WAYS}
        said: dict[str, np.ndarray] = {}
        for _ in range(ROUNDS):
            for name, (attention, static, compiled) in WAYS.items():
                loaded = load(folder, given.device, "bf16", "", attention)
                seconds, said[name] = decode(loaded, given.prompt, given.words, static, compiled)
                found[name].append(seconds)
                del loaded
                gc.collect()
    ours = next(iter(WAYS))
    for name, times in found.items():
        away = float(np.abs(said[name] - said[ours]).max())
        faster = [mine / theirs for mine, theirs in zip(found[ours], times, strict=True)]
        print(
            f"{name}: {min(times):.4f} s a word, {min(faster):.2f} to {max(faster):.2f} of our speed, "
            f"logits differ by {away:.2g}"
        )


@torch.inference_mode()
def decode(loaded: Loaded, prompt: int, words: int, static: bool, compiled: bool) -> tuple[float, np.ndarray]:
    """Median seconds of a word, and the logits (words, V) after each."""
    from transformers import DynamicCache, StaticCache

    device = loaded.device
    ids = torch.randint(10, 200, (1, prompt + words), generator=torch.Generator().manual_seed(0)).to(device)
    text: Any = loaded.model.config.get_text_config()
    cache: Any = StaticCache(config=text, max_cache_len=prompt + words) if static else DynamicCache(config=text)
    step: Any = torch.compile(loaded.model, dynamic=False) if compiled else loaded.model
    call = {"past_key_values": cache, "use_cache": True, "logits_to_keep": 1}
    loaded.model(input_ids=ids[:, :prompt], **call)
    times, found = [], []
    for n in range(prompt, prompt + words):
        sync(device.type)
        began = now(device.type)
        found.append(step(input_ids=ids[:, n : n + 1], cache_position=torch.tensor([n], device=device), **call).logits)
        sync(device.type)
        times.append(now(device.type) - began)
    return float(np.median(times[WARM:])), torch.cat(found)[:, -1].float().cpu().numpy()


if __name__ == "__main__":
    main()
