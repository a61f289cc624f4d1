"""How fast is an analysis? Against real time, and against the encoder alone on the same frames, best of 3.

    python benchmarks/speed.py [VIDEO]

Then the wait for an answer: the first question about a video, and the second one, each as a program of its own, from
its start to the first word.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tvad.detector import Detector
from tvad.encoder import Encoder
from tvad.settings import MAX_SIDE_PX, Settings
from tvad.video import VideoReader

EXAMPLE = Path(__file__).parent.parent / "examples" / "plaza.mp4"
RUNS = 3


def best_s(run: Callable[[], object]) -> float:
    times_s = []
    for _ in range(RUNS):
        began_s = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - began_s)
    return min(times_s)


def analysis(video: str) -> None:
    reader = VideoReader(video, max_side=MAX_SIDE_PX)
    clips = list(reader)
    frames = sum(len(c.times_s) for c in clips)
    length_s = reader.info.duration_s
    detector, encoder = Detector.from_settings(Settings()), Encoder()
    detector.analyze(video)  # compiles the networks
    encoder_s = best_s(lambda: [None for _ in encoder.features(clips)])
    decode_s = best_s(lambda: [None for _ in VideoReader(video, max_side=MAX_SIDE_PX)])
    whole_s = best_s(lambda: detector.analyze(video))
    print(f"{video}: {length_s:.1f} s, {reader.info.width}x{reader.info.height}, {frames} sampled frames")
    print(f"decoding alone {frames / decode_s:6.0f} frames/s")
    print(f"encoder alone  {frames / encoder_s:6.0f} frames/s")
    print(f"analysis       {frames / whole_s:6.0f} frames/s = {encoder_s / whole_s:.2f} of the encoder (aim 0.70)")
    print(f"               {length_s / whole_s:6.1f} times real time (aim 8)")


def environment(cache: str) -> dict[str, str]:
    """Ours, with a cache of its own, and with compiled modules kept as on any ordinary machine."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"TVAD_CACHE": cache}


def first_word_s(video: str, cache: str, explain: str) -> float:
    """From the start of the program to the first word of the answer."""
    command = [sys.executable, "-m", "tvad", "ask", video, "what is anomalous?", "--json", "-q", "--explain", explain]
    began_s = time.perf_counter()
    done = subprocess.run(command, env=environment(cache), capture_output=True, check=True)
    whole_s = time.perf_counter() - began_s
    said = json.loads(done.stdout)["timings_s"]
    return whole_s - (said["answer"] - said["first_word"])


def questions(video: str, explain: str) -> None:
    with tempfile.TemporaryDirectory() as cache:
        first_word_s(str(EXAMPLE), cache, explain)  # conversions of models are kept; this video is another entry
        subprocess.run([sys.executable, "-m", "tvad", "cache", "clear"], env=environment(cache))
        first_s = first_word_s(video, cache, explain)
        second_s = min(first_word_s(video, cache, explain) for _ in range(RUNS))
    print(
        f"--explain {explain}: first word after {first_s:.2f} s, of the second question after {second_s:.2f} s "
        f"= {second_s / first_s:.2f} (aim 0.20)"
    )


def main() -> None:
    video = sys.argv[1] if len(sys.argv) > 1 else str(EXAMPLE)
    analysis(video)
    for explain in ("report", "text"):
        questions(video, explain)


if __name__ == "__main__":
    main()
