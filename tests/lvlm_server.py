"""A server of OpenAI's chat completions that looks at what it is sent; run as a process of its own.

    python tests/lvlm_server.py        prints its port

The path before /v1 says how it behaves: /ok/v1, /cut/v1, ... It opens every picture, counts them and reads the events
out of the findings; its answer says what it saw. GET /log tells what came in so far, and who hung up.
"""

import base64
import io
import json
import re
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

LOG: list[dict[str, Any]] = []
FAILED: dict[str, int] = {}  # behaviour -> times it failed so far
KEY = "right-key"


def seen(order: dict[str, Any]) -> dict[str, Any]:
    """What there is in a request: pictures (width, height, mean colour), words of each role."""
    pictures, words = [], []
    for message in order["messages"]:
        parts = message["content"]
        for part in [{"type": "text", "text": parts}] if isinstance(parts, str) else parts:
            if part["type"] == "text":
                words.append((message["role"], part["text"]))
                continue
            head, _, data = part["image_url"]["url"].partition(",")
            assert head == "data:image/jpeg;base64", head
            with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
                assert picture.format == "JPEG"
                small = picture.convert("RGB").resize((1, 1))
                pictures.append([*picture.size, *small.getpixel((0, 0))])  # type: ignore[misc]
    return {"pictures": pictures, "words": words}


def answer(order: dict[str, Any], found: dict[str, Any]) -> str:
    """Says what the findings say, and how many pictures there were."""
    system = next((text for role, text in found["words"] if role == "system"), "")
    events = re.findall(r"Event (\d+): ([^,]+), from ([\d.]+) to ([\d.]+) s", system)
    tracks = re.findall(r"Track (\d+): (?:an? )?(.+?), seen", system)
    shown = f"I was shown {len(found['pictures'])} pictures."
    if not events:
        return f"No, there is no anomaly in the findings. {shown}"
    number, what, start, end = events[0]
    track = f" It is track {tracks[0][0]}, a {tracks[0][1]}." if tracks else ""
    return f"Yes, event {number} is a {what} from {start} to {end} s.{track} {shown}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/log":
            return self._json(200, LOG)
        behaviour = self.path.split("/")[1]
        LOG.append({"path": self.path, "authorization": self.headers.get("Authorization", "")})
        if self.path.endswith("/v1/models"):
            if behaviour == "listless":
                return self._json(500, {"error": {"message": "no such folder"}})
            names = {"two": ["one", "other"], "gone": ["another-model"], "nameless": []}.get(behaviour, ["tiny-vlm"])
            return self._json(200, {"object": "list", "data": [{"id": name} for name in names]})
        self._json(404, {"error": {"message": "no such path"}})

    def do_POST(self) -> None:
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = seen(order)
        self.entry = {
            "path": self.path,
            "authorization": self.headers.get("Authorization", ""),
            "agent": self.headers.get("User-Agent", ""),
            "order": {k: v for k, v in order.items() if k != "messages"},
            "roles": [m["role"] for m in order["messages"]],
            "hung_up": False,
            **found,
        }
        LOG.append(self.entry)
        behaviour = self.path.split("/")[1]
        getattr(self, behaviour)(order, found)

    # Behaviours

    def ok(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._stream(answer(order, found))

    def picky(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        """Has no answer where there is an event."""
        if any("Event 1:" in text for _, text in found["words"]):
            return self._json(400, {"error": {"message": "too long"}})
        self._stream(answer(order, found))

    def slow(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._stream(" ".join(["word"] * 200), pause_s=0.05)

    def wrong(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._stream("No, there is no anomaly. Event 9 goes to the left at 99 s.")

    def cut(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._stream(answer(order, found), words=4, ends=False)

    def early(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        """Cut before the first word, once."""
        if FAILED.setdefault("early", 0):
            return self._stream(answer(order, found))
        FAILED["early"] += 1
        self._stream("", ends=False)

    def busy(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        """429 twice, then an answer."""
        if FAILED.setdefault("busy", 0) >= 2:
            return self._stream(answer(order, found))
        FAILED["busy"] += 1
        self._json(429, {"error": {"message": "slow down"}}, {"Retry-After": "0"})

    def always_busy(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._json(429, {"error": {"message": "slow down"}}, {"Retry-After": "0"})

    def broken(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._json(503, {"error": {"message": "out of\nmemory"}}, {"Retry-After": "0"})

    def locked(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        given = self.headers.get("Authorization", "")
        if given == f"Bearer {KEY}":
            return self._stream(answer(order, found))
        self._json(401, {"error": {"message": f"the key {given} is wrong"}})

    def gone(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._json(404, {"error": {"message": f"The model {order['model']} does not exist."}})

    def listless(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        """Has one model, and breaks when asked which."""
        if order["model"] != "tiny-vlm":
            return self._json(404, {"error": {"message": f"The model {order['model']} does not exist."}})
        self._stream(answer(order, found))

    def redirect(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._json(307, {}, {"Location": f"http://localhost:{self.server.server_port}/ok/v1/chat/completions"})  # type: ignore[attr-defined]

    def garbage(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._raw(200, b"<html>It works!</html>", "text/html")

    def nonsense(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._raw(200, b'data: {"choices": [{"delta": {"content": "A "}}]}\n\ndata: %%%\n\n', "text/event-stream")

    def endless(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._raw(200, b"x" * (5 * 2**20), "text/event-stream")

    def inside(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._raw(200, b'data: {"error": {"message": "CUDA out of memory"}}\n\n', "text/event-stream")

    def filtered(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._stream("A ", finish="content_filter")

    def whole(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": answer(order, found)},
            "finish_reason": "stop",
        }
        self._json(200, {"object": "chat.completion", "choices": [choice]})

    def thinks(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._stream(f"<think>What could it be? Secret.</think>\n\n{answer(order, found)}")

    def limited(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._stream("Yes, there is a", finish="length")

    def empty(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._stream("")

    def blind(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        if found["pictures"]:
            return self._json(400, {"error": {"message": "this model takes text only"}})
        self._stream(answer(order, found))

    def newer(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        for name in ("max_tokens", "temperature"):
            if name in order:
                return self._json(400, {"error": {"message": f"'{name}' is not supported with this model."}})
        self._stream(answer(order, found))

    def silent(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        time.sleep(3)

    def wordless(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        """Signs of life, but no word."""
        self._begin()
        for _ in range(60):
            if not self._chunk(b": computing\n\n"):
                return
            time.sleep(0.05)

    def two(self, order: dict[str, Any], found: dict[str, Any]) -> None:
        self._stream(f"Yes, said by {order['model']}.")

    # How it is sent

    def _stream(
        self, text: str, words: int | None = None, ends: bool = True, pause_s: float = 0.0, finish: str = "stop"
    ) -> None:
        self._begin()
        self._event({"role": "assistant", "content": ""})
        for word in re.findall(r"\S+\s*", text)[:words]:
            # In halves of bytes, so that a client meets characters that are cut.
            if not self._event({"content": word}):
                self.entry["hung_up"] = True
                return
            time.sleep(pause_s)
        if not ends:
            self.close_connection = True
            return
        self._event({}, finish)
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _event(self, delta: dict[str, str], finish: str | None = None) -> bool:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        data = b"data: " + json.dumps({"choices": [choice]}, ensure_ascii=False).encode() + b"\r\n\r\n"
        return self._chunk(data[: len(data) // 2]) and self._chunk(data[len(data) // 2 :])

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes) -> bool:
        try:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()
            return True
        except OSError:
            self.close_connection = True
            return False

    def _json(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(value).encode(), "application/json", headers)

    def _raw(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    sys.stdin.close()
    server.serve_forever()
