"""The cache of analyses: content of the video + settings + versions -> evidence.json and scores.npz.

A second question on the same footage starts from here. An entry appears whole or not at all; a damaged one is
dropped and counts as absent. The least recently used entries go when the cache outgrows $TVAD_CACHE_GB (default 5;
0 keeps nothing). Knows no models: the key is made without importing torch.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
import time
import zipfile
import zlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from tvad.evidence import Analysis, Curves, Evidence, EvidenceError
from tvad.settings import Settings

DEFAULT_LIMIT_GB = 5.0
ABANDONED_AFTER_S = 3600.0
# Libraries whose versions can change a result.
LIBRARIES = ("tvad", "av", "numpy", "opencv-python-headless", "openvino", "timm", "torch")


@dataclass(frozen=True)
class Entry:
    """One stored analysis. `used_at_s` is seconds since the epoch of the last store or load."""

    key: str
    video: str
    size_bytes: int
    used_at_s: float


def cache_dir() -> Path:
    """The folder of everything tvad keeps: $TVAD_CACHE, else $XDG_CACHE_HOME/tvad, else ~/.cache/tvad. Not created."""
    if chosen := os.environ.get("TVAD_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tvad"


def analyses_dir() -> Path:
    return cache_dir() / "analyses"


def limit_bytes() -> int:
    """The size the cache may have; ValueError when $TVAD_CACHE_GB is no number of 0 or more."""
    given = os.environ.get("TVAD_CACHE_GB", str(DEFAULT_LIMIT_GB))
    try:
        limit_gb = float(given)
    except ValueError:
        limit_gb = -1.0
    if not 0 <= limit_gb < float("inf"):
        raise ValueError(f"TVAD_CACHE_GB is {given!r}; it must be a number of gigabytes, 0 or more")
    return int(limit_gb * 1e9)


@cache
def versions() -> dict[str, str]:
    """Installed version of each library that can change a result, and `code`, a hash of this program's own source."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found | {"code": _code_hash()}


def _code_hash() -> str:
    # A checkout changes without its version changing; an analysis by yesterday's code is not today's.
    digest = hashlib.sha256()
    for package in ("heatmap", "tvad"):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            # And with other weights: what they are is noted beside them.
            for path in sorted([*Path(folder).rglob("*.py"), *Path(folder).rglob("sums.json")]):
                digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def analysis_key(video_sha256: str, settings: Settings) -> str:
    """Key of an analysis: 32 hex digits over the video's content, the settings, the versions and the scene's content.

    The scene file counts by content, not by path; SAM's weights and the tower's by names, sizes and times. Raises
    OSError when these cannot be read.
    """
    chosen: dict[str, Any] = settings.to_dict()
    if settings.scene is not None:
        with Path(settings.scene).open("rb") as file:
            chosen["scene"] = hashlib.file_digest(file, "sha256").hexdigest()
    if settings.sam is not None:
        chosen["sam"] = _stamp(Path(settings.sam))
    if settings.tower is not None:
        chosen["tower"] = _stamp(Path(settings.tower))
    parts = {"video": video_sha256, "settings": chosen, "versions": versions()}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _stamp(path: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of a model's files: gigabytes are not read for every question."""
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    return [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]


def load(key: str, video_path: str | None = None) -> Analysis | None:
    """The stored analysis, or None. `video_path` replaces the path it was made from: same content, another place."""
    folder = analyses_dir() / key
    try:
        analysis = Analysis(Evidence.load(folder / "evidence.json"), Curves.load(folder / "scores.npz"))
        os.utime(folder)
    except FileNotFoundError:
        return None
    except (EvidenceError, OSError, zipfile.BadZipFile, zlib.error):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    if video_path is None:
        return analysis
    video = replace(analysis.evidence.video, path=video_path)
    return Analysis(replace(analysis.evidence, video=video), analysis.curves)


def store(key: str, analysis: Analysis) -> None:
    """Keep an analysis, then drop the least recently used ones above the limit. Raises OSError if it cannot write."""
    limit = limit_bytes()
    if limit == 0:
        return
    root = analyses_dir()
    root.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    try:
        analysis.curves.save(unfinished / "scores.npz")
        analysis.evidence.save(unfinished / "evidence.json")
        unfinished.chmod(0o755)
        _put(unfinished, root / key)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    drop_abandoned(root)
    _drop_oldest(limit, keep=key)


def entries() -> list[Entry]:
    """What is stored, most recently used first."""
    found = []
    for folder in analyses_dir().glob("[0-9a-f]*"):
        try:
            size = sum(file.stat().st_size for file in folder.iterdir())
            used_at_s = folder.stat().st_mtime
            video = json.loads((folder / "evidence.json").read_text(encoding="utf-8"))["video"]["path"]
        except FileNotFoundError:  # another process dropped it meanwhile
            continue
        except (OSError, ValueError, KeyError, TypeError):
            size, used_at_s, video = 0, 0.0, "(damaged)"
        found.append(Entry(folder.name, str(video), size, used_at_s))
    return sorted(found, key=lambda entry: entry.used_at_s, reverse=True)


def size_bytes() -> int:
    """Bytes under `cache_dir()`, converted models included."""
    total = 0
    for folder, _, files in os.walk(cache_dir()):
        for name in files:
            try:
                total += (Path(folder) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def clear() -> int:
    """Drop every stored analysis; converted models stay. Returns how many there were."""
    known = entries()
    shutil.rmtree(analyses_dir(), ignore_errors=True)
    return len(known)


def _put(folder: Path, target: Path) -> None:
    # rename() replaces no folder that has files in it: whoever stored this key first stays, unless it was damaged.
    try:
        folder.rename(target)
    except OSError:
        if load(target.name) is None:
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)


def drop_abandoned(root: Path) -> None:
    """Remove unfinished folders (".new-*") that a killed process left behind."""
    for folder in root.glob(".new-*"):
        try:
            abandoned = time.time() - folder.stat().st_mtime > ABANDONED_AFTER_S
        except FileNotFoundError:
            continue
        if abandoned:
            shutil.rmtree(folder, ignore_errors=True)


def _drop_oldest(limit: int, keep: str) -> None:
    known = entries()
    total = sum(entry.size_bytes for entry in known)
    for entry in reversed(known):
        if total > limit and entry.key != keep:
            shutil.rmtree(analyses_dir() / entry.key, ignore_errors=True)
            total -= entry.size_bytes
