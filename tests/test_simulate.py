"""Simulated scenes: truth, evidence and heat that fit together, with the detector's faults and no others."""

from itertools import islice

import numpy as np
import pytest

from heatmap.levels import to_score
from heatmap.tracks import box_iou
from training.datasets.truth import ANOMALIES, Target
from training.lvlm.data import told
from training.lvlm.heated import WEAK_CHANCE, Faults, Hot, brief, suspects_of, usual_peak, weak_peak
from training.lvlm.looks import Looked, with_found
from training.lvlm.scenes import DEEDS, draw_truth
from training.lvlm.simulate import sample, simulate
from tvad.classifier import class_names
from tvad.events import Span
from tvad.evidence import Evidence
from tvad.lvlm.view import shown_evidence

FAULTLESS = Faults(1.0, *[0.0] * 15, found=1.0, invented=0.0, told=0.0)


def _boxes_of(truth, target_id, times):
    target = next(t for t in truth.targets if t.id == target_id)
    return np.stack([np.interp(times, target.times_s, column) for column in zip(*target.boxes, strict=True)], 1)


def test_the_same_numbers_give_the_same_sample_in_any_order():
    late = sample(3, 40)
    first = list(islice(simulate(3), 41))[40]
    assert late.truth == first.truth and late.evidence == first.evidence and late.matched == first.matched
    assert np.array_equal(late.curves.heat, first.curves.heat)
    assert np.array_equal(late.curves.sight.looks, first.curves.sight.looks)


def test_seeds_numbers_and_splits_differ():
    truths = [sample(seed, n, split=s).truth.targets for seed in (0, 1) for n in (0, 1) for s in ("train", "test")]
    assert all(a != b for i, a in enumerate(truths) for b in truths[:i])


def test_about_half_of_the_clips_are_anomalous():
    share = np.mean([sample(0, n).truth.has_anomaly for n in range(300)])
    assert 0.42 < share < 0.58


@pytest.mark.parametrize("number", range(40))
def test_evidence_is_whole_and_agrees_with_its_arrays(number):
    truth, evidence, curves, matched = sample(7, number)
    assert Evidence.from_json(evidence.to_json()) == evidence
    assert (evidence.video.width, evidence.video.height) == truth.size_wh
    assert bool(curves.sight.suspects) == (not evidence.events)
    shown = shown_evidence(evidence, curves.sight)
    assert shown.events and len(curves.sight.looks) == len(curves.sight.colours) == len(shown.tracks)
    assert set(matched) <= {t.id for t in shown.tracks} and set(matched.values()) <= {t.id for t in truth.targets}
    assert curves.heat.astype(float).min() > 0 and curves.heat.max() < 1
    assert {i for e in evidence.events for i in e.tracks} <= {t.id for t in evidence.tracks}
    for track in shown.tracks:
        assert all(0 <= b.xyxy[0] < b.xyxy[2] <= truth.size_wh[0] - 1 + 1 for b in track.boxes)


def test_nothing_is_asked_of_what_the_detector_did_not_see():
    faults = Faults(anomalous=1.0, missed=0.5, weak=0.0, alarm=0.0, stray=0.0, warm=0.0)
    for number in range(60):
        whole, evidence, _, matched = sample(1, number, faults)
        truth, traced = told(whole, set(matched.values()))
        assert traced and truth.has_anomaly and {t.id for t in truth.anomalous} <= set(matched.values())
        assert evidence.events


def test_a_faultless_track_lies_on_its_target():
    overlaps, delays = [], []
    for number in range(40):
        truth, evidence, _, matched = sample(2, number, FAULTLESS)
        for track in evidence.tracks:
            times = np.array([b.t_s for b in track.boxes])
            true = _boxes_of(truth, matched[track.id], times)
            found = np.array([b.xyxy for b in track.boxes])
            overlaps.append(np.mean([box_iou(a[None], b[None])[0, 0] for a, b in zip(true, found, strict=True)]))
            spans = next(t for t in truth.targets if t.id == matched[track.id]).anomalous_s
            delays += [track.start_s - span[0] for span in spans[:1]]  # in an hour of ordinary footage, one alarm
    assert np.median(overlaps) > 0.4
    assert min(delays) >= 0 and max(delays) < 0.2


def test_heat_reaches_the_threshold_where_tracks_are_and_stays_below_elsewhere():
    for number in range(20):
        truth, evidence, curves, _ = sample(5, number, FAULTLESS)
        heat = curves.heat.astype(float)
        height, width = heat.shape[1:]
        inside = np.zeros(heat.shape, bool)
        for track in evidence.tracks:
            for box in track.boxes:
                row = int(np.argmin(np.abs(curves.heat_times_s - box.t_s)))
                x0, y0, x1, y1 = np.array(box.xyxy) / np.tile(truth.size_wh, 2) * np.tile((width, height), 2)
                inside[row, int(y0) : int(np.ceil(y1)) + 1, int(x0) : int(np.ceil(x1)) + 1] = True
                middle = heat[row, min(int((y0 + y1) / 2), height - 1), min(int((x0 + x1) / 2), width - 1)]
                assert middle > 0.35
        assert heat[~inside].max() < 0.75  # flicker of single cells


def test_faults_show():
    def tracks(**kind):
        return [sample(9, n, Faults(**({"anomalous": 1.0} | kind))).evidence for n in range(80)]

    assert sum(len(e.tracks) for e in tracks(broken=1.0)) > 1.3 * sum(len(e.tracks) for e in tracks(broken=0.0))
    assert sum(not e.events for e in tracks(weak=1.0, stray=0.0)) > 50
    quiet = [sample(9, n, Faults(anomalous=0.0, alarm=0.0, stray=0.0)) for n in range(60)]
    loud = [sample(9, n, Faults(anomalous=0.0, alarm=1.0)).evidence for n in range(60)]
    assert sum(e.has_anomaly for e in loud) > 15
    assert sum(s.evidence.has_anomaly for s in quiet) < 2 and all(s.curves.sight.suspects for s in quiet[:1])


def test_looks_tell_what_it_is_more_often_than_chance():
    bicycle = {i for i, names in enumerate(class_names()) if {"mountain bike", "bicycle-built-for-two"} & set(names)}
    hits = {True: [], False: []}
    for number in range(250):
        truth, evidence, curves, matched = sample(11, number)
        nouns = {t.id: t.noun for t in truth.targets}
        for track, look in zip(shown_evidence(evidence, curves.sight).tracks, curves.sight.looks, strict=True):
            if track.id in matched and look.any():
                top = set(np.argsort(-look.astype(float))[:5].tolist())
                hits[nouns[matched[track.id]] == "cyclist"].append(bool(top & bicycle))
    assert np.mean(hits[True]) > 0.5 > 0.1 > np.mean(hits[False])


def test_the_finder_of_people_names_what_nothing_surer_does():
    person, van = _target("person"), _target("van")
    vague = Looked(np.zeros(1000), np.zeros((2, 11)), "large object", 0.0, False, False)
    found = [with_found(vague, t, np.random.default_rng(0), 1.0, 0.0) for t in (person, van, _target("bag"), None)]
    assert [s.found for s in found] == ["person", "motor vehicle", "", ""]
    assert [s.label for s in found] == ["person", "motor vehicle", "large object", "large object"]
    assert with_found(vague, None, np.random.default_rng(0), 0.0, 1.0).found == "person"
    assert with_found(vague, person, np.random.default_rng(0), 0.0, 1.0) == vague
    for surer in (vague._replace(label="jean", sure=0.99), vague._replace(label="bicycle", sure=0.2, is_word=True)):
        assert with_found(surer, person, np.random.default_rng(0), 1.0, 0.0) == surer


def _target(noun):
    return Target(1, noun, None, (), "", {}, "", (), (), ())


def test_every_anomaly_has_a_deed_and_comes_up():
    assert set(DEEDS) == set(ANOMALIES)
    rng = np.random.default_rng(0)
    seen = {t.anomaly for n in range(500) for t in draw_truth(rng, n, True).anomalous}
    assert seen == set(ANOMALIES)


def test_directions_come_out_evenly():
    rng = np.random.default_rng(1)
    turned = np.zeros(4)
    for n in range(400):
        for target in draw_truth(rng, n, True).anomalous:
            boxes = np.array(target.boxes)
            dx, dy = ((boxes[-1] - boxes[0])[:2] + (boxes[-1] - boxes[0])[2:]) / 2
            if np.hypot(dx, dy) > 40:
                turned[int(np.round(np.arctan2(dy, dx) / (np.pi / 2))) % 4] += 1
    assert turned.min() > 0.1 * turned.sum()


def test_who_falls_lies_where_he_stood_low_and_mostly_until_the_end():
    rng = np.random.default_rng(5)
    clips = [draw_truth(rng, n, True) for n in range(600)]
    fallen = [(clip, t) for clip in clips for t in clip.anomalous if t.anomaly == "falling"]
    wide, stays, ends = [], [], []
    for clip, target in fallen:
        times, boxes = np.array(target.times_s), np.array(target.boxes)
        assert len(times) == len(boxes) == len(target.seen) and (np.diff(times) > 0).all()
        assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= np.array(clip.size_wh) - 1).all()
        start, end = target.anomalous_s[0]
        assert end == pytest.approx(times[-1], abs=0.01)
        stood, lies = boxes[np.searchsorted(times, start + 0.01, "right") - 1], boxes[times > start + 0.8]
        if len(lies) == 0 or min(target.seen) < 1:
            continue
        assert (lies == lies[0]).all()
        assert 0.25 < np.diff(lies[0][1::2])[0] / np.diff(stood[1::2])[0] < 0.6
        wide.append(np.diff(lies[0][::2])[0] / np.diff(lies[0][1::2])[0])
        stays.append(abs(lies[0][3] - stood[3]) / np.diff(stood[1::2])[0])
        ends.append(end > clip.duration_s - 0.3)
    assert len(wide) > 30 and min(wide) > 0.9 and np.median(wide) > 1.5
    assert max(stays) < 0.2 and 0.6 < np.mean(ends) < 0.95


def test_real_looks_are_used_where_there_are_some():
    real = {"person": np.full((2, 1000), 7.0, np.float16)}
    drawn = [sample(11, n, real=real) for n in range(60)]
    taken = [look for s in drawn for look in s.curves.sight.looks if (look == 7).all()]
    assert taken
    assert not any((look == 7).all() for n in range(60) for look in sample(11, n).curves.sight.looks)


@pytest.mark.parametrize(("per_hour", "duration_s"), [(360.0, 10.0), (36.0, 10.0), (360.0, 4.0)])
def test_ordinary_clips_reach_a_score_as_often_as_it_promises(per_hour: float, duration_s: float) -> None:
    rng = np.random.default_rng(0)
    peaks = np.array([usual_peak(duration_s, rng) for _ in range(4000)])
    wanted = 1 - np.exp(-per_hour * duration_s / 3600)
    assert (peaks >= to_score(-np.log(per_hour))).mean() == pytest.approx(wanted, abs=0.025)


@pytest.mark.parametrize("duration_s", [2.0, 30.0, 140.0])
def test_weak_anomalies_reach_what_some_ordinary_clips_of_that_length_do(duration_s: float) -> None:
    rng = np.random.default_rng(0)
    ordinary = np.sort([usual_peak(duration_s, rng) for _ in range(4000)])
    weak = np.array([weak_peak(duration_s, rng) for _ in range(400)])
    shares = 1 - np.searchsorted(ordinary, weak) / len(ordinary)
    low, high = WEAK_CHANCE
    assert low / 2 < shares.min() and shares.max() < high + 0.03
    assert np.median(shares) == pytest.approx(np.sqrt(low * high), rel=0.25)


def hot(level: list[float], first: int = 0, target: int = 1) -> Hot:
    n = len(level)
    return Hot(target, "person", np.arange(first, first + n), np.tile([10.0, 10, 30, 60], (n, 1)), np.array(level))


def test_suspects_are_what_is_warm_between_the_ground_and_the_top() -> None:
    times = np.arange(20) / 10
    whole = Span(0, 19, 5)
    warm = hot([0.23, 0.25, 0.32, 0.33, 0.33, 0.32, 0.31, 0.24])
    beside = hot([0.3, 0.3, 0.31, 0.3, 0.3], 10, 2)
    cool = hot([0.25] * 12, 0, 3)
    found = suspects_of([cool, beside, warm], whole, times, 0.23)
    assert [(h.target, h.rows.tolist()) for h in found] == [(1, [2, 3, 4, 5, 6]), (2, [10, 11, 12, 13, 14])]
    assert [h.target for h in suspects_of([beside, warm], Span(0, 5, 3), times, 0.23)] == [1]
    assert suspects_of([hot([0.2301] * 8)], whole, times, 0.23) == []


def test_brief_heat_falls_away_from_its_highest_place() -> None:
    times = np.arange(200) / 10
    made = brief(hot([0.4] * 200), times, np.random.default_rng(0))
    top = int(made.level.argmax())
    assert made.level.max() == pytest.approx(0.4) and made.level.min() < 0.25
    assert (np.diff(made.level[top:]) <= 0).all() and (np.diff(made.level[: top + 1]) >= 0).all()
