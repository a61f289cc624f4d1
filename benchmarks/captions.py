"""`tvad caption` against a plain loop of `tvad ask` over the same videos: video-minutes a minute.

    python benchmarks/captions.py VIDEOS... [--explain report lvlm] [--rounds 1]

Each from the start of the program to its end, with analyses that are not kept; in turn, round after round, so that
what else the machine does falls on both. The compiled networks are there already: one video is captioned first.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

QUESTION = "What is anomalous?"


def took_s(commands: list[list[str]]) -> float:
    began_s = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", default=[str(Path(__file__).parent.parent / "examples" / "plaza.mp4")])
    parser.add_argument("--explain", nargs="+", default=["report"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", default="2")
    options = parser.parse_args()
    tvad = [sys.executable, "-m", "tvad"]
    for explain in options.explain:
        how = ["--explain", explain, "--no-cache", "-q"]
        loop = [[*tvad, "ask", video, QUESTION, *how, "--json"] for video in options.videos]
        with tempfile.TemporaryDirectory() as folder:
            whole = [*tvad, "caption", *how, "--workers", options.workers, "-o"]
            took_s([[*whole, f"{folder}/first.jsonl", options.videos[0]], loop[0]])
            seconds = {"loop": 0.0, "caption": 0.0}
            for n in range(options.rounds):
                seconds["loop"] += took_s(loop)
                seconds["caption"] += took_s([[*whole, f"{folder}/{n}.jsonl", *options.videos]])
            text = Path(folder, "0.jsonl").read_text(encoding="utf-8")
        length_s = sum(json.loads(line)["video"]["duration_s"] for line in text.split("\n")[:-1]) * options.rounds
        rates = {name: length_s / spent for name, spent in seconds.items()}
        print(f"{explain}: {len(options.videos)} videos, {length_s / 60:.1f} minutes in all; ", end="")
        print(f"a loop of tvad ask {rates['loop']:.2f}, ", end="")
        print(f"tvad caption {rates['caption']:.2f} video-minutes a minute: ", end="")
        print(f"{rates['caption'] / rates['loop']:.2f} times (aim 2)", flush=True)


if __name__ == "__main__":
    main()
