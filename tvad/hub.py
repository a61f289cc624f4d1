"""Pulling: a model's files from a hub, a mirror or a folder into `tvad.repos.models_dir()`, whole or not at all.

Only the place that is named is asked. What was fetched before an interruption is kept beside the models and gone on
with; every file is checked before it counts.

Next: tvad/hub_sources.py
"""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tvad.evidence import write_atomic
from tvad.hub_sources import HUB, CutOff, PullError, Source, open_source
from tvad.repos import (
    LOCK,
    Lock,
    Repo,
    RepoFile,
    file_problems,
    folder_name,
    models_dir,
    sha256_of_file,
)

SPARE_BYTES = 256 * 2**20  # that stay free on the disk
TRIES = 5  # in a row without a byte more
BACK_OFF_S = 1.0  # before the second try, then twice as long each time
PARTS = ".parts"

Progress = Callable[[str, int, int], None]  # file, bytes done, bytes in all


@dataclass(frozen=True)
class Plan:
    """What a pull would do. here_bytes: of it, fetched before. left_out: files of the repository that are not wanted.
    unchecked: files of which nothing but the size is known beforehand. kept: the lock of a folder that is so already.
    """

    repo: Repo
    revision: str
    source: str
    files: tuple[RepoFile, ...]
    left_out: tuple[str, ...]
    unchecked: tuple[str, ...]
    here_bytes: int
    kept: Lock | None = None

    @property
    def size_bytes(self) -> int:
        return sum(f.size_bytes or 0 for f in self.files)

    @property
    def parts(self) -> Path:
        """Where it is put together: on the disk of the models, so that a rename brings it to its place."""
        return models_dir() / PARTS / f"{folder_name(self.repo.repo)}@{self.revision[:40]}"


class Pull:
    """One model from one place. A context manager: it may hold a connection.

    origin: URL of a hub or of a mirror, or a folder. revision: instead of the pinned one. pause_s: before a second try.
    PullError, with a line that says what to do, for everything that can go wrong.
    """

    def __init__(self, repo: Repo, origin: str = HUB, revision: str | None = None, pause_s: float = BACK_OFF_S) -> None:
        self.repo, self._pause_s = repo, pause_s
        self._revision, self._named = revision or repo.revision, revision
        self._source: Source = open_source(origin)

    def __enter__(self) -> "Pull":
        return self

    def __exit__(self, *error: object) -> None:
        self._source.close()

    def plan(self) -> Plan:
        """Ask which files there are, and compare with what is pinned and what is here. Fetches no weights."""
        found = self._source.listing(self.repo, self._revision)
        if self._revision and found.revision not in (self._revision, "unknown") and _is_commit(self._revision):
            raise PullError(
                f"{found.source} gives revision {found.revision} of {self.repo.repo}, asked for is {self._revision}"
            )
        if self._named and found.revision == "unknown":
            raise PullError(
                f"nobody noted which revision of {self.repo.repo} is in {found.source}, asked for is {self._named}; "
                "leave out --revision to take what is there"
            )
        pinned = {f.path: f for f in self.repo.files}
        wanted = [f for f in found.files if self.repo.wants(f.path)]
        if missing := sorted(set(pinned) - {f.path for f in wanted}):
            raise PullError(f"{found.source} has no {missing[0]} of {self.repo.repo}")
        files = tuple(_merged(f, pinned.get(f.path)) for f in wanted)
        if not any(f.path.endswith(".safetensors") for f in files):
            raise PullError(f"{found.source}: {self.repo.repo} has no safetensors, and other weights are not read")
        left_out = tuple(f.path for f in found.files if f not in wanted and f.path != LOCK)
        unchecked = tuple(f.path for f in files if f.sha256 is None and f.git_sha1 is None)
        plan = Plan(self.repo, found.revision, found.source, files, left_out, unchecked, 0)
        here = sum(_size(p) for f in files for p in (plan.parts / f.path, _part(plan, f)))
        return replace(plan, here_bytes=here, kept=self._kept(plan))

    def _kept(self, plan: Plan) -> Lock | None:
        """The lock of what is here, where that is what is planned, byte for byte."""
        folder = self.repo.folder
        with suppress(ValueError):
            lock = Lock.load(folder)
            same = lock.revision == plan.revision and set(lock.files) == {f.path for f in plan.files}
            if same and not any(file_problems(folder / f.path, f) for f in (*lock.files.values(), *plan.files)):
                return lock
        return None

    def run(self, plan: Plan, progress: Progress | None = None) -> Lock:
        """Fetch, check, put in place. What was here under the name before goes only when all of it is there."""
        if plan.kept:
            return plan.kept
        try:
            plan.parts.mkdir(parents=True, exist_ok=True)
            with _alone(plan):
                _check_room(plan)
                for file in plan.files:
                    self._fetch(plan, file, progress or (lambda path, done, total: None))
                files = {f.path: _recorded(plan.parts / f.path, f.path) for f in plan.files}
                now = datetime.now(UTC).isoformat(timespec="seconds")
                lock = Lock(self.repo.repo, plan.revision, plan.source, now, files)
                write_atomic(plan.parts / LOCK, lambda out: out.write(lock.to_json().encode()))
                _put_in_place(plan.parts, self.repo.folder)
        except OSError as error:
            raise PullError(_disk_trouble(error, plan)) from None
        return lock

    def _fetch(self, plan: Plan, file: RepoFile, progress: Progress) -> None:
        done, part = plan.parts / file.path, _part(plan, file)
        if done.is_file():
            if not file_problems(done, file):
                return
            done.unlink()
        tries = 0
        while True:
            before = _size(part)
            try:
                self._go_on(plan, file, part, progress)
                break
            except CutOff as error:
                tries = 1 if _size(part) > before else tries + 1
                if tries >= TRIES:
                    raise PullError(
                        f"{file.path}: {error}, {TRIES} times in a row; {_size(part)} bytes are kept, "
                        f"run it again to go on: {self.repo.command}"
                    ) from None
                time.sleep(self._pause_s * 2 ** (tries - 1))
        wrong = file_problems(part, file) or _not_safetensors(part, file.path)
        if wrong:
            part.unlink()
            raise PullError(f"{wrong[0]}: not what {_who_knows(plan, file)}; it was dropped and nothing was installed")
        part.replace(done)

    def _go_on(self, plan: Plan, file: RepoFile, part: Path, progress: Progress) -> None:
        """Append to `part` until it is as long as it shall be. CutOff when the connection ends before."""
        total = file.size_bytes
        have = _size(part)
        if total is not None and have > total:
            part.unlink()
            have = 0
        if have == total and part.is_file():
            return
        with ExitStack() as stack:
            begins_at, pieces = stack.enter_context(self._source.opened(self.repo, plan.revision, file, have))
            out = stack.enter_context(part.open("r+b" if begins_at else "wb"))
            out.seek(begins_at)
            out.truncate()
            for piece in pieces:
                out.write(piece)
                have = out.tell()
                progress(file.path, have, total or have)
                if total is not None and have > total:
                    break
            out.flush()
            os.fsync(out.fileno())
        if total is not None and have < total:
            raise CutOff(f"the connection ended after {have} of {total} bytes")


@contextmanager
def _alone(plan: Plan) -> Iterator[None]:
    """Two processes must not write to the same parts; the lock goes with the process that holds it."""
    try:
        import fcntl
    except ModuleNotFoundError:  # not a Unix
        yield
        return
    with plan.parts.with_name(f".{plan.parts.name}.busy").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PullError(f"another process is pulling {plan.repo.name} already; wait for it") from None
        yield


def _merged(found: RepoFile, pinned: RepoFile | None) -> RepoFile:
    """What the source says of a file, with what is pinned in its place."""
    if pinned is None:
        return found
    return replace(found, size_bytes=pinned.size_bytes or found.size_bytes, sha256=pinned.sha256 or found.sha256)


def _not_safetensors(path: Path, name: str) -> list[str]:
    """Whether a file of that kind cannot be one: an error page, or the pointer that Git LFS leaves for a large file."""
    if not name.endswith(".safetensors"):
        return []
    with path.open("rb") as file:
        head = int.from_bytes(file.read(8), "little")
        plausible = 0 < head <= path.stat().st_size - 8 and file.read(1) == b"{"
    return [] if plausible else [f"{name} is no safetensors file (an error page, or a pointer of Git LFS?)"]


def _who_knows(plan: Plan, file: RepoFile) -> str:
    pinned = any(f.path == file.path and (f.sha256 or f.size_bytes) for f in plan.repo.files)
    return "the preset pins" if pinned else f"{plan.source} says it is"


def _part(plan: Plan, file: RepoFile) -> Path:
    # By its hash: what is left of another file of that name is not gone on with.
    mark = file.sha256 or file.git_sha1 or str(file.size_bytes)
    return plan.parts / f".{file.path}.{mark[:16]}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _is_commit(revision: str) -> bool:
    return len(revision) == 40 and all(c in "0123456789abcdef" for c in revision)


def _recorded(path: Path, name: str) -> RepoFile:
    return RepoFile(name, path.stat().st_size, sha256_of_file(path))


def _check_room(plan: Plan) -> None:
    free = shutil.disk_usage(plan.parts).free
    needed = plan.size_bytes - plan.here_bytes + SPARE_BYTES
    if needed > free:
        raise PullError(
            f"{plan.repo.name} needs {needed / 1e9:.2f} GB more on the disk of {models_dir()}, {free / 1e9:.2f} GB are "
            "free; make room, or set TVAD_MODELS to a folder on another disk"
        )


def _disk_trouble(error: OSError, plan: Plan) -> str:
    full = " (what was fetched is kept; make room and run it again)" if error.errno == errno.ENOSPC else ""
    return f"{error.filename or models_dir()} cannot be written: {error.strerror or error}{full}"


def _put_in_place(parts: Path, folder: Path) -> None:
    for stale in parts.glob(".*.part"):
        stale.unlink()
    before = folder.with_name(f".before-{folder.name}-{os.getpid()}")
    if folder.exists():
        folder.rename(before)
    try:
        parts.rename(folder)
    except OSError:
        if before.exists():
            before.rename(folder)
        raise
    shutil.rmtree(before, ignore_errors=True)
    parts.with_name(f".{parts.name}.busy").unlink(missing_ok=True)
    with suppress(OSError):  # other models are being put together there
        parts.parent.rmdir()
