"""Repos: weights that are a folder of a model hub, pinned, and the folder of this machine where pulled ones lie.

A pulled model is a folder with `tvad.lock.json` in it: where it came from, at which revision, size and sha256 of every
file. The lock is written last, so a folder that has one is whole. Nothing here downloads; tvad/hub.py does, if told.

Next: tvad/hub.py
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

from tvad.cache import cache_dir
from tvad.weights import MissingWeights

LOCK = "tvad.lock.json"
LOCK_FORMAT = 1
# What a model of transformers is read from. Weights in other forms (pickles: .bin, .pt, .pth) and code (.py) stay out.
WANTED = ("*.safetensors", "*.json", "*.txt", "*.jinja", "*.model", "LICENSE*", "README.md")


@dataclass(frozen=True)
class RepoFile:
    """One file of a repository, as far as it is known: None is not known. git_sha1: of the file as a git blob."""

    path: str
    size_bytes: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None


@dataclass(frozen=True)
class Repo:
    """One model of a hub.

    repo: "owner/name" there. revision: the commit (40 hex digits) that is pinned; None where none is, and then
    `tvad models pull` takes what the hub calls main, prints it, and pins it in the lock. files: those whose size or
    sha256 is known beforehand; they are checked against these too. size_bytes: of all of it, about. licence: SPDX id or
    name, of the weights. source: who made them. unwanted: patterns of files that are left out (a second copy, say).
    """

    name: str
    use: str
    repo: str
    licence: str
    source: str
    size_bytes: int
    revision: str | None = None
    files: tuple[RepoFile, ...] = ()
    unwanted: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command that gets it."""
        return f"tvad models pull {self.name}"

    @property
    def folder(self) -> Path:
        """Where it lies once it is here."""
        return models_dir() / folder_name(self.repo)

    def wants(self, path: str) -> bool:
        """Whether a file of the repository belongs to what is pulled. Only the top folder's files do."""
        return (
            is_plain(path)
            and "/" not in path
            and path != LOCK
            and any(fnmatch(path, pattern) for pattern in WANTED)
            and not any(fnmatch(path, pattern) for pattern in self.unwanted)
        )

    def find(self) -> Path | None:
        """The folder, or None when it was not pulled."""
        return self.folder if (self.folder / LOCK).is_file() else None

    def locate(self) -> Path:
        """The folder. MissingWeights when it is not here, cut short, or of another revision than is pinned.

        Looks at sizes; `tvad models verify` reads every byte.
        """
        if self.find() is None:
            raise MissingWeights(f"weights {self.name!r} ({self.use}) are not here; run: {self.command}")
        if wrong := self.problems(read=False):
            raise MissingWeights(f"weights {self.name!r}: {wrong[0]}; run: {self.command}")
        return self.folder

    def is_whole(self) -> bool:
        """Whether it is here and every file has the sha256 of its lock. Reads all of it."""
        return self.find() is not None and not self.problems()

    def problems(self, read: bool = True) -> list[str]:
        """What is wrong with the pulled folder, a line each. read: compare every byte, not just sizes."""
        try:
            lock = Lock.load(self.folder)
        except ValueError as error:
            return [str(error)]
        found = []
        if lock.repo != self.repo:
            found.append(f"{self.folder} holds {lock.repo}, not {self.repo}")
        if self.revision and lock.revision != self.revision:
            found.append(f"revision {lock.revision} is here, {self.revision} is pinned")
        pinned = {f.path: f for f in self.files}
        for path in sorted(set(pinned) - set(lock.files)):
            found.append(f"{path} is not in the lock")
        for path, file in lock.files.items():
            found += file_problems(self.folder / path, file, read)
            known = pinned.get(path)
            if known and known.sha256 and known.sha256 != file.sha256:
                found.append(f"{path} was pulled with sha256 {file.sha256}, pinned is {known.sha256}")
        return found

    def strangers(self) -> list[str]:
        """Files in the folder that the lock does not know."""
        known = {*Lock.load(self.folder).files, LOCK}
        every = (p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if p.is_file())
        return sorted(path for path in every if path not in known)


@dataclass(frozen=True)
class Lock:
    """What was pulled. files: path -> size and sha256. source: a URL or a folder. revision: "unknown" for a folder that
    did not say. pulled_at: ISO 8601, UTC."""

    repo: str
    revision: str
    source: str
    pulled_at: str
    files: dict[str, RepoFile]

    def to_json(self) -> str:
        files = {p: {"size_bytes": f.size_bytes, "sha256": f.sha256} for p, f in sorted(self.files.items())}
        return json.dumps({"format": LOCK_FORMAT, **asdict(self), "files": files}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str) -> "Lock":
        """ValueError for what is no lock; `where` is named in it."""
        try:
            raw = json.loads(text)
            if raw["format"] != LOCK_FORMAT:
                raise ValueError(f"format {raw['format']!r}, this tvad reads {LOCK_FORMAT}")
            files = {str(p): RepoFile(str(p), int(f["size_bytes"]), str(f["sha256"])) for p, f in raw["files"].items()}
            if unsafe := [p for p in files if not is_plain(p)]:
                raise ValueError(f"a file named {unsafe[0]!r}")
            about: dict[str, Any] = {k: str(raw[k]) for k in ("repo", "revision", "source", "pulled_at")}
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise ValueError(f"{where} cannot be read ({error})") from None
        return cls(files=files, **about)

    @classmethod
    def load(cls, folder: Path) -> "Lock":
        """The lock of a folder; ValueError when there is none or it is damaged."""
        try:
            text = (folder / LOCK).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"{folder / LOCK} cannot be read ({getattr(error, 'strerror', None) or error})") from None
        return cls.from_json(text, str(folder / LOCK))


def models_dir() -> Path:
    """Where pulled models lie: $TVAD_MODELS, else `models` in the cache folder. Not created."""
    chosen = os.environ.get("TVAD_MODELS")
    return Path(chosen) if chosen else cache_dir() / "models"


def folder_name(repo: str) -> str:
    """ "Qwen/Qwen3-VL-8B-Instruct" -> "Qwen--Qwen3-VL-8B-Instruct". ValueError for what is no "owner/name"."""
    owner, _, name = repo.partition("/")
    if not all(part and is_plain(part) and "/" not in part and part[0] != "." for part in (owner, name)):
        raise ValueError(f"{repo!r} is no repository of a hub; expected OWNER/NAME")
    return f"{owner}--{name}"


def is_plain(path: str) -> bool:
    """Whether a name from outside stays inside the folder it is put into."""
    parts = PurePosixPath(path).parts
    return bool(parts) and not path.startswith("/") and ".." not in parts and "\\" not in path and path.isprintable()


def file_problems(path: Path, known: RepoFile, read: bool = True) -> list[str]:
    """What is wrong with a file, a line each; nothing when it is what is known of it."""
    if not path.is_file():
        return [f"{known.path} is missing"]
    size = path.stat().st_size
    if known.size_bytes is not None and size != known.size_bytes:
        return [f"{known.path} has {size} bytes instead of {known.size_bytes}"]
    if not read:
        return []
    if known.sha256 is not None and (found := sha256_of_file(path)) != known.sha256:
        return [f"{known.path} has sha256 {found} instead of {known.sha256}"]
    if known.sha256 is None and known.git_sha1 is not None and (found := git_sha1_of_file(path)) != known.git_sha1:
        return [f"{known.path} has git id {found} instead of {known.git_sha1}"]
    return []


def sha256_of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_sha1_of_file(path: Path) -> str:
    """The id that git gives a file's content: a hub knows its small files by no other hash."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(2**20), b""):
            digest.update(piece)
    return digest.hexdigest()
