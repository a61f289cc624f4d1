"""A detector that finds what is made up, so that the desk and the server can be tested without networks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_fakes import DURATION_S, three_events

from chat import desk
from chat.case import Case, Limits
from chat.desk import Desk
from tvad.evidence import Analysis, Curves, Evidence
from tvad.progress import Progress
from tvad.settings import Settings
from tvad.video import VideoReader


def analysis(evidence: Evidence | None = None) -> Analysis:
    """Three events, heat 0.7 in the middle third of the picture, 0.2 elsewhere."""
    evidence = evidence or three_events()
    times = np.arange(0, DURATION_S, 0.5)
    heat = np.full((len(times), 9, 12), 0.2, np.float16)
    heat[:, 3:6, 4:8] = 0.7
    scores = np.full(len(times), 0.2, np.float32)
    for e in evidence.events:
        scores[(times >= e.start_s) & (times <= e.end_s)] = e.score
    return Analysis(evidence, Curves(times, scores, times, heat))


class FakeDetector:
    """`steps` frames are looked at, told one by one; with a rate above 100 an hour it finds one event only."""

    steps = 4
    seen: list[Settings]

    def __init__(
        self, settings: Settings, found: Analysis | None = None, hook: Callable[[], Any] | None = None
    ) -> None:
        self.settings, self.found, self.hook = settings, found or analysis(), hook

    def reader(self, path: Path) -> VideoReader:
        return VideoReader(path, 8.0)

    def scan(self, reader: VideoReader, progress: Callable[[Progress], None]) -> str:
        for n in range(self.steps):
            if self.hook:
                self.hook()
            progress(Progress(n + 1.0, float(self.steps), n + 1))
        return "scan"

    def conclude(self, reader: VideoReader, scan: str) -> Analysis:
        evidence, curves = self.found
        path = replace(evidence.video, path=reader.path)
        evidence = replace(evidence, settings=self.settings.to_dict(), video=path)
        if self.settings.false_alarms_per_hour > 100:
            evidence = replace(evidence, events=evidence.events[:1])
        return Analysis(evidence, curves)


def make_desk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limits: Limits | None = None, hook: Callable[[], Any] | None = None
) -> Desk:
    made = Desk(folder / "desk", explain="report", limits=limits)
    monkeypatch.setattr(made, "_detector", lambda settings: FakeDetector(settings, hook=hook))
    # `recut` makes a detector of other settings with dataclasses.replace.
    monkeypatch.setattr(desk, "replace", _replace)
    return made


def _replace(value: Any, **changes: Any) -> Any:
    if isinstance(value, FakeDetector):
        return FakeDetector(changes["settings"], value.found)
    return replace(value, **changes)


def opened(made: Desk, video: Path, visit: str = "a", name: str | None = None) -> Case:
    return made.receive(visit, name or video.name, [video.read_bytes()])


def ready(made: Desk, video: Path, visit: str = "a") -> Case:
    case = opened(made, video, visit)
    made.analyse(case, Settings(), lambda share, note: None)
    return case


def said(made: Desk, case: Case, question: str, **more: Any) -> str:
    return "".join(made.ask(case, question, **more))
