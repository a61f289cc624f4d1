"""Files that lie elsewhere (s3://, gs://, https://), by fsspec: videos are brought here for as long as they are looked
at, outputs are taken there.

Credentials are those that fsspec and its packages find in the environment.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from tvad.batch.inputs import REMOTE
from tvad.batch.journal import OutputFull
from tvad.video import VideoError


@contextmanager
def at_hand(path: str) -> Iterator[str]:
    """The path of a file on this machine: of the video itself, or of a copy that goes when it was used.

    VideoError where it cannot be brought.
    """
    if not REMOTE.match(path):
        yield path
        return
    import fsspec

    with tempfile.TemporaryDirectory(prefix="tvad-") as folder:
        copy = Path(folder) / f"video{PurePosixPath(path).suffix[:8]}"
        try:
            with fsspec.open(path, "rb") as source, copy.open("wb") as target:
                shutil.copyfileobj(cast(BinaryIO, source), target, 1 << 20)
        except (OSError, ValueError, ImportError) as error:
            told = " ".join(str(error).split())[:200]
            raise VideoError(f"{path}: cannot be fetched ({type(error).__name__}: {told})") from None
        try:
            yield str(copy)
        except VideoError as error:
            raise VideoError(str(error).replace(str(copy), path)) from None


class Elsewhere:
    """A place for a file, as fsspec names it. ValueError where it cannot be opened for lack of a package, or by nature;
    OutputFull for what fails later."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ValueError(f"{url} cannot be written: {' '.join(str(error).split())[:200]} (-o)") from None

    def beside(self, name: str) -> str:
        """Where a file of that name lies beside it."""
        return f"{self.url.rpartition('/')[0]}/{name}"

    def exists(self) -> bool:
        with self._said():
            return bool(self._files.exists(self._root))

    def put(self, path: Path) -> str:
        """Take a file or a folder to its place beside the own one; each file is there whole or not at all, and what an
        earlier one of that name had besides goes. Nothing to take: what is there goes. Returns where it is."""
        target = self._root.rpartition("/")[0] + f"/{path.name}"
        with self._said():
            files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
            places = {
                f"{target}/{file.relative_to(path).as_posix()}" if path.is_dir() else target: file for file in files
            }
            before = set(self._files.find(target)) if self._files.exists(target) else set()
            for place, file in places.items():
                if file.exists():
                    self._put(file, place)
            for gone in before - {place for place, file in places.items() if file.exists()}:
                self._files.rm_file(gone)
        return self.beside(path.name)

    def _put(self, file: Path, place: str) -> None:
        if FOLDERS & {*_listed(self._files.protocol)}:  # elsewhere a name with slashes is a name
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
        with self._files.transaction, file.open("rb") as source, self._files.open(place, "wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # packages of other stores raise what they like
            told = " ".join(str(error).split())[:200]
            raise OutputFull(f"{self.url} cannot be written ({type(error).__name__}: {told})") from None


FOLDERS = {"file", "local", "sftp", "ssh", "smb", "hdfs", "memory", "ftp"}  # where a file needs its folder


def _listed(names: Any) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
