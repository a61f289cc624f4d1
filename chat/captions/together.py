"""The dialogues of several videos at once: what each wants of the language model is gathered and answered together.

A dialogue goes on until it needs words that are not there yet; then it stops, without a trace, and is begun again at
that question once they are. So captions of a batch are worded by the very rules of a dialogue about one video.

Next: tvad/lvlm/together.py
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from chat.session import Answer, Session
from tvad.evidence import Evidence
from tvad.explainer import NO, YES, is_loop, unrepeated, whole_characters
from tvad.lvlm.base import Messages
from tvad.lvlm.together import Prompt, Together
from tvad.lvlm.view import View

YES_NO = "yes or no"  # instead of a limit: wanted are the odds, not words
Key = tuple[tuple[int, ...], tuple[int, ...], int | str]


class _Needed(Exception):  # noqa: N818 - it is a request, not a failure
    """Words, or odds, that are not there yet."""

    def __init__(self, key: Key) -> None:
        self.key = key


class Reads(Protocol):
    """What a rehearsed dialogue is written down with; the rest waits until all are gathered."""

    @property
    def dialogue(self) -> Any: ...

    @property
    def context(self) -> int: ...


class Rehearsed:
    """An `Explainer` that says what was found before, and asks for the rest by `_Needed`."""

    sees = False
    seen: Any = None  # the video, for a model that looks at it

    def __init__(self, together: Reads, given: np.ndarray | None, yes_no: tuple[float, float]) -> None:
        self._together, self.given, self._yes_no = together, given, yes_no
        self.n_tokens = 0 if given is None else len(given)
        self.known: dict[Key, list[int | None] | float] = {}

    def first_tokens(self, words: Sequence[str]) -> list[int]:
        """Tokens that these words begin with."""
        found: list[int] = self._together.dialogue.first_tokens(words)
        return found

    def yes_probability(self, messages: Messages) -> float:
        key: Key = (tuple(self._together.dialogue.encode(messages)), (), YES_NO)
        if key not in self.known:
            raise _Needed(key)
        odds = self.known[key]
        assert isinstance(odds, float)
        slope, offset = self._yes_no
        return float(1 / (1 + np.exp(-np.clip(slope * odds + offset, -50, 50))))

    def stream(self, messages: Messages, max_new_tokens: int = 160, first: Sequence[str] = ()) -> Iterator[str]:
        ids = tuple(self._together.dialogue.encode(messages))
        if (room := self._together.context - len(ids)) < max_new_tokens:
            raise ValueError(
                f"max_new_tokens is {max_new_tokens}; {len(ids)} tokens of messages leave room for 1 to {room}"
            )
        key: Key = (ids, tuple(self._together.dialogue.first_tokens(first)), max_new_tokens)
        if key not in self.known:
            raise _Needed(key)
        tokens = self.known[key]
        assert isinstance(tokens, list)
        return unrepeated(whole_characters(self._together.dialogue, iter(tokens)))


class Talk:
    """One video's dialogue, as far as it is."""

    def __init__(self, session: Session, speaker: Rehearsed, questions: Sequence[str]) -> None:
        self._session, self.speaker, self._questions = session, speaker, questions
        self.answers: list[Answer] = []

    def goes_on(self) -> Key | None:
        """Ask until something is needed; None when every question is answered."""
        while len(self.answers) < len(self._questions):
            try:
                for _word in self._session.ask(self._questions[len(self.answers)]):
                    pass
            except _Needed as needed:
                return needed.key
            self.answers.append(self._session.last)
        return None


class Conversations:
    """Words a language model finds for many videos. explain: "text" or "lvlm", of the preset's packaged model.

    MissingWeights when it is not here; ValueError for a preset whose model is not a packaged one.
    """

    def __init__(self, preset: str, explain: str) -> None:
        from tvad.lvlm import smollm
        from tvad.lvlm.adapter import shipped

        self._explain = explain
        self._adapter = shipped(preset) if explain == "lvlm" else None
        self._together = Together(smollm.model_folder(), self._adapter.change if self._adapter else None)

    def about(
        self, videos: Sequence[tuple[Evidence, Any]], questions: Sequence[str], at_once: int = 8
    ) -> list[list[Answer]]:
        """The answers to all questions, of every video: its evidence, and what is shown of it, if anything.

        at_once: prompts read beside each other at most.
        """
        talks = [self._talk(evidence, view, questions) for evidence, view in videos]
        while needs := [(talk, key) for talk in talks if (key := talk.goes_on()) is not None]:
            needs.sort(key=lambda need: len(need[1][0]))  # alike beside alike: little is padding
            for n in range(0, len(needs), at_once):
                self._answer(needs[n : n + at_once])
        return [talk.answers for talk in talks]

    def _talk(self, evidence: Evidence, view: View | None, questions: Sequence[str]) -> Talk:
        given, yes_no = None, (1.0, 0.0)
        if self._adapter is not None and view is not None:
            given, yes_no = self._adapter.embed(view), self._adapter.yes_no
        speaker = Rehearsed(self._together, given, yes_no)
        return Talk(Session(evidence, self._explain, explainer=speaker), speaker, questions)

    def _answer(self, needs: Sequence[tuple[Talk, Key]]) -> None:
        words = [(talk, key) for talk, key in needs if isinstance(key[2], int)]
        odds = [(talk, key) for talk, key in needs if key[2] == YES_NO]
        if odds:
            logits = self._logits(odds).astype(float)
            first = odds[0][0].speaker.first_tokens
            yes, no = (np.logaddexp.reduce(logits[:, first(said)], axis=1) for said in (YES, NO))
            for (talk, key), value in zip(odds, (yes - no).tolist(), strict=True):
                talk.speaker.known[key] = value
        for (talk, key), tokens in zip(words, self._tokens(words), strict=True):
            talk.speaker.known[key] = tokens

    def _logits(self, needs: Sequence[tuple[Talk, Key]]) -> np.ndarray:
        # One at a time: a batch rounds by who is in it, and after a kill the batches are others than without one. A
        # prompt is read as fast alone; what a batch saves is reading the weights for every word of an answer.
        alone = [Prompt(key[0], talk.speaker.given) for talk, key in needs]
        return np.concatenate([self._together.logits([prompt]) for prompt in alone])

    def _tokens(self, needs: Sequence[tuple[Talk, Key]]) -> list[list[int | None]]:
        prompts = [Prompt(key[0], talk.speaker.given, key[1], int(key[2])) for talk, key in needs]
        return self._together.answers(prompts, is_loop)
