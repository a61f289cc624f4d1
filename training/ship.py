"""Trained weights into the package: the last step of a training whose weights come with a preset.

    python -m training.ship decoder RUN [--preset mini]     the decoder's checkpoint of `tvad train heatmap`
    python -m training.ship adapter RUN [--preset mini]     the newest adapter of `tvad train lvlm`, in half precision
    python -m training.ship head RUN [--preset mini]        the best head of `tvad train temporal`
    python -m training.ship kinds RUN [--preset mini]       what `python -m training.temporal.kinds` made
    python -m training.ship people RUN                      what `python -m training.people.fit` made

What is there is replaced once the new weights could be read. The cards (MODEL_CARD.md) are written by people.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from tvad.evidence import write_atomic
from tvad.lvlm.adapter import FILES, SHIPPED, Adapter
from tvad.presets import get_preset
from tvad.presets.own import SUMS

LARGEST_BYTES = 48 * 2**20  # all weights that come with the package


def decoder(run: Path, preset: str) -> Path:
    """Copy a decoder's checkpoint. ValueError or MissingWeights when it is none of this version."""
    from heatmap.decoder import CONFIG_FILE, WEIGHTS_FILE, HeatmapDecoder

    HeatmapDecoder.load(run)
    folder = get_preset(preset).decoder
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        _copy(run / name, folder / name)
    note(folder / WEIGHTS_FILE)
    return folder


def _copy(source: Path, target: Path) -> None:
    data = source.read_bytes()
    write_atomic(target, lambda file: file.write(data))


def note(path: Path) -> None:
    """Write down beside it what a file of weights is, for `tvad models` and `tvad doctor`."""
    data = path.read_bytes()
    noted = path.parent / SUMS
    others = json.loads(noted.read_text(encoding="utf-8")) if noted.is_file() else {}
    kept = {name: said for name, said in others.items() if (path.parent / name).is_file()}
    text = json.dumps(kept | {path.name: [hashlib.sha256(data).hexdigest(), len(data)]}) + "\n"
    write_atomic(noted, lambda file: file.write(text.encode()))


def adapter(run: Path, preset: str) -> Path:
    """Copy an adapter, or that of a run's newest checkpoint. AdapterError or MissingWeights when it cannot be read."""
    from training.lvlm.checkpoint import found

    newest = found(run)
    folder = SHIPPED / preset
    Adapter.load(newest[-1] / "adapter" if newest else run).save(folder, half=True)
    note(folder / FILES[1])
    return folder


def head(run: Path, preset: str) -> Path:
    """Copy a temporal head that reads the preset's snippets. HeadError or MissingWeights when it cannot be read."""
    from tvad.head_part import graph
    from tvad.temporal.registry import CONFIG_FILE, WEIGHTS_FILE

    graph(run)
    folder = get_preset(preset).head
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        _copy(run / name, folder / name)
    note(folder / WEIGHTS_FILE)
    return folder


def kinds(run: Path, preset: str) -> Path:
    """Copy what names events, beside the temporal head. KindsError or MissingWeights when it cannot be read."""
    from tvad.kinds import FILE, Kinds

    Kinds.load(run)
    folder = get_preset(preset).head
    _copy(run / FILE, folder / FILE)
    note(folder / FILE)
    return folder


def people(run: Path, _preset: str) -> Path:
    """Copy a finder of people. ValueError when it cannot be read."""
    from heatmap.people import PeopleNetwork
    from tvad.people import FILE

    PeopleNetwork.load(run / FILE.name)
    _copy(run / FILE.name, FILE)
    note(FILE)
    return FILE.parent


KINDS: dict[str, Callable[[Path, str], Path]] = {
    "decoder": decoder,
    "adapter": adapter,
    "head": head,
    "kinds": kinds,
    "people": people,
}


def shipped_bytes() -> int:
    """Size of all weights in the package."""
    package = SHIPPED.parent
    return sum(
        f.stat().st_size
        for kind in ("adapters", "codes", "decoders", "heads")
        for f in (package / kind).rglob("*.safetensors")
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("run", type=Path)
    parser.add_argument("--preset", default="mini")
    given = parser.parse_args()
    folder = KINDS[given.kind](given.run, given.preset)
    size = shipped_bytes()
    print(f"{folder}; all weights of the package: {size / 2**20:.1f} MiB of {LARGEST_BYTES / 2**20:.0f}")
    return 0 if size <= LARGEST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
