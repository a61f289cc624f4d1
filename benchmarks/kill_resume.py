"""`tvad caption` killed at random moments and run again: is every video there once, and all as if undisturbed?

    python benchmarks/kill_resume.py [--kills 50] [--clips 12] [--known] [--explain lvlm] [VIDEOS...]

Each trial begins afresh, is killed (SIGKILL to the whole group, or in turn to the program alone) and is run again to
its end. One half is killed after a random part of the time that an undisturbed run takes, the other after a random
number of captions and a random moment more. Without VIDEOS small clips are drawn. Prints a line a trial and the table.
Analyses are not kept, so that every trial looks at the videos; with --known they are.
"""

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mutated import write

WORKERS = "1"
KNOWN = False  # whether analyses are kept
EXPLAIN = "report"


def command(out: Path, videos: list[str]) -> list[str]:
    how = ["--explain", EXPLAIN, "--format", "csv", "-q", "--workers", WORKERS, *([] if KNOWN else ["--no-cache"])]
    return [sys.executable, "-m", "tvad", "caption", *videos, "-o", str(out), *how]


def files(folder: Path) -> dict[str, bytes]:
    names = [p for p in sorted(folder.iterdir()) if p.suffix != ".journal" and not p.name.startswith(".")]
    return {p.name: p.read_bytes() for p in names}


def lines(journal: Path) -> int:
    """Captions in a journal; its first line is none."""
    return max(0, journal.read_bytes().count(b"\n") - 1) if journal.exists() else 0


def trial(
    out: Path, videos: list[str], after: int, wait_s: float, whole: dict[str, bytes], alone: bool
) -> tuple[int, list[str]]:
    """Kill `wait_s` after so many captions and run again; captions that were kept, and what is wrong with the end."""
    journal = out.with_name(out.name + ".journal")
    run = subprocess.Popen(command(out, videos), start_new_session=True, stdout=subprocess.DEVNULL)
    while lines(journal) < after and run.poll() is None:
        time.sleep(0.01)
    time.sleep(wait_s)
    if alone:
        run.kill()
    else:
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    time.sleep(1.5 if alone else 0)  # workers whose parent is gone end by themselves
    kept = lines(journal)
    wrong = []
    if subprocess.run(command(out, videos), stdout=subprocess.DEVNULL).returncode:
        wrong.append("the second run failed")
    text = out.read_bytes().decode()
    rows = [json.loads(line) for line in text.split("\n")[:-1]]
    paths = collections.Counter(row["video"]["path"] for row in rows)
    if sorted(paths) != sorted(videos) or set(paths.values()) != {1}:
        wrong.append("a video is missing or there twice")
    if not text.endswith("\n"):
        wrong.append("a torn line")
    if files(out.parent) != whole:
        wrong.append("another output than undisturbed")
    if journal.read_bytes().count(b"\n") != len(videos) + 1:
        wrong.append("a video was captioned twice")
    return kept, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--clips", type=int, default=12, help="clips that are drawn where none are given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--known", action="store_true", help="keep analyses: kills fall on the writing")
    parser.add_argument("--explain", default="report", help="who words the captions; lvlm loads the language model")
    options = parser.parse_args()
    global KNOWN, EXPLAIN
    KNOWN, EXPLAIN = options.known, options.explain
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        drawn = [str(write(here / f"{n}.mp4", count=24 + 6 * n)) for n in range(0 if options.videos else options.clips)]
        videos = options.videos or drawn
        for name in ("first", "whole"):
            began_s = time.monotonic()
            subprocess.run(command(here / name / "c.jsonl", videos), check=True, stdout=subprocess.DEVNULL)
        took_s = time.monotonic() - began_s
        whole = files(here / "whole")
        good, moments = 0, collections.Counter[str]()
        for n in range(options.kills):
            after = rng.randrange(1, len(videos)) if n % 4 >= 2 else 0
            wait_s = rng.uniform(0, 1.0 if after else took_s)
            kept, wrong = trial(here / f"trial{n}" / "c.jsonl", videos, after, wait_s, whole, alone=n % 2 == 1)
            good += not wrong
            when = "before the first caption" if not kept else "after the last" if kept == len(videos) else "between"
            moments[when] += 1
            told = "; ".join(wrong) or "as undisturbed"
            print(
                f"{n + 1:3}: killed after {wait_s:5.1f} s, {kept:2} of {len(videos)} captions kept: {told}", flush=True
            )
        print(f"{good} of {options.kills} ended as if undisturbed ({took_s:.0f} s); killed: {dict(moments)}")
    sys.exit(good < options.kills)


if __name__ == "__main__":
    main()
