"""What a batch leaves behind: the captions and the failures, each file whole or not at all, made from the journal.

Next: chat/captions/formats.py
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tvad.evidence import write_atomic

Record = dict[str, Any]

UNSAFE = re.compile(r"[^ -%'-;=?-~]")  # all but printable ASCII without & < >


def jsonl_lines(records: Iterable[Record]) -> Iterator[str]:
    """One object a line; tracks without their boxes."""
    for record in records:
        tracks = [{k: v for k, v in t.items() if k != "boxes"} for t in record.get("tracks", ())]
        yield json_line(record | ({"tracks": tracks} if "tracks" in record else {}))


def json_line(value: Any) -> str:
    """JSON on one line, with its end.

    Its text is harmless where a page or a terminal shows it raw: markup and what is not printable are written as
    escapes, and mean the same. Half a surrogate pair (a name that is no UTF-8), which other readers refuse, becomes the
    words of its escape.
    """
    return UNSAFE.sub(_escape, json.dumps(value, ensure_ascii=False, allow_nan=False)) + "\n"


def _escape(match: re.Match[str]) -> str:
    sign = match[0]
    if sign.isprintable() and sign not in "<>&":
        return sign
    if "\ud800" <= sign <= "\udfff":
        return f"\\\\u{ord(sign):04x}"
    return json.dumps(sign)[1:-1] if ord(sign) > 126 else f"\\u{ord(sign):04x}"


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
        write_lines(path, map(json_line, [*others, *own]))
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
