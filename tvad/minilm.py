"""all-MiniLM-L6-v2: phrases to unit vectors whose dot product says how alike they mean (Reimers and Gurevych 2019).

Weights come with an installed package; nothing is downloaded. Vectors once computed are kept in the cache.
Next: tvad/words.py
"""

import contextlib
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tvad.cache import cache_dir
from tvad.evidence import write_atomic
from tvad.presets.mini import MINILM_L6

BATCH = 256
WIDTH = 384
KEPT = 20_000  # phrases in the cache at most


def embed(phrases: Sequence[str]) -> np.ndarray:
    """(N, 384) float32 unit vectors of N phrases; mean over the tokens, as the model was trained."""
    known = _known()
    new = [p for p in dict.fromkeys(phrases) if p not in known]
    if new:
        known.update(zip(new, _encode(new), strict=True))
        _keep(known)
    return np.stack([known[p] for p in phrases]) if phrases else np.zeros((0, WIDTH), np.float32)


def _encode(phrases: Sequence[str]) -> np.ndarray:
    import torch

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
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder = MINILM_L6.locate().parent
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()


def _path() -> Path:
    return cache_dir() / "models" / f"phrases-{MINILM_L6.sha256[:16]}.npz"


@lru_cache(maxsize=1)
def _known() -> dict[str, np.ndarray]:
    try:
        with np.load(_path(), allow_pickle=False) as stored:
            phrases, vectors = stored["phrases"], stored["vectors"]
        if vectors.shape == (len(phrases), WIDTH) and np.isfinite(vectors).all():
            return {str(p): v for p, v in zip(phrases, vectors, strict=True)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # absent or damaged: computed again
    return {}


def _keep(known: dict[str, np.ndarray]) -> None:
    items = list(known.items())[:KEPT]
    phrases, vectors = np.array([p for p, _ in items], np.str_), np.stack([v for _, v in items])
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        write_atomic(_path(), lambda file: np.savez(file, phrases=phrases, vectors=vectors))
