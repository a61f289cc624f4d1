"""What a question asks: its kinds, and the event, track, time, place or thing it names. English; by rules.

A question may be of several kinds ("what is anomalous, when and where?"). What "it" means is decided with the
evidence at hand, in chat/focus.py.

Next: chat/focus.py
"""

import math
import re
from dataclasses import dataclass

from chat.beyond import beyond
from chat.harm import harm
from chat.lexicon import (
    DIRECTION,
    ORDINALS,
    SIDES,
    cells_for,
    colours_in,
    deeds,
    is_courtesy,
    is_known,
    number,
    times_in,
)

WHETHER, WHAT, WHEN, WHERE, MOTION = "whether", "what", "when", "where", "motion"
COUNT, APPEARANCE, WHY, SURE, LABEL, UNKNOWN = "count", "appearance", "why", "sure", "label", "unknown"
BEYOND = "beyond"  # no footage answers it
HARM = "harm"  # injuries, danger, weapons, whether to call somebody: chat/harm.py
DEED = "deed"  # whether somebody does something
RECALL = "recall"  # what was said before

_ODD = (
    r"anomal\w*|abnormal\w*|unusual\w*|suspicious\w*|strange\w*|odd(?:ly)?|weird\w*"
    r"|wrong(?! (?:way|direction|side|lane))|irregular\w*"
    r"|extraordinary|noteworthy|out of (?:the ordinary|place)|alarm(?:s|ed|ing)?|incidents?|events?|happen\w*|going on"
    r"|occur\w*|problems?|trouble|deviat\w+|amiss|fishy|stands? out|peculiar\w*|out of line|concerns?"
    r"|breaks? the (?:pattern|routine)"
)
ODD = re.compile(rf"\b(?:{_ODD})\b", re.IGNORECASE)
_NORMAL = re.compile(
    r"\b(?:normal(?:ly)?|ordinary|usual|fine|ok|okay|all right|alright|all clear|clean|in order|quiet|as expected"
    r"|regular|routine|harmless)\b",
    re.IGNORECASE,
)
_NOTHING = re.compile(rf"\b(?:nothing|nobody|no one|free of|without)\b.*\b(?:{_ODD})\b", re.IGNORECASE)
_NOT = re.compile(r"\b(?:not|isn't|out of the)\b", re.IGNORECASE)
_YES_NO = re.compile(
    r"^(?:so |and |but |then |ok(?:ay)?,? |please,? )*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|"
    r"should|ought|may|might|must|shall|isn't|aren't|doesn't|didn't|any|anything|anyone|anybody|something|someone|really)\b",
    re.IGNORECASE,
)
_ASKED = r"\b(?:what|which|when|where|why|how|who|whose|whom)\b"
# An order to look for anomalies wants yes or no, and so does a question that offers these two.
_WHETHER_ELSE = re.compile(
    r"\b(?:know|tell me|say|see|wonder\w*|ask|find out|decide|judge|report) (?:if|whether)\b"
    r"|\b(?:check|scan|screen|search|inspect|examine|watch|verify|confirm|review|look (?:over|through|at))\b.*"
    r"\b(?:for|if|whether|that)\b|\byes or no\b|\bor not\b|\bor no\b",
    re.IGNORECASE,
)
_BACK = re.compile(
    r"\b(?:it|its|that|this|they|them|their|he|him|his|she|her|the (?:same|thing|object|anomaly|event))\b", re.I
)
_MORE = re.compile(r"^(?:and|what about|how about|what of)\b", re.IGNORECASE)
_GENERAL = re.compile(
    r"\b(?:in (?:the|this) (?:video|clip|footage)|(?:the|this) (?:video|clip|footage))\b", re.IGNORECASE
)

_FOOTAGE = r"(?:whole |entire |full )?(?:video|clip|footage|scene)"
_GOES = r"(?:go|goes|going|went|head\w*|come|comes|coming|came|move\w*|leav\w*|ent(?:er|ers|ered))"
_WHERETO = rf"where\b(?:(?! and |,).)*\b{_GOES}\b"
_KINDS = {
    SURE: r"\b(?:sure|certain|confiden\w+|reliab\w+|trust\w*|false (?:alarms?|positives?)|mistake\w*|probab\w+|likely"
    r"|correct)\b|^really\b|wrong about",
    WHY: r"\bwhy\b|\bhow (?:do|did|can|could) you (?:know|tell|see|decide|find)|\breasons?\b|\bcauses?\b"
    r"|\bthresholds?\b|\bscores?\b|\braise[ds]?\b|calibrat|\bwhat makes\b|\bexplain\b|\bhow come\b|\btriggered\b"
    r"|\b(?:evidence|proof|prove|grounds|basis|justify|reasoning)\b|\bbased?\b.*\bon\b",
    COUNT: r"\bhow many\b|\bnumber of\b|\bcount\b|\bhow often\b|\bmore than one\b|\bonly one\b"
    r"|\bone\b.*\bor (?:several|more|many|two|multiple)\b",
    WHEN: r"\bwhen\b|\bwhat time\b|\b(?:which|what) (?:second|moment|minute|time)s?\b|\bhow long\b|\bduration\b"
    r"|\b(?:time ?stamps?|time ?spans?|stretch of time|start and (?:the )?end(?:ing)?|in seconds)\b"
    r"|\bstart(?:ing)? times?\b|\b(?:the|at) times? (?:of|at|does|did|is|was|it)\b|^(?:the )?times?\s*\??$",
    MOTION: rf"{_WHERETO}|\bwhich way\b|\bdirection|\btrajector|\bpath\b|\broute\b|\bmov(?:e|es|ed|ing|ement|ements)\b"
    r"|\bmotion\b|\bspeed\b|\bfast(?:er|est)?\b|\bslow|\bturn(?:s|ed|ing)?\b|\bstop(?:s|ped)?\b|\benter|\bexit|\bleav"
    r"|\bc(?:o|a)me(?:s)? (?:from|in|out|back)\b|\bgo(?:es)? (?:to|out|in|away|next|left|right|up|down)\b"
    r"|\bgoing (?:to|out|away|left|right|up|down|where)\b|accelerat|\bheading\b|\btravel|\bdoing\b"
    r"|\b(?:does|did) (?:it|he|she|they) do\b|\bwhat (?:it|he|she|they) (?:do|does|did)\b|\bbehav|\bactions?\b"
    r"|\bup to\b|\bways? (?:does|do|did|is|was|it|he|she|they)\b|\bget(?:s|ting)? (?:in|out)(?:to)?\b"
    r"|\b(?:entry|entrance)\b|\bcourse\b|\bshift(?:s|ed)?\b|\bfrom where to where\b"
    r"|\b(?:which|what) (?:side|edge|border)\b.*\bc(?:o|a)mes?\b",
    WHERE: r"\bwhere\b|\b(?:which|what) (?:part|side|corner|place|area|region|cell)|\blocat|\bposition\b|\bplace\b",
    APPEARANCE: r"\bcolou?rs?\b|\blooks? like\b|\blooked like\b|\bappearance\b|\bwear|\bcloth|\bsize\b|\bwho\b"
    r"|\bhow (?:big|large|small|tall)\b|\bdescri(?:be|ption of) (?:it|him|her|them)\b"
    rf"|\bdescri(?:be|ption of) the (?!{_FOOTAGE}|way|action|movement|path|route)"
    r"|\bhow (?:does|do|did|would|can|could|should|will) .*\b(?:look|recogni[sz]e|spot|appear)\b"
    r"|\bhow (?:it|he|she|they) looks?\b|^(?:its |the )?looks?\s*\??$"
    r"|\bwhat (?:kind|type|sort) of (?!anomal|event)|\bwhat (?:is|was|are|were) (?:it|that|this|they)\s*\??$",
}
_RECALL = re.compile(
    r"\byou(?:'ve| have| had)?(?: \w+)? (?:said|told|claimed|mentioned|answered|stated)\b"
    r"|\bdid you (?:just )?(?:say|tell|claim)\b"
    r"|\bcontradict\w*|\byour (?:last|previous|first|earlier|own) (?:answer|words|statement)s?\b"
    r"|\byou(?:'re| are| were)(?: just)? (?:wrong|mistaken|lying|inconsistent)\b"
    r"|^(?:no,? |but )?(?:that|this|it)(?:'s| is| was) (?:wrong|not (?:true|right|correct)|false|untrue|nonsense)\b",
    re.IGNORECASE,
)
# "Should the alarm be raised?", "is there reason to ...?" want a verdict, not how it came about.
_CALLED_FOR = re.compile(r"\balarm\b.*\braised\b|\braise\b.*\balarm\b|\b(?:reason|cause|need) (?:to|for)\b", re.I)
_PATTERNS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _KINDS.items()}
_WHAT = re.compile(
    rf"\b(?:what|which)(?:'s| is| was| are| were)? (?:\w+ ){{0,2}}(?:{_ODD})\b(?!'s| doing)"
    r"|\bsummar|\bdetails?\b|\bdescription\b|\bsuch as\b|\boverview\b|\btell me more\b"
    rf"|\b(?:describe|tell me about) (?:the|this) {_FOOTAGE}|\bwhat (?:do|did|can) you (?:see|find|know)",
    re.IGNORECASE,
)
_WHETHER = re.compile(rf"\b(?:{_ODD})\b|\b(?:any|some|no)thing\b(?! \w+ing\b)", re.IGNORECASE)
_PEOPLE = re.compile(r"\b(?:any|some)(?:one|body)\b", re.IGNORECASE)
_AFTER = (
    r"(?P<thing>(?!(?:in|on|at|from|to|with|by|of) )[a-z][a-z -]*?)"
    r"(?:\s+(?:in|on|at|here|there|too|from|between|around|during)\b.*)?\s*\??$"
)
_THING = (
    re.compile(
        rf"\b(?:there|see|find|found|detect(?:ed)?|spot(?:ted)?|any)\s+(?:an?\s+|any\s+|the\s+|some\s+)?{_AFTER}", re.I
    ),
    re.compile(
        rf"\b(?:it|that|this|he|she|track \d+|one)\s+(?:really\s+|also\s+|just\s+)?(?:an?|the)\s+{_AFTER}", re.I
    ),
)
_COUNTED = re.compile(
    r"\b(?:how many|number of|count(?: of)?(?: the)?)\s+(?P<thing>[a-z][a-z-]*(?: [a-z-]+)?)", re.IGNORECASE
)
_COMPARED = re.compile(r"\b(?:compar\w+|differ\w*|changed?|than)\b.*\b(?:start|beginning|at first|first frame)\b")
_SUPERLATIVE = re.compile(
    r"\b(strongest|worst|most (?:anomalous|unusual|severe)|longest|shortest|weakest)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Question:
    """A question, read.

    kinds: out of the names above, at least one. yes_no: it wants Yes or No. asks_normal: "is everything normal?", where
    yes means no anomaly. event, track: numbers it names. ordinal: "the second one" 2, "the last one" -1; of: "event",
    "track" or "" for what is counted. pick: a superlative, or "other", "next", "previous". back: it says "it".
    span_s: seconds it names, (t, t) for a moment; negative counts from the end, infinite is the end.
    place: words of a place ("top left"); direction: words of a direction. thing: what "is there a ..." names.
    """

    text: str
    kinds: tuple[str, ...]
    yes_no: bool = False
    asks_normal: bool = False
    event: int | None = None
    track: int | None = None
    ordinal: int | None = None
    of: str = ""
    pick: str = ""
    back: bool = False
    more: bool = False
    everything: bool = False
    span_s: tuple[float, float] | None = None
    place: str | None = None
    direction: str | None = None
    thing: str = ""

    @property
    def names_one(self) -> bool:
        """Whether it says itself which event or track it is about."""
        return any(v is not None for v in (self.event, self.track, self.ordinal)) or bool(self.pick)

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.text, re.IGNORECASE) is not None


def read_question(text: str) -> Question:
    """Read any text; what is not understood has the kind "unknown"."""
    said = " ".join(text.split())
    yes_no = bool(_YES_NO.search(said)) or bool(re.search(r",\s*(?:right|no|yes|correct)\s*\?*$", said, re.IGNORECASE))
    choice = re.search(r"(?<!yes )\bor (?!not\b|no\b|any(?:one|body|thing)\b)", said, re.IGNORECASE)  # "left or right?"
    yes_no = (yes_no and not choice) or _asks_whether(said)
    asks_normal = bool(_NORMAL.search(said)) and not _NOT.search(said) and not ODD.search(said)
    asks_normal = asks_normal or bool(_NOTHING.search(said))
    direction = re.search(rf"\b({DIRECTION})\b", said, re.IGNORECASE)
    place = re.search(rf"\b({SIDES})\b", said, re.IGNORECASE)
    ordinal, of = _ordinal(said)
    thing = _thing(said, yes_no)
    span_s = _span(said)
    return Question(
        text=said,
        kinds=_kinds(said, yes_no, asks_normal, thing, span_s is not None, bool(place)),
        yes_no=yes_no,
        asks_normal=asks_normal and yes_no,
        event=_numbered("events?", said),
        track=_numbered("tracks?|objects?|things?|region", said),
        ordinal=ordinal,
        of=of,
        pick=_pick(said),
        back=bool(_BACK.search(said)),
        more=bool(_MORE.search(said)),
        everything=bool(_GENERAL.search(said)) or bool(re.search(r"\b(?:all|every|each|both|overall)\b", said, re.I)),
        span_s=span_s,
        place=place[1].lower() if place and cells_for(place[1]) else None,
        direction=direction[1].lower() if direction else None,
        thing=thing,
    )


def _asks_whether(said: str) -> bool:
    """Whether a text without a question word wants to know if anything is odd, however it puts it."""
    if re.search(_ASKED, said, re.IGNORECASE):
        return False
    if _NORMAL.search(said) and re.match(r"^(?:is )?(?:every(?:thing|one|body)|all|it)\b", said, re.IGNORECASE):
        return True
    if not _WHETHER.search(said):
        return False
    clauses = [clause.strip() for clause in re.split(r"[:;,.!?]+|\s-+\s", said)]
    asks = any(_YES_NO.search(clause) for clause in clauses) or bool(_WHETHER_ELSE.search(said))
    return asks or (said.endswith("?") and len(said.split()) <= 4)


def _kinds(said: str, yes_no: bool, asks_normal: bool, thing: str, has_time: bool, has_place: bool) -> tuple[str, ...]:
    if is_courtesy(said):
        return (UNKNOWN,)
    if _RECALL.search(said) and not _PATTERNS[WHY].search(said) and not (yes_no and _PATTERNS[SURE].search(said)):
        return (RECALL,)
    if beyond(said):
        return (BEYOND,)
    if harm(said):
        return (HARM,)
    found = {kind: m.start() for kind, p in _PATTERNS.items() if (m := p.search(said))}
    if MOTION in found and re.search(_WHERETO, said, re.IGNORECASE):
        found.pop(WHERE, None)
    if yes_no and _CALLED_FOR.search(said):
        found.pop(WHY, None)
    about_one = _BACK.search(said) and not _GENERAL.search(said)
    if yes_no and not about_one and re.search(r"\bbehav", said, re.I):  # "does anybody behave oddly?"
        found.pop(MOTION, None)
    if re.search(r"\b(?:takes?|took|taken|taking) place\b", said, re.I) and not re.search(r"\bwhere\b", said, re.I):
        found.pop(WHERE, None)
    if re.search(r"\bcounts? as\b", said, re.I):
        found.pop(COUNT, None)
    if COUNT in found:  # "how many stop?" is a count
        found = {COUNT: 0}
    if WHAT not in found and (m := _WHAT.search(said)) and not {WHY, SURE, COUNT} & set(found):
        found[WHAT] = m.start()
    if found:
        return tuple(sorted(found, key=lambda kind: found[kind]))
    if (yes_no or _YES_NO.search(said)) and deeds(said) and not (ODD.search(said) or asks_normal or is_known(thing)):
        return (DEED,)
    if colours_in(said) and yes_no:
        return (APPEARANCE,)
    if asks_normal or _WHETHER.search(said):
        return (WHETHER,) if yes_no else (WHAT,)
    if _PEOPLE.search(said):
        return (UNKNOWN,)  # who is about and does what is nothing the evidence holds
    if thing:
        return (LABEL,)
    if has_place and yes_no:
        return (WHERE,)
    if has_time or not said or re.match(r"^(?:what|which|tell|describe|show)\b", said, re.IGNORECASE):
        return (UNKNOWN,) if _MORE.search(said) and not has_time else (WHAT,)
    return (UNKNOWN,)


def _numbered(noun: str, said: str) -> int | None:
    m = re.search(
        rf"\b(?:{noun})\s*(?:number|no\.?|nr\.?|#)?\s*#?(\d+)\b(?!\s*(?:s|sec|seconds)\b|[.:]\d)", said, re.IGNORECASE
    )
    return int(m[1]) if m else None


def _ordinal(said: str) -> tuple[int | None, str]:
    words = "|".join(ORDINALS)
    noun = r"(?P<noun>one|events?|anomal(?:y|ies)|tracks?|objects?|things?|person|incident)"
    m = re.search(
        rf"\b(?:(?P<word>{words}|last)|(?P<digits>\d+)(?:st|nd|rd|th))\s+(?:\w+\s+)?{noun}\b", said, re.IGNORECASE
    )
    if not m:
        return None, ""
    place = int(m["digits"]) if m["digits"] else ORDINALS.get(m["word"].lower(), -1)
    what = m["noun"].lower()
    if what.startswith(("event", "anomal", "incident")):
        return place, "event"
    return place, "" if what == "one" else "track"


def _pick(said: str) -> str:
    if m := _SUPERLATIVE.search(said):
        word = m[1].lower()
        return "strongest" if word.startswith(("most", "worst")) else word
    m = re.search(r"\b(other|next|previous)\s+(?:one|event|anomaly|track)\b", said, re.IGNORECASE)
    return m[1].lower() if m else ""


def _thing(said: str, yes_no: bool) -> str:
    m = _COUNTED.search(said)
    if m is None and yes_no:
        m = next((m for p in _THING if (m := p.search(said))), None)
    if m is None:
        return ""
    words = [
        w
        for w in m["thing"].lower().split()
        if w not in ("are", "is", "were", "was", "there", "do", "does", "did", "you", "involved", "visible", "seen")
    ]
    thing = " ".join(words)
    odd = ODD.search(thing) or _NORMAL.search(thing) or thing in ("one", "it", "more", "else", "thing", "here")
    return "" if odd else thing


def _span(said: str) -> tuple[float, float] | None:
    low = said.lower()
    if m := re.search(r"\b(first|last)\s+(\w+|\d+(?:\.\d+)?)\s+(second|minute)s?\b", low):
        count = number(m[2]) if not re.fullmatch(r"\d+\.\d+", m[2]) else float(m[2])
        if count is not None:
            length = float(count) * (60 if m[3] == "minute" else 1)
            return (0.0, length) if m[1] == "first" else (-length, math.inf)
    times = times_in(said)
    if not times:
        return _span_without_unit(low)
    t = times[0]
    before = low[: t.begin].rstrip()
    if t.start_s == t.end_s and before.endswith(("before", "until", "till", "by")):
        return (0.0, t.end_s)
    if t.start_s == t.end_s and before.endswith(("after", "since", "past")):
        return (t.start_s, math.inf)
    return (min(t.start_s, t.end_s), max(t.start_s, t.end_s))


def _span_without_unit(low: str) -> tuple[float, float] | None:
    if m := re.search(r"\b(?:at|around)\s+(?:about\s+|second\s+)?(\d+(?:\.\d+)?)\s*[?.!]*$", low):
        return (float(m[1]), float(m[1]))
    if m := re.search(r"\bbetween\s+(\d+(?:\.\d+)?)\s+and\s+(\d+(?:\.\d+)?)\s*[?.!]*$", low):
        return (float(m[1]), float(m[2]))
    if re.search(r"\b(?:at|in) the (?:very )?(?:start|beginning)\b", low) or _COMPARED.search(low):
        return (0.0, 0.0)
    if re.search(r"\bat the (?:very )?end\b", low):
        return (math.inf, math.inf)
    return None
