"""A dialogue: pieces, the whole answer, what it rests on, and a language model that may fail."""

import math
from dataclasses import replace

import pytest
from chat_fakes import FakeExplainer, nothing, one_event, three_events

from chat.conversation import Conversation
from chat.prompt import build_messages
from chat.session import FIRST, Answer, Session
from tvad.evidence import Evidence
from tvad.explainer import NO, YES
from tvad.lvlm.view import chance_of


def ask(session: Session, *questions: str) -> Answer:
    for question in questions:
        said = "".join(session.ask(question))
        assert said == session.last.text
    return session.last


def by_model(evidence: Evidence, *answers: str, fails: BaseException | None = None) -> Session:
    return Session(evidence, "text", FakeExplainer(*answers, fails=fails))


def test_the_pieces_are_the_answer_and_it_rests_on_something() -> None:
    answer = ask(Session(three_events()), "what is anomalous?")
    assert "bicycle" in answer.text
    assert answer.citations == ("event 1, 5.0-10.0 s", "event 2, 12.0-15.0 s", "event 3, 20.0-21.0 s", "track 1")
    assert answer.conflicts == ()


def test_an_answer_on_one_thing_cites_that_thing() -> None:
    assert ask(Session(three_events()), "where is event 2?").citations == ("event 2, 12.0-15.0 s", "track 2")
    assert ask(Session(nothing()), "what is anomalous?").citations == ()


def test_the_session_remembers() -> None:
    answer = ask(Session(three_events()), "what is anomalous?", "and event 2?", "what colour is it?")
    assert "red" in answer.text


def test_uncalibrated_is_said_once() -> None:
    session = Session(replace(one_event(), calibration="uncalibrated"))
    assert "Uncalibrated" in ask(session, "what is anomalous?").text
    assert "Uncalibrated" not in ask(session, "where is it?").text
    assert "Uncalibrated" not in ask(Session(one_event()), "what is anomalous?").text


def test_no_answer_before_a_question() -> None:
    with pytest.raises(RuntimeError, match="ask"):
        _ = Session(one_event()).last


def test_unknown_ways_of_answering() -> None:
    with pytest.raises(ValueError, match="report"):
        Session(one_event(), "poem")


def test_the_models_words_stand_as_they_are() -> None:
    answer = ask(by_model(one_event(), "Yes, a bicycle moves right."), "is there an anomaly?")
    assert answer.text == "Yes, a bicycle moves right."
    assert answer.conflicts == ()
    assert answer.citations


def test_a_contradiction_is_told_and_not_rewritten() -> None:
    answer = ask(by_model(one_event(), "The bicycle moves to the left."), "which way does it go?")
    assert answer.text == "The bicycle moves to the left."
    assert len(answer.conflicts) == 1
    assert "right" in answer.conflicts[0]
    assert ask(by_model(one_event(), "No, there is no anomaly."), "is there an anomaly?").conflicts


def test_only_the_first_sentence_of_the_model_is_taken() -> None:
    answer = ask(by_model(one_event(), "The bicycle moves right at 7.5 s. It is a circle. It is"), "which way?")
    assert answer.text == "The bicycle moves right at 7.5 s."


FAILING = {
    "said nothing": "",
    "began to repeat itself": "the bicycle moves to the right and " * 9,
    "did not come to an end": "".join(f"bicycle {i} " for i in range(200)),
    "strayed from the evidence": "The weather tomorrow brings heavy showers.",
}


@pytest.mark.parametrize(("trouble", "said"), FAILING.items())
def test_what_fails_falls_back_to_the_narrator_visibly(trouble: str, said: str) -> None:
    answer = ask(by_model(one_event(), said), "which way does it go?")
    note = f"[The language model {trouble}; from the evidence:] The bicycle (track 1) moves right"
    assert note in answer.text
    assert len(answer.text) < 1200


def test_a_model_that_breaks_off() -> None:
    answer = ask(by_model(one_event(), "The bicycle", fails=RuntimeError("out of memory")), "where is it?")
    assert answer.text.startswith("The bicycle [The language model failed (out of memory)")
    assert "in the middle" in answer.text


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(by_model(one_event(), "x", fails=ZeroDivisionError()), "where is it?")


def test_without_anomaly_no_model_is_asked() -> None:
    model = FakeExplainer()
    answer = ask(Session(nothing(), "text", model), "is there an anomaly?")
    assert answer.text.startswith("No: nothing anomalous")
    assert model.heard == []


def test_the_prompt_is_about_what_is_meant() -> None:
    model = FakeExplainer("Something red is seen.", "At the right of the picture.")
    ask(Session(three_events(), "text", model), "what about event 2?", "where is it?")
    first, second = (messages[-1]["content"] for messages in model.heard)
    assert "red" in first
    assert "at the right of the picture" in second
    assert "bicycle" not in second


def test_messages_have_roles_and_end_with_the_question() -> None:
    messages = build_messages(three_events(), Conversation(), " where  is it? ")
    assert [m["role"] for m in messages] == ["system", "user"]
    assert messages[-1]["content"].endswith("Question: where is it?")
    with pytest.raises(ValueError, match="empty"):
        build_messages(three_events(), Conversation(), "  ")


def test_moments_and_verdicts_reach_the_model_judged() -> None:
    told = build_messages(three_events(), Conversation(), "anything at 2 s?")[-1]["content"]
    assert "nothing anomalous at 2.0 s" in told
    assert "No: " in build_messages(three_events(), Conversation(), "does it move left?")[-1]["content"]


def test_an_answer_given_up_on_is_no_turn() -> None:
    session = Session(three_events())
    next(session.ask("event 2?"))
    assert session.conversation.turns == ()


def test_a_yes_no_question_gets_a_yes_or_no() -> None:
    answer = ask(by_model(one_event(), "The bicycle moves right."), "does it move left?")
    assert "[The language model did not say yes or no; from the evidence:] No: the bicycle" in answer.text


def test_a_wrong_yes_on_a_detail_is_a_conflict() -> None:
    answer = ask(by_model(one_event(), "Yes, the bicycle (track 1) does."), "does it move left?")
    assert answer.text == "Yes, the bicycle (track 1) does."
    assert len(answer.conflicts) == 1
    assert "says yes" in answer.conflicts[0]
    assert ask(by_model(one_event(), "No, it goes right."), "does it move left?").conflicts == ()


def test_a_bare_yes_goes_on_to_a_sentence() -> None:
    text = "Yes. The bicycle is the anomaly. More"
    assert ask(by_model(one_event(), text), "is there an anomaly?").text == "Yes. The bicycle is the anomaly."


# --- what the model is shown ----------------------------------------------------------------------------------


def shown(evidence: Evidence, *answers: str, yes: float = 0.9) -> Session:
    return Session(evidence, "lvlm", FakeExplainer(*answers, yes=yes))


def test_a_model_that_is_shown_the_video_is_not_told_the_facts() -> None:
    session = shown(one_event(), "Yes, there is a cyclist.", "It moves right.")
    ask(session, "is there an anomaly?", "how does it move?")
    first, second = session._explainer.heard  # type: ignore[union-attr]
    assert [m["role"] for m in first] == ["system", "user"]
    assert first[1]["tokens"] == 5 and first[1]["content"] == "is there an anomaly?"
    assert [m["content"] for m in second[1:]] == [
        "is there an anomaly?",
        "Yes, there is a cyclist.",  # its own words, without our notes
        "how does it move?",
    ]
    assert second[1]["tokens"] == 5 and "tokens" not in second[3]


def test_it_answers_about_videos_without_anomaly_too() -> None:
    answer = ask(shown(nothing(), "No, there is no anomaly in the video.", yes=0.1), "is there an anomaly?")
    assert answer.text.startswith("No, there is no anomaly in the video.")
    assert answer.yes == 0.1
    assert not answer.conflicts


def test_yes_against_the_evidence_is_a_conflict_and_stands() -> None:
    answer = ask(shown(nothing(), "Yes, there is a cyclist."), "is there an anomaly?")
    assert answer.text.startswith("Yes, there is a cyclist.")
    assert answer.conflicts


def test_an_even_chance_is_called_not_sure() -> None:
    assert "Not sure: 52%" in ask(shown(one_event(), "Yes, a cyclist.", yes=0.52), "is there an anomaly?").text
    assert "Not sure" not in ask(shown(one_event(), "Yes, a cyclist.", yes=0.97), "is there an anomaly?").text
    assert ask(shown(one_event(), "Yes.", "It moves right."), "how does it move?").yes is None


@pytest.mark.parametrize(
    ("question", "words", "p", "verdict", "yes"),
    [
        ("is there an anomaly?", "Yes, there is a cyclist.", 0.9, True, 0.9),
        ("is there an anomaly?", "No, there is no anomaly in the video.", 0.2, False, 0.2),
        ("is everything normal?", "Yes, there is no anomaly in the video.", 0.2, False, 0.2),
        ("is everything normal?", "No, there is a cyclist.", 0.9, True, 0.9),
        ("how does it move?", "It moves right.", 0.9, True, None),  # of the first step, which is asked unseen
    ],
)
def test_the_verdict_is_about_an_anomaly_however_it_was_asked(
    question: str, words: str, p: float, verdict: bool | None, yes: float | None
) -> None:
    answer = ask(shown(one_event(), *(["Yes."] if "move" in question else []), words, yes=p), question)
    assert answer.verdict is verdict
    assert answer.yes == (None if yes is None else pytest.approx(yes))


@pytest.mark.parametrize(("question", "word"), [("is there an anomaly?", NO), ("is everything normal?", YES)])
@pytest.mark.parametrize("duration_s", [4.0, 40.0, 4000.0])
def test_a_level_that_ordinary_footage_reaches_as_often_speaks_for_nothing(
    question: str, word: tuple[str, ...], duration_s: float
) -> None:
    evidence = replace(nothing(), peak_score=0.34, video=replace(nothing().video, duration_s=duration_s))
    model = FakeExplainer("Well.", yes=0.9)
    answer = ask(Session(evidence, "lvlm", model), question)
    no_evidence = chance_of(evidence) > 1 / math.e
    assert no_evidence == (duration_s > 100)
    assert (model.first == [word]) == no_evidence
    assert answer.yes == pytest.approx(0.5 if no_evidence else 0.9)
    assert ("Not sure: 50%" in answer.text) == no_evidence


def test_what_was_found_is_not_doubted_for_the_length_of_a_video() -> None:
    evidence = replace(one_event(), peak_score=0.51, video=replace(one_event().video, duration_s=40_000.0))
    model = FakeExplainer("Yes, a cyclist.", yes=0.9)
    assert ask(Session(evidence, "lvlm", model), "is there an anomaly?").yes == 0.9 and model.first == [YES]


@pytest.mark.parametrize(("p", "found"), [(0.49, False), (0.51, True)])
def test_the_word_follows_the_probability_of_an_anomaly(p: float, found: bool) -> None:
    for question in ("is there an anomaly?", "is everything normal?"):
        model = FakeExplainer("Well.", yes=p)
        answer = ask(Session(one_event(), "lvlm", model), question)
        assert model.first == [YES if found == ("anomaly" in question) else NO]
        assert answer.yes == pytest.approx(p)


def test_a_model_that_looks_at_the_video_itself_chooses_its_first_word() -> None:
    model = FakeExplainer("Yes.", yes=0.2)
    model.sees = True  # type: ignore[attr-defined]
    ask(Session(one_event(), "lvlm", model), "is there an anomaly?")
    assert model.first == [()]


def test_the_report_and_a_failing_model_give_no_verdict_of_a_model() -> None:
    assert ask(Session(one_event()), "is there an anomaly?").verdict is None
    assert ask(shown(one_event(), "There is a cyclist.", yes=0.9), "is there an anomaly?").verdict is None


def test_an_invented_name_is_a_conflict() -> None:
    assert ask(shown(one_event(), "His name is Peter."), "what is his name?").conflicts
    assert not ask(shown(one_event(), "The video does not show that."), "what is his name?").conflicts


def test_who_begins_with_a_later_step_has_the_first_one_asked_unseen() -> None:
    session = shown(one_event(), "Yes, a cyclist.", "A cyclist rides.", "It moves right.", "From 1 to 2 s.", yes=0.8)
    answer = ask(session, "what is anomalous?")
    assert answer.text.startswith("A cyclist rides.") and (answer.yes, answer.verdict) == (0.8, True)
    ask(session, "how does it move?", "when?")
    heard = [[m["content"] for m in messages[1:]] for messages in session._explainer.heard]  # type: ignore[union-attr]
    step = [FIRST, "Yes, a cyclist."]
    what = ["what is anomalous?", "A cyclist rides."]
    assert heard[0] == [FIRST]
    assert heard[1] == [*step, what[0]]
    assert heard[2] == [*step, *what, "how does it move?"]  # the step is not asked again
    assert heard[3] == [*step, *what, "how does it move?", "It moves right.", "when?"]
    assert all(m[1]["tokens"] == 5 for m in session._explainer.heard)  # type: ignore[union-attr]
    assert [turn.question for turn in session.conversation.turns] == [what[0], "how does it move?", "when?"]


def test_the_first_step_is_not_asked_twice_nor_before_what_is_declined() -> None:
    session = shown(one_event(), "Yes, a cyclist.", "It moves right.")
    ask(session, "is there an anomaly?", "how does it move?")
    assert len(session._explainer.heard) == 2  # type: ignore[union-attr]
    session = shown(one_event(), "The video does not show that.")
    assert ask(session, "what is his name?").text.startswith("The video does not show that.")


def test_an_even_chance_of_the_first_step_is_told_with_what_builds_on_it() -> None:
    unsure = ask(shown(one_event(), "No, nothing.", "There is no anomaly.", yes=0.45), "what is anomalous?")
    assert unsure.text.startswith("[Not sure: 45% that there is an anomaly.] ") and unsure.verdict is False
    assert "Not sure" not in ask(shown(one_event(), "Yes.", "A cyclist.", yes=0.9), "what is anomalous?").text
    mute = ask(shown(one_event(), "Well.", "A cyclist.", yes=0.9), "what is anomalous?")
    assert mute.verdict is None  # the model said neither


@pytest.mark.parametrize("words", ["A bicycle.", "There is a bicycle."])
def test_what_builds_on_a_yes_contradicts_evidence_without_an_event(words: str) -> None:
    evidence = replace(nothing(), peak_score=0.49)
    answer = ask(Session(evidence, "lvlm", FakeExplainer("Yes, a cyclist.", words, yes=0.9)), "what is anomalous?")
    assert answer.conflicts == ("The text says that there is an anomaly; the evidence has no event.",)
    assert not ask(shown(one_event(), "Yes, a cyclist.", words), "what is anomalous?").conflicts


def test_a_first_step_without_evidence_begins_with_no() -> None:
    evidence = replace(nothing(), peak_score=0.34, video=replace(nothing().video, duration_s=4000.0))
    model = FakeExplainer("No, there is none.", "There is no anomaly.", yes=0.9)
    answer = ask(Session(evidence, "lvlm", model), "what is anomalous?")
    assert model.first == [NO, ()] and answer.yes == 0.5 and answer.verdict is False


@pytest.mark.parametrize(
    "question",
    [
        "what happens at 3 s?", "anything after 3 s?", "is it dangerous?", "is he hurt?", "where is event 1?",
        "what does track 1 do?", "when does event 7 start?", "and the second one?", "how does the third one move?",
    ],
)  # fmt: skip
def test_what_the_model_was_not_taught_is_told_by_the_narrator(question: str) -> None:
    session = shown(one_event(), "Yes, a cyclist.")
    assert ask(session, question).text == ask(Session(one_event()), question).text


def test_after_a_declined_question_the_talk_goes_on_before_it() -> None:
    told = ask(Session(three_events()), "where is it?", "what is his name?", "and the second one?")
    assert told.text == ask(Session(three_events()), "where is it?", "and the second one?").text


def test_how_the_verdict_was_reached_is_told_by_the_narrator() -> None:
    session = shown(one_event(), "Yes.", "Because of a cyclist.")
    told = ask(session, "why is that anomalous?")
    assert "cyclist" not in told.text and "score" in told.text
    assert len(session._explainer.heard) == 1  # type: ignore[union-attr]
    sure = ask(session, "are you sure?").text
    assert (
        sure.replace(" The language model gives an anomaly 90%.", "") == ask(Session(one_event()), "are you sure?").text
    )


def test_showing_needs_something_to_show() -> None:
    with pytest.raises(ValueError, match="view"):
        Session(one_event(), "lvlm")


@pytest.mark.parametrize(
    "said", ["Yes, there is a person who behaves unusually.", "No, there is no anomaly in the video."]
)
def test_a_kind_is_named_beside_an_affirmed_anomaly_alone(said: str) -> None:
    evidence = replace(nothing(), kind="fighting", class_probs={"normal": 0.2, "fighting": 0.8})
    yes = 0.9 if said.startswith("Yes") else 0.1
    answer = ask(Session(evidence, "lvlm", FakeExplainer(said, yes=yes)), "is there an anomaly?")
    assert ("the movement looks like fighting (80%)" in answer.text) == said.startswith("Yes")
    unsure = replace(evidence, kind="unspecified")
    assert "looks like" not in ask(Session(unsure, "lvlm", FakeExplainer(said, yes=yes)), "is there an anomaly?").text
