"""Calibrate: a camera's normal footage to a scene file.

The footage is cut in four folds (by clip; by stretch of time when there are fewer than four clips). Each fold is scored
by a memory of the other three, so the distance distribution and the alarm level come from footage the memory has not
seen. The memory that is saved holds patches of all of it.

Next: tvad/detector.py
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from heatmap.levels import AlarmLevel
from heatmap.memory import Patches, SceneMemory, frame_level, smooth
from tvad.encoder import Encoder, Features
from tvad.progress import Progress
from tvad.scene import Scene
from tvad.settings import Settings
from tvad.video import VideoReader, probe

FOLDS = 4
STRETCH_S = 20.0  # clips are cut into stretches of this length
STRETCHES = 40  # at most so many are kept in memory, evenly over the footage
SIGMA_S = 0.2  # smoothing of the frame level
MAX_SIDE = 640  # analysis size; larger frames are scaled down while decoding


@dataclass(frozen=True)
class SceneReport:
    """What a calibration saw and promises. `peak_score` is the highest score of held-out normal footage."""

    path: Path
    clips: int
    frames: int
    seconds: float
    patches: int
    peak_score: float


@dataclass(frozen=True)
class _Stretch:
    clip: int
    patches: Patches
    times_s: np.ndarray
    shape: tuple[int, int, int]


def calibrate(
    paths: Sequence[str | Path],
    out: str | Path,
    settings: Settings | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> SceneReport:
    """Learn normality from clips of one camera and write `out`.

    VideoError for an unreadable clip, ValueError for footage that is too short, too still or of another shape. Nothing
    is written unless all went well.
    """
    settings = settings or Settings()
    if not paths:
        raise ValueError("no normal clips given; name at least one video of ordinary footage")
    stretches, about = _read(paths, settings, progress)
    fold = [s.clip % FOLDS if len(paths) >= FOLDS else i * FOLDS // len(stretches) for i, s in enumerate(stretches)]
    if len(set(fold)) < 2:
        raise ValueError("the normal footage is too short to hold a part of it back; give at least 20 s, or more clips")
    memory, surprise = SceneMemory.fit([s.patches for s in stretches], fold)
    curves = [level_curve(s.patches.paint(v, s.shape), s.times_s) for s, v in zip(stretches, surprise, strict=True)]
    level = AlarmLevel.fit(curves, [s.times_s for s in stretches])
    Scene(memory, level, about).save(out)
    return SceneReport(
        path=Path(out),
        clips=len(paths),
        frames=about["frames"],
        seconds=about["seconds"],
        patches=memory.appearance.shape[0] * memory.appearance.shape[1],
        peak_score=float(max(level.score(x).max() for x in curves)),
    )


def level_curve(surprise: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Surprise maps (T, h, w) to the level of each frame, smoothed over SIGMA_S."""
    return smooth(frame_level(surprise), sigma_frames(times_s))


def sigma_frames(times_s: np.ndarray) -> float:
    """SIGMA_S in sampled frames."""
    return SIGMA_S / float(np.median(np.diff(times_s))) if len(times_s) > 1 else 0.0


def _read(
    paths: Sequence[str | Path], settings: Settings, progress: Callable[[Progress], None] | None
) -> tuple[list[_Stretch], dict[str, Any]]:
    encoder = Encoder(threads=1)
    infos = [probe(p) for p in paths]
    shapes = {round(i.width / i.height, 2) for i in infos}
    if max(shapes) - min(shapes) > 0.1:
        raise ValueError(f"the clips have different shapes (width / height {sorted(shapes)}): are they of one camera?")
    total_s = sum(i.duration_s for i in infos)
    every = max(1, round(total_s / STRETCH_S / STRETCHES))  # of a long calibration, every so manieth stretch
    stretches: list[_Stretch] = []
    frames, seconds, rates = 0, 0.0, []
    for clip, (path, info) in enumerate(zip(paths, infos, strict=True)):
        reader = VideoReader(path, settings.fps, settings.start_s, settings.end_s, max_side=MAX_SIDE)
        pieces: list[Features] = []
        count = 0
        for features in encoder.features(reader):
            pieces.append(features)
            frames += len(features)
            if progress:
                progress(Progress(seconds + float(features.times_s[-1]), total_s, frames))
            if pieces[-1].times_s[-1] - pieces[0].times_s[0] >= STRETCH_S:
                if count % every == 0:
                    stretches.append(_stretch(clip, pieces))
                count += 1
                pieces = []
        if pieces and count % every == 0:
            stretches.append(_stretch(clip, pieces))
        seconds += info.duration_s
        rates.append(reader.rate_hz)
    about = {
        "preset": settings.preset,
        "clips": len(paths),
        "seconds": round(seconds, 2),
        "frames": frames,
        "fps": round(float(np.median(rates)), 3),
        "aspect": round(infos[0].width / infos[0].height, 4),
    }
    return stretches, about


def _stretch(clip: int, pieces: list[Features]) -> _Stretch:
    f = Features.join(pieces)
    return _Stretch(clip, Patches.of(f.patch, f.motion, f.moving), f.times_s, f.moving.shape)
