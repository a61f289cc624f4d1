"""How people ask: enough ways, and none in two splits."""

import re
from difflib import SequenceMatcher

import numpy as np
import pytest

from chat.questions import read_question
from training.datasets.phrasings import FORMS, KINDS, phrasings, templates
from training.datasets.phrasings.disturb import disturbed
from training.datasets.phrasings.wider import WIDER
from training.datasets.qa import SHARES

MAIN = (
    "whether", "what", "details", "appearance", "action", "motion", "where", "entry", "exit", "when", "count", "absent",
)  # fmt: skip


def plain(text: str) -> str:
    return re.sub(r"[^a-z{} ]", "", text.lower()).strip()


def test_no_phrasing_is_in_two_splits() -> None:
    train = {plain(t) for kind in KINDS for t in phrasings(kind, "train")}
    test = {plain(t) for kind in KINDS for t in phrasings(kind, "test")}
    assert train & test == set()


def _plain(template: str) -> list[str]:
    for mark in ("{its}", "{him}", "{it}", "the anomaly"):
        template = template.lower().replace(mark, "it")
    return re.findall(r"[a-z{}']+", template)


def test_no_test_phrasing_is_nearly_a_training_one() -> None:
    """Of whatever kind: one was "Paint me a picture of it in words", taught as a question for colours alone, and asked
    in the test as one for everything."""
    taught = [(text, _plain(text)) for kind in KINDS for text in phrasings(kind, "train")]
    near = [
        (text, other)
        for kind in KINDS
        for text in phrasings(kind, "test")
        for other, words in taught
        if SequenceMatcher(None, words, _plain(text)).ratio() >= 0.85
    ]
    assert len(taught) > 500 and not near


@pytest.mark.parametrize("kind", KINDS)
def test_no_phrasing_comes_twice(kind: str) -> None:
    both = phrasings(kind, "train") + phrasings(kind, "test")
    assert len(both) == len(set(both))


def test_there_are_hundreds() -> None:
    assert sum(len(v) for kinds in KINDS.values() for v in kinds.values()) >= 450
    assert all(len(phrasings(kind, "train")) >= 25 for kind in MAIN)
    assert set(SHARES) <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_about_a_fifth_is_kept_for_the_test(kind: str) -> None:
    # Of what was written together; the wordings of wider.py came later, for training alone.
    train, test = len(phrasings(kind, "train")) - len(WIDER.get(kind, ())), len(phrasings(kind, "test"))
    assert 0.14 <= test / (train + test) <= 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_marks_are_known_and_tell_the_form(kind: str) -> None:
    things = {"absent": {"{a thing}", "{thing}"}, "ridden": {"{a thing}"}}
    known = things.get(kind, {"{it}", "{him}", "{its}", "{colour}"})
    for split in ("train", "test"):
        for form, text in templates(kind, split):
            assert form in FORMS
            assert text == text.strip() and text[0] not in "~+"
            assert set(re.findall(r"\{[^}]*\}", text)) <= known
            assert form in ("pointed", "follow") or not re.search(r"\{(?:it|him|its)\}", text)


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("colour", "whole colour")])
def test_every_kind_can_begin_a_conversation(kind: str) -> None:
    for split in ("train", "test"):
        assert any(form == "open" for form, _ in templates(kind, split))


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(KeyError, match="whether"):
        phrasings("why", "train")
    with pytest.raises(ValueError, match="'train' or 'test'"):
        phrasings("what", "dev")


def test_disturbed_questions_are_read_as_the_same_question() -> None:
    rng = np.random.default_rng(0)
    changed, same = 0, []
    for text in ("Is there any anomaly in the video?", "When does it happen?", "Which way does it move?"):
        for _ in range(200):
            typed = disturbed(text, rng)
            assert typed.strip() and len(typed) < len(text) + 45
            changed += typed != text
            same.append(read_question(typed).kinds == read_question(text).kinds)
    assert 250 < changed < 450
    assert np.mean(same) > 0.8  # slips of the keyboard hide words from rules
    assert disturbed("When?", rng, 0.0) == "When?"
