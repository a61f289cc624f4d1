"""How the liveliest places move as numbers: which blocks count, in what order, and what a damaged file says."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tvad.flow import C_FLOW, WAYS
from tvad.temporal import flow_code
from tvad.temporal.flow_code import (
    COMPONENTS,
    FLOW_DIM,
    KINDS,
    LEAST,
    PARTS,
    STRONGEST,
    FlowCode,
    FlowCodeError,
    blocks,
)

GRID = (16, 24)


def still(count: int = 12) -> np.ndarray:
    out = np.zeros((count, *GRID, C_FLOW), np.float16)
    out[..., WAYS] = 1
    return out


def lively(seed: int = 0, count: int = 12) -> np.ndarray:
    out = still(count)
    out[:, 4:12, 6:16] = np.random.default_rng(seed).gamma(1.0, 1.0, (count, 8, 10, C_FLOW))
    return out


def test_numbers_of_each_kind_have_length_one() -> None:
    found = FlowCode.packaged()(lively())
    assert found.shape == (FLOW_DIM,) and found.dtype == np.float32
    for n in range(len(KINDS)):
        assert np.linalg.norm(found[n * 2 * COMPONENTS : (n + 1) * 2 * COMPONENTS]) == pytest.approx(1, abs=1e-4)


def test_where_nothing_moves_they_are_zero() -> None:
    assert not FlowCode.packaged()(still()).any()
    assert not FlowCode.packaged()(still(1)).any()
    assert not FlowCode.packaged()(np.ones((5, 1, 9, C_FLOW), np.float16)).any()  # no room for a block


def test_mirrored_in_time_or_place_other_blocks_but_moved_the_same_ones() -> None:
    code, one = FlowCode.packaged(), lively()
    moved = np.roll(one, (1, 3), (1, 2))
    np.testing.assert_allclose(code(moved), code(one), atol=1e-5)
    assert np.abs(code(one[:, :, ::-1]) - code(one)).max() > 1e-3


def test_blocks_are_the_strongest_and_only_what_moves() -> None:
    flow = still(6)
    flow[:, 4:6, 8:10, 0] = 1.0
    found = blocks(flow)
    assert found.shape[1:] == (C_FLOW, PARTS, 4) and 0 < len(found) <= 9
    assert (found[0, 0] == 1).all()  # the block that fits comes first
    flow[:, 4:6, 8:10, 0] = LEAST / 2
    assert len(blocks(flow)) == 0
    assert len(blocks(np.ones((60, *GRID, C_FLOW), np.float16))) == STRONGEST


def test_parts_are_in_the_order_of_time() -> None:
    flow = still(6)
    flow[4:, 4:6, 8:10, 2] = 3.0
    assert blocks(flow)[0, 2].tolist() == [[0] * 4, [0] * 4, [3] * 4]


def test_corners_are_told_apart() -> None:
    flow = still(6)
    for n, (y, x) in enumerate([(4, 8), (4, 9), (5, 8), (5, 9)]):
        flow[:, y, x, 0] = n + 1
    assert blocks(flow)[0, 0, 0].tolist() == [1, 2, 3, 4]


def test_a_short_video_is_one_block_long() -> None:
    assert len(blocks(lively(count=1))) > 0
    assert np.isfinite(FlowCode.packaged()(lively(count=1))).all()


def test_saved_and_loaded(tmp_path: Path) -> None:
    code = FlowCode.packaged()
    save_file(code.arrays(), tmp_path / "a.safetensors")
    np.testing.assert_array_equal(FlowCode.load(tmp_path / "a.safetensors")(lively()), code(lively()))


def test_a_damaged_file_is_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    kept = load_file(flow_code.FILE)
    whole = dict(kept)
    for name, changed in (
        ("hof.map", kept["hof.map"][:-1]),
        ("mbh.mean", kept["mbh.mean"][:5]),
        ("hof.mean", np.full_like(kept["hof.mean"], np.nan)),
    ):
        save_file({**whole, name: changed}, path)
        with pytest.raises(FlowCodeError, match=f"a.safetensors: not a flow code .{name[:3]}"):
            FlowCode.load(path)
    del whole["hof.map"]
    save_file(whole, path)
    with pytest.raises(FlowCodeError, match=r"hof\.map"):
        FlowCode.load(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(FlowCodeError, match="not a flow code"):
        FlowCode.load(path)
