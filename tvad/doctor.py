"""What this machine has: Python, libraries, processor, memory, codecs, weights, cache, port. Looks; changes nothing.

Next: tvad/weights.py
"""

import importlib
import os
import platform
import shutil
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tvad import cache
from tvad.presets import PRESETS
from tvad.presets.own import own_weights
from tvad.repos import Repo
from tvad.weights import Weight

DECODERS = ("h264", "hevc", "vp9", "av1", "mpeg4", "mjpeg", "gif")
PORT = 7860  # of `tvad serve`
ENCODERS = ("libx264",)
CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "amx_int8")


@dataclass(frozen=True)
class Check:
    """One finding. `ok` is False where something that tvad needs is missing; facts are always ok."""

    name: str
    ok: bool
    found: str
    is_weight: bool = False


def examine() -> list[Check]:
    """Every check, in the order to read them. Hashes the weights (about 200 MB) and imports torch and OpenVINO."""
    return [
        Check("Python", sys.version_info >= (3, 11), f"{platform.python_version()} on {platform.platform()}"),
        *(_library(name) for name in ("torch", "openvino", "cv2")),
        _processor(),
        _memory(),
        *_gpus(),
        *_codecs(),
        *_weights(),
        _cache(),
        _port(),
    ]


def _library(name: str) -> Check:
    try:
        return Check(name, True, _imported(name))
    except (ImportError, OSError) as error:  # OSError: a shared library that does not load
        return Check(name, False, f"{error}; run: make demo, or pip install tvad")


def _imported(name: str) -> str:
    module = importlib.import_module(name)
    if name != "torch":
        return str(module.__version__)
    return f"{module.__version__}, GPUs: {module.cuda.device_count() if module.cuda.is_available() else 0}"


def _processor() -> Check:
    flags: set[str] = set()
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        line = next((text for text in listing.read_text().splitlines() if text.startswith("flags")), "")
        flags = set(line.split())
    known = [flag for flag in CPU_FLAGS if flag in flags]
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("processor", True, f"{usable} cores, {platform.machine()}, {' '.join(known) or 'no known extensions'}")


def _memory() -> Check:
    page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    total, free = (page * os.sysconf(name) if page else 0 for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
    if not total:
        return Check("memory", True, "unknown")
    return Check("memory", True, f"{total / 1e9:.1f} GB, {free / 1e9:.1f} GB unused; an analysis takes 1 to 2 GB")


def _gpus() -> list[Check]:
    """Every GPU that torch can use; none is no fault."""
    torch = sys.modules.get("torch")  # imported by the check of the library, where it can be
    if torch is None or not torch.cuda.is_available():
        return [Check("GPU", True, "none that torch can use; the preset mini needs none")]
    found = []
    for n in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(n)
        found.append(Check(f"GPU {n}", True, f"{about.name}, {about.total_memory / 1e9:.1f} GB"))
    return found


def _port() -> Check:
    """Whether the page's usual port is to be had."""
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", PORT))
        except OSError as error:
            return Check(f"port {PORT}", True, f"in use ({error.strerror}); tvad serve --port takes another")
    return Check(f"port {PORT}", True, "free for the page")


def _codecs() -> list[Check]:
    try:
        from av.codec import Codec
        from av.codec.codec import UnknownCodecError
    except ImportError as error:
        return [Check("PyAV", False, f"{error}; run: pip install av")]

    def check(name: str, mode: Literal["r", "w"]) -> Check:
        what = {"r": "decodes", "w": "encodes"}[mode]
        try:
            return Check(f"{what} {name}", True, Codec(name, mode).long_name)
        except UnknownCodecError:
            return Check(f"{what} {name}", False, "PyAV was built without it; run: pip install --force-reinstall av")

    return [*(check(name, "r") for name in DECODERS), *(check(name, "w") for name in ENCODERS)]


def _weights() -> list[Check]:
    found = []
    for preset in PRESETS.values():
        for weight in (*preset.weights, *own_weights(preset.name)):
            name = f"{preset.name}: {weight.name}"
            found.append(_repo(name, weight) if isinstance(weight, Repo) else _package(name, weight))
    return found


def _package(name: str, weight: Weight) -> Check:
    whole = weight.is_whole()
    text = f"{weight.size_bytes / 1e6:.1f} MB, sha256 as known" if whole else ""
    problem = "not installed" if weight.find() is None else "damaged: not the known sha256"
    return Check(name, whole, text or f"{problem}; run: {weight.command}", True)


def _repo(name: str, repo: Repo) -> Check:
    """A model of a hub is there for who pulls it: none is nothing that is missing. Sizes only; many are large."""
    if repo.find() is None:
        return Check(name, True, f"not pulled ({repo.size_bytes / 1e9:.1f} GB); to get it: {repo.command}")
    wrong = repo.problems(read=False)
    return Check(
        name, not wrong, f"{wrong[0]}; run: {repo.command}" if wrong else f"{repo.folder}, sizes as pulled", True
    )


def _cache() -> Check:
    folder = cache.cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Check(
            "cache", False, f"{folder} cannot be written ({error.strerror}); set TVAD_CACHE to a folder that can"
        )
    free = shutil.disk_usage(folder).free
    return Check("cache", True, f"{folder}: {cache.size_bytes() / 1e6:.1f} MB, {free / 1e9:.1f} GB free on its disk")
