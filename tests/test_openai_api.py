"""The endpoint that speaks OpenAI's chat completions: answers, dialogues, and what is refused."""

import asyncio
import base64
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from chat_fakes import FakeExplainer, nothing, three_events
from clips import encode

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from openai_fakes import ASKED, Fake, app, ask, body, client, direct

from chat.openai_api import Limits
from chat.session import Session
from chat.turns import Left
from tvad.container import VideoError
from tvad.settings import Settings
from tvad.weights import MissingWeights


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return encode(tmp_path_factory.mktemp("clip") / "clip.mp4", count=25).read_bytes()


@pytest.fixture
def url(clip: bytes) -> str:
    return "data:video/mp4;base64," + base64.b64encode(clip).decode()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; whatever a test does, none may stay."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def refused(order: Any, limits: Limits | None = None, service: Fake | None = None) -> tuple[int, dict[str, Any]]:
    response = client(service, limits).post("/v1/chat/completions", json=order)
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"]
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
    return response.status_code, error


# Answers


def test_the_models() -> None:
    listed = client().get("/v1/models").json()
    assert listed["object"] == "list"
    assert [m["id"] for m in listed["data"]] == ["tvad-mini"]
    assert client().get("/v1/models/tvad-mini").json() == listed["data"][0]
    assert client().get("/v1/models/gpt-4").json()["error"]["code"] == "model_not_found"


def test_an_answer_and_what_it_rests_on(url: str, clip: bytes) -> None:
    service = Fake()
    said = ask(service, body(url))
    (choice,) = said["choices"]
    assert said["object"] == "chat.completion"
    assert said["model"] == "tvad-mini"
    assert choice["message"] == {"role": "assistant", "content": direct(ASKED), "refusal": None}
    assert choice["finish_reason"] == "stop"
    assert said["usage"]["prompt_tokens"] is None
    assert said["usage"]["prompt_words"] == 3
    rests = said["tvad"]
    assert set(rests) == {
        *("has_anomaly", "confidence", "events", "tracks", "citations"),
        *("conflicts", "yes", "calibration", "video"),
    }
    assert (rests["has_anomaly"], rests["confidence"], rests["calibration"]) == (True, 0.93, "scene")
    assert [e["id"] for e in rests["events"]] == [1, 2, 3]
    assert [t["label"] for t in rests["tracks"]] == ["bicycle", "person-sized object"]
    assert not any("boxes" in t for t in rests["tracks"])
    assert rests["citations"][0] == "event 1, 5.0-10.0 s"
    assert set(rests["video"]) == {"sha256", "duration_s", "fps", "width", "height"}
    assert str(service.paths[0].parent) not in json.dumps(said)
    assert service.seen == [(clip, Settings(preset="mini"))]
    assert service.explain == [None]


def test_nothing_anomalous(url: str) -> None:
    said = ask(Fake(nothing()), body(url, "Is there anything unusual?", explain="report"))
    assert said["choices"][0]["message"]["content"].startswith("No")
    assert said["tvad"]["has_anomaly"] is False


@pytest.mark.parametrize(
    "part",
    [
        lambda u: {"type": "video_url", "video_url": u},
        lambda u: {"type": "image_url", "image_url": {"url": u, "detail": "low"}},
        lambda u: {"type": "input_video", "input_video": {"url": f" {u} "}},
        lambda u: {"type": "input_video", "input_video": {"data": u.split(",")[1], "format": "mp4"}},
    ],
)
def test_other_ways_to_give_the_video(part: Callable[[str], dict[str, Any]], url: str, clip: bytes) -> None:
    service = Fake()
    parts = [part(url), {"type": "text", "text": ASKED}]
    order = {"model": "tvad-mini", "messages": [{"role": "user", "content": parts}]}
    assert ask(service, order)["choices"][0]["message"]["content"] == direct(ASKED)
    assert service.seen[0][0] == clip


def test_what_changes_nothing_is_passed_over(url: str) -> None:
    order = body(url, temperature=0.3, n=1, seed=4, user="me", tools=[], stream=None, response_format={"type": "text"})
    order["messages"].insert(0, {"role": "system", "content": "Answer like a pirate."})
    assert ask(Fake(), order)["choices"][0]["message"]["content"] == direct(ASKED)


def test_a_file_that_is_here_stays(tmp_path: Path, clip: bytes) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    path = shelf / "<img src=x onerror=alert(1)>.mp4"
    path.write_bytes(clip)
    said = ask(Fake(), body(path.as_uri()), Limits(allow_files=(shelf,)))
    assert str(tmp_path) not in json.dumps(said)
    assert "<img" not in json.dumps(said)
    path.write_bytes(b"<script>alert(1)</script>")
    status, error = refused(body(path.as_uri()), Limits(allow_files=(shelf,)))
    assert status == 422
    assert "<" not in error["message"]
    assert str(tmp_path) not in error["message"]
    assert path.exists()


# Dialogues


def test_the_dialogue_goes_on(url: str) -> None:
    evidence = replace(three_events(), calibration="uncalibrated")
    questions = [ASKED, "And event 2?", "What colour is it?", "Where does it go?"]
    messages: list[dict[str, Any]] = []
    for number, question in enumerate(questions, 1):
        parts: Any = [{"type": "video_url", "video_url": {"url": url}}, {"type": "text", "text": question}]
        messages.append({"role": "user", "content": parts if number == 1 else question})
        said = ask(Fake(evidence), {"model": "tvad-mini", "messages": messages})["choices"][0]["message"]
        assert said["content"] == direct(*questions[:number], evidence=evidence)
        messages.append(said)


def test_a_language_model_hears_what_was_said_before(url: str) -> None:
    evidence = replace(three_events(), calibration="uncalibrated")
    answers = "The bicycle crosses at 5.0 s.", "It is blue and white."
    service = Fake(evidence)
    service.explainer = FakeExplainer(*answers)
    order = body(url)
    first = ask(service, order)["choices"][0]["message"]
    assert "Uncalibrated" in first["content"]
    order["messages"] += [first, {"role": "user", "content": "What colour is it?"}]
    ask(service, order)
    session = Session(evidence, "text", FakeExplainer(*answers))
    for question in (ASKED, "What colour is it?"):
        assert list(session.ask(question))
    assert isinstance(session._explainer, FakeExplainer)
    assert service.explainer.heard == session._explainer.heard


def test_two_dialogues_do_not_mix(url: str) -> None:
    service = Fake()
    order = body(url, "Where is event 2?")
    order["messages"] += [{"role": "assistant", "content": "There."}, {"role": "user", "content": "What colour is it?"}]
    other = body(url, "What colour is it?")
    first = ask(service, order)["choices"][0]["message"]["content"]
    second = ask(service, other)["choices"][0]["message"]["content"]
    assert (first, second) == (direct("Where is event 2?", "What colour is it?"), direct("What colour is it?"))
    assert first != second
    assert ask(service, order)["choices"][0]["message"]["content"] == first


def test_two_texts_in_a_row_are_one_question(url: str) -> None:
    order = body(url, "")
    order["messages"] += [{"role": "user", "content": "What colour is"}, {"role": "user", "content": "event 2?"}]
    order["messages"].insert(0, {"role": "assistant", "content": "Hello!"})
    assert ask(Fake(), order)["choices"][0]["message"]["content"] == direct("What colour is event 2?")


# What is refused


@pytest.mark.parametrize(
    ("change", "param", "says"),
    [
        ({"stream": "yes"}, "stream", "'yes'"),
        ({"n": 3}, "n", "3"),
        ({"n": True}, "n", "True"),
        ({"temperature": "hot"}, "temperature", "'hot'"),
        ({"max_tokens": 0}, "max_tokens", "positive"),
        ({"logprobs": True}, "logprobs", "false"),
        ({"tools": [{}]}, "tools", "a list of 1"),
        ({"response_format": {"type": "json_object"}}, "response_format", "text"),
        ({"modalities": ["text", "audio"]}, "modalities", "text"),
        ({"stream_options": 1}, "stream_options", "an object"),
        ({"explain": "poem"}, "explain", "'report'"),
        ({"explain": ["report"]}, "explain", "a list of 1"),
        ({"model": None}, "model", "tvad-mini"),
        ({"model": ["tvad-mini"]}, "model", "tvad-mini"),
        ({"messages": None}, "messages", "1 to 100"),
        ({"messages": []}, "messages", "a list of 0"),
        ({"messages": "hello"}, "messages", "'hello'"),
        ({"messages": [{"role": "user", "content": "x"}] * 101}, "messages", "a list of 101"),
        ({"messages": ["hello"]}, "messages[0]", "'hello'"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "missing"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role", "'tool'"),
        ({"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role", "a list of 1"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content", "7"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0].type", "'x'"),
        ({"messages": [{"role": "user", "content": [{"type": {}}]}]}, "messages[0].content[0].type", "an object"),
        ({"messages": [{"role": "user", "content": "x"}]}, "messages", "no videos"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages", "without a question"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages", "without a question"),
    ],
)
def test_a_wrong_body(change: dict[str, Any], param: str, says: str) -> None:
    status, error = refused(body("data:video/mp4;base64,AAAA") | change)
    assert (status, error["param"], error["type"]) == (400, param, "invalid_request_error")
    assert says in error["message"]


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"type": "text"}, "text is missing"),
        ({"type": "text", "text": 1}, "text is 1"),
        ({"type": "input_audio", "input_audio": {}}, "'input_audio'"),
        ({"type": "video_url"}, "url is missing"),
        ({"type": "video_url", "video_url": {"url": ["x"]}}, "a list of 1"),
        ({"type": "input_video", "input_video": {"data": "AAAA", "format": "a;b,c"}}, "'a;b,c'"),
        ({"type": "video_url", "video_url": "data:video/mp4;base64,BBBB"}, "2 videos"),
        ({"type": "text", "text": "long " * 500}, "2000"),
    ],
)
def test_a_wrong_part(part: dict[str, Any], says: str) -> None:
    order = body("data:video/mp4;base64,AAAA")
    order["messages"][0]["content"].append(part)
    status, error = refused(order)
    assert status == 400
    assert says in error["message"]


def test_videos_of_others_than_the_user() -> None:
    order = body("data:video/mp4;base64,AAAA")
    order["messages"].insert(0, {"role": "system", "content": [{"type": "video_url", "video_url": "file:///x"}]})
    assert refused(order)[0] == 400


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"model":' + b"9" * 5000 + b"}",
        b'{"model": "\\ud800", "messages": []}',
        b'{"model": "tvad-mini", "n": ' + b"9" * 4000 + b"}",
    ],
    ids=range(8),
)
def test_hostile_json(sent: bytes) -> None:
    response = client().post("/v1/chat/completions", content=sent, headers={"content-type": "application/json"})
    assert response.status_code in (400, 404)
    assert len(response.json()["error"]["message"]) < 300


def test_half_characters(url: str) -> None:
    order = json.dumps(body(url, "What is \ud800 anomalous?")).encode()
    response = client().post("/v1/chat/completions", content=order, headers={"content-type": "application/json"})
    assert response.status_code == 200


def test_an_unknown_model() -> None:
    for name in ("gpt-4o", "mini", "tvad-", "tvad-tvad-mini", "<b>"):
        status, error = refused(body("data:,") | {"model": name})
        assert (status, error["code"]) == (404, "model_not_found")
        assert "tvad-mini" in error["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_another_kind_of_body(kind: str, url: str) -> None:
    response = client().post("/v1/chat/completions", content=json.dumps(body(url)), headers={"content-type": kind})
    assert (response.status_code, "application/json" in response.json()["error"]["message"]) == (415, True)


def test_a_giant_body_is_not_read_to_its_end(temporary: Path) -> None:
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        for number in range(1000):
            assert number < 100, "it was read on and on"
            read.append(number)
            yield b"A" * 65536

    limits = Limits(max_upload_mb=1)
    status, error = refused(body("data:video/mp4;base64," + "A" * 4_000_000), limits)
    assert (status, error["code"]) == (413, "too_large")
    pieces = endless()
    inbox = iter({"type": "http.request", "body": piece, "more_body": True} for piece in pieces)
    sent: list[Any] = []

    async def receive() -> Any:
        return next(inbox)

    async def send(message: Any) -> None:
        sent.append(message)

    path = "/v1/chat/completions"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    asyncio.run(app(Fake(), limits)(scope | {"headers": [(b"content-type", b"application/json")]}, receive, send))
    assert sent[0]["status"] == 413
    assert 16 <= len(read) <= 40


def test_no_video_and_too_long_a_video(url: str) -> None:
    service = Fake()
    for data in (b"", b"<html><script>alert(1)</script>", b"#EXTM3U\nfile:///etc/passwd"):
        status, error = refused(body("data:video/mp4;base64," + base64.b64encode(data).decode()), service=service)
        assert (status, error["code"]) == (422, "unreadable_video")
        assert error["message"].startswith("the video: ")
    status, error = refused(body(url), Limits(max_minutes=0.5 / 60), service)
    assert (status, error["code"]) == (413, "video_too_long")
    assert service.paths == []


def test_other_sources_are_off_unless_allowed() -> None:
    for source in ("file:///etc/passwd", "http://127.0.0.1/x.mp4", "http://169.254.169.254/"):
        status, error = refused(body(source))
        assert (status, error["code"]) == (400, "not_allowed")


@pytest.mark.parametrize(
    ("fails", "status", "code"),
    [
        (MissingWeights("weights 'x' are not installed; run: pip install x"), 503, "missing_weights"),
        (VideoError("the tail of it is damaged"), 422, "unreadable_video"),
        (Left("stopped"), 500, "stopped"),
        (RuntimeError("at /srv/models/x.bin: boom"), 500, "failed"),
        (ValueError("secret"), 500, "failed"),
        (OSError(28, "No space left on device", "/srv/models/x"), 500, "failed"),
        (MemoryError(), 500, "failed"),
    ],
)
def test_failures_have_a_status(fails: BaseException, status: int, code: str, url: str) -> None:
    service = Fake(fails=fails)
    got, error = refused(body(url), service=service)
    assert (got, error["code"]) == (status, code)
    assert not any(word in error["message"] for word in ("/srv", "boom", "secret", "Traceback"))
    assert service.turns.running == 0


def test_the_line_is_full(url: str) -> None:
    service = Fake()
    with service.turns.turn():
        status, error = refused(body(url), service=service)
    assert (status, error["type"], error["code"]) == (429, "rate_limit_error", "busy")
    assert service.paths == []
    ask(service, body(url))


def test_the_key(url: str) -> None:
    locked = client(limits=Limits(api_key="schlüssel"))
    path = "/v1/chat/completions"
    for given in ("", "Bearer", "Bearer wrong", "Basic schlüssel", "Bearer schlüsse", "Bearer  schlüssel x"):
        response = locked.post(path, json=body(url), headers={"Authorization": given.encode()})
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert response.headers["www-authenticate"] == "Bearer"
    assert locked.get("/v1/models").status_code == 401
    assert locked.get("/v1/models/tvad-mini").status_code == 401
    good = {"Authorization": "bearer schlüssel".encode()}
    assert locked.post(path, json=body(url), headers=good).status_code == 200
    assert locked.get("/v1/models", headers=good).status_code == 200
