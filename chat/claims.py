"""What a text claims: its sentences, and the times, counts, places, directions and things they name.

Next: chat/check.py
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from chat.lexicon import DIRECTION, NUMBERS, SIDES, THINGS, TimeSaid, arrow, colours_in, number, singular, times_in

_I = re.IGNORECASE
_ODD = r"(?:anomal\w+|abnormal\w*|unusual|suspicious|out of the ordinary|irregular\w*|strange|weird|wrong|incidents?)"
_SEES = r"(?:find|found|see|detect\w*|contain|show|observe\w*)"
_NO_ODD = (
    rf"\bno (?:\w+ ){{0,2}}{_ODD}|\bnothing (?:\w+ ){{0,3}}{_ODD}|\bwithout (?:any )?(?:\w+ )?{_ODD}"
    rf"|\bno (?:\w+ )?(?:sign|evidence|indication)s? of (?:an? |any )?{_ODD}"
    rf"|\bthere (?:is|are|was|were)(?: not|n't) (?:an? |any )?(?:\w+ )?{_ODD}"
    rf"|\b(?:video|clip|footage|scene)\b[^.,]*(?:\bnot|n't) (?:\w+ ){{0,3}}{_ODD}"
    rf"|(?:\bnot|n't|\bnever) {_SEES} (?:an? |any )?(?:\w+ )?{_ODD}"
    r"|\bno (?:anomalous )?events?\b|\b0 (?:anomalous )?events?\b"
)
_ALL_NORMAL = (
    r"\b(?:everything|all|the (?:video|clip|footage|scene)) (?:\w+ )?"
    r"(?:is|are|was|looks|seems|appears) (?:\w+ ){0,2}normal\b"
)
_BE = r"(?:is|are|was|were|has been|have been)"
_AFFIRMS = (
    rf"\b(?:there {_BE}|there's|found|shows?|contains?|detected|see) "
    rf"(?:an?|one|some|two|three|several|\d+)? ?(?:\w+ ){{0,2}}{_ODD}"
    rf"|\b{_ODD} (?:\w+ )?{_BE} (?:\w+ )?(?:detected|found|seen|present|visible|observed)"
    rf"|\b(?:is|are|was|were|looks|seems) (?:very |highly |an? )?{_ODD}"
)
_NEGATED = re.compile(r"\b(?:no|not|never|none|nothing|nobody|neither|nor|without|cannot)\b|n't\b", _I)
_GUESS = re.compile(
    r"\b(?:if|whether|might|may|could|would|should|perhaps|maybe|possibly|unclear|unknown|unlike)\b", _I
)
_LIMITED = re.compile(
    r"\b(?:other|else|further|more|before|after|until|besides|apart|except|only|also|through|labelled|rest"
    r"|at (?:that|this|the) (?:time|moment)|(?:in|at) (?:the )?(?:top|bottom|left|right|middle|cent(?:re|er)))\b",
    _I,
)
_COMPARES = re.compile(r"\b(?:before|after|until|since|except|apart|besides|between events)\b", _I)
_LENGTH = re.compile(
    r"^[^.;,]{0,3}(?:of (?:the )?(?:\w+ )?(?:video|footage|clip)|long|in length|per|apart|later|earlier)\b",
    _I,
)
_BEFORE_LENGTH = re.compile(
    r"\b(?:for|lasts?|lasting|lasted|duration(?: is| of)?|long:?|length(?: is| of)?|every|within|takes?|over)\s+"
    r"(?:about |around |roughly |only |a total of )?$",
    _I,
)
_MOVES = r"(?:mov|go|goes|going|head|travel|walk|run|rid|driv|pass|cross|drift|roll|skat|cycl|turn(?:s|ing) to)"
_FILLERS = "slowly|quickly|slightly|steadily|mostly|then|from|to|towards?|in|the|a|side|straight|off|fast|and|also|back"
_FILL = rf"(?:(?:{_FILLERS})\s+){{0,6}}?"
_NOT_A_PLACE = (
    r"(?!\s+(?:of the (?:video|clip|footage|road|list|hour|page|event)|track|way|now|away|before|after|moment|direction"
    r"|to (?:the )?(?:left|right|top|bottom)))"
)
_GENERIC = {"event", "anomaly", "track", "thing", "object", "people", "person"}


@dataclass(frozen=True)
class Sentence:
    """One sentence of a text, and what kind of saying it is."""

    text: str

    @cached_property
    def negated(self) -> bool:
        return bool(_NEGATED.search(self.text))

    @cached_property
    def hedged(self) -> bool:
        """A question, a negation or a guess: nothing in it is held against the evidence, except a denial."""
        return self.negated or self.text.endswith("?") or bool(_GUESS.search(self.text))

    @cached_property
    def denies(self) -> bool:
        """It says that nothing is anomalous (perhaps only then or there)."""
        if self.text.endswith("?") or _GUESS.search(self.text):
            return False
        return bool(re.search(rf"{_NO_ODD}|{_ALL_NORMAL}", self.text, _I)) and not re.search(
            r"\bnot (?:everything|all)\b|\bnot normal\b|\bno doubt\b|\bnot only\b|\bnot just\b", self.text, _I
        )

    @cached_property
    def affirms(self) -> bool:
        return bool(re.search(_AFFIRMS, self.text, _I)) and not self.denies

    @cached_property
    def limited(self) -> bool:
        """A denial of something narrower than the whole video."""
        return bool(_LIMITED.search(self.text)) or bool(self.events or self.tracks)

    @cached_property
    def compares(self) -> bool:
        return bool(_COMPARES.search(self.text))

    @cached_property
    def times(self) -> list[TimeSaid]:
        """Moments and stretches of the video; lengths ("for 3 s", "12 s of video") are left out."""
        return [
            t
            for t in times_in(self.text)
            if not _LENGTH.match(self.text[t.stop :]) and not _BEFORE_LENGTH.search(self.text[: t.begin])
        ]

    @cached_property
    def events(self) -> list[int]:
        return [int(n) for n in re.findall(r"\bevent\s+#?(\d+)\b(?![.:]\d)", self.text, _I)]

    @cached_property
    def tracks(self) -> list[int]:
        return [int(n) for n in re.findall(r"\btrack\s+#?(\d+)\b(?![.:]\d)", self.text, _I)]

    def without(self, phrases: Sequence[str]) -> str:
        """The text without phrases that the evidence itself uses."""
        text = self.text
        for phrase in sorted((p.strip(" .") for p in phrases), key=len, reverse=True):
            if phrase:
                text = re.sub(re.escape(phrase), " ", text, flags=_I)
        return text


def sentences(text: str) -> list[Sentence]:
    """Split at full stops (not those of numbers), exclamation and question marks, semicolons and line ends."""
    parts = re.split(r"(?<=[.!?;])\s+|\n+", text)
    return [Sentence(p.strip()) for p in parts if p.strip()]


def count_claims(sentence: Sentence) -> Iterator[tuple[int, str]]:
    """(number, singular noun) of "3 events", "two bicycles", "only one event"."""
    words = "|".join(NUMBERS)
    kinds = r"(?:(?:\w+-)?\w+ed\s+|anomalous\s+|unusual\s+|moving\s+)?"
    pattern = rf"(?<![\w.:-])(?<!event )(?<!track )(?P<n>\d+|{words})\s+{kinds}(?P<noun>[a-z]+)\b"
    for m in re.finditer(pattern, sentence.text, _I):
        before = sentence.text[: m.start()].lower()
        if re.search(r"\b(?:of|first|last|least|most|other|another|than|about|the|these|those|any)\s+$", before):
            continue
        count, noun = number(m["n"]), singular(m["noun"])
        if count is None or noun in ("more", "other", "of", "per", "percent", "s", "sec", "second", "false", "frame"):
            continue
        alone = re.search(r"\b(?:only|exactly|just|is|are)\s+$", before) or m["n"].isdecimal()
        if count >= 2 or (alone and noun in _GENERIC):
            yield count, "person" if noun == "people" else noun


def direction_claims(text: str) -> Iterator[str]:
    """ "moves to the left", "from left to right", "leftwards" -> direction words."""
    for m in re.finditer(
        rf"\b{_MOVES}\w*\s+{_FILL}(?P<way>{DIRECTION})\b(?!\s+(?:of|border|edge|corner|part|hand))", text, _I
    ):
        if not re.search(r"\bfrom\s+(?:the\s+)?$", text[: m.start("way")], _I):
            yield m["way"].lower()
    side = r"(?:the )?(left|right|top|bottom)"
    for m in re.finditer(rf"\bfrom {side}(?: side)? to {side}\b(?![- ](?:left|right))", text, _I):
        start, end = arrow(m[1]), arrow(m[2])
        if start[0] == -end[0] and start[1] == -end[1]:
            yield {"top": "up", "bottom": "down"}.get(m[2].lower(), m[2].lower())


def place_claims(text: str) -> Iterator[str]:
    """ "in the top left", "at the bottom of the picture" -> words of a place."""
    pattern = rf"\b(?:in|at|on|near|inside|within)\s+(?:the\s+)?(?P<place>{SIDES})\b{_NOT_A_PLACE}"
    for m in re.finditer(pattern, text, _I):
        yield re.sub(r"[\s-]+", " ", m["place"].lower())


_EVERY_THING = sorted({name for kind in THINGS for name in kind}, key=len, reverse=True)
_A_THING = re.compile(
    rf"\b(?:an?|the|one|two|three|\d+|this)\s+(?:[\w-]+\s+){{0,3}}?({'|'.join(_EVERY_THING)})(s|es)?\b(?!-)", _I
)


def thing_claims(sentence: Sentence) -> Iterator[str]:
    """Kinds of things that the sentence says are there, singular."""
    for m in _A_THING.finditer(sentence.text):
        yield m[1].lower()


def colour_claims(sentence: Sentence) -> list[str]:
    """Colours of something; heat maps and lights are red too, so those are left out."""
    if re.search(r"\b(?:heat\s?map|light|lamp|signal|sky|grass|wall|background|road)\b", sentence.text, _I):
        return []
    return colours_in(sentence.text)
