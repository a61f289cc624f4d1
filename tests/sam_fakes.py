"""Tiny SAMs of the real classes with random weights, and a segmenter that gives what it is told."""

from pathlib import Path

import numpy as np
import torch


def tiny_sam(seed: int = 0, depth: int = 2) -> torch.nn.Module:
    """Meta's classes, 64 pixels, random."""
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(seed)
    encoder = ImageEncoderViT(
        img_size=64, patch_size=8, embed_dim=16, depth=depth, num_heads=2, out_chans=16, use_rel_pos=True,
        rel_pos_zero_init=False, window_size=3, global_attn_indexes=(1,),
        norm_layer=lambda width: torch.nn.LayerNorm(width, eps=1e-6),
    )  # fmt: skip
    prompts = PromptEncoder(16, (8, 8), (64, 64), 4)
    decoder = MaskDecoder(
        transformer_dim=16, transformer=TwoWayTransformer(2, 16, 8, 32), iou_head_depth=3, iou_head_hidden_dim=16
    )
    model = Sam(encoder, prompts, decoder, [123.675, 116.28, 103.53], [58.395, 57.12, 57.375])
    torch.nn.init.normal_(model.image_encoder.pos_embed)
    return model.eval()


def save_hub_sam(folder: Path, kind: str) -> Path:
    """SAM, SAM 2 or SAM 2 for videos of transformers, tiny and random, as a hub would hold it."""
    import transformers as t

    torch.manual_seed(0)
    if kind == "sam":
        config = t.SamConfig(
            vision_config={"hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
                               "image_size": 64, "patch_size": 8, "mlp_dim": 32, "window_size": 3,
                               "global_attn_indexes": [1],
                               "num_pos_feats": 8},
            prompt_encoder_config={"hidden_size": 16, "image_size": 64, "patch_size": 8, "mask_input_channels": 4},
            mask_decoder_config={"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16},
        )  # fmt: skip
        model = t.SamModel(config)
        for weight in model.vision_encoder.parameters():  # drawn so small otherwise that no frame would matter
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.3)
        model.save_pretrained(folder)
        images = t.SamImageProcessor(size={"longest_edge": 64}, pad_size={"height": 64, "width": 64})
        t.SamProcessor(images).save_pretrained(folder)
        return folder
    backbone = t.Sam2HieraDetConfig(
        hidden_size=8, num_attention_heads=1, image_size=[64, 64], blocks_per_stage=[1, 2, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64], num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 4, 4, 2], global_attention_blocks=[4],
        window_positional_embedding_background_size=[4, 4],
    )  # fmt: skip
    vision = t.Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[64, 32, 16, 8], fpn_hidden_size=16,
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
    )  # fmt: skip
    prompts = {"hidden_size": 16, "image_size": 64, "patch_size": 16, "mask_input_channels": 4}
    decoder = {"hidden_size": 16, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
    if kind == "sam2":
        config = t.Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder)
        t.Sam2Model(config).save_pretrained(folder)
    else:
        config = t.Sam2VideoConfig(
            vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder, image_size=64,
            memory_attention_hidden_size=16, memory_attention_feed_forward_hidden_size=16,
            memory_attention_num_layers=1,
            memory_encoder_hidden_size=16, memory_encoder_output_channels=8, memory_fuser_embed_dim=16,
            memory_fuser_intermediate_dim=16, memory_fuser_num_layers=1, mask_downsampler_embed_dim=16,
            memory_attention_rope_feat_sizes=[4, 4],
        )  # fmt: skip
        t.Sam2VideoModel(config).save_pretrained(folder)
    images = t.Sam2ImageProcessor(size={"height": 64, "width": 64}, mask_size={"height": 16, "width": 16})
    t.Sam2Processor(images).save_pretrained(folder)
    return folder


class Told:
    """A segmenter that gives these masks (C, H, W), whatever it is asked; keeps the prompts."""

    def __init__(self, *masks: np.ndarray) -> None:
        self._masks = np.array(masks, bool)
        self.frames: list[np.ndarray] = []
        self.prompts: list[tuple[object, object]] = []

    def set_image(self, frame: np.ndarray) -> None:
        self.frames.append(frame)

    def masks(self, box_xyxy: object, point_xy: object) -> np.ndarray:
        self.prompts.append((box_xyxy, point_xy))
        return self._masks
