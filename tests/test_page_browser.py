"""The page in a real browser, with the real `mini`: open, watch, ask, click, mark, move the threshold, save.

`make test-slow` runs it where playwright and Chromium are (Debian: chromium).
"""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PLAZA = Path(__file__).parent.parent / "examples" / "plaza.mp4"
WAIT_MS = 120_000

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the PATH")]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tvad", "serve", "--port", str(port), "--quiet", "--max-upload-mb", "50"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):
                    break
            except OSError:
                time.sleep(1)
        yield address
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def page(server: str) -> Iterator[Any]:
    with sync_api.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        made = browser.new_page(viewport={"width": 1440, "height": 1000})
        made.outside, made.errors = [], []
        made.on(
            "request", lambda r: made.outside.append(r.url) if not r.url.startswith((server, "data:", "blob:")) else 0
        )
        made.on("pageerror", lambda e: made.errors.append(str(e)))
        made.goto(server, timeout=WAIT_MS)
        made.wait_for_selector(".tv-drop", timeout=WAIT_MS)
        yield made
        browser.close()


def video(page: Any, what: str) -> Any:
    return page.evaluate(f"document.querySelector('.tv-stage video').{what}")


def drop(page: Any, path: Path) -> None:
    page.set_input_files("#tv-file", str(path))
    page.wait_for_selector(".tv-events li", timeout=WAIT_MS)


def note(page: Any, words: str) -> None:
    """Wait until the page's line says so."""
    said = "w => document.querySelector('.tv-note').innerText.includes(w)"
    page.wait_for_function(said, arg=words, timeout=WAIT_MS)


def dialogue(page: Any) -> str:
    return " ".join(m.inner_text() for m in page.query_selector_all(".message"))


def heat_pixels(page: Any) -> int:
    return int(
        page.evaluate("""() => {
      const c = document.querySelector('.tv-canvas');
      const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
      let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 20; return n; }""")
    )


def test_from_a_file_to_a_report(page: Any) -> None:
    drop(page, PLAZA)
    page.wait_for_function("document.body.innerText.includes('Rests on')", timeout=WAIT_MS)
    assert "bicycle" in dialogue(page)
    page.wait_for_timeout(1500)
    at_peak = video(page, "currentTime")
    assert at_peak > 1 and heat_pixels(page) > 500
    page.uncheck("#tv-heat")
    page.uncheck("#tv-boxes")
    page.wait_for_timeout(300)
    assert heat_pixels(page) == 0
    page.check("#tv-heat")
    # A citation seeks.
    page.evaluate("document.querySelector('.tv-stage video').currentTime = 0.5")
    page.wait_for_timeout(500)
    page.click("a[href$='#e=1']")
    page.wait_for_timeout(800)
    assert abs(video(page, "currentTime") - at_peak) < 0.3
    # So does the curve, by mouse and by key.
    line = page.query_selector(".tv-line").bounding_box()
    page.mouse.click(line["x"] + line["width"] * 0.25, line["y"] + 30)
    page.wait_for_timeout(500)
    assert abs(video(page, "currentTime") - 0.25 * video(page, "duration")) < 0.3
    page.focus(".tv-line")
    page.keyboard.press("End")
    page.wait_for_timeout(500)
    assert video(page, "currentTime") > video(page, "duration") - 0.5
    # A region is what the next question is about.
    page.click("a[href$='#e=1']")
    page.wait_for_timeout(800)
    page.click("text=Mark a region")
    box = page.query_selector(".tv-canvas").bounding_box()
    x, y = (lambda s: box["x"] + box["width"] * s), (lambda s: box["y"] + box["height"] * s)
    page.mouse.move(x(0.02), y(0.02))
    page.mouse.down()
    page.mouse.move(x(0.2), y(0.2), steps=4)
    page.mouse.up()
    page.wait_for_selector(".tv-chip:not([hidden])")
    page.wait_for_timeout(1500)
    page.fill("textarea", "What is here?")
    page.press("textarea", "Enter")
    page.wait_for_function("document.body.innerText.includes('In the marked region')", timeout=WAIT_MS)
    assert "at the top left of the picture" in dialogue(page)
    # Another threshold, other events.
    before = page.inner_text(".tv-events")
    page.evaluate("const r = document.querySelector('#tv-rate'); r.value = -1; r.dispatchEvent(new Event('input'))")
    page.wait_for_function("t => document.querySelector('.tv-events').innerText !== t", arg=before, timeout=WAIT_MS)
    assert "0.1 an hour" in page.inner_text("output")
    # What is saved opens.
    begins = {"report": "<!", "pdf": "%PDF", "evidence": "{", "srt": "1", "vtt": "WEBVTT", "transcript": "#"}
    for kind, begin in begins.items():
        head = page.evaluate(
            "async k => { const a = [...document.querySelectorAll('.tv-export')].find(x => x.href.endsWith('/' + k));"
            " const r = await fetch(a.href); return r.ok ? (await r.text()).slice(0, 20) : r.status; }", kind,
        )  # fmt: skip
        assert str(head).startswith(begin), (kind, head)
    assert page.outside == [] and page.errors == []


def test_programs_use_the_same_server(server: str, tmp_path: Path) -> None:
    client = pytest.importorskip("gradio_client")
    program = client.Client(server, verbose=False, download_files=tmp_path)
    said = program.predict(client.handle_file(PLAZA), "what is anomalous?", "", "", api_name="/describe")
    assert said["has_anomaly"] and "bicycle" in said["answer"] and said["events"]
    (tmp_path / "no.mp4").write_bytes(b"no video")
    with pytest.raises(client.exceptions.AppError, match="cannot be read as a video"):
        program.predict(client.handle_file(tmp_path / "no.mp4"), "what?", "", "", api_name="/describe")


def test_bad_files_get_a_sentence(page: Any, tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"not a video" * 100)
    page.set_input_files("#tv-file", str(tmp_path / "no.mp4"))
    page.wait_for_function(
        "document.querySelector('.tv-note').innerText.includes('cannot be read as a video')", timeout=WAIT_MS
    )
    (tmp_path / "large.mp4").write_bytes(b"0" * 51 * 2**20)
    page.set_input_files("#tv-file", str(tmp_path / "large.mp4"))
    page.wait_for_function(
        "document.querySelector('.tv-note').innerText.includes('larger than 50 MB')", timeout=WAIT_MS
    )
    assert page.errors == []


def test_narrow_and_dark(page: Any, server: str) -> None:
    drop(page, PLAZA)
    for theme in ("light", "dark"):
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{server}/?__theme={theme}", timeout=WAIT_MS)
        page.wait_for_selector(".tv-events li", timeout=WAIT_MS)  # a reload shows what was open
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
