"""Injector: writes embeddings over placeholder tokens on their way into a language model.

One forward hook on the input-embedding layer, whatever the model. Rotary positions and attention treat placeholders as
the words they stand for. Needs torch; answering has the same in its graph. Next: tvad/lvlm/lora.py
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tvad.lvlm.rae import Embedded


class Injector:
    """Overwrites the embeddings of one token of a model. Without embeddings at hand that token is refused."""

    def __init__(self, model: Any, placeholder: int) -> None:
        """model: a transformers model (or a peft model of one); placeholder: the token's number."""
        self._placeholder = placeholder
        self._waiting: Embedded | None = None
        self._hook = model.get_input_embeddings().register_forward_hook(self._write)

    def remove(self) -> None:
        """Leave the model as it was."""
        self._hook.remove()

    @contextmanager
    def given(self, embedded: Embedded) -> Iterator[None]:
        """Within, the model's next call with placeholders reads `embedded`; later calls, as in generating, have none.

        ValueError where a row of that call has another number of placeholders than of embeddings, or no call had any.
        """
        self._waiting = embedded
        try:
            yield
            if self._waiting is not None:
                raise ValueError(f"the model was given {embedded.counts.tolist()} embeddings but was not called")
        finally:
            self._waiting = None

    @contextmanager
    def nothing(self) -> Iterator[None]:
        """Within, placeholders are refused as ever: for calls that have no embeddings."""
        yield

    def _write(self, layer: torch.nn.Module, given: tuple[torch.Tensor, ...], words: torch.Tensor) -> torch.Tensor:
        here = given[0] == self._placeholder  # (B, S)
        found = here.sum(1)
        if self._waiting is None:
            if found.any():
                raise ValueError(f"{found.tolist()} placeholder tokens in each row, but 0 embeddings were given")
            return words
        embeddings, counts = self._waiting
        if found.tolist() != counts.tolist():
            raise ValueError(
                f"{found.tolist()} placeholder tokens in each row, but {counts.tolist()} embeddings were given"
            )
        self._waiting = None
        own = torch.arange(embeddings.shape[1], device=counts.device)[None] < counts[:, None]
        flat = embeddings[own].to(words.device, words.dtype)
        return words.masked_scatter(here[..., None], flat)


def placeholder_of(tokenizer: Any, model: Any, token: str) -> int:
    """The number of a token in a transformers tokenizer; added, and the model's table grown for it, when it is absent.

    The new row needs no training: it is written over whenever it is read, and its logit is never asked for.
    """
    number = tokenizer.get_vocab().get(token)
    if number is None:
        tokenizer.add_special_tokens({"additional_special_tokens": [token]}, replace_extra_special_tokens=False)
        number = tokenizer.get_vocab()[token]
    if number >= model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return int(number)
