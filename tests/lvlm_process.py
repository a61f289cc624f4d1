"""The server of tests/lvlm_server.py as a process of its own, for the tests."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Server:
    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, behaviour: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}/{behaviour}/v1"

    def log(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/log", timeout=10) as response:
            found: list[dict[str, Any]] = json.load(response)
        return found

    def asked(self) -> list[dict[str, Any]]:
        return [entry for entry in self.log() if "order" in entry]


@contextmanager
def running() -> Iterator[Server]:
    path = Path(__file__).with_name("lvlm_server.py")
    process = subprocess.Popen([sys.executable, str(path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Server(int(process.stdout.readline()))
    finally:
        process.kill()
        process.communicate()
