"""Findings: how sure, what it is called, and the words of the summary."""

from dataclasses import replace

import numpy as np
import pytest
from chat_fakes import three_events

from heatmap.regions import Region
from heatmap.tracks import RegionTrack
from tvad.classifier import N_CLASSES, class_names
from tvad.crowd import Crowd
from tvad.events import Span
from tvad.falls import Fall
from tvad.findings import (
    SURE,
    SeenThing,
    SeenThings,
    category,
    confidence,
    make_track,
    name_of,
    seen_of,
    summarise,
    with_faller,
)
from tvad.parts import ScoredThing
from tvad.watcher import Shot, Thing
from tvad.words import WordGuide

SIZE_WH = (640, 360)
LOOK = np.zeros(1000, np.float32)
TIMES_S = np.arange(16) / 8
TAXI, MOUNTAIN_BIKE = 468, 671
GUIDE = WordGuide({"bicycle": (444, MOUNTAIN_BIKE), "cart": (428,)}, frozenset(), ())


def logits_of(probabilities: dict[int, float], looks: int = 2) -> np.ndarray:
    """Logits (looks, 1000) of these probabilities, the rest spread over all other classes."""
    p = np.full(N_CLASSES, (1 - sum(probabilities.values())) / (N_CLASSES - len(probabilities)))
    p[list(probabilities)] = list(probabilities.values())
    return np.repeat(np.log(p)[None] + 3.0, looks, 0)


def boxes_of(x0: float = 100, height: float = 80) -> np.ndarray:
    """A thing 40 px wide that moves right by 20 px a frame."""
    left = x0 + 20 * np.arange(16.0)
    return np.stack([left, np.full(16, 100.0), left + 40, np.full(16, 100.0 + height)], 1)


def seen(
    boxes: np.ndarray, label: str = "", sure: float = 0.0, word: bool = False, shots: tuple[Shot, ...] = ()
) -> SeenThing:
    return SeenThing(boxes, TIMES_S, np.zeros(16), label, sure, word, shots, LOOK)


def track_of(boxes: np.ndarray, score: float = 0.8, lead: int = 0) -> RegionTrack:
    regions = [
        Region(float(t), tuple(b.tolist()), score, (float(b[[0, 2]].mean()), float(b[[1, 3]].mean())), 0.014)
        for t, b in zip(TIMES_S, boxes, strict=True)
    ]
    return RegionTrack(5, tuple(range(lead, lead + len(regions))), tuple(regions))


def red_shot() -> Shot:
    return Shot(np.full((32, 16, 3), (220, 10, 10), np.uint8), np.ones((32, 16), bool), 0.5)


@pytest.mark.parametrize("found", [False, True])
@pytest.mark.parametrize("hours", [0.0, 1e-4, 0.01, 1.0, 1000.0])
def test_confidence_stays_between_a_half_and_its_limit(found: bool, hours: float) -> None:
    for rarity in (-np.inf, -1e6, -5.0, 0.0, 5.0, 1e6, np.inf):
        assert 0.5 <= confidence(rarity, hours, found, 0.9) <= 0.9


def test_rarer_peaks_make_a_yes_surer() -> None:
    sure = [confidence(r, 0.01, True, 0.99) for r in np.linspace(-10, 20, 61)]
    assert sure == sorted(sure)
    assert sure[0] == 0.5
    assert sure[-1] == 0.99


def test_rarer_peaks_make_a_no_less_sure() -> None:
    sure = [confidence(r, 0.01, False, 0.99) for r in np.linspace(-10, 20, 61)]
    assert sure == sorted(sure, reverse=True)
    assert sure[0] == pytest.approx(0.9)  # what was believed beforehand
    assert sure[-1] == 0.5


def test_same_peak_in_more_footage_is_less_of_a_find() -> None:
    sure = [confidence(3.0, hours, True, 0.99) for hours in (0.001, 0.01, 0.1, 1.0)]
    assert sure == sorted(sure, reverse=True)
    assert sure[0] > sure[-1]


def test_confidence_of_a_worked_example() -> None:
    yes, no = confidence(4.0, 0.05, True, 1.0), confidence(4.0, 0.05, False, 1.0)
    assert yes > 0.5
    assert no == 0.5
    # p = 1 - exp(-0.05 e^-4), bound -e p ln p = 0.01741, prior 0.1: normal 0.1355.
    assert yes == pytest.approx(0.8645, abs=0.001)


def test_word_of_the_user_is_preferred_to_a_likelier_class() -> None:
    label, sure, is_word = name_of(logits_of({TAXI: 0.6, MOUNTAIN_BIKE: 0.2}), GUIDE)
    assert (label, is_word) == ("bicycle", True)
    assert sure == pytest.approx(0.2, abs=0.01)


def test_classes_of_one_word_add_up() -> None:
    _, sure, _ = name_of(logits_of({444: 0.1, MOUNTAIN_BIKE: 0.1}), GUIDE)
    assert sure == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize("guide", [GUIDE, None, WordGuide({}, frozenset(), ("ghost",))])
def test_likely_class_names_what_no_word_does(guide: WordGuide | None) -> None:
    label, sure, is_word = name_of(logits_of({TAXI: 0.6}), guide)
    assert (label, is_word) == (class_names()[TAXI][0], False)
    assert sure == pytest.approx(0.6, abs=1e-3)


def test_unlikely_classes_name_nothing() -> None:
    assert name_of(logits_of({TAXI: SURE - 0.02, MOUNTAIN_BIKE: SURE - 0.02}), GUIDE) == ("", 0.0, False)


def test_never_looked_at_has_no_name() -> None:
    assert name_of(np.zeros((0, N_CLASSES)), GUIDE) == ("", 0.0, False)


def test_looks_are_averaged_as_probabilities() -> None:
    looks = np.concatenate([logits_of({TAXI: 0.9}, 1), logits_of({MOUNTAIN_BIKE: 0.5}, 1)])
    label, sure, _ = name_of(looks, None)
    assert (label, round(sure, 2)) == (class_names()[TAXI][0], 0.45)


def test_seen_thing_is_in_source_pixels() -> None:
    thing = Thing(1, [tuple(b) for b in boxes_of().tolist()], TIMES_S.tolist(), [0.01] * 16)
    made = SeenThing.of(ScoredThing(thing, np.arange(16.0), logits_of({TAXI: 0.6})), None, 3.0)
    assert np.array_equal(made.boxes, 3 * boxes_of())
    assert made.height == 240
    assert (made.label, made.is_word) == (class_names()[TAXI][0], False)


def test_overlap_is_one_for_the_same_boxes_and_for_a_box_inside() -> None:
    inside = boxes_of() + np.array([10, 10, -10, -10])
    assert seen(boxes_of()).overlap(track_of(boxes_of())) == pytest.approx(1)
    assert seen(boxes_of()).overlap(track_of(inside)) == pytest.approx(1)


def test_overlap_is_the_shared_share_of_the_smaller_box() -> None:
    assert seen(boxes_of(100)).overlap(track_of(boxes_of(110))) == pytest.approx(0.75)
    assert seen(boxes_of(100)).overlap(track_of(boxes_of(141))) == 0


def test_overlap_counts_only_the_time_when_both_are_there() -> None:
    half = SeenThing(boxes_of()[:8], TIMES_S[:8], np.zeros(8), "", 0.0, False, (), LOOK)
    late = SeenThing(boxes_of(), TIMES_S + 60, np.zeros(16), "", 0.0, False, (), LOOK)
    assert half.overlap(track_of(boxes_of())) == pytest.approx(0.5)
    assert late.overlap(track_of(boxes_of())) == 0


def test_track_takes_name_and_colours_of_the_thing_it_follows() -> None:
    dog, bicycle = seen(boxes_of(400), "dog", 0.9), seen(boxes_of(), "bicycle", 0.43219, True, (red_shot(),))
    things = SeenThings([dog, bicycle])
    track, is_word = make_track(7, track_of(boxes_of()), things, SIZE_WH, (0.0, 60.0))
    assert (track.id, track.label, track.label_confidence, is_word) == (7, "bicycle", 0.432, True)
    assert track.appearance == "medium-sized red"


def test_track_far_from_all_things_takes_no_name() -> None:
    things = SeenThings([seen(boxes_of(400), "dog", 0.9, True)])
    track, is_word = make_track(1, track_of(boxes_of()), things, SIZE_WH, (0.0, 60.0))
    assert (track.label_confidence, is_word) == (0.0, False)
    assert track.label == "person-sized object"


@pytest.mark.parametrize(
    ("height", "label"),
    [(30, "small object"), (45, "person-sized object"), (150, "person-sized object"), (170, "large object")],
)
def test_nameless_thing_is_called_by_its_size_among_the_others(height: float, label: str) -> None:
    others = [seen(boxes_of(1000 + 500 * i, 80)) for i in range(4)]
    boxes = boxes_of(height=height)
    track, is_word = make_track(1, track_of(boxes), SeenThings([seen(boxes), *others]), SIZE_WH, (0.0, 60.0))
    assert (track.label, track.label_confidence, is_word) == (label, 0.0, False)


def crowd_of(boxes: np.ndarray, kind: int = 0, score: float = 0.8) -> Crowd:
    crowd = Crowd(SIZE_WH)
    for t, box in zip(TIMES_S.tolist(), boxes / (*SIZE_WH, *SIZE_WH), strict=True):
        crowd.add(t, np.array([[*box, score, kind]], np.float32))
    return crowd


def test_nameless_thing_with_a_persons_box_is_a_person() -> None:
    given = track_of(boxes_of()), SeenThings([seen(boxes_of())]), SIZE_WH, (0.0, 60.0)
    track, is_word = make_track(1, *given, crowd_of(boxes_of()))
    assert (track.label, is_word) == ("person", False) and track.label_confidence > 0.9
    assert make_track(1, *given, crowd_of(boxes_of(), 1))[0].label == "motor vehicle"
    assert make_track(1, *given, crowd_of(boxes_of(400)))[0].label == "person-sized object"


@pytest.mark.parametrize(
    ("label", "sure", "word", "named"),
    [("swing", 0.14, False, "person"), ("dog", 0.999, False, "dog"), ("bicycle", 0.14, True, "bicycle")],
)
def test_the_surer_of_two_names_is_taken_but_a_word_that_was_asked_for_stays(
    label: str, sure: float, word: bool, named: str
) -> None:
    things = SeenThings([seen(boxes_of(), label, sure, word)])
    track, is_word = make_track(1, track_of(boxes_of()), things, SIZE_WH, (0.0, 60.0), crowd_of(boxes_of()))
    assert (track.label, is_word) == (named, word)


def test_who_falls_is_a_person() -> None:
    track, _ = make_track(1, track_of(boxes_of()), SeenThings(), SIZE_WH, (0.0, 60.0))
    own = (boxes_of() / (*SIZE_WH, *SIZE_WH)).astype(np.float32)
    falls = with_faller(track, Fall(TIMES_S, own, 1.0, 1.8, 0.6), SIZE_WH)
    assert falls.label == "person" and falls.label_confidence > 0.8
    elsewhere = Fall(TIMES_S, own + np.float32(0.4), 1.0, 1.8, 0.6)
    assert with_faller(track, elsewhere, SIZE_WH) == track
    dog = replace(track, label="dog", label_confidence=0.9)
    assert with_faller(dog, Fall(TIMES_S, own, 1.0, 1.8, 0.6), SIZE_WH) == dog


def test_track_without_any_things_has_a_size_only() -> None:
    track, _ = make_track(1, track_of(boxes_of()), SeenThings(), SIZE_WH, (0.0, 60.0))
    assert (track.label, track.appearance) == ("person-sized object", "medium-sized")


def test_track_keeps_the_boxes_with_their_seconds() -> None:
    track, _ = make_track(1, track_of(boxes_of() + 0.04, lead=9), SeenThings(), SIZE_WH, (0.0, 60.0))
    assert [b.t_s for b in track.boxes] == TIMES_S.tolist()
    assert [list(b.xyxy) for b in track.boxes] == boxes_of().tolist()
    assert {b.score for b in track.boxes} == {0.8}


def test_scores_of_a_track_are_held_in_the_unit_interval() -> None:
    track, _ = make_track(1, track_of(boxes_of(), score=1.0001), SeenThings(), SIZE_WH, (0.0, 60.0))
    assert {b.score for b in track.boxes} == {1.0}


def test_track_tells_its_way_through_the_picture() -> None:
    boxes = np.linspace([0, 140, 40, 220], [599, 140, 639, 220], 16)
    track, _ = make_track(1, track_of(boxes), SeenThings(), SIZE_WH, (-10.0, 60.0))
    assert track.trajectory == ("left", "middle", "right")
    assert (track.motion.direction, track.motion.displacement) == ("right", "large")
    assert (track.entry, track.exit) == ("left", "right")


def test_anomaly_word_is_the_category() -> None:
    assert category(Span(0, 9, 5), np.ones(10), ("memory", "words"), "bicycle") == "bicycle"


def test_event_that_the_memory_did_not_raise_is_an_object() -> None:
    assert category(Span(0, 9, 5), np.ones(10), ("words",), None) == "unusual object"


@pytest.mark.parametrize(
    ("share", "name"),
    [(0.9, "unusual movement"), (0.5, "unusual appearance and movement"), (0.1, "unusual appearance")],
)
def test_share_of_the_motion_during_the_event_decides_the_category(share: float, name: str) -> None:
    curve = np.full(30, 1 - share)
    curve[10:20] = share
    assert category(Span(10, 19, 15), curve, ("memory",), None) == name


def test_summary_of_nothing() -> None:
    assert summarise((), ()) == "Nothing anomalous was found."


def test_summary_names_the_strongest_event_and_its_first_track() -> None:
    known = three_events()
    text = summarise(known.events, known.tracks)
    assert text.startswith("3 anomalous events, the strongest: bicycle from 5.0 to 10.0 s; small dark blue and white")
    assert known.tracks[0].motion.summary in text
    assert text.endswith(".")


def test_summary_of_one_event_without_tracks() -> None:
    known = three_events()
    assert summarise(known.events[2:], ()) == "1 anomalous event: unusual appearance from 20.0 to 21.0 s."


def test_summary_without_colours_has_no_double_spaces() -> None:
    known = three_events()
    plain = (replace(known.tracks[0], appearance=""), known.tracks[1])
    assert "  " not in summarise(known.events, plain)


def test_looks_and_colours_of_tracks_are_those_of_the_things_they_follow():
    look = np.arange(1000, dtype=np.float32)
    shot = Shot(np.full((8, 8, 3), (200, 20, 20), np.uint8), np.pad(np.ones((6, 6), bool), 1), 0.0)
    thing = SeenThing(boxes_of(), TIMES_S, np.zeros(16), "", 0.0, False, (shot,), look)
    looks, colours = seen_of([track_of(boxes_of()), track_of(boxes_of() + 5000)], SeenThings([thing]))
    np.testing.assert_array_equal(looks[0], look.astype(np.float16))
    assert colours[0].argmax(axis=1).tolist() == [3, 3]  # red above and below
    assert not looks[1].any() and not colours[1].any()
