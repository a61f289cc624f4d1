"""What a screen reader is given of the page: Chromium's accessibility tree, with and without a video."""

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

from browser import NEEDED, PLAZA, WAIT_MS, answered, drop, serving, until, visiting

pytestmark = NEEDED
# Roles of what a person acts on (w3.org/TR/wai-aria-1.2).
CONTROLS = {
    "button", "checkbox", "combobox", "DisclosureTriangle", "link", "listbox", "menuitem", "option", "radio",
    "searchbox", "slider", "spinbutton", "switch", "tab", "textbox",
}  # fmt: skip


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    with serving() as address, visiting(address) as made:
        yield made


def heard(page: Any) -> list[dict[str, Any]]:
    """role, name, description, value and properties of what is in the tree, in its order."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    by_id = {node["nodeId"]: node for node in nodes}
    told: list[dict[str, Any]] = []

    def walk(node: dict[str, Any]) -> None:
        if not node.get("ignored"):
            plain = {k: (node.get(k) or {}).get("value", "") for k in ("role", "name", "description", "value")}
            told.append(plain | {p["name"]: p["value"].get("value") for p in node.get("properties", [])})
        for child in node.get("childIds", []):
            if child in by_id:
                walk(by_id[child])

    walk(nodes[0])
    return told


def named(told: list[dict[str, Any]], role: str, begin: str = "") -> list[dict[str, Any]]:
    return [node for node in told if node["role"] == role and str(node["name"]).startswith(begin)]


def nameless(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    focusable = [n for n in told if n.get("focusable") and n["role"] != "RootWebArea"]
    strange = [n for n in focusable if n["role"] in ("generic", "none", "paragraph", "LabelText")]
    return [n for n in told if n["role"] in CONTROLS and not str(n["name"]).strip()] + strange


def test_the_empty_page(page: Any) -> None:
    told = heard(page)
    assert nameless(told) == []
    assert named(told, "main") and named(told, "heading", "tvad") and named(told, "button", "Drop videos here")
    page.evaluate("document.querySelector('#tv-question button').removeAttribute('aria-label')")
    page.wait_for_timeout(100)
    assert [n["role"] for n in nameless(heard(page))] == ["button"]  # the test sees what has no name
    page.evaluate("document.querySelector('#tv-question button').setAttribute('aria-label', 'Ask')")


def test_a_video_and_what_was_found(page: Any) -> None:
    drop(page, PLAZA)
    answered(page)
    page.click(".tv-event")
    page.wait_for_selector(".tv-card img")
    page.click("text=Ways of the tracks")
    page.wait_for_selector(".tv-fold img")
    for fold in page.query_selector_all("button.label-wrap"):
        fold.click()
    until(page, "document.querySelector('#tv-normal .tv-button')")
    page.wait_for_timeout(500)
    told = heard(page)
    assert nameless(told) == []
    # An answer is told once, when it is whole; what happens in the page as it happens.
    (log,) = named(told, "log")
    assert log.get("live", "off") == "off" and log["name"]
    assert len([n for n in named(told, "status") if n["live"] == "polite"]) >= 2
    assert "cyclist" in page.inner_text("#tv-answer") and "Rests on" in page.inner_text("#tv-answer")
    folds = [n for n in told if n["role"] == "button" and str(n["name"]).startswith(("What counts", "What is normal"))]
    assert [n["expanded"] for n in folds] == [True, True] and not [n for n in folds if "\u25bc" in str(n["name"])]
    # The curve in words: where it is, and what it shows.
    (curve,) = named(told, "slider", "Time and score")
    assert "Arrow keys" in curve["description"] and "The highest score is 0." in curve["description"]
    assert "bicycle from 0:09" in curve["description"]
    assert "score 0." in page.get_attribute(".tv-line", "aria-valuetext")
    # Pictures in words
    assert "bicycle" in str(named(told, "image", "The frame at 0:1")[0]["name"])
    assert "track 1 (bicycle) moves right" in str(named(told, "image", "The ways")[0]["name"])
    # From the top to the bottom as it is used: open, watch, move, judge, save; then ask.
    order = ["tab", "Drop videos", "play", "Time and score", "Heat", "Mark a region", "False alarms", "0:09",
             "Report (HTML)", "Question", "Ask", "Stop"]  # fmt: skip
    names = [str(n["name"]) for n in told if n["role"] in CONTROLS]
    at = [next((i for i, name in enumerate(names) if name.startswith(begin)), -1) for begin in order[1:]]
    assert -1 not in at and at == sorted(at), list(zip(order[1:], at, strict=True))
    (tab,) = named(told, "tab")
    assert tab["name"].startswith("plaza.mp4") and tab["selected"]


def test_progress_is_told_at_the_quarters_only(page: Any) -> None:
    """A voice that counts every second is in the way of everything else."""
    page.evaluate("""() => { const note = document.querySelector('#tv-board .tv-note'); window.told = [];
      new MutationObserver(() => window.told.push([note.getAttribute('aria-live'), note.innerText]))
        .observe(note, { childList: true, characterData: true, subtree: true }); }""")
    drop(page, PLAZA)
    until(page, "window.told.some(([, text]) => text.startsWith('Looking'))")
    page.wait_for_selector(".tv-verdict:not(:empty)", timeout=WAIT_MS)
    looking = [live for live, text in page.evaluate("window.told") if text.startswith("Looking")]
    assert "off" in looking and looking.count("polite") <= 5
