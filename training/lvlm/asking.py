"""Asking a model in training: answers to many questions at once, and how many of their slots are true.

Next: training/lvlm/evaluate.py
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from chat.conversation import Conversation, Turn
from chat.prompt import build_lvlm_messages
from training.datasets.qa import PROTOCOL, QA, ask
from training.datasets.records import clip_record
from training.lvlm.data import Example
from training.slots import slot_scores, slots
from tvad.lvlm.dialogue import Dialogue
from tvad.lvlm.tokens import RaeConfig, n_tokens
from tvad.lvlm.view import View

TOGETHER = 32  # questions answered in one batch
CHECKED = ("whether", *PROTOCOL[1:], "when", "what", "entry", "exit", "count")


class Answerer(Protocol):
    """What answers: `Tuned` is one."""

    @property
    def dialogue(self) -> Dialogue: ...

    def answer(
        self, prompts: Sequence[Sequence[int]], views: Sequence[View], longest: int = 64
    ) -> tuple[list[str], np.ndarray]: ...


class Asked(NamedTuple):
    """A question about a view, after earlier (question, answer) pairs."""

    view: View
    question: str
    past: tuple[tuple[str, str], ...] = ()


def answers_to(
    model: Answerer, rae: RaeConfig, asked: Sequence[Asked], together: int = TOGETHER
) -> tuple[list[str], np.ndarray]:
    """Greedy answers in the order of the questions, and the log odds (N,) of "yes" against "no" as their first word."""
    prompts = []
    for a in asked:
        past = Conversation(tuple(Turn(*pair) for pair in a.past))
        messages = build_lvlm_messages(past, a.question, n_tokens(rae, a.view), turns=len(a.past))
        prompts.append(model.dialogue.encode(messages))
    out = [""] * len(asked)
    odds = np.zeros(len(asked))
    by_length = sorted(range(len(asked)), key=lambda n: len(prompts[n]))
    for first in range(0, len(asked), together):
        rows = by_length[first : first + together]
        texts, found = model.answer([prompts[n] for n in rows], [asked[n].view for n in rows])
        for n, text, value in zip(rows, texts, found, strict=True):
            out[n], odds[n] = text, value
    return out, odds


def questions_of(examples: Sequence[Example], kinds: Sequence[str], seed: int, phrasings: str) -> list[list[QA]]:
    """Of each example, a first question of each kind that has a true answer; the same for the same seed."""
    out = []
    for n, example in enumerate(examples):
        rng = np.random.default_rng([seed, n, 4])
        record = clip_record(example.truth)
        out.append([qa for kind in kinds if (qa := ask(record, kind, rng, phrasings)) is not None])
    return out


def quick_check(
    model: Answerer,
    rae: RaeConfig,
    examples: Sequence[Example],
    show: Callable[[str], None] | None = None,
    phrasings: str = "train",
) -> dict[str, float]:
    """Balanced accuracy of yes or no over all examples, and of each slot over the anomalous ones; NaN left out."""
    pairs = [
        (example, qa)
        for example, own in zip(examples, questions_of(examples, CHECKED, 0, phrasings), strict=True)
        for qa in (own if example.truth.has_anomaly else own[:1])
    ]
    answers, _ = answers_to(model, rae, [Asked(e.view, qa.question) for e, qa in pairs])
    whether = [n for n, (_, qa) in enumerate(pairs) if qa.kind == "whether"]
    said = {n: slots(answers[n]).get("verdict") for n in whether}
    shares = []
    for true, word in ((True, "yes"), (False, "no")):
        own = [said[n] == word for n in whether if pairs[n][0].truth.has_anomaly == true]
        shares += [float(np.mean(own))] if own else []
    rest = [n for n, (e, qa) in enumerate(pairs) if e.truth.has_anomaly]
    scores = slot_scores([answers[n] for n in rest], [pairs[n][1].slots for n in rest])
    if show is not None:
        for n in rest[:: max(1, len(rest) // 8)][:8]:
            show(f"  {pairs[n][1].question} | {answers[n]} | true: {pairs[n][1].answer}")
    found = {f"slot_{name}": score.accuracy for name, score in scores.items() if score.of}
    return {"yes_no": float(np.mean(shares)) if shares else 0.0, **found}
