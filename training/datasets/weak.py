"""Videos that are labelled as a whole, and their files of snippet features.

    videos = read_videos("ucf_CLIP_rgb.csv", root="features")     UCF-Crime's list: path,label; crops __0 to __9
    videos = read_videos("xd_CLIP_rgb.csv", root="features")      XD-Violence's: labels "B1-B2-0"; bare paths will do
    videos = read_videos("mine.csv", root="features")             video,label[,start,end]; or the same as .jsonl
    videos = read_videos("features")                              a folder a label
    videos = with_truth(videos, "Temporal_Anomaly_Annotation.txt")

Further columns of a table: start_s and end_s instead of frames; features (paths; with ";" between crops), group (what
is to stay together in a split), frames, fps. Rows of one video are put together. What is wrong raises ValueError that
names the file and the line. Next: training/datasets/weak_files.py
"""

import csv
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.datasets.weak_files import FeatureFolder, named
from training.datasets.weak_splits import folds as folds
from training.datasets.weak_splits import source_of
from training.datasets.weak_splits import split_by_source as split_by_source
from training.score_files import VideoTruth, key_of, read_truth
from training.segment_metrics import is_normal

NORMAL = "normal"
GROUPS = ("name", "video")
UCF_NORMAL = frozenset({"training_normal_videos_anomaly", "testing_normal_videos_anomaly", "normal_videos_event"})
# What the codes of XD-Violence stand for; "A" is normal, "0" only fills up.
XD_CLASSES = {
    "B1": "fighting",
    "B2": "shooting",
    "B4": "riot",
    "B5": "abuse",
    "B6": "car accident",
    "G": "explosion",
}

Segment = tuple[int, int, str]  # start and end in frames, half-open; class


@dataclass(frozen=True)
class WeakVideo:
    """labels: its anomalous classes, sorted, none for a normal video. features: a file a crop, in their order, or one
    that holds them all. source: what it is a piece of, for splits. frames, fps: None where they are not known.
    segments: where the anomalies are, none for a normal video; None where only that there are some is known."""

    name: str
    labels: tuple[str, ...]
    features: tuple[Path, ...]
    source: str
    frames: int | None = None
    fps: float | None = None
    segments: tuple[Segment, ...] | None = None


@dataclass(frozen=True)
class Row:
    """What one line says. where: it stands. files: as they are written down. normal: that there is nothing in this
    video, or in this stretch of it where the line gives one."""

    where: str
    video: str
    labels: tuple[str, ...]
    normal: bool
    files: tuple[str, ...] = ()
    stretch: bool = False
    segments: tuple[Segment, ...] = ()
    frames: int | None = None
    fps: float | None = None
    group: str | None = None


def class_names(videos: Iterable[WeakVideo]) -> tuple[str, ...]:
    """Normal first, then the anomalous classes by name."""
    return (NORMAL, *sorted({label for video in videos for label in video.labels}))


def read_videos(
    path: str | Path, root: str | Path | None = None, normal: Collection[str] = (), group: str = "name"
) -> list[WeakVideo]:
    """Videos of a list, a table or a folder, in its order.

    root: folder of the features; None: that of the list. normal: labels that mean "nothing anomalous", beside "normal",
    the "A" of XD-Violence and UCF-Crime's folders. group: where no column says it, the source of a video is what
    `source_of` makes of its name ("name"), or itself ("video").
    """
    path = Path(path)
    if group not in GROUPS:
        raise ValueError(f"group is {group!r}; choose one of {', '.join(GROUPS)}")
    if not path.exists():
        raise ValueError(f"{path} is not there; expected a list, a table or a folder of videos")
    ordinary = {label.casefold() for label in normal} | UCF_NORMAL
    if path.is_dir():
        found, features = _folder(path, ordinary), FeatureFolder(Path(root) if root else path)
    else:
        found, features = _file(path, ordinary), FeatureFolder(Path(root) if root else path.parent)
    if not found:
        raise ValueError(f"{path} holds no video")
    return [_video(name, rows, features, group) for name, rows in _by_name(found).items()]


def table_truth(path: Path, fps: float | None = None) -> list[VideoTruth]:
    """The truth that a table of videos holds (video,label,start,end): for `tvad eval`, without any features. fps:
    instead of what it says. ValueError where an anomalous video has no start and end."""
    out = []
    for name, rows in _by_name(_file(path, UCF_NORMAL)).items():
        labels, segments = _said(name, rows)
        if segments is None:
            raise ValueError(f"{rows[0].where}: {name} is {', '.join(labels)} without start and end, in frames")
        rate = _one(rows, "fps") if fps is None else fps
        out.append(VideoTruth(name, _one(rows, "frames"), rate, labels, segments))
    if not out:
        raise ValueError(f"{path} holds no video")
    return out


def with_truth(videos: Sequence[WeakVideo], path: str | Path, kind: str = "auto") -> list[WeakVideo]:
    """The videos with the segments of a truth file, in frames: UCF-Crime's Temporal_Anomaly_Annotation.txt,
    XD-Violence's annotations, or lines of JSON (training/score_files.py). Videos that it does not name stay as they
    are. ValueError where it calls normal what the list calls anomalous, or the other way round."""
    truths = {own.video: own for own in read_truth(Path(path), kind, names=[v.name for v in videos])}
    out = []
    for video in videos:
        own = truths.get(video.name)
        if own is None:
            out.append(video)
            continue
        if bool(own.labels) != bool(video.labels):
            said = " ".join(own.labels) or NORMAL
            raise ValueError(f"{path}: {video.name} is {said}; its label is {' '.join(video.labels) or NORMAL}")
        out.append(replace(video, segments=own.segments, frames=video.frames or own.frames, fps=video.fps or own.fps))
    return out


def _by_name(found: Iterable[Row]) -> dict[str, list[Row]]:
    out: dict[str, list[Row]] = {}
    for row in found:
        out.setdefault(row.video, []).append(row)
    return out


def _said(name: str, rows: Sequence[Row]) -> tuple[tuple[str, ...], tuple[Segment, ...] | None]:
    """Labels and segments of all rows of a video together."""
    labels = tuple(sorted({label for row in rows for label in row.labels}))
    if whole := [row for row in rows if row.normal and labels and not row.stretch]:
        raise ValueError(f"{whole[0].where}: {name} is labelled normal here, and {', '.join(labels)} elsewhere")
    placed = [row for row in rows if row.labels and row.stretch]
    if placed and (bare := [row for row in rows if row.labels and not row.stretch]):
        raise ValueError(f"{bare[0].where}: {name} has no start and end here, and has them in {placed[0].where}")
    segments = tuple(sorted(s for row in placed for s in row.segments)) if placed or not labels else None
    frames = _one(rows, "frames")
    if segments and frames is not None and max(end for _, end, _ in segments) > frames:
        raise ValueError(f"{rows[0].where}: a segment of {name} ends after its {frames} frames")
    return labels, segments


def _video(name: str, rows: Sequence[Row], features: FeatureFolder, group: str) -> WeakVideo:
    """All rows of a video together."""
    labels, segments = _said(name, rows)
    frames, fps = (_one(rows, key) for key in ("frames", "fps"))
    source = _one(rows, "group") or (name if group == "video" else source_of(name))
    return WeakVideo(name, labels, _features(name, rows, features), source, frames, fps, segments)


def _features(name: str, rows: Sequence[Row], features: FeatureFolder) -> tuple[Path, ...]:
    given = list(dict.fromkeys((row.where, text) for row in rows for text in row.files))
    if not given:
        try:
            return features.of_video(name)
        except ValueError as error:
            raise ValueError(f"{rows[0].where}: {error}") from None
    found: dict[Path, str] = {}
    for where, text in given:
        path = features.of_path(text)
        if path is None:
            raise ValueError(f"{where}: no file {text} below {features.root}")
        found[path] = where
    called: dict[str, Path] = {}
    for path, where in found.items():
        if (other := called.setdefault(path.stem, path)) != path:
            raise ValueError(f"{where}: two files of features of {name}: {other} and {path}")
    return tuple(sorted(found, key=lambda p: named(p).crop or 0))


def _one(rows: Sequence[Row], key: str) -> Any:
    """What the rows that say it agree on; None where none does."""
    said = {getattr(row, key): row.where for row in rows if getattr(row, key) is not None}
    if len(said) > 1:
        (first, _), (other, where), *_ = said.items()
        raise ValueError(f"{where}: {key} of {rows[0].video} is {other} here, and {first} elsewhere")
    return next(iter(said), None)


# Formats


def _file(path: Path, ordinary: Collection[str]) -> list[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text; expected a list of videos, or a folder of features") from None
    lines = text.splitlines()
    if path.suffix.casefold() in (".jsonl", ".json", ".ndjson"):
        return [_described(f"{path}, line {n}", _json(path, n, line), ordinary) for n, line in _filled(lines)]
    head = [cell.strip().casefold() for cell in next(csv.reader(lines[:1]), [])]
    if "label" in head and ("path" in head or "video" in head):
        reader = csv.reader(lines[1:])
        rows = [(reader.line_num + 1, row) for row in reader if any(cell.strip() for cell in row)]
        return [_described(f"{path}, line {n}", _cells(path, n, head, row), ordinary) for n, row in rows]
    if path.suffix.casefold() == ".csv":
        raise ValueError(f"{path}: columns {', '.join(head) or 'none'}; expected path,label or video,label")
    return [_bare(f"{path}, line {n}", line.strip(), ordinary) for n, line in _filled(lines)]


def _filled(lines: Sequence[str]) -> list[tuple[int, str]]:
    return [(n, line) for n, line in enumerate(lines, start=1) if line.strip()]


def _json(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        raw = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: no JSON ({error})") from None
    if not isinstance(raw, dict):
        raise ValueError(f'{path}, line {number}: expected an object with "video" and "label"')
    return raw


def _cells(path: Path, number: int, head: Sequence[str], row: Sequence[str]) -> dict[str, Any]:
    if len(row) != len(head):
        raise ValueError(f"{path}, line {number}: {len(row)} cells for the {len(head)} columns {','.join(head)}")
    raw: dict[str, Any] = {key: cell.strip() for key, cell in zip(head, row, strict=True) if cell.strip()}
    if "features" in raw:
        raw["features"] = [part.strip() for part in raw["features"].split(";") if part.strip()]
    return raw


def _described(where: str, raw: Mapping[str, Any], ordinary: Collection[str]) -> Row:
    """A line of a list or a table, as a Row."""
    given = raw.get("path", raw.get("video"))
    if not isinstance(given, str) or not given or not raw.get("label"):
        raise ValueError(f"{where}: expected a {'path' if 'path' in raw else 'video'} and a label")
    video = named(given).video
    labels, normal = _labels(where, video, raw["label"], ordinary)
    files = [given] if "path" in raw else raw.get("features", [])
    files = [files] if isinstance(files, str) else files
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise ValueError(f"{where}: features {files!r}; expected paths")
    frames, fps = _number(where, raw, "frames"), _number(where, raw, "fps")
    if frames is not None and (frames < 1 or frames != int(frames)):
        raise ValueError(f"{where}: frames is {frames}; expected a whole number above 0")
    if fps is not None and not fps > 0:
        raise ValueError(f"{where}: fps is {fps}; expected a number above 0")
    stretches = _stretches(where, raw, labels, fps)
    group = raw.get("group")
    return Row(
        where,
        video,
        labels,
        normal,
        tuple(files),
        stretches is not None,
        tuple(stretches or ()),
        None if frames is None else int(frames),
        fps,
        None if group is None else str(group),
    )


def _stretches(where: str, raw: Mapping[str, Any], labels: Sequence[str], fps: float | None) -> list[Segment] | None:
    """Segments of a line, none of a normal one; None where it gives none."""
    if "segments" in raw:
        try:
            found = [(start, end, str(label)) for start, end, label in raw["segments"]]
        except (TypeError, ValueError):
            raise ValueError(f"{where}: segments {raw['segments']!r}; expected [[start, end, class], ...]") from None
        if other := [label for _, _, label in found if label not in labels and not is_normal(label)]:
            raise ValueError(f"{where}: a segment is {other[0]}, which is not among the labels")
        # A line with labels and an empty list says nothing of where they are.
        found = [(start, end, label) for start, end, label in found if label in labels]
        return [_segment(where, *one) for one in found] or None
    start, end = _number(where, raw, "start"), _number(where, raw, "end")
    if start is None and end is None:
        start_s, end_s = _number(where, raw, "start_s"), _number(where, raw, "end_s")
        if start_s is None and end_s is None:
            return None
        if fps is None:
            raise ValueError(f"{where}: start_s and end_s need a column fps")
        start = None if start_s is None else math.floor(start_s * fps + 1e-6)
        end = None if end_s is None else math.ceil(end_s * fps - 1e-6)
    found = [_segment(where, start, end, label) for label in labels or (NORMAL,)]
    return found if labels else []


def _segment(where: str, start: Any, end: Any, label: str) -> Segment:
    if start is None or end is None or not 0 <= start < end or start != int(start) or end != int(end):
        raise ValueError(f"{where}: from {start} to {end}; expected whole frames, 0 <= start < end")
    return int(start), int(end), label


def _number(where: str, raw: Mapping[str, Any], key: str) -> float | None:
    if raw.get(key) is None:
        return None
    try:
        value = float(raw[key])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where}: {key} is {raw[key]!r}; expected a number")
    return value


def _labels(where: str, video: str, label: Any, ordinary: Collection[str]) -> tuple[tuple[str, ...], bool]:
    """Anomalous classes, and whether it is normal. XD-Violence joins them with "-" and fills up with "0"."""
    given = label if isinstance(label, list) else [label]
    if not all(isinstance(one, str) and one.strip() for one in given):
        raise ValueError(f"{where}: label {label!r}; expected a class or a list of them")
    if "_label_" in video:
        given = [part for one in given for part in one.split("-") if part != "0"]
    classes = {one.strip() for one in given}
    odd = {one for one in classes if not is_normal(one) and one.casefold() not in ordinary}
    if not classes or (odd and odd != classes):
        raise ValueError(f"{where}: label {label!r}; expected normal, or anomalous classes alone")
    return tuple(sorted(odd)), not odd


def _bare(where: str, path: str, ordinary: Collection[str]) -> Row:
    """A path without label: XD-Violence says it in the name, UCF-Crime in the folder."""
    video = named(path).video
    _, sign, label = video.rpartition("_label_")
    if not sign:
        label = path.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
    if not label:
        raise ValueError(f"{where}: {path} does not say its label; expected LABEL/NAME or NAME_label_LABEL")
    labels, normal = _labels(where, video, label, ordinary)
    is_features = key_of(path) != video
    return Row(where, video, labels, normal, (path,) if is_features else ())


def _folder(path: Path, ordinary: Collection[str]) -> list[Row]:
    """ROOT/LABEL/.../NAME: a name that two labels have gets the label before it."""
    files = FeatureFolder(path).files()
    if stray := [file for file in files if file.parent == path]:
        raise ValueError(f"{stray[0]} is in no folder that says its label")
    of_label = [(file.relative_to(path).parts[0], file) for file in files]
    seen: dict[str, set[str]] = {}
    for label, file in of_label:
        seen.setdefault(named(file).video, set()).add(label)
    rows = []
    for label, file in of_label:
        video = named(file).video
        labels, normal = _labels(str(file), video, label, ordinary)
        rows.append(
            Row(str(file), video if len(seen[video]) == 1 else f"{label}_{video}", labels, normal, (str(file),))
        )
    return rows
