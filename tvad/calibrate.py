"""Calibrate: a camera's normal footage to a scene file.

The footage is cut in four folds (by clip; by stretch of time when there are fewer than four clips). Each fold is scored
by a memory of the other three, so the distance distribution and the alarm levels come from footage the memory has not
seen. The memory that is saved holds patches of all of it.

Next: tvad/detector.py
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from heatmap.levels import AlarmLevel, Alarms
from heatmap.memory import Patches, SceneMemory, frame_level, heat_level, smooth
from tvad.classifier import N_CLASSES, shared_classifier
from tvad.decoder_part import DecodedLevels, DecoderPart, HeatDecoder, words_text
from tvad.encoder import Encoder, Features, input_size
from tvad.head_part import HeadGraph, HeadLevels, HeadPart
from tvad.parts import sigma_frames
from tvad.people import PeopleFinder, PeopleLook
from tvad.presets import get_preset
from tvad.progress import Progress
from tvad.scene import Looks, Scene
from tvad.settings import MAX_SIDE_PX, Settings
from tvad.tower_part import HeatTower, TowerPart, about_tower
from tvad.video import Clip, VideoReader, probe
from tvad.watcher import Thing, Watcher, encoded_and_watched

FOLDS = 4
STRETCH_S = 20.0  # clips are cut into stretches of this length
STRETCHES = 40  # at most so many are kept in memory, evenly over the footage
LOOKS = 2000  # looks at things that are saved, for the words of later questions


@dataclass(frozen=True)
class SceneReport:
    """What a calibration saw. `peak_rarity` is the highest rarity (nats) of held-out normal footage: at a promised one
    alarm an hour it should be below 0 for footage of less than an hour."""

    path: Path
    clips: int
    frames: int
    seconds: float
    patches: int
    peak_rarity: float


@dataclass(frozen=True)
class _Stretch:
    clip: int
    patches: Patches
    changed: np.ndarray
    times_s: np.ndarray
    things: tuple[Thing, ...]


@dataclass
class _Decoded:
    """The decoder's levels of a clip: of frames and of their hottest cells, (T,) in pieces."""

    frame: list[np.ndarray]
    heat: list[np.ndarray]
    times_s: list[np.ndarray]

    def add(self, levels: DecodedLevels) -> None:
        self.frame.append(levels.frame)
        self.heat.append(levels.level.reshape(len(levels.level), -1).max(1))
        self.times_s.append(levels.times_s)


def calibrate(
    paths: Sequence[str | Path],
    out: str | Path,
    settings: Settings | None = None,
    progress: Callable[[Progress], None] | None = None,
    seed: int = 0,
) -> SceneReport:
    """Learn normality from clips of one camera and write `out`. The seed chooses which patches are kept.

    VideoError for an unreadable clip, ValueError for footage that is too short, too still or of another shape. Nothing
    is written unless all went well.
    """
    settings = settings or Settings()
    if not paths:
        raise ValueError("no normal clips given; name at least one video of ordinary footage")
    stretches, decoded, headed, about = _read(paths, settings, progress)
    fold = [s.clip % FOLDS if len(paths) >= FOLDS else i * FOLDS // len(stretches) for i, s in enumerate(stretches)]
    if len(set(fold)) < 2:
        raise ValueError("the normal footage is too short to hold a part of it back; give at least 25 s, or more clips")
    memory, surprise = SceneMemory.fit([s.patches for s in stretches], fold, seed)
    frame, heat = zip(*(_curves(s, v) for s, v in zip(stretches, surprise, strict=True)), strict=True)
    times = [s.times_s for s in stretches]
    frame_alarm, heat_alarm = AlarmLevel.fit(frame, times), AlarmLevel.fit(heat, times)
    head_alarm = AlarmLevel.fit(*zip(*headed, strict=True)) if headed else None
    Scene(memory, frame_alarm, heat_alarm, _looks(stretches), about, _decoder_alarms(decoded), head_alarm).save(out)
    return SceneReport(
        path=Path(out),
        clips=len(paths),
        frames=about["frames"],
        seconds=about["seconds"],
        patches=memory.appearance.shape[0] * memory.appearance.shape[1],
        peak_rarity=float(max(frame_alarm.rarity(x).max() for x in frame)),
    )


def _curves(stretch: _Stretch, surprise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Level of each frame and of its hottest place, (T,) each, as the detector measures them."""
    sigma = sigma_frames(stretch.times_s)
    maps = stretch.patches.paint(surprise, stretch.changed.shape)
    heat = heat_level(maps, stretch.changed, sigma)
    return smooth(frame_level(maps), sigma), heat.reshape(len(heat), -1).max(1)


def _decoder_alarms(clips: Sequence[_Decoded]) -> Alarms | None:
    """Alarm levels of the decoder, which never learns from a scene: all of the footage is held out."""
    if not clips:
        return None
    times, frame, heat = ([np.concatenate(getattr(c, k)) for c in clips] for k in ("times_s", "frame", "heat"))
    smoothed = [smooth(x, sigma_frames(t)) for x, t in zip(frame, times, strict=True)]
    return Alarms(AlarmLevel.fit(smoothed, times), AlarmLevel.fit(heat, times))


def _looks(stretches: Sequence[_Stretch]) -> Looks:
    """Looks at the things of some stretches, in random order until LOOKS are reached."""
    logits: list[np.ndarray] = []
    things: list[int] = []
    times: list[float] = []
    count, seconds = 0, 0.0
    for i in np.random.default_rng(0).permutation(len(stretches)):
        start_s, end_s = stretches[i].times_s[[0, -1]]
        seconds += float(end_s - start_s)
        for thing in stretches[i].things:
            # Stretches lie an hour apart: things of two never meet.
            times += [i * 3600.0 + t - start_s for t in thing.look_times_s]
            things += [count] * len(thing.logits)
            logits += thing.logits
            count += 1
        if len(logits) >= LOOKS:
            break
    return Looks(np.array(logits, np.float16).reshape(-1, N_CLASSES), np.array(things), np.array(times), seconds)


def _read(
    paths: Sequence[str | Path], settings: Settings, progress: Callable[[Progress], None] | None
) -> tuple[list[_Stretch], list[_Decoded], list[tuple[np.ndarray, np.ndarray]], dict[str, Any]]:
    """Stretches, the decoder's levels of each clip, the head's levels of each and their times, where it comes from."""
    infos = [probe(p) for p in paths]
    shapes = {round(i.width / i.height, 2) for i in infos}
    if max(shapes) - min(shapes) > 0.1:
        raise ValueError(f"the clips have different shapes (width / height {sorted(shapes)}): are they of one camera?")
    total_s = sum(i.duration_s for i in infos)
    every = max(1, round(total_s / STRETCH_S / STRETCHES))  # of a long calibration, every so manieth stretch
    encoder, classifier = Encoder(), shared_classifier(1)
    words = settings.anomaly or (), settings.normal or ()
    tower = HeatTower.load(settings.tower, *words, settings.device) if settings.tower else None
    decoder = HeatDecoder(get_preset(settings.preset).decoder) if "decoder" in settings.parts and not tower else None
    text = words_text(*words)
    graph = HeadGraph(get_preset(settings.preset).head) if "head" in settings.parts else None
    flow = graph is not None and graph.reads_flow
    finder = PeopleFinder() if graph and graph.reads_people else None
    decoded: list[_Decoded] = []
    headed: list[tuple[np.ndarray, np.ndarray]] = []
    stretches: list[_Stretch] = []
    frames, done_s, rates = 0, 0.0, []
    for clip, (path, info) in enumerate(zip(paths, infos, strict=True)):
        stretch = settings.start_s, settings.end_s
        reader = VideoReader(path, settings.fps, *stretch, max_side=MAX_SIDE_PX, between=input_size if flow else None)
        watcher = Watcher(classifier)
        part: DecoderPart | TowerPart | None = DecoderPart(decoder, text, reader.size_wh) if decoder else None
        clips: Iterable[Clip] = reader
        if tower:
            part = TowerPart(tower)
            clips = part.watch(reader)
        head = HeadPart(graph, info.fps, settings.start_s or 0.0) if graph else None
        look = PeopleLook(finder) if finder else None
        levels_of_head: list[HeadLevels] = []
        own = _Decoded([], [], [])
        pieces: list[Features] = []
        things: list[Thing] = []
        count = 0
        for features in encoded_and_watched(clips, encoder.stream(flow), watcher):
            pieces.append(features)
            ended = watcher.take_ended()
            things += ended
            for levels in part.push(features, [*ended, *watcher.things.values()]) if part else ():
                own.add(levels)
            levels_of_head += head.push(look(features) if look else features) if head else ()
            frames += len(features)
            if progress:
                progress(Progress(done_s + float(features.times_s[-1]), total_s, frames))
            if pieces[-1].times_s[-1] - pieces[0].times_s[0] >= STRETCH_S:
                if count % every == 0:
                    stretches.append(_stretch(clip, pieces, things))
                count += 1
                pieces, things = [], []
        ended = watcher.finish()
        for levels in part.finish(ended) if part else ():
            own.add(levels)
        if part:
            decoded.append(own)
        if head:
            levels_of_head += head.finish()
            headed.append(_joined(levels_of_head))
        if pieces and count % every == 0:
            stretches.append(_stretch(clip, pieces, [*things, *ended]))
        done_s += info.duration_s
        rates.append(reader.rate_hz)
    about = {
        "preset": settings.preset,
        "clips": len(paths),
        "seconds": round(done_s, 2),
        "frames": frames,
        "fps": round(float(np.median(rates)), 3),
        "aspect": round(infos[0].width / infos[0].height, 4),
    }
    if tower:
        about["tower"] = about_tower(settings.tower, *words)
    return stretches, decoded, headed, about


def _joined(levels: Sequence[HeadLevels]) -> tuple[np.ndarray, np.ndarray]:
    """Level and times_s of all snippets of a clip, (n,) each."""
    level, times_s = (np.concatenate([getattr(x, key) for x in levels]) for key in ("level", "times_s"))
    return level, times_s


def _stretch(clip: int, pieces: list[Features], things: list[Thing]) -> _Stretch:
    f = Features.join(pieces)
    return _Stretch(clip, Patches.of(f.patch, f.motion, f.moving), f.changed, f.times_s, tuple(things))
