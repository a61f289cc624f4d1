"""What the commands print: messages and progress on stderr, data on stdout. Every name is shown literally.

Names of files and words of models are untrusted text: no console here reads markup, and control characters are
shown escaped.
"""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from tvad.evidence import Event, Evidence

if TYPE_CHECKING:
    from tvad.progress import Progress as Done

PIPE_WIDTH = 120  # columns when stdout is no terminal


def shown(text: object) -> str:
    """Text with control characters and undecodable bytes escaped, safe for a terminal and on one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def console(stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def say(line: str) -> None:
    """One message to the person, on stderr."""
    print(shown(line), file=sys.stderr, flush=True)


def print_words(words: str) -> None:
    """A piece of an answer on stdout, at once; line breaks stay."""
    print("\n".join(shown(line) for line in words.split("\n")), end="", flush=True)


def print_json(value: object) -> None:
    """One JSON object on stdout; dataclasses become objects, paths text."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    # A lone surrogate (a file name that is no UTF-8) is not JSON text; escape it.
    if isinstance(value, str | Path):
        return str(value).encode("utf-8", "backslashreplace").decode()
    return value


def clock(seconds: float) -> str:
    """12.34 -> 0:12.3, 3723 -> 1:02:03.0."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{tenths / 10:04.1f}"


def size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table on stdout."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        grid.add_column(name, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(shown(cell)) for cell in row))
    console().print(grid)


def print_events(evidence: Evidence) -> None:
    """The events: id, time, score, category, tracks."""
    if not evidence.events:
        print("no events")
        return
    table(("event", "time", "peak", "score", "category", "tracks"), (_event_row(e, evidence) for e in evidence.events))


def _event_row(event: Event, evidence: Evidence) -> tuple[str, ...]:
    labels = {track.id: track.label for track in evidence.tracks}
    tracks = ", ".join(f"{i} ({labels[i]})" for i in event.tracks)
    span = f"{clock(event.start_s)} - {clock(event.end_s)}"
    return str(event.id), span, clock(event.peak_s), f"{event.score:.2f}", event.category, tracks or "-"


def print_citations(citations: Sequence[object], conflicts: Sequence[object]) -> None:
    """What the answer rests on, and with a mark what in it the evidence contradicts."""
    out = console()
    if citations:
        out.print(Text("rests on: " + "; ".join(shown(c) for c in citations), style="dim"))
    for conflict in conflicts:
        out.print(Text(f"[!] conflict with the evidence: {shown(conflict)}", style="bold red"))


def print_paths(paths: dict[str, Path]) -> None:
    for path in paths.values():
        print(shown(path))


class Meter:
    """Progress of an analysis on stderr: a bar on a terminal, one line at the end otherwise, nothing when quiet.

    Call it with a tvad.progress.Progress.
    """

    def __init__(self, what: str, quiet: bool = False) -> None:
        self._what, self._quiet = shown(what), quiet
        self._began_s = time.monotonic()
        self._frames, self._done_s = 0, 0.0
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[speed]}", markup=False),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=None, speed="")
        return self

    def __call__(self, progress: "Done") -> None:
        self._frames = progress.frames
        self.at(progress.done_s, progress.total_s)

    def at(self, done_s: float, total_s: float) -> None:
        """So many seconds of video are done, of so many."""
        self._done_s = done_s
        if self._bar:
            rate = self._frames / max(time.monotonic() - self._began_s, 1e-9)
            speed = f"{rate:.0f} frames/s, ETA" if self._frames else "ETA"
            self._bar.update(self._task, completed=done_s, total=total_s if total_s > 0 else None, speed=speed)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()
        if kind is None and self._frames and not self._quiet:
            took_s = time.monotonic() - self._began_s
            rate = self._frames / max(took_s, 1e-9)
            say(f"{self._what}: {self._done_s:.1f} s of video, {self._frames} frames in {took_s:.1f} s ({rate:.0f}/s)")
