"""The records under comparison as tokens: a first look at some, then all; encoded once, and only if it is needed."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
import torch

from fusion_core.compare.encoded import encode, joined
from fusion_core.errors import CallError
from fusion_core.model import FusedModel
from fusion_core.tokens import Progress, TokenSet
from fusion_core.types import Record, Refusal


class Subject:
    """Records, and their tokens once somebody asks for them."""

    def __init__(self, model: FusedModel, records: Sequence[Record], progress: Progress) -> None:
        self.model, self.records, self.progress = model, tuple(records), progress
        self._first: tuple[list[int], TokenSet, list[Refusal]] | None = None
        self._read: tuple[TokenSet, np.ndarray, tuple[Refusal, ...]] | None = None
        self._lock = Lock()

    def first_look(self, rows: Sequence[int]) -> TokenSet:
        """Encode some of the records; the others follow when all are asked for."""
        tokens, refused = encode(self.model.stack, [self.records[k] for k in rows], self.progress)
        self._first = (list(rows), tokens, refused)
        return tokens

    def read(self) -> tuple[TokenSet, np.ndarray, tuple[Refusal, ...]]:
        """Return the tokens of the records that can be read, which those are, `bool [N]`, and the refusals."""
        with self._lock:
            self._read = self._read or self._ordered()
            self._first = None
            return self._read

    def _ordered(self) -> tuple[TokenSet, np.ndarray, tuple[Refusal, ...]]:
        tokens, refused = self._encoded()
        place = {id: k for k, id in enumerate(tokens.ids)}
        there = np.array([record.id in place for record in self.records])
        order = torch.tensor([place[r.id] for r in self.records if r.id in place], dtype=torch.long)
        return tokens.take(order), there, tuple(refused)

    def keep(self, there: np.ndarray) -> None:
        """Go on with those records only that are known to be readable, `bool [N]`."""
        self.records = tuple(r for r, kept in zip(self.records, there, strict=True) if kept)
        self._first = None
        if self._read is not None:
            tokens = self._read[0]
            self._read = (tokens, np.ones(len(tokens), dtype=bool), ())

    @property
    def tokens(self) -> TokenSet:
        """All tokens; CallError where a record that was read before cannot be read now."""
        tokens, there, refused = self.read()
        if not there.all():
            raise CallError(f"{len(refused)} records could be read before and cannot be now, such as {refused[0].id}")
        return tokens

    def _encoded(self) -> tuple[TokenSet, list[Refusal]]:
        if self._first is None:
            return encode(self.model.stack, self.records, self.progress)
        rows, first, refused = self._first
        seen = set(rows)
        rest = [record for k, record in enumerate(self.records) if k not in seen]
        more, lost = encode(self.model.stack, rest, self.progress)
        return joined([first, more]), [*refused, *lost]
