"""Dialogue: how SmolLM2 writes a dialogue down, one function for training and for answering.

Text never becomes a control token; placeholders for embeddings come from "tokens" of a message alone.
Next: tvad/lvlm/llama.py
"""

from collections.abc import Sequence
from pathlib import Path

from tvad.lvlm.base import Messages
from tvad.lvlm.folder import checked_path

ROLES = ("system", "user", "assistant")


class Dialogue:
    """The tokenizer of a sealed model folder.

    placeholder: number of the token that embeddings are written over, None without one. stop_ids: tokens that end an
    answer.
    """

    def __init__(self, folder: Path, placeholder: str | None = None) -> None:
        """DamagedFolder when the folder is not whole; ValueError when its tokenizer lacks a control token."""
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(checked_path(folder, "tokenizer.json")))
        # Words of a user that look like a control token stay words.
        self._tokenizer.encode_special_tokens = True
        added = self._tokenizer.get_added_tokens_decoder()
        self.stop_ids = frozenset(n for n, token in added.items() if token.special)
        self._begin = self._control("<|im_start|>")
        self._end = self._control("<|im_end|>")
        self.placeholder = None if placeholder is None else self._control(placeholder)
        if placeholder is not None and self.placeholder not in self.stop_ids:
            raise ValueError(f"the placeholder {placeholder} is no control token of the model's tokenizer.json")

    def encode(self, messages: Messages) -> list[int]:
        """See `Backbone.encode`."""
        ids, _ = self._written(messages)
        return [*ids, self._begin, *self._words("assistant\n")]

    def supervised(self, messages: Messages) -> tuple[list[int], list[bool]]:
        """Tokens of a whole dialogue, and which of them the assistant must say: its words and the end of its turn.

        What `encode` gives for the messages before an assistant's is how these tokens begin.
        """
        return self._written(messages)

    def decode(self, ids: Sequence[int]) -> str:
        """See `Backbone.decode`."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=True)

    def first_tokens(self, words: Sequence[str]) -> list[int]:
        """The tokens that answers of one of these words begin with, each once."""
        return sorted({self._words(word)[0] for word in words if word})

    def _written(self, messages: Messages) -> tuple[list[int], list[bool]]:
        ids: list[int] = []
        said: list[bool] = []
        users = 0
        for message in messages:
            role, text, count = message["role"], message["content"], message.get("tokens", 0)
            if role not in ROLES:
                raise ValueError(f"no role {role!r}; a message is of one of {list(ROLES)}")
            users += role == "user"
            own = role == "assistant"
            head = f"{role}\n{message.get('lead', '')}"
            marks = [self._checked(count, role == "user" and users == 1)] * count if count else []
            # What is said next must not change how the beginning is cut into tokens.
            before, words = (self._words(head) + marks, text) if own or marks else ([], head + text)
            turn = [self._begin, *before, *self._words(words), self._end]
            ids += [*turn, *self._words("\n")]
            said += [own and n > len(before) for n in range(len(turn))]
            said += [False] * (len(ids) - len(said))
        return ids, said

    def _checked(self, count: int, first: bool) -> int:
        if self.placeholder is None:
            raise ValueError(f"a message asks for {count} embeddings, but the model has no adapter that reads them")
        if count < 0 or not first:
            raise ValueError(f"{count} embeddings in a message; only the first of the user has some")
        return self.placeholder

    def _control(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise ValueError(f"the model's tokenizer.json lacks {token}")
        return int(number)

    def _words(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)
