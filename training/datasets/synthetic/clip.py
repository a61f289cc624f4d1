"""Clip: one synthetic clip, drawn frame by frame through its camera, with the exact truth.

    place -> camera -> Layout -> Play -> backdrop -> frames and instance ids -> ClipTruth

Everything follows from (seed, split, arguments): the same ones give the same bytes. Boxes are (x0, y0, x1, y1) with x1
and y1 one past the last visible pixel.

Next: training/datasets/synthetic/camera.py
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from training.datasets.synthetic import actors, scripts
from training.datasets.synthetic import backdrop as painting
from training.datasets.synthetic import conditions as weather
from training.datasets.synthetic.backdrop_real import as_it_was, is_known, real_backdrop, real_place
from training.datasets.synthetic.camera import Camera
from training.datasets.synthetic.layouts import LAYOUTS, SPLIT_LAYOUTS
from training.datasets.synthetic.layouts_place import Place
from training.datasets.synthetic.picture import Picture, Shown
from training.datasets.synthetic.stage import Layout, Play
from training.datasets.truth import ANOMALIES, ClipTruth, Target
from tvad.evidence import write_atomic

if TYPE_CHECKING:
    from training.datasets.synthetic.assets import Assets

ANOMALOUS_SHARE = 0.5
REAL_SHARE = 0.2  # of the training clips, before a real picture where there are assets
MIN_PIXELS = 12
MAX_IDS_WIDTH = 320
TRIES = 12
TAKE_S = 20.0
SEEN_FRAMES = 5  # frames in which an anomaly must be visible


@dataclass
class _Seen:
    times_s: list[float] = field(default_factory=list)
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)


@dataclass
class SyntheticClip:
    """A clip that is ready to be drawn. Draw it with `frames`; `truth` draws it once where that has not been done.
    take: 0, or the number of an ordinary take of the same camera (`ordinary_take`)."""

    seed: int
    split: str
    place: Place
    camera: Camera
    layout: Layout
    play: Play
    conditions: weather.Conditions
    seconds: float
    fps: float
    photo: np.ndarray | None = None  # a real picture of the place, in the size of the frames
    take: int = 0

    @property
    def name(self) -> str:
        """Of its files: the seed, or the number of the take."""
        return str(self.take) if self.take else f"{self.seed:04d}"

    @property
    def times_s(self) -> np.ndarray:
        """(n,) seconds of the frames."""
        return np.arange(max(1, round(self.seconds * self.fps))) / self.fps

    @cached_property
    def backdrop(self) -> painting.Backdrop:
        if self.photo is not None:
            return real_backdrop(self.photo, self.camera)
        return painting.paint(self.place, self.camera, self.conditions.sun, _dice(self.seed, self.split, 3))

    def frames(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """RGB (H, W, 3) uint8 and instance ids (H, W) uint16 of every frame, in time; 0 is the background."""
        light = weather.Light(self.conditions, self.place, self.camera, _dice(self.seed, self.split, 4))
        picture = Picture(self.place, self.camera, self.backdrop, light)
        dice = _dice(self.seed, self.split, 5)
        faults = weather.Faults(self.conditions, self.camera.size_wh, self.fps, self.play.flash_s, dice)
        if self.take:  # the same camera, but other noise
            faults.rng = _dice(self.seed, self.split, 5, self.take)
        seen: dict[int, _Seen] = {}
        for t_s in self.times_s:
            frame, ids, shown = picture.draw(self.play.lives, float(t_s))
            if self.conditions.interlaced:
                later, later_ids, late = picture.draw(self.play.lives, float(t_s) + 0.02)
                frame[1::2], ids[1::2] = later[1::2], later_ids[1::2]
                shown = late | shown
            frame, ids = faults(frame, ids, float(t_s))
            for number, full in shown.items():
                note(seen.setdefault(number, _Seen()), ids, number, full, float(t_s))
            yield frame, ids
        self._truth = self._known(seen)

    @property
    def truth(self) -> ClipTruth:
        if not hasattr(self, "_truth"):
            for _ in self.frames():
                pass
        return self._truth

    def _known(self, seen: dict[int, _Seen]) -> ClipTruth:
        targets = []
        for number, life in enumerate(self.play.lives, 1):
            found = seen.get(number)
            if found is None or not found.times_s:
                continue
            spans = visible_spans(life.anomalous_s, found.times_s)
            targets.append(
                Target(
                    id=number,
                    noun=life.actor.noun,
                    anomaly=life.anomaly if spans else None,
                    anomalous_s=spans if life.anomaly else (),
                    action=life.action,
                    colours=dict(life.actor.colours),
                    carried=life.actor.carried,
                    times_s=tuple(found.times_s),
                    boxes=tuple(found.boxes),
                    seen=tuple(found.seen),
                )
            )
        return ClipTruth(
            id=f"{self.split}-{self.seed:06d}" + (f"-take-{self.take}" if self.take else ""),
            source=f"synthetic {self.split} {self.place.name} {self.seed}",
            split=self.split,
            layout=self.place.name,
            conditions=self.conditions.names,
            fps=self.fps,
            size_wh=self.camera.size_wh,
            duration_s=len(self.times_s) / self.fps,
            targets=tuple(targets),
        )


def note(found: _Seen, ids: np.ndarray, number: int, full: Shown, t_s: float) -> None:
    """Keep what of an actor is to be seen in a frame, if it is enough to be seen at all."""
    reach = 6 + ids.shape[1] // 12  # shake and lens move things by less
    x0, y0 = max(0, full.box[0] - reach), max(0, full.box[1] - reach)
    own = ids[y0 : full.box[3] + reach, x0 : full.box[2] + reach] == number
    count = int(np.count_nonzero(own))
    if count < MIN_PIXELS:
        return
    columns, rows = np.flatnonzero(own.any(0)), np.flatnonzero(own.any(1))
    box = (x0 + columns[0], y0 + rows[0], x0 + columns[-1] + 1, y0 + rows[-1] + 1)
    found.times_s.append(round(t_s, 6))
    found.boxes.append((float(box[0]), float(box[1]), float(box[2]), float(box[3])))
    found.seen.append(round(min(1.0, count / max(full.pixels, 1)), 4))


def visible_spans(spans: tuple[tuple[float, float], ...], times_s: list[float]) -> tuple[tuple[float, float], ...]:
    """Stretches cut down to the first and last moment at which their target was seen in them."""
    out = []
    for start, end in spans:
        inside = [t for t in times_s if start - 1e-6 <= t <= end + 1e-6]
        if inside:
            out.append((float(max(start, inside[0])), float(min(end, inside[-1]))))
    return tuple(out)


def _dice(seed: int, split: str, *part: int) -> np.random.Generator:
    return np.random.default_rng([seed, list(SPLIT_LAYOUTS).index(split), *part])


def make_clip(
    seed: int,
    *,
    layout: str | None = None,
    anomaly: str | None = "random",
    seconds: float = 8.0,
    fps: float = 10.0,
    size_wh: tuple[int, int] = (640, 360),
    split: str = "train",
    assets: "Assets | None" = None,
) -> SyntheticClip:
    """A clip of a split. anomaly: one of truth.ANOMALIES, None for an ordinary clip, or "random": about half are
    ordinary. layout: one of the split's, or None for any. assets: real people and places, mixed into training clips.

    Raises ValueError for what is unknown, for a layout of another split, and where an anomaly cannot happen.
    """
    check(seed, layout, anomaly, seconds, fps, size_wh, split)
    # Tests use nothing real: what is in a picture may also be in the clips that are tested on.
    assets = assets if split == "train" else None
    cast = actors.Cast(assets)
    dice = _dice(seed, split, 0)
    names = SPLIT_LAYOUTS[split]
    is_ordinary = anomaly is None or (anomaly == "random" and dice.random() >= ANOMALOUS_SHARE)
    real = [b for b in assets.backgrounds if is_known(b)] if assets and not layout else []
    why = ""
    for _ in range(TRIES):
        name = layout or names[int(dice.integers(len(names)))]
        photo = None
        if real and dice.random() < REAL_SHARE:
            place, camera, photo = real_place(real[int(dice.integers(len(real)))], size_wh, dice)
        else:
            place = LAYOUTS[name](dice)
            camera = Camera.aimed(place.view, size_wh, dice)
        seen = place.layout(camera)
        if not seen.walkable:
            continue
        possible = [None] if is_ordinary else fitting(seen, anomaly)
        if not possible:
            why = f"{anomaly!r} cannot happen in {name!r}, or is ordinary there"
            continue
        wanted = possible[int(dice.integers(len(possible)))]
        try:
            play = scripts.plan(seen, dice, seconds, wanted, cast)
        except ValueError as error:
            why = str(error)
            continue
        play = cast.recast(play, seconds, dice, camera.seen_heading)
        conditions = weather.sample(dice, place.indoor)
        if photo is not None:
            conditions = as_it_was(conditions, place.indoor, dice)
        clip = SyntheticClip(seed, split, place, camera, seen, play, conditions, seconds, fps, photo)
        if wanted is None or is_shown(clip):
            return clip
        why = f"{wanted!r} was hidden in {name!r}"
    raise ValueError(f"no clip from seed {seed} after {TRIES} tries: {why or 'nothing to walk on'}; try another seed")


def ordinary_take(
    clip: SyntheticClip, number: int, seconds: float = TAKE_S, assets: "Assets | None" = None
) -> SyntheticClip:
    """What the camera of a clip sees `number` hours later, when nothing happens there: the same place, light and
    weather, other people. Footage to calibrate on. ValueError where it cannot be ordinary, or for a number below 1."""
    if number < 1:
        raise ValueError(f"take {number}; the takes of a clip count from 1")
    cast = actors.Cast(assets if clip.split == "train" else None)
    dice = _dice(clip.seed, clip.split, 6, number)
    play = scripts.plan(clip.layout, dice, seconds, None, cast)
    play = cast.recast(play, seconds, dice, clip.camera.seen_heading)
    later = replace(clip.conditions, start=clip.conditions.start + 3600 * number)
    take = replace(clip, play=play, conditions=later, seconds=seconds, take=number)
    take.backdrop = clip.backdrop
    return take


def fitting(layout: Layout, anomaly: str | None) -> list[str | None]:
    """What of the wanted kind is anomalous in this layout and can happen there."""
    wanted = ANOMALIES if anomaly == "random" else (anomaly,)
    return [a for a in wanted if a is not None and scripts.can_happen(a, layout)]


def check(
    seed: int,
    layout: str | None,
    anomaly: str | None,
    seconds: float,
    fps: float,
    size_wh: tuple[int, int],
    split: str,
) -> None:
    """Raise ValueError for arguments of `make_clip` that it cannot take."""
    if split not in SPLIT_LAYOUTS:
        raise ValueError(f"no split {split!r}; choose one of {list(SPLIT_LAYOUTS)}")
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"no layout {layout!r}; choose one of {sorted(LAYOUTS)}")
    if layout is not None and layout not in SPLIT_LAYOUTS[split]:
        raise ValueError(f"layout {layout!r} is not of the {split} split; choose one of {list(SPLIT_LAYOUTS[split])}")
    if anomaly not in (None, "random", *ANOMALIES):
        raise ValueError(f"no anomaly {anomaly!r}; choose one of {['random', *ANOMALIES]} or None")
    if seed < 0 or not (seconds > 0 and math.isfinite(seconds)) or not 0 < fps <= 120:
        raise ValueError(f"seed {seed}, {seconds:g} s at {fps:g} frames/s; all are positive, at most 120 frames/s")
    if seconds < 2 * scripts.SEEN_S:
        raise ValueError(f"{seconds:g} s are too short for a clip; give {2 * scripts.SEEN_S:g} s or more")
    if min(size_wh) < 64 or max(size_wh) > 4096:
        raise ValueError(f"size {size_wh[0]}x{size_wh[1]}; both sides are 64 to 4096 pixels")


def is_shown(clip: SyntheticClip) -> bool:
    """Whether what is anomalous stands in the picture, large enough and not behind something, in some frames."""
    depth = clip.backdrop.depth
    width, height = clip.camera.size_wh
    count = 0
    for t_s in clip.times_s:
        for life in clip.play.lives:
            state = life.path(float(t_s)) if any(a <= t_s <= b for a, b in life.anomalous_s) else None
            if state is None or clip.camera.distance(state.x, state.y) < 0.5:
                continue
            z = state.z + clip.place.height(state.x, state.y) + 0.4 * life.actor.size_m[2]
            x, y = clip.camera.pixel(state.x, state.y, z)
            tall = clip.camera.px_per_m(state.x, state.y) * max(life.actor.size_m)
            if 3 <= x < width - 3 and 3 <= y < height - 3 and tall > 6:
                count += bool(depth[int(y), int(x)] > clip.camera.distance(state.x, state.y) - 0.3)
                break
    return count >= SEEN_FRAMES


def write_clip(clip: SyntheticClip, folder: str | Path) -> ClipTruth:
    """Write NNNN.mp4 (H.264), NNNN.ids.npz and NNNN.truth.json, NNNN the clip's name, each whole or not at all; the
    truth comes last. ids: (n, h, w) uint8 or uint16, at most 320 wide, by the nearest pixel; times_s (n,)."""
    from tvad.writer import VideoWriter

    base = Path(folder)
    base.mkdir(parents=True, exist_ok=True)
    name = clip.name
    width, height = clip.camera.size_wh
    share = min(1.0, MAX_IDS_WIDTH / width)
    small = (round(width * share), round(height * share))
    kept = []
    with VideoWriter(base / f"{name}.mp4", clip.fps, clip.camera.size_wh, crf=23) as writer:
        for t_s, (frame, ids) in zip(clip.times_s, clip.frames(), strict=True):
            writer.write(frame, float(t_s))
            kept.append(cv2.resize(ids, small, interpolation=cv2.INTER_NEAREST))
    stack = np.stack(kept)
    stack = stack.astype(np.uint8) if stack.max() < 256 else stack
    data = io.BytesIO()
    np.savez_compressed(data, ids=stack, times_s=clip.times_s)
    write_atomic(base / f"{name}.ids.npz", lambda file: file.write(data.getvalue()))
    clip.truth.save(base / f"{name}.truth.json")
    return clip.truth
