"""What of a simulated clip's truth its evidence can tell."""

from drawn_truths import clip, walk

from training.datasets.records import clip_record
from training.datasets.truth import UNNAMED
from training.lvlm.tellable import TOLD, Known, as_followed, tellable
from tvad.evidence import Motion, Track, TrackBox

RED = {"upper": "red", "lower": "blue"}


def test_what_is_known_keeps_its_name_and_a_deed_that_shows() -> None:
    truth = clip(walk(1, "cyclist", "cycling", colours=RED), walk(2, "person", "theft", colours=RED, carried="bag"))
    cyclist, thief = tellable(truth, Known({1, 2}, {1, 2})).targets
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
    cyclist, van, child, bystander = tellable(truth, Known(coloured={4})).targets
    assert (cyclist.noun, cyclist.anomaly, cyclist.colours) == ("person", UNNAMED, {})
    assert (van.noun, van.anomaly) == ("object", UNNAMED)
    assert (child.noun, child.anomaly) == ("person", "loitering")
    assert bystander == truth.targets[3]
    assert [t.boxes for t in tellable(truth, Known()).targets] == [t.boxes for t in truth.targets]


def test_names_in_the_evidence_are_told() -> None:
    truth = clip(walk(1, "person", "fighting"), walk(2, "van", "driving"), walk(3, "bus", "driving"))
    fighter, van, bus = tellable(truth, Known(clear={3}, vehicles={2, 3}, named={1})).targets
    assert (fighter.noun, fighter.anomaly, fighter.action) == ("person", "fighting", truth.targets[0].action)
    assert (van.noun, van.anomaly, bus.noun) == ("vehicle", UNNAMED, "bus")


STILL = Motion("stays", "still", None, "steady", False, False, 0.0, 0.0)


def track(number: int, times_s: tuple[float, ...], x_px: tuple[float, ...]) -> Track:
    boxes = tuple(TrackBox(t, (x, 100.0, x + 20, 140.0), 0.6) for t, x in zip(times_s, x_px, strict=True))
    return Track(number, "person", 0.5, "small", boxes, ("left",), STILL, None, None)


def test_what_is_anomalous_moves_as_its_tracks_do() -> None:
    truth = clip(
        walk(1, way=(20.0, 120.0, 300.0, 120.0)), walk(2, way=(160.0, 20.0, 160.0, 220.0)), walk(3, anomaly=None)
    )
    pieces = [
        track(7, (2.0, 2.5), (80.0, 100.0)),
        track(8, (3.0, 3.5), (150.0, 170.0)),
        track(9, (1.0, 1.5), (0.0, 1.0)),
    ]
    first, lost, bystander = as_followed(truth, pieces, {7: 1, 8: 1, 9: 3}).targets
    assert first.times_s == (2.0, 2.5, 3.0, 3.5)
    assert first.anomalous_s == ((2.0, 3.5),)
    assert first.boxes[0] == (80.0, 100.0, 100.0, 140.0)
    assert (lost, bystander) == truth.targets[1:]
    record = clip_record(as_followed(truth, pieces, {7: 1, 8: 1, 9: 3})).targets
    seen = next(t for t in record if t.id == 1)
    assert (seen.cells, seen.exit) == (("left", "middle"), None)
    assert next(t for t in clip_record(truth).targets if t.id == 1).cells[-1] == "right"
