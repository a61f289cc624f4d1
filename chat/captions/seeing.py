"""The dialogues of several videos at once, with a full-size language model that looks at their frames.

Next: tvad/seeing.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chat.captions.together import Conversations, Key, Rehearsed, Talk
from chat.session import Session
from tvad.evidence import Analysis, Curves, Evidence
from tvad.explainer import is_loop
from tvad.lvlm.choice import Choice
from tvad.presets import get_preset
from tvad.seeing import adapter_of, model_of, shown


@dataclass(frozen=True)
class Shown:
    """Frames (T, H, W, 3) uint8 RGB of a video and their times_s (T,). curves: where embeddings are made of them."""

    frames: np.ndarray
    times_s: np.ndarray
    curves: Curves | None = None


@dataclass(frozen=True)
class _Watched:
    dialogue: Any
    context: int


class SeeingConversations(Conversations):
    """Words that a full-size model finds for many videos. explain: "text" or "lvlm", which takes an adapter.

    MissingWeights when model or adapter are not here; ValueError for those that do not fit.
    """

    def __init__(self, preset: str, explain: str, choice: Choice, device: str) -> None:
        found = get_preset(preset)
        self._explain = explain
        self._tuned = adapter_of(found, choice) if explain == "lvlm" else None
        self._loaded = model_of(found, choice, self._tuned, device)

    def _talk(self, evidence: Evidence, view: Any, questions: Sequence[str]) -> Talk:
        nothing = Curves(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros((0, 1, 1)))
        analysis = Analysis(evidence, view.curves or nothing)
        found = shown(analysis, self._loaded, self._tuned, view.frames, view.times_s)
        speaker = Rehearsed(_Watched(found.watching, found.watching.context), found.given, found.yes_no)
        speaker.sees, speaker.seen = True, found.watching.seen
        return Talk(Session(evidence, self._explain, explainer=speaker), speaker, questions)

    def _logits(self, needs: Sequence[tuple[Talk, Key]]) -> np.ndarray:
        from tvad.lvlm.watching import logits_together

        return logits_together(self._loaded, self._prompts(needs))

    def _tokens(self, needs: Sequence[tuple[Talk, Key]]) -> list[list[int | None]]:
        from tvad.lvlm.watching import tokens_together

        if not needs:
            return []
        limits, first = [int(key[2]) for _, key in needs], [key[1] for _, key in needs]
        return tokens_together(self._loaded, self._prompts(needs), limits, first, is_loop)

    def _prompts(self, needs: Sequence[tuple[Talk, Key]]) -> list[Any]:
        from tvad.lvlm.watching import Prompt

        none = np.zeros((0, self._loaded.width), np.float32)
        return [
            Prompt(list(key[0]), none if talk.speaker.given is None else talk.speaker.given, talk.speaker.seen)
            for talk, key in needs
        ]
