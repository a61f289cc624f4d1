"""Questions about harm: injuries, danger, weapons, crimes, whether to call somebody. English; by rules.

The evidence holds none of that, so the answer is neither yes nor no: that it cannot be told, and what is seen instead.
Next: chat/report.py
"""

import re

_WHO = (
    r"(?:he|she|they|every(?:one|body)|any(?:one|body)|some(?:one|body)|nobody|no one|people|person|man|woman|child"
    r"|kids?|children|cyclist|rider|driver|pedestrian|victim)"
)
_HELP = r"(?:police|cops?|ambulance|fire (?:brigade|department|service|fighters?)|firefighters?|guards?|security|doctor"
_HELP += r"|medics?|paramedics?|emergency services|help|911|112|999|somebody|someone|anybody|anyone)"
# What it is about -> (how an answer begins, why it cannot be told).
_TOLD = {
    "weapon": ("Whether there is a weapon", "things so small are not recognised"),
    "hurt": ("Whether anybody is hurt", "it holds places, movement and looks, no injuries"),
    "act": ("What is to be done", "it says what is unusual, not how bad that is; a person has to decide"),
    "crime": ("Whether it is a crime", "it says what is unusual, not what is forbidden"),
    "danger": ("Whether it is dangerous", "it says what is unusual, not what is dangerous"),
}
_ASKS = {
    "weapon": r"\b(?:weapons?|guns?|handguns?|firearms?|pistols?|rifles?|kni(?:fe|ves)|armed|bombs?|explosives?"
    r"|machetes?)\b",
    "hurt": r"\b(?:hurts?|injur\w+|wound\w*|harmed|bleed\w*|blood|unconscious|dead|dies|died|dying|kill(?:s|ed)?|alive"
    r"|casualt\w+|victims?|unharmed|in pain|survive[ds]?)\b"
    rf"|^(?:so |and |but )?(?:is|are|was|were)\b.*\b{_WHO}\b.*\b(?:ok|okay|all right|alright|fine|well|safe)\b",
    "act": rf"\b(?:call|alert|notify|inform|phone|ring|contact|send|dispatch|involve)\b(?: \w+){{0,3}} {_HELP}\b"
    rf"|\bneeds? (?:an? |any |some |the |to call )?(?:\w+ )?(?:{_HELP}|rescue|assistance)\b"
    rf"|(?<!what )\b(?:should|shall|must|ought|need|have to|supposed to)\b.*\b{_HELP}\b"
    r"|\bwhat (?:should|must|shall|can|do) (?:i|we)\b(?: \w+)? do\b"
    r"|\b(?:should|must|shall|do|ought|can) (?:i|we|somebody|someone|anybody)\b(?: (?:need|have|to|just|now))*"
    r" (?:act|intervene|react|worry|panic|evacuate|leave|go there|do (?:something|anything)"
    r"|be (?:worried|concerned|afraid|scared)|ignore (?:it|this|that))\b",
    "crime": r"\b(?:crimes?|illegal(?:ly)?|unlawful|forbidden|against the law|break(?:s|ing)? the law|legal)\b",
    "danger": r"\bdanger\w*|\bhazard\w*|\bthreat(?:s|en\w*)?\b|\brisk\w*|\bunsafe\b|\bsafety\b"
    r"|\bsafe\b(?! to (?:say|assume))"
    r"|\bemergenc(?:y|ies)\b|\bhow (?:serious|bad|severe|urgent|critical)\b"
    r"|\b(?:is|was) (?:it|this|that) (?:\w+ )?(?:serious|bad|severe|urgent|critical)\b",
}
_PATTERNS = {about: re.compile(pattern, re.IGNORECASE) for about, pattern in _ASKS.items()}


def harm(question: str) -> str:
    """Which harm a question is about: "weapon", "hurt", "call", "crime", "danger"; "" for none."""
    return next((about for about, pattern in _PATTERNS.items() if pattern.search(question)), "")


def untold(about: str) -> str:
    """That it cannot be told, and why, in one sentence. about: as `harm` says it."""
    whether, why = _TOLD[about]
    return f"{whether} cannot be told from the evidence: {why}."
