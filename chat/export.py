"""A dialogue and its evidence to take away: Markdown, JSON, subtitles; and by their own files a web page and paper.

Pure functions from values to text or bytes: no file is read or written.

Next: chat/export_content.py
"""

import json
import math
import re
from collections.abc import Sequence

from chat.export_content import (
    CONFLICT,
    NO_QUESTION,
    RESTS_ON,
    Said,
    calibration,
    category,
    clean,
    file_name,
    how_made,
    one_line,
    percent,
    things,
    verdict,
    verdict_details,
)
from chat.export_html import report_html
from chat.export_pdf import report_pdf
from chat.facts import in_time
from tvad.evidence import Event, Evidence

__all__ = ["SUBTITLES", "Said", "report_html", "report_pdf", "subtitles", "transcript_json", "transcript_markdown"]

SUBTITLES = ("srt", "vtt")
SCHEMA_VERSION = 1
MARKDOWN_SIGNS = re.compile(r"([\\`*_\[\]<>&|~$])")
MARKDOWN_STARTS = re.compile(r"^(\s*)(#|[-+=]|:(?=\s)|\d{1,9}(?=[.)](?:\s|$)))", re.MULTILINE)
SRT_SIGNS = str.maketrans("<>{}", "\u2039\u203a()")  # angle quotation marks look much like what they replace


# Dialogue


def transcript_markdown(evidence: Evidence, turns: Sequence[Said]) -> str:
    """The dialogue as CommonMark, with the verdict and how it was made above; no text in it can become markup."""
    lines = [f"# Dialogue about {_markdown(file_name(evidence))}", "", f"**{verdict(evidence)}.**"]
    lines += [_markdown(" ".join(verdict_details(evidence))), ""]
    lines += [f"- {name}: {_markdown(value)}" for name, value in how_made(evidence)]
    lines += [f"- Warning: {_markdown(one_line(warning))}" for warning in evidence.warnings]
    for number, said in enumerate(turns, 1):
        lines += ["", f"## {number}. {_markdown(one_line(said.question))}", "", *_paragraphs(said.answer)]
        if said.citations:
            lines += ["", f"{RESTS_ON} {_markdown('; '.join(map(one_line, said.citations)))}"]
        if said.yes is not None and math.isfinite(said.yes):
            lines += ["", f"The language model's probability of an anomaly: {percent(said.yes)}"]
        for conflict in said.conflicts:
            lines += ["", f"> **{CONFLICT}** {_markdown(one_line(conflict))}"]
    return "\n".join([*lines, *([] if turns else ["", NO_QUESTION]), ""])


def _paragraphs(text: str) -> list[str]:
    """Each line of an answer as a line of its own: a backslash at its end breaks the line."""
    lines = [_markdown(line.strip()) for line in clean(text).split("\n") if line.strip()]
    return [line + "\\" for line in lines[:-1]] + lines[-1:]


def _markdown(text: str) -> str:
    escaped = MARKDOWN_SIGNS.sub(r"\\\1", text)
    # A number before a full stop begins a list: there it is the full stop that is escaped.
    return MARKDOWN_STARTS.sub(lambda m: m[1] + (m[2] + "\\" if m[2].isdecimal() else "\\" + m[2]), escaped)


def transcript_json(evidence: Evidence, turns: Sequence[Said]) -> str:
    """The dialogue as one JSON object: schema_version, video, verdict, dialogue. A probability that is no number is
    null."""
    about = {
        "schema_version": SCHEMA_VERSION,
        "video": {
            "name": file_name(evidence),
            "sha256": one_line(evidence.video.sha256),
            "duration_s": evidence.video.duration_s,
        },
        "preset": one_line(evidence.preset),
        "calibration": one_line(evidence.calibration),
        "threshold": evidence.threshold,
        "has_anomaly": evidence.has_anomaly,
        "confidence": evidence.confidence,
        "events": len(evidence.events),
        "summary": one_line(evidence.summary),
        "warnings": [one_line(w) for w in evidence.warnings],
        "dialogue": [
            {
                "question": clean(said.question),
                "answer": clean(said.answer),
                "citations": [one_line(c) for c in said.citations],
                "conflicts": [one_line(c) for c in said.conflicts],
                "yes": said.yes if said.yes is not None and math.isfinite(said.yes) else None,
            }
            for said in turns
        ],
    }
    return json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


# Subtitles


def subtitles(evidence: Evidence, kind: str) -> str:
    """One cue an event, in the order of time: category and score, then what it is. Without an event one cue over the
    whole video says so. kind: "srt" (SubRip) or "vtt" (WebVTT); ValueError for another.

    WebVTT has escapes for its signs. SubRip has none, and players read <...> and {...} as markup: there < > { } are
    written as other brackets.
    """
    if kind not in SUBTITLES:
        raise ValueError(f"no subtitles of kind {kind!r}; choose one of {list(SUBTITLES)}")
    cues = [
        (e.start_s, e.end_s, f"event-{e.id}", _cue_lines(evidence, e))
        for e in sorted(in_time(evidence.events), key=lambda e: e.start_s)
    ]
    if not cues:
        cues = [(0.0, evidence.video.duration_s, "no-event", [f"{verdict(evidence)} ({calibration(evidence)})"])]
    if kind == "srt":
        return "\n".join(
            f"{number}\n{cue_times(start_s, end_s, ',')}\n"
            + "\n".join(line.translate(SRT_SIGNS) for line in lines)
            + "\n"
            for number, (start_s, end_s, _, lines) in enumerate(cues, 1)
        )
    return "WEBVTT\n" + "".join(
        f"\n{name}\n{cue_times(start_s, end_s, '.')}\n" + "\n".join(vtt_text(line) for line in lines) + "\n"
        for start_s, end_s, name, lines in cues
    )


def _cue_lines(evidence: Evidence, event: Event) -> list[str]:
    first = f"Event {event.id}: {category(event)}, score {event.score:.2f}"
    if not event.tracks:
        return [first]
    more = f" And {len(event.tracks) - 1} more." if len(event.tracks) > 1 else ""
    return [first, one_line(things(evidence, event)[0] + more)]


def vtt_text(text: str) -> str:
    """A line of text as WebVTT has it; no sign of it is markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cue_times(start_s: float, end_s: float, mark: str) -> str:
    """ "00:00:05,000 --> 00:00:10,000"; a cue lasts at least a millisecond, for WebVTT forbids an empty one."""
    start_ms = max(round(start_s * 1000), 0)
    end_ms = max(round(end_s * 1000), start_ms + 1)
    return f"{_stamp(start_ms, mark)} --> {_stamp(end_ms, mark)}"


def _stamp(ms: int, mark: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{mark}{ms:03d}"
