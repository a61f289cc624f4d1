"""Streams of the endpoint that speaks OpenAI's chat completions: their order, errors in them, and who hangs up."""

import asyncio
import base64
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clips import encode

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from openai_fakes import ASKED, Fake, Slow, app, body, call, client, direct

from chat import openai_api
from chat.turns import Turns
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


# Streams


def events(text: str) -> list[str]:
    assert text.endswith("\n\n")
    return [line.removeprefix("data: ") for line in text.split("\n\n")[:-1] if line.startswith("data: ")]


def test_a_stream(url: str) -> None:
    order = body(url, stream=True, stream_options={"include_usage": True})
    with client().stream("POST", "/v1/chat/completions", json=order) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        *said, done = events("".join(response.iter_text()))
    assert done == "[DONE]"
    first, *middle, last, use = (json.loads(line) for line in said)
    assert {c["object"] for c in (first, *middle, last, use)} == {"chat.completion.chunk"}
    assert len({c["id"] for c in (first, *middle, last, use)}) == 1
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert len(middle) > 1
    assert "".join(c["choices"][0]["delta"]["content"] for c in middle) == direct(ASKED)
    assert not any("tvad" in c or c["choices"][0]["finish_reason"] for c in (first, *middle))
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert last["tvad"]["citations"]
    assert (use["choices"], use["usage"]["prompt_words"]) == ([], 3)


def test_words_are_sent_while_the_answer_is_made(url: str) -> None:
    service = Fake()
    service.explainer = slow = Slow("The ", "bicycle ", "crosses.")
    slow.let.release()
    # The next word is made only once this one was sent.
    sent = asyncio.run(call(app(service), body(url, stream=True), lambda chunk: slow.let.release()))
    assert b"bicycle" in sent
    assert slow.ended == "said all"


def test_a_silent_stream_stays_alive(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_api, "STATUS_S", 0.01)
    monkeypatch.setattr(openai_api, "ALIVE_S", 0.01)
    service = Fake()
    service.explainer = slow = Slow("The bicycle crosses.")
    sent: list[bytes] = []

    def let_later(chunk: bytes) -> None:
        sent.append(chunk)
        if sent.count(b": computing\n\n") == 2:
            slow.let.release()

    asyncio.run(call(app(service), body(url, stream=True), let_later))
    said = events(b"".join(sent).decode())
    assert json.loads(said[0])["choices"][0]["delta"]["role"] == "assistant"
    assert "bicycle" in said[1]
    assert said[-1] == "[DONE]"


def test_an_error_before_the_first_word_has_its_status(url: str) -> None:
    response = client(Fake(fails=MissingWeights("run: pip install x"))).post(
        "/v1/chat/completions", json=body(url, stream=True)
    )
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "missing_weights"


def test_an_error_after_that_is_an_event(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_api, "STATUS_S", 0.0)
    service = Fake(fails=MissingWeights("run: pip install x"))
    service.wait = threading.Event()
    sent = asyncio.run(call(app(service), body(url, stream=True), lambda chunk: service.wait.set()))
    *_, error, done = events(sent.decode())
    assert json.loads(error)["error"]["code"] == "missing_weights"
    assert done == "[DONE]"


# Hanging up


def words(count: int) -> Slow:
    return Slow(*[f"word{n} " for n in range(count)])  # not the same ones, which would end the answer by itself


@pytest.mark.parametrize("stream", [True, False])
def test_hanging_up_ends_the_computation(stream: bool, url: str, temporary: Path) -> None:
    service = Fake()
    service.explainer = slow = words(50)

    async def hang_up() -> bytes:
        hung_up = asyncio.Event()
        answer = asyncio.create_task(call(app(service), body(url, stream=stream), hung_up=hung_up))
        slow.let.release(2)
        while slow.asked != 3:  # what is looked at between two words has been: the thread waits for the third
            await asyncio.sleep(0.002)
        assert list(temporary.iterdir())
        hung_up.set()
        await asyncio.sleep(0.02)
        assert not answer.done()  # the thread is still at the third word, and the video with it
        assert list(temporary.iterdir())
        slow.let.release(48)
        return await answer

    sent = asyncio.run(hang_up())
    assert (slow.said, slow.ended) == (3, "closed")
    assert (b"word1" in sent) == stream
    assert service.turns.running == 0


def test_a_server_that_shuts_down(url: str) -> None:
    service = Fake()
    service.explainer = slow = words(50)

    async def shut_down() -> None:
        answer = asyncio.create_task(call(app(service), body(url)))
        while not service.paths:
            await asyncio.sleep(0.002)
        answer.cancel()
        await asyncio.sleep(0.02)
        slow.let.release(50)
        with pytest.raises(asyncio.CancelledError):
            await answer

    asyncio.run(shut_down())
    assert slow.said < 50
    assert service.turns.running == 0


def test_who_hangs_up_while_waiting_leaves_the_line(url: str) -> None:
    service = Fake()
    service.turns = Turns(waiting=1)

    async def wait_and_leave() -> bytes:
        hung_up = asyncio.Event()
        answer = asyncio.create_task(call(app(service), body(url), hung_up=hung_up))
        while not service.turns.waiting:
            await asyncio.sleep(0.002)
        hung_up.set()
        return await answer

    with service.turns.turn():
        assert asyncio.run(wait_and_leave()) == b""
        assert service.turns.waiting == 0
    assert service.paths == []


def test_hanging_up_half_way_through_the_request(url: str) -> None:
    service = Fake()
    whole = json.dumps(body(url)).encode()
    inbox = [{"type": "http.disconnect"}, {"type": "http.request", "body": whole[:-9], "more_body": True}]

    async def receive() -> dict[str, Any]:
        return inbox.pop()

    async def send(message: Any) -> None:
        pytest.fail("nobody is there")

    path = "/v1/chat/completions"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    asyncio.run(app(service)(scope | {"headers": [(b"content-type", b"application/json")]}, receive, send))
    assert service.paths == []


def test_two_at_once_get_their_own(url: str) -> None:
    service = Fake()
    service.turns = Turns(waiting=10)
    questions = ["What is anomalous?", "What colour is event 2?"] * 3

    async def all_at_once() -> list[bytes]:
        return await asyncio.gather(*(call(app(service), body(url, question)) for question in questions))

    for question, sent in zip(questions, asyncio.run(all_at_once()), strict=True):
        assert json.loads(sent)["choices"][0]["message"]["content"] == direct(question)
    assert len({path.parent for path in service.paths}) == len(questions)
