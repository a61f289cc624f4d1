"""Drawn clips as a weakly labelled benchmark: a list of videos with class, frames and segments, from their truth.

    tvad synth W/train --count 400 --seed 50000 --seconds 12 --fps 16 --size 480x270 --split train
    tvad extract W/train -o W/features/train
    python -m training.datasets.weak_synthetic W/train --features W/features/train -o W/train.jsonl

`tvad train temporal --data W/train.jsonl --features W/features/train` reads it. --also LABEL=FOLDER adds the features
of real clips, all of one label; --features of the training is then a folder that holds them all. Next:
training/datasets/weak.py
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.datasets.truth import ClipTruth
from tvad.evidence import write_atomic

TRUTH = ".truth.json"


def described(truth: ClipTruth, name: str) -> dict[str, Any]:
    """A line of the list. Stretches of one class that touch or overlap are one segment."""
    frames = round(truth.duration_s * truth.fps)
    spans: dict[str, list[tuple[int, int]]] = {}
    for target in truth.anomalous:
        for start_s, end_s in target.anomalous_s:
            start, end = math.floor(start_s * truth.fps + 1e-6), math.ceil(end_s * truth.fps - 1e-6)
            if min(end, frames) > max(start, 0):
                spans.setdefault(str(target.anomaly), []).append((max(start, 0), min(end, frames)))
    segments = [[start, end, label] for label in sorted(spans) for start, end in joined(spans[label])]
    line = {"video": name, "label": sorted(spans) or "normal", "frames": frames, "fps": truth.fps}
    return line | {"group": truth.source} | ({"segments": segments} if segments else {})


def joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Half-open stretches without overlap, sorted."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = out[-1][0], max(out[-1][1], end)
        else:
            out.append((start, end))
    return out


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="folder that `tvad synth` wrote")
    parser.add_argument("--features", type=Path, help="of the clips: a clip without any is an error")
    parser.add_argument("--also", nargs="*", default=[], metavar="LABEL=FOLDER", help="features of other clips")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="LIST.jsonl")
    given = parser.parse_args(argv)
    try:
        lines = lines_of(given.clips, given.features) + [line for text in given.also for line in others(text)]
    except (ValueError, KeyError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    write_atomic(given.out, lambda file: file.write(text.encode()))
    anomalous = [line for line in lines if line["label"] != "normal"]
    named = [line["label"] for line in anomalous]
    classes = {label for label in named if isinstance(label, str)} | {
        x for n in named if isinstance(n, list) for x in n
    }
    print(f"{given.out}: {len(lines)} videos, {len(anomalous)} of them anomalous, of {len(classes)} classes")
    return 0


def lines_of(clips: Path, features: Path | None) -> list[dict[str, Any]]:
    """All lines, by name. ValueError where a folder holds no truth, or a clip has no features."""
    found = sorted(clips.glob(f"*{TRUTH}"))
    if not found:
        raise ValueError(f"no *{TRUTH} in {clips}; `tvad synth {clips}` draws clips")
    lines = []
    for path in found:
        name = path.name.removesuffix(TRUTH)
        if features is not None and not (features / f"{name}.safetensors").is_file():
            raise ValueError(f"no features of {name} in {features}; `tvad extract {clips} -o {features}` makes them")
        line = described(ClipTruth.load(path), name)
        lines.append(line if features is None else line | {"features": [f"{features.name}/{name}.safetensors"]})
    return lines


def others(text: str) -> list[dict[str, Any]]:
    """Lines of "LABEL=FOLDER": each file of features in the folder is a video of that label, called after both."""
    label, sign, folder = text.partition("=")
    found = sorted(Path(folder).glob("*.safetensors")) if sign else []
    if not found:
        raise ValueError(f"--also {text}: expected LABEL=FOLDER with files of features in it")
    home = Path(folder).name
    return [{"video": f"{home}-{p.stem}", "label": label, "features": [f"{home}/{p.name}"]} for p in found]


if __name__ == "__main__":
    sys.exit(main())
