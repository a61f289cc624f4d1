"""What of a simulated clip's truth its evidence can tell."""

from drawn_truths import clip, walk

from training.datasets.truth import UNNAMED
from training.lvlm.tellable import TOLD, tellable

RED = {"upper": "red", "lower": "blue"}


def test_what_is_known_keeps_its_name_and_a_deed_that_shows() -> None:
    truth = clip(walk(1, "cyclist", "cycling", colours=RED), walk(2, "person", "theft", colours=RED, carried="bag"))
    cyclist, thief = tellable(truth, {1, 2}, {1, 2}).targets
    assert (cyclist.noun, cyclist.anomaly, cyclist.colours) == ("cyclist", "cycling", RED)
    assert (thief.noun, thief.anomaly, thief.carried) == ("person", UNNAMED, "bag")
    assert "theft" not in TOLD


def test_what_nobody_knows_is_a_person_or_an_object_that_behaves_unusually() -> None:
    truth = clip(
        walk(1, "cyclist", "cycling", colours=RED),
        walk(2, "van", "driving"),
        walk(3, "child", "loitering"),
        walk(4, "person", None, colours=RED),
    )
    cyclist, van, child, bystander = tellable(truth, set(), {4}).targets
    assert (cyclist.noun, cyclist.anomaly, cyclist.colours) == ("person", UNNAMED, {})
    assert (van.noun, van.anomaly) == ("object", UNNAMED)
    assert (child.noun, child.anomaly) == ("person", "loitering")
    assert bystander == truth.targets[3]
    assert [t.boxes for t in tellable(truth, set(), set()).targets] == [t.boxes for t in truth.targets]
