"""What a long video leaves goes to files, and comes back as it was."""

import errno
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tvad import malloc, spill
from tvad.npz import read_maps, write_npz
from tvad.spill import Maps, Objects, pieces, release

SHAPE = (6, 8)


@pytest.fixture(params=[0, 1 << 30], ids=["in a file", "in memory"])
def limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(spill, "IN_MEMORY", request.param or 100)
    return request.param  # type: ignore[no-any-return]


def maps_of(count: int) -> np.ndarray:
    return np.random.default_rng(count).random((count, *SHAPE)).astype(np.float16)


def test_maps_come_back_as_they_were(limit: int) -> None:
    values, maps = maps_of(50), Maps()
    assert not maps
    for start, stop in [(0, 7), (7, 7), (7, 8), (8, 30), (30, 50)]:
        maps.add(values[start:stop])
    assert len(maps) == 50
    assert np.array_equal(maps.array(), values) and maps.array().dtype == np.float16
    assert np.array_equal(maps.read(5, 12), values[5:12])
    assert isinstance(maps.array(), np.memmap) == (limit == 0)


def test_maps_of_another_shape_or_type_are_refused(limit: int) -> None:
    maps = Maps()
    maps.add(maps_of(2))
    with pytest.raises(ValueError, match="maps"):
        maps.add(np.zeros((2, 3, 3), np.float16))
    with pytest.raises(ValueError, match="maps"):
        maps.add(maps_of(2).astype(np.float32))
    assert len(maps) == 2


def test_objects_come_back_as_they_were(limit: int) -> None:
    kept: Objects[dict[str, Any]] = Objects()
    for n in range(20):
        kept.add({"n": n, "picture": "x" * n * 10})
    assert [kept[n]["n"] for n in range(len(kept))] == list(range(20))
    assert kept[7] == {"n": 7, "picture": "x" * 70}
    with pytest.raises(IndexError):
        kept[20]


@pytest.mark.parametrize("after", [0, 3])
def test_without_room_for_files_all_stays_in_memory(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    real = tempfile.TemporaryFile

    class Full:
        """A file on a disk that fills up."""

        def __init__(self) -> None:
            self._file, self._left = real(), after

        def write(self, data: bytes) -> int:
            self._left -= 1
            if self._left < 0:
                self._file.write(data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            return self._file.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._file, name)

    monkeypatch.setattr(spill, "IN_MEMORY", 500)
    monkeypatch.setattr(spill.tempfile, "TemporaryFile", Full)
    values, maps = maps_of(60), Maps()
    for n in range(0, 60, 5):
        maps.add(values[n : n + 5])
    assert np.array_equal(maps.array(), values) and not isinstance(maps.array(), np.memmap)


def test_a_piece_of_an_array_in_a_file_at_a_time(limit: int) -> None:
    values, maps = maps_of(spill.PIECE + 30), Maps()
    maps.add(values)
    found = maps.array()
    assert [len(piece) for piece in pieces(found)] == [spill.PIECE, 30]
    release(found)
    assert np.array_equal(found, values)


def resident_kib() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells what is resident")
def test_what_was_read_of_a_file_does_not_stay_in_memory() -> None:
    maps = Maps()
    for n in range(64):
        maps.add(np.full((64, 64, 128), n, np.float16))  # 64 MiB in all
    before, found = resident_kib(), maps.array()
    assert sum(float(piece[0, 0, 0]) + float(piece.max()) > -1 for piece in pieces(found)) == 8
    assert resident_kib() - before < 24 << 10


def test_archives_are_those_of_numpy(tmp_path: Path, limit: int) -> None:
    arrays = {"heat": maps_of(700), "names": np.array(("a", "é")), "none": np.zeros((0, 3)), "told": np.array("{}")}
    with (tmp_path / "a.npz").open("wb") as file:
        write_npz(file, arrays)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert set(archive.files) == set(arrays)
        assert all(np.array_equal(archive[name], values) for name, values in arrays.items())
        assert all(archive[name].dtype == values.dtype for name, values in arrays.items())
        assert np.array_equal(read_maps(archive, "heat"), arrays["heat"])
        assert read_maps(archive, "none").shape == (0, 3)
        with pytest.raises(KeyError):
            read_maps(archive, "other")


def test_an_archive_that_promises_more_than_it_has(tmp_path: Path) -> None:
    import zipfile

    head = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f2', 'fortran_order': False, 'shape': (1000000000, 48, 32), }"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("heat.npy", head.ljust(127) + b"\n" + b"\0" * 5000)
    with np.load(tmp_path / "a.npz") as opened, pytest.raises(ValueError, match="promises"):
        read_maps(opened, "heat")


def test_the_system_gets_its_memory_back() -> None:
    malloc.frugal()
    malloc.trim()  # nothing to see but that it does no harm
