"""Captions whose output lies elsewhere: there whole or not at all, gone on with, and nothing of others overwritten."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from caption_fakes import FakeLook, HerePool
from fsspec.implementations.memory import MemoryFileSystem

from chat.captions import engine, outputs
from tvad import api
from tvad.batch.journal import OutputFull
from tvad.batch.storage import Elsewhere


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engine, "Look", FakeLook)
    monkeypatch.setattr(engine, "Pool", HerePool)
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("1", "2", "unfit"):
        (folder / f"{name}.mp4").write_text(name)
    return folder


@pytest.fixture(params=["memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    MemoryFileSystem.store.clear()
    yield "memory://bucket/of" if request.param == "memory" else f"file://{tmp_path}/bucket/of"
    MemoryFileSystem.store.clear()


def caption(clips: Path, out: str, **options: Any) -> api.Captioned:
    return api.caption([str(clips)], out, explain="report", workers=1, **options)


def text(url: str) -> str:
    with fsspec.open(url, "rt") as file:
        return str(file.read())


def names(place: str) -> list[str]:
    files, root = fsspec.core.url_to_fs(place)
    return sorted(name.rpartition("of/")[2] for name in files.find(root))


def test_all_that_is_written_here_is_there(clips: Path, place: str, tmp_path: Path) -> None:
    done = caption(clips, f"{place}/c.jsonl", formats=["csv", "srt"])
    assert [str(path) for path in done.paths] == [f"{place}/{name}" for name in ("c.jsonl", "c.csv", "c.srt")]
    assert done.failures == f"{place}/c.failures.jsonl"
    assert names(place) == ["c.csv", "c.failures.jsonl", "c.jsonl", "c.srt/1.srt", "c.srt/2.srt"]
    here = tmp_path / "here"
    caption(clips, str(here / "c.jsonl"), formats=["csv", "srt"])
    assert text(f"{place}/c.jsonl") == (here / "c.jsonl").read_text()
    assert text(f"{place}/c.csv") == (here / "c.csv").read_text()


def test_it_goes_on_and_what_is_no_longer_so_goes(clips: Path, place: str) -> None:
    caption(clips, f"{place}/c.jsonl", formats=["srt"])
    (clips / "unfit.mp4").rename(clips / "3.mp4")
    (clips / "2.mp4").unlink()
    done = caption(clips, f"{place}/c.jsonl", formats=["srt"])
    assert (done.count.before, done.count.done) == (1, 1)
    found = [json.loads(line)["video"]["path"] for line in text(f"{place}/c.jsonl").splitlines()]
    assert sorted(Path(path).stem for path in found) == ["1", "2", "3"]  # what was captioned stays
    assert "c.failures.jsonl" in names(place)  # of a video that is gone now
    caption(clips, f"{place}/c.jsonl", formats=["srt"], restart=True)
    assert names(place) == ["c.jsonl", "c.srt/1.srt", "c.srt/3.srt"]


def test_what_another_machine_wrote_is_not_overwritten(
    clips: Path, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caption(clips, f"{place}/c.jsonl")
    before = text(f"{place}/c.jsonl")
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path / "another"))
    (clips / "1.mp4").unlink()
    for _ in range(2):
        with pytest.raises(ValueError, match="journal is not on this machine"):
            caption(clips, f"{place}/c.jsonl")
        assert text(f"{place}/c.jsonl") == before
    caption(clips, f"{place}/c.jsonl", restart=True)
    assert len(text(f"{place}/c.jsonl").splitlines()) == 1


def test_a_store_that_fails_half_way_leaves_what_was_there(
    clips: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    caption(clips, f"{place}/c.jsonl")
    before = text(f"{place}/c.jsonl")
    (clips / "4.mp4").write_text("4")

    def half(source: Any, out: Any, size: int) -> None:
        out.write(source.read(20))
        raise ConnectionError("the store\nhung up")

    with monkeypatch.context() as broken:
        broken.setattr("tvad.batch.storage.shutil.copyfileobj", half)
        with pytest.raises(OutputFull, match=r"cannot be written \(ConnectionError: the store hung up\)"):
            caption(clips, f"{place}/c.jsonl")
    assert text(f"{place}/c.jsonl") == before
    done = caption(clips, f"{place}/c.jsonl")
    assert done.count.done == 0 and len(text(f"{place}/c.jsonl").splitlines()) == 3


def test_it_is_taken_there_while_the_work_goes_on(clips: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "UPLOAD_S", 0.0)
    monkeypatch.setattr(outputs, "REFRESH_SHARE", 1e9)
    seen: list[int] = []
    real = Elsewhere.put

    def put(self: Elsewhere, path: Path) -> str:
        if path.name == "c.jsonl":
            seen.append(len(path.read_text().splitlines()))
            if len(seen) == 1:
                raise OutputFull("the network is gone for a moment")
        return real(self, path)

    monkeypatch.setattr(Elsewhere, "put", put)
    for n in range(5, 30):
        (clips / f"{n}.mp4").write_text(str(n))
    caption(clips, f"{place}/c.jsonl")
    assert len(seen) > 2 and seen == sorted(seen)
    assert len(text(f"{place}/c.jsonl").splitlines()) == seen[-1] == 27


@pytest.mark.parametrize("out", ["nosuch://bucket/c.jsonl", "memory://bucket/c.txt"])
def test_a_place_that_cannot_be_is_refused_before_the_work(clips: Path, out: str) -> None:
    with pytest.raises(ValueError, match="-o"):
        caption(clips, out)


def test_the_command_takes_a_place(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tvad", "caption", "none.mp4", "-o", "nosuch://b/c.jsonl", "--explain", "report"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert ran.returncode == 2 and "nosuch://b/c.jsonl cannot be written" in ran.stderr
