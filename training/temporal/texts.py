"""Class texts for a training: words for the names of classes, and the tower that makes vectors of them.

auto      what stands in for the paper's own with MiniLM: a learned context for VadCLIP and Fine-VAD, none for DSANet
minilm    MiniLM's vectors as they are
random    vectors that mean nothing, for tests
FOLDER    a CLIP model's folder: learned prompts for VadCLIP and Fine-VAD, text adapters for DSANet, as published

Next: training/temporal/evaluate.py
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.datasets.weak import NORMAL, XD_CLASSES
from tvad.temporal.clip_text import AdaptedClip, LearnedContext, PromptedClip, read_clip_text
from tvad.temporal.registry import UCF, XD, head_info
from tvad.temporal.text import FixedText, TextTower, random_text

ANY = "anomaly"  # Fine-VAD's text of any anomaly
RANDOM_WIDTH = 64
ADAPTERS: dict[str, dict[str, Any]] = {UCF: {"layers": 3, "share": 0.1}, XD: {"layers": 1, "share": 0.6}}  # DSANet's
_JOINED = re.compile(r"(?<=[a-z])(?=[A-Z])|[_\-\s]+")


def words_of(name: str) -> str:
    """A class name as one would say it: "RoadAccidents" is "road accidents", XD-Violence's "B6" is "car accident"."""
    if name in XD_CLASSES:
        return XD_CLASSES[name]
    return " ".join(part for part in _JOINED.split(name) if part).casefold() or NORMAL


def label_of(name: str) -> str:
    """A class name as the published code gives it to CLIP: what is written as one word stays one, "roadaccidents"."""
    return XD_CLASSES.get(name) or " ".join(re.split(r"[_\-\s]+", name)).strip().casefold() or NORMAL


def make_text(kind: str, head: str, names: Sequence[str], recipe: str = UCF) -> TextTower | None:
    """The tower of a new head, as published for a data set; None for one that compares with no texts. ValueError or
    OSError where there is no CLIP model."""
    if not head_info(head).text:
        return None
    published = kind not in ("auto", "minilm", "random")
    words = [(label_of if published else words_of)(name) for name in names] + ([ANY] if head == "finevad" else [])
    if kind == "random":
        return random_text(words, RANDOM_WIDTH)
    if published:
        if not Path(kind).is_dir():
            raise ValueError(f"text is {kind!r}; choose auto, minilm, random, or the folder of a CLIP model")
        clip, tokenizer = read_clip_text(kind)
        if head == "dsanet":
            return AdaptedClip(clip, tokenizer, words, **ADAPTERS[recipe])
        return PromptedClip(clip, tokenizer, words)
    from tvad.minilm import embed

    rows = torch.from_numpy(embed(words))
    return FixedText(words, rows) if kind == "minilm" or head == "dsanet" else LearnedContext(words, rows)
