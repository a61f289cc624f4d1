"""The detector: a video to its Evidence. The main path of the program.

    frames -> encoder and watcher -> memory and words -> rarity -> heat and scores -> events, tracks -> Evidence

Next: tvad/parts.py, then tvad/findings.py
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from heatmap.fuse import beside, either, fuse
from heatmap.levels import AlarmLevel, Alarms, threshold, to_rarity, to_score
from heatmap.memory import smooth
from heatmap.tracks import RegionTrack
from tvad import classifier, encoder
from tvad.cache import versions
from tvad.classifier import shared_classifier
from tvad.crowd import Crowd
from tvad.decoder_alarms import decoder_alarms
from tvad.decoder_part import DecoderPart, HeatDecoder, words_text
from tvad.encoder import C_APPEARANCE, Encoder, input_size
from tvad.events import Span, find_events, follow, share_out
from tvad.evidence import Analysis, Curves, Event, Evidence, Track, VideoMeta
from tvad.falls import FallsPart, kind_with, rarity_of, strongest
from tvad.findings import category, confidence, make_track, seen_of, summarise, with_faller
from tvad.head_part import HeadGraph, HeadPart
from tvad.kinds import UNSPECIFIED, Kind
from tvad.malloc import trim
from tvad.parts import MemoryPart, WordsPart, habit_of, sigma_frames, words_alarm
from tvad.people import PeopleFinder, PeopleLook
from tvad.presets import PRESETS, get_preset
from tvad.presets.base import Preset
from tvad.progress import Progress
from tvad.scan import NOTHING, Scan
from tvad.scene import Scene, SceneError
from tvad.settings import MAX_SIDE_PX, Settings
from tvad.sight import GRID, Sight
from tvad.spill import pieces
from tvad.tower_part import HeatTower, TowerPart
from tvad.video import VideoReader, sha256_of
from tvad.watcher import Watcher, encoded_and_watched
from tvad.words import Habit, WordGuide

if TYPE_CHECKING:
    from heatmap.sam import Segmenter

RAW = Alarms(AlarmLevel(0.0, 1.0, 1.0, 1.0), AlarmLevel(0.0, 1.0, 1.0, 1.0))  # rarity = level
TRIM_FRAMES = 512  # between two times that freed memory is given back
BESIDE = ("head", "falls")  # parts that stand beside what the others found
SUSPECTS = 1  # moments that are shown though they raise no alarm
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
    decoder_alarms: Alarms | None = None
    decoder: HeatDecoder | None = None
    head: HeadGraph | None = None
    segmenter: "Segmenter | None" = None
    tower: HeatTower | None = None
    people: PeopleFinder | None = None
    seed: int = 0  # of the sample that a clip's own memory keeps

    @classmethod
    def from_settings(cls, settings: Settings, note: Callable[[str], None] | None = None) -> Self:
        """Load the scene and match the words. SceneError, OSError or ValueError for a bad scene, preset or word,
        MissingWeights for SAM's.

        `note` is told one line when the networks still have to be prepared, which takes a while.
        """
        if note and not (encoder.is_prepared() and classifier.is_prepared()):
            note("first use: preparing the networks for this processor, once (some 20 s)")
        preset = get_preset(settings.preset)
        scene = Scene.load(settings.scene) if settings.scene else None
        if scene and _vision(scene.about["preset"]) != preset.vision:
            raise SceneError(
                f"{settings.scene}: made with preset {scene.about['preset']!r}, asked for is {preset.name!r}; "
                "make it again with `tvad calibrate --preset`"
            )
        anomaly = preset.anomaly if settings.anomaly is None else settings.anomaly
        normal = preset.normal if settings.normal is None else settings.normal
        guide = WordGuide.of(anomaly, normal) if "words" in settings.parts and anomaly else None
        alarm = words_alarm(guide, scene.looks) if guide and scene else None
        decoder, tower = None, None
        decoded = decoder_alarms(settings, scene, preset)
        if "decoder" in settings.parts:
            if settings.tower:
                words = settings.anomaly or (), settings.normal or ()
                tower = HeatTower.load(settings.tower, *words, settings.device)
            else:
                decoder = HeatDecoder(preset.decoder)
        head = HeadGraph(preset.head) if "head" in settings.parts else None
        segmenter = None
        if settings.sam:
            from tvad.masks import load_segmenter  # torch, which an analysis without SAM does without

            segmenter = load_segmenter(settings.sam, settings.device)
        own = alarm or preset.alarms["words"]
        people = PeopleFinder() if "falls" in settings.parts or (head and head.reads_people) else None
        return cls(settings, preset, scene, guide, own, decoded, decoder, head, segmenter, tower, people)

    @property
    def head_alarm(self) -> AlarmLevel:
        """What the head's levels mean; as they are where nothing was measured."""
        return (self.scene.head_alarm if self.scene else None) or self.preset.alarms.get("head") or RAW.frame

    @property
    def _flow(self) -> bool:
        """Whether a part reads how the liveliest places move."""
        return self.head is not None and self.head.reads_flow

    def analyze(self, path: str | Path, progress: Callable[[Progress], None] | None = None) -> Analysis:
        """Analyse one video in one pass. VideoError when it cannot be read."""
        reader = self.reader(path)
        return self.conclude(reader, self.scan(reader, progress))

    def reader(self, path: str | Path, wait_s: float | None = None) -> VideoReader:
        """The frames that are looked at. VideoError when the video cannot be read. wait_s: as of VideoReader."""
        s, between = self.settings, input_size if self._flow else None
        return VideoReader(path, s.fps, s.start_s, s.end_s, max_side=MAX_SIDE_PX, wait_s=wait_s, between=between)

    def scan(
        self,
        reader: VideoReader,
        progress: Callable[[Progress], None] | None,
        heat_alarm: AlarmLevel | None = None,
        look: Callable[[Scan], None] | None = None,
    ) -> Scan:
        """One pass over the frames: levels of the memory, scored things. `heat_alarm` replaces the detector's own.
        look: is shown what there is so far, again and again."""
        watcher = Watcher(shared_classifier(1))
        memory = None
        if "memory" in self.settings.parts:
            memory = MemoryPart(self.scene.memory if self.scene else None, self.seed)
        habit = habit_of(self.scene.looks) if self.scene else None
        words = WordsPart(self.guide, habit)
        decoder, alarms = self._decoder_part(reader, habit), self.decoder_alarms or RAW
        own_alarm = self.scene.heat_alarm if self.scene else self.preset.alarms["heat"]
        head = HeadPart(self.head, reader.info.fps, reader.start_s) if self.head else None
        falls = FallsPart(reader.size_wh[0] / reader.size_wh[1]) if "falls" in self.settings.parts else None
        people = PeopleLook(self.people) if self.people else None
        scan = Scan(heat_alarm or own_alarm, (reader.info.width, reader.info.height), reader.size_wh, self.guide)
        scan.crowd = Crowd(scan.size_wh) if falls else None
        end_s = min(self.settings.end_s or np.inf, reader.info.duration_s)
        trim_at = TRIM_FRAMES
        clips = decoder.watch(reader) if isinstance(decoder, TowerPart) else reader
        for encoded in encoded_and_watched(clips, Encoder().stream(self._flow), watcher):
            features = people(encoded) if people else encoded
            now = float(features.times_s[-1])
            scan.shape = features.moving.shape[1:]
            scan.add_times(features.times_s)
            scan.add_pictures(features)
            scan.falls += falls.push(features, scan.crowd) if falls else ()
            for headed in head.push(features) if head else ():
                scan.add_headed(headed)
            for levels in memory.push(features) if memory else ():
                scan.add_levels(levels)
            ended = watcher.take_ended()
            for decoded in decoder.push(features, [*ended, *watcher.things.values()]) if decoder else ():
                scan.add_decoded(decoded, alarms)
            scan.add_things(words.push(ended, now))
            if len(scan.times_s) >= trim_at:
                trim()
                trim_at = len(scan.times_s) + TRIM_FRAMES
            if look:
                look(scan)
            if progress:
                progress(Progress(now - reader.start_s, end_s - reader.start_s, len(scan.times_s)))
        for levels in memory.finish() if memory else ():
            scan.add_levels(levels)
        for headed in head.finish() if head else ():
            scan.add_headed(headed)
        scan.falls += falls.finish() if falls else ()
        ended = watcher.finish()
        for decoded in decoder.finish(ended) if decoder else ():
            scan.add_decoded(decoded, alarms)
        scan.add_things(words.finish(ended))
        return scan

    def _decoder_part(self, reader: VideoReader, habit: Habit | None) -> DecoderPart | TowerPart | None:
        if self.tower is not None:
            return TowerPart(self.tower)
        if self.decoder is None:
            return None
        text = words_text(self.settings.anomaly or (), self.settings.normal or ())
        return DecoderPart(self.decoder, text, reader.size_wh, habit)

    def conclude(self, reader: VideoReader, scan: Scan) -> Analysis:
        """Fuse, threshold, follow, describe. The frames are not looked at again: with another rate of false alarms in
        the settings the same scan gives other events."""
        times = np.array(scan.times_s)
        parts, rarity, heat = self.levels(scan, times)
        score_at = threshold(self.settings.false_alarms_per_hour)
        spans = find_events(rarity, times, float(to_rarity(np.array(score_at))))
        found = (reader, scan, times, heat)
        events, tracks, followed = self.describe(*found, spans, parts, rarity, score_at)
        odd: tuple[Event, ...] = ()
        odd_tracks: tuple[Track, ...] = ()
        if not events:
            nearest = find_events(rarity, times, float(rarity.max()))[:SUSPECTS]
            highest = float(to_score(rarity.max()))
            odd, odd_tracks, followed = self.describe(*found, nearest, parts, rarity, highest)
        source_times = reader.source_times_s

        def per_frame(x: np.ndarray) -> np.ndarray:
            return np.concatenate([to_score(np.interp(some, times, x)) for some in pieces(source_times)])

        curves = Curves(
            source_times,
            per_frame(rarity),
            times,
            heat,
            class_names=self.head.names if self.head else (),
            class_probs=scan.class_probs(source_times),
            parts={name: per_frame(x) for name, x in parts.items()},
        )
        calibration = "scene" if self.scene else "uncalibrated"
        peak = float(rarity.max())
        hours = max(float(times[-1] - times[0]), 2.0) / 3600
        strongest = max(events or odd, key=lambda e: e.score, default=None)
        evidence = Evidence(
            video=self._meta(reader, source_times),
            preset=self.preset.name,
            versions=versions(),
            settings=self.settings.to_dict() | {"anomaly": list(self.guide.classes) if self.guide else []},
            events=events,
            tracks=tracks,
            has_anomaly=bool(events),
            confidence=confidence(peak, hours, bool(events), SURE[calibration]),
            summary=summarise(events, tracks),
            calibration=calibration,
            threshold=round(score_at, 4),
            peak_score=round(float(to_score(np.array(peak))), 4),
            warnings=self._warnings(reader),
            kind=strongest.kind if strongest else UNSPECIFIED,
            class_probs=strongest.class_probs if strongest else {},
            seen=scan.crowd.counts() if scan.crowd else (),
        )
        shown = replace(evidence, events=odd, tracks=odd_tracks, has_anomaly=True) if odd else None
        analysis = Analysis(evidence, replace(curves, sight=_sight(scan, followed, shown)))
        if self.segmenter is None:
            return analysis
        from tvad.masks import with_masks

        return with_masks(analysis, reader.path, self.segmenter)

    def levels(self, scan: Scan, times: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Rarity (T,) of each part, of all together, and heat (T, h, w)."""
        parts = {}
        if "memory" in self.settings.parts:
            alarm = self.scene.frame_alarm if self.scene else self.preset.alarms["memory"]
            parts["memory"] = alarm.rarity(smooth(np.concatenate(scan.frame), sigma_frames(times)))
        wanted = self.words_alarm if self.guide and self.guide.classes else None
        if wanted:
            parts["words"] = scan.words_curve(wanted)
        if scan.decoded_frame:
            parts["decoder"] = smooth(np.concatenate(scan.decoded_frame), sigma_frames(times))
        if scan.headed:
            parts["head"] = scan.head_curve(self.head_alarm)
        if "falls" in self.settings.parts:
            parts["falls"] = rarity_of(scan.falls, self.preset.alarms["falls"], times, NOTHING)
        heat = scan.heat_scores(wanted, bool(self.scene), parts.get("head"), self.preset.alarms.get("falls"))
        return parts, self._fused(parts, len(times)), heat

    def _fused(self, parts: dict[str, np.ndarray], count: int) -> np.ndarray:
        """Rarity (count,) of the parts there are."""
        if len(parts) == 1:
            return next(iter(parts.values()))  # nothing to stand beside, so nothing to pay for it
        guides = [curve for name, curve in parts.items() if name not in ("memory", *BESIDE)]
        if not guides:
            found = parts.get("memory", np.full(count, NOTHING, np.float32))
        else:
            found = fuse(parts["memory"], either(guides), bool(self.scene)) if "memory" in parts else either(guides)
        for name in BESIDE:
            found = beside(found, parts[name], bool(self.scene)) if name in parts else found
        return found

    def describe(
        self,
        reader: VideoReader,
        scan: Scan,
        times: np.ndarray,
        heat: np.ndarray,
        spans: list[Span],
        parts: dict[str, np.ndarray],
        rarity: np.ndarray,
        score_at: float,
    ) -> tuple[tuple[Event, ...], tuple[Track, ...], list[RegionTrack]]:
        """Events and their tracks, and what those were made of, in their order."""
        size_wh = (reader.info.width, reader.info.height)
        shared = share_out(follow(heat, times, spans, score_at, size_wh), times, spans)
        numbers: dict[int, int] = {}
        followed: list[RegionTrack] = []
        tracks: dict[int, Track] = {}
        words: dict[int, str] = {}
        events: list[Event] = []
        share = np.concatenate(scan.share) if scan.share else np.full(len(times), 0.5)
        for span, own in zip(spans, shared, strict=True):
            for region_track in own:
                if region_track.id not in numbers:
                    number = numbers[region_track.id] = len(numbers) + 1
                    followed.append(region_track)
                    track, is_word = make_track(
                        number, region_track, scan.things, size_wh, (float(times[0]), float(times[-1])), scan.crowd
                    )
                    tracks[number] = track
                    if is_word:
                        words[number] = track.label
            ids = tuple(numbers[t.id] for t in own)
            rows = slice(span.start, span.end + 1)
            highest = {name: float(x[rows].max()) for name, x in parts.items()}
            limit = float(to_rarity(np.array(score_at)))
            raised = tuple(n for n, x in highest.items() if x >= limit) or (max(highest, key=lambda n: highest[n]),)
            word = words.get(ids[0]) if ids else None  # of the hottest track
            kind = Kind()
            if self.head:
                kind = self.head.kind(scan.stretch_probs(float(times[span.start]), float(times[span.end])))
            fall = strongest(scan.falls, float(times[span.start]), float(times[span.end]))
            kind, fell = kind_with(kind, fall)
            if fall is not None and fell:
                tracks |= {number: with_faller(tracks[number], fall, size_wh) for number in ids}
            events.append(
                Event(
                    id=len(events) + 1,
                    start_s=round(float(times[span.start]), 4),
                    end_s=round(float(times[span.end]), 4),
                    peak_s=round(float(times[span.peak]), 4),
                    score=round(float(to_score(rarity[span.peak])), 4),
                    category=category(
                        span, share, raised, (None if fell else word) or (kind.name if kind.named else None)
                    ),
                    tracks=ids,
                    raised_by=raised,
                    kind=kind.name,
                    class_probs=dict(kind.probs),
                )
            )
        return tuple(events), tuple(tracks.values()), followed

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


def _vision(preset: str) -> str:
    """Name of the encoder of a preset; "" for one that this program does not know."""
    return PRESETS[preset].vision if preset in PRESETS else ""


def _sight(scan: Scan, followed: list[RegionTrack], suspects: Evidence | None) -> Sight:
    """What is kept for a language model."""
    pictures = scan.pictures.array().reshape(-1, *GRID, C_APPEARANCE)
    told = suspects.to_json() if suspects else ""
    return Sight(np.array(scan.picture_times_s), pictures, *seen_of(followed, scan.things), told)
