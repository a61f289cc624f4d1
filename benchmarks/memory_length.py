"""Does memory grow with the length of the video? Peak resident memory for 1 minute and for 60 minutes of 360p.

    python benchmarks/memory_length.py [--minutes 60] [--analyze] [--caption [--fps 8]]

The long clip repeats the packets of the short one. Each measurement is a process of its own; its peak is what the
operating system counted (`ru_maxrss`). With --analyze the whole `tvad analyze --no-cache` is measured too; with
--caption `tvad caption --workers 1` alone, whose processes are added up ten times a second (Linux).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from generated import encode, repeat

from tvad.batch.pool import resident_gb

PROMISE = 1.10
READ = "import sys; from tvad.video import VideoReader; print(sum(len(c.times_s) for c in VideoReader(sys.argv[1])))"


def peak_mib(command: list[str]) -> tuple[float, float]:
    """Peak resident MiB of a command and the seconds it took."""
    began_s = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 2**20, time.perf_counter() - began_s


def family_peak_mib(command: list[str]) -> tuple[float, float]:
    """Peak resident MiB of a command and all that it starts, together, and the seconds it took."""
    began_s, peak = time.perf_counter(), 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        while process.poll() is None:
            peak = max(peak, sum(map(resident_mib, family(process.pid))))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return peak, time.perf_counter() - began_s


def family(group: int) -> list[int]:
    """The processes of a group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[2]) == group:
                found.append(int(folder.name))
    return found


def resident_mib(pid: int) -> float:
    return resident_gb(pid) * 1e9 / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the long clip")
    parser.add_argument("--analyze", action="store_true", help="measure the whole analysis too")
    parser.add_argument("--caption", action="store_true", help="measure tvad caption, and nothing else")
    parser.add_argument("--fps", type=float, default=8.0, help="frames a second that tvad caption looks at")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        base = encode(here / "base.mp4", 10)
        short = repeat(base, here / "short.mp4", 60)
        long = repeat(base, here / "long.mp4", options.minutes * 60)
        jobs = {"reader": [sys.executable, "-c", READ]}
        if options.analyze:
            jobs["tvad analyze"] = [sys.executable, "-m", "tvad", "analyze", "--no-cache", "--quiet"]
        if options.caption:
            how = ["--no-cache", "-q", "--workers", "1", "--explain", "report", "--fps", str(options.fps)]
            jobs = {"tvad caption": [sys.executable, "-m", "tvad", "caption", *how]}
        print(f"{'':14} {'1 min':>10} {f'{options.minutes:g} min':>10} {'ratio':>7}   promise: at most {PROMISE:.2f}")
        for name, job in jobs.items():
            peaks = []
            for path in (short, long):
                out = (
                    ["-o", str(here / f"{name}-{path.stem}{'.jsonl' if options.caption else ''}")]
                    if name != "reader"
                    else []
                )
                measure = family_peak_mib if options.caption else peak_mib
                peaks.append(measure([*job, str(path), *out]))
            ratio = peaks[1][0] / peaks[0][0]
            verdict = "kept" if ratio <= PROMISE else "BROKEN"
            print(f"{name:14} {peaks[0][0]:>6.0f} MiB {peaks[1][0]:>6.0f} MiB {ratio:>7.3f}   {verdict}", end="")
            print(f"   ({peaks[0][1]:.0f} s, {peaks[1][1]:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
