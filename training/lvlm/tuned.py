"""The model in training: a frozen language model, low-rank adapters, the region encoder and the injector, as one.

Logits are only computed where an answer is supervised: the table of words is the largest matrix of a small model.

Next: training/lvlm/loop.py
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from training.lvlm.begin import begin_with_names
from training.lvlm.lean import LeanLlama
from tvad.explainer import NO, YES
from tvad.lvlm.adapter import Adapter, AdapterConfig, from_training, load_for_training
from tvad.lvlm.dialogue import Dialogue
from tvad.lvlm.inject import Injector
from tvad.lvlm.lora import add_lora, trainable
from tvad.lvlm.rae import Embedded, RegionAwareEncoder, ViewBatch, collate_views, mean_row_norm
from tvad.lvlm.view import View

IGNORED = -100  # a label that is not supervised
Change = Callable[[Embedded], Embedded]


@dataclass(frozen=True)
class Batch:
    """Sequences side by side, padded at the right: ids, labels (B, S) int64, mask (B, S) bool, and what they are shown.

    labels[b, s] is ids[b, s] where that token is supervised, else IGNORED. answers: how many answers are supervised.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    mask: torch.Tensor
    views: ViewBatch
    answers: int

    def to(self, device: torch.device | str) -> "Batch":
        ids, labels, mask = (x.to(device, non_blocking=True) for x in (self.ids, self.labels, self.mask))
        return Batch(ids, labels, mask, self.views.to(device), self.answers)


def parameter_groups(
    rae: torch.nn.Module, model: torch.nn.Module, rae_rate: float, lora_rate: float, decay: float
) -> list[dict[str, Any]]:
    """Parameters for the optimiser: low-rank matrices, then the encoder's; vectors and single numbers do not decay."""
    lora = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in rae.parameters() if p.ndim > 1]
    others = [p for p in rae.parameters() if p.ndim <= 1]
    return [
        {"params": lora, "lr": lora_rate, "weight_decay": 0.0},
        {"params": matrices, "lr": rae_rate, "weight_decay": decay},
        {"params": others, "lr": rae_rate, "weight_decay": 0.0},
    ]


class Tuned(nn.Module):
    """Only `rae` and the adapters inside `model` are trained; both are float32, the rest is as it was loaded."""

    def __init__(self, config: AdapterConfig, model: Any, rae: RegionAwareEncoder, dialogue: Dialogue) -> None:
        """model: a peft model as `add_lora` makes it. dialogue: of the same tokenizer, with the placeholder."""
        super().__init__()
        assert dialogue.placeholder is not None
        self.config = config
        self.model = model
        self.rae = rae
        self.dialogue = dialogue
        self.injector = Injector(model, dialogue.placeholder)
        for parameter in trainable(rae, model):
            parameter.data = parameter.data.float()
        self._lean: LeanLlama | None = None
        self.lead = 1.0  # weight of an answer's first token, in the loss
        self.weights: torch.Tensor | None = None  # (V,) of the other tokens; None where all weigh 1

    @classmethod
    def begin(
        cls, config: AdapterConfig, folder: Path, dtype: torch.dtype = torch.bfloat16, named: bool = True
    ) -> "Tuned":
        """A new adapter on the language model in a sealed folder. named: its tokens begin as training/lvlm/begin.py
        says."""
        model = load_base(folder, dtype)
        table = model.get_input_embeddings().weight
        dialogue = Dialogue(folder, config.placeholder)
        rae = RegionAwareEncoder(config.rae, mean_row_norm(table))
        if named:
            begin_with_names(rae, table, dialogue)
        return cls(config, add_lora(model, config.lora), rae, dialogue)

    @classmethod
    def resume(cls, adapter: Adapter, folder: Path, dtype: torch.dtype = torch.bfloat16) -> "Tuned":
        """A trained adapter on the language model in a sealed folder."""
        rae, model = load_for_training(adapter, load_base(folder, dtype))
        return cls(adapter.config, model, rae, Dialogue(folder, adapter.config.placeholder))

    def adapter(self, yes_no: tuple[float, float] = (1.0, 0.0)) -> Adapter:
        """What was trained, as it is kept and shipped."""
        return from_training(self.config, self.rae, self.model, yes_no)

    def groups(self, rae_rate: float, lora_rate: float, decay: float) -> list[dict[str, Any]]:
        """See `parameter_groups`."""
        return parameter_groups(self.rae, self.model, rae_rate, lora_rate, decay)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Mean cross-entropy over the supervised tokens of a batch; the first of each answer counts `lead` times, the
        others as `weights` says."""
        with torch.autocast(batch.ids.device.type, enabled=False):
            given = self.rae(batch.views)
        with self.injector.given(given):
            hidden = self._hidden(batch)
        wanted = batch.labels[:, 1:]
        chosen = wanted != IGNORED
        first = (chosen & (batch.labels[:, :-1] == IGNORED))[chosen]
        logits = self._words(hidden[:, :-1][chosen])
        each = F.cross_entropy(logits.float(), wanted[chosen], reduction="none")
        others = torch.ones_like(each) if self.weights is None else self.weights.to(each)[wanted[chosen]]
        weight = torch.where(first, self.lead, others)
        return (each * weight).sum() / weight.sum()

    def _hidden(self, batch: Batch) -> torch.Tensor:
        inner = self.model.get_base_model().model
        if batch.ids.device.type == "cpu" and not (self.training and self.config.lora.dropout):
            self._lean = self._lean or LeanLlama(self.model)
            return self._lean(inner.embed_tokens(batch.ids))
        out: torch.Tensor = inner(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False).last_hidden_state
        return out

    def _words(self, hidden: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.model.get_base_model().lm_head(hidden)
        return out

    @torch.no_grad()
    def answer(
        self, prompts: Sequence[Sequence[int]], views: Sequence[View], longest: int = 64, change: Change | None = None
    ) -> tuple[list[str], np.ndarray]:
        """Greedy answers to prompts (as `Dialogue.encode` gives them), and the log odds (B,) of "yes" against "no" as
        their first word. Where no prompt has placeholders, views are not looked at. change: of what is injected."""
        device = next(self.rae.parameters()).device
        width = max(map(len, prompts))
        padding = padding_of(self.dialogue)
        ids = torch.full((len(prompts), width), padding, device=device)
        mask = torch.zeros_like(ids, dtype=torch.bool)
        for row, prompt in enumerate(prompts):  # at the left, so that all answers begin at once
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = True
        base = self.model.get_base_model()
        cache: Any = None
        places = (mask.long().cumsum(1) - 1).clamp(min=0)
        said: list[list[int]] = [[] for _ in prompts]
        open_rows = set(range(len(prompts)))
        odds = np.zeros(len(prompts))
        step = ids
        if any(self.dialogue.placeholder in prompt for prompt in prompts):
            with torch.autocast(device.type, enabled=False):
                given = self.rae(collate_views(views).to(device))
            with self.injector.given(change(given) if change else given):
                found = self._next(base, step, mask, places, cache)
        else:
            found = self._next(base, step, mask, places, cache)
        for turn in range(longest):
            logits, cache = found
            if turn == 0:
                odds = self._yes_against_no(logits)
            chosen = logits.argmax(-1).tolist()
            for row in sorted(open_rows):
                if chosen[row] in self.dialogue.stop_ids:
                    open_rows.discard(row)
                else:
                    said[row].append(chosen[row])
            if not open_rows:
                break
            mask = torch.cat([mask, mask.new_ones(len(prompts), 1)], 1)
            places = places[:, -1:] + 1
            step = torch.tensor([[t if r in open_rows else padding] for r, t in enumerate(chosen)], device=device)
            found = self._next(base, step, mask, places, cache)
        return [self.dialogue.decode(row).strip() for row in said], odds

    def _next(self, base: Any, step: Any, mask: Any, places: Any, cache: Any) -> tuple[torch.Tensor, Any]:
        out = base.model(
            input_ids=step, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True
        )
        return self._words(out.last_hidden_state[:, -1]).float(), out.past_key_values

    def _yes_against_no(self, logits: torch.Tensor) -> np.ndarray:
        yes, no = (self.dialogue.first_tokens(words) for words in (YES, NO))
        return (torch.logsumexp(logits[:, yes], 1) - torch.logsumexp(logits[:, no], 1)).cpu().numpy()


def padding_of(dialogue: Dialogue) -> int:
    """A token to fill rows with: any but the placeholder, which only stands where embeddings are written."""
    return min(dialogue.stop_ids - {dialogue.placeholder})


def load_base(folder: Path, dtype: torch.dtype = torch.bfloat16) -> Any:
    """The transformers model in a folder. On a CPU attention is written out, as in lean.py."""
    from transformers import AutoModelForCausalLM

    way = "sdpa" if torch.cuda.is_available() else "eager"
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation=way)


@contextmanager
def quick(module: nn.Module, device: torch.device | str) -> Iterator[None]:
    """Within, a module only answers: no dropout, and bfloat16 where the model is."""
    was = module.training
    module.eval()
    half = any(p.dtype == torch.bfloat16 for p in module.parameters())
    try:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            yield
    finally:
        module.train(was)
