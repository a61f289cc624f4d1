"""Streaming: where an answer ends, what is held back, and that words do not depend on how they are cut."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny_llama import make_folder

from tvad import explainer
from tvad.explainer import LocalExplainer, is_loop, open_explainer, unrepeated
from tvad.lvlm.smollm import SmolLM
from tvad.presets.mini import MINI

STOP = 256
QUESTION = [{"role": "user", "content": "what is anomalous?"}]


class Parrot:
    """A backbone of bytes that says one text whatever it is asked, then stops."""

    context = 1000
    stop_ids = frozenset({STOP})

    def __init__(self, text: str) -> None:
        self._script = [*text.encode(), STOP]
        self.asked = 0

    def encode(self, messages: Sequence[dict[str, str]]) -> list[int]:
        return list(messages[-1]["content"].encode())

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode("utf-8", "replace")

    def first_tokens(self, words: Sequence[str]) -> list[int]:
        return sorted({word.encode()[0] for word in words})

    def next_logits(self, ids: Sequence[int]) -> np.ndarray:
        place = len(ids) - len(QUESTION[0]["content"])
        self.asked += 1
        return np.eye(STOP + 1, dtype=np.float32)[self._script[place]]


def answer(text: str, limit: int = 400) -> str:
    return "".join(LocalExplainer(Parrot(text)).stream(QUESTION, limit))


def test_an_answer_ends_at_the_stop_token() -> None:
    assert answer("A red bicycle.") == "A red bicycle."


def test_an_answer_begins_with_one_of_the_words_it_is_given() -> None:
    model = LocalExplainer(Parrot("yes, a bicycle."))
    assert "".join(model.stream(QUESTION, 400, ("no", "yes"))) == "yes, a bicycle."
    assert "".join(model.stream(QUESTION, 400, ("no", "now"))) == "nes, a bicycle."


def test_an_answer_at_its_limit_says_so() -> None:
    assert answer("A red bicycle.", 5) == "A red ..."
    assert answer("A red", 5) == "A red ..."


def test_pieces_come_as_they_are_made() -> None:
    parrot = Parrot("Two words and more")
    stream = LocalExplainer(parrot).stream(QUESTION)
    assert next(stream) == "T"
    assert parrot.asked == 1


def test_characters_are_never_cut() -> None:
    text = "Größe: 你好 🚲!"
    pieces = list(LocalExplainer(Parrot(text)).stream(QUESTION))
    assert "".join(pieces) == text
    assert all("\ufffd" not in piece and piece for piece in pieces)


def test_an_answer_cut_inside_a_character_shows_no_half_of_it() -> None:
    assert answer("a你", 2) == "a ..."


@pytest.mark.parametrize("limit", [0, -1, 2000])
def test_a_limit_without_room_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="max_new_tokens is"):
        list(LocalExplainer(Parrot("yes")).stream(QUESTION, limit))


def test_a_sentence_is_said_once() -> None:
    text = "A cart comes in. It goes right. A cart comes in. It goes right. A cart"
    assert answer(text).strip() == "A cart comes in. It goes right."


def test_a_last_sentence_without_a_word_after_it_is_not_repeated_either() -> None:
    assert answer("A cart comes in. A cart comes in.").strip() == "A cart comes in."


def test_sentences_that_begin_alike_are_both_said() -> None:
    text = "It moves right at 3.5 s. It moves right at 3.7 s. It moves on."
    assert answer(text) == text


def test_short_sentences_may_come_back() -> None:
    assert answer("Yes. It is red. Yes. It is fast.") == "Yes. It is red. Yes. It is fast."


@pytest.mark.parametrize("size", [1, 2, 5, 13, 100])
def test_how_a_text_is_cut_does_not_matter(size: int) -> None:
    text = "One cart comes. Two bikes go.\nOne cart stops! One cart comes. And so on."
    pieces = (text[n : n + size] for n in range(0, len(text), size))
    assert "".join(unrepeated(pieces)).strip() == "One cart comes. Two bikes go.\nOne cart stops!"


def test_a_loop_without_sentences_ends() -> None:
    said = answer("the camera" + " and again" * 40)
    assert said.startswith("the camera and again") and len(said) < 60


def test_what_counts_as_a_loop() -> None:
    assert is_loop([9, *[1, 2, 3, 4] * 3])
    assert is_loop([7] * 12)
    assert not is_loop([7] * 11)
    assert not is_loop([1, 2, 3, 4] * 2)
    assert not is_loop(list(range(50)))
    assert not is_loop([*[1, 2, 3, 4] * 3, 5])


def test_a_real_backbone_streams_its_greedy_choices(tmp_path: Path) -> None:
    model = SmolLM(make_folder(tmp_path / "tiny"))
    question = [{"role": "user", "content": "why?"}]
    ids = model.encode(question)
    start = len(ids)
    for _ in range(20):
        ids.append(int(model.next_logits(ids).argmax()))
    wanted = model.decode(ids[start:]).rstrip("\ufffd")
    assert wanted and not model.stop_ids & set(ids[start:])
    assert "".join(LocalExplainer(model).stream(question, 20)) == wanted + " ..."


def test_opening_takes_the_preset_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(explainer, "load_backbone", lambda name: asked.append(name) or Parrot("Nothing."))
    assert "".join(open_explainer("mini").stream(QUESTION)) == "Nothing."
    assert asked == [MINI.explain_weights["text"][0].name]


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match="no preset 'maxi'"):
        open_explainer("maxi")
