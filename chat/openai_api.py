"""An endpoint that speaks OpenAI's chat completions (platform.openai.com/docs/api-reference/chat), for programs.

A request carries the whole dialogue and its video; nothing is kept between requests but the cache of analyses, so no
two dialogues can mix. The answer stands where OpenAI's stands, what it rests on beside it in the field `tvad`.

Next: chat/openai_body.py
"""

import hmac
import json
import logging
import math
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import SpooledTemporaryFile, TemporaryDirectory
from typing import IO, Any, Protocol, cast

import anyio
from anyio.abc import TaskGroup
from anyio.from_thread import run_sync as in_loop
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from chat.openai_body import PREFIX, Order, details, model_ids, preset_of, read_order, remembered, usage
from chat.openai_media import MIB, Limits, Refused, check_video, decode, obtain, too_large, unplaced
from chat.session import FAILURES, Session
from chat.turns import Busy, Left
from tvad.evidence import Analysis
from tvad.settings import Settings
from tvad.video import VideoError
from tvad.weights import MissingWeights

__all__ = ["Limits", "Service", "router"]

BODY_S = 900.0  # for receiving a request
STATUS_S = 10.0  # after which a stream begins without waiting for the first word; then errors come inside of it
ALIVE_S = 10.0  # between two comments in a silent stream, so that nobody between takes it for dead
KINDS = {429: "rate_limit_error", 500: "server_error", 503: "server_error"}  # HTTP status -> OpenAI's type
SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
READING = threading.Lock()  # a body with a video in it is large: one at a time is taken apart
log = logging.getLogger("tvad.serve")


class Service(Protocol):
    """Who does the work. Every method is called in a thread that may block."""

    def analyze(self, path: Path, settings: Settings, stopped: Callable[[], bool]) -> Analysis:
        """What tvad.api.analyze does. settings: only the preset is the client's choice, the rest is the server's to
        replace. stopped: true once nobody waits any more; then Left may be raised."""
        ...

    def session(self, analysis: Analysis, explain: str | None) -> Session:
        """A new dialogue, never one that was given out before. None: the server's own choice of who answers."""
        ...

    def turn(self, stopped: Callable[[], bool] | None = None) -> AbstractContextManager[None]:
        """See chat.turns.Turns.turn. Raises Busy and Left."""
        ...


@dataclass(frozen=True)
class _Whole:
    """The end of an answer: its text, and the field `tvad`."""

    text: str
    details: dict[str, Any]


Item = str | Refused | _Whole  # a piece of an answer, or how it ended


def router(service: Service, limits: Limits | None = None) -> APIRouter:
    """GET /v1/models, GET /v1/models/{id} and POST /v1/chat/completions."""
    limits = limits or Limits()
    made = APIRouter()

    @made.get("/v1/models", response_model=None)
    def models(request: Request) -> Response:
        listed = {"object": "list", "data": [_model(name) for name in model_ids()]}
        return _guarded(request, limits, lambda: _json(listed))

    @made.get("/v1/models/{name}", response_model=None)
    def model(request: Request, name: str) -> Response:
        return _guarded(request, limits, lambda: _json(_model(PREFIX + preset_of(name))))

    @made.post("/v1/chat/completions", response_model=None)
    async def completions(request: Request) -> Response:
        return _guarded(request, limits, lambda: _Reply(service, limits))

    return made


def _guarded(request: Request, limits: Limits, make: Callable[[], Response]) -> Response:
    """What `make` gives, to whoever has the key."""
    try:
        if limits.api_key is not None:
            kind, _, given = request.headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode("latin-1"), limits.api_key.encode())
            if kind.lower() != "bearer" or not right:
                message = "the API key is missing or wrong; send the header Authorization: Bearer KEY"
                raise Refused(401, message, "invalid_api_key")
        return make()
    except Refused as refused:
        return _refusal(refused)


def _model(name: str) -> dict[str, Any]:
    # OpenAI's clients want a number for `created`; when a preset was made is not known.
    return {"id": name, "object": "model", "created": 0, "owned_by": "tvad"}


def _text(value: object) -> bytes:
    # ASCII, because what models and requests say may hold half characters, which are not UTF-8.
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


def _json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_text(value), status, SAFE | (headers or {}), "application/json")


def _error(refused: Refused) -> dict[str, Any]:
    kind = KINDS.get(refused.status, "invalid_request_error")
    return {"error": {"message": str(refused), "type": kind, "param": refused.param, "code": refused.code}}


def _refusal(refused: Refused) -> Response:
    return _json(_error(refused), refused.status, {"WWW-Authenticate": "Bearer"} if refused.status == 401 else None)


def _failed(error: BaseException) -> Refused:
    return Refused(500, f"the request failed ({type(error).__name__}); the server's log says more", "failed")


class _Reply(Response):
    """Reads the request, gets the video, computes and answers, all in one call, so that whatever happens the temporary
    folder goes and the computation ends."""

    def __init__(self, service: Service, limits: Limits) -> None:
        super().__init__()
        self._service, self._limits = service, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply: Response | None = None
        with TemporaryDirectory(prefix="tvad-", ignore_cleanup_errors=True) as folder:
            try:
                order, path = await self._received(Request(scope, receive), Path(folder))
                reply = await self._answered(order, path, Path(folder), receive, send)
            except Refused as refused:
                reply = _refusal(refused)
            except ClientDisconnect:
                return
            except OSError as error:  # a full disk
                log.exception("a request failed")
                reply = _refusal(_failed(error))
        if reply is not None:
            await reply(scope, receive, send)

    async def _received(self, request: Request, folder: Path) -> tuple[Order, Path | None]:
        """The order, and the video if the request holds it. The body waits on the disk, not in memory."""
        kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json":  # a page of another site cannot send this unasked
            raise Refused(415, f"the body is {kind[:60]!r}; it must be application/json", "unsupported_media_type")
        most = self._limits.max_bytes * 4 // 3 + MIB  # base64 makes four characters of three bytes
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and float(declared) > most:
            raise too_large(self._limits)
        with SpooledTemporaryFile(MIB, dir=str(folder)) as body:
            try:
                with anyio.fail_after(BODY_S):
                    async for piece in request.stream():
                        if body.tell() + len(piece) > most:
                            raise too_large(self._limits)
                        body.write(piece)
            except TimeoutError:
                raise Refused(408, f"the request was not complete after {BODY_S:g} s", "timeout") from None
            body.seek(0)
            return await run_in_threadpool(_taken_apart, cast(IO[bytes], body), folder, self._limits)

    async def _answered(
        self, order: Order, path: Path | None, folder: Path, receive: Receive, send: Send
    ) -> Response | None:
        """The answer or why there is none; None where it was streamed, or nobody waits for it any more."""
        gone = threading.Event()
        told, heard = anyio.create_memory_object_stream[Item](math.inf)
        reply: Response | None = None
        # What computes is in a thread: leaving the group waits for it, so nothing pulls the video from under it.
        with told, heard:
            async with anyio.create_task_group() as tasks:
                try:
                    tasks.start_soon(_watch, receive, gone, tasks)
                    path = path or await obtain(order.video, folder, self._limits)
                    await run_in_threadpool(check_video, path, self._limits)
                    tasks.start_soon(run_in_threadpool, self._compute, order, path, gone.is_set, told.send_nowait)
                    reply = await (
                        _streamed(order, heard.receive, send) if order.stream else _whole(order, heard.receive)
                    )
                except Refused as refused:  # raised here, before the group makes a group of it
                    reply = _refusal(refused)
                except ClientDisconnect:
                    pass
                except OSError as error:
                    log.exception("a request failed")
                    reply = _refusal(_failed(error))
                finally:
                    gone.set()
                    tasks.cancel_scope.cancel()
        return reply

    def _compute(self, order: Order, path: Path, stopped: Callable[[], bool], tell: Callable[[Item], None]) -> None:
        """In a thread: the pieces of the answer, then its end or why there is none."""
        try:
            with closing(self._said(order, path, stopped)) as items:
                for item in items:
                    in_loop(tell, item)
        except Left:
            in_loop(tell, Refused(500, "the computation was stopped", "stopped"))
        except Busy as error:
            in_loop(tell, Refused(429, str(error), "busy"))
        except MissingWeights as error:
            in_loop(tell, Refused(503, unplaced(str(error), path), "missing_weights"))
        except VideoError as error:
            in_loop(tell, Refused(422, unplaced(str(error), path), "unreadable_video", "messages"))
        except FAILURES as error:
            if not stopped():
                log.exception("an answer failed")
            in_loop(tell, _failed(error))

    def _said(self, order: Order, path: Path, stopped: Callable[[], bool]) -> Generator[str | _Whole, None, None]:
        with self._service.turn(stopped):
            analysis = self._service.analyze(path, Settings(preset=order.preset), stopped)
            session = self._service.session(analysis, order.explain)
            session.conversation = remembered(analysis.evidence, order.earlier)
            with closing(cast(Generator[str, None, None], session.ask(order.question))) as pieces:
                for piece in pieces:
                    yield piece
                    if stopped():
                        raise Left("nobody listens any more")
        yield _Whole(session.last.text, details(analysis.evidence, session.last))


def _taken_apart(body: IO[bytes], folder: Path, limits: Limits) -> tuple[Order, Path | None]:
    """In a thread: the order and, where the body holds it, the video as a file."""
    with READING:
        order = read_order(body.read())
        if order.video[:5].lower() != "data:":
            return order, None
        return replace(order, video="data:"), decode(order.video, folder, limits)


async def _watch(receive: Receive, gone: threading.Event, tasks: TaskGroup) -> None:
    """End all once the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()
    tasks.cancel_scope.cancel()


def _head(order: Order) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": PREFIX + order.preset}


async def _whole(order: Order, hear: Callable[[], Awaitable[Item]]) -> Response:
    """A chat.completion. Raises Refused."""
    while not isinstance(item := await hear(), _Whole):
        if isinstance(item, Refused):
            raise item
    message = {"role": "assistant", "content": item.text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    body = {**_head(order), "object": "chat.completion", "choices": [choice], "usage": usage(order, item.text)}
    return _json(body | {"tvad": item.details})


async def _streamed(order: Order, hear: Callable[[], Awaitable[Item]], send: Send) -> None:
    """Server-sent events as they come. Raises Refused before the first of them; later ones are events."""
    item: Item | None = None
    with anyio.move_on_after(STATUS_S):
        item = await hear()
    if isinstance(item, Refused):
        raise item
    head = {**_head(order), "object": "chat.completion.chunk"}

    async def put(message: dict[str, Any]) -> None:
        try:
            await send(message)
        except OSError:  # some servers say so that the client has hung up
            raise ClientDisconnect from None

    async def event(data: bytes) -> None:
        await put({"type": "http.response.body", "body": data + b"\n\n", "more_body": True})

    async def chunk(delta: dict[str, str], finish: str | None = None, **more: object) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        await event(b"data: " + _text({**head, "choices": [choice], **more}))

    headers = SAFE | {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"}
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await put({"type": "http.response.start", "status": 200, "headers": raw})
    await chunk({"role": "assistant", "content": ""})
    while not isinstance(item, _Whole):
        if isinstance(item, Refused):
            await event(b"data: " + _text(_error(item)))
            break
        await (event(b": computing") if item is None else chunk({"content": item}))
        item = None
        with anyio.move_on_after(ALIVE_S):
            item = await hear()
    else:
        await chunk({}, "stop", tvad=item.details)
        if order.wants_usage:
            await event(b"data: " + _text({**head, "choices": [], "usage": usage(order, item.text)}))
    await event(b"data: [DONE]")
    await put({"type": "http.response.body", "body": b"", "more_body": False})
