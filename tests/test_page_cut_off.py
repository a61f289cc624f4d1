"""The page with the network cut: server and browser in a network namespace where there is nothing but loopback."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra dev)")

from browser import NEEDED

UNSHARE = ["unshare", "--map-root-user", "--net"]


def may_unshare() -> bool:
    return bool(shutil.which("unshare")) and subprocess.run([*UNSHARE, "true"], capture_output=True).returncode == 0


pytestmark = [*NEEDED, pytest.mark.skipif(not may_unshare(), reason="no network namespace can be made here")]


def test_from_a_video_to_a_report_without_a_network() -> None:
    script = Path(__file__).parent / "cut_off.py"
    run = subprocess.run([*UNSHARE, sys.executable, str(script)], capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stderr[-2000:]
    said = json.loads(run.stdout.splitlines()[-1])
    assert said["interfaces"] == ["lo"] and said["outside"].startswith("OSError 101"), said  # network is unreachable
    assert "bicycle" in said["answer"] and said["answer"].count("Rests on") == 2
    assert said["second"] > 1 and said["painted"] > 500 and said["report"].lower().startswith("<!doctype")
    assert said["asked_outside"] == [] and said["errors"] == []
