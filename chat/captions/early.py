"""Events of a video that is still being written, told as they are found.

    in the worker   look = Early(detector, reader, tell.early)      shown the scan again and again
    here            told = EventLines(path, note)                   told(evidence) appends a line an event

What is told early can be told otherwise at the end: rarity is relative to all of a clip. Next: chat/captions/engine.py
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chat.captions.files import json_line
from chat.captions.words import SCHEMA_VERSION, event_record, track_record
from chat.export_content import one_line
from tvad.evidence import Evidence

EVERY_S = 5.0  # between two looks at what was found
SHARE = 0.05  # of the time, at most, that they take


@dataclass
class Early:
    """Shown what there is so far, tells events that ended and were not told before."""

    found: Callable[[Any], Evidence]  # Detector.found_so_far of a scan
    tell: Callable[[Evidence], None]
    _told_s: list[tuple[float, float]] = field(default_factory=list)
    _next_s: float = field(default_factory=time.monotonic)

    def __call__(self, scan: Any) -> None:
        began_s = time.monotonic()
        if began_s < self._next_s:
            return
        evidence = self.found(scan)
        # Parts look ahead by different times: an event may be found after a later one.
        new = tuple(e for e in evidence.events if not any(a <= e.end_s and e.start_s <= b for a, b in self._told_s))
        if new:
            self._told_s += [(event.start_s, event.end_s) for event in new]
            ids = {number for event in new for number in event.tracks}
            tracks = tuple(track for track in evidence.tracks if track.id in ids)
            self.tell(replace(evidence, events=new, tracks=tracks))
        now_s = time.monotonic()
        self._next_s = now_s + max(EVERY_S, (now_s - began_s) / SHARE)


@dataclass
class EventLines:
    """Appends to a file, a line of JSON an event, each on the disk at once; what it has is not written again."""

    path: Path
    note: Callable[[str], None] | None = None
    _known: set[tuple[str, float, float]] = field(default_factory=set)

    def __post_init__(self) -> None:
        if not self.path.is_file():
            return
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):  # cut off by a kill
            os.truncate(self.path, len(whole))
        for line in whole.splitlines():
            try:
                said = json.loads(line)
                self._known.add((said["video"], said["event"]["start_s"], said["event"]["end_s"]))
            except (ValueError, LookupError, TypeError):
                continue

    def __call__(self, evidence: Evidence) -> None:
        """Write the events. OSError where there is no room."""
        lines = []
        for event in evidence.events:
            key = (one_line(evidence.video.path), event.start_s, event.end_s)
            if key in self._known:
                continue
            self._known.add(key)
            record = event_record(evidence, event)
            tracks = [track_record(evidence.track(number)) for number in event.tracks]
            said = {"video": key[0], "seen_s": evidence.video.duration_s, "event": record, "tracks": tracks}
            lines.append(json_line({"schema_version": SCHEMA_VERSION, **said}))
            if self.note:
                self.note(f"{Path(evidence.video.path).name}: {record['caption']}")
        if lines:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
                file.flush()
                os.fsync(file.fileno())
