"""Journal: what a batch has done, on disk before it counts. Append-only; one line a video, with its checksum.

A line is `CRC JSON`, both of ASCII: eight hex digits (CRC-32 of what follows the space), then the entry. What was cut
off by a kill or a full disk is the end of the file; it is taken off when the journal is opened again. The first line
says which settings the lines were made with.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

VERSION = 1
MAX_LINE = 256 << 20  # bytes; a longer line is none of ours


class JournalError(Exception):
    """A journal that cannot be gone on with; str() is one line for the person."""


class OutputFull(Exception):  # noqa: N818 - the name is what happened
    """No room to write; what was written before is whole. str() is one line for the person."""


@dataclass(frozen=True)
class _Place:
    offset: int
    size: int
    path: str
    ok: bool


class Journal:
    """A context manager that holds the file's lock.

    about: the settings of this run. restart: what the file has is dropped. JournalError when the file was made with
    others, is held by another process, or is no journal; OSError when it cannot be opened; OutputFull when there is no
    room.
    """

    def __init__(self, path: Path, about: dict[str, Any], restart: bool = False) -> None:
        self.path, self._about, self.restarted = path, about, restart
        self._places: dict[str, _Place] = {}
        self.lost = 0  # damaged lines that were passed over

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("r+b" if self.path.exists() else "x+b", buffering=0)
        try:
            self._lock()
            if self.restarted:
                self._file.truncate(0)
            self._read()
            if self._end == 0:
                self._write(_line({"journal": VERSION, "about": self._about}))
                _sync_folder(self.path.parent)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        """Entries, captions and failures."""
        return len(self._places)

    def is_ok(self, key: str) -> bool:
        """Whether the entry of a key, which must be there, is a caption and not a failure."""
        return self._places[key].ok

    def append(self, entries: Iterable[tuple[str, str, bool, dict[str, Any]]]) -> None:
        """Write (key, path, ok, record) and return when they are on the disk. OutputFull leaves the file as it was."""
        lines, places, at = [], {}, self._end
        for key, path, ok, record in entries:
            line = _line({"key": key, "path": path, "ok": ok, "record": record})
            places[key] = _Place(at, len(line), path, ok)
            lines.append(line)
            at += len(line)
        if lines:
            self._write(b"".join(lines))
            self._places |= places

    def entries(self, first: Iterable[str] = ()) -> Iterator[tuple[bool, dict[str, Any]]]:
        """(ok, record) of every video, its newest: those with the keys `first`, then the others as they first came."""
        newest = {place.path: key for key, place in self._places.items()}
        shown = dict.fromkeys(key for key in first if key in self._places)
        paths = {self._places[key].path for key in shown}
        shown |= dict.fromkeys(key for path, key in newest.items() if path not in paths)
        for key in shown:
            place = self._places[key]
            yield place.ok, self._at(place)["record"]

    def _at(self, place: _Place) -> dict[str, Any]:
        self._file.seek(place.offset)
        entry = _entry(_read_exactly(self._file, place.size))
        if entry is None:
            raise JournalError(f"{self.path}: a line that was whole is damaged now; is the disk failing?")
        return entry

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(f"{self.path}: another run writes to it; wait for it, or choose another -o") from None

    def _read(self) -> None:
        self._file.seek(0)
        at = self._end = 0
        with open(self._file.fileno(), "rb", buffering=1 << 20, closefd=False) as lines:
            while line := lines.readline(MAX_LINE):
                entry = _entry(line)
                if at == 0 and line.endswith(b"\n"):
                    self._check(entry)
                elif entry is not None and "key" in entry:
                    self._places[entry["key"]] = _Place(at, len(line), entry["path"], entry["ok"])
                elif line.endswith(b"\n"):
                    self.lost += 1
                at += len(line)
                if line.endswith(b"\n"):
                    self._end = at
        if at > self._end:
            self._file.truncate(self._end)

    def _check(self, entry: dict[str, Any] | None) -> None:
        if entry is None or entry.get("journal") != VERSION:
            raise JournalError(f"{self.path}: not a journal of this version of tvad; --restart begins again")
        before = entry.get("about", {})
        changed = sorted(k for k in {*before, *self._about} if before.get(k) != self._about.get(k))
        if changed:
            told = ", ".join(f"{k} {before.get(k)!r}, now {self._about.get(k)!r}" for k in changed[:3])
            raise JournalError(f"{self.path}: begun with other settings ({told}); use those, another -o, or --restart")

    def _write(self, data: bytes) -> None:
        self._file.seek(self._end)
        try:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self._end)
            raise OutputFull(f"{self.path} cannot be written: {error.strerror}") from None
        except BaseException:  # interrupted: no half line stays
            self._file.truncate(self._end)
            raise
        self._end += len(data)


def _line(entry: dict[str, Any]) -> bytes:
    # ASCII alone: a name that is no UTF-8 stays what it is, as an escape.
    body = json.dumps(entry, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _entry(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for one that is not whole."""
    head, _, body = line.removesuffix(b"\n").partition(b" ")
    if not line.endswith(b"\n") or head != b"%08x" % zlib.crc32(body):
        return None
    found = json.loads(body)
    return found if isinstance(found, dict) else None


def _read_exactly(file: Any, size: int) -> bytes:
    parts = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
