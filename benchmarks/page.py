"""The page's server under load, and how long a person waits.

    python benchmarks/page.py [--users 20] [--questions 200] [--no-browser]

20 programs ask at once about clips of their own (pieces of the example clip, each of another length): every answer must
be about the clip that was sent. Then questions one after the other, and what memory the server takes meanwhile. With
playwright and Chromium: seconds from a dropped clip (23 s, 640x360) to the first picture, the first heat, the first
word.
"""

import argparse
import base64
import hashlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tvad.video import VideoReader
from tvad.writer import VideoWriter

PLAZA = Path(__file__).parent.parent / "examples" / "plaza.mp4"
QUESTION = "What is anomalous?"
HEAT = """() => { const c = document.querySelector('.tv-canvas'); if (!c || !c.width) return false;
  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  for (let i = 3; i < d.length; i += 4) if (d[i] > 20) return true; return false; }"""
WORD = """() => [...document.querySelectorAll('.message')].some(m => /Yes|No|There|From/.test(m.innerText))"""
PICTURE = "() => (document.querySelector('.tv-stage video')?.readyState ?? 0) >= 2"


@contextmanager
def server() -> Iterator[tuple[str, int]]:
    """Address and process of a page of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "tvad", "serve", "--port", str(port), "--quiet"])
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(30)


def piece(folder: Path, number: int) -> Path:
    """The example from its 7th second on, 4 s and as many tenths as `number`."""
    path = folder / f"{number}.mp4"
    reader = VideoReader(PLAZA, fps=None, start_s=7.0, end_s=11.0 + number / 10)
    with VideoWriter(path, reader.info.fps, reader.size_wh) as writer:
        for clip in reader:
            for frame, t_s in zip(clip.frames, clip.times_s.tolist(), strict=True):
                writer.write(frame, t_s - 7.0)
    return path


def ask(address: str, path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    video = f"data:video/mp4;base64,{base64.b64encode(data).decode()}"
    parts = [{"type": "text", "text": QUESTION}, {"type": "video_url", "video_url": {"url": video}}]
    body = {"model": "tvad-mini", "messages": [{"role": "user", "content": parts}]}
    request = urllib.request.Request(
        f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=1200) as answer:
        said: dict[str, Any] = json.load(answer)
    return said | {"own": said["tvad"]["video"]["sha256"] == hashlib.sha256(data).hexdigest()}


def memory_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def browser(address: str) -> dict[str, float]:
    """Seconds from the drop to what a person sees."""
    from playwright.sync_api import sync_playwright

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as tool:
        made = tool.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        page = made.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(address, timeout=120_000)
        page.wait_for_selector(".tv-drop", timeout=120_000)
        began_s = time.monotonic()
        page.set_input_files("#tv-file", str(PLAZA))
        found = {}
        for name, seen in (("first picture", PICTURE), ("first heat", HEAT), ("first word", WORD)):
            page.wait_for_function(seen, timeout=120_000, polling=20)
            found[name] = time.monotonic() - began_s
        made.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--no-browser", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, server() as (address, pid):
        clips = [piece(Path(folder), n) for n in range(given.users)]
        if not given.no_browser and shutil.which("chromium"):
            for attempt in ("first visit, networks not loaded", "second visit"):
                told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in browser(address).items())
                print(f"{attempt}: {told}", flush=True)
        began_s = time.monotonic()
        with ThreadPoolExecutor(given.users) as pool:
            answers = list(pool.map(lambda path: ask(address, path), clips))
        right = sum(a["own"] for a in answers)
        lengths = [a["tvad"]["video"]["duration_s"] for a in answers]
        print(
            f"{given.users} at once: {right} answers about the clip that was sent, {len(set(lengths))} different "
            f"lengths, {time.monotonic() - began_s:.1f} s in all",
            flush=True,
        )
        sizes = []
        for n in range(given.questions):
            answer = ask(address, clips[n % len(clips)])
            assert answer["own"]
            if (n + 1) % max(1, given.questions // 5) == 0:
                sizes.append((n + 1, memory_mb(pid)))
        print("memory after questions: " + ", ".join(f"{n}: {mb:.0f} MB" for n, mb in sizes))


if __name__ == "__main__":
    main()
