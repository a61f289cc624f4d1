"""Work in a thread, watched: what it tells as it goes, what it raises, and an end to it when nobody watches.

Next: chat/desk.py
"""

import threading
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue

SHOWN_S = 0.15  # between two messages about progress


def watched(
    work: Callable[[Callable[[float, str], None], Callable[[], bool]], None], stop: threading.Event | None = None
) -> Iterator[tuple[float, str]]:
    """Run `work(tell, stopped)` in a thread and yield what it tells, the newest of each moment. When this is closed
    (the person stopped) or `stop` is set (the page was shut) `stopped()` becomes true. What the work raises is raised
    here."""
    told: SimpleQueue[tuple[float, str]] = SimpleQueue()
    stop, failed = stop or threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            work(lambda share, note: told.put((share, note)), stop.is_set)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="analysis", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(SHOWN_S)
            if newest := _newest(told):
                yield newest
        if failed:
            raise failed[0]
    finally:
        stop.set()


def _newest(told: "SimpleQueue[tuple[float, str]]") -> tuple[float, str] | None:
    newest = None
    try:
        while True:
            newest = told.get_nowait()
    except Empty:
        return newest
