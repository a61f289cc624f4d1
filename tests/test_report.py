"""The narrator's answers: what is in the evidence, Yes or No first, and what "it" means."""

from dataclasses import replace

import pytest
from chat_fakes import make_evidence, nothing, one_event, straight, three_events

from chat.conversation import Conversation, Turn
from chat.questions import read_question
from chat.report import Said, narrate
from tvad.evidence import Event, Evidence


def talk(evidence: Evidence, *questions: str) -> list[Said]:
    """The answers to a dialogue."""
    conversation = Conversation()
    out = []
    for text in questions:
        said = narrate(evidence, read_question(text), conversation)
        conversation = conversation.add(Turn(text, said.text, said.kinds, said.focus))
        out.append(said)
    return out


def answer(evidence: Evidence, *questions: str) -> str:
    """The last answer of a dialogue."""
    return talk(evidence, *questions)[-1].text


def test_what_is_anomalous_names_time_thing_way_and_numbers() -> None:
    said = talk(one_event(), "what is anomalous?")[0]
    assert said.text.startswith("From 5.0 to 10.0 s a small dark blue and white bicycle moves right")
    assert "event 1" in said.text
    assert "0.91" in said.text
    assert (said.events, said.tracks) == ((1,), (1,))


def test_yes_or_no_is_the_first_word() -> None:
    for text in ("is there an anomaly?", "anything unusual?", "does anything happen?"):
        assert answer(three_events(), text).startswith("Yes"), text
        assert answer(nothing(), text).startswith("No"), text
    assert answer(three_events(), "is everything normal?").startswith("No")
    assert answer(nothing(), "is everything normal?").startswith("Yes")


def test_nothing_anomalous_is_said_plainly_with_the_threshold() -> None:
    text = answer(nothing(), "what is anomalous?")
    assert text.startswith("No: nothing anomalous")
    assert "0.50" in text
    assert "93%" in text


@pytest.mark.parametrize(
    "text", ["where is it?", "when?", "which way does it go?", "what colour?", "how many?", "why?"]
)
def test_follow_ups_on_nothing(text: str) -> None:
    said = answer(nothing(), "is there an anomaly?", text)
    assert "othing anomalous" in said or "0 anomalous" in said or "No score" in said


def test_several_events_are_counted_and_listed() -> None:
    text = answer(three_events(), "what is anomalous?")
    assert "strongest of 3 events" in text
    assert "event 2 (unusual movement, 12.0-15.0 s)" in text
    assert "event 3" in text


def test_many_events_are_not_all_listed() -> None:
    events = tuple(Event(i, i * 2.0, i * 2.0 + 1, i * 2.0, 0.5 + i / 100, "unusual movement", ()) for i in range(1, 13))
    text = answer(make_evidence(events, ()), "what is anomalous?")
    assert "12 events" in text
    assert "7 more" in text
    assert text.count("event ") < 8


FOLLOW_UPS = [
    ("where is it?", ("7.5 s", "in the middle", "left - middle - right")),
    ("which way does it go?", ("moves right", "left border")),
    ("when?", ("5.0 to 10.0 s", "7.5 s")),
    ("how long does it last?", ("5.0 s long",)),
    ("what colour is it?", ("dark blue and white", "80%")),
    ("why?", ("0.91", "0.50", "1 false alarm per hour", "memory", "anomaly words")),
    ("are you sure?", ("Yes", "93%")),
    ("how fast is it?", ("frame diagonals per second",)),
    ("does it move left?", ("No: ",)),
    ("does it move to the right?", ("Yes: ",)),
    ("does it stop?", ("No: ",)),
    ("is it blue?", ("Yes: ",)),
    ("is it green?", ("No: ",)),
    ("is it in the top left?", ("No: ",)),
    ("is it a car?", ("No: ", "bicycle")),
    ("is it a bike?", ("Yes: ",)),
    ("where does it come from?", ("comes in at the left border",)),
]


@pytest.mark.parametrize(("text", "parts"), FOLLOW_UPS)
def test_follow_ups_are_about_the_strongest_event(text: str, parts: tuple[str, ...]) -> None:
    said = answer(three_events(), "what is anomalous?", text)
    for part in parts:
        assert part in said


def test_it_is_what_was_spoken_of() -> None:
    evidence = three_events()
    assert "track 2" in answer(evidence, "what is anomalous?", "what about event 2?", "where is it?")
    assert "12.0 to 15.0" in answer(evidence, "what is anomalous?", "where is the second one?", "when?")
    assert "red" in answer(evidence, "anything at 13 s?", "what colour is it?")
    assert "track 1" in answer(evidence, "event 2?", "where is the bicycle?")


def test_and_the_second_one_asks_the_same_again() -> None:
    said = answer(three_events(), "where is it?", "and the second one?")
    assert said.startswith("At 13.0 s")
    assert "track 2" in said


def test_an_event_without_track_has_no_place() -> None:
    assert "no place" in answer(three_events(), "event 3?", "where is it?")


def test_what_does_not_exist_is_said() -> None:
    assert "no event 9" in answer(three_events(), "where is event 9?")
    assert "no track 9" in answer(three_events(), "where is track 9?")
    assert "not that many" in answer(three_events(), "where is the fifth event?")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("anything at 2 s?", "No: nothing anomalous at 2.0 s; the first event starts at 5.0 s."),
        ("what happens at 25 s?", "Nothing anomalous at 25.0 s; the last event ends at 21.0 s."),
        ("what happens at 0:40?", "There is no 40.0 s: the video is 30.0 s long."),
        ("where is it at 9.9 s?", "At 9.9 s the bicycle (track 1) is at the right of the picture."),
    ],
)
def test_moments(text: str, said: str) -> None:
    assert answer(three_events(), text) == said


def test_a_moment_inside_an_event() -> None:
    text = answer(three_events(), "is there anything at 13 s?")
    assert text.startswith("Yes: ")
    assert "event 2" in text
    assert "between" not in answer(three_events(), "is there anything between 4 and 22 s?").split("Also")[0]
    assert "Also then" in answer(three_events(), "is there anything between 4 and 22 s?")


def test_what_was_not_analysed_is_not_called_normal() -> None:
    evidence = replace(nothing(), settings={"start_s": 10.0, "end_s": 20.0})
    assert "not analysed" in answer(evidence, "anything at 5 s?")
    assert "not analysed" not in answer(evidence, "anything at 15 s?")


def test_counts() -> None:
    assert answer(three_events(), "how many?").startswith("3 anomalous events with 2 tracks")
    assert answer(three_events(), "how many bikes are there?").startswith("1 of 2 tracks")
    assert answer(one_event(), "is there more than one?").startswith("No")


def test_the_chosen_track_heads_the_answer() -> None:
    tracks = (
        straight(1, "cart", "large grey", 5.0, 9.0, (0, 100, 500, 100)),
        straight(2, "dog", "small black", 5.0, 9.0, (500, 290, 100, 290)),
    )
    evidence = make_evidence((Event(1, 5.0, 9.0, 6.0, 0.9, "cart", (1, 2), ("memory",)),), tracks)
    assert "black dog moves left" in answer(evidence, "tell me about track 2")
    assert "track 2" in answer(evidence, "where is the dog?")


def test_unknown_questions_say_what_can_be_asked() -> None:
    text = answer(three_events(), "is anybody there?")
    assert "does not tell" in text and "Ask what" in text
    assert "bicycle" in text


def test_times_beyond_a_minute_carry_a_clock() -> None:
    video = replace(nothing().video, duration_s=4000.0)
    event = Event(1, 3723.0, 3730.0, 3725.0, 0.9, "unusual movement", ())
    text = answer(replace(make_evidence((event,), ()), video=video), "when?")
    assert "3725.0 s (1:02:05.0)" in text


def test_no_word_is_made_up() -> None:
    strange = Event(1, 1.0, 2.0, 1.5, 0.77, "zorblax", (), ("quux",))
    text = answer(make_evidence((strange,), ()), "what is anomalous?", "why?")
    assert "zorblax" in text
    assert "quux" in text


def test_else_after_and_before() -> None:
    assert answer(three_events(), "what is anomalous?", "anything else?").startswith("Yes: event 2")
    assert answer(one_event(), "what is anomalous?", "anything else?").startswith("No: nothing else")
    assert "event 3" in answer(three_events(), "what happens after the second event?")
    assert "event 1" in answer(three_events(), "event 2?", "what happened before?")
    assert answer(three_events(), "what happens after event 3?").startswith("Nothing anomalous after event 3")
    assert answer(nothing(), "what happened before that?").startswith("Nothing anomalous was found")


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("was anyone running?", "That was not found, and cannot be ruled out."),
        ("is anybody there?", "The evidence does not tell"),
        ("should I be worried?", "What is to be done cannot be told from the evidence"),
    ],
)
def test_what_the_evidence_does_not_hold_gets_no_yes_and_no_no(text: str, begins: str) -> None:
    assert answer(three_events(), text).startswith(begins)
    assert answer(nothing(), text).startswith(begins)


def test_a_thing_that_may_be_there_unnoticed_is_not_denied() -> None:
    assert "normal things are not listed" in answer(nothing(), "is there a car?")
    assert "normal things are not listed" in answer(three_events(), "is there a car?")


def test_the_length_of_the_video_is_not_that_of_an_event() -> None:
    for evidence in (nothing(), three_events()):
        assert answer(evidence, "how long is the video?") == "The video is 30.0 s long."


def test_a_choice_is_answered_without_yes_or_no() -> None:
    assert answer(three_events(), "is it going left or right?").startswith("The bicycle (track 1) moves right")
