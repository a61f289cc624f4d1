"""True answers about what is there: whether, what, looks, deeds, how many, and whether a thing or a colour is there.

Every function gives an `Answer`: its wordings, the canonical one first, and the slots that each of them states
(training/slots.py reads them back).

Next: training/datasets/answers_moving.py
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chat.facts import capital, listed
from training.datasets.qa_words import (
    a_,
    colours,
    count_word,
    doing,
    outfit,
    phrase,
    several,
    who,
    worn,
)
from training.datasets.records import TargetRecord

LISTED = 3
MANY = 3  # so many that do the same are told as one group


@dataclass(frozen=True)
class Answer:
    """texts: 4 wordings of the same, the canonical one first. slots: what every one of them says."""

    texts: tuple[str, ...]
    slots: dict[str, Any]


@dataclass(frozen=True)
class Named:
    """A target and how it is called among all of its clip ("the van", "the first person")."""

    target: TargetRecord
    name: str

    @property
    def start(self) -> str:
        return capital(self.name)


Maker = Callable[[Sequence[Named]], Answer]

NO_ANOMALY = (
    "No, there is no anomaly in the video.",
    "No, nothing anomalous happens in the video.",
    "No, the video shows no anomaly.",
    "No, I see no anomaly.",
)
ALL_NORMAL = (
    "Yes, there is no anomaly in the video.",
    "Yes, nothing anomalous happens in the video.",
    "Yes, the video shows no anomaly.",
    "Yes, I see no anomaly.",
)
NOTHING = (
    "There is no anomaly in the video.",
    "Nothing anomalous happens in the video.",
    "The video shows no anomaly.",
    "I see no anomaly in the video.",
)
DECLINED = (
    "The video does not show that.",
    "That cannot be seen in the video.",
    "The video does not tell that.",
    "I cannot tell that from the video.",
)


def no_anomaly() -> Answer:
    return Answer(NO_ANOMALY, {"verdict": "no"})


def all_normal() -> Answer:
    """ "Is everything normal?" of a clip in which it is."""
    return Answer(ALL_NORMAL, {"verdict": "yes"})


def nothing() -> Answer:
    """Any question about the anomaly of a clip without one."""
    return Answer(NOTHING, {"verdict": "no"})


def declined() -> Answer:
    return Answer(DECLINED, {"declines": True})


def whether(named: Sequence[Named], limit: int = LISTED) -> Answer:
    things, slots = _things([n.target for n in named], limit)
    be = "are" if _is_group(named) else "is"
    return Answer(
        (
            f"Yes, there {be} {things}.",
            f"Yes, I see {things}.",
            f"Yes, the video shows {things}.",
            f"Yes, the anomaly is {things}.",
        ),
        {"verdict": "yes", **slots},
    )


def not_normal(named: Sequence[Named], limit: int = LISTED) -> Answer:
    """ "Is everything normal?" of a clip in which it is not."""
    things, slots = _things([n.target for n in named], limit)
    be = "are" if _is_group(named) else "is"
    return Answer(
        (
            f"No, there {be} {things}.",
            f"No, I see {things}.",
            f"No, the video shows {things}.",
            f"No, the anomaly is {things}.",
        ),
        {"verdict": "no", **slots},
    )


def what(named: Sequence[Named], limit: int = LISTED) -> Answer:
    things, slots = _things([n.target for n in named], limit)
    be = "are" if _is_group(named) else "is"
    return Answer(
        (
            f"There {be} {things}.",
            f"{capital(things)}.",
            f"The anomaly is {things}.",
            f"The video shows {things}.",
        ),
        slots,
    )


def details(named: Sequence[Named], limit: int = LISTED) -> Answer:
    """Looks and deeds, T-VAD's second question; at most `limit` targets or groups of them."""
    groups = _groups([n.target for n in named], full=True)
    told, rest = groups[:limit], sum(len(group) for group in groups[limit:])
    what = [several_of(g) if len(g) > 1 else phrase(g[0], full=True) for g in told]
    deeds = [doing(g[0], many=len(g) > 1) for g in told]
    does = [f"{who(g[0])} {deed}" for g, deed in zip(told, deeds, strict=True)]
    be = ["are" if len(g) > 1 else "is" for g in told]
    wordings = (
        [f"{capital(w)} {d}." for w, d in zip(what, deeds, strict=True)],
        [f"It is {w} {d}." for w, d in zip(what, does, strict=True)],
        [f"One sees {w} {d}." for w, d in zip(what, does, strict=True)],
        [f"There {b} {w} {d}." for b, w, d in zip(be, what, does, strict=True)],
    )
    more = [f"There {'is' if rest == 1 else 'are'} {count_word(rest)} more."] if rest else []
    slots = _slots([g[0] for g in told], full=True, deeds=True, colour=False)
    if shown := tuple(dict.fromkeys(c for g in told if len(g) == 1 for c in colours(g[0]))):
        slots["colour"] = shown
    return Answer(tuple(" ".join([*w, *more]) for w in wordings), slots)


def appearance(named: Sequence[Named]) -> Answer:
    return Answer(
        tuple(" ".join(say(n) for n in named) for say in (_wears, _it_is, _has_on, _looks)),
        _slots([n.target for n in named], full=True, deeds=False),
    )


def _wears(n: Named) -> str:
    if clothes := outfit(n.target):
        return f"{n.start} wears {clothes}."
    return f"{n.start} is {worn(n.target)[0][0]}." if worn(n.target) else f"The colours of {n.name} cannot be told."


def _it_is(n: Named) -> str:
    return f"It is {phrase(n.target, full=True)}{'' if worn(n.target) else ', the colours cannot be told'}."


def _has_on(n: Named) -> str:
    if clothes := outfit(n.target):
        return f"{n.start} has {clothes} on."
    if not worn(n.target):
        return f"{n.start} shows its shape but not its colours."
    return f"The colour of {n.name} is {worn(n.target)[0][0]}."


def _looks(n: Named) -> str:
    if clothes := outfit(n.target):
        return f"{n.start} is dressed in {clothes}."
    return f"{n.start} looks {worn(n.target)[0][0]}." if worn(n.target) else f"{n.start} is seen without its colours."


def action(named: Sequence[Named]) -> Answer:
    return Answer(
        (
            " ".join(f"{n.start} {doing(n.target)}." for n in named),
            " ".join(f"It is {n.name} {who(n.target)} {doing(n.target)}." for n in named),
            " ".join(f"One sees that {n.name} {doing(n.target)}." for n in named),
            " ".join(f"The anomaly is that {n.name} {doing(n.target)}." for n in named),
        ),
        _slots([n.target for n in named], colour=False, deeds=True),
    )


def count(everyone: Sequence[TargetRecord]) -> Answer:
    """How many of all targets of a clip, and the first ones by name."""
    n = len(everyone)
    groups = [[t for t in everyone if t.noun == noun] for noun in dict.fromkeys(t.noun for t in everyone)]
    names = [several_of(group) if len(group) > 1 else a_(group[0].noun) for group in groups[:LISTED]]
    rest = n - sum(len(group) for group in groups[:LISTED])
    said = listed([*names, f"{count_word(rest)} more"] if rest else names)
    number = count_word(n)
    be, things = ("is", "thing") if n == 1 else ("are", "things")
    nouns = tuple(dict.fromkeys(group[0].noun for group in groups[:LISTED]))
    return Answer(
        (
            f"There {be} {number} anomalous {things}: {said}.",
            f"{capital(number)}: {said}.",
            f"I count {number}: {said}.",
            f"The number is {number}: {said}.",
        ),
        {"count": n, "noun": nouns},
    )


def is_there(noun: str) -> Answer:
    a = a_(noun)
    return Answer(
        (
            f"Yes, there is {a} in the video.",
            f"Yes, {a} can be seen.",
            f"Yes, the video shows {a}.",
            f"Yes, I see {a}.",
        ),
        {"verdict": "yes", "noun": (noun,)},
    )


def is_not_there(thing: str) -> Answer:
    return Answer(
        (
            f"No, there is no {thing} in the video.",
            f"No, no {thing} can be seen.",
            f"No, the video shows no {thing}.",
            f"No, I see no {thing}.",
        ),
        {"verdict": "no"},
    )


def has_colour(named: Named, asked: str) -> Answer:
    """Whether a target of known colours has this one; the answer tells its colours."""
    target, yes = named.target, "Yes" if asked in colours(named.target) else "No"
    clothes = outfit(target)
    if clothes:
        texts = (
            f"{yes}, {named.name} wears {clothes}.",
            f"{yes}, {named.name} has {clothes} on.",
            f"{yes}, {named.name} is dressed in {clothes}.",
            f"{yes}, it is {phrase(target, full=True)}.",
        )
    else:
        own = worn(target)[0][0]
        texts = (
            f"{yes}, {named.name} is {own}.",
            f"{yes}, {named.name} looks {own}.",
            f"{yes}, the colour of {named.name} is {own}.",
            f"{yes}, it is {phrase(target, full=True)}.",
        )
    return Answer(texts, {"verdict": yes.lower(), "noun": (target.noun,), "colour": colours(target)})


# --- several at once ----------------------------------------------------------------------------------------------


def _groups(targets: Sequence[TargetRecord], full: bool = False) -> list[list[TargetRecord]]:
    """Targets by their start; those that do the same together, at the first one's place, where they are MANY or more
    or cannot be told apart."""
    kinds: dict[tuple[str, str], list[TargetRecord]] = {}
    for t in targets:
        kinds.setdefault((t.noun, doing(t)), []).append(t)
    groups: list[list[TargetRecord]] = []
    for ts in kinds.values():
        alike = len(ts) >= MANY or len({phrase(t, full) for t in ts}) == 1
        groups += [ts] if alike else [[t] for t in ts]
    return sorted(groups, key=lambda group: targets.index(group[0]))


def several_of(group: Sequence[TargetRecord]) -> str:
    """ "six people"."""
    return f"{count_word(len(group))} {several(group[0].noun)}"


def _is_group(named: Sequence[Named]) -> bool:
    return bool(named) and len(_groups([n.target for n in named])[0]) > 1


def _things(targets: Sequence[TargetRecord], limit: int) -> tuple[str, dict[str, Any]]:
    """ "a cyclist in a red top who rides a bicycle and six people who run", at most `limit`, and its slots."""
    groups = _groups(targets)[:limit]
    said, single = [], []
    for group in groups:
        first = group[0]
        if len(group) > 1:
            said.append(f"{several_of(group)} {who(first)} {doing(first, many=True)}")
        else:
            said.append(f"{phrase(first)} {who(first)} {doing(first)}")
            single.append(first)
    rest = len(targets) - sum(len(group) for group in groups)
    if rest:
        said.append(f"{count_word(rest)} more")
    slots = _slots([group[0] for group in groups], full=False, deeds=True, colour=False)
    if shown := tuple(dict.fromkeys(c for t in single for c in colours(t, full=False))):
        slots["colour"] = shown
    return listed(said), slots


def _slots(
    targets: Sequence[TargetRecord], full: bool = False, deeds: bool = False, colour: bool = True
) -> dict[str, Any]:
    slots: dict[str, Any] = {"noun": tuple(dict.fromkeys(t.noun for t in targets))}
    if deeds:
        slots["action"] = tuple(dict.fromkeys(t.anomaly for t in targets))
    if colour and (shown := tuple(dict.fromkeys(c for t in targets for c in colours(t, full)))):
        slots["colour"] = shown
    return slots
