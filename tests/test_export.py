"""What is taken away says what the evidence says, and nothing that a user, a file or a model wrote becomes markup."""

import base64
import json
import re
import unicodedata
from dataclasses import replace
from functools import cache
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from chat_fakes import make_evidence, nothing, one_event, three_events
from export_fakes import HOSTILE, TURNS, analysis_of, many_events, picture, spoilt
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chat.export import Said, report_html, report_pdf, subtitles, transcript_json, transcript_markdown
from chat.export_content import cells, clean, file_name, make_timeline, one_line
from chat.session import Answer, Session
from tvad.evidence import Event, Evidence

TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=40) | st.tuples(st.sampled_from(HOSTILE), st.text()).map("".join)
FEW = settings(max_examples=25, deadline=None)
FORBIDDEN_TAGS = {"script", "iframe", "object", "embed", "link", "base", "form", "input", "video", "audio", "use"}
PICTURE_PLACES = {"alt", "aria-label", "data-label"}  # attributes that are words


class Page(HTMLParser):
    """A page taken apart: its tags in order, their attributes, its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.style = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, {k: v or "" for k, v in attrs}))
        if tag not in ("meta", "img", "line", "path", "rect"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["style"]:
            self.style += data
        else:
            self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def check(self) -> None:
        """Nothing that runs, nothing from outside, every link leads somewhere."""
        assert self._open == []
        assert not {tag for tag, _ in self.tags} & FORBIDDEN_TAGS
        ids = [a["id"] for _, a in self.tags if "id" in a]
        assert len(ids) == len(set(ids))
        for _, attributes in self.tags:
            assert not any(name.startswith("on") or name == "style" for name in attributes)
            outside = [v for k, v in attributes.items() if k not in PICTURE_PLACES and re.search(r"https?:|//", v)]
            assert not [v for v in outside if not v.startswith("data:image/")]
        assert all(a["href"].removeprefix("#") in ids for a in self.named("a"))
        assert all(re.match(r"data:image/(png|jpeg);base64,", a["src"]) and a["alt"] for a in self.named("img"))
        assert not re.search(r"url\(|@import|https?:|expression", self.style)


def has_no_controls(text: str) -> bool:
    text.encode()  # a lone surrogate would raise
    return not any(unicodedata.category(c) == "Cc" and c != "\n" for c in text)


# HTML


@cache
def plain_tags() -> list[str]:
    """The tags of a report without anything odd in it."""
    evidence, turns = spoilt("plain")
    return [tag for tag, _ in Page(report_html(analysis_of(evidence, 20), turns, {})).tags]


@FEW
@given(TEXTS)
def test_no_text_becomes_markup_in_the_page(text: str) -> None:
    evidence, turns = spoilt(text)
    html = report_html(analysis_of(evidence, 20), turns, {})
    page = Page(html)
    page.check()
    assert [tag for tag, _ in page.tags] == plain_tags()
    assert has_no_controls(html)
    assert "/secret" not in html
    words = "".join(page.words)
    assert file_name(evidence) in words and clean(f"a{text}").strip() in words and one_line(f"c{text}") in words


@pytest.mark.parametrize("evidence", [nothing(), one_event(), three_events(), many_events(50, 10800.0)])
def test_the_page_is_whole_and_accessible(evidence: Evidence) -> None:
    evidence = replace(evidence, warnings=("the file is cut off",), versions={"tvad": "0.1.0"})
    pictures = {"event-1": picture("PNG"), "trajectory": picture("JPEG"), "timeline": picture("PNG")}
    html = report_html(analysis_of(evidence), TURNS, pictures)
    page = Page(html)
    page.check()
    words = "".join(page.words)
    policy = next(a for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert page.named("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert {a["scope"] for a in page.named("th")} <= {"col", "row"}
    assert len(page.named("th")) == (8 + len(evidence.events) if evidence.events else 0)
    assert len(page.named("img")) == 3
    assert [a["role"] for a in page.named("svg")] == ["img", "img"] and all(a["aria-label"] for a in page.named("svg"))
    for part in ("gate.mp4", "mini", "0" * 64, "tvad 0.1.0", "memory, words, head", "the file is cut off", "0.50"):
        assert part in words
    assert "1 false alarm per hour" in words and "Conflict with the evidence:" in words and "90%" in words
    assert ("No anomalous event" in words) == (not evidence.events)
    assert all(cell in words for e in evidence.events for cell in cells(e))
    assert "prefers-color-scheme: dark" in page.style and "@page" in page.style


def test_a_picture_comes_back_out_of_the_page() -> None:
    data = picture("JPEG")
    page = Page(report_html(analysis_of(one_event()), (), {"event-1": data}))
    source = page.named("img")[0]["src"]
    assert source.startswith("data:image/jpeg;base64,")
    assert base64.b64decode(source.split(",", 1)[1]) == data


def test_a_citation_leads_to_its_event_even_where_that_has_only_a_row() -> None:
    said = Said("q", "a", ("event 1, 5.0-10.0 s", "event 3, 20.0-21.0 s", "event 99, 1.0-2.0 s", "track 1"))
    page = Page(report_html(analysis_of(three_events()), [said], {}))
    page.check()
    assert [a["href"] for a in page.named("a")] == ["#event-1", "#event-2", "#event-1", "#event-3"]


@pytest.mark.parametrize("report", [report_html, report_pdf])
@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg onload=alert(1)>"])
def test_only_png_and_jpeg_are_pictures(report, data: bytes) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"event-1.*must be PNG or JPEG"):
        report(analysis_of(one_event()), (), {"event-1": data})


def test_a_long_video_keeps_its_page_small_and_its_clock_right() -> None:
    evidence = many_events(50, 10800.0)
    html = report_html(analysis_of(evidence, 270_000), (), {})
    assert len(html) < 150_000
    assert ">1:00:00</text>" in html and ">3:00:00</text>" in html
    line = make_timeline(analysis_of(evidence, 270_000), 100, 5, 0.02)
    assert len(line.x) <= 100 and line.scores.max() == pytest.approx(0.75)
    assert [b.number for b in line.bands] == list(range(1, 51)) and 0 < line.unnumbered < 50


@FEW
@given(st.floats(0.01, 1e6), st.integers(1, 14))
def test_ticks_lie_on_the_axis_and_are_few(length_s: float, most: int) -> None:
    evidence = replace(nothing(), video=replace(nothing().video, duration_s=length_s))
    ticks = make_timeline(analysis_of(evidence, 2), 10, most, 0.01).ticks
    assert 1 <= len(ticks) <= most + 1
    assert all(-1e-6 <= share <= 1 + 1e-6 for share, _ in ticks)
    assert len({label for _, label in ticks}) == len(ticks)


def test_only_the_analysed_stretch_is_on_the_axis() -> None:
    evidence = replace(three_events(), settings={"start_s": 10.0, "end_s": 20.0})
    line = make_timeline(analysis_of(evidence), 100, 5, 0.02)
    assert (line.start_s, line.end_s) == (10.0, 20.0)
    assert line.ticks[0] == (0.0, "0:10")
    assert all(0 <= b.left <= b.right <= 1 for b in line.bands)


# Dialogue


def test_said_is_taken_from_an_answer() -> None:
    session = Session(three_events())
    "".join(session.ask("Is there anything anomalous?"))
    said = Said.of("Is there anything anomalous?", session.last)
    assert said.answer == session.last.text and said.citations == session.last.citations
    answer = Answer("No.", ("track 1",), ("wrong",), 0.2, False)
    assert Said.of("q", answer) == Said("q", "No.", ("track 1",), ("wrong",), 0.2)


@FEW
@given(TEXTS)
def test_no_text_becomes_markup_in_markdown(text: str) -> None:
    evidence, turns = spoilt(text)
    markdown = transcript_markdown(evidence, turns)
    assert has_no_controls(markdown) and "/secret" not in markdown
    kinds = ("heading", "paragraph", "bullet_list", "list_item", "blockquote")
    allowed = {f"{kind}_{end}" for kind in kinds for end in ("open", "close")} | {"inline"}
    tokens = MarkdownIt("commonmark").parse(markdown)
    assert {t.type for t in tokens} <= allowed
    inside = {child.type for t in tokens for child in t.children or ()}
    assert inside <= {"text", "text_special", "softbreak", "hardbreak", "strong_open", "strong_close"}
    assert sum(t.type == "heading_open" for t in tokens) == 2
    assert sum(t.type == "strong_open" for t in (c for t in tokens for c in t.children or ())) == 2


def test_the_dialogue_is_whole_in_markdown() -> None:
    text = transcript_markdown(three_events(), TURNS)
    for part in ("# Dialogue about gate.mp4", "## 1. Is there", "## 2. Which way", "Rests on: event 1", "90%"):
        assert part in text
    assert '> **Conflict with the evidence:** "to the left"' in text
    assert "No question was asked." in transcript_markdown(nothing(), ())


@FEW
@given(TEXTS)
def test_the_dialogue_comes_back_out_of_json(text: str) -> None:
    evidence, turns = spoilt(text)
    written = transcript_json(evidence, [*turns, replace(turns[0], yes=float("nan"))])
    assert has_no_controls(written)
    back = json.loads(written)
    assert back["video"]["name"] == file_name(evidence) and back["events"] == 3
    assert [said["yes"] for said in back["dialogue"]] == [0.25, None]
    assert back["dialogue"][0]["answer"] == clean(f"a{text}")
    assert back["dialogue"][0]["conflicts"] == [one_line(f"x{text}")]


# Subtitles

CUE = re.compile(r"(\d{2,}):([0-5]\d):([0-5]\d)([,.])(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\4(\d{3})")


def read_cues(text: str, kind: str) -> list[tuple[float, float, list[str]]]:
    """Cues as a player reads them: blocks between blank lines, a name, the times, the text."""
    blocks = text.rstrip("\n").split("\n\n")
    if kind == "vtt":
        assert blocks.pop(0) == "WEBVTT"
    cues = []
    for number, block in enumerate(blocks, 1):
        name, times, *lines = block.split("\n")
        assert name == str(number) if kind == "srt" else re.fullmatch(r"event-\d+|no-event", name)
        m = CUE.fullmatch(times)
        assert m and m[4] == {"srt": ",", "vtt": "."}[kind]
        assert lines and all(lines) and "-->" not in "".join(lines)
        assert not re.search(r"[<>{}]" if kind == "srt" else r"[<>]|&(?!amp;|lt;|gt;)", "".join(lines))
        start, end = (
            int(h) * 3600 + int(mi) * 60 + int(s) + int(ms) / 1000
            for h, mi, s, ms in (m.group(1, 2, 3, 5), m.group(6, 7, 8, 9))
        )
        cues.append((start, end, [unescape(line) for line in lines] if kind == "vtt" else lines))
    return cues


@pytest.mark.parametrize("kind", ["srt", "vtt"])
@FEW
@given(text=TEXTS)
def test_no_text_breaks_a_cue(kind: str, text: str) -> None:
    evidence, _ = spoilt(text)
    written = subtitles(evidence, kind)
    assert has_no_controls(written)
    cues = read_cues(written, kind)
    assert [(start, end) for start, end, _ in cues] == [(5.0, 10.0), (12.0, 15.0), (20.0, 21.0)]
    if kind == "vtt":
        assert cues[0][2][0] == f"Event 1: {one_line(f'c{text}')}, score 0.91"


@pytest.mark.parametrize("kind", ["srt", "vtt"])
@FEW
@given(st.lists(st.tuples(st.floats(0, 4e5), st.floats(0, 4e3)), min_size=1, max_size=6))
def test_times_come_back_in_order(kind: str, spans: list[tuple[float, float]]) -> None:
    events = tuple(Event(i, a, a + d, a, 0.8, "fall", ()) for i, (a, d) in enumerate(spans, 1))
    cues = read_cues(subtitles(make_evidence(events, ()), kind), kind)
    assert [start for start, _, _ in cues] == sorted(start for start, _, _ in cues)
    for (start, end, _), (a, _) in zip(cues, sorted(spans, key=lambda s: s[0]), strict=True):
        assert start == pytest.approx(a, abs=6e-4) and end > start
    assert sorted(end for _, end, _ in cues) == pytest.approx(sorted(a + d for a, d in spans), abs=1.6e-3)


@pytest.mark.parametrize("kind", ["srt", "vtt"])
def test_without_an_event_one_cue_says_so(kind: str) -> None:
    ((start, end, lines),) = read_cues(subtitles(nothing(), kind), kind)
    assert (start, end) == (0.0, 30.0)
    assert lines == ["No anomalous event (calibrated on this camera)"]


def test_a_cue_says_what_it_is_and_counts_the_hours() -> None:
    known = three_events()
    late = replace(known.events[0], start_s=7325.5, peak_s=7326.0, end_s=7330.25)
    text = subtitles(replace(known, events=(late,)), "srt")
    assert text == (
        "1\n02:02:05,500 --> 02:02:10,250\nEvent 1: bicycle, score 0.91\n"
        "A small dark blue and white bicycle moves right, from the left to the right (track 1).\n"
    )


def test_other_subtitles_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'ass'.*srt.*vtt"):
        subtitles(nothing(), "ass")
