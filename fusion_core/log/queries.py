"""Questions to a prediction log, with and without labels. Every share stands beside its 95 % interval."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from fusion_core.errors import CallError
from fusion_core.intervals import wilson
from fusion_core.log.asking import Filter, Order, Words, binned, grouping, ordering, span, words
from fusion_core.log.schema import SLICE, Logged
from fusion_core.log.store import Store

__all__ = [
    "Calibration",
    "Filter",
    "Found",
    "Order",
    "by_slice",
    "calibration",
    "confusion",
    "count",
    "error_codes",
    "error_page",
    "found_rows",
    "page",
    "row",
    "rows_of",
    "timeline",
]

MOST_ROWS, MOST_VALUES, NUMBER_BINS = 1_000, 500, 10
CONFIDENCE_STEPS = 4_096
BETWEEN_RELEASES = "\n"  # no name of a release holds a line break
_AT_ONCE = 20  # parts in one reading
#: What is counted of rows in every table.
TALLY = """count(*) AS rows, count(correct) AS labelled, count(*) FILTER (WHERE NOT correct) AS wrong,
avg(confidence) AS confidence"""
_AS_KEPT = ("id", "strategy", "prediction", "confidence", "release", "label", "latency_ms", "text", "image", "audio")


@dataclass(frozen=True)
class Found:
    """A row of the log and the run that holds it."""

    run: str
    logged: Logged


@dataclass(frozen=True)
class Calibration:
    """Bins of about equal size by confidence: from, to, rows, confidence, accuracy, low, high.

    error: the expected calibration error over the labelled rows, 0 to 1; NaN without labels.
    """

    bins: pd.DataFrame
    error: float
    labelled: int


def page(
    store: Store, rows: Filter | None = None, order: Order | None = None, offset: int = 0, limit: int = 50
) -> pd.DataFrame:
    """Return rows of the log, all columns and their `run`, from `offset` in the order given.

    Raises CallError for an unknown column, a negative offset or more than 1,000 rows at once.
    """
    if offset < 0 or not 0 < limit <= MOST_ROWS:
        raise CallError(f"offset {offset}, limit {limit}; allowed are offsets from 0 and limits of 1 to {MOST_ROWS:,}")
    out = words(store, rows or Filter())
    order_by = ordering(store, order or Order())
    # Where the rows lie is found in the columns of the question alone; all columns are then read of these rows only.
    sql = f"SELECT part, place FROM answered {out.where} ORDER BY {order_by} LIMIT {int(limit)} OFFSET {int(offset)}"
    return _at(store, store.ask(sql, out.values))


def count(store: Store, rows: Filter | None = None) -> int:
    """Return how many answered rows there are."""
    out = words(store, rows or Filter())
    return int(store.ask(f"SELECT count(*) AS rows FROM answered {out.where}", out.values)["rows"].iloc[0])


def confusion(store: Store, rows: Filter | None = None) -> pd.DataFrame:
    """Return label, prediction, rows over the labelled rows, sorted; empty without labels."""
    out = words(store, rows or Filter())
    out.add("label IS NOT NULL")
    sql = f"SELECT label, prediction, count(*) AS rows FROM answered {out.where} GROUP BY ALL ORDER BY ALL"
    return store.ask(sql, out.values)


def by_slice(store: Store, column: str, rows: Filter | None = None) -> pd.DataFrame:
    """Return one line per value of a column, or per tenth of a number, most rows first (at most 500 lines).

    value (for numbers low_value, high_value too), rows, labelled, wrong, confidence, accuracy with low and high
    (95 % Wilson), lift: the error rate as a multiple of that of all other labelled rows, NaN where they have none.
    """
    name, kind = grouping(store, column)
    out = words(store, rows or Filter())
    key, extra = name, ""
    if kind == "number":
        edges = _edges(store, name, out, NUMBER_BINS)
        key = f"CASE WHEN {name} IS NULL THEN NULL ELSE {binned(name, edges, out)} END"
        extra = f", min({name}) AS low_value, max({name}) AS high_value"
    sql = f"SELECT {key} AS value, {TALLY}{extra} FROM answered {out.where} GROUP BY 1 ORDER BY rows DESC, value"
    found = store.ask(sql, out.values)
    return _with_lift(with_accuracy(found)).head(MOST_VALUES)


def timeline(store: Store, rows: Filter | None = None, bucket: Literal["day", "hour"] = "day") -> pd.DataFrame:
    """Return one line per day or hour (UTC) that has rows.

    bucket (NaT, last: rows without a time), rows, labelled, wrong, confidence, accuracy with low and high, release (all
    of the bucket's, joined by `BETWEEN_RELEASES`), error_rows. Rows that gave no answer have no prediction, label or
    slice: they are counted by strategy, release and time alone.
    """
    if bucket not in ("day", "hour"):
        raise CallError(f"bucket {bucket!r}; allowed are day and hour")
    asked = rows or Filter()
    out = words(store, asked)
    start = f"date_trunc('{bucket}', timestamp) AS bucket"
    releases = f"string_agg(DISTINCT release, '{BETWEEN_RELEASES}' ORDER BY release) AS release"
    answered = store.ask(f"SELECT {start}, {TALLY}, {releases} FROM answered {out.where} GROUP BY 1", out.values)
    lost = _error_words(asked)
    errors = store.ask(f"SELECT {start}, count(*) AS error_rows FROM errors {lost.where} GROUP BY 1", lost.values)
    found = answered.merge(errors, how="outer", on="bucket").sort_values("bucket", ignore_index=True)
    counts = ["rows", "labelled", "wrong", "error_rows"]
    found[counts] = found[counts].fillna(0).astype(int)
    return with_accuracy(found)


def calibration(store: Store, rows: Filter | None = None, bins: int = 15) -> Calibration:
    """Return how far confidence is to be believed, in bins of equal mass; confidences .00025 apart may share one."""
    if not 1 <= bins <= 100:
        raise CallError(f"{bins} bins; allowed are 1 to 100")
    out = words(store, rows or Filter())
    out.add("correct IS NOT NULL")
    sql = f"""SELECT floor(confidence * {CONFIDENCE_STEPS}) AS step, min(confidence) AS "from", max(confidence) AS "to",
    {TALLY} FROM answered {out.where} GROUP BY 1 ORDER BY 1"""
    found = with_accuracy(_of_equal_mass(store.ask(sql, out.values), bins))
    labelled = int(found["labelled"].sum())
    gaps = ((found["confidence"] - found["accuracy"]).abs() * found["labelled"]).sum()
    columns = ["from", "to", "rows", "confidence", "accuracy", "low", "high"]
    return Calibration(found[columns], float(gaps / labelled) if labelled else float("nan"), labelled)


def _of_equal_mass(steps: pd.DataFrame, bins: int) -> pd.DataFrame:
    """Join neighbouring steps of confidence to bins of about as many rows; one scan finds what a sort would."""
    middle = steps["rows"].cumsum() - steps["rows"] / 2
    steps = steps.assign(confidence=steps["confidence"] * steps["rows"])
    sums = dict.fromkeys(("rows", "labelled", "wrong", "confidence"), "sum")
    found = steps.groupby((middle * bins // max(1, steps["rows"].sum())).astype(int)).agg(
        {"from": "min", "to": "max", **sums}
    )
    return found.assign(confidence=found["confidence"] / found["rows"]).reset_index(drop=True)


def found_rows(store: Store, rows: pd.DataFrame) -> tuple[Found, ...]:
    """Return the rows of a page as they were logged."""
    return tuple(_found(store, entry) for entry in rows.to_dict("records"))


def row(store: Store, identity: str) -> tuple[Found, ...]:
    """Return all answered rows of a record, one per run and strategy; empty if the log has none."""
    out = Words()
    sql = f"SELECT part, place FROM answered WHERE id = {out.bind(identity)} ORDER BY part, place LIMIT {MOST_ROWS}"
    return found_rows(store, _at(store, store.ask(sql, out.values)))


def rows_of(store: Store, ids: Sequence[str], strategy: str | None = None) -> tuple[Found, ...]:
    """Return one answered row of each of at most 1,000 records, in the order given; without those the log lacks.

    strategy: whose answer; None is any.
    """
    if len(ids) > MOST_ROWS:
        raise CallError(f"{len(ids):,} records; at most {MOST_ROWS:,} are asked for at once")
    out = Words()
    listed = ", ".join(out.bind(one) for one in ids) or "NULL"
    asked = "" if strategy is None else f" AND strategy = {out.bind(strategy)}"
    sql = f"""SELECT min(part) AS part, arg_min(place, part) AS place FROM answered WHERE id IN ({listed}){asked}
    GROUP BY id"""
    found = {one.logged.id: one for one in found_rows(store, _at(store, store.ask(sql, out.values)))}
    return tuple(found[one] for one in dict.fromkeys(ids) if one in found)


def error_page(store: Store, rows: Filter | None = None, offset: int = 0, limit: int = 50) -> pd.DataFrame:
    """Return rows that gave no answer, newest first, by the strategy, release and time of a filter alone."""
    if offset < 0 or not 0 < limit <= MOST_ROWS:
        raise CallError(f"offset {offset}, limit {limit}; allowed are offsets from 0 and limits of 1 to {MOST_ROWS:,}")
    out = _error_words(rows or Filter())
    order = f"ORDER BY timestamp DESC NULLS LAST, part, place LIMIT {int(limit)} OFFSET {int(offset)}"
    return store.ask(f"SELECT * EXCLUDE (part, place) FROM errors {out.where} {order}", out.values)


def error_codes(store: Store, rows: Filter | None = None) -> pd.DataFrame:
    """Return code and rows of what gave no answer, most first, by the strategy, release and time of a filter alone."""
    out = _error_words(rows or Filter())
    return store.ask(f"SELECT code, count(*) AS rows FROM errors {out.where} GROUP BY 1 ORDER BY 2 DESC, 1", out.values)


def _at(store: Store, places: pd.DataFrame) -> pd.DataFrame:
    """Return all columns of the rows at these places, in this order, with the name of their run."""
    found = [store.ask("SELECT * FROM answered WHERE false")]
    groups = list(places.groupby("part", sort=False)["place"])
    for start in range(0, len(groups), _AT_ONCE):
        # A part is read by its name alone: looking for it among all parts costs more than the rows do.
        reads, values = [], []
        for part, numbers in groups[start : start + _AT_ONCE]:
            values.append(store.path(int(part)))
            wanted = ", ".join(str(int(number)) for number in numbers)
            reads.append(
                f"SELECT *, {int(part)}::UBIGINT AS part, file_row_number AS place FROM read_parquet([${len(values)}]) "
                f"WHERE file_row_number IN ({wanted})"
            )
        found.append(store.ask(" UNION ALL BY NAME ".join(reads), values))
    rows = pd.concat([f for f in found if len(f)] or found, ignore_index=True).reindex(columns=found[0].columns)
    rows = places.merge(rows, on=["part", "place"], how="left")
    rows.insert(0, "run", [store.files[int(part)][0] for part in rows["part"]])
    return rows.drop(columns=["part", "place"])


def _error_words(rows: Filter) -> Words:
    out = Words()
    if rows.strategy is not None:
        out.add(f"(strategy IS NULL OR strategy = {out.bind(rows.strategy)})")
    if rows.release is not None:
        out.add(f"release = {out.bind(rows.release)}")
    span(out, rows)
    return out


def _edges(store: Store, column: str, out: Words, bins: int) -> Sequence[float]:
    shares = ", ".join(f"{k / bins:.12g}" for k in range(1, bins))
    if not shares:
        return []
    found = store.ask(f"SELECT quantile_disc({column}, [{shares}]) AS edges FROM answered {out.where}", out.values)
    edges = found["edges"].iloc[0]
    return [] if edges is None or edges is pd.NA or np.ndim(edges) == 0 else sorted({float(e) for e in edges})


def with_accuracy(found: pd.DataFrame) -> pd.DataFrame:
    """Add accuracy with low and high (95 % Wilson) to lines with labelled and wrong; NaN without labels."""
    labelled, wrong = found["labelled"], found["wrong"]
    found["accuracy"] = (1 - wrong / labelled).where(labelled > 0)
    spans = [wilson(int(n - w), int(n)) for n, w in zip(labelled, wrong, strict=True)]
    found["low"], found["high"] = [low for low, _ in spans], [high for _, high in spans]
    return found


def _with_lift(found: pd.DataFrame) -> pd.DataFrame:
    labelled, wrong = found["labelled"], found["wrong"]
    rest = (wrong.sum() - wrong) / (labelled.sum() - labelled).where(lambda n: n > 0)
    found["lift"] = (wrong / labelled.where(labelled > 0)) / rest.where(rest > 0)
    return found


def _found(store: Store, entry: Mapping[Hashable, Any]) -> Found:
    given: dict[str, Any] = {
        str(key): None if np.ndim(value) == 0 and pd.isna(value) else value for key, value in entry.items()
    }
    probabilities, time, present = given["probabilities"], given["timestamp"], given["present"]
    logged = Logged(
        **{name: given[name] for name in _AS_KEPT},
        probabilities=None if probabilities is None else tuple(float(p) for p in probabilities),
        timestamp=None if time is None else time.to_pydatetime(),
        present=tuple(present.split("+")) if present else (),
        flags=tuple(given["flags"].split()),
        slices={name: given.get(SLICE + name) for name in store.slices},
    )
    return Found(given["run"], logged)
