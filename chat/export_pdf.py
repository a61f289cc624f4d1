"""The report on A4 paper: the content of the HTML report, set by chat/export_paper.py.

Next: chat/export_paper.py
"""

import math
from collections.abc import Sequence

from chat.export_content import (
    COLUMNS,
    CONFLICT,
    NO_QUESTION,
    RESTS_ON,
    Pictures,
    Said,
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
from chat.export_paper import INK, INNER, LEFT, LINE, SOFT, WARN, WIDTH, Paper, Style, columns, fitted, fonts, wrap
from chat.facts import clock, in_time
from tvad.evidence import Analysis, Event, Evidence

TITLE, BIG, HEAD, SUB = Style(19, True), Style(14, True), Style(13, True), Style(10.5, True)
WORDS, QUIET, CELL, CELL_HEAD = Style(10), Style(9, colour=SOFT), Style(8.5), Style(8.5, True, SOFT)
SMALL, ALARM = Style(9.5), Style(10, colour=WARN)
CURVE, BAND, NUMBER = "#2f6690", "#e69f00", "#7a4e00"
COLUMN_WIDTHS = (34, 52, 52, 52, 38, 121, 62, 84)
CURVE_HEIGHT = 150.0
EVENT_PICTURE = (200.0, 160.0)  # the most a picture beside an event takes, points
PICTURE_HEIGHT = 330.0
MOST_TOGETHER = 300.0  # points; what is longer may run over the end of a page


def report_pdf(analysis: Analysis, turns: Sequence[Said], pictures: Pictures) -> bytes:
    """The whole report as PDF; arguments as of chat.export_html.report_html. The same arguments give the same bytes.

    ValueError for a picture that is neither PNG nor JPEG, or damaged.
    """
    evidence = analysis.evidence
    name = file_name(evidence)
    for each, data in pictures.items():
        _check(each, data)
    with fonts():
        paper = Paper()
        _head(paper, evidence, name)
        _timeline(paper, analysis)
        _events(paper, evidence, pictures)
        _pictures(paper, evidence, pictures)
        _dialogue(paper, turns)
        _heading(paper, "What the score means")
        for sentence in meaning(evidence):
            paper.flow(sentence, WORDS)
            paper.space(3)
        _made(paper, evidence)
        return paper.bytes(f"Anomaly report: {name}", f"Anomaly report: {name}")


def _check(name: str, data: bytes) -> None:
    picture_type(name, data)
    try:
        fitted(data, 100, 100)
    except (OSError, SyntaxError) as error:  # what PIL raises for a damaged file
        raise ValueError(f"picture {name!r} cannot be read: {error}") from None


def _heading(paper: Paper, words: str, keep: float = 60) -> None:
    """A heading with at least `keep` points of what follows on the same page."""
    paper.space(16)
    paper.room(HEAD.line + 4 + keep)
    paper.flow(words, HEAD)
    paper.space(4)


def _head(paper: Paper, evidence: Evidence, name: str) -> None:
    paper.flow("Anomaly report", QUIET)
    paper.flow(name, TITLE)
    paper.space(8)
    colour = BAND if evidence.events else CURVE
    facts = f"preset {one_line(evidence.preset)}  ·  {calibration(evidence)}  ·  threshold {evidence.threshold:.2f}"
    paper.flow(verdict(evidence), BIG, bar=colour)
    paper.flow(" ".join(verdict_details(evidence)), WORDS, bar=colour)
    paper.flow(facts, QUIET, bar=colour)
    if evidence.warnings:
        _heading(paper, "Warnings", 20)
    for warning in evidence.warnings:
        paper.flow(one_line(warning), ALARM, bar=WARN)
        paper.space(4)


def _timeline(paper: Paper, analysis: Analysis) -> None:
    """The curve as lines, not as a picture: sharp at any size."""
    digit = 6.0 / INNER
    line = make_timeline(analysis, 900, 9, digit)
    above = 11.0 * max(line.rows, 1)
    _heading(paper, "Timeline", CURVE_HEIGHT + above + 40)
    axes = paper.axes(LEFT + 24, paper.y + above, INNER - 24, CURVE_HEIGHT)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_xticks([share for share, _ in line.ticks], [label for _, label in line.ticks])
    axes.tick_params(colors=SOFT, labelsize=8, length=0, pad=6)
    axes.grid(axis="y", color="#e6eaee", linewidth=0.7)
    axes.set_axisbelow(True)
    for band in line.bands:
        a, b = band.left, max(band.right, band.left + 0.003)
        axes.axvspan(a, b, color=BAND, alpha=0.18, linewidth=0)
        axes.plot([a, b], [1, 1], color=BAND, linewidth=3, solid_capstyle="butt", clip_on=False)
        if band.row is not None:
            x = LEFT + 24 + band.middle * (INNER - 24)
            number = str(band.number)
            paper.put(number, Style(8.5, True, NUMBER), x - 2.9 * len(number), paper.y + above - 14 - 11 * band.row)
    axes.fill_between(line.x, line.scores, color=CURVE, alpha=0.12, linewidth=0)
    axes.plot(line.x, line.scores, color=CURVE, linewidth=1.2)
    axes.axhline(analysis.evidence.threshold, color=INK, linewidth=0.8, linestyle=(0, (5, 4)))
    paper.space(above + CURVE_HEIGHT + 18)
    paper.flow(curve_caption(analysis.evidence, line), QUIET)


def _events(paper: Paper, evidence: Evidence, pictures: Pictures) -> None:
    _heading(paper, "Events")
    if not evidence.events:
        return paper.flow(f"{verdict(evidence)} was found.", WORDS)
    events = in_time(evidence.events)
    _table_head(paper)
    for event in events:
        _row(paper, cells(event))
    paper.space(12)
    for event in events:
        if is_more(event, pictures):
            _event(paper, evidence, event, pictures)


def _table_head(paper: Paper) -> None:
    for x, words in zip(columns(COLUMN_WIDTHS), COLUMNS, strict=True):
        paper.put(words, CELL_HEAD, x, paper.y)
    paper.space(CELL_HEAD.line + 2)
    paper.rule()
    paper.space(2)


def _row(paper: Paper, values: Sequence[str]) -> None:
    """One row, wrapped inside its columns; over several pages if it must be."""
    wrapped = [wrap(v, CELL, w - 6) for v, w in zip(values, COLUMN_WIDTHS, strict=True)]
    count = max(len(lines) for lines in wrapped)
    before = len(paper.pages)
    paper.room(CELL.line * count + 6 + CELL_HEAD.line)
    if len(paper.pages) > before:
        _table_head(paper)
    for i in range(count):
        if paper.left < CELL.line + 4:
            paper.turn()
            _table_head(paper)
        for x, lines in zip(columns(COLUMN_WIDTHS), wrapped, strict=True):
            if i < len(lines):
                paper.put(lines[i], CELL, x, paper.y)
        paper.space(CELL.line)
    paper.space(2)
    paper.rule()
    paper.space(2)


def _event(paper: Paper, evidence: Evidence, event: Event, pictures: Pictures) -> None:
    """The picture at the left and the words at its right; very many words stand below it."""
    data = pictures.get(f"event-{event.id}")
    times = f"{clock(event.start_s)} to {clock(event.end_s)}, peak {clock(event.peak_s)}, score {event.score:.2f}"
    said = [(f"Event {event.id}: {category(event)}", SUB), (times, QUIET)]
    said += [(words, WORDS) for words in things(evidence, event)]
    high = fitted(data, *EVENT_PICTURE)[2] if data else 0.0
    x = LEFT + (EVENT_PICTURE[0] + 14 if data else 0)
    beside = sum(style.line * len(wrap(words, style, WIDTH - LEFT - x)) for words, style in said)
    fits = beside <= MOST_TOGETHER
    paper.room(max(high, beside if fits else 0.0) + 12)
    page, start = len(paper.pages), paper.y
    if data:
        paper.picture(data, LEFT, *EVENT_PICTURE)
    if not fits:
        x = LEFT
        paper.space(high + 6)
    for words, style in said:
        paper.flow(words, style, x, WIDTH - LEFT - x)
    if page == len(paper.pages):
        paper.y = max(paper.y, start + high)
    paper.space(12)


def _pictures(paper: Paper, evidence: Evidence, pictures: Pictures) -> None:
    for i, name in enumerate(other_pictures(evidence, pictures)):
        high = fitted(pictures[name], INNER, PICTURE_HEIGHT)[2]
        if i == 0:
            _heading(paper, "Pictures", high + QUIET.line + 6)
        paper.room(high + QUIET.line + 6)
        paper.space(paper.picture(pictures[name], LEFT, INNER, PICTURE_HEIGHT) + 3)
        paper.flow(caption(evidence, name), QUIET)
        paper.space(10)


def _dialogue(paper: Paper, turns: Sequence[Said]) -> None:
    _heading(paper, "Dialogue")
    if not turns:
        paper.flow(NO_QUESTION, WORDS)
    for number, said in enumerate(turns, 1):
        parts = _turn(number, said)
        high = sum(paper.height(words, style, bar) for words, style, bar in parts)
        # What is contradicted stands on one page with its conflict, unless it is very long.
        paper.room(high if high <= MOST_TOGETHER else SUB.line + 2 * WORDS.line)
        for words, style, bar in parts:
            paper.flow(words, style, bar=bar)
        paper.space(9)


def _turn(number: int, said: Said) -> list[tuple[str, Style, str | None]]:
    """Paragraphs of a turn: words, style, colour of the bar beside them."""
    parts: list[tuple[str, Style, str | None]] = [(f"{number}. {one_line(said.question)}", SUB, None)]
    parts.append((clean(said.answer).strip(), WORDS, None))
    parts += [(f"{CONFLICT} {one_line(conflict)}", ALARM, WARN) for conflict in said.conflicts]
    if said.citations:
        parts.append((f"{RESTS_ON} {'; '.join(map(one_line, said.citations))}", QUIET, None))
    if said.yes is not None and math.isfinite(said.yes):
        parts.append((f"The language model's probability of an anomaly: {percent(said.yes)}", QUIET, None))
    return parts


def _made(paper: Paper, evidence: Evidence) -> None:
    rows = [(name, wrap(value, SMALL, INNER - 100)) for name, value in how_made(evidence)]
    high = sum(SMALL.line * len(lines) + 2 for _, lines in rows)
    _heading(paper, "How it was made", high if high <= MOST_TOGETHER else 60)
    for name, lines in rows:
        paper.room(2 * SMALL.line)  # as much as flow asks for: name and value begin on one page
        paper.put(name, Style(SMALL.size, colour=SOFT), LEFT, paper.y)
        paper.flow("\n".join(lines), SMALL, LEFT + 100, INNER - 100)
        paper.space(2)
