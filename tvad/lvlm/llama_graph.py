"""The operations of a Llama decoder, one OpenVINO node after the other.

Inputs: ids (1, S) int64 tokens; places (1, S) int64, their positions; beam (1,) int32, always 0, which tells OpenVINO's
CPU code that keys and values are a cache. Output: (1, 1, V) logits after the last token. Keys and values of all earlier
tokens stay inside the graph, as variables of shape (1, heads, tokens, head size). With an adapter also an input given
(1, S, E): what is read where `ids` is the placeholder. Batched, 1 is B everywhere: beam (B,) says which rows of the
keys and values go on, and pad (B,) int64 how many tokens at the left of each row are padding, which nobody looks at.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tvad.lvlm.llama import LlamaShape
from tvad.lvlm.lora import Change, merged

GROUP = 32
NEVER = -1e30  # the logit of a place that may not be looked at


def build(
    weights: Path,
    shape: LlamaShape,
    placeholder: int | None = None,
    change: Change | None = None,
    batched: bool = False,
) -> Any:
    """An `openvino.Model` of the Llama in a safetensors file, changed by an adapter. KeyError for a missing tensor."""
    import openvino
    from openvino import opset15 as op
    from safetensors.numpy import load_file

    full = load_file(weights)
    if change is not None:
        full = merged(full, change.lora, change.scale)
    rows = -1 if batched else 1
    ids = op.parameter([rows, -1], openvino.Type.i64, name="ids")
    places = op.parameter([rows, -1], openvino.Type.i64, name="places")
    beam = op.parameter([rows], openvino.Type.i32, name="beam")
    inputs = [ids, places, beam]
    pad = op.parameter([rows], openvino.Type.i64, name="pad") if batched else None
    inputs += [pad] if batched else []
    graph = _Graph(shape, full, ids if batched else None, pad)
    given = None
    if placeholder is not None:
        given = op.parameter([rows, -1, shape.hidden_size], openvino.Type.f32, name="given")
        inputs.append(given)
    logits = graph.logits(ids, places, beam, given, placeholder)
    return openvino.Model([op.result(logits)], graph.sinks, inputs, "llama")


class _Graph:
    def __init__(self, shape: LlamaShape, weights: dict[str, np.ndarray], rows_of: Any = None, pad: Any = None) -> None:
        """rows_of: a node with as many rows as the batch, None for one row; pad: see above."""
        from openvino import opset15

        self._rows_of, self._pad = rows_of, pad

        self._op = opset15
        self._shape = shape
        self._weights = weights
        self.sinks: list[Any] = []

    def logits(self, ids: Any, places: Any, beam: Any, given: Any = None, placeholder: int | None = None) -> Any:
        op = self._op
        table = self._matrix("model.embed_tokens.weight")
        x = op.gather(table, ids, _ints(0))  # (1, S, E)
        if given is not None:
            x = op.select(op.unsqueeze(op.equal(ids, _ints(placeholder)), _ints(2)), given, x)
        turn = self._turns(places)
        mask = None
        for n in range(self._shape.num_hidden_layers):
            layer = f"model.layers.{n}."
            h = self._norm(x, layer + "input_layernorm.weight")
            query = self._turned(self._heads(h, layer + "self_attn.q_proj.weight"), turn)
            key = self._kept(self._turned(self._heads(h, layer + "self_attn.k_proj.weight"), turn), beam, f"key{n}")
            value = self._kept(self._heads(h, layer + "self_attn.v_proj.weight"), beam, f"value{n}")
            mask = self._mask(key, places) if mask is None else mask
            x = op.add(x, self._attention(query, key, value, mask, layer + "self_attn.o_proj.weight"))
            x = op.add(x, self._mlp(self._norm(x, layer + "post_attention_layernorm.weight"), layer + "mlp."))
        last = op.gather(self._norm(x, "model.norm.weight"), _ints([-1]), _ints(1))
        return op.matmul(last, table, False, True)

    def _matrix(self, name: str) -> Any:
        # (out, in) float as int8 times a scale of each GROUP of inputs; rows that GROUP does not divide get one scale.
        op = self._op
        full = self._weights[name].astype(np.float32)
        rows, width = full.shape
        grouped = full.reshape(rows, -1, GROUP if width % GROUP == 0 else width)
        scale = np.maximum(np.abs(grouped).max(axis=2, keepdims=True) / 127, 1e-12)
        rounded = np.rint(grouped / scale).astype(np.int8)
        product = op.multiply(op.convert(op.constant(rounded, shared_memory=True), "f32"), op.constant(scale))
        return op.reshape(product, _ints(full.shape), False)

    def _linear(self, x: Any, name: str) -> Any:
        return self._op.matmul(x, self._matrix(name), False, True)

    def _norm(self, x: Any, name: str) -> Any:
        op = self._op
        power = op.reduce_mean(op.multiply(x, x), _ints([-1]), True)
        length = op.sqrt(op.add(power, _floats(self._shape.rms_norm_eps)))
        return op.multiply(op.multiply(x, op.divide(_floats(1), length)), _floats(self._weights[name]))

    def _heads(self, x: Any, name: str) -> Any:
        # (1, S, E) -> (1, heads, S, head size)
        op = self._op
        split = op.reshape(self._linear(x, name), _ints([0, 0, -1, self._shape.head_size]), True)
        return op.transpose(split, _ints([0, 2, 1, 3]))

    def _turns(self, places: Any) -> tuple[Any, Any]:
        # Cosine and sine, (B, 1, S, head size), of every position times every frequency.
        op, size = self._op, self._shape.head_size
        frequency = self._shape.rope_theta ** (-np.arange(0, size, 2) / size)
        column = op.unsqueeze(op.unsqueeze(op.convert(places, "f32"), _ints(1)), _ints(3))
        angle = op.multiply(column, _floats(np.concatenate([frequency, frequency])[None, None, None]))
        return op.cos(angle), op.sin(angle)

    def _turned(self, x: Any, turn: tuple[Any, Any]) -> Any:
        op = self._op
        left, right = op.split(x, _ints(3), 2).outputs()
        crossed = op.concat([op.multiply(right, _floats(-1)), left], 3)
        return op.add(op.multiply(x, turn[0]), op.multiply(crossed, turn[1]))

    def _kept(self, new: Any, beam: Any, name: str) -> Any:
        # What the variable holds, followed by `new`; the variable then holds both.
        from openvino import PartialShape, Type
        from openvino.op.util import Variable, VariableInfo

        op, shape = self._op, self._shape
        info = VariableInfo()
        info.variable_id, info.data_type = name, Type.f32
        info.data_shape = PartialShape(
            [-1 if self._rows_of is not None else 1, shape.num_key_value_heads, -1, shape.head_size]
        )
        variable = Variable(info)
        nothing = op.constant(np.zeros((1, shape.num_key_value_heads, 0, shape.head_size), np.float32))
        if self._rows_of is not None:
            rows = op.gather(op.shape_of(self._rows_of), _ints([0]), _ints(0))
            nothing = op.broadcast(
                op.constant(np.zeros((1, 1, 1, 1), np.float32)),
                op.concat([rows, _ints([shape.num_key_value_heads, 0, shape.head_size])], 0),
            )
        before = op.gather(op.read_value(nothing, variable), beam, _ints(0))
        both = op.concat([before, new], 2)
        self.sinks.append(op.assign(both, variable))
        return both

    def _mask(self, key: Any, places: Any) -> Any:
        # (1, 1, S, tokens so far): nobody looks at a later token.
        op = self._op
        tokens = op.gather(op.shape_of(key), _ints(2), _ints(0))
        columns = op.unsqueeze(op.range(_ints(0), tokens, _ints(1), "i64"), _ints(0))
        if self._pad is not None:  # (B, S, tokens so far)
            pad = op.unsqueeze(op.unsqueeze(self._pad, _ints(1)), _ints(2))
            own = op.subtract(op.unsqueeze(columns, _ints(0)), pad)
            seen = op.logical_and(op.less_equal(own, op.unsqueeze(places, _ints(2))), op.greater_equal(own, _ints(0)))
            return op.unsqueeze(op.select(seen, _floats(0), _floats(NEVER)), _ints(1))
        seen = op.less_equal(columns, op.transpose(places, _ints([1, 0])))
        return op.unsqueeze(op.select(seen, _floats(0), _floats(NEVER)), _ints([0, 1]))

    def _attention(self, query: Any, key: Any, value: Any, mask: Any, name: str) -> Any:
        op, shape = self._op, self._shape
        seen = op.scaled_dot_product_attention(query, self._shared(key), self._shared(value), mask)
        flat = op.reshape(op.transpose(seen, _ints([0, 2, 1, 3])), _ints([0, 0, shape.hidden_size]), True)
        return self._linear(flat, name)

    def _shared(self, x: Any) -> Any:
        # Several heads of queries look at one head of keys and values.
        op, shape = self._op, self._shape
        times = shape.num_attention_heads // shape.num_key_value_heads
        wide = op.broadcast(op.unsqueeze(x, _ints(2)), _ints([1, 1, times, 1, 1]), broadcast_spec="BIDIRECTIONAL")
        return op.reshape(wide, _ints([0, shape.num_attention_heads, -1, shape.head_size]), True)

    def _mlp(self, x: Any, name: str) -> Any:
        op = self._op
        gate = op.swish(self._linear(x, name + "gate_proj.weight"))
        return self._linear(op.multiply(gate, self._linear(x, name + "up_proj.weight")), name + "down_proj.weight")


def _ints(values: Any) -> Any:
    from openvino import opset15

    return opset15.constant(np.asarray(values, np.int64))


def _floats(values: Any) -> Any:
    from openvino import opset15

    return opset15.constant(np.asarray(values, np.float32))
