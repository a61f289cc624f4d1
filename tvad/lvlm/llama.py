"""The Llama decoder as an OpenVINO graph, built straight from a folder of weights: neither torch nor transformers.

Importing those two takes longer than answering. The architecture is that of Touvron et al. 2023 (arXiv:2302.13971) with
grouped queries (Ainslie et al. 2023, arXiv:2305.13245) and rotary positions (Su et al. 2021, arXiv:2104.09864).
Matrices are kept as 8-bit integers with one scale for every 32 values of a row.
"""

import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from tvad.evidence import write_atomic
from tvad.lvlm.folder import checked_json, checked_path, sums
from tvad.lvlm.lora import Change

DIGEST_BYTES = 32
PLAIN, ADAPTED = "graph", "adapted"  # what compiled graphs are called
ADAPTED_KEPT = 2  # graphs with an adapter that stay beside each other


@dataclass(frozen=True)
class LlamaShape:
    """The sizes of a Llama, named as in its config.json."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    rms_norm_eps: float
    rope_theta: float
    max_position_embeddings: int

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LlamaShape":
        """Sizes of a config.json; ValueError for one that this graph does not compute."""
        config = {**config, **(config.get("rope_parameters") or {})}
        wanted = {"model_type": "llama", "hidden_act": "silu", "rope_type": "default", "tie_word_embeddings": True}
        for key, value in wanted.items():
            if config.get(key, value) != value:
                raise ValueError(f"the model's config.json has {key} {config[key]!r}; this program runs {value!r}")
        if config.get("attention_bias") or config.get("mlp_bias"):
            raise ValueError("the model's config.json asks for biases; this program runs Llama models without them")
        try:
            return cls(**{field.name: config[field.name] for field in fields(cls)})
        except KeyError as error:
            raise ValueError(f"the model's config.json lacks {error}") from None


class Llama:
    """A Llama that reads tokens and keeps what it has read.

    shape: its sizes.
    """

    def __init__(self, folder: Path, placeholder: int | None = None, change: Change | None = None) -> None:
        """Load config.json and model.safetensors of a sealed `folder`; the compiled graph is kept beside them.

        placeholder, change: the token that embeddings are written over, and the adapter that taught the model to read
        them. DamagedFolder when a file is absent or not what was sealed; ValueError for another kind of model.
        """
        self.shape = LlamaShape.from_config(checked_json(folder, "config.json"))
        compiled, self._mapped = compiled_graph(folder, self.shape, placeholder, change)
        self._request = compiled.create_infer_request()
        self._placeholder = placeholder
        self._read: list[int] = []
        self._given = np.zeros((0, self.shape.hidden_size), np.float32)

    def next_logits(self, ids: Sequence[int], given: np.ndarray | None = None) -> np.ndarray:
        """See `Backbone.next_logits`."""
        given = self._given[:0] if given is None else np.asarray(given, np.float32)
        here = [n for n, token in enumerate(ids) if token == self._placeholder]
        if len(here) != len(given) or given.shape[1:] != (self.shape.hidden_size,):
            raise ValueError(
                f"{len(here)} placeholder tokens, but {len(given)} embeddings of {given.shape[1:]} numbers were given; "
                f"expected as many, of {self.shape.hidden_size}"
            )
        shared = min(_shared(self._read, ids), len(ids) - 1)
        if shared < 0:
            raise ValueError("no tokens to read")
        if here and not (given is self._given or np.array_equal(given, self._given)):
            shared = min(shared, here[0])  # the same tokens stand for another video
        try:
            self._rewind(shared)
            inputs: dict[str, np.ndarray] = {
                "ids": np.array([ids[shared:]], np.int64),
                "places": np.arange(shared, len(ids), dtype=np.int64)[None],
                "beam": np.zeros(1, np.int32),
            }
            if self._placeholder is not None:
                left = [n - shared for n in here if n >= shared]
                inputs["given"] = np.zeros((1, len(ids) - shared, self.shape.hidden_size), np.float32)
                inputs["given"][0, np.array(left, np.int64)] = given[len(here) - len(left) :]
            found = self._request.infer(inputs)
            self._read, self._given = list(ids), given
        except BaseException:
            # Interrupted: what the graph holds is unknown.
            self._request.reset_state()
            self._read = []
            raise
        return np.array(found[0][0, -1], np.float32)

    def _rewind(self, kept: int) -> None:
        import openvino

        if kept == 0:
            self._request.reset_state()
        elif kept < len(self._read):
            for state in self._request.query_state():
                state.state = openvino.Tensor(np.ascontiguousarray(state.state.data[:, :, :kept]))
        self._read = self._read[:kept]


def _shared(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences share from their start."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def compiled_graph(
    folder: Path, shape: LlamaShape, placeholder: int | None, change: Change | None, batched: bool = False
) -> tuple[Any, Any]:
    """The graph for this CPU, and what must be kept while it is used. batched: of several dialogues at once."""
    # Compiling takes five times as long as reading what was compiled for this CPU by this OpenVINO.
    import openvino

    core = openvino.Core()
    # Rounded to bfloat16, logits come in steps of a quarter: too coarse for how sure a "yes" is, and other sizes of a
    # prompt would add in another order and answer otherwise. A small model is hardly slower without.
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "KV_CACHE_PRECISION": "f32",
        # Rounding the activations to 8 bits as well moves the logits by a quarter of their spread.
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        "PERFORMANCE_HINT": "LATENCY",
    }
    names = ("llama.py", "llama_graph.py", "lora.py")
    code = [Path(__file__).with_name(name).read_text(encoding="utf-8") for name in names]
    cpu = [str(core.get_property("CPU", name)) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    about = [*code, openvino.__version__, *cpu, str(settings), str(sums(folder))]
    about += [str(placeholder), change.digest if change else "", *(["batched"] if batched else [])]
    key = hashlib.sha256("\n".join(about).encode()).hexdigest()[:16]
    kind, kept = (PLAIN, 1) if change is None else (ADAPTED, ADAPTED_KEPT)
    kind += "together" if batched else ""
    path = folder / f"{kind}-{key}.blob"
    blob = _read_blob(path)
    if blob is not None:
        with contextlib.suppress(RuntimeError):  # compiled for another CPU of the same name: compile again
            return core.import_model(openvino.Tensor(blob, shared_memory=True), "CPU", settings), blob
    from tvad.lvlm.llama_graph import build

    compiled = core.compile_model(
        build(checked_path(folder, "model.safetensors"), shape, placeholder, change, batched), "CPU", settings
    )
    with contextlib.suppress(OSError):  # a cache that cannot be written costs time only
        _keep_blob(path, compiled.export_model().getvalue(), kept)
    return compiled, None


def _read_blob(path: Path) -> np.ndarray | None:
    # A private mapping: OpenVINO wants memory it could write to; the file stays as it is.
    try:
        whole = np.memmap(path, np.uint8, "c")
    except (OSError, ValueError):  # absent or empty
        return None
    body, digest = whole[:-DIGEST_BYTES], whole[-DIGEST_BYTES:]
    return body if hashlib.sha256(body.data).digest() == digest.tobytes() else None


def _keep_blob(path: Path, body: bytes, kept: int) -> None:
    """Write a compiled graph; of its kind only the `kept` youngest stay."""
    digest = hashlib.sha256(body).digest()
    write_atomic(path, lambda file: file.write(body) and file.write(digest))
    others = [other for other in path.parent.glob(f"{path.name.split('-')[0]}-*.blob") if other != path]
    ages = {other: other.stat().st_mtime for other in others}
    for other in sorted(ages, key=lambda p: ages[p])[: len(ages) + 1 - kept]:
        other.unlink(missing_ok=True)
