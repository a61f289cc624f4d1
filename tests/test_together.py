"""Several dialogues at once say what each says alone."""

from pathlib import Path

import numpy as np
import pytest
from chat_fakes import one_event
from cli_fakes import make_analysis
from tiny_llama import make_folder

from chat.captions.together import YES_NO, Conversations, Rehearsed, Talk
from chat.session import Session
from tvad.explainer import LocalExplainer, is_loop
from tvad.lvlm.base import Messages
from tvad.lvlm.llama import Llama
from tvad.lvlm.together import Prompt, Together

ASKED = ["the thin thing", "a", "in the in the in the in the", "why", "the end of it"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_folder(tmp_path / "model", max_position_embeddings=1024)
    return tmp_path / "model"


def prompts(together: Together, limit: int = 20) -> list[Prompt]:
    messages: list[Messages] = [[{"role": "user", "content": text}] for text in ASKED]
    return [Prompt(tuple(together.dialogue.encode(m)), limit=limit) for m in messages]


def test_logits_of_a_batch_are_those_of_each_alone_and_of_the_other_graph(folder: Path) -> None:
    together, single = Together(folder), Llama(folder)
    asked = prompts(together)
    found = together.logits(asked)
    for n, prompt in enumerate(asked):
        assert np.allclose(found[n], together.logits([prompt])[0], atol=1e-4)
        assert np.allclose(found[n], single.next_logits(list(prompt.ids)), atol=1e-3)


def test_answers_of_a_batch_are_those_of_each_alone(folder: Path) -> None:
    together = Together(folder)
    asked = prompts(together)
    asked[1] = Prompt(asked[1].ids, limit=3)
    asked[3] = Prompt(asked[3].ids, allowed=(10, 11))
    found = together.answers(asked, is_loop)
    assert found == [together.answers([prompt], is_loop)[0] for prompt in asked]
    assert found == list(reversed(together.answers(asked[::-1], is_loop)))
    assert len(found[1]) <= 4 and found[3][:1] in ([10], [11])
    assert together.answers([], is_loop) == []


def test_the_odds_of_a_video_are_the_same_to_the_last_bit_whoever_is_beside_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.session.MAX_NEW_TOKENS", 4)
    monkeypatch.setattr("tvad.lvlm.smollm.model_folder", lambda: folder)
    talks = Conversations("mini", "text")
    speaker = Rehearsed(talks._together, None, (1.0, 0.0))
    talk = Talk(Session(one_event(), "text", explainer=speaker), speaker, ())
    needs = [(talk, (prompt.ids, (), YES_NO)) for prompt in prompts(talks._together)]
    for batch in (needs, needs[::-1], needs[:2]):
        for need, found in zip(batch, talks._logits(batch), strict=True):
            assert np.array_equal(found, talks._logits([need])[0])


def test_embeddings_without_a_place_are_refused(folder: Path) -> None:
    together = Together(folder)
    with pytest.raises(ValueError, match="0 placeholder tokens"):
        together.logits([Prompt((5, 6), np.zeros((2, 64), np.float32))])


def test_captions_of_a_batch_are_worded_as_a_dialogue_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Alone:
        """The single graph, with the dialogue's tokenizer."""

        def __init__(self) -> None:
            self._together, self._llama = Together(folder), Llama(folder)
            self.stop_ids, self.context = self._together.dialogue.stop_ids, self._together.context
            self.encode, self.decode = self._together.dialogue.encode, self._together.dialogue.decode
            self.first_tokens, self.next_logits = self._together.dialogue.first_tokens, self._llama.next_logits

    monkeypatch.setattr("chat.session.MAX_NEW_TOKENS", 12)
    monkeypatch.setattr("tvad.lvlm.smollm.model_folder", lambda: folder)
    questions = ("What is anomalous?", "When?")
    videos = [one_event(), make_analysis("a.mp4", True).evidence, make_analysis("b.mp4", False).evidence]
    found = Conversations("mini", "text").about([(evidence, None) for evidence in videos], questions, at_once=2)
    alone = Alone()
    for evidence, answers in zip(videos, found, strict=True):
        session = Session(evidence, "text", explainer=LocalExplainer(alone))  # type: ignore[arg-type]
        for question, answer in zip(questions, answers, strict=True):
            assert "".join(session.ask(question)) == answer.text
            assert session.last == answer
