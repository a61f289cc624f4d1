"""One computation at a time: who comes first is served first, and the line has an end.

Next: chat/openai_api.py
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

POLL_S = 0.1  # how often one who waits is asked whether they still want to


class Busy(RuntimeError):  # noqa: N818 - the name is what happened
    """The line is full; str() is one sentence for the person."""


class Left(RuntimeError):  # noqa: N818
    """Who waited, or was served, does not want it any more."""


class Turns:
    """Who computes and who waits, for any number of threads.

    at_once: computations that run together, 1 or more. waiting: how many may stand in line, 0 or more.
    """

    def __init__(self, at_once: int = 1, waiting: int = 20) -> None:
        if at_once < 1 or waiting < 0:
            raise ValueError(f"at_once is {at_once} and waiting {waiting}; they must be at least 1 and 0")
        self._at_once, self._longest = at_once, waiting
        self._running = 0
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    @property
    def running(self) -> int:
        """Computations under way."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    @contextmanager
    def turn(
        self, stopped: Callable[[], bool] | None = None, on_wait: Callable[[int, int], object] | None = None
    ) -> Iterator[None]:
        """Wait for a slot and hold it; not to be nested in one thread, which would wait for itself.

        stopped: asked while waiting, Left is raised once it is true. on_wait: told the own place (1 is the next) and
        the length of the line, at first and at every change. It may end in another thread than it began in, as
        generators do. Raises Busy when the line is full.
        """
        self._enter(stopped, on_wait)
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _enter(self, stopped: Callable[[], bool] | None, on_wait: Callable[[int, int], object] | None) -> None:
        me = object()
        with self._changed:
            if not self._line and self._running < self._at_once:
                self._running += 1
                return
            if len(self._line) >= self._longest:
                raise Busy(
                    f"all places are taken ({self._running} computing, {len(self._line)} waiting); try again later"
                )
            self._line.append(me)
            self._changed.notify_all()  # the line is longer, for those who are told
        try:
            self._wait(me, stopped, on_wait)
        except BaseException:
            with self._changed:
                if me in self._line:
                    self._line.remove(me)
                self._changed.notify_all()
            raise

    def _wait(
        self, me: object, stopped: Callable[[], bool] | None, on_wait: Callable[[int, int], object] | None
    ) -> None:
        told: tuple[int, int] | None = None
        while True:
            if stopped is not None and stopped():
                raise Left("left the line")
            with self._changed:
                if self._line[0] is me and self._running < self._at_once:
                    self._line.popleft()
                    self._running += 1
                    self._changed.notify_all()  # everybody behind has moved up
                    return
                place = self._line.index(me) + 1, len(self._line)
                if place == told:
                    self._changed.wait(POLL_S if stopped is not None else None)
                    continue
            # Outside of the lock: what it does is its own business and may take its time.
            if on_wait is not None:
                on_wait(*place)
            told = place
