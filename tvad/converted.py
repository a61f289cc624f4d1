"""Networks as OpenVINO graphs, converted once into the cache: an analysis then starts without importing torch."""

import hashlib
import shutil
import tempfile
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tvad.cache import cache_dir
from tvad.weights import Weight

# Networks here run beside each other and beside optical flow. Pinned threads of two networks would share one core.
BESIDE_OTHERS = {"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}


def converted(name: str, weight: Weight, build: Callable[[], Any]) -> Any:
    """The graph that `build` makes from `weight`: read from the cache, or built and kept there.

    The key covers the weights, OpenVINO and the source file of `build`. Where the cache cannot be written the graph is
    built every time.
    """
    import openvino

    folder = _folder(name, weight, build)
    try:
        return openvino.Core().read_model(folder / "model.xml")
    except RuntimeError:  # absent or damaged
        weight.locate()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch and OpenVINO warn about each other's deprecations
        model = build()
    _keep(model, folder)
    return model


def is_kept(name: str, weight: Weight, build: Callable[[], Any]) -> bool:
    """Whether `converted` will find this graph in the cache, rather than take ten seconds to build it."""
    return (_folder(name, weight, build) / "model.xml").is_file()


def _folder(name: str, weight: Weight, build: Callable[[], Any]) -> Path:
    import openvino

    source = Path(build.__code__.co_filename).read_bytes()
    key = hashlib.sha256(weight.sha256.encode() + openvino.__version__.encode() + source).hexdigest()[:16]
    return cache_dir() / "models" / f"{name}-{key}"


def _keep(model: Any, folder: Path) -> None:
    import openvino

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    except OSError:
        return
    try:
        openvino.save_model(model, unfinished / "model.xml", compress_to_fp16=False)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.replace(folder)
    except (OSError, RuntimeError):
        pass  # another process kept it meanwhile, or the disk is full: the graph at hand still works
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@lru_cache(maxsize=1)
def multiplies_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 natively."""
    import openvino

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
