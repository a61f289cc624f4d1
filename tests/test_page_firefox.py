"""The page in Firefox: from a file to a report."""

from pathlib import Path

import pytest

pytest.importorskip("websockets", reason="websockets is not installed (extra ui)")

from browser import PLAZA, serving
from firefox import FIREFOX, firefox

pytestmark = [pytest.mark.slow, pytest.mark.skipif(FIREFOX is None, reason="no firefox on the PATH")]
VIDEO = "document.querySelector('.tv-stage video')"
PAINTED = """(() => { const c = document.querySelector('.tv-canvas');
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 20; return n; })()"""
RATE = "const r = document.querySelector('#tv-rate'); r.value = 3; r.dispatchEvent(new Event('input'))"
REPORT = "fetch(document.querySelector('.tv-export').href).then(r => r.text()).then(t => t.slice(0, 15).toLowerCase())"
ANSWERS = "document.querySelector('#tv-dialogue').innerText.split('Rests on').length - 1"


def test_from_a_file_to_a_report(tmp_path: Path) -> None:
    with serving() as address, firefox(address) as page:
        page.size(1440, 1000)
        page.go()
        page.until("document.querySelector('.tv-drop')")
        page.files("#tv-file", PLAZA)
        page.until("document.querySelector('.tv-events li')")
        page.until(f"{ANSWERS} === 1")
        assert "bicycle" in str(page.run("document.querySelector('#tv-dialogue').innerText"))
        page.until(f"{VIDEO}.readyState >= 2 && {PAINTED} > 500")  # the heat at its highest
        peak_s = page.run(f"{VIDEO}.currentTime")
        # The curve, a citation
        page.drag(page.place(".tv-line", 0.25, 0.4))
        page.until(f"Math.abs({VIDEO}.currentTime - 0.25 * {VIDEO}.duration) < 0.3")
        page.click("a[href$='#e=1']")
        page.until(f"Math.abs({VIDEO}.currentTime - {peak_s}) < 0.3")
        # A question by keys
        page.click("#tv-question textarea")
        page.type("How does it move?\n")
        page.until(f"{ANSWERS} === 2")
        # A region
        page.run("[...document.querySelectorAll('.tv-button')].find(b => b.innerText === 'Mark a region').click()")
        page.drag(
            page.place(".tv-canvas", 0.02, 0.02), page.place(".tv-canvas", 0.1, 0.1), page.place(".tv-canvas", 0.2, 0.2)
        )
        page.until("document.querySelector('.tv-chip:not([hidden])')")
        page.until("document.querySelector('#tv-board .tv-note').innerText.includes('about this region')")
        page.click("#tv-question textarea")
        page.type("What is here?\n")
        page.until("document.querySelector('#tv-dialogue').innerText.includes('In the marked region')")
        # Another threshold; a report
        page.run(f"(() => {{ {RATE} }})()")
        page.until("document.querySelector('#tv-board output').innerText === '1000 an hour'")
        assert page.run(REPORT) == "<!doctype html>"
        page.picture(tmp_path / "firefox.png")
        page.size(390, 844)
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        assert page.outside == [] and page.errors == []
