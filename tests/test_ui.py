"""The mounted page: it names no other host, gives no file away, and its events never trust what a browser says."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from desk_fakes import make_desk, opened, ready, said

pytest.importorskip("gradio")

import gradio
import safehttpx
from starlette.testclient import TestClient

from chat import flow
from chat.desk import Desk
from chat.endpoints import Endpoints
from chat.server import COOKIE
from chat.shown import messages, stretch, words
from chat.ui import Hands, page
from tvad.settings import Settings

Make = Callable[..., Path]
OUTSIDE = re.compile(r"https?://(?!127\.0\.0\.1|localhost|testserver|www\.w3\.org)[a-zA-Z0-9.-]+")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    return make_desk(tmp_path, monkeypatch)


def asker(visit: str = "a", page: str | None = None) -> Any:
    """Of a gradio request, what the page reads."""
    return SimpleNamespace(cookies={COOKIE: visit}, **({"session_hash": page} if page else {}))


def event(**more: Any) -> Any:
    return SimpleNamespace(**more)


def last(stream: Iterator[Any]) -> Any:
    return list(stream)[-1]


def texts(chat: list[dict[str, Any]]) -> list[str]:
    return [m["content"] for m in chat]


def test_the_page_names_no_other_host_and_gives_a_visit(desk: Desk) -> None:
    client = TestClient(page(desk))
    answer = client.get("/")
    assert answer.status_code == 200 and OUTSIDE.findall(answer.text) == []
    assert int(answer.headers["content-length"]) == len(answer.content)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=") and "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert "set-cookie" not in client.get("/").headers
    assert client.get("/page/board.js").status_code == 200 and "page/board.js" in answer.text


def test_gradio_gives_no_file_of_this_machine_away(desk: Desk, tiny_video: Make, tmp_path: Path) -> None:
    app = page(desk)
    client = TestClient(app)
    case = ready(desk, tiny_video())
    (tmp_path / "secret.txt").write_text("its content")
    for path in ("/etc/passwd", str(tmp_path / "secret.txt"), str(case.source), str(case.folder / "heat-0.png")):
        for route in (f"/gradio_api/file={path}", f"/file={path}"):
            answer = client.get(route)
            assert answer.status_code in (403, 404), (route, answer.status_code)
            assert "its content" not in answer.text and "root:" not in answer.text


def test_events_do_not_take_files_that_a_request_names(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio 6.31, mounted, would hand any path to a function, if the page did not say that it was launched."""
    reached: list[str] = []
    for name in ("describe", "analyse", "calibrate"):
        monkeypatch.setattr(Endpoints, name, lambda self, video, *words: reached.append(video))
    app = page(desk)
    client = TestClient(app)
    config = client.get("/config").json()
    named = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    files = {c["id"] for c in config["components"] if c["type"] in ("file", "video", "image")}
    taking = [d for d in config["dependencies"] if files & set(d["inputs"])]
    assert taking, "the page has an input for files, or this test shows nothing"
    for dependency in config["dependencies"]:
        body = {"fn_index": dependency["id"], "data": [named for _ in dependency["inputs"]], "session_hash": "x"}
        answer = client.post("/gradio_api/run/predict", json=body)
        assert "root:" not in answer.text
        if dependency in taking:
            assert answer.status_code >= 400
    assert reached == []
    assert client.get("/gradio_api/file=/etc/passwd").status_code == 403


def test_nobody_is_offered_private_events_as_an_interface(desk: Desk) -> None:
    info = TestClient(page(desk)).get("/gradio_api/info").json()
    assert not [name for name in info.get("named_endpoints", {}) if name.startswith("/stopped")]


def test_a_video_is_looked_at_and_the_first_question_asked(desk: Desk, tiny_video: Make) -> None:
    hands, case = Hands(desk), opened(desk, tiny_video("clip.mp4"))
    told = list(hands.opened("", "", event(id=case.id), asker()))
    notes = [value[0]["note"] for value in told if "note" in value[0]]
    assert notes[0] == "Opened." and notes[-1] == "" and case.state == "ready"
    assert texts(told[-1][1])[0] == "What is anomalous?" and "(#e=1)" in texts(told[-1][1])[1]
    assert told[-1][1][-1]["options"][0]["value"].startswith("What does the target")


def test_a_word_that_comes_or_goes_is_looked_for_at_once(
    desk: Desk, tiny_video: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PAUSE_S", 0.05)
    hands, case = Hands(desk), opened(desk, tiny_video())
    list(hands.opened("", "", event(id=case.id), asker()))
    desk.recut(case, 500.0)
    looked, version = case.looked, case.version
    told = list(hands.reworded(case.id, ["bicycle", "cart"], [], asker()))
    assert case.settings.anomaly == ("bicycle", "cart") and case.looked == looked + 1 and case.version > version
    # The dialogue and the person's threshold stay.
    assert case.asked == ["What is anomalous?"] and case.settings.false_alarms_per_hour == 500.0
    assert "with these words" in told[-1][0]["note"] and all(part == gradio.skip() for part in told[-1][1:])
    nothing = (gradio.skip(),) * 4
    first, second = hands.reworded(case.id, ["bicycle", "cart"], [], asker())
    assert first == nothing and second[0]["note"] == ""
    assert case.looked == looked + 1  # nothing changed
    # Gradio would empty the page for a stream of nothing.
    assert list(hands.reworded(case.id, ["cart"], [], asker("b"))) == [nothing]
    assert list(hands.reworded("", [], [], asker())) == [nothing]
    assert list(hands.retry(case.id, None, event(index=40), asker())) == [messages(desk, case)]


def test_a_word_ends_the_look_with_the_words_before(
    tmp_path: Path, tiny_video: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PAUSE_S", 0.05)
    looking, go_on = threading.Event(), threading.Event()

    def hook() -> None:
        looking.set()
        assert go_on.wait(10)

    slow = make_desk(tmp_path, monkeypatch, hook=hook)
    hands, case = Hands(slow), opened(slow, tiny_video())
    first: list[Any] = []
    thread = threading.Thread(target=lambda: first.extend(hands.opened(["cart"], [], event(id=case.id), asker())))
    thread.start()
    assert looking.wait(10)
    second = hands.reworded(case.id, ["dog"], [], asker())
    rest: list[Any] = []
    other = threading.Thread(target=lambda: rest.extend(second))
    other.start()
    while slow.turns.waiting == 0:  # it stands in line behind the first
        time.sleep(0.01)
    go_on.set()
    thread.join(10), other.join(10)
    assert case.settings.anomaly == ("dog",) and case.looked == 1 and case.asked == ["What is anomalous?"]
    assert not any("Stopped" in str(step[0]) for step in [*first, *rest]) and case.state == "ready"


def test_what_goes_wrong_is_said_in_the_page(desk: Desk, tiny_video: Make) -> None:
    hands, case = Hands(desk), opened(desk, tiny_video())
    for request, number in ((asker("b"), case.id), (asker(), "nothing")):
        assert "no longer here" in last(hands.opened("", "", event(id=number), request))[0]["note"]
        assert "Open a video first" in texts(last(hands.ask("What?", number, None, request))[0])[0]
    assert "not been analysed" in texts(last(hands.ask("What?", case.id, None, asker()))[0])[-1]
    case.source.write_bytes(b"damaged")
    note = last(hands.opened("", "", event(id=case.id), asker()))[0]["note"]
    assert "cannot be read" in note and str(case.folder) not in note


def test_a_dialogue_can_be_asked_again_edited_and_undone(desk: Desk, tiny_video: Make) -> None:
    hands, case, who = Hands(desk), ready(desk, tiny_video()), asker()
    for question in ("What is anomalous?", "Which way does it go?"):
        boxes = [box for _, box in hands.ask(question, case.id, None, who)]
        chat = messages(desk, case)
        assert boxes[0] == "" and boxes[1] == gradio.skip()  # what is typed meanwhile stays
    assert texts(chat)[::2] == ["What is anomalous?", "Which way does it go?"]
    chat = last(hands.retry(case.id, None, event(index=2), who))
    assert texts(chat)[::2] == ["What is anomalous?", "Which way does it go?"]
    chat = last(hands.edit(case.id, None, event(index=0, value="How many events are there?"), who))
    assert texts(chat)[::2] == ["How many events are there?"] and case.asked == ["How many events are there?"]
    chat, box = hands.undo(case.id, event(index=0), who)
    assert chat == [] and box == "How many events are there?" and case.said == []
    chat = last(hands.option(case.id, None, event(value={"value": "How does it move?", "label": "x"}), who))
    assert texts(chat)[0] == "How does it move?"


def test_a_dialogue_that_was_emptied_is_forgotten(desk: Desk, tiny_video: Make) -> None:
    hands, case = Hands(desk), ready(desk, tiny_video())
    last(hands.ask("What is anomalous?", case.id, None, asker()))
    hands.cleared(case.id, asker("b"))
    assert case.asked == ["What is anomalous?"]
    hands.cleared(case.id, asker())
    assert case.said == [] and case.session and not case.session.conversation.turns
    hands.cleared("nothing", asker())


def test_answers_about_a_region_say_so(desk: Desk, tiny_video: Make) -> None:
    hands, case = Hands(desk), ready(desk, tiny_video())
    region = hands.region(event(_data={"id": case.id, "t": 13.0, "box": [0.75, 0.0, 0.95, 1.0]}))
    chat, _ = last(hands.ask("What is here?", case.id, region, asker()))
    assert "at the right of the picture" in texts(chat)[-2] and texts(chat)[-1].startswith("In the marked region")
    assert hands.region(event(_data={"id": case.id, "box": None})) is None


def test_names_and_questions_are_no_markup(desk: Desk, tiny_video: Make) -> None:
    hands = Hands(desk)
    case = opened(desk, tiny_video(), name="<img src=x onerror=alert(1)>.mp4")
    desk.analyse(case, Settings(), lambda share, note: None)
    chat, _ = last(hands.ask("<script>alert(1)</script> ![x](http://example.org/x.png)", case.id, None, asker()))
    assert "<" not in "".join(texts(chat)) and "](http" not in "".join(texts(chat))
    json.dumps(chat)


def test_a_reload_shows_what_was_open(desk: Desk, tiny_video: Make) -> None:
    hands = Hands(desk)
    assert hands.load(asker())[:4] == ({}, [], "", None)
    first, second = ready(desk, tiny_video("a.mp4")), ready(desk, tiny_video("b.mp4"))
    said(desk, first, "What is anomalous?")
    value, chat, shown, _, way = hands.load(asker())
    assert way == "report"
    assert [c["name"] for c in value["cases"]] == ["a.mp4", "b.mp4"] and (value["id"], chat, shown) == (
        second.id,
        [],
        second.id,
    )
    value, chat, shown, _, _ = hands.chosen(event(id=first.id), asker())
    assert shown == first.id and len(chat) == 2
    assert hands.chosen(event(id=first.id), asker("b"))[2] == ""
    assert hands.load(asker("b"))[0] == {}


def test_what_goes_on_behind_reaches_its_tab_alone(desk: Desk, tiny_video: Make) -> None:
    hands, who = Hands(desk), asker()
    first, second = ready(desk, tiny_video("a.mp4")), opened(desk, tiny_video("b.mp4"))
    hands.chosen(event(id=first.id), who)
    told = list(hands.opened("", "", event(id=second.id, _data={"behind": True}), who))
    assert all(value.get("behind") for value, *_ in told if "id" in value) and second.state == "ready"
    assert all(part == gradio.skip() for _, *parts in told for part in parts)
    assert [q for q, _ in second.said] == ["What is anomalous?"]
    # An answer that goes on while another video is chosen is kept, and not shown there.
    answer = hands.ask("How does it move?", first.id, None, who)
    next(answer)
    hands.chosen(event(id=second.id), who)
    assert {str(chat) for chat, _ in answer} == {str(gradio.skip())}
    assert first.asked == ["How does it move?"] and second.asked == ["What is anomalous?"]


def test_closing_the_last_video_empties_the_page(desk: Desk, tiny_video: Make) -> None:
    hands, case = Hands(desk), ready(desk, tiny_video())
    desk.forget(case)
    value, chat, shown, region, _ = hands.chosen(event(id=""), asker())
    assert (value["cases"], chat, shown, region) == ([], [], "", None)


def test_who_answers_is_chosen(desk: Desk, tiny_video: Make) -> None:
    hands, case = Hands(desk), ready(desk, tiny_video())
    assert desk.ways()[0] == "report" and "lvlm" in desk.ways()
    usual, another = hands.desk.ways()[:2]
    assert (
        hands.answer_by("", usual, asker()) == hands.answer_by(case.id, usual, asker()) == gradio.skip()
    )  # nothing new
    assert "Open a video first" in hands.answer_by("", another, asker())["note"]
    assert "told the facts" in hands.answer_by(case.id, "text", asker())["note"] and case.explain == "text"
    assert hands.answer_by(case.id, "text", asker()) == gradio.skip()
    assert "nobody answers by 'magic'" in hands.answer_by(case.id, "magic", asker())["note"].lower()
    assert "no longer here" in hands.answer_by(case.id, "report", asker("b"))["note"]
    assert hands.load(asker())[4] == "text"


def test_words_and_stretches_that_a_browser_sends() -> None:
    assert words("bicycle , cart,, cart") == words([" bicycle", "cart", "cart"]) == ("bicycle", "cart")
    assert words(None) == () and len(words(["x" * 500])[0]) == 80 and len(words(str(n) for n in range(99))) == 40
    assert stretch({}) is None and stretch({"start": 1, "end": 2.5}) == (1.0, 2.5)
    assert stretch({"start": 1}) == (1.0, float("inf"))
    with pytest.raises((ValueError, TypeError)):
        stretch({"start": [1], "end": 1})


def test_gradio_fetches_no_address_for_anybody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradio would fetch what is at an address that a request names as a file, for any widget."""
    asked: list[Any] = []

    async def fetched(url: Any, **more: Any) -> str:
        asked.append(url)
        return "/nothing"

    monkeypatch.setattr(gradio.processing_utils, "async_ssrf_protected_download", fetched)
    client = TestClient(page(desk))
    for address in ("http://example.org/a.mp4", "HTTPS://example.org/a.mp4", "ftp://example.org/a.mp4"):
        named = {"path": address, "url": address, "meta": {"_type": "gradio.FileData"}}
        for dependency in client.get("/config").json()["dependencies"]:
            body = {"fn_index": dependency["id"], "data": [named for _ in dependency["inputs"]], "session_hash": "x"}
            client.post("/gradio_api/run/predict", json=body)
    assert asked == []


def test_gradio_is_nobodys_proxy(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its route for files would fetch what is at any public address, and send it on in this site's name."""
    asked: list[Any] = []

    async def resolved(host: str) -> str:
        asked.append(host)
        raise ValueError("unknown")

    monkeypatch.setattr(safehttpx, "async_validate_url", resolved)
    client = TestClient(page(desk))
    for named in ("http://example.org/a.mp4", "HTTPS://example.org/a", "https:/example.org/a", "%68ttp://example.org/"):
        for route in (
            "/gradio_api/file=",
            "/file=",
            "/gradio_api/proxy=",
            "/gradio_api//file=",
            "/gradio_api/file=%20",
        ):
            for method in ("GET", "HEAD"):
                assert client.request(method, route + named).status_code in (400, 403, 404), route + named
    assert asked == []
