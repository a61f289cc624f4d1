"""Evaluation and ablations of the region tokens, and drawn clips as they are kept for training."""

import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_llama import make_folder
from tiny_lvlm import RAE, make_adapter

from training.datasets.qa import protocol
from training.datasets.records import clip_record
from training.lvlm import ablate, ceiling, rendered
from training.lvlm.asking import Asked, answers_to
from training.lvlm.data import Example, Simulated, told
from training.lvlm.evaluate import Answered, fit_yes, keep, lines, probability, report, run_protocol, with_interval
from training.lvlm.heated import Faults
from training.lvlm.matched import knowable, match, mirrored_curves, mirrored_evidence, mirrored_truth, mirrored_word
from training.lvlm.rendered import FILES, load_pack, looks, pack
from training.lvlm.simulate import sample
from training.lvlm.spoken import run_spoken
from training.lvlm.tuned import Tuned
from training.ship import note
from tvad.evidence import Evidence
from tvad.lvlm.adapter import Adapter
from tvad.lvlm.dialogue import Dialogue
from tvad.lvlm.tokens import n_tokens
from tvad.lvlm.view import ViewConfig, view_of


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    folder = make_folder(tmp_path_factory.mktemp("model") / "tiny", max_position_embeddings=4096)
    return Tuned.resume(make_adapter(folder), folder, torch.float32).eval()


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    source = Simulated(RAE, 0, "validation")
    return [source[n] for n in range(10)]


class Saying:
    """Answers every question by a function of (question's number in the prompt, example)."""

    def __init__(self, dialogue: Dialogue, say) -> None:
        self.dialogue, self.say = dialogue, say
        self.heard: list[str] = []

    def answer(self, prompts, views, longest=64):
        texts = [self.dialogue.decode(p) for p in prompts]
        self.heard += texts
        return [self.say(t) for t in texts], np.array([1.0 if "s" in t else -1.0 for t in texts])


# --- the protocol -------------------------------------------------------------------------------------------------


def _true_answers(examples):
    asked = [protocol(clip_record(e.truth), np.random.default_rng([0, n, 5]), "test") for n, e in enumerate(examples)]
    return asked, [[qa.answer for qa in row] for row in asked]


def test_true_answers_are_without_fault(examples) -> None:
    asked, said = _true_answers(examples)
    odds = np.array([3.0 if e.truth.has_anomaly else -3.0 for e in examples])
    found = report(Answered(examples, asked, said, odds), draws=20)
    assert found["yes_no"]["balanced"] == 1 and found["yes_no"]["invalid"] == 0
    assert found["target"]["value"] == pytest.approx(100) and found["trajectory"]["value"] == pytest.approx(100)
    assert all(slot["value"] == 1 for slot in found["slots"].values()) and found["slots"]
    low, high = found["trajectory"]["interval"]
    assert low <= found["trajectory"]["value"] + 1e-9 and high == pytest.approx(100)


def test_no_to_the_first_question_leaves_the_others_empty_and_counts(tuned, examples) -> None:
    model = Saying(tuned.dialogue, lambda text: "No, there is no anomaly in the video.")
    answered = run_protocol(model, RAE, examples)
    assert all(row[1:] == ["", ""] for row in answered.said) and len(model.heard) == len(examples)
    found = report(answered, draws=5)
    assert found["yes_no"]["sensitivity"] == 0 and found["yes_no"]["specificity"] == 1
    assert found["target"]["value"] == 0 and all(slot["value"] == 0 for slot in found["slots"].values())


def test_what_was_said_stands_beside_what_is_true(tuned, examples) -> None:
    answered = run_protocol(tuned, RAE, examples)
    found = [json.loads(json.dumps(line)) for line in lines(answered)]
    assert [(line["id"], line["turn"]) for line in found] == [(e.truth.id, n) for e in examples for n in (1, 2, 3)]
    assert [line["answer"] for line in found] == [text for row in answered.said for text in row]
    assert [line["truth"] for line in found[::3]] == [row[0].references[0] for row in answered.asked]
    assert [line["odds"] for line in found[::3]] == pytest.approx(answered.odds.tolist(), abs=1e-3)
    assert all("odds" not in line for line in found[1::3]) and found[0]["slots"] == answered.asked[0][0].slots


def test_history_is_the_models_own_or_the_true_one(tuned, examples) -> None:
    for history, expected in (("generated", True), ("gold", False)):
        model = Saying(tuned.dialogue, lambda text: "Yes, there is a walrus.")
        run_protocol(model, RAE, examples, "train", history)
        last = model.heard[-1]
        assert ("walrus" in last) == expected and len(model.heard) == 3 * len(examples)


def test_test_phrasings_are_other_questions(examples) -> None:
    sets = []
    for split in ("train", "test"):
        drawn = [protocol(clip_record(e.truth), np.random.default_rng(n), split) for n, e in enumerate(examples)]
        sets.append({qa.question for row in drawn for qa in row})
    assert not sets[0] & sets[1]


def test_intervals_draw_sources_not_items() -> None:
    items = [0.0] * 50 + [1.0] * 50
    mean = lambda values: float(np.mean(values))  # noqa: E731
    many = with_interval(mean, items, [str(n) for n in range(100)], 300)
    two = with_interval(mean, items, ["a"] * 50 + ["b"] * 50, 300)
    assert many["value"] == two["value"] == 0.5
    assert two["interval"] == [0.0, 1.0] and many["interval"][1] - many["interval"][0] < 0.3


@pytest.mark.parametrize("half", [True, False])
def test_a_calibrated_adapter_keeps_its_precision_and_its_note(half: bool, tmp_path: Path) -> None:
    adapter = make_adapter(make_folder(tmp_path / "model"))
    folder = tmp_path / "adapter"
    adapter.save(folder, half)
    note(folder / "adapter.safetensors")
    before = (folder / "sums.json").read_text(), (folder / "adapter.safetensors").stat().st_size
    keep(Adapter(adapter.config, adapter.rae, adapter.lora, (2.0, -1.0)), folder)
    assert Adapter.load(folder).yes_no == (2.0, -1.0)
    assert (folder / "adapter.safetensors").stat().st_size == before[1]
    noted = json.loads((folder / "sums.json").read_text())["adapter.safetensors"]
    assert noted == [hashlib.sha256((folder / "adapter.safetensors").read_bytes()).hexdigest(), before[1]]
    assert (folder / "sums.json").read_text() != before[0]


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.4, 1.5), (2.5, -1.0)])
def test_calibration_finds_the_curve_that_made_the_truth(slope: float, offset: float) -> None:
    rng = np.random.default_rng(3)
    odds = rng.normal(0, 3, 6000)
    truth = rng.random(6000) < probability(odds, (slope, offset))
    found = fit_yes(odds, truth.tolist())
    assert found == pytest.approx((slope, offset), abs=0.15)


def test_calibration_of_separable_odds_stays_finite_and_needs_both_classes() -> None:
    slope, offset = fit_yes(np.array([-2.0, -1.0, 1.0, 2.0]), [False, False, True, True])
    assert np.isfinite([slope, offset]).all() and slope > 0
    with pytest.raises(ValueError, match="one class"):
        fit_yes(np.zeros(3), [True, True, True])


# --- ablations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ablate.NAMES)
def test_every_ablation_is_asked_the_same_questions(name: str, tuned, examples) -> None:
    found = ablate.ablated(tuned, RAE, examples[:4], name, phrasings="train", draws=0)
    assert found["clips"] == 4 and found["anomalous"] == sum(e.truth.has_anomaly for e in examples[:4])


def test_an_unknown_ablation_is_refused(tuned, examples) -> None:
    with pytest.raises(ValueError, match="blind"):
        ablate.ablated(tuned, RAE, examples, "headless")


def test_ablations_change_the_odds_and_leave_the_model_as_it_was(tuned, examples) -> None:
    asked = [Asked(e.view, "Is there an anomaly?") for e in examples]
    odds = {n: answers_to(ablate.Without(tuned, c), RAE, asked)[1] for n, c in ablate.CHANGES.items()}
    odds["blind"] = answers_to(ablate.Without(tuned, blind=True), RAE, asked)[1]
    for name, change in ablate.EXAMPLES.items():
        odds[name] = answers_to(tuned, RAE, [Asked(e.view, "Is there an anomaly?") for e in change(examples)])[1]
    whole = answers_to(tuned, RAE, asked)[1]
    for name, values in odds.items():
        assert np.abs(values - whole).max() > 1e-6, name
    assert np.ptp(odds["blind"]) < 1e-4  # nothing tells one clip from another
    np.testing.assert_array_equal(whole, answers_to(tuned, RAE, asked)[1])


def test_names_are_kept_back_or_of_another_and_nothing_else_is_changed() -> None:
    drawn = [e for e in (Simulated(RAE)[n] for n in range(60)) if e.view.n_things]
    bare, wrong = ablate.without_names(drawn), ablate.with_wrong_names(drawn)
    nouns, deeds = Counter(), Counter()
    for example, first, second in zip(drawn, bare, wrong, strict=True):
        things = example.view.things
        for name, values in things.items():
            same = name not in ("noun", "deed")
            assert np.array_equal(values, first.view.things[name]) or not same, name
            assert np.array_equal(values, second.view.things[name]) or not same, name
        assert not first.view.things["noun"][:, :2].any() and not first.view.things["deed"][:, :18].any()
        changed = second.view.things
        for n in range(example.view.n_things):
            nouns[things["noun"][n][:3].argmax(), changed["noun"][n][:3].argmax()] += things["noun"][n].any()
            if things["deed"][n][:18].any():
                deeds["named"] += 1
                assert things["deed"][n][:18].argmax() != changed["deed"][n][:18].argmax()
            told = things["deed"][n][19:37]
            assert sorted(told) == sorted(changed["deed"][n][19:37])
            deeds["likely"] += bool(told.any() and told.argmax() != changed["deed"][n][19:37].argmax())
    assert {(a, b) for (a, b), count in nouns.items() if count} == {(0, 1), (1, 2), (2, 0)}
    assert min(deeds["named"], deeds["likely"]) > 5


def test_another_clip_is_of_the_other_kind(examples) -> None:
    for example, other in zip(examples, ablate.of_another(examples), strict=True):
        shown = [e for e in examples if e.view is other.view]
        assert other.truth == example.truth and shown[0].truth.has_anomaly != example.truth.has_anomaly


def test_true_heat_is_where_the_target_is() -> None:
    drawn = sample(4, 2, Faults(anomalous=1.0))
    heat = ablate.true_heat(drawn.truth, 6, (18, 24))
    target = drawn.truth.anomalous[0]
    assert {round(float(x), 2) for x in np.unique(heat)} == {ablate.QUIET, ablate.LOUD}
    start, end = target.anomalous_s[0]
    for n in range(6):
        a, b = (drawn.truth.duration_s * k / 6 for k in (n, n + 1))
        if b < start or (a > end and len(drawn.truth.anomalous) == 1):
            assert heat[n].max() == pytest.approx(ablate.QUIET) or len(drawn.truth.anomalous) > 1
        elif a > start and b < end:
            assert heat[n].max() == pytest.approx(ablate.LOUD)


# --- truth and evidence -------------------------------------------------------------------------------------------


def test_tracks_are_matched_to_what_they_follow() -> None:
    right, all_ = 0, 0
    for number in range(60):
        truth, evidence, curves, matched = sample(6, number)
        found = match(truth, evidence, curves)
        for track, target in matched.items():
            all_ += 1
            right += found.get(track) == target
    assert right > 0.85 * all_ > 20


def test_what_left_no_trace_is_not_asked_for() -> None:
    truth, evidence, curves, _ = sample(6, 1, Faults(anomalous=1.0, missed=0, weak=0, alarm=0, stray=0))
    assert knowable(truth, evidence, curves) == truth
    quiet = replace(curves, heat=np.full_like(curves.heat, 0.2))
    assert curves.sight is not None and not curves.sight.suspects
    nothing = replace(evidence, tracks=(), events=(), has_anomaly=False)
    assert knowable(truth, nothing, quiet) is None
    assert knowable(truth, nothing, curves) == truth  # its heat is still there


def test_only_what_has_a_track_is_described() -> None:
    drawn = next(s for n in range(200) if len((s := sample(6, n)).truth.anomalous) == 2)
    first = drawn.truth.anomalous[0]
    truth, traced = told(drawn.truth, {first.id})
    assert traced and truth.anomalous == (first,)
    assert told(drawn.truth, set()) == (drawn.truth, False)
    normal = next(s for n in range(20) if not (s := sample(6, n)).truth.has_anomaly)
    assert told(normal.truth, set()) == (normal.truth, True)


# --- the mirror ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(12))
def test_the_mirror_of_a_mirror_is_the_clip(number: int) -> None:
    truth, evidence, curves, _ = sample(8, number)
    twice = mirrored_evidence(mirrored_evidence(evidence))
    for track, own in zip(twice.tracks, evidence.tracks, strict=True):
        np.testing.assert_allclose([b.xyxy for b in track.boxes], [b.xyxy for b in own.boxes], atol=1e-6)
        assert replace(track, boxes=own.boxes) == own
    back = mirrored_truth(mirrored_truth(truth))
    assert [t.noun for t in back.targets] == [t.noun for t in truth.targets]
    for a, b in zip(back.targets, truth.targets, strict=True):
        np.testing.assert_allclose(a.boxes, b.boxes, atol=1e-6)
    np.testing.assert_array_equal(mirrored_curves(mirrored_curves(curves)).heat, curves.heat)


def test_a_mirrored_clip_has_mirrored_words() -> None:
    seen = 0
    for number in range(60):
        truth = sample(8, number).truth
        plain, turned = clip_record(truth), clip_record(mirrored_truth(truth))
        for a, b in zip(plain.targets, turned.targets, strict=True):
            assert b.motion.displacement == a.motion.displacement
            if a.motion.direction and a.motion.displacement == "large":
                seen += 1
                assert b.motion.direction == mirrored_word(a.motion.direction)
    assert seen > 5


# --- packs --------------------------------------------------------------------------------------------------------


SEEN = Faults(missed=0, weak=0)  # what nothing was seen of is left out of a pack


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("analysed")
    for split, count in (("train", 6), ("validation", 3), ("test", 2)):
        for number in range(count):
            drawn = sample(12, number, SEEN, split)
            folder = root / split / f"{number:06d}"
            drawn.truth.save(folder / FILES[0])
            drawn.evidence.save(folder / FILES[1])
            drawn.curves.save(folder / FILES[2])
    return root


def test_a_pack_holds_the_views_and_their_mirrors(kept: Path, tmp_path: Path) -> None:
    counts = pack([kept], tmp_path, RAE.view)
    train = load_pack(tmp_path, "train", RAE.view)
    assert len(train) == counts["train"] == 12 and counts["validation"] == 3 and counts["test"] == 2
    first = sample(12, 0, SEEN)
    for (name, wanted), got in zip(
        view_of(first.evidence, first.curves, None, RAE.view).arrays().items(),
        train[0].view.arrays().values(),
        strict=True,
    ):
        np.testing.assert_allclose(got, wanted, rtol=2e-3, atol=2e-3, err_msg=name)
    assert train[1].truth.id == f"{train[0].truth.id}-mirrored" and train[1].truth.source == train[0].truth.source
    np.testing.assert_allclose(train[1].view.heat, train[0].view.heat[..., ::-1], atol=1e-6)
    assert all(n_tokens(RAE, e.view) > 0 for e in train)


def test_a_pack_of_another_view_is_refused(kept: Path, tmp_path: Path) -> None:
    pack([kept], tmp_path, RAE.view)
    with pytest.raises(ValueError, match="rendered pack"):
        load_pack(tmp_path, "train", ViewConfig())


def test_looks_are_sorted_by_what_was_looked_at(kept: Path) -> None:
    found = looks(kept)
    assert found and all(rows.ndim == 2 and rows.shape[1] == 1000 for rows in found.values())
    nouns = {t.noun for truth, _, _ in rendered.analysed(kept, "train") for t in truth.targets}
    assert set(found) <= nouns


def test_how_the_highest_score_ranks_the_clips(kept: Path) -> None:
    line = rendered.scores([kept], "train")
    assert re.fullmatch(
        r"train: \d anomalous, \d ordinary clips; events in [\d.]+ and [\d.]+ of them; AUC .* [\d.]+", line
    )
    with pytest.raises(ValueError, match="0 clips of train"):
        rendered.scores([kept / "nowhere"], "train")


# --- ways that see no video ---------------------------------------------------------------------------------------


def test_the_report_is_asked_the_same_and_knows_what_was_found() -> None:
    drawn = [sample(0, n, Faults(weak=0, missed=0, alarm=0, stray=0, warm=0)) for n in range(60)]
    shown = [Example(s.truth, None, True) for s in drawn]  # type: ignore[arg-type]
    answered = run_spoken(shown, [s.evidence for s in drawn], "report", "train")
    found = report(answered, draws=0)
    assert found["yes_no"]["balanced"] > 0.95 and "calibration_error" not in found["yes_no"]
    assert found["slots"]["direction"]["value"] > 0.5
    with pytest.raises(ValueError, match="choose one of"):
        run_spoken(shown, [], "lvlm")


def test_evidence_is_not_kept_in_packs(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="simulated clips only"):
        ablate.seen_evidence([tmp_path], "test", 1)


def test_the_ceiling_counts_what_tracks_tell() -> None:
    peaks, truth = np.array([0.1, 0.2, 0.6, 0.3, 0.7, 0.8]), np.array([False, False, False, True, True, True])
    assert ceiling.best_threshold(peaks, truth) == 0.3
    assert ceiling.balanced(peaks >= 0.3, truth) == pytest.approx((1 + 2 / 3) / 2)
    drawn = ceiling.samples("test", 24)
    counts = ceiling.agreement(drawn)
    of = {name: n for name, (_, n) in counts.items()}
    assert of["direction"] == of["start"] == of["end"] > 0
    assert all(0 <= right <= n for right, n in counts.values())
    # A track that says the opposite is counted as wrong.
    turned = [s._replace(evidence=_turned(s.evidence)) for s in drawn if s.evidence.tracks]
    kept = [s for s in drawn if s.evidence.tracks]
    assert ceiling.agreement(turned)["start"][0] < ceiling.agreement(kept)["start"][0]


def _turned(evidence: Evidence) -> Evidence:
    return replace(evidence, tracks=tuple(replace(t, trajectory=("nowhere",)) for t in evidence.tracks))
