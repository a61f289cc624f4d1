"""The bodies of OpenAI's chat completions: a request read into an `Order`, an answer's field `tvad`.

What cannot be honoured is refused, not passed over; what changes nothing here (temperature, seed, user ...) is passed
over once its type is right.

Next: chat/conversation.py
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from chat import facts
from chat.conversation import Conversation, Turn
from chat.heard import yes_or_no
from chat.meaning import understand
from chat.openai_media import Refused
from chat.report import narrate
from chat.routes import asks_whole
from chat.session import WAYS, Answer, verdict_of
from tvad.evidence import Evidence
from tvad.presets import PRESETS

PREFIX = "tvad-"  # before a preset's name: the model's id
MAX_MESSAGES = 100
QUESTION_CHARS, ANSWER_CHARS = 2000, 8000
ROLES = ("system", "developer", "user", "assistant")
VIDEO_PARTS = ("video_url", "input_video", "image_url")
FORMAT = re.compile(r"[a-z0-9.+-]{1,40}")
# Not the language model's own words: how likely its yes is, or an anomaly.
UNSURE = re.compile(r"^\[Not sure: (?P<share>\d{1,2})% (?:for yes|that there is an anomaly)\.\] ")
NOTED = re.compile(r"(?: \[(?:From the evidence:|Only what is|That there is)[^\]]*\])+$")


@dataclass(frozen=True)
class Order:
    """What a request asks for. video: a URL. earlier: (question, answer), oldest first. explain: who answers, None for
    the server's choice. words: of the text in the messages."""

    preset: str
    video: str
    question: str
    earlier: tuple[tuple[str, str], ...]
    explain: str | None
    stream: bool
    wants_usage: bool
    words: int


def model_ids() -> list[str]:
    """The presets that can answer here: that of packages, and full-size ones whose weights were pulled."""
    here = (name for name, p in PRESETS.items() if not p.backbone or all(w.find() for w in p.weights))
    return [PREFIX + name for name in here]


def preset_of(model: object) -> str:
    """ "tvad-mini" -> "mini". Raises Refused."""
    if not isinstance(model, str):
        raise _wrong("model", model, f"one of {model_ids()}")
    if model not in model_ids():
        message = f"there is no model {model[:60]!r}; choose one of {model_ids()}"
        raise Refused(404, message, "model_not_found", "model")
    return model.removeprefix(PREFIX)


def read_order(body: bytes) -> Order:
    """A request's body. Raises Refused, which names the field, its value and what is allowed."""
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON (UTF-8)", "invalid_json") from None
    if not isinstance(raw, dict):
        raise Refused(400, "the body is not a JSON object", "invalid_json")
    preset = preset_of(raw.get("model"))
    for name, (fits, allowed) in FIELDS.items():
        if raw.get(name) is not None and not fits(raw[name]):
            raise _wrong(name, raw[name], allowed)
    explain = raw.get("explain")
    if explain is not None and explain not in PRESETS[preset].explain_weights:
        raise _wrong("explain", explain, f"one of {list(PRESETS[preset].explain_weights)}")
    turns, video = _dialogue(raw.get("messages"))
    return Order(
        preset=preset,
        video=video,
        question=turns[-1][0],
        earlier=turns[:-1],
        explain=explain,
        stream=bool(raw.get("stream")),
        wants_usage=bool((raw.get("stream_options") or {}).get("include_usage")),
        words=sum(len(text.split()) for turn in turns for text in turn),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


# Field -> what it may be, and the same in words. null is as good as nothing for each of them.
FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "stream": (lambda v: isinstance(v, bool), "true or false"),
    "stream_options": (lambda v: isinstance(v, dict), "an object"),
    "n": (lambda v: _is_count(v) and v == 1, "1, there is one answer"),
    "temperature": (_is_number, "a number; it changes nothing, answers are greedy"),
    "top_p": (_is_number, "a number; it changes nothing, answers are greedy"),
    "max_tokens": (_is_count, "a positive integer; answers are short anyway"),
    "max_completion_tokens": (_is_count, "a positive integer; answers are short anyway"),
    "logprobs": (lambda v: v is False, "false"),
    "modalities": (lambda v: v == ["text"], '["text"]'),
    "response_format": (lambda v: isinstance(v, dict) and v.get("type") == "text", '{"type": "text"}'),
    "tools": (lambda v: v == [], "left out, tools are not used"),
    "explain": (lambda v: v in WAYS, f"one of {list(WAYS)}"),
}


def _wrong(name: str, value: object, allowed: str) -> Refused:
    return Refused(400, f"{name} is {_shown(value)}; it must be {allowed}", "invalid_value", name)


def _shown(value: object) -> str:
    """A value in a few words."""
    if value is None:
        return "missing"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return repr(value[:60]) if isinstance(value, str) else repr(value)[:60]


# The dialogue


def _dialogue(messages: object) -> tuple[tuple[tuple[str, str], ...], str]:
    """Turns (question, answer), the last one unanswered, and the video. Instructions (system) have no say here."""
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_MESSAGES:
        raise _wrong("messages", messages, f"a list of 1 to {MAX_MESSAGES} messages")
    turns: list[tuple[str, str]] = []
    videos: list[str] = []
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(message, dict):
            raise _wrong(where, message, "an object with role and content")
        role = message.get("role")
        if role not in ROLES:
            raise _wrong(f"{where}.role", role, f"one of {list(ROLES)}")
        text, found = _content(message.get("content"), role, where)
        videos += found
        if not text or role in ("system", "developer"):
            continue
        if role == "assistant":
            if turns:
                turns[-1] = (turns[-1][0], _joined(turns[-1][1], text))
        elif turns and not turns[-1][1]:  # two messages of the user in a row are one question
            turns[-1] = (_joined(turns[-1][0], text), "")
        else:
            turns.append((text, ""))
    if not turns or turns[-1][1]:
        raise Refused(
            400, "messages end without a question; the last text must be the user's", "no_question", "messages"
        )
    if longest := next((t for t in turns if len(t[0]) > QUESTION_CHARS or len(t[1]) > ANSWER_CHARS), None):
        message = f"messages hold a question of {len(longest[0])} and an answer of {len(longest[1])} characters; "
        message += f"at most {QUESTION_CHARS} and {ANSWER_CHARS} are read"
        raise Refused(400, message, "too_long", "messages")
    # The same video again, as clients send it that repeat the dialogue, is one video.
    if len(set(videos)) != 1:
        count = len(set(videos)) or "no"
        message = f"messages hold {count} videos; there must be one part "
        message += '{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,..."}}'
        raise Refused(400, message, "one_video", "messages")
    return tuple(turns), videos[0]


def _joined(*texts: str) -> str:
    return " ".join(filter(None, texts))


def _content(content: object, role: str, where: str) -> tuple[str, list[str]]:
    """Text and URLs of videos in one message."""
    if isinstance(content, str):
        return _clean(content), []
    if content is None and role == "assistant":
        return "", []
    if not isinstance(content, list) or len(content) > MAX_MESSAGES:
        raise _wrong(f"{where}.content", content, f"a text or a list of at most {MAX_MESSAGES} parts")
    texts: list[str] = []
    videos: list[str] = []
    for number, part in enumerate(content):
        place = f"{where}.content[{number}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            if not isinstance(part.get("text"), str):
                raise _wrong(f"{place}.text", part.get("text"), "a text")
            texts.append(_clean(part["text"]))
        elif isinstance(kind, str) and kind in VIDEO_PARTS and role == "user":
            videos.append(_url(part.get(kind), f"{place}.{kind}"))
        else:
            allowed = ["text", *VIDEO_PARTS] if role == "user" else ["text"]
            raise _wrong(f"{place}.type", kind if isinstance(part, dict) else part, f"one of {allowed}")
    return _joined(*texts), videos


def _url(value: object, place: str) -> str:
    """The URL in "URL", {"url": URL} or {"data": BASE64, "format": "mp4"}."""
    if isinstance(value, dict) and isinstance(value.get("data"), str):
        kind = value.get("format", "mp4")
        if not isinstance(kind, str) or not FORMAT.fullmatch(kind):
            raise _wrong(f"{place}.format", kind, "a format like 'mp4'")
        return f"data:video/{kind};base64,{value['data']}"
    url = value.get("url") if isinstance(value, dict) else value
    if not isinstance(url, str) or not url.strip():
        raise _wrong(f"{place}.url", url, "a data:, file:, http: or https: URL")
    return url.strip()


def _clean(text: str) -> str:
    """Half characters (lone surrogates) cannot be written anywhere."""
    return text.encode("utf-8", "replace").decode().strip()


def remembered(evidence: Evidence, earlier: tuple[tuple[str, str], ...]) -> Conversation:
    """The dialogue so far, as a session would have kept it: what each question was about is read from it anew,
    and no language model is asked again."""
    note = facts.uncalibrated_note(evidence)
    talk = Conversation()
    for question, answer in earlier:
        read = understand(question)
        said = narrate(evidence, read, talk)
        words = NOTED.sub("", UNSURE.sub("", answer.removesuffix(note).rstrip() if note else answer))
        word, sure = yes_or_no(words), UNSURE.match(answer)
        turn = Turn(read.text, words, said.kinds, said.focus)
        if word and asks_whole(read):
            yes = int(sure["share"]) / 100 if sure else None
            yes = 1 - yes if yes is not None and read.asks_normal else yes
            turn = replace(turn, verdict=(word == "yes") != read.asks_normal, sure=yes)
        talk = talk.add(turn)
    return talk


# The answer


def details(evidence: Evidence, answer: Answer) -> dict[str, Any]:
    """The field `tvad`: what an answer rests on; has_anomaly and confidence as chat.session.verdict_of has them. Times
    in seconds; nothing tells where the video lies."""
    has_anomaly, confidence = verdict_of(evidence, answer)
    tracks = []
    for track in evidence.tracks:
        told = asdict(track) | {"start_s": track.start_s, "end_s": track.end_s}
        del told["boxes"], told["masks"]
        tracks.append(told)
    video = asdict(evidence.video)
    del video["path"]
    return {
        "has_anomaly": has_anomaly,
        "confidence": confidence,
        "events": [asdict(event) for event in evidence.events],
        "tracks": tracks,
        "citations": list(answer.citations),
        "conflicts": list(answer.conflicts),
        "yes": answer.yes,
        "calibration": evidence.calibration,
        "video": video,
    }


def usage(order: Order, text: str) -> dict[str, int | None]:
    """Words, not tokens: how many tokens a language model read is not known here."""
    tokens = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"))
    return {**tokens, "prompt_words": order.words, "completion_words": len(text.split())}
