"""Questions by their meaning: where the rules understand nothing, and only there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chat_fakes import one_event
from test_beyond import ANSWERED, DECLINED
from test_questions import KINDS

from chat import meaning
from chat.conversation import Conversation
from chat.meaning import OTHER, Meaning, corrected, hash_of, shipped, understand, understood
from chat.questions import BEYOND, UNKNOWN, WHAT, WHETHER, read_question
from chat.report import narrate
from training.question_kinds import NAMES, C, Wording, fit, others, right, wordings
from tvad import minilm
from tvad.weights import MissingWeights


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("tell me the interval", "when"),
        ("trace its way through the image", "motion"),
        ("in which spot of the frame should I look?", "where"),
        ("what is the total of abnormal things?", "count"),
        ("draw its line across the frame", "motion"),
        ("what hospital was she taken to?", BEYOND),
    ],
)
def test_what_the_rules_do_not_know(text: str, kind: str) -> None:
    assert read_question(text).kinds != (kind,)
    assert understand(text).kinds == (kind,)


@pytest.mark.parametrize(("text", "kind"), KINDS)
def test_what_the_rules_know_stays(text: str, kind: str) -> None:
    assert understand(text) == replace(read_question(text), kinds=(kind,))


@pytest.mark.parametrize("text", ANSWERED)
def test_what_can_be_seen_is_not_declined(text: str) -> None:
    assert BEYOND not in understand(text).kinds


@pytest.mark.parametrize("text", DECLINED)
def test_what_cannot_be_seen_is_declined(text: str) -> None:
    assert understand(text).kinds == (BEYOND,)


def test_numbers_and_times_are_still_read() -> None:
    read = understand("mark the interval of event 2 for me, please")
    assert read.kinds == ("when",) and read.event == 2
    assert narrate(one_event(), understand("give me the interval, would you"), Conversation()).events


def test_a_kind_needs_more_where_the_rules_found_another() -> None:
    nothing = read_question("so, the interval of it")
    assert nothing.kinds == (UNKNOWN,)
    assert corrected(nothing, "when", 0.45).kinds == ("when",)
    assert corrected(nothing, "when", 0.35) == nothing
    assert corrected(nothing, OTHER, 0.99) == nothing
    where = read_question("where is it?")
    assert corrected(where, "when", 0.45) == where
    assert corrected(where, "when", 0.55).kinds == ("when",)
    assert corrected(where, "entry", 0.99) == where  # a place is an answer to that


def test_yes_or_no_and_its_sense() -> None:
    unread = read_question("business as always")
    assert corrected(unread, "normal", 0.9).asks_normal and corrected(unread, "normal", 0.9).yes_no
    assert not corrected(unread, "whether", 0.9).asks_normal
    said = read_question("is nothing wrong?")
    assert said.kinds == (WHETHER,) and said.asks_normal
    assert corrected(said, "whether", 0.9).asks_normal
    assert not corrected(said, "count", 0.9).yes_no


def test_known_wordings_do_not_load_minilm(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(phrases: object) -> None:
        raise AssertionError(f"loaded for {phrases}")

    monkeypatch.setattr(minilm, "vectors", fail)
    assert understand("What is anomalous?").kinds == (WHAT,)
    assert understand("  is there ANY anomaly in the video ").kinds == (WHETHER,)
    assert understand("").kinds and understand("word " * 200).kinds
    with pytest.raises(AssertionError):
        understand("trace its way through the image")


def test_without_minilm_the_rules_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(phrases: object) -> None:
        raise MissingWeights("run: pip install x")

    monkeypatch.setattr(minilm, "vectors", absent)
    assert understand("trace its way through the image") == read_question("trace its way through the image")


def test_a_question_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_keep", lambda known: pytest.fail(f"kept {list(known)}"))
    before = set(minilm._known())
    understood(read_question("trace the way of my neighbour through the image"))
    assert set(minilm._known()) == before


def test_hashes_do_not_depend_on_case_spaces_and_marks() -> None:
    assert hash_of("What  is it?") == hash_of("what is it") != hash_of("what was it")


def test_the_shipped_map_fits_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shipped()
    assert found.names == NAMES and found.weight.shape == (len(NAMES), minilm.WIDTH)
    from safetensors.numpy import save_file

    wrong = tmp_path / "meaning.safetensors"
    save_file({"weight": found.weight[1:], "bias": found.bias, "known": np.zeros(1, np.int64)}, wrong)
    monkeypatch.setattr(meaning, "FILE", wrong)
    shipped.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"expected 14 kinds: python -m training.question_kinds"):
            shipped()
    finally:
        shipped.cache_clear()


# The fit


def test_the_fit_is_the_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two kinds with one wording each, the gradient of the penalised loss is zero at the map."""
    vectors = {"a": np.eye(1, 4, 0), "b": np.eye(1, 4, 1)}
    monkeypatch.setattr(
        "training.question_kinds.embed", lambda texts: np.concatenate([vectors[t] for t in texts]).astype(np.float32)
    )
    rows = [Wording("a", 0, 1.0), Wording("b", 1, 2.0)]
    found = fit(rows)
    x, weight = np.concatenate([vectors["a"], vectors["b"]]), np.array([1.0, 2.0])
    wrong = (found.probs(x) - np.eye(len(NAMES))[[0, 1]]) * weight[:, None]
    assert np.abs(wrong.T @ x + found.weight / C).max() < 1e-3
    assert np.abs(wrong.sum(0)).max() < 1e-3
    assert found.probs(x).argmax(1).tolist() == [0, 1]


def test_unseen_wordings_are_understood_more_often() -> None:
    made = fit([*wordings("train", 2), *others(())])
    rows = list(wordings("more", 1))
    rules, both = sum(right(rows, None)), sum(right(rows, made))
    assert both >= rules + 10


def test_probabilities_are_shares() -> None:
    made = Meaning(np.ones((2, 3), np.float32), np.array([0.0, 1e3], np.float32), ("a", "b"), frozenset())
    assert made.probs(np.zeros((1, 3), np.float32)).tolist() == [[0.0, 1.0]]
