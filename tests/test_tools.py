"""Tools by the Model Context Protocol, asked by the protocol's own client."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from desk_fakes import make_desk

pytest.importorskip("gradio")
pytest.importorskip("mcp", reason="mcp is not installed (extra mcp)")

from starlette.testclient import TestClient

from chat.desk import Desk
from chat.openai_api import Limits
from chat.server import Login
from chat.ui import page

Make = Callable[..., Path]
HEADERS = {"Accept": "application/json, text/event-stream", "Host": "127.0.0.1:7860"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return make_desk(tmp_path, monkeypatch)


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(page(desk, api=Limits(max_upload_mb=1, max_minutes=1), tools=True)) as made:
        yield made


def call(client: TestClient, method: str, params: dict[str, Any] | None = None, **headers: str) -> Any:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    return client.post("/mcp", json=body, headers=HEADERS | headers)


def used(client: TestClient, tool: str, **arguments: Any) -> tuple[bool, str]:
    """Whether it failed, and what it said."""
    result = call(client, "tools/call", {"name": tool, "arguments": arguments}).json()["result"]
    return bool(result.get("isError")), result["content"][0]["text"]


def sent(video: Path) -> str:
    return f"data:video/mp4;base64,{base64.b64encode(video.read_bytes()).decode()}"


def test_the_tools_say_what_they_take(client: TestClient) -> None:
    tools = {t["name"]: t for t in call(client, "tools/list").json()["result"]["tools"]}
    assert set(tools) == {"ask_video", "find_anomalies"}
    schema = tools["ask_video"]["inputSchema"]
    assert schema["required"] == ["video"] and schema["properties"]["per_hour"]["type"] == "number"
    assert "confidence" in tools["ask_video"]["description"]


def test_a_video_is_asked_about_and_nothing_stays(client: TestClient, desk: Desk, tiny_video: Make) -> None:
    failed, text = used(client, "ask_video", video=sent(tiny_video("clip.mp4")), question="What is anomalous?")
    said = json.loads(text)
    assert not failed and said["answer"].startswith("From 5.0") and len(said["events"]) == 3
    failed, text = used(client, "find_anomalies", video=sent(tiny_video("clip.mp4")), per_hour=500)
    assert not failed and len(json.loads(text)["events"]) == 1 and "answer" not in json.loads(text)
    assert list(desk.root.iterdir()) == []


@pytest.mark.parametrize(
    ("video", "words"),
    [
        ("/etc/passwd", "allowed are data:"),
        ("file:///etc/passwd", "reads no files of its own"),
        ("http://127.0.0.1:22/x", "not fetched from"),
        ("https://example.org/a.mp4", "not fetched from"),
        ("data:video/mp4;base64,bm8gdmlkZW8=", "the video"),
        ("data:video/mp4;base64," + "A" * 2_000_000, "larger than 1 MB"),
    ],
)
def test_what_is_no_video_gets_a_sentence(video: str, words: str, client: TestClient, tmp_path: Path) -> None:
    failed, text = used(client, "ask_video", video=video)
    assert failed and words in text and "Traceback" not in text and str(tmp_path) not in text


def test_they_are_off_unless_switched_on(desk: Desk) -> None:
    with TestClient(page(desk)) as client:
        assert call(client, "tools/list").status_code in (404, 405)


def test_the_key_and_the_login_guard_them(desk: Desk) -> None:
    with TestClient(page(desk, Login("me", "secret"), tools=True)) as client:
        assert call(client, "tools/list").status_code == 401
        coded = base64.b64encode(b"me:secret").decode()
        assert call(client, "tools/list", Authorization=f"Basic {coded}").status_code == 200
    with TestClient(page(desk, Login("me", "secret"), api=Limits(api_key="key"), tools=True)) as client:
        for wrong in ("", "Bearer", "Bearer other", "Basic key"):
            assert call(client, "tools/list", Authorization=wrong).status_code == 401
        assert call(client, "tools/list", Authorization="Bearer key").status_code == 200
        assert client.get("/mcp/../page/board.js", headers={"Authorization": "Bearer key"}).status_code == 401


def test_other_hosts_names_are_refused(desk: Desk, client: TestClient) -> None:
    assert call(client, "tools/list", Host="evil.example.org").status_code in (403, 421)
    assert call(client, "tools/list", Origin="http://evil.example.org").status_code == 403
    assert call(client, "tools/list", **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
