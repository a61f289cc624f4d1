"""A language model's answer as it comes: greedy, ended by the model, its limit or its first repetition.

Next: tvad/lvlm/base.py
"""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from tvad.evidence import Analysis
from tvad.lvlm import load_backbone
from tvad.lvlm.adapter import Adapter, shipped
from tvad.lvlm.base import Backbone, Messages
from tvad.lvlm.choice import Choice
from tvad.lvlm.view import View
from tvad.presets import get_preset
from tvad.seeing import ready
from tvad.weights import MissingWeights

UNFINISHED = "\ufffd"  # what decoding makes of the first bytes of a character
CUT = " ..."
SENTENCE_END = re.compile(r"[.!?]+(?=\s)|\n")
SENTENCE_WORDS = 3  # shorter ones, such as "Yes." or "1.", may come back
LOOP_TIMES = 3
LOOP_TOKENS = 12
YES, NO = ("Yes", " Yes", "yes", " yes", "YES"), ("No", " No", "no", " no", "NO")


class Speaker(Protocol):
    """Whatever can go on with a dialogue."""

    def stream(self, messages: Messages, max_new_tokens: int = 160, first: Sequence[str] = ()) -> Iterator[str]:
        """Pieces of the next answer as they come; together they are the answer.

        messages: as in tvad/lvlm/base.py, the last one of the user. first: words of which the answer begins with one,
        the likeliest; any where there are none.
        """
        ...


class Explainer(Speaker, Protocol):
    """A speaker that is shown a video. n_tokens: embeddings that it reads before the first question, 0 for none."""

    n_tokens: int

    def yes_probability(self, messages: Messages) -> float:
        """How likely the next answer begins with "yes" rather than "no", in [0, 1]."""
        ...


def open_explainer(preset_name: str, view: View | None = None, adapter: Adapter | None = None) -> "LocalExplainer":
    """The explainer of a preset: of its `text` mode, or, with a view of a video, of its `lvlm` mode.

    adapter: what taught the language model to read views; None takes the one that comes with the preset.
    MissingWeights when weights are not here; ValueError for a preset that is unknown or has no language model, and for
    a view that the adapter does not read.
    """
    preset = get_preset(preset_name)
    if preset.backbone:
        raise MissingWeights(
            f"the language model of preset {preset_name!r} looks at the video itself, which was not handed on here; "
            f"run: tvad ask VIDEO QUESTION --preset {preset_name}"
        )
    if view is not None:
        adapter = adapter or shipped(preset_name)
        given = adapter.embed(view)
        return LocalExplainer(load_backbone(adapter.config.backbone, adapter.change), given, adapter.yes_no)
    weights = preset.needed("text")
    if not weights:
        raise ValueError(f"preset {preset_name!r} has no language model; use --explain report")
    return LocalExplainer(load_backbone(weights[0].name))


def open_seeing(
    analysis: Analysis,
    preset_name: str,
    choice: Choice,
    video: str | Path,
    told: bool = False,
    note: Callable[[str], None] = lambda line: None,
) -> "LocalExplainer":
    """The explainer of a full-size preset, which has then seen the video. told: the evidence will be told in words.

    Raises what `tvad.seeing.ready` raises.
    """
    found = ready(analysis, get_preset(preset_name), choice, video, told, note)
    return LocalExplainer(found.watching, found.given, found.yes_no, sees=True)


class LocalExplainer:
    """A backbone in this process. What two dialogues share from their start is read once.

    n_tokens: how many embeddings the first message of the user has to make room for ("tokens"), 0 for none. sees: the
    backbone looks at frames of the video itself.
    """

    def __init__(
        self,
        backbone: Backbone,
        given: np.ndarray | None = None,
        yes_no: tuple[float, float] = (1.0, 0.0),
        sees: bool = False,
    ) -> None:
        """given: (N, E) embeddings of a video; yes_no: slope and offset of the log odds of "yes"."""
        self._backbone = backbone
        self._given = given
        self._yes_no = yes_no
        self.sees = sees
        self.n_tokens = 0 if given is None else len(given)

    def yes_probability(self, messages: Messages) -> float:
        """How likely the next answer begins with "yes" rather than "no", calibrated by the adapter; in [0, 1]."""
        slope, offset = self._yes_no
        return float(1 / (1 + np.exp(-np.clip(slope * self.yes_odds(messages) + offset, -50, 50))))

    def yes_odds(self, messages: Messages) -> float:
        """Log odds of "yes" against "no" as the next answer's first word, as the model gives them."""
        logits = self._logits(self._backbone.encode(messages)).astype(np.float64)
        yes, no = (np.logaddexp.reduce(logits[self._backbone.first_tokens(words)]) for words in (YES, NO))
        return float(yes - no)

    def stream(self, messages: Messages, max_new_tokens: int = 160, first: Sequence[str] = ()) -> Iterator[str]:
        """See `Explainer`. An answer that reaches `max_new_tokens` ends in " ...".

        The same questions in the same order have the same answers.

        ValueError when max_new_tokens is not positive or the messages leave no room for as many.
        """
        prompt = self._backbone.encode(messages)
        room = self._backbone.context - len(prompt)
        if not 0 < max_new_tokens <= room:
            raise ValueError(
                f"max_new_tokens is {max_new_tokens}; {len(prompt)} tokens of messages leave room for 1 to {room}"
            )
        return unrepeated(whole_characters(self._backbone, self._tokens(prompt, max_new_tokens, first)))

    def _tokens(self, prompt: list[int], limit: int, first: Sequence[str]) -> Iterator[int | None]:
        answer: list[int] = []
        while len(answer) < limit:
            logits = self._logits(prompt + answer)
            if first and not answer:
                allowed = self._backbone.first_tokens(first)
                token = allowed[int(logits[allowed].argmax())]
            else:
                token = int(logits.argmax())
            if token in self._backbone.stop_ids:
                return
            answer.append(token)
            if is_loop(answer):
                return
            yield token
        yield None

    def _logits(self, ids: list[int]) -> np.ndarray:
        # The given argument only where there is one: a backbone without an adapter need not know of it.
        return self._backbone.next_logits(ids) if self._given is None else self._backbone.next_logits(ids, self._given)


def is_loop(ids: Sequence[int]) -> bool:
    """Whether the end of `ids` is one run of tokens, LOOP_TIMES or more over, LOOP_TOKENS long in all or longer."""
    for period in range(1, len(ids) // LOOP_TIMES + 1):
        length = max(LOOP_TOKENS, period * LOOP_TIMES)
        if length <= len(ids) and all(ids[-n] == ids[-n - period] for n in range(1, length - period + 1)):
            return True
    return False


class _Decodes(Protocol):
    def decode(self, ids: Sequence[int]) -> str: ...


def whole_characters(backbone: _Decodes, tokens: Iterator[int | None]) -> Iterator[str]:
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
