"""Truth: what is known for certain about a clip, whoever made it: the synthetic generator or a folder with masks.

Next: training/datasets/records.py
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tvad.evidence import write_atomic

ANOMALIES = (
    "cycling", "skating", "driving", "running", "fighting", "falling", "loitering", "abandoned object", "theft",
    "wrong way", "jaywalking", "crowd panic", "climbing", "throwing", "vandalism", "fire", "explosion",
    "traffic accident",
)  # fmt: skip
UNNAMED = "unnamed"  # the anomaly of recordings whose truth is a mask without a name


@dataclass(frozen=True)
class Target:
    """One thing that was in the picture.

    id: its value in the instance maps, 1 or more. noun: what one calls it ("cyclist", "person", "car", "dog", "bag").
    anomaly: one of ANOMALIES (or UNNAMED) while it does something anomalous, else None; anomalous_s: those stretches
    (start, end) in seconds. action: a phrase in the third person ("rides a bicycle across the plaza").
    colours: part -> colour name, parts "upper", "lower" (clothes of people and riders) and "whole" (everything else),
    names those of heatmap/appearance.py. carried: what it holds, or "".
    times_s (n,), boxes (n, 4) (x0, y0, x1, y1) px of the visible part, seen (n,) share of it that is visible.
    """

    id: int
    noun: str
    anomaly: str | None
    anomalous_s: tuple[tuple[float, float], ...]
    action: str
    colours: dict[str, str]
    carried: str
    times_s: tuple[float, ...]
    boxes: tuple[tuple[float, float, float, float], ...]
    seen: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.id < 1:
            raise ValueError(f"a target's id is {self.id}; 0 is the background")
        if not len(self.times_s) == len(self.boxes) == len(self.seen):
            raise ValueError(f"target {self.id}: {len(self.times_s)} times, {len(self.boxes)} boxes, {len(self.seen)}")
        if self.anomaly not in (None, UNNAMED, *ANOMALIES):
            raise ValueError(f"target {self.id}: no anomaly {self.anomaly!r}; choose one of {list(ANOMALIES)}")


@dataclass(frozen=True)
class ClipTruth:
    """A clip's truth. layout: kind of place ("plaza"); conditions: "night", "rain", ...; source: what must not be in
    two splits at once (seed and layout, or the recording); split: "train", "validation" or "test"."""

    id: str
    source: str
    split: str
    layout: str
    conditions: tuple[str, ...]
    fps: float
    size_wh: tuple[int, int]
    duration_s: float
    targets: tuple[Target, ...]

    @property
    def anomalous(self) -> tuple[Target, ...]:
        """Targets that do something anomalous, by the time they begin."""
        found = [t for t in self.targets if t.anomaly is not None and t.anomalous_s]
        return tuple(sorted(found, key=lambda t: t.anomalous_s[0][0]))

    @property
    def has_anomaly(self) -> bool:
        return bool(self.anomalous)

    def mask(self, ids: np.ndarray, t_s: float) -> np.ndarray:
        """(H, W) bool of what is anomalous at a moment, from its instance map (H, W)."""
        on = [t.id for t in self.anomalous if any(a - 1e-6 <= t_s <= b + 1e-6 for a, b in t.anomalous_s)]
        return np.isin(ids, on)

    def save(self, path: str | Path) -> None:
        text = json.dumps(asdict(self), allow_nan=False) + "\n"
        write_atomic(path, lambda file: file.write(text.encode()))

    @classmethod
    def load(cls, path: str | Path) -> "ClipTruth":
        """Read what `save` wrote; ValueError or KeyError for anything else."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> "ClipTruth":
        def target(t: dict[str, Any]) -> Target:
            spans = tuple((float(a), float(b)) for a, b in t["anomalous_s"])
            boxes = tuple(tuple(float(v) for v in b) for b in t["boxes"])
            plain = {"anomalous_s": spans, "boxes": boxes, "times_s": tuple(t["times_s"]), "seen": tuple(t["seen"])}
            return Target(**(t | plain))  # type: ignore[arg-type]

        lists = {
            "conditions": tuple(raw["conditions"]),
            "size_wh": tuple(raw["size_wh"]),
            "targets": tuple(target(t) for t in raw["targets"]),
        }
        return cls(**(raw | lists))  # type: ignore[arg-type]
