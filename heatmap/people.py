"""People and vehicles in a single frame, found on a grid of features: one score a class and one box for each cell.

A small convolutional network on the encoder's features (the analysis has them anyway), in the form of FCOS (Tian et
al., ICCV 2019): a cell says how well it sees a thing of a class, and how far the four sides of that thing's box are.
The score is trained to be the overlap of that box with the true one (Li et al., "Generalized Focal Loss", NeurIPS
2020), so it ranks boxes. Knows no video, no track.

Torch in, torch out.  Next: tvad/people.py
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

CLASSES = ("person", "vehicle")
KIND, VERSION = "tvad-people", 1
FARTHEST = 64.0  # cells, of a side from the middle of its cell


class PeopleNetwork(nn.Module):
    """channels: of the features. width: of the hidden maps. reach: for each time that a cell looks at 5 x 5 others, how
    many cells these are apart."""

    def __init__(self, channels: int = 152, width: int = 96, reach: Sequence[int] = (1, 2, 1, 4, 1, 2)) -> None:
        super().__init__()
        self.config = {"channels": channels, "width": width, "reach": list(reach)}
        self.first = nn.Conv2d(channels, width, 1)
        self.around = nn.ModuleList(
            nn.Conv2d(width, width, 5, padding=2 * apart, dilation=apart, groups=width) for apart in reach
        )
        self.mix = nn.ModuleList(nn.Conv2d(width, width, 1) for _ in reach)
        self.score = nn.Conv2d(width, len(CLASSES), 1)
        self.sides = nn.Conv2d(width, 4, 1)
        # Few cells see anything: without this the first steps only unlearn that half of them do.
        for layer, value in ((self.score, -4.0), (self.sides, 1.0)):
            assert layer.bias is not None
            nn.init.constant_(layer.bias, value)
        nn.init.zeros_(self.sides.weight)

    def forward(self, patch: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """patch (B, h, w, C) to logits (B, classes, h, w) and sides (B, 4, h, w) in cells: left, up, right, down."""
        x = torch.relu(self.first(patch.permute(0, 3, 1, 2) * 4.0))
        for around, mix in zip(self.around, self.mix, strict=True):
            x = x + mix(torch.relu(around(x)))
        return self.score(x), torch.exp(self.sides(x).clamp(-4, 5)).clamp(max=FARTHEST)

    def to_bytes(self) -> bytes:
        """A file of safetensors, in half precision."""
        from safetensors.torch import save

        weights = {name: value.half().contiguous() for name, value in self.state_dict().items()}
        return bytes(save(weights, {"kind": KIND, "version": str(VERSION), "config": json.dumps(self.config)}))

    @classmethod
    def load(cls, path: Path) -> Self:
        """ValueError for a file that is no finder of people; strictly, on the CPU, in eval mode."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "pt") as file:
                note: dict[str, Any] = file.metadata() or {}
                weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            if note.get("kind") != KIND or note.get("version") != str(VERSION):
                raise ValueError(f"it is a {note.get('kind')} of version {note.get('version')}")
            network = cls(**json.loads(note["config"]))
            network.load_state_dict(weights)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{path} is no {KIND} {VERSION}: {error}; training/people makes one") from None
        return network.eval()
