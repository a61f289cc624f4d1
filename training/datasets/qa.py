"""Dialogues about a clip whose truth is known: questions in many wordings, answers that are true, turn after turn.

    protocol(record, rng, "train")          T-VAD's three questions: whether, what it looks like and does, how it moves
    dialogue(record, rng, "train", turns)   any questions, with follow-ups

Answers hold at most 45 words and no coordinates (T-VAD, dialogue and data pipeline).

Next: training/datasets/phrasings/__init__.py
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from training.datasets import answers_moving as moving
from training.datasets import answers_things as things
from training.datasets.answers_things import Answer, Named
from training.datasets.phrasings import templates
from training.datasets.qa_asked import colour_question, thing_question
from training.datasets.qa_words import MAX_WORDS, NAMELESS, colours, is_person, subjects
from training.datasets.records import ClipRecord

CANONICAL = 0.7  # share of answers in the canonical wording
MAX_TURNS = 6
PROTOCOL = ("whether", "details", "motion")

Maker = Callable[[Sequence[Named]], Answer]
LISTS: dict[str, Callable[[Sequence[Named], int], Answer]] = {
    "whether": things.whether,
    "normal": things.not_normal,
    "what": things.what,
    "details": things.details,
}
ABOUT: dict[str, Maker] = {
    "appearance": things.appearance,
    "action": things.action,
    "motion": moving.motion,
    "where": moving.where,
    "entry": moving.entry,
    "exit": moving.exit_,
    "when": moving.when,
}
# How often a kind is asked in a dialogue, beside "whether", with which half of them begin.
SHARES: dict[str, float] = {
    "what": 2.0, "details": 1.5, "appearance": 1.0, "action": 1.0, "motion": 2.5, "where": 1.5, "entry": 1.0,
    "exit": 1.0, "when": 2.0, "count": 1.0, "absent": 1.5, "colour": 1.0, "unanswerable": 0.8, "whether": 0.7,
    "normal": 0.4,
}  # fmt: skip


@dataclass(frozen=True)
class QA:
    """A question and its true answer. references: all wordings of the answer, the canonical one first; slots: what it
    states, as training/slots.py reads it. kind: see SHARES; targets: the ids it is about."""

    question: str
    answer: str
    kind: str
    slots: dict[str, Any]
    references: tuple[str, ...]
    targets: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Asked:
    """What has been said: the kinds asked, and the target that "it" means, if it is one."""

    kinds: tuple[str, ...] = ()
    it: Named | None = None
    everyone: Sequence[Named] = field(default_factory=tuple)


def protocol(record: ClipRecord, rng: np.random.Generator, split: str = "train") -> list[QA]:
    """Whether there is an anomaly, what it looks like and does, how it moves; targets by their start.

    In a clip without an anomaly, the second and third answer say so. split: of the phrasings, "train" or "test".
    """
    everyone = named(record)
    out = []
    for kind in PROTOCOL:
        open_ones = [text for form, text in templates(kind, split) if form == "open"]
        question = _written(_one_of(open_ones, rng))
        out.append(_qa(question, kind, _answer(record, kind, everyone), rng, everyone))
    return out


def dialogue(
    record: ClipRecord,
    rng: np.random.Generator,
    phrasing_split: str = "train",
    turns: int | None = None,
    history: Sequence[QA] = (),
) -> list[QA]:
    """A conversation of `turns` questions (1 to MAX_TURNS, drawn where None) about a clip, no kind asked twice before
    all were; it goes on after `history`, if that is given.

    After a turn about one target, the next may call it "it", "he" or "she"; kinds that have no true answer for the
    clip (colours at night, things in recordings) are not asked.
    """
    asked = _Asked(everyone=tuple(named(record)))
    for qa in history:
        asked = _after(asked, qa)
    out: list[QA] = []
    for n in range(turns if turns is not None else int(rng.integers(1, MAX_TURNS + 1))):
        first = "whether" if n == 0 and not history and rng.random() < 0.5 else ""
        qa, asked = _turn(record, asked, first, rng, phrasing_split)
        out.append(qa)
    return out


def ask(record: ClipRecord, kind: str, rng: np.random.Generator, phrasing_split: str = "train") -> QA | None:
    """One question of a kind, as the first of a conversation; None where this clip has no true answer to it."""
    return _try(record, _Asked(everyone=tuple(named(record))), kind, rng, phrasing_split)


def named(record: ClipRecord) -> list[Named]:
    """The targets of a clip by their start, each with a name of its own."""
    return [Named(t, name) for t, name in zip(record.targets, subjects(record.targets), strict=True)]


# --- one turn -----------------------------------------------------------------------------------------------------


def _turn(record: ClipRecord, asked: _Asked, first: str, rng: np.random.Generator, split: str) -> tuple[QA, _Asked]:
    left = {kind: share for kind, share in SHARES.items() if kind not in asked.kinds} or dict(SHARES)
    kind = first
    while True:
        if not kind:
            share = np.array(list(left.values()))
            kind = str(rng.choice(list(left), p=share / share.sum()))
        qa = _try(record, asked, kind, rng, split)
        if qa is not None:
            break
        left = {other: share for other, share in left.items() if other != kind} or {"unanswerable": 1.0}
        kind = ""
    return qa, _after(asked, qa)


def _after(asked: _Asked, qa: QA) -> _Asked:
    about = [n for n in asked.everyone if n.target.id in qa.targets]
    it = about[0] if len(about) == 1 else None if about else asked.it
    return replace(asked, kinds=(*asked.kinds, qa.kind), it=it)


def _try(record: ClipRecord, asked: _Asked, kind: str, rng: np.random.Generator, split: str) -> QA | None:
    everyone = list(asked.everyone)
    follows = bool(asked.kinds)
    if kind == "absent":
        made = thing_question(record, rng, split, follows)
        return None if made is None else _qa(made[0], kind, made[1], rng, ())
    if kind == "colour":
        known = [n for n in everyone if colours(n.target) and n.target.noun not in NAMELESS]
        if not known:
            return None
        one = asked.it if asked.it in known else known[int(rng.integers(len(known)))]
        template, answer = colour_question(one, rng, split, follows and one is asked.it)
        return _qa(_filled(template, one, asked, rng), kind, answer, rng, (one,))
    about = _about(kind, asked, rng)
    question = _question(kind, about, asked, rng, split)
    if question is None:
        return None
    return _qa(question, kind, _answer(record, kind, about), rng, about)


def _about(kind: str, asked: _Asked, rng: np.random.Generator) -> list[Named]:
    """The targets a question is about: all, or one of several."""
    everyone = list(asked.everyone)
    if len(everyone) < 2 or kind in ("whether", "normal", "what", "count", "unanswerable"):
        return everyone
    if rng.random() < 0.4:
        return everyone
    if asked.it is not None and rng.random() < 0.6:
        return [asked.it]
    return [everyone[int(rng.integers(len(everyone)))]]


def _question(kind: str, about: list[Named], asked: _Asked, rng: np.random.Generator, split: str) -> str | None:
    """A wording that asks about these targets and no others."""
    many = len(asked.everyone) > 1
    forms = {"open", "pointed", "follow"}
    if not many:
        forms -= {"pointed"} if not about and kind == "unanswerable" else set()
    elif len(about) == 1:
        forms = {"pointed"} | ({"follow"} if about[0] is asked.it else set())
    else:
        # "It" would be one of them; a bare "and when?" would ask on about the one spoken of.
        forms = {"open", "several"} | ({"follow"} if asked.it is None else set())
    if many and kind in ("whether", "normal", "what", "count", "unanswerable"):
        forms = {"open", "several"}
    if not asked.kinds:
        forms -= {"follow"}
    fitting = [text for form, text in templates(kind, split) if form in forms]
    if not fitting:
        return None
    text = _one_of(fitting, rng)
    return _filled(text, about[0], asked, rng) if about else _written(text, _one_of(("it", "the anomaly"), rng))


def _answer(record: ClipRecord, kind: str, about: Sequence[Named]) -> Answer:
    if kind == "unanswerable":
        return things.declined()
    if not record.has_anomaly:
        return {"whether": things.no_anomaly, "normal": things.all_normal}.get(kind, things.nothing)()
    if kind == "count":
        return things.count(record.targets)
    return _fitting(kind, about)


def _fitting(kind: str, about: Sequence[Named]) -> Answer:
    """Of as many targets as fit into MAX_WORDS, the first ones; how many are left out is said at the end."""
    answers = []
    for n in range(min(len(about), things.LISTED), 0, -1):
        if kind in LISTS:
            answers.append(LISTS[kind](about, n))
            continue
        for answer in _shorter(kind, about[:n]):
            answers.append(answer if n == len(about) else _and_more(answer, len(about) - n))
    return next((answer for answer in answers if longest(answer) <= MAX_WORDS), answers[-1])


def _shorter(kind: str, about: Sequence[Named]) -> list[Answer]:
    return [moving.motion(about, brief) for brief in range(3)] if kind == "motion" else [ABOUT[kind](about)]


def _and_more(answer: Answer, left_out: int) -> Answer:
    """The same, with a last sentence on those that are not told."""
    more = f" There {'is' if left_out == 1 else 'are'} {things.count_word(left_out)} more."
    return Answer(tuple(text + more for text in answer.texts), answer.slots)


def longest(answer: Answer) -> int:
    """Words of the longest wording."""
    return max(len(text.split()) for text in answer.texts)


def _qa(question: str, kind: str, answer: Answer, rng: np.random.Generator, about: Sequence[Named]) -> QA:
    n = 0 if rng.random() < CANONICAL else int(rng.integers(1, len(answer.texts)))
    ids = tuple(a.target.id for a in about)
    return QA(question, answer.texts[n], kind, answer.slots, answer.texts, ids)


# --- words of a question ------------------------------------------------------------------------------------------


def _filled(text: str, about: Named, asked: _Asked, rng: np.random.Generator) -> str:
    """A template with its target: by a pronoun after it has been spoken of, or where there is only one."""
    spoken_of = about is asked.it or (len(asked.everyone) == 1 and bool(asked.kinds))
    words = (about.name, about.name, f"{about.name}'s")
    if len(asked.everyone) == 1 and rng.random() < 0.5:
        words = ("it", "it", "its")
    if spoken_of and rng.random() < 0.7:
        words = ("it", "it", "its")
        if is_person(about.target):
            pronouns = (("he", "him", "his"), ("she", "her", "her"), words)
            words = pronouns[int(rng.choice(3, p=(0.4, 0.2, 0.4)))]
    for mark, word in zip(("{it}", "{him}", "{its}"), words, strict=True):
        text = text.replace(mark, word)
    return _written(text)


def _written(text: str, it: str = "it") -> str:
    """A question as typed; marks that stand for no known target mean `it`."""
    its = "its" if it == "it" else f"{it}'s"
    return text.replace("{it}", it).replace("{him}", it).replace("{its}", its)


def _one_of(texts: Sequence[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]
