"""A model as a folder that explains itself: config.json, tokenizer.json, model.safetensors and the sha256 of each.

The folder appears whole or not at all, and what is read from it is checked first.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tvad.cache import drop_abandoned

SUMS = "sums.json"
FILES = ("config.json", "model.safetensors", "tokenizer.json")


class DamagedFolder(Exception):  # noqa: N818 - the name is what happened
    """A model's folder is absent, or a file of it is not the one that was sealed."""


def seal(folder: Path) -> None:
    """Note the sha256 of each of FILES in `folder`; OSError when one is not there."""
    known = {name: _sha256(folder / name) for name in FILES}
    (folder / SUMS).write_text(json.dumps(known, indent=1), encoding="utf-8")


def sums(folder: Path) -> dict[str, str]:
    """File name -> sha256 as sealed; DamagedFolder when that is not known."""
    try:
        known = json.loads((folder / SUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedFolder(f"{folder / SUMS}: {error}") from None
    if not isinstance(known, dict) or set(known) != set(FILES):
        raise DamagedFolder(f"{folder / SUMS} does not list {', '.join(FILES)}")
    return known


def checked_path(folder: Path, name: str) -> Path:
    """The file of this name; DamagedFolder unless it is what was sealed. Reads all of it."""
    path = folder / name
    try:
        found = _sha256(path)
    except OSError as error:
        raise DamagedFolder(f"{path}: {error}") from None
    if found != sums(folder)[name]:
        raise DamagedFolder(f"{path} has sha256 {found}, not the {sums(folder)[name]} it was written with")
    return path


def checked_json(folder: Path, name: str) -> dict[str, Any]:
    """The object in a JSON file, checked as `checked_path` does."""
    return json.loads(checked_path(folder, name).read_text(encoding="utf-8"))


def put_folder(target: Path, write: Callable[[Path], None], is_good: Callable[[Path], bool]) -> None:
    """Let `write` fill a new folder, seal it and give it the name `target`; a folder there that `is_good` stays.

    Any number of processes may do this at once. OSError when it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    drop_abandoned(target.parent)
    unfinished = Path(tempfile.mkdtemp(prefix=".new-", dir=target.parent))
    try:
        write(unfinished)
        seal(unfinished)
        unfinished.chmod(0o755)
        if target.exists() and not is_good(target):
            _move_away(target)
        _rename(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _rename(unfinished: Path, target: Path) -> None:
    # rename() replaces no folder that has files in it: whoever came first stays.
    try:
        unfinished.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _move_away(damaged: Path) -> None:
    # A rename takes no time, so that nobody meets a folder half deleted.
    away = Path(tempfile.mkdtemp(prefix=".new-", dir=damaged.parent))
    try:
        damaged.rename(away / "damaged")
    except FileNotFoundError:
        pass  # another process moved it
    finally:
        shutil.rmtree(away, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
