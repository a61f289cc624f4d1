"""Hostile videos through decoder and analysis, in processes that may crash, hang or swell without harm.

    python benchmarks/fuzz.py [--files 1000] [--containers mp4 mkv ...] [--workers 1] [--keep FOLDER]

Of every container so many mutated files, and odd ones (sizes, rates, streams, bombs). Prints a table: files tried,
analysed, refused in a line; bugs (an exception that is no VideoError), crashes, hangs (no progress for --silent
seconds), too much memory; and the memory of the worker after a tenth of the files and at the end. Exit code 1 where
there is a bug, a crash, a hang or too much memory; --keep keeps those files.
"""

import argparse
import collections
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mutated import CODECS, bombs, mutated, odd_ones, write

from tvad.batch.inputs import Item
from tvad.batch.pool import Limits, Outcome, Pool, Task, Tell, Unfit, resident_gb
from tvad.settings import Settings

BAD = ("bug", "crash", "time", "memory")


@dataclass(frozen=True)
class Target:
    """Makes the task: analyse a file, and tell the memory after it."""

    def __call__(self) -> Task[float]:
        from tvad.detector import Detector
        from tvad.video import VideoError

        detector = Detector.from_settings(Settings())

        def run(item: Item, tell: Tell) -> float:
            try:
                analysis = detector.analyze(item.path, lambda p: tell(p.done_s, p.total_s))
                analysis.evidence.from_json(analysis.evidence.to_json())
            except VideoError as error:
                if "\n" in str(error) or not str(error).startswith(item.path):
                    raise ValueError(f"a message of more than a line: {error}") from None
                raise Unfit(str(error)) from None
            return resident_gb(os.getpid())

        return run


def make_files(folder: Path, suffix: str, count: int, seed: int) -> list[Path]:
    rng = np.random.default_rng([seed, *suffix.encode()])
    sources = [write(folder / f"plain.{suffix}"), write(folder / f"sound.{suffix}", sound=True)]
    odd = list(odd_ones(folder, suffix))
    sources += [path for path in odd if path.stem in ("smallest", "fast", "headless", "one_frame", "sound_alone")]
    bodies = [path.read_bytes() for path in sources]
    others = [*bodies, *(write(folder / f"other.{other}").read_bytes() for other in CODECS if other != suffix)]
    found = [*sources[:2], *odd]
    for n in range(count):
        body = bodies[int(rng.integers(len(bodies)))] if rng.random() < 0.4 else bodies[n % 2]
        kind, data = mutated(body, others[int(rng.integers(len(others)))], rng)
        if rng.random() < 0.3:
            kind, data = mutated(data, others[0], rng)
        path = folder / f"{n:05d}-{kind.replace(' ', '_')}.{suffix}"
        path.write_bytes(data)
        found.append(path)
    return found


def run(files: list[Path], pool_of: Any, keep: Path | None) -> tuple[collections.Counter[str], list[float]]:
    items = [Item(str(path), str(n)) for n, path in enumerate(files)]
    kinds: collections.Counter[str] = collections.Counter()
    memory: list[float] = []
    with pool_of() as pool:
        for outcomes in pool.run(items):
            for outcome in outcomes:
                note(outcome, kinds, memory, keep)
    return kinds, memory


def note(outcome: Outcome[float], kinds: collections.Counter[str], memory: list[float], keep: Path | None) -> None:
    kinds[outcome.kind or "analysed"] += 1
    if outcome.value is not None:
        memory.append(outcome.value)
    if outcome.kind in BAD:
        print(f"{outcome.kind}: {Path(outcome.item.path).name}: {outcome.reason}", file=sys.stderr, flush=True)
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(outcome.item.path, keep)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20, help="mutated files of a container")
    parser.add_argument("--containers", nargs="+", default=[*CODECS, "bombs"], choices=[*CODECS, "bombs"])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--silent", type=float, default=60.0, help="seconds without progress that count as hanging")
    parser.add_argument("--memory", type=float, default=4.0, help="GB of a worker")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that did harm")
    options = parser.parse_args()
    limits = Limits(options.silent, options.memory)
    print(f"{'':8}{'tried':>7}{'analysed':>10}{'refused':>9}{'bugs':>6}{'crashes':>9}{'hangs':>7}{'memory':>8}", end="")
    print(f"{'GB early':>10}{'GB late':>9}{'s':>7}", flush=True)
    harm = 0
    for suffix in options.containers:
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            made = (
                bombs(Path(folder))
                if suffix == "bombs"
                else make_files(Path(folder), suffix, options.files, options.seed)
            )
            files = list(made)
            kinds, memory = run(files, lambda: Pool(Target(), options.workers, limits), options.keep)
        harm += sum(kinds[kind] for kind in BAD)
        early = max(memory[: max(1, len(memory) // 10)], default=0.0)
        print(f"{suffix:8}{len(files):>7}{kinds['analysed']:>10}{kinds['unreadable']:>9}{kinds['bug']:>6}", end="")
        print(f"{kinds['crash']:>9}{kinds['time']:>7}{kinds['memory']:>8}{early:>10.2f}", end="")
        print(f"{memory[-1] if memory else 0:>9.2f}{time.monotonic() - began_s:>7.0f}", flush=True)
    sys.exit(1 if harm else 0)


if __name__ == "__main__":
    main()
