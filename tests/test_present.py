"""chat/present.py: how many people and vehicles there were."""

from dataclasses import replace

import pytest
from chat_fakes import nothing, three_events

from chat.conversation import Conversation
from chat.present import asked
from chat.questions import read_question
from chat.report import narrate
from chat.routes import untaught
from tvad.evidence import Evidence, Seen

SEEN = (Seen("person", 5, 12.3, 2), Seen("motor vehicle", 1, 4.0, 1))


def crowd(evidence: Evidence) -> Evidence:
    return replace(evidence, seen=SEEN)


def said(evidence: Evidence, question: str) -> str:
    return narrate(evidence, read_question(question), Conversation()).text


@pytest.mark.parametrize("make", [nothing, three_events])
@pytest.mark.parametrize(
    ("question", "begins"),
    [
        ("How many people are there?", "At most 5 people at once, at 12.3 s, usually 2."),
        ("how many persons do you see", "At most 5 people at once"),
        ("How many men are in the video?", "At most 5 people at once"),
        ("How many cars are there?", "At most 1 motor vehicle at once, at 4.0 s."),
        ("Is there more than one person?", "Yes: at most 5 people at once"),
        ("Is there more than one car?", "No: at most 1 motor vehicle at once"),
    ],
)
def test_who_was_there_is_counted(make: object, question: str, begins: str) -> None:
    evidence = crowd(make())  # type: ignore[operator]
    assert said(evidence, question).startswith(begins)
    read = read_question(question)
    assert untaught(read, narrate(evidence, read, Conversation()), evidence)


@pytest.mark.parametrize(
    "question",
    [
        "How many people are involved?",
        "How many anomalies are there?",
        "How many dogs are there?",
        "How many events?",
        "Where are the people?",
        "How many unusual people are there?",
    ],
)
def test_other_questions_are_not_about_that(question: str) -> None:
    assert asked(crowd(three_events()), read_question(question)) is None


def test_where_nobody_counted_the_findings_are_told() -> None:
    evidence = three_events()
    assert asked(evidence, read_question("How many people are there?")) is None
    assert "labelled" in said(evidence, "How many people are there?")


def test_what_was_seen_comes_back_from_the_file() -> None:
    evidence = crowd(three_events())
    assert Evidence.from_json(evidence.to_json()).seen == SEEN
    assert Evidence.from_json(three_events().to_json()).seen == ()
