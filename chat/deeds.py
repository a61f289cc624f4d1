"""Questions whether somebody does something: "is anyone fighting?", "did he fall?". English; by rules.

The evidence knows deeds by the kind of an event and by its things; a language model tells some in words. What is told
nowhere may still be in the video: nobody describes what ordinary people do. Next: chat/report.py
"""

from chat import facts
from chat.conversation import Turn
from chat.lexicon import deeds
from chat.standing import below, quoted, seen, words_of
from tvad.evidence import Event, Evidence


def done(evidence: Evidence, asked: tuple[str, ...], stand: Turn | None, event: Event | None, chosen: bool) -> str:
    """The answer whether one of the deeds `asked` is done: yes where an event or the language model has it so, else
    that it cannot be told. event: what is spoken about, if anything; chosen: and no other is meant."""
    others = sorted((e for e in evidence.events if e is not event and not chosen), key=lambda e: -e.score)
    for one in (*((event,) if event else ()), *others):
        if set(asked) & set(deeds(_found(evidence, one))):
            kind = f", kind: {facts.kind_in_words(one)}" if one.kind == one.category else ""
            return f"Yes: {facts.headline(evidence, one)}{kind}."
    if stand is not None and stand.verdict and set(asked) & set(deeds(words_of(stand))):
        held = facts.headline(evidence, event) if event else f"no event: {below(evidence)}"
        who = "As it was said before" if stand.sure is None else "As the language model has it"
        return f"{who}, yes: {quoted(stand)}. The evidence has {held}."
    return f"{_looks_like(evidence, asked)} {seen(evidence, stand, event, kind=False)}"


def _found(evidence: Evidence, event: Event) -> str:
    tracks = facts.tracks_of(evidence, event)
    named = event.kind if event.category == event.kind else ""
    return " ".join([event.category, named, *(f"{t.label} {t.motion.summary}" for t in tracks)])


def _looks_like(evidence: Evidence, asked: tuple[str, ...]) -> str:
    """That it was not found, and how likely the movement is of such a kind where kinds are told apart."""
    shares = {kind: p for kind, p in evidence.class_probs.items() if set(asked) & set(deeds(kind))}
    kind = max(shares, key=lambda k: shares[k], default="")
    if kind and kind == evidence.kind:
        return f"Perhaps: the movement looks like {kind} ({shares[kind]:.0%})."
    told = f"; the movement is {kind} with {shares[kind]:.0%}, too little to be named so" if kind else ""
    return f"That was not found, and cannot be ruled out{told}."
