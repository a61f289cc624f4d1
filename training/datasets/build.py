"""Clips -> a data set of records and dialogues, one JSON object a line, whole or not at all.

    python -m training.datasets.build CLIPS OUT.jsonl [--folder-kind synthetic|ped2|ubnormal|shanghaitech|masks]
        [--whole] [--window 24] [--stride 12] [--turns N] [--fps F] [--seed 0]

One line is one window: {id, video, window: [first, last frame], fps, size: [height, width], split, has_anomaly,
targets: [...], qa: [{turn, q, a, kind, references}], mask_path}. What contradicts itself goes to rejects.jsonl beside
it, with the reasons; timelines.jsonl holds what happens in every video. A video is in one split with all its windows.

Next: training/slots.py
"""

import argparse
import json
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.datasets.consistency import problems
from training.datasets.folders import DATASETS, NOTES, FolderClip
from training.datasets.qa import QA, dialogue, protocol
from training.datasets.records import STRIDE, WINDOW, Captioner, ClipRecord, Window, caption, clip_record, frame_count
from training.datasets.records import windows as windows_of
from training.datasets.timeline import timeline
from training.datasets.truth import ClipTruth
from training.pixel_data import DataError
from tvad.evidence import write_atomic


@dataclass(frozen=True)
class Plan:
    """How clips are cut and asked about. whole: one record a clip, no windows. turns: of the free dialogue after the
    protocol's three; None draws their number. Test clips are asked in the phrasings kept for the test."""

    whole: bool = False
    window: int = WINDOW
    stride: int = STRIDE
    turns: int | None = None
    seed: int = 0


@dataclass
class Built:
    """Lines of the data set, of what was rejected, and of the timelines."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)
    timelines: list[dict[str, Any]] = field(default_factory=list)


def build(
    clips: Iterable[FolderClip], plan: Plan | None = None, captions: dict[str, dict[int, str]] | None = None
) -> Built:
    """Records, dialogues and timelines of clips. captions: clip id -> target id -> a captioner's words.

    ValueError where one source would be in two splits.
    """
    plan, built = plan or Plan(), Built()
    splits: dict[str, str] = {}
    for clip in clips:
        truth = clip.truth
        if splits.setdefault(truth.source, truth.split) != truth.split:
            raise ValueError(f"source {truth.source!r} is in {splits[truth.source]!r} and in {truth.split!r}")
        kept: list[ClipRecord] = []
        for record, any_mask in _records(clip, plan, (captions or {}).get(truth.id, {})):
            turns = _turns(record, plan)
            line = to_line(record, turns)
            if reasons := problems(record, turns, any_mask):
                built.rejects.append(line | {"reasons": reasons})
            else:
                built.lines.append(line)
                kept.append(record)
        entries = [entry.to_dict() for entry in timeline(kept)]
        built.timelines.append({"video": clip.video or truth.id, "id": truth.id, "timeline": entries})
    return built


def _records(clip: FolderClip, plan: Plan, captions: dict[int, str]) -> Iterator[tuple[ClipRecord, bool | None]]:
    cuts: list[Window | None] = [None]
    if not plan.whole:
        cuts = list(windows_of(frame_count(clip.truth), plan.window, plan.stride))
    for cut in cuts:
        record = clip_record(clip.truth, cut, clip.video, clip.mask_path, captions)
        first, last = record.window
        any_mask = None if clip.anomalous is None else bool(clip.anomalous[first : last + 1].any())
        yield record, any_mask


def _turns(record: ClipRecord, plan: Plan) -> list[QA]:
    rng = np.random.default_rng([plan.seed, zlib.crc32(record.id.encode())])
    phrasings = "test" if record.split == "test" else "train"
    asked = protocol(record, rng, phrasings)
    return [*asked, *dialogue(record, rng, phrasings, plan.turns, asked)]


def to_line(record: ClipRecord, turns: Sequence[QA]) -> dict[str, Any]:
    """A line of the data set; turns are counted from 1."""
    asked = [
        {"turn": n, "q": qa.question, "a": qa.answer, "kind": qa.kind, "references": list(qa.references)}
        for n, qa in enumerate(turns, 1)
    ]
    about = record.to_dict()
    mask_path = about.pop("mask_path")
    return about | {"qa": asked, "mask_path": mask_path}


def captions_of(
    truth: ClipTruth, frames: Iterable[np.ndarray], ids: Iterable[np.ndarray], captioner: Captioner
) -> dict[int, str]:
    """Target id -> a captioner's words for its crop in the frame where most of it is seen, its background blurred.

    frames (H, W, 3) uint8 and ids (H, W) instance maps, one each, in order of the clip's frames.
    """
    best: dict[int, tuple[int, np.ndarray, np.ndarray]] = {}
    wanted = [t.id for t in truth.anomalous]
    for frame, instances in zip(frames, ids, strict=True):
        for number in wanted:
            mask = instances == number
            area = int(np.count_nonzero(mask))
            if area > (best[number][0] if number in best else 0):
                best[number] = (area, frame.copy(), mask)
    return {number: caption(frame, mask, captioner) for number, (_, frame, mask) in best.items()}


def write(built: Built, out: Path) -> None:
    """OUT.jsonl, and rejects.jsonl and timelines.jsonl beside it; each whole or not at all."""
    for path, lines in (
        (out, built.lines),
        (out.with_name("rejects.jsonl"), built.rejects),
        (out.with_name("timelines.jsonl"), built.timelines),
    ):
        text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
        write_atomic(path, lambda file, text=text: file.write(text.encode()))  # type: ignore[misc]


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a data set; DataError tells the first that is none."""
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            lines.append(json.loads(text))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: not JSON ({error})") from None
    return lines


def summary(built: Built, note: str = "") -> str:
    """One line: records, how many are anomalous, questions, splits, rejects."""
    anomalous = sum(line["has_anomaly"] for line in built.lines)
    questions = sum(len(line["qa"]) for line in built.lines)
    splits = Counter(line["split"] for line in built.lines)
    parts = ", ".join(f"{n} {split}" for split, n in sorted(splits.items())) or "none"
    text = f"{len(built.lines)} records of {len(built.timelines)} videos ({parts}), {anomalous} with an anomaly, "
    return text + f"{questions} questions; {len(built.rejects)} rejected" + (f"; {note}" if note else "")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folder-kind", choices=sorted(DATASETS), default="synthetic")
    parser.add_argument("--whole", action="store_true", help="one record a clip instead of windows")
    parser.add_argument("--window", type=int, default=WINDOW)
    parser.add_argument("--stride", type=int, default=STRIDE)
    parser.add_argument("--turns", type=int, default=None, help="of the free dialogue; drawn where not given")
    parser.add_argument("--fps", type=float, default=None, help="frames per second of the masks")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    if not given.clips.is_dir():
        print(f"{given.clips} is no folder; give the folder of the clips", file=sys.stderr)
        return 2
    plan = Plan(given.whole, given.window, given.stride, given.turns, given.seed)
    try:
        built = build(DATASETS[given.folder_kind](given.clips, given.fps), plan)
    except (DataError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    write(built, given.out)
    print(summary(built, NOTES.get(given.folder_kind, "")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
