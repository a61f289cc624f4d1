"""A look at videos without models, for worker processes; run as a program it captions a folder with it.

python caption_fakes.py OUT VIDEOS...
"""

import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cli_fakes import make_analysis
from PIL import Image
from pool_fakes import befall

from chat.captions import engine
from chat.captions.engine import Looked
from chat.keyframes import KeyFrame
from tvad import api
from tvad.batch.inputs import Item
from tvad.batch.pool import More, Outcome, Task, Tell, Unfit
from tvad.settings import Settings


@dataclass(frozen=True)
class FakeLook:
    """The name decides: what has an odd number is anomalous; the others are those of pool_fakes."""

    settings: Settings = Settings()  # noqa: RUF009 - a frozen value
    explain: str = "report"
    use_cache: bool = True
    seed: int = 0
    pictures: int | None = None

    def __call__(self) -> Task[Looked]:
        return look if self.pictures is None else partial(pictured, self.pictures)


@dataclass(frozen=True)
class SlowLook:
    """As FakeLook, half a second a video; notes in `folder` which process works for which, and at what."""

    folder: str

    def __call__(self) -> Task[Looked]:
        def slow(item: Item, tell: Tell) -> Looked:
            mark = Path(self.folder, f"{os.getppid()}-{os.getpid()}-{Path(item.path).stem}")
            mark.touch()
            time.sleep(0.5)
            return look(item, tell)

        return slow


class HerePool:
    """As `Pool`, one after another in this process; without workers that have to start."""

    under_way_s = 0.0

    def __init__(self, make: Callable[[], Task[Looked]], *_: object, **__: object) -> None:
        self._task = make()

    def __enter__(self) -> "HerePool":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, items: Sequence[Item], more: More | None = None) -> Iterator[list[Outcome[Looked]]]:
        for item in items:
            yield [self._outcome(item)]
        while more and (later := more(False)) is not None:
            yield [self._outcome(item) for item in later]

    def _outcome(self, item: Item) -> Outcome[Looked]:
        try:
            return Outcome(item, self._task(item, lambda done_s, total_s: None))
        except Unfit as error:
            return Outcome(item, None, str(error), "unreadable")


def pictured(count: int, item: Item, tell: Tell) -> Looked:
    data = io.BytesIO()
    Image.new("RGB", (32, 24), (200, 30, 30)).save(data, "JPEG")
    frames = tuple(KeyFrame(float(n), f"At {n} s:", data.getvalue()) for n in range(min(count, 2)))
    return replace(look(item, tell), frames=frames)


def look(item: Item, tell: Tell) -> Looked:
    number = int("".join(c for c in befall(item, tell) if c.isdecimal()) or 0)
    evidence = make_analysis(item.path, number % 2 == 1).evidence
    return Looked(replace(evidence, video=replace(evidence.video, duration_s=float(number + 1))))


def main() -> None:
    engine.Look = FakeLook  # type: ignore[misc,assignment]
    api.caption(sys.argv[2:], sys.argv[1], explain="report", workers=1, formats=("csv", "srt"))


if __name__ == "__main__":
    main()
