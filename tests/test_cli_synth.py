"""`tvad synth`: clips with their truth, or a sheet to look at."""

from pathlib import Path

from typer.testing import CliRunner

from training.datasets.truth import ClipTruth
from training.pixel_data import synthetic
from tvad.cli_synth import app


def test_the_command_writes_clips_or_a_sheet(tmp_path: Path) -> None:
    small = ["--size", "160x90", "--seconds", "3", "--count", "1", "--layout", "living room", "-q"]
    run = CliRunner()
    done = run.invoke(app, [str(tmp_path / "clips"), *small])
    assert done.exit_code == 0, done.output
    assert ClipTruth.load(tmp_path / "clips" / "0000.truth.json").split == "test"
    done = run.invoke(app, [str(tmp_path / "takes"), *small, "--takes", "2"])
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in (tmp_path / "takes" / "0000.ordinary").glob("*.mp4")) == ["1.mp4", "2.mp4"]
    assert [c.name for c in synthetic(tmp_path / "takes")] == ["0000"]
    assert [p.name for p in synthetic(tmp_path / "takes")[0].ordinary] == ["1.mp4", "2.mp4"]
    sheet = tmp_path / "sheet.png"
    assert run.invoke(app, ["--preview", str(sheet), *small]).exit_code == 0
    assert sheet.read_bytes().startswith(b"\x89PNG")
    for wrong in (["--size", "big"], ["--layout", "moon"], ["--split", "train"], ["--assets", str(tmp_path)]):
        assert run.invoke(app, [str(tmp_path / "none"), *small, *wrong]).exit_code == 2
    assert run.invoke(app, []).exit_code == 2
    assert not (tmp_path / "none").exists()
