"""Whole record sets as tokens: each distinct text, image and clip encoded once, kept as float16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fusion_core.encoders.stack import EncoderStack
from fusion_core.errors import RecordError
from fusion_core.model import pool_rows
from fusion_core.types import Record, Refusal, Tokens

Progress = Callable[[str, int, int], None]
CHUNK = 32


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
        """Return the tokens of some records, float32; `dropped[m] bool [B]` leaves modalities out."""
        found = {}
        for m, pool in self.pools.items():
            index = self.index[m][rows]
            if dropped is not None:
                index = torch.where(dropped[m], -1, index)
            tokens = pool.rows(index)
            found[m] = tokens.each(Tensor.float)
        return found

    def without(self, modality: str) -> TokenSet:
        """Return the same records with one modality absent."""
        index = {m: torch.full_like(i, -1) if m == modality else i for m, i in self.index.items()}
        return TokenSet(self.pools, index, self.ids, self.labels)

    def only(self, *modalities: str) -> TokenSet:
        """Return the same records with all but these modalities absent."""
        index = {m: i if m in modalities else torch.full_like(i, -1) for m, i in self.index.items()}
        return TokenSet(self.pools, index, self.ids, self.labels)


def encode_records(
    stack: EncoderStack, records: Sequence[Record], progress: Progress | None = None
) -> tuple[TokenSet, list[Refusal]]:
    """Encode records, skipping those that cannot be read (returned as refusals).

    A text, image or clip that several records share is encoded once.
    """
    kept: list[Record] = []
    refused: list[Refusal] = []
    seen: dict[str, dict[str, int]] = {m: {} for m in stack.modalities}
    parts: dict[str, list[Tokens]] = {m: [] for m in stack.modalities}
    for start in range(0, len(records), CHUNK):
        for record in records[start : start + CHUNK]:
            if not set(record.present()) & set(stack.modalities):
                message = f"the record has none of {', '.join(stack.modalities)}"
                refused.append(Refusal(record.id, "record_empty", message))
                continue
            fresh = _fresh_part(record, seen)
            try:
                encoded = stack.encode(stack.prepare([fresh])) if fresh.present() else {}
            except RecordError as error:
                refused.append(Refusal(record.id, error.code, str(error)))
                continue
            for m in set(fresh.present()) & set(stack.modalities):
                seen[m][_content(record, m)] = len(parts[m])
                parts[m].append(encoded[m].each(Tensor.half))
            kept.append(record)
        if progress:
            progress("encode", min(start + CHUNK, len(records)), len(records))
    pools = {m: pool_rows([{m: tokens} for tokens in parts[m]] or [{m: _nothing(stack, m)}])[m] for m in parts}
    index = {
        m: torch.tensor([seen[m].get(_content(r, m), -1) if m in r.present() else -1 for r in kept], dtype=torch.long)
        for m in parts
    }
    return TokenSet(pools, index, tuple(r.id for r in kept), tuple(r.label for r in kept)), refused


def _content(record: Record, modality: str) -> str:
    if modality == "text":
        return record.text or ""
    media = record.image if modality == "image" else record.audio
    return media.sha256 if media else ""


def _fresh_part(record: Record, seen: dict[str, dict[str, int]]) -> Record:
    """Return the record with only what was not encoded yet."""
    fresh = {m: m in record.present() and _content(record, m) not in seen[m] for m in seen}
    return Record(
        id=record.id,
        text=record.text if fresh.get("text") else None,
        image=record.image if fresh.get("image") else None,
        audio=record.audio if fresh.get("audio") else None,
    )


def _nothing(stack: EncoderStack, modality: str) -> Tokens:
    spec = stack.specs[modality]
    raw = torch.zeros(1, 1, spec.raw).half() if spec.raw else None
    return Tokens(torch.zeros(1, 1, spec.width).half(), torch.zeros(1, 1, dtype=torch.bool), raw)
