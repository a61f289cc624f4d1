"""What the page gets by HTTP: assets, uploads, a visit's own videos, threshold, exports, health. No gradio.

Every answer about a video needs the visit's cookie; a file is served by its name in the case's folder, out of a few
that there can be, never by a path. With a login, everything but /health asks for it. Next: chat/desk.py
"""

import base64
import binascii
import hashlib
import json
import logging
import re
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chat.case import Case, Refused
from chat.desk import Desk
from chat.openai_api import Limits as ApiLimits
from chat.openai_api import router
from chat.session import Session
from chat.turns import Busy, Left
from tvad import __version__
from tvad.api import analyze, open_session
from tvad.evidence import Analysis
from tvad.progress import Progress
from tvad.settings import Settings

COOKIE = "tvad_visit"
BEARER = {"WWW-Authenticate": "Bearer"}
ASSETS = Path(__file__).parent / "page"
EXAMPLE = Path(__file__).parent.parent / "examples" / "plaza.mp4"  # beside the packages in a checkout
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
FILES = re.compile(r"(video|shown)\.(mp4|m4v|webm)|heat-\d{1,5}\.png")
MEDIA = {".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm", ".png": "image/png"}
# Gradio's own scripts are inline; nothing from outside is loaded, sent to or framed.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'; object-src 'none'"
)
# Gradio's previews for social media, and its examples of files.
OUTSIDE = re.compile(
    rb"<meta\b[^>]*\bhttps?://[^>]*>|https?://(?:raw\.)?github[a-z]*\.com/gradio[^\"'\\\s]*", re.IGNORECASE
)
# Of gradio's route for files, which would fetch the address.
ADDRESS = re.compile(r"/(?:file|proxy)=\s*[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
log = logging.getLogger("tvad.serve")


@dataclass(frozen=True)
class Login:
    """A name and a password that everybody shares; see RFC 7617."""

    name: str
    password: str

    def allows(self, header: str) -> bool:
        kind, _, coded = header.partition(" ")
        try:
            given = base64.b64decode(coded, validate=True)
        except binascii.Error:
            return False
        wanted = f"{self.name}:{self.password}".encode()
        return kind.lower() == "basic" and secrets.compare_digest(given, wanted)


class Programs:
    """The desk as programs use it (chat/openai_api.py): one line for all, nothing kept."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def analyze(self, path: Path, settings: Settings, stopped: Callable[[], bool]) -> Analysis:
        def progress(_: Progress) -> None:
            if stopped():
                raise Left("nobody waits for it")

        return analyze(path, replace(self._desk.settings, preset=settings.preset), progress=progress)

    def session(self, analysis: Analysis, explain: str | None) -> Session:
        return open_session(analysis, explain or self._desk.explain, self._desk.remote)

    def turn(self, stopped: Callable[[], bool] | None = None) -> AbstractContextManager[None]:
        return self._desk.turns.turn(stopped)


def make_app(desk: Desk, login: Login | None = None, api: ApiLimits | None = None) -> FastAPI:
    """The application without the page, which chat/ui.py mounts on it. api: of /v1/chat/completions; with a key, that
    is asked for there instead of the login."""
    app = FastAPI(title="tvad", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, login=login, key=api.api_key if api else None)
    app.include_router(router(Programs(desk), api))
    began_s = time.monotonic()

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return JSONResponse({"error": str(error)}, 404 if "no longer here" in str(error) else 422)

    @app.exception_handler(Busy)
    async def busy(request: Request, error: Busy) -> Response:
        return JSONResponse({"error": str(error)}, 503, {"Retry-After": "30"})

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {
            "status": "ok",
            "version": __version__,
            "preset": desk.settings.preset,
            "running": desk.turns.running,
            "waiting": desk.turns.waiting,
            "uptime_s": round(time.monotonic() - began_s, 1),
        }

    @app.get("/page/{name}")
    def asset(name: str) -> Response:
        path = ASSETS / name
        if name not in {p.name for p in ASSETS.iterdir()} or path.suffix not in KINDS:
            return Response(status_code=404)
        return FileResponse(path, media_type=KINDS[path.suffix], headers={"Cache-Control": "no-cache"})

    @app.post("/upload")
    async def upload(request: Request, name: str = "video.mp4") -> Response:
        case = await _received(desk, request, name)
        return JSONResponse({"id": case.id, "name": case.name, "shown": case.shown})

    @app.post("/example")
    def example(request: Request) -> Response:
        if not EXAMPLE.is_file():
            raise Refused("the example is not installed here (make examples/plaza.mp4)")
        case = desk.receive(visit_of(request), EXAMPLE.name, [EXAMPLE.read_bytes()])
        return JSONResponse({"id": case.id, "name": case.name, "shown": case.shown})

    @app.get("/normal")
    def normals(request: Request) -> Response:
        visit = visit_of(request)
        clips = [{"id": c.id, "name": c.name} for c in desk.normals(visit)]
        return JSONResponse({"clips": clips, "learnt": desk.learnt(visit)}, headers={"Cache-Control": "no-store"})

    @app.post("/normal")
    async def normal(request: Request, name: str = "video.mp4") -> Response:
        case = await _received(desk, request, name, is_normal=True)
        return JSONResponse({"id": case.id, "name": case.name})

    @app.get("/case/{case_id}")
    def board(request: Request, case_id: str) -> Response:
        return JSONResponse(desk.board(_case(desk, request, case_id)), headers={"Cache-Control": "no-store"})

    @app.get("/case/{case_id}/file/{name}")
    def file(request: Request, case_id: str, name: str) -> Response:
        case = _case(desk, request, case_id)
        path = case.folder / name
        if not FILES.fullmatch(name) or path.is_symlink() or not path.is_file():
            return JSONResponse({"error": "no such file"}, 404)
        return FileResponse(
            path,
            media_type=MEDIA.get(path.suffix, "application/octet-stream"),
            headers={"Cache-Control": "private, no-cache"},
        )

    @app.post("/case/{case_id}/threshold")
    async def threshold(request: Request, case_id: str) -> Response:
        case = _case(desk, request, case_id)
        await run_in_threadpool(desk.recut, case, _rate(await request.body()))
        return JSONResponse(await run_in_threadpool(desk.board, case))

    @app.get("/case/{case_id}/event/{event_id}.jpg")
    def event_frame(request: Request, case_id: str, event_id: int) -> Response:
        from chat.exports import event_picture

        return Response(event_picture(_case(desk, request, case_id), event_id), media_type="image/jpeg")

    @app.get("/case/{case_id}/trajectory.jpg")
    def ways(request: Request, case_id: str) -> Response:
        from chat.exports import trajectory

        return Response(trajectory(_case(desk, request, case_id)), media_type="image/jpeg")

    @app.post("/case/{case_id}/event/{event_id}")
    async def judge(request: Request, case_id: str, event_id: int) -> Response:
        case = _case(desk, request, case_id)
        right, label = _judgement(await request.body())
        await run_in_threadpool(desk.judge, case, event_id, right, label)
        return Response(status_code=204)

    @app.delete("/case/{case_id}")
    def forget(request: Request, case_id: str) -> Response:
        desk.forget(_case(desk, request, case_id))
        return Response(status_code=204)

    @app.get("/case/{case_id}/export/{kind}")
    def export(request: Request, case_id: str, kind: str) -> Response:
        from chat.exports import KINDS as EXPORTS
        from chat.exports import make

        case = _case(desk, request, case_id)
        if kind not in EXPORTS:
            raise Refused(f"no export {kind[:20]!r}; there are {', '.join(EXPORTS)}")
        with desk.turns.turn():  # it reads the video again
            data = make(case, kind)
        stem = re.sub(r"[^\w.-]+", "_", Path(case.name).stem, flags=re.ASCII) or "video"
        kept = f"attachment; filename=tvad-{stem}{EXPORTS[kind].ending}"
        return Response(data, media_type=EXPORTS[kind].media, headers={"Content-Disposition": kept})

    return app


def visit_of(request: Any) -> str:
    """The secret of the browser that asks; "" for none."""
    return str((getattr(request, "cookies", None) or {}).get(COOKIE, ""))


def _case(desk: Desk, request: Request, case_id: str) -> Case:
    return desk.case(visit_of(request), case_id)


def _rate(body: bytes) -> float:
    """The false alarms an hour that a body asks for."""
    try:
        value = json.loads(body[:1000])["per_hour"]
        return float(value)
    except (ValueError, TypeError, KeyError, UnicodeDecodeError):
        raise Refused('expected {"per_hour": NUMBER}') from None


def _judgement(body: bytes) -> tuple[bool, str]:
    """{"right": true or false, "label": words} of a body."""
    try:
        given = json.loads(body[:2000])
        right, label = given["right"], given.get("label", "")
    except (ValueError, TypeError, KeyError, AttributeError):
        right, label = None, ""
    if not isinstance(right, bool) or not isinstance(label, str):
        raise Refused('expected {"right": true or false, "label": "..."}')
    return right, label


async def _received(desk: Desk, request: Request, name: str, is_normal: bool = False) -> Case:
    """The body as a video, piece by piece, so that it is never in memory as a whole."""
    length = request.headers.get("content-length") or "0"
    if not length.isdecimal() or int(length[:20]) > desk.limits.upload_mb * 2**20:
        raise Refused(f"{name[:120]} is larger than {desk.limits.upload_mb:g} MB, the most that is taken here")
    incoming = desk.begin(visit_of(request), name, is_normal)
    try:
        async for piece in request.stream():
            await run_in_threadpool(incoming.write, piece)
        return await run_in_threadpool(incoming.finish)
    except BaseException:
        incoming.drop()
        raise


class Guard:
    """ASGI middleware: the login, the visit's cookie, headers that keep everything on this site, a line of log."""

    def __init__(self, app: ASGIApp, login: Login | None = None, key: str | None = None) -> None:
        """key: what is below /v1/, and /mcp, is for programs that send it, instead of the login."""
        self.app, self.login, self.key = app, login, key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        began_s = time.monotonic()
        request = Request(scope)
        status = 0

        held: list[Message] = []  # the start of an HTML page, which is sent once the page is whole
        body = b""

        async def marked(message: Message) -> None:
            nonlocal status, body
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                _mark(request, headers)
                if "text/html" in headers.get("content-type", "") and "content-encoding" not in headers:
                    held.append(message)
                    return
            elif held:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                body = OUTSIDE.sub(b"", body)
                start = held.pop()
                MutableHeaders(scope=start)["content-length"] = str(len(body))
                await send(start)
                message = {"type": "http.response.body", "body": body}
            await send(message)

        try:
            if answer := self._refusal(request):
                await answer(scope, receive, marked)
            else:
                await self.app(scope, receive, marked)
        finally:
            _log(request, status, began_s)

    def _refusal(self, request: Request) -> Response | None:
        path = str(request.scope["path"]).removeprefix(str(request.scope.get("root_path", "")))
        header = request.headers.get("authorization", "")
        open_to_all = path == "/health" or (self.key and path.startswith("/v1/"))  # /v1/ asks for the key itself
        if self.key and path == "/mcp":
            kind, _, given = header.partition(" ")
            if kind.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), self.key.encode()):
                return JSONResponse({"error": "send the header Authorization: Bearer KEY"}, 401, BEARER)
        elif self.login and not open_to_all and not self.login.allows(header):
            return Response("A name and a password are needed.", 401, {"WWW-Authenticate": 'Basic realm="tvad"'})
        if ADDRESS.search(path):
            return JSONResponse({"error": "nothing is fetched from addresses here"}, 403)
        if request.method not in ("GET", "HEAD", "OPTIONS") and not _same_site(request):
            return JSONResponse({"error": "this request came from another site"}, 403)
        return None


def _mark(request: Request, headers: MutableHeaders) -> None:
    if request.method == "GET" and COOKIE not in request.cookies and "text/html" in headers.get("content-type", ""):
        secure = "; Secure" if request.url.scheme == "https" else ""
        headers.append("Set-Cookie", f"{COOKIE}={secrets.token_urlsafe(24)}; HttpOnly; Path=/; SameSite=Strict{secure}")
    headers.setdefault("Content-Security-Policy", POLICY)
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"


def _log(request: Request, status: int, began_s: float) -> None:
    """One line of JSON; of the visit only a hash, of a case's address nothing that would open it."""
    if "heartbeat" in request.url.path:
        return
    said = {
        "at": round(time.time(), 3),
        "method": request.method,
        "path": re.sub(r"/case/[^/]+", "/case/...", request.url.path)[:200],
        "status": status,
        "ms": round(1000 * (time.monotonic() - began_s), 1),
        "visit": hashlib.sha256(visit_of(request).encode()).hexdigest()[:8],
    }
    log.info(json.dumps(said))


def _same_site(request: Request) -> bool:
    """Whether a browser says that the request comes from this page; programs say nothing."""
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
