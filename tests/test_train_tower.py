"""The decoder on a language model's own tower: what it learns from, that it learns, and that answering uses it."""

import json
from dataclasses import replace
from pathlib import Path

import av
import decoder_fakes as fakes
import numpy as np
import pytest
import torch
from tiny_backbones import make_backbone
from typer.testing import CliRunner

from heatmap.decoder import HeatmapDecoder
from training.datasets.truth import ClipTruth
from training.heatmap.data import Augment
from training.heatmap.loop import TrainConfig, learn_from
from training.heatmap.tower import TowerLessons, asked, borders, masked_clips, trained_for
from tvad.cli import app
from tvad.lvlm.adapter import Adapter
from tvad.lvlm.choice import Choice
from tvad.lvlm.loaded import Loaded, load
from tvad.lvlm.tower_heat import decoder_config
from tvad.presets import get_preset

KIND, PRESET = "qwen2_5_vl", "qwen2.5-vl-7b"
FPS, COUNT, SIZE_WH = 8.0, 24, (64, 48)
CONFIG = TrainConfig(steps=6, clips=1, every=3, log_every=3, lr=3e-3, threads=1, augment=Augment(noise=0.0))
QUIET = {"say": lambda line: None, "device": "cpu"}


def write_clip(folder: Path, name: str, split: str, anomalous: bool) -> None:
    """A clip of noise in which something bright and striped passes below, and on demand something above it (2)."""
    rng = np.random.default_rng(int(name))
    frames = rng.integers(60, 90, (COUNT, SIZE_WH[1], SIZE_WH[0], 3), dtype=np.uint8)
    ids = np.zeros((COUNT, SIZE_WH[1], SIZE_WH[0]), np.uint8)
    for i in range(COUNT):
        frames[i, 32:40, i : i + 8], ids[i, 32:40, i : i + 8] = 20, 1
        if anomalous:
            frames[i, 8:24, 40 - i : 56 - i], ids[i, 8:24, 40 - i : 56 - i] = (
                (np.arange(16) % 2 * 255)[:, None, None],
                2,
            )
    folder.mkdir(parents=True, exist_ok=True)
    with av.open(str(folder / f"{name}.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=int(FPS), options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = *SIZE_WH, "yuv420p"
        for frame in frames:
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode(None))
    np.savez_compressed(folder / f"{name}.ids.npz", ids=ids, times_s=np.arange(COUNT) / FPS)
    targets = [fakes.target(1, "person", None)]
    if anomalous:
        targets.append(replace(fakes.target(2, "cyclist", "cycling"), anomalous_s=((0.0, 2.9),)))
    ClipTruth(name, name, split, "plaza", (), FPS, SIZE_WH, COUNT / FPS, tuple(targets)).save(
        folder / f"{name}.truth.json"
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for n in range(4):
        write_clip(folder, f"{n:04d}", "train", n % 2 == 0)
    for n in (10, 11):
        write_clip(folder / "held", f"{n:04d}", "validation", n % 2 == 0)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_backbone(KIND, tmp_path_factory.mktemp("tiny") / KIND)


def lessons(loaded: Loaded, clips: Path) -> TowerLessons:
    return TowerLessons(loaded, clips, frames=4)


@pytest.mark.parametrize("kind", [KIND, "llava_onevision", "llava"])
def test_targets_lie_where_the_tower_sees_the_thing(kind: str, clips: Path, tmp_path: Path) -> None:
    loaded = load(make_backbone(kind, tmp_path / kind), dtype="fp32")
    source = lessons(loaded, clips)
    stretch = source.anomalous[0].stretch(0.0, 2.0, 4)
    assert stretch.hot.shape == stretch.frames.shape[:3] and np.allclose(stretch.times_s, [0, 0.625, 1.375, 2.0])
    bright = stretch.frames[stretch.hot].std()
    assert bright > 3 * stretch.frames[~stretch.hot].std()  # the masks are those of these frames
    batch = source.seen(stretch, (), (0,))
    assert batch.target.shape == batch.taps[0].shape[:4] and batch.target.any((2, 3)).all()
    without = replace(stretch, frames=np.where(stretch.hot[..., None], np.uint8(75), stretch.frames))
    change = (source.seen(without, (), (0,)).taps[0] - batch.taps[0]).abs().amax(-1)
    for slice_, target in zip(change[0], batch.target[0] > 0, strict=True):
        assert target.flatten()[slice_.argmax()]


def test_stretches_and_questions_come_from_the_seed_alone(folder: Path, clips: Path) -> None:
    loaded = load(folder, dtype="fp32")
    source, model = lessons(loaded, clips), decoder_config(load(folder, dtype="fp32"), hidden=8)
    first, again, other = (source.batch(step, 1, CONFIG, model) for step in (3, 3, 4))
    for a, b in zip([*first.taps, first.target], [*again.taps, again.target], strict=True):
        torch.testing.assert_close(a, b)
    assert not torch.equal(first.taps[0], other.taps[0])
    rng = np.random.default_rng(0)
    hot, quiet = source.anomalous[0], source.normal[0]
    kinds = [asked(rng, hot) for _ in range(200)]
    assert kinds.count(None) > 100 and kinds.count("cycling") > 10 and len({*kinds}) > 3
    assert not hot.stretch(0.0, 2.0, 4, "fire").hot.any() and hot.stretch(0.0, 2.0, 4, "cycling").hot.any()
    assert not quiet.stretch(0.0, 2.0, 4).hot.any()
    for _ in range(50):
        start, end = borders(rng, hot, 4)
        assert 0 <= start <= end <= (COUNT - 1) / FPS + 1e-9 and end - start >= 3 / FPS - 1e-9


def test_a_killed_training_on_a_tower_ends_as_an_undisturbed_one(folder: Path, clips: Path, tmp_path: Path) -> None:
    loaded = load(folder, dtype="fp32")
    model = decoder_config(loaded, hidden=8)
    whole = learn_from(lessons(loaded, clips), tmp_path / "a", CONFIG, model, **QUIET)
    learn_from(lessons(loaded, clips), tmp_path / "b", CONFIG, model, **QUIET, stop_at=4)
    again = learn_from(lessons(loaded, clips), tmp_path / "b", CONFIG, model, **QUIET)
    for name, values in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], values, atol=1e-6, rtol=1e-5)


def test_a_trained_tower_decoder_goes_into_the_adapter_and_answers(folder: Path, clips: Path, tmp_path: Path) -> None:
    """The way a person takes: train heatmap, train lvlm, ask."""
    words = ["--preset", PRESET, "--weights", str(folder), "--device", "cpu", "--dtype", "fp32", "--frames", "4"]
    made = ["--steps=30", "--clips=1", "--every=15", "--hidden=16", "--lr=0.01", "--threads=1", "--quiet"]
    ahd, out = tmp_path / "ahd", tmp_path / "run"
    found = CliRunner().invoke(app, ["train", "heatmap", "--data", str(clips), "--out", str(ahd), *words, *made])
    assert found.exit_code == 0, found.output
    measured = [json.loads(line) for line in (ahd / "metrics.jsonl").open()]
    assert max(row["cells"] for row in measured if "cells" in row) > 0.9
    about = json.loads((ahd / "config.json").read_text())["about"]
    assert (about["backbone"], about["width"]) == (KIND, 32)
    data = tmp_path / "data.jsonl"
    line = {"id": "a", "video": "0000.mp4", "split": "train", "qa": [{"turn": 1, "q": "What?", "a": "A thing."}]}
    data.write_text(json.dumps(line))
    small = ["--steps=2", "--batch=1", "--rank=2", "--slices=2", "--rows=6", "--columns=8", "--base=1", "--every=2"]
    given = ["--data", str(data), "--clips", str(clips), "--ahd", str(ahd), "--out", str(out)]
    found = CliRunner().invoke(app, ["train", "lvlm", *words, *small, *given])
    assert found.exit_code == 0, found.output
    adapter, decoder = Adapter.load(out / "adapter"), HeatmapDecoder.load(ahd)
    assert adapter.ahd.keys() == decoder.state_dict().keys()
    for name, values in decoder.state_dict().items():
        np.testing.assert_array_equal(adapter.ahd[name], values.numpy())
    answer = ["ask", str(clips / "0000.mp4"), "Where is it?", *words[:4], "--dtype", "fp32", "--frames", "4", "--json"]
    found = CliRunner().invoke(app, [*answer, "--adapter", str(out / "adapter")])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["explain"] == "lvlm"
    # What was shown in training is what is shown in answering, and it is hot where the thing is.
    from tvad import api
    from tvad.seeing import look_at, ready, shown
    from tvad.settings import Settings

    analysis = api.analyze(clips / "0000.mp4", Settings(preset=PRESET))
    choice = Choice(weights=folder, adapter=out / "adapter", dtype="fp32", frames=4)
    answered = ready(analysis, get_preset(PRESET), choice, clips / "0000.mp4", False, print)
    assert answered.heat is not None
    frames, times = look_at(analysis, clips / "0000.mp4", 4, marked=False)
    from training.lvlm.full_data import Clips, read_lines

    loaded = load(folder, dtype="fp32")
    trained = trained_for(ahd, loaded)
    lines = Clips(read_lines(data, clips=clips), adapter.config.rae, PRESET, 4, tower=(loaded, trained))
    np.testing.assert_allclose(lines[0].view.heat[:, 0].max(), answered.heat.max(), atol=2e-3)  # half precision
    np.testing.assert_allclose(adapter.embed(lines[0].view), answered.given, atol=1e-4)
    assert shown(analysis, loaded, None, frames, times).heat is None


def test_towers_and_folders_that_do_not_fit_are_named(folder: Path, clips: Path, tmp_path: Path) -> None:
    loaded = load(folder, dtype="fp32")
    with pytest.raises(ValueError, match="choose one of"):
        masked_clips(clips, "train", "ped2")
    with pytest.raises(ValueError, match="no masked clips of the split 'train'"):
        TowerLessons(loaded, clips / "held", frames=4)
    learn_from(
        lessons(loaded, clips), tmp_path / "a", replace(CONFIG, steps=1), decoder_config(loaded, hidden=8), **QUIET
    )
    other = load(make_backbone("qwen3_vl", tmp_path / "other"), dtype="fp32")
    with pytest.raises(ValueError, match="holds a decoder for qwen2_5_vl, 32 wide; the model is qwen3_vl"):
        trained_for(tmp_path / "a", other)
    runner = CliRunner()
    words = ["train", "heatmap", "--data", str(clips), "--out", str(tmp_path / "b"), "--device", "cpu"]
    for more, said in (
        (["--preset", "mini"], "no full-size"),
        (["--preset", "qwen3-vl-8b", "--weights", str(folder)], "wants"),
    ):
        found = runner.invoke(app, [*words, *more])
        assert found.exit_code == 2 and said in " ".join(found.output.split())
