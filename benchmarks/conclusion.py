"""Does the conclusion of an analysis take more memory for a longer video? Peak resident memory of it alone.

    python benchmarks/conclusion.py [--minutes 600] [--fps 1] [--steady]

What a pass over a video would have collected is drawn at random and put into a `Scan`: nothing stands out, so that the
least usual moment is looked for in all of it, which is the worst case. With --steady one place is hot throughout,
which is one event as long as the video. Each length is a process of its own; its peak is `ru_maxrss`.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from array import array
from pathlib import Path

import numpy as np
from generated import FPS, encode

from tvad.detector import Detector
from tvad.head_part import HeadLevels
from tvad.malloc import frugal, trim
from tvad.parts import Levels
from tvad.scan import Scan
from tvad.settings import Settings
from tvad.sight import EVERY_S, GRID

CELLS = (28, 52)
SNIPPET_S = 0.64
PIECE = 64


def drawn(detector: Detector, seconds: float, fps: float, steady: bool) -> Scan:
    """A scan of so many seconds. steady: one place is hot throughout."""
    rng = np.random.default_rng(0)
    scan = Scan(detector.preset.alarms["heat"], (640, 360), (640, 360), detector.guide)
    scan.shape = CELLS
    for start in range(0, round(seconds * fps), PIECE):
        times_s = np.arange(start, min(start + PIECE, round(seconds * fps))) / fps
        heat, frame = rng.normal(0, 2, (len(times_s), *CELLS)), rng.normal(0, 1, len(times_s))
        if steady:
            heat[:, 5:9, 5:9] += 50
            frame += 50
        scan.add_times(times_s)
        scan.add_levels(Levels(frame, heat.astype(np.float32), np.full(len(times_s), 0.5, np.float32), times_s))
    for start in range(0, int(seconds / SNIPPET_S), PIECE):
        numbers = np.arange(start, min(start + PIECE, int(seconds / SNIPPET_S)))
        level, probs = rng.normal(-3, 1, len(numbers)).astype(np.float32), rng.dirichlet(np.ones(3), len(numbers))
        where = np.zeros((len(numbers), *CELLS), bool)
        where[:, 3, 3] = True
        scan.add_headed(HeadLevels(level, probs.astype(np.float32), where, (numbers + 0.5) * SNIPPET_S))
    for t_s in np.arange(0, seconds, EVERY_S).tolist():
        scan.picture_times_s.append(t_s)
        scan.pictures.add(np.zeros((1, *GRID, 152), np.float16))
    return scan


def measure(seconds: float, fps: float, steady: bool) -> dict[str, float]:
    """MiB at the peak before and in the conclusion, and what came of it."""
    frugal()
    detector = Detector.from_settings(Settings(fps=fps))
    with tempfile.TemporaryDirectory() as folder:
        reader = detector.reader(encode(Path(folder) / "clip.mp4", 1))
        scan = drawn(detector, seconds, fps, steady)
        reader._times = array("d", np.arange(int(seconds * FPS)) / FPS)
        trim()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        evidence = detector.conclude(reader, scan).evidence
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"before": before, "peak": after, "events": len(evidence.events), "frames": len(scan.times_s)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=600.0, help="length of the long one")
    parser.add_argument("--fps", type=float, default=1.0, help="frames a second that were looked at")
    parser.add_argument("--steady", action="store_true", help="one event as long as the video")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.minutes * 60, options.fps, options.steady)))
        return
    peaks = []
    for minutes in (1.0, options.minutes):
        job = [sys.executable, __file__, "--one", "--minutes", str(minutes), "--fps", str(options.fps)]
        told = subprocess.run(job + ["--steady"] * options.steady, check=True, stdout=subprocess.PIPE).stdout
        found = json.loads(told.splitlines()[-1])
        peaks.append(found["peak"])
        print(
            f"{minutes:g} min, {found['frames']} frames: {found['peak']:.0f} MiB, {found['before']:.0f} before the "
            f"conclusion; {found['events']} events",
            flush=True,
        )
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
