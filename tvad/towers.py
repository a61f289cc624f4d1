"""Vision towers of CLIP and SigLIP as taps of the anomaly heatmap decoder, and their text side as its words.

Tapped blocks give features for trained projections; the last tap lies in the text space already, so words work before
any training. There each patch is looked at as if it were alone: CLIP's last attention is replaced by what the patch
itself hands on (MaskCLIP, Zhou et al. 2022, section 3.2), and SigLIP's pooling head reads one patch at a time.

Models come from a local folder in the format of transformers.  Next: heatmap/decoder.py
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from heatmap.decoder import DecoderConfig, HeatmapDecoder, Tap
from heatmap.patches import from_rows
from heatmap.prompts import PLAIN, Text, stacked

FAMILIES = ("clip", "siglip")
ALIGNED = "aligned"  # name of the tap that lies in the text space
CLIP_MEAN, CLIP_SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
HALF = (0.5, 0.5, 0.5)
PIECE = 8  # frames through the tower at once
DEPTHS = (0.0, 0.25, 0.5, 1.0)  # which blocks are tapped where none are named: of 24 blocks 0, 6, 12 and 23
LONGEST = 64  # tokens of a phrase, where the tokenizer does not say


class VisionTower:
    """A CLIP or SigLIP model, frozen.

    folder: as `save_pretrained` writes it, with the tokenizer. layers: 0-based blocks to tap. side: pixels of the
    shorter side of what the tower sees, None for the size it was trained on; the longer side keeps the shape.
    FileNotFoundError where there is no model, ValueError for another kind of model and for layers it does not have.
    """

    def __init__(
        self,
        folder: str | Path,
        layers: Sequence[int] | None = None,
        side: int | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = Path(folder)
        kind = _kind(folder)
        if kind not in FAMILIES:
            raise ValueError(f"{folder}: a {kind!r} model; towers with a text side are {' and '.join(FAMILIES)}")
        # A name on a hub would be fetched: only what lies here is read.
        self.model = AutoModel.from_pretrained(folder, dtype=dtype, local_files_only=True).to(device).eval()
        self.model.requires_grad_(False)
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.kind, self._vision = kind, self.model.vision_model
        about = self._vision.config
        count = about.num_hidden_layers
        chosen = sorted({round(d * (count - 1)) for d in DEPTHS}) if layers is None else list(layers)
        if not chosen or min(chosen) < 0 or max(chosen) >= count or len(set(chosen)) != len(chosen):
            raise ValueError(f"layers {chosen} of a tower of {count}; give different ones from 0 to {count - 1}")
        self.layers, self.patch, self.side = tuple(chosen), int(about.patch_size), int(side or about.image_size)
        if self.side < self.patch:
            raise ValueError(f"side is {self.side} pixels, less than a patch of {self.patch}")
        self.channels = int(about.hidden_size)
        self.width = int(self.model.config.projection_dim if kind == "clip" else about.hidden_size)
        usual = (CLIP_MEAN, CLIP_SPREAD) if kind == "clip" else (HALF, HALF)
        self._mean, self._spread = (torch.tensor(x, device=device, dtype=dtype) for x in _pixels(folder, usual))

    def config(self, hidden: int = 1024) -> DecoderConfig:
        """Of a decoder for this tower: its tapped blocks, then the aligned tap."""
        taps = [Tap(f"layer{i}", self.channels, hidden) for i in self.layers]
        return DecoderConfig((*taps, Tap(ALIGNED, self.width + 1, hidden, text_space=True)), self.width)

    def decoder(self, hidden: int = 1024) -> HeatmapDecoder:
        """An untrained decoder that works from words alone, on the tower's device and in its precision."""
        ground = torch.from_numpy(Text.of(self.embed, templates=PLAIN).ground)
        # Text and images of CLIP do not mix: a constant bias towards what is ordinary is all that is meant here.
        with torch.random.fork_rng():  # the same heat every time
            torch.manual_seed(0)
            decoder = HeatmapDecoder(self.config(hidden)).calm(ground)
        return decoder.to(self._mean.device, self._mean.dtype).eval()

    def words_alone(self) -> HeatmapDecoder:
        """A decoder of the aligned tap alone, the last that `extract` gives: what words say, and nothing untrained."""
        config = DecoderConfig((Tap(ALIGNED, self.width + 1, hidden=1, text_space=True),), self.width)
        ground = torch.from_numpy(Text.of(self.embed, templates=PLAIN).ground)
        return HeatmapDecoder(config).calm(ground).to(self._mean.device, self._mean.dtype).eval()

    def grid(self, size_wh: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of patches for frames of this size."""
        scale = self.side / min(size_wh)
        columns, rows = (max(1, round(s * scale / self.patch)) for s in size_wh)
        return rows, columns

    @torch.inference_mode()
    def extract(self, frames: np.ndarray) -> list[torch.Tensor]:
        """Frames (T, H, W, 3) uint8 RGB to taps, one (1, T, h, w, C_i) each, in the order of `config`."""
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
            raise ValueError(f"frames are {frames.dtype} {frames.shape}; expected uint8 (T, H, W, 3), T at least 1")
        pieces = [self._extract(frames[i : i + PIECE]) for i in range(0, len(frames), PIECE)]
        return [torch.cat(parts)[None] for parts in zip(*pieces, strict=True)]

    @torch.inference_mode()
    def embed(self, phrases: Sequence[str]) -> np.ndarray:
        """Unit vectors of N phrases, (N, width) float32; those longer than the text side reads are cut."""
        room = min(int(self.model.config.text_config.max_position_embeddings), self._tokenizer.model_max_length)
        # SigLIP was trained on phrases padded to one length, CLIP on any.
        padding = "max_length" if self.kind == "siglip" else True
        room = room if room < 10**6 else LONGEST
        given = self._tokenizer(list(phrases), padding=padding, truncation=True, max_length=room, return_tensors="pt")
        wanted = {k: v.to(self._mean.device) for k, v in given.items() if k in ("input_ids", "attention_mask")}
        if self.kind == "siglip":
            wanted.pop("attention_mask", None)
        found = self.model.get_text_features(**wanted)
        vectors = getattr(found, "pooler_output", found)
        out: np.ndarray = F.normalize(vectors.float(), dim=-1).cpu().numpy()
        return out

    def _extract(self, frames: np.ndarray) -> list[torch.Tensor]:
        rows, columns = self.grid((frames.shape[2], frames.shape[1]))
        kept: dict[int, torch.Tensor] = {}
        blocks = self._vision.encoder.layers
        last = len(blocks) - 1
        hooks = [blocks[i].register_forward_hook(_keep(kept, i)) for i in self.layers]
        hooks.append(blocks[last].register_forward_pre_hook(_keep_input(kept), with_kwargs=True))
        try:
            self._vision(self._seen(frames, (rows, columns)), interpolate_pos_encoding=True)
        finally:
            for hook in hooks:
                hook.remove()
        first = 1 if self.kind == "clip" else 0
        taps = [from_rows(kept[i], (rows, columns), first) for i in self.layers]
        aligned = self._aligned(kept[-1], blocks[last])
        there = torch.ones_like(aligned[..., :1])
        return [*taps, from_rows(torch.cat([aligned, there], -1), (rows, columns), first)]

    def _seen(self, frames: np.ndarray, grid: tuple[int, int]) -> torch.Tensor:
        pixels = torch.from_numpy(frames).to(self._mean.device).permute(0, 3, 1, 2).float() / 255
        size = (grid[0] * self.patch, grid[1] * self.patch)
        resized = F.interpolate(pixels, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        return (resized.to(self._mean.dtype) - self._mean.view(-1, 1, 1)) / self._spread.view(-1, 1, 1)

    def _aligned(self, x: torch.Tensor, block: Any) -> torch.Tensor:
        """What goes into the last block, (T, N, C), to unit vectors in the text space (T, N, width)."""
        attention = block.self_attn
        y = x + attention.out_proj(attention.v_proj(block.layer_norm1(x)))
        y = self._vision.post_layernorm(y + block.mlp(block.layer_norm2(y)))
        if self.kind == "clip":
            out = self.model.visual_projection(y)
        else:
            out = self._vision.head(y.flatten(0, 1)[:, None]).view(*y.shape)
        return F.normalize(out, dim=-1)


def tower_heat(tower: VisionTower, decoder: HeatmapDecoder, frames: np.ndarray, text: Text) -> np.ndarray:
    """Log odds of the anomalous words against the normal ones, (T, h, w) float32."""
    vectors, words = (torch.from_numpy(x).to(next(decoder.parameters()).device) for x in stacked([text]))
    taps = tower.extract(frames)[-len(decoder.config.taps) :]  # a decoder of words alone reads the last one
    with torch.inference_mode():
        level = decoder(taps, vectors, words).level[0]
    out: np.ndarray = level.float().cpu().numpy()
    return out


def _keep(kept: dict[int, torch.Tensor], at: int) -> Any:
    def hook(module: Any, inputs: Any, output: Any) -> None:
        kept[at] = output[0] if isinstance(output, tuple) else output

    return hook


def _keep_input(kept: dict[int, torch.Tensor]) -> Any:
    def hook(module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        kept[-1] = inputs[0] if inputs else named["hidden_states"]

    return hook


def _kind(folder: Path) -> str:
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type"))
    except OSError:
        raise FileNotFoundError(f"{folder}: no config.json; give the folder of a CLIP or SigLIP model") from None
    except (ValueError, AttributeError) as error:
        raise ValueError(f"{folder / 'config.json'} cannot be read: {error}") from None


def _pixels(
    folder: Path, usual: tuple[tuple[float, ...], tuple[float, ...]]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and spread of the colours that the model was trained with."""
    path = folder / "preprocessor_config.json"
    if not path.is_file():
        return usual
    known = json.loads(path.read_text(encoding="utf-8"))
    return tuple(known.get("image_mean", usual[0])), tuple(known.get("image_std", usual[1]))
