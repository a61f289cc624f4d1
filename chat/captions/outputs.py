"""The files of a batch, all made from its journal: captions, other formats beside them, failures.

Next: chat/captions/engine.py
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chat.captions.files import jsonl_lines, write_failures, write_lines
from chat.captions.formats import FORMATS, beside
from tvad.batch.journal import Journal

REFRESH_S = 10.0  # between two writings of a batch that has no end
REFRESH_SHARE = 0.05  # of the time, at most, that writing takes


@dataclass
class Outputs:
    """What is written to `out` and beside it. ValueError for an unknown format, and where `out` is no .jsonl."""

    out: Path
    formats: Sequence[str] = ()
    _entries: int = -1  # in the journal when it was written last
    _next_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.out.suffix != ".jsonl":
            raise ValueError(
                f"the captions go to a .jsonl file, not {self.out.name!r}; others beside it by --format (-o)"
            )
        if unknown := [name for name in self.formats if name not in FORMATS]:
            raise ValueError(f"no format {unknown[0]!r}; choose some of {list(FORMATS)} (--format)")

    @property
    def journal(self) -> Path:
        """Where the journal is."""
        return self.out.with_name(f"{self.out.name}.journal")

    @property
    def failures(self) -> Path:
        """Where failures are told."""
        return self.out.with_name("failures.jsonl")

    @property
    def paths(self) -> tuple[Path, ...]:
        """The captions, and the formats beside them."""
        return (self.out, *(beside(self.out, name) for name in self.formats))

    def write(self, journal: Journal, keys: Sequence[str]) -> int:
        """Write all, the videos with these keys first; how many failures there are. OSError where there is no room."""

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
            self.write(journal, keys)
            took_s = time.monotonic() - began_s
            self._next_s = time.monotonic() + max(REFRESH_S, took_s / REFRESH_SHARE)
