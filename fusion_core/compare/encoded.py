"""Records as tokens for a comparison: encoded in two goes, cut to samples, and trimmed to what a batch needs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from fusion_core.compare.threads import side_by_side
from fusion_core.encoders.stack import EncoderStack
from fusion_core.model import FusedModel, pool_rows
from fusion_core.tokens import Progress, TokenSet, encode_records
from fusion_core.types import Record, Refusal, Tokens

AT_ONCE = 64  # records


def encode(
    stack: EncoderStack, records: Sequence[Record], progress: Progress | None = None
) -> tuple[TokenSet, list[Refusal]]:
    """Encode records on every core; those that cannot be read are left out and returned as refusals."""
    parts: list[TokenSet] = []
    refused: list[Refusal] = []
    starts = range(0, max(1, len(records)), AT_ONCE)
    for own, lost in side_by_side(lambda k: encode_records(stack, records[k : k + AT_ONCE]), starts):
        parts.append(own)
        refused += lost
        if progress:
            progress("encode", min(len(parts) * AT_ONCE, len(records)), len(records))
    return joined(parts), refused


def encode_modality(stack: EncoderStack, records: Sequence[Record], modality: str) -> tuple[Tokens, np.ndarray]:
    """Encode one modality of records that have it: tokens `[N, T, D]`, and which could be read, `bool [N]`."""
    alone = [Record(str(k), **{modality: getattr(record, modality)}) for k, record in enumerate(records)]
    tokens, refused = encode_records(stack, alone)
    lost = {int(refusal.id) for refusal in refused}
    there = np.array([k not in lost for k in range(len(records))])
    index = torch.full((len(records),), -1, dtype=torch.long)
    index[torch.from_numpy(there)] = tokens.index[modality]
    return tokens.pools[modality].rows(index), there


def joined(parts: Sequence[TokenSet]) -> TokenSet:
    """Return several token sets as one, in their order."""
    index: dict[str, list[Tensor]] = {m: [] for m in parts[0].pools}
    for m, found in index.items():
        before = 0
        for own in parts:
            found.append(torch.where(own.index[m] < 0, -1, own.index[m] + before))
            before += own.pools[m].values.shape[0]
    ids, labels = chain.from_iterable(p.ids for p in parts), chain.from_iterable(p.labels for p in parts)
    rows = {m: torch.cat(found) for m, found in index.items()}
    return TokenSet(pool_rows([p.pools for p in parts]), rows, tuple(ids), tuple(labels))


def part(tokens: TokenSet, rows: np.ndarray) -> TokenSet:
    """Return some of the records, with no more in the pools than they need."""
    pools, index = {}, {}
    for m, own in tokens.index.items():
        wanted, place = torch.unique(own[torch.from_numpy(rows)], return_inverse=True)
        lacking = int((wanted < 0).any())
        pools[m] = trimmed(tokens.pools[m].rows(wanted[lacking:] if len(wanted) > lacking else wanted))
        index[m] = place - lacking
    ids, labels = tokens.ids, tokens.labels
    return TokenSet(pools, index, tuple(ids[k] for k in rows), tuple(labels[k] for k in rows))


def whole(tokens: TokenSet) -> np.ndarray:
    """Return the numbers of the records that have every modality."""
    there = torch.stack([own >= 0 for own in tokens.index.values()]).all(dim=0)
    found: np.ndarray = np.flatnonzero(there.numpy())
    return found


def trimmed(tokens: Tokens) -> Tokens:
    """Return tokens without the padding that no record of the batch needs."""
    used = tokens.mask.any(dim=0).nonzero()
    return _of_length(tokens, int(used.max()) + 1) if len(used) else tokens


def batch(model: FusedModel, tokens: TokenSet, rows: Tensor) -> dict[str, Tokens]:
    """Return the tokens of some records as `fitting` does."""
    return fitting(model, tokens.batch(rows))


def fitting(model: FusedModel, tokens: dict[str, Tokens]) -> dict[str, Tokens]:
    """Return tokens as float32, words and frames trimmed; a grid always has all its cells, were they all absent."""
    grids = {m: spec.grid for m, spec in model.head(model.strategies[0]).specs.items()}
    found = {}
    for m, t in tokens.items():
        grid = grids[m]
        found[m] = (trimmed(t) if grid is None else _of_length(t, grid[0] * grid[1])).each(Tensor.float)
    return found


def _of_length(tokens: Tokens, length: int) -> Tokens:
    more = length - tokens.mask.shape[1]
    return tokens.shaped(lambda f: pad(f, (0, 0, 0, more)), pad(tokens.mask, (0, more))) if more else tokens
