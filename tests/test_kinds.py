"""Kinds of events: names keep to their limits and their file; the training is honest about what it has seen."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from chat_fakes import one_event

from chat.facts import kind_in_words, kind_note
from training.temporal import kinds as study
from training.temporal.kinds import TAKES, Study, Window, fold_of, limit, main, of_clips, read_folder, temperature
from tvad.evidence import Event, Evidence
from tvad.kinds import ALONE, FILE, UNSPECIFIED, Kind, Kinds, KindsError, parts
from tvad.presets import get_preset
from tvad.temporal.snippets import DIM
from tvad.weights import MissingWeights

NAMES = ("normal", "falling", "fighting")
FIRST, LAST = 417, 445


def kinds(named_from: tuple[float | None, ...] = (None, None, 0.7)) -> Kinds:
    """It looks at the first number: above 0 it is fighting, below falling."""
    weight = np.zeros((3, LAST - FIRST), np.float32)
    weight[1, 0], weight[2, 0] = -2.0, 2.0
    width = LAST - FIRST
    return Kinds(NAMES, (FIRST, LAST), np.zeros(width), np.ones(width), weight, np.zeros(3), named_from)


def rows(*values: float) -> np.ndarray:
    out = np.zeros((len(values), DIM), np.float32)
    out[:, FIRST] = values
    return out


def test_a_name_is_given_from_its_limit_on_and_to_no_class_without_one() -> None:
    own = kinds()
    probs = own.probs(rows(0.0, 2.0, -2.0))
    assert probs.sum(1).tolist() == pytest.approx([1.0] * 3)
    assert own.of(own.probs(rows(2.0))).name == "fighting"
    # Likeliest, but below the limit; and likeliest, but of a class that is never named.
    weak = own.of(own.probs(rows(0.3)))
    assert weak.name == UNSPECIFIED and dict(weak.probs)["fighting"] > 0.4
    assert own.of(own.probs(rows(-5.0))).name == UNSPECIFIED
    assert kinds((None, 0.5, 0.7)).of(own.probs(rows(-5.0))).name == "falling"
    assert own.of(own.probs(rows(0.0))).name == UNSPECIFIED  # normal is no kind of event


def test_of_a_long_stretch_the_part_that_looks_most_like_a_class_counts() -> None:
    own = kinds()
    assert [(p.start, p.stop) for p in parts(9)] == [(0, 4), (4, 9)] and parts(1) == [slice(0, 1)]
    assert own.of(own.probs(rows(0, 0, 0, 0, 2, 2, 2, 2))).name == "fighting"
    assert own.of(own.probs(rows(0, 0, 0, 2, 0, 0, 0, 0))).name == UNSPECIFIED


TWO = 500  # the column of how many there are


def test_a_class_that_takes_two_is_unlikely_where_fewer_are_seen() -> None:
    own = replace(kinds(), takes=((2, TWO, 1.1),))
    assert own.reads == TWO + 1 and kinds().reads == LAST
    alone, both = rows(2.0, 2.0, 2.0, 2.0), rows(2.0, 2.0, 2.0, 2.0)
    both[:, TWO] = 2.0
    np.testing.assert_array_equal(own.probs(both), kinds().probs(both))
    assert own.probs(alone)[:, 2] == pytest.approx([ALONE] * 4) and own.probs(alone).sum(1) == pytest.approx([1.0] * 4)
    assert own.of(own.probs(both)).name == "fighting" and own.of(own.probs(alone)).name == UNSPECIFIED
    few = rows(-2.0)  # falling, and less likely a fight than that anyway
    np.testing.assert_array_equal(own.probs(few), kinds().probs(few))
    most = both.copy()
    most[0, TWO] = 0.0  # of four snippets in one
    assert own.of(own.probs(most)).name == "fighting"
    with pytest.raises(KindsError, match="numbers of classes from 1 to 2"):
        replace(kinds(), takes=((3, TWO, 1.1),))


def test_a_file_comes_back_and_another_is_refused(tmp_path: Path) -> None:
    own = kinds()
    own.save(tmp_path)
    again = Kinds.load(tmp_path)
    x = np.random.default_rng(0).normal(size=(5, DIM)).astype(np.float32)
    assert np.allclose(again.probs(x), own.probs(x), atol=1e-6) and again.named_from == own.named_from
    assert sorted(p.name for p in tmp_path.iterdir()) == [FILE] and again.takes == ()
    two = replace(own, takes=((2, TWO, 1.1),))
    two.save(tmp_path)
    assert Kinds.load(tmp_path).takes == two.takes
    with pytest.raises(MissingWeights, match="makes one"):
        Kinds.load(tmp_path / "none")
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-9])
    with pytest.raises(KindsError, match="no kinds that can be read"):
        Kinds.load(tmp_path)
    with pytest.raises(KindsError, match="expected"):
        Kinds(NAMES, (0, 2), np.zeros(2), np.ones(2), np.zeros((3, 3)), np.zeros(3), (None, None, None))


def test_the_shipped_ones_name_nothing_that_stands_still() -> None:
    own = Kinds.load(get_preset("mini").head)
    assert own.names[0] == "normal" and len(own.names) > 2 and own.named_from[0] is None
    assert any(at is not None for at in own.named_from)
    assert own.of(own.probs(np.zeros((4, DIM), np.float32))).name == UNSPECIFIED
    ((kind, column, least),) = own.takes
    assert own.names[kind] == "fighting" and (column, least) == TAKES["fighting"]


# Training


def windows(label: str, value: float, count: int, seed: int, group: str = "") -> list[Window]:
    dice = np.random.default_rng(seed)
    return [Window(label, group or f"{label}{n:02}", "0", rows(*(value + dice.normal(size=4)))) for n in range(count)]


def test_folds_keep_a_group_together() -> None:
    many = [*windows("normal", 0, 10, 0), *windows("falling", -3, 4, 1, "a"), *windows("falling", -3, 4, 2, "b")]
    fold = fold_of(many, 5)
    assert fold[:10].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert len(set(fold[10:14])) == len(set(fold[14:])) == 1 and fold[10] != fold[14]


def test_what_can_be_told_apart_is_named_and_a_class_of_one_group_is_none() -> None:
    many = [*windows("normal", -2, 60, 0), *windows("fighting", 2, 60, 1), *windows("fire", -4, 8, 2, "one")]
    found = Study.of(many, slice(FIRST, LAST), 5)
    assert found.names == ("normal", "fighting")
    given, right = found.nested()[:, 1], found.right(1)
    assert right.sum() == 60 and (given & right).sum() > 50 and (given & ~right).sum() < 10
    own = found.kinds()
    assert own.of(own.probs(rows(2.0, 2.0))).name == "fighting" and own.of(own.probs(rows(-2.0))).name == UNSPECIFIED


def test_nobody_fights_alone() -> None:
    many = [*windows("normal", -2, 60, 0), *windows("fighting", 2, 60, 1)]
    column, least = TAKES["fighting"]
    for n, w in enumerate(many):
        w.rows[:, column] = 2.0 if n % 4 else 0.0
    found = Study.of(many, slice(FIRST, DIM), 5)
    assert found.takes() == ((1, column, least),) and found.kinds().takes == found.takes()
    two = np.array([w.rows[0, column] == 2.0 for w in many])
    named = found.nested()[:, 1]
    clips = of_clips(two.astype(float), found.clips) > 0
    assert named[clips & found.right(1)].mean() > 0.8 and not named[~clips].any()
    assert Study.of(many, slice(FIRST, LAST), 5).takes() == ()  # which cannot see how many there are


def test_what_cannot_be_told_apart_is_never_named() -> None:
    many = [*windows("normal", 0, 60, 0), *windows("fighting", 0, 60, 1)]
    found = Study.of(many, slice(FIRST, LAST), 5)
    assert found.kinds().named_from == (None, None) and not found.nested().any()


def test_limits_and_temperatures() -> None:
    scores = np.linspace(0.99, 0.5, 50)
    right = np.ones(50, bool)
    right[30:] = False
    at = limit(scores, right, 0.8)
    assert at is not None and 30 / (scores >= at).sum() >= 0.8 and 30 / ((scores >= at).sum() + 1) < 0.8
    assert limit(scores[:10], right[:10], 0.8) is None  # ten clips prove nothing
    assert limit(np.zeros(50), right, 0.8) is None
    assert of_clips(np.array([0.2, 0.9, 0.4]), np.array([0, 1, 0])).tolist() == [0.4, 0.9]
    y = np.array([0, 1] * 50)
    sure = np.stack([np.where(y == 0, 4.0, 0.0), np.where(y == 1, 4.0, 0.0)], 1)
    sure[::5] = sure[::5, ::-1]  # one in five is wrong: odds of 4, not of e^4
    assert temperature(sure, y) == pytest.approx(4 / np.log(4), rel=0.03)


def test_kinds_of_folds_have_not_seen_their_clips(tmp_path: Path) -> None:
    for label, value in (("normal", -2.0), ("fighting", 2.0)):
        for n, window in enumerate(windows(label, value, 40, int(value) + 9)):
            window.rows[:, TAKES["fighting"][0]] = 2.0
            for folder in ("K", "F"):
                (tmp_path / folder / label).mkdir(parents=True, exist_ok=True)
                np.save(tmp_path / folder / label / f"{label[0]}{n:02}.npy", window.rows)
    assert main([str(tmp_path / "K"), "--into", str(tmp_path), str(tmp_path / "F")]) == 2  # no heads there
    for n in range(4):
        (tmp_path / f"fold{n}").mkdir()
    assert main([str(tmp_path / "K"), "--into", str(tmp_path), str(tmp_path / "F")]) == 0
    own = [Kinds.load(tmp_path / f"fold{n}") for n in range(4)]
    assert all("'normal': 30, 'fighting': 30" in kinds.about for kinds in own)
    assert len({kinds.weight.tobytes() for kinds in own}) == 4


def test_the_command_prints_figures_and_writes_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label, value in (("normal", -2.0), ("fighting", 2.0)):
        (tmp_path / "K" / label).mkdir(parents=True)
        for n, window in enumerate(
            windows(label, value, 40, int(value)) if value > 0 else windows(label, value, 40, 7)
        ):
            window.rows[:, TAKES["fighting"][0]] = 2.0
            np.save(tmp_path / "K" / label / f"{n}.npy", window.rows)
    assert main([str(tmp_path / "K"), "--elsewhere", str(tmp_path / "K/normal"), "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "fighting: 40 clips; named from" in said and "normal: 40 windows; named:" in said
    assert Kinds.load(tmp_path / "run").names == ("normal", "fighting")
    assert main([str(tmp_path / "run")]) == 2 and "no features that can be read" in capsys.readouterr().err
    with pytest.raises(ValueError, match="expected a folder 'normal'"):
        read_folder(tmp_path / "K" / "normal")
    assert study.STRENGTH > 0


# What is said of it


def event(kind: str = UNSPECIFIED, category: str = "unusual movement") -> Event:
    return Event(1, 0.0, 2.0, 1.0, 0.6, category, (), ("head",), kind, {"normal": 0.1, "fighting": 0.9})


def test_words_for_a_kind() -> None:
    assert kind_in_words(event("fighting", "fighting")) == "fighting (90%)"
    assert kind_in_words(event()) == "unusual movement (kind unspecified)"
    assert kind_in_words(event("fighting", "bicycle")) == "bicycle"


def test_evidence_keeps_it_and_older_evidence_has_none() -> None:
    raw = json.loads(one_event().to_json())
    raw |= {"kind": "fighting", "class_probs": {"normal": 0.2, "fighting": 0.8}}
    again = Evidence.from_json(json.dumps(raw))
    fallen = replace(again, kind="falling", class_probs={"normal": 0.1, "falling": 0.9})
    assert kind_note(fallen) == "[From the evidence: somebody falls (90%).]"
    assert again.kind == "fighting" and kind_note(again).endswith("looks like fighting (80%).]")
    del raw["kind"], raw["class_probs"]
    old = Evidence.from_json(json.dumps(raw))
    assert old.kind == UNSPECIFIED and kind_note(old) == "" and Kind().probs == ()
    with pytest.raises(ValueError, match="class_probs"):
        Evidence.from_json(json.dumps(raw | {"class_probs": {"normal": "much"}}))
