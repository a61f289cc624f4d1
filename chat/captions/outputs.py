"""The files of a batch, all made from its journal: captions, other formats beside them, failures.

Next: chat/captions/engine.py
"""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Self

from chat.captions.files import jsonl_lines, write_failures, write_lines
from chat.captions.formats import FORMATS, beside
from tvad import cache
from tvad.batch.inputs import REMOTE
from tvad.batch.journal import Journal, OutputFull
from tvad.batch.storage import Elsewhere

REFRESH_S = 10.0  # between two writings of a batch that has no end
UPLOAD_S = 60.0  # between two of an output that lies elsewhere
REFRESH_SHARE = 0.05  # of the time, at most, that writing takes
FILES = {".jsonl", ".json", ".csv"}  # the others are folders


def _holds(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists() and path.stat().st_size > 0


@dataclass
class Outputs:
    """What is written to `out` and beside it, and taken elsewhere where that is wanted. ValueError for an unknown
    format, and where `out` is no .jsonl."""

    out: Path
    formats: Sequence[str] = ()
    elsewhere: Elsewhere | None = None
    _entries: int = -1  # in the journal when it was written last
    _next_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.out.suffix != ".jsonl":
            raise ValueError(
                f"the captions go to a .jsonl file, not {self.out.name!r}; others beside it by --format (-o)"
            )
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise ValueError(f"no format {unknown[0]!r}; choose some of {list(FORMATS)} (--format)")

    @classmethod
    def at(cls, out: str | Path, formats: Sequence[str] = ()) -> Self:
        """Of a path, or of a place such as s3://bucket/captions.jsonl: journal and all are then kept on this machine,
        in a folder of the cache. ValueError for a place that cannot be written."""
        text = os.fspath(out)
        if not REMOTE.match(text):
            return cls(Path(text), formats)
        folder = cache.cache_dir() / "captions" / hashlib.sha256(text.encode()).hexdigest()[:24]
        return cls(folder / PurePosixPath(text).name, formats, Elsewhere(text))

    def begin(self, journal: Journal) -> None:
        """Look at the place before the work. ValueError where it holds what another machine or nobody of ours wrote,
        which would be lost, or a folder where a file is to be; OutputFull where it cannot be looked at."""
        for path in self.paths:
            if path.exists() and path.is_dir() == bool(path.suffix in FILES):
                raise ValueError(f"{path} is a {'folder' if path.is_dir() else 'file'}; choose another name (-o)")
        if len(journal) or journal.restarted:
            return
        if self.elsewhere and self.elsewhere.exists():
            raise ValueError(
                f"{self.elsewhere.url} is there already, and its journal is not on this machine; choose another "
                "name, or write it anew with --restart (-o)"
            )
        if not self.elsewhere and (there := next(filter(_holds, self.paths), None)):
            raise ValueError(
                f"{there} is there already, without a journal that says how it was made; choose another name, or "
                "write it anew with --restart (-o)"
            )

    @property
    def journal(self) -> Path:
        """Where the journal is."""
        return self.out.with_name(f"{self.out.name}.journal")

    @property
    def failures(self) -> Path:
        """Where failures are told; elsewhere under a name of its own, for many machines write into one folder."""
        return self.out.with_name(f"{self.out.stem}.failures.jsonl" if self.elsewhere else "failures.jsonl")

    @property
    def early(self) -> Path:
        """Where events of videos that still grow are told."""
        return self.out.with_name(f"{self.out.stem}.events.jsonl")

    @property
    def paths(self) -> tuple[Path, ...]:
        """The captions, and the formats beside them."""
        return (self.out, *(beside(self.out, name) for name in self.formats))

    @property
    def places(self) -> tuple[str | Path, ...]:
        """Where a person finds `paths`."""
        return tuple(map(self.place_of, self.paths))

    def place_of(self, path: Path) -> str | Path:
        """The same of one of the files."""
        return self.elsewhere.beside(path.name) if self.elsewhere else path

    def write(self, journal: Journal, keys: Sequence[str]) -> int:
        """Write all, the videos with these keys first; how many failures there are. OutputFull where there is no
        room, or it cannot be written for another reason."""
        try:
            failed = self._written(journal, keys)
        except OSError as error:
            raise OutputFull(f"the files at {self.out} cannot be written: {error.strerror or error}") from None
        if self.elsewhere:
            for path in (
                *self.paths[1:],
                self.early,
                self.failures,
                self.out,
            ):  # the captions last: who sees them finds the rest
                self.elsewhere.put(path)
        return failed

    def _written(self, journal: Journal, keys: Sequence[str]) -> int:

        def records() -> Iterator[dict[str, Any]]:
            return (record for ok, record in journal.entries(keys) if ok)

        write_lines(self.out, jsonl_lines(records()))
        for name in self.formats:
            FORMATS[name].write(beside(self.out, name), records)
        return write_failures(self.failures, self.out.name, (r for ok, r in journal.entries(keys) if not ok))

    def refresh(self, journal: Journal, keys: Sequence[str]) -> None:
        """Write if something is new, now and then: what a batch without end has found is there to read."""
        began_s = time.monotonic()
        if len(journal) != self._entries and began_s >= self._next_s:
            self._entries = len(journal)
            try:
                self.write(journal, keys)
            except OutputFull:
                if not self.elsewhere:
                    raise
                self._entries = -1  # a network that is gone for a while ends nothing; the end tells
            took_s = time.monotonic() - began_s
            pause_s = UPLOAD_S if self.elsewhere else REFRESH_S
            self._next_s = time.monotonic() + max(pause_s, took_s / REFRESH_SHARE)
