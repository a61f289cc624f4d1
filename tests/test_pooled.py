"""Logistic regression on pooled features: the baseline of temporal heads."""

from pathlib import Path

import numpy as np
import pytest

from training.datasets.weak import WeakVideo, read_videos
from training.metrics import auc
from training.temporal.pooled import COLUMNS, block_folds, scores
from tvad.temporal.extract import About, save
from tvad.temporal.snippets import DIM


def test_blocks_of_names_stay_together() -> None:
    videos = [
        WeakVideo(f"{kind}{n:02d}", labels, (), "", None)
        for kind, labels in (("a", ("fight",)), ("b", ()))
        for n in range(10)
    ]
    parts = block_folds(videos, 5)
    held = [sorted(v.name for v in held) for _, held in parts]
    assert held[0] == ["a00", "a01", "b00", "b01"] and held[4] == ["a08", "a09", "b08", "b09"]
    for train, own in parts:
        assert not {v.name for v in train} & {v.name for v in own} and len(train) + len(own) == 20


@pytest.mark.parametrize("told", ["busiest", "frame"])
def test_what_tells_is_found_where_it_is_and_nowhere_else(tmp_path: Path, told: str) -> None:
    pytest.importorskip("sklearn")
    dice = np.random.default_rng(0)
    for kind, shift in (("fight", 3.0), ("normal", 0.0)):
        for n in range(12):
            x = dice.normal(size=(3, DIM))
            x[:, COLUMNS[told]] += shift
            save(tmp_path / kind / f"{kind}{n:02d}.safetensors", x, About("v", "test", 25.0, 48))
    parts = block_folds(read_videos(tmp_path), 4)
    for name in ("busiest", "frame"):
        s, y = (np.concatenate(c) for c in zip(*scores(parts, COLUMNS[name]), strict=True))
        assert (auc(s, y) > 0.95) == (name == told)
