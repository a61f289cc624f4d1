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
from tvad.converted import BESIDE_OTHERS, converted
from tvad.evidence import write_atomic
from tvad.presets.mini import MINILM_L6

BATCH = 256
WIDTH = 384
LONGEST = 64  # tokens that are read of a phrase
KEPT = 20_000  # phrases in the cache at most


def embed(phrases: Sequence[str]) -> np.ndarray:
    """(N, 384) float32 unit vectors of N phrases; mean over the tokens, as the model was trained."""
    known = _known()
    new = [p for p in dict.fromkeys(phrases) if p not in known]
    if new:
        known.update(zip(new, _encode(new), strict=True))
        _keep(known)
    return np.stack([known[p] for p in phrases]) if phrases else np.zeros((0, WIDTH), np.float32)


def vectors(phrases: Sequence[str]) -> np.ndarray:
    """The same, of phrases that are not kept: what people ask is theirs."""
    return _encode(list(phrases)) if len(phrases) else np.zeros((0, WIDTH), np.float32)


def _encode(phrases: Sequence[str]) -> np.ndarray:
    tokenizer, request = _load()
    parts = []
    for start in range(0, len(phrases), BATCH):
        batch = tokenizer.encode_batch(list(phrases[start : start + BATCH]))
        ids = np.array([one.ids for one in batch], np.int64)  # (N, tokens), padded to the longest
        mask = np.array([one.attention_mask for one in batch], np.int64)
        request.infer({0: ids, 1: mask})
        parts.append(request.get_output_tensor(0).data.copy())
    return np.concatenate(parts)


@lru_cache(maxsize=1)
def _load() -> tuple[Any, Any]:
    import openvino
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(MINILM_L6.locate().parent / "tokenizer.json"))
    tokenizer.enable_truncation(LONGEST)
    tokenizer.enable_padding()
    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"} | BESIDE_OTHERS
    compiled = openvino.Core().compile_model(converted("minilm", MINILM_L6, _graph), "CPU", options)
    return tokenizer, compiled.create_infer_request()


def _graph() -> Any:
    """ids and mask (N, tokens) int64 to unit vectors (N, 384), as an OpenVINO model."""
    import openvino
    import torch
    from transformers import AutoModel
    from transformers.utils import logging

    class Vectors(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            folder = MINILM_L6.locate().parent
            kind = {"attn_implementation": "eager"}  # plain multiplications are what converts
            self.net: Any = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, **kind)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            states = self.net(input_ids=ids, attention_mask=mask).last_hidden_state  # (N, tokens, 384)
            share = mask[..., None].to(states.dtype)
            mean = (states * share).sum(1) / share.sum(1).clamp(min=1)
            return torch.nn.functional.normalize(mean, dim=1)

    logging.disable_progress_bar()
    example = torch.ones(2, 5, dtype=torch.int64), torch.tensor([[1] * 5, [1, 1, 1, 0, 0]])
    with torch.no_grad():
        return openvino.convert_model(
            Vectors().eval(), example_input=example, input=[openvino.PartialShape([-1, -1])] * 2
        )


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
