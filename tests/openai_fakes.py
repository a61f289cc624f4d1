"""A made-up service behind the endpoint of chat/openai_api.py, and ways to talk to it without a network."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from chat_fakes import FakeExplainer, three_events
from fastapi import FastAPI
from starlette.testclient import TestClient

from chat.openai_api import Limits, router
from chat.session import Session
from chat.turns import Turns
from tvad.evidence import Analysis, Curves, Evidence
from tvad.lvlm.base import Messages
from tvad.settings import Settings

CURVES = Curves(np.zeros(0), np.zeros(0, np.float32), np.zeros(0), np.zeros((0, 1, 1), np.float16))
ASKED = "What is anomalous?"


class Fake:
    """A service whose evidence is made up. fails: raised instead of an analysis, once `wait` is set."""

    def __init__(self, evidence: Evidence | None = None, fails: BaseException | None = None) -> None:
        self.evidence, self.fails = evidence or three_events(), fails
        self.explainer: FakeExplainer | None = None
        self.wait = threading.Event()
        self.wait.set()
        self.turns = Turns(waiting=0)
        self.seen: list[tuple[bytes, Settings]] = []
        self.paths: list[Path] = []
        self.explain: list[str | None] = []

    def analyze(self, path: Path, settings: Settings, stopped: Callable[[], bool]) -> Analysis:
        assert self.turns.running == 1
        self.paths.append(path)
        self.seen.append((path.read_bytes(), settings))
        assert self.wait.wait(10)
        if self.fails is not None:
            raise self.fails
        return Analysis(replace(self.evidence, video=replace(self.evidence.video, path=str(path))), CURVES)

    def session(self, analysis: Analysis, explain: str | None) -> Session:
        self.explain.append(explain)
        if self.explainer is not None:
            return Session(analysis.evidence, "text", self.explainer)
        return Session(analysis.evidence, "report")

    def turn(self, stopped: Callable[[], bool] | None = None) -> AbstractContextManager[None]:
        return self.turns.turn(stopped)


def app(service: Fake, limits: Limits | None = None) -> FastAPI:
    made = FastAPI()
    made.include_router(router(service, limits))
    return made


def client(service: Fake | None = None, limits: Limits | None = None) -> TestClient:
    return TestClient(app(service or Fake(), limits))


def body(url: str, question: str = ASKED, **more: object) -> dict[str, Any]:
    parts = [{"type": "text", "text": question}, {"type": "video_url", "video_url": {"url": url}}]
    return {"model": "tvad-mini", "messages": [{"role": "user", "content": parts}], **more}


def ask(service: Fake, order: dict[str, Any], limits: Limits | None = None) -> dict[str, Any]:
    response = client(service, limits).post("/v1/chat/completions", json=order)
    assert response.status_code == 200, response.text
    return response.json()


def direct(*questions: str, evidence: Evidence | None = None) -> str:
    """What a session says to the last of the questions."""
    session = Session(evidence or three_events(), "report")
    for question in questions:
        for _ in session.ask(question):
            pass
    return session.last.text


class Slow(FakeExplainer):
    """Says the next word when it is let; notes how it ended."""

    def __init__(self, *words: str) -> None:
        super().__init__()
        self.words = words
        self.let = threading.Semaphore(0)
        self.asked = self.said = 0
        self.ended = ""

    def stream(self, messages: Messages, max_new_tokens: int = 160, first: Sequence[str] = ()) -> Iterator[str]:
        try:
            for word in self.words:
                self.asked += 1
                assert self.let.acquire(timeout=10)
                self.said += 1
                yield word
            self.ended = "said all"
        except GeneratorExit:
            self.ended = "closed"
            raise


async def call(
    made: FastAPI,
    order: dict[str, Any],
    on_chunk: Callable[[bytes], object] = lambda chunk: None,
    hung_up: asyncio.Event | None = None,
) -> bytes:
    """What the server sends to a client that hangs up once `hung_up` is set. on_chunk is told each piece."""
    hung_up = hung_up or asyncio.Event()
    inbox = [{"type": "http.request", "body": json.dumps(order).encode(), "more_body": False}]
    sent: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if inbox:
            return inbox.pop()
        await hung_up.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            sent.append(message["body"])
            on_chunk(message["body"])

    path = "/v1/chat/completions"
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b""}
    await made(scope | {"raw_path": path.encode(), "root_path": "", "asgi": {"version": "3.0"}}, receive, send)
    return b"".join(sent)
