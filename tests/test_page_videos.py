"""Several videos in one page, what is normal before their camera, a webcam, who answers: in a real browser."""

import re
import time
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
    WEBCAM,
    answered,
    ask,
    dialogue,
    drop,
    note,
    says,
    serving,
    until,
    video,
    visiting,
)

pytestmark = NEEDED
PED2 = DATA / "ped2"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving("--max-upload-mb", "50") as address:
        yield address


@pytest.fixture
def page(server: str) -> Iterator[Any]:
    with visiting(server, *WEBCAM) as made:
        yield made
        assert made.outside == [] and made.errors == []


def copy(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(PLAZA.read_bytes())
    return path


def test_videos_stand_side_by_side_with_a_dialogue_each(page: Any, tmp_path: Path) -> None:
    drop(page, copy(tmp_path, "first.mp4"), copy(tmp_path, "second.mp4"))
    assert [t.inner_text().split("\n")[0] for t in page.query_selector_all("[role=tab]")] == ["first.mp4", "second.mp4"]
    answered(page)
    ask(page, "How does it move?")
    says(page, "How does it move?")
    answered(page, 2)
    until(page, "document.querySelector('.tv-doing')?.parentNode.parentNode.innerText.includes('%') === false")
    page.click("text=second.mp4")
    until(page, "![...document.querySelectorAll('.message')].some(m => m.innerText.includes('How does it move?'))")
    answered(page)
    assert page.query_selector("[role=tab][aria-selected=true]").inner_text().startswith("second.mp4")
    # By keys, and back: the first one's dialogue is still its own.
    page.focus("[role=tab][aria-selected=true]")
    page.keyboard.press("ArrowLeft")
    answered(page, 2)
    assert "How does it move?" in dialogue(page)
    page.reload()
    page.wait_for_selector(".tv-events li", timeout=WAIT_MS)
    assert len(page.query_selector_all("[role=tab]")) == 2
    page.click("text=Close this video")
    until(page, "document.querySelectorAll('[role=tab]').length === 1")
    page.click("text=Close this video")
    until(page, "document.querySelectorAll('[role=tab]').length === 0 && !document.querySelector('.message')")


def test_a_stretch_of_the_curve_is_asked_about(page: Any) -> None:
    page.click("text=Example")
    page.wait_for_selector(".tv-events li", timeout=WAIT_MS)
    answered(page)
    box = page.query_selector(".tv-line").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + 20, steps=4)
    page.mouse.up()
    page.click("text=Ask about it")
    question = page.input_value("#tv-question textarea")
    assert re.fullmatch(r"What happens from 0:09\.\d to 0:12\.\d\?", question)
    page.press("#tv-question textarea", "Enter")
    answered(page, 2)
    assert "bicycle" in page.query_selector_all(".message")[-1].inner_text()
    # A stretch by keys, too short to learn from: a sentence, and the page goes on.
    page.focus(".tv-line")
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    page.wait_for_timeout(300)
    page.keyboard.press("[")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    page.keyboard.press("]")
    page.click("text=This is normal: learn it")
    note(page, "This cannot be learnt as normal")


@pytest.mark.skipif(not PED2.is_dir(), reason="the clips of ../shared/data are not here")
def test_several_ordinary_clips_are_one_calibration(page: Any) -> None:
    drop(page, PED2 / "test" / "02.mp4")
    until(page, "document.querySelector('.tv-about').innerText.includes('Not calibrated')")
    page.click("text=What is normal before this camera")
    page.set_input_files("#tv-normal-file", [str(PED2 / "train" / f"{n:02}.mp4") for n in (1, 2, 3)])
    until(page, "document.querySelectorAll('.tv-clips li').length === 3")
    page.click("[aria-label='Leave 02.mp4 out']")
    until(page, "document.querySelectorAll('.tv-clips li').length === 2")
    page.set_input_files("#tv-normal-file", [str(PED2 / "train" / "04.mp4")])
    page.click("text=Learn these 3 clips")
    until(page, "document.querySelector('.tv-about').innerText.startsWith('Calibrated on this camera')")
    until(page, "document.querySelector('#tv-normal .tv-note').innerText === 'Learnt as normal: 3 clips.'")
    page.click("text=Forget what was learnt")
    until(page, "document.querySelector('.tv-about').innerText.startsWith('Not calibrated')")
    until(page, "document.querySelector('#tv-normal .tv-note').innerText === ''")


def test_a_webcam_is_a_source(page: Any) -> None:
    page.click("button:has-text('Webcam')")
    until(page, "document.querySelector('.tv-openline').innerText.includes('Stop recording (3 s)')")
    page.click("text=Stop recording")
    until(page, "document.querySelector('[role=tab]')?.innerText.startsWith('webcam ')")
    page.wait_for_selector(".tv-verdict:not(:empty)", timeout=WAIT_MS)
    until(page, "document.querySelector('.tv-stage video').src.endsWith('/shown.mp4')")
    until(page, "document.querySelector('.tv-stage video').readyState >= 2")
    # A busy machine encodes less than was recorded; what came is whole, and can be sought in.
    assert 0.5 < video(page, "duration") < 30 and video(page, "videoWidth") > 100
    half = video(page, "duration") / 2
    page.evaluate("t => document.querySelector('.tv-stage video').currentTime = t", half)
    page.wait_for_timeout(800)
    assert abs(video(page, "currentTime") - half) < 0.1


def test_who_answers_is_chosen_in_the_page(page: Any) -> None:
    page.click("text=Example")
    page.wait_for_selector(".tv-events li", timeout=WAIT_MS)
    answered(page)
    by_model = dialogue(page)
    page.click("input[aria-label='Who answers']")
    page.click("text=Facts alone, worded by rules")
    note(page, "From now on: Facts alone")
    ask(page, "What is anomalous?")
    until(page, "document.querySelector('#tv-dialogue').innerText.includes('From 9.1')")
    assert "From 9.1" not in by_model


def test_a_word_that_comes_or_goes_scores_the_heat_again(page: Any) -> None:
    page.click("text=Example")
    page.wait_for_selector(".tv-events li", timeout=WAIT_MS)
    answered(page)
    ask(page, "How does it move?")
    answered(page, 2)
    before, said = curve(page), dialogue(page)
    page.click("text=What counts as anomalous here")
    page.click("input[aria-label='Anomalous']")
    for word in ("a person", "a bench"):  # one after the other: the look with the first one ends
        page.keyboard.type(word)
        page.keyboard.press("Enter")
    note(page, "Looked at with these words")
    until(page, "b => document.querySelector('.tv-curve').getAttribute('points') !== b", before)
    assert dialogue(page) == said
    page.keyboard.press("Escape")
    for _ in range(2):
        page.click(".token-remove >> nth=0")
    until(page, "b => document.querySelector('.tv-curve').getAttribute('points') === b", before)
    assert dialogue(page) == said


def curve(page: Any) -> str:
    return str(page.get_attribute(".tv-curve", "points"))


def test_a_page_that_is_shut_stops_its_work(server: str) -> None:
    import json
    import urllib.request

    def running() -> int:
        with urllib.request.urlopen(f"{server}/health", timeout=5) as answer:
            return int(json.load(answer)["running"])

    with visiting(server) as page:
        page.set_input_files("#tv-file", str(PLAZA))
        for _ in range(200):
            if running():
                break
            time.sleep(0.02)
        assert running() == 1
    for _ in range(40):
        if not running():
            break
        time.sleep(0.1)
    assert running() == 0
