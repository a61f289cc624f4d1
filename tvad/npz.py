"""Archives of arrays (.npz) written and read a piece at a time: the heat maps of hours need not be in memory at once.

What is written here numpy reads as any other .npz.  Next: tvad/evidence.py
"""

import zipfile
from collections.abc import Mapping
from typing import IO, Any, cast

import numpy as np
from numpy.lib import format as npy

from tvad.spill import PIECE, Maps, pieces


def write_npz(file: IO[bytes], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays, compressed, under their names."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as out:
                if values.ndim == 0 or not values.flags.c_contiguous:
                    npy.write_array(cast(Any, out), values, allow_pickle=False)
                    continue
                npy.write_array_header_1_0(cast(Any, out), npy.header_data_from_array_1_0(values))
                for piece in pieces(values):
                    out.write(piece.tobytes())


def read_maps(archive: Any, name: str) -> np.ndarray:
    """An array of an opened archive (`np.load`); a long one is unpacked into a file and read-only.

    KeyError where there is none; ValueError for one that has less than it promises.
    """
    if name not in archive.files:
        raise KeyError(f"{name} is not in the archive")
    maps = Maps()
    with archive.zip.open(f"{name}.npy") as data:
        if npy.read_magic(data) != (1, 0):
            return cast(np.ndarray, archive[name])
        shape, by_columns, dtype = npy.read_array_header_1_0(data)
        each = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        if len(shape) < 2 or by_columns or dtype.hasobject or each <= 0 or not shape[0]:
            return cast(np.ndarray, archive[name])
        for start in range(0, shape[0], PIECE):
            count = min(PIECE, shape[0] - start)
            raw = data.read(count * each)
            if len(raw) != count * each:
                raise ValueError(f"{name} promises {shape} and ends after {start} of {shape[0]}")
            maps.add(np.frombuffer(raw, dtype).reshape(count, *shape[1:]))
    return maps.array()
