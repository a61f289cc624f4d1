"""A real Firefox, driven by WebDriver BiDi (w3.org/TR/webdriver-bidi), which it speaks itself: no driver of its own."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser import WAIT_MS, free_port

FIREFOX = shutil.which("firefox") or shutil.which("firefox-esr")
# Of Firefox's own accord it asks its maker's servers.
PREFS = {
    "app.update.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


class Firefox:
    """One tab. `outside`: requests of the page to other hosts; `errors`: of its scripts."""

    def __init__(self, socket: Any, address: str) -> None:
        self.outside: list[str] = []
        self.errors: list[str] = []
        self._socket, self._address, self._last = socket, address, 0
        self.call("session.new", capabilities={})
        self.tab = self.call("browsingContext.getTree")["contexts"][0]["context"]
        self.call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])

    def call(self, method: str, **params: Any) -> Any:
        """A command's result. RuntimeError where Firefox refuses it."""
        self._last += 1
        self._socket.send(json.dumps({"id": self._last, "method": method, "params": params}))
        while True:
            told = json.loads(self._socket.recv(timeout=WAIT_MS / 1000))
            if told.get("id") == self._last:
                if told["type"] == "error":
                    raise RuntimeError(f"{method}: {told['error']}: {told['message'][:500]}")
                return told["result"]
            self._noted(told.get("method"), told.get("params", {}))

    def _noted(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "log.entryAdded" and params["level"] == "error" and params["type"] == "javascript":
            self.errors.append(str(params["text"]))
        if method == "network.beforeRequestSent":
            url = params["request"]["url"]
            if not url.startswith((self._address, "data:", "blob:", "about:")):
                self.outside.append(url)

    def go(self, path: str = "/") -> None:
        self.call("browsingContext.navigate", context=self.tab, url=self._address + path, wait="interactive")

    def size(self, width: int, height: int) -> None:
        self.call("browsingContext.setViewport", context=self.tab, viewport={"width": width, "height": height})

    def run(self, expression: str) -> Any:
        """The value of an expression; JSON, or an element for `files`."""
        target = {"context": self.tab}
        said = self.call("script.evaluate", expression=expression, target=target, awaitPromise=True)
        if said["type"] == "exception":
            raise RuntimeError(said["exceptionDetails"]["text"])
        result = said["result"]
        return result if result["type"] == "node" else result.get("value")

    def until(self, condition: str, limit_s: float = WAIT_MS / 1000) -> None:
        began_s = time.monotonic()
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() - began_s < limit_s, f"not within {limit_s:.0f} s: {condition}"
            time.sleep(0.1)

    def files(self, selector: str, *paths: Path) -> None:
        node = self.run(f"document.querySelector({json.dumps(selector)})")
        element = {"sharedId": node["sharedId"]}
        self.call("input.setFiles", context=self.tab, element=element, files=[str(p) for p in paths])

    def place(self, selector: str, x: float = 0.5, y: float = 0.5) -> tuple[int, int]:
        """A spot of an element, in shares of its size, in the window; scrolled to."""
        at = f"const n = document.querySelector({json.dumps(selector)}); n.scrollIntoView({{block: 'nearest'}}); "
        at += f"const b = n.getBoundingClientRect(); return [b.x + b.width * {x}, b.y + b.height * {y}].join();"
        left, top = str(self.run(f"(() => {{ {at} }})()")).split(",")
        return round(float(left)), round(float(top))

    def drag(self, *spots: tuple[int, int]) -> None:
        """Press at the first spot, move over the others, let go; one spot is a click."""
        first, *rest = spots
        moves = [{"type": "pointerMove", "x": x, "y": y, "duration": 50} for x, y in rest]
        acts = [{"type": "pointerMove", "x": first[0], "y": first[1]}, {"type": "pointerDown", "button": 0}]
        acts += [*moves, {"type": "pointerUp", "button": 0}]
        source = {"type": "pointer", "id": "mouse", "actions": acts}
        self.call("input.performActions", context=self.tab, actions=[source])

    def click(self, selector: str) -> None:
        self.drag(self.place(selector))

    def type(self, text: str) -> None:
        """Keys to what has the focus; a newline is Enter."""
        keys = [{"type": kind, "value": key.replace("\n", "\ue007")} for key in text for kind in ("keyDown", "keyUp")]
        self.call("input.performActions", context=self.tab, actions=[{"type": "key", "id": "keys", "actions": keys}])

    def picture(self, path: Path) -> None:
        origin = {"context": self.tab, "origin": "document"}
        path.write_bytes(base64.b64decode(self.call("browsingContext.captureScreenshot", **origin)["data"]))


@contextmanager
def firefox(address: str) -> Iterator[Firefox]:
    from websockets.sync.client import connect

    assert FIREFOX
    port = free_port()
    with tempfile.TemporaryDirectory() as profile:
        prefs = "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFS.items())
        (Path(profile) / "user.js").write_text(prefs)
        command = [FIREFOX, "--headless", "--no-remote", "--profile", profile, f"--remote-debugging-port={port}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for attempt in range(120):
                try:
                    socket = connect(f"ws://127.0.0.1:{port}/session", max_size=None)
                    break
                except OSError:
                    assert attempt < 119, "Firefox does not answer"
                    time.sleep(0.5)
            with socket:
                yield Firefox(socket, address)
        finally:
            process.terminate()
            process.wait(30)
