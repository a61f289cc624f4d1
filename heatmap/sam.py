"""Segment Anything as refiner of hot regions; the one door to it (Kirillov et al. 2023; SAM 2: Ravi et al. 2024).

A region of the heat is as coarse as the patch grid. SAM is asked for masks by the region's box, by its hottest point
and by both; the best of them takes the region's place only where it agrees with the heat (`Agreement`), else it stays.

Weights: a `.safetensors` file of the original SAM's state dict (`convert`, from its .pth), or a folder of transformers
(sam, sam2, sam2_video).  Next: heatmap/regions.py
"""

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch

from heatmap.regions import Region

MIN_IOU = 0.3  # of mask and region
MIN_HEAT = 0.5  # share of the region's heat that the mask keeps
MAX_OUTSIDE = 0.5  # share of the mask that may lie where it is not hot
KINDS = ("sam", "sam2", "sam2_video")  # model_type of a folder of transformers
WINDOW, MEAN, SPREAD = 14, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class SamError(ValueError):
    """Weights that are no SAM, are damaged, or need a package that is not here; str() says what to do."""


class Segmenter(Protocol):
    """A model that makes masks of a frame from prompts."""

    def set_image(self, frame: np.ndarray) -> None:
        """Look at a frame (H, W, 3) uint8 RGB; the masks that follow are of it."""
        ...

    def masks(
        self, box_xyxy: tuple[float, float, float, float] | None, point_xy: tuple[float, float] | None
    ) -> np.ndarray:
        """Masks (C, H, W) bool of what is in the box and at the point, one of them at least given, in pixels."""
        ...


@dataclass(frozen=True)
class Agreement:
    """How a mask and a region of the heat agree, all in [0, 1]. iou: of their areas. heat: share of the region's heat
    that lies in the mask. outside: share of the mask that lies outside of the region."""

    iou: float
    heat: float
    outside: float

    @property
    def accepted(self) -> bool:
        """IoU of 0.3 or more, half of the region's heat or more, at most half of the mask where it is not hot."""
        return self.iou >= MIN_IOU and self.heat >= MIN_HEAT and self.outside <= MAX_OUTSIDE


@dataclass(frozen=True)
class Refined:
    """A region and what became of it. by: "sam", with the mask's box, centre, area and mask, or "heat", unchanged.
    best: the agreement of the best mask there was, None where there was none."""

    region: Region
    by: str
    best: Agreement | None


def agree(mask: np.ndarray, region: np.ndarray, heat: np.ndarray) -> Agreement:
    """mask, region: bool (h, w). heat: (h, w), not negative; without any in the region its area counts."""
    both = mask & region
    weight = heat if heat[region].sum() > 0 else np.ones_like(heat)
    area = int(mask.sum())
    return Agreement(
        iou=float(both.sum() / max(int((mask | region).sum()), 1)),
        heat=float(weight[both].sum() / max(float(weight[region].sum()), 1e-12)),
        outside=1.0 - float(both.sum() / area) if area else 1.0,
    )


def refine(segmenter: Segmenter, frame: np.ndarray, regions: Sequence[Region], heat_hw: np.ndarray) -> list[Refined]:
    """Regions of one moment with masks of `segmenter` where those agree with the heat, in their order.

    frame: (H, W, 3) uint8 RGB, of any size. regions: with their masks (`extract_regions(..., keep_mask=True)`), boxes
    in source pixels. heat_hw: the heat (h, w) that they were cut from. Looks at the frame once. ValueError for a region
    without its mask.
    """
    if not regions:
        return []
    segmenter.set_image(frame)
    return [_refined(segmenter, frame.shape[:2], region, heat_hw) for region in regions]


def _refined(segmenter: Segmenter, size_hw: tuple[int, ...], region: Region, heat_hw: np.ndarray) -> Refined:
    if region.mask is None:
        raise ValueError(f"the region at {region.t_s} s has no mask; extract_regions(..., keep_mask=True)")
    height, width = region.mask.shape
    heat = cv2.resize(heat_hw.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    y, x = np.unravel_index(int(np.where(region.mask, heat, -1.0).argmax()), heat.shape)
    rows, columns = np.flatnonzero(region.mask.any(1)), np.flatnonzero(region.mask.any(0))
    to_x, to_y = size_hw[1] / width, size_hw[0] / height
    box = (columns[0] * to_x, rows[0] * to_y, (columns[-1] + 1) * to_x - 1, (rows[-1] + 1) * to_y - 1)
    peak = ((x + 0.5) * to_x - 0.5, (y + 0.5) * to_y - 0.5)
    best: tuple[Agreement, np.ndarray] | None = None
    for prompt in ((box, peak), (box, None), (None, peak)):
        for found in segmenter.masks(*prompt):
            mask = _resized(found, (width, height))
            agreement = agree(mask, region.mask, heat)
            if best is None or (agreement.accepted, agreement.iou) > (best[0].accepted, best[0].iou):
                best = agreement, mask
    if best is None or not best[0].accepted:
        return Refined(region, "heat", best[0] if best else None)
    return Refined(_of_mask(region, best[1], heat), "sam", best[0])


def _resized(mask: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """A mask at another size: where at least half of a pixel is covered."""
    return cv2.resize(mask.astype(np.float32), size_wh, interpolation=cv2.INTER_AREA) >= 0.5


def _of_mask(region: Region, mask: np.ndarray, heat: np.ndarray) -> Region:
    """The region with the extents of a mask of its working size; its score stays, it is the heat's."""
    assert region.mask is not None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    # Source pixels of a working pixel, from the region's own two extents.
    old_rows, old_columns = np.flatnonzero(region.mask.any(1)), np.flatnonzero(region.mask.any(0))
    x0, y0, x1, y1 = region.box_xyxy
    to_x = (x1 - x0 + 1) / (old_columns[-1] - old_columns[0] + 1)
    to_y = (y1 - y0 + 1) / (old_rows[-1] - old_rows[0] + 1)
    box = (columns[0] * to_x, rows[0] * to_y, (columns[-1] + 1) * to_x - 1, (rows[-1] + 1) * to_y - 1)
    mass = np.where(mask, np.maximum(heat, 1e-6), 0.0)
    centre_x = float(mass.sum(0) @ np.arange(mask.shape[1]) / mass.sum())
    centre_y = float(mass.sum(1) @ np.arange(mask.shape[0]) / mass.sum())
    return replace(
        region,
        box_xyxy=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
        centroid_xy=((centre_x + 0.5) * to_x - 0.5, (centre_y + 0.5) * to_y - 0.5),
        area=float(mask.mean()),
        mask=mask,
    )


# Models


def open_segmenter(path: str | Path, device: str = "cpu") -> Segmenter:
    """The model at `path`: a .safetensors file of the original SAM, or a folder of transformers. SamError."""
    path = Path(path)
    if path.is_dir():
        return _Hub(path, device)
    if not path.is_file():
        raise SamError(f"{path}: no such file or folder; give SAM's weights (--sam)")
    if path.suffix != ".safetensors":
        raise SamError(
            f"{path.name} is no safetensors file, and pickles are not read; convert it once: "
            f"tvad models convert-sam {path} {path.with_suffix('.safetensors')}"
        )
    return _Original(path, device)


def convert(source: str | Path, target: str | Path) -> dict[str, Any]:
    """A .pth of the original SAM as safetensors at `target`; returns its sizes.

    Only tensors are unpickled (`weights_only=True`): what else a pickle holds is refused, never run. The state dict
    must fit a SAM, to the last key. SamError.
    """
    from safetensors.torch import save

    source, target = Path(source), Path(target)
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, OSError) as error:
        raise SamError(f"{source} is no checkpoint of tensors alone: {_line(error)}") from None
    state = state.get("model", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()) or not state:
        raise SamError(f"{source} holds no state dict of tensors")
    _build(state, source.name)
    data = save({k: v.contiguous().clone() for k, v in state.items()}, metadata={"format": "pt", "kind": "sam"})
    # Whole or not at all.
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return sizes_of(state)


def sizes_of(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What the shapes of a state dict say of its SAM: ViT-B has width 768, L 1024, H 1280. KeyError for none."""
    patch = state["image_encoder.patch_embed.proj.weight"]
    grid = state["image_encoder.pos_embed"].shape[1]
    depth = 1 + max(int(k.split(".")[2]) for k in state if k.startswith("image_encoder.blocks."))
    reach = [(state[f"image_encoder.blocks.{i}.attn.rel_pos_h"].shape[0] + 1) // 2 for i in range(depth)]
    everywhere = [i for i, r in enumerate(reach) if r == grid]
    windows = {r for r in reach if r != grid}
    layers = {int(k.split(".")[3]) for k in state if k.startswith("mask_decoder.transformer.layers.")}
    narrow = state["mask_decoder.transformer.layers.0.cross_attn_token_to_image.q_proj.weight"].shape
    quality = [k for k in state if k.startswith("mask_decoder.iou_prediction_head.layers.") and k.endswith("weight")]
    return {
        "width": patch.shape[0],
        "patch": patch.shape[2],
        "side": grid * patch.shape[2],
        "depth": depth,
        "heads": patch.shape[0] // state["image_encoder.blocks.0.attn.rel_pos_h"].shape[1],
        "everywhere": everywhere,
        "window": windows.pop() if windows else WINDOW,
        "mlp": state["image_encoder.blocks.0.mlp.lin1.weight"].shape[0] / patch.shape[0],
        "out": state["image_encoder.neck.0.weight"].shape[0],
        "mask_in": state["prompt_encoder.mask_downscaling.3.weight"].shape[0],
        "decoder_depth": len(layers),
        "decoder_mlp": state["mask_decoder.transformer.layers.0.mlp.lin1.weight"].shape[0],
        "narrowed": narrow[1] // narrow[0],
        "masks": state["mask_decoder.mask_tokens.weight"].shape[0] - 1,
        "quality_depth": len(quality),
        "quality_width": state[quality[0]].shape[0],
    }


def built(size: dict[str, Any]) -> Any:
    """The original SAM of these sizes (`sizes_of`), untrained. SamError without its package."""
    try:
        from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
    except ModuleNotFoundError:
        raise SamError("SAM's own checkpoints need the package segment-anything; pip install 'tvad[sam]'") from None
    grid = size["side"] // size["patch"]
    encoder = ImageEncoderViT(
        img_size=size["side"],
        patch_size=size["patch"],
        embed_dim=size["width"],
        depth=size["depth"],
        num_heads=size["heads"],
        mlp_ratio=size["mlp"],
        out_chans=size["out"],
        norm_layer=_norm,
        use_rel_pos=True,
        window_size=size["window"],
        global_attn_indexes=tuple(size["everywhere"]),
    )
    prompts = PromptEncoder(size["out"], (grid, grid), (size["side"], size["side"]), size["mask_in"])
    two_way = TwoWayTransformer(
        size["decoder_depth"], size["out"], 8, size["decoder_mlp"], attention_downsample_rate=size["narrowed"]
    )
    decoder = MaskDecoder(
        transformer_dim=size["out"],
        transformer=two_way,
        num_multimask_outputs=size["masks"],
        iou_head_depth=size["quality_depth"],
        iou_head_hidden_dim=size["quality_width"],
    )
    return Sam(encoder, prompts, decoder, list(MEAN), list(SPREAD))


def _build(state: dict[str, torch.Tensor], name: str) -> Any:
    """The original SAM with these weights, every key of it and no other. SamError."""
    try:
        model = built(sizes_of(state))
        model.load_state_dict(state, strict=True)
    except SamError:
        raise
    except (KeyError, ValueError, IndexError, RuntimeError, AssertionError, ZeroDivisionError) as error:
        raise SamError(f"{name} is no checkpoint of segment-anything (ViT-B, L or H): {_line(error)}") from None
    return model.eval().requires_grad_(False)


def _norm(width: int) -> torch.nn.LayerNorm:
    return torch.nn.LayerNorm(width, eps=1e-6)


class _Original:
    """A checkpoint of segment-anything, as safetensors."""

    def __init__(self, path: Path, device: str) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state = load_file(path)
        except (SafetensorError, OSError) as error:
            raise SamError(f"{path} cannot be read: {_line(error)}") from None
        model = _build(state, path.name).to(device)
        from segment_anything import SamPredictor

        self._predictor = SamPredictor(model)

    def set_image(self, frame: np.ndarray) -> None:
        """See `Segmenter`."""
        self._predictor.set_image(frame)

    def masks(
        self, box_xyxy: tuple[float, float, float, float] | None, point_xy: tuple[float, float] | None
    ) -> np.ndarray:
        """See `Segmenter`."""
        found, _, _ = self._predictor.predict(
            point_coords=None if point_xy is None else np.array([point_xy]),
            point_labels=None if point_xy is None else np.array([1]),
            box=None if box_xyxy is None else np.array(box_xyxy),
        )
        masks: np.ndarray = np.asarray(found, bool)
        return masks


class _Hub:
    """SAM or SAM 2 of transformers, from a local folder."""

    def __init__(self, folder: Path, device: str) -> None:
        kind = _kind_of(folder)
        import transformers

        own = {"sam": "Sam"}.get(kind, "Sam2")
        loud = transformers.logging.get_verbosity()
        transformers.logging.set_verbosity_error()  # "sam2_video used as sam2" is what is meant here
        transformers.logging.disable_progress_bar()
        try:
            load = getattr(transformers, f"{own}Model").from_pretrained
            model, about = load(folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
            self._processor = getattr(transformers, f"{own}Processor").from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise SamError(f"{folder}: no SAM of transformers can be loaded: {_line(error)}") from None
        finally:
            transformers.logging.set_verbosity(loud)
            transformers.logging.enable_progress_bar()
        wrong = [*about["missing_keys"], *about["mismatched_keys"]]
        if wrong:
            raise SamError(f"{folder}: weights are missing, {len(wrong)} of them, the first {wrong[0]}")
        self._model = model.to(device).eval().requires_grad_(False)
        self._is_first, self._size_hw, self._seen = kind == "sam", (0, 0), None

    @torch.inference_mode()
    def set_image(self, frame: np.ndarray) -> None:
        """See `Segmenter`."""
        self._size_hw = frame.shape[:2]
        given = self._processor(images=frame, return_tensors="pt")
        self._inputs = {k: v for k, v in given.items() if k.endswith("sizes")}
        pixels = given["pixel_values"].to(self._model.device)
        self._seen = self._model.get_image_embeddings(pixels)

    @torch.inference_mode()
    def masks(
        self, box_xyxy: tuple[float, float, float, float] | None, point_xy: tuple[float, float] | None
    ) -> np.ndarray:
        """See `Segmenter`."""
        blank = np.zeros((*self._size_hw, 3), np.uint8)
        prompts: dict[str, Any] = {}
        if box_xyxy is not None:
            prompts["input_boxes"] = [[[float(v) for v in box_xyxy]]]
        if point_xy is not None:
            point = [float(v) for v in point_xy]
            prompts |= {"input_points": [[[point]]], "input_labels": [[[1]]]}
        given = self._processor(images=blank, return_tensors="pt", **prompts)
        wanted = {k: v.to(self._model.device) for k, v in given.items() if k.startswith("input_")}
        found = self._model(image_embeddings=self._seen, **wanted, multimask_output=True)
        sizes = [given["original_sizes"], *([given["reshaped_input_sizes"]] if self._is_first else [])]
        masks = self._processor.image_processor.post_process_masks(found.pred_masks.cpu(), *sizes)[0]
        out: np.ndarray = masks.reshape(-1, *self._size_hw).numpy().astype(bool)
        return out


def _kind_of(folder: Path) -> str:
    try:
        kind = str(json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type"))
    except (OSError, ValueError, AttributeError):
        raise SamError(f"{folder}: no config.json of a model of transformers (--sam)") from None
    if kind not in KINDS:
        raise SamError(f"{folder}: a {kind!r} model; masks are made by {', '.join(KINDS)} (--sam)")
    return kind


def _line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
