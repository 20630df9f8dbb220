"""Layers that several families share, their softmax written out so that it can be heard and edited."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from fusion_core.foreign.hearing import explicit_attention


def attended(block: Any, x: Tensor, keys: Tensor, there: Tensor) -> Tensor:
    """One attention as BERT has it, residual and norm behind it: `x [B, T, D]` reads `keys [B, T_k, D]`.

    block: its `self` holds query, key and value, its `output` the rest. there: keys that exist, `bool [B, 1, 1, T_k]`.
    """
    own = block.self
    given = ((own.query, x), (own.key, keys), (own.value, keys))
    q, k, v = (_heads(linear, values, own.num_attention_heads) for linear, values in given)
    return block.output(explicit_attention(q, k, v, there), x)


def normed_first(layer: Any, x: Tensor, there: Tensor) -> Tensor:
    """One layer as ViT has it, the norm before each half: `[B, T, D]`; there: keys that exist, `bool [B, 1, 1, T]`."""
    own = layer.attention.attention
    normed = layer.layernorm_before(x)
    q, k, v = (_heads(linear, normed, own.num_attention_heads) for linear in (own.query, own.key, own.value))
    x = x + layer.attention.output.dense(explicit_attention(q, k, v, there))
    return layer.output(layer.intermediate(layer.layernorm_after(x)), x)


def _heads(linear: nn.Module, x: Tensor, count: int) -> Tensor:
    return linear(x).unflatten(-1, (count, -1)).transpose(1, 2)
