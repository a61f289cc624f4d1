"""How the liveliest places of a second or two move, as FLOW_DIM numbers.

    code = FlowCode.packaged()
    numbers = code(features.flow)            (T, h, w, C_FLOW) to (FLOW_DIM,)

Small blocks of space and time around the strongest movement are described by their histograms of flow and of motion
boundaries (tvad/flow.py), which principal components make short and of variance 1; means and variances of these over
the blocks are the numbers. That is the Fisher vector of a single Gaussian (Perronnin, Sanchez and Mensink, ECCV 2010;
of movement: Wang and Schmid, ICCV 2013); mixtures of up to 32 told fights no better. The components are fitted without
labels: `python -m training.temporal.flow_code`.

Next: tvad/temporal/snippets.py
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from tvad.flow import C_FLOW, WAYS

KINDS = {"hof": slice(0, WAYS + 1), "mbh": slice(WAYS + 1, C_FLOW)}
COMPONENTS = 24  # of each kind
FLOW_DIM = 2 * COMPONENTS * len(KINDS)
SIDE = 2  # cells of a block, either way
LONG, PARTS, STEP = 6, 3, 2  # frames of a block, parts that its time has; a block begins at every STEP-th frame
STRONGEST = 400  # blocks that count at most
LEAST = 0.2  # mean speed of a block that counts at all, in sixteenths of frame heights per second
FILE = Path(__file__).parents[1] / "codes" / "mini" / "flow.safetensors"
TINY = 1e-6
KEYS = ("mean", "map")


class FlowCodeError(ValueError):
    """A file that is no flow code, or is damaged."""


@dataclass(frozen=True)
class FlowCode:
    """components: of each of KINDS, the mean (D,) of its histograms and the map (COMPONENTS, D) to whitened principal
    components."""

    components: Mapping[str, tuple[np.ndarray, np.ndarray]]

    def __post_init__(self) -> None:
        for name, kind in KINDS.items():
            wide = (kind.stop - kind.start) * PARTS * SIDE**2
            mean, to = self.components[name]
            if mean.shape != (wide,) or to.shape != (COMPONENTS, wide):
                raise FlowCodeError(f"{name} {mean.shape}, {to.shape}; expected ({wide},), ({COMPONENTS}, {wide})")
            if not (np.isfinite(mean).all() and np.isfinite(to).all()):
                raise FlowCodeError(f"{name} has numbers that are not finite")

    def __call__(self, flow: np.ndarray) -> np.ndarray:
        """(FLOW_DIM,) float32 of T >= 1 moments (T, h, w, C_FLOW); of each kind, length 1, or 0 where nothing moves."""
        found = blocks(flow)
        return np.concatenate([self._moments(name, rooted(found, kind)) for name, kind in KINDS.items()])

    def _moments(self, name: str, rows: np.ndarray) -> np.ndarray:
        if not len(rows):
            return np.zeros(2 * COMPONENTS, np.float32)
        mean, to = self.components[name]
        # OpenCV's product: NumPy's wakes threads, which cost more than they do for a few hundred rows.
        x = np.asarray(cv2.gemm(rows - mean, to, 1.0, None, 0.0, flags=cv2.GEMM_2_T))  # type: ignore[call-overload]
        vector = np.concatenate([x.mean(0), (x * x - 1).mean(0) / np.sqrt(2)])
        vector = np.sign(vector) * np.sqrt(np.abs(vector))
        return (vector / (np.linalg.norm(vector) + TINY)).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """All of it by name, for a file."""
        return {f"{name}.{key}": v for name, pair in self.components.items() for key, v in zip(KEYS, pair, strict=True)}

    @classmethod
    def load(cls, path: Path) -> "FlowCode":
        """FlowCodeError for a file that is none."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            found = load_file(path)
            return cls({name: (found[f"{name}.{KEYS[0]}"], found[f"{name}.{KEYS[1]}"]) for name in KINDS})
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise FlowCodeError(f"{path}: not a flow code ({error})") from error

    @classmethod
    @lru_cache(maxsize=1)
    def packaged(cls) -> "FlowCode":
        """That of the preset `mini`."""
        return cls.load(FILE)


def blocks(flow: np.ndarray) -> np.ndarray:
    """The strongest blocks of T >= 1 moments (T, h, w, C_FLOW): (n, C_FLOW, PARTS, 4), n <= STRONGEST."""
    if min(flow.shape[1:3]) < SIDE:
        return np.zeros((0, C_FLOW, PARTS, SIDE**2), np.float32)
    cells = np.asarray(flow, np.float32)
    starts = range(0, max(1, len(flow) - LONG + 1), STEP)
    in_time = np.stack([_thirds(cells[start : start + LONG]) for start in starts])  # (S, PARTS, h, w, C_FLOW)
    speed = in_time[..., :WAYS].sum(-1).mean(1)
    strength = (speed[:, :-1, :-1] + speed[:, 1:, :-1] + speed[:, :-1, 1:] + speed[:, 1:, 1:]) / 4
    order = np.argsort(-strength, axis=None, kind="stable")[:STRONGEST]
    s, y, x = np.unravel_index(order[strength.ravel()[order] > LEAST], strength.shape)
    corners = [in_time[s, :, y + down, x + across] for down in (0, 1) for across in (0, 1)]
    return np.stack(corners, -1).transpose(0, 2, 1, 3)


def rooted(found: np.ndarray, kind: slice) -> np.ndarray:
    """(n, D) roots of the histograms of one kind, which sum to 1 in a block."""
    kept = found[:, kind]
    rows = kept.reshape(len(kept), int(np.prod(kept.shape[1:])))
    return np.sqrt(np.maximum(rows, 0) / (rows.sum(1, keepdims=True) + TINY))


def _thirds(cells: np.ndarray) -> np.ndarray:
    """(PARTS, ...) means of equal parts of the time; where there are fewer moments than parts, some stand twice."""
    count = len(cells)
    return np.stack(
        [
            cells[n * count // PARTS : max((n + 1) * count // PARTS, n * count // PARTS + 1)].mean(0)
            for n in range(PARTS)
        ]
    )
