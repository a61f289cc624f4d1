"""GMDCSA-24 (staged falls and daily activities of single persons) as a list of videos for temporal heads.

    for s in subject1 subject2; do tvad extract ../shared/data/gmdcsa24_fall/$s -o FX/$s; done
    python -m training.datasets.falls ../shared/data/gmdcsa24_fall -o FX/falls.jsonl
    python -m training.temporal.compare FX/falls.jsonl --folds 2 --out RUN

Folds by source are folds by person. Next: training/datasets/weak.py
"""

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tvad.evidence import write_atomic

LABELS = "labels.json"
FALL = "fall"


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """A line a clip, by name. ValueError where labels.json is not there or says something else."""
    path = folder / LABELS
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return [_line(name, about) for name, about in sorted(known.items())]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: no labels of GMDCSA-24 ({error})") from None


def _line(name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    person, kind, file = name.split("/")
    fps = float(about["fps"])
    stem = Path(file).stem
    line = {"video": f"{person}-{kind}-{stem}", "label": FALL if about["fall"] else "normal", "fps": fps}
    line |= {"group": person, "features": [f"{person}/{stem}.safetensors"]}
    if not about["fall"]:
        return line
    segments = [
        [math.floor(start * fps), math.ceil(end * fps), FALL]
        for what, start, end in about["segments_sec"]
        if str(what).startswith("Falling")
    ]
    return line | {"segments": segments}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help=f"with {LABELS}")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="LIST.jsonl")
    given = parser.parse_args(argv)
    try:
        lines = lines_of(given.folder)
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        write_atomic(given.out, lambda file: file.write(text.encode()))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{given.out}: {len(lines)} videos, {sum(line['label'] == FALL for line in lines)} of them with a fall")
    return 0


if __name__ == "__main__":
    sys.exit(main())
