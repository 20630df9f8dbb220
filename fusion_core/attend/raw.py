"""Raw attention: every softmax of every layer and head, cut into one map per pair of modalities; or one per token."""

from __future__ import annotations

from collections.abc import Collection

import torch

from fusion_core.attend.joint import Joint, Step, mean_of_heads
from fusion_core.attention import Captured, Segments, Tape
from fusion_core.types import AttentionMap, AttentionScores


def attention_maps(tape: Tape, present: Collection[str]) -> tuple[AttentionMap, ...]:
    """Return the maps of the first record on a tape; modalities not in `present` have none.

    Rows stay as the softmax made them: over all keys of one site and layer they add up to 1.
    """
    kept = {*present, "cls"}
    return tuple(
        AttentionMap(
            site=captured.site,
            layer=captured.layer,
            query=query,
            key=key,
            weights=captured.weights[0][:, rows, columns].detach().float().numpy(),
            kind=captured.kind,
        )
        for captured in tape.captured
        for query, rows in _slices(captured.query)
        for key, columns in _slices(captured.key)
        if query in kept and key in kept and not _empty(captured)
    )


def raw_scores(joint: Joint, step: Step | None = None) -> AttentionScores | None:
    """Return the mean attention each token gets, over heads and over the queries that exist and could read it.

    One site and layer (one of `joint.steps`), by default the last in which modalities are read from elsewhere; None
    where there is no such layer. The same for every class, so target is None.
    """
    if step is None:
        step = next((found for found in reversed(joint.steps) if joint.crossing(found)), None)
    if step is None:
        return None
    received = joint.matrix(step, mean_of_heads).sum(dim=0)
    could = joint.matrix(step, lambda _, captured: torch.ones(captured.weights.shape[-2:]).double()) > 0
    return joint.scores("raw", None, received / could.sum(dim=0).clamp(min=1))


def _slices(segments: Segments) -> list[tuple[str, slice]]:
    found, start = [], 0
    for name, length in segments:
        found.append((name, slice(start, start + length)))
        start += length
    return found


def _empty(captured: Captured) -> bool:
    return captured.weights.shape[-1] == 0 or captured.weights.shape[-2] == 0
