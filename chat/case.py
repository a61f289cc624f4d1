"""Case: one video on the desk, what may be there at all, and what is said to who asks for something else.

Next: chat/desk.py
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from chat.conversation import Conversation, Turn
from chat.region import Region
from chat.session import Answer, Session
from tvad.detector import Detector
from tvad.evidence import Analysis
from tvad.scan import Scan
from tvad.settings import Settings
from tvad.video import VIDEO_SUFFIXES, VideoReader

LONGEST_NAME = 120


class Refused(ValueError):  # noqa: N818 - it is an answer, not a failure
    """What the person asked for cannot be had; str() is a sentence for them."""


@dataclass(frozen=True)
class Limits:
    """upload_mb, minutes: of one video. cases: videos of one visit, the oldest makes room. normals: clips of ordinary
    footage of one visit. visits: at once. age_s: after which an untouched video is forgotten. waiting: people in line
    for the processor."""

    upload_mb: float = 200.0
    minutes: float = 30.0
    cases: int = 6
    normals: int = 12
    visits: int = 64
    age_s: float = 4 * 3600.0
    waiting: int = 20

    def __post_init__(self) -> None:
        if not min(self.upload_mb, self.minutes, self.age_s) > 0 or min(self.cases, self.normals, self.visits) < 1:
            raise ValueError(f"limits of the page must be above 0: {self}")


@dataclass
class Case:
    """One video. is_normal: ordinary footage to learn from, which is not shown. state: received, working, ready or
    failed; note: what a person reads about that; version: grows with every change of what the page shows, looked with
    every analysis. explain: who answers, None for the page's choice. said: questions and answers, early: asked
    during the first look, to be answered after it. overtaken: ends the
    latest look at it."""

    id: str
    visit: str
    name: str
    folder: Path
    source: Path
    is_normal: bool = False
    shown: str = ""  # name of the file in `folder` that browsers play
    state: str = "received"
    note: str = ""
    version: int = 0
    looked: int = 0
    explain: str | None = None
    touched_s: float = 0.0
    settings: Settings = field(default_factory=Settings)
    analysis: Analysis | None = None
    session: Session | None = None
    said: list[tuple[str, Answer]] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    turns: list[tuple[Region | None, Turn]] = field(default_factory=list)  # of `said`, with the place it is about
    found: tuple[Detector, VideoReader, Scan] | None = None
    overtaken: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> list[str]:
        return [question for question, _ in self.said]

    def talk(self, region: Region | None = None) -> Conversation:
        """What was said about the whole picture, or about this place alone: to each belongs other evidence."""
        return Conversation(tuple(turn for where, turn in self.turns if where == region))


def clean_name(name: str) -> str:
    """The last part of a name, without control characters, not longer than LONGEST_NAME."""
    base = PurePosixPath(name.replace("\\", "/")).name
    shown = "".join(c for c in base if c.isprintable()).strip()
    if len(shown) > LONGEST_NAME:
        shown = shown[: LONGEST_NAME - 20] + "…" + shown[-19:]
    return shown or "video"


def suffix_of(name: str) -> str:
    suffix = Path(name).suffix.lower()
    return suffix if suffix in VIDEO_SUFFIXES else ".bin"


def reason(error: Exception, path: Path) -> str:
    """What went wrong, without where on this machine."""
    return str(error).replace(f"{path}: ", "").replace(str(path), "the file")
