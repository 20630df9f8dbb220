"""Rows of the log as Arrow tables of its schema, and whether a table has that schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import pyarrow as pa

from fusion_core.errors import CallError
from fusion_core.log.schema import (
    ANSWERED,
    ERRORS,
    SLICE,
    SLICE_NAME,
    SLICE_TYPES,
    Logged,
    LoggedError,
    PartKind,
    Run,
    SliceKind,
    answered_schema,
)
from fusion_core.reading.texts import quoted
from fusion_core.types import MODALITIES

_Row = TypeVar("_Row", Logged, LoggedError)


def rows_table(rows: Sequence[Logged], run: Run) -> pa.Table:
    """Return answered rows as a table with the slices of the run; times become naive UTC, naive ones are UTC.

    Raises CallError for a row that does not fit, such as one with a slice the run does not have.
    """
    for row in rows:
        _check(row, run)
    schema = answered_schema(run.slices)
    columns = {f.name: _column(rows, f, _ANSWERED.get(f.name)) for f in ANSWERED}
    for name in run.slices:
        column = schema.field(SLICE + name)
        columns[column.name] = _column(rows, column, _slice_of(name))
    return pa.Table.from_arrays([columns[f.name] for f in schema], schema=schema)


def errors_table(rows: Sequence[LoggedError]) -> pa.Table:
    """Return rows that gave no answer as a table; CallError for one that does not fit."""
    own: dict[str, Callable[[LoggedError], Any]] = {"timestamp": lambda row: naive(row.timestamp)}
    return pa.Table.from_arrays([_column(rows, f, own.get(f.name)) for f in ERRORS], schema=ERRORS)


def naive(time: datetime | None) -> datetime | None:
    """Return the time in UTC without its zone, as it is kept."""
    return time if time is None or time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def schema_fault(schema: pa.Schema, kind: PartKind) -> str | None:
    """Return why a part's columns are not those of the log, or None."""
    base = ANSWERED if kind == "parts" else ERRORS
    if len(schema) < len(base) or not pa.schema(list(schema)[: len(base)]).equals(base):
        return "its columns are not those of the log"
    slices: list[pa.Field] = list(schema)[len(base) :]
    if kind == "errors" and slices:
        return "its columns are not those of the log"
    plain = (f.name.startswith(SLICE) and SLICE_NAME.fullmatch(f.name.removeprefix(SLICE)) for f in slices)
    if not all(plain) or any(f.type not in SLICE_TYPES.values() for f in slices):
        return "it has a column that is no slice"
    return None if len({f.name.lower() for f in slices}) == len(slices) else "two of its slices differ by case only"


_ANSWERED: Mapping[str, Callable[[Logged], Any]] = {
    "timestamp": lambda row: naive(row.timestamp),
    "present": lambda row: "+".join(m for m in MODALITIES if m in row.present),
    "flags": lambda row: " ".join(row.flags),
}


def _slice_of(name: str) -> Callable[[Logged], Any]:
    return lambda row: row.slices.get(name)


def _check(row: Logged, run: Run) -> None:
    unknown = [name for name in row.slices if name not in run.slices]
    if unknown:
        allowed = ", ".join(run.slices) or "none"
        raise CallError(f"row {quoted(row.id)} has slice {quoted(unknown[0])}; slices of the run: {allowed}")
    for name, value in row.slices.items():
        if value is not None and not _fits(value, run.slices[name]):
            raise CallError(f"row {quoted(row.id)}: slice {name} is {value!r}, not a {run.slices[name]}")
    if not set(row.present) <= set(MODALITIES):
        raise CallError(f"row {quoted(row.id)}: present {row.present!r}; allowed are {', '.join(MODALITIES)}")
    if any(not flag or any(c.isspace() for c in flag) for flag in row.flags):
        raise CallError(f"row {quoted(row.id)}: flags {row.flags!r} are to be names without spaces")


def _fits(value: object, kind: SliceKind) -> bool:
    return isinstance(value, str) if kind == "text" else isinstance(value, int | float) and not isinstance(value, bool)


def _column(rows: Sequence[_Row], field: pa.Field, value: Callable[[_Row], Any] | None) -> pa.Array:
    values = [getattr(row, field.name) if value is None else value(row) for row in rows]
    if not field.nullable and None in values:
        raise CallError(f"row {quoted(rows[values.index(None)].id)} has no {field.name}")
    try:
        return pa.array(values, field.type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise CallError(f"column {field.name} holds what cannot be kept as {field.type}: {error}") from error
