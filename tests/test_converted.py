"""Converted networks: built once, found again, and known to be there."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from tvad.converted import converted, is_kept
from tvad.presets.mini import EFFICIENTNET_LITE0


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TVAD_CACHE", str(tmp_path / "cache"))


def test_a_graph_is_built_once_and_known_to_be_kept() -> None:
    built = []

    def build() -> Any:
        built.append(1)
        x = openvino.opset13.parameter([2], np.float32)
        return openvino.Model([openvino.opset13.add(x, np.float32(1))], [x])

    assert not is_kept("plus", EFFICIENTNET_LITE0, build)
    for _ in range(2):
        graph = converted("plus", EFFICIENTNET_LITE0, build)
        run = openvino.Core().compile_model(graph, "CPU")
        assert run([np.array([1, 2], np.float32)])[0].tolist() == [2, 3]
        assert is_kept("plus", EFFICIENTNET_LITE0, build)
    assert len(built) == 1


def test_a_damaged_graph_is_built_again(tmp_path: Path) -> None:
    def build() -> Any:
        x = openvino.opset13.parameter([2], np.float32)
        return openvino.Model([openvino.opset13.add(x, np.float32(1))], [x])

    converted("plus", EFFICIENTNET_LITE0, build)
    (kept,) = tmp_path.glob("cache/models/plus-*/model.xml")
    kept.write_text("not a graph")
    graph = converted("plus", EFFICIENTNET_LITE0, build)
    assert len(graph.inputs) == 1
    assert openvino.Core().read_model(kept).inputs
