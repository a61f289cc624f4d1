"""Work that is watched: it ends when its page is shut or stopped, and who asks meanwhile waits visibly."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk_fakes import make_desk, opened, ready
from test_ui import asker, event, last, texts

from chat.case import Case, Refused
from chat.desk import Desk
from chat.playable import Stopped
from chat.ui import Hands
from chat.watched import watched
from tvad.settings import Settings

Make = Callable[..., Path]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return make_desk(tmp_path, monkeypatch)


def endless(desk: Desk, monkeypatch: pytest.MonkeyPatch, tells: str = "") -> tuple[threading.Event, threading.Event]:
    """An analysis that goes on until it is stopped; set when it begins, and when it has ended. tells: what it says."""
    begun, ended = threading.Event(), threading.Event()

    def analyse(case: Case, settings: Settings, tell: Any, stopped: Callable[[], bool]) -> None:
        if tells:
            tell(0.1, tells)
        begun.set()
        while not stopped():
            time.sleep(0.01)
        ended.set()
        raise Stopped("stopped")

    monkeypatch.setattr(desk, "analyse", analyse)
    return begun, ended


def test_work_that_is_left_is_stopped() -> None:
    seen: list[bool] = []

    def work(tell: Callable[[float, str], None], stopped: Callable[[], bool]) -> None:
        tell(0.1, "begun")
        while not stopped():
            time.sleep(0.01)
        seen.append(True)

    stream = watched(work)
    assert next(stream) == (0.1, "begun")
    stream.close()  # type: ignore[attr-defined]
    for _ in range(500):
        if seen:
            break
        time.sleep(0.01)
    assert seen == [True]


def test_a_page_that_is_shut_ends_what_was_begun_for_it(
    desk: Desk, tiny_video: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = endless(desk, monkeypatch, "begun")
    hands, mine, other = Hands(desk), asker(page="1"), asker(page="2")
    case = opened(desk, tiny_video("a.mp4"))
    stream = hands.opened(None, None, event(id=case.id), mine)
    next(stream)
    next(stream)  # nobody closes it: the page was shut before the server sent it anything
    assert begun.wait(5)
    hands.gone(other)
    assert not ended.wait(0.1)
    hands.gone(mine)
    assert ended.wait(5)
    list(stream)
    assert not hands.flow._works


def test_stop_ends_work_that_tells_nothing(desk: Desk, tiny_video: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ended = endless(desk, monkeypatch)
    hands, mine, other = Hands(desk), asker(page="1"), asker(page="2")
    case = opened(desk, tiny_video())
    reader = threading.Thread(target=lambda: list(hands.opened(None, None, event(id=case.id), mine)), daemon=True)
    reader.start()
    hands.stopped(case.id, other)
    assert not ended.wait(0.2)
    hands.stopped(case.id, mine)
    assert ended.wait(5)
    reader.join(5)
    assert not reader.is_alive()


def test_what_the_work_raises_is_raised() -> None:
    def work(tell: Callable[[float, str], None], stopped: Callable[[], bool]) -> None:
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        list(watched(work))


def test_what_is_asked_during_the_first_look_is_answered_after_it(desk: Desk, tiny_video: Make) -> None:
    hands, who = Hands(desk), asker()
    case = opened(desk, tiny_video())
    case.state = "working"
    chat, _ = last(hands.ask("How does it move?", case.id, None, who))
    assert texts(chat)[0] == "How does it move?" and "answered right after" in texts(chat)[1]
    last(hands.opened(None, None, event(id=case.id), who))
    assert case.asked == ["What is anomalous?", "How does it move?"] and case.early == []
    case = opened(desk, tiny_video("other.mp4"))
    case.state = "working"
    who = asker(page="2")
    last(hands.ask("How does it move?", case.id, None, who))
    hands.stopped(case.id, who)
    case.state = "received"
    chat, _ = last(hands.ask("Where is it?", case.id, None, who))
    assert case.early == [] and "open it again" in texts(chat)[-1].lower()


def test_who_asks_while_another_computes_sees_the_place_in_the_line(desk: Desk, tiny_video: Make) -> None:
    hands, who, case = Hands(desk), asker(page="1"), ready(desk, tiny_video())
    with desk.turns.turn():
        stream = hands.ask("How does it move?", case.id, None, who)
        assert [texts(chat)[-1] for chat, _ in (next(stream), next(stream))] == ["…", "Waiting&#58; 1 of 1 in line"]
        hands.gone(who)  # leaves the line, although nobody reads the stream
        for _ in range(500):
            if not desk.turns.waiting:
                break
            time.sleep(0.01)
        assert desk.turns.waiting == 0
    list(stream)
    assert case.said == []
