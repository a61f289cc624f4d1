"""A frozen Llama with low-rank adapters, forward and backward written out: about twice as fast on a CPU.

Automatic differentiation of the usual code spends most of a step on copies, casts and passes over memory; the products
themselves take a third. Here the frozen matrices are joined and the scale of each norm is put into the matrix behind
it; nothing is computed for weights that are not trained, and every layer keeps what its backward pass needs and no
more. Padding must be at the right: causal attention then never reads it. Numbers agree with transformers' up to
rounding.

Next: training/lvlm/tuned.py
"""

from typing import Any

import torch
import torch.nn.functional as F

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP_TARGETS = ("gate_proj", "up_proj", "down_proj")


class LeanLlama:
    """The layers of a peft model of a LlamaForCausalLM, sharing its low-rank matrices. Dropout is left out.

    ValueError for a model that it cannot compute.
    """

    def __init__(self, model: Any) -> None:
        base = model.get_base_model()
        config = base.config
        inner = base.model
        if config.model_type != "llama" or config.hidden_act != "silu" or config.attention_bias or config.mlp_bias:
            raise ValueError(f"a {config.model_type} is not a Llama without biases")
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.size = config.hidden_size // self.heads
        self.epsilon = config.rms_norm_eps
        self._rotary = inner.rotary_emb
        self.layers = [Layer(layer, self) for layer in inner.layers]
        self._last = inner.norm.weight.detach()
        self._angles: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._masks: dict[int, torch.Tensor] = {}

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, S, E), padded at the right, to hidden states (B, S, E) as the table of words reads them."""
        batch, length, width = x.shape
        flat = x.reshape(-1, width)
        with torch.autocast("cpu", enabled=False):
            for layer in self.layers:
                flat = _Step.apply(flat, layer, (batch, length), *layer.trained)
            return F.rms_norm(flat, (width,), self._last, self.epsilon).view(batch, length, width)

    def turns(self, length: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines (S, size / 2) of the rotary positions."""
        if length not in self._angles:
            cos, sin = self._rotary(like[None], torch.arange(length)[None])
            half = self.size // 2
            self._angles[length] = cos[0, :, :half].to(like.dtype), sin[0, :, :half].to(like.dtype)
        return self._angles[length]

    def mask(self, length: int, like: torch.Tensor) -> torch.Tensor:
        """(S, S): 0 where a token may be looked at, minus infinity where it is later."""
        if length not in self._masks:
            self._masks[length] = torch.full((length, length), -torch.inf, dtype=like.dtype).triu(1)
        return self._masks[length]


class Layer:
    """One layer's frozen matrices, joined, and its trained ones: A and B of q, k, v and o, then of gate, up and down
    where these have them, in that order."""

    def __init__(self, layer: Any, model: LeanLlama) -> None:
        self.model = model
        attention, mlp = layer.self_attn, layer.mlp
        adapted = [getattr(attention, name) for name in TARGETS]
        if not all(hasattr(m, "lora_A") for m in adapted):
            raise ValueError(f"a layer has no low-rank matrices on all of {TARGETS}")
        inside = [getattr(mlp, name) for name in MLP_TARGETS]
        self.mlp = all(hasattr(m, "lora_A") for m in inside)
        adapted += inside if self.mlp else []
        self.scale = float(adapted[0].scaling["default"])
        self.trained: list[torch.Tensor] = []
        for module in adapted:
            self.trained += [module.lora_A["default"].weight, module.lora_B["default"].weight]
        before, between = layer.input_layernorm.weight, layer.post_attention_layernorm.weight
        self.qkv = _behind(before, [m.base_layer.weight for m in adapted[:3]])
        self.out = adapted[3].base_layer.weight.detach()
        self.gate_up = _behind(between, [mlp.gate_proj.weight, mlp.up_proj.weight])
        self.down = mlp.down_proj.weight.detach()
        # The low-rank matrices of q, k and v, of gate and up see the norm's scale too.
        self.before, self.between = before.detach(), between.detach()


def _behind(scale: torch.Tensor, matrices: list[torch.Tensor]) -> torch.Tensor:
    """Matrices (out, in) below each other, each times the scale (in,) of the norm before it."""
    joined = torch.cat([m.detach().float() for m in matrices]) * scale.detach().float()
    return joined.to(matrices[0].dtype)


class _Step(torch.autograd.Function):
    """One layer: x (T, E) to (T, E), with gradients for x and the low-rank matrices."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, layer: Layer, shape: tuple[int, int], *trained: torch.Tensor
    ) -> torch.Tensor:
        model = layer.model
        small = [t.to(x.dtype) for t in trained]
        down_qkv, up_qkv = _joined(small[:6], layer.before)
        one, r_one = _unit(x, model.epsilon)
        seen = F.linear(one, down_qkv)  # (T, 3 * rank)
        qkv = F.linear(one, layer.qkv)
        qkv.addmm_(seen, up_qkv.t(), alpha=layer.scale)
        q, k, v = _heads(qkv, shape, model)
        _turn(q, k, model, shape[1], 1.0)
        share = _attention(q, k, model, shape[1])
        mixed = _flat(torch.bmm(share, v), shape, model)  # (T, heads * size)
        seen_out = F.linear(mixed, small[6])
        middle = torch.addmm(x, mixed, layer.out.t())
        middle.addmm_(seen_out, small[7].t(), alpha=layer.scale)
        two, r_two = _unit(middle, model.epsilon)
        gate_up = F.linear(two, layer.gate_up)
        seen_two = seen_act = two.new_empty(0)
        if layer.mlp:
            down_two, up_two = _joined(small[8:12], layer.between)
            seen_two = F.linear(two, down_two)
            gate_up.addmm_(seen_two, up_two.t(), alpha=layer.scale)
        gate, up = gate_up.chunk(2, 1)
        act = F.silu(gate).mul_(up)
        out = torch.addmm(middle, act, layer.down.t())
        if layer.mlp:
            seen_act = F.linear(act, small[12])
            out.addmm_(seen_act, small[13].t(), alpha=layer.scale)
        ctx.layer, ctx.shape = layer, shape
        attention = (one, r_one, seen, q, k, v, share, mixed, seen_out)
        ctx.save_for_backward(*attention, two, r_two, seen_two, gate_up, seen_act, *small)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (g_out,) = grads
        layer, shape = ctx.layer, ctx.shape
        model = layer.model
        one, r_one, seen, q, k, v, share, mixed, seen_out, *rest = ctx.saved_tensors
        two, r_two, seen_two, gate_up, seen_act, *small = rest
        with torch.autocast("cpu", enabled=False):
            # out = middle + (silu(gate) * up) down
            gate, up = gate_up.chunk(2, 1)
            open_ = F.silu(gate)
            g_act = g_out @ layer.down
            g_mlp: list[torch.Tensor] = []
            if layer.mlp:
                g_seen_act = (g_out @ small[13]).mul_(layer.scale)
                g_b_act = (g_out.t() @ seen_act).float() * layer.scale
                g_a_act = (g_seen_act.t() @ (open_ * up)).float()
                g_act.addmm_(g_seen_act, small[12])
            g_gate_up = torch.empty_like(gate_up)
            g_gate, g_up = g_gate_up.chunk(2, 1)
            torch.mul(g_act, open_, out=g_up)
            g_gate.copy_(torch.ops.aten.silu_backward(g_act.mul_(up), gate))
            g_two = g_gate_up @ layer.gate_up
            if layer.mlp:
                down_two, up_two = _joined(small[8:12], layer.between)
                g_seen_two = (g_gate_up @ up_two).mul_(layer.scale)
                g_two.addmm_(g_seen_two, down_two)
                g_up_two = (g_gate_up.t() @ seen_two).float() * layer.scale
                g_down_two = (g_seen_two.t() @ two).float() * layer.between.float()
                g_mlp = [*_apart(g_down_two, g_up_two, small[8:12]), g_a_act, g_b_act]
            g_middle = _unit_backward(g_two, two, r_two).add_(g_out)
            # middle = x + mixed out + scale * (mixed A) B
            g_seen_out = (g_middle @ small[7]).mul_(layer.scale)
            g_b_out = (g_middle.t() @ seen_out).float() * layer.scale
            g_a_out = (g_seen_out.t() @ mixed).float()
            g_mixed = torch.addmm(g_seen_out @ small[6], g_middle, layer.out)
            # mixed = softmax(q k') v
            g_heads = _grouped(g_mixed, shape, model)
            g_v = torch.bmm(share.transpose(1, 2), g_heads)
            g_share = torch.bmm(g_heads, v.transpose(1, 2))
            g_logits = torch._softmax_backward_data(g_share, share, -1, share.dtype)
            g_q, g_k = torch.bmm(g_logits, k), torch.bmm(g_logits.transpose(1, 2), q)
            _turn(g_q, g_k, model, shape[1], -1.0)
            g_qkv = _side_by_side(g_q.mul_(model.size**-0.5), g_k, g_v, shape, model)
            # qkv = one W + scale * (one A) B
            down_qkv, up_qkv = _joined(small[:6], layer.before)
            g_seen = (g_qkv @ up_qkv).mul_(layer.scale)
            g_one = torch.addmm(g_seen @ down_qkv, g_qkv, layer.qkv)
            g_up_qkv = (g_qkv.t() @ seen).float() * layer.scale
            g_down_qkv = (g_seen.t() @ one).float() * layer.before.float()
            g_x = _unit_backward(g_one, one, r_one).add_(g_middle)
        return g_x, None, None, *_apart(g_down_qkv, g_up_qkv, small[:6]), g_a_out, g_b_out, *g_mlp


def _unit(x: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """x (T, E) over its root mean square, and one over that, (T, 1) float32."""
    square = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).square_()
    r = square.div_(x.shape[-1]).add_(epsilon).rsqrt_()
    return (x * r).to(x.dtype), r


def _unit_backward(g: torch.Tensor, unit: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    mean = (g * unit).mean(-1, keepdim=True, dtype=torch.float32).to(g.dtype)
    return torch.addcmul(g, unit, mean, value=-1).mul(r).to(g.dtype)


def _joined(small: list[torch.Tensor], scale: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A of several matrices below each other (n * rank, E), behind the norm's scale, and B on a diagonal of blocks."""
    return torch.cat(small[::2]) * scale, torch.block_diag(*small[1::2])


def _apart(down: torch.Tensor, up: torch.Tensor, small: list[torch.Tensor]) -> list[torch.Tensor]:
    """The gradients of `_joined` as those of each A and B."""
    out, row, column = [], 0, 0
    for a, b in zip(small[::2], small[1::2], strict=True):
        out += [down[column : column + len(a)], up[row : row + len(b), column : column + len(a)]]
        row, column = row + len(b), column + len(a)
    return out


def _heads(
    qkv: torch.Tensor, shape: tuple[int, int], model: LeanLlama
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(T, (heads + 2 groups) * size) to q (B * groups, heads / groups * S, size), scaled, and k and v
    (B * groups, S, size): queries that look at one head of keys lie below each other."""
    batch, length = shape
    size, groups = model.size, model.groups
    apart = qkv.view(batch, length, -1, size).transpose(1, 2)  # (B, heads + 2 groups, S, size)
    q = apart[:, : model.heads] * size**-0.5
    q = q.reshape(batch * groups, -1, size)
    k = apart[:, model.heads : model.heads + groups].reshape(batch * groups, length, size)
    v = apart[:, model.heads + groups :].reshape(batch * groups, length, size)
    return q, k, v


def _turn(q: torch.Tensor, k: torch.Tensor, model: LeanLlama, length: int, way: float) -> None:
    """Rotary positions, in place; way -1 turns back."""
    cos, sin = model.turns(length, k)
    half = model.size // 2
    for x in (q, k):
        rows = x.view(-1, length, model.size)
        left, right = rows[..., :half], rows[..., half:]
        turned = left * cos
        turned.addcmul_(right, sin, value=-way)
        kept = right * cos
        kept.addcmul_(left, sin, value=way)
        left.copy_(turned)
        right.copy_(kept)


def _attention(q: torch.Tensor, k: torch.Tensor, model: LeanLlama, length: int) -> torch.Tensor:
    """Shares (B * groups, heads / groups * S, S) of the earlier tokens, rows sum to 1."""
    logits = torch.bmm(q, k.transpose(1, 2))
    logits.view(-1, length, length).add_(model.mask(length, k))
    return logits.softmax(-1)


def _flat(x: torch.Tensor, shape: tuple[int, int], model: LeanLlama) -> torch.Tensor:
    """(B * groups, heads / groups * S, size) to (T, heads * size)."""
    batch, length = shape
    return x.view(batch, model.heads, length, model.size).transpose(1, 2).reshape(batch * length, -1)


def _grouped(x: torch.Tensor, shape: tuple[int, int], model: LeanLlama) -> torch.Tensor:
    """The inverse of `_flat`."""
    batch, length = shape
    apart = x.view(batch, length, model.heads, model.size).transpose(1, 2)
    return apart.reshape(batch * model.groups, -1, model.size)


def _side_by_side(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, shape: tuple[int, int], model: LeanLlama
) -> torch.Tensor:
    """The inverse of `_heads`, without the scale."""
    batch, length = shape
    many = model.heads + 2 * model.groups
    out = torch.empty(batch, length, many, model.size, dtype=q.dtype)
    heads = out.transpose(1, 2)  # (B, many, S, size)
    first = 0
    for x, count in ((q, model.heads), (k, model.groups), (v, model.groups)):
        heads[:, first : first + count] = x.view(batch, count, length, model.size)
        first += count
    return out.view(batch * length, -1)
