"""Diagnose records one by one, in their order: look, measure, judge, and test by repair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fusion_core.diagnose.judge import diagnosis, with_repairs
from fusion_core.diagnose.look import look
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.repair import try_repairs
from fusion_core.diagnose.repeats import Memory
from fusion_core.diagnose.row import Row
from fusion_core.diagnose.rules import Case
from fusion_core.diagnose.signals import Seen, measure
from fusion_core.errors import RecordError
from fusion_core.model import FusedModel
from fusion_core.types import Diagnosis, Failure, Record, Refusal, Tokens


@dataclass(frozen=True)
class Examined:
    """A record with what was seen of it, its signals and its diagnosis: what findings over many are made of."""

    record: Record
    seen: Seen
    signals: Mapping[str, float]
    diagnosis: Diagnosis

    def row(self) -> Row:
        """Return the record as findings over many see it."""
        cause, record, seen = self.diagnosis.cause, self.record, self.seen
        named = [c.rule for c in self.diagnosis.clues if (c.modality, c.fault) == (cause.modality, cause.fault)]
        known = seen.label is not None and seen.fused is not None
        return Row(
            id=record.id,
            modality=cause.modality,
            fault=cause.fault,
            rule=named[0] if named else "",
            timestamp=record.timestamp,
            columns=record.meta,
            signals=self.signals,
            correct=int(seen.fused.argmax()) == seen.label if known and seen.fused is not None else None,
            confidence=None if seen.fused is None else float(seen.fused.max()),
        )


def examine_rows(
    model: FusedModel, reference: Reference, rows: Iterable[Record | Refusal], repair: bool = True
) -> Iterator[Examined | Failure]:
    """Examine rows in their order; a row that cannot be read becomes a failure and takes no other with it."""
    memory = Memory()
    for row in rows:
        if isinstance(row, Refusal):
            yield Failure(row.id, None, row.code, row.message)
            continue
        repeats = memory.repeats(row)
        try:
            seen, tokens = look(model, row, reference.strategy)
        except RecordError as error:
            yield Failure(row.id, None, error.code, str(error))
            continue
        yield examine(model, reference, row, seen, tokens, repeats, repair)


def diagnose_record(model: FusedModel, reference: Reference, record: Record) -> Diagnosis:
    """Diagnose one record by itself, repairs included; raises RecordError when it cannot be read."""
    seen, tokens = look(model, record, reference.strategy)
    return examine(model, reference, record, seen, tokens, {}).diagnosis


def examine(
    model: FusedModel,
    reference: Reference,
    record: Record,
    seen: Seen,
    tokens: Mapping[str, Tokens],
    repeats: Mapping[str, str],
    repair: bool = True,
) -> Examined:
    """Examine one record that was looked at; with cached `tokens[m] [1, T_m, D_m]` this takes a few tens of ms."""
    found = measure(seen, reference.profile)
    said = diagnosis(record.id, case_of(reference, seen, found, repeats))
    wrong = seen.label is not None and seen.fused is not None and int(seen.fused.argmax()) != seen.label
    if repair and (wrong or said.cause.fault != "none"):
        said = with_repairs(said, try_repairs(model, tokens, seen.alone, seen.label, reference.strategy))
    return Examined(record, seen, found, said)


def case_of(
    reference: Reference, seen: Seen, found: Mapping[str, float], repeats: Mapping[str, str] | None = None
) -> Case:
    """Return the case rules judge; a modality counts as absent only where clean records mostly have it."""
    absent = frozenset(m for m, share in reference.present.items() if share > 0.5 and not seen.has(m))
    return Case(found, reference, absent, repeats or {})
