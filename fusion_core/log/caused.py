"""Questions about the causes that a diagnosis named: how many rows have which, since when, and where failures lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pandas as pd

from fusion_core.errors import CallError
from fusion_core.log.asking import Filter, Words, words
from fusion_core.log.opening import State
from fusion_core.log.queries import MOST_ROWS, TALLY, with_accuracy
from fusion_core.log.store import of_one_state

UNDIAGNOSED = "not diagnosed"
MOST_POINTS = 2_000
#: A record is one row per strategy, its cause is the same for all of them.
_JOINED = "answered LEFT JOIN named ON id = named"
_CAUSE = f"coalesce(cause, '{UNDIAGNOSED}') AS cause"


@of_one_state
def by_cause(store: State, rows: Filter | None = None) -> pd.DataFrame:
    """Return cause, rows, labelled, wrong, confidence, accuracy with low and high (95 % Wilson), most rows first."""
    out = words(store, rows or Filter())
    sql = f"SELECT {_CAUSE}, {TALLY} FROM {_JOINED} {out.where} GROUP BY 1 ORDER BY rows DESC, cause"
    return with_accuracy(store.ask(sql, out.values))


@of_one_state
def cause_timeline(store: State, rows: Filter | None = None, bucket: Literal["day", "hour"] = "day") -> pd.DataFrame:
    """Return bucket (UTC), cause, rows, wrong; rows without a time are left out."""
    if bucket not in ("day", "hour"):
        raise CallError(f"bucket {bucket!r}; allowed are day and hour")
    out = words(store, rows or Filter())
    out.add("timestamp IS NOT NULL")
    sql = f"""SELECT date_trunc('{bucket}', timestamp) AS bucket, {_CAUSE}, count(*) AS rows,
    count(*) FILTER (WHERE NOT correct) AS wrong FROM {_JOINED} {out.where} GROUP BY 1, 2 ORDER BY 1, 2"""
    return store.ask(sql, out.values)


@of_one_state
def causes_of(store: State, ids: Sequence[str]) -> pd.DataFrame:
    """Return id, cause, score, rule, said of at most 1,000 records, those that were diagnosed."""
    if len(ids) > MOST_ROWS:
        raise CallError(f"{len(ids):,} records; at most {MOST_ROWS:,} are asked for at once")
    out = Words()
    listed = ", ".join(out.bind(one) for one in ids) or "NULL"
    return store.ask(f"SELECT id, cause, score, rule, said FROM causes WHERE id IN ({listed})", out.values)


@of_one_state
def failure_points(store: State, rows: Filter | None = None) -> pd.DataFrame:
    """Return id, x, y, cluster, cause, said, prediction, label of the failures on the map, at most 2,000."""
    out = words(store, rows or Filter())
    out.add("x IS NOT NULL")
    sql = f"""SELECT id, x, y, cluster, cause, said, prediction, label FROM answered
    JOIN (SELECT id AS named, strategy AS asked, x, y, cluster, cause, said FROM causes) ON id = named
    AND strategy = asked {out.where} ORDER BY id LIMIT {MOST_POINTS}"""
    return store.ask(sql, out.values)
