"""What stands before a head: columns are chosen, numbers are of one size, and a saved head keeps both."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from temporal_fakes import QUICK, SMALL, WIDTH, made, quiet

from training.temporal.batches import FeatureStore
from training.temporal.command import parse
from training.temporal.evaluate import score_video
from training.temporal.loop import Plan, fit, groups_of
from tvad.temporal.reading import Reading, ReadingConfig, ReadingHead, inner, width_of
from tvad.temporal.registry import HEADS, HeadError, load_head, make_head, name_of, save_head
from tvad.temporal.text import random_text

COLUMNS = ((0, 2), (10, 16))  # 8 of 16
ROWS = np.random.default_rng(0).normal(3.0, np.arange(1, WIDTH + 1), (400, WIDTH)).astype(np.float32)
NAMES = ("normal", "fight", "fire")


def behind(name: str, project: int = 0) -> ReadingHead:
    torch.manual_seed(0)
    reading = Reading(ReadingConfig(WIDTH, COLUMNS, project=project))
    reading.learn(ROWS)
    text = random_text(NAMES, 12) if HEADS[name].text else None
    return ReadingHead(reading, make_head(name, reading.config.out, NAMES, text, **SMALL[name]))


def test_what_is_read_has_mean_0_and_deviation_1_and_is_zero_on_padding() -> None:
    reading = Reading(ReadingConfig(WIDTH, COLUMNS, clip=3.0))
    reading.learn(ROWS)
    mask = torch.ones(1, len(ROWS), dtype=torch.bool)
    mask[:, 300:] = False
    found = reading(torch.from_numpy(ROWS)[None], mask)[0]
    assert found.shape == (400, 8) and not found[300:].any() and found.abs().max() <= 3.0
    assert found[:300].mean(0).abs().max() < 0.2 and (found[:300].std(0) - 1).abs().max() < 0.15


def test_a_number_that_never_changes_tells_nothing() -> None:
    reading = Reading(ReadingConfig(2))
    reading.learn(np.array([[1.0, 5.0], [3.0, 5.0]]))
    found = reading(torch.tensor([[[2.0, 5.0]]]), torch.ones(1, 1, dtype=torch.bool))
    assert found.tolist() == [[[0.0, 0.0]]]


@pytest.mark.parametrize("name", ["mil_ranking", "vadclip"])
def test_columns_that_are_not_read_change_nothing(name: str) -> None:
    head = behind(name, project=16).eval()
    x, mask = torch.from_numpy(ROWS[:12]).reshape(2, 6, WIDTH), torch.ones(2, 6, dtype=torch.bool)
    other, seen = x.clone(), x.clone()
    other[..., 2:10] += 100
    seen[..., 0] += 1
    with torch.no_grad():
        scores = head(x, mask).scores
        assert torch.equal(head(other, mask).scores, scores)
        assert not torch.equal(head(seen, mask).scores, scores)


@pytest.mark.parametrize("name", HEADS)
def test_a_saved_head_keeps_its_reading(name: str, tmp_path: Path) -> None:
    head = behind(name, project=16).eval()
    save_head(head, tmp_path, NAMES)
    saved = load_head(tmp_path)
    x, mask = torch.from_numpy(ROWS[:12]).reshape(2, 6, WIDTH), torch.ones(2, 6, dtype=torch.bool)
    assert saved.name == name == name_of(saved.head) and width_of(saved.head) == WIDTH
    with torch.no_grad():
        assert torch.allclose(saved.head(x, mask).scores, head(x, mask).scores, atol=1e-6)


def test_a_reading_that_was_lost_or_changed_is_told(tmp_path: Path) -> None:
    save_head(behind("mil_ranking"), tmp_path, NAMES)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({k: v for k, v in weights.items() if k != "reading.mean"}, tmp_path / "model.safetensors")
    with pytest.raises(HeadError, match="mean is missing"):
        load_head(tmp_path)
    save_file(weights, tmp_path / "model.safetensors")
    raw = json.loads((tmp_path / "config.json").read_text())
    raw["reading"]["columns"] = [[0, 40]]
    (tmp_path / "config.json").write_text(json.dumps(raw))
    with pytest.raises(HeadError, match="end <= 16"):
        load_head(tmp_path)


def test_what_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected \\(start, end\\)"):
        ReadingConfig(8, ((4, 9),))
    with pytest.raises(ValueError, match="clip is 0"):
        ReadingConfig(8, clip=0)
    with pytest.raises(ValueError, match="rows of 16"):
        Reading(ReadingConfig(16)).learn(np.zeros((4, 8)))
    with pytest.raises(ValueError, match="its reading gives 8"):
        ReadingHead(Reading(ReadingConfig(WIDTH, COLUMNS)), make_head("mil_ranking", 4))


def test_a_map_is_trained_with_a_head_that_has_groups_of_its_own() -> None:
    head = behind("dsanet", project=16)
    learned = {id(p) for group in groups_of(head, QUICK) for p in group["params"]}
    assert {id(p) for p in head.reading.parameters()} <= learned
    assert learned == {id(p) for p in head.parameters() if p.requires_grad}
    assert len(groups_of(inner(head), QUICK)) < len(groups_of(head, QUICK))


def test_training_behind_a_reading_goes_on_where_it_was(tmp_path: Path) -> None:
    store = FeatureStore(made(tmp_path / "data"))
    plan = Plan("mil_ranking", SMALL["mil_ranking"], "random", {"columns": COLUMNS, "project": 4})
    whole = fit(plan, store, None, tmp_path / "a", QUICK, quiet)
    fit(plan, store, None, tmp_path / "b", QUICK, quiet, stop_at=4)
    halved = fit(plan, store, None, tmp_path / "b", QUICK, quiet)
    video = store.videos[0]
    assert np.array_equal(
        score_video(whole.head, store.whole(video)).scores, score_video(halved.head, store.whole(video)).scores
    )
    with pytest.raises(ValueError, match="with another"):
        fit(Plan("mil_ranking", plan.settings, "random"), store, None, tmp_path / "b", QUICK, quiet)


def test_flags_of_the_reading() -> None:
    base = ["--head", "vadclip", "--data", ".", "--out", "."]
    assert parse(base).reading is None
    assert parse([*base, "--standard"]).reading == {"columns": (), "project": 0}
    given = parse([*base, "--columns", "0:2", "10:16", "--project", "64"])
    assert given.reading == {"columns": COLUMNS, "project": 64}


@pytest.mark.parametrize("wrong", ["2", "5:3", "a:b", "-1:4"])
def test_bad_columns_are_told(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--head", "vadclip", "--data", ".", "--out", ".", f"--columns={wrong}"])
    assert "for example 376:445" in capsys.readouterr().err
