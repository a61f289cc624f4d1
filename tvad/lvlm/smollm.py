"""SmolLM2-135M-Instruct (Allal et al. 2025, arXiv:2502.02737) from the GGUF file of an installed package.

The file is converted once, into the user's cache, to the folder that transformers' LlamaForCausalLM also reads.
Next: tvad/lvlm/llama.py
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from tvad.cache import cache_dir
from tvad.lvlm.base import Messages
from tvad.lvlm.dialogue import Dialogue
from tvad.lvlm.folder import DamagedFolder, checked_path, put_folder, sums
from tvad.lvlm.llama import Llama
from tvad.lvlm.lora import Change
from tvad.presets.mini import SMOLLM2_135M
from tvad.weights import MissingWeights

T = TypeVar("T")


class SmolLM:
    """A `Backbone`: a Llama with the tokenizer and the dialogue form of SmolLM2."""

    def __init__(self, folder: Path, change: Change | None = None) -> None:
        """Load a sealed folder, and what an adapter changes. DamagedFolder when it is not whole."""
        self._dialogue = Dialogue(folder, change.placeholder if change else None)
        self._llama = Llama(folder, self._dialogue.placeholder, change)
        self.stop_ids = self._dialogue.stop_ids
        self.context = self._llama.shape.max_position_embeddings

    def encode(self, messages: Messages) -> list[int]:
        """See `Backbone.encode`."""
        return self._dialogue.encode(messages)

    def decode(self, ids: Sequence[int]) -> str:
        """See `Backbone.decode`."""
        return self._dialogue.decode(ids)

    def first_tokens(self, words: Sequence[str]) -> list[int]:
        """See `Backbone.first_tokens`."""
        return self._dialogue.first_tokens(words)

    def next_logits(self, ids: Sequence[int], given: np.ndarray | None = None) -> np.ndarray:
        """See `Backbone.next_logits`."""
        return self._llama.next_logits(ids, given)


@lru_cache(maxsize=2)
def load(change: Change | None = None) -> SmolLM:
    """The model of the `mini` preset, converted first if need be. MissingWeights when it is not installed."""
    return _from_folder(lambda folder: SmolLM(folder, change))


def model_folder() -> Path:
    """The folder of the same model for transformers and `Dialogue`, converted first if need be.

    MissingWeights when it is not installed; OSError when the cache cannot be written.
    """

    def checked(folder: Path) -> Path:
        if not _is_whole(folder):
            raise DamagedFolder(f"{folder} is not whole")
        return folder

    folder = _from_folder(checked)
    if not folder.is_dir():
        raise OSError(f"the model cannot be kept in {cache_dir() / 'models'}; set TVAD_CACHE to a folder with room")
    return folder


def _from_folder(read: Callable[[Path], T]) -> T:
    gguf = SMOLLM2_135M.locate()
    folder = cache_dir() / "models" / f"{SMOLLM2_135M.name}-{SMOLLM2_135M.sha256[:16]}"
    try:
        return read(folder)
    except DamagedFolder:
        pass  # or not converted yet
    if not SMOLLM2_135M.is_whole():
        raise MissingWeights(
            f"weights {SMOLLM2_135M.name!r} are damaged; run: {SMOLLM2_135M.command} --force-reinstall"
        )
    return _converted(gguf, folder, read)


def _converted(gguf: Path, folder: Path, read: Callable[[Path], T]) -> T:
    from tvad.lvlm.gguf_file import convert

    try:
        put_folder(folder, lambda unfinished: convert(gguf, unfinished), is_good=_is_whole)
        return read(folder)
    except (OSError, DamagedFolder):  # the cache cannot be written or trusted: from a folder that goes away again
        with tempfile.TemporaryDirectory() as elsewhere:
            put_folder(Path(elsewhere) / "model", lambda unfinished: convert(gguf, unfinished), is_good=_is_whole)
            return read(Path(elsewhere) / "model")


def _is_whole(folder: Path) -> bool:
    try:
        return all(checked_path(folder, name) for name in sums(folder))
    except DamagedFolder:
        return False
