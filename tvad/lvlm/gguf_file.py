"""A Llama in a GGUF file (github.com/ggml-org/ggml/blob/master/docs/gguf.md) to the folder that transformers reads.

Matrices become float16: what a quantised file holds fits. The tokenizer is a byte-level BPE that splits digits, as
SmolLM2's is; another kind is refused.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

BLOCK_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
ROOT_NAMES = {"token_embd": "embed_tokens", "output_norm": "norm"}
CONTROL = 3  # GGUF's token type of control tokens


def convert(gguf_path: Path, folder: Path) -> None:
    """Write config.json, tokenizer.json and model.safetensors into `folder`. ValueError for a file of another kind."""
    import gguf
    from safetensors.numpy import save_file

    reader = gguf.GGUFReader(gguf_path)
    kind = [reader.fields[key].contents() for key in ("general.architecture", "tokenizer.ggml.pre")]
    if kind != ["llama", "smollm"]:
        raise ValueError(f"{gguf_path} holds {kind}; this program converts ['llama', 'smollm']")
    config = _config(reader)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    _tokenizer(reader).save(str(folder / "tokenizer.json"))
    tensors = dict(_tensor(tensor, config) for tensor in reader.tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _config(reader: Any) -> dict[str, Any]:
    def value(key: str) -> Any:
        return reader.fields[key].contents()

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": value("llama.vocab_size"),
        "hidden_size": value("llama.embedding_length"),
        "intermediate_size": value("llama.feed_forward_length"),
        "num_hidden_layers": value("llama.block_count"),
        "num_attention_heads": value("llama.attention.head_count"),
        "num_key_value_heads": value("llama.attention.head_count_kv"),
        "rms_norm_eps": value("llama.attention.layer_norm_rms_epsilon"),
        "rope_theta": value("llama.rope.freq_base"),
        "max_position_embeddings": value("llama.context_length"),
        "hidden_act": "silu",
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in reader.tensors),
        "bos_token_id": value("tokenizer.ggml.bos_token_id"),
        "eos_token_id": value("tokenizer.ggml.eos_token_id"),
        "pad_token_id": value("tokenizer.ggml.padding_token_id"),
    }


def _tensor(tensor: Any, config: dict[str, Any]) -> tuple[str, np.ndarray]:
    from gguf.quants import dequantize

    full = dequantize(tensor.data, tensor.tensor_type)
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    parts = tensor.name.split(".")  # blk.3.attn_q.weight or output_norm.weight
    if parts[0] != "blk":
        return f"model.{ROOT_NAMES[parts[0]]}.weight", full.astype(np.float16)
    if parts[2] in heads:
        full = _halves(full, heads[parts[2]])
    return f"model.layers.{parts[1]}.{BLOCK_NAMES[parts[2]]}.weight", np.ascontiguousarray(full, np.float16)


def _halves(full: np.ndarray, heads: int) -> np.ndarray:
    # GGUF stores the two rows that rotary positions turn together side by side; transformers half a head apart.
    return full.reshape(heads, -1, 2, full.shape[1]).swapaxes(1, 2).reshape(full.shape)


def _tokenizer(reader: Any) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    tokens = _strings(reader, "tokenizer.ggml.tokens")
    merges = [(left, right) for left, right in map(str.split, _strings(reader, "tokenizer.ggml.merges"))]
    types = reader.fields["tokenizer.ggml.token_type"]
    control = [token for token, place in zip(tokens, types.data, strict=True) if types.parts[place][0] == CONTROL]
    tokenizer = Tokenizer(models.BPE({token: n for n, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in control])
    return tokenizer


def _strings(reader: Any, key: str) -> list[str]:
    field = reader.fields[key]
    return [bytes(field.parts[n]).decode("utf-8") for n in field.data]
