"""Raw attention: every softmax of every layer and head, cut into one map per pair of modalities."""

from __future__ import annotations

from collections.abc import Collection

from fusion_core.attention import Captured, Segments, Tape
from fusion_core.types import AttentionMap


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


def _slices(segments: Segments) -> list[tuple[str, slice]]:
    found, start = [], 0
    for name, length in segments:
        found.append((name, slice(start, start + length)))
        start += length
    return found


def _empty(captured: Captured) -> bool:
    return captured.weights.shape[-1] == 0 or captured.weights.shape[-2] == 0
