"""What can be known of a clip from what was found in it: the truth that answers are trained on and held against.

Heat, tracks and looks do not tell everything. Of a thing that the classifier does not know, nobody can say from them
whether it is a cyclist; whether somebody steals or climbs they never show, only that it is unusual. A model that is
trained to say so anyway learns to invent. So names and deeds that nothing tells of are taken out of the truth, and it
says "a person who behaves unusually". How far a thing was followed is not all of its way either: in training, it moves
as its track does. Ours; the paper does not treat it.

Next: training/lvlm/data.py
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.datasets.truth import UNNAMED, ClipTruth, Target
from training.lvlm.scenes import DRESSED
from tvad.evidence import Track

# Deeds that a known thing's name, pace and company tell.
TOLD = frozenset((
    "cycling", "skating", "driving", "running", "loitering", "abandoned object", "crowd panic", "fire", "explosion",
))  # fmt: skip
# Deeds that people's pace and company tell, even where only their size tells that they are people.
TOLD_OF_ANYONE = frozenset({"loitering", "crowd panic"})
UNUSUAL = "behaves unusually"


@dataclass(frozen=True)
class Known:
    """What the evidence tells of the targets, by their ids. clear: the classifier knows them; coloured: their colours
    were seen; vehicles: the finder of people calls them so; named: their deed has its name in the evidence."""

    clear: Container[int] = ()
    coloured: Container[int] = ()
    vehicles: Container[int] = ()
    named: Container[int] = ()


def tellable(truth: ClipTruth, known: Known) -> ClipTruth:
    """The truth of a clip as far as its evidence can tell. What has no track is left as it is: nothing is asked of
    it."""
    return replace(truth, targets=tuple(_told(t, known) for t in truth.targets))


def as_followed(truth: ClipTruth, tracks: Sequence[Track], matched: Mapping[int, int]) -> ClipTruth:
    """The truth in which anomalous targets move as their tracks show it: where, when and how far they were followed,
    which is what a reader can check. matched: id of a track -> id of its target. Targets without a track stay."""
    return replace(truth, targets=tuple(_followed(t, tracks, matched) for t in truth.targets))


def _followed(target: Target, tracks: Sequence[Track], matched: Mapping[int, int]) -> Target:
    own = [track for track in tracks if matched.get(track.id) == target.id]
    if target.anomaly is None or not own:
        return target
    boxes = {round(box.t_s, 3): box.xyxy for track in own for box in track.boxes}
    times = sorted(boxes)
    return replace(
        target,
        anomalous_s=((times[0], times[-1]),),
        times_s=tuple(times),
        boxes=tuple(boxes[t] for t in times),
        seen=tuple(np.ones(len(times)).tolist()),
    )


def _told(target: Target, known: Known) -> Target:
    if target.anomaly is None:
        return target
    clear = target.id in known.clear
    noun = target.noun if clear else "person" if target.noun in DRESSED else "object"
    if target.id in known.vehicles and not clear:
        noun = "vehicle"
    told = target.anomaly in TOLD if clear else target.anomaly in TOLD_OF_ANYONE and noun == "person"
    told = told or target.id in known.named
    return replace(
        target,
        noun=noun,
        anomaly=target.anomaly if told else UNNAMED,
        action=target.action if told else UNUSUAL,
        colours=target.colours if target.id in known.coloured else {},
        carried=target.carried if clear else "",
    )
