"""The bytes of OpenAI's chat completions: messages on their way out, a stream of events on its way in. No network here.

Next: tvad/explainer.py
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tvad.explainer import CUT

LONGEST_LINE = 4 * 2**20  # bytes; no piece of an answer is that long, and what never ends a line would fill the memory
SHOWN_CHARS = 200
THOUGHT = ("<think>", "</think>")
THINKING = ("reasoning_content", "reasoning", "thinking")


class Broken(Exception):  # noqa: N818 - the name is what happened
    """What came is no answer, or only the beginning of one."""


class CutInTheMiddle(Broken):
    """The stream ended without saying that it ends."""

    def __init__(self) -> None:
        super().__init__("the connection was cut in the middle")


def wire(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as the protocol has it: pictures as data URLs."""
    content = message["content"]
    if isinstance(content, str):
        return {"role": message["role"], "content": content}
    return {"role": message["role"], "content": [_part(part) for part in content]}


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]}
    url = "data:image/jpeg;base64," + base64.b64encode(part["jpeg"]).decode()
    return {"type": "image_url", "image_url": {"url": url}}


def pieces_of(data: Iterable[bytes], kind: str) -> Iterator[str]:
    """Words of a response's body as they come, "" while the model thinks. kind: its content type.

    An answer that reached its limit ends in " ...". Broken for what is none; CutInTheMiddle for one without an end.
    """
    kind = kind.partition(";")[0].strip().lower()
    if kind == "application/json":
        yield from _whole(b"".join(_bounded(data)))
        return
    if kind != "text/event-stream":
        raise Broken(f"the answer is {kind[:60] or 'of no kind'}, not a stream of a chat completion")
    ended = False
    for event in events_of(data):
        if event == "[DONE]":
            return
        piece, finish = _chunk(event)
        if piece is not None:
            yield piece
        if finish is not None:
            ended = True
            yield _finish(finish)
    if not ended:
        raise CutInTheMiddle


def events_of(data: Iterable[bytes]) -> Iterator[str]:
    """The data of server-sent events (html.spec.whatwg.org/multipage/server-sent-events.html); comments are dropped."""
    lines: list[str] = []
    for raw in _lines(data):
        line = raw.decode("utf-8", "replace")
        if not line:
            if lines:
                yield "\n".join(lines)
            lines = []
        elif line.startswith("data:"):
            lines.append(line[5:].removeprefix(" "))
    if lines:  # the last event without its empty line: some servers leave it out
        yield "\n".join(lines)


def _lines(data: Iterable[bytes]) -> Iterator[bytes]:
    # Not str.splitlines: U+2028 in an answer is no end of a line.
    rest = b""
    for piece in data:
        rest += piece
        *whole, rest = rest.split(b"\n")
        if len(rest) > LONGEST_LINE:
            raise Broken("the answer is no stream of lines")
        yield from (line.removesuffix(b"\r") for line in whole)
    if rest:
        yield rest


def _bounded(data: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in data:
        size += len(piece)
        if size > LONGEST_LINE:
            raise Broken("the answer does not end")
        yield piece


def _chunk(event: str) -> tuple[str | None, str | None]:
    """The words of one event ("" while the model thinks, None without any) and, in the last, how the answer ended."""
    try:
        raw = json.loads(event)
        if error := raw.get("error"):
            raise Broken(f"the server broke off: {reason_of(error)}")
        if not raw["choices"]:  # counts of tokens
            return None, None
        choice = raw["choices"][0]
        delta = choice.get("delta") or {}
        words = delta.get("content") or ""
        finish = choice.get("finish_reason")
        if not isinstance(words, str):
            raise TypeError("content is no text")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise Broken(f"the stream holds what is no piece of an answer: {event[:60]!r}") from None
    is_silent = not words and not any(delta.get(name) for name in THINKING)
    return None if is_silent else words, finish


def _finish(finish: object) -> str:
    """What is put to an answer's end. Broken where the server held the answer back."""
    if finish == "content_filter":
        raise Broken("the server's filter held the answer back")
    return CUT if finish == "length" else ""


def _whole(data: bytes) -> Iterator[str]:
    """The words of a server that does not stream."""
    try:
        raw = json.loads(data)
        if error := raw.get("error"):
            raise Broken(f"the server says: {reason_of(error)}")
        choice = raw["choices"][0]
        words = choice["message"]["content"]
        if not isinstance(words, str):
            raise TypeError("content is no text")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise Broken("the answer is no chat completion") from None
    yield words
    yield _finish(choice.get("finish_reason"))


def without_thoughts(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces without leading white space and what a model first thinks aloud between <think> and </think>."""
    opening, closing = THOUGHT
    held, thinking, begun = "", False, False
    for piece in pieces:
        if begun:
            yield piece
            continue
        held = (held + piece).lstrip() if not thinking else held + piece
        if not thinking and held.startswith(opening):
            thinking = True
        if thinking and closing in held:
            thinking, held = False, held.partition(closing)[2].lstrip()
        if thinking or not held or opening.startswith(held):
            continue
        begun = True
        yield held
    if held and not begun and not thinking:
        yield held


def reason_of(said: object) -> str:
    """What an error says, on one line, shortened. said: an exception, a body, or the field `error` of one."""
    if isinstance(said, bytes):
        text = said.decode("utf-8", "replace")
        try:
            raw = json.loads(text)
            said = (
                (raw.get("error") or raw.get("detail") or raw.get("message") or text) if isinstance(raw, dict) else text
            )
        except (ValueError, RecursionError):
            said = text
    if isinstance(said, dict):
        said = said.get("message") or said.get("detail") or said
    words = " ".join(str(said).split())
    return words[:SHOWN_CHARS] or type(said).__name__
