"""Own weights: what was trained here and comes in this package, as `training.ship` noted it beside each file."""

import json
from pathlib import Path

from tvad.weights import Weight

PACKAGE = Path(__file__).parent.parent
SUMS = "sums.json"
USES = {"adapters": "--explain lvlm", "codes": "snippet features", "decoders": "heat decoder", "heads": "temporal head"}
OF_FILE = {"colours.safetensors": "colours of things", "people.safetensors": "people, falls"}


def own_weights(preset: str) -> tuple[Weight, ...]:
    """The package's own weights of a preset, in the order of USES; none where none were shipped."""
    found = []
    for kind, use in USES.items():
        note = PACKAGE / kind / preset / SUMS
        if not note.is_file():
            continue
        for file, (sha256, size) in json.loads(note.read_text(encoding="utf-8")).items():
            name = f"{kind.removesuffix('s') if file == 'model.safetensors' else file.partition('.')[0]}-{preset}"
            inside = f"{kind}/{preset}/{file}"
            found.append(
                Weight(
                    name,
                    OF_FILE.get(file, use),
                    "tvad",
                    PACKAGE.name,
                    inside,
                    sha256,
                    size,
                    "Apache-2.0",
                    "this project",
                )
            )
    return tuple(found)
