"""The detector: a video to its Evidence. The main path of the program.

    frames -> encoder and watcher -> memory and words -> rarity -> heat and scores -> events, tracks -> Evidence

Next: tvad/parts.py, then tvad/findings.py
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from heatmap.fuse import fuse
from heatmap.levels import AlarmLevel, threshold, to_rarity, to_score
from heatmap.memory import smooth
from tvad.cache import versions
from tvad.classifier import shared_classifier
from tvad.encoder import Encoder
from tvad.events import Span, find_events, follow, share_out
from tvad.evidence import Analysis, Curves, Event, Evidence, Track, VideoMeta
from tvad.findings import SeenThing, category, confidence, make_track, summarise
from tvad.parts import Levels, MemoryPart, ScoredThing, WordsPart, habit_of, sigma_frames, words_alarm
from tvad.presets import get_preset
from tvad.presets.base import Preset
from tvad.progress import Progress
from tvad.scene import Scene
from tvad.settings import MAX_SIDE_PX, Settings
from tvad.video import VideoReader, sha256_of
from tvad.watcher import Watcher, watched
from tvad.words import WordGuide

NOTHING = -12.0  # rarity (nats) where a part sees nothing at all
SURE = {"scene": 0.99, "uncalibrated": 0.85}  # highest confidence

__all__ = ["Detector", "Progress"]


@dataclass(frozen=True)
class Detector:
    """Everything needed to analyse; reusable for many videos of one camera and one choice of words."""

    settings: Settings
    preset: Preset
    scene: Scene | None
    guide: WordGuide | None
    words_alarm: AlarmLevel

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Load the scene and match the words. SceneError, ValueError or OSError for a bad scene file, preset or word."""
        preset = get_preset(settings.preset)
        scene = Scene.load(settings.scene) if settings.scene else None
        anomaly = preset.anomaly if settings.anomaly is None else settings.anomaly
        normal = preset.normal if settings.normal is None else settings.normal
        guide = WordGuide.of(anomaly, normal) if "words" in settings.parts and anomaly else None
        alarm = words_alarm(guide, scene.looks) if guide and scene else None
        return cls(settings, preset, scene, guide, alarm or preset.alarms["words"])

    def analyze(self, path: str | Path, progress: Callable[[Progress], None] | None = None) -> Analysis:
        """Analyse one video in one pass. VideoError when it cannot be read."""
        s = self.settings
        reader = VideoReader(path, s.fps, s.start_s, s.end_s, max_side=MAX_SIDE_PX)
        seen = self._watch(reader, progress)
        return self._conclude(reader, seen)

    def _watch(self, reader: VideoReader, progress: Callable[[Progress], None] | None) -> "_Seen":
        """One pass over the frames: levels of the memory, scored things."""
        watcher = Watcher(shared_classifier())
        memory = MemoryPart(self.scene.memory if self.scene else None) if "memory" in self.settings.parts else None
        words = WordsPart(self.guide, habit_of(self.scene.looks) if self.scene else None)
        seen = _Seen(self._heat_alarm(), (reader.info.width, reader.info.height), reader.size_wh, self.guide)
        end_s = min(self.settings.end_s or np.inf, reader.info.duration_s)
        for features in Encoder().features(watched(reader, watcher)):
            now = float(features.times_s[-1])
            seen.shape = features.moving.shape[1:]
            seen.add_times(features.times_s)
            for levels in memory.push(features) if memory else ():
                seen.add_levels(levels)
            seen.add_things(words.push(watcher.take_ended(), now))
            if progress:
                progress(Progress(now - reader.start_s, end_s - reader.start_s, len(seen.times_s)))
        for levels in memory.finish() if memory else ():
            seen.add_levels(levels)
        seen.add_things(words.finish(watcher.finish()))
        return seen

    def _heat_alarm(self) -> AlarmLevel:
        return self.scene.heat_alarm if self.scene else self.preset.alarms["heat"]

    def _conclude(self, reader: VideoReader, seen: "_Seen") -> Analysis:
        """Fuse, threshold, follow, describe."""
        times = np.array(seen.times_s)
        parts = {}
        if "memory" in self.settings.parts:
            alarm = self.scene.frame_alarm if self.scene else self.preset.alarms["memory"]
            parts["memory"] = alarm.rarity(smooth(np.concatenate(seen.frame), sigma_frames(times)))
        heat = seen.memory_heat()
        if self.guide and self.guide.classes:
            parts["words"], heat = self._words(seen, times, heat)
        rarity = fuse(list(parts.values())) if parts else np.full(len(times), NOTHING, np.float32)
        score_at = threshold(self.settings.false_alarms_per_hour)
        rarity_at = float(to_rarity(np.array(score_at)))
        spans = find_events(rarity, times, rarity_at)
        heat = to_score(heat).astype(np.float16)
        events, tracks = self._describe(reader, seen, times, heat, spans, parts, rarity)
        source_times = reader.source_times_s

        def per_frame(x: np.ndarray) -> np.ndarray:
            return to_score(np.interp(source_times, times, x))

        curves = Curves(
            source_times,
            per_frame(rarity),
            times,
            heat,
            parts={name: per_frame(x) for name, x in parts.items()},
        )
        calibration = "scene" if self.scene else "uncalibrated"
        peak = float(rarity.max())
        hours = max(float(times[-1] - times[0]), 2.0) / 3600
        evidence = Evidence(
            video=self._meta(reader, source_times),
            preset=self.preset.name,
            versions=versions(),
            settings=self.settings.to_dict(),
            events=events,
            tracks=tracks,
            has_anomaly=bool(events),
            confidence=confidence(peak, hours, bool(events), SURE[calibration]),
            summary=summarise(events, tracks),
            calibration=calibration,
            threshold=round(score_at, 4),
            warnings=self._warnings(reader),
        )
        return Analysis(evidence, curves)

    def _words(self, seen: "_Seen", times: np.ndarray, heat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The words' rarity curve (T,), and the heat with the things' boxes fused in."""
        curve = np.full(len(times), NOTHING, np.float32)
        painted = np.full_like(heat, NOTHING)
        for thing in seen.things:
            rarity = np.maximum(self.words_alarm.rarity(thing.level), NOTHING)
            first, last = np.searchsorted(times, thing.times_s[[0, -1]] - 1e-6)
            for i in range(first, min(last + 1, len(times))):
                value = float(np.interp(times[i], thing.times_s, rarity))
                curve[i] = max(curve[i], value)
                if value > NOTHING:
                    box = [np.interp(times[i], thing.times_s, thing.boxes[:, k]) for k in range(4)]
                    seen.paint(painted[i], np.array(box), value)
        return curve, fuse([heat, painted]) if "memory" in self.settings.parts else painted

    def _describe(
        self,
        reader: VideoReader,
        seen: "_Seen",
        times: np.ndarray,
        heat: np.ndarray,
        spans: list[Span],
        parts: dict[str, np.ndarray],
        rarity: np.ndarray,
    ) -> tuple[tuple[Event, ...], tuple[Track, ...]]:
        size_wh = (reader.info.width, reader.info.height)
        score_at = threshold(self.settings.false_alarms_per_hour)
        shared = share_out(follow(heat, times, spans, score_at, size_wh), times, spans)
        numbers: dict[int, int] = {}
        tracks: dict[int, Track] = {}
        words: dict[int, str] = {}
        events = []
        share = np.concatenate(seen.share) if seen.share else np.full(len(times), 0.5)
        for span, own in zip(spans, shared, strict=True):
            for region_track in own:
                if region_track.id not in numbers:
                    number = numbers[region_track.id] = len(numbers) + 1
                    track, is_word = make_track(
                        number, region_track, seen.things, size_wh, (float(times[0]), float(times[-1]))
                    )
                    tracks[number] = track
                    if is_word:
                        words[number] = track.label
            ids = tuple(numbers[t.id] for t in own)
            rows = slice(span.start, span.end + 1)
            highest = {name: float(x[rows].max()) for name, x in parts.items()}
            limit = float(to_rarity(np.array(score_at)))
            raised = tuple(n for n, x in highest.items() if x >= limit) or (max(highest, key=lambda n: highest[n]),)
            word = next((words[i] for i in ids if i in words), None)
            events.append(
                Event(
                    id=len(events) + 1,
                    start_s=round(float(times[span.start]), 4),
                    end_s=round(float(times[span.end]), 4),
                    peak_s=round(float(times[span.peak]), 4),
                    score=round(float(to_score(rarity[span.peak])), 4),
                    category=category(span, share, raised, word),
                    tracks=ids,
                    raised_by=raised,
                )
            )
        return tuple(events), tuple(tracks.values())

    def _meta(self, reader: VideoReader, source_times: np.ndarray) -> VideoMeta:
        info = reader.info
        length = max(info.duration_s, float(source_times[-1]))
        size = info.width, info.height
        return VideoMeta(str(reader.path), sha256_of(reader.path), round(length, 4), round(info.fps, 4), *size)

    def _warnings(self, reader: VideoReader) -> tuple[str, ...]:
        lines = list(reader.warnings)
        if self.guide and self.guide.without_class:
            lines.append(
                f"no visual class for the words {', '.join(self.guide.without_class)}; they have no effect here "
                "(things have classes, people and actions have none)"
            )
        aspect = reader.info.width / reader.info.height
        if self.scene and abs(aspect - self.scene.about.get("aspect", aspect)) > 0.1:
            lines.append(
                f"the scene was calibrated on pictures of another shape (width / height {self.scene.about['aspect']}, "
                f"here {aspect:.2f}): is it the same camera?"
            )
        return tuple(lines)


@dataclass
class _Seen:
    """What one pass collects."""

    heat_alarm: AlarmLevel
    size_wh: tuple[int, int]  # source pixels
    analysed_wh: tuple[int, int]
    guide: WordGuide | None
    times_s: list[float] = field(default_factory=list)
    frame: list[np.ndarray] = field(default_factory=list)
    heat: list[np.ndarray] = field(default_factory=list)
    share: list[np.ndarray] = field(default_factory=list)
    things: list[SeenThing] = field(default_factory=list)
    shape: tuple[int, ...] = (1, 1)

    def add_times(self, times_s: np.ndarray) -> None:
        self.times_s += times_s.tolist()

    def add_levels(self, levels: Levels) -> None:
        self.frame.append(levels.frame)
        self.share.append(levels.motion_share)
        self.heat.append(np.clip(self.heat_alarm.rarity(levels.heat), -1e4, 1e4).astype(np.float16))

    def add_things(self, scored: list[ScoredThing]) -> None:
        self.things += [SeenThing.of(t, self.guide, self.size_wh[0] / self.analysed_wh[0]) for t in scored]

    def memory_heat(self) -> np.ndarray:
        """Rarity maps (T, h, w), NOTHING everywhere when the memory was not asked."""
        if self.heat:
            return np.concatenate(self.heat)
        return np.full((len(self.times_s), *self.shape), NOTHING, np.float16)

    def paint(self, cells: np.ndarray, box: np.ndarray, value: float) -> None:
        """Raise the cells (h, w) that a box in source pixels covers to `value`, less where it covers them in part."""
        height, width = cells.shape
        x0, x1 = box[[0, 2]] * width / self.size_wh[0]
        y0, y1 = box[[1, 3]] * height / self.size_wh[1]
        covered = np.outer(_cover(y0, y1, height), _cover(x0, x1, width))
        np.maximum(cells, NOTHING + (value - NOTHING) * covered, out=cells, where=covered > 0, casting="unsafe")


def _cover(low: float, high: float, count: int) -> np.ndarray:
    """How much of each of `count` unit cells lies in [low, high], in [0, 1]."""
    edges = np.arange(count)
    return np.clip(np.minimum(edges + 1, high) - np.maximum(edges, low), 0, 1)
