"""Whether somebody does something: yes where it was found, and else no denial."""

from dataclasses import replace

import pytest
from chat_fakes import nothing, one_event

from chat.conversation import Conversation, Turn
from chat.lexicon import deeds
from chat.questions import DEED, read_question
from chat.report import narrate
from tvad.evidence import Evidence

FALL = Turn("is there an anomaly?", "Yes, there is a person who falls down.", ("whether",), verdict=True, sure=0.8)


def said(evidence: Evidence, text: str, stand: Turn | None = None) -> str:
    read = read_question(text)
    assert read.kinds == (DEED,)
    return narrate(evidence, read, Conversation(), stand).text


@pytest.mark.parametrize(
    ("text", "deed"),
    [
        ("is someone fighting?", "fighting"),
        ("did he fall?", "falling"),
        ("was anyone running away?", "running"),
        ("did they steal something?", "stealing"),
        ("is the man lying on the floor?", "lying down"),
        ("did the car crash?", "an accident"),
    ],
)
def test_deeds(text: str, deed: str) -> None:
    assert deed in deeds(text)
    assert said(nothing(), text).startswith("That was not found, and cannot be ruled out.")


def test_what_was_found_is_affirmed() -> None:
    assert said(one_event(), "is someone riding?").startswith("Yes: from 5.0 to 10.0 s")
    fight = replace(one_event().events[0], category="fighting", kind="fighting", class_probs={"fighting": 0.86})
    told = said(replace(one_event(), events=(fight,)), "is there a fight?")
    assert told.startswith("Yes: ") and "fighting (86%)" in told


def test_what_the_language_model_said_is_told_as_its_words() -> None:
    told = said(nothing(), "did somebody fall?", FALL)
    assert told.startswith(
        'As the language model has it, yes: "There is a person who falls down." (80% for an anomaly)'
    )
    assert "no event" in told
    assert said(nothing(), "did somebody run?", FALL).startswith("That was not found, and cannot be ruled out.")


def test_a_kind_of_movement_counts_as_much_as_it_is_sure() -> None:
    odd = replace(nothing(), class_probs={"normal": 0.2, "fighting": 0.8}, kind="fighting")
    assert said(odd, "is someone fighting?").startswith("Perhaps: the movement looks like fighting (80%).")
    assert "fighting with 80%, too little" in said(replace(odd, kind="unspecified"), "is someone fighting?")
    assert "fighting" not in said(odd, "did somebody fall?")


def test_the_wrong_way_is_more_than_a_way() -> None:
    assert said(one_event(), "is anyone cycling the wrong way?").startswith(
        "That was not found, and cannot be ruled out."
    )
