"""Answers on the page: moments become links, and nothing that anybody writes becomes markup."""

import re
from html import unescape

import pytest
from chat_fakes import three_events
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.linked import footnotes, linked, plain, seconds_of
from chat.session import Answer

markdown = pytest.importorskip("markdown_it")

HOSTILE = (
    "<script>alert(1)</script>",
    "![x](http://example.org/a.png)",
    "[click](javascript:alert(1))",
    '<a href="#t=1" onclick="x()">1</a>',
    "**bold** _it_ `code` # head\n- list\n> quote",
    "a\x00b\x1b[31m\u202ec",
    "&lt;b&gt; &#60;",
    "| a | b |\n|---|---|",
    "~~gone~~ $x$ \\(y\\)",
)


def shown(text: str) -> str:
    return str(markdown.MarkdownIt("js-default").render(text))


def test_moments_events_and_tracks_become_links() -> None:
    evidence = three_events()
    text = linked("Event 1 is at 5.0 s, track 2 at 0:12.5; event 9 and track 7 are not.", evidence)
    assert re.findall(r"\[([^]]*)\]\(#([^)]*)\)", unescape(text)) == [
        ("Event 1", "e=1"), ("5.0", "t=5"), ("track 2", "k=2"), ("0:12.5", "t=12.5"),
    ]  # fmt: skip
    assert '<a href="#e=1">Event 1</a>' in shown(text)


def test_a_stretch_links_to_its_begin() -> None:
    assert "[12.5-17.9](#t=12.5)" in linked("event 2, 12.5-17.9 s", three_events())


def test_both_ends_of_a_stretch_in_words_are_links() -> None:
    for words in ("From 12.5 to 17.9 s it moves.", "Between 12.5 and 17.9 s it moves."):
        assert re.findall(r"#t=([\d.]+)", linked(words, three_events())) == ["12.5", "17.9"]


def test_commands_are_code_and_nothing_else_is() -> None:
    assert linked("trust it less (`tvad calibrate`).", three_events()) == "trust it less (`tvad calibrate`)."
    for text in ("`<b>`", "`tvad <b>`", "`tvad\ncalibrate`", "``tvad calibrate", "`rm -rf`"):
        assert "`" not in linked(text, three_events())


def test_moments_beyond_the_video_are_no_links() -> None:
    evidence = three_events()
    assert linked("at 31.0 s and 1:00:00", evidence) == plain("at 31.0 s and 1:00:00")
    assert seconds_of("1:02.5") == 62.5 and seconds_of("1:00:00") == 3600


@pytest.mark.parametrize("text", HOSTILE)
def test_what_anybody_writes_is_no_markup(text: str) -> None:
    evidence = three_events()
    for made in (plain(text), linked(text, evidence), footnotes(Answer("", (text,), (text,)), evidence)):
        html = shown(made)
        tags = set(re.findall(r"<(/?\w+)", html)) - {"p", "/p", "a", "/a", "strong", "/strong", "br"}
        assert not tags, (made, html)
        assert all(href.startswith("#") for href in re.findall(r'href="([^"]*)"', html))
        assert not re.search(r"[\x00-\x08\x1b\u202e]", made)


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_stays_text(text: str) -> None:
    html = shown(plain(text))
    assert not set(re.findall(r"<(/?\w+)", html)) - {
        "p",
        "/p",
        "br",
        "ol",
        "/ol",
        "li",
        "/li",
        "pre",
        "/pre",
        "code",
        "/code",
    }
    assert "<a" not in html and "<img" not in html


def test_footnotes_say_what_is_doubtful() -> None:
    evidence = three_events()
    notes = footnotes(Answer("Yes.", ("event 1, 5.0-10.0 s",), ('"to the left": track 1 moves right',), 0.41), evidence)
    assert "41%" in notes and "(#e=1)" in notes and "**Conflict with the evidence:**" in notes
    assert footnotes(Answer("Yes."), evidence) == ""
