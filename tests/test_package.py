"""The wheel and the source archive: built, installed and run outside the checkout."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KEPT = ("heatmap", "tvad", "chat", "training", "pyproject.toml", "README.md", "LICENSE", "examples")


def uv() -> str:
    found = shutil.which("uv") or next((str(p) for p in [ROOT / ".uv" / "bin" / "uv"] if p.is_file()), None)
    if found is None:
        pytest.skip("no uv here to build with")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_it_runs_from_an_archive_outside_the_checkout(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in KEPT:  # a copy: building writes into its folder
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, source / name)
    built = subprocess.run(
        [uv(), "build", f"--{kind}", "--out-dir", str(tmp_path / "dist"), str(source)], capture_output=True, text=True
    )
    if "Failed to fetch" in built.stderr:
        pytest.skip("no package index to take setuptools from")
    assert built.returncode == 0, built.stderr
    (archive,) = (tmp_path / "dist").glob("*.whl" if kind == "wheel" else "*.tar.gz")
    target = tmp_path / "installed"
    subprocess.run([uv(), "pip", "install", "-q", "--no-deps", "--target", str(target), str(archive)], check=True)
    assert not (target / "tests").exists() and (target / "chat" / "page").is_dir()
    if kind == "wheel":
        assert not [name for name in zipfile.ZipFile(archive).namelist() if name.startswith(("tests/", "benchmarks/"))]
    environment = os.environ | {"PYTHONPATH": str(target), "TVAD_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "tvad", "caption", str(source / "examples" / "plaza.mp4"), "-q"]
    out = tmp_path / "out" / "c.jsonl"
    ran = subprocess.run(
        [*command, "-o", str(out), "--explain", "report", "--workers", "1"], cwd=tmp_path, env=environment
    )
    assert ran.returncode == 0
    (row,) = map(json.loads, out.read_text().splitlines())
    assert row["has_anomaly"] and row["events"]
    where = [sys.executable, "-c", "import tvad, chat; print(tvad.__file__, chat.__file__)"]
    said = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.count(str(target)) == 2
