"""Who answers what, and that each knows what was said before on whether there is an anomaly."""

from dataclasses import replace

import pytest
from chat_fakes import FakeExplainer, nothing, one_event, three_events
from test_session import ask, shown

from chat.conversation import Conversation
from chat.openai_body import details, remembered
from chat.session import Session, verdict_of
from tvad.evidence import Evidence

FIRE = "Yes, there is a fire that burns."
HURT = "Whether anybody is hurt cannot be told from the evidence"


def unlike(*answers: str, yes: float = 0.6) -> Session:
    """A model that says yes, where no score reached the threshold."""
    return Session(replace(nothing(), peak_score=0.45), "lvlm", FakeExplainer(FIRE, *answers, yes=yes))


@pytest.mark.parametrize("before", [("is there an anomaly?",), ()])
@pytest.mark.parametrize(
    "question",
    [
        "is anybody hurt?", "is it dangerous?", "should I call the police?", "how sure are you?", "are you sure?",
        "why?", "what happened before that?", "at 0:05?", "is someone fighting?", "is there a crowd?",
        "but you said so!",
    ],
)  # fmt: skip
def test_the_narrator_knows_what_the_model_said(before: tuple[str, ...], question: str) -> None:
    session = unlike()
    told = ask(session, *before, question)
    assert "There is a fire that burns." in told.text
    assert "othing anomalous" not in told.text
    assert (told.verdict, told.sure) == (True, 0.6)  # and so has_anomaly and confidence of JSON and of the API
    assert len(session._explainer.heard) == 1  # type: ignore[union-attr]


def test_a_no_against_an_event_is_known_too() -> None:
    session = shown(one_event(), "No, there is no anomaly in the video.", yes=0.4)
    told = ask(session, "is there an anomaly?", "is anybody hurt?")
    assert told.text.startswith(HURT) and "bicycle" in told.text
    assert 'otherwise: "There is no anomaly in the video." (40% for an anomaly)' in told.text


@pytest.mark.parametrize("evidence", [one_event(), nothing()])
@pytest.mark.parametrize("way", ["report", "text", "lvlm"])
def test_harm_is_answered_as_what_it_is_in_every_way(evidence: Evidence, way: str) -> None:
    yes = "Yes, a cyclist." if evidence.has_anomaly else "No, there is none."
    session = Session(evidence, way, FakeExplainer(yes, yes=0.9 if evidence.has_anomaly else 0.1))
    told = ask(session, "was anyone injured?")
    assert told.text.startswith(HURT)
    assert ("bicycle" if evidence.has_anomaly else "othing anomalous was found") in told.text


def test_a_large_model_that_knows_of_harm_says_more_than_the_evidence() -> None:
    model = FakeExplainer("Yes, a man is bleeding.", "That cannot be seen.")
    model.sees = True  # type: ignore[attr-defined]
    session = Session(one_event(), "lvlm", model)
    assert ask(session, "is anybody hurt?").conflicts[0].startswith(HURT)
    assert not ask(session, "is anybody hurt?").conflicts


def test_one_probability_in_all_of_a_dialogue() -> None:
    session = shown(one_event(), *["Yes, a cyclist."] * 3, yes=0.8)
    first = ask(session, "is there an anomaly?")
    session._explainer.yes = 0.4  # type: ignore[union-attr] # other words, another probability
    assert ask(session, "anything unusual?").yes == first.yes == 0.8
    assert ask(session, "is everything normal?").yes == pytest.approx(0.8)


def test_what_is_left_of_the_video_is_no_verdict_on_it() -> None:
    session = shown(three_events(), "Yes, a cyclist.")
    told = ask(session, "is there an anomaly?", "is there anything else?")
    assert told.text.startswith("Yes: event 2") and told.verdict is True
    assert ask(shown(one_event(), "Yes, a cyclist."), "is there anything else?").verdict is True


def test_a_denial_after_a_yes_is_a_conflict() -> None:
    told = ask(unlike("There is no anomaly in the video."), "is there an anomaly?", "where is it?")
    assert told.conflicts[0].startswith("The text says that there is no anomaly; before, it was said that there is one")
    calm = shown(nothing(), "No, there is none.", "There is an anomaly in the middle.", yes=0.1)
    assert ask(calm, "is there an anomaly?", "where is it?").conflicts
    assert not ask(unlike("It is at the top."), "is there an anomaly?", "where is it?").conflicts


def test_who_asks_a_later_step_first_is_told_of_the_conflict_and_the_doubt() -> None:
    session = unlike("It is at the top.", "It burns.")
    told = ask(session, "where is it?")
    assert told.text.startswith("[Not sure: 60% that there is an anomaly.] It is at the top.") and told.conflicts
    assert ask(session, "how does it move?").text == "It burns."


def test_the_confidence_is_that_of_the_verdict_whatever_was_asked() -> None:
    for question in ("is there a fire?", "where is it?", "when?", "is anybody hurt?", "what is anomalous?"):
        answer = ask(unlike("Yes, there is a fire in the video."), question)
        assert verdict_of(nothing(), answer) == (True, 0.6), question


def test_nothing_is_denied_by_the_evidence_alone_after_a_yes() -> None:
    session = unlike("It disappears inside the picture.")
    assert ask(session, "is there an anomaly?", "did it leave?").text == "It disappears inside the picture."
    assert ask(session, "is it still there at the end?").text.startswith("No event at 30.0 s")


@pytest.mark.parametrize("broken", ["It burns from 0.", "It appears inside the", "It stays from 3.5 to"])
def test_an_answer_that_breaks_off_is_told_by_the_narrator(broken: str) -> None:
    assert "[The language model broke off; from the evidence:]" in ask(unlike(broken), "when?").text
    assert verdict_of(nothing(), ask(unlike(broken), "when?")) == (True, 0.6)
    assert "broke off" not in ask(unlike("It burns from 0.5 to 30 s."), "when?").text


def test_what_is_told_after_a_no_is_no_anomaly() -> None:
    calm = shown(nothing(), "No, there is none.", "The person walks.", yes=0.2)
    note = " [That there is an anomaly was denied (20% for one); this is about what is least usual.]"
    assert ask(calm, "is there an anomaly?", "how does he move?").text == f"The person walks.{note}"
    for words in ("There is no anomaly in the video.", "The video does not show that."):
        assert ask(shown(nothing(), "No.", words, yes=0.2), "how does he move?").text == words


def test_what_is_declined_affirms_nothing() -> None:
    evidence = replace(nothing(), peak_score=0.45, kind="fighting", class_probs={"fighting": 0.8})
    session = Session(evidence, "lvlm", FakeExplainer("Yes, a man.", "The video does not show that.", yes=0.9))
    answer = ask(session, "what happens next?")
    assert answer.text == "The video does not show that." and not answer.conflicts


def test_a_courtesy_is_no_question() -> None:
    session = shown(one_event(), "Yes, a cyclist.")
    for words in ("ok thanks", "Hello!", "Thank you very much."):
        assert ask(session, words).text.startswith("Ask what, when")
    assert ask(Session(one_event()), "all ok?").text.startswith("No, not everything")


def test_what_comes_after_is_told_by_the_narrator() -> None:
    session = shown(three_events(), "Yes, a cyclist.", "A cyclist rides.")
    assert "event 2" in ask(session, "is there an anomaly?", "what is it?", "and after that?").text


def test_a_kind_of_movement_is_told_with_harm() -> None:
    evidence = replace(nothing(), peak_score=0.45, kind="fighting", class_probs={"fighting": 0.8})
    session = Session(evidence, "lvlm", FakeExplainer("Yes, there is a man.", yes=0.9))
    assert "the movement looks like fighting (80%)" in ask(session, "is anybody hurt?").text


def test_people_are_not_counted() -> None:
    told = ask(shown(one_event(), "Yes.", "There is one: a cyclist."), "how many people are there?")
    assert told.text == "There is one: a cyclist. [Only what is anomalous is counted.]"
    assert "Only" not in ask(shown(one_event(), "Yes.", "There is one."), "how many anomalies are there?").text


@pytest.mark.parametrize("question", ["asdf qwer zxcv", "Was ist hier los?", "\u00bfHay alguien herido?", "\u4f55"])
def test_what_is_not_english_is_not_answered_at_random(question: str) -> None:
    session = shown(one_event(), "Yes, a cyclist.")
    assert "not understood" in ask(session, question).text


def test_a_thing_that_the_model_was_not_taught_is_not_denied_by_it() -> None:
    session = shown(one_event(), "Yes, a cyclist.", "No, there is no dog in the video.")
    for thing in ("a crowd", "smoke", "an aeroplane"):
        assert "not listed" in ask(session, f"is there {thing}?").text
    assert ask(session, "is there a dog?").text == "No, there is no dog in the video."


def test_what_stands_in_for_a_failing_model_knows_it_too() -> None:
    told = ask(unlike(""), "where is it?").text
    assert "[The language model said nothing; from the evidence:] The evidence has no event" in told
    assert "There is a fire that burns." in told


def test_a_declined_thing_is_an_answer() -> None:
    declined = "The video does not show that."
    assert ask(shown(one_event(), "Yes.", declined), "is there a dog?").text == declined


def test_what_was_said_of_an_anomaly_is_known_to_the_api_as_to_a_session() -> None:
    evidence = replace(nothing(), peak_score=0.45, kind="fighting", class_probs={"fighting": 0.8})
    questions = ("Is there an anomaly?", "Is anybody hurt?")
    session = Session(evidence, "lvlm", FakeExplainer("Yes, there is a fire that burns.", yes=0.6))
    told = []
    for question in questions:
        told.append("".join(session.ask(question)))
    again = Session(evidence, "lvlm", FakeExplainer(yes=0.6))
    again.conversation = remembered(evidence, ((questions[0], told[0]),))
    assert again.conversation == Conversation(session.conversation.turns[:1])
    assert "".join(again.ask(questions[1])) == told[1] and "a fire that burns" in told[1]
    assert details(evidence, again.last)["has_anomaly"] is True and details(evidence, again.last)["confidence"] == 0.6
    calm = remembered(evidence, (("Is everything normal?", "[Not sure: 40% for yes.] No, a fire."),)).turns[0]
    assert (calm.verdict, calm.sure, calm.answer) == (True, pytest.approx(0.6), "No, a fire.")
