"""How fast synthetic clips are drawn on one core: python benchmarks/synthetic.py [CLIPS]."""

import sys
import time

import cv2

from training.datasets.synthetic.clip import make_clip


def main(count: int = 12) -> None:
    """Print frames per second of processor time, planning and painting included, and of drawing alone."""
    cv2.setNumThreads(1)
    planned_s = painted_s = drawn_s = 0.0
    frames = actors = 0
    for seed in range(count):
        start_s = time.process_time()
        clip = make_clip(seed)
        ready_s = time.process_time()
        clip.backdrop  # noqa: B018 - painted when first asked for
        empty_s = time.process_time()
        for _, ids in clip.frames():
            frames += 1
            actors += len(set(ids[::4, ::4].ravel().tolist())) - 1
        planned_s, painted_s = planned_s + ready_s - start_s, painted_s + empty_s - ready_s
        drawn_s += time.process_time() - empty_s
    total_s = planned_s + painted_s + drawn_s
    print(f"{count} clips of 640x360, {frames} frames, {actors / frames:.1f} actors in each")
    print(f"all: {frames / total_s:.0f} frames/s; drawing alone: {frames / drawn_s:.0f} frames/s")
    print(
        f"a clip: planned in {planned_s / count:.2f} s (with what is painted to see whether its anomaly shows), ",
        end="",
    )
    print(f"painted in {painted_s / count:.2f} s, drawn in {drawn_s / count:.2f} s")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
