"""Files of snippet features: .npy, or .npz and .safetensors with the key `features`; (n, D), or (crops, n, D).

What is wrong with a file raises ValueError, one line that names it. Next: training/datasets/weak_splits.py
"""

import json
import re
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError

from training.score_files import key_of

KEY = "features"
SUFFIXES = (".npy", ".npz", ".safetensors")
_CROP = re.compile(r"__(\d+)$")
_BROKEN = (
    AttributeError,
    EOFError,
    KeyError,
    OSError,
    SafetensorError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)

Shape = tuple[int, int, int]  # crops, n, D


class Named(NamedTuple):
    """What a feature file is called after. crop: of "NAME__3.npy", None without."""

    video: str
    crop: int | None


def named(path: str | Path) -> Named:
    """The video and crop of a feature file, by its name; folders and suffixes are left out."""
    name = str(path).replace("\\", "/").rpartition("/")[2]
    stem = next((name[: -len(s)] for s in SUFFIXES if name.casefold().endswith(s)), name)
    found = _CROP.search(stem)
    return Named(key_of(stem[: found.start()] if found else stem), int(found[1]) if found else None)


def shape_of(path: Path) -> Shape:
    """(crops, n, D) of a file, read from its header where it has one."""
    try:
        if path.suffix.casefold() == ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            shape, kind = array.shape, array.dtype.kind
        elif path.suffix.casefold() == ".npz":
            shape, kind = _zipped(path)
        else:
            shape, kind = _tensor(path)
    except _BROKEN as error:
        raise ValueError(_unreadable(path, error)) from None
    if len(shape) not in (2, 3) or 0 in shape or kind != "f":
        raise ValueError(
            f"{path}: features {tuple(shape)} of kind {kind!r}; expected (n, D) or (crops, n, D) floating-point numbers"
        )
    return (1, *shape) if len(shape) == 2 else tuple(shape)  # type: ignore[return-value]


def read_features(path: Path) -> np.ndarray:
    """(crops, n, D) float32 of a file; finite."""
    shape = shape_of(path)
    try:
        if path.suffix.casefold() == ".npy":
            array = np.load(path, allow_pickle=False)
        elif path.suffix.casefold() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                array = file[KEY]
        else:
            from safetensors.numpy import load

            array = load(path.read_bytes())[KEY]
    except _BROKEN as error:
        raise ValueError(_unreadable(path, error)) from None
    with np.errstate(over="ignore"):
        out: np.ndarray = array.reshape(shape).astype(np.float32)
    if bad := int((~np.isfinite(out)).sum()):
        raise ValueError(f"{path}: {bad} numbers of the features are not finite")
    return out


def shapes_of(files: Iterable[Path]) -> dict[Path, Shape]:
    """Of every file; ValueError where one cannot be read or they are not of one width."""
    found: dict[Path, Shape] = {}
    first: Path | None = None
    for path in files:
        shape = found[path] = shape_of(path)
        first = first or path
        if shape[2] != found[first][2]:
            raise ValueError(f"{path}: features of width {shape[2]}; {first} has {found[first][2]}")
    return found


def _zipped(path: Path) -> tuple[tuple[int, ...], str]:
    with zipfile.ZipFile(path) as archive:
        if f"{KEY}.npy" not in archive.namelist():
            held = ", ".join(name.removesuffix(".npy") for name in archive.namelist())
            raise ValueError(f"it holds {held or 'nothing'}; expected `{KEY}`")
        with archive.open(f"{KEY}.npy") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            return shape, dtype.kind


def _tensor(path: Path) -> tuple[tuple[int, ...], str]:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        there = path.stat().st_size - 8 - size
        header = json.loads(file.read(size)) if there >= 0 else {}
        if there < max((v["data_offsets"][1] for k, v in header.items() if k != "__metadata__"), default=0):
            raise ValueError("it is cut short")
    if KEY not in header:
        raise ValueError(f"it holds {', '.join(header) or 'nothing'}; expected `{KEY}`")
    kind = {"F16": "f", "F32": "f", "F64": "f"}.get(header[KEY]["dtype"], header[KEY]["dtype"])
    return tuple(header[KEY]["shape"]), kind


def _unreadable(path: Path, error: BaseException) -> str:
    said = error.strerror if isinstance(error, OSError) and error.strerror else error
    return f"{path}: no features that can be read ({' '.join(str(said).split())[:200]})"


class FeatureFolder:
    """The feature files below a folder, found by the name of a video, or by the end of a path that was written down on
    another machine."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ValueError(f"{root} is no folder; expected one with files of features")
        self.root = root
        self._crops: dict[str, dict[int | None, list[Path]]] | None = None

    def files(self) -> list[Path]:
        return sorted(p for p in self.root.rglob("*") if p.suffix.casefold() in SUFFIXES and p.is_file())

    def of_video(self, video: str) -> tuple[Path, ...]:
        """All crops of a video, in their order; ValueError where there is none, or another file of the same name."""
        if self._crops is None:
            self._crops = {}
            for path in self.files():
                name, crop = named(path)
                self._crops.setdefault(name, {}).setdefault(crop, []).append(path)
        crops = self._crops.get(video)
        if not crops:
            raise ValueError(
                f"no features of {video} in {self.root}; expected a file {video}.npy, .npz or .safetensors"
            )
        for paths in crops.values():
            if len(paths) > 1:
                raise ValueError(f"two files of features of {video}: {paths[0]} and {paths[1]}")
        if None in crops and len(crops) > 1:
            raise ValueError(f"features of {video} with and without crops: {crops[None][0]}")
        return tuple(crops[crop][0] for crop in sorted(crops, key=lambda c: -1 if c is None else c))

    def of_path(self, text: str) -> Path | None:
        """The file at a path: as it stands, or the longest end of it below the folder; None where it is not there."""
        given = Path(text)
        if given.is_absolute() and given.is_file():
            return given
        parts = PurePosixPath(text.replace("\\", "/")).parts
        for begin in range(len(parts)):
            if not parts[begin].startswith("/") and (path := self.root.joinpath(*parts[begin:])).is_file():
                return path
        return None
