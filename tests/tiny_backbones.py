"""Tiny models of every family in BACKBONES, as the folders that a person would have: the real classes, random weights.

The tokenizer knows bytes and each family's control tokens; the chat templates are written after the families' own.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = [("t", "h"), ("th", "e"), ("i", "n"), ("Ġ", "the")]
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{% if m['content'] is string %}{{ m['content'] }}"
    "{% else %}{% for c in m['content'] %}{% if c['type'] == 'text' %}{{ c['text'] }}{% elif c['type'] == 'image' %}"
    "IMAGE{% elif c['type'] == 'video' %}VIDEO{% endif %}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
VICUNA = (
    "{% for m in messages %}{% if m['role'] != 'system' %}{{ m['role'].upper() + ': ' }}{% endif %}"
    "{% for c in m['content'] if c['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] + ' ' }}{% endfor %}"
    "{% if m['role'] == 'assistant' %}{{ '</s>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)


def chatml(image: str, video: str) -> str:
    return CHATML.replace("IMAGE", f"{{{{ {image!r} }}}}").replace("VIDEO", f"{{{{ {video!r} }}}}")


def make_tokenizer(control: list[str], eos: str, named: dict[str, str] | None = None) -> Any:
    """A byte-level tokenizer of transformers; control: its special tokens, the first ones are numbered 0, 1, ..."""
    from transformers import PreTrainedTokenizerFast

    vocabulary = [*control, *ALPHABET, *("".join(pair) for pair in MERGES)]
    tokenizer = Tokenizer(models.BPE({token: n for n, token in enumerate(vocabulary)}, MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=eos,
        pad_token=control[0],
        extra_special_tokens=named or {},
        model_max_length=4096,
    )


def qwen2_5_vl(folder: Path) -> None:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = make_tokenizer(QWEN, "<|im_end|>")
    config = Qwen2_5_VLConfig(
        text_config=TEXT | {"vocab_size": 320, "rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1]}},
        vision_config={
            "depth": 4, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32,
            "patch_size": 8, "window_size": 32, "fullatt_block_indexes": [1, 3], "tokens_per_second": 2,
        },
        **ids(tokenizer, image="<|image_pad|>", video="<|video_pad|>"),
        vision_start_token_id=QWEN.index("<|vision_start|>"),
        vision_end_token_id=QWEN.index("<|vision_end|>"),
    )  # fmt: skip
    size = {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(patch_size=8, size=size),
        tokenizer,
        Qwen2VLVideoProcessor(patch_size=8, size=size, cap_pixels_per_frame=False),
        chat_template=QWEN_CHAT,
    )
    put(folder, Qwen2_5_VLForConditionalGeneration(config), processor)


def qwen3_vl(folder: Path) -> None:
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer = make_tokenizer(QWEN, "<|im_end|>")
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config=TEXT | {"vocab_size": 320, "head_dim": 8, "rope_parameters": rope, "num_hidden_layers": 3},
        vision_config={
            "depth": 4, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32,
            "patch_size": 8, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 2],
        },
        **ids(tokenizer, image="<|image_pad|>", video="<|video_pad|>"),
        vision_start_token_id=QWEN.index("<|vision_start|>"),
        vision_end_token_id=QWEN.index("<|vision_end|>"),
    )  # fmt: skip
    processor = Qwen3VLProcessor(
        Qwen2VLImageProcessor(patch_size=8, size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64}),
        tokenizer,
        Qwen3VLVideoProcessor(
            patch_size=8, size={"shortest_edge": 16 * 16, "longest_edge": 64 * 64 * 8}, cap_pixels_per_frame=False
        ),
        chat_template=QWEN_CHAT,
    )
    put(folder, Qwen3VLForConditionalGeneration(config), processor)


def llava_onevision(folder: Path) -> None:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>"]
    tokenizer = make_tokenizer(control, "<|im_end|>")
    config = LlavaOnevisionConfig(
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": 320},
        vision_config=SIGLIP,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_grid_pinpoints=[[32, 32], [32, 64]],
        **ids(tokenizer, image="<image>", video="<video>"),
    )
    size = {"height": 32, "width": 32}
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=[[32, 32], [32, 64]]),
        tokenizer,
        LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=chatml("<image>", "<video>"),
    )
    put(folder, LlavaOnevisionForConditionalGeneration(config), processor)


def llava(folder: Path) -> None:
    from transformers import CLIPImageProcessor, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    tokenizer = make_tokenizer(LLAMA, "</s>")
    config = LlavaConfig(
        text_config=TEXT | {"model_type": "llama", "vocab_size": 320},
        vision_config=CLIP,
        **ids(tokenizer, image="<image>"),
    )
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VICUNA,
    )
    put(folder, LlavaForConditionalGeneration(config), processor)


def llava_next(folder: Path) -> None:
    from transformers import (
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
    )

    tokenizer = make_tokenizer(LLAMA, "</s>")
    pinpoints = [[32, 64], [64, 32], [64, 64]]
    config = LlavaNextConfig(
        text_config=TEXT | {"model_type": "llama", "vocab_size": 320},
        vision_config=CLIP,
        image_grid_pinpoints=pinpoints,
        **ids(tokenizer, image="<image>"),
    )
    processor = LlavaNextProcessor(
        LlavaNextImageProcessor(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, image_grid_pinpoints=pinpoints
        ),
        tokenizer,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=VICUNA,
    )
    put(folder, LlavaNextForConditionalGeneration(config), processor)


def smolvlm(folder: Path) -> None:
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    control = [
        "<|endoftext|>",
        "<|im_start|>",
        "<end_of_utterance>",
        "<fake_token_around_image>",
        "<global-img>",
        "<image>",
    ]
    tokenizer = make_tokenizer(control, "<end_of_utterance>")
    config = SmolVLMConfig(
        text_config=TEXT | {"model_type": "llama", "vocab_size": 320, "pad_token_id": 0},
        vision_config=SIGLIP | {"model_type": "smolvlm_vision"},
        scale_factor=2,
        **ids(tokenizer, image="<image>"),
    )
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size={"longest_edge": 32}, max_image_size={"longest_edge": 32}),
        tokenizer,
        SmolVLMVideoProcessor(size={"longest_edge": 32}, max_image_size={"longest_edge": 32}),
        image_seq_len=4,
        chat_template=None,
    )
    put(folder, SmolVLMForConditionalGeneration(config), processor)


def internvl(folder: Path) -> None:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    control = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>"]
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = make_tokenizer(control, "<|im_end|>", named)
    config = InternVLConfig(
        text_config=TEXT | {"model_type": "qwen2", "vocab_size": 320},
        vision_config={
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 2,
            "image_size": [32, 32], "patch_size": [8, 8],
        },
        image_token_id=control.index("<IMG_CONTEXT>"),
        image_seq_length=4,
    )  # fmt: skip
    size = {"height": 32, "width": 32}
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=size),
        tokenizer,
        InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=chatml("<IMG_CONTEXT>", "<video>"),
    )
    put(folder, InternVLForConditionalGeneration(config), processor)


QWEN = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
LLAMA = ["<pad>", "<s>", "</s>", "<image>"]
QWEN_CHAT = chatml("<|vision_start|><|image_pad|><|vision_end|>", "<|vision_start|><|video_pad|><|vision_end|>")
TOWER = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
SIGLIP = TOWER | {"model_type": "siglip_vision_model", "vision_use_head": False}
CLIP = TOWER | {"model_type": "clip_vision_model", "projection_dim": 16}

TINY: dict[str, Callable[[Path], None]] = {
    "qwen2_5_vl": qwen2_5_vl,
    "qwen3_vl": qwen3_vl,
    "llava_onevision": llava_onevision,
    "llava": llava,
    "llava_next": llava_next,
    "smolvlm": smolvlm,
    "internvl": internvl,
}


def ids(tokenizer: Any, **tokens: str) -> dict[str, int]:
    return {f"{name}_token_id": tokenizer.convert_tokens_to_ids(token) for name, token in tokens.items()}


def put(folder: Path, model: Any, processor: Any) -> None:
    """Save both; weights larger than usual, so that what is read changes what is said."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.25 if "embed" not in name else 1.0)
    model.generation_config.eos_token_id = processor.tokenizer.eos_token_id
    model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def make_backbone(kind: str, folder: Path, seed: int = 0) -> Path:
    """The folder of a tiny model of this family."""
    torch.manual_seed(seed)
    TINY[kind](folder)
    return folder
