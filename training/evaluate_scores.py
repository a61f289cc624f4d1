"""Evaluate scores over time: every figure with its protocol, raw and smoothed, with intervals over videos.

    python -m training.evaluate_scores PREDICTIONS --truth TRUTH.jsonl --data-set NAME --split test

PREDICTIONS holds one NAME.npz a video: `scores` (n,), one a snippet or one a frame; for mAP `class_probs` (n, K) and
`class_names` (K,), the normal class first; `frames`, how many the video has, where the truth does not say so.
TRUTH is {"video": "a.mp4", "frames": 900, "fps": 30, "label": "Fighting", "segments": [[start, end, "Fighting"]]} a
line, half-open in frames, the label a class or a list of them; or a table (.csv) of video,label,start,end[,frames,fps];
or the annotations of UCF-Crime or XD-Violence. The figures are printed and written to PREDICTIONS/evaluation.json. Bad
input ends with one line and exit code 2.

To compare with the published figures of VadCLIP: --align reference --map-mode reference_ucf, or reference_xd.
Next: training/score_figures.py
"""

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.datasets.weak import table_truth
from training.intervals import DRAWS, SHARE
from training.score_figures import ALIGNMENTS, SIGMA, SNIPPET, Protocol, align, measure
from training.score_files import FORMATS, Prediction, VideoTruth, read_predictions, read_truth
from training.segment_metrics import MODES
from tvad.evidence import write_atomic


def evaluate(
    predictions: Mapping[str, Prediction],
    truth: Sequence[VideoTruth],
    protocol: Protocol | None = None,
    map_truth: Sequence[VideoTruth] | None = None,
    partial: bool = False,
) -> dict[str, Any]:
    """Everything that can be said of the predictions: {"data", "protocol", "notes", "figures": {"raw", "smoothed"}}.

    partial: leave out videos without a prediction, which is an error else. Predictions without truth are left out, with
    a note. ValueError for what does not fit together.
    """
    protocol = protocol or Protocol()
    if not truth:
        raise ValueError("the truth holds no video")
    missing = [own.video for own in truth if own.video not in predictions]
    used = [own for own in truth if own.video in predictions]
    if not used or (missing and not partial):
        raise ValueError(f"{len(missing)} of {len(truth)} videos have no prediction, the first is {missing[0]}")
    aligned = align(predictions, used, protocol, map_truth)
    notes = list(aligned.notes)
    if missing:
        notes.append(f"{len(missing)} of {len(truth)} videos have no prediction and were left out")
    if extra := len(predictions.keys() - {own.video for own in truth}):
        notes.append(f"{extra} predictions have no truth and were left out")
    if unknown := sum(own.fps is None for own in used):
        notes.append(f"no false alarms per hour: the frame rate of {unknown} videos is not known (see --fps)")
    if aligned.probs is not None and protocol.draws:
        notes.append("intervals of mAP are too narrow where classes have few events")
    if any(s.min() < 0 or s.max() > 1 for s in aligned.scores):
        notes.append("no padded macro-AUC: there are scores outside [0, 1]")
    frames = sum(y.size for y in aligned.labels)
    hours = [y.size / own.fps / 3600 for own, y in zip(used, aligned.labels, strict=True) if own.fps]
    data = {
        "videos": len(used),
        "anomalous_videos": sum(bool(own.labels) for own in used),
        "frames": frames,
        "anomalous_frames": int(sum(y.sum() for y in aligned.labels)),
        "hours": None if unknown else sum(hours),
    }
    ways = {"raw": aligned, "smoothed": aligned.smoothed(protocol.sigma)}
    figures = {way: measure(own, protocol) for way, own in ways.items()}
    return {"data": data, "protocol": asdict(protocol), "notes": notes, "figures": figures}


# The command


def table(report: Mapping[str, Any]) -> Iterator[str]:
    """The report as lines of text."""
    data, protocol, figures = report["data"], report["protocol"], report["figures"]
    hours = "" if data["hours"] is None else f", {data['hours']:.2f} h"
    yield (
        f"{data.get('data_set', 'unnamed')}, split {data.get('split', 'unnamed')}: {data['videos']} videos "
        f"({data['anomalous_videos']} anomalous), {data['frames']} frames ({data['anomalous_frames']} anomalous){hours}"
    )
    brackets = f"in brackets {100 * protocol['share']:g} % of {protocol['draws']} draws of videos"
    brackets = brackets if protocol["draws"] else "no intervals (--draws 0)"
    yield (
        f"alignment {protocol['align']}, {protocol['snippet']} frames a snippet; smoothed: Gaussian over time, "
        f"sigma {protocol['sigma']:g} frames; {brackets}"
    )
    yield f"{'':22s}{'raw':>28s}{'smoothed':>28s}"
    for name, raw in figures["raw"].items():
        yield f"{name:22s}{_cell(raw):>28s}{_cell(figures['smoothed'][name]):>28s}  {raw['protocol']}"
    yield from (f"note: {note}" for note in report["notes"])


def _cell(figure: Mapping[str, Any]) -> str:
    value, low, high = (math.nan if figure[key] is None else figure[key] for key in ("value", "low", "high"))
    if math.isnan(value):
        return "-"
    return f"{value:.4f}" + ("" if math.isnan(low) else f" [{low:.4f}, {high:.4f}]")


def _plain(value: Any) -> Any:
    """NaN as null, for JSON."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _sha256(paths: Sequence[Path]) -> str:
    """Of names and contents."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def truth_of(path: Path, kind: str, fps: float | None, names: Iterable[str] = ()) -> list[VideoTruth]:
    """As `read_truth`, and tables."""
    if kind == "table" or (kind == "auto" and path.suffix.casefold() == ".csv"):
        return table_truth(path, fps)
    return read_truth(path, kind, fps, names)


def run(given: argparse.Namespace) -> dict[str, Any]:
    """Read, evaluate and write; returns what was written."""
    names = Protocol.__dataclass_fields__
    protocol = Protocol(**{name: getattr(given, name) for name in names})
    predictions = read_predictions(given.predictions)
    truth = truth_of(given.truth, given.format, given.fps, predictions)
    map_truth = truth_of(given.map_truth, given.format, given.fps) if given.map_truth else None
    report = evaluate(predictions, truth, protocol, map_truth, given.partial)
    hashes = {
        "predictions_sha256": _sha256(sorted(given.predictions.glob("*.npz"))),
        "truth_sha256": _sha256([given.truth]),
    }
    report["data"] = {"data_set": given.data_set or given.truth.stem, "split": given.split, **report["data"], **hashes}
    report = _plain(report)
    out = given.out or given.predictions / "evaluation.json"
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    write_atomic(out, lambda file: file.write(text.encode()))
    return report


def main(argv: Sequence[str] | None = None, name: str | None = None) -> None:
    """See the top of the file. name: of the command, in messages."""
    parser = argparse.ArgumentParser(name, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("predictions", type=Path, metavar="PREDICTIONS", help="folder with one .npz file a video")
    add("--truth", type=Path, required=True, metavar="FILE")
    add("--format", choices=(*FORMATS, "table"), default="auto", help="of the truth")
    add("--map-truth", type=Path, metavar="FILE", help="segments with classes, where --truth has none (XD-Violence)")
    add("--align", choices=ALIGNMENTS, default="video")
    add("--map-mode", choices=MODES, default="anomaly_only")
    add("--snippet", type=int, default=SNIPPET, help="frames a score stands for; 1 for one a frame")
    add("--fps", type=float, help="instead of what the truth says")
    add("--threshold", type=float, default=0.5, help="score of an alarm")
    add("--sigma", type=float, default=SIGMA, help="of the smoothing, frames")
    add("--share", type=float, default=SHARE, help="of the draws that an interval holds")
    add("--draws", type=int, default=DRAWS, help="of videos, for the intervals; 0 for none")
    add("--seed", type=int, default=0, help="of the draws")
    add("--data-set", metavar="NAME")
    add("--split", default="unnamed", metavar="NAME")
    add("--partial", action="store_true", help="leave out videos without a prediction")
    add("--out", type=Path, metavar="FILE.json", help="instead of PREDICTIONS/evaluation.json")
    try:
        report = run(parser.parse_args(argv))
    except (OSError, ValueError) as error:
        line = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.strerror else str(error)
        print(f"tvad: {' '.join(line.split())}", file=sys.stderr)
        raise SystemExit(2) from None
    for line in table(report):
        print(line)


if __name__ == "__main__":
    main()
