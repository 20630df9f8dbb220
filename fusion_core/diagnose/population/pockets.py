"""What rules over many records share: from something that records have or have not, to where and since when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import binomtest

from fusion_core.diagnose.pocket import Pocket
from fusion_core.diagnose.population.scans import SIGNIFICANT, Scans
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.registry import Registry
from fusion_core.types import Finding

EXAMPLES = 20
LEAST_HITS = 5

Finds = Callable[[Sequence[Row], Reference, Scans], list[Finding]]
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
    level: float = field(default=SIGNIFICANT)


def events(event: Event, found: Sequence[Pocket]) -> list[Finding]:
    """Return a finding for each pocket of an event, else one of all rows; none where it is no commoner than usual.

    What is elsewhere is in none of the pockets.
    """
    if int(event.hits.sum()) < LEAST_HITS:
        return []
    if not found:
        return [_finding(event, None, np.zeros(len(event.hits), np.bool_))] if _commoner(event) else []
    outside = ~np.any([where.rows for where in found], axis=0)
    return [_finding(event, where, outside if outside.any() else ~where.rows) for where in found]


def _finding(event: Event, where: Pocket | None, outside: np.ndarray) -> Finding:
    inside = where.rows if where else np.ones(len(event.hits), np.bool_)
    rate, others = float(event.hits[inside].mean()), int(outside.sum())
    elsewhere = float(event.hits[outside].mean()) if where else float(event.usual or 0.0)
    against = f"of {others:,} elsewhere" if where else "of clean ones"
    return Finding(
        rule=event.rule,
        modality=event.modality,
        fault=event.fault,
        severity=float(min(1.0, max(0.0, rate - elsewhere))),
        message=f"{event.what} in {rate:.0%} of {int(inside.sum()):,} records{place(where)}; "
        f"{elsewhere:.1%} {against}.",
        advice=event.advice,
        record_ids=tuple(r.id for r, hit in zip(event.rows, event.hits & inside, strict=True) if hit)[:EXAMPLES],
        lift=_lift(event.hits, inside, outside) if where else None,
        since=where.since.isoformat() if where and where.since else None,
        until=where.until.isoformat() if where and where.until else None,
        slice={where.column: where.value} if where and where.column else {},
        evidence={
            "rate": rate,
            "elsewhere": elsewhere,
            "records": float(inside.sum()),
            "hits": float((event.hits & inside).sum()),
            "p": where.p if where else None,
            **({"elsewhere_records": float(others)} if where else {}),
            **({"columns_cut": ", ".join(where.cut)} if where and where.cut else {}),
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
    return count / rows > event.usual and binomtest(count, rows, event.usual, "greater").pvalue <= event.level


def _lift(hits: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> float:
    """Return how many times commoner hits are inside, both rates with half a hit added."""
    rates = ((float(hits[rows].sum()) + 0.5) / (int(rows.sum()) + 1) for rows in (inside, outside))
    return next(rates) / next(rates)
