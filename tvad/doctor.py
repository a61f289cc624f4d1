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
LEAST_MEMORY = 1.5e9  # bytes; with less an analysis may be killed
CONTAINER = (  # files with a limit of memory and with what is used of it, in bytes: cgroups, version 2 and 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
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
    """What may be taken: of the machine, and of the container where that has a limit. Files that the system keeps in
    memory count as free, for they make room."""
    listing = Path("/proc/meminfo")
    if not listing.is_file():
        return Check("memory", True, "unknown")
    lines = (line.split() for line in listing.read_text().splitlines())
    known = {line[0]: int(line[1]) * 1024 for line in lines if len(line) > 1 and line[1].isdecimal()}
    total, free = known.get("MemTotal:", 0), known.get("MemAvailable:", known.get("MemFree:", 0))
    told = f"{total / 1e9:.1f} GB"
    for most, used in CONTAINER:
        limit, taken = _number(most), _number(used)
        if limit is not None and limit < total:
            free = min(free, max(0, limit - (taken or 0)))
            told = f"{limit / 1e9:.1f} GB allowed of {told}"
    told += f", {free / 1e9:.1f} GB to be had; an analysis takes 1 to 2 GB"
    if free >= LEAST_MEMORY:
        return Check("memory", True, told)
    return Check("memory", False, f"{told}: end other programs, or raise the container's limit; captions: --workers 1")


def _number(path: str) -> int | None:
    try:
        text = Path(path).read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None  # "max": no limit


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
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the page: what just ended holds nothing
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
    """Each once, with the presets that need it."""
    users: dict[Weight | Repo, list[str]] = {}
    for preset in PRESETS.values():
        for weight in (*preset.weights, *own_weights(preset.name)):
            users.setdefault(weight, []).append(preset.name)
    found = []
    for weight, presets in users.items():
        whose = "all presets" if len(presets) == len(PRESETS) else ", ".join(presets)
        name = f"{whose}: {weight.name}"
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
