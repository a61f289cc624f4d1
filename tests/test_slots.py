"""Slots: what other sentences state, and the accuracy of answers slot by slot."""

import math
from typing import Any

import pytest

from training.slots import slot_scores, slots, span_iou


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("Maybe.", {}),
        ("Yes, a man is riding a bike.", {"verdict": "yes", "noun": ("cyclist",), "action": ("cycling",)}),
        ("Two people in grey tops fight.", {"noun": ("person",), "colour": ("grey",), "action": ("fighting",)}),
        ("It heads up-left.", {"direction": ("up-left",)}),
        ("The car goes down and right.", {"noun": ("car",), "direction": ("down-right",)}),
        ("It starts in the upper left and ends at the centre.", {"start": ("top-left",), "end": ("middle",)}),
        ("It was there at 75.2 s (1:15.2).", {"span": ((75.2, 75.2),)}),
        ("From 62.0 to 64.5 s (1:02.0 to 1:04.5) it runs.", {"span": ((62.0, 64.5),), "action": ("running",)}),
        ("A bag left behind, grey.", {"noun": ("bag",), "action": ("abandoned object",), "colour": ("grey",)}),
        ("It leaves through the left border.", {"exit": ("left",)}),
        ("It came in at the top edge.", {"entry": ("top",)}),
        ("Coming in through the left border, it leaves on the right side.", {"entry": ("left",), "exit": ("right",)}),
        ("The video does not show that.", {"declines": True}),
        ("I count twelve: a bus.", {"count": 12, "noun": ("bus",)}),
        ("Nothing anomalous happens.", {"verdict": "no"}),
    ],
)  # fmt: skip
def test_what_a_sentence_states(text: str, found: dict[str, Any]) -> None:
    assert slots(text) == found


def test_two_targets_keep_their_order() -> None:
    found = slots("The van moves left, from the right to the left. The dog stays at the top right.")
    assert found == {
        "noun": ("van", "dog"),
        "direction": ("left", "still"),
        "start": ("right", "top-right"),
        "end": ("left", "top-right"),
    }


def test_a_perfect_answer_is_right_in_every_slot() -> None:
    text = "The cyclist enters through the left border, then moves right, from the left to the middle."
    scores = slot_scores([text], [slots(text)])
    assert {name: score for name, score in scores.items() if score.of} == dict.fromkeys(
        ("class", "direction", "start", "end", "entry"), (1, 1)
    )
    assert math.isnan(scores["span"].accuracy)


def test_classes_count_by_kin_and_colours_as_sets() -> None:
    truth = {"noun": ("cyclist",), "colour": ("red", "black")}
    scores = slot_scores(["A bike, black and red.", "A red car.", ""], [truth] * 3)
    assert scores["class"] == (1, 3)
    assert scores["colour"] == (1, 3)


def test_a_span_is_right_from_half_its_union() -> None:
    truth = {"span": ((2.0, 4.0),)}
    answers = ["It runs from 2.0 to 4.0 s.", "It runs from 2.0 to 3.0 s.", "It runs from 2.0 to 2.9 s.", "It runs."]
    assert slot_scores(answers, [truth] * 4)["span"] == (2, 4)


def test_more_than_the_truth_is_not_counted_and_less_is_wrong() -> None:
    scores = slot_scores(["The van moves left."], [{"noun": ("van", "bus")}])
    assert scores["class"] == (0, 1)
    assert scores["direction"].of == 0


def test_truth_may_come_from_json() -> None:
    assert slot_scores(["It moves left."], [{"direction": ["left"]}])["direction"] == (1, 1)


def test_lists_must_be_as_long() -> None:
    with pytest.raises(ValueError, match="2 answers and 1 truths"):
        slot_scores(["", ""], [{}])


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [((0, 2), (1, 3), 1 / 3), ((0, 1), (2, 3), 0), ((1, 1), (1, 1), 1), ((1, 1), (0, 2), 0), ((0, 4), (0, 4), 1)],
)
def test_overlap_of_spans(a: tuple[float, float], b: tuple[float, float], iou: float) -> None:
    assert span_iou(a, b) == pytest.approx(iou)
    assert span_iou(b, a) == pytest.approx(iou)
