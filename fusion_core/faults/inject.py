"""Put a fault into a share of a record set's records, with what was done to which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fusion_core.errors import CallError, RecordError
from fusion_core.faults.fault import COLUMNS, SEVERITIES, Fault, Injection, fault
from fusion_core.types import MODALITIES, Record, Refusal


def inject(
    rows: Sequence[Record | Refusal], kind: str, severity: int = 3, share: float = 1.0, seed: int = 0
) -> list[Record | Refusal]:
    """Return the rows in their order, a share of the records that can be harmed with the fault, all with its columns.

    Records that carry a fault already keep it. Same seed, same records, same harm; a record's chance is its own. One
    whose media cannot be decoded becomes a refusal. Raises CallError for an unknown kind, a severity or share out of
    range, and when no record can be harmed.
    """
    about = fault[kind]
    if severity not in SEVERITIES:
        raise CallError(f"severity {severity}; allowed are 1 to 5")
    if not 0.0 <= share <= 1.0:
        raise CallError(f"share {share}; allowed is 0 to 1")
    records = [_with_columns(row) for row in rows if isinstance(row, Record)]
    able = [
        given
        for place, record in enumerate(records)
        if not record.meta["fault"] and _can(about, given := _given(records, place, kind, severity, seed))
    ]
    if share and not able:
        raise CallError(f"none of {len(records):,} records can be harmed by {kind}")
    order = np.random.default_rng(seed).permutation(len(able))[: round(share * len(able))]
    chosen = tuple(able[k].place for k in order)
    harmed = {able[k].place: _harmed(kind, about, replace(able[k], chosen=chosen)) for k in order}
    done = iter([harmed.get(place, record) for place, record in enumerate(records)])
    return [next(done) if isinstance(row, Record) else row for row in rows]


def _with_columns(record: Record) -> Record:
    return replace(record, meta={**record.meta, **{name: record.meta.get(name, "") for name in COLUMNS}})


def _given(records: Sequence[Record], place: int, kind: str, severity: int, seed: int) -> Injection:
    return Injection(records, place, severity, np.random.default_rng([seed, place, *kind.encode()]))


def _can(about: Fault, given: Injection) -> bool:
    """Return whether a record can be harmed: it has the modality; what mixes records up is tried, and costs nothing."""
    if about.modality in MODALITIES:
        return bool(getattr(given.record, about.modality))
    return about.harm(given) is not None


def _harmed(kind: str, about: Fault, given: Injection) -> Record | Refusal:
    before = given.record
    try:
        after = about.harm(given)
    except RecordError as error:
        return Refusal(before.id, error.code, str(error))
    assert after is not None, "a record that could be harmed"
    done = (kind, _modality(about, before, after), about.fault, float(given.severity))
    return replace(after, meta={**after.meta, **dict(zip(COLUMNS, done, strict=True))})


def _modality(about: Fault, before: Record, after: Record) -> str:
    """Return which modality is at fault: of what is duplicated, the one medium that is, or the pair of both."""
    changed = [m for m in ("image", "audio") if getattr(before, m) != getattr(after, m)]
    return changed[0] if about.fault == "duplicated" and len(changed) == 1 else about.modality
