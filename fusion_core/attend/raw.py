"""Raw attention: every softmax of every layer and head, cut into one map per pair of modalities; and every gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace

from torch import Tensor

from fusion_core.attend.joint import owner
from fusion_core.attention import Captured, Segments, Tape
from fusion_core.types import MODALITIES, AttentionMap

#: Weights of all heads of a record that are kept: 200 MB.
MOST_WEIGHTS = 50_000_000


def attention_maps(tape: Tape, present: Collection[str], readout: Collection[str] = ()) -> tuple[AttentionMap, ...]:
    """Return the maps of the first record on a tape; modalities not in `present` have none.

    readout: the segments the answer is read from; the only one of a site's queries, where it is one token, is summary.
    Of more than `MOST_WEIGHTS` weights only the mean over heads is kept.

    Rows stay as the softmax made them: over all keys of one site and layer they add up to 1. The rows of bottlenecks
    are the mean over the streams present, which is what the bottlenecks become: they add up to 1 too.
    A gate gives one map per modality, with the norm of what it lets through.
    """
    # A stream whose modality is absent still runs in a batch, but feeds nothing.
    heard = [c for c in tape.captured if _modalities(c) & set(present) and not _empty(c)]
    streams = Counter(_place(c) for c in heard if "bottleneck" in dict(c.query))
    # What is no modality: learned tokens, special pieces, and the joint vector that gates feed.
    absent = set(MODALITIES) - set(present)
    many = sum(c.weights[0].numel() for c in heard if c.kind == "attention") > MOST_WEIGHTS
    maps = (
        AttentionMap(
            site=captured.site,
            layer=captured.layer,
            query=query,
            key=key,
            weights=weights[:, rows, columns].numpy() / (streams[_place(captured)] if query == "bottleneck" else 1),
            kind=captured.kind,
            norm=float(captured.passed()[key][0].detach()) if captured.kind == "gate" else None,
            summary=query == _summary(captured, readout),
            of=int(captured.weights.shape[1]) if many and captured.kind == "attention" else 0,
        )
        for captured, weights in ((c, _weights(c, many)) for c in heard)
        for query, rows in _slices(captured.query)
        for key, columns in _slices(captured.key)
        if owner(query) not in absent and owner(key) not in absent
    )
    return _united(maps)


def _united(maps: Iterable[AttentionMap]) -> tuple[AttentionMap, ...]:
    """Add up what the bottlenecks of each stream read from themselves: one map per site and layer."""
    found: list[AttentionMap] = []
    own: dict[tuple[str, int], int] = {}
    for found_map in maps:
        place = (found_map.site, found_map.layer)
        if not (found_map.query == found_map.key == "bottleneck"):
            found.append(found_map)
        elif place in own:
            first = found[own[place]]
            found[own[place]] = replace(first, weights=first.weights + found_map.weights)
        else:
            own[place] = len(found)
            found.append(found_map)
    return tuple(found)


def _weights(captured: Captured, many: bool) -> Tensor:
    """Return the first record's weights `[H, T_q, T_k]`, as their mean `[1, T_q, T_k]` where they are too many."""
    own = captured.weights[0].detach().float()
    return own.mean(dim=0, keepdim=True) if many and captured.kind == "attention" else own


def _summary(captured: Captured, readout: Collection[str]) -> str | None:
    """Return the one token of a site's queries that the answer is read from; None for several or a modality."""
    read = [(name, length) for name, length in captured.query if name in readout]
    return read[0][0] if len(read) == 1 and read[0][1] == 1 and read[0][0] not in MODALITIES else None


def _place(captured: Captured) -> tuple[str, int]:
    return captured.site, captured.layer


def _modalities(captured: Captured) -> set[str]:
    return {name for name, _ in (*captured.query, *captured.key)} & set(MODALITIES)


def _slices(segments: Segments) -> list[tuple[str, slice]]:
    found, start = [], 0
    for name, length in segments:
        found.append((name, slice(start, start + length)))
        start += length
    return found


def _empty(captured: Captured) -> bool:
    return captured.weights.shape[-1] == 0 or captured.weights.shape[-2] == 0
