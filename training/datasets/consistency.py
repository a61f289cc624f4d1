"""Whether a record and its dialogue agree with themselves: what is told is in the record, and the record in its window.

Captions come from a model and wordings from tables, so both are held against the truth before they are learned
(T-VAD, cross-modal consistency check).

Next: training/datasets/folders.py
"""

from collections.abc import Iterator, Sequence

from chat.claims import Sentence, thing_claims
from chat.lexicon import kin, opposed
from heatmap.motion import CELLS
from training.datasets.answers_moving import motion_slots
from training.datasets.qa import QA
from training.datasets.qa_words import NAMELESS
from training.datasets.records import ClipRecord, TargetRecord
from training.slots import slots

SLACK_S = 0.06  # times are told to a tenth
_VERDICTS = {"whether": True, "normal": False}  # kind -> whether yes means an anomaly
_FREE = ("absent", "unanswerable", "colour")  # kinds that may speak of what is not there
_ARROWS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}


def problems(record: ClipRecord, turns: Sequence[QA], any_mask: bool | None = None) -> list[str]:
    """One sentence for each contradiction, none for a record to keep.

    any_mask: whether the masks of the window hold an anomalous pixel, where they were read.
    """
    found = list(_of_record(record, any_mask))
    for target in record.targets:
        found += _of_caption(target)
    for qa in turns:
        found += _of_answer(record, qa)
    return list(dict.fromkeys(found))


def _of_record(record: ClipRecord, any_mask: bool | None) -> Iterator[str]:
    if any_mask is not None and any_mask != record.has_anomaly:
        yield f"the masks are {'not ' if any_mask else ''}empty, the record has {len(record.targets)} targets"
    first, last = record.window
    for t in record.targets:
        if t.frames[0] < first or t.frames[-1] > last:
            yield f"target {t.id} is in frames {t.frames[0]} to {t.frames[-1]}, outside the window {first} to {last}"
        if unknown := set(t.cells) - {cell for row in CELLS for cell in row}:
            yield f"target {t.id} passes unknown cells {sorted(unknown)}"


def _of_caption(target: TargetRecord) -> Iterator[str]:
    """A caption may name things of the target's own kind only; people are no claim, except that it is one."""
    if not target.appearance or target.noun in NAMELESS:
        return
    own = kin(target.noun).union(*(kin(word) for word in target.noun.split()))
    for thing in thing_claims(Sentence(target.appearance)):
        if thing != target.carried and not kin(thing) & own:
            yield f"target {target.id} is called a {target.noun}, its appearance speaks of a {thing}"


def _of_answer(record: ClipRecord, qa: QA) -> Iterator[str]:
    said = slots(qa.answer)
    about = [t for t in record.targets if t.id in qa.targets] or list(record.targets)
    if qa.kind in _VERDICTS and "verdict" in said:
        if (said["verdict"] == "yes") != (record.has_anomaly == _VERDICTS[qa.kind]):
            yield f"asked {qa.kind!r}, the answer is {said['verdict']}; the record has {len(record.targets)} targets"
    elif qa.kind in _VERDICTS:
        yield f"asked {qa.kind!r}, the answer has neither yes nor no: {qa.answer!r}"
    cells = {cell for t in about for cell in t.cells}
    for cell in dict.fromkeys((*said.get("start", ()), *said.get("end", ()))):
        if cell not in cells:
            yield f"the answer names the cell {cell}; the path is {sorted(cells)}"
    low, high = record.start_s - SLACK_S, record.end_s + SLACK_S
    for a, b in said.get("span", ()):
        if a < low or b > high:
            yield f"the answer tells {a:.1f} to {b:.1f} s; the window is {record.start_s:.1f} to {record.end_s:.1f} s"
    ways = [motion_slots(t)["direction"] for t in about]
    for way in said.get("direction", ()):
        if ways and all(_apart(way, true) for true in ways):
            yield f"the answer goes {way}; the record goes {' and '.join(ways)}"
    if qa.kind not in _FREE:
        nouns = [t.noun for t in about]
        for noun in said.get("noun", ()):
            if not any(kin(noun) & kin(own) for own in nouns):
                yield f"the answer speaks of a {noun}; the record has {nouns}"


def _apart(said: str, true: str) -> bool:
    still = ("still", "back")
    if said in still or true in still:
        return said != true
    return opposed(_arrow(said), _arrow(true))


def _arrow(way: str) -> tuple[int, int]:
    steps = [_ARROWS[word] for word in way.split("-")]
    return sum(x for x, _ in steps), sum(y for _, y in steps)
