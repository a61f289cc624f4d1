"""Claims against the evidence: planted contradictions are found, the truth and the unsaid are let pass."""

import random
from dataclasses import replace

import pytest
from chat_fakes import nothing, one_event, random_evidence, three_events

from chat.check import conflicts
from chat.conversation import Conversation, Focus, Turn
from chat.questions import read_question
from chat.report import narrate
from tvad.evidence import Evidence

QUESTIONS = (
    "what is anomalous?",
    "is there an anomaly?",
    "is everything normal?",
    "when?",
    "how long does it last?",
    "where is it?",
    "which way does it go?",
    "does it move left?",
    "how fast is it?",
    "where does it come from?",
    "how many?",
    "how many bicycles are there?",
    "what colour is it?",
    "is it red?",
    "why?",
    "are you sure?",
    "is there a car?",
    "is there a bicycle?",
    "anything at 7 s?",
    "where is it at 14 s?",
    "is there anything between 3 and 8 s?",
    "anything in the top left?",
    "and the second one?",
    "what about event 2?",
    "track 3?",
    "hello",
)


@pytest.mark.parametrize("block", range(10))
def test_the_narrator_never_contradicts_its_own_evidence(block: int) -> None:
    for seed in range(30 * block, 30 * block + 30):
        evidence = random_evidence(seed)
        conversation = Conversation()
        for text in random.Random(seed).sample(QUESTIONS, 8):
            question = read_question(text)
            said = narrate(evidence, question, conversation)
            assert said.text.strip()
            found = conflicts(said.text, evidence, question, said.focus)
            assert not found, f"seed {seed}, {text!r}: {said.text!r} -> {found}"
            conversation = conversation.add(Turn(text, said.text, said.kinds, said.focus))


PLANTED = [
    ("There is no anomaly in the video.", "no anomaly"),
    ("Nothing unusual was found.", "no anomaly"),
    ("I did not see any anomaly.", "no anomaly"),
    ("Everything looks normal.", "no anomaly"),
    ("The video does not show anything unusual.", "no anomaly"),
    ("There are 5 anomalous events.", "3 events"),
    ("There is only one anomaly.", "3 events"),
    ("There are two bicycles.", "bicycle"),
    ("It happens at 25 seconds.", "25.0 s"),
    ("It starts at 0:17.", "17.0 s"),
    ("Event 1 lasts from 12.0 to 15.0 s.", "12.0"),
    ("Nothing anomalous happens at 8 s.", "8.0 s"),
    ("The bicycle (track 1) moves to the left.", "left"),
    ("Track 1 goes from right to left.", "left"),
    ("Track 2 moves slowly downwards.", "down"),
    ("Track 1 is in the top left of the picture.", "top left"),
    ("Track 2 is at the bottom left.", "bottom left"),
    ("It is a car.", "car"),
    ("A skateboarder crosses the picture.", "skateboarder"),
    ("The bicycle in event 1 is a green one.", "green"),
    ("Event 7 is the strongest.", "event 7"),
    ("See track 9.", "track 9"),
]


@pytest.mark.parametrize(("text", "word"), PLANTED)
def test_planted_contradictions_are_found(text: str, word: str) -> None:
    found = conflicts(text, three_events())
    assert len(found) == 1, found
    assert word in found[0]


TRUE_OR_UNSAID = [
    "Yes, there is an anomaly: a bicycle moves right from 5.0 to 10.0 s.",
    "The bicycle goes from left to right.",
    "The bicycle is in the middle of the picture at 7.5 s.",
    "It starts at 0:05 and ends at 0:10.",
    "It lasts for 5 seconds.",
    "The video is 30 seconds long.",
    "There are 3 events between 5 and 21 seconds.",
    "There are three anomalies.",
    "Two of the events have a track.",
    "One event stands out.",
    "Event 2 is at the right.",
    "Something red moves up.",
    "A person rides a bike past other people.",
    "It does not move to the left.",
    "It is not a car.",
    "Is it a car? Is it going left?",
    "It might be a car at 25 seconds.",
    "Nothing anomalous happens at 2 s.",
    "There is no other anomaly.",
    "There is nothing unusual before 5 s.",
    "No anomaly was found in the top left.",
    "The walkers are not anomalous.",
    "In the middle of the video a bicycle appears.",
    "A bicycle on the right track moves.",
    "The score is 0.91, above the threshold 0.50.",
    "The bicycle left the picture.",
    "The heat map is green there.",
    "It happens 3 times.",
]


@pytest.mark.parametrize("text", TRUE_OR_UNSAID)
def test_the_truth_and_the_unsaid_pass(text: str) -> None:
    assert conflicts(text, three_events()) == ()


def test_yes_without_an_event_is_a_conflict() -> None:
    question = read_question("is there an anomaly?")
    for text in ("Yes.", "Yes, a bicycle.", "There is an anomaly.", "An anomaly was detected at 3 s."):
        assert conflicts(text, nothing(), question), text
    for text in ("No.", "No, there is no anomaly.", "Nothing anomalous was found."):
        assert conflicts(text, nothing(), question) == (), text


def test_a_bare_no_counts_by_what_was_asked() -> None:
    assert conflicts("No.", one_event(), read_question("is there an anomaly?"))
    assert conflicts("Yes.", one_event(), read_question("is everything normal?"))
    assert conflicts("No.", one_event(), read_question("is everything normal?")) == ()
    assert conflicts("No.", one_event(), read_question("does it move left?")) == ()
    assert conflicts("No.", one_event(), read_question("is there anything at 2 s?")) == ()


def test_a_chosen_track_is_what_it_is_about() -> None:
    evidence = three_events()
    assert conflicts("It moves up.", evidence) == ()
    assert conflicts("It moves down.", evidence, focus=Focus(2, 2, chosen=True))
    assert conflicts("It moves right.", evidence, focus=Focus(2, 2, chosen=True))


def test_a_conflict_is_told_once_and_says_what_the_evidence_has() -> None:
    found = conflicts("It moves left. It moves left.", one_event())
    assert len(found) == 1
    assert "right" in found[0]


def test_times_that_cannot_be() -> None:
    for evidence in (one_event(), nothing()):
        assert "ends before it begins" in conflicts("It walks from 5.5 to 5.0 s.", evidence)[0]
        assert "the video is 30.0 s long" in conflicts("It walks from 6.0 to 45.0 s.", evidence)[0]
    assert not conflicts("It walks from 5.5 to 29.9 s.", nothing())


def test_one_contradiction_is_told_once() -> None:
    assert len(conflicts("There is one anomalous thing: a fire.", nothing())) == 1


def test_a_deed_that_a_head_finds_unlikely_is_a_contradiction() -> None:
    shares = {"normal": 0.9, "falling": 0.06, "fighting": 0.04}
    evidence = replace(three_events(), class_probs=shares)

    def found(text: str, held: Evidence = evidence) -> list[str]:
        return [line for line in conflicts(text, held) if "tells of" in line]

    said = ["The text tells of fighting; the evidence gives that 4%."]
    assert found("Yes, there is a person in a black top who fights.") == said
    for let_pass in ("He might fight.", "Nobody fights.", "A person who rides a bicycle.", "He runs."):
        assert not found(let_pass)
    one = evidence.events[0]
    for likely in (
        replace(evidence, class_probs=shares | {"fighting": 0.3}),
        replace(evidence, events=(replace(one, class_probs={"fighting": 0.6}),)),
        replace(evidence, class_probs={}),  # nothing told kinds apart
    ):
        assert not found("Two people fight.", likely)
