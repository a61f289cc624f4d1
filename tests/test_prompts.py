"""Prompts: three nested levels, the order of which says nothing, and words of one's own."""

import warnings
from collections.abc import Sequence

import numpy as np
import pytest

from heatmap.prompts import (
    ABSENT,
    ENSEMBLE,
    EVENTS,
    GROUND,
    ORDINARY,
    PLAIN,
    PRESENT,
    SCENES,
    Templates,
    Text,
    sentences,
    stacked,
)
from training.datasets.truth import ANOMALIES


def by_letters(phrases: Sequence[str]) -> np.ndarray:
    """(N, 26) counts of letters: a text encoder of a kind."""
    return np.array([[p.lower().count(chr(97 + i)) for i in range(26)] for p in phrases], np.float32) + 0.01


def test_every_kind_of_the_data_has_phrases() -> None:
    assert set(EVENTS) == set(ANOMALIES)
    assert all(phrases and all(p.strip() for p in phrases) for phrases in EVENTS.values())


def test_the_ensemble_has_the_paper_s_counts() -> None:
    assert (len(ABSENT), len(PRESENT), len(SCENES)) == (7, 7, 5)
    said = sentences("fire", PRESENT, SCENES)
    assert len(set(said)) == 35
    assert all("fire" in s and "{" not in s for s in said)


def test_a_side_is_the_mean_of_all_its_sentences_in_any_order() -> None:
    words = ("fire", "fight", "car")
    text = Text.of(by_letters, words, pooled=True)
    every = [s for w in words for s in sentences(w, PRESENT, SCENES)]
    mean = by_letters(every).astype(np.float64).mean(0)
    assert text.abnormal[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-6)
    shuffled = Templates(ABSENT[::-1], PRESENT[::-1], ENSEMBLE.usual, SCENES[::-1])
    again = Text.of(by_letters, words[::-1], templates=shuffled, pooled=True)
    assert again.abnormal == pytest.approx(text.abnormal, abs=1e-6)
    assert again.normal == pytest.approx(text.normal, abs=1e-6)


def test_one_vector_a_word_and_defaults() -> None:
    text = Text.of(by_letters, templates=PLAIN)
    assert text.abnormal.shape == (len(EVENTS) + 1, 26)
    assert text.normal.shape == (len(ORDINARY), 26)
    assert np.linalg.norm(text.normal, axis=1) == pytest.approx(1, abs=1e-5)
    own = Text.of(by_letters, ("wheelchair",), ("dog", "cat"), PLAIN)
    assert own.abnormal == pytest.approx(
        by_letters(["wheelchair"]) / np.linalg.norm(by_letters(["wheelchair"])), abs=1e-6
    )
    assert own.normal.shape == (2 + len(GROUND), 26)  # an empty place is normal, whatever else one calls so
    assert Text.of(by_letters, ("wheelchair",), ("dog",)).normal.shape == (2, 26)  # "dog", and "no wheelchair"


def test_sides_that_are_alike_are_reported() -> None:
    with pytest.warns(RuntimeWarning, match="nearly the same"):
        Text.of(by_letters, GROUND, GROUND[::-1], PLAIN)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Text.of(by_letters, ("dog",), ("umbrella",), PLAIN)


def test_blank_words_are_refused() -> None:
    with pytest.raises(ValueError, match="an empty word"):
        Text.of(by_letters, ("fire", " "))


def test_texts_of_a_batch_are_padded() -> None:
    texts = [Text.of(by_letters, ("fire",), ("dog", "cat"), PLAIN), Text.of(by_letters, ("a", "b", "c"), ("d",), PLAIN)]
    vectors, words = stacked(texts)
    assert vectors.shape == (2, 2, 4, 26) and words.shape == (2, 2, 4)
    assert words.sum(-1).tolist() == [[4, 1], [3, 3]]
    assert (vectors[~words] == 0).all()
    assert vectors[1, 1, :3] == pytest.approx(texts[1].abnormal)
