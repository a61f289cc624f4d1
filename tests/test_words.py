"""Words: phrases to classes of the classifier, habits taken out, phrases kept in the cache."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tvad import minilm, words
from tvad.cache import cache_dir
from tvad.classifier import N_CLASSES, class_names
from tvad.minilm import embed
from tvad.words import CLASSES_PER_WORD, MIN_SIMILARITY, REACH, Habit, WordGuide, softmax

BICYCLES = {444, 671, 870}  # bicycle-built-for-two, mountain bike, tricycle


@pytest.fixture(scope="module")
def bicycle() -> WordGuide:
    return WordGuide.of(["bicycle"], [])


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, and nothing remembered of another one."""
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path))
    minilm._known.cache_clear()
    yield tmp_path / "models"
    minilm._known.cache_clear()


def _logits(chosen: Sequence[int], strength: float = 8.0) -> np.ndarray:
    """One look for each chosen class, sure of it."""
    out = np.zeros((len(chosen), N_CLASSES), np.float32)
    out[np.arange(len(chosen)), chosen] = strength
    return out


# From words to classes


def test_bicycle_means_the_classes_of_bicycles(bicycle: WordGuide) -> None:
    assert set(bicycle.classes["bicycle"]) == BICYCLES
    assert bicycle.without_class == () and bicycle.normal == frozenset()


@pytest.mark.parametrize("phrase", ["person riding a bicycle", "Bicycle", "a man on a bicycle"])
def test_a_phrase_means_its_telling_word(phrase: str, bicycle: WordGuide) -> None:
    assert set(WordGuide.of([phrase], []).classes[phrase]) & BICYCLES == BICYCLES


def test_different_words_mean_different_classes() -> None:
    guide = WordGuide.of(["bicycle", "dog"], [])
    assert not set(guide.classes["bicycle"]) & set(guide.classes["dog"])
    assert guide.indices.tolist() == sorted({*guide.classes["bicycle"], *guide.classes["dog"]})


def test_a_word_that_means_nothing_has_no_class() -> None:
    guide = WordGuide.of(["xqzzt", "bicycle"], [])
    assert guide.without_class == ("xqzzt",) and list(guide.classes) == ["bicycle"]


def test_normal_words_take_their_classes_away() -> None:
    guide = WordGuide.of(["bicycle", "umbrella"], ["umbrella"])
    umbrella = next(i for i, own in enumerate(class_names()) if "umbrella" in own)
    assert umbrella in guide.normal and umbrella not in guide.indices
    assert guide.without_class == ("umbrella",) and set(guide.classes) == {"bicycle"}


@pytest.mark.parametrize(("anomaly", "normal"), [(["bicycle", " "], []), (["bicycle"], [""]), ([""], [])])
def test_an_empty_word_is_refused(anomaly: list[str], normal: list[str]) -> None:
    with pytest.raises(ValueError, match="separated by commas"):
        WordGuide.of(anomaly, normal)


def _with_similarities(monkeypatch: pytest.MonkeyPatch, similarity: dict[int, float]) -> None:
    """Every phrase is this much like the first name of these classes, and not like any other."""
    at = {class_names()[i][0]: s for i, s in similarity.items()}

    def fake(phrases: Sequence[str]) -> np.ndarray:
        return np.array([[1.0 if p == "fighting" else at.get(p, 0.0)] for p in phrases], np.float32)

    monkeypatch.setattr(words, "embed", fake)


@pytest.mark.parametrize(("highest", "found"), [(MIN_SIMILARITY - 0.01, False), (MIN_SIMILARITY + 0.01, True)])
def test_a_word_without_a_class_is_reported_only_where_nothing_is_alike(
    monkeypatch: pytest.MonkeyPatch, highest: float, found: bool
) -> None:
    _with_similarities(monkeypatch, {5: highest, 9: 0.2})
    guide = WordGuide.of(["fighting"], [])
    assert guide.classes == ({"fighting": (5,)} if found else {})
    assert guide.without_class == (() if found else ("fighting",))


def test_classes_within_reach_of_the_best_count_best_first(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_similarities(monkeypatch, {3: 0.9 - REACH - 0.01, 5: 0.9 - REACH + 0.01, 7: 0.9})
    assert WordGuide.of(["fighting"], []).classes == {"fighting": (7, 5)}


def test_classes_of_a_word_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    _with_similarities(monkeypatch, dict.fromkeys(range(20, 40), 0.9))
    assert WordGuide.of(["fighting"], []).classes == {"fighting": tuple(range(20, 20 + CLASSES_PER_WORD))}


# From looks to scores


def test_the_score_is_the_log_odds_of_the_words(bicycle: WordGuide) -> None:
    logits = np.random.default_rng(0).normal(0, 3, (4, N_CLASSES)).astype(np.float32)
    chance = softmax(logits)[:, sorted(BICYCLES)].sum(1)
    assert np.allclose(bicycle.score(logits), np.log(chance / (1 - chance)))
    assert np.allclose(softmax(logits).sum(1), 1)


def test_huge_logits_do_not_overflow(bicycle: WordGuide) -> None:
    assert bicycle.score(_logits([671, 0], 5000.0)) == pytest.approx([5000.0 - np.log(997), -5000.0 + np.log(3)])


def test_without_words_nothing_is_probable() -> None:
    assert np.isneginf(WordGuide({}, frozenset(), ()).score(_logits([1, 2]))).all()


def test_the_best_word_of_several_looks() -> None:
    guide = WordGuide({"bicycle": (444, 671), "dog": (200, 201)}, frozenset(), ())
    assert guide.best_word(_logits([671, 671, 200], 20.0)) == ("bicycle", pytest.approx(2 / 3, abs=1e-4))
    assert guide.best_word(_logits([201, 671, 200], 20.0)) == ("dog", pytest.approx(2 / 3, abs=1e-4))


# Habits


def _habit_of(things: Sequence[np.ndarray]) -> Habit:
    habit = Habit.empty()
    for thing in things:
        habit.add(thing)
    return habit


def test_a_class_seen_in_everything_loses_its_meaning() -> None:
    pedestrians = [_logits([671] * 4) for _ in range(40)]
    habit = _habit_of(pedestrians)
    guide = WordGuide({"bicycle": (671,)}, frozenset(), ())
    before = guide.score(pedestrians[0]).mean()
    after = guide.score(habit.corrected(pedestrians[0])).mean()
    assert before > np.log(0.5) > np.log(0.1) > after


def test_a_class_seen_once_keeps_its_meaning() -> None:
    things = [_logits([671] * 4), *(_logits([400] * 4) for _ in range(40))]
    habit = _habit_of(things)
    guide = WordGuide({"bicycle": (671,)}, frozenset(), ())
    assert guide.score(habit.corrected(things[0])).mean() > guide.score(things[0]).mean()
    assert guide.score(habit.corrected(things[1])).max() < np.log(0.1)


def test_a_thing_is_no_habit_of_its_own() -> None:
    own = _logits([671] * 20)
    others = [_logits([400, 401]) for _ in range(5)]
    with_it, without_it = _habit_of([*others, own]), _habit_of(others)
    count = without_it.looks
    prior = (without_it.total + words.UNIFORM_LOOKS / N_CLASSES) / (count + words.UNIFORM_LOOKS)
    assert np.allclose(with_it.corrected(own), own - np.log(prior + words.FLOOR))


def test_a_lone_thing_is_left_as_it_is() -> None:
    own = _logits([671, 3])
    corrected = _habit_of([own]).corrected(own)
    assert np.allclose(softmax(corrected), softmax(own), atol=1e-6)


# The cache of phrases


def test_phrases_are_unit_vectors_near_what_they_mean() -> None:
    bike, bicycle, fish = embed(["mountain bike", "bicycle", "goldfish"])
    assert np.linalg.norm(bike) == pytest.approx(1, abs=1e-4) and bike.shape == (minilm.WIDTH,)
    assert bike @ bicycle > 0.6 > 0.4 > bike @ fish


def test_no_phrases_are_no_vectors() -> None:
    assert embed([]).shape == (0, minilm.WIDTH)


def test_order_repeats_and_company_do_not_matter(own_cache: Path) -> None:
    alone = embed(["a red car"])[0]
    minilm._known.cache_clear()
    (own_cache / minilm._path().name).unlink()
    several = embed(["goldfish", "a red car", "a much longer phrase with many words", "a red car"])
    assert np.allclose(several[1], alone, atol=1e-5) and np.array_equal(several[1], several[3])
    assert not np.allclose(several[0], alone, atol=0.1)


def _no_model(phrases: Sequence[str]) -> np.ndarray:
    raise AssertionError(f"{list(phrases)} should have come from the cache")


def test_phrases_are_computed_once(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed(["bicycle", "goldfish"])
    minilm._known.cache_clear()  # as in the next process
    monkeypatch.setattr(minilm, "_encode", _no_model)
    assert np.array_equal(embed(["goldfish", "bicycle"]), first[::-1])
    with pytest.raises(AssertionError, match="umbrella"):
        embed(["umbrella"])


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _scribble(path: Path) -> None:
    path.write_bytes(b"no archive")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))


def _other_arrays(path: Path) -> None:
    np.savez(path, other=np.zeros(3))


def _other_width(path: Path) -> None:
    np.savez(path, phrases=np.array(["bicycle"]), vectors=np.ones((1, 3), np.float32))


def _not_finite(path: Path) -> None:
    np.savez(path, phrases=np.array(["bicycle"]), vectors=np.full((1, minilm.WIDTH), np.nan, np.float32))


@pytest.mark.parametrize(
    "damage", [_truncate, _scribble, _empty, _flip, _other_arrays, _other_width, _not_finite], ids=lambda f: f.__name__
)
def test_a_damaged_cache_is_computed_again(own_cache: Path, damage: object) -> None:
    sound = embed(["bicycle", "goldfish"])
    path = own_cache / minilm._path().name
    assert path.is_file() and path.is_relative_to(cache_dir())
    damage(path)  # type: ignore[operator]
    minilm._known.cache_clear()
    assert np.allclose(embed(["bicycle", "goldfish"]), sound, atol=1e-5)
    minilm._known.cache_clear()
    assert set(minilm._known()) == {"bicycle", "goldfish"}  # and it is whole again


def test_a_cache_that_cannot_be_written_costs_time_only(own_cache: Path) -> None:
    own_cache.write_text("a file where the folder should be")
    assert embed(["bicycle"]).shape == (1, minilm.WIDTH)


def test_class_names_are_those_that_timm_gives() -> None:
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    assert len(class_names()) == N_CLASSES
    assert [", ".join(names) for names in class_names()] == [info.index_to_description(i) for i in range(N_CLASSES)]


def test_class_names_load_no_torch() -> None:
    code = "import sys, tvad.classifier; tvad.classifier.class_names(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[1]).returncode == 0
