"""What the page is told, without gradio: a dialogue as messages, the state of a case, what programs get back.

Next: chat/desk.py
"""

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chat.case import Case
from chat.desk import Desk
from chat.linked import footnotes, linked, plain
from chat.openai_body import details

FIRST = "What is anomalous?"
WORDS = 40  # that a person may give of a kind
WORD_CHARS = 80
WAYS = {
    "report": "Facts alone, worded by rules",
    "text": "Language model, told the facts",
    "lvlm": "Language model, shown the video",
}


def messages(desk: Desk, case: Case, options: bool = True) -> list[dict[str, Any]]:
    """The dialogue as it stands, with suggestions below the last answer."""
    if case.analysis is None:
        return []
    out: list[dict[str, Any]] = []
    evidence = case.analysis.evidence
    for question, answer in case.said:
        out.append({"role": "user", "content": plain(question)})
        out.append({"role": "assistant", "content": linked(answer.text, evidence) + footnotes(answer, evidence)})
    if out and options:
        out[-1]["options"] = [{"value": q, "label": q} for q in desk.suggestions(case)]
    return out


def named(desk: Desk, way: str) -> str:
    """A way of answering, in words."""
    words = WAYS.get(way, way)
    return f"{words} (at {elsewhere(desk)})" if way == "text" and desk.remote else words


def elsewhere(desk: Desk) -> str:
    """The host that findings and key frames are sent to; "" for none."""
    return urlsplit(desk.remote.url).netloc if desk.remote else ""


def value(case: Case, note: str, share: float | None = None) -> dict[str, Any]:
    """What chat/page/board.js is told."""
    return {"id": case.id, "version": case.version, "note": note, "share": share}


def listing(desk: Desk, visit: str) -> list[dict[str, str]]:
    """A visit's videos, for the tabs."""
    return [{"id": c.id, "name": c.name} for c in desk.cases(visit)]


def said_alone(text: str) -> list[dict[str, Any]]:
    return [{"role": "assistant", "content": plain(text)}]


def number(index: Any) -> int:
    """Which question a message of the dialogue belongs to; each has an answer after it."""
    at = index[0] if isinstance(index, list | tuple) else index
    return max(int(at), 0) // 2


def words(given: str | Iterable[str] | None) -> tuple[str, ...]:
    """ "a, b," or ["a", "b"] -> ("a", "b"), without what is too much."""
    parts = given.split(",") if isinstance(given, str) else [str(word) for word in given or ()]
    clean = (" ".join(part.split())[:WORD_CHARS] for part in parts)
    return tuple(dict.fromkeys(word for word in clean if word))[:WORDS]


def stretch(given: dict[str, Any]) -> tuple[float, float] | None:
    """{"start": s, "end": s} -> both; None for all of the video. ValueError for what is neither."""
    start, end = given.get("start"), given.get("end")
    if start is None and end is None:
        return None
    return float(start or 0.0), float("inf" if end is None else end)


def described(
    desk: Desk, path: Path, name: str, question: str, anomaly: str = "", normal: str = "", per_hour: float = 0.0
) -> dict[str, Any]:
    """Look at a video and answer a question about it: answer, has_anomaly, confidence, events, tracks, citations.

    anomaly, normal: words with commas between, "" for the usual ones. per_hour: false alarms to put up with, 0 for the
    usual ones. Nothing is kept. Refused, Busy, MissingWeights.
    """
    with path.open("rb") as file:
        # A visit of its own: what many programs send at once must not make room for each other.
        case = desk.receive(secrets.token_urlsafe(16), name, iter(lambda: file.read(2**20), b""))
    try:
        desk.analyse(case, desk.settings_of(case.visit, words(anomaly), words(normal)), lambda share, note: None)
        if per_hour:
            desk.recut(case, per_hour)
        for _ in desk.ask(case, question.strip() or FIRST):
            pass
        assert case.analysis is not None
        return details(case.analysis.evidence, case.said[-1][1]) | {"answer": case.said[-1][1].text}
    finally:
        desk.forget(case)
