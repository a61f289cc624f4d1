"""Questions that no footage answers: names, motives, words spoken, yesterday and tomorrow. English; by rules.

Next: chat/report.py
"""

import re

_WHO = r"(?:he|she|they|him|her|them|it|this|that|the (?:man|woman|person|people|guy|rider|cyclist|driver|owner|thief))"
_BEYOND: dict[str, tuple[str, ...]] = {
    "a name or an identity": (
        r"\bnames?\b(?! (?:of )?(?:the |its |an? |any )?(?:event|track|thing|object|anomal|action|deed|colou?r|place"
        rf"|abnormal|unusual|kind))|\bwho(?:'s| is| are| was| were) {_WHO}\b|\bwho {_WHO} (?:is|are|was|were)\b",
        r"\bidentit(?:y|ies)\b|\bidentify (?:him|her|them|the (?:man|woman|person))\b",
        r"\b(?:passport|id card|phone|telephone|e-?mail)\b|\b(?:licence|license|number) ?plates?\b"
        r"|\b(?:licence|license|registration) numbers?\b|\bpasswords?\b",
        rf"\bwhere (?:does|do) {_WHO} (?:live|work)\b|\b(?:home )?address\b|\bnationality\b|\breligion\b|\bmarried\b"
        r"|\bfor a living\b|\bprofession\b|\bcriminal (?:record|past)\b|\ba criminal\b|\barrested\b",
    ),
    "an age": (r"\bhow old\b|\bwhat(?: is|'s)? (?:\w+ )?age\b|\bage of\b|\bborn\b",),
    "speech or sound": (
        r"(?<!please )(?<!can i )(?<!you )(?<!may i )(?<!to )(?<!and )(?<!^)\bsay\b|\b(?:says|said|saying)\b",
        r"\b(?:sp(?:ea|o)k\w*|talk(?:s|ed|ing)? about|hear|heard|shout\w*|scream\w*)\b",
        r"\b(?:sounds?|noises?|music|audio|languages?|voices?)\b(?! (?:odd|strange|right|wrong|good|suspicious))",
    ),
    "a thought, a feeling or a motive": (
        rf"\b{_WHO} (?:(?:was|is|are|were|be) )?(?:think\w*|thought|feel\w*|felt|plan\w*|intend\w*|want\w*)\b",
        r"\bintentions?\b|\bmotives?\b|\bangry\b|\bdrunk\b|\bon purpose\b|\bguilty\b|\binnocent\b",
        rf"\bwhy (?:did|does|do|is|are|was|were) {_WHO}\b(?!.*\b(?:anomal|unusual|suspicious|abnormal|flag|score|odd))",
    ),
    "what was before it or comes after it": (
        r"\byesterday\b|\btomorrow\b|\blast (?:night|week|month|year)\b|\bnext (?:day|week|month|year|time)\b",
        r"\b(?:before|after) the (?:video|clip|recording|footage)\b|\bin the future\b",
        r"\bwhat (?:will|would) happen\b|\bafterwards\b|\bfor (?:breakfast|lunch|dinner)\b",
        rf"^will\b(?! you\b)|\bwill {_WHO}\b|\b(?:is|are) (?:he|she|they) going to\b|\bcome back (?:later|again)\b",
    ),
    "a price, a brand or an owner": (
        r"\b(?:cost|price|brand|money)\b|\bwho (?:installed|built|bought|sold|made|mounted|runs) ",
        r"\bhow much (?:is|was|does) .*\bworth\b|\bwho owns\b|\bwhose\b|\bbelongs? to\b",
    ),
    "where on earth this is": (r"\b(?:which|what) (?:city|town|country|street)\b|\bgps\b",),
    "somebody's life": (
        r"\b(?:mother|father|brothers?|sisters?|siblings?|wife|husband|nation|school|salary|earn\w*|vote[ds]?)\b",
        r"\bdream\w*\b|\btaught\b|\bthe judge\b|\bin(?:side)? (?:his|her|its|their|the) (?:pocket|bag|purse)s?\b",
    ),
    "a date or the weather": (
        r"\b(?:which|what) (?:date|day|month|year|season)\b|\btemperature\b|\bweather\b(?! (?:look|seem))",
    ),
    "what is not in the footage": (r"\bcapital of\b|\bjokes?\b|\bfavou?rite\b|\byour (?:name|opinion|age)\b",),
}
_PATTERNS = {what: re.compile("|".join(patterns), re.IGNORECASE) for what, patterns in _BEYOND.items()}


def beyond(question: str) -> str:
    """What a question wants that cannot be seen in a video, as a phrase ("an age"); "" when it may be seen."""
    return next((what for what, pattern in _PATTERNS.items() if pattern.search(question)), "")


def declined(what: str) -> str:
    """The answer to such a question; what: as `beyond` says it, "" where only the meaning tells that it is one."""
    if not what:
        return "The video does not show that."
    return f"The video does not show that: {what} cannot be told from the pictures."


def declines(answer: str) -> bool:
    """Whether an answer says that it cannot be told."""
    return re.search(r"\b(?:not|cannot|can't|doesn't|no way|unknown|impossible|nothing)\b", answer, re.I) is not None
