"""A language model's answer as it comes: greedy, ended by the model, its limit or its first repetition.

Next: tvad/lvlm/base.py
"""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from tvad.lvlm import load_backbone
from tvad.lvlm.base import Backbone
from tvad.presets import get_preset

UNFINISHED = "\ufffd"  # what decoding makes of the first bytes of a character
CUT = " ..."
SENTENCE_END = re.compile(r"[.!?]+(?=\s)|\n")
SENTENCE_WORDS = 3  # shorter ones, such as "Yes." or "1.", may come back
LOOP_TIMES = 3
LOOP_TOKENS = 12


class Explainer(Protocol):
    """Whatever can go on with a dialogue."""

    def stream(self, messages: list[dict[str, str]], max_new_tokens: int = 160) -> Iterator[str]:
        """Pieces of the next answer as they come; together they are the answer.

        messages: {"role": "system" | "user" | "assistant", "content": text}, the last one of the user.
        """
        ...


def open_explainer(preset_name: str) -> Explainer:
    """The explainer of a preset's `text` mode.

    MissingWeights when its weights are not here; ValueError for a preset that is unknown or has no language model.
    """
    weights = get_preset(preset_name).needed("text")
    if not weights:
        raise ValueError(f"preset {preset_name!r} has no language model; use --explain report")
    return LocalExplainer(load_backbone(weights[0].name))


class LocalExplainer:
    """A backbone in this process. What two dialogues share from their start is read once."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone

    def stream(self, messages: list[dict[str, str]], max_new_tokens: int = 160) -> Iterator[str]:
        """See `Explainer`. An answer that reaches `max_new_tokens` ends in " ...".

        The same questions in the same order have the same answers. On a CPU with bfloat16 what was read before can
        move the logits by a rounding, and with them a word.

        ValueError when max_new_tokens is not positive or the messages leave no room for as many.
        """
        prompt = self._backbone.encode(messages)
        room = self._backbone.context - len(prompt)
        if not 0 < max_new_tokens <= room:
            raise ValueError(
                f"max_new_tokens is {max_new_tokens}; {len(prompt)} tokens of messages leave room for 1 to {room}"
            )
        return unrepeated(whole_characters(self._backbone, self._tokens(prompt, max_new_tokens)))

    def _tokens(self, prompt: list[int], limit: int) -> Iterator[int | None]:
        answer: list[int] = []
        while len(answer) < limit:
            token = int(self._backbone.next_logits(prompt + answer).argmax())
            if token in self._backbone.stop_ids:
                return
            answer.append(token)
            if is_loop(answer):
                return
            yield token
        yield None


def is_loop(ids: Sequence[int]) -> bool:
    """Whether the end of `ids` is one run of tokens, LOOP_TIMES or more over, LOOP_TOKENS long in all or longer."""
    for period in range(1, len(ids) // LOOP_TIMES + 1):
        length = max(LOOP_TOKENS, period * LOOP_TIMES)
        if length <= len(ids) and all(ids[-n] == ids[-n - period] for n in range(1, length - period + 1)):
            return True
    return False


def whole_characters(backbone: Backbone, tokens: Iterator[int | None]) -> Iterator[str]:
    """Text of the tokens, held back while its last character is not whole; None, the limit, becomes " ..."."""
    ids: list[int] = []
    said = 0
    for token in tokens:
        if token is None:
            yield CUT
            return
        ids.append(token)
        text = backbone.decode(ids)
        if len(text) > said and not text.endswith(UNFINISHED):
            yield text[said:]
            said = len(text)


def unrepeated(pieces: Iterator[str]) -> Iterator[str]:
    """The pieces up to the first sentence that was said before.

    A sentence is held back for as long as it could still become one of the earlier ones.
    """
    earlier: list[str] = []
    sentence, shown = "", 0  # the sentence so far, and how much of it was passed on
    for piece in pieces:
        sentence += piece
        while end := SENTENCE_END.search(sentence):
            whole, sentence = sentence[: end.end()], sentence[end.end() :]
            if whole.strip() in earlier:
                return
            yield from filter(None, [whole[shown:]])
            shown = 0
            if len(whole.split()) >= SENTENCE_WORDS:
                earlier.append(whole.strip())
        if sentence.strip() and not any(said.startswith(sentence.strip()) for said in earlier):
            yield from filter(None, [sentence[shown:]])
            shown = len(sentence)
    if sentence.strip() not in earlier:
        yield from filter(None, [sentence[shown:]])
