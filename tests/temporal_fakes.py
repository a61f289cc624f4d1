"""Small made-up videos, and heads that are small enough to train in a test."""

from pathlib import Path
from typing import Any

import numpy as np

from training.datasets.weak import WeakVideo
from training.temporal.loop import Plan, TemporalTrainConfig

WIDTH, STEPS = 16, 8
SMALL: dict[str, dict[str, Any]] = {
    "mil_ranking": {"hidden": 8, "small": 4},
    "clip_tsa": {"scorer": 8, "branch": 4, "inner": 2, "hidden": (8, 4), "samples": 8},
    "vadclip": {"length": 8, "window": 4, "layers": 1},
    "dsanet": {"length": 8, "window": 4, "layers": 1, "prototypes": 4, "normality_heads": 2, "normality_blocks": 1},
    "refinevad": {"hidden": 16, "gate_hidden": 4, "layers": 1, "category_hidden": 8, "score_hidden": 8},
    "finevad": {"length": 8, "window": 4, "layers": 1},
    "afr": {"hidden": 16, "heads": 2, "levels": 2, "convs": 1, "stem": 1},
}
QUICK = TemporalTrainConfig(
    steps=6, normal=3, anomalous=3, length=STEPS, every=2, log_every=2, lr=3e-3, threads=1, patience=0
)


def made(folder: Path, count: int = 8, crops: int = 1, seed: int = 0) -> list[WeakVideo]:
    """Every other video is anomalous, of one of two classes: a third of it is shifted along one axis."""
    dice = np.random.default_rng(seed)
    videos = []
    for n in range(count):
        steps, label = int(dice.integers(5, 14)), ((), ("fire",), (), ("fight",))[n % 4]
        x = dice.normal(size=(crops, steps, WIDTH)).astype(np.float32) * 0.3
        begin, end = steps // 3, steps // 3 + max(2, steps // 3)
        if label:
            x[:, begin:end, 0 if label == ("fire",) else 1] += 3
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"v{seed}x{n:02d}.npy"
        np.save(path, x)
        spans = tuple((16 * begin, 16 * end, name) for name in label)
        videos.append(WeakVideo(path.stem, label, (path,), path.stem, 16 * steps, 30.0, spans))
    return videos


def plan(name: str, **settings: Any) -> Plan:
    return Plan(name, SMALL[name] | settings, "random")


def quiet(line: str) -> None:
    pass
