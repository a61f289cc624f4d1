"""The watcher: follows moving things through a stream of frames and looks at each a few times.

A look is a crop of one and a half boxes through the packaged classifier. A thing is first looked at when it was seen
three times, then every half second and later every second, so the cost follows the number of things and not of frames.
What was seen is handed out in pieces, so memory does not grow with the video.

Next: tvad/parts.py
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import cv2
import numpy as np

from heatmap.objects import Box, MovingObjects, Proposal, ProposalLinker
from tvad.classifier import BATCH, N_CLASSES, Classifier
from tvad.encoder import EncoderStream, Features
from tvad.video import Clip

FIRST_LOOK = 3  # sightings
LOOK_EVERY_S = 0.5
LATER_EVERY_S = 1.0  # once a thing has been looked at FREQUENT_LOOKS times
FREQUENT_LOOKS = 6
CROP = 1.5  # crop side in box sides
SHOTS = 3  # pictures kept of each thing, for its colours
SHOT_PX = 64
LIFE_S = 600.0  # a thing that stays longer is handed out in pieces


@dataclass(eq=False)
class Shot:
    """A small picture of a thing: rgb (h, w, 3) uint8 and mask (h, w) bool, both cut to its box; whether the frame's
    border cuts the thing, too."""

    rgb: np.ndarray
    mask: np.ndarray
    t_s: float
    cut: bool = False

    @property
    def worth(self) -> tuple[bool, int]:
        """What is whole tells more than what is large."""
        return not self.cut, self.mask.size


@dataclass(eq=False)
class Thing:
    """One moving thing. boxes (n, 4) px of the analysed frame at times_s (n,), area (n,) share of the frame;
    looks at look_times_s (m,) with logits (m, 1000) float16."""

    id: int
    boxes: list[Box] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    area: list[float] = field(default_factory=list)
    look_times_s: list[float] = field(default_factory=list)
    logits: list[np.ndarray] = field(default_factory=list)
    shots: list[Shot] = field(default_factory=list)

    @property
    def look_logits(self) -> np.ndarray:
        """(m, 1000) float32."""
        return np.array(self.logits, np.float32).reshape(-1, N_CLASSES)

    def box_at(self, t_s: float) -> Box:
        """The box at a time, interpolated between sightings."""
        boxes = np.array(self.boxes)
        return tuple(float(np.interp(t_s, self.times_s, boxes[:, i])) for i in range(4))  # type: ignore[return-value]


def encoded_and_watched(clips: Iterable[Clip], stream: EncoderStream, watcher: "Watcher") -> Iterator[Features]:
    """Features of the clips, while the watcher looks at the same frames: the encoder works in a thread of its own."""
    with ThreadPoolExecutor(1, thread_name_prefix="encode") as pool:
        coming: Future[list[Features]] | None = None
        for clip in clips:
            ready = coming.result() if coming else []
            coming = pool.submit(stream.push, clip)
            for frame, t in zip(clip.frames, clip.times_s, strict=True):
                watcher.step(frame, float(t))
            yield from ready  # whoever takes these works while the encoder does
        yield from coming.result() if coming else []
        yield from stream.finish()


class Watcher:
    """Feed frames in order with `step`; `take_ended` hands out things that have gone, `finish` the rest."""

    def __init__(self, classifier: Classifier | None) -> None:
        self.classifier = classifier
        self.objects = MovingObjects()
        self.linker = ProposalLinker()
        self.things: dict[int, Thing] = {}
        self.ended: list[Thing] = []
        self._unclassified: list[tuple[Thing, np.ndarray]] = []  # crops; several at once are cheaper

    def step(self, frame: np.ndarray, t_s: float) -> None:
        """One frame (H, W, 3) uint8 RGB."""
        proposals = self.objects.step(frame, t_s)
        ids, gone = self.linker.step([p.box_xyxy for p in proposals], t_s)
        self.ended += [self.things.pop(track.id) for track in gone]
        due: list[tuple[Thing, Proposal]] = []
        for identity, proposal in zip(ids, proposals, strict=True):
            thing = self.things.setdefault(identity, Thing(identity))
            if thing.times_s and t_s - thing.times_s[0] > LIFE_S:
                self.ended.append(thing)
                thing = self.things[identity] = Thing(identity)
            thing.boxes.append(proposal.box_xyxy)
            thing.times_s.append(t_s)
            thing.area.append(proposal.area_frac)
            waited = t_s - thing.look_times_s[-1] if thing.look_times_s else np.inf
            pause = LOOK_EVERY_S if len(thing.look_times_s) < FREQUENT_LOOKS else LATER_EVERY_S
            if len(thing.times_s) >= FIRST_LOOK and waited >= pause - 1e-6:
                due.append((thing, proposal))
        self._look(frame, t_s, due)

    def take_ended(self) -> list[Thing]:
        """Things that have gone since the last call."""
        self._classify()
        ended, self.ended = self.ended, []
        return ended

    def finish(self) -> list[Thing]:
        """All that is left, at the end of the video."""
        rest = [*self.take_ended(), *self.things.values()]
        self.things = {}
        return rest

    def _look(self, frame: np.ndarray, t_s: float, due: list[tuple[Thing, Proposal]]) -> None:
        for thing, proposal in due:
            thing.look_times_s.append(t_s)
            self._unclassified.append((thing, crop(frame, proposal.box_xyxy)))
            self._remember(thing, frame, proposal, t_s)
        if len(self._unclassified) >= BATCH:
            self._classify()

    def _classify(self) -> None:
        waiting, self._unclassified = self._unclassified, []
        if self.classifier and waiting:
            for (thing, _), row in zip(waiting, self.classifier.logits([c for _, c in waiting]), strict=True):
                thing.logits.append(row.astype(np.float16))

    def _remember(self, thing: Thing, frame: np.ndarray, proposal: Proposal, t_s: float) -> None:
        """Keep the largest pictures of a thing, whole ones first."""
        x0, y0, x1, y1 = (round(v) for v in proposal.box_xyxy)
        own = frame[max(y0, 0) : y1, max(x0, 0) : x1]
        if 0 in own.shape:
            return
        scale = min(1.0, SHOT_PX / max(own.shape[:2]))
        size = (max(1, round(own.shape[1] * scale)), max(1, round(own.shape[0] * scale)))
        cut = min(x0, y0) <= 0 or x1 >= frame.shape[1] or y1 >= frame.shape[0]
        if len(thing.shots) == SHOTS:
            worst = min(thing.shots, key=lambda s: s.worth)
            if (not cut, size[0] * size[1]) <= worst.worth:
                return
            thing.shots.remove(worst)
        mask = cv2.resize(proposal.mask_hw.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
        thing.shots.append(Shot(cv2.resize(own, size, interpolation=cv2.INTER_AREA), mask, t_s, cut))


def crop(frame: np.ndarray, box: Box) -> np.ndarray:
    """The square around a box, CROP times its longer side, cut at the frame; never empty."""
    height, width = frame.shape[:2]
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    reach = max(box[2] - box[0], box[3] - box[1], 4.0) * CROP / 2
    left, top = int(np.clip(x - reach, 0, width - 2)), int(np.clip(y - reach, 0, height - 2))
    right, bottom = int(np.clip(x + reach, left + 1, width)), int(np.clip(y + reach, top + 1, height))
    return frame[top:bottom, left:right]
