"""Features for the decoder's training: a clip through the shipped encoder and watcher, a few runs of frames kept.

    python -m training.heatmap.features DATA --split train --synthetic 200 [--first 0] [--workers 2] [--assets FOLDER]
    python -m training.heatmap.features DATA --split train --clips FOLDER   (NNNN.mp4, .ids.npz, .truth.json)
    python -m training.heatmap.features DATA --split train --normal a.mp4 b.mp4

Everything that the decoder will see in the product is made by the product's own code, over the whole clip; what is
kept are RUNS runs of RUN frames (the decoder looks a frame back and ahead) and, of every target, how much of each
cell it covers. A file a clip, DATA/<split>/<id>.safetensors; one that exists is not made again.

Next: training/heatmap/data.py
"""

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from heatmap.decoder_loss import COVERED, coverage
from training.datasets.truth import ClipTruth
from tvad.classifier import shared_classifier
from tvad.decoder_taps import MOTION, Taps, TapsStream
from tvad.encoder import Encoder
from tvad.evidence import write_atomic
from tvad.settings import MAX_SIDE_PX
from tvad.video import Clip, VideoReader
from tvad.watcher import Watcher

VERSION = 1
RUNS, RUN = 4, 4
CHUNK = 16
STRETCH_S = 10.0  # of real footage that make one clip
FPS = 8.0
RATES = (7.5, 8.0, 25 / 3, 10.0)  # what a request for FPS gives on videos of 15, 24, 25 and 10 frames a second
SIZES = ((640, 360), (640, 480), (480, 360), (360, 240), (320, 240), (426, 240))
Moment = tuple[np.ndarray, np.ndarray | None, float]  # frame (H, W, 3) uint8 RGB, instance map or None, seconds


@dataclass(frozen=True)
class CachedClip:
    """What is kept of a clip: taps of N frames, RUN at a time without a gap; cover (n, N, h, w) uint8, 255 times the
    share of each cell that target `ids[i]` covers; truth; real: filmed, not made."""

    taps: Taps
    cover: np.ndarray
    ids: np.ndarray
    truth: ClipTruth
    real: bool

    def targets(self, wanted: np.ndarray) -> np.ndarray:
        """Cells (N, h, w) bool of what is wanted: wanted (n, N) bool. A cell counts from a coverage of COVERED, and
        the best covered cell of each target always does."""
        cover = self.cover * wanted[:, :, None, None]
        out: np.ndarray = cover.sum(0, dtype=np.int32) >= COVERED * 255
        flat = cover.reshape(*cover.shape[:2], cover.shape[2] * cover.shape[3])
        i, t = np.nonzero(flat.any(2))
        out.reshape(len(self.taps), -1)[t, flat[i, t].argmax(1)] = True
        return out

    def anomalous(self, kinds: Iterable[str] | None = None) -> np.ndarray:
        """(n, N) bool: which target is anomalous when; only of these kinds where given."""
        wanted = None if kinds is None else set(kinds)
        by_id = {t.id: t for t in self.truth.anomalous if wanted is None or t.anomaly in wanted}
        times = self.taps.times_s
        out = np.zeros((len(self.ids), len(times)), bool)
        for row, identity in zip(out, self.ids.tolist(), strict=True):
            for a, b in by_id[identity].anomalous_s if identity in by_id else ():
                row |= (times >= a - 1e-6) & (times <= b + 1e-6)
        return out

    def save(self, path: str | Path) -> None:
        t = self.taps
        tensors = {k: getattr(t, k) for k in ("fine", "coarse", "motion", "thing", "vectors", "times_s")}
        tensors |= {"presence": t.presence, "cover": self.cover, "ids": self.ids.astype(np.int32)}
        about = {
            "kind": "tvad-decoder-clip",
            "version": str(VERSION),
            "motion": json.dumps(MOTION),
            "truth": json.dumps(asdict(self.truth)),
            "real": json.dumps(self.real),
        }
        data = save_tensors({k: np.ascontiguousarray(v) for k, v in tensors.items()}, about)
        write_atomic(path, lambda file: file.write(data))

    @classmethod
    def load(cls, path: str | Path) -> "CachedClip":
        """Read what `save` wrote; ValueError for anything else, with the command that makes it again."""
        try:
            data = Path(path).read_bytes()
            about = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
            if about["kind"] != "tvad-decoder-clip" or about["version"] != str(VERSION):
                raise ValueError(f"it is a {about['kind']} of version {about['version']}")
            if json.loads(about["motion"]) != list(MOTION):
                raise ValueError("its movement channels are those of another version")
            x = load_tensors(data)
            names = ("fine", "coarse", "motion", "thing", "presence", "vectors", "times_s")
            truth = ClipTruth.from_dict(json.loads(about["truth"]))
            return cls(Taps(*(x[k] for k in names)), x["cover"], x["ids"], truth, json.loads(about["real"]))
        except (KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ValueError(
                f"{path}: not a clip of this version ({error}); make it again: python -m training.heatmap.features"
            ) from None


def watched(clips: Iterable[Clip]) -> Iterator[Taps]:
    """Taps of a clip, through the product's own parts."""
    watcher, stream = Watcher(shared_classifier(1)), Encoder(threads=1).stream()
    taps: TapsStream | None = None
    for clip in clips:
        taps = taps or TapsStream((clip.frames.shape[2], clip.frames.shape[1]))
        for frame, t in zip(clip.frames, clip.times_s.tolist(), strict=True):
            watcher.step(frame, t)
        for features in stream.push(clip):
            yield from taps.push(features, [*watcher.take_ended(), *watcher.things.values()])
    for features in stream.finish():
        yield from taps.push(features, [*watcher.take_ended(), *watcher.things.values()])  # type: ignore[union-attr]
    yield from taps.finish(watcher.finish()) if taps else ()


def cached(moments: Iterable[Moment], truth: Callable[[], ClipTruth], real: bool, seed: int = 0) -> CachedClip:
    """One clip of some seconds, reduced. truth is asked for when all frames have been seen. ValueError for a clip
    shorter than a run."""
    maps: dict[float, np.ndarray] = {}
    taps = list(watched(_clips(moments, maps)))
    known = truth()
    ids = np.array([t.id for t in known.targets], np.int32)
    times = np.concatenate([t.times_s for t in taps]) if taps else np.zeros(0)
    rows = choose_runs(times, known, np.random.default_rng(seed))
    kept = Taps.join(taps).pick(rows)
    grid = (kept.presence.shape[1], kept.presence.shape[2])
    cover = [_covers(maps[t], ids, grid) if t in maps else np.zeros((len(ids), *grid)) for t in kept.times_s.tolist()]
    return CachedClip(_compact(kept), np.stack(cover, 1).astype(np.uint8), ids, known, real)


def choose_runs(times_s: np.ndarray, truth: ClipTruth, rng: np.random.Generator) -> np.ndarray:
    """Frames of up to RUNS runs of RUN frames, without overlap, in order; half of them where something is anomalous."""
    starts = np.arange(0, len(times_s) - RUN + 1)
    if not len(starts):
        raise ValueError(f"clip {truth.id} has {len(times_s)} frames; at least {RUN} are needed")
    spans = [s for t in truth.anomalous for s in t.anomalous_s]
    middle = times_s[starts + RUN // 2]
    hot = np.zeros(len(starts), bool)
    for a, b in spans:
        hot |= (middle >= a) & (middle <= b)
    chosen: list[int] = []
    for i in range(RUNS):
        free = np.array([all(abs(s - c) >= RUN for c in chosen) for s in starts])
        pool = starts[free & hot] if i % 2 == 0 and (free & hot).any() else starts[free]
        if len(pool):
            chosen.append(int(rng.choice(pool)))
    return np.concatenate([np.arange(s, s + RUN) for s in sorted(chosen)])


def made(seed: int, split: str, assets: Path | None = None) -> tuple[Iterator[Moment], Callable[[], ClipTruth]]:
    """A clip of the generator, of a size and rate of its own. assets: real people and places to mix in."""
    from training.datasets.synthetic.clip import make_clip

    dice = np.random.default_rng([seed, 77])
    size = SIZES[int(dice.integers(len(SIZES)))]
    seconds, fps = float(dice.uniform(6, 12)), float(dice.choice(RATES))
    real = opened(assets) if assets else None
    clip = make_clip(seed, split=split, seconds=seconds, fps=fps, size_wh=size, assets=real)
    pairs = zip(clip.frames(), clip.times_s.tolist(), strict=True)
    return ((frame, ids, t) for (frame, ids), t in pairs), lambda: clip.truth


@lru_cache(maxsize=1)
def opened(folder: Path) -> Any:
    """The assets in a folder, read once in a process."""
    from training.datasets.synthetic.assets import Assets

    return Assets.load(folder)


def written(video: Path) -> tuple[Iterator[Moment], Callable[[], ClipTruth]]:
    """A clip with its instance maps (X.ids.npz: ids (n, h, w) and times_s (n,)) and truth (X.truth.json) beside it."""
    with np.load(video.with_suffix(".ids.npz"), allow_pickle=False) as stored:
        ids, times = stored["ids"], stored["times_s"]
    reader = VideoReader(video, FPS, max_side=MAX_SIDE_PX, prefetch=False)

    def moments() -> Iterator[Moment]:
        for clip in reader:
            for frame, t in zip(clip.frames, clip.times_s.tolist(), strict=True):
                yield frame, ids[int(np.abs(times - t).argmin())], t

    return moments(), lambda: ClipTruth.load(video.with_suffix(".truth.json"))


def filmed(path: Path, split: str, start_s: float, end_s: float) -> tuple[Iterator[Moment], Callable[[], ClipTruth]]:
    """A stretch of ordinary footage."""
    reader = VideoReader(path, FPS, start_s, end_s, max_side=MAX_SIDE_PX, prefetch=False)
    name = f"{path.parent.name}-{path.stem}-{start_s:.0f}"
    truth = ClipTruth(name, path.name, split, "real", (), reader.rate_hz, reader.size_wh, end_s - start_s, ())
    frames = ((f, None, float(t)) for clip in reader for f, t in zip(clip.frames, clip.times_s, strict=True))
    return frames, lambda: truth


def stretches(path: Path) -> list[tuple[float, float]]:
    """A video in equal pieces of about STRETCH_S."""
    length = VideoReader(path).info.duration_s
    count = max(1, round(length / STRETCH_S))
    return [(i * length / count, (i + 1) * length / count) for i in range(count)]


@dataclass(frozen=True)
class Job:
    """One clip to make: a seed of the generator, a video with its truth, or a stretch of one that is ordinary. assets:
    of the generator."""

    out: Path
    split: str
    seed: int = 0
    video: Path | None = None
    stretch: tuple[float, float] | None = None
    assets: Path | None = None

    def run(self) -> str:
        """Its path, or why there is none."""
        if self.out.exists():
            return f"{self.out}: is there already"
        cv2.setNumThreads(1)
        try:
            moments, truth = self._open()
            clip = cached(moments, truth, self.stretch is not None, self.seed)
        except ValueError as error:
            return f"{self.out.name} left out: {error}"
        clip.save(self.out)
        return f"{self.out}: {len(clip.taps)} frames, {len(clip.ids)} targets, {len(clip.truth.anomalous)} anomalous"

    def _open(self) -> tuple[Iterator[Moment], Callable[[], ClipTruth]]:
        if self.video is None:
            return made(self.seed, self.split, self.assets)
        return filmed(self.video, self.split, *self.stretch) if self.stretch else written(self.video)


def _clips(moments: Iterable[Moment], maps: dict[float, np.ndarray]) -> Iterator[Clip]:
    """Frames in chunks; their instance maps go to `maps`, by time."""
    frames: list[np.ndarray] = []
    times: list[float] = []
    for frame, instances, t in moments:
        frames.append(frame)
        times.append(float(t))
        if instances is not None:
            maps[float(t)] = instances
        if len(frames) == CHUNK:
            yield Clip(np.stack(frames), np.array(times), "")
            frames, times = [], []
    if frames:
        yield Clip(np.stack(frames), np.array(times), "")


def _covers(instances: np.ndarray, ids: np.ndarray, grid_hw: tuple[int, int]) -> np.ndarray:
    """(n, h, w) uint8 of an instance map; a target that is seen at all covers at least 1 of 255 somewhere."""
    out = np.zeros((len(ids), *grid_hw), np.uint8)
    for row, identity in zip(out, ids.tolist(), strict=True):
        own = instances == identity
        if own.any():
            share = coverage(own, grid_hw)
            row[:] = np.round(255 * share)
            row.flat[int(share.argmax())] = max(1, int(row.max()))
    return out


def _compact(taps: Taps) -> Taps:
    """Without the vectors that no frame kept uses."""
    used = np.unique(taps.thing)
    used = used if used[0] == 0 else np.concatenate([[0], used])
    thing = np.searchsorted(used, taps.thing).astype(np.int16)
    return Taps(taps.fine, taps.coarse, taps.motion, thing, taps.presence, taps.vectors[used], taps.times_s)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", choices=("train", "validation", "test"), required=True)
    parser.add_argument("--synthetic", type=int, default=0, metavar="N", help="clips of the generator")
    parser.add_argument("--first", type=int, default=0, help="seed of the first of them")
    parser.add_argument("--assets", type=Path, metavar="FOLDER", help="real people and places to mix into them")
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="videos with instance maps and truth")
    parser.add_argument("--normal", nargs="*", type=Path, default=[], metavar="VIDEO", help="ordinary footage")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args(arguments)
    folder = given.data / given.split
    jobs = [
        Job(folder / f"made-{seed:06d}.safetensors", given.split, seed, assets=given.assets)
        for seed in range(given.first, given.first + given.synthetic)
    ]
    for video in sorted(given.clips.glob("*.mp4")) if given.clips else []:
        jobs.append(Job(folder / f"{given.clips.name}-{video.stem}.safetensors", given.split, 0, video))
    for video in given.normal:
        for i, stretch in enumerate(stretches(video)):
            name = f"{video.parent.name}-{video.stem}-{i:03d}.safetensors"
            jobs.append(Job(folder / name, given.split, i, video, stretch))
    if given.workers < 2:
        for job in jobs:
            print(job.run(), flush=True)
        return
    with ProcessPoolExecutor(given.workers) as pool:
        for line in pool.map(Job.run, jobs):
            print(line, flush=True)


if __name__ == "__main__":
    main()
