"""Watching: a full-size LVLM before one video, as a `Backbone`. Frames are seen once; tokens are read once.

What two calls share from their start is not read again: of a follow-up only its own tokens are. Several videos are
answered side by side by `answer_together`.  Next: tvad/explainer.py
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tvad.lvlm.base import Messages
from tvad.lvlm.loaded import Loaded, Seen
from tvad.lvlm.rae import Embedded


class Watching:
    """A `Backbone` that has seen a video. computed: tokens that went through the language model so far."""

    def __init__(self, loaded: Loaded, seen: Seen) -> None:
        self._loaded, self._seen = loaded, seen
        self.stop_ids, self.context = loaded.stop_ids, loaded.context
        self.computed = 0
        self._ids: list[int] = []
        self._given = np.zeros((0, loaded.width), np.float32)
        self._cache: Any = None
        self._shift = 0  # of the position of a word against its place

    @property
    def seen(self) -> Seen:
        """The video."""
        return self._seen

    def encode(self, messages: Messages) -> list[int]:
        """See `Backbone.encode`."""
        return self._loaded.encode(messages, self._seen.pictures)

    def decode(self, ids: Sequence[int]) -> str:
        """See `Backbone.decode`."""
        return self._loaded.decode(ids)

    def first_tokens(self, words: Sequence[str]) -> list[int]:
        """See `Backbone.first_tokens`."""
        return self._loaded.first_tokens(words)

    @torch.inference_mode()
    def next_logits(self, ids: Sequence[int], given: np.ndarray | None = None) -> np.ndarray:
        """See `Backbone.next_logits`."""
        ids = list(ids)
        given = np.zeros((0, self._loaded.width), np.float32) if given is None else np.asarray(given, np.float32)
        check_given(self._loaded, ids, given)
        if len(ids) > self.context:
            raise ValueError(f"{len(ids)} tokens are more than the {self.context} that the model can read")
        shared, known = self._shared(ids, given), len(self._ids)
        self._ids = []  # until the call has ended well, the cache holds nobody knows what
        if shared:
            if known > shared:
                self._cache.crop(shared - known)
            out = self._next(ids, shared)
        else:
            out = self._first(ids, given)
        self.computed += len(ids) - shared
        self._ids, self._given = ids, given
        return out.logits[0, -1].float().cpu().numpy()

    def _shared(self, ids: list[int], given: np.ndarray) -> int:
        """How many tokens need not be read again: all of the pictures and the evidence, or none."""
        same = next((n for n, (a, b) in enumerate(zip(ids, self._ids, strict=False)) if a != b), None)
        shared = min(len(ids), len(self._ids)) if same is None else same
        shared = min(shared, len(ids) - 1)  # the last one gives the logits
        whole = given.shape == self._given.shape and np.array_equal(given, self._given)
        return shared if whole and shared >= 1 + last_shown(self._loaded, ids) and self._cache is not None else 0

    def _first(self, ids: list[int], given: np.ndarray) -> Any:
        from transformers import DynamicCache

        self._cache = DynamicCache(config=self._loaded.config)
        batch = batch_of(self._loaded, [Prompt(ids, given, self._seen)])
        self._shift = int(batch.positions.max()) + 1 - len(ids)
        return run(self._loaded, batch, self._cache)

    def _next(self, ids: list[int], shared: int) -> Any:
        device = self._loaded.device
        places = torch.arange(shared, len(ids), device=device)[None] + self._shift
        return self._loaded.model(
            input_ids=torch.tensor([ids[shared:]], device=device),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long, device=device),
            position_ids=places.expand(3, 1, -1) if self._three else places,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )

    @property
    def _three(self) -> bool:
        return hasattr(self._loaded.base.model, "get_rope_index")


@dataclass(frozen=True)
class Prompt:
    """Tokens of a dialogue, what stands at its placeholders (N, D) float32, and the video."""

    ids: list[int]
    given: np.ndarray
    seen: Seen | None


@dataclass(frozen=True)
class Batch:
    """Prompts side by side, padded on the left. positions (B, S), or (3, B, S); mask (B, S) 1 for tokens of a row."""

    ids: torch.Tensor
    mask: torch.Tensor
    positions: torch.Tensor
    given: Embedded
    features: dict[str, Any]


def batch_of(loaded: Loaded, prompts: Sequence[Prompt]) -> Batch:
    """Prompts as one batch."""
    device, longest = loaded.device, max(len(p.ids) for p in prompts)
    ids = torch.full((len(prompts), longest), loaded.tokenizer.pad_token_id or 0, device=device)
    mask = torch.zeros_like(ids)
    rows = []
    for n, prompt in enumerate(prompts):
        own = torch.tensor(prompt.ids, device=device)[None]
        ids[n, -len(prompt.ids) :], mask[n, -len(prompt.ids) :] = own[0], 1
        found = loaded.family.positions(loaded.base, own, prompt.seen.pictures if prompt.seen else None)
        rows.append(torch.nn.functional.pad(found, (longest - len(prompt.ids), 0)))
    counts = torch.tensor([len(p.given) for p in prompts], device=device)
    embeddings = torch.zeros(len(prompts), int(counts.max()), loaded.width, device=device)
    for row, prompt in zip(embeddings, prompts, strict=True):
        row[: len(prompt.given)] = torch.from_numpy(prompt.given).to(device)
    seen = [p.seen.features for p in prompts if p.seen]
    features = {loaded.family.door: loaded.family.joined(seen)} if seen else {}
    return Batch(ids, mask, torch.cat(rows, -2), Embedded(embeddings, counts), features)


def run(loaded: Loaded, batch: Batch, cache: Any) -> Any:
    """The model's first reading of a batch, kept in the cache; logits of the last token only."""
    given = loaded.injector.given(batch.given) if int(batch.given.counts.sum()) else loaded.injector.nothing()
    with given:
        return loaded.model(
            input_ids=batch.ids,
            attention_mask=batch.mask,
            position_ids=batch.positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            mm_encoder_outputs=batch.features or None,
        )


def answer_together(loaded: Loaded, prompts: Sequence[Prompt], max_new_tokens: int = 160) -> list[str]:
    """The greedy answers to several prompts, in their order, read and written side by side.

    An answer ends with the model's own end or after `max_new_tokens`. ValueError for no prompt, one too long, and
    another number of embeddings than of placeholders.
    """
    if not prompts or max_new_tokens < 1:
        raise ValueError(f"{len(prompts)} prompts and {max_new_tokens} new tokens; both must be 1 or more")
    limits = [max_new_tokens] * len(prompts)
    return [loaded.decode([t for t in ids if t is not None]) for ids in tokens_together(loaded, prompts, limits)]


@torch.inference_mode()
def logits_together(loaded: Loaded, prompts: Sequence[Prompt]) -> np.ndarray:
    """(B, V) float32 of the token after each prompt. ValueError as `answer_together`."""
    for prompt in prompts:
        check_given(loaded, prompt.ids, prompt.given)
    out: np.ndarray = run(loaded, batch_of(loaded, prompts), None).logits[:, -1].float().cpu().numpy()
    return out


@torch.inference_mode()
def tokens_together(
    loaded: Loaded,
    prompts: Sequence[Prompt],
    limits: Sequence[int],
    allowed: Sequence[Sequence[int]] = (),
    ended: Callable[[list[int]], bool] = lambda ids: False,
) -> list[list[int | None]]:
    """The tokens of each answer, greedy; None at the end of one that reached its limit. allowed: of which tokens an
    answer begins with one, any where there are none. ended: asked after every token whether the answer is to stop
    there (its last token then does not count). ValueError as `answer_together`."""
    from transformers import DynamicCache

    for prompt, limit in zip(prompts, limits, strict=True):
        check_given(loaded, prompt.ids, prompt.given)
        if len(prompt.ids) + limit > loaded.context:
            raise ValueError(f"{len(prompt.ids)} tokens leave no room for {limit} of {loaded.context}")
    cache = DynamicCache(config=loaded.config)
    batch = batch_of(loaded, prompts)
    out = run(loaded, batch, cache)
    places, mask = batch.positions[..., -1:], batch.mask
    said: list[list[int]] = [[] for _ in prompts]
    full = [False] * len(prompts)
    open_rows = torch.ones(len(prompts), dtype=torch.bool)
    for n in range(max(limits)):
        logits = out.logits[:, -1]
        chosen = logits.argmax(-1)
        for row, first in enumerate(allowed if n == 0 else ()):
            if first:
                chosen[row] = first[int(logits[row, list(first)].argmax())]
        for row, token in enumerate(chosen.tolist()):
            if not open_rows[row]:
                continue
            if token in loaded.stop_ids or ended([*said[row], token]):
                open_rows[row] = False
                continue
            said[row].append(token)
            if len(said[row]) == limits[row]:
                open_rows[row], full[row] = False, True
        if not open_rows.any():
            break
        # What a finished row says is thrown away; it must be no picture and no placeholder.
        chosen = torch.where(open_rows.to(chosen.device), chosen, batch.ids[:, -1])
        places = places + 1
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
        out = loaded.model(
            input_ids=chosen[:, None],
            attention_mask=mask,
            position_ids=places,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
    return [[*ids, None] if cut else [*ids] for ids, cut in zip(said, full, strict=True)]


def check_given(loaded: Loaded, ids: Sequence[int], given: np.ndarray) -> None:
    """ValueError unless there are as many embeddings, of the model's width, as placeholders."""
    here = list(ids).count(loaded.placeholder)
    if here != len(given) or given.shape[1:] != (loaded.width,):
        raise ValueError(
            f"{here} placeholder tokens, but {len(given)} embeddings of {given.shape[1:]} numbers were given; "
            f"expected as many, of {loaded.width}"
        )


def last_shown(loaded: Loaded, ids: Sequence[int]) -> int:
    """Place of the last token of a picture or of evidence, -1 without any."""
    names = ("image_token_id", "video_token_id")
    shown = {loaded.placeholder, *(getattr(loaded.config, name, None) for name in names)}
    return next((n for n in range(len(ids) - 1, -1, -1) if ids[n] in shown), -1)
