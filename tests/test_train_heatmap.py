"""Training of the heat decoder: what is cached, what is asked, and runs that survive being killed."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import decoder_fakes as fakes
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from heatmap.prompts import EVENTS, ORDINARY
from training.heatmap import words
from training.heatmap.data import Augment, Folder, as_batch, augmented, batch_at
from training.heatmap.evaluate import evaluate_cached
from training.heatmap.features import RUN, RUNS, CachedClip, Moment, cached, choose_runs
from training.heatmap.loop import STATE_FILE, TrainConfig, fit
from training.heatmap.model import mini_config, new_decoder
from training.heatmap.selection import levels_of, selection
from training.heatmap.words import general
from training.metrics import auc
from tvad.decoder_taps import MOTION

QUICK = TrainConfig(steps=6, clips=2, every=2, log_every=2, lr=3e-3, threads=1)
SMALL = mini_config(hidden=8, context=3)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    yield from fakes.without_network(monkeypatch)
    torch.set_num_threads(threads)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(4):
        fakes.clip(i, anomalous=i % 2 == 0).save(tmp_path / "data" / "train" / f"{i}.safetensors")
    for i in range(4):
        fakes.clip(10 + i, i % 2 == 0, real=i == 3).save(tmp_path / "data" / "validation" / f"{i}.safetensors")
    return tmp_path / "data"


# What is cached


def drawn(frames: int = 28) -> Iterator[Moment]:
    """A textured place, something dark that walks slowly (1) and something bright that passes fast (2)."""
    rng = np.random.default_rng(0)
    place = cv2.resize(rng.integers(110, 180, (12, 16, 3), np.uint8), (192, 128), interpolation=cv2.INTER_CUBIC)
    for i in range(frames):
        frame, ids = place.copy(), np.zeros(place.shape[:2], np.uint8)
        for identity, x, y, w, h, level in ((1, 20 + i, 40, 12, 30, 20), (2, 6 * i, 90, 30, 20, 250)):
            frame[y : y + h, x : x + w] = level
            ids[y : y + h, x : x + w] = identity
        yield frame, ids, i / 8


def test_a_clip_is_cached_with_its_truth_in_place(tmp_path: Path) -> None:
    truth = fakes.truth((fakes.target(1, "person", None), fakes.target(2, "cyclist", "cycling")))
    clip = cached(drawn(), lambda: truth, real=False)
    assert len(clip.taps) == RUNS * RUN
    h, w = clip.taps.presence.shape[1:]
    assert clip.cover.shape == (2, RUNS * RUN, h, w)
    for i, t in enumerate(clip.taps.times_s.tolist()):
        middle_x = 6 * t * 8 + 15
        if middle_x + 15 < 192:
            ys, xs = np.nonzero(clip.cover[1, i] > 128)
            assert (xs.mean() + 0.5) * 192 / w == pytest.approx(middle_x, abs=192 / w)
            assert (ys.mean() + 0.5) * 128 / h == pytest.approx(100, abs=128 / h)
    late = clip.taps.times_s > 1.5
    on_it = clip.taps.presence.astype(float)[late][clip.cover[1, late] > 128]
    assert on_it.mean() > 0.6  # the watcher found the thing where the truth has it
    speed = clip.taps.motion.astype(float)[late][..., MOTION.index("own speed")]
    assert speed[clip.cover[1, late] > 128].mean() > 1.5 * speed[clip.cover[0, late] > 128].mean() > 0
    assert clip.taps.look.shape == (RUNS * RUN, h, w, 385)
    clip.save(tmp_path / "a.safetensors")
    again = CachedClip.load(tmp_path / "a.safetensors")
    assert again.truth == clip.truth and not again.real
    for a, b in zip(again.taps.arrays(), clip.taps.arrays(), strict=True):
        assert np.array_equal(a, b)
    assert np.array_equal(again.targets(again.anomalous()), clip.targets(clip.anomalous()))


def test_a_file_of_another_kind_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(ValueError, match=r"make it again: python -m training\.heatmap\.features"):
        CachedClip.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize("seed", range(5))
def test_runs_are_whole_apart_and_see_the_anomaly(seed: int) -> None:
    truth = fakes.truth((replace(fakes.target(1, "person", "running"), anomalous_s=((6.0, 6.5),)),))
    times = np.arange(80) / 8
    rows = choose_runs(times, truth, np.random.default_rng(seed)).reshape(RUNS, RUN)
    assert (np.diff(rows, axis=1) == 1).all()
    assert (np.diff(rows[:, 0]) >= RUN).all()
    assert ((times[rows] >= 6.0) & (times[rows] <= 6.5)).any()
    with pytest.raises(ValueError, match="at least 4"):
        choose_runs(times[:3], truth, np.random.default_rng(0))


def test_what_is_small_keeps_its_best_cell() -> None:
    clip = fakes.clip(0, anomalous=True)
    clip.cover[:] = 0
    clip.cover[1, 0, 2, 3], clip.cover[1, 0, 2, 4] = 20, 10
    target = clip.targets(clip.anomalous())
    assert np.argwhere(target).tolist() == [[0, 2, 3]]
    assert not clip.targets(np.zeros((2, 8), bool)).any()


# What is asked


def test_the_general_question_means_what_is_anomalous() -> None:
    clip = fakes.clip(0, anomalous=True)
    asked = words.general(clip)
    assert asked.wanted.tolist() == [[False] * 8, [True] * 8]
    assert asked.normal == ORDINARY and len(asked.anomaly) == len(EVENTS) + 1


def test_words_mean_targets_by_noun_kind_and_action() -> None:
    clip = fakes.clip(0, anomalous=True)
    assert words.meaning("bicycle", clip)[:, 0].tolist() == [False, True]
    assert words.meaning("person walking", clip)[:, 0].tolist() == [True, False]
    assert not words.meaning("fire", clip).any()
    joggers = replace(
        clip, truth=fakes.truth((fakes.target(1, "person", None, "runs for exercise"), clip.truth.targets[1]))
    )
    assert words.meaning("person running", joggers)[:, 0].tolist() == [True, False]


@pytest.mark.parametrize("anomalous", [True, False])
def test_sampled_questions_are_consistent(anomalous: bool) -> None:
    clip = fakes.clip(0, anomalous)
    rng = np.random.default_rng(1)
    kinds = {"general": 0, "excused": 0, "present": 0, "absent": 0}
    for _ in range(150):
        asked = words.sample(clip, rng)
        assert asked.anomaly and asked.normal and asked.wanted.shape == (len(clip.ids), 8)
        meant = np.zeros_like(asked.wanted)
        for word in asked.anomaly:
            meant |= words.meaning(word, clip)
        if len(asked.anomaly) <= words.MOST_WORDS:
            assert np.array_equal(asked.wanted, meant)
            kinds["present" if meant.any() else "absent"] += 1
        elif set(asked.normal) - set(ORDINARY):
            kinds["excused"] += 1
            if any(w in EVENTS["cycling"] for w in asked.normal):
                assert not asked.wanted.any()
        else:
            kinds["general"] += 1
            assert np.array_equal(asked.wanted, clip.anomalous())
    assert min(kinds.values()) > 5
    assert 50 < kinds["general"] < 100


# Batches


def test_batches_depend_on_seed_step_and_part_alone(folder: Path) -> None:
    data = Folder(folder, "train")
    first, again = (batch_at(data, 3, 7, 1, Augment()) for _ in range(2))
    for a, b in zip([*first.taps, *first[1:]], [*again.taps, *again[1:]], strict=True):
        assert torch.equal(a, b)
    other = batch_at(data, 3, 8, 1, Augment())
    assert not torch.equal(other.taps[0], first.taps[0])


def test_half_of_the_clips_are_normal(folder: Path) -> None:
    for i in range(20, 26):
        fakes.clip(i, anomalous=True).save(folder / "train" / f"{i}.safetensors")
    data = Folder(folder, "train")
    assert (len(data.normal), len(data.anomalous)) == (2, 8)
    rng = np.random.default_rng(0)
    share = np.mean([data.draw(rng).anomalous().any() for _ in range(200)])
    assert 0.4 < share < 0.6


def test_the_mirror_turns_pictures_truth_and_directions() -> None:
    clip = fakes.clip(0, anomalous=True)
    plain = as_batch(clip, [words.general(clip)] * 2)
    turned = augmented(plain, np.random.default_rng(0), Augment(mirror=1.0, noise=0, dim=0))
    assert torch.equal(turned.target.flip(3), plain.target)
    assert torch.equal(turned.taps[3].flip(3), plain.taps[3])
    vx, speed = MOTION.index("own vx"), MOTION.index("own speed")
    assert torch.equal(-turned.taps[2].flip(3)[..., vx], plain.taps[2][..., vx])
    assert torch.equal(turned.taps[2].flip(3)[..., speed], plain.taps[2][..., speed])
    assert plain.taps[2][..., vx].abs().sum() > 0


def test_noise_moves_nothing_that_stands() -> None:
    clip = fakes.clip(0, anomalous=True)
    plain = as_batch(clip, [words.general(clip)] * 2)
    noisy = augmented(plain, np.random.default_rng(0), Augment(mirror=0, noise=0.5, dim=0))
    assert not torch.equal(noisy.taps[0], plain.taps[0])
    assert (noisy.taps[2][plain.taps[2] == 0] == 0).all()


def test_an_empty_folder_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"python -m training\.heatmap\.features"):
        Folder(tmp_path, "train")


# Runs


def state_of(out: Path) -> dict[str, list]:
    return {k: v.tolist() for k, v in load_file(out / STATE_FILE).items()}


def test_a_run_learns_and_keeps_the_best(folder: Path, tmp_path: Path) -> None:
    config = replace(QUICK, steps=30, clips=3, every=15, log_every=10)
    held = Folder(folder, "validation")
    before = selection(new_decoder(SMALL), held)
    said: list[str] = []
    best = fit(Folder(folder, "train"), held, tmp_path / "out", config, SMALL, said.append)
    lines = [json.loads(x) for x in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    losses = [x["loss"] for x in lines if "loss" in x]
    assert losses[-1] < losses[0]
    after = selection(best, held)
    assert after.value == pytest.approx(max(x["selection"] for x in lines if "selection" in x), abs=1e-5)
    assert set(after.figures) == {"frames", "cells", "quiet", "words"}
    assert after.figures["cells"] > max(0.9, before.figures["cells"] - 0.05)
    assert any("min left" in line for line in said)
    about = json.loads((tmp_path / "out" / "config.json").read_text())["about"]
    assert about["data"] == {"normal": 2, "anomalous": 2}


def test_cached_clips_are_measured_as_frames_and_cells(folder: Path) -> None:
    held = Folder(folder, "validation")
    figures = evaluate_cached(new_decoder(SMALL), held)
    assert figures["clips"] == 4 and figures["anomalous"] == 2
    labels, levels = [], []
    for path in held.paths:
        clip = CachedClip.load(path)
        levels.append(levels_of(new_decoder(SMALL), clip, general(clip)).ravel())
        labels.append(clip.targets(clip.anomalous()).ravel())
    assert figures["pixel"] == pytest.approx(auc(np.concatenate(levels), np.concatenate(labels)), abs=1e-6)
    assert 0 <= figures["micro"] <= 1


@pytest.mark.parametrize("look_lr", [0.0, 0.5])
def test_what_looks_say_is_kept_unless_asked(folder: Path, tmp_path: Path, look_lr: float) -> None:
    begin = new_decoder(SMALL).state_dict()
    config = replace(QUICK, steps=3, every=3, look_lr=look_lr)
    end = fit(Folder(folder, "train"), None, tmp_path / "out", config, SMALL, lambda line: None).state_dict()
    changed = {name for name in begin if not torch.equal(begin[name], end[name])}
    assert {"projections.0.first.weight", "projections.2.last.weight", "omega"} <= changed
    assert any(name.startswith("projections.3.") for name in changed) == bool(look_lr)


def test_what_cells_look_like_is_kept_where_asked(folder: Path, tmp_path: Path) -> None:
    begin = new_decoder(SMALL).state_dict()
    config = replace(QUICK, steps=3, every=3, appearance_lr=0.0)
    end = fit(Folder(folder, "train"), None, tmp_path / "out", config, SMALL, lambda line: None).state_dict()
    changed = {name for name in begin if not torch.equal(begin[name], end[name])}
    assert "projections.2.first.weight" in changed
    assert all(name.startswith(("projections.2.", "omega")) for name in changed)


@pytest.mark.parametrize("look_lr", [0.0, 0.5])
def test_a_killed_run_goes_on_to_the_same_weights(folder: Path, tmp_path: Path, look_lr: float) -> None:
    config = replace(QUICK, look_lr=look_lr)
    data, held = Folder(folder, "train"), Folder(folder, "validation")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    fit(data, held, whole, config, SMALL, lambda line: None)
    fit(data, held, broken, config, SMALL, lambda line: None, stop_at=3)  # one update after its last save
    (broken / ".state.safetensors.abc.tmp").write_bytes(b"half a file")
    with (broken / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "loss')
    said: list[str] = []
    fit(data, held, broken, config, SMALL, said.append)
    assert "goes on at step 2" in said[0]
    assert state_of(broken) == state_of(whole)
    assert any(k.startswith("optimizer.") and any(np.ravel(v)) for k, v in state_of(whole).items())
    for name in ("model.safetensors", "config.json", "metrics.jsonl"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()


def test_another_run_is_not_gone_on_with(folder: Path, tmp_path: Path) -> None:
    data = Folder(folder, "train")
    fit(data, None, tmp_path / "out", replace(QUICK, steps=2), SMALL, lambda line: None)
    with pytest.raises(ValueError, match="another --out"):
        fit(data, None, tmp_path / "out", replace(QUICK, steps=2, lr=0.5), SMALL, lambda line: None)
    (tmp_path / "out" / STATE_FILE).write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="remove it to start again"):
        fit(data, None, tmp_path / "out", replace(QUICK, steps=2), SMALL, lambda line: None)


def test_the_learning_rate_rises_and_falls() -> None:
    config = TrainConfig(steps=100, lr=1.0, warm_up=0.1)
    rates = [config.lr_at(i) for i in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (i + 1) for i in range(10)])
    assert all(a >= b for a, b in pairwise(rates[9:]))
    assert rates[-1] == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"lr": 0.0}, {"loss": "mse"}, {"look_lr": 2.0}, {"precision": "fp8"}])
def test_wrong_settings_are_named(wrong: dict) -> None:
    (name,) = wrong
    with pytest.raises(ValueError, match="--" + name.replace("_", "-")):
        TrainConfig(**wrong)


def test_the_command_trains_and_names_what_is_missing(folder: Path, tmp_path: Path) -> None:
    from tvad.cli_train import app

    small = ["--steps", "2", "--clips", "1", "--every", "1", "--hidden", "4", "--context", "0", "--threads", "1", "-q"]
    run = CliRunner().invoke(app, ["heatmap", "--data", str(folder), "--out", str(tmp_path / "out"), *small])
    assert run.exit_code == 0, run.output
    assert (tmp_path / "out" / "model.safetensors").is_file()
    run = CliRunner().invoke(app, ["heatmap", "--data", str(tmp_path / "no"), "--out", str(tmp_path / "out"), *small])
    assert run.exit_code == 2
