"""BLEU against worked values and sacreBLEU's own, yes or no, intervals, calibration."""

import math
import random
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.text_metrics import (
    balanced_interval,
    corpus_bleu,
    expected_calibration_error,
    said_yes,
    sentence_bleu,
    tokens_13a,
    yes_no,
)

WALKS, RUNS = "the person walks from left to right", "the person runs from left to right"
CAR = "a red car stops near the gate"


@pytest.mark.parametrize(
    ("answers", "references", "score"),
    [
        ([WALKS], [[RUNS]], 48.8923),
        (["the person runs from left"], [[RUNS]], 67.0320),
        ([WALKS, CAR], [[RUNS], [CAR]], 76.2787),
        ([RUNS], [[RUNS]], 100.0),
        (["a man runs"], [["a man runs"]], 0.0),
        ([""], [[RUNS]], 0.0),
    ],
)
def test_worked_values(answers: list[str], references: list[list[str]], score: float) -> None:
    assert corpus_bleu(answers, references).score == pytest.approx(score, abs=1e-4)


def test_parts_of_the_worked_values() -> None:
    """evaluation.md, section 6: the precisions, the brevity penalty and the mean of the sentences."""
    found = corpus_bleu([WALKS], [[RUNS]])
    assert found.precisions == pytest.approx([100 * p for p in (6 / 7, 4 / 6, 2 / 5, 1 / 4)])
    assert (found.brevity, 100 * 0.0571429**0.25) == (1.0, pytest.approx(found.score, abs=1e-4))
    short = corpus_bleu(["the person runs from left"], [[RUNS]])
    assert short.precisions == pytest.approx([100] * 4) and short.brevity == pytest.approx(math.exp(1 - 7 / 5))
    each = [corpus_bleu([a], [[b]]).score for a, b in ((WALKS, RUNS), (CAR, CAR))]
    assert sum(each) / 2 == pytest.approx(74.4462, abs=1e-4)  # and not the corpus's 76.2787


@pytest.mark.parametrize(
    ("answers", "references", "score"),
    [
        ([WALKS], [[RUNS]], 48.8923),
        ([WALKS, CAR], [[RUNS], [CAR]], 74.4462),
        (["a man runs"], [["a man runs"]], 57.57),
        ([RUNS], [[RUNS]], 100.0),
        (["", RUNS], [[RUNS], [RUNS]], 50.0),
    ],
)
def test_worked_values_of_sentences(answers: list[str], references: list[list[str]], score: float) -> None:
    """evaluation.md, section 6: nltk's mean of sentences, smoothing method 4."""
    assert sentence_bleu(answers, references) == pytest.approx(score, abs=5e-3)


def test_case_is_ignored_unless_asked() -> None:
    answers, references = ["The person runs, left."], [["the person runs , left ."]]
    assert corpus_bleu(answers, references).score == pytest.approx(100)
    assert corpus_bleu(answers, references, lowercase=False).score == pytest.approx(75.98, abs=0.005)


# Scores of sacrebleu 2.6.0.
ANSWERS = [
    "The cyclist moves right, from the left to the right.",
    "From 3.2 to 5.8 s (1:15.2) a man's red-top runs!",
    "a b",
]
REFERENCES = [
    [
        "The cyclist goes right, from the left to the right.",
        "The cyclist starts at the left, goes to the right and ends at the right.",
    ],
    ["The person runs from 3.2 to 5.8 s.", "From 3.2 to 5.8 s the person runs."],
    ["a b c d e", "a c"],
]


@pytest.mark.parametrize(
    ("lowercase", "count", "score"),
    [(True, 2, 49.165819990773755), (False, 1, 44.854857630412035), (False, 2, 49.165819990773755)],
)
def test_scores_of_sacrebleu(lowercase: bool, count: int, score: float) -> None:
    found = corpus_bleu(ANSWERS, [texts[:count] for texts in REFERENCES], lowercase)
    assert found.score == pytest.approx(score, abs=1e-6)
    assert found.signature.startswith(f"nrefs:{count}|case:{'lc' if lowercase else 'mixed'}|eff:no|tok:13a|smooth:exp")


def test_agrees_with_sacrebleu_where_it_is_installed() -> None:
    metrics = pytest.importorskip("sacrebleu.metrics", reason="sacrebleu is not installed")
    words = "the a man's runs, left. right-hand 3.2 5,8 s (1:15.2) U.S. don't & &amp; - x-3 3-4 [b] a/b #1 ^"
    dice = random.Random(0)
    for _ in range(300):
        count, refs = dice.randint(1, 4), dice.randint(1, 3)
        made = [
            [" ".join(dice.choices(words.split(), k=dice.choice([1, 3, 5, 9]))) for _ in range(refs + 1)]
            for _ in range(count)
        ]
        answers, others = [m[0] for m in made], [m[1:] for m in made]
        theirs = metrics.BLEU(lowercase=True).corpus_score(answers, list(zip(*others, strict=True)))
        assert corpus_bleu(answers, others).score == pytest.approx(theirs.score, abs=1e-6)


TEXTS = st.lists(st.sampled_from(["a", "b", "c", "runs", ",", "3.2"]), min_size=1, max_size=9).map(" ".join)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=5))
def test_order_does_not_matter_and_more_references_never_lower_matches(rows: list[tuple[str, str, str]]) -> None:
    answers, one = [r[0] for r in rows], [[r[1]] for r in rows]
    found = corpus_bleu(answers, one)
    assert corpus_bleu(answers[::-1], one[::-1]).score == pytest.approx(found.score)
    assert 0 <= found.score <= 100 + 1e-9
    both = corpus_bleu(answers, [[r[1], r[2]] for r in rows])
    if all(p > 0 for p in found.precisions):
        assert all(b >= a - 1e-9 for a, b in zip(found.precisions, both.precisions, strict=True))


def test_tokens() -> None:
    assert tokens_13a("A man's red-top, from 3.2 to 5,8 s (1-2).") == [
        "A", "man's", "red-top", ",", "from", "3.2", "to", "5,8", "s", "(", "1", "-", "2", ")", ".",
    ]  # fmt: skip


def test_bleu_needs_answers_and_references() -> None:
    for answers, references in (([], []), (["a"], []), (["a"], [[]])):
        with pytest.raises(ValueError, match="lists of references"):
            corpus_bleu(answers, references)


@pytest.mark.parametrize(
    ("answer", "yes"),
    [
        ("Yes, there is a cyclist.", True),
        (" no.", False),
        ('"Yes"', True),
        ("I think no.", False),
        ("Well yes, although there is no fire.", True),
        ("There is an anomaly.", True),
        ("Nothing unusual.", False),
        ("There is not any anomaly.", False),
        ("Something anomalous is seen.", True),
        ("Maybe", None),
        ("Yesterday", None),
        ("", None),
    ],
)
def test_yes_or_no_of_an_answer(answer: str, yes: bool | None) -> None:
    assert said_yes(answer) is yes


def test_yes_no_figures() -> None:
    answers = ["Yes, there is a cyclist.", "No, there is no anomaly.", "I think no.", "Maybe"]
    found = yes_no(answers, [True, False, True, False])
    assert found == (type(found))(0.5, 0.5, 0.5, 0.5, 0.25, 4)
    with pytest.raises(ValueError, match="1 answers, 2 truths"):
        yes_no(["Yes"], [True, False])


def test_a_missing_class_gives_nan() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = yes_no(["Yes", "No"], [True, True])
    assert found.sensitivity == 0.5
    assert math.isnan(found.specificity) and math.isnan(found.balanced)


def test_the_interval_holds_the_value_and_knows_videos() -> None:
    rng = np.random.default_rng(3)
    truth = np.repeat(rng.random(60) < 0.5, 5)
    wrong = np.repeat(rng.random(60) < 0.25, 5)  # whole videos are wrong at once
    answers = ["Yes" if t != w else "No" for t, w in zip(truth, wrong, strict=True)]
    videos = [f"video {n // 5}" for n in range(300)]
    value = yes_no(answers, truth.tolist()).balanced
    single = balanced_interval(answers, truth.tolist())
    by_video = balanced_interval(answers, truth.tolist(), videos)
    assert single[0] < value < single[1] and by_video[0] < value < by_video[1]
    assert by_video[1] - by_video[0] > 1.5 * (single[1] - single[0])
    assert by_video == balanced_interval(answers, truth.tolist(), videos)
    sure = balanced_interval(["Yes", "No"] * 20, [True, False] * 20)
    assert sure == (1.0, 1.0)


def test_an_interval_needs_both_classes() -> None:
    with pytest.raises(ValueError, match="one class"):
        balanced_interval(["Yes"], [True])
    with pytest.raises(ValueError, match="share is 2"):
        balanced_interval(["Yes", "No"], [True, False], share=2)


def test_calibration_error() -> None:
    assert expected_calibration_error([0.8] * 5, [True, True, True, True, False]) == pytest.approx(0.0)
    assert expected_calibration_error([1.0, 1.0], [False, False]) == pytest.approx(1.0)
    # Two bins: |0.9 - 0.5| and |0.6 - 1|, equally filled.
    assert expected_calibration_error([0.9, 0.9, 0.6, 0.6], [1, 0, 1, 1], bins=10) == pytest.approx(0.4)  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"expected \[0, 1\]"):
        expected_calibration_error([1.2], [True])
