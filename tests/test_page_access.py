"""The page for everybody: axe-core finds nothing serious, everything is reached by keys and has a name."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")
pytest.importorskip("axe_playwright_python", reason="axe is not installed (extra dev)")

from axe_playwright_python.sync_playwright import Axe
from browser import NEEDED, PLAZA, WAIT_MS, answered, ask, dialogue, drop, says, serving, until, video, visiting

pytestmark = NEEDED
NAMELESS = """() => [...document.querySelectorAll(
    '#tv-board :is(button, input, a, [role=slider], video, img, canvas[tabindex])')]
  .filter((n) => n.checkVisibility() && !n.closest('[aria-hidden=true]'))
  .filter((n) => !(n.getAttribute('aria-label') || n.innerText?.trim() || n.alt || n.labels?.[0]?.innerText.trim()))
  .map((n) => n.outerHTML.slice(0, 120))"""
FOCUS = "((n) => (n.getAttribute('aria-label') || n.innerText || n.tagName).slice(0, 30))(document.activeElement)"
PARTS = ("plaza.mp4", "Drop videos here", "Webcam", "The video", "Time and score", "Opacity of the heat",
         "Mark a region", "Report (HTML)", "Stop")  # fmt: skip
SIZES = {"wide": (1440, 1000), "narrow": (390, 844)}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def page(server: str) -> Iterator[Any]:
    with visiting(server) as made:
        yield made


def found(page: Any) -> list[str]:
    """Serious and critical findings of axe-core, which the package brings along: nothing is fetched."""
    response = Axe().run(page).response
    return [
        f"{v['id']}: {n['target']} {n['html'][:200]}"
        for v in response["violations"]
        if v["impact"] in ("serious", "critical")
        for n in v["nodes"]
    ]


def test_axe_notices_what_is_wrong(page: Any) -> None:
    page.evaluate("document.body.append(Object.assign(document.createElement('img'), { src: 'data:,' }))")
    assert [f for f in found(page) if f.startswith("image-alt")]


def test_nothing_serious_at_both_widths_and_in_both_themes(page: Any, server: str) -> None:
    assert found(page) == []  # the empty page
    drop(page, PLAZA)
    answered(page)
    for theme in ("light", "dark"):
        for name, (width, height) in SIZES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.goto(f"{server}/?__theme={theme}", timeout=WAIT_MS)
            page.wait_for_selector(".tv-events li", timeout=WAIT_MS)
            page.click(".tv-event")
            page.click("text=Ways of the tracks")
            for fold in page.query_selector_all("button.label-wrap"):
                fold.click()
            page.focus(".tv-line")
            page.keyboard.press("]")
            page.click("text=Mark a region")
            page.wait_for_timeout(800)
            assert found(page) == [], (theme, name)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (theme, name)


def test_everything_has_a_name(page: Any) -> None:
    drop(page, PLAZA)
    page.click(".tv-event")
    nameless = page.evaluate(NAMELESS)
    assert nameless == []
    line = page.locator(".tv-line")
    assert line.get_attribute("role") == "slider" and "score" in (line.get_attribute("aria-valuetext") or "")
    assert float(line.get_attribute("aria-valuemax") or 0) > 20


def test_from_a_file_to_an_answer_by_keys_alone(page: Any) -> None:
    # Chromium is told to hand choosers over before the key comes: both at once, a busy one took the key first.
    page.on("filechooser", lambda _: None)
    page.wait_for_timeout(1000)
    page.focus(".tv-drop")
    with page.expect_file_chooser(timeout=WAIT_MS) as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(str(PLAZA))
    page.wait_for_selector(".tv-events li", timeout=WAIT_MS)
    answered(page)
    # The curve
    page.focus(".tv-line")
    for key, second in (("Home", 0.0), ("ArrowRight", 1.0), ("Shift+ArrowRight", 6.0), ("ArrowLeft", 5.0)):
        page.keyboard.press(key)
        until(page, "t => Math.abs(document.querySelector('.tv-stage video').currentTime - t) < 0.15", second)
    page.keyboard.press("[")
    page.keyboard.press("End")
    page.wait_for_timeout(400)
    page.keyboard.press("]")
    assert "0:05" in page.inner_text("[aria-label='Chosen stretch']")
    page.keyboard.press("Escape")
    assert not page.is_visible("[aria-label='Chosen stretch']")
    # An event's card
    page.focus(".tv-event")
    page.keyboard.press("Enter")
    assert page.get_attribute(".tv-event", "aria-expanded") == "true"
    page.wait_for_selector(".tv-card img", timeout=WAIT_MS)
    assert video(page, "currentTime") > 6
    # A region: the whole left third, by keys
    page.focus("text=Mark a region")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.getAttribute('role')") == "application"
    for key, times in (("ArrowLeft", 25), ("ArrowUp", 25), ("Shift+ArrowDown", 5)):
        for _ in range(times):
            page.keyboard.press(key)
    assert "0 to 20 % from the left" in page.inner_text("#tv-board .tv-note")
    with page.expect_response("**/run/predict*", timeout=WAIT_MS):  # the server knows of the region
        page.keyboard.press("Enter")
    until(page, "document.activeElement.className === 'tv-chip'")
    ask(page, "What is here?")
    says(page, "In the marked region")
    assert "at the top left of the picture" in dialogue(page)
    assert page.errors == []


def test_no_key_is_caught(page: Any) -> None:
    """Tab goes on from every part of the page, and comes around."""
    drop(page, PLAZA)
    answered(page)
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(FOCUS))
    assert [name for name in PARTS if not any(name in s for s in seen)] == [], seen
