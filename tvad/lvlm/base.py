"""What a language model is to the rest of the program. A new family is one file here and one line in BACKBONES.

Next: tvad/explainer.py
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

Messages = Sequence[dict[str, str]]  # {"role": "system" | "user" | "assistant", "content": text}


class Backbone(Protocol):
    """A decoder-only language model with its tokenizer and its way of writing down a dialogue.

    context: tokens it can read at most, the answer included. stop_ids: tokens that end an answer.
    """

    context: int
    stop_ids: frozenset[int]

    def encode(self, messages: Messages) -> list[int]:
        """Tokens of the dialogue, up to where the assistant's answer begins.

        Text never turns into control tokens, whatever it says. ValueError for a role the model does not know.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the tokens, control tokens left out; bytes that are no whole character become U+FFFD."""
        ...

    def next_logits(self, ids: Sequence[int]) -> np.ndarray:
        """(V,) float32 logits of the token after `ids`, V the size of the vocabulary.

        What `ids` share from their start with those of the call before is not read again.
        """
        ...
