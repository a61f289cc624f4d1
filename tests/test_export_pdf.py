"""The report on paper: everything is on it, inside the margins, on as many pages as it needs."""

import gc
import re
import warnings
from dataclasses import replace

import pytest
from chat_fakes import nothing, one_event
from export_fakes import HOSTILE, TURNS, analysis_of, many_events, picture, spoilt
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.export import Said, report_pdf
from chat.export_paper import FOOT, HEIGHT, INNER, Paper, Style, cut, drawable, fonts, width_of, wrap

FEW = settings(max_examples=25, deadline=None)


def pages(pdf: bytes) -> int:
    return len(re.findall(rb"/Type /Page\b(?!s)", pdf))


def test_the_paper_grows_with_the_dialogue() -> None:
    analysis = analysis_of(replace(one_event(), warnings=("cut off",)))
    short = report_pdf(analysis, TURNS, {})
    long = report_pdf(analysis, [*TURNS, Said("And then?", "No.\n" * 120)], {})
    assert short.startswith(b"%PDF-") and long.startswith(b"%PDF-")
    assert 1 <= pages(short) < pages(long) - 1


def test_the_same_words_make_the_same_file() -> None:
    papers = []
    for _ in range(2):
        with fonts():
            paper = Paper()
            paper.flow("It is $5 only.")
            papers.append(paper.bytes("title", "foot"))
    assert papers[0] == papers[1] and pages(papers[0]) == 1


def test_hostile_words_and_many_events_fit_on_paper() -> None:
    (evidence, turns), many = spoilt("".join(HOSTILE)), many_events(50, 10800.0)
    events = (*evidence.events, *(replace(e, id=e.id + 3) for e in many.events[::3]))
    evidence = replace(evidence, events=events, video=replace(evidence.video, duration_s=10800.0))
    pictures = {"event-1": picture("PNG"), "trajectory": picture("JPEG"), HOSTILE[0]: picture("PNG")}
    gc.collect()  # event loops that gradio left open in other tests would warn of themselves below
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pdf = report_pdf(analysis_of(evidence), turns, pictures)
    assert pages(pdf) >= 4 and len(re.findall(rb"/Subtype /Image", pdf)) == 3


def test_a_damaged_picture_is_named() -> None:
    with pytest.raises(ValueError, match=r"timeline.*cannot be read"):
        report_pdf(analysis_of(nothing()), (), {"timeline": picture("PNG")[:40]})


@FEW
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=200), st.floats(40, 500))
def test_lines_fit_and_lose_nothing(text: str, width: float) -> None:
    style = Style(11, bold=True)
    lines = wrap(text, style, width)
    assert all(width_of(line, style) <= width + 1e-6 or len(line) == 1 for line in lines)
    assert "".join("".join(lines).split()) == "".join(drawable(text, True).split())
    assert width_of(cut(text, style, width), style) <= width


def test_letters_are_as_wide_as_they_are_measured() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    style = Style(20)
    with fonts():
        paper = Paper()
        paper.flow("A fairly plain line of words, 12:34.5 $x$", style)
        (drawn,) = paper.pages[0].texts
        box = drawn.get_window_extent(FigureCanvasAgg(paper.pages[0]).get_renderer())  # 72 dots an inch: points
    assert box.width == pytest.approx(width_of(drawn.get_text(), style), rel=0.03)


def test_text_stays_between_head_and_foot() -> None:
    paper = Paper()
    for size in (8.0, 10.0, 19.0):
        paper.flow("word " * 1500, Style(size), bar="#000000")
    ys = [text.get_position()[1] for page in paper.pages for text in page.texts]
    assert len(paper.pages) > 3
    assert min(ys) >= FOOT / HEIGHT - 1e-6 and max(ys) < 1
    assert all(width_of(t.get_text(), Style(t.get_fontsize())) <= INNER for page in paper.pages for t in page.texts)
