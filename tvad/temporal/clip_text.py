"""Class texts with something learned in them: what VadCLIP and DSANet add to a frozen CLIP text transformer.

    clip, tokenizer = read_clip_text("clip-vit-base-patch16")
    text = PromptedClip(clip, tokenizer, names)      VadCLIP (Wu et al., AAAI 2024): learned context around the class
    text = AdaptedClip(clip, tokenizer, names)       DSANet (AAAI 2026): adapters between the first text layers
    text = LearnedContext(names, embeddings)         neither: one learned vector added to embeddings made before

CLIP's weights are never trained. Next: tvad/temporal/normality.py
"""

import json
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import nn

from tvad.temporal.base import EPS
from tvad.temporal.text import FixedText

CONTEXT_STD = 0.01
NORM_EPS = 1e-6


def read_clip_text(folder: str | Path) -> tuple[Any, Any]:
    """Model and tokenizer of a CLIP, or of its text part, in a local folder as `save_pretrained` writes it; nothing is
    downloaded. FileNotFoundError where there is none, ValueError for another kind of model."""
    from transformers import AutoTokenizer, CLIPModel, CLIPTextModelWithProjection

    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no config.json; give the folder of a CLIP model")
    kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    classes: dict[str, Any] = {"clip": CLIPModel, "clip_text_model": CLIPTextModelWithProjection}
    if kind not in classes:
        raise ValueError(f"{folder}: a {kind!r} model; expected one of {list(classes)}")
    model = classes[kind].from_pretrained(folder, local_files_only=True)
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)


class ClipText(nn.Module):
    """Base of both towers: the frozen text transformer, walked layer by layer. Its answer is kept in eval() while
    nothing learned changes, since a text costs more than a video's temporal head."""

    def __init__(self, clip: Any, names: Sequence[str]) -> None:
        """clip: CLIPTextModelWithProjection or CLIPModel of transformers. It is frozen here."""
        super().__init__()
        if not names:
            raise ValueError("no class names; give at least one")
        self.names = tuple(names)
        self.body: Any = clip.text_model
        self.projection: Any = clip.text_projection
        self.body.requires_grad_(False)
        self.projection.requires_grad_(False)
        self.width = int(self.projection.out_features)
        self.hidden = int(self.body.config.hidden_size)
        self.room = int(self.body.config.max_position_embeddings)
        self._kept: tuple[Hashable, torch.Tensor] | None = None

    def forward(self) -> torch.Tensor:
        """(C + 1, width)."""
        if self.training or torch.is_grad_enabled():
            return self.encode()
        state = (torch.is_inference_mode_enabled(), *((p.data_ptr(), p._version, p.dtype) for p in self.parameters()))
        if self._kept is None or self._kept[0] != state:
            self._kept = state, self.encode()
        return self._kept[1]

    def encode(self) -> torch.Tensor:
        """The same, computed."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.body.eval()
        # Changes made through .data leave no trace in a tensor's version.
        self._kept = None
        return self

    def states(self, x: torch.Tensor) -> torch.Tensor:
        """Token embeddings (N, L, hidden), without positions, through all layers and the last norm."""
        length = x.shape[1]
        x = x + self.body.embeddings.position_embedding.weight[:length]
        future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
        causal = torch.zeros(1, 1, length, length, dtype=x.dtype, device=x.device)
        causal = causal.masked_fill(future, torch.finfo(x.dtype).min)
        for number, layer in enumerate(self.body.encoder.layers):
            x = self.after_layer(number, layer(x, causal))
        out: torch.Tensor = self.body.final_layer_norm(x)
        return out

    def after_layer(self, number: int, x: torch.Tensor) -> torch.Tensor:
        return x

    def embedded(self, tokens: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.body.embeddings.token_embedding(tokens)
        return out


class PromptedClip(ClipText):
    """VadCLIP's texts, not normalised: one table of learned context, shared by all classes, around the class name.

    A text is [start] context, class, context [end], then nothing that matters: attention is causal. Row i of the table
    is the context of position i, whatever the length of the class name.
    """

    def __init__(self, clip: Any, tokenizer: Any, names: Sequence[str], before: int = 10, after: int = 10) -> None:
        """before, after: learned tokens on either side. ValueError where a name does not fit."""
        super().__init__(clip, names)
        if before < 0 or after < 0:
            raise ValueError(f"before is {before} and after is {after}; both must be at least 0")
        words = [_tokens(tokenizer, name) for name in self.names]
        ends = [before + len(w) + 1 + after for w in words]
        if max(ends) >= self.room:
            longest = self.names[ends.index(max(ends))]
            raise ValueError(f"{longest!r} with its context has {max(ends) + 1} tokens; the model reads {self.room}")
        tokens = torch.full((len(words), max(ends) + 1), -1)  # -1: learned
        tokens[:, 0] = int(tokenizer.bos_token_id)
        for row, ids, end in zip(tokens, words, ends, strict=True):
            row[before + 1 : before + 1 + len(ids)] = torch.tensor(ids)
            row[end] = int(tokenizer.eos_token_id)
        self.register_buffer("tokens", tokens, persistent=False)
        self.register_buffer("ends", torch.tensor(ends), persistent=False)
        self.context = nn.Parameter(CONTEXT_STD * torch.randn(self.room, self.hidden))
        bare = [[int(tokenizer.bos_token_id), *ids, int(tokenizer.eos_token_id)] for ids in words]
        # What stands after the end is never looked at.
        filled = [ids + ids[-1:] * (max(map(len, bare)) - len(ids)) for ids in bare]
        self.register_buffer("bare", torch.tensor(filled), persistent=False)
        self.register_buffer("bare_ends", torch.tensor([len(ids) - 1 for ids in bare]), persistent=False)

    def plain(self) -> torch.Tensor:
        """(C + 1, width) of the bare names, without context: what CLIP itself makes of them."""
        out: torch.Tensor = self.projection(_at(self.states(self.embedded(self.bare)), self.bare_ends))  # type: ignore[arg-type]
        return out

    def encode(self) -> torch.Tensor:
        tokens: torch.Tensor = self.tokens  # type: ignore[assignment]
        learned = (tokens < 0).unsqueeze(-1)
        x = torch.where(learned, self.context[: tokens.shape[1]], self.embedded(tokens.clamp(min=0)))
        out: torch.Tensor = self.projection(_at(self.states(x), self.ends))  # type: ignore[arg-type]
        return out


class AdaptedClip(ClipText):
    """DSANet's texts, of length 1: after each of the first `layers` text layers a share of every token is replaced by a
    learned view of it, and a learned output stands in for CLIP's projection."""

    def __init__(
        self,
        clip: Any,
        tokenizer: Any,
        names: Sequence[str],
        layers: int = 3,
        share: float = 0.1,
        descriptions: Sequence[Sequence[str]] | None = None,
    ) -> None:
        """layers, share: 3 and 0.1 for UCF-Crime, 1 and 0.6 for XD-Violence. descriptions: of each class, whose texts
        are averaged; None reads the bare names."""
        super().__init__(clip, names)
        depth = len(self.body.encoder.layers)
        if not 0 <= layers <= depth:
            raise ValueError(f"layers is {layers}; the text model has {depth}")
        if not 0 <= share <= 1:
            raise ValueError(f"share is {share}; it must be in [0, 1]")
        given = [[name] for name in self.names] if descriptions is None else [list(d) for d in descriptions]
        if len(given) != len(self.names) or not all(given):
            raise ValueError(f"descriptions of {len(given)} classes; expected at least one for each of {self.names}")
        self.share = share
        self.views = nn.ModuleList(nn.Linear(self.hidden, self.hidden, bias=False) for _ in range(layers))
        self.out: nn.Module = nn.Sequential(nn.Linear(self.hidden, self.width, bias=False), nn.LeakyReLU())
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.weight.requires_grad:
                nn.init.xavier_uniform_(module.weight)
        texts = [[tokenizer.bos_token_id, *_tokens(tokenizer, d), tokenizer.eos_token_id] for g in given for d in g]
        longest = max(len(t) for t in texts)
        if longest > self.room:
            raise ValueError(f"a description has {longest} tokens; the model reads {self.room}")
        # What stands after the end is never looked at.
        filled = [t + [tokenizer.eos_token_id] * (longest - len(t)) for t in texts]
        owners = torch.tensor([i for i, g in enumerate(given) for _ in g])
        mean = F.one_hot(owners, len(given)).float().T / torch.bincount(owners)[:, None]
        self.register_buffer("tokens", torch.tensor(filled), persistent=False)
        self.register_buffer("ends", torch.tensor([len(t) - 1 for t in texts]), persistent=False)
        self.register_buffer("mean", mean, persistent=False)  # (C + 1, texts)

    def after_layer(self, number: int, x: torch.Tensor) -> torch.Tensor:
        if number >= len(self.views):
            return x
        return self.share * self.view(number, x) + (1 - self.share) * x

    def view(self, number: int, x: torch.Tensor) -> torch.Tensor:
        """What the adapter after a layer makes of its tokens (N, L, hidden), each as long as it was."""
        seen = F.leaky_relu(self.views[number](x))
        return seen * (x.norm(dim=-1, keepdim=True) / (seen.norm(dim=-1, keepdim=True) + NORM_EPS))

    def encode(self) -> torch.Tensor:
        tokens: torch.Tensor = self.tokens  # type: ignore[assignment]
        rows = self.out(_at(self.states(self.embedded(tokens)), self.ends))  # type: ignore[arg-type]
        return F.normalize(self.mean @ rows, dim=-1, eps=EPS)  # type: ignore[operator]


class LearnedContext(FixedText):
    """Embeddings made before, and one learned vector added to all of them.

    Ours, and no published method: a stand-in for learned prompts where the text encoder's layers are out of reach, as
    for MiniLM in `mini`. It can move the classes together, not reshape one by what its words mean.
    """

    def __init__(self, names: Sequence[str], embeddings: torch.Tensor) -> None:
        """embeddings (C + 1, d), a row for each name."""
        super().__init__(names, embeddings)
        self.context = nn.Parameter(CONTEXT_STD * torch.randn(self.width))

    def forward(self) -> torch.Tensor:
        return super().forward() + self.context

    def plain(self) -> torch.Tensor:
        """The embeddings without the learned vector."""
        return super().forward()


def _tokens(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text, without start and end."""
    ids = [int(i) for i in tokenizer(text, add_special_tokens=False)["input_ids"]]
    if not ids:
        raise ValueError(f"the tokenizer makes nothing of the class text {text!r}")
    return ids


def _at(states: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """States (N, L, hidden) at one position each, (N,) -> (N, hidden)."""
    return states[torch.arange(len(states), device=states.device), ends]
