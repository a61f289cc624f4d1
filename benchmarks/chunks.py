"""Do chunk borders change an analysis? In chunks of several sizes against the whole video in one piece.

    python benchmarks/chunks.py [VIDEO]

Prints the largest difference of scores and heat, and whether events and tracks are the same.
"""

import sys
from pathlib import Path

import numpy as np

from tvad.detector import Detector
from tvad.evidence import Analysis
from tvad.settings import Settings
from tvad.video import VideoReader

WHOLE = 100_000  # frames: more than any clip that fits into memory at once
SIZES = (1, 7, 16, 64)


def analysed(detector: Detector, video: str, chunk: int) -> Analysis:
    reader = detector.reader(video)
    reader.chunk = min(chunk, frames_of(video))
    return detector.conclude(reader, detector.scan(reader, None))


def frames_of(video: str) -> int:
    return sum(len(clip.times_s) for clip in VideoReader(video, max_side=64))


def main() -> None:
    video = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).parent.parent / "examples" / "plaza.mp4")
    detector = Detector.from_settings(Settings())
    whole = analysed(detector, video, WHOLE)
    print(f"{video}: {frames_of(video)} sampled frames in one piece")
    for size in SIZES:
        part = analysed(detector, video, size)
        scores = float(np.abs(part.curves.scores - whole.curves.scores).max())
        heat = float(np.abs(part.curves.heat.astype(np.float32) - whole.curves.heat.astype(np.float32)).max())
        same = (part.evidence.events, part.evidence.tracks) == (whole.evidence.events, whole.evidence.tracks)
        told = "the same events and tracks" if same else "OTHER events or tracks"
        print(f"chunks of {size:3}: scores differ by at most {scores:.1e}, heat by {heat:.1e}; {told}", flush=True)


if __name__ == "__main__":
    main()
