"""Spill: what a long video leaves while it is looked at, in files without a name once it is more than a little.

    maps = Maps()                 things = Objects()
    maps.add(heat)                things.add(thing)           as they come
    maps.read(0, 256)             things[7]
    maps.array()                  as one array, whose pages the system reads when they are looked at

The files lie where `tempfile` puts them ($TMPDIR) and go with the object. Where there is no room for them, all stays in
memory. Arrays and bytes only; knows no videos.  Next: tvad/scan.py
"""

import io
import mmap
import pickle
import tempfile
from array import array
from collections.abc import Iterator
from typing import IO, Any, Generic, TypeVar, cast

import numpy as np

IN_MEMORY = 4 << 20  # bytes; what is shorter needs no file
PIECE = 512  # maps that are looked at together

T = TypeVar("T")


class _Bytes:
    """Bytes that are only ever added to, in memory up to IN_MEMORY."""

    def __init__(self) -> None:
        self._file: IO[bytes] = io.BytesIO()
        self._room = True  # for a file, as far as is known
        self.size = 0

    @property
    def on_disk(self) -> bool:
        return not isinstance(self._file, io.BytesIO)

    def add(self, data: bytes | memoryview) -> None:
        if self._room and not self.on_disk and self.size + len(data) > IN_MEMORY:
            self._move(tempfile.TemporaryFile)
        try:
            self._write(self._file, self.size, data)
        except OSError:  # the disk is full: memory has to do
            self._room = False
            self._move(io.BytesIO)
            self._write(self._file, self.size, data)
        self.size += len(data)

    def read(self, start: int, stop: int) -> bytes:
        self._file.seek(start)
        return self._file.read(stop - start)

    def mapped(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
        """All of it as an array. Read-only where it is in a file."""
        if not self.on_disk:
            return np.frombuffer(self.read(0, self.size), dtype).reshape(shape).copy()
        self._file.flush()
        return np.memmap(cast(Any, self._file), dtype, "r", shape=shape)

    def _move(self, make: Any) -> None:
        """To a new file, which takes the place of this one when all of it is there."""
        try:
            new = make()
            for start in range(0, self.size, IN_MEMORY):
                self._write(new, start, self.read(start, min(start + IN_MEMORY, self.size)))
        except OSError:
            self._room = False
            return
        self._file = new

    @staticmethod
    def _write(file: IO[bytes], at: int, data: bytes | memoryview) -> None:
        file.seek(at)
        file.write(data)
        file.flush()


class Maps:
    """Arrays (n, *shape) of one shape and type, one after the other. Falsy while there is none."""

    def __init__(self) -> None:
        self._bytes = _Bytes()
        self._shape: tuple[int, ...] = ()
        self._dtype: np.dtype[Any] = np.dtype(np.float16)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, maps: np.ndarray) -> None:
        """The next ones, (n, *shape). ValueError for another shape or type than that of the first."""
        if not len(maps):
            return
        if not self._count:
            self._shape, self._dtype = maps.shape[1:], maps.dtype
        if (maps.shape[1:], maps.dtype) != (self._shape, self._dtype):
            raise ValueError(f"maps {maps.shape[1:]} {maps.dtype} after {self._shape} {self._dtype}")
        self._bytes.add(np.ascontiguousarray(maps).data.cast("B"))
        self._count += len(maps)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Those from `start` to `stop`, (stop - start, *shape)."""
        each = self._bytes.size // max(self._count, 1)
        found = np.frombuffer(self._bytes.read(start * each, stop * each), self._dtype)
        return found.reshape(stop - start, *self._shape)

    def array(self) -> np.ndarray:
        """All of them, (T, *shape); (0,) where there is none."""
        return self._bytes.mapped(self._dtype, (self._count, *self._shape))


class Objects(Generic[T]):
    """Objects one after the other; each is made anew when it is asked for."""

    def __init__(self) -> None:
        self._bytes = _Bytes()
        self._ends = array("q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, value: T) -> None:
        self._bytes.add(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
        self._ends.append(self._bytes.size)

    def __getitem__(self, number: int) -> T:
        if not 0 <= number < len(self):
            raise IndexError(f"no object {number} of {len(self)}")
        return cast(T, pickle.loads(self._bytes.read(self._ends[number], self._ends[number + 1])))


def pieces(maps: np.ndarray) -> Iterator[np.ndarray]:
    """An array in pieces of PIECE along its first axis; of one in a file, no more than a piece is in memory."""
    for start in range(0, len(maps), PIECE):
        yield maps[start : start + PIECE]
        release(maps)


def release(maps: np.ndarray) -> None:
    """Of an array in a file: what was read of it need not stay in memory."""
    mapped = getattr(maps, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
