"""People and vehicles of a frame, found in its features: boxes, scores, classes.

    finder = PeopleFinder()
    for rows in finder(features.patch): ...        (n, 6): x0, y0, x1, y1 in parts of the frame, score, class
    look = PeopleLook(finder)                      of a stream
    for n, t, rows in looks(look(features)): ...   frames that were looked at, four a second

The network (heatmap/people.py) was taught by a detector on permitted clips (training/people); it runs on the features
that the analysis has anyway.  Next: tvad/falls.py
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tvad.converted import BESIDE_OTHERS, converted, multiplies_bf16
from tvad.encoder import Features
from tvad.weights import Weight

FILE = Path(__file__).parent / "codes" / "mini" / "people.safetensors"
LEAST = 0.2  # score of a box that is told at all
SAME = 0.5  # overlap over union from which two boxes are of one thing
WITHIN = 0.8  # share of a box in a surer one from which it is a part of that thing
MOST = 64  # boxes of a frame
EVERY_S = 0.25  # between two looks
NOT_LOOKED = -1.0  # score in the rows of a frame at which nobody looked
PERSON, VEHICLE = 0, 1


class PeopleFinder:
    """Features to boxes, run by OpenVINO. path: weights other than those that come with the program."""

    def __init__(self, path: Path = FILE, threads: int | None = 1) -> None:
        self._request = _compiled(Path(path), threads).create_infer_request()

    def __call__(self, patch: np.ndarray) -> list[np.ndarray]:
        """Of each frame its boxes (n, 6), the surest first. patch (T, h, w, 152) float32, as in Features."""
        found = []
        for frame in patch:
            self._request.infer({0: np.ascontiguousarray(frame[None], np.float32)})
            scores, sides = (self._request.get_output_tensor(n).data[0] for n in (0, 1))
            found.append(found_in(scores, sides))
        return found


class PeopleLook:
    """Fills in the people of a stream of features, every EVERY_S."""

    def __init__(self, finder: PeopleFinder) -> None:
        self.finder = finder
        self._last_s = -np.inf

    def __call__(self, features: Features) -> Features:
        """The next features of the stream, with what was found."""
        people = np.zeros((len(features), MOST, 6), np.float32)
        for n, t in enumerate(features.times_s.tolist()):
            if t - self._last_s < EVERY_S - 1e-3:
                people[n, :, 4] = NOT_LOOKED
                continue
            self._last_s = t
            rows = self.finder(features.patch[n : n + 1])[0]
            people[n, : len(rows)] = rows
        return replace(features, people=people)


def looks(features: Features) -> Iterator[tuple[int, float, np.ndarray]]:
    """Of each frame that was looked at: its number, time, and boxes (n, 6), the surest first."""
    if features.people.shape[1]:
        for n in np.flatnonzero(features.people[:, 0, 4] != NOT_LOOKED):
            rows = features.people[n]
            yield int(n), float(features.times_s[n]), rows[rows[:, 4] > 0]


@lru_cache(maxsize=2)
def _compiled(path: Path, threads: int | None) -> Any:
    import openvino

    options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "bf16" if multiplies_bf16() else "f32"} | BESIDE_OTHERS
    if threads:
        options["INFERENCE_NUM_THREADS"] = threads
    return openvino.Core().compile_model(converted("people", _Weights.of(path), lambda: graph(path)), "CPU", options)


@dataclass(frozen=True)
class _Weights(Weight):
    """The file as a weight, whose hash covers the code of the network too."""

    path: Path = FILE

    @classmethod
    def of(cls, path: Path) -> "_Weights":
        """OSError where there is none."""
        data, spec = path.read_bytes(), find_spec("heatmap.people")
        code = Path(spec.origin).read_bytes() if spec and spec.origin else b""
        digest = hashlib.sha256(hashlib.sha256(data).digest() + code).hexdigest()
        use, note = "finder of people", str(path)
        return cls("people", use, "tvad", "tvad", path.name, digest, len(data), "Apache-2.0", note, path)

    def find(self) -> Path | None:
        return self.path if self.path.is_file() else None


def graph(path: Path) -> Any:
    """The network as an OpenVINO model: patch (1, h, w, 152) to scores (1, classes, h, w) and sides (1, 4, h, w).
    ValueError for a file that is none."""
    import openvino
    import torch

    from heatmap.people import PeopleNetwork

    class Scores(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = PeopleNetwork.load(path)

        def forward(self, patch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            logits, sides = self.network(patch)
            return logits.sigmoid(), sides

    network = Scores().eval()
    channels = network.network.first.in_channels
    shape, example = openvino.PartialShape([1, -1, -1, channels]), torch.zeros(1, 16, 16, channels)
    with torch.no_grad():
        return openvino.convert_model(network, example_input=example, input=[shape])


def found_in(scores: np.ndarray, sides: np.ndarray, least: float = LEAST) -> np.ndarray:
    """Boxes of a grid (n, 6) float32, the surest first: x0, y0, x1, y1 in parts of the frame, score, class. scores
    (classes, h, w) in [0, 1], sides (4, h, w) in cells. Of boxes that overlap the surest stays (of the same class)."""
    height, width = scores.shape[1:]
    kind, y, x = np.nonzero(scores >= least)
    score = scores[kind, y, x]
    order = np.argsort(-score, kind="stable")[: 8 * MOST]
    kind, y, x, score = kind[order], y[order], x[order], score[order]
    left, up, right, down = sides[:, y, x]
    boxes = np.stack([x + 0.5 - left, y + 0.5 - up, x + 0.5 + right, y + 0.5 + down], 1)
    boxes = np.clip(boxes / (width, height, width, height), 0, 1)
    rows = np.concatenate([boxes, score[:, None], kind[:, None]], 1).astype(np.float32)
    return once(rows, SAME, WITHIN)


def once(rows: np.ndarray, same: float, within: float) -> np.ndarray:
    """Those of the boxes (n, 6), the surest first, that are of something else than all before of their class: they
    overlap those by less than `same`, and less than `within` of them lies in one. MOST at most."""
    kept = rows[:0]
    for row in rows:
        if len(kept) == MOST:
            break
        alike = kept[kept[:, 5] == row[5]]
        if not len(alike) or (overlaps(row, alike).max() < same and inside(row, alike).max() < within):
            kept = np.concatenate([kept, row[None]])
    return kept


def overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Overlap over union (n,) of a box with others (n, 4 or more)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:4], others[:, 2:4])
    both = np.clip(high - low, 0, None).prod(1)
    area = np.prod(box[2:4] - box[:2])
    out: np.ndarray = both / np.maximum(area + (others[:, 2:4] - others[:, :2]).prod(1) - both, 1e-9)
    return out


def inside(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Share (n,) of a box that lies in others (n, 4 or more)."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:4], others[:, 2:4])
    out: np.ndarray = np.clip(high - low, 0, None).prod(1) / max(float(np.prod(box[2:4] - box[:2])), 1e-9)
    return out
