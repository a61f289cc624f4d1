"""What was found in a video that is still being looked at.

Next: chat/captions/early.py
"""

import numpy as np

from heatmap.levels import threshold, to_rarity
from tvad.cache import versions
from tvad.detector import Detector
from tvad.events import find_events
from tvad.evidence import Event, Evidence, Track, VideoMeta
from tvad.findings import summarise
from tvad.scan import Scan
from tvad.video import VideoReader

ENDED_S = 2.0  # an event that ended so long ago goes on no more


def found_so_far(detector: Detector, reader: VideoReader, scan: Scan) -> Evidence:
    """Events that have ended in what was looked at until now, with their tracks; what comes later may change them.

    The video is as long as what all parts have scored, and has no sum. The confidence says nothing yet.
    """
    parts = detector.settings.parts
    early = scan.so_far("memory" in parts, "decoder" in parts, detector.head is not None)
    times = np.array(early.times_s)
    score_at = threshold(detector.settings.false_alarms_per_hour)
    events: tuple[Event, ...] = ()
    tracks: tuple[Track, ...] = ()
    if len(times):
        curves, rarity, heat = detector.levels(early, times)
        spans = find_events(rarity, times, float(to_rarity(np.array(score_at))))
        ended = [span for span in spans if times[span.end] < times[-1] - ENDED_S]
        events, tracks, _ = detector.describe(reader, early, times, heat, ended, curves, rarity, score_at)
    info, seen_s = reader.info, round(float(times[-1]), 4) if len(times) else 0.0
    return Evidence(
        video=VideoMeta(str(reader.path), "", seen_s, round(info.fps, 4), info.width, info.height),
        preset=detector.preset.name,
        versions=versions(),
        settings=detector.settings.to_dict(),
        events=events,
        tracks=tracks,
        has_anomaly=bool(events),
        confidence=0.5,
        summary=summarise(events, tracks),
        calibration="scene" if detector.scene else "uncalibrated",
        threshold=round(score_at, 4),
    )
