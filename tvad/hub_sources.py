"""Where models come from: a hub, a mirror of pulled folders behind any web server, or a folder.

A hub is asked as huggingface.co is: `/api/models/OWNER/NAME/revision/REV?blobs=true` lists the files with their hashes,
`/OWNER/NAME/resolve/REV/FILE` gives one. A mirror is $TVAD_MODELS of a machine that has pulled, as it lies there: its
locks are the lists. A folder is the same without a server, or one model's own folder, as `git clone` leaves it.

Next: tvad/repos.py
"""

import contextlib
import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from tvad.repos import LOCK, Lock, Repo, RepoFile, folder_name

HUB = "https://huggingface.co"
KEY_NAME = "HF_TOKEN"
CONNECT_S, SILENT_S = 15.0, 60.0
PIECE = 2**20
LISTING_BYTES = 32 * 2**20
RETRIED = (408, 429, 500, 502, 503, 504)


class PullError(Exception):
    """A pull that cannot be done; str() is one line that says why and what to do."""


class CutOff(Exception):  # noqa: N818 - the name is what happened
    """A connection that ended too early; trying again may help."""


@dataclass(frozen=True)
class Listing:
    """What a source has of a model. source: as a person wrote it, without keys."""

    revision: str
    files: tuple[RepoFile, ...]
    source: str


class Source(Protocol):
    """A place with models."""

    def listing(self, repo: Repo, revision: str | None) -> Listing:
        """All files of a model; revision None: what the source calls current. PullError."""
        ...

    def opened(
        self, repo: Repo, revision: str, file: RepoFile, begin: int
    ) -> AbstractContextManager[tuple[int, Iterator[bytes]]]:
        """The bytes of a file from `begin` on, or from an earlier one: (first byte, pieces). PullError, CutOff."""
        ...

    def close(self) -> None: ...


def open_source(origin: str) -> Source:
    """The source a person named: a URL or a folder. PullError for neither."""
    parts = urlsplit(origin)
    if parts.scheme in ("http", "https") and parts.hostname:
        if parts.username or parts.password or parts.query or parts.fragment:
            raise PullError(f"a source is a plain URL; a key for it belongs into the variable {KEY_NAME} (--from)")
        return WebSource(origin.rstrip("/"))
    if Path(origin).is_dir():
        return FolderSource(Path(origin))
    raise PullError(f"{origin!r} is neither a folder nor an http(s) URL (--from)")


class FolderSource:
    """Folders on this machine: one of pulled models, or a model's own."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def close(self) -> None:
        pass

    def listing(self, repo: Repo, revision: str | None) -> Listing:
        folder = self._folder(repo)
        if (folder / LOCK).is_file():
            return _of_lock(repo, (folder / LOCK).read_text(encoding="utf-8", errors="replace"), str(folder))
        files = [RepoFile(p.name, p.stat().st_size) for p in sorted(folder.iterdir()) if p.is_file()]
        return Listing("unknown", tuple(files), str(folder))

    def _folder(self, repo: Repo) -> Path:
        for folder in (self._root / folder_name(repo.repo), self._root / repo.repo, self._root):
            if (folder / LOCK).is_file() or (folder / "config.json").is_file():
                return folder
        raise PullError(f"{self._root} holds neither {folder_name(repo.repo)} nor a model's config.json (--from)")

    @contextmanager
    def opened(self, repo: Repo, revision: str, file: RepoFile, begin: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        try:
            source = (self._folder(repo) / file.path).open("rb")
        except OSError as error:
            raise PullError(f"{error.filename} cannot be read: {error.strerror}") from None
        with source:
            source.seek(begin)
            yield begin, iter(lambda: source.read(PIECE), b"")


class WebSource:
    """A hub, or a mirror: whichever answers. The key of $HF_TOKEN goes to this host alone, not to one it points to."""

    def __init__(self, base: str) -> None:
        try:
            import httpx
        except ModuleNotFoundError:
            raise PullError("pulling from a URL needs the package httpx; pip install 'tvad[remote]'") from None
        self._httpx, self._base, self._is_mirror = httpx, base, False
        key = os.environ.get(KEY_NAME)
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # A hub answers with the address of its store. httpx leaves the key out when the host changes.
        self._client = httpx.Client(
            headers=headers | {"Accept-Encoding": "identity"},
            timeout=httpx.Timeout(SILENT_S, connect=CONNECT_S),
            follow_redirects=True,
        )

    def close(self) -> None:
        self._client.close()

    def listing(self, repo: Repo, revision: str | None) -> Listing:
        is_hub = self._base == HUB
        lock = None if is_hub else self._text(f"{self._base}/{folder_name(repo.repo)}/{LOCK}")
        if lock is not None:
            self._is_mirror = True
            return _of_lock(repo, lock, self._base)
        url = f"{self._base}/api/models/{repo.repo}/revision/{quote(revision or 'main', safe='')}?blobs=true"
        text = self._text(url)
        if text is None:
            raise PullError(
                f"{self._base} has no {repo.repo} at revision {revision or 'main'}: neither a mirror's lock nor a "
                "hub's list of files"
            )
        try:
            raw = json.loads(text)
            files = tuple(_of_sibling(entry) for entry in raw["siblings"])
            return Listing(str(raw["sha"]), files, self._base)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise PullError(f"{url} is no list of files ({error})") from None

    def _text(self, url: str) -> str | None:
        try:
            with self._client.stream("GET", url) as response:
                # Hubs say 401 for what is not there at all.
                if response.status_code == 404 or (response.status_code == 401 and url.endswith(LOCK)):
                    return None
                self._check(response, url)
                data = b""
                for piece in response.iter_raw():
                    data += piece
                    if len(data) > LISTING_BYTES:
                        raise PullError(f"{url} is larger than {LISTING_BYTES >> 20} MB; a list of files is not")
                return data.decode("utf-8", "replace")
        except CutOff as error:
            raise PullError(f"{url}: {error}") from None
        except self._httpx.HTTPError as error:
            raise PullError(f"{url} cannot be reached: {_reason(error)}") from None

    @contextmanager
    def opened(self, repo: Repo, revision: str, file: RepoFile, begin: int) -> Iterator[tuple[int, Iterator[bytes]]]:
        inside = folder_name(repo.repo) if self._is_mirror else f"{repo.repo}/resolve/{revision}"
        url = f"{self._base}/{inside}/{quote(file.path)}"
        try:
            for at in (begin, 0):  # 416: less is there than is here, so from the start
                headers = {"Range": f"bytes={at}-"} if at else {}
                with self._client.stream("GET", url, headers=headers) as response:
                    if at and response.status_code == 416:
                        continue
                    self._check(response, url)
                    goes_on = response.status_code == 206 and _begin_of(response.headers.get("content-range", "")) == at
                    # In pieces as they come: larger ones would be lost with a connection that is cut.
                    yield (at if goes_on else 0), response.iter_raw()
                    return
        except self._httpx.HTTPError as error:
            raise CutOff(_reason(error)) from None

    def _check(self, response: Any, url: str) -> None:
        status = response.status_code
        if status in RETRIED:
            raise CutOff(f"the server answers {status}")
        if status in (401, 403):
            has_key = "is not accepted" if os.environ.get(KEY_NAME) else "is not set"
            raise PullError(f"{url}: {status}, this needs a key or an accepted licence; {KEY_NAME} {has_key}")
        if status not in (200, 206):
            raise PullError(f"{url}: the server answers {status}")


def _of_lock(repo: Repo, text: str, where: str) -> Listing:
    try:
        lock = Lock.from_json(text, f"{where}/{LOCK}")
    except ValueError as error:
        raise PullError(str(error)) from None
    if lock.repo != repo.repo:
        raise PullError(f"{where} holds {lock.repo}, not {repo.repo}")
    return Listing(lock.revision, tuple(lock.files.values()), where)


def _of_sibling(entry: dict[str, Any]) -> RepoFile:
    """A file as a hub lists it: large ones with their sha256, small ones with git's id."""
    stored = entry.get("lfs") or {}
    size = stored.get("size", entry.get("size"))
    sha256, blob = stored.get("sha256"), entry.get("blobId")
    return RepoFile(
        str(entry["rfilename"]),
        None if size is None else int(size),
        None if sha256 is None else str(sha256),
        None if sha256 is not None or blob is None else str(blob),
    )


def _begin_of(content_range: str) -> int | None:
    """First byte of "bytes 5-9/10"."""
    with contextlib.suppress(ValueError, IndexError):
        return int(content_range.removeprefix("bytes").strip().split("-")[0])
    return None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
