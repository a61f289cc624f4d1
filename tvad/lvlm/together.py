"""Several dialogues read and gone on with at once, by one graph: what is read of the weights for one serves all.

Prompts are padded once, at the left, to the length of the longest; a dialogue that has ended leaves the batch. Greedy.
Next: chat/captions/together.py
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tvad.lvlm.dialogue import Dialogue
from tvad.lvlm.folder import checked_json
from tvad.lvlm.llama import LlamaShape, compiled_graph
from tvad.lvlm.lora import Change


@dataclass(frozen=True)
class Prompt:
    """ids: tokens. given: (N, E) embeddings in the place of the N placeholders among them, None without. allowed: the
    tokens of which the answer begins with one, any where there are none. limit: tokens of the answer."""

    ids: tuple[int, ...]
    given: np.ndarray | None = None
    allowed: tuple[int, ...] = ()
    limit: int = 120


class Together:
    """A Llama of a sealed folder, for batches. dialogue: its tokenizer. context: tokens it can read at most."""

    def __init__(self, folder: Path, change: Change | None = None) -> None:
        """DamagedFolder when a file is absent or not what was sealed; ValueError for another kind of model."""
        self.dialogue = Dialogue(folder, change.placeholder if change else None)
        shape = LlamaShape.from_config(checked_json(folder, "config.json"))
        self.context, self._width = shape.max_position_embeddings, shape.hidden_size
        compiled, self._mapped = compiled_graph(folder, shape, self.dialogue.placeholder, change, batched=True)
        self._request = compiled.create_infer_request()

    def logits(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """(B, V) float32 of the token after each prompt. ValueError for embeddings that are not one a placeholder."""
        self._request.reset_state()
        longest = max(len(p.ids) for p in prompts)
        pad = np.array([longest - len(p.ids) for p in prompts], np.int64)
        ids = np.array([[0] * n + list(p.ids) for n, p in zip(pad.tolist(), prompts, strict=True)], np.int64)
        places = np.maximum(np.arange(longest)[None] - pad[:, None], 0)
        given = np.zeros((*ids.shape, self._width), np.float32)
        for row, p in enumerate(prompts):
            here = np.flatnonzero(ids[row, pad[row] :] == self.dialogue.placeholder) + pad[row]
            own = np.zeros((0, self._width), np.float32) if p.given is None else p.given
            if own.shape != (len(here), self._width):
                raise ValueError(f"{len(here)} placeholder tokens, but embeddings of shape {own.shape} were given")
            given[row, here] = own
        return self._read(ids, places, np.arange(len(prompts)), pad, given)

    def answers(self, prompts: Sequence[Prompt], ended: Callable[[list[int]], bool]) -> list[list[int | None]]:
        """The tokens of each answer; None at the end of one that reached its limit. ended: asked after every token
        whether the answer is to stop there (its last token then does not count)."""
        said: list[list[int | None]] = [[] for _ in prompts]
        if not prompts:
            return said
        logits = self.logits(prompts)
        longest = max(len(p.ids) for p in prompts)
        pad = np.array([longest - len(p.ids) for p in prompts], np.int64)
        rows = list(range(len(prompts)))
        while True:
            kept = []
            for n, row in enumerate(rows):
                if self._goes_on(prompts[row], said[row], logits[n], ended):
                    kept.append(n)
            if not kept:
                return said
            rows = [rows[n] for n in kept]
            last = np.array([[said[row][-1]] for row in rows], np.int64)
            places = np.array([[len(prompts[row].ids) + len(said[row]) - 1] for row in rows], np.int64)
            given = np.zeros((len(rows), 1, self._width), np.float32)
            logits = self._read(last, places, np.array(kept), pad[rows], given)

    def _goes_on(
        self, prompt: Prompt, said: list[int | None], logits: np.ndarray, ended: Callable[[list[int]], bool]
    ) -> bool:
        allowed = list(prompt.allowed) if not said else []
        token = allowed[int(logits[allowed].argmax())] if allowed else int(logits.argmax())
        if token in self.dialogue.stop_ids or ended([*(t for t in said if t is not None), token]):
            return False
        said.append(token)
        if len(said) < prompt.limit:
            return True
        said.append(None)
        return False

    def _read(
        self, ids: np.ndarray, places: np.ndarray, beam: np.ndarray, pad: np.ndarray, given: np.ndarray
    ) -> np.ndarray:
        inputs: dict[str, Any] = {"ids": ids, "places": places, "beam": beam.astype(np.int32), "pad": pad}
        if self.dialogue.placeholder is not None:
            inputs["given"] = given
        try:
            return np.array(self._request.infer(inputs)[0][:, -1], np.float32)
        except BaseException:
            self._request.reset_state()  # interrupted: what the graph holds is unknown
            raise
