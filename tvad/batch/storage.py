"""Videos that lie elsewhere (s3://, gs://, https://): brought here by fsspec for as long as they are looked at."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from tvad.batch.inputs import REMOTE
from tvad.video import VideoError


@contextmanager
def at_hand(path: str) -> Iterator[str]:
    """The path of a file on this machine: of the video itself, or of a copy that goes when it was used.

    VideoError where it cannot be brought; credentials are those that fsspec and its packages find in the environment.
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
