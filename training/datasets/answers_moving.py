"""True answers about movement, place and time, in the words of heatmap/motion.py and chat/facts.py.

Next: training/slots.py
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chat.facts import at_cell, capital, listed, stretch
from heatmap.motion import place
from training.datasets.answers_things import Answer, Named
from training.datasets.qa_words import doing
from training.datasets.records import TargetRecord

_SUMMARY = re.compile(
    r"moves (?P<how>slightly |quickly |slowly )?(?P<way>(?:up|down|left|right)(?: and (?:left|right))?)"
    r"(?: within the [a-z ]+?|, from the [a-z ]+? to the [a-z ]+?)?(?P<tail>,.*)?$"
)


def motion(named: Sequence[Named], brief: int = 0) -> Answer:
    """The trajectory, T-VAD's third question. brief: 1 without turns, stops and changes of speed, 2 without borders."""
    if brief > 1:
        named = [replace(n, target=replace(n.target, entry=None, exit=None)) for n in named]
    texts = zip(*[_motion_texts(n, brief > 0) for n in named], strict=True)
    slots = _joined([motion_slots(n.target) for n in named])
    return Answer(tuple(" ".join(text) for text in texts), {"noun": _nouns(named), **slots})


def motion_slots(target: TargetRecord) -> dict[str, Any]:
    """Direction (one of DIRECTIONS, "still" or "back"), first and last cell, and the borders it crosses."""
    start, end = ends(target)
    slots = {"direction": way_of(target), "start": start, "end": end}
    if target.entry:
        slots["entry"] = target.entry
    if target.exit:
        slots["exit"] = target.exit
    return slots


def way_of(target: TargetRecord) -> str:
    if target.motion.direction is not None:
        return target.motion.direction
    return "back" if "comes back" in target.motion.summary else "still"


def ends(target: TargetRecord) -> tuple[str, str]:
    """The cells in which it is first and last, as its motion is told."""
    if way_of(target) == "back":
        return target.cells[0], target.cells[0]
    return target.cells[0], target.cells[-1]


def _motion_texts(n: Named, brief: bool) -> tuple[str, str, str, str]:
    target = n.target
    borders = _borders(target)
    also = f" {n.start} {borders}." if borders else ""
    (start, end), way = ends(target), way_of(target)
    if way == "back":
        return (
            f"{_crossing(n, target.motion.summary)}.",
            f"{n.start} goes away from {place(start)} and returns to {place(start)}.{also}",
            f"{n.start} moves and then comes back to {place(start)}.{also}",
            f"{n.start} leaves its place and is back at {place(start)} later.{also}",
        )
    if way == "still":
        there = at_cell(start) if start == end else f"between {place(start)} and {place(end)}"
        return (
            f"{_crossing(n, f'stays {there}')}.",
            f"{n.start} does not move: it remains {there}.{also}",
            f"{n.start} stands still {there}.{also}",
            f"{n.start} keeps its place {there}.{also}",
        )
    how, tail = _manner(target, brief)
    to = way.replace("-", " and ") if "-" in way or way in ("up", "down") else f"to the {way}"
    first = f"moves {how}{way.replace('-', ' and ')}"
    with_how = f" {how.rstrip()}" if how else ""
    if start == end:
        return (
            f"{_crossing(n, f'{first} within {place(start)}{tail}')}.",
            f"{n.start} goes {how}{to}, all the way within {place(start)}{tail}.{also}",
            f"{n.start} travels {to}{with_how} and is {at_cell(start)} all the time{tail}.{also}",
            f"Within {place(start)}, {n.name} heads {how}{to}{tail}.{also}",
        )
    return (
        f"{_crossing(n, f'{first}, from {place(start)} to {place(end)}{tail}')}.",
        f"{n.start} starts {at_cell(start)}, goes {how}{to} and ends {at_cell(end)}{tail}.{also}",
        f"{n.start} travels {to}{with_how}: first it is {at_cell(start)}, last {at_cell(end)}{tail}.{also}",
        f"From {place(start)} to {place(end)}, {n.name} heads {how}{to}{tail}.{also}",
    )


def _manner(target: TargetRecord, brief: bool) -> tuple[str, str]:
    """ "quickly " and ", turning on the way": how it moves, as the summary says it."""
    found = _SUMMARY.match(target.motion.summary)
    if not found:
        return "", ""
    return found["how"] or "", "" if brief else found["tail"] or ""


def _borders(target: TargetRecord) -> str:
    said = [f"enters through the {target.entry} border"] if target.entry else []
    if target.exit:
        said.append(f"leaves through the {target.exit} border")
    return " and ".join(said)


def _crossing(n: Named, middle: str) -> str:
    """ "The van enters through the left border, moves right and leaves through the right border"."""
    came, gone = n.target.entry, n.target.exit
    text = n.start
    text += f" enters through the {came} border, then {middle}" if came else f" {middle}"
    return f"{text}, and leaves through the {gone} border" if gone else text


def where(named: Sequence[Named]) -> Answer:
    texts = zip(*[_where_texts(n) for n in named], strict=True)
    slots = _joined([dict(zip(("start", "end"), ends(n.target), strict=True)) for n in named])
    return Answer(tuple(" ".join(text) for text in texts), {"noun": _nouns(named), **slots})


def _where_texts(n: Named) -> tuple[str, str, str, str]:
    start, end = ends(n.target)
    if start == end:
        there = at_cell(start)
        return (
            f"{n.start} is {there}.",
            f"{n.start} can be seen {there}.",
            f"{capital(there)} there is {n.name}.",
            f"Look {there}: that is {n.name}.",
        )
    first, last = at_cell(start), at_cell(end)
    return (
        f"{n.start} is {first} first and {last} last.",
        f"{n.start} starts {first} and ends {last}.",
        f"{capital(first)} at the start and {last} at the end: that is {n.name}.",
        f"First {n.name} is {first}, last {last}.",
    )


def entry(named: Sequence[Named]) -> Answer:
    return _border_answer(named, "entry")


def exit_(named: Sequence[Named]) -> Answer:
    return _border_answer(named, "exit")


def _border_answer(named: Sequence[Named], which: str) -> Answer:
    texts = zip(*[(_came if which == "entry" else _gone)(n) for n in named], strict=True)
    borders = tuple(getattr(n.target, which) or "none" for n in named)
    return Answer(tuple(" ".join(text) for text in texts), {"noun": _nouns(named), which: borders})


def _came(n: Named) -> tuple[str, str, str, str]:
    if border := n.target.entry:
        return (
            f"{n.start} enters through the {border} border.",
            f"{n.start} comes in through the {border} border.",
            f"Through the {border} border {n.name} comes in.",
            f"{n.start} comes from the {border} side.",
        )
    if n.target.from_start:
        return (
            f"{n.start} is there from the start.",
            f"{n.start} is already there at the start.",
            f"From the start {n.name} is there.",
            f"When the video starts, {n.name} is already there.",
        )
    return (
        f"{n.start} appears inside the picture.",
        f"{n.start} begins inside the picture, at no border.",
        f"Inside the picture {n.name} appears.",
        f"{n.start} comes in through no border.",
    )


def _gone(n: Named) -> tuple[str, str, str, str]:
    if border := n.target.exit:
        return (
            f"{n.start} leaves through the {border} border.",
            f"{n.start} goes out through the {border} border.",
            f"Through the {border} border {n.name} leaves.",
            f"{n.start} disappears on the {border} side.",
        )
    if n.target.to_end:
        return (
            f"{n.start} is there until the end.",
            f"{n.start} is still there at the end.",
            f"Until the end {n.name} is there.",
            f"When the video ends, {n.name} is still there.",
        )
    return (
        f"{n.start} disappears inside the picture.",
        f"{n.start} ends inside the picture, at no border.",
        f"Inside the picture {n.name} disappears.",
        f"{n.start} leaves through no border.",
    )


def when(named: Sequence[Named]) -> Answer:
    slots = {
        "noun": _nouns(named),
        "action": tuple(dict.fromkeys(n.target.anomaly for n in named)),
        "span": tuple(span_of(n.target) for n in named),
    }
    times = [listed([stretch(a, b) for a, b in _told(n.target)]) for n in named]
    pairs = list(zip(named, times, strict=True))
    return Answer(
        (
            " ".join(f"{n.start} {doing(n.target)} {t}." for n, t in pairs),
            " ".join(f"{capital(t)} {n.name} {doing(n.target)}." for n, t in pairs),
            " ".join(f"{n.start} {doing(n.target)}, which lasts {t}." for n, t in pairs),
            " ".join(f"The anomaly is {t}, when {n.name} {doing(n.target)}." for n, t in pairs),
        ),
        slots,
    )


def span_of(target: TargetRecord) -> tuple[float, float]:
    """First and last second as they are told, to a tenth."""
    return round(target.start_s, 1), round(target.end_s, 1)


def _told(target: TargetRecord) -> Sequence[tuple[float, float]]:
    """At most two stretches; more are told as one from the first to the last."""
    return target.stretches_s if len(target.stretches_s) <= 2 else ((target.start_s, target.end_s),)


def _nouns(named: Sequence[Named]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(n.target.noun for n in named))


def _joined(each: Sequence[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Slots of several targets -> for each slot its values in their order, where a target has one."""
    keys = dict.fromkeys(key for slots in each for key in slots)
    return {key: tuple(slots[key] for slots in each if key in slots) for key in keys}
