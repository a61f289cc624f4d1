"""Which videos a batch is about: files, folders, globs, list files and standard input, as items with keys.

Names are bytes to the system: whatever they hold (newlines, quotes, a leading dash) they are only ever opened.
"""

import glob
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tvad.video import IMAGE_SUFFIXES, VIDEO_SUFFIXES

LIST_SUFFIXES = {".txt", ".lst", ".list"}
OTHER_SUFFIXES = {".gif", ".mjpeg", ".mjpg", ".m2ts", ".mts", ".vob", ".ogv", ".asf", ".264", ".h264", ".265", ".hevc"}
REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)  # s3://..., gs://...: opened by fsspec
KEY_DIGITS = 24


@dataclass(frozen=True)
class Item:
    """One video. path: as it was given. key: hex digits that change with the path, the size and the time of change.
    wait_s: of one that still grows, how long more of it is waited for."""

    path: str
    key: str
    wait_s: float | None = None


@dataclass(frozen=True)
class Shard:
    """The number-th of `count` equal shares, from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """ "2/8"; ValueError for anything else."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if not match or not 1 <= int(match[1]) <= int(match[2]):
            raise ValueError(f"shard is {text!r}; write i/n with i from 1 to n, such as 2/8 (--shard)")
        return cls(int(match[1]), int(match[2]))


def collect(given: Sequence[str], stdin: IO[bytes] | None = None, shard: Shard | None = None) -> list[Item]:
    """The videos that are meant, each once, in the order they were named; folders and globs in natural order.

    A file that is not there is an item too: reading it fails then, and is told. ValueError for a folder, a glob or a
    list that names nothing.
    """
    shard = shard or Shard()
    paths = list(dict.fromkeys(path for name in given for path in _expanded(name, stdin)))
    return [item_of(path) for path in paths[shard.number - 1 :: shard.count]]


def item_of(path: str) -> Item:
    """The key tells whether a video is the one it was: path, size and time of change, not a word of its content."""
    digest = hashlib.sha256(os.fsencode(path))
    if not REMOTE.match(path):
        for file in _files_of(path):
            try:
                found = Path(file).stat()
                digest.update(f"\0{found.st_size} {found.st_mtime_ns}".encode())
            except (OSError, ValueError):
                digest.update(b"\0absent")
    return Item(path, digest.hexdigest()[:KEY_DIGITS])


def _files_of(path: str) -> list[str]:
    if not Path(path).is_dir():
        return [path]
    return sorted((str(file) for file in Path(path).iterdir() if _is(file.name, IMAGE_SUFFIXES)), key=natural)


def _expanded(name: str, stdin: IO[bytes] | None) -> Iterator[str]:
    if name == "-":
        if stdin is None:
            raise ValueError("'-' stands for standard input, and there is none here")
        yield from _listed(stdin.read(), "standard input")
    elif REMOTE.match(name):
        yield name
    elif Path(name).is_dir():
        yield from _folder(name)
    elif os.path.lexists(name):  # a link to nowhere too: what is wrong with it is told when it is opened
        yield from _listed(Path(name).read_bytes(), name) if _is(name, LIST_SUFFIXES) else [name]
    elif glob.has_magic(name):
        found = sorted(filter(_may_be_video, glob.iglob(name, recursive=True)), key=natural)  # noqa: PTH207 - kept as written
        if not found:
            raise ValueError(f"nothing matches {name!r}")
        yield from found
    else:
        yield name


def _listed(data: bytes, where: str) -> Iterator[str]:
    """Names separated by NUL (as of `find -print0`) or else by line ends; lines that begin with # are comments."""
    nul = b"\0" in data
    lines = data.split(b"\0") if nul else [line.removesuffix(b"\r") for line in data.split(b"\n")]
    names = [os.fsdecode(line) for line in lines if line.strip() and (nul or not line.startswith(b"#"))]
    if not names:
        raise ValueError(f"{where} lists no videos; write one path a line")
    yield from names


def _folder(folder: str) -> Iterator[str]:
    """The videos below a folder; a folder of frames without videos is one video itself."""
    videos = sorted(_walked(folder), key=natural)
    if videos:
        yield from videos
    elif any(_is(file.name, IMAGE_SUFFIXES) for file in Path(folder).iterdir()):
        yield folder
    else:
        raise ValueError(f"no videos in {folder}; they end in {', '.join(sorted(VIDEO_SUFFIXES))}")


def _walked(folder: str) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (str(Path(here, name)) for name in files if _is(name, VIDEO_SUFFIXES) and name[0] != ".")


def _may_be_video(path: str) -> bool:
    return Path(path).is_dir() or _is(path, VIDEO_SUFFIXES | IMAGE_SUFFIXES | OTHER_SUFFIXES)


def _is(name: str, suffixes: Iterable[str]) -> bool:
    return Path(name).suffix.lower() in suffixes


def natural(path: str) -> tuple[list[int | str], str]:
    """Sorting key: 2.mp4 before 10.mp4."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", path)], path
