"""Figures of answers: BLEU-4, yes or no, balanced accuracy with its interval, calibration. Pure functions.

BLEU is that of sacreBLEU (Post 2018) with tokeniser 13a, lower case and smoothing "exp"; a published figure without its
signature cannot be compared.

Next: training/metrics.py
"""

import math
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MAX_N = 4
BINS = 15


# --- BLEU ---------------------------------------------------------------------------------------------------------

# Punctuation of ASCII that stands alone whatever is around it: all but . , - ' (mteval-v13a).
_ALONE = re.compile(r"([!-&(-+/:-@\[-`{-~])")
_STOP_AFTER_TEXT = re.compile(r"([^0-9])([.,])")
_STOP_BEFORE_TEXT = re.compile(r"([.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile(r"([0-9])(-)")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))


def tokens_13a(text: str) -> list[str]:
    """Words and punctuation of a text as mteval-v13a cuts them; case is kept."""
    line = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in _ENTITIES:
        line = line.replace(entity, sign)
    line = _ALONE.sub(r" \1 ", f" {line} ")
    line = _STOP_AFTER_TEXT.sub(r"\1 \2 ", line)
    line = _STOP_BEFORE_TEXT.sub(r" \1 \2", line)
    return _DASH_AFTER_DIGIT.sub(r"\1 \2 ", line).split()


@dataclass(frozen=True)
class Bleu:
    """score in [0, 100]; precisions of 1- to 4-grams in [0, 100]; brevity: the penalty in [0, 1]; signature: how it was
    measured, to be stored with the score."""

    score: float
    precisions: tuple[float, ...]
    brevity: float
    signature: str


def corpus_bleu(answers: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool = True) -> Bleu:
    """BLEU-4 of a corpus: one answer and one or more references each; a missing answer is "".

    References count together: an n-gram matches as often as in the reference that has it most; the length is that of
    the closest one, the shorter of two as close. Answers of fewer than 4 words have no 4-gram and lower the score.
    Raises ValueError for an empty corpus, other lengths, or an answer without a reference.
    """
    _check_corpus(answers, references)
    parts = [_counted(answer, texts, lowercase) for answer, texts in zip(answers, references, strict=True)]
    matches = [sum(p.matches[n] for p in parts) for n in range(MAX_N)]
    totals = [sum(p.totals[n] for p in parts) for n in range(MAX_N)]
    length, wanted = sum(p.length for p in parts), sum(p.wanted for p in parts)
    precisions = _precisions(matches, totals)
    brevity, score = _brevity(length, wanted), 0.0
    if min(precisions) > 0:
        score = brevity * math.exp(sum(math.log(p) for p in precisions) / MAX_N)
    counts = {len(texts) for texts in references}
    nrefs = str(counts.pop()) if len(counts) == 1 else "var"
    case = "lc" if lowercase else "mixed"
    return Bleu(score, precisions, brevity, f"nrefs:{nrefs}|case:{case}|eff:no|tok:13a|smooth:exp|tvad")


def sentence_bleu(answers: Sequence[str], references: Sequence[Sequence[str]], lowercase: bool = True) -> float:
    """Mean over answers of each one's own BLEU-4 in [0, 100], smoothed by method 4 of Chen & Cherry (2014) as nltk has
    it. The second figure beside `corpus_bleu`, with its arguments and errors: an answer of three words is not 0."""
    _check_corpus(answers, references)
    scores = []
    for answer, texts in zip(answers, references, strict=True):
        own, total, missing = _counted(answer, texts, lowercase), 0.0, 0
        for right, count in zip(own.matches, own.totals, strict=True):
            share = float(right)
            if not right and own.length > 1:
                missing += 1
                share = math.log(own.length) / (5 * 2**missing)
            total += math.log(share / max(1, count)) / MAX_N if share else 0.0
        scores.append(100 * _brevity(own.length, own.wanted) * math.exp(total) if own.matches[0] else 0.0)
    return float(np.mean(scores))


class _Counted(NamedTuple):
    """n-grams of one answer that are in a reference and all of its n-grams, n from 1 to MAX_N; its words, and those of
    the closest reference."""

    matches: tuple[int, ...]
    totals: tuple[int, ...]
    length: int
    wanted: int


def _check_corpus(answers: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not answers or len(answers) != len(references) or not all(references):
        raise ValueError(f"{len(answers)} answers, {len(references)} lists of references; expected one list for each")


def _counted(answer: str, texts: Sequence[str], lowercase: bool) -> _Counted:
    own = _tokens(answer, lowercase)
    others = [_tokens(text, lowercase) for text in texts]
    matches, totals = [], []
    for n in range(1, MAX_N + 1):
        grams = _grams(own, n)
        most: Counter[tuple[str, ...]] = Counter()
        for other in others:
            most |= _grams(other, n)
        matches.append((grams & most).total())
        totals.append(grams.total())
    wanted = min((len(o) for o in others), key=lambda n: (abs(n - len(own)), n))
    return _Counted(tuple(matches), tuple(totals), len(own), wanted)


def _brevity(length: int, wanted: int) -> float:
    return 1.0 if length >= wanted else math.exp(1 - wanted / length) if length else 0.0


def _tokens(text: str, lowercase: bool) -> list[str]:
    return tokens_13a(text.lower() if lowercase else text)


def _grams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _precisions(matches: Sequence[int], totals: Sequence[int]) -> tuple[float, ...]:
    """In percent. Orders without any match get 1/2, 1/4, ... of one match ("exp"), unless nothing matches at all."""
    if not any(matches):
        return (0.0,) * len(matches)
    out, share = [], 1.0
    for right, total in zip(matches, totals, strict=True):
        if not total:
            out.append(0.0)
        elif right:
            out.append(100 * right / total)
        else:
            share /= 2
            out.append(100 * share / total)
    return tuple(out)


# --- yes or no ----------------------------------------------------------------------------------------------------

_FIRST = re.compile(r"^\W*(yes|no)\b", re.IGNORECASE)
_WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)
_DENIED = re.compile(r"\bno anomal|\bnot any anomal|\bnothing unusual", re.IGNORECASE)
_AFFIRMED = re.compile(r"\bthere is an anomal|\banomalous\b", re.IGNORECASE)


def said_yes(answer: str) -> bool | None:
    """Whether an answer to "is there an anomaly?" says yes; None where it says neither.

    The first word decides, else the earliest "yes" or "no", else a denial ("not any anomaly", "nothing unusual"), else
    an assertion ("there is an anomaly", "anomalous").
    """
    text = answer.strip()
    if m := _FIRST.match(text) or _WORD.search(text):
        return m[1].lower() == "yes"
    if _DENIED.search(text):
        return False
    return True if _AFFIRMED.search(text) else None


@dataclass(frozen=True)
class YesNo:
    """Shares in [0, 1] over all clips: accuracy; sensitivity of anomalous, specificity of normal ones; balanced:
    their mean (NaN where a class is missing); invalid: neither yes nor no, which counts as wrong. n: clips."""

    accuracy: float
    sensitivity: float
    specificity: float
    balanced: float
    invalid: float
    n: int


def yes_no(answers: Sequence[str], truth: Sequence[bool]) -> YesNo:
    """Answers to "is there an anomaly?" against the truth. ValueError for empty or unequal lists."""
    right, positive = _judged(answers, truth)
    sensitivity, specificity = _mean(right[positive]), _mean(right[~positive])
    invalid = float(np.mean([said_yes(answer) is None for answer in answers]))
    balanced = (sensitivity + specificity) / 2
    return YesNo(float(right.mean()), sensitivity, specificity, balanced, invalid, len(right))


def balanced_interval(
    answers: Sequence[str],
    truth: Sequence[bool],
    videos: Sequence[str] | None = None,
    share: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Bootstrap interval of the balanced accuracy (percentiles; Efron & Tibshirani 1993).

    Videos are drawn with replacement, since clips of one video err together; without `videos` each answer is its own.
    Draws that lack a class are drawn again. ValueError where the truth itself lacks one, or for a share outside (0, 1).
    """
    right, positive = _judged(answers, truth)
    if positive.all() or not positive.any():
        raise ValueError(f"all of {len(right)} clips are of one class; an interval needs both")
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; expected between 0 and 1")
    names = np.arange(len(right)) if videos is None else np.unique(np.asarray(videos), return_inverse=True)[1]
    if len(names) != len(right):
        raise ValueError(f"{len(right)} answers, {len(names)} videos; expected one for each")
    n = int(names.max()) + 1
    # Of each video: anomalous clips, those that are right, normal ones, those that are right.
    parts = (positive, positive & right, ~positive, ~positive & right)
    table = np.stack([np.bincount(names, weights=p, minlength=n) for p in parts])
    rng = np.random.default_rng(seed)
    values: list[float] = []
    while len(values) < draws:
        total = table[:, rng.integers(n, size=n)].sum(axis=1)
        if total[0] and total[2]:
            values.append((total[1] / total[0] + total[3] / total[2]) / 2)
    low, high = np.quantile(values, ((1 - share) / 2, (1 + share) / 2))
    return float(low), float(high)


def expected_calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = BINS) -> float:
    """Mean distance between confidence in [0, 1] and the share that is right, over bins of equal width, weighted by
    their counts (Guo et al. 2017). ValueError for empty or unequal lists, and for confidences outside [0, 1]."""
    sure, hits = np.asarray(confidence, np.float64), np.asarray(right, bool)
    if sure.ndim != 1 or sure.shape != hits.shape or not sure.size:
        raise ValueError(f"confidences {sure.shape} and truths {hits.shape}; expected (N,) twice, N above 0")
    if not ((sure >= 0) & (sure <= 1)).all():
        raise ValueError(f"confidences reach from {sure.min()} to {sure.max()}; expected [0, 1]")
    if bins < 1:
        raise ValueError(f"{bins} bins; expected 1 or more")
    # Bins are open below and closed above; 0 itself falls into the first.
    index = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(index, weights=sure - hits, minlength=bins)
    return float(np.abs(gaps).sum() / sure.size)


def _judged(answers: Sequence[str], truth: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    if not len(answers) or len(answers) != len(truth):
        raise ValueError(f"{len(answers)} answers, {len(truth)} truths; expected as many, at least one")
    positive = np.asarray(truth, bool)
    right = np.array([said_yes(a) is not None and said_yes(a) == t for a, t in zip(answers, positive, strict=True)])
    return right, positive


def _mean(values: np.ndarray) -> float:
    if not values.size:
        warnings.warn("one class does not occur; its rate is NaN", stacklevel=3)
        return float("nan")
    return float(values.mean())
