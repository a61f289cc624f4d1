"""A folder of weights that were trained here, as a `Weight`. Its hash covers the code of the network too, since what is
made of both is kept by it (tvad/converted.py)."""

import hashlib
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tvad.weights import MissingWeights, Weight

FILES = ("config.json", "model.safetensors")


@dataclass(frozen=True)
class Checkpoint(Weight):
    """A folder that `tvad train` wrote."""

    folder: Path = field(default_factory=Path)

    @classmethod
    def of(cls, folder: str | Path, name: str, use: str, trains: str, code: str) -> "Checkpoint":
        """name, use: as in Weight. trains: the command that makes such a folder. code: the module or package of the
        network. MissingWeights when there is no such folder."""
        folder = Path(folder)
        try:
            contents = [(folder / file).read_bytes() for file in FILES]
        except OSError:
            raise MissingWeights(
                f"no {name} in {folder} ({' and '.join(FILES)}); `{trains} --out {folder}` makes one"
            ) from None
        digest = hashlib.sha256(b"".join(hashlib.sha256(c).digest() for c in [*contents, *_sources(code)])).hexdigest()
        return cls(name, use, "tvad", "tvad", "", digest, len(contents[1]), "Apache-2.0", str(folder), folder)

    def find(self) -> Path | None:
        path = self.folder / FILES[1]
        return path if path.is_file() else None


def _sources(code: str) -> list[bytes]:
    """The files of a module or a package, in order of their names."""
    spec = find_spec(code)
    if spec is None or spec.origin is None:
        return []
    origin = Path(spec.origin)
    files = sorted(origin.parent.glob("*.py")) if origin.name == "__init__.py" else [origin]
    return [file.read_bytes() for file in files]
