"""`tvad caption` with a full-size model: several videos at once say what each says alone. Tiny random models."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from caption_fakes import FakeLook
from clips import encode
from test_seeing import KIND, PRESET, make_adapter
from tiny_backbones import make_backbone
from typer.testing import CliRunner
from view_fakes import make_analysis

from chat.captions.engine import Look, Looked, Narrator, about
from chat.captions.seeing import SeeingConversations, Shown
from chat.captions.words import Wanted
from tvad import api
from tvad.cli import app
from tvad.evidence import Analysis
from tvad.lvlm.choice import Choice
from tvad.seeing import look_at
from tvad.settings import Settings

QUESTIONS = ("Is there any anomaly in the video?", "What is that thing?", "Where is it?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_backbone(KIND, tmp_path_factory.mktemp("tiny") / KIND)


@pytest.fixture(scope="module")
def analyses(tmp_path_factory: pytest.TempPathFactory) -> list[Analysis]:
    """Of three clips that exist, of different shapes, with events that were made up; the last one has none."""
    place, found = tmp_path_factory.mktemp("clips"), []
    for n in range(3):
        (evidence, curves), _ = make_analysis(n, 1 + n % 2)
        size = (96, 64) if n != 1 else (64, 96)
        path = encode(place / f"{n}.mp4", count=int(evidence.video.duration_s * 5) + 5, fps=5, size_wh=size)
        video = replace(evidence.video, path=str(path), width=size[0], height=size[1])
        nothing: dict[str, Any] = {"events": (), "tracks": (), "has_anomaly": False} if n == 2 else {}
        found.append(Analysis(replace(evidence, video=video, preset=PRESET, **nothing), curves))
    return found


def shown(analysis: Analysis, injected: bool) -> Shown:
    frames, times_s = look_at(analysis, analysis.evidence.video.path, 4, marked=not injected)
    return Shown(frames, times_s, analysis.curves if injected else None)


@pytest.mark.parametrize("explain", ["text", "lvlm"])
def test_several_videos_at_once_say_what_each_says_alone(
    folder: Path, analyses: list[Analysis], tmp_path: Path, explain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.session.MAX_NEW_TOKENS", 24)
    choice = Choice(weights=folder, dtype="fp32", frames=4)
    if explain == "lvlm":
        make_adapter(folder).save(tmp_path)
        choice = replace(choice, adapter=tmp_path)
    together = SeeingConversations(PRESET, explain, choice, "cpu")
    passes = together._loaded.passes
    videos = [(a.evidence, shown(a, explain == "lvlm")) for a in analyses]
    found = together.about(videos, QUESTIONS)
    assert together._loaded.passes == passes + len(videos)  # frames are looked at once, whatever is asked
    for analysis, answers in zip(analyses, found, strict=True):
        session = api.open_session(analysis, explain, choice=choice)
        for question, answer in zip(QUESTIONS, answers, strict=True):
            "".join(session.ask(question))
            assert (session.last.text, session.last.conflicts) == (answer.text, answer.conflicts)
            assert session.last.yes == (None if answer.yes is None else pytest.approx(answer.yes, abs=1e-4))
    assert len({answer.text for answers in found for answer in answers}) > 2


def test_a_batch_is_answered_in_one_reading(folder: Path, analyses: list[Analysis]) -> None:
    choice = Choice(weights=folder, dtype="fp32", frames=4)
    together = SeeingConversations(PRESET, "text", choice, "cpu")
    rows: list[int] = []
    base = together._loaded.base
    hook = base.register_forward_pre_hook(lambda m, args, named: rows.append(len(named["input_ids"])), with_kwargs=True)
    together.about([(a.evidence, shown(a, False)) for a in analyses], ("What is that thing?",))
    hook.remove()
    assert rows and set(rows) == {3}


def test_captions_by_command_with_a_full_size_model(
    folder: Path, analyses: list[Analysis], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def fake(settings: Settings, explain: str, *rest: Any, **named: Any) -> FakeLook:
        asked.append((settings.preset, explain, named["choice"].weights))
        return FakeLook()

    by_name = {Path(a.evidence.video.path).name: a for a in analyses}

    class Seen(Narrator):
        def records(self, looked: Any) -> list[dict[str, Any]]:
            own = [by_name[Path(x.evidence.video.path).name] for x in looked]
            return super().records([Looked(a.evidence, shown(a, False)) for a in own])

    monkeypatch.setattr("chat.captions.engine.Look", fake)
    monkeypatch.setattr("chat.captions.engine.Narrator", Seen)
    words = ["--preset", PRESET, "--weights", str(folder), "--dtype", "fp32", "--prompt", "What is that thing?"]
    out = tmp_path / "captions.jsonl"
    paths = [a.evidence.video.path for a in analyses]
    found = CliRunner().invoke(app, ["caption", *paths, "-o", str(out), "--workers", "1", *words])
    assert found.exit_code == 0, found.output
    assert asked == [(PRESET, "text", folder)] and "no trained adapter" in found.stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["explain"] for row in rows] == ["text"] * 3 and all(row["caption"] for row in rows)
    again = CliRunner().invoke(app, ["caption", *paths, "-o", str(out), *words, "--frames", "2"])
    assert again.exit_code == 2 and "--restart" in again.output  # another choice is another journal


def test_a_worker_hands_frames_on(folder: Path, analyses: list[Analysis], monkeypatch: pytest.MonkeyPatch) -> None:
    found = analyses[0]
    monkeypatch.setattr("tvad.cache.load", lambda key, path: found)
    from tvad.batch.inputs import Item

    for explain in ("text", "lvlm", "report"):
        look = Look(Settings(preset=PRESET), explain, choice=Choice(weights=folder, frames=3))
        looked = look._looked(None, Item(found.evidence.video.path, "a"), lambda *_: None, None)
        if explain == "report":
            assert looked.view is None
            continue
        assert isinstance(looked.view, Shown) and looked.view.frames.shape == (3, 64, 96, 3)
        assert (looked.view.curves is None) == (explain == "text")
        plain = look_at(found, found.evidence.video.path, 3, marked=False)[0]
        assert np.array_equal(looked.view.frames, plain) == (explain == "lvlm")


def test_what_captions_with_a_full_size_model_cannot_do_is_named(folder: Path, tmp_path: Path) -> None:
    clip = encode(tmp_path / "a.mp4", count=5)
    run = ["caption", str(clip), "-o", str(tmp_path / "o.jsonl")]
    for words, code, said in (
        (["--preset", PRESET, "--weights", str(folder), "--engine", "ray"], 2, "captions on this machine"),
        (["--weights", str(folder)], 2, "brings its language model"),
        (["--preset", PRESET, "--weights", str(folder), "--explain", "lvlm"], 4, "no trained adapter"),
    ):
        found = CliRunner().invoke(app, [*run, *words])
        assert found.exit_code == code and said in " ".join(found.output.replace("│", " ").split()), found.output
    assert about(Settings(), Wanted(), 0) != about(Settings(), Wanted(), 0, Choice())
