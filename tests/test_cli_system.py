"""The commands about the program itself, and the printing that all commands share."""

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tvad import __version__, cli, cli_show, doctor
from tvad.presets import PRESETS
from tvad.presets.own import own_weights


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def tvad(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("signal.signal", lambda number, handler: None)  # a handler outlives its test
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as stop:
            cli.main(list(arguments))
        return Ran(int(stop.value.code or 0), *capfd.readouterr())

    return run


def test_models_tells_every_weight(tvad: Callable[..., Ran]) -> None:
    rows = json.loads(tvad("models", "--json").out)["models"]
    assert [row["weights"] for row in rows] == [
        w.name for p in PRESETS.values() for w in (*p.weights, *own_weights(p.name))
    ]
    packages = [row for row in rows if row["package"]]
    assert packages and all(row["licence"] and row["sha256"] and row["present"] is True for row in packages)
    assert "Apache-2.0" in tvad("models").out


def test_what_this_package_brings_is_what_was_noted_when_it_was_shipped() -> None:
    own = own_weights("mini")
    assert "adapter-mini" in [w.name for w in own]
    assert all(w.is_whole() for w in own)


def test_doctor_finds_this_machine_well(tvad: Callable[..., Ran]) -> None:
    ran = tvad("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(ran.out)["checks"]}
    assert ran.code == 0
    for name in ("Python", "torch", "openvino", "processor", "decodes h264", "encodes libx264", "cache", "port 7860"):
        assert checks[name]["ok"], checks[name]


def test_doctor_exits_4_without_weights(tvad: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvad.weights.Weight.find", lambda self: None)
    monkeypatch.setattr("tvad.doctor._imported", lambda name: name)  # importing torch takes seconds
    ran = tvad("doctor", "--json")
    assert (ran.code, json.loads(ran.out)["ok"]) == (4, False)
    assert "not installed; run: " in tvad("doctor").out


def test_doctor_says_what_a_library_lacks(tvad: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> str:
        raise ImportError(f"no {name} here")

    monkeypatch.setattr("tvad.doctor._imported", broken)
    ran = tvad("doctor")
    assert ran.code == 0
    assert "no torch here" in ran.out


def test_version(tvad: Callable[..., Ran]) -> None:
    assert tvad("version").out == f"{__version__}\n"


def test_completion_is_offered(tvad: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TVAD_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "tvad an")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert tvad().out.split() == ["analyze"]


def test_words_and_conflicts_are_shown_literally(capsys: pytest.CaptureFixture[str]) -> None:
    cli_show.print_words("a [bold]word\x1b]0;title\x07\nnext ")
    cli_show.print_citations(["event 1", "[track 2]"], ["says left, the track goes right [/]"])
    said = capsys.readouterr().out
    assert "a [bold]word\\x1b]0;title\\x07\nnext " in said
    assert "rests on: event 1; [track 2]" in said
    assert "[!] conflict with the evidence: says left, the track goes right [/]" in said


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00.0"), (12.34, "0:12.3"), (59.96, "1:00.0"), (61, "1:01.0"), (3723.0, "1:02:03.0")],
)
def test_clock(seconds: float, text: str) -> None:
    assert cli_show.clock(seconds) == text


def test_json_survives_an_undecodable_name(capsys: pytest.CaptureFixture[str]) -> None:
    cli_show.print_json({"path": Path("a\udcff.mp4"), "n": (1, None)})
    assert json.loads(capsys.readouterr().out) == {"path": "a\\udcff.mp4", "n": [1, None]}


def test_doctor_says_when_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    most, used = tmp_path / "memory.max", tmp_path / "memory.current"
    monkeypatch.setattr(doctor, "CONTAINER", ((str(most), str(used)),))
    used.write_text("400000000\n")
    most.write_text("max\n")
    assert "allowed" not in doctor._memory().found
    most.write_text("1000000000\n")
    short = doctor._memory()
    assert not short.ok and "1.0 GB allowed of" in short.found and "0.6 GB to be had" in short.found


def test_doctor_and_the_page_say_that_a_port_is_taken(
    tvad: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr(doctor, "PORT", port)
        assert "in use" in doctor._port().found
        ran = tvad("serve", "--port", str(port))
    assert ran.code == 1 and f"port {port} of 127.0.0.1 (Address already in use)" in ran.err and "--port" in ran.err
    assert "the page is at" not in ran.err
    assert doctor._port().found == "free for the page"


def test_doctor_tells_every_weight_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tvad.weights.Weight.is_whole", lambda self: True)  # hashing takes time
    names = [check.name for check in doctor._weights()]
    assert len(names) == len(set(names)) and "all presets: efficientnet-lite0" in names
