"""Captions in the formats of others, each made from the records of a journal, whole or not at all.

Text in them is what `words.record_of` let through (no control characters, no line ends) and is written so that the
format takes it for text: no markup in subtitles, no formula in a table. Next: tvad/cli_caption.py
"""

import csv
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.captions.files import json_line, write_lines
from chat.export import SRT_SIGNS, cue_times, vtt_text
from chat.export_content import one_line
from tvad.batch.inputs import REMOTE

Record = dict[str, Any]
Records = Callable[[], Iterable[Record]]  # gone through as often as a format needs

COLUMNS = ("video", "event", "start_s", "end_s", "peak_s", "score", "category", "caption", "has_anomaly", "confidence")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of one
SIGNS = str.maketrans("<>", "\u2039\u203a")  # a page that shows a table must not find markup in it
NO_NAME = set('/\\:*?"<>|')  # what some system has no file names with
LONGEST_NAME = 100


@dataclass(frozen=True)
class Format:
    """ending: of the file or folder beside the captions. write: makes it."""

    ending: str
    write: Callable[[Path, Records], None]


def beside(out: Path, kind: str) -> Path:
    """Where a format of captions goes: captions.jsonl -> captions.coco.json."""
    return out.with_name(out.stem + FORMATS[kind].ending)


def names(records: Iterable[Record]) -> Iterator[tuple[str, Record]]:
    """A file name for every video, without ending, each once whatever the case of its letters."""
    taken: set[str] = set()
    for record in records:
        stem = one_line(Path(record["video"]["path"]).stem)
        name = "".join("_" if c in NO_NAME else c for c in stem)[:LONGEST_NAME].strip(". ").lstrip("-") or "video"
        number = 1
        unique = name
        while unique.casefold() in taken:
            number += 1
            unique = f"{name}-{number}"
        taken.add(unique.casefold())
        yield unique, record


# Tables and subtitles


def _csv(path: Path, records: Records) -> None:
    """A row for every video, with no event, and one for each of its events."""
    write_lines(path, _csv_lines(records()))


def _csv_lines(records: Iterable[Record]) -> Iterator[str]:
    yield _row(COLUMNS)
    for record in records:
        name = one_line(record["video"]["path"]).translate(SIGNS)
        whole = ("", 0.0, record["video"]["duration_s"], "", *_told(record))
        yield _row((name, *whole, record["has_anomaly"], record["confidence"]))
        for event in record["events"]:
            yield _row((name, event["id"], event["start_s"], event["end_s"], event["peak_s"], *_told(event), "", ""))


def _told(of: Record) -> tuple[Any, ...]:
    return of["score"], *(one_line(of[name]).translate(SIGNS) for name in ("category", "caption"))


def _row(cells: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([_cell(cell) for cell in cells])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.startswith(FORMULA) else value


def _subtitles(kind: str) -> Callable[[Path, Records], None]:
    def write(path: Path, records: Records) -> None:
        with whole_folder(path) as folder:
            for name, record in names(records()):
                (folder / f"{name}.{kind}").write_text(_cues(record, kind), encoding="utf-8")

    return write


def _cues(record: Record, kind: str) -> str:
    """A cue an event; without one, the caption over the whole video."""
    events = record["events"] or [
        {"start_s": 0.0, "end_s": record["video"]["duration_s"], "caption": record["caption"]}
    ]
    cues = [(e["start_s"], e["end_s"], one_line(e["caption"])) for e in events]
    if kind == "srt":
        return "\n".join(
            f"{n}\n{cue_times(a, b, ',')}\n{text.translate(SRT_SIGNS)}\n" for n, (a, b, text) in enumerate(cues, 1)
        )
    return "WEBVTT\n" + "".join(
        f"\n{n}\n{cue_times(a, b, '.')}\n{vtt_text(text)}\n" for n, (a, b, text) in enumerate(cues, 1)
    )


# Boxes and tracks


def _coco(path: Path, records: Records) -> None:
    """COCO detection, with videos and tracks: an image is a frame of a video in which something was followed."""
    write_lines(path, _coco_lines(records))


def _coco_lines(records: Records) -> Iterator[str]:
    labels = sorted({track["label"] or "thing" for record in records() for track in record["tracks"]})
    categories = {label: n for n, label in enumerate(labels, 1)}
    yield '{"info": {"description": "tvad caption", "version": "1"}, "licenses": [],\n"categories": '
    yield json_line([{"id": n, "name": label} for label, n in categories.items()])
    yield ',"videos": [\n'
    yield from _joined(
        {"id": n, "name": name, "file_name": one_line(v["path"]), "caption": one_line(r["caption"])}
        | {key: v[key] for key in ("width", "height", "fps", "duration_s")}
        for n, (name, r) in enumerate(names(records()), 1)
        for v in [r["video"]]
    )
    yield '],"images": [\n'
    yield from _joined(image for image, _ in _frames(records()))
    yield '],"annotations": [\n'
    yield from _joined(
        {
            "id": number,
            "image_id": image["id"],
            "video_id": image["video_id"],
            "category_id": categories[track["label"] or "thing"],
            "track_id": track["id"],
            "bbox": _xywh(box),
            "area": round(_xywh(box)[2] * _xywh(box)[3], 2),
            "iscrowd": 0,
            "score": box["score"],
        }
        for number, (image, (track, box)) in enumerate(
            ((image, held) for image, boxes in _frames(records()) for held in boxes), 1
        )
    )
    yield "]}\n"


def _frames(records: Iterable[Record]) -> Iterator[tuple[Record, list[tuple[Record, Record]]]]:
    """Every frame with a box as a COCO image, and its (track, box) pairs."""
    number = 0
    for n, (name, record) in enumerate(names(records), 1):
        video = record["video"]
        for frame, boxes in _by_frame(record):
            number += 1
            image = {"id": number, "video_id": n, "frame_id": frame, "file_name": f"{name}/{frame + 1:06d}.jpg"}
            yield image | {"width": video["width"], "height": video["height"], "t_s": boxes[0][1]["t_s"]}, boxes


def _by_frame(record: Record) -> Iterator[tuple[int, list[tuple[Record, Record]]]]:
    """(frame from 0, its (track, box) pairs), in order; a track has one box a frame."""
    fps = record["video"]["fps"]
    found: dict[int, dict[int, tuple[Record, Record]]] = {}
    for track in record["tracks"]:
        for box in track["boxes"]:
            found.setdefault(round(box["t_s"] * fps), {}).setdefault(track["id"], (track, box))
    for frame in sorted(found):
        yield frame, [found[frame][i] for i in sorted(found[frame])]


def _xywh(box: Record) -> list[float]:
    x0, y0, x1, y1 = box["xyxy"]
    return [x0, y0, round(x1 - x0, 2), round(y1 - y0, 2)]


def _mot(path: Path, records: Records) -> None:
    """A file of results of MOTChallenge for each video: frame (from 1), track, box, score, and what is not known."""
    with whole_folder(path) as folder:
        for name, record in names(records()):
            lines = (
                f"{frame + 1},{track['id']},{','.join(f'{v:g}' for v in _xywh(box))},{box['score']:g},-1,-1,-1\n"
                for frame, boxes in _by_frame(record)
                for track, box in boxes
            )
            (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8")


def _fiftyone(path: Path, records: Records) -> None:
    """A FiftyOneTemporalDetectionDataset: labels.json, and data.json that says where the videos are."""
    with whole_folder(path) as folder:
        write_lines(folder / "labels.json", _fiftyone_labels(records()))
        # By name alone: the manifest is the one place where the path is meant to be opened.
        write_lines(
            folder / "data.json",
            ["{", *_joined_pairs((_in_manifest(name, r), _place(r)) for name, r in names(records())), "}\n"],
        )


def _in_manifest(name: str, record: Record) -> str:
    """FiftyOne takes the ending off: without one, a name would lose what follows its last dot."""
    ending = Path(record["video"]["path"]).suffix
    return name + (ending if ending.isascii() and ending[1:].isalnum() else ".video")


def _place(record: Record) -> str:
    path = record["video"]["path"]
    return path if REMOTE.match(path) else os.path.abspath(path)  # noqa: PTH100 - links stay what they are


def _fiftyone_labels(records: Iterable[Record]) -> Iterator[str]:
    yield '{"labels": {'
    yield from _joined_pairs((name, [_support(r, e) for e in r["events"]]) for name, r in names(records))
    yield "}}\n"


def _support(record: Record, event: Record) -> Record:
    """Frames are counted from 1, and the last of an event is one of the video's."""
    fps, count = record["video"]["fps"], round(record["video"]["duration_s"] * record["video"]["fps"])
    first, last = (max(1, min(count, int(event[side] * fps) + 1)) for side in ("start_s", "end_s"))
    return {
        "label": event["category"],
        "support": [first, max(first, last)],
        "confidence": event["score"],
        "attributes": {"caption": event["caption"]},
    }


# Pieces


class whole_folder:  # noqa: N801 - used as a function is
    """A folder to fill, which takes the place of `path` when all went well."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Path:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f".{self._path.name}.", dir=self._path.parent))
        return self._folder

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._folder.chmod(0o755)
                if self._path.is_dir():
                    old = self._path.rename(self._folder.with_suffix(".old"))
                    self._folder.rename(self._path)
                    shutil.rmtree(old, ignore_errors=True)
                else:
                    self._folder.rename(self._path)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)


def _joined(values: Iterable[Record]) -> Iterator[str]:
    for n, value in enumerate(values):
        yield ("," if n else "") + json_line(value)


def _joined_pairs(pairs: Iterable[tuple[str, Any]]) -> Iterator[str]:
    for n, (name, value) in enumerate(pairs):
        yield ("," if n else "") + json_line(name).rstrip("\n") + ": " + json_line(value)


FORMATS: dict[str, Format] = {
    "csv": Format(".csv", _csv),
    "srt": Format(".srt", _subtitles("srt")),
    "vtt": Format(".vtt", _subtitles("vtt")),
    "coco": Format(".coco.json", _coco),
    "mot": Format(".mot", _mot),
    "fiftyone": Format(".fiftyone", _fiftyone),
}
