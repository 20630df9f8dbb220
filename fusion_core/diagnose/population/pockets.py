"""What rules over many records share: from something that records have or have not, to where and since when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from fusion_core.diagnose.pocket import Pocket, find_pocket
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.registry import Registry
from fusion_core.types import Finding

EXAMPLES = 20
LEAST_HITS = 5
SIGNIFICANT = 0.01

Finds = Callable[[Sequence[Row], Reference], list[Finding]]
population: Registry[Finds] = Registry("population rule")


@dataclass(frozen=True)
class Event:
    """Something a record has or has not: `hits bool [N]` over `rows`, and how often clean records have it.

    usual: None where clean records do not say; then only a pocket makes a finding of it. what: as the sentence begins.
    """

    rule: str
    modality: str
    fault: str
    rows: Sequence[Row]
    hits: np.ndarray
    usual: float | None
    what: str
    advice: str


def pocket_of(rows: Sequence[Row], values: np.ndarray) -> Pocket | None:
    """Return where and when values are most surely higher; see `find_pocket`."""
    return find_pocket([r.columns for r in rows], [r.timestamp.date() if r.timestamp else None for r in rows], values)


def finding(event: Event, where: Pocket | None) -> Finding | None:
    """Return the finding of an event; None where it is in no pocket and no commoner than among clean records."""
    if int(event.hits.sum()) < LEAST_HITS:
        return None
    inside = where.rows if where else np.ones(len(event.hits), np.bool_)
    rate = float(event.hits[inside].mean())
    if where is None and not _commoner(event):
        return None
    elsewhere = float(event.hits[~inside].mean()) if where else float(event.usual or 0.0)
    return Finding(
        rule=event.rule,
        modality=event.modality,
        fault=event.fault,
        severity=float(min(1.0, max(0.0, rate - elsewhere))),
        message=f"{event.what} in {rate:.0%} of {int(inside.sum()):,} records{place(where)}; "
        f"{elsewhere:.1%} of {'all others' if where else 'clean ones'}.",
        advice=event.advice,
        record_ids=tuple(r.id for r, hit in zip(event.rows, event.hits & inside, strict=True) if hit)[:EXAMPLES],
        lift=_lift(event.hits, inside) if where else None,
        since=where.since.isoformat() if where and where.since else None,
        until=where.until.isoformat() if where and where.until else None,
        slice={where.column: where.value} if where and where.column else {},
        evidence={
            "rate": rate,
            "elsewhere": elsewhere,
            "records": float(inside.sum()),
            "hits": float((event.hits & inside).sum()),
            "p": where.p if where else None,
        },
    )


def place(where: Pocket | None) -> str:
    """Return a pocket in words: " where region is apac since 2026-10-14"."""
    if where is None:
        return ""
    words = f" where {where.column} is {where.value}" if where.column else ""
    if where.since and where.until:
        return f"{words} from {where.since.isoformat()} to {where.until.isoformat()}"
    words += f" since {where.since.isoformat()}" if where.since else ""
    return words + (f" until {where.until.isoformat()}" if where.until else "")


def _commoner(event: Event) -> bool:
    if event.usual is None:
        return False
    count, rows = int(event.hits.sum()), len(event.hits)
    return count / rows > event.usual and binomtest(count, rows, event.usual, "greater").pvalue <= SIGNIFICANT


def _lift(hits: np.ndarray, inside: np.ndarray) -> float:
    """Return how many times commoner hits are inside, both rates with half a hit added."""
    rates = ((float(hits[rows].sum()) + 0.5) / (int(rows.sum()) + 1) for rows in (inside, ~inside))
    return next(rates) / next(rates)
