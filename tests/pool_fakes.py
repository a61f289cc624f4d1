"""Tasks for worker processes that start in no time: no video is looked at, its name decides."""

import os
import signal
import time
from pathlib import Path

from tvad.batch.inputs import Item
from tvad.batch.pool import Task, Tell, Unfit

TAKES_S = 0.02


class FakeTask:
    """ "crash", "once", "hang", "bug", "unfit", "half" and "swell" do that; others give their name."""

    def __call__(self) -> Task[str]:
        return befall


def who() -> Task[int]:
    """A task that tells the worker's process."""
    return lambda item, tell: os.getpid()


def befall(item: Item, tell: Tell) -> str:
    """What happens to a video by its name, which is given back."""
    name = Path(item.path).stem
    if name.startswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.startswith("once"):  # crashes the first time
        mark = Path(item.path).with_suffix(".mark")
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGSEGV)
    if name.startswith("hang"):
        time.sleep(60)
    if name.startswith("bug"):
        raise KeyError(f"{name}\nin two lines")
    if name.startswith("unfit") or (name.startswith("half") and Path(item.path).read_text() == "half"):
        raise Unfit("it is damaged")
    held = bytearray(600_000_000) if name.startswith("swell") else b""
    for n in range(4 if held else 1):
        time.sleep(0.5 if held else TAKES_S)
        tell(float(n), 4.0)
    return name
