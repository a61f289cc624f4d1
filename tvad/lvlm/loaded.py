"""Loaded: a full-size LVLM from a folder of transformers, frozen; what it sees of videos, how it writes dialogues down.

Frames go through the vision tower once: what the language model reads and what the heatmap decoder reads come from the
same pass. The chat template is the folder's own.  Next: tvad/lvlm/watching.py
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tvad.lvlm import family_of
from tvad.lvlm.base import Messages
from tvad.lvlm.family import Family, Pictures
from tvad.lvlm.inject import Injector, placeholder_of
from tvad.lvlm.quantise import quantisation
from tvad.weights import MissingWeights

PLACEHOLDER = "<|anomaly_pad|>"
ROLES = ("system", "user", "assistant")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
ATTENTION = ("sdpa", "flash_attention_2", "eager")
APART = "\u200b"  # put into a control token that a person wrote, so that it stays words


@dataclass(frozen=True)
class Seen:
    """A video as the model saw it. features: what the language model reads (`mm_encoder_outputs`); taps: block of the
    vision tower -> its patches (T', h, w, C)."""

    pictures: Pictures
    features: Any
    taps: dict[int, torch.Tensor] = field(default_factory=dict)


class Loaded:
    """A model, its processor and its family. Shared by all videos; one call at a time.

    placeholder: number of the token that embeddings are written over. passes: videos that went through the tower.
    """

    def __init__(self, model: Any, processor: Any, family: Family) -> None:
        """model: of transformers, or a peft model around one."""
        self.model, self.processor, self.family = model, processor, family
        self.tokenizer = processor.tokenizer
        self.placeholder = placeholder_of(self.tokenizer, model, PLACEHOLDER)
        self.injector = Injector(model, self.placeholder)
        self.passes = 0

    @property
    def base(self) -> Any:
        """The transformers model."""
        return self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model

    @property
    def config(self) -> Any:
        return self.base.config

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def width(self) -> int:
        """Numbers in an embedding of the language model."""
        return int(self.model.get_input_embeddings().weight.shape[1])

    @property
    def context(self) -> int:
        """Tokens it can read at most, the answer included."""
        return int(self.config.text_config.max_position_embeddings)

    @property
    def stop_ids(self) -> frozenset[int]:
        """Tokens that end an answer; pictures and evidence cannot be said, so they do as well."""
        ends = self.base.generation_config.eos_token_id
        names = ("image_token_id", "video_token_id")
        known = [self.tokenizer.eos_token_id, self.placeholder, *(getattr(self.config, n, None) for n in names)]
        return frozenset(n for n in [*(ends if isinstance(ends, list) else [ends]), *known] if n is not None)

    def taps(self) -> tuple[int, ...]:
        """The blocks of the vision tower that a decoder reads where nothing else is said."""
        return self.family.taps(len(self.family.blocks_of(self.base)))

    @torch.no_grad()  # no inference mode: a training reads what comes of it
    def look(self, frames: np.ndarray, times_s: np.ndarray, taps: Sequence[int] = ()) -> Seen:
        """One pass of frames (T, H, W, 3) uint8 RGB, seen at times_s (T,), through the vision tower."""
        fits = frames.ndim == 4 and frames.shape[-1] == 3 and frames.dtype == np.uint8
        if not fits or not len(frames) or len(times_s) != len(frames):
            raise ValueError(
                f"frames are {frames.dtype} {frames.shape} at {len(times_s)} times; expected uint8 (T, H, W, 3), T > 0"
            )
        pictures = self.family.pictures(self.processor, self.config, frames, np.asarray(times_s, np.float64))
        blocks = self.family.blocks_of(self.base)
        if taps and not 0 <= min(taps) <= max(taps) < len(blocks):
            raise ValueError(f"taps {list(taps)} of a vision tower of {len(blocks)} blocks")
        kept: dict[int, torch.Tensor] = {}
        hooks = [blocks[n].register_forward_hook(_keep(kept, n)) for n in taps]
        try:
            features = self.family.features(self.base, pictures)
        finally:
            for hook in hooks:
                hook.remove()
        self.passes += 1
        found = {n: self.family.patches(self.base, kept[n].squeeze(0), pictures) for n in taps}
        return Seen(pictures, self.family.joined([features]), found)

    def embed(self, phrases: Sequence[str]) -> np.ndarray:
        """Mean of the input embeddings of the tokens of each phrase, (N, D) float32: the text side of T-VAD's AHD."""
        table = self.model.get_input_embeddings().weight
        ids = [self.tokenizer.encode(phrase, add_special_tokens=False) for phrase in phrases]
        with torch.no_grad():
            rows = [table[torch.tensor(n, device=table.device)].float().mean(0) for n in ids]
        return torch.stack(rows).cpu().numpy()

    def rendered(self, messages: Messages, pictures: Pictures | None, answer: bool = True) -> str:
        """The dialogue as the chat template writes it, pictures and evidence in the first message of the user.

        answer: up to where the assistant's answer begins, else up to the end of the last turn.
        """
        written, users = [], 0
        for message in messages:
            role, count = message["role"], message.get("tokens", 0)
            if role not in ROLES:
                raise ValueError(f"no role {role!r}; a message is of one of {list(ROLES)}")
            first = role == "user" and not users
            users += role == "user"
            if count < 0 or (count and not first):
                raise ValueError(f"{count} embeddings in a message; only the first of the user has some")
            text = PLACEHOLDER * count + self._words(message.get("lead", "")) + self._words(message["content"])
            shown: list[dict[str, str]] = []
            if first and pictures is not None:
                shown = [{"type": self.family.kind} for _ in pictures.written]
                text = PLACEHOLDER * count + pictures.said + text[len(PLACEHOLDER) * count :]
            written.append({"role": role, "content": [*shown, {"type": "text", "text": text}]})
        # SmolVLM's processor takes what it does not know for settings of its video reader.
        out = self.processor.apply_chat_template(written, add_generation_prompt=answer, tokenize=False)
        return self.family.expand(self.processor, str(out), pictures) if pictures is not None else str(out)

    def encode(self, messages: Messages, pictures: Pictures | None = None) -> list[int]:
        """See `Backbone.encode`."""
        return list(self.tokenizer(self.rendered(messages, pictures), add_special_tokens=False)["input_ids"])

    def supervised(self, messages: Messages, pictures: Pictures | None = None) -> tuple[list[int], list[bool]]:
        """Tokens of a whole dialogue, and which of them the assistant must say: its words and the end of its turn.

        ValueError for a chat template whose beginnings change with what follows.
        """
        whole = self.rendered(messages, pictures, answer=False)
        spans = []
        for n, message in enumerate(messages):
            if message["role"] == "assistant":
                before = self.rendered(messages[:n], pictures)
                after = self.rendered(messages[: n + 1], pictures, answer=False)
                if not whole.startswith(before) or not whole.startswith(after):
                    raise ValueError("the chat template writes a beginning otherwise when more follows; cannot train")
                spans.append((len(before), len(after.rstrip("\n "))))
        given = self.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        said = [any(a <= start and end <= b for a, b in spans) for start, end in given["offset_mapping"]]
        return list(given["input_ids"]), said

    def decode(self, ids: Sequence[int]) -> str:
        """See `Backbone.decode`."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def first_tokens(self, words: Sequence[str]) -> list[int]:
        """See `Backbone.first_tokens`."""
        return sorted({self.tokenizer.encode(word, add_special_tokens=False)[0] for word in words if word})

    def _words(self, text: str) -> str:
        for token in self._control():
            if token in text:
                text = text.replace(token, token[0] + APART + token[1:])
        return text

    def _control(self) -> list[str]:
        known = {str(t) for t in self.tokenizer.added_tokens_decoder.values() if t.special}
        known |= {getattr(self.processor, n, "") or "" for n in ("image_token", "video_token")}
        return sorted((t for t in known if len(t) > 1), key=len, reverse=True)


def load(
    folder: str | Path,
    device: str = "cpu",
    dtype: str = "bf16",
    quantise: str = "",
    attention: str = "sdpa",
) -> Loaded:
    """The model in a folder that `save_pretrained` wrote. Nothing is fetched, and no code of the folder runs.

    dtype: bf16, fp16 or fp32. quantise: "nf4" or "int8" for the language model, "" for none. MissingWeights when there
    is no such folder; ValueError for a model of no known family, and for what `quantisation` refuses.
    """
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder = Path(folder)
    if dtype not in DTYPES or attention not in ATTENTION:
        raise ValueError(
            f"precision {dtype!r}, attention {attention!r}; known are {list(DTYPES)} and {list(ATTENTION)}"
        )
    family = family_of(kind_of(folder))
    settings = quantisation(quantise, family, DTYPES[dtype], device) if quantise else None
    placed: Mapping[str, Any] = {"quantization_config": settings, "device_map": {"": device}} if settings else {}
    try:
        processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
        model: Any = AutoModelForImageTextToText.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            dtype=DTYPES[dtype],
            attn_implementation=attention,
            **placed,
        )
    except (OSError, ImportError) as error:
        raise MissingWeights(f"{folder}: the model cannot be read ({str(error).splitlines()[0]}) (--weights)") from None
    if not settings:
        model = model.to(device)
    return Loaded(model.eval().requires_grad_(False), processor, family)


def kind_of(folder: Path) -> str:
    """model_type of the model in a folder. MissingWeights when there is no model, ValueError for a damaged file."""
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except OSError as error:
        raise MissingWeights(
            f"no model in {folder} ({error.strerror}); give a folder with config.json, safetensors and processor "
            "(--weights FOLDER)"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / 'config.json'} cannot be read: {error}") from None
    return str(kind)


def _keep(kept: dict[int, torch.Tensor], n: int) -> Any:
    def hook(module: Any, inputs: Any, output: Any) -> None:
        kept[n] = output[0] if isinstance(output, tuple) else output

    return hook
