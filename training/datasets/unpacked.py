"""One archive with the features of many videos, as data sets hand them round, to a folder a label with a file a video.

    python -m training.datasets.unpacked c3d_fc6_32x4096.npz FOLDER --truth Temporal_Anomaly_Annotation.txt
    tvad train temporal --head mil_ranking --data FOLDER --out RUN

ARCHIVE.npz holds an array (n, D), or (crops, n, D), a video, under the video's name. Labels are those of the truth file
(training/score_files.py); videos that it does not name are an error, since a folder must say what is in it. What is
there already stays. Bad input ends with one line and exit code 2. Next: training/datasets/weak.py
"""

import argparse
import io
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from training.datasets.weak import NORMAL
from training.score_files import read_truth
from tvad.evidence import write_atomic


def unpack(archive: Path, truth: Path, out: Path) -> list[Path]:
    """FOLDER/LABEL/NAME.npy of every video, in the order of the archive. ValueError for a file that is no such archive,
    a video that the truth does not name, or names that would leave the folder."""
    try:
        with np.load(archive, allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, AttributeError) as error:
        raise ValueError(f"{archive} is no .npz of features ({error})") from None
    labels = {own.video: own.labels for own in read_truth(truth, "auto", names=list(arrays))}
    if unknown := [name for name in arrays if name not in labels]:
        raise ValueError(f"{truth} does not say what {unknown[0]} of {archive} is")
    made = []
    for name, values in arrays.items():
        if values.ndim not in (2, 3) or values.dtype.kind != "f":
            raise ValueError(f"{archive}: {name} has shape {values.shape}; expected (n, D) or (crops, n, D) numbers")
        folder = labels[name][0] if labels[name] else NORMAL
        path = out / folder / f"{name}.npy"
        if {"/", "\\", ".."} & {*name, *folder, name, folder}:
            raise ValueError(f"{archive}: {folder}/{name} is no name of a file")
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _put(path, values)
        made.append(path)
    return made


def _put(path: Path, values: np.ndarray) -> None:
    data = io.BytesIO()
    np.save(data, values, allow_pickle=False)
    write_atomic(path, lambda file: file.write(data.getvalue()))


def main(argv: Sequence[str] | None = None) -> int:
    """See the top of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path, metavar="FOLDER")
    parser.add_argument("--truth", type=Path, required=True, metavar="FILE")
    given = parser.parse_args(argv)
    try:
        made = unpack(given.archive, given.truth, given.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{len(made)} videos in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
