"""What was said on whether there is an anomaly, and how it is told again."""

from dataclasses import replace

import pytest
from chat_fakes import nothing, one_event

from chat.conversation import Conversation, Turn
from chat.questions import read_question
from chat.report import narrate
from chat.standing import LONGEST_CHARS, how_sure, otherwise, quoted, words_of

FIRE = Turn("is there an anomaly?", "Yes, there is a fire that burns.", ("whether",), verdict=True, sure=0.6)
CALM = Turn("is there an anomaly?", "No, there is no anomaly in the video.", ("whether",), verdict=False, sure=0.45)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("Yes, there is a fire. It is big.", "There is a fire."),
        ("[Not sure: 40% for yes.] No, there is a fire.", "There is a fire."),
        ("There is a fire.", "There is a fire."),
        ("Yes.", "Yes."),
        ("", "Yes."),
        ("Nobody is there.", "Nobody is there."),
    ],
)
def test_the_sentence_that_told_it(answer: str, words: str) -> None:
    assert words_of(replace(FIRE, answer=answer)) == words


def test_a_long_one_is_cut() -> None:
    assert len(words_of(replace(FIRE, answer="Yes, a fire and smoke " * 30))) <= LONGEST_CHARS + 4


def test_who_says_otherwise() -> None:
    assert otherwise(nothing(), FIRE) == f"The language model has it otherwise: {quoted(FIRE)}."
    assert otherwise(one_event(), CALM) and not otherwise(one_event(), FIRE)
    assert not otherwise(nothing(), CALM) and not otherwise(nothing(), None)


@pytest.mark.parametrize(("sure", "yes_no"), [(0.97, "Yes, fairly: "), (0.6, "No, not fully: ")])
def test_both_must_be_sure(sure: float, yes_no: str) -> None:
    told = how_sure(one_event(), read_question("are you sure?"), replace(FIRE, sure=sure))
    assert told.startswith(yes_no) and f"gives an anomaly {sure:.0%}" in told


def test_two_that_disagree_are_not_sure() -> None:
    for text in ("how sure are you?", "are you sure?", "could that be a mistake?"):
        told = how_sure(nothing(), read_question(text), FIRE)
        assert told.startswith(("Not sure: ", "No, not fully: ", "Yes, it could be: "))
        assert "93%" in told and "60% for an anomaly" in told


@pytest.mark.parametrize(
    "text", ["but you said there is a fire", "you contradict yourself", "what did you say before?"]
)
def test_what_was_said_is_told_again(text: str) -> None:
    read = read_question(text)
    told = narrate(nothing(), read, Conversation((FIRE,))).text
    assert "There is a fire that burns." in told and "The two disagree" in told
    agreed = narrate(one_event(), read, Conversation((FIRE,))).text
    assert "agrees: from 5.0 to 10.0 s" in agreed
    assert narrate(nothing(), read, Conversation()).text.startswith("Nothing was said before this.")
    only = Conversation((Turn("where is it?", "It is in the middle."),))
    assert 'The last answer was: "It is in the middle."' in narrate(one_event(), read, only).text


def test_the_last_verdict_stands() -> None:
    assert Conversation().stand is None
    talk = Conversation((CALM, FIRE, Turn("where is it?", "At the top.")))
    assert talk.stand is FIRE


@pytest.mark.parametrize(
    ("text", "with_event", "without"),
    [
        ("are you certain there's nothing wrong?", "No: ", "Yes, fairly: "),
        ("are you sure that all is fine?", "No: ", "Yes, fairly: "),
        ("are you sure there is an anomaly?", "Yes, fairly: ", "No: "),
        ("are you sure?", "Yes, fairly: ", "Yes, fairly: "),
        ("could you be wrong?", "No, probably not: ", "No, probably not: "),
    ],
)
def test_what_a_doubt_takes_for_granted(text: str, with_event: str, without: str) -> None:
    read = replace(read_question(text), yes_no=True)
    assert how_sure(one_event(), read, None).startswith(with_event)
    assert how_sure(nothing(), read, None).startswith(without)
