"""What a language model is to the rest of the program. A new family is one file here and one line in BACKBONES.

Next: tvad/explainer.py
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

# {"role": "system" | "user" | "assistant", "content": text}. The first of the user may have "tokens": how many
# embeddings stand before its text, and "lead": text before those.
Messages = Sequence[Mapping[str, Any]]


class Backbone(Protocol):
    """A decoder-only language model with its tokenizer and its way of writing down a dialogue.

    context: tokens it can read at most, the answer included. stop_ids: tokens that end an answer.
    """

    context: int
    stop_ids: frozenset[int]

    def encode(self, messages: Messages) -> list[int]:
        """Tokens of the dialogue, up to where the assistant's answer begins.

        Text never turns into control tokens, whatever it says; "tokens" turns into as many placeholders. ValueError for
        a role the model does not know, and for placeholders where there are none.
        """
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the tokens, control tokens left out; bytes that are no whole character become U+FFFD."""
        ...

    def first_tokens(self, words: Sequence[str]) -> list[int]:
        """The tokens that answers of one of these words begin with, each once."""
        ...

    def next_logits(self, ids: Sequence[int], given: np.ndarray | None = None) -> np.ndarray:
        """(V,) float32 logits of the token after `ids`, V the size of the vocabulary.

        given: (N, E) embeddings read in the place of the N placeholders among `ids`; ValueError for another number.
        What `ids` and `given` share from their start with those of the call before is not read again.
        """
        ...
