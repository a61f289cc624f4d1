"""Fixtures that several tests share."""

import os
from collections.abc import Callable
from pathlib import Path

# The tensors of tests are tiny, and threads that wait for each other cost minutes where the machine is busy. Read by
# torch and OpenMP when they are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import clips
import pytest

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real clips beside the checkout."""
    if not REAL.is_dir():
        pytest.skip("no real clips in ../shared/data beside the checkout")
    return REAL


@pytest.fixture
def tiny_video(tmp_path: Path) -> Callable[..., Path]:
    """tiny_video("a.mp4", count=30, fps=25, ...): a small clip in the test's folder; see `clips.encode`."""

    def make(name: str = "clip.mp4", **settings: object) -> Path:
        return clips.encode(tmp_path / name, **settings)

    return make
