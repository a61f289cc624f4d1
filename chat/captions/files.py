"""What a batch leaves behind: the captions and the failures, each file whole or not at all, made from the journal."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tvad.evidence import write_atomic

Record = dict[str, Any]


def jsonl_lines(records: Iterable[Record]) -> Iterator[str]:
    """One object a line; tracks without their boxes."""
    for record in records:
        tracks = [{k: v for k, v in t.items() if k != "boxes"} for t in record.get("tracks", ())]
        yield _json(record | ({"tracks": tracks} if "tracks" in record else {}))


def _json(value: Any) -> str:
    # A name that is no UTF-8 has halves of surrogate pairs, which are no text.
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file, whole or not at all. OSError where there is no room."""
    write_atomic(path, lambda file: [file.write(line.encode()) for line in lines])


def write_failures(path: Path, output: str, failures: Iterable[Record]) -> int:
    """Write the failures of an output to their file, beside those of other outputs; without any there is no file.

    Returns how many there are of this one.
    """
    others = [line for line in _read_lines(path) if line.get("output") != output]
    own = [{"output": output, **failure} for failure in failures]
    if others or own:
        write_lines(path, map(_json, [*others, *own]))
    else:
        path.unlink(missing_ok=True)
    return len(own)


def _read_lines(path: Path) -> Iterator[Record]:
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found
