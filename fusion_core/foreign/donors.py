"""The background of a model that was not fitted here: drawn, seeded, from the record set it is opened with."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fusion_core.encoders.stack import EncoderStack
from fusion_core.errors import CallError
from fusion_core.fusion.head import Head
from fusion_core.model import Background, pool_rows
from fusion_core.tokens import TokenSet, encode_records
from fusion_core.types import Record, Tokens

DONORS, FEWEST = 32, 4
#: Seconds a pass may take for the full number of donors, and what the passes of a ledger may take otherwise.
QUICK, BUDGET = 0.005, 10.0


def draw(stack: EncoderStack, head: Head, records: Sequence[Record], seed: int = 0) -> Background:
    """Encode up to 32 records as donors, fewer where a pass of the head is slow; raises CallError without any.

    A modality that no record has gets donors without it. A modality of few records repeats them. The first few tell
    what a pass takes, so that a slow model encodes no more records than it will use.
    """
    order = torch.randperm(len(records), generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = [records[number] for number in order]
    few = _donors(stack, shuffled, FEWEST)
    count = affordable(pass_seconds(head, few), len(few))
    return Background(few if count == FEWEST else _donors(stack, shuffled, count))


def _donors(stack: EncoderStack, shuffled: Sequence[Record], count: int) -> dict[str, Tokens]:
    """Return so many rows of each modality, of the first records that have it and can be read."""
    tokens = _encoded(stack, shuffled, count)
    if not len(tokens):
        raise CallError(f"no record of the set has {' or '.join(stack.modalities)} that can be read, to be a donor")
    found = {}
    for m, index in tokens.index.items():
        having = index[index >= 0][:count]
        rows = having.repeat(-(-count // max(1, len(having))))[:count] if len(having) else torch.full((count,), -1)
        own = tokens.pools[m].rows(rows)
        longest = max(1, int(own.mask.sum(dim=1).max()))
        found[m] = own.first(longest).each(Tensor.float)
    return found


def _encoded(stack: EncoderStack, shuffled: Sequence[Record], count: int) -> TokenSet:
    """Encode the first records until so many of each modality could be read, or there are no more."""
    having = {m: [record for record in shuffled if m in record.present()] for m in stack.modalities}
    taken = count
    while True:
        chosen = list({r.id: r for own in having.values() for r in own[:taken]}.values())
        tokens, _ = encode_records(stack, chosen)
        read = {m: int((index >= 0).sum()) for m, index in tokens.index.items()}
        if all(read.get(m, 0) >= count or taken >= len(own) for m, own in having.items()):
            return tokens
        taken *= 2


def pass_seconds(head: Head, tokens: Mapping[str, Tokens]) -> float:
    """Return the seconds of one pass of one record: the shorter of two."""
    one = {m: t.rows(torch.tensor([0])) for m, t in pool_rows([tokens]).items()}
    spent = []
    for _ in range(2):
        started = time.perf_counter()
        with torch.no_grad():
            head(one)
        spent.append(time.perf_counter() - started)
    return min(spent)


def affordable(seconds: float, modalities: int) -> int:
    """Return how many donors a pass of so many seconds allows: 32, 16, 8 or 4, so that noise seldom changes it."""
    if seconds < QUICK:
        return DONORS
    each = seconds * (2**modalities - 1)
    return next((n for n in (DONORS, 16, 8) if n * each <= BUDGET), FEWEST)
