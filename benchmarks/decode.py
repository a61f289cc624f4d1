"""Decoding speed of tvad's reader against OpenCV's `VideoCapture` on the same clips: all frames, and 8 a second.

    python benchmarks/decode.py [VIDEO ...]

Without arguments: clips it generates, and real ones where they lie in ../shared/data. Each figure is the best of
three; both give full-size pictures, and tvad's are RGB with true times. A ratio above 1 means that tvad is faster.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
from generated import encode

from tvad.video import VideoReader, probe

REAL = Path(__file__).resolve().parents[2] / "shared" / "data" / "street"
SAMPLED_FPS = 8.0
ROUNDS = 3


def with_opencv(path: Path, every: int) -> int:
    """Decode all frames, convert each `every`-th; returns how many were converted."""
    capture, kept, index = cv2.VideoCapture(str(path)), 0, 0
    while capture.grab():
        if index % every == 0:
            capture.retrieve()
            kept += 1
        index += 1
    capture.release()
    return kept


def with_tvad(path: Path, fps: float | None) -> int:
    return sum(len(clip.times_s) for clip in VideoReader(path, fps=fps))


def best_s(work: Callable[[], int]) -> tuple[float, int]:
    seconds, count = [], 0
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        count = work()
        seconds.append(time.perf_counter() - began_s)
    return min(seconds), count


def compare(path: Path) -> None:
    for name, fps in (("all", None), (f"{SAMPLED_FPS:g}/s", SAMPLED_FPS)):
        every = VideoReader(path, fps=fps).step
        theirs_s, theirs = best_s(lambda every=every: with_opencv(path, every))
        ours_s, ours = best_s(lambda fps=fps: with_tvad(path, fps))
        length_s = probe(path).duration_s
        print(
            f"{path.name:22} {name:>5} {theirs:>7} {ours:>7} {length_s / theirs_s:>9.0f}x {length_s / ours_s:>7.0f}x"
            f" {theirs_s / ours_s:>7.2f}",
            flush=True,
        )


def main() -> None:
    print(f"{'clip':22} {'take':>5} {'OpenCV':>7} {'tvad':>7} {'OpenCV':>10} {'tvad':>8} {'ratio':>7}")
    print(f"{'':22} {'':>5} {'frames':>7} {'frames':>7} {'real time':>10} {'':>8}")
    if len(sys.argv) > 1:
        for name in sys.argv[1:]:
            compare(Path(name))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(encode(Path(folder) / "h264_360p.mp4", 10))
        compare(encode(Path(folder) / "mpeg4_360p.avi", 10, "mpeg4"))
        compare(encode(Path(folder) / "h264_1080p.mp4", 3, size_wh=(1920, 1080)))
    for name in ("vtest.avi", "people_intel.mp4", "road_bgs03.avi"):
        if (REAL / name).exists():
            compare(REAL / name)


if __name__ == "__main__":
    main()
