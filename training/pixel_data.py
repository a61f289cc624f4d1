"""Data sets whose truth is a mask for every frame: clips, frame labels, and masks read piece by piece.

Ped2 (UCSD, Mahadevan et al. 2010) in two layouts: as it is distributed (folders of pictures) and as videos with one
npz of masks each. Decoding the frames themselves is tvad/video.py's.

Next: training/metrics.py
"""

import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from training.datasets.truth import ClipTruth

CHUNK_FRAMES = 64
IDS, TRUTH = ".ids.npz", ".truth.json"  # of synthetic clips: instance maps, and what they are


class DataError(ValueError):
    """A data set that is not where it should be, or not what it should be."""


@dataclass(frozen=True)
class GroundTruthClip:
    """One clip and its truth.

    name: unique within the split. video: a file or a folder of frames. mask_source: None for a clip that is normal
    throughout. The masks follow the source's own frames, one each, before any sampling. ordinary: videos of the same
    camera to calibrate on, where each clip has its own.
    """

    name: str
    video: Path
    mask_source: Path | None
    ordinary: tuple[Path, ...] = ()

    def masks(self, chunk: int = CHUNK_FRAMES) -> Iterator[np.ndarray]:
        """Consecutive masks, bool (t, H, W), t <= chunk, True = anomalous. None for a normal clip. Raises DataError."""
        if chunk < 1:
            raise ValueError(f"chunk is {chunk}; expected at least 1 frame")
        if self.mask_source is None:
            return iter(())
        if self.mask_source.name.endswith(IDS):
            return _masks_of_ids(self.mask_source, chunk)
        read = _masks_in_folder if self.mask_source.is_dir() else _masks_in_npz
        return read(self.mask_source, chunk)

    def instances(self) -> Iterator[np.ndarray]:
        """Of every frame (H, W): bool masks, or where the truth tells things apart, their ids, 0 for what is ordinary.
        What `tracks_of_masks` makes tracks of. Raises DataError."""
        if self.mask_source is not None and self.mask_source.name.endswith(IDS):
            return (ids for piece in _instances_of_ids(self.mask_source, CHUNK_FRAMES) for ids in piece)
        return (mask for piece in self.masks() for mask in piece)

    def frame_labels(self, n_frames: int | None = None) -> np.ndarray:
        """(T,) int8, 1 where a frame's mask is not empty. Reads all masks.

        n_frames: how many frames were decoded; a normal clip needs it, for others it is checked. Raises DataError
        where it differs from the number of masks.
        """
        if self.mask_source is None:
            if n_frames is None:
                raise ValueError(f"clip {self.name} is normal and has no masks; give n_frames")
            return np.zeros(n_frames, np.int8)
        found = [piece.any(axis=(1, 2)) for piece in self.masks()]
        labels = np.concatenate(found).astype(np.int8) if found else np.zeros(0, np.int8)
        if n_frames not in (None, labels.size):
            raise DataError(f"{self.mask_source} has {labels.size} masks, but {n_frames} frames were decoded")
        return labels


def ped2(root: str | Path, split: str = "test", clips: Sequence[str] | None = None) -> Iterable[GroundTruthClip]:
    """The clips of UCSD Ped2 in order of their names.

    root: a folder with `train/NN.mp4`, `test/NN.mp4` and `masks/NN.npz` (key `mask`, bool (T, H, W)), or the
    distributed `UCSDped2` with `Train/TrainNNN`, `Test/TestNNN` and `Test/TestNNN_gt`. split: "train" (all normal) or
    "test". clips: names to keep, such as "01" or "Test001"; None keeps all. Raises DataError for what is missing.
    """
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; known: 'train', 'test'")
    folder = Path(root)
    videos = sorted(p for p in (folder / split).glob("*.mp4") if not p.name.startswith("."))
    found = [_video_clip(path, folder / "masks", split) for path in videos]
    if not found:
        title = split.capitalize()
        frames = sorted(p for p in (folder / title).glob(f"{title}[0-9][0-9][0-9]") if p.is_dir())
        found = [_folder_clip(path, split) for path in frames]
    if not found:
        raise DataError(
            f"no Ped2 in {folder}: expected {split}/NN.mp4 with masks/NN.npz, or {split.capitalize()}/ of UCSDped2 as "
            "distributed by UCSD (svcl.ucsd.edu, anomaly data set)"
        )
    if clips is None:
        return found
    if unknown := set(clips) - {clip.name for clip in found}:
        raise DataError(f"no clips {sorted(unknown)} in {folder}; known: {', '.join(clip.name for clip in found)}")
    return [clip for clip in found if clip.name in clips]


def synthetic(root: str | Path, clips: Sequence[str] | None = None) -> list[GroundTruthClip]:
    """The clips that `tvad synth ROOT` made (NAME.mp4, NAME.ids.npz, NAME.truth.json; NAME.ordinary/ with --takes), in
    order of their names; clips as for `ped2`. Raises DataError for what is missing."""
    found = []
    for ids in sorted(Path(root).glob(f"*{IDS}")):
        name = ids.name.removesuffix(IDS)
        missing = [p for p in (ids.with_name(f"{name}.mp4"), ids.with_name(f"{name}{TRUTH}")) if not p.is_file()]
        if missing:
            raise DataError(f"{ids} has no {missing[0].name} beside it; make the clips anew with tvad synth")
        takes = sorted(ids.with_name(f"{name}.ordinary").glob("*.mp4"), key=lambda p: (len(p.name), p.name))
        found.append(GroundTruthClip(name, ids.with_name(f"{name}.mp4"), ids, tuple(takes)))
    if not found:
        raise DataError(f"no synthetic clips in {root}; make some with: tvad synth {root} --split test --count 32")
    if clips is not None and (unknown := set(clips) - {clip.name for clip in found}):
        raise DataError(f"no clips {sorted(unknown)} in {root}; known: {', '.join(clip.name for clip in found)}")
    return [clip for clip in found if clips is None or clip.name in clips]


def _masks_of_ids(path: Path, chunk: int) -> Iterator[np.ndarray]:
    """Where the instances are that are anomalous at a moment."""
    return (piece > 0 for piece in _instances_of_ids(path, chunk))


def _instances_of_ids(path: Path, chunk: int) -> Iterator[np.ndarray]:
    """Ids (t, H, W) of the instances that are anomalous at a moment, 0 elsewhere."""
    truth = ClipTruth.load(path.with_name(path.name.removesuffix(IDS) + TRUTH))
    with np.load(path, allow_pickle=False) as held:
        ids, times_s = held["ids"], held["times_s"]
    for first in range(0, len(ids), chunk):
        rows = range(first, min(first + chunk, len(ids)))
        yield np.stack([ids[i] * truth.mask(ids[i], float(times_s[i])) for i in rows])


def _video_clip(video: Path, masks: Path, split: str) -> GroundTruthClip:
    if split == "train":
        return GroundTruthClip(video.stem, video, None)
    source = masks / f"{video.stem}.npz"
    if not source.is_file():
        raise DataError(f"{video} has no masks: {source} is missing")
    return GroundTruthClip(video.stem, video, source)


def _folder_clip(frames: Path, split: str) -> GroundTruthClip:
    if split == "train":
        return GroundTruthClip(frames.name, frames, None)
    source = frames.with_name(f"{frames.name}_gt")
    if not source.is_dir():
        raise DataError(f"{frames} has no masks: {source} is missing")
    return GroundTruthClip(frames.name, frames, source)


def _masks_in_npz(path: Path, chunk: int) -> Iterator[np.ndarray]:
    """The array `mask` of an npz, decompressed as it is read: it is never whole in memory."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("mask.npy") as data:
            shape = _shape_in_header(data, path)
            size = shape[1] * shape[2]
            for first in range(0, shape[0], chunk):
                n = min(chunk, shape[0] - first)
                raw = data.read(n * size)
                if len(raw) < n * size:
                    raise DataError(f"{path} ends within frame {first + len(raw) // size} of {shape[0]}")
                yield np.frombuffer(raw, bool).reshape(n, *shape[1:])
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError) as error:
        raise DataError(f"{path}: cannot be read as an npz with the array 'mask' ({error})") from None


def _shape_in_header(data: IO[bytes], path: Path) -> tuple[int, int, int]:
    readers: dict[tuple[int, int], Callable] = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        shape, fortran, dtype = readers[np.lib.format.read_magic(data)](data)
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: 'mask' has no header that can be read ({error})") from None
    if dtype != np.dtype(bool) or fortran or len(shape) != 3 or not shape[1] * shape[2]:
        raise DataError(f"{path}: 'mask' is {dtype} {shape}; expected bool (T, H, W) in C order")
    return shape


def _masks_in_folder(path: Path, chunk: int) -> Iterator[np.ndarray]:
    """Pictures in order of their names; a pixel that is not black is anomalous."""
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in {".bmp", ".png"} and not p.name.startswith("."))
    if not files:
        raise DataError(f"{path} holds no masks: expected .bmp or .png pictures")
    for first in range(0, len(files), chunk):
        pieces = [_mask_in_picture(p) for p in files[first : first + chunk]]
        if len({piece.shape for piece in pieces}) > 1:
            raise DataError(f"{path}: masks differ in size: {sorted({piece.shape for piece in pieces})}")
        yield np.stack(pieces)


def _mask_in_picture(path: Path) -> np.ndarray:
    # Only the distributed layout needs a decoder of pictures.
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L")) > 0
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path}: not a picture that can be read ({error})") from None
