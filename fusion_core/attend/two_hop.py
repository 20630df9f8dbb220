"""What a token reads in other modalities where they meet only in shared tokens: over a bottleneck, in two hops."""

from __future__ import annotations

import torch

from fusion_core.attend.joint import Joint, Step, mean_of_heads
from fusion_core.attention import Captured, Segments
from fusion_core.types import MODALITIES, AttentionMap

SITE = "two-hop"


def two_hop_maps(joint: Joint) -> tuple[AttentionMap, ...]:
    """Return `A[m <- B] A[B <- m']` for every two layers that follow each other, as maps from m to m', m' not m.

    Heads are those of the second hop; the first hop is the mean over its heads and over the streams present (what the
    bottlenecks become). layer is the second hop's. A row adds up to the share of a token's attention that comes from m'
    in these two hops, far below 1. `()` where modalities are read directly, as in a single stream, or not at all.
    """
    if any(_direct(joint.captured[number]) for step in joint.steps for number in step):
        return ()
    return tuple(
        found
        for first, second in zip(joint.steps, joint.steps[1:], strict=False)
        for number in second
        for found in _maps(joint, first, joint.captured[number])
    )


def _maps(joint: Joint, first: Step, second: Captured) -> list[AttentionMap]:
    hop = joint.matrix(first, mean_of_heads)
    shared = [name for name, _ in second.key if name not in MODALITIES]
    readers = [name for name, _ in second.query if name in MODALITIES]
    found = []
    for query in readers:
        rows = _place(second.query, query)
        for key in (m for m in MODALITIES if m in joint.places and m != query):
            if not bool(joint.exists[joint.places[key]].any()):
                continue
            weights = sum(
                second.weights[0, :, rows, _place(second.key, name)].detach().double()
                @ hop[joint.places[name], joint.places[key]]
                for name in shared
            )
            if isinstance(weights, torch.Tensor) and bool(weights.any()):
                found.append(AttentionMap(SITE, second.layer, query, key, weights.float().numpy()))
    return found


def _direct(captured: Captured) -> bool:
    return len({name for name, _ in (*captured.query, *captured.key)} & set(MODALITIES)) > 1


def _place(segments: Segments, wanted: str) -> slice:
    start = 0
    for name, length in segments:
        if name == wanted:
            return slice(start, start + length)
        start += length
    raise ValueError(f"no segment {wanted!r}")
