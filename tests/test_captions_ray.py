"""The engine on a cluster: a real local Ray with two workers gives what the local engine gives, also when one dies."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from caption_fakes import FakeLook, SlowLook

from chat.captions.engine import Count, caption_all
from chat.captions.words import Wanted
from tvad.batch.inputs import Item, collect
from tvad.batch.journal import Journal
from tvad.batch.pool import Limits

pytest.importorskip("ray", reason="the extra ray is not installed")
pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


@pytest.fixture
def items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Item]:
    monkeypatch.setenv("PYTHONPATH", f"{HERE}{os.pathsep}{HERE.parent}")
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in [*map(str, range(20)), "unfit", "crash"]:
        (folder / f"{name}.mp4").write_text(name)
    return collect([str(folder)])


def entries(path: Path, items: list[Item]) -> list[object]:
    with Journal(path, {}) as journal:
        return list(journal.entries(item.key for item in items))


def last(counts: Iterator[Count]) -> Count:
    count = Count()
    for count in counts:  # noqa: B007 - the last one is what is asked for
        pass
    return count


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_two_workers_one_killed_give_what_the_local_engine_gives(items: list[Item], tmp_path: Path) -> None:
    from chat.captions.ray_engine import caption_on_ray

    with Journal(tmp_path / "local", {}) as journal:
        last(caption_all(items, journal, FakeLook(), Wanted(), 1, Limits()))
    marks = tmp_path / "marks"
    marks.mkdir()
    killed: list[int] = []
    with Journal(tmp_path / "ray", {}) as journal:
        for count in caption_on_ray(items, journal, SlowLook(str(marks)), Wanted(), 2, Limits()):
            if count.done >= 2 and not killed:
                # The last that began and lives: the worker of the clip "crash" is gone already.
                begun = sorted(marks.iterdir(), key=lambda mark: mark.stat().st_mtime, reverse=True)
                killed.append(next(pid for mark in begun if lives(pid := int(mark.name.split("-")[0]))))
                os.kill(killed[0], signal.SIGKILL)
    assert killed
    assert (count.done, count.failed, count.left) == (20, 2, 0)
    assert entries(tmp_path / "ray", items) == entries(tmp_path / "local", items)
    assert len({mark.name.split("-")[0] for mark in marks.iterdir()}) >= 2  # actors that had work
