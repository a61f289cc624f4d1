"""training/evaluate_answers.py: what counts as a yes, and what answers name."""

from chat.session import Answer
from training.evaluate_answers import Said


def said(*answers: tuple[str, bool | None, bool]) -> Said:
    """Text, the model's verdict of the first step, and the truth of each; none of the clips has an event."""
    found = Said()
    for text, verdict, anomalous in answers:
        found.add(Answer(text, verdict=verdict), False, anomalous)
    return found


def test_the_first_word_counts_then_the_verdict_then_the_events() -> None:
    found = said(
        ("Yes. A person runs.", None, True),
        ("[Not sure: 52 %] No, nothing.", True, False),
        ("A dog walks.", True, True),
        ("A dog walks.", None, True),
    )
    assert found.yes == [True, False, True, False] and found.unsure == 1


def test_names_are_counted_of_a_yes_alone_and_apart_by_the_truth() -> None:
    found = said(
        ("Yes, there is a person in a black top who falls to the ground.", None, True),
        ("Yes, two persons who fight; another person looks on.", None, True),
        ("Yes, there is an anomaly. [From the evidence: somebody falls (97%).]", None, True),
        ("Yes, there is a fire that burns.", None, True),
        ("Yes, a cyclist.", None, False),
        ("No, the person walks.", None, False),
    )
    assert found.names[True] == {"person": 2, "falling": 1, "fighting": 1, "nothing": 1, "fire": 1}
    assert found.names[False]["cyclist"] == 1 and "person" not in found.names[False]
    lines = list(found.named())
    assert lines[0].strip().startswith("named in a yes to anomalous clips: person 2") and "ordinary" in lines[1]
    assert list(Said().named()) == []
