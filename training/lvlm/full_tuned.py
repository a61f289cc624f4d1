"""A full-size model in training: a frozen LVLM, low-rank adapters on its language model, the region encoder.

Dialogues are packed: several stand in one row, each blind to the others and with positions of its own, so that nothing
is padded. Logits are computed where an answer is supervised.  Next: training/lvlm/full.py
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from heatmap.decoder import HeatmapDecoder
from training.lvlm.full_data import Shown
from training.lvlm.tuned import parameter_groups
from tvad.lvlm.adapter import Adapter, AdapterConfig, from_training
from tvad.lvlm.family import Pictures
from tvad.lvlm.loaded import Loaded
from tvad.lvlm.lora import add_lora, trainable
from tvad.lvlm.rae import Embedded, RegionAwareEncoder, ViewBatch, collate_views, mean_row_norm
from tvad.lvlm.view import View


@dataclass(frozen=True)
class Written:
    """A dialogue in tokens, which of them are supervised, and what is shown. features: of the tower, None where the
    pictures have not been through it."""

    ids: list[int]
    said: list[bool]
    view: View
    pictures: Pictures
    features: Any = None


@dataclass(frozen=True)
class Row:
    """Packed dialogues: ids (1, S), positions (1, S) or (3, 1, S), which dialogue each token is of (S,), places (A,) of
    the tokens whose next one is supervised, those next ones (A,), and what is shown: pictures, and features of those
    that the tower has seen."""

    ids: torch.Tensor
    positions: torch.Tensor
    of: torch.Tensor
    places: torch.Tensor
    wanted: torch.Tensor
    views: ViewBatch
    pictures: tuple[Pictures, ...]
    features: tuple[Any, ...]


class FullTuned(nn.Module):
    """Only `rae` and the adapters inside `model` are trained, in float32."""

    def __init__(
        self, config: AdapterConfig, loaded: Loaded, checkpointing: bool = True, decoder: HeatmapDecoder | None = None
    ) -> None:
        """checkpointing: layers compute their inside again on the way back instead of keeping it. decoder: the frozen
        one whose heat is shown, as the configuration's `ahd` has it."""
        super().__init__()
        self.config = config
        # Not a submodule: it does not learn here.
        self._decoder = [decoder.to(loaded.device).eval().requires_grad_(False) if decoder is not None else None]
        loaded.injector.remove()
        model = loaded.model
        rae = RegionAwareEncoder(config.rae, mean_row_norm(model.get_input_embeddings().weight))
        self.model = add_lora(model, config.lora)
        if checkpointing:
            # The layers' inputs come from the injected embeddings, which have gradients; nothing else is needed.
            self.model.activation_checkpointing_enable({"use_reentrant": False})
        self.rae = rae.to(loaded.device)
        # Not a submodule: everything in it is in `model` already.
        self._loaded = [Loaded(self.model, loaded.processor, loaded.family)]
        for parameter in trainable(self.rae, self.model):
            parameter.data = parameter.data.float()

    @property
    def loaded(self) -> Loaded:
        return self._loaded[0]

    @property
    def decoder(self) -> HeatmapDecoder | None:
        return self._decoder[0]

    def adapter(self, yes_no: tuple[float, float] = (1.0, 0.0)) -> Adapter:
        """What was trained, as it is kept and shipped."""
        return from_training(self.config, self.rae, self.model, yes_no, self.decoder)

    def groups(self, rae_rate: float, lora_rate: float, decay: float) -> list[dict[str, Any]]:
        """See `parameter_groups`."""
        return parameter_groups(self.rae, self.model, rae_rate, lora_rate, decay)

    def written(self, shown: Shown) -> Written:
        """A dialogue as the model reads it, up to the end of its last answer."""
        loaded = self.loaded
        seen = shown.seen
        if seen is not None:
            pictures, features = seen.pictures, seen.features
        else:
            pictures = loaded.family.pictures(loaded.processor, loaded.config, shown.frames, shown.times_s)
            features = None
        ids, said = loaded.supervised(shown.messages, pictures)
        end = len(said) - said[::-1].index(True)
        return Written(ids[:end], said[:end], shown.view, pictures, features)

    def row(self, written: Sequence[Written]) -> Row:
        """Dialogues side by side in one row."""
        loaded, device = self.loaded, self.loaded.device
        ids: list[int] = []
        positions, of, places, wanted = [], [], [], []
        for number, one in enumerate(written):
            places += [len(ids) + n - 1 for n, is_said in enumerate(one.said) if is_said]
            wanted += [token for token, is_said in zip(one.ids, one.said, strict=True) if is_said]
            own = torch.tensor([one.ids], device=device)
            positions.append(loaded.family.positions(loaded.base, own, one.pictures))
            of += [number] * len(one.ids)
            ids += one.ids
        return Row(
            torch.tensor([ids], device=device),
            torch.cat(positions, -1),
            torch.tensor(of, device=device),
            torch.tensor(places, device=device),
            torch.tensor(wanted, device=device),
            collate_views([one.view for one in written]).to(device),
            tuple(one.pictures for one in written),
            tuple(one.features for one in written),
        )

    def forward(self, row: Row) -> torch.Tensor:
        """Cross-entropy summed over the supervised tokens of a row."""
        loaded = self.loaded
        with torch.autocast(row.ids.device.type, enabled=False):
            given = self.rae(row.views)
        own = torch.arange(given.embeddings.shape[1], device=given.counts.device)[None] < given.counts[:, None]
        flat = Embedded(given.embeddings[own][None], given.counts.sum()[None])
        with torch.no_grad():
            features = [
                loaded.family.features(loaded.base, pictures) if seen is None else seen
                for pictures, seen in zip(row.pictures, row.features, strict=True)
            ]
        with loaded.injector.given(flat):
            out = self.model(
                input_ids=row.ids,
                attention_mask=apart(row.of, loaded.base.dtype),
                position_ids=row.positions,
                mm_encoder_outputs={loaded.family.door: loaded.family.joined(features)},
                logits_to_keep=row.places,
                use_cache=False,
            )
        return F.cross_entropy(out.logits[0].float(), row.wanted, reduction="sum")


def apart(of: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """(1, 1, S, S) added to the attention: a token sees those before it of its own dialogue. of (S,): whose it is."""
    size = len(of)
    seen = (of[:, None] == of[None]) & torch.ones(size, size, dtype=torch.bool, device=of.device).tril()
    return torch.zeros(size, size, dtype=dtype, device=of.device).masked_fill(~seen, torch.finfo(dtype).min)[None, None]
