"""What goes on in a page: looking, learning and answering as streams of what its parts show. No gradio.

A page (a browser's tab) shows one case at a time; what goes on about another one meanwhile reaches that video's tab
alone. Next: chat/shown.py
"""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from chat.case import Case, Refused
from chat.desk import Desk, in_line
from chat.linked import plain
from chat.playable import Stopped
from chat.region import Region
from chat.shown import FIRST, listing, messages, said_alone, stretch, value, words
from chat.turns import Busy, Left
from chat.watched import watched
from tvad.weights import MissingWeights

TROUBLE = (Refused, Busy, Stopped, Left, MissingWeights)

PAUSE_S = 0.8  # after a word came or went, before the video is looked at again: more may follow
LATER = "The video is still being looked at; this is answered right after."
Step = tuple[Any, ...]  # for the board, the dialogue, the id of the case, the region


@dataclass(frozen=True)
class Who:
    """visit: the secret of a browser. page: one of its tabs."""

    visit: str
    page: str = ""


class Flow:
    """leave: what a part is given that stays as it is."""

    def __init__(self, desk: Desk, leave: Any) -> None:
        self.desk, self.leave = desk, leave
        self._front: dict[str, str] = {}  # page -> case that it shows
        self._works: dict[str, list[threading.Event]] = {}  # page -> what ends the work that was begun for it
        self._lock = threading.Lock()

    def left(self, who: Who) -> None:
        """The page shows nothing any more."""
        self._front.pop(who.page, None)

    def gone(self, who: Who) -> None:
        """The page was shut: nobody waits for what was begun for it. Gradio closes a stream whose reader has left, but
        not one that nobody had begun to read."""
        self.left(who)
        self.halt(who)

    def halt(self, who: Who) -> None:
        """End what was begun for the page, at once. Gradio ends a stream only when it gives its next piece."""
        with self._lock:
            for stop in self._works.pop(who.page, []):
                stop.set()

    def _watched(
        self, who: Who, work: Callable[[Callable[[float, str], None], Callable[[], bool]], None]
    ) -> Iterator[tuple[float, str]]:
        """`watched`, until the page is shut."""
        stop = threading.Event()
        with self._lock:
            self._works.setdefault(who.page, []).append(stop)
        try:
            yield from watched(work, stop)
        finally:
            with self._lock:
                if stop in (own := self._works.get(who.page, [])):
                    own.remove(stop)
                if not own:
                    self._works.pop(who.page, None)

    def whole(self, case: Case, who: Who) -> Step:
        """All that the page shows of a case, which it shows from now on; last, who answers."""
        self._front[who.page] = case.id
        told = value(case, case.note) | {"cases": listing(self.desk, case.visit)}
        return told, messages(self.desk, case), case.id, None, case.explain or self.desk.ways()[0]

    def learn(self, who: Who, shown: str, told: dict[str, Any], anomaly: Any, normal: Any) -> Iterator[Step]:
        """The video that is shown, a stretch of it, or the ordinary clips: learn that, and look at the video again."""
        try:
            case = None if told.get("clips") else self.desk.case(who.visit, shown)
            cases = [case] if case else self.desk.normals(who.visit)
            span = stretch(told)
            about = value(case, "") if case else {}
            for share, note in self._watched(who, lambda tell, stop: self.desk.learn(cases, span, tell, stop)):
                yield self._board(about | {"note": note, "share": share})
        except (*TROUBLE, ValueError, TypeError) as error:
            yield self._board({"note": sentence(error)})
            return
        yield self._board({"note": self.desk.learnt(who.visit), "normal": True})
        if shown:
            yield from self.look(who, shown, anomaly, normal)

    def unlearn(self, who: Who, shown: str, anomaly: Any, normal: Any) -> Iterator[Step]:
        self.desk.unlearn(who.visit)
        yield self._board({"note": "What was learnt is forgotten.", "normal": True})
        if shown:
            yield from self.look(who, shown, anomaly, normal)

    def look(self, who: Who, case_id: str, anomaly: Any, normal: Any, behind: bool = False) -> Iterator[Step]:
        """Look at a video, then ask the first question. behind: another one stays shown."""
        try:
            case = self.desk.case(who.visit, case_id)
        except Refused as error:
            yield {"note": str(error)}, [], "", None
            return
        overtaken = self._overtake(case)
        if not behind:
            self._front[who.page] = case.id
            yield value(case, "Opened.", 0.0), messages(self.desk, case), case.id, None
        if not (yield from self._looked(case, who, anomaly, normal, overtaken)):
            if case.early and not overtaken.is_set():
                case.early.clear()
                yield self.leave, messages(self.desk, case), self.leave, self.leave
            return
        yield self._about(case, who, value(case, ""))
        yield from self._first(case, who)

    def reword(self, who: Who, shown: str, anomaly: Any, normal: Any) -> Iterator[Step]:
        """Other words for what is anomalous: look at the video again, and stop looking with the words before. The
        dialogue stays; what is said from now on is about the new heat."""
        yield self._board(self.leave)  # gradio empties all parts for a stream of nothing
        try:
            case = self.desk.case(who.visit, shown)
        except Refused:
            return  # no video is open: the next one is looked at with these words
        overtaken = self._overtake(case)
        if overtaken.wait(PAUSE_S):
            return
        rate = case.settings.false_alarms_per_hour if case.analysis else None
        wanted = self.desk.settings_of(who.visit, words(anomaly), words(normal))
        if case.state == "ready" and (wanted.anomaly, wanted.normal) == (case.settings.anomaly, case.settings.normal):
            yield self._about(case, who, value(case, ""))  # as it was; an earlier look may have told how far it is
            return
        if not (yield from self._looked(case, who, anomaly, normal, overtaken)):
            return
        if rate is not None and rate != case.settings.false_alarms_per_hour:
            self.desk.recut(case, rate)
        said = bool(case.said)
        note = "Looked at with these words; what is said above was about the ones before." if said else ""
        yield self._about(case, who, value(case, note))
        if not said:
            yield from self._first(case, who)

    def _overtake(self, case: Case) -> threading.Event:
        """End an earlier look at the case; what will end this one."""
        with case.lock:
            case.overtaken.set()
            case.overtaken = threading.Event()
            return case.overtaken

    def _looked(
        self, case: Case, who: Who, anomaly: Any, normal: Any, overtaken: threading.Event
    ) -> Generator[Step, None, bool]:
        """Look at the video; whether it went to its end."""
        settings = self.desk.settings_of(who.visit, words(anomaly), words(normal))

        def work(tell: Callable[[float, str], None], stop: Callable[[], bool]) -> None:
            self.desk.analyse(case, settings, tell, lambda: stop() or overtaken.is_set())

        try:
            for share, note in self._watched(who, work):
                if not overtaken.is_set():
                    yield self._about(case, who, value(case, note, share))
        except TROUBLE as error:
            if not overtaken.is_set():
                yield self._about(case, who, value(case, sentence(error)))
            return False
        return not overtaken.is_set()

    def _first(self, case: Case, who: Who) -> Iterator[Step]:
        """Ask the first question, again where it was asked, then what was asked during the look."""
        first = FIRST if not case.said else case.said[0][0]
        if case.said:
            self.desk.take_back(case, 0)
        for question in (first, *case.early):
            for chat in self.answer(who, case.id, question, None):
                yield self.leave, chat, self.leave, self.leave
        case.early.clear()

    def answer(self, who: Who, case_id: str, question: str, region: Any) -> Iterator[Any]:
        """The whole dialogue, again and again, with a growing answer; as it is while another case is shown."""
        for chat in self._answered(who, case_id, question.strip(), Region.of(region)):
            yield chat if self._front.get(who.page, case_id) == case_id else self.leave

    def again_from(self, who: Who, shown: str, at: int, question: str | None, region: Any) -> Iterator[Any]:
        """The dialogue up to a question, and that one again, perhaps in other words."""
        try:
            case = self.desk.case(who.visit, shown)
        except Refused as error:
            yield said_alone(str(error))
            return
        if at < len(case.said):
            question = question or case.said[at][0]
            self.desk.take_back(case, at)
        yield from self.answer(who, shown, question, region) if question else iter([messages(self.desk, case)])

    def _answered(self, who: Who, case_id: str, question: str, where: Region | None) -> Iterator[list[dict[str, Any]]]:
        try:
            case = self.desk.case(who.visit, case_id)
        except Refused:
            yield said_alone("Open a video first; then ask about it.")
            return
        before = messages(self.desk, case, options=False)
        own = {"role": "user", "content": plain(question) + (f" ({where.words()})" if where else "")}
        if case.analysis is None and case.state == "working":
            case.early.append(question)
            yield [m for q in case.early for m in ({"role": "user", "content": plain(q)}, *said_alone(LATER))]
            return
        yield [*before, own, {"role": "assistant", "content": "…"}]

        def work(tell: Callable[[float, str], None], stop: Callable[[], bool]) -> None:
            text = ""
            wait = lambda place, length: tell(0.0, in_line(place, length))  # noqa: E731
            with closing(self.desk.ask(case, question, where, stop, wait)) as pieces:
                for piece in pieces:
                    if stop():
                        return
                    text += piece
                    tell(0.0, text)

        try:
            for _, text in self._watched(who, work):
                yield [*before, own, {"role": "assistant", "content": plain(text)}]
        except (Refused, Busy, Left, MissingWeights) as error:
            yield [*before, own, {"role": "assistant", "content": plain(str(error))}]
            return
        yield messages(self.desk, case)

    def _board(self, told: Any) -> Step:
        return told, self.leave, self.leave, self.leave

    def _about(self, case: Case, who: Who, told: dict[str, Any]) -> Step:
        return self._board(told if self._front.get(who.page) == case.id else told | {"behind": True})


def sentence(error: BaseException) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
