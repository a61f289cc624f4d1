"""Pool: videos looked at in processes of their own, so that one that crashes, hangs or eats memory ends alone.

A worker that does not say for a while how far it is, or outgrows its memory, is killed; its video is a failure, and
another worker takes its place. A worker whose parent is gone ends by itself.

Next: chat/captions/engine.py
"""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

from tvad.batch.inputs import Item
from tvad.malloc import frugal, trim

T = TypeVar("T")
EARLY = "early"
More = Callable[[bool], list[Item] | None]  # None: no more come

TELL_S = 0.5  # between two words about progress
LOOK_S = 0.5  # between two looks at clocks and memory
START_S = 600.0  # a worker may take this long to load its networks
WORN = 0.5  # share of the memory limit from which an idle worker makes room for a fresh one
TRIES = 2  # of a video whose worker died


class Tell(Protocol):
    """What a task tells while it works."""

    def __call__(self, done_s: float, total_s: float) -> None:
        """Seconds of video done, in all."""

    def early(self, value: Any) -> None:
        """Something found, before the end."""


Task = Callable[[Item, Tell], T]


class Unfit(Exception):  # noqa: N818
    """A video that the task cannot do; str() is the reason, one line."""


@dataclass(frozen=True)
class Limits:
    """Of one worker. silent_s: without progress. memory_gb: resident."""

    silent_s: float = 300.0
    memory_gb: float = 4.0

    def __post_init__(self) -> None:
        if not self.silent_s > 0 or not self.memory_gb > 0:
            raise ValueError(f"limits of a worker must be above 0: {self.silent_s} s, {self.memory_gb} GB")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What became of an item: a value, or None and why not. kind: "", or unreadable, time, memory, crash or bug; EARLY
    for a value that the task sent before its end, by `tell.early`."""

    item: Item
    value: T | None
    reason: str = ""
    kind: str = ""
    took_s: float = 0.0


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    item: Item | None = None
    ready: bool = False
    given: int = 0
    began_s: float = 0.0
    heard_s: float = field(default_factory=time.monotonic)
    done_s: float = 0.0


class Pool(Generic[T]):
    """Workers, each with a task of its own that `make` makes there; `make` and what the task gives are sent over.

    A context manager: leaving it kills what still runs. ahead: outcomes that may wait to be taken before no more videos
    are begun.
    """

    def __init__(
        self, make: Callable[[], Task[T]], workers: int, limits: Limits | None = None, ahead: int = 16
    ) -> None:
        if workers < 1:
            raise ValueError(f"workers is {workers}; it must be 1 or more (--workers)")
        self._make, self._count, self._limits, self._ahead = make, workers, limits or Limits(), ahead
        self._workers: list[_Worker] = []
        self._out: SimpleQueue[Outcome[T] | BaseException | None] = SimpleQueue()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()
        for worker in self._workers:
            _end(worker)

    @property
    def under_way_s(self) -> float:
        """Seconds of video done of the items that are worked at."""
        return sum(worker.done_s for worker in self._workers if worker.item)

    def run(self, items: Sequence[Item], more: More | None = None) -> Iterator[list[Outcome[T]]]:
        """Lists of outcomes as they come, [] now and then. What a task raises while it is made is raised here.

        more: asked many times a second, in another thread, for items that came later; told whether there is work.
        """
        self._thread = threading.Thread(target=self._guarded, args=(deque(items), more), name="pool", daemon=True)
        self._thread.start()
        over = False
        while not over:
            got: list[Outcome[T]] = []
            try:
                found = self._out.get(timeout=LOOK_S)
                while True:
                    if isinstance(found, BaseException):
                        raise found
                    if found is None:
                        over = True
                        break
                    got.append(found)
                    found = self._out.get_nowait()
            except Empty:
                pass
            yield got

    def _guarded(self, waiting: deque[Item], more: More | None) -> None:
        try:
            self._dispatch(waiting, more)
        except BaseException as error:  # told to who waits for the outcomes
            self._out.put(error)
        self._out.put(None)

    def _dispatch(self, waiting: deque[Item], more: More | None) -> None:
        tries: dict[str, int] = {}
        while not self._stop.is_set():
            busy = [w for w in self._workers if w.item]
            if more:
                later = more(bool(waiting or busy))
                more = more if later is not None else None
                waiting.extend(later or ())
            elif not waiting and not busy:
                return
            while len(self._workers) < min(self._count, len(waiting) + len(busy)):
                self._workers.append(_start(self._make))
            for worker in list(self._workers):
                if worker.ready and not worker.item and waiting and self._out.qsize() < self._ahead:
                    if worker.given and resident_gb(worker.process.pid) > WORN * self._limits.memory_gb:
                        self._remove(worker)  # what earlier videos left behind is not this one's to answer for
                    else:
                        _give(worker, waiting.popleft())
            for pipe in wait([w.pipe for w in self._workers], timeout=LOOK_S / 5):
                worker = next(w for w in self._workers if w.pipe is pipe)
                self._hear(worker, waiting, tries)
            for worker in list(self._workers):
                self._watch(worker)

    def _hear(self, worker: _Worker, waiting: deque[Item], tries: dict[str, int]) -> None:
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, OSError):
            self._died(worker, waiting, tries)
            return
        worker.heard_s = time.monotonic()
        if kind == "ready":
            worker.ready = True
        elif kind == "unable":
            raise value
        elif kind == "at":
            worker.done_s = value
        elif kind == EARLY and worker.item:
            self._out.put(Outcome(worker.item, value, kind=EARLY))
        elif worker.item:
            took_s = time.monotonic() - worker.began_s
            value, reason = (value, "") if kind == "done" else (None, value)
            self._out.put(Outcome(worker.item, value, reason, "" if kind == "done" else kind, took_s))
            worker.item, worker.done_s = None, 0.0

    def _died(self, worker: _Worker, waiting: deque[Item], tries: dict[str, int]) -> None:
        item = worker.item
        self._remove(worker)
        code = worker.process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
        if item is None and worker.ready:
            return  # while it had nothing to do; another is started when there is something
        if item is None:
            raise RuntimeError(f"a worker ended before it could begin ({how}); try --workers 1, or `tvad doctor`")
        tries[item.key] = tries.get(item.key, 0) + 1
        if tries[item.key] < TRIES:
            waiting.appendleft(item)  # it may have been killed by chance, as when memory runs out
        else:
            self._fail(item, worker, "crash", f"the program crashed on it, {TRIES} times ({how})")

    def _watch(self, worker: _Worker) -> None:
        silent_s = time.monotonic() - worker.heard_s
        if worker.item is None:
            if not worker.ready and silent_s > START_S:
                raise RuntimeError(f"a worker did not start within {START_S:g} s; try `tvad doctor`")
            return
        gb = resident_gb(worker.process.pid)
        item, limits = worker.item, self._limits
        if silent_s > limits.silent_s:
            self._remove(worker)
            self._fail(item, worker, "time", f"no progress for {limits.silent_s:g} s (--time-limit)")
        elif gb > limits.memory_gb:
            self._remove(worker)
            told = f"took {gb:.1f} GB of memory, {limits.memory_gb:g} are allowed (--memory-limit)"
            self._fail(item, worker, "memory", told)

    def _fail(self, item: Item, worker: _Worker, kind: str, reason: str) -> None:
        self._out.put(Outcome(item, None, reason, kind, time.monotonic() - worker.began_s))

    def _remove(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        _end(worker)


def resident_gb(pid: int) -> float:
    """Resident memory of a process; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e9


def _start(make: Callable[[], Task[Any]]) -> _Worker:
    # Spawned, not forked: threads of networks and decoders do not survive a fork.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, make), name="tvad-worker", daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, item: Item) -> None:
    worker.item, worker.began_s = item, time.monotonic()
    worker.heard_s = worker.began_s
    worker.given += 1
    with suppress(OSError):  # it is dead, which is heard next
        worker.pipe.send(item)


def _end(worker: _Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _work(pipe: Connection, make: Callable[[], Task[Any]]) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends us
    frugal()
    parent = os.getppid()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        task = make()
    except BaseException as error:  # whatever it is, the parent raises it
        pipe.send(("unable", error))
        return
    tell = _Teller(pipe)
    with suppress(EOFError, OSError):  # the parent is gone
        pipe.send(("ready", None))
        while True:
            pipe.send(_done(task, pipe.recv(), tell))
            trim()


def _done(task: Task[Any], item: Item, tell: Tell) -> tuple[str, Any]:
    try:
        return "done", task(item, tell)
    except Unfit as error:
        return "unreadable", str(error)
    except MemoryError:
        return "memory", "memory ran out"
    except BaseException as error:  # one video must not end the others, whatever is wrong with it
        return "bug", f"a bug: {type(error).__name__}: {' '.join(str(error).split())[:300]}"


class _Teller:
    def __init__(self, pipe: Connection) -> None:
        self._pipe, self._last = pipe, 0.0

    def __call__(self, done_s: float, total_s: float) -> None:
        now = time.monotonic()
        if now - self._last >= TELL_S:
            self._last = now
            self._pipe.send(("at", done_s))

    def early(self, value: Any) -> None:
        self._pipe.send((EARLY, value))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
