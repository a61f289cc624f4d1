"""The page in a real browser, with the real `mini`: open, watch, ask, click, mark, move the threshold, save.

`make test-slow` runs it where playwright and Chromium are (Debian: chromium).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

from browser import (
    DATA,
    NEEDED,
    PLAZA,
    WAIT_MS,
    answered,
    ask,
    dialogue,
    drop,
    note,
    painted,
    says,
    serving,
    until,
    video,
    visiting,
)

pytestmark = NEEDED


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving("--max-upload-mb", "50") as address:
        yield address


@pytest.fixture
def page(server: str) -> Iterator[Any]:
    with visiting(server) as made:
        yield made


def test_from_a_file_to_a_report(page: Any) -> None:
    drop(page, PLAZA)
    answered(page)
    assert "bicycle" in dialogue(page)
    page.wait_for_timeout(1500)
    at_peak = video(page, "currentTime")
    assert at_peak > 1 and painted(page) > 500
    page.uncheck("#tv-heat")
    page.uncheck("#tv-boxes")
    page.wait_for_timeout(300)
    assert painted(page) == 0
    page.check("#tv-heat")
    # A citation seeks.
    page.evaluate("document.querySelector('.tv-stage video').currentTime = 0.5")
    page.wait_for_timeout(500)
    page.uncheck("#tv-heat")
    page.click("a[href$='#e=1']")
    page.wait_for_timeout(800)
    assert abs(video(page, "currentTime") - at_peak) < 0.3
    # The box of what is cited flashes, although boxes are switched off.
    assert page.get_attribute(".tv-stage", "data-flash") == "1" and painted(page) > 200
    page.wait_for_timeout(1500)
    assert page.get_attribute(".tv-stage", "data-flash") == "" and painted(page) == 0
    page.check("#tv-heat")
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
    ask(page, "What is here?")
    says(page, "In the marked region")
    assert "at the top left of the picture" in dialogue(page)
    # Another threshold, other events.
    before = page.inner_text(".tv-events")
    line = page.inner_html(".tv-line svg")
    page.evaluate("const r = document.querySelector('#tv-rate'); r.value = -1; r.dispatchEvent(new Event('input'))")
    page.wait_for_function("t => document.querySelector('.tv-events').innerText !== t", arg=before, timeout=WAIT_MS)
    assert "0.1 an hour" in page.inner_text("output") and page.inner_html(".tv-line svg") != line
    # What is saved opens.
    begins = {
        "report": "<!",
        "pdf": "%PDF",
        "evidence": "{",
        "srt": "1",
        "vtt": "WEBVTT",
        "transcript": "#",
        "overlay": "",
    }
    for kind, begin in begins.items():
        head = page.evaluate(
            "async k => { const a = [...document.querySelectorAll('.tv-export')].find(x => x.href.endsWith('/' + k));"
            " const r = await fetch(a.href); return r.ok ? (await r.text()).slice(0, 20) : r.status; }", kind,
        )  # fmt: skip
        assert str(head).startswith(begin), (kind, head)
    assert page.outside == [] and page.errors == []


def test_opacity_a_clicked_place_and_a_copied_answer(page: Any) -> None:
    drop(page, PLAZA)
    answered(page)
    page.wait_for_timeout(1500)
    page.uncheck("#tv-boxes")
    shown = "v => { const r = document.querySelector('[aria-label=\"Opacity of the heat\"]');"
    shown += " r.value = v; r.dispatchEvent(new Event('input')); }"
    page.evaluate(shown, 0)
    page.wait_for_timeout(300)
    assert painted(page) == 0
    page.evaluate(shown, 0.9)
    page.wait_for_timeout(300)
    assert painted(page) > 500
    # A click marks a small place around it.
    page.click("text=Mark a region")
    box = page.query_selector(".tv-canvas").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.9)
    page.wait_for_selector(".tv-chip:not([hidden])")
    page.wait_for_timeout(1500)
    ask(page, "What is here?")
    says(page, "In the marked region")
    assert "at the bottom left of the picture" in dialogue(page)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#tv-dialogue button[title*=Copy i], button[aria-label*='Copy' i]").last.click()
    until(page, "navigator.clipboard.readText().then(t => t.includes('marked region'))")


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
    note(page, "cannot be read as a video")
    (tmp_path / "large.mp4").write_bytes(b"0" * 51 * 2**20)
    page.set_input_files("#tv-file", str(tmp_path / "large.mp4"))
    note(page, "larger than 50 MB")
    assert page.errors == []


def test_names_are_no_markup(page: Any, tmp_path: Path) -> None:
    evil = tmp_path / "<img src=x onerror=window.hit=1>.mp4"
    evil.write_bytes(PLAZA.read_bytes())
    drop(page, evil)
    answered(page)
    ask(page, "<img src=x onerror=window.hit=1> ![x](http://example.org/x.png) <script>window.hit=1</script>")
    says(page, "<script>window.hit=1</script>")
    page.click(".tv-event") if page.query_selector(".tv-event[aria-controls]") else None
    page.wait_for_timeout(1500)
    assert page.evaluate("window.hit") is None and page.outside == [] and page.errors == []
    assert "<img src=x" in page.inner_text("[role=tab]")


@pytest.mark.skipif(not DATA.is_dir(), reason="the clips of ../shared/data are not here")
def test_real_clips_of_many_kinds(page: Any) -> None:
    """A street (AVI, which browsers do not play), a fight, a fall: watched, asked about, sought in."""
    clips = [DATA / "street" / "vtest.avi", *sorted((DATA / "fight_surv" / "fight").glob("*.mp4"))[:1]]
    clips += sorted((DATA / "gmdcsa24_fall").rglob("*.mp4"))[:1]
    for clip in clips:
        page.set_input_files("#tv-file", str(clip))
        page.wait_for_selector(f"[role=tab][aria-selected=true][title='{clip.name}']", timeout=WAIT_MS)
        page.wait_for_selector(".tv-verdict:not(:empty)", timeout=WAIT_MS)
        until(page, "document.querySelector('.tv-stage video').readyState >= 2")
        until(
            page,
            "[...document.querySelectorAll('.message')]"
            ".some(m => m.innerText.match(/^(\\[Not sure|Yes|No|There|From|Nothing)/))",
        )
        offered = any("ZIP" in a.inner_text() for a in page.query_selector_all(".tv-export"))
        assert offered == bool(page.query_selector(".tv-event[aria-controls]"))  # clips of no events are not offered
        half = video(page, "duration") / 2
        line = page.query_selector(".tv-line").bounding_box()
        page.mouse.click(line["x"] + line["width"] / 2, line["y"] + 30)
        page.wait_for_timeout(700)
        assert abs(video(page, "currentTime") - half) < 0.3
    assert page.outside == [] and page.errors == []


def test_narrow_and_dark(page: Any, server: str) -> None:
    drop(page, PLAZA)
    for theme in ("light", "dark"):
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(f"{server}/?__theme={theme}", timeout=WAIT_MS)
        page.wait_for_selector(".tv-events li", timeout=WAIT_MS)  # a reload shows what was open
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
