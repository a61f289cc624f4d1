"""The page on a phone: 390 x 844, by touch."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

from browser import NEEDED, PLAZA, WAIT_MS, answered, ask, dialogue, drop, says, serving, until, video, visiting

pytestmark = NEEDED


@pytest.fixture
def page() -> Iterator[Any]:
    with serving() as address, visiting(address, phone=True) as made:
        yield made
        assert made.outside == [] and made.errors == []


def touched(page: Any, *spots: tuple[float, float]) -> None:
    """A finger at the first spot, over the others, and off."""
    session = page.context.new_cdp_session(page)
    for n, (x, y) in enumerate(spots):
        kind = "touchMove" if n else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    session.detach()


def spot(page: Any, selector: str, x: float, y: float) -> tuple[float, float]:
    page.locator(selector).scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] * x, box["y"] + box["height"] * y


def test_from_a_file_to_a_region_by_touch(page: Any) -> None:
    drop(page, PLAZA)
    answered(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # A tap on the curve goes there.
    touched(page, spot(page, ".tv-line", 0.25, 0.4))
    until(page, "Math.abs((v => v.currentTime - 0.25 * v.duration)(document.querySelector('.tv-stage video'))) < 0.4")
    assert page.is_hidden(".tv-tip")  # it would stay: no finger hovers
    # A finger along it chooses a stretch; up or down it scrolls the page.
    (x0, y), (x1, _) = spot(page, ".tv-line", 0.3, 0.4), spot(page, ".tv-line", 0.6, 0.4)
    touched(page, (x0, y), ((x0 + x1) / 2, y), (x1, y))
    assert page.is_visible("[aria-label='Chosen stretch']")
    page.tap("[aria-label='Forget the chosen stretch']")
    # A citation: the picture it is about is in sight.
    page.tap("#tv-dialogue a[href$='#e=1']")
    until(page, "document.querySelector('.tv-stage video').currentTime > 8")
    page.wait_for_timeout(1200)
    box = page.locator(".tv-stage").bounding_box()
    assert box["y"] > -10 and box["y"] + box["height"] <= 844
    # A region, drawn by a finger, does not scroll the page.
    page.locator("text=Mark a region").tap()
    first, middle, last = (spot(page, ".tv-canvas", s, s) for s in (0.02, 0.1, 0.2))
    before = page.locator(".tv-canvas").bounding_box()
    with page.expect_response("**/run/predict*", timeout=WAIT_MS):  # the server knows of the region
        touched(page, first, middle, last)
    page.wait_for_selector(".tv-chip:not([hidden])")
    # What is said above the picture while it is marked goes, and the page with it: the picture stays.
    assert page.locator(".tv-canvas").bounding_box()["y"] == pytest.approx(before["y"], abs=1)
    ask(page, "What is here?")
    says(page, "In the marked region")
    assert "at the top left of the picture" in dialogue(page)
    assert "nothing that stands out was followed here then" in dialogue(page)
    # Another threshold by a finger
    text = page.inner_text("#tv-board output")
    page.locator("#tv-rate").scroll_into_view_if_needed()
    touched(page, spot(page, "#tv-rate", 0.9, 0.5))
    until(page, "t => document.querySelector('#tv-board output').innerText !== t", text)
    assert video(page, "videoWidth") > 100


def test_what_a_finger_hits_is_large_enough(page: Any) -> None:
    """24 CSS pixels each way, or as much room around it (WCAG 2.2, 2.5.8)."""
    drop(page, PLAZA)
    answered(page)
    page.tap(".tv-event")
    small = page.evaluate("""() => [...document.querySelectorAll('#tv-board :is(button, input, a)')]
      .filter((n) => n.checkVisibility() && !n.matches('.tv-unseen'))
      .map((n) => [n.labels?.[0] ?? n, n]).map(([n, own]) => [own.outerHTML.slice(0, 80), n.getBoundingClientRect()])
      .filter(([, b]) => b.width < 24 || b.height < 24).map(([html, b]) => `${html}: ${b.width} x ${b.height}`)""")
    assert small == []
