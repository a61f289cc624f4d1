"""The report as one HTML file that needs nothing else: no script, no address outside, pictures inside.

The policy in its head forbids the browser everything but its own style and pictures, so even a text that slipped
through the escaping could neither run nor load a thing.

Next: chat/export_style.py
"""

import base64
import math
import re
from collections.abc import Iterable, Sequence
from html import escape

from chat.export_content import (
    COLUMNS,
    CONFLICT,
    NO_QUESTION,
    RESTS_ON,
    Pictures,
    Said,
    Timeline,
    calibration,
    caption,
    category,
    cells,
    clean,
    curve_caption,
    file_name,
    how_made,
    is_more,
    make_timeline,
    meaning,
    one_line,
    other_pictures,
    percent,
    picture_type,
    things,
    verdict,
    verdict_details,
)
from chat.export_style import STYLE
from chat.facts import clock, in_time
from tvad.evidence import Analysis, Event, Evidence

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# The two drawings of the timeline: points of the curve, ticks, width, height and letters in px of the drawing.
WIDE = (900, 12, 1000, 300, 14)
NARROW = (340, 5, 360, 240, 12)


def report_html(analysis: Analysis, turns: Sequence[Said], pictures: Pictures) -> str:
    """The whole report. pictures: PNG or JPEG by name; "event-3" stands beside event 3, "timeline" and "trajectory" and
    any other name follow below the events. ValueError for a picture of another kind."""
    evidence = analysis.evidence
    name = _text(file_name(evidence))
    parts = [
        _head(evidence, name),
        _warnings(evidence),
        _section("Timeline", _timeline(analysis)),
        _section("Events", _events(evidence, pictures)),
        _section("Pictures", "".join(_figure(evidence, n, pictures) for n in other_pictures(evidence, pictures))),
        _section("Dialogue", _dialogue(evidence, turns)),
        _section("What the score means", "".join(f"<p>{_text(s)}</p>" for s in meaning(evidence))),
        _section("How it was made", _made(evidence)),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Anomaly report: {name}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main>\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    """Clean and escaped, for text and for quoted attributes alike."""
    return escape(clean(text), quote=True)


def _section(title: str, inside: str) -> str:
    return f"<section>\n<h2>{title}</h2>\n{inside}\n</section>" if inside else ""


def _list(items: Iterable[str], kind: str = "") -> str:
    """A list of items that are HTML already."""
    mark = f' class="{kind}"' if kind else ""
    return f"<ul{mark}>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _head(evidence: Evidence, name: str) -> str:
    kind = "found" if evidence.events else "quiet"
    facts = (f"preset {one_line(evidence.preset)}", calibration(evidence), f"threshold {evidence.threshold:.2f}")
    return (
        f'<header>\n<p class="over">Anomaly report</p>\n<h1>{name}</h1>\n'
        f'<div class="verdict {kind}"><p class="big">{verdict(evidence)}</p>\n'
        f"<p>{_text(' '.join(verdict_details(evidence)))}</p>\n{_list(map(_text, facts), 'chips')}</div>\n</header>"
    )


def _warnings(evidence: Evidence) -> str:
    lines = [_text(one_line(w)) for w in evidence.warnings]
    return f'<section class="warn">\n<h2>Warnings</h2>\n{_list(lines)}\n</section>' if lines else ""


def _made(evidence: Evidence) -> str:
    rows = (f"<div><dt>{k}</dt><dd>{_text(v)}</dd></div>" for k, v in how_made(evidence))
    return "<dl>" + "".join(rows) + "</dl>"


# Timeline


def _timeline(analysis: Analysis) -> str:
    """Two drawings, of which the style shows the one that suits the width."""
    evidence = analysis.evidence
    drawings, captions = [], []
    for kind, (points, ticks, width, height, letter) in (("wide", WIDE), ("narrow", NARROW)):
        line = make_timeline(analysis, points, ticks, 0.75 * letter / width)
        drawings.append(_drawing(line, evidence, kind, width, height, letter))
        captions.append(f'<span class="{kind}">{curve_caption(evidence, line)}</span>')
    return f"<figure>{''.join(drawings)}<figcaption>{''.join(captions)}</figcaption></figure>"


def _drawing(line: Timeline, evidence: Evidence, kind: str, width: int, height: int, letter: int) -> str:
    left, right, foot = 3.1 * letter, 0.8 * letter, 2.2 * letter
    top = (1.45 * max(line.rows, 1) + 0.6) * letter
    wide, bottom = width - left - right, height - foot

    def x(share: float) -> float:
        return left + share * wide

    def y(score: float) -> float:
        return bottom - score * (bottom - top)

    drawn = [
        f'<line class="grid" x1="{left:.1f}" x2="{x(1):.1f}" y1="{y(v):.1f}" y2="{y(v):.1f}"/>'
        f'<text class="axis" x="{left - 6:.1f}" y="{y(v) + 0.35 * letter:.1f}" text-anchor="end">{v:g}</text>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    ]
    for share, label in line.ticks:
        middle = min(x(share), width - 0.3 * letter * len(label))
        drawn.append(
            f'<text class="axis" x="{middle:.1f}" y="{bottom + 1.5 * letter:.1f}" text-anchor="middle">{label}</text>'
        )
    for band in line.bands:
        a, b = x(band.left), max(x(band.right), x(band.left) + 2)
        drawn.append(f'<rect class="band" x="{a:.1f}" y="{top:.1f}" width="{b - a:.1f}" height="{bottom - top:.1f}"/>')
        drawn.append(f'<rect class="cap" x="{a:.1f}" y="{top - 3:.1f}" width="{b - a:.1f}" height="3"/>')
    if len(line.scores):
        points = [f"{x(s):.1f} {y(v):.1f}" for s, v in zip(line.x.tolist(), line.scores.tolist(), strict=True)]
        first, last = x(float(line.x[0])), x(float(line.x[-1]))
        path = " ".join(points)
        drawn.append(f'<path class="under" d="M{first:.1f} {bottom:.1f} L{path} L{last:.1f} {bottom:.1f}Z"/>')
        drawn.append(f'<path class="curve" d="M{path}"/>')
    level = y(min(max(evidence.threshold, 0.0), 1.0))
    drawn.append(f'<line class="threshold" x1="{left:.1f}" x2="{x(1):.1f}" y1="{level:.1f}" y2="{level:.1f}"/>')
    for band in line.bands:
        if band.row is not None:
            high = top - 7 - 1.45 * letter * band.row
            drawn.append(f'<text class="number" x="{x(band.middle):.1f}" y="{high:.1f}">{band.number}</text>')
    return (
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" font-size="{letter}" role="img" '
        f'aria-label="{_text(line.described(evidence))}">{"".join(drawn)}</svg>'
    )


# Events


def _events(evidence: Evidence, pictures: Pictures) -> str:
    if not evidence.events:
        return f"<p>{verdict(evidence)} was found.</p>"
    events = in_time(evidence.events)
    head = "".join(f'<th role="columnheader" scope="col">{c}</th>' for c in COLUMNS)
    rows = "\n".join(_row(event, is_more(event, pictures)) for event in events)
    # The roles are told again, for the style for narrow screens makes blocks of the rows, which takes them away.
    table = (
        '<table role="table">\n<caption>Every event; times are minutes:seconds.</caption>\n<thead role="rowgroup">'
        f'<tr role="row">{head}</tr></thead>\n<tbody role="rowgroup">\n{rows}\n</tbody>\n</table>'
    )
    return "\n".join([table, *(_event(evidence, e, pictures) for e in events if is_more(e, pictures))])


def _row(event: Event, more: bool) -> str:
    """A row of the table; it leads to what is told below, or is itself where citations of the event lead."""
    number, *rest = cells(event)
    data = "".join(
        f'<td role="cell" data-label="{name}">{_text(value)}</td>'
        for name, value in zip(COLUMNS[1:], rest, strict=True)
    )
    name = f'<span class="said">Event </span>{number}'
    if more:
        name = f'<a href="#event-{event.id}">{name}</a>'
    place = "" if more else f' id="event-{event.id}"'
    return f'<tr role="row"{place}><th role="rowheader" scope="row">{name}</th>{data}</tr>'


def _event(evidence: Evidence, event: Event, pictures: Pictures) -> str:
    name = f"event-{event.id}"
    times = f"{clock(event.start_s)} to {clock(event.end_s)}, peak {clock(event.peak_s)}, score {event.score:.2f}"
    said = [_text(words) for words in things(evidence, event)]
    return (
        f'<article class="event" id="{name}">\n<h3>Event {event.id}: {_text(category(event))}</h3>\n'
        f'<div class="words"><p class="soft">{times}</p>{_list(said) if len(said) > 1 else f"<p>{said[0]}</p>"}</div>'
        f"{_figure(evidence, name, pictures, told=False)}\n</article>"
    )


def _figure(evidence: Evidence, name: str, pictures: Pictures, told: bool = True) -> str:
    """A picture with its caption below; `told` is False where a heading says it already. "" without that picture."""
    if name not in pictures:
        return ""
    data = pictures[name]
    words = _text(caption(evidence, name))
    source = f"data:{picture_type(name, data)};base64,{base64.b64encode(data).decode('ascii')}"
    below = f"<figcaption>{words}</figcaption>" if told else ""
    return f'<figure><img src="{source}" alt="Picture: {words}">{below}</figure>'


# Dialogue


def _dialogue(evidence: Evidence, turns: Sequence[Said]) -> str:
    known = {event.id for event in evidence.events}
    return "\n".join(_turn(i, said, known) for i, said in enumerate(turns, 1)) or f"<p>{NO_QUESTION}</p>"


def _turn(number: int, said: Said, known: set[int]) -> str:
    lines = [
        f'<article class="turn">\n<h3>{number}. {_text(one_line(said.question))}</h3>',
        f'<p class="answer">{_text(said.answer.strip())}</p>',
    ]
    lines += [f'<p class="conflict"><strong>{CONFLICT}</strong> {_text(one_line(c))}</p>' for c in said.conflicts]
    if said.citations:
        lines.append(f'<p class="soft">{RESTS_ON}</p>{_list((_citation(c, known) for c in said.citations), "chips")}')
    if said.yes is not None and math.isfinite(said.yes):
        lines.append(f'<p class="soft">The language model&#x27;s probability of an anomaly: {percent(said.yes)}</p>')
    return "\n".join([*lines, "</article>"])


def _citation(text: str, known: set[int]) -> str:
    """A citation of an event of this report leads to it."""
    words = _text(one_line(text))
    named = re.match(r"event (\d{1,9})\b", text, re.ASCII)
    return f'<a href="#event-{int(named[1])}">{words}</a>' if named and int(named[1]) in known else words
