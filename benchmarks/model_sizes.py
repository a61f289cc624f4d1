"""Full-size models with random weights: the sizes of the real ones, and folders as a person would have them."""

import gc
import sys
from pathlib import Path
from typing import Any

import torch

# Sizes as the models' config.json has them, from their reports and cards; nothing was fetched.
QWEN2_5_VISION = {
    "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14, "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2,
}  # fmt: skip
QWEN3_VISION = {
    "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16, "patch_size": 16,
    "num_position_embeddings": 2304, "deepstack_visual_indexes": [8, 16, 24],
}  # fmt: skip
SIZES: dict[str, dict[str, Any]] = {
    "qwen2.5-vl-7b": {
        "model_type": "qwen2_5_vl",
        "text_config": {
            "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
            "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 128000,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        },
        "vision_config": QWEN2_5_VISION | {"out_hidden_size": 3584},
    },
    "qwen2.5-vl-3b": {
        "model_type": "qwen2_5_vl",
        "tie_word_embeddings": True,
        "text_config": {
            "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
            "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 128000,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
        },
        "vision_config": QWEN2_5_VISION | {"out_hidden_size": 2048},
    },
    "llava-onevision-0.5b": {
        "model_type": "llava_onevision",
        "tie_word_embeddings": True,
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "text_config": {
            "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
            "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 152000,
            "max_position_embeddings": 32768, "tie_word_embeddings": True,
        },
        "vision_config": {
            "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
            "num_hidden_layers": 26, "num_attention_heads": 16, "image_size": 384, "patch_size": 14,
            "vision_use_head": False,
        },
    },
    "smolvlm2-500m": {
        "model_type": "smolvlm",
        "scale_factor": 4,
        "text_config": {
            "model_type": "llama", "hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32,
            "num_attention_heads": 15, "num_key_value_heads": 5, "head_dim": 64, "vocab_size": 49280,
            "max_position_embeddings": 8192, "pad_token_id": 0,
        },
        "vision_config": {
            "model_type": "smolvlm_vision", "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
            "num_attention_heads": 12, "image_size": 512, "patch_size": 16,
        },
    },
    "qwen3-vl-8b": {
        "model_type": "qwen3_vl",
        "text_config": {
            "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
            "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 262144,
            "rope_parameters": {
                "rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True,
            },
        },
        "vision_config": QWEN3_VISION | {"out_hidden_size": 4096},
    },
}  # fmt: skip


def make(name: str, tiny: bool, room: Path, device: str = "cuda") -> Path:
    """A folder of random weights, made on the device; the tokenizer and the chat template are the tests' own, the
    pictures' sizes the real ones."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    import tiny_backbones
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

    size = SIZES[name]
    folder = tiny_backbones.make_backbone(size["model_type"], room / "tiny")
    if tiny:
        return folder
    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    resize(processor, size)
    small = AutoConfig.from_pretrained(folder, local_files_only=True)
    about = {
        n: getattr(small, n)
        for n in small.to_dict()
        if n.endswith(("_token_id", "_token_index")) and getattr(small, n) is not None
    }
    config = AutoConfig.for_model(**(about | size))
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model: Any = AutoModelForImageTextToText.from_config(config)
    finally:
        torch.set_default_dtype(before)
    with torch.no_grad():
        for values in model.parameters():
            if values.ndim > 1:
                values.normal_(0, 0.02)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.save_pretrained(room / "full")
    processor.save_pretrained(room / "full")
    del model
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
    return room / "full"


def resize(processor: Any, size: dict[str, Any]) -> None:
    """Pictures as large as the real model's processor makes them."""
    vision, kind = size["vision_config"], size["model_type"]
    if kind.startswith("qwen"):
        for part in (processor.image_processor, processor.video_processor):
            part.patch_size = vision["patch_size"]
            part.size = {"shortest_edge": 64 * 64, "longest_edge": 10**9}  # frames keep their size
    elif kind == "llava_onevision":
        side = vision["image_size"]
        processor.video_processor.size = {"height": side, "width": side}
        processor.num_image_tokens = (side // vision["patch_size"]) ** 2
    elif kind == "smolvlm":
        side = vision["image_size"]
        for part in (processor.image_processor, processor.video_processor):
            part.size = part.max_image_size = {"longest_edge": side}
        processor.image_seq_len = (side // vision["patch_size"] // size["scale_factor"]) ** 2
