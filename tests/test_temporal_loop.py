"""Training of temporal heads: rates, runs that survive being killed, early ends, the best head kept."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from temporal_fakes import QUICK, SMALL, WIDTH, made, plan, quiet

from training.datasets.weak import WeakVideo
from training.temporal.batches import FeatureStore, batch_at
from training.temporal.evaluate import selection
from training.temporal.loop import Learner, TemporalTrainConfig, fit, groups_of, identity, in_float, settled
from tvad.temporal.base import HeadOutput
from tvad.temporal.clip_text import LearnedContext
from tvad.temporal.mil_ranking import MilRanking, MilRankingConfig
from tvad.temporal.registry import HEADS, make_head
from tvad.temporal.text import FixedText


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def videos(tmp_path: Path) -> list[WeakVideo]:
    return made(tmp_path / "data")


@pytest.fixture
def held(tmp_path: Path) -> FeatureStore:
    return FeatureStore(made(tmp_path / "held", seed=1), ("normal", "fight", "fire"))


# Configuration


def test_learning_rates() -> None:
    cosine = TemporalTrainConfig(lr=1.0, warm_up=0.1)
    assert [cosine.lr_at(n, 100) for n in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert cosine.lr_at(10, 100) == 1.0 and cosine.lr_at(55, 100) == pytest.approx(0.525)
    assert cosine.lr_at(99, 100) == pytest.approx(0.05, abs=1e-3)
    drops = TemporalTrainConfig(lr=1.0, warm_up=0.0, schedule="drops", drops=(0.4, 0.8))
    assert [drops.lr_at(n, 10) for n in (0, 3, 4, 7, 8, 9)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert TemporalTrainConfig(lr=0.5, warm_up=0.0, schedule="constant").lr_at(7, 10) == 0.5


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"steps": 0}, "steps is 0; it must be at least 1"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0; it must be 0 or more"),
        ({"lr": 0.0}, "lr is 0.0; it must be above 0"),
        ({"drops": (0.5, 1.0)}, "shares of the run"),
        ({"resample": "cut"}, r"resample is 'cut'; choose one of \['pad', 'stretch', 'window'\]"),
        ({"precision": "fp16"}, "precision is 'fp16'"),
        ({"optimizer": "sgd"}, r"optimizer is 'sgd'; choose one of \['adamw', 'adam'\]"),
    ],
)
def test_a_wrong_configuration_is_named(wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        TemporalTrainConfig(**wrong)


def test_what_is_left_open_is_settled_by_the_data(videos: list[WeakVideo], held: FeatureStore) -> None:
    store = FeatureStore(videos)
    found = settled(TemporalTrainConfig(normal=2, anomalous=1, epochs=3), store, held)
    assert (found.steps, found.every, found.select) == (12, 1, "frame")
    unknown = FeatureStore([replace(v, segments=None) for v in held.videos], store.names)
    assert settled(QUICK, store, unknown).select == "video"
    with pytest.raises(ValueError, match="segments are not known"):
        settled(replace(QUICK, select="frame"), store, unknown)
    with pytest.raises(ValueError, match="v0x00 is to be trained on, and held back"):
        settled(QUICK, store, store)
    odd = FeatureStore([v for v in videos if v.labels])
    with pytest.raises(ValueError, match=r"no normal video among the 4 \(classes: normal, fight, fire\); say which"):
        settled(QUICK, odd, None)
    with pytest.raises(ValueError, match=r"no normal video among the 4 held back"):
        settled(QUICK, store, FeatureStore([v for v in held.videos if v.labels]))


def test_weight_decay_may_spare_biases_and_norms() -> None:
    head = make_head("afr", WIDTH, **SMALL["afr"])
    whole = groups_of(head, QUICK)
    matrices, flat = groups_of(head, replace(QUICK, decay_all=False))
    assert len(whole) == 1 and len(whole[0]["params"]) == len(matrices["params"]) + len(flat["params"])
    assert flat["weight_decay"] == 0.0 and {p.ndim for p in flat["params"]} == {1}
    assert any(p is head.beta for p in flat["params"])


@pytest.mark.parametrize(("name", "make"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_optimizer_is_the_one_that_was_asked_for(
    name: str, make: Any, videos: list[WeakVideo], tmp_path: Path
) -> None:
    """Specification of CLIP-TSA, "Training": Adam, whose weight decay is a part of the gradient."""
    store = FeatureStore(videos)
    config = replace(QUICK, steps=2, optimizer=name, weight_decay=0.5, clip_norm=0.0, warm_up=0.0, schedule="constant")
    own = plan("mil_ranking", dropout=0.0)
    found = fit(own, store, None, tmp_path, config, quiet).head
    head = own.make(store, config.seed).train()
    optimizer = make(head.parameters(), config.lr, weight_decay=0.5)
    for step in range(2):
        batch = batch_at(store, config, step)
        optimizer.zero_grad()
        head.loss(head(batch.x, batch.mask), batch.y, batch.mask)["total"].backward()
        optimizer.step()
    for key, value in head.state_dict().items():
        torch.testing.assert_close(found.state_dict()[key], value)
    assert ("optimizer" in identity(own, head, store, None, config)["training"]) == (name == "adam")


class Pair(NamedTuple):
    a: torch.Tensor
    b: torch.Tensor | None


def test_losses_get_numbers_of_32_bits() -> None:
    half, whole = torch.ones(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.long)
    out = HeadOutput(half, half, aux={"pair": Pair(half, None), "list": [half, whole], "tuple": (half, 3)})
    found = in_float(out)
    assert {found.logits.dtype, found.scores.dtype, found.aux["pair"].a.dtype} == {torch.float32}
    assert found.aux["pair"].b is None and found.aux["tuple"][1] == 3
    assert [t.dtype for t in found.aux["list"]] == [torch.float32, torch.long]


class Watched(MilRanking):
    """Says in its loss what it was given."""

    def loss(self, out: HeadOutput, *_: Any) -> dict[str, torch.Tensor]:  # type: ignore[override]
        assert out.scores.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
        return {"total": out.scores.sum()}


def test_losses_are_not_computed_in_16_bits(videos: list[WeakVideo]) -> None:
    store = FeatureStore(videos)
    head = Watched(MilRankingConfig(WIDTH, **SMALL["mil_ranking"]))
    with torch.autocast("cpu", torch.bfloat16):
        assert head(torch.ones(1, 2, WIDTH), torch.ones(1, 2, dtype=torch.bool)).scores.dtype == torch.bfloat16
        assert Learner(head)(batch_at(store, QUICK, 0))["total"].isfinite()


# Runs


def same_weights(a: Path, b: Path) -> None:
    for name in ("state.safetensors", "model.safetensors"):
        left, right = load_file(a / name), load_file(b / name)
        assert left.keys() == right.keys() and len(left) > 4
        for key, value in left.items():
            assert torch.equal(value, right[key]), key


@pytest.mark.parametrize("name", HEADS)
def test_a_killed_run_goes_on_to_the_same_weights(
    name: str, videos: list[WeakVideo], held: FeatureStore, tmp_path: Path
) -> None:
    pseudo = None
    if name == "afr":
        pseudo = tmp_path / "pseudo"
        pseudo.mkdir()
        for item in FeatureStore(videos).items:
            np.save(pseudo / f"{item.video.name}.npy", np.linspace(0, 1, item.steps))
    store = FeatureStore(videos, held.names, pseudo)
    config = replace(QUICK, resample="window" if name == "afr" else "pad")
    whole = fit(plan(name), store, held, tmp_path / "whole", config, quiet)
    fit(plan(name), store, held, tmp_path / "killed", config, quiet, stop_at=3)  # saved after 2
    half = load_file(tmp_path / "killed" / "state.safetensors")
    (tmp_path / "killed" / "metrics.jsonl").open("a").write('{"step": 3, "lr": 1}\n{"st')
    lines: list[str] = []
    again = fit(plan(name), FeatureStore(videos, held.names, pseudo), held, tmp_path / "killed", config, lines.append)
    assert "goes on at step 2" in lines[0]
    same_weights(tmp_path / "whole", tmp_path / "killed")
    assert any(not torch.equal(v, half[k]) for k, v in load_file(tmp_path / "whole" / "state.safetensors").items())
    logs = [(tmp_path / run / "metrics.jsonl").read_text() for run in ("whole", "killed")]
    assert logs[0] == logs[1] and [json.loads(x)["step"] for x in logs[0].splitlines()] == [2, 2, 4, 4, 6, 6]
    assert whole.about == again.about and whole.name == name and whole.names == held.names
    # A run that is over does nothing more.
    before = (tmp_path / "whole" / "state.safetensors").stat().st_mtime_ns
    fit(plan(name), store, held, tmp_path / "whole", config, quiet)
    assert (tmp_path / "whole" / "state.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["mil_ranking", "refinevad"])
def test_training_learns_to_tell_the_videos_apart(name: str, held: FeatureStore, tmp_path: Path) -> None:
    config = replace(QUICK, steps=60, normal=8, anomalous=8, every=30, log_every=10, lr=1e-2)
    settings = {"unit": False, "dropout": 0.0, "hidden": 32} if name == "mil_ranking" else {}
    store = FeatureStore(made(tmp_path / "data", 40), held.names)
    saved = fit(plan(name, **settings), store, held, tmp_path / "out", config, quiet)
    found = selection(saved.head, held)
    assert found["video_auc"] == 1.0 and found["frame_auc"] > 0.8 and found["gap"] > 0.2
    untrained = selection(plan(name, **settings).make(held, 0).eval(), held)
    assert untrained["frame_auc"] < found["frame_auc"]
    assert saved.about["selection"]["frame_auc"] == pytest.approx(found["frame_auc"], abs=1e-6)
    lines = [json.loads(x) for x in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    totals = [x["total"] for x in lines if "total" in x]
    assert totals[-1] < totals[0]


def test_another_run_and_a_damaged_state_are_refused(
    videos: list[WeakVideo], held: FeatureStore, tmp_path: Path
) -> None:
    store, out = FeatureStore(videos, held.names), tmp_path / "out"
    fit(plan("mil_ranking"), store, None, out, replace(QUICK, steps=2), quiet)
    others = {
        "training": (plan("mil_ranking"), store, None, replace(QUICK, steps=2, lr=1e-3)),
        "settings": (plan("mil_ranking", margin=0.5), store, None, replace(QUICK, steps=2)),
        "head": (plan("afr"), store, None, replace(QUICK, steps=2)),
        "data": (plan("mil_ranking"), FeatureStore(videos[:6], held.names), None, replace(QUICK, steps=2)),
        "validation": (plan("mil_ranking"), store, held, replace(QUICK, steps=2)),
    }
    for what, (own, data, validation, config) in others.items():
        with pytest.raises(
            ValueError, match=rf"holds a run with another {what}; give another --out, or remove"
        ) as error:
            fit(own, data, validation, out, config, quiet)
        assert "\n" not in str(error.value)
    fit(plan("mil_ranking"), store, None, out, replace(QUICK, steps=2, threads=2, log_every=1), quiet)  # is the same
    state = out / "state.safetensors"
    state.write_bytes(state.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"state\.safetensors: cannot be read .*; remove it to start again"):
        fit(plan("mil_ranking"), store, None, out, replace(QUICK, steps=2), quiet)


def test_a_run_ends_when_nothing_gets_better(videos: list[WeakVideo], held: FeatureStore, tmp_path: Path) -> None:
    store, out, lines = FeatureStore(videos, held.names), tmp_path / "out", list[str]()
    # A rate at which nothing moves: the figure stays what it was at the first measurement.
    config = replace(QUICK, steps=20, every=1, log_every=1, lr=1e-12, patience=3)
    saved = fit(plan("mil_ranking"), store, held, out, config, lines.append)
    assert lines[-1] == "ended at step 4: no better selection for 3 measurements"
    steps = [json.loads(x)["step"] for x in (out / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) == 4 and saved.about["step"] <= 4
    lines.clear()
    fit(plan("mil_ranking"), store, held, out, config, lines.append)  # and stays ended
    assert len(lines) == 2 and lines[-1].startswith("ended at step 4")


def test_the_best_head_is_kept_not_the_last(
    videos: list[WeakVideo], held: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = iter([(0.6, 0.0), (0.9, 0.1), (0.9, 0.3), (0.7, 0.9)])
    from training.temporal import loop

    def fake(*_: Any) -> dict[str, float]:
        value, gap = next(figures)
        return {"frame_auc": value, "video_auc": 0.0, "gap": gap}

    monkeypatch.setattr(loop, "selection", fake)
    config = replace(QUICK, steps=8)
    saved = fit(plan("mil_ranking"), FeatureStore(videos, held.names), held, tmp_path / "out", config, quiet)
    assert saved.about["step"] == 6 and saved.about["selection"]["gap"] == 0.3


def test_without_videos_to_select_on_the_last_weights_are_kept(videos: list[WeakVideo], tmp_path: Path) -> None:
    store = FeatureStore(videos)
    saved = fit(plan("mil_ranking"), store, None, tmp_path / "out", replace(QUICK, patience=1), quiet)
    assert saved.about["step"] == 6 and saved.about["selection"] == {}
    state = load_file(tmp_path / "out" / "state.safetensors")
    for key, value in load_file(tmp_path / "out" / "model.safetensors").items():
        assert torch.equal(value, state[f"model.{key}"])


def test_a_loss_that_is_not_finite_ends_the_run(videos: list[WeakVideo], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^the (loss|scores).* at update \d; try a smaller lr than 1e\+30"):
        fit(plan("clip_tsa"), FeatureStore(videos), None, tmp_path / "out", replace(QUICK, lr=1e30), quiet)


def test_frozen_text_encoders_are_not_in_the_state(
    videos: list[WeakVideo], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.temporal import loop

    def tower(*_: Any) -> LearnedContext:
        out = LearnedContext(("normal", "fight", "fire"), torch.eye(3, 12))
        out.register_parameter("frozen", torch.nn.Parameter(torch.ones(5), requires_grad=False))
        return out

    monkeypatch.setattr(loop, "make_text", tower)
    store, config = FeatureStore(videos), replace(QUICK, steps=4)
    for out, stops in (("whole", (None,)), ("killed", (3, None))):
        for stop in stops:
            saved = fit(plan("vadclip"), store, None, tmp_path / out, config, quiet, stop_at=stop)
    same_weights(tmp_path / "whole", tmp_path / "killed")
    state = load_file(tmp_path / "whole" / "state.safetensors")
    assert not [key for key in state if "frozen" in key] and [key for key in state if "text.context" in key]
    assert isinstance(saved.head.get_submodule("branches.text"), FixedText)


def test_bfloat16_trains(videos: list[WeakVideo], held: FeatureStore, tmp_path: Path) -> None:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)  # the precision is settled once in a process
    try:
        config = replace(QUICK, precision="bf16", steps=2)
        for name in HEADS:
            saved = fit(plan(name), FeatureStore(videos, held.names), held, tmp_path / name, config, quiet)
            assert {p.dtype for p in saved.head.parameters()} == {torch.float32}, name
    finally:
        AcceleratorState._reset_state(True)


def test_identity_knows_no_folders(videos: list[WeakVideo], tmp_path: Path) -> None:
    store = FeatureStore(videos)
    moved = tmp_path / "elsewhere"
    (tmp_path / "data").rename(moved)
    other = FeatureStore([replace(v, features=tuple(moved / p.name for p in v.features)) for v in videos])
    head = plan("mil_ranking").make(store, 0)
    assert identity(plan("mil_ranking"), head, store, None, QUICK) == identity(
        plan("mil_ranking"), head, other, None, QUICK
    )
