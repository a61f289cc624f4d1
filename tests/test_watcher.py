"""Watcher: few looks, the first after three sightings; things end; pictures are bounded; crops are never empty."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from tvad.classifier import N_CLASSES, Classifier
from tvad.encoder import Encoder, Features
from tvad.video import Clip
from tvad.watcher import (
    FIRST_LOOK,
    FREQUENT_LOOKS,
    LATER_EVERY_S,
    LOOK_EVERY_S,
    SHOT_PX,
    SHOTS,
    Thing,
    Watcher,
    crop,
    encoded_and_watched,
)

W, H = 320, 240
FPS = 8.0


class FakeClassifier(Classifier):
    """Remembers the crops; says class 0 as strongly as the crop is red."""

    def __init__(self) -> None:
        self.crops: list[np.ndarray] = []

    def logits(self, crops: Sequence[np.ndarray]) -> np.ndarray:
        self.crops += crops
        out = np.zeros((len(crops), N_CLASSES), np.float32)
        out[:, 0] = [c[..., 0].astype(int).max() for c in crops]
        return out


def _scene(boxes: Sequence[tuple[int, int, int, int]], colour: tuple[int, int, int] = (230, 40, 40)) -> np.ndarray:
    frame = np.random.default_rng(0).integers(160, 180, (H, W, 3)).astype(np.uint8)
    for x0, y0, x1, y1 in boxes:
        frame[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = colour
    return frame


def _watch(frames: Sequence[np.ndarray], classifier: Classifier | None = None, fps: float = FPS) -> Watcher:
    watcher = Watcher(classifier)
    for i, frame in enumerate(frames):
        watcher.step(frame, i / fps)
    return watcher


def _walk(count: int, step_px: int = 3, x: int = 10, before: int = 8) -> list[np.ndarray]:
    """An empty place for `before` frames, then something that crosses it."""
    walker = [(x + step_px * i, 80, x + 30 + step_px * i, 160) for i in range(count)]
    return [_scene([])] * before + [_scene([box]) for box in walker]


def test_looks_are_few_and_the_first_comes_after_three_sightings() -> None:
    classifier = FakeClassifier()
    things = _watch(_walk(90), classifier).finish()
    assert len(things) == 1
    thing = things[0]
    assert len(thing.times_s) >= 80
    assert thing.look_times_s[0] == thing.times_s[FIRST_LOOK - 1]
    pauses = [b - a for a, b in pairwise(thing.look_times_s)]
    assert pauses[: FREQUENT_LOOKS - 1] == pytest.approx([LOOK_EVERY_S] * (FREQUENT_LOOKS - 1))
    assert pauses[FREQUENT_LOOKS - 1 :] == pytest.approx([LATER_EVERY_S] * len(pauses[FREQUENT_LOOKS - 1 :]))
    assert 10 <= len(classifier.crops) == len(thing.logits) <= 15


def test_a_higher_frame_rate_costs_no_more_looks() -> None:
    slow, fast = FakeClassifier(), FakeClassifier()
    _watch(_walk(40, 4), slow, 8.0)
    _watch(_walk(80, 2, before=16), fast, 16.0)
    assert 0 < len(fast.crops) <= len(slow.crops) + 1


def test_a_flicker_is_never_looked_at() -> None:
    classifier = FakeClassifier()
    frames = [_scene([])] * 10
    frames[5] = frames[6] = _scene([(100, 80, 140, 140)])
    _watch(frames, classifier)
    assert classifier.crops == []


def test_the_look_belongs_to_its_thing() -> None:
    frames = [_scene([])] * 8
    for i in range(30):
        frame = _scene([(20 + 3 * i, 30, 50 + 3 * i, 90)], (250, 30, 30))
        frame[150:220, 250 - 3 * i : 280 - 3 * i] = (20, 20, 20)
        frames.append(frame)
    red, dark = sorted(_watch(frames, FakeClassifier()).finish(), key=lambda t: t.boxes[0][1])
    assert red.look_logits.shape == (len(red.look_times_s), N_CLASSES)
    assert red.look_logits[:, 0].min() > 240 > 190 > dark.look_logits[:, 0].max() > 0


def test_the_box_is_where_the_thing_is() -> None:
    thing = _watch(_walk(40)).finish()[0]
    i = thing.times_s.index(20 / FPS)
    expected = (10 + 3 * 12, 80, 40 + 3 * 12, 160)
    assert thing.boxes[i] == pytest.approx(expected, abs=6)
    assert thing.area[i] == pytest.approx(30 * 80 / (W * H), rel=0.3)


def test_box_between_two_sightings_is_between_them() -> None:
    thing = Thing(1, [(0.0, 0.0, 10.0, 20.0), (8.0, 4.0, 18.0, 24.0)], [1.0, 2.0])
    assert thing.box_at(1.25) == (2.0, 1.0, 12.0, 21.0)
    assert thing.box_at(0.0) == thing.boxes[0] and thing.box_at(9.0) == thing.boxes[1]


def test_things_end_and_are_handed_out_once() -> None:
    watcher = _watch(_walk(24) + [_scene([])] * 2)
    assert watcher.take_ended() == []
    for i in range(34, 48):
        watcher.step(_scene([]), i / FPS)
    ended = watcher.take_ended()
    assert len(ended) == 1 and ended[0].times_s[-1] == pytest.approx(31 / FPS, abs=0.2)
    assert watcher.take_ended() == [] and watcher.finish() == [] and watcher.things == {}


def test_what_has_not_ended_comes_at_the_end() -> None:
    watcher = _watch(_walk(24))
    assert watcher.take_ended() == []
    assert len(watcher.finish()) == 1
    assert watcher.finish() == []


def test_without_a_classifier_there_are_pictures_and_no_logits() -> None:
    thing = _watch(_walk(30)).finish()[0]
    assert thing.logits == [] and thing.look_logits.shape == (0, N_CLASSES)
    assert len(thing.shots) == SHOTS and thing.look_times_s


def test_pictures_are_few_small_and_the_largest() -> None:
    frames = [_scene([])] * 8 + [_scene([(100, 60, 120 + 2 * i, 90 + 2 * i)]) for i in range(50)]
    thing = max(_watch(frames, FakeClassifier()).finish(), key=lambda t: len(t.times_s))
    assert len(thing.look_times_s) > SHOTS == len(thing.shots)
    for shot in thing.shots:
        assert shot.rgb.shape[:2] == shot.mask.shape and max(shot.mask.shape) <= SHOT_PX
        assert np.abs(shot.rgb[shot.mask].mean(0) - (230, 40, 40)).max() < 30
    assert min(s.t_s for s in thing.shots) > thing.look_times_s[0]  # the first was the smallest


def test_a_still_place_has_no_things() -> None:
    watcher = _watch([_scene([])] * 40, FakeClassifier())
    assert watcher.finish() == [] and watcher.take_ended() == []


@pytest.mark.parametrize(
    "box",
    [
        (0, 0, 10, 10),
        (310, 230, 320, 240),
        (-40, -40, -5, -5),
        (400, 300, 420, 330),
        (319.9, 239.9, 320, 240),
        (50, 50, 50, 50),
        (0, 0, 320, 240),
        (-1e4, 100, 1e4, 101),
    ],
)
def test_a_crop_is_never_empty(box: tuple[float, float, float, float]) -> None:
    cut = crop(_scene([]), box)
    assert cut.ndim == 3 and min(cut.shape) >= 1 and cut.shape[0] <= H and cut.shape[1] <= W


@pytest.mark.parametrize("size_hw", [(1, 1), (2, 2), (1, 50), (50, 1)])
def test_a_crop_of_a_tiny_frame_is_not_empty(size_hw: tuple[int, int]) -> None:
    assert crop(np.zeros((*size_hw, 3), np.uint8), (0.0, 0.0, 1.0, 1.0)).size > 0


def test_a_crop_is_one_and_a_half_boxes_around_its_middle() -> None:
    frame = np.zeros((H, W, 3), np.uint8)
    frame[100:140, 150:170] = 255
    cut = crop(frame, (150.0, 100.0, 170.0, 140.0))
    assert cut.shape == (60, 60, 3)
    assert (cut[10:50, 20:40] == 255).all() and cut.astype(int).sum() == 40 * 20 * 3 * 255


@pytest.mark.parametrize("chunk", [1, 7])
def test_side_by_side_gives_what_one_after_the_other_gives(chunk: int) -> None:
    frames = np.stack(_walk(20))
    times = np.arange(len(frames)) / FPS
    clips = [Clip(frames[a : a + chunk], times[a : a + chunk], "x") for a in range(0, len(frames), chunk)]
    encoder = Encoder(threads=1, precision="f32")
    watcher = Watcher(None)
    both = Features.join(encoded_and_watched(clips, encoder.stream(), watcher))
    alone = Features.join(encoder.features(clips))
    assert both.times_s.tolist() == times.tolist()
    assert np.array_equal(both.motion, alone.motion) and np.allclose(both.patch, alone.patch, atol=1e-5)
    expected = _watch(list(frames)).finish()
    assert [t.boxes for t in watcher.finish()] == [t.boxes for t in expected] and expected


def test_no_clip_gives_nothing() -> None:
    assert list(encoded_and_watched([], Encoder(threads=1).stream(), Watcher(None))) == []


def test_a_thing_that_stays_for_long_comes_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = _walk(60)
    (whole,) = _watch(frames).finish()
    monkeypatch.setattr("tvad.watcher.LIFE_S", 2.0)
    watcher = _watch(frames)
    parts = watcher.finish()
    assert len(parts) > 1 and {thing.id for thing in parts} == {whole.id}
    assert sorted(t for thing in parts for t in thing.times_s) == whole.times_s
    assert all(thing.times_s[-1] - thing.times_s[0] <= 2.0 for thing in parts)
