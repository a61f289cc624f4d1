"""Words of questions and answers: numbers, times, places, directions, deeds, colours, things. No evidence.

English only. Used on what people ask (chat/questions.py) and on what a language model claims (chat/check.py).

Next: chat/questions.py
"""

import math
import re
from dataclasses import dataclass

from heatmap.motion import CELLS

_NUMBER_WORDS = "one two three four five six seven eight nine ten eleven twelve"
_ORDINAL_WORDS = "first second third fourth fifth sixth seventh eighth ninth tenth"
_COLOUR_WORDS = "black grey white red pink orange brown yellow green blue purple"
NUMBERS = {w: i + 1 for i, w in enumerate(_NUMBER_WORDS.split())}
ORDINALS = {w: i + 1 for i, w in enumerate(_ORDINAL_WORDS.split())}
COLOURS = frozenset(_COLOUR_WORDS.split())
COLOUR_ALIASES = {"gray": "grey", "violet": "purple", "beige": "brown", "golden": "yellow", "silver": "grey"}
# Names of one kind of thing. People are left out on purpose: they are everywhere in footage and no claim about it.
THINGS: tuple[frozenset[str], ...] = tuple(
    frozenset(line.split(","))
    for line in (
        "bicycle,bike,cyclist,bicyclist,biker,cycling,tandem bicycle,mountain bike",
        "motorcycle,motorbike,moped,motorcyclist,scooter,motor scooter",
        "skateboard,skateboarder,skateboarding,skater,longboard",
        "wheelchair",
        "car,automobile,sedan,taxi,cab,minivan,vehicle,convertible,limousine,sports car,jeep",
        "truck,lorry,pickup,van,vehicle,trailer truck,moving van,fire engine,garbage truck,tow truck,police van",
        "bus,minibus,school bus,trolleybus,vehicle",
        "train,tram,streetcar,locomotive",
        "cart,trolley,shopping cart,golf cart,golfcart,stroller,pram,barrow,handcart,buggy,vehicle",
        "dog,puppy",
        "cat,kitten",
        "horse,pony,rider",
        "bird,pigeon,crow,seagull",
        "boat,ship,canoe",
        "aeroplane,airplane,plane,drone,helicopter",
        "gun,pistol,rifle,weapon,knife",
        "fire,smoke,flames,explosion",
        "ball,football,basketball",
        "suitcase,backpack,bag,luggage,package,box,parcel",
        "umbrella",
    )
)

_NUMBER = r"\d+(?:\.\d+)?"
_SECONDS = r"(?:seconds?|secs?|s)\b"
_MOMENT = (
    r"(?:(?:\d+:)?\d{1,2}:\d{2}(?:\.\d+)?\b"
    rf"|\d+\s*(?:minutes?|mins?)\b(?:\s*(?:and\s+)?{_NUMBER}\s*{_SECONDS})?"
    rf"|{_NUMBER}\s*-?{_SECONDS})"
)
_RANGE = rf"(?P<a>{_MOMENT}|{_NUMBER})\s*(?:[-\u2013\u2014]|to|and|until|till)\s*(?P<b>{_MOMENT})"
_TIME = re.compile(rf"(?<![\w.:])(?:{_RANGE}|(?P<one>{_MOMENT})|(?:second|t\s*=)\s*(?P<bare>{_NUMBER}))", re.IGNORECASE)


@dataclass(frozen=True)
class TimeSaid:
    """A moment (start_s == end_s) or a stretch of seconds in a text, at characters begin..stop.

    step_s: how precisely it was said: 1.0 for whole seconds, 0.1 for one decimal.
    """

    start_s: float
    end_s: float
    step_s: float
    begin: int
    stop: int


def times_in(text: str) -> list[TimeSaid]:
    """Every moment and stretch with a unit or a clock's colon: "5.2 s", "0:05.2", "from 3 to 5 s", "3.2-5.8 s"."""
    found = []
    for m in _TIME.finditer(text):
        first, last = (m["a"], m["b"]) if m["b"] else (m["one"] or m["bare"],) * 2
        step_s = 0.1 if "." in first + last else 1.0
        found.append(TimeSaid(to_seconds(first), to_seconds(last), step_s, m.start(), m.end()))
    return found


def to_seconds(moment: str) -> float:
    """ "0:12.5", "1 min 5 s", "12.5 s" or "12.5" -> seconds."""
    if ":" in moment:
        total = 0.0
        for part in moment.split(":"):
            total = 60 * total + float(part)
        return total
    values = [float(v) for v in re.findall(_NUMBER, moment)]
    if "min" in moment.lower():
        return 60 * values[0] + (values[1] if len(values) > 1 else 0.0)
    return values[0]


def number(word: str) -> int | None:
    """ "3" or "three" -> 3; None for other words."""
    return int(word) if word.isdecimal() else NUMBERS.get(word.lower())


# --- places -----------------------------------------------------------------------------------------------------

_ROWS = {"top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom"}
_COLUMNS = {"left": "left", "right": "right"}
_MIDDLES = {"middle", "centre", "center", "central"}
_SIDE = "top|upper|bottom|lower|left|right|middle|centre|center|central"
SIDES = rf"(?:{_SIDE})(?:(?:\s+and\s+|[\s-]+)(?:{_SIDE}))?"
EVERY_CELL = frozenset(cell for row in CELLS for cell in row)


def cells_for(place: str) -> frozenset[str]:
    """The cells of the 3 x 3 grid that a place may mean: "left" three, "top left" one, "middle" one."""
    words = [w for w in re.split(r"[\s-]+", place.lower()) if w != "and"]
    row = next((_ROWS[w] for w in words if w in _ROWS), None)
    column = next((_COLUMNS[w] for w in words if w in _COLUMNS), None)
    middle = any(w in _MIDDLES for w in words)
    if row and column:
        return frozenset({f"{row}-{column}"})
    side = row or column
    if middle:
        return frozenset({side or "middle"})
    return frozenset(cell for cell in EVERY_CELL if side in cell.split("-"))


def same_cell(name: str) -> str:
    """The grid's own spelling of a cell's name."""
    name = name.lower().replace(" ", "-")
    return "middle" if name in _MIDDLES else name


# --- directions -------------------------------------------------------------------------------------------------

_ARROWS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "top": (0, -1), "bottom": (0, 1)}
_WAY = r"(?:left|right|up|down)(?:wards?)?"
DIRECTION = rf"{_WAY}(?:(?:\s+and\s+|\s*-\s*|\s+){_WAY})?"
_STEMS = re.compile(r"left|right|up|down|top|bottom", re.IGNORECASE)


def arrow(direction: str) -> tuple[int, int]:
    """ "up-left", "up and left", "leftwards" -> (x, y) in {-1, 0, 1}; y grows downwards."""
    x = y = 0
    for word in _STEMS.findall(direction.lower()):
        dx, dy = _ARROWS[word]
        x, y = x or dx, y or dy
    return x, y


def opposed(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two ways cannot be one: they point apart in x or in y, or are at a right angle."""
    return a[0] * b[0] < 0 or a[1] * b[1] < 0 or a[0] * b[0] + a[1] * b[1] == 0


# --- deeds --------------------------------------------------------------------------------------------------------

# What somebody may do, and words for it, of questions and of findings alike.
_DEEDS: dict[str, str] = {
    "fighting": r"fight\w*|fought|brawl\w*|punch\w*|hit(?:s|ting)?|beat(?:s|ing|en)?|attack\w*|assault\w*|kick\w*"
    r"|shov\w+",
    "falling": r"fall(?:s|ing|en)?|fell|collaps\w+|stumbl\w+|trip(?:s|ped|ping)|slip(?:s|ped|ping)",
    "running": r"run(?:s|ning)?|ran|sprint\w*|flee(?:s|ing)?|fled|chas(?:e|es|ed|ing)|rush(?:es|ed|ing)?|panic\w*",
    "cycling": r"cycl(?:e|es|ed|ing)|cyclists?|bicycles?|bik(?:es?|ing)|rid(?:e|es|ing)|rode",
    "skating": r"skat(?:e|es|ed|ing|er|ers)|skateboard\w*",
    "driving": r"driv(?:e|es|en|ing(?! licen[cs]e))|drove|park(?:s|ed|ing)",
    "loitering": r"loiter\w*|linger\w*|hang(?:s|ing) (?:around|about)|wait(?:s|ed|ing)|lurk\w*",
    "stealing": r"steal\w*|stole\w*|thie(?:f|ves)|theft|rob(?:s|bed|bing|bery)?|snatch\w*|shoplift\w*|burgl\w+"
    r"|break(?:s|ing)? in",
    "leaving something behind": r"abandon\w*|left behind|leav(?:e|es|ing) behind|unattended",
    "climbing": r"climb\w*",
    "throwing": r"throw(?:s|n|ing)?|threw",
    "damaging something": r"vandal\w*|smash\w*|graffiti|spray\w*|destroy\w*|damag\w*",
    "burning": r"burn(?:s|t|ed|ing)?|on fire|fires?|flames?|smok(?:e|es|ing)|blaz(?:e|es|ing)",
    "exploding": r"explo\w+|blasts?|blew up|blow(?:s|ing)? up",
    "an accident": r"accidents?|crash\w*|collid\w+|collisions?|run over",
    "lying down": r"lie(?:s)?|lying|lay",
    "sitting": r"sit(?:s|ting)?|sat",
    "standing": r"stand(?:s|ing)?|stood",
    "walking": r"walk\w*",
    "jumping": r"jump\w*",
    "dancing": r"danc(?:e|es|ed|ing)",
    "carrying something": r"carr(?:y|ies|ied|ying)|hold(?:s|ing)?",
    "smoking": r"cigarettes?|vap(?:e|es|ing)",
    "crossing": r"cross(?:es|ed|ing)?|jaywalk\w*",
}
_WRONG_WAY = re.compile(r"\bwrong (?:way|direction|side|lane)\b", re.IGNORECASE)
_DEED_PATTERNS = {deed: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for deed, words in _DEEDS.items()}


def deeds(text: str) -> tuple[str, ...]:
    """The deeds that a text speaks of."""
    if _WRONG_WAY.search(text):
        return ("going the wrong way",)  # whoever goes so; who only goes is not meant
    return tuple(deed for deed, pattern in _DEED_PATTERNS.items() if pattern.search(text))


# --- things and colours ------------------------------------------------------------------------------------------


def colours_in(text: str) -> list[str]:
    words = (COLOUR_ALIASES.get(w, w) for w in re.findall(r"[a-z]+", text.lower()))
    return list(dict.fromkeys(w for w in words if w in COLOURS))


def singular(word: str) -> str:
    """ "bicycles" -> "bicycle", "people" -> "person", "buses" -> "bus"; a rule of thumb."""
    word = word.lower()
    if word in ("people", "persons"):
        return "person"
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(?:ss|x|ch|sh|us)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def plural(noun: str, count: int) -> str:
    """ "2 events", "1 event"."""
    return f"{count} {noun if count == 1 else noun + 's'}"


def kin(word: str) -> frozenset[str]:
    """All names of the kinds of thing that `word` (singular) can be; itself alone when it is in no list."""
    return frozenset({word}).union(*(kind for kind in THINGS if word in kind))


def is_known(thing: str) -> bool:
    """Whether one of the words is a name of a kind of thing (THINGS)."""
    return any(len(kin(singular(word))) > 1 for word in thing.lower().split())


_ENGLISH = re.compile(
    r"\b(?:the|what|when|where|which|who|whose|why|how|is|are|were|does|did|do|there|this|that|these|those|it|its|he|she"
    r"|they|his|him|her|them|their|any|some|every|no|not|any\w+|some\w+|every\w+|no(?:thing|body)|with|from|about|into|for"
    r"|you|your|can|could|would|should|will|have|has|had|been|be|and|of|my|please|tell|show|give|name|list|explain|say"
    r"|describe|see|look|people|near|more|other|another|one|two|first|second|last|next|then|before|after|during|again"
    r"|also|too|only|just|here|ok|okay|yes|thanks|thank|hello|hi|help|times?|colou?rs?|looks?"
    r"|or|but|if|to|at|by|all|both|than|few|many|much|single|several|left|right|centre|center|middle|top|bottom)\b",
    re.IGNORECASE,
)


def is_english(text: str) -> bool:
    """Whether a text holds a common English word, or is too short to tell: one or two words of plain letters."""
    return bool(_ENGLISH.search(text)) or (text.isascii() and len(text.split()) <= 2)


_COURTESY = re.compile(
    r"(?:(?:ok(?:ay)?|thanks?|thank you|great|good|well done|nice|fine|alright|hello|hi|hey|bye|goodbye|please|cheers"
    r"|(?:good )?(?:morning|afternoon|evening|day)|very much|a lot|there|sorry|i see|got it)\b[\s,.!]*)+",
    re.IGNORECASE,
)


def is_courtesy(text: str) -> bool:
    """Whether a text asks nothing: "ok, thanks!"; "ok?" does."""
    return bool(_COURTESY.fullmatch(text.strip()))


def clip_s(value: float, low: float, high: float) -> float:
    return min(max(value, low), high) if math.isfinite(high) else max(value, low)
