"""Whole record sets as tokens: each distinct text, image and clip encoded once, kept as float16."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fusion_core.encoders.stack import EncoderStack
from fusion_core.encoding import Content, encode_contents
from fusion_core.errors import RecordError
from fusion_core.fusion import TokenSpec
from fusion_core.model import pool_rows
from fusion_core.token_cache import TokenCache, content_key
from fusion_core.types import Record, Refusal, Tokens

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TokenSet:
    """Records as rows of per-modality pools: `index[m] [N]` names the pool row of each record, -1 where absent."""

    pools: dict[str, Tokens]
    index: dict[str, Tensor]
    ids: tuple[str, ...]
    labels: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, rows: Tensor, dropped: dict[str, Tensor] | None = None) -> dict[str, Tokens]:
        """Return the tokens of some records, float32; `dropped[m] bool [B]` leaves modalities out.

        No longer than the longest of them: one long text does not slow down all the others.
        """
        found = {}
        for m, pool in self.pools.items():
            index = self.index[m][rows]
            if dropped is not None:
                index = torch.where(dropped[m], -1, index)
            longest = int(pool.mask[index.clamp(min=0)].sum(dim=1).max()) if len(index) else 1
            found[m] = pool.first(longest).rows(index).each(Tensor.float)
        return found

    def take(self, rows: Tensor) -> TokenSet:
        """Return some of the records: their numbers `[N]`, or which ones, `bool`."""
        numbers = rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows
        chosen = numbers.tolist()
        index = {m: i[numbers] for m, i in self.index.items()}
        return TokenSet(self.pools, index, tuple(self.ids[k] for k in chosen), tuple(self.labels[k] for k in chosen))

    def without(self, modality: str) -> TokenSet:
        """Return the same records with one modality absent."""
        index = {m: torch.full_like(i, -1) if m == modality else i for m, i in self.index.items()}
        return TokenSet(self.pools, index, self.ids, self.labels)

    def only(self, *modalities: str) -> TokenSet:
        """Return the same records with all but these modalities absent."""
        index = {m: i if m in modalities else torch.full_like(i, -1) for m, i in self.index.items()}
        return TokenSet(self.pools, index, self.ids, self.labels)


def encode_records(
    stack: EncoderStack, records: Sequence[Record], progress: Progress | None = None, cache: Path | None = None
) -> tuple[TokenSet, list[Refusal]]:
    """Encode records, skipping those that cannot be read (returned as refusals); one never takes others with it.

    A text, image or clip that several records share is encoded once, and not at all when the folder `cache` has it.
    Raises CallError for a cache that cannot be a folder.
    """
    pools = {m: _Pool(m) for m in stack.modalities}
    found = [_contents(record, stack.modalities) for record in records]
    for record, contents in zip(records, found, strict=True):
        for m, key in contents.items():
            pools[m].want(key, record)
    kept_tokens = TokenCache(cache, stack.encoders) if cache is not None else None
    _fill(stack, pools, kept_tokens, progress, len(records))
    kept: list[int] = []
    refused: list[Refusal] = []
    for k, (record, contents) in enumerate(zip(records, found, strict=True)):
        error = next((e for m, key in contents.items() if (e := pools[m].errors.get(key))), None)
        if not contents:
            refused.append(Refusal(record.id, "record_empty", f"the record has none of {', '.join(stack.modalities)}"))
        elif error is not None:
            refused.append(Refusal(record.id, error.code, str(error)))
        else:
            kept.append(k)
    rows = {m: pool.keep([found[k].get(m) for k in kept]) for m, pool in pools.items()}
    tokens = {m: pool.pooled(stack.specs[m]) for m, pool in pools.items()}
    ids, labels = tuple(records[k].id for k in kept), tuple(records[k].label for k in kept)
    return TokenSet(tokens, rows, ids, labels), refused


class _Pool:
    """One modality's distinct contents: who has each, what was made of it, and why nothing was."""

    def __init__(self, modality: str) -> None:
        self.modality = modality
        self.wanted: dict[str, list[Record]] = {}
        self.errors: dict[str, RecordError] = {}
        self.parts: dict[str, Tokens] = {}

    def want(self, key: str, record: Record) -> None:
        self.wanted.setdefault(key, []).append(record)

    def keep(self, keys: Sequence[str | None]) -> Tensor:
        """Leave only these contents, in their order, and return each one's row; -1 for None."""
        rows = {key: k for k, key in enumerate(dict.fromkeys(key for key in keys if key is not None))}
        self.parts = {key: self.parts[key] for key in rows}
        return torch.tensor([-1 if key is None else rows[key] for key in keys], dtype=torch.long)

    def pooled(self, spec: TokenSpec) -> Tokens:
        parts = list(self.parts.values()) or [_nothing(spec)]
        self.parts = {}
        return pool_rows([{self.modality: tokens} for tokens in parts])[self.modality]


def _fill(
    stack: EncoderStack, pools: Mapping[str, _Pool], cache: TokenCache | None, progress: Progress | None, records: int
) -> None:
    """Take what the cache has and encode the rest; progress counts records, by the share of contents that are there."""
    total, done = sum(len(pool.wanted) for pool in pools.values()), 0

    def tell(more: int) -> None:
        nonlocal done
        done += more
        if progress and total:
            progress("encode", records * done // total, records)

    missing: dict[str, list[Content]] = {}
    for m, pool in pools.items():
        if cache is not None:
            pool.parts = {key: hit for key in pool.wanted if (hit := cache.get(m, key)) is not None}
        missing[m] = [Content(key, tuple(rows)) for key, rows in pool.wanted.items() if key not in pool.parts]
        tell(len(pool.parts))
    for m, contents in missing.items():
        for chunk in encode_contents(stack.encoders[m], contents) if contents else ():
            for one in chunk:
                if isinstance(one.made, RecordError):
                    pools[m].errors[one.content.key] = one.made
                    continue
                pools[m].parts[one.content.key] = one.made
                if cache is not None:
                    cache.put(m, one.content.key, one.made)
            tell(len(chunk))
    if cache is not None:
        cache.trim()


def _contents(record: Record, modalities: Sequence[str]) -> dict[str, str]:
    """Return the key of what a record has of each modality."""
    return {m: content_key(record, m) for m in modalities if m in record.present()}


def _nothing(spec: TokenSpec) -> Tokens:
    raw = torch.zeros(1, 1, spec.raw).half() if spec.raw else None
    places = torch.zeros(1, 1, spec.places, dtype=torch.int32) if spec.places else None
    return Tokens(torch.zeros(1, 1, spec.width).half(), torch.zeros(1, 1, dtype=torch.bool), raw, places)
