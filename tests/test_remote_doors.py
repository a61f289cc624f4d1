"""--lvlm-url of the commands, the page with a server behind it, and our own endpoint as that server."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cli_fakes import FakeDetector, make_analysis, write_video
from lvlm_process import Server, running
from test_cli_system import Ran

from chat.desk import Desk
from tvad import api, cli
from tvad.cli_options import build_remote
from tvad.remote import Remote, RemoteSpeaker


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as process:
        yield process


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(sys.modules, "tvad.detector", SimpleNamespace(Detector=FakeDetector))  # type: ignore[arg-type]
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TVAD_LVLM_KEY", raising=False)
    return write_video(tmp_path / "clip.mp4")


@pytest.fixture
def tvad(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    monkeypatch.setattr("signal.signal", lambda number, handler: None)  # a handler outlives its test
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def run(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as stop:
            cli.main(list(arguments))
        return Ran(int(stop.value.code or 0), *capfd.readouterr())

    return run


def test_ask(tvad: Callable[..., Ran], video: Path, server: Server) -> None:
    ran = tvad("ask", str(video), "what is anomalous?", "--lvlm-url", server.url("ok"), "--json")
    said = json.loads(ran.out)
    assert (ran.code, said["explain"]) == (0, "text")
    assert said["answer"].startswith("Yes, event 1 is a bicycle") and said["conflicts"] == []
    assert f"findings and key frames of the video go to 127.0.0.1:{server.port}" in ran.err
    assert "note:" not in tvad("ask", str(video), "where?", "--lvlm-url", server.url("ok"), "-q").err


def test_captions_stop_without_the_server(tvad: Callable[..., Ran], video: Path, tmp_path: Path) -> None:
    out = tmp_path / "o" / "c.jsonl"
    ran = tvad("caption", str(video), "-o", str(out), "--lvlm-url", "http://127.0.0.1:9")
    assert ran.code == 1 and "127.0.0.1:9: cannot be reached" in ran.err and not out.exists()
    ran = tvad("caption", str(video), "-o", str(out), "--lvlm-url", "http://127.0.0.1:9", "--explain", "lvlm")
    assert ran.code == 2


def test_ask_goes_on_without_the_server(tvad: Callable[..., Ran], video: Path) -> None:
    ran = tvad("ask", str(video), "which way does it go?", "--lvlm-url", "http://127.0.0.1:9")
    assert ran.code == 0
    assert "[The language model failed (127.0.0.1:9: cannot be reached" in ran.out and "moves right" in ran.out


def test_chat(
    tvad: Callable[..., Ran], video: Path, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = tmp_path / "lines"
    lines.write_text("what is it?\nwhere is it?\n/quit\n")
    with lines.open() as source:
        monkeypatch.setattr(sys, "stdin", source)
        ran = tvad("chat", str(video), "--lvlm-url", server.url("ok"), "--lvlm-pictures", "1")
    assert (ran.code, ran.out.count("I was shown 1 pictures.")) == (0, 2)
    assert server.asked()[-1]["roles"] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    "flags",
    [
        ("--lvlm-url", "localhost"),
        ("--lvlm-url", "http://host", "--explain", "report"),
        ("--lvlm-url", "http://host", "--lvlm-timeout", "0"),
        ("--lvlm-model", "x"),
    ],
)
def test_wrong_flags(tvad: Callable[..., Ran], video: Path, flags: tuple[str, ...]) -> None:
    assert tvad("ask", str(video), "what?", *flags).code == 2
    assert tvad("serve", *flags).code == 2


def test_without_a_url_there_is_no_server() -> None:
    assert build_remote(None, None, 6, 300.0, None) is None
    assert build_remote("http://host", "m", 2, 30.0, "text") == Remote("http://host", "m", 2, first_s=30, whole_s=30)


def test_a_missing_package_is_one_line(tvad: Callable[..., Ran], video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)  # as if it were not installed
    ran = tvad("ask", str(video), "what?", "--lvlm-url", "http://host")
    assert ran.code == 1 and "pip install 'tvad[remote]'" in ran.err


def test_the_page_asks_the_server_about_the_video_it_keeps(server: Server, video: Path, tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    desk.remote = Remote(server.url("ok"), pictures=2)
    case = desk.receive("visit", "gate.mp4", [video.read_bytes()])
    case.analysis = make_analysis(case.name, True)  # the page's evidence tells no path
    case.session = api.open_session(case.analysis, desk.explain, desk.remote, case.source)
    assert "I was shown 2 pictures." in "".join(desk.ask(case, "what is it?"))
    assert case.said[-1][1].citations
    desk.close()


def test_our_own_endpoint_is_such_a_server(video: Path) -> None:
    """Its own video goes in as one picture; what it streams is read as any server's."""
    pytest.importorskip("fastapi")
    import uvicorn
    from openai_fakes import Fake, app, direct

    config = uvicorn.Config(app(Fake()), host="127.0.0.1", port=0, log_level="error")
    own = uvicorn.Server(config)
    thread = threading.Thread(target=own.run, daemon=True)
    thread.start()
    while not own.started:
        time.sleep(0.01)
    port = own.servers[0].sockets[0].getsockname()[1]
    try:
        picture: dict[str, Any] = {"type": "image", "jpeg": key_frame(video)}
        question = "What is anomalous?"
        messages = [{"role": "user", "content": [picture, {"type": "text", "text": question}]}]
        assert "".join(RemoteSpeaker(Remote(f"http://127.0.0.1:{port}")).stream(messages)) == direct(question)
        with pytest.raises(RuntimeError, match=r"400: messages hold no videos.*"):
            "".join(RemoteSpeaker(Remote(f"http://127.0.0.1:{port}")).stream([{"role": "user", "content": question}]))
    finally:
        own.should_exit = True
        thread.join(10)


def key_frame(video: Path) -> bytes:
    from chat.keyframes import key_frames

    return key_frames(make_analysis(str(video), True), video, 1)[0].jpeg
