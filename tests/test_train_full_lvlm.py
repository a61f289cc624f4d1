"""Training of a full-size model on tiny random ones: packing, what learns, going on, processes, estimates."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_backbones import make_backbone
from two_processes import in_two
from view_fakes import make_analysis

from training.lvlm import estimate
from training.lvlm.full import FullOptions, FullTraining, main, parse
from training.lvlm.full_data import Clips, Shown, order, packed, read_lines
from training.lvlm.full_tuned import FullTuned, apart
from tvad.evidence import Analysis
from tvad.lvlm.adapter import Adapter
from tvad.lvlm.loaded import load
from tvad.lvlm.lora import LoraConfig
from tvad.lvlm.tokens import RaeConfig, n_tokens
from tvad.lvlm.view import ViewConfig, view_of
from tvad.presets import get_preset

RAE = RaeConfig(view=ViewConfig(slices=2, grid=(6, 8), pictures=0), width=32, hidden=16, hidden_things=8)
PRESETS = {"qwen2_5_vl": "qwen2.5-vl-7b", "qwen3_vl": "qwen3-vl-8b", "llava_onevision": "llava-onevision-7b"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_backbone("qwen3_vl", tmp_path_factory.mktemp("tiny") / "qwen3_vl")


def shown(number: int, rae: RaeConfig = RAE) -> Shown:
    """A made-up line: 2 to 4 frames, a view, one or two turns."""
    rng = np.random.default_rng(number)
    frames = rng.integers(0, 255, (2 + 2 * (number % 2), 32, 32, 3), dtype=np.uint8)
    analysis, _ = make_analysis(number, 1 + number % 2)
    view = view_of(*analysis, config=rae.view)
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You see."},
        {"role": "user", "content": "What is odd?", "tokens": n_tokens(rae, view)},
        {"role": "assistant", "content": "a thing" if number % 2 else "the thing in there"},
    ]
    if number % 3 == 0:
        messages += [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "in the middle"}]
    return Shown(str(number), frames, np.arange(len(frames)) * 0.5, view, messages)


class Made:
    """Lines for a training, made up."""

    def __init__(self, rae: RaeConfig, count: int = 6) -> None:
        self.rae, self.count = rae, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Shown:
        return shown(number, self.rae)


def options(folder: Path, out: Path, **changed: Any) -> FullOptions:
    kept = FullOptions(
        preset="qwen3-vl-8b", weights=str(folder), out=str(out), steps=4, batch=4, warm_up=1, rae_rate=1e-2,
        lora_rate=1e-2, rank=4, slices=2, rows=6, columns=8, base=1, every=2, device="cpu", dtype="fp32", longest=600,
    )  # fmt: skip
    return replace(kept, **changed)


def training(folder: Path, out: Path, **changed: Any) -> FullTraining:
    wanted = options(folder, out, **changed)
    width = load(folder, dtype="fp32").width
    return FullTraining(wanted, Made(wanted.config("qwen3_vl", width).rae), say=lambda line: None)


@pytest.mark.parametrize("kind", sorted(PRESETS))
def test_packed_dialogues_cost_what_they_cost_alone(kind: str, tmp_path: Path) -> None:
    loaded = load(make_backbone(kind, tmp_path / kind), dtype="fp32")
    config = options(tmp_path, tmp_path, preset=PRESETS[kind]).config(kind, loaded.width)
    tuned = FullTuned(replace(config, rae=RAE, lora=LoraConfig(4, dropout=0)), loaded, checkpointing=False)
    written = [tuned.written(shown(n)) for n in range(3)]
    alone = [tuned(tuned.row([one])) for one in written]
    together = tuned(tuned.row(written))
    torch.testing.assert_close(together, sum(alone), rtol=1e-4, atol=1e-3)
    row = tuned.row(written)
    assert len(row.wanted) == sum(sum(one.said) for one in written)
    assert row.ids.shape[1] == sum(len(one.ids) for one in written)


def test_tokens_see_their_own_dialogue_only() -> None:
    mask = apart(torch.tensor([0, 0, 1, 1, 1]), torch.float32)[0, 0]
    assert ((mask == 0) == torch.tensor([
        [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 1]
    ]).bool()).all()  # fmt: skip


def test_checkpointing_changes_memory_not_gradients(folder: Path) -> None:
    grads = []
    for checkpointing in (False, True):
        loaded = load(folder, dtype="fp32")
        config = replace(options(folder, folder).config("qwen3_vl", 32), rae=RAE, lora=LoraConfig(4, dropout=0))
        torch.manual_seed(0)
        tuned = FullTuned(config, loaded, checkpointing).train()
        inside: list[int] = []
        layer = loaded.base.model.language_model.layers[0].mlp
        layer.register_forward_pre_hook(lambda *_, inside=inside: inside.append(1))
        tuned(tuned.row([tuned.written(shown(1))])).backward()
        assert len(inside) == 1 + checkpointing
        learned = {n for n, p in tuned.named_parameters() if p.grad is not None and p.grad.any()}
        assert {n for n in learned if "model." in n} == {n for n in learned if "lora_" in n}
        grads.append({n: p.grad for n, p in tuned.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys() and any("rae." in n for n in grads[0])
    for name, grad in grads[0].items():
        torch.testing.assert_close(grad, grads[1][name])


def test_full_training_learns_and_its_adapter_answers(folder: Path, tmp_path: Path, tiny_video: Any) -> None:
    training(folder, tmp_path, steps=12, dropout=0.0).run()
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert np.mean([r["loss"] for r in rows[-3:]]) < 0.8 * np.mean([r["loss"] for r in rows[:3]])
    adapter = Adapter.load(tmp_path / "adapter")
    assert adapter.config.backbone == "qwen3_vl" and any(v.any() for n, v in adapter.lora.items() if n.endswith("B"))
    from tvad import api
    from tvad.lvlm.choice import Choice

    (evidence, curves), _ = make_analysis(0, 1)
    path = tiny_video(count=70, fps=5)
    video = replace(evidence.video, path=str(path), width=96, height=64)
    choice = Choice(weights=folder, adapter=tmp_path / "adapter", dtype="fp32", frames=2)
    found = Analysis(replace(evidence, video=video, preset="qwen3-vl-8b"), curves)
    session = api.open_session(found, choice=choice)
    assert session.explain == "lvlm" and "".join(session.ask("Where is it?"))


def test_a_killed_full_training_ends_as_an_undisturbed_one(folder: Path, tmp_path: Path) -> None:
    whole = training(folder, tmp_path / "a").run()
    broken = training(folder, tmp_path / "b")
    broken.save = lambda: FullTraining.save(broken) if broken.step < 4 else (_ for _ in ()).throw(SystemExit)  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        broken.run()
    again = training(folder, tmp_path / "b")
    assert again.step == 2
    ended = again.run()
    for name, values in whole.lora.items():
        np.testing.assert_allclose(ended.lora[name], values, atol=1e-6)
    for name, values in whole.rae.items():
        np.testing.assert_allclose(ended.rae[name], values, atol=1e-6)
    with pytest.raises(ValueError, match="another --seed"):
        training(folder, tmp_path / "b", seed=1)


def run_as(rank: int, folder: Path, out: Path) -> None:
    found = training(folder, out, dropout=0.0)
    assert found.accelerator.num_processes == 2
    found.run()


def test_two_processes_of_a_full_training_end_as_one(folder: Path, tmp_path: Path) -> None:
    alone = training(folder, tmp_path / "one", dropout=0.0).run()
    assert in_two(run_as, folder, tmp_path / "two") == [0, 0]
    together = Adapter.load(tmp_path / "two" / "adapter")
    for name, values in alone.lora.items():
        np.testing.assert_allclose(together.lora[name], values, atol=2e-4)
    for name, values in alone.rae.items():
        np.testing.assert_allclose(together.rae[name], values, atol=2e-4)
    one, two = ([json.loads(line) for line in (tmp_path / n / "log.jsonl").open()] for n in ("one", "two"))
    assert [row["tokens"] for row in one] == [row["tokens"] for row in two]
    for what in ("loss", "norm"):  # an optimiser that normalises would hide gradients of another length
        np.testing.assert_allclose([row[what] for row in two], [row[what] for row in one], rtol=1e-3)


def test_lvlm_rows_are_filled_and_lines_come_once_an_epoch() -> None:
    rows = list(packed([5, 4, 3, 9, 1], 9))
    assert sorted(n for row in rows for n in row) == [0, 1, 2, 3, 4]
    assert all(sum([5, 4, 3, 9, 1][n] for n in row) <= 9 for row in rows) and len(rows) == 3
    assert list(packed([50], 9)) == [[0]]
    epoch = [n for step in range(3) for n in order(6, 2, 0, step)]
    assert sorted(epoch) == list(range(6)) and epoch != [n for step in range(3, 6) for n in order(6, 2, 0, step)]


def test_lvlm_lines_are_read_as_they_were_built(tmp_path: Path, tiny_video: Any) -> None:
    clip = tiny_video("a.mp4", count=30, fps=10)
    line = {"id": "a", "video": clip.name, "window": [5, 28], "fps": 10, "split": "train",
            "qa": [{"turn": 1, "q": "What?", "a": "A thing."}, {"turn": 2, "q": "Where?", "a": "There."}]}  # fmt: skip
    data = clip.parent / "data.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in (line, line | {"split": "test"})))
    (asked,) = read_lines(data)
    assert (asked.start_s, asked.end_s) == (0.5, 2.85) and len(asked.turns) == 2
    (evidence, curves), _ = make_analysis(0, 1)
    seen: list[Any] = []

    def analyse(video: Path, settings: Any) -> Analysis:
        seen.append((video, settings.start_s, settings.end_s, settings.preset))
        times = np.linspace(0.5, 2.8, len(curves.times_s))
        about = replace(evidence.video, path=str(video), width=96, height=64, duration_s=3.0)
        return Analysis(replace(evidence, video=about), replace(curves, times_s=times))

    one = Clips([asked], RAE, "qwen3-vl-8b", 4, analyse=analyse)[0]
    assert seen == [(clip, 0.5, 2.85, "qwen3-vl-8b")]
    assert one.frames.shape[1:] == (64, 96, 3) and len(one.frames) <= 4 and one.times_s.min() >= 0.49
    assert [m["role"] for m in one.messages] == ["system", "user", "assistant", "user", "assistant"]
    assert one.messages[1]["tokens"] == n_tokens(RAE, one.view)
    for wrong, said in (
        (line | {"qa": []}, "no turns"),
        (line | {"video": "b.mp4"}, "no video"),
        ({"id": 1}, "line 1"),
    ):
        data.write_text(json.dumps(wrong))
        with pytest.raises(ValueError, match=said):
            read_lines(data)
    with pytest.raises(ValueError, match="no line of the split 'test'"):
        data.write_text(json.dumps(line))
        read_lines(data, "test")


def test_lvlm_dry_run_counts_what_is_there(folder: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(estimate, "SIDE", {"cpu": 64, "cuda": 64})
    wanted = options(folder, tmp_path, dry_run=True)
    assert main(wanted) == 0
    said = capsys.readouterr().out
    assert "GiB" in said and "TFLOP/s" in said and "assumption" in said
    found = estimate.estimate(wanted)
    tuned = training(folder, tmp_path).tuned
    assert found.lora == sum(p.numel() for n, p in tuned.model.named_parameters() if "lora_" in n)
    assert found.rae == sum(p.numel() for p in tuned.rae.parameters())
    base = sum(p.numel() for n, p in tuned.model.named_parameters() if "lora_" not in n)
    assert abs(found.weights_bytes - 4 * base) < 4 * 32 * 400  # the placeholder may have got a row of its own
    fewer = estimate.estimate(replace(wanted, quantise="nf4"))
    assert fewer.weights_bytes < found.weights_bytes


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--preset", "mini"], "no full-size language model"),
        (["--preset", "qwen9"], "no preset"),
        (["--quantise", "q2"], "no quantisation"),
        (["--steps", "0"], "1 or more"),
    ],
)
def test_lvlm_settings_that_cannot_be_met_are_named(words: list[str], said: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        parse(words)
    assert said in capsys.readouterr().err
    assert parse(["--rank", "8", "--no-checkpointing"]) == FullOptions(rank=8, checkpointing=False)


def test_lvlm_launch_files_are_accelerate_s() -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    files = sorted((Path(estimate.__file__).parent / "accelerate").glob("*.yaml"))
    assert [file.stem for file in files] == ["ddp", "fsdp", "one_gpu"]
    kinds = {file.stem: load_config_from_file(str(file)) for file in files}
    assert [str(kinds[n].distributed_type).split(".")[-1] for n in ("ddp", "fsdp")] == ["MULTI_GPU", "FSDP"]
    assert kinds["fsdp"].fsdp_config["fsdp_version"] == 2
    assert get_preset("qwen3-vl-8b").backbone == "qwen3_vl"
