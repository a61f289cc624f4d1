"""Fit the flow code of the preset `mini`: principal components of how things move, without labels.

    python -m training.temporal.flow_code VIDEO... --out tvad/codes/mini/flow.safetensors

Stretches of two seconds, at most four of a video, so that many scenes count for more than a long film of one, give
blocks (tvad/temporal/flow_code.py). Only footage that weights may be shipped from. Next: training/temporal/pooled.py
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from training.ship import note
from tvad.encoder import Encoder, Features, input_size
from tvad.evidence import write_atomic
from tvad.settings import MAX_SIDE_PX, Settings
from tvad.temporal.flow_code import COMPONENTS, KINDS, FlowCode, blocks, rooted
from tvad.video import VIDEO_SUFFIXES, VideoReader

STRETCH_S, AT_MOST = 2.0, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path, help="files, or folders with them")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    found = [b for path in files(given.videos) for b in stretches(path)]
    code, kept = fit(found)
    save(code, given.out)
    note(given.out)
    count = sum(map(len, found))
    shares = ", ".join(f"{share:.2f} of {name}" for name, share in kept.items())
    print(f"{given.out}: {len(found)} stretches, {count} blocks; of the variance {shares} kept")


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Videos, those in folders in order of their names."""
    for path in paths:
        yield from sorted(p for p in path.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES) if path.is_dir() else [path]


def stretches(path: Path) -> Iterator[np.ndarray]:
    """Blocks (n, ...) of every stretch of a video in which anything moves; a short video is one stretch."""
    reader = VideoReader(path, Settings().fps, max_side=MAX_SIDE_PX, between=input_size)
    seen = Features.join(Encoder().features(reader, flow=True))
    last = max(float(seen.times_s[-1]) - STRETCH_S, 0.0)
    for start_s in np.linspace(0, last, min(AT_MOST, 1 + int(last // STRETCH_S))):
        first, end = np.searchsorted(seen.times_s, [start_s - 1e-6, start_s + STRETCH_S])
        found = blocks(seen.flow[first:end])
        if len(found):
            yield found.astype(np.float16)


def fit(found: Sequence[np.ndarray]) -> tuple[FlowCode, dict[str, float]]:
    """The code of stretches of blocks, and what share of each kind's variance it keeps. ValueError for too few."""
    from sklearn.decomposition import PCA

    rows = np.concatenate(found).astype(np.float32) if found else np.zeros((0, 1))
    if len(rows) <= COMPONENTS:
        raise ValueError(f"{len(rows)} blocks of movement; it takes more than {COMPONENTS}")
    components, kept = {}, {}
    for name, kind in KINDS.items():
        pca = PCA(COMPONENTS, svd_solver="covariance_eigh").fit(rooted(rows, kind))
        whitened = pca.components_ / np.sqrt(pca.explained_variance_)[:, None]
        components[name] = pca.mean_.astype(np.float32), whitened.astype(np.float32)
        kept[name] = float(pca.explained_variance_ratio_.sum())
    return FlowCode(components), kept


def save(code: FlowCode, path: Path) -> None:
    """As safetensors, whole or not at all."""
    from safetensors.numpy import save as packed

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda file: file.write(packed(code.arrays())))


if __name__ == "__main__":
    main()
