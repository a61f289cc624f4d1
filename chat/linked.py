"""An answer as Markdown for the page: what a model or a file name says stays plain text, moments become links
and commands of tvad code.

A link is `#t=SECONDS`, `#e=EVENT` or `#k=TRACK`; the page seeks there when it is clicked. Next: chat/board.py
"""

import re

from chat.session import Answer
from tvad.evidence import Evidence

# Characters that Markdown reads, as text too: it makes links of addresses.
_SPECIAL = re.compile(r"[\\`*_{}\[\]#!|~<>&$:@]")
_BEGIN = re.compile(r"^(\d*)([-+=.)])(?=[\s=-]|$)")  # lists and underlines, at the beginning of a line
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f​-‏‪-‮⁠-⁯]")
_MOMENT = re.compile(
    r"(?P<event>\bevent (?P<event_id>\d+)\b)|(?P<track>\btrack (?P<track_id>\d+)\b)"
    r"|(?P<begin>\b\d+(?:\.\d+)?(?= (?:to|and) \d+(?:\.\d+)? s\b))"
    r"|(?P<range>\b(?P<from>\d+(?:\.\d+)?)-\d+(?:\.\d+)?(?= s\b))"
    r"|(?P<command>`tvad [a-z -]+`)"
    r"|(?P<clock>\b(?:\d+:)?\d{1,2}:\d{2}(?:\.\d)?\b)|(?P<s>\b\d+(?:\.\d+)?(?= (?:s|seconds?)\b))",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """Text that Markdown and HTML show as it is: no tag, link, picture, list or heading, no control character."""
    lines = _CONTROL.sub(" ", text).replace("\r", "\n").split("\n")
    return "\n".join(_BEGIN.sub(_begun, _SPECIAL.sub(lambda m: _entity(m[0]), line.strip())) for line in lines)


def _entity(sign: str) -> str:
    # Numbers, not backslashes: they mean the same to every Markdown there is.
    return f"&#{ord(sign)};"


def _begun(m: re.Match[str]) -> str:
    return m[1] + _entity(m[2])


def seconds_of(clock: str) -> float:
    """ "1:02.5" -> 62.5, "1:00:00" -> 3600."""
    total = 0.0
    for part in clock.split(":"):
        total = total * 60 + float(part)
    return total


def linked(text: str, evidence: Evidence) -> str:
    """The text with links to the moments, events and tracks that it names and the evidence has."""
    events, tracks = {e.id for e in evidence.events}, {t.id for t in evidence.tracks}
    out, at = [], 0
    for m in _MOMENT.finditer(text):
        if m["command"]:
            out += [_between(text[at : m.start()]), m[0]]
            at = m.end()
            continue
        target = _target(m, events, tracks, evidence.video.duration_s)
        if target:
            out += [_between(text[at : m.start()]), f"[{plain(m[0])}](#{target})"]
            at = m.end()
    return "".join([*out, _between(text[at:])])


def _between(text: str) -> str:
    """As `plain`, with the spaces at both ends, which hold words apart."""
    inner = text.strip()
    if not inner:
        return text if text.isspace() else ""
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return before + plain(inner) + after


def _target(m: re.Match[str], events: set[int], tracks: set[int], duration_s: float) -> str:
    if m["event"]:
        return f"e={m['event_id']}" if int(m["event_id"]) in events else ""
    if m["track"]:
        return f"k={m['track_id']}" if int(m["track_id"]) in tracks else ""
    t_s = seconds_of(m["clock"]) if m["clock"] else float(m["from"] or m["begin"] or m["s"])
    return f"t={t_s:g}" if t_s <= duration_s + 0.05 else ""


def footnotes(answer: Answer, evidence: Evidence) -> str:
    """What an answer rests on, how sure it is, and what contradicts it, as Markdown below it; "" for nothing."""
    lines = []
    if answer.yes is not None:
        lines.append(f"Probability of an anomaly: {answer.yes:.0%}")
    if answer.citations:
        lines.append("Rests on: " + "; ".join(linked(c, evidence) for c in answer.citations))
    lines += [f"⚠️ **Conflict with the evidence:** {linked(c, evidence)}" for c in answer.conflicts]
    return "".join(f"\n\n{line}" for line in lines)
