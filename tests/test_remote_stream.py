"""Server-sent events in any pieces, and what a model thinks aloud."""

import json

import pytest

from tvad.remote_stream import Broken, CutInTheMiddle, events_of, pieces_of, reason_of, without_thoughts

KIND = "text/event-stream"


def event(words: str, finish: str | None = None) -> bytes:
    choice = {"delta": {"content": words}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]}, ensure_ascii=False)}\n\n".encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_words_do_not_depend_on_how_the_bytes_are_cut(size: int, end: bytes) -> None:
    # U+2028 is an end of a line to Python, but not to this protocol.
    whole = (b": hello\n\n" + event("zwölf \u2028") + event("Räder") + b"data: [DONE]\n\n").replace(b"\n", end)
    pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
    assert "".join(pieces_of(pieces, f"{KIND}; charset=utf-8")) == "zwölf \u2028Räder"


def test_events() -> None:
    assert list(events_of([b"data: a\ndata: b\n\nevent: x\nid: 1\ndata:c\n\n: no\n\ndata: last"])) == [
        "a\nb",
        "c",
        "last",
    ]


def test_an_end_is_said_or_the_stream_was_cut() -> None:
    assert list(pieces_of([event("a", "stop")], KIND)) == ["a", ""]
    with pytest.raises(CutInTheMiddle):
        list(pieces_of([event("a")], KIND))
    with pytest.raises(CutInTheMiddle):
        list(pieces_of([], KIND))


@pytest.mark.parametrize(
    "said", [b"[]", b"{}", b'{"choices": [3]}', b'{"choices": [{"delta": {"content": 5}}]}', b"null"]
)
def test_what_is_no_piece(said: bytes) -> None:
    with pytest.raises(Broken):
        list(pieces_of([b"data: " + said + b"\n\n"], KIND))
    with pytest.raises(Broken):
        list(pieces_of([said], "application/json"))


def test_counts_of_tokens_and_thinking_are_no_words() -> None:
    usage = b'data: {"choices": [], "usage": {}}\n\n'
    thinking = b'data: {"choices": [{"delta": {"reasoning_content": "hm"}}]}\n\n'
    assert list(pieces_of([thinking, event("a", "stop"), usage], KIND)) == ["", "a", ""]


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("<think>hm</think>\n\nYes.", "Yes."),
        ("  <think></think>Yes.", "Yes."),
        ("<think>never ends", ""),
        ("<thin air", "<thin air"),
        ("a <think>b</think>", "a <think>b</think>"),
        ("\n Yes.", "Yes."),
        ("<", "<"),
    ],
)
def test_thoughts_are_left_out(said: str, heard: str) -> None:
    for size in (1, 4, 100):
        pieces = [said[i : i + size] for i in range(0, len(said), size)]
        assert "".join(without_thoughts(pieces)) == heard


def test_reasons_are_short_and_on_one_line() -> None:
    assert reason_of(b'{"error": {"message": "a\\nb"}}') == "a b"
    assert reason_of(b'{"detail": "no"}') == "no"
    assert reason_of(b"<html>\n" + b"x" * 1000) == "<html> " + "x" * 193
    assert reason_of(ValueError()) == "ValueError"
