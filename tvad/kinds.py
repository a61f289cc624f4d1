"""Kinds of events by name: what the movement of a stretch looks like, and how sure that is.

    kinds = Kinds.load(folder)
    probs = kinds.probs(rows)                snippets (n, DIM) -> (n, K), normal first
    kinds.of(probs[first : last + 1])        Kind("fighting", {"normal": 0.1, "fighting": 0.86, ...})

Multinomial logistic regression on numbers of a snippet (how the busiest region and the liveliest places move, and who
is beside whom), softened by a temperature that was measured on clips it had not seen. A class may take a number of
people: a fight takes two. A name is given from the probability on at which it was
right of most such clips; a class that no probability does that for is never named, and stays in the probabilities.
`python -m training.temporal.kinds` makes the file and prints the figures. Next: tvad/head_part.py
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tvad.weights import MissingWeights

FILE = "kinds.safetensors"
KIND, VERSION = "tvad-kinds", 1
UNSPECIFIED = "unspecified"
FALLING = "falling"
WINDOW = 4  # snippets that are named together, about two seconds of 30 frames each
CLIP = 5.0  # deviations from the mean that count at most
LEAST = 1e-6
ALONE = 0.05  # probability, at most, of a class that takes more people than are seen


class KindsError(ValueError):
    """A file of kinds that is damaged, or of a newer version."""


@dataclass(frozen=True)
class Kind:
    """name: a class, or "unspecified". probs: of each class, normal first; empty where nothing was told apart."""

    name: str = UNSPECIFIED
    probs: tuple[tuple[str, float], ...] = ()

    @property
    def named(self) -> bool:
        return self.name != UNSPECIFIED


def parts(count: int) -> list[slice]:
    """So many snippets in equal parts of about WINDOW."""
    n = max(round(count / WINDOW), 1)
    return [slice(k * count // n, (k + 1) * count // n) for k in range(n)]


@dataclass(frozen=True)
class Kinds:
    """names (K,), normal first. columns: of a snippet, from and to. mean, scale (D,); weight (K, D), bias (K,), already
    divided by the temperature. named_from: the probability from which a class is named, None for one that never is.
    takes: a class's number, a column of a snippet, and the least that has to stand there for it to be likely."""

    names: tuple[str, ...]
    columns: tuple[int, int]
    mean: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    named_from: tuple[float | None, ...]
    about: str = ""
    takes: tuple[tuple[int, int, float], ...] = ()

    def __post_init__(self) -> None:
        classes, width = len(self.names), self.columns[1] - self.columns[0]
        wanted = {"mean": (width,), "scale": (width,), "weight": (classes, width), "bias": (classes,)}
        for name, shape in wanted.items():
            value = getattr(self, name)
            if value.shape != shape or not np.isfinite(value).all():
                raise KindsError(f"{name} {value.shape}; expected {shape}, finite numbers")
        if classes < 2 or len(self.named_from) != classes or not (self.scale > 0).all():
            raise KindsError(f"{classes} classes, {len(self.named_from)} limits; expected two or more, and as many")
        if any(not 0 < kind < classes or column < 0 for kind, column, _ in self.takes):
            raise KindsError(f"{self.takes}: expected numbers of classes from 1 to {classes - 1}, and columns")

    @property
    def reads(self) -> int:
        """Numbers of a snippet that are looked at, from the first."""
        return max(self.columns[1], *(column + 1 for _, column, _ in self.takes), 0)

    def probs(self, rows: np.ndarray) -> np.ndarray:
        """(n, K) float32 of snippets (n, DIM); rows sum to 1."""
        x = np.clip((rows[:, slice(*self.columns)] - self.mean) / self.scale, -CLIP, CLIP)
        logits = x @ self.weight.T + self.bias
        odds = np.exp(logits - logits.max(1, keepdims=True))
        odds /= odds.sum(1, keepdims=True)
        for kind, column, least in self.takes:
            over = np.where(rows[:, column] < least, np.maximum(odds[:, kind] - ALONE, 0), 0)
            odds[:, kind] -= over
            odds[:, 0] += over
        return odds.astype(np.float32)

    def of(self, probs: np.ndarray) -> Kind:
        """Of a stretch of n >= 1 snippets with probabilities (n, K): of that part of it which looks most like a class,
        the geometric mean, made to sum to 1."""
        logs = np.log(np.maximum(probs.astype(np.float64), LEAST))
        means = np.stack([logs[part].mean(0) for part in parts(len(logs))])
        shares = np.exp(means - means.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        share = shares[int(shares[:, 1:].max(1).argmax())]
        told = tuple((name, round(float(p), 4)) for name, p in zip(self.names, share, strict=True))
        best = int(share.argmax())
        limit = self.named_from[best]
        return Kind(self.names[best] if best and limit is not None and share[best] >= limit else UNSPECIFIED, told)

    def save(self, folder: str | Path) -> Path:
        """Write FILE into a folder, whole or not at all."""
        from safetensors.numpy import save

        from tvad.evidence import write_atomic

        said = {"version": VERSION, "names": self.names, "columns": self.columns, "named_from": self.named_from}
        said |= {"takes": self.takes} if self.takes else {}
        note = {"kind": KIND, "said": json.dumps(said | {"about": self.about})}
        arrays = {name: getattr(self, name).astype(np.float32) for name in ("mean", "scale", "weight", "bias")}
        path = Path(folder) / FILE
        write_atomic(path, lambda file: file.write(save(arrays, note)))
        return path

    @classmethod
    def load(cls, folder: str | Path) -> "Kinds":
        """Read what `save` wrote. MissingWeights where there is none, KindsError for one that cannot be read."""
        from safetensors import SafetensorError, safe_open

        path = Path(folder) / FILE
        if not path.is_file():
            raise MissingWeights(f"no {FILE} in {folder}; python -m training.temporal.kinds makes one")
        try:
            with safe_open(path, "numpy") as file:
                note = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in ("mean", "scale", "weight", "bias")}
            said = json.loads(note["said"])
            if note["kind"] != KIND or said["version"] != VERSION:
                raise KindsError(f"{note['kind']} of version {said['version']}; this program reads {KIND} {VERSION}")
            first, last = (int(n) for n in said["columns"])
            limits = tuple(None if x is None else float(x) for x in said["named_from"])
            takes = tuple((int(kind), int(column), float(least)) for kind, column, least in said.get("takes", ()))
            return cls(
                tuple(said["names"]), (first, last), **arrays, named_from=limits, about=str(said["about"]), takes=takes
            )
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise KindsError(f"{path}: no kinds that can be read ({error})") from None
