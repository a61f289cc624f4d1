"""The main path of a full-size preset on a tiny random model: what is asked, looked at, injected and told."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_backbones import make_backbone
from typer.testing import CliRunner
from view_fakes import make_analysis

from chat.conversation import Conversation, Turn
from chat.prompt import build_seeing_messages, evidence_lines
from chat.session import Session
from heatmap.decoder import HeatmapDecoder
from tvad import api
from tvad.cli import app
from tvad.evidence import Analysis
from tvad.explainer import open_seeing
from tvad.lvlm import BACKBONES
from tvad.lvlm.adapter import Adapter, AdapterConfig, AdapterError
from tvad.lvlm.choice import Choice
from tvad.lvlm.loaded import load
from tvad.lvlm.lora import LoraConfig, add_lora, lora_weights
from tvad.lvlm.rae import RegionAwareEncoder
from tvad.lvlm.tokens import RaeConfig, n_tokens
from tvad.lvlm.tower_heat import decoder_config, decoder_of, tower_heat
from tvad.lvlm.view import ViewConfig, view_of
from tvad.presets import PRESETS, get_preset
from tvad.seeing import look_at, moments, ready
from tvad.weights import MissingWeights

KIND, PRESET = "qwen2_5_vl", "qwen2.5-vl-7b"
RAE = RaeConfig(
    view=ViewConfig(slices=2, grid=(6, 8), logits=True, slots=2, pictures=0), width=32, hidden=16, hidden_things=8
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_backbone(KIND, tmp_path_factory.mktemp("tiny") / KIND)


@pytest.fixture
def choice(folder: Path) -> Choice:
    return Choice(weights=folder, dtype="fp32", frames=4)


@pytest.fixture
def analysis(tiny_video: Any) -> Analysis:
    """Of a clip that exists, with an event and a track that were made up."""
    (evidence, curves), _ = make_analysis(0, 1)
    path = tiny_video(count=int(evidence.video.duration_s * 5) + 5, fps=5)
    video = replace(evidence.video, path=str(path), width=96, height=64)
    return Analysis(replace(evidence, video=video, preset=PRESET), curves)


def make_adapter(folder: Path, ahd: bool = True, **changed: Any) -> Adapter:
    """An adapter that fits the model in the folder, as training would leave it."""
    loaded = load(folder, dtype="fp32")
    torch.manual_seed(1)
    decoder = HeatmapDecoder(decoder_config(loaded, hidden=16))
    tuned = add_lora(loaded.model, LoraConfig(rank=2))
    with torch.no_grad():
        for name, values in tuned.named_parameters():
            if "lora_B" in name:
                values.normal_(0, 0.1)
    parts = {
        name: {n: v.detach().numpy() for n, v in module.state_dict().items()}
        for name, module in (("rae", RegionAwareEncoder(RAE)), ("ahd", decoder))
    }
    config = AdapterConfig(
        **{"backbone": KIND, "placeholder": "<|anomaly_pad|>", "rae": RAE, "lora": LoraConfig(rank=2)} | changed,
        ahd=decoder.config.to_dict() if ahd else None,
    )
    return Adapter(config, parts["rae"], lora_weights(tuned), ahd=parts["ahd"] if ahd else None)


def test_each_full_size_preset_has_a_family() -> None:
    named = {name: preset for name, preset in PRESETS.items() if preset.backbone}
    assert {"qwen2.5-vl-3b", "qwen2.5-vl-7b", "qwen3-vl-4b", "qwen3-vl-8b"} <= set(named)
    assert {"llava-onevision-7b", "smolvlm2-2.2b"} <= set(named)
    for name, preset in named.items():
        assert preset.name == name and preset.backbone in BACKBONES
        assert [w.name for w in preset.needed("text")] == [name]


@pytest.mark.slow
def test_a_full_size_preset_answers_about_a_new_video(
    folder: Path, tiny_video: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path / "cache"))
    words = ["--preset", PRESET, "--weights", str(folder), "--frames", "4", "--dtype", "fp32"]
    clip = str(tiny_video(count=30, fps=10))
    found = CliRunner().invoke(app, ["ask", clip, "what is anomalous?", "--json", *words])
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["explain"] == "text" and told["preset"] == PRESET and told["answer"]
    assert "no trained adapter for qwen2.5-vl-7b" in found.stderr and "nothing is injected" in found.stderr


def test_lvlm_answers_by_command_and_says_what_is_missing(folder: Path, analysis: Analysis, tmp_path: Path) -> None:
    analysis.evidence.save(tmp_path / "evidence.json")
    words = ["--evidence", str(tmp_path / "evidence.json"), "--weights", str(folder), "--frames", "4", "--json"]
    found = CliRunner().invoke(app, ["ask", "what is anomalous?", *words])
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert told["explain"] == "text" and told["preset"] == PRESET and told["answer"]
    assert "no trained adapter for qwen2.5-vl-7b" in found.stderr and "nothing is injected" in found.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--explain", "lvlm"], 4, "there is no trained adapter"),
        (["--preset", "qwen3-vl-8b"], 2, "holds a model of type 'qwen2_5_vl', preset 'qwen3-vl-8b' wants 'qwen3_vl'"),
        (["--preset", "mini"], 2, "brings its language model"),
        (["--quantise", "q4"], 2, "no quantisation 'q4'"),
        (["--quantise", "int8"], 2, "runs on a GPU only"),
        (["--frames", "0"], 2, "0 frames"),
        (["--weights", "nowhere"], 4, "no model in nowhere"),
        (["--adapter", "nowhere"], 4, "no adapter of the language model in nowhere"),
        (["--dtype", "int3"], 2, "precision 'int3'"),
    ],
)
def test_lvlm_choices_that_cannot_be_met_are_named(
    folder: Path, analysis: Analysis, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    evidence = analysis.evidence
    preset = words[words.index("--preset") + 1] if "--preset" in words else PRESET
    replace(evidence, preset=preset).save(tmp_path / "evidence.json")
    given = ["--weights", str(folder)] if "--weights" not in words else []
    run = ["ask", "what?", "--evidence", str(tmp_path / "evidence.json"), "--frames", "2", *given, *words]
    found = CliRunner().invoke(app, run)
    assert found.exit_code == code, found.output
    assert said in " ".join(found.stderr.replace("│", " ").split())


def test_lvlm_weights_that_were_not_pulled_are_asked_for(analysis: Analysis, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TVAD_MODELS", str(tmp_path))
    with pytest.raises(MissingWeights, match=r"tvad models pull qwen2\.5-vl-7b"):
        api.open_session(analysis)


def test_frames_are_spread_and_meet_the_peaks(analysis: Analysis) -> None:
    peak = analysis.evidence.events[0].peak_s
    found = moments(analysis, 6)
    assert len(found) <= 6 and list(found) == sorted(found)
    assert min(abs(t - peak) for t in found) < 0.1
    assert moments(analysis, 1)


def test_found_things_are_drawn_only_where_nothing_is_injected(analysis: Analysis) -> None:
    plain, times = look_at(analysis, analysis.evidence.video.path, 4, marked=False)
    marked, same = look_at(analysis, analysis.evidence.video.path, 4, marked=True)
    assert plain.shape == marked.shape == (4, 64, 96, 3) and times.tolist() == same.tolist()
    assert (plain != marked).any()


def test_lvlm_is_told_the_findings_once_before_the_first_question(analysis: Analysis) -> None:
    talk = Conversation().add(Turn("What?", "A thing.", ("what",), None))  # type: ignore[arg-type]
    first = build_seeing_messages(Conversation(), " What? ", told=analysis.evidence)
    later = build_seeing_messages(talk, "Where?", told=analysis.evidence)
    assert later[:2] == first and later[2:] == [
        {"role": "assistant", "content": "A thing."},
        {"role": "user", "content": "Where?"},
    ]
    assert all(line in first[0]["content"] for line in evidence_lines(analysis.evidence))
    injected = build_seeing_messages(talk, "Where?", 7)
    assert "Findings" not in injected[0]["content"] and injected[1]["tokens"] == 7
    with pytest.raises(ValueError, match="empty"):
        build_seeing_messages(talk, "  ", told=analysis.evidence)


def test_lvlm_with_an_adapter_reads_heat_of_its_own_tower(
    analysis: Analysis, choice: Choice, folder: Path, tmp_path: Path
) -> None:
    adapter = make_adapter(folder)
    adapter.save(tmp_path / "adapter")
    again = Adapter.load(tmp_path / "adapter")
    assert again.config == adapter.config and set(again.ahd) == set(adapter.ahd)
    chosen = replace(choice, adapter=tmp_path / "adapter")
    found = ready(analysis, get_preset(PRESET), chosen, analysis.evidence.video.path, False, print)
    assert found.heat is not None and found.heat.shape[0] == 2 and 0 <= found.heat.min() <= found.heat.max() <= 1
    assert found.given is not None
    assert len(found.given) == n_tokens(RAE, view_of(*analysis, config=RAE.view))
    # By hand: the adapter's matrices merged, the tower's heat in the place of the analysis's.
    loaded = load(folder, dtype="fp32")
    frames, times = look_at(analysis, analysis.evidence.video.path, 4, marked=False)
    seen = loaded.look(frames, times, loaded.taps())
    words = analysis.evidence.settings
    heat = tower_heat(
        loaded,
        seen,
        decoder_of(loaded, adapter.config.ahd or {}, adapter.ahd),
        words.get("anomaly") or (),
        words.get("normal") or (),
    )
    np.testing.assert_allclose(found.heat, heat, atol=1e-5)
    curves = replace(analysis.curves, heat=heat.astype(np.float16), heat_times_s=seen.pictures.times_s)
    np.testing.assert_allclose(found.given, adapter.embed(view_of(analysis.evidence, curves, config=RAE.view)))
    tuned = add_lora(loaded.model, LoraConfig(rank=2)).eval()
    from tvad.lvlm.lora import set_lora_weights

    set_lora_weights(tuned, adapter.lora)
    messages = build_seeing_messages(Conversation(), "What?", len(found.given))
    ids = found.watching.encode(messages)
    ours = found.watching.next_logits(ids, found.given)
    from tvad.lvlm.watching import Watching

    np.testing.assert_allclose(Watching(loaded, seen).next_logits(ids, found.given), ours, atol=1e-4)


def test_lvlm_session_with_an_adapter_injects_and_says_so_by_its_mode(
    analysis: Analysis, choice: Choice, folder: Path, tmp_path: Path
) -> None:
    make_adapter(folder, ahd=False).save(tmp_path)
    notes: list[str] = []
    session = api.open_session(analysis, choice=replace(choice, adapter=tmp_path), note=notes.append)
    assert session.explain == "lvlm" and notes == []
    assert "".join(session.ask("Where is it?")) and session.last.text
    asked = session.conversation
    assert len(asked.turns) == 1


def test_an_adapter_of_another_model_is_refused(
    analysis: Analysis, choice: Choice, folder: Path, tmp_path: Path
) -> None:
    make_adapter(folder, ahd=False, backbone="llava").save(tmp_path)
    with pytest.raises(ValueError, match="the adapter is for 'llava'"):
        api.open_session(analysis, choice=replace(choice, adapter=tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(AdapterError):
        api.open_session(analysis, choice=replace(choice, adapter=tmp_path))


def test_lvlm_dialogue_reads_the_video_once(analysis: Analysis, choice: Choice) -> None:
    explainer = open_seeing(analysis, PRESET, choice, analysis.evidence.video.path, told=True)
    session = Session(analysis.evidence, "text", explainer)
    backbone: Any = explainer._backbone
    "".join(session.ask("What is that thing?"))
    first = backbone.computed
    "".join(session.ask("Where is it?"))
    assert backbone.computed - first < first / 2
    assert backbone._loaded.passes >= 1


def test_lvlm_is_asked_about_ordinary_videos_too(analysis: Analysis, choice: Choice) -> None:
    nothing = Analysis(replace(analysis.evidence, events=(), tracks=(), has_anomaly=False), analysis.curves)
    explainer = open_seeing(nothing, PRESET, choice, analysis.evidence.video.path, told=True)
    session = Session(nothing.evidence, "text", explainer)
    "".join(session.ask("Is there any anomaly in the video?"))
    assert explainer._backbone.computed > 0  # type: ignore[attr-defined]
