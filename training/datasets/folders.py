"""Data sets in folders -> truth of their clips: masks or instance maps become boxes that are followed over time.

What a recording shows besides its masks is unknown: its targets are called "object" and do something unnamed, unless a
file of classes names them. Pickles are never read.

Next: training/datasets/build.py
"""

import csv
import hashlib
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from heatmap.regions import Region
from heatmap.tracks import Tracker
from training.datasets.records import UNKNOWN_LAYOUT
from training.datasets.truth import UNNAMED, ClipTruth, Target
from training.pixel_data import CHUNK_FRAMES, DataError, GroundTruthClip, ped2

MIN_AREA_PX = 8  # a component below is noise of the drawing
DEFAULT_FPS = {"ped2": 10.0, "ubnormal": 30.0, "shanghaitech": 24.0}  # where there is no video to ask
ACTION = "behaves unusually"
VIDEOS = (".mp4", ".avi", ".mkv", ".mov")

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class FolderClip:
    """A clip of a data set. video, mask_path: where they are, "" where they are not. anomalous: (T,) bool, frames whose
    masks hold an anomalous pixel; None where no masks were read."""

    truth: ClipTruth
    video: str
    mask_path: str
    anomalous: np.ndarray | None = None


Reader = Callable[[Path, float | None], Iterator[FolderClip]]


def split_of_source(source: str, shares: Sequence[float] = (0.8, 0.1, 0.1)) -> str:
    """ "train", "validation" or "test" of a recording, always the same for the same name."""
    place = int.from_bytes(hashlib.sha256(source.encode()).digest()[:8], "big") / 2**64
    edges = np.cumsum(shares) / sum(shares)
    return ("train", "validation", "test")[min(int(np.searchsorted(edges, place, side="right")), 2)]


# --- masks to targets ---------------------------------------------------------------------------------------------


def targets_of_masks(
    pieces: Iterable[np.ndarray], fps: float, noun: str = "object"
) -> tuple[list[Target], np.ndarray, tuple[int, int]]:
    """Masks in consecutive pieces, bool (t, H, W) -> targets, frames with anomalous pixels (T,) bool, (width, height).

    8-connected components are linked from frame to frame (heatmap/tracks.py); what lasts a single frame is left out.
    DataError without any frame.
    """
    tracker: Tracker | None = None
    anomalous: list[bool] = []
    size = (0, 0)
    for piece in pieces:
        for mask in piece:
            if tracker is None:
                size = (mask.shape[1], mask.shape[0])
                tracker = Tracker(size, max_regions=10**6)
            t_s = len(anomalous) / fps
            tracker.step(_components(mask, t_s), t_s)
            anomalous.append(bool(mask.any()))
    if tracker is None:
        raise DataError("masks without a single frame")
    made: list[Target] = []
    for track in tracker.tracks():
        regions = track.regions
        times = tuple(r.t_s for r in regions)
        made.append(_target(len(made) + 1, noun, times, tuple(r.box_xyxy for r in regions), ((times[0], times[-1]),)))
    return made, np.array(anomalous), size


def targets_of_ids(
    maps: Iterable[tuple[int, np.ndarray]],
    spans: dict[int, list[tuple[int, int]]],
    nouns: dict[int, str],
    fps: float,
    other: str = "object",
) -> tuple[list[Target], dict[int, bool], tuple[int, int]]:
    """Instance maps (frame, (H, W) integers, 0 the background) -> targets, frame -> anomalous, (width, height).

    spans: of each anomalous id, frames (first, last) inclusive; other ids are normal. nouns: of ids; other: that of
    the rest. The box of an id is that of its largest component.
    """
    boxes: dict[int, dict[int, Box]] = {}
    anomalous: dict[int, bool] = {}
    size = (0, 0)
    for frame, ids in maps:
        size = (ids.shape[1], ids.shape[0])
        anomalous[frame] = False
        for number in np.unique(ids[ids > 0]).tolist():
            found = _components(ids == number, 0.0, least=1)
            boxes.setdefault(number, {})[frame] = max(found, key=lambda r: r.area).box_xyxy
            anomalous[frame] |= any(a <= frame <= b for a, b in spans.get(number, ()))
    made = []
    for number, at in sorted(boxes.items()):
        frames = sorted(at)
        times = tuple(f / fps for f in frames)
        seconds = tuple((a / fps, b / fps) for a, b in sorted(spans.get(number, ())))
        made.append(_target(number, nouns.get(number, other), times, tuple(at[f] for f in frames), seconds))
    return made, anomalous, size


def _target(
    number: int, noun: str, times: tuple[float, ...], boxes: tuple[Box, ...], spans_s: tuple[tuple[float, float], ...]
) -> Target:
    anomaly = UNNAMED if spans_s else None
    return Target(number, noun, anomaly, spans_s, ACTION, {}, "", times, boxes, (1.0,) * len(times))


def _components(mask: np.ndarray, t_s: float, least: int = MIN_AREA_PX) -> list[Region]:
    count, _, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = []
    for n in range(1, count):
        x, y, width, height, area = (int(v) for v in stats[n])
        if area >= least:
            box = (float(x), float(y), float(x + width - 1), float(y + height - 1))
            middle = (float(centres[n][0]), float(centres[n][1]))
            found.append(Region(t_s, box, 1.0, middle, area / mask.size))
    return found


def _truth(
    name: str, split: str, fps: float, size: tuple[int, int], n_frames: int, targets: Sequence[Target] = ()
) -> ClipTruth:
    return ClipTruth(name, name, split, UNKNOWN_LAYOUT, (), fps, size, n_frames / fps, tuple(targets))


# --- readers ------------------------------------------------------------------------------------------------------


def read_synthetic(root: Path, fps: float | None = None) -> Iterator[FolderClip]:
    """Clips of training/datasets/synthetic: NAME.truth.json, NAME.mp4 and NAME.ids.npz, in any folder below root.

    fps is not used: the truth knows its own.
    """
    files = sorted(root.rglob("*.truth.json"))
    if not files:
        raise DataError(f"no *.truth.json in {root}; clips are written by training/datasets/synthetic/clip.py")
    for path in files:
        try:
            truth = ClipTruth.load(path)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: not the truth of a clip ({error})") from None
        stem = path.name.removesuffix(".truth.json")
        video = next((p for end in VIDEOS if (p := path.with_name(stem + end)).is_file()), "")
        ids = path.with_name(f"{stem}.ids.npz")
        anomalous = _anomalous_in(ids, truth) if ids.is_file() else None
        yield FolderClip(truth, str(video), str(ids) if anomalous is not None else "", anomalous)


def _anomalous_in(path: Path, truth: ClipTruth) -> np.ndarray:
    """(T,) bool: frames whose instance map shows something anomalous."""
    try:
        with np.load(path, allow_pickle=False) as data:
            ids, times = data["ids"], data["times_s"]
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as an npz with 'ids' and 'times_s' ({error})") from None
    return np.array([bool(truth.mask(m, float(t)).any()) for m, t in zip(ids, times, strict=True)], bool)


def read_ped2(root: Path, fps: float | None = None) -> Iterator[FolderClip]:
    """UCSD Ped2 (Mahadevan et al. 2010), both layouts of training/pixel_data.py; its own split is kept."""
    for split in ("train", "test"):
        for clip in ped2(root, split):
            yield _ped2_clip(clip, split, fps)


def _ped2_clip(clip: GroundTruthClip, split: str, fps: float | None) -> FolderClip:
    from tvad.video import probe

    name = f"ped2/{split}/{clip.name}"
    # A folder of pictures has no rate of its own.
    info = probe(clip.video)
    rate = fps or (DEFAULT_FPS["ped2"] if clip.video.is_dir() else info.fps)
    if clip.mask_source is None:
        n = max(1, round(info.duration_s * info.fps))
        return FolderClip(_truth(name, split, rate, (info.width, info.height), n), str(clip.video), "")
    targets, anomalous, size = targets_of_masks(clip.masks(), rate)
    truth = _truth(name, split, rate, size, len(anomalous), targets)
    return FolderClip(truth, str(clip.video), str(clip.mask_source), anomalous)


def read_masks(root: Path, fps: float | None = None) -> Iterator[FolderClip]:
    """What training.datasets.masks made: `videos/NAME.*`, `masks/NAME.npz`. Labels of a machine: none is for a test."""
    files = sorted(p for p in (root / "videos").glob("*") if (root / "masks" / f"{p.stem}.npz").is_file())
    if not files:
        raise DataError(
            f"no videos with masks in {root}; make some: python -m training.datasets.masks VIDEOS -o {root}"
        )
    for video in files:
        clip = GroundTruthClip(video.stem, video, root / "masks" / f"{video.stem}.npz")
        made = _ped2_clip(clip, split_of_source(video.stem, (0.9, 0.1, 0.0)), fps)
        name = f"masks/{video.stem}"
        yield replace(made, truth=replace(made.truth, id=name, source=name))


def read_shanghaitech(root: Path, fps: float | None = None) -> Iterator[FolderClip]:
    """ShanghaiTech Campus (Luo et al. 2017): `testing/test_pixel_mask/*.npy`, each (T, H, W).

    Its anomalies are all in its test videos, so records are made of those and split by the name of the video: figures
    on such a split are not those of the data set's own test.
    """
    folder = next((f for f in (root / "testing" / "test_pixel_mask", root / "test_pixel_mask") if f.is_dir()), None)
    files = sorted(folder.glob("*.npy")) if folder else []
    if not files:
        raise DataError(f"no ShanghaiTech in {root}: expected testing/test_pixel_mask/*.npy")
    for path in files:
        rate = fps or DEFAULT_FPS["shanghaitech"]
        targets, anomalous, size = targets_of_masks(_npy_pieces(path), rate)
        name = f"shanghaitech/{path.stem}"
        video = next((str(p) for p in (path.parents[1] / "frames" / path.stem,) if p.exists()), "")
        truth = _truth(name, split_of_source(name), rate, size, len(anomalous), targets)
        yield FolderClip(truth, video, str(path), anomalous)


def _npy_pieces(path: Path) -> Iterator[np.ndarray]:
    try:
        masks = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as an array ({error})") from None
    if masks.ndim != 3 or not masks.size:
        raise DataError(f"{path}: masks have shape {masks.shape}; expected (T, H, W)")
    for first in range(0, len(masks), CHUNK_FRAMES):
        yield np.asarray(masks[first : first + CHUNK_FRAMES]) > 0


_GT = re.compile(r"_(\d+)_gt\.png$")
_SPLITS = {"training": "train", "validation": "validation", "test": "test"}


def read_ubnormal(root: Path, fps: float | None = None) -> Iterator[FolderClip]:
    """UBnormal (Acsintoae et al. 2022): `NAME_annotations/` with `NAME_NNNN_gt.png` and `NAME_tracks.txt`.

    Rows of the tracks are `id,start,end`, both frames included. The official split is read from
    `*_{training,validation,test}_video_names.txt` in the folder or in `scripts/`; without these files videos are split
    by name. Classes: see `read_classes`.
    """
    from tvad.video import probe

    folders = sorted(p for p in root.rglob("*_annotations") if p.is_dir())
    videos = {p.stem: p for p in sorted(root.rglob("*_scene_*")) if p.suffix.lower() in VIDEOS}
    if not folders and not videos:
        raise DataError(f"no UBnormal in {root}: expected Scene*/*_annotations/ with *_gt.png and *_tracks.txt")
    splits, classes = _official_splits(root), read_classes(root)
    annotated = {p.name.removesuffix("_annotations"): p for p in folders}
    for name in sorted({*annotated, *videos}):
        source, video = f"ubnormal/{name}", videos.get(name)
        split = splits.get(name) or split_of_source(source)
        info = probe(video) if video else None
        rate = fps or (info.fps if info else DEFAULT_FPS["ubnormal"])
        if name not in annotated:
            if info is not None and name.startswith("normal"):
                n = max(1, round(info.duration_s * info.fps))
                yield FolderClip(_truth(source, split, rate, (info.width, info.height), n), str(video), "")
            continue
        yield _ubnormal_clip(
            source, split, annotated[name], str(video or ""), rate, None if classes is None else classes.get(name, {})
        )


def _ubnormal_clip(
    source: str, split: str, folder: Path, video: str, fps: float, named: dict[int, str] | None
) -> FolderClip:
    name = folder.name.removesuffix("_annotations")
    files = sorted((int(m[1]), p) for p in folder.glob("*_gt.png") if (m := _GT.search(p.name)))
    if not files:
        raise DataError(f"{folder} holds no NAME_NNNN_gt.png")
    spans = read_spans(folder / f"{name}_tracks.txt")
    # Where a file names the classes, whoever it leaves out is a person.
    other = "object" if named is None else "person"
    targets, at, size = targets_of_ids(((n, _ids_in(p)) for n, p in files), spans, named or {}, fps, other)
    anomalous = np.zeros(files[-1][0] + 1, bool)
    for frame, is_anomalous in at.items():
        anomalous[frame] = is_anomalous
    truth = _truth(source, split, fps, size, len(anomalous), targets)
    return FolderClip(truth, video, str(folder), anomalous)


def read_spans(path: Path) -> dict[int, list[tuple[int, int]]]:
    """Rows `id,start,end` -> frames of each id, both included. DataError for a missing file or another row."""
    if not path.is_file():
        raise DataError(f"{path} is missing; expected rows id,start,end")
    spans: dict[int, list[tuple[int, int]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            target, start, end = (int(float(v)) for v in re.split(r"[,\s]+", line.strip(" ,\t")))
        except ValueError:
            raise DataError(f"{path}, line {number}: {line.strip()!r}; expected id,start,end") from None
        if target < 1 or not 0 <= start <= end:
            raise DataError(
                f"{path}, line {number}: id {target}, frames {start} to {end}; expected 1 <= id, start <= end"
            )
        spans.setdefault(target, []).append((start, end))
    return spans


def read_classes(root: Path) -> dict[str, dict[int, str]] | None:
    """Video -> id -> class, from `object_names_per_video.json` ({"video": {"id": "class"}}) or `.csv` (rows
    video,id,class) in the folder or in `scripts/`; None without such a file. The distributed pickle is not read: a
    pickle runs what it holds."""
    places = (root, root / "scripts")
    for path in (p / "object_names_per_video.json" for p in places):
        if path.is_file():
            raw = json.loads(path.read_text(encoding="utf-8"))
            try:
                return {v: {int(i): str(c).lower() for i, c in ids.items()} for v, ids in raw.items()}
            except (AttributeError, ValueError) as error:
                raise DataError(f'{path}: expected {{"video": {{"id": "class"}}}} ({error})') from None
    for path in (p / "object_names_per_video.csv" for p in places):
        if path.is_file():
            return _classes_in_csv(path)
    if any((p / "object_names_per_video.pkl").is_file() for p in places):
        warnings.warn(
            f"{root}: object_names_per_video.pkl is a pickle and is not read; write it as .json "
            '({"video": {"id": "class"}}) to have classes. Targets are called "object"',
            stacklevel=2,
        )
    return None


def _classes_in_csv(path: Path) -> dict[str, dict[int, str]]:
    classes: dict[str, dict[int, str]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if not row or row[1:2] == ["id"]:
                continue
            if len(row) != 3 or not row[1].strip().isdecimal():
                raise DataError(f"{path}, line {number}: {row}; expected video,id,class")
            classes.setdefault(row[0].strip(), {})[int(row[1])] = row[2].strip().lower()
    return classes


def _official_splits(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in (root, root / "scripts"):
        for word, split in _SPLITS.items():
            for path in sorted(folder.glob(f"*_{word}_video_names.txt")):
                found |= dict.fromkeys(path.read_text(encoding="utf-8").split(), split)
    return found


def _ids_in(path: Path) -> np.ndarray:
    ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if ids is None:
        raise DataError(f"{path}: not a picture that can be read")
    # The same number in every channel, where there are several.
    return ids if ids.ndim == 2 else ids[..., 0]


DATASETS: dict[str, Reader] = {
    "synthetic": read_synthetic,
    "ped2": read_ped2,
    "ubnormal": read_ubnormal,
    "shanghaitech": read_shanghaitech,
    "masks": read_masks,
}
NOTES = {
    "shanghaitech": "made of the data set's test videos, the only ones with anomalies, and split by video",
    "masks": "labels of the detector and of SAM, not truth: nothing is to be measured against them",
}
