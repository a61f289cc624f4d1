"""Key frames: the moments of a video that speak for its findings, marked, for language models that read pictures.

Boxes carry the numbers of their tracks, so that an answer can name them; a second picture of a moment shows its heat.

Next: chat/prompt.py
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from chat.facts import seconds
from heatmap.render import blend_heat, draw_boxes
from tvad.evidence import Analysis, Event
from tvad.outputs import Scene
from tvad.stills import analysed_stretch
from tvad.video import VideoError, VideoReader

SIDE_PX = 640
JPEG_QUALITY = 85
SPREAD = (0.5, 0.1, 0.9)  # of the analysed stretch, the moments that are shown where nothing was found
MARKED, HEAT = "marked", "heat"


@dataclass(frozen=True)
class KeyFrame:
    """One picture. caption: a sentence that says what it shows; jpeg: RGB, at most SIDE_PX on the longer side."""

    t_s: float
    caption: str
    jpeg: bytes


@dataclass(frozen=True)
class _Moment:
    t_s: float
    kind: str
    about: str


def key_frames(analysis: Analysis, source: str | Path, most: int) -> tuple[KeyFrame, ...]:
    """At most so many pictures, in order of time: the strongest moment of each event, its heat, its beginning and end.

    Without an event: moments spread over the video, and the heat of its highest score. VideoError when the video
    cannot be read at all.
    """
    moments = sorted(_moments(analysis)[:most], key=lambda m: (m.t_s, m.kind == HEAT))
    scene = Scene(analysis)
    made: list[KeyFrame] = []
    trouble: VideoError | None = None
    for moment in moments:
        try:
            made.append(_key_frame(scene, source, moment))
        except VideoError as error:  # a damaged stretch: the others may be whole
            trouble = error
    if trouble and not made:
        raise trouble
    return tuple(made)


def _moments(analysis: Analysis) -> list[_Moment]:
    """What there is to show, the most telling first."""
    evidence, curves = analysis
    has_heat = bool(len(curves.heat_times_s))
    if not evidence.events:
        start_s, end_s = analysed_stretch(analysis)
        found = [_Moment(start_s + share * (end_s - start_s), MARKED, "no event") for share in SPREAD]
        if has_heat and len(curves.scores):
            peak_s = float(curves.times_s[int(np.argmax(curves.scores))])
            found.insert(1, _Moment(peak_s, HEAT, "the highest score of the video, below the alarm threshold"))
        return found
    events = sorted(evidence.events, key=lambda e: -e.score)
    found = [_Moment(e.peak_s, MARKED, f"event {e.id}, its strongest moment") for e in events]
    heat = [_Moment(e.peak_s, HEAT, f"event {e.id}, its strongest moment") for e in events if has_heat]
    # The strongest event is seen with its heat before the weaker ones are seen at all.
    found[1:1] = heat[:1]
    for event in events:
        found += [_Moment(t_s, MARKED, f"event {event.id}, {name}") for t_s, name in _ends(event)]
    return found + heat[1:]


def _ends(event: Event) -> list[tuple[float, str]]:
    ends = ((event.start_s, "its beginning"), (event.end_s, "its end"))
    return [(t_s, name) for t_s, name in ends if abs(t_s - event.peak_s) > 0.3]


def _key_frame(scene: Scene, source: str | Path, moment: _Moment) -> KeyFrame:
    picture, t_s = _frame(source, moment.t_s)
    size_wh = (picture.shape[1], picture.shape[0])
    boxes = scene.boxes(t_s, size_wh)
    heat = scene.heat(t_s) if moment.kind == HEAT else None
    if heat is not None:
        picture = blend_heat(picture, heat)
        said = "warm colours lie where the picture is unusual"
    else:
        said = "boxes carry the numbers of their tracks" if boxes else "no track is in it"
    data = io.BytesIO()
    Image.fromarray(draw_boxes(picture, boxes)).save(data, "JPEG", quality=JPEG_QUALITY)
    return KeyFrame(t_s, f"At {seconds(t_s)} ({moment.about}); {said}:", data.getvalue())


def _frame(source: str | Path, t_s: float) -> tuple[np.ndarray, float]:
    """The frame at t_s, SIDE_PX at most, or one shortly before where there is none, with its time."""
    trouble = None
    for begin_s in (t_s, max(0.0, t_s - 1.0)):
        reader = VideoReader(source, None, begin_s or None, t_s + 2.0, chunk=1, prefetch=False, max_side=SIDE_PX)
        try:
            clip = next(iter(reader))
        except VideoError as error:
            trouble = error
        else:
            return clip.frames[0], float(clip.times_s[0])
    raise trouble or VideoError(f"{source}: no frame at {t_s:.2f} s")
