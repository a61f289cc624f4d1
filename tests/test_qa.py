"""Dialogues about known truths: every answer is true, short, fit for the claim checker, and found again as slots."""

import re
from collections import Counter
from dataclasses import asdict, replace

import numpy as np
import pytest
from drawn_truths import clip, random_truth, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.check import conflicts
from chat.conversation import Focus
from chat.lexicon import COLOURS, colours_in, kin
from chat.questions import read_question
from training.datasets.consistency import problems
from training.datasets.qa import CANONICAL, PROTOCOL, QA, SHARES, ask, dialogue, named, protocol
from training.datasets.qa_words import MAX_WORDS, NAMELESS, NOUNS, colours, doing, several
from training.datasets.records import ClipRecord, clip_record, window_records
from training.datasets.synthetic.actors import NOUNS as DRAWN
from training.datasets.truth import UNNAMED
from training.slots import slots
from tvad.evidence import Event, Evidence, Motion, Track, TrackBox, VideoMeta
from tvad.settings import Settings

SEEDS = st.integers(0, 10**6)
SPLITS = st.sampled_from(["train", "test"])


def record(seed: int) -> ClipRecord:
    return clip_record(random_truth(seed))


def talk(of: ClipRecord, seed: int, split: str = "train", turns: int = 8) -> list[QA]:
    rng = np.random.default_rng(seed)
    first = protocol(of, rng, split)
    return first + dialogue(of, rng, split, turns, first)


def evidence_of(of: ClipRecord) -> Evidence:
    """What a detector without faults would have found."""
    tracks = tuple(
        Track(
            number, t.noun, 0.8, " and ".join(colours(t)),
            tuple(TrackBox(s, b, 0.9) for s, b in zip(t.times_s, t.boxes, strict=True)),
            t.cells, Motion(**asdict(t.motion)), t.entry, t.exit,
        )
        for number, t in enumerate(of.targets, 1)
    )  # fmt: skip
    events = tuple(Event(t.id, t.start_s, t.end_s, t.start_s, 0.8, t.label, (t.id,)) for t in tracks)
    meta = VideoMeta("clip.mp4", "0" * 64, of.end_s, of.fps, *of.size_wh)
    return Evidence(meta, "mini", {}, Settings().to_dict(), events, tracks, bool(events), 0.9, "")


def conflicts_of(qa: QA, texts: tuple[str, ...], of: ClipRecord, evidence: Evidence) -> list[str]:
    number = {t.id: n for n, t in enumerate(of.targets, 1)}
    one = number[qa.targets[0]] if len(qa.targets) == 1 else None
    focus = Focus(one, one, True) if one else Focus()
    read = read_question(qa.question)
    return [conflict for text in texts for conflict in conflicts(text, evidence, read, focus)]


@settings(max_examples=30, deadline=None)
@given(SEEDS, SPLITS)
def test_slots_of_every_wording_are_those_of_the_record(seed: int, split: str) -> None:
    of = record(seed)
    for qa in talk(of, seed, split):
        assert qa.answer in qa.references and len(qa.references) == 4
        assert len(set(qa.references)) == 4
        for text in qa.references:
            assert slots(text) == qa.slots, (qa.kind, text)
            assert len(text.split()) <= MAX_WORDS


@settings(max_examples=30, deadline=None)
@given(SEEDS, SPLITS)
def test_no_true_answer_contradicts_the_evidence(seed: int, split: str) -> None:
    of = record(seed)
    evidence = evidence_of(of)
    for qa in talk(of, seed, split):
        assert conflicts_of(qa, qa.references, of, evidence) == [], qa


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_true_records_pass_the_consistency_check(seed: int) -> None:
    truth = random_truth(seed)
    for of in [clip_record(truth), *window_records(truth)[:5]]:
        assert problems(of, talk(of, seed), of.has_anomaly) == []


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_the_first_answer_is_whether_anything_is_anomalous(seed: int) -> None:
    of = record(seed)
    asked = protocol(of, np.random.default_rng(seed))
    assert tuple(qa.kind for qa in asked) == PROTOCOL
    assert asked[0].answer.startswith("Yes, " if of.has_anomaly else "No, ")
    if not of.has_anomaly:
        assert all(slots(qa.answer) == {"verdict": "no"} for qa in asked)


def test_targets_are_told_by_their_start() -> None:
    truth = clip(
        walk(1, "van", "driving", 4.0, 7.0, (160, 10, 160, 230), {"whole": "white"}),
        walk(2, "cyclist", "cycling", 1.0, 3.0, (308, 120, 12, 120), {"upper": "dark red", "lower": "black"}),
    )
    whether, looks, ways = protocol(clip_record(truth), np.random.default_rng(0))
    assert whether.references[0] == (
        "Yes, there is a cyclist in a red top who rides a bicycle and a white van that drives where people walk."
    )
    assert looks.references[0] == (
        "A cyclist in a red top and black trousers rides a bicycle. A white van drives where people walk."
    )
    # Both with their borders would be too long.
    assert ways.references[0] == (
        "The cyclist moves quickly left, from the right to the left. The van moves down, from the top to the bottom."
    )
    assert ways.slots["direction"] == ("left", "down")
    assert ways.slots["start"] == ("right", "top")


def test_times_borders_and_cells_of_one_target() -> None:
    of = clip_record(clip(walk(1, "cyclist", "cycling", 1.0, 3.0, (308, 120, 12, 40), {"upper": "light green"})))
    rng = np.random.default_rng(0)
    told = {kind: ask(of, kind, rng) for kind in ("when", "where", "entry", "exit", "motion", "appearance", "count")}
    found = {kind: qa.references[0] for kind, qa in told.items() if qa is not None}
    assert found["when"] == "The cyclist rides a bicycle from 1.0 to 3.0 s."
    assert found["where"] == "The cyclist is at the right first and at the top left last."
    assert found["entry"] == "The cyclist enters through the right border."
    assert found["exit"] == "The cyclist leaves through the left border."
    assert found["appearance"] == "The cyclist wears a green top."
    assert found["count"] == "There is one anomalous thing: a cyclist."
    assert found["motion"] == (
        "The cyclist enters through the right border, then moves quickly left, from the right to the top left, and "
        "leaves through the left border."
    )


def test_those_who_do_the_same_are_one_group() -> None:
    tops = enumerate(("red", "blue", "white"), 1)
    of = clip_record(clip(*[walk(n, way=(20, 30 * n, 300, 30 * n), colours={"upper": top}) for n, top in tops]))
    qa = ask(of, "whether", np.random.default_rng(0))
    assert qa is not None and qa.references[0] == "Yes, there are three people who run."
    assert [n.name for n in named(of)] == ["the first person", "the second person", "the third person"]


@pytest.mark.parametrize(
    ("noun", "anomaly", "action", "said"),
    [
        ("person", "theft", "grabs a bag and runs away", "steals something"),
        ("person", "theft", "runs after the thief", "chases the thief"),
        ("stone", "throwing", "flies in an arc", "is thrown"),
        ("person", "explosion", "is thrown to the ground", "is thrown down by the blast"),
        ("person", "explosion", "flees from the explosion", "runs from the blast"),
        ("smoke", "fire", "spreads", "rises from the fire"),
    ],
)
def test_deeds_follow_the_part_someone_has(noun: str, anomaly: str, action: str, said: str) -> None:
    (target,) = clip_record(clip(walk(1, noun, anomaly, action=action))).targets
    assert doing(target) == said


def test_every_drawn_thing_has_a_word() -> None:
    assert set(DRAWN) <= set(NOUNS)
    for noun in DRAWN:
        assert slots(f"There is {noun}.")["noun"] == (noun,)
        assert slots(f"There are {several(noun)}.")["noun"] == (noun,)


def test_yes_and_no_about_things_are_true_and_balanced() -> None:
    said: Counter[bool] = Counter()
    for seed in range(250):
        of = replace(record(seed), complete=True)
        qa = ask(of, "absent", np.random.default_rng(seed))
        if qa is None or not of.nouns:
            continue
        if any(t.noun in NAMELESS or (t.noun == "person" and t.anomaly == UNNAMED) for t in of.targets):
            assert qa.slots == {"declines": True}  # it may be anything
            continue
        asked = {w for w in NOUNS if re.search(rf"\b{w}s?\b", qa.question.lower())}
        near = {k for noun in of.nouns for w in (noun, *noun.split()) for k in kin(w)}
        yes = qa.slots["verdict"] == "yes"
        assert bool(asked & near) == yes, (qa.question, of.nouns)
        if any(noun not in ("person", "child", "wheelchair user") for noun in of.nouns):
            said[yes] += 1
    assert 0.3 < said[True] / said.total() < 0.7


def test_nothing_is_asked_about_what_is_unknown() -> None:
    recording = clip_record(clip(walk(1, "object", "unnamed"), layout="unknown"))
    assert ask(recording, "absent", np.random.default_rng(0)) is None
    assert ask(recording, "colour", np.random.default_rng(0)) is None


def test_no_colours_are_named_at_night() -> None:
    target = walk(1, "cyclist", "cycling", colours={"upper": "red", "lower": "blue"})
    of = clip_record(clip(target, conditions=("night",)))
    for seed in range(20):
        for qa in talk(of, seed):
            assert qa.kind != "colour"
            assert not any(colours_in(text) for text in qa.references)


def test_colours_are_checked_truly_and_evenly() -> None:
    of = clip_record(clip(walk(1, "person", "running", colours={"upper": "dark red", "lower": "black"})))
    said: Counter[str] = Counter()
    for seed in range(200):
        qa = ask(of, "colour", np.random.default_rng(seed))
        assert qa is not None
        (asked,) = [c for c in COLOURS if re.search(rf"\b{c}\b", qa.question.lower())]
        verdict = "yes" if asked in ("red", "black") else "no"
        assert qa.slots == {"verdict": verdict, "noun": ("person",), "colour": ("red", "black")}
        said[qa.slots["verdict"]] += 1
    assert 0.35 < said["yes"] / 200 < 0.65


def test_what_no_video_shows_is_declined() -> None:
    for seed in (0, 1, 2, 3):
        qa = ask(record(seed), "unanswerable", np.random.default_rng(seed))
        assert qa is not None and qa.slots == {"declines": True}
        assert not any(slots(text).get("verdict") for text in qa.references)


def test_the_canonical_wording_is_the_most_frequent() -> None:
    asked = [qa for seed in range(60) for qa in talk(record(seed), seed)]
    share = np.mean([qa.answer == qa.references[0] for qa in asked])
    assert abs(share - CANONICAL) < 0.05


def test_a_seed_gives_the_same_conversation() -> None:
    of = record(11)
    assert talk(of, 5) == talk(of, 5)
    assert talk(of, 5) != talk(of, 6)


def test_a_conversation_asks_every_kind_once_before_again() -> None:
    of = clip_record(clip(walk(1, colours={"upper": "red"})))
    for seed in range(20):
        kinds = [qa.kind for qa in dialogue(of, np.random.default_rng(seed), "train", len(SHARES))]
        assert len(set(kinds)) == len(SHARES)


def test_it_means_one_target_only() -> None:
    for seed in range(60):
        of = record(seed)
        before: QA | None = None
        for qa in talk(of, seed):
            words = set(qa.question.lower().replace("?", " ").replace(".", " ").split())
            if len(of.targets) > 1 and qa.kind not in ("unanswerable", "absent") and words & {"he", "she", "him"}:
                assert before is not None and len(qa.targets) == 1
            before = qa


def test_questions_have_no_marks_left() -> None:
    for seed in range(60):
        assert not any("{" in qa.question for qa in talk(record(seed), seed, "test" if seed % 2 else "train"))


# --- planted contradictions -----------------------------------------------------------------------------------------


def planted() -> tuple[ClipRecord, dict[str, QA]]:
    target = walk(1, "cyclist", "cycling", 1.0, 3.0, (300, 120, 20, 120), {"upper": "red", "lower": "black"})
    of = clip_record(clip(target))
    found = {kind: ask(of, kind, np.random.default_rng(0)) for kind in ("whether", "motion", "when", "where", "what")}
    return of, {kind: qa for kind, qa in found.items() if qa is not None}


LIES = [
    ("whether", "No, there is no anomaly in the video."),
    ("whether", "There is something."),
    ("motion", "The cyclist moves right, from the left to the right."),
    ("where", "The cyclist is at the bottom left."),
    ("when", "The cyclist rides a bicycle from 1.0 to 9.5 s."),
    ("what", "There is a bus that drives where people walk."),
]


@pytest.mark.parametrize(("kind", "lie"), LIES)
def test_a_planted_contradiction_is_rejected(kind: str, lie: str) -> None:
    of, asked = planted()
    assert problems(of, list(asked.values()), True) == []
    assert len(problems(of, [replace(asked[kind], answer=lie)], True)) >= 1


def test_masks_spans_and_captions_are_held_against_the_record() -> None:
    of, _ = planted()
    (target,) = of.targets
    assert "empty" in problems(of, [], any_mask=False)[0]
    outside = replace(of, window=(0, 20))
    assert "outside the window 0 to 20" in problems(outside, [])[0]
    for words, wrong in (("a red car", True), ("a person on a bike", False), ("a man in red", False)):
        told = replace(of, targets=(replace(target, appearance=words),))
        assert bool(problems(told, [])) == wrong


@pytest.mark.parametrize(
    "lie",
    [
        "No, there is no anomaly in the video.",
        "The cyclist moves right, from the left to the right.",
        "The cyclist rides a bicycle from 5.0 to 6.5 s.",
        "There is a bus that drives where people walk.",
        "The cyclist wears a green top.",
    ],
)
def test_the_claim_checker_sees_lies_in_these_words(lie: str) -> None:
    of, asked = planted()
    assert conflicts_of(asked["whether"], (lie,), of, evidence_of(of)) != []
