"""Following: what comes later is handed out once, when it is whole, and again when it has changed."""

import os
from pathlib import Path

import pytest

from tvad.batch.follow import Arrivals, Follow
from tvad.batch.inputs import item_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def look(arrivals: Arrivals, clock: Clock, at_s: float, busy: bool = False) -> list[str] | None:
    clock.now = at_s
    found = arrivals(busy)
    return None if found is None else [Path(item.path).name for item in found]


def test_a_video_is_handed_out_when_it_has_not_changed_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    arrivals = Arrivals([str(tmp_path)], Follow(10.0), lambda key: False, clock)
    assert look(arrivals, clock, 0) == []  # an empty folder is no mistake
    (tmp_path / "10.mp4").write_text("x")
    os.utime(tmp_path / "10.mp4", (9e9, 9e9))  # a file server whose clock is ahead
    (tmp_path / "9.mp4").write_text("x")
    (tmp_path / ".copying.mp4").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    assert look(arrivals, clock, 5) == []
    with (tmp_path / "9.mp4").open("a") as growing:
        growing.write("more")
    assert look(arrivals, clock, 10) == []
    assert look(arrivals, clock, 15) == ["10.mp4"]
    assert look(arrivals, clock, 20) == ["9.mp4"]
    assert look(arrivals, clock, 40) == []
    assert arrivals.keys == [item_of(str(tmp_path / name)).key for name in ("9.mp4", "10.mp4")]
    (tmp_path / "9.mp4").write_text("another")
    assert [look(arrivals, clock, at_s) for at_s in (45, 50, 55, 60)] == [[], [], ["9.mp4"], []]


def test_what_is_known_is_not_handed_out_and_what_is_gone_is_no_mistake(tmp_path: Path) -> None:
    clock, gone = Clock(), tmp_path / "gone"
    gone.mkdir()
    for path in (gone / "1.mp4", tmp_path / "2.mp4", tmp_path / "3.mp4"):
        path.write_text("x")
    known = {item_of(str(tmp_path / "2.mp4")).key}
    named = [str(gone), str(tmp_path / "[0-9].mp4"), str(tmp_path / "3.mp4")]
    arrivals = Arrivals(named, Follow(1.0), known.__contains__, clock)
    assert look(arrivals, clock, 0) == []
    (gone / "1.mp4").unlink()
    gone.rmdir()
    assert look(arrivals, clock, 5) == ["3.mp4"]  # named twice, handed out once


def test_it_ends_when_nothing_came_for_long_and_nothing_is_under_way(tmp_path: Path) -> None:
    clock = Clock()
    arrivals = Arrivals([str(tmp_path)], Follow(2.0, idle_s=10.0), lambda key: False, clock)
    assert look(arrivals, clock, 0) == [] == look(arrivals, clock, 6)
    (tmp_path / "1.mp4").write_text("x")
    assert look(arrivals, clock, 9) == []
    assert look(arrivals, clock, 12) == ["1.mp4"]
    assert look(arrivals, clock, 30, busy=True) == []
    assert look(arrivals, clock, 39) == []
    assert look(arrivals, clock, 41) is None


def test_what_cannot_be_followed_is_said(tmp_path: Path) -> None:
    for name in ("-", str(tmp_path / "nothing")):
        with pytest.raises(ValueError, match="--follow"):
            Arrivals([name], Follow(), lambda key: False)
    with pytest.raises(ValueError, match="--settled"):
        Follow(0)
    with pytest.raises(ValueError, match="--idle"):
        Follow(1, 0)


def test_a_named_file_is_handed_out_while_it_grows(tmp_path: Path) -> None:
    clock, known = Clock(), set[str]()
    path = tmp_path / "cam.ts"
    path.write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "other.ts").write_text("x")
    arrivals = Arrivals([str(path), str(tmp_path / "folder")], Follow(10.0), known.__contains__, clock, growing=1)

    def grow(file: Path) -> None:
        with file.open("a") as growing:
            growing.write("more")

    assert look(arrivals, clock, 0) == []
    grow(path), grow(tmp_path / "folder" / "other.ts")  # type: ignore[func-returns-value]
    clock.now = 5
    (item,) = arrivals(False) or []
    assert (item.path, item.wait_s) == (str(path), 10.0)
    grow(path)
    assert look(arrivals, clock, 10, busy=True) == []
    assert look(arrivals, clock, 40, busy=True) == ["other.ts"]  # that of a folder when it is whole
    known.add(item_of(str(path)).key)
    arrivals.ended(str(path))
    assert look(arrivals, clock, 60) == []


def test_what_cannot_be_followed_is_handed_out_when_it_is_whole(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "cam.mp4"
    path.write_text("x")
    arrivals = Arrivals([str(path)], Follow(10.0), lambda key: False, clock, growing=1)
    assert look(arrivals, clock, 0) == []
    path.write_text("xy")
    assert look(arrivals, clock, 5) == ["cam.mp4"]
    path.write_text("xyz")
    arrivals.ended(str(path))
    assert [look(arrivals, clock, at_s) for at_s in (10, 15, 25)] == [[], [], ["cam.mp4"]]
