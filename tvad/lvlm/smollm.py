"""SmolLM2-135M-Instruct (Allal et al. 2025, arXiv:2502.02737) from the GGUF file of an installed package.

The file is converted once, into the user's cache, to the folder that transformers' LlamaForCausalLM also reads.
Next: tvad/lvlm/llama.py
"""

import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from tvad.cache import cache_dir
from tvad.lvlm.base import Messages
from tvad.lvlm.folder import DamagedFolder, checked_path, put_folder, sums
from tvad.lvlm.llama import Llama
from tvad.presets.mini import SMOLLM2_135M
from tvad.weights import MissingWeights

ROLES = ("system", "user", "assistant")


class SmolLM:
    """A `Backbone`: a Llama with the tokenizer and the dialogue form of SmolLM2."""

    def __init__(self, folder: Path) -> None:
        """Load a sealed folder. DamagedFolder when it is not whole."""
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(checked_path(folder, "tokenizer.json")))
        # Words of a user that look like a control token stay words.
        self._tokenizer.encode_special_tokens = True
        self._llama = Llama(folder)
        self._begin = self._control("<|im_start|>")
        self._end = self._control("<|im_end|>")
        added = self._tokenizer.get_added_tokens_decoder()
        self.stop_ids = frozenset(n for n, token in added.items() if token.special)
        self.context = self._llama.shape.max_position_embeddings

    def encode(self, messages: Messages) -> list[int]:
        """See `Backbone.encode`."""
        ids: list[int] = []
        for message in messages:
            if message["role"] not in ROLES:
                raise ValueError(f"no role {message['role']!r}; a message is of one of {list(ROLES)}")
            text = f"{message['role']}\n{message['content']}"
            ids += [self._begin, *self._words(text), self._end, *self._words("\n")]
        return [*ids, self._begin, *self._words("assistant\n")]

    def decode(self, ids: Sequence[int]) -> str:
        """See `Backbone.decode`."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def next_logits(self, ids: Sequence[int]) -> np.ndarray:
        """See `Backbone.next_logits`."""
        return self._llama.next_logits(ids)

    def _control(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise ValueError(f"the model's tokenizer.json lacks {token}")
        return number

    def _words(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids


@lru_cache(maxsize=1)
def load() -> SmolLM:
    """The model of the `mini` preset, converted first if need be. MissingWeights when it is not installed."""
    gguf = SMOLLM2_135M.locate()
    folder = cache_dir() / "models" / f"{SMOLLM2_135M.name}-{SMOLLM2_135M.sha256[:16]}"
    try:
        return SmolLM(folder)
    except DamagedFolder:
        pass  # or not converted yet
    if not SMOLLM2_135M.is_whole():
        raise MissingWeights(
            f"weights {SMOLLM2_135M.name!r} are damaged; run: {SMOLLM2_135M.command} --force-reinstall"
        )
    return _converted(gguf, folder)


def _converted(gguf: Path, folder: Path) -> SmolLM:
    from tvad.lvlm.gguf_file import convert

    try:
        put_folder(folder, lambda unfinished: convert(gguf, unfinished), is_good=_is_whole)
        return SmolLM(folder)
    except (OSError, DamagedFolder):  # the cache cannot be written or trusted: from a folder that goes away again
        with tempfile.TemporaryDirectory() as elsewhere:
            put_folder(Path(elsewhere) / "model", lambda unfinished: convert(gguf, unfinished), is_good=_is_whole)
            return SmolLM(Path(elsewhere) / "model")


def _is_whole(folder: Path) -> bool:
    try:
        return all(checked_path(folder, name) for name in sums(folder))
    except DamagedFolder:
        return False
