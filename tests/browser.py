"""A page of its own, in a real Chromium, for the tests that look at it as a person does."""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WEBCAM = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
PLAZA = Path(__file__).parent.parent / "examples" / "plaza.mp4"
DATA = Path(__file__).parent.parent.parent / "shared" / "data"
WAIT_MS = 120_000
NEEDED = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def serving(*flags: str) -> Iterator[str]:
    """The address of `tvad serve` with these flags."""
    port = free_port()
    command = [sys.executable, "-m", "tvad", "serve", "--port", str(port), "--quiet", *flags]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(360):
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):
                    break
            except OSError:
                time.sleep(0.5)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def visiting(address: str, *flags: str, theme: str = "light", phone: bool = False) -> Iterator[Any]:
    """A fresh browser's page. `outside`: requests to other hosts; `errors`: of scripts. phone: small, with touch."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        sizes: dict[str, Any] = {"viewport": {"width": 1440, "height": 1000}}
        if phone:
            sizes = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
            sizes |= {"device_scale_factor": 2}
        made = browser.new_page(**sizes)
        watch(made, address)
        # Gradio draws the page anew once what was open is known; a focus set before is lost.
        with made.expect_response("**/run/predict*", timeout=WAIT_MS):
            made.goto(f"{address}/?__theme={theme}", timeout=WAIT_MS)
        made.wait_for_selector(".tv-drop", timeout=WAIT_MS)
        made.wait_for_selector("#tv-question button[aria-label=Ask]", timeout=WAIT_MS)
        for _ in range(3):  # a busy machine takes longer to draw than any fixed time
            made.wait_for_timeout(200)
            made.evaluate("new Promise((done) => requestIdleCallback(() => done()))")
        yield made
        browser.close()


def watch(page: Any, address: str) -> None:
    page.outside, page.errors = [], []
    page.on("request", lambda r: page.outside.append(r.url) if not r.url.startswith((address, "data:", "blob:")) else 0)
    page.on("pageerror", lambda e: page.errors.append(str(e)))


def video(page: Any, what: str) -> Any:
    return page.evaluate(f"document.querySelector('.tv-stage video').{what}")


def drop(page: Any, *paths: Path) -> None:
    """Open videos and wait until the first one's events are there."""
    page.set_input_files("#tv-file", [str(path) for path in paths])
    page.wait_for_selector(".tv-events li", timeout=WAIT_MS)


def until(page: Any, condition: str, arg: Any = None) -> None:
    page.wait_for_function(condition, arg=arg, timeout=WAIT_MS)


def note(page: Any, words: str) -> None:
    """Wait until the page's line says so."""
    until(page, "w => document.querySelector('#tv-board .tv-note').innerText.includes(w)", words)


def says(page: Any, words: str) -> None:
    """Wait until the dialogue says so."""
    until(page, "w => [...document.querySelectorAll('.message')].some(m => m.innerText.includes(w))", words)


def answered(page: Any, times: int = 1) -> None:
    """Wait until so many answers about events are whole: what an answer rests on stands below it."""
    until(page, "n => document.querySelector('#tv-dialogue').innerText.split('Rests on').length > n", times)


def dialogue(page: Any) -> str:
    return " ".join(m.inner_text() for m in page.query_selector_all(".message"))


def ask(page: Any, question: str) -> None:
    page.fill("#tv-question textarea", question)
    page.press("#tv-question textarea", "Enter")


def painted(page: Any) -> int:
    """Pixels that the canvas over the video has painted."""
    return int(
        page.evaluate("""() => {
      const c = document.querySelector('.tv-canvas');
      const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
      let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 20; return n; }""")
    )
