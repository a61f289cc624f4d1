"""A real HTTP server on this machine that behaves like a hub of models, with faults on request."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REVISION = "a" * 40


@dataclass
class Hub:
    """What it serves and how it misbehaves.

    cut_after: bytes of a body after which the connection is cut, an entry a body. ranges: whether it honours Range.
    lies: file -> bytes sent instead. statuses: answers to give first, before any other. store: base URL that files are
    redirected to. extra: path -> body, beside the hub's own. asked: (path, Range, Authorization) of every request.
    """

    repo: str
    files: dict[str, bytes]
    revision: str = REVISION
    cut_after: list[int] = field(default_factory=list)
    ranges: bool = True
    lies: dict[str, bytes] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    store: str = ""
    extra: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""

    def listing(self) -> dict[str, object]:
        siblings = []
        for name, data in self.files.items():
            entry: dict[str, object] = {"rfilename": name, "size": len(data)}
            if name.endswith(".safetensors"):
                entry["lfs"] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            else:
                entry["blobId"] = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            siblings.append(entry)
        return {"sha": self.revision, "siblings": siblings}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined, no-any-return]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        hub = self.hub
        hub.asked.append((path, self.headers.get("Range", ""), self.headers.get("Authorization", "")))
        if path in hub.extra:
            return self._send(hub.extra[path])
        if path == f"/api/models/{hub.repo}/revision/main" or path == f"/api/models/{hub.repo}/revision/{hub.revision}":
            return self._send(json.dumps(hub.listing()).encode())
        name = path.removeprefix(f"/{hub.repo}/resolve/{hub.revision}/")
        if name == path or name not in hub.files:
            return self._plain(404)
        if hub.statuses:
            return self._plain(hub.statuses.pop(0))
        if hub.store:
            self.send_response(302)
            self.send_header("Location", f"{hub.store}{path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self._send(hub.lies.get(name, hub.files[name]), cut=True)

    def _plain(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, data: bytes, cut: bool = False) -> None:
        begin = 0
        asked = self.headers.get("Range", "")
        if asked and self.hub.ranges:
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
            if begin >= len(data):
                return self._plain(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        body = data[begin:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if cut and self.hub.cut_after:
            body = body[: self.hub.cut_after.pop(0)]
            self.close_connection = True
        self.wfile.write(body)


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub at `hub.url` of this machine while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub = hub  # type: ignore[attr-defined]
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
