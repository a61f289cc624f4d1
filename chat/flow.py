"""What goes on in a page: looking, learning and answering as streams of what its parts show. No gradio.

A page (a browser's tab) shows one case at a time; what goes on about another one meanwhile reaches that video's tab
alone. Next: chat/shown.py
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chat.case import Case, Refused
from chat.desk import Desk
from chat.linked import plain
from chat.playable import Stopped
from chat.region import Region
from chat.shown import FIRST, listing, messages, said_alone, stretch, value, words
from chat.turns import Busy, Left
from chat.watched import watched
from tvad.weights import MissingWeights

TROUBLE = (Refused, Busy, Stopped, Left, MissingWeights)

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

    def left(self, who: Who) -> None:
        """The page shows nothing any more."""
        self._front.pop(who.page, None)

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
            for share, note in watched(lambda tell, stop: self.desk.learn(cases, span, tell, stop)):
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
        settings = self.desk.settings_of(who.visit, words(anomaly), words(normal))
        if not behind:
            self._front[who.page] = case.id
            yield value(case, "Opened.", 0.0), messages(self.desk, case), case.id, None
        try:
            for share, note in watched(lambda tell, stop: self.desk.analyse(case, settings, tell, stop)):
                yield self._about(case, who, value(case, note, share))
        except TROUBLE as error:
            yield self._about(case, who, value(case, sentence(error)))
            return
        yield self._about(case, who, value(case, ""))
        first = FIRST if not case.said else case.said[0][0]
        if case.said:
            self.desk.take_back(case, 0)
        for chat in self.answer(who, case.id, first, None):
            yield self.leave, chat, self.leave, self.leave

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
        if question:
            yield from self.answer(who, shown, question, region)

    def _answered(self, who: Who, case_id: str, question: str, where: Region | None) -> Iterator[list[dict[str, Any]]]:
        try:
            case = self.desk.case(who.visit, case_id)
        except Refused:
            yield said_alone("Open a video first; then ask about it.")
            return
        before = messages(self.desk, case, options=False)
        own = {"role": "user", "content": plain(question) + (f" ({where.words()})" if where else "")}
        yield [*before, own, {"role": "assistant", "content": "…"}]
        text = ""
        try:
            for piece in self.desk.ask(case, question, where):
                text += piece
                yield [*before, own, {"role": "assistant", "content": plain(text)}]
        except (Refused, Busy, Left, MissingWeights) as error:
            yield [*before, own, {"role": "assistant", "content": plain(str(error))}]
            return
        yield messages(self.desk, case)

    def _board(self, told: dict[str, Any]) -> Step:
        return told, self.leave, self.leave, self.leave

    def _about(self, case: Case, who: Who, told: dict[str, Any]) -> Step:
        return self._board(told if self._front.get(who.page) == case.id else told | {"behind": True})


def sentence(error: BaseException) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]
