"""How long a person waits before the program does anything: `import tvad` and `tvad --help`, best and median of 5."""

import statistics
import subprocess
import sys
import time

PROMISE_S = 1.0
COMMANDS = {
    "import tvad": [sys.executable, "-c", "import tvad"],
    "tvad --help": [sys.executable, "-m", "tvad", "--help"],
    "tvad ask --help": [sys.executable, "-m", "tvad", "ask", "--help"],
}


def seconds(command: list[str]) -> float:
    began_s = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began_s


def main() -> None:
    for name, command in COMMANDS.items():
        times_s = [seconds(command) for _ in range(5)]
        median_s = statistics.median(times_s)
        verdict = "kept" if median_s < PROMISE_S else "BROKEN"
        print(
            f"{name:16} best {min(times_s):.2f} s, median {median_s:.2f} s; promise under {PROMISE_S:.0f} s {verdict}"
        )


if __name__ == "__main__":
    main()
