"""Attention of Transformers models on our tapes, without changing the answer.

Registered as the attention implementation `fusion_lens`: it returns what the fused kernel (SDPA) returns and, while a
tape is open, also works the weights out and writes them down. Where a tape edits weights (uniform replacement,
gradients) there is no fused kernel: the explicit product goes on instead, and `verify.parity` says how far that is off.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from fusion_core.attention import Probe, Segments, open_tape

NAME = "fusion_lens"


@dataclass
class Site:
    """Where attention is heard, what its token axes are made of, and how many layers were heard there so far.

    readings: how many rows that follow each other are readings of one record: they are heard as heads of its own.
    """

    name: str
    query: Segments
    key: Segments
    allowed: Tensor
    layers: int = 0
    readings: int = 1


_site: ContextVar[Site | None] = ContextVar("foreign_site", default=None)


@contextmanager
def hearing(
    name: str, query: Segments, key: Segments, allowed: Tensor, layer: int = 0, readings: int = 1
) -> Iterator[Site]:
    """Name the attention that runs inside; layers count up from `layer`. allowed: keys, `bool [B, 1, 1, T_k]`.

    readings: rows per record, where a record is read several times, one after the other.
    """
    query, key = (tuple(part for part in axis if part[1]) for axis in (query, key))
    site = Site(name, query, key, allowed, layer, readings)
    token = _site.set(site)
    try:
        yield site
    finally:
        _site.reset(token)


def hear(site: Site, weights: Tensor, within: Tensor | None = None) -> Tensor:
    """Pass `weights [B, H, T_q, T_k]` of a site's next layer through a probe: in float32 on the CPU, as tapes have it.

    within: what each query may read. Returned as they came, on the model's device in its precision.
    """
    probe = Probe(site.name, site.layers)
    site.layers += 1
    with torch.device("cpu"):  # an edit that makes tensors makes them beside those it is given
        heard, allowed = weights.float().cpu(), site.allowed.cpu()
        if site.readings == 1:
            read = None if within is None else within.cpu()
            return probe(heard, allowed, site.query, site.key, within=read).to(weights)
        allowed = allowed.expand(-1, weights.shape[1], -1, -1)
        side_by_side = (x.unflatten(0, (-1, site.readings)).flatten(1, 2) for x in (heard, allowed))
        passed = probe(*side_by_side, site.query, site.key)
        return passed.unflatten(1, (site.readings, -1)).flatten(0, 1).to(weights)


def heard_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    **how: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attend as SDPA does, `[B, H, T, d]` to `[B, T, H, d]`; see the module for what an open tape adds.

    Keys and values may have fewer heads, each for as many neighbouring heads of the query. softcap: scores are bent to
    lie within it (Gemma 2), which no fused kernel of torch does: the product is always written out then.
    """
    # Said outright: where neither says it, SDPA takes a module to be causal, and CLAP's text tower is not.
    causal = bool(is_causal if is_causal is not None else getattr(module, "is_causal", False))
    tape, site = open_tape(), _site.get()
    fused = None
    if softcap is None and (tape is None or site is None or tape.edit is None):
        fused, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, is_causal=causal, **how
        )
    if fused is not None and (tape is None or site is None):
        return fused, None
    key, value = (_per_head(t, query.shape[1]) for t in (key, value))
    passed = _weights(query, key, attention_mask, scaling, causal, softcap)
    if tape is not None and site is not None:
        passed = hear(site, passed, _within(query, key, attention_mask, causal))
    if fused is not None:
        return fused, passed
    return (passed @ value).transpose(1, 2).contiguous(), passed


def explicit_attention(query: Tensor, key: Tensor, value: Tensor, there: Tensor) -> Tensor:
    """Attend with a softmax written out, as families do that have their own: `[B, H, T, d]` to `[B, T, H * d]`.

    there: keys that exist, `bool [B, 1, 1, T_k]`. Nothing changes while a tape is open.
    """
    weights = _weights(query, key, there, None, causal=False)
    site = _site.get()
    if open_tape() is not None and site is not None:
        weights = hear(site, weights)
    return (weights @ value).transpose(1, 2).flatten(2)


def _within(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool) -> Tensor | None:
    """Return which keys each query may read, `bool [B or 1, 1, T_q, T_k]`; None for all."""
    if mask is not None:
        return mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min
    return torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril()[None, None] if causal else None


def _per_head(shared: Tensor, heads: int) -> Tensor:
    """Repeat keys or values that several heads of the query share, `[B, H, T, d]`."""
    return shared if shared.shape[1] == heads else shared.repeat_interleave(heads // shared.shape[1], dim=1)


def _weights(
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    scaling: float | None,
    causal: bool,
    softcap: float | None = None,
) -> Tensor:
    scores = query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if softcap is not None:
        scores = softcap * (scores / softcap).tanh()
    if mask is not None:
        low = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~mask, low) if mask.dtype == torch.bool else scores + mask
    elif causal and query.shape[2] > 1:
        later = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(later, torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1)


AttentionInterface.register(NAME, heard_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
