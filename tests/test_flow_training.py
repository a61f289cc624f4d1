"""The components of flow are fitted to real movement, saved whole, and read back by the snippets."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training.temporal import flow_code
from training.temporal.flow_code import files, fit, stretches
from tvad.flow import C_FLOW
from tvad.temporal.flow_code import COMPONENTS, PARTS, SIDE, FlowCode, rooted

Make = Callable[..., Path]


def found(seed: int = 0, count: int = 200) -> list[np.ndarray]:
    dice = np.random.default_rng(seed)
    return [dice.gamma(1.0, 1.0, (count, C_FLOW, PARTS, SIDE**2)).astype(np.float16) for _ in range(3)]


def test_components_are_white_on_what_they_were_fitted_to() -> None:
    code, kept = fit(found())
    rows = np.concatenate(found()).astype(np.float32)
    mean, to = code.components["hof"]
    x = (rooted(rows, slice(0, 9)) - mean) @ to.T
    assert np.abs(np.cov(x.T) - np.eye(COMPONENTS)).max() < 0.02
    assert 0 < kept["hof"] < 1 and set(kept) == {"hof", "mbh"}


def test_too_little_movement_is_refused() -> None:
    with pytest.raises(ValueError, match="0 blocks of movement"):
        fit([])
    with pytest.raises(ValueError, match="more than 24"):
        fit([found()[0][:10]])


def test_folders_and_files_in_order(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.avi", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in files([tmp_path, tmp_path / "b.mp4"])] == ["a.avi", "b.mp4", "b.mp4"]


def test_the_command_on_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plaza = Path(__file__).parents[1] / "examples" / "plaza.mp4"
    pieces = list(stretches(plaza))
    assert len(pieces) == 4 and all(len(p) > 10 for p in pieces)
    monkeypatch.setattr(flow_code, "stretches", lambda path: iter(pieces))
    out = tmp_path / "code" / "flow.safetensors"
    monkeypatch.setattr(sys, "argv", ["flow_code", str(plaza), "--out", str(out)])
    flow_code.main()
    assert FlowCode.load(out).components["mbh"][1].shape[0] == COMPONENTS
    assert (out.parent / "sums.json").is_file()
