"""Slots: what a sentence about a video states - who, which colour, which way, from where to where, when.

`slots` reads any text with the words that training answers are written in; `slot_scores` holds answers against the
truth, slot by slot. BLEU of templates is high whatever they say; this tells whether they are true.

Next: training/text_metrics.py
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from chat.claims import sentences
from chat.lexicon import COLOUR_ALIASES, COLOURS, DIRECTION, NUMBERS, SIDES, arrow, kin, same_cell, times_in
from heatmap.motion import DIRECTIONS
from training.datasets.qa_words import DOINGS, NOUNS, SINGULARS, several

_I = re.IGNORECASE
_BORDER = r"(?P<border>left|right|top|bottom) (?:border|edge|side)"
_IN = re.compile(r"\b(?:enter\w*|c(?:o|a)m(?:es?|ing)|appear\w*)\b", _I)
_OUT = re.compile(r"\b(?:leav\w*|goes out|go out|exit\w*|disappear\w*)\b", _I)
_NO_ENTRY = re.compile(
    r"\bfrom the start\b|\balready there\b|\b(?<!dis)appears\b(?! (?:at|on|through))|\bbegins inside\b"
    r"|\bcomes in through no border\b",
    _I,
)
_NO_EXIT = re.compile(
    r"\buntil the end\b|\bstill there\b|\bdisappears\b(?! (?:at|on|through))|\bends inside\b"
    r"|\bleaves through no border\b",
    _I,
)
_FAST = r"(?:slightly|slowly|quickly|steadily|fast|straight)"
_WAY = re.compile(
    rf"\b(?:mov(?:es?|ing)|goes|going|travels?|travelling|heads?|heading|runs?|running|drives?|driving|walks?|walking|"
    rf"rides?|riding)\s+(?:{_FAST}\s+)?(?:(?:to|towards?)\s+(?:the\s+)?)?(?P<way>{DIRECTION})\b"
    rf"(?!\s+(?:border|edge|side|of|corner))",
    _I,
)
_BACK = re.compile(r"\b(?:comes? back|returns?|back) (?:to|at) (?:the )", _I)
_STILL = re.compile(
    r"\b(?:stays?|remains?|stands? still|keeps? its place|does not move|is still(?! there)|not moving)\b", _I
)
_SIDE = rf"the (?P<cell>{SIDES})(?!\s*(?:border|edge|side|hand|corner of the))"
_CELL = re.compile(rf"\b(?P<before>from|to|at|in|near|within|inside|around|between|and)\s+{_SIDE}\b", _I)
_COUNT = re.compile(
    rf"(?:\bthere (?:is|are) (?P<a>\d+|{'|'.join(NUMBERS)}) (?:anomal|unusual|abnormal)"
    rf"|(?:^|\bcount |\bnumber is )(?P<b>\d+|{'|'.join(NUMBERS)}):)",
    _I,
)
_COUNTED = re.compile(r"\b(?:anomalous|unusual|abnormal) (?:things?|objects?|targets?)\b", _I)
_DENIES = re.compile(r"\bno anomal|\bnot any anomal|\bnothing (?:anomalous|unusual)|\bwithout (?:any )?anomal", _I)
_DECLINES = re.compile(
    r"\bdoes not (?:show|tell) that\b|\bcannot be seen in the video\b|\bcannot tell that\b"
    r"|\b(?:is|are) not visible in the video\b",
    _I,
)
_NAMES = "|".join(re.escape(n) for n in sorted({*NOUNS, *map(several, NOUNS)}, key=lambda n: (-len(n), n)))
_NOUN = re.compile(rf"(?<!no )(?<!\bnot )\b(?P<noun>{_NAMES})\b", _I)
_RIDERS = {"cycling": "cyclist", "skating": "skater"}
# "^" stands for words that tell of riding, "~" for those of other deeds.
_PERSON = re.compile(r"\b(?:person|man|woman|child|someone|somebody)\b(?= (?:who |that )?(?:is )?\^)", _I)


def slots(text: str) -> dict[str, Any]:
    """What a text states; slots that it does not state are missing.

    verdict: "yes" or "no". declines: True where it says that the video does not show the answer. count: a number.
    The others are tuples in the order of the text, for one target or several: noun (singular, each once), action (of
    truth.ANOMALIES, each once), colour (basic colour words, each once), direction (of DIRECTIONS, "still" or "back"),
    start and end (cells), entry and exit (borders, or "none" where it is said that there is none), span ((first, last)
    seconds).
    """
    found: dict[str, Any] = {}
    if verdict := _verdict(text):
        found["verdict"] = verdict
    if _DECLINES.search(text):
        return {**found, "declines": True}
    lists: dict[str, list[Any]] = {}
    for sentence in sentences(text):
        for key, value in _said(sentence.text):
            lists.setdefault(key, []).append(value)
    for key in ("noun", "action", "colour"):
        if key in lists:
            lists[key] = list(dict.fromkeys(lists[key]))
    if count := _COUNT.search(text):
        word = (count["a"] or count["b"]).lower()
        found["count"] = int(word) if word.isdecimal() else NUMBERS[word]
    return found | {key: tuple(values) for key, values in lists.items()}


def _verdict(text: str) -> str | None:
    if m := re.match(r"\W*(yes|no)\b", text, _I):
        return m[1].lower()
    return "no" if _DENIES.search(text) else None


def _said(sentence: str) -> Iterator[tuple[str, Any]]:
    actions, rest = _actions(sentence)
    yield from (("action", a) for a in actions)
    rides = [_RIDERS[a] for a in actions if a in _RIDERS]
    if rides:
        rest = _PERSON.sub(rides[0], rest, count=1)
    for m in _NOUN.finditer(_COUNTED.sub("~", rest)):
        word = m["noun"].lower()
        yield "noun", SINGULARS.get(word) or (word if word in NOUNS else _ONES[word])
    for word in re.findall(r"[a-z]+", rest.lower()):
        colour = COLOUR_ALIASES.get(word, word)
        if colour in COLOURS:
            yield "colour", colour
    yield from _borders(rest)
    yield from _course(rest)
    if times := times_in(rest):
        yield "span", (min(t.start_s for t in times), max(t.end_s for t in times))


_ONES = {several(n): n for n in NOUNS}


def _actions(sentence: str) -> tuple[list[str], str]:
    """Anomalies in the order of the text, and the text without the words that tell them."""
    found: list[tuple[int, str]] = []
    rest = sentence
    for name, doing in DOINGS.items():
        for m in re.finditer(doing.read, sentence, _I):
            found.append((m.start(), name))
            sign = "^" if name in _RIDERS else "~"
            rest = rest[: m.start()] + sign * (m.end() - m.start()) + rest[m.end() :]
    return [name for _, name in sorted(found)], rest


def _borders(text: str) -> Iterator[tuple[str, str]]:
    """Every border goes with the last verb before it, else with the first one after it."""
    named = list(re.finditer(_BORDER, text, _I))
    for m in named:
        ins, outs = ([v.start() for v in p.finditer(text)] for p in (_IN, _OUT))
        before = [(at, "entry") for at in ins if at < m.start()] + [(at, "exit") for at in outs if at < m.start()]
        after = [(at, "entry") for at in ins if at > m.start()] + [(at, "exit") for at in outs if at > m.start()]
        if before:
            yield max(before)[1], m["border"].lower()
        elif after:
            yield min(after)[1], m["border"].lower()
    if not named:
        if _NO_ENTRY.search(text):
            yield "entry", "none"
        if _NO_EXIT.search(text):
            yield "exit", "none"


def _course(text: str) -> Iterator[tuple[str, str]]:
    way = _WAY.search(text)
    cells = [_cell(m["cell"]) for m in _CELL.finditer(_WAY.sub("~", text))]
    if _BACK.search(text):
        yield "direction", "back"
        cells = cells[-1:]
    elif way:
        yield "direction", _direction(way["way"])
    elif _STILL.search(text):
        yield "direction", "still"
    if cells:
        yield "start", cells[0]
        yield "end", cells[-1]


def _cell(words: str) -> str:
    """ "top left", "upper left" -> "top-left"."""
    name = words.lower().replace("upper", "top").replace("lower", "bottom").replace(" and ", "-")
    return same_cell(re.sub(r"[\s-]+", "-", name))


def _direction(words: str) -> str:
    x, y = arrow(words)
    name = "-".join(w for w in ({-1: "up", 1: "down"}.get(y, ""), {-1: "left", 1: "right"}.get(x, "")) if w)
    assert name in DIRECTIONS
    return name


# --- scores -------------------------------------------------------------------------------------------------------

SCORED = ("class", "action", "colour", "direction", "start", "end", "entry", "exit", "span", "count")
MIN_IOU = 0.5  # of two stretches of time that count as the same


class SlotScore(NamedTuple):
    """How many of `of` true values were stated, and the share."""

    right: int
    of: int

    @property
    def accuracy(self) -> float:
        """NaN where nothing was to be stated."""
        return self.right / self.of if self.of else float("nan")


def slot_scores(answers: Sequence[str], truths: Sequence[dict[str, Any]]) -> dict[str, SlotScore]:
    """Accuracy of each slot over answers and the slots that their truths hold (as `slots` or QA.slots give them).

    An answer is right in a slot when it states the truth's values in their order: classes by kin ("bike" for
    "cyclist"), colours as sets, spans with IoU of at least 0.5. A slot that the truth has and the answer does not is
    wrong; one that only the answer has is not counted. Raises ValueError for lists of different lengths.
    """
    if len(answers) != len(truths):
        raise ValueError(f"{len(answers)} answers and {len(truths)} truths; expected one for each")
    right, of = dict.fromkeys(SCORED, 0), dict.fromkeys(SCORED, 0)
    for answer, truth in zip(answers, truths, strict=True):
        said = slots(answer)
        for name in SCORED:
            key = "noun" if name == "class" else name
            if key in truth:
                of[name] += 1
                right[name] += key in said and _agree(key, said[key], truth[key])
    return {name: SlotScore(right[name], of[name]) for name in SCORED}


def _agree(key: str, said: Any, true: Any) -> bool:
    if key == "noun":
        return len(said) == len(true) and all(bool(kin(a) & kin(b)) for a, b in zip(said, true, strict=True))
    if key in ("colour", "action"):
        return set(said) == set(true)
    if key == "span":
        return len(said) == len(true) and all(span_iou(a, b) >= MIN_IOU for a, b in zip(said, true, strict=True))
    return bool(said == (tuple(true) if isinstance(true, list) else true))


def span_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two stretches of seconds, in [0, 1]; two equal moments give 1."""
    both = min(a[1], b[1]) - max(a[0], b[0])
    union = max(a[1], b[1]) - min(a[0], b[0])
    if union <= 0:
        return 1.0
    return max(0.0, both) / union
