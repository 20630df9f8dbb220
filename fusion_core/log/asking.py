"""What a question to a prediction log may be made of: a filter, an order, and a closed list of columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from fusion_core.errors import CallError
from fusion_core.log.schema import SLICE, SliceKind
from fusion_core.log.store import Store
from fusion_core.log.tables import naive
from fusion_core.reading.texts import quoted
from fusion_core.types import MODALITIES

#: What rows can be grouped by and put in order by, besides the run's slices.
GROUPS = ("strategy", "release", "prediction", "label", "present", "flags")
ORDERS = ("timestamp", "id", "strategy", "release", "prediction", "label", "correct", "confidence", "latency_ms")


@dataclass(frozen=True)
class Filter:
    """Which rows a question is about; every field that is given must hold.

    since, until: from and up to but not including; naive times are UTC. confidence: from and to, both included.
    present: exactly these modalities. flag: among the row's flags. text: contained in the row's text, whatever the
    case. slices: by their own names; None asks for rows without a value. release, prediction, label: "" asks for rows
    without one. cause: "<modality> <fault>" as a diagnosis named it, or several joined by "|", "any" for any but none;
    records are told apart by their id, so it is asked of one run at a time.
    """

    strategy: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    release: str | None = None
    slices: Mapping[str, str | float | None] = field(default_factory=dict)
    prediction: str | None = None
    label: str | None = None
    correct: bool | None = None
    confidence: tuple[float, float] | None = None
    present: tuple[str, ...] | None = None
    flag: str | None = None
    text: str | None = None
    cause: str | None = None


@dataclass(frozen=True)
class Order:
    """How rows follow one another; rows that tie stand as they lie in the log. Rows without the value come last."""

    column: str = "timestamp"
    descending: bool = True


class Words:
    """The WHERE of a question and its values, which are bound and never part of the words."""

    def __init__(self) -> None:
        self.values: list[object] = []
        self.conditions: list[str] = []

    def bind(self, value: object) -> str:
        """Take a value and return what stands for it, "$3"; CallError for text that is not Unicode."""
        if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            raise CallError(f"{quoted(value)} holds half a character; texts of the log are whole Unicode")
        self.values.append(value)
        return f"${len(self.values)}"

    def add(self, condition: str) -> None:
        """Ask for one more condition to hold."""
        self.conditions.append(condition)

    @property
    def where(self) -> str:
        """The conditions as SQL, empty without any."""
        return f"WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


def words(store: Store, rows: Filter) -> Words:
    """Return a filter as SQL with bound values; CallError for a slice the log does not have, or a value of other kind.

    The columns are those of `answered`.
    """
    out = Words()
    for column in ("strategy", "release", "prediction", "label", "correct"):
        value = getattr(rows, column)
        if value is not None:
            # What was left empty is kept as no value.
            out.add(f"{column} IS NULL" if value == "" else f"{column} = {out.bind(value)}")
    span(out, rows)
    if rows.confidence is not None:
        low, high = rows.confidence
        out.add(f"confidence BETWEEN {out.bind(_number(low))} AND {out.bind(_number(high))}")
    if rows.present is not None:
        out.add(f"present = {out.bind('+'.join(m for m in MODALITIES if m in rows.present))}")
    if rows.flag is not None:
        out.add(f"list_contains(string_split(flags, ' '), {out.bind(rows.flag)})")
    if rows.text is not None:
        out.add(f"contains(lower(text), lower({out.bind(rows.text)}))")
    if rows.cause is not None:
        names = ", ".join(out.bind(name) for name in rows.cause.split("|")) if rows.cause != "any" else ""
        named = f"IN ({names})" if names else "<> 'none none'"
        out.add(f"id IN (SELECT id FROM causes WHERE cause {named})")
    for name, wanted in rows.slices.items():
        kind = slice_kind(store, name)
        column = f'"{SLICE}{name}"'
        out.add(f"{column} IS NULL" if wanted is None else f"{column} = {out.bind(_fitting(name, wanted, kind))}")
    return out


def span(out: Words, rows: Filter) -> None:
    """Ask for the times of a filter; rows without a time are outside any span."""
    for sign, time in ((">=", rows.since), ("<", rows.until)):
        if time is not None:
            out.add(f"timestamp {sign} {out.bind(naive(time))}")


def grouping(store: Store, column: str) -> tuple[str, SliceKind]:
    """Return a column to group by as SQL, and its kind: one of GROUPS or a slice, by its own name."""
    if column in GROUPS:
        return column, "text"
    if column not in store.slices:
        raise _unknown(column, (*GROUPS, *store.slices))
    return f'"{SLICE}{column}"', store.slices[column]


def ordering(store: Store, order: Order) -> str:
    """Return an order as SQL: by one of ORDERS or a slice, by its own name."""
    if order.column not in ORDERS and order.column not in store.slices:
        raise _unknown(order.column, (*ORDERS, *store.slices))
    column = order.column if order.column in ORDERS else f'"{SLICE}{order.column}"'
    return f"{column} {'DESC' if order.descending else 'ASC'} NULLS LAST, part, place"


def slice_kind(store: Store, name: str) -> SliceKind:
    """Return the kind of a slice; CallError if the log does not have it."""
    if name not in store.slices:
        raise _unknown(name, tuple(store.slices))
    return store.slices[name]


def binned(column: str, edges: Sequence[float], out: Words) -> str:
    """Return SQL for the number of the bin a value falls in: bin k ends with edges[k], the last has no end."""
    if not edges:
        return "0"
    ends = " ".join(f"WHEN {column} <= {out.bind(edge)} THEN {k}" for k, edge in enumerate(edges))
    return f"CASE {ends} ELSE {len(edges)} END"


def _number(value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CallError(f"{value!r} is not a finite number")
    return float(value)


def _fitting(name: str, value: str | float, kind: SliceKind) -> str | float:
    if kind == "number":
        return _number(value) if not isinstance(value, str) else _number_of(name, value)
    if not isinstance(value, str):
        raise CallError(f"slice {name} holds texts, and {value!r} is none")
    return value


def _number_of(name: str, value: str) -> float:
    raise CallError(f"slice {name} holds numbers, and {quoted(value)} is none")


def _unknown(column: str, allowed: Sequence[str]) -> CallError:
    return CallError(f"column {quoted(column)} is not one of the log; allowed are {', '.join(allowed) or 'none'}")
