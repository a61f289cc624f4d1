"""Snippet features of the preset `mini`: what 16 frames look like and how things move around them, as one vector.

    stream = SnippetStream(fps)              fps of the source; a snippet is 16 of its frames
    for features in Encoder().features(clips, flow=True):
        vectors += stream.push(look(features))    (DIM,) each; look: tvad.people.PeopleLook
    vectors += stream.finish()

Five parts: the frame (what is in the picture), the patches that change, weighted by how much (what moves),
movement.py and flow_code.py (how), and company.py (who). Half a second is too short to tell a blow from a step, so
movement is that of the snippet and a little before and after it. Ours.

Next: tvad/temporal/extract.py
"""

from collections.abc import Iterator, Sequence

import numpy as np

from tvad.encoder import C_APPEARANCE, Features
from tvad.people import looks
from tvad.temporal.company import NAMES as COMPANY_NAMES
from tvad.temporal.company import company
from tvad.temporal.constants import SNIPPET
from tvad.temporal.flow_code import FLOW_DIM, FlowCode
from tvad.temporal.movement import NAMES, busiest_region, movement

FRAME = 224
AROUND_S = 0.75  # before and after a snippet, for its movement
DIM_PLAIN = FRAME + C_APPEARANCE + len(NAMES)  # without flow, as all features were before there was any
MOVEMENT = slice(FRAME + C_APPEARANCE, DIM_PLAIN)
FLOW = slice(DIM_PLAIN, DIM_PLAIN + FLOW_DIM)
DIM_FLOW = FLOW.stop  # without people, as they were before anybody was looked for
COMPANY = slice(DIM_FLOW, DIM_FLOW + len(COMPANY_NAMES))
DIM = COMPANY.stop
LEAST = 1e-3


class SnippetStream:
    """Features of one video in, snippet vectors out, a snippet at a time: memory does not grow with the video."""

    def __init__(self, fps: float, snippet: int = SNIPPET, start_s: float = 0.0) -> None:
        """fps: of the source, above 0. snippet: how many of its frames are one. start_s: where the first one begins.
        Of features without flow, snippets have DIM_PLAIN numbers; with flow and without people, DIM_FLOW."""
        if not fps > 0:
            raise ValueError(f"{fps} frames a second; it must be above 0")
        self.seconds, self.start_s = snippet / fps, start_s
        self.number = 0
        self._held: list[Features] = []
        self._looks: dict[float, np.ndarray] = {}  # what was told of the people at a time
        self._last: tuple[tuple[float, ...], tuple[np.ndarray, np.ndarray]] = ((), (np.zeros(0), np.zeros(0)))

    def push(self, features: Features) -> list[np.ndarray]:
        """The snippets that are complete with these features."""
        return [row for row, _ in self.push_places(features)]

    def finish(self) -> list[np.ndarray]:
        """The rest; the last snippet may be shorter."""
        return [row for row, _ in self.finish_places()]

    def push_places(self, features: Features) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """As `push`, each with where its movement is busiest, (h, w) bool; made as they are taken, all of which must
        happen before the next push."""
        if len(features):
            self._held.append(features)
        return self._take(final=False)

    def finish_places(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """As `finish`, each with where its movement is busiest."""
        return self._take(final=True)

    def _take(self, final: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while self._held:
            start, end = (self.start_s + n * self.seconds for n in (self.number, self.number + 1))
            last = float(self._held[-1].times_s[-1])
            if (not final and last < end + AROUND_S) or last < start - 1e-6:
                break
            if len(self._held) > 1:
                self._held = [Features.join(self._held)]
            yield self._described(self._held[0], start, end)
            self.number += 1
            left = _between(self._held[0], end - AROUND_S, np.inf)
            self._held = [left] if len(left) else []
            self._looks = {t: told for t, told in self._looks.items() if t >= end - AROUND_S}

    def _described(self, held: Features, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
        """Row and place. Where frames are hours apart (a damaged file, a slow recorder), thousands of snippets in a row
        are told by the same frame, and are described once."""
        own, around = _between(held, start, end), _between(held, start - AROUND_S, end + AROUND_S)
        middle = held.times_s[np.abs(held.times_s - (start + end) / 2).argmin()]
        key = () if len(own) else (float(middle), *around.times_s.tolist())
        if not key or key != self._last[0]:
            self._last = key, (describe(held, start, end, self._looks), busiest(held, start, end))
        return self._last[1]


def describe(
    features: Features, start_s: float, end_s: float, known: dict[float, np.ndarray] | None = None
) -> np.ndarray:
    """(DIM,) float32 of the snippet [start_s, end_s), from the frames of it and around it; (DIM_PLAIN,) of features
    without flow, (DIM_FLOW,) with flow and without people. Where sampling is so slow that no frame lies in it, it looks
    like the nearest. known: as `known` of company.py."""
    own = _between(features, start_s, end_s)
    around = _between(features, start_s - AROUND_S, end_s + AROUND_S)
    if not len(own):
        middle = np.abs(features.times_s - (start_s + end_s) / 2).argmin()
        own = _rows(features, slice(int(middle), int(middle) + 1))
    if not len(around):
        around = own
    weight = own.changed[..., None]
    moved = (own.patch * weight).sum((0, 1, 2)) / max(float(weight.sum()), LEAST * own.changed.size)
    moves = movement(around.motion, around.moving, around.changed, around.times_s)
    lively = [FlowCode.packaged()(around.flow)] if around.flow.shape[-1] else []
    if lively and around.people.shape[1]:
        seen = [(n, rows) for n, _, rows in looks(around)]
        lively.append(company(seen, around.motion, around.moving, around.changed, around.times_s, known))
    return np.concatenate([own.frame.mean(0), moved, moves, *lively]).astype(np.float32)


def busiest(features: Features, start_s: float, end_s: float) -> np.ndarray:
    """Where the movement of a snippet and around it is strongest, (h, w) bool; nowhere where nothing moves."""
    around = _between(features, start_s - AROUND_S, end_s + AROUND_S)
    flow = around.moving * around.motion[..., 2]
    return busiest_region(flow) if len(around) and flow.any() else np.zeros(features.moving.shape[1:], bool)


def whole(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """(n, DIM) of a video's snippets; ValueError where there are none."""
    if not len(vectors):
        raise ValueError("no snippet: the video has no frames")
    return np.stack(vectors)


def _between(features: Features, start_s: float, end_s: float) -> Features:
    """The frames of a stretch, its end left out."""
    first, last = np.searchsorted(features.times_s, [start_s - 1e-6, end_s - 1e-6])
    return _rows(features, slice(int(first), int(last)))


def _rows(features: Features, which: slice) -> Features:
    return Features(*(getattr(features, name)[which] for name in Features.__dataclass_fields__))
