"""A Llama small enough to check by hand: two layers, random weights that 8-bit rounding leaves as they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tvad.lvlm.folder import seal

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = [("t", "h"), ("th", "e"), ("i", "n")]
TOKENS = [*CONTROL, *ALPHABET, *("".join(pair) for pair in MERGES)]
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": len(TOKENS),
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "max_position_embeddings": 256,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}


def make_weights(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    wide, inner, kept = CONFIG["hidden_size"], CONFIG["intermediate_size"], 32
    shapes = {"model.embed_tokens": (len(TOKENS), wide), "model.norm": (wide,)}
    for n in range(CONFIG["num_hidden_layers"]):
        layer = f"model.layers.{n}."
        shapes |= {layer + f"self_attn.{x}_proj": (wide, wide) for x in "qo"}
        shapes |= {layer + f"self_attn.{x}_proj": (kept, wide) for x in "kv"}
        shapes |= {layer + f"mlp.{x}_proj": (inner, wide) for x in ("gate", "up")}
        shapes |= {layer + "mlp.down_proj": (wide, inner)}
        shapes |= {layer + f"{x}_layernorm": (wide,) for x in ("input", "post_attention")}
    return {f"{name}.weight": _random(rng, shape) for name, shape in shapes.items()}


def _random(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    if len(shape) == 1:
        return rng.uniform(0.5, 1.5, shape).astype(np.float16)
    steps = rng.integers(-127, 128, shape)
    steps[:, ::32] = 127  # so the largest of 32 values is 127 steps
    return (steps / 512).astype(np.float16)


def make_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE({token: n for n, token in enumerate(TOKENS)}, MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in CONTROL])
    return tokenizer


def make_folder(folder: Path, **changed: Any) -> Path:
    """A sealed model folder; `changed` entries of its config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | changed))
    make_tokenizer().save(str(folder / "tokenizer.json"))
    save_file(make_weights(), folder / "model.safetensors", metadata={"format": "pt"})
    seal(folder)
    return folder


def make_gguf(path: Path) -> dict[str, np.ndarray]:
    """The same Llama as a GGUF file, rows of queries and keys in GGUF's order. Returns its weights in our order."""
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(len(TOKENS))
    writer.add_embedding_length(CONFIG["hidden_size"])
    writer.add_feed_forward_length(CONFIG["intermediate_size"])
    writer.add_block_count(CONFIG["num_hidden_layers"])
    writer.add_head_count(CONFIG["num_attention_heads"])
    writer.add_head_count_kv(CONFIG["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(CONFIG["rms_norm_eps"])
    writer.add_rope_freq_base(CONFIG["rope_theta"])
    writer.add_context_length(CONFIG["max_position_embeddings"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] * len(CONTROL) + [1] * (len(TOKENS) - len(CONTROL)))
    writer.add_token_merges([" ".join(pair) for pair in MERGES])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    weights = make_weights()
    for name, full in weights.items():
        writer.add_tensor(_gguf_name(name), _side_by_side(name, full))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


def _gguf_name(name: str) -> str:
    known = {"embed_tokens": "token_embd", "norm": "output_norm", "layers": "blk", "input_layernorm": "attn_norm"}
    known |= {f"{x}_proj": f"attn_{x}" for x in "qkv"} | {"o_proj": "attn_output"}
    known |= {"post_attention_layernorm": "ffn_norm"} | {f"{x}_proj": f"ffn_{x}" for x in ("gate", "up", "down")}
    return ".".join(known.get(part, part) for part in name.split(".") if part not in ("model", "self_attn", "mlp"))


def _side_by_side(name: str, full: np.ndarray) -> np.ndarray:
    if "q_proj" not in name and "k_proj" not in name:
        return full
    half = CONFIG["hidden_size"] // CONFIG["num_attention_heads"] // 2
    order = [head + n + part for head in range(0, len(full), 2 * half) for n in range(half) for part in (0, half)]
    return np.ascontiguousarray(full[order])


def reference_logits(weights: dict[str, np.ndarray], ids: list[int]) -> np.ndarray:
    """(V,) logits after `ids`, position by position in double precision."""
    w = {name: full.astype(np.float64) for name, full in weights.items()}
    heads, kept = CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"]
    size = CONFIG["hidden_size"] // heads

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + CONFIG["rms_norm_eps"]) * w[name + ".weight"]

    def rotate(x: np.ndarray) -> np.ndarray:  # (S, heads, size) as complex numbers
        turn = np.outer(np.arange(len(x)), CONFIG["rope_theta"] ** (-np.arange(size // 2) / (size // 2)))
        z = (x[..., : size // 2] + 1j * x[..., size // 2 :]) * np.exp(1j * turn)[:, None]
        return np.concatenate([z.real, z.imag], -1)

    x = w["model.embed_tokens.weight"][ids]
    for n in range(CONFIG["num_hidden_layers"]):
        layer = f"model.layers.{n}."
        h = norm(x, layer + "input_layernorm")
        q, k, v = (
            (h @ w[f"{layer}self_attn.{part}_proj.weight"].T).reshape(len(ids), many, size)
            for part, many in (("q", heads), ("k", kept), ("v", kept))
        )
        q, k = rotate(q), rotate(k)
        seen = np.zeros_like(q)
        for place in range(len(ids)):
            for head in range(heads):
                group = head * kept // heads
                logits = k[: place + 1, group] @ q[place, head] / np.sqrt(size)
                share = np.exp(logits - logits.max())
                seen[place, head] = share / share.sum() @ v[: place + 1, group]
        x = x + seen.reshape(len(ids), -1) @ w[layer + "self_attn.o_proj.weight"].T
        h = norm(x, layer + "post_attention_layernorm")
        gate = h @ w[layer + "mlp.gate_proj.weight"].T
        mixed = gate / (1 + np.exp(-gate)) * (h @ w[layer + "mlp.up_proj.weight"].T)
        x = x + mixed @ w[layer + "mlp.down_proj.weight"].T
    return norm(x[-1], "model.norm") @ w["model.embed_tokens.weight"].T
