"""all-MiniLM-L6-v2: phrases to unit vectors whose dot product says how alike they mean (Reimers and Gurevych 2019).

Weights come with an installed package; nothing is downloaded.  Next: tvad/words.py
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tvad.presets.mini import MINILM_L6

BATCH = 256


def embed(phrases: Sequence[str]) -> np.ndarray:
    """(N, 384) float32 unit vectors of N phrases; mean over the tokens, as the model was trained."""
    import torch

    if not phrases:
        return np.zeros((0, 384), np.float32)
    tokenizer, model = _load()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(phrases), BATCH):
            batch = list(phrases[start : start + BATCH])
            tokens = tokenizer(batch, padding=True, truncation=True, max_length=64, return_tensors="pt")
            states = model(**tokens).last_hidden_state  # (N, tokens, 384)
            mask = tokens["attention_mask"][..., None].to(states.dtype)
            mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            parts.append(torch.nn.functional.normalize(mean, dim=1).numpy())
    return np.concatenate(parts)


@lru_cache(maxsize=1)
def _load() -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    folder = MINILM_L6.locate().parent
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
