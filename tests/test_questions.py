"""What a question asks."""

import math

import pytest

from chat.lexicon import cells_for, times_in
from chat.questions import read_question
from training.evaluate_questions import understood

KINDS = [
    ("what is anomalous?", "what"),
    ("What happens in the video?", "what"),
    ("what's going on", "what"),
    ("describe the video", "what"),
    ("describe the whole video", "what"),
    ("tell me about this entire clip", "what"),
    ("Is there any anomaly in the video?", "whether"),
    ("anything suspicious?", "whether"),
    ("does anything unusual happen?", "whether"),
    ("is everything normal?", "whether"),
    ("when?", "when"),
    ("At what time does it start?", "when"),
    ("how long does it last?", "when"),
    ("where is it?", "where"),
    ("which part of the picture?", "where"),
    ("which way does it go?", "motion"),
    ("where does it go?", "motion"),
    ("where does it come from?", "motion"),
    ("what is its trajectory?", "motion"),
    ("how fast is it?", "motion"),
    ("does it stop?", "motion"),
    ("how many?", "count"),
    ("how many bicycles are there?", "count"),
    ("what colour is it?", "appearance"),
    ("what color is the car?", "appearance"),
    ("what does it look like?", "appearance"),
    ("is it red?", "appearance"),
    ("what is it?", "appearance"),
    ("why?", "why"),
    ("why is that anomalous?", "why"),
    ("how do you know?", "why"),
    ("what is the threshold?", "why"),
    ("what score does it have?", "why"),
    ("are you sure?", "sure"),
    ("how confident are you?", "sure"),
    ("could it be a false alarm?", "sure"),
    ("is there a car?", "label"),
    ("do you see a dog?", "label"),
    ("hello", "unknown"),
    ("is anybody there?", "unknown"),
    ("is it dangerous?", "harm"),
    ("is someone fighting?", "deed"),
    ("is there a fight?", "deed"),
    ("is it a real fight or just play?", "deed"),
    ("show me the evidence.", "why"),
    ("what did you base that on?", "why"),
    ("is there a bicycle?", "label"),
    ("but you said there was a fire", "recall"),
    ("that is wrong.", "recall"),
    ("why did you say that?", "why"),
    ("are you wrong about it?", "sure"),
    ("could you say if anything is odd?", "whether"),
    ("and the second one?", "unknown"),
]


@pytest.mark.parametrize(("text", "kind"), KINDS)
def test_kinds(text: str, kind: str) -> None:
    assert read_question(text).kinds == (kind,)


def test_several_kinds_come_in_the_order_of_the_question() -> None:
    assert read_question("what is anomalous, when and where?").kinds == ("what", "when", "where")
    assert read_question("where is it and which way does it move?").kinds == ("where", "motion")


@pytest.mark.parametrize(
    ("text", "span_s"),
    [
        ("what happens at 12 s?", (12, 12)),
        ("anything at 12.5 seconds?", (12.5, 12.5)),
        ("anything at 0:12?", (12, 12)),
        ("and at 1:02:03?", (3723, 3723)),
        ("what is at 1 min 5 s?", (65, 65)),
        ("what happens at 12?", (12, 12)),
        ("between 2 and 5 s", (2, 5)),
        ("from 0:02 to 0:05", (2, 5)),
        ("3.2-5.8 s", (3.2, 5.8)),
        ("anything before 3 s?", (0, 3)),
        ("anything after 3 s?", (3, math.inf)),
        ("in the first 5 seconds?", (0, 5)),
        ("in the last five seconds?", (-5, math.inf)),
        ("anything at the start?", (0, 0)),
        ("the second one", None),
        ("event 2?", None),
        ("track 12", None),
        ("how many seconds?", None),
    ],
)
def test_times(text: str, span_s: tuple[float, float] | None) -> None:
    assert read_question(text).span_s == span_s


def test_references() -> None:
    assert read_question("where is event 2?").event == 2
    assert read_question("and track #14?").track == 14
    assert read_question("where is the second one?").ordinal == 2
    assert read_question("where is the 3rd event?").ordinal == 3
    assert read_question("what about the last event?").ordinal == -1
    assert read_question("what about the other one?").pick == "other"
    assert read_question("when is the most anomalous event?").pick == "strongest"
    assert read_question("where is it?").back
    assert not read_question("where is the bicycle?").names_one


def test_yes_no_and_its_sense() -> None:
    assert read_question("is there an anomaly?").yes_no
    assert not read_question("what is anomalous?").yes_no
    assert read_question("is everything normal?").asks_normal
    assert not read_question("is something abnormal?").asks_normal
    assert not read_question("is it not normal?").asks_normal


def test_words_of_place_way_and_thing() -> None:
    assert read_question("anything in the top left?").place == "top left"
    assert read_question("does it move to the left?").direction == "left"
    assert read_question("is there a golf cart?").thing == "golf cart"
    assert read_question("how many people are there?").thing == "people"
    assert read_question("is it dangerous?").thing == ""


@pytest.mark.parametrize(
    "text", ["", " ", "?", "ß∂ƒ", "a" * 5000, "is " * 2000, "(((", "1:2:3:4:5", "event 99999999999999"]
)
def test_any_text_is_read(text: str) -> None:
    assert read_question(text).kinds


def test_times_tell_how_precisely_they_were_said() -> None:
    first, second = times_in("from 3 to 5 s, at 0:07.25")
    assert (first.start_s, first.end_s, first.step_s) == (3, 5, 1)
    assert (second.start_s, second.step_s) == (7.25, 0.1)
    assert times_in("track 3 and 0.10 frame diagonals per second, 5 m") == []


def test_cells_of_words() -> None:
    assert cells_for("upper left") == {"top-left"}
    assert cells_for("centre") == {"middle"}
    assert cells_for("middle left") == {"left"}
    assert cells_for("left") == {"left", "top-left", "bottom-left"}


@pytest.mark.parametrize(
    "text",
    [
        "Any problem?",
        "Is this footage clean?",
        "Is everything in order?",
        "Yes or no: is there an anomaly?",
        "Please check this clip for anomalies.",
        "Tell me if there is anything abnormal in the video.",
        "Normal or abnormal?",
        "everything ok?",
        "Did anything out of the ordinary take place?",
        "In this video, is there any abnormal behaviour?",
        "Are people behaving normally?",
        "Does any of this count as an anomaly?",
        "For the record: was anything abnormal seen?",
        "So nothing happened?",
    ],
)
def test_whether_is_asked_in_many_ways(text: str) -> None:
    read = read_question(text)
    assert read.kinds == ("whether",) and read.yes_no


@pytest.mark.parametrize(
    ("text", "yes_no"), [("left or right?", False), ("is it red or blue?", False), ("what is wrong?", False)]
)
def test_a_choice_or_a_question_word_wants_no_yes(text: str, yes_no: bool) -> None:
    assert read_question(text).yes_no is yes_no


def test_the_wordings_that_the_rules_were_made_for_are_understood() -> None:
    rows = list(understood("train"))
    assert sum(right for *_, right in rows) >= 0.98 * len(rows) > 300


@pytest.mark.parametrize("text", ["compare it with the beginning", "has it changed since the start?"])
def test_what_is_compared_with_the_beginning(text: str) -> None:
    assert read_question(text).span_s == (0.0, 0.0)
    assert read_question("does it move from the beginning?").span_s is None
