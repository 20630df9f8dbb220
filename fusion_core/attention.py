"""The whole capture story: attention that is ours, probes it passes through, and tapes that listen.

A `Probe` is a named identity. While a tape is open in the current context (`with capture() as tape:`), every probe
writes what passes through it; otherwise it costs nothing. The tape lives in a `ContextVar`, so two sessions that
share a model never mix their captures. A worker thread does not inherit it: open the tape where the model is fused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from fusion_core.errors import RecordError

#: Attention that one tape holds at most, in bytes: a long text in a deep decoder would be tens of gigabytes.
MOST_BYTES = 8_000_000_000

Kind = Literal["attention", "gate"]
Segments = tuple[tuple[str, int], ...]  # names and lengths of the parts of a token axis, in order
Edit = Callable[["Probe", Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Captured:
    """Weights `[B, H, T_q, T_k]` that passed a probe, and what their two token axes are made of.

    A gate has one head; its query segment is "fused", the features of the joint vector it feeds, and each key segment
    is one column: a modality. `gated`, of a gate only, is what it weighs, of the same shape.
    allowed: which keys exist, `bool [B, 1, 1, T_k]`, or `[B, H, 1, T_k]` where heads differ; None means all.
    """

    site: str
    layer: int
    kind: Kind
    weights: Tensor
    query: Segments
    key: Segments
    allowed: Tensor | None = None
    gated: Tensor | None = None

    def passed(self) -> dict[str, Tensor]:
        """Return how much a gate lets through of each modality, `norm(g_m * h_m) [B]`; nothing for attention."""
        if self.gated is None:
            return {}
        norms = (self.weights * self.gated).flatten(1, 2).norm(dim=1)
        return {m: norms[:, column] for column, (m, _) in enumerate(self.key)}


@dataclass
class Tape:
    """What the probes wrote while it was open, in order; `edit` may replace weights on their way.

    keeps: whether what passed is kept; where only the edit matters, it is not. held: bytes of weights kept.
    """

    edit: Edit | None = None
    captured: list[Captured] = field(default_factory=list)
    keeps: bool = True
    held: int = 0

    def write(self, captured: Captured) -> None:
        """Keep what passed a probe; raises RecordError (`resource_exhausted`) beyond what a tape holds."""
        if not self.keeps:
            return
        self.held += captured.weights.numel() * captured.weights.element_size()
        if self.held > MOST_BYTES:
            tokens, layer = captured.weights.shape[-1], captured.layer + 1
            raise RecordError(
                f"the attention of this record, of {tokens:,} tokens, is over {MOST_BYTES / 1e9:.0f} GB at layer "
                f"{layer}: a shorter text or a smaller image or clip has fewer tokens; a sweep keeps no attention",
                "resource_exhausted",
            )
        self.captured.append(captured)


_open_tape: ContextVar[Tape | None] = ContextVar("open_tape", default=None)


@contextmanager
def capture(edit: Edit | None = None, keeps: bool = True) -> Iterator[Tape]:
    """Open a tape for the current context; `edit(probe, weights, allowed)` returns the weights to go on with."""
    tape = Tape(edit, keeps=keeps)
    token = _open_tape.set(tape)
    try:
        yield tape
    finally:
        _open_tape.reset(token)


def open_tape() -> Tape | None:
    """Return the tape that is open in this context, if one is."""
    return _open_tape.get()


class Probe(nn.Module):
    """A named identity for attention weights or gates."""

    def __init__(self, site: str, layer: int, kind: Kind = "attention") -> None:
        super().__init__()
        self.site, self.layer, self.kind = site, layer, kind

    def forward(
        self,
        weights: Tensor,
        allowed: Tensor,
        query: Segments,
        key: Segments,
        gated: Tensor | None = None,
        within: Tensor | None = None,
    ) -> Tensor:
        """Pass `weights [B, H, T_q, T_k]` on; `allowed bool [B, 1, 1, T_k]` says which keys exist.

        gated: what a gate weighs, of the same shape. within: which of the keys each query may read, where not all,
        `bool [B or 1, 1, T_q, T_k]`: an edit keeps to it.
        """
        tape = _open_tape.get()
        if tape is None:
            return weights
        if tape.edit is not None:
            weights = tape.edit(self, weights, allowed if within is None else allowed & within)
        tape.write(Captured(self.site, self.layer, self.kind, weights, query, key, allowed, gated))
        return weights


def uniform(probe: Probe, weights: Tensor, allowed: Tensor) -> Tensor:
    """Replace attention by equal shares over the keys that exist (an `edit` for `capture`); gates pass."""
    if probe.kind != "attention":
        return weights
    share = allowed.to(weights.dtype)
    return (share / share.sum(dim=-1, keepdim=True).clamp(min=1.0)).expand_as(weights)


#: Attention weights worked out at a time when nobody watches: 8 MB of them.
CACHED = 2_000_000


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani 2017) whose weights pass a probe.

    Keys that do not exist get weight 0 after the softmax too: with every key masked a softmax alone is uniform and
    leaks. The output has no bias, so attending to nothing adds exactly nothing.
    """

    def __init__(self, width: int, heads: int, probe: Probe, inner: int | None = None) -> None:
        super().__init__()
        inner = inner or width
        if inner % heads:
            raise ValueError(f"attention width {inner} is not a multiple of its {heads} heads")
        self.heads = heads
        self.query = nn.Linear(width, inner)
        self.key = nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.out = nn.Linear(inner, width, bias=False)
        self.probe = probe

    def forward(self, query: Tensor, key: Tensor, mask: Tensor, queries: Segments, keys: Segments) -> Tensor:
        """Attend from `query [B, T_q, D]` to `key [B, T_k, D]` where `mask bool [B, T_k]`; return `[B, T_q, D]`."""
        q, k, v = self._split(self.query(query)), self._split(self.key(key)), self._split(self.value(key))
        allowed = mask[:, None, None, :]
        if _open_tape.get() is not None:
            weights = self.probe(_shares(q, k, allowed), allowed, queries, keys)
            return self.out((weights @ v).transpose(1, 2).flatten(2))
        # Nobody watches: a few rows at a time, so that weights stay in the cache; the numbers are the same.
        rows = max(1, CACHED // max(1, q.shape[1] * q.shape[2] * k.shape[2]))
        parts = zip(*(x.split(rows) for x in (q, k, v, allowed)), strict=True)
        mixed = torch.cat([_shares(q_, k_, allowed_) @ v_ for q_, k_, v_, allowed_ in parts])
        return self.out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _shares(q: Tensor, k: Tensor, allowed: Tensor) -> Tensor:
    """Return attention weights `[B, H, T_q, T_k]`; 0 for keys that do not exist."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    floor = torch.finfo(scores.dtype).min
    return torch.where(allowed, scores.masked_fill(~allowed, floor).softmax(dim=-1), 0.0)
