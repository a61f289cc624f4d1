"""Follow: folders that somebody writes into. A video is handed out once it has not changed for a while; a file that was
named itself as soon as it grows.

Nothing but sizes and times of change is looked at, by a clock of our own: the times of a file server may be off.

Next: tvad/batch/pool.py
"""

import glob
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tvad.batch.inputs import REMOTE, Item, collect

LOOK_S = 2.0  # between two looks
LOOK_SHARE = 0.1  # of the time, at most, that looking takes where there are very many files


@dataclass(frozen=True)
class Follow:
    """settled_s: a video is whole when it has not changed for so long. idle_s: nothing came and nothing was under way
    for so long is the end; None for no end."""

    settled_s: float = 10.0
    idle_s: float | None = None

    def __post_init__(self) -> None:
        if not self.settled_s > 0 or not (self.idle_s is None or self.idle_s > 0):
            raise ValueError(f"seconds must be above 0, not {self.settled_s} and {self.idle_s} (--settled, --idle)")


class Arrivals:
    """What has come since the last call and is whole. Call it often, it looks only now and then.

    given: files, folders, globs and lists; they may be empty yet. known: whether a key needs nothing. ValueError for a
    name that nothing has, and for standard input, which is read once. clock: seconds. growing: so many files at most
    are looked at while they grow; who does it says when that has `ended`.
    """

    def __init__(
        self,
        given: Sequence[str],
        follow: Follow,
        known: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
        growing: int = 0,
    ) -> None:
        for name in given:
            if name == "-":
                raise ValueError("standard input cannot be followed; name a folder or a list (--follow)")
            if not (REMOTE.match(name) or glob.has_magic(name) or os.path.lexists(name)):
                raise ValueError(f"nothing at {name!r} to follow; make the folder first (--follow)")
        self._given, self._follow, self._known, self._clock = given, follow, known, clock
        self._handed: set[str] = set()
        self._most = growing
        self._named = {name for name in given if not REMOTE.match(name)}
        self._first: dict[str, str] = {}  # named file -> its key when it was first seen
        self._growing: set[str] = set()
        self._seen_s: dict[str, float] = {}  # key -> when it was first seen, of what was not handed out
        self._next_s = self._idle_s = clock()
        self.keys: list[str] = []  # of all that was there at the last look, in order

    def __call__(self, busy: bool) -> list[Item] | None:
        """Videos to begin; None at the end. busy: whether some are under way."""
        now = self._clock()
        if busy:
            self._idle_s = now
        if now < self._next_s:
            return []
        items = self._look()
        self._next_s = self._clock() + max(LOOK_S, (self._clock() - now) / LOOK_SHARE)
        self.keys = [item.key for item in items]
        grows = self._that_grow(items)
        new = [
            item
            for item in items
            if item.path not in self._growing and item.key not in self._handed and not self._known(item.key)
        ]
        self._seen_s = {item.key: self._seen_s.get(item.key, now) for item in new}
        whole = [item for item in new if now - self._seen_s[item.key] >= self._follow.settled_s]
        self._handed.update(item.key for item in whole)
        if new or grows:
            self._idle_s = now
        if self._follow.idle_s is not None and now - self._idle_s >= self._follow.idle_s:
            return None
        return [*grows, *whole]

    def ended(self, path: str) -> None:
        """A file that was handed out while it grew is done, or could not be read."""
        self._growing.discard(path)

    def _that_grow(self, items: Sequence[Item]) -> list[Item]:
        """Named files that have changed since they were first seen, each once."""
        found = []
        for item in items:
            if item.path not in self._named or self._first.setdefault(item.path, item.key) in ("", item.key):
                continue
            if len(self._growing) < self._most and not self._known(item.key):
                self._first[item.path] = ""  # once is enough: later it is whole, or of no kind that can be followed
                self._growing.add(item.path)
                found.append(replace(item, wait_s=self._follow.settled_s))
        return found

    def _look(self) -> list[Item]:
        found: dict[str, Item] = {}
        for name in self._given:
            with suppress(ValueError, OSError):  # empty yet, or gone for the moment
                for item in collect([name]):
                    if REMOTE.match(item.path) or os.path.lexists(item.path):
                        found.setdefault(item.path, item)
        return list(found.values())
