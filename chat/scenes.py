"""What visits have taught the page about their cameras: a scene file each, made by `tvad calibrate`'s own function.

Next: tvad/calibrate.py
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chat.case import Case, Refused
from chat.playable import Stopped
from tvad.calibrate import calibrate
from tvad.progress import Progress
from tvad.settings import USUAL, Settings, usual_parts
from tvad.video import VideoError


@dataclass(frozen=True)
class Learnt:
    """path: of the scene file. words: from what it was learnt."""

    path: Path
    words: str


class Scenes:
    """The scenes of visits, in a folder."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder, self._settings = folder, settings
        self._learnt: dict[str, Learnt] = {}  # of visits

    def learn(
        self,
        cases: Sequence[Case],
        stretch_s: tuple[float, float] | None,
        tell: Callable[[float, str], None],
        stopped: Callable[[], bool],
    ) -> None:
        """A new scene of the visit whose clips these are; the old one stays unless all went well. Refused for what is
        too short, of another shape or cannot be read; Stopped."""
        if not cases:
            raise Refused("there are no clips to learn from; add some first")
        start_s, end_s = stretch_s or (None, None)
        out = self._folder / f"{secrets.token_urlsafe(12)}.scene.safetensors"

        def progress(now: Progress) -> None:
            if stopped():
                raise Stopped("stopped")
            tell(min(now.done_s / now.total_s, 1.0) if now.total_s > 0 else 0.0, "Learning what is normal here")

        try:
            settings = replace(self._settings, scene=None, start_s=start_s, end_s=end_s)
            report = calibrate([c.source for c in cases], out, settings, progress)
        except (ValueError, VideoError) as error:
            words = str(error)
            for case in cases:
                words = words.replace(str(case.source), case.name)
            raise Refused(f"this cannot be learnt as normal: {words}") from None
        self.forget(cases[0].visit)
        what = cases[0].name if len(cases) == 1 else f"{len(cases)} clips"
        part = (
            f", {start_s:.1f} to {min(end_s, report.seconds):.1f} s"
            if start_s is not None and end_s is not None
            else ""
        )
        self._learnt[cases[0].visit] = Learnt(out, f"{what}{part}")

    def forget(self, visit: str) -> None:
        """Back to the page's own scene, or none."""
        if old := self._learnt.pop(visit, None):
            old.path.unlink(missing_ok=True)

    def words(self, visit: str) -> str:
        """What was learnt, for the person."""
        learnt = self._learnt.get(visit)
        return f"Learnt as normal: {learnt.words}." if learnt else ""

    def settings(self, visit: str, anomaly: Sequence[str], normal: Sequence[str]) -> Settings:
        """The page's settings with the visit's scene and words. No words: the usual ones."""
        own = self._settings
        if learnt := self._learnt.get(visit):
            usual = own.parts == usual_parts(own.scene is not None)
            own = replace(own, scene=str(learnt.path), parts=USUAL if usual else own.parts)
        return replace(own, anomaly=tuple(anomaly) or own.anomaly, normal=tuple(normal) or own.normal)

    def close(self) -> None:
        for visit in list(self._learnt):
            self.forget(visit)
