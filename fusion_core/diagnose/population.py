"""Findings over many records: what happens more often than it does to clean records, where, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy.stats import binomtest

from fusion_core.diagnose.drift import drifts
from fusion_core.diagnose.onset import find_end, find_onset
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.diagnose.rules import rule
from fusion_core.diagnose.slices import Slice, find_slice
from fusion_core.types import Finding

EXAMPLES = 20
LEAST_HITS = 5
CLEAN_RATE = 0.03  # of any one cause among clean records, an upper bound
DISAGREE = 0.95  # quantile of the clean records above which two own heads disagree
SIGNIFICANT = 0.01
NEW_SLICE_DAYS = 2  # after all others, from which a slice is one that came with what is found in it
ADVICE = {
    "pair_disagreement": "Check how media are joined to records: in this slice they may belong to others.",
    "errors": "Open the examples: the causes named beside them say what to look at first.",
}


@dataclass(frozen=True)
class Event:
    """Something a record has or has not: `hits bool [N]` over `rows`, and how often clean records have it."""

    rule: str
    modality: str
    fault: str
    rows: Sequence[Row]
    hits: np.ndarray
    usual: float
    what: str
    advice: str


def findings(rows: Sequence[Row], reference: Reference) -> list[Finding]:
    """Return what is wrong with many of the rows, the most severe first.

    Every cause named for single records, wrong answers where labels exist, own heads that disagree (mismatched pairs
    show only so), each with its slice and its first day; and signals whose distribution drifted.
    """
    events = [*_cause_events(rows), *_error_event(rows), *_disagreement_event(rows, reference)]
    found = [finding for event in events if (finding := _finding(event)) is not None]
    return sorted([*found, *drifts(rows, reference)], key=lambda f: -f.severity)


def _cause_events(rows: Sequence[Row]) -> list[Event]:
    causes = dict.fromkeys((r.modality, r.fault) for r in rows if r.fault != "none")
    events = []
    for modality, fault in causes:
        hits = np.array([(r.modality, r.fault) == (modality, fault) for r in rows])
        names = [r.rule for r, hit in zip(rows, hits, strict=True) if hit and r.rule]
        name = max(set(names), key=names.count) if names else f"{modality}_{fault}"
        advice = rule[name].advice if name in rule else ""
        what = f"{modality} {fault.replace('_', ' ')}"
        events.append(Event(name, modality, fault, rows, hits, CLEAN_RATE, what, advice))
    return events


def _error_event(rows: Sequence[Row]) -> list[Event]:
    labelled = [r for r in rows if r.correct is not None]
    if not labelled:
        return []
    hits = np.array([not r.correct for r in labelled])
    return [Event("errors", "none", "none", labelled, hits, 1.0, "answers wrong", ADVICE["errors"])]


def _disagreement_event(rows: Sequence[Row], reference: Reference) -> list[Event]:
    names = [n for n in reference.spreads if n.startswith("pair.") and not n.endswith(".sure")]
    seen = [r for r in rows if r.fault in ("none", "conflict") and any(n in r.signals for n in names)]
    if not seen:
        return []
    limits = {n: float(np.interp(DISAGREE, np.linspace(0, 1, 41), reference.spreads[n].quantiles)) for n in names}
    hits = np.array([any(r.signals.get(n, 0.0) > limits[n] for n in names) for r in seen])
    usual = 1.0 - DISAGREE ** len(names)
    what = "own heads of two modalities disagreeing, each in domain,"
    return [Event("pair_disagreement", "pair", "mismatched", seen, hits, usual, what, ADVICE["pair_disagreement"])]


def _finding(event: Event) -> Finding | None:
    """Return the finding of an event; None where it is neither confined, nor new, nor commoner than usual."""
    if int(event.hits.sum()) < LEAST_HITS:
        return None
    where = find_slice([r.columns for r in event.rows], event.hits)
    inside = where.rows if where else np.ones(len(event.hits), np.bool_)
    when = _span(event, inside)
    if where is None and when.since is None:
        p = binomtest(int(event.hits.sum()), len(event.hits), event.usual, alternative="greater").pvalue
        if p > SIGNIFICANT:
            return None
    affected = inside & _within(event.rows, when)
    rate = float(event.hits[affected].mean())
    if rate <= event.usual and event.usual < 1.0:
        return None
    baseline = float(event.hits[~affected].mean()) if not affected.all() else event.usual
    return Finding(
        rule=event.rule,
        modality=event.modality,
        fault=event.fault,
        severity=float(min(1.0, max(0.0, rate - baseline if not affected.all() else rate))),
        message=_message(event, where, when, rate, baseline, int(affected.sum())),
        advice=event.advice,
        record_ids=tuple(r.id for r, hit in zip(event.rows, event.hits & affected, strict=True) if hit)[:EXAMPLES],
        lift=_lift(event.hits, affected),
        since=when.since.isoformat() if when.since else None,
        until=when.until.isoformat() if when.until else None,
        slice={where.column: where.value} if where else {},
        evidence={
            "rate": rate,
            "elsewhere": baseline,
            "records": float(affected.sum()),
            "hits": float((event.hits & affected).sum()),
            "p_slice": where.p if where else None,
            "p_since": when.p,
        },
    )


@dataclass(frozen=True)
class _Span:
    """The first and last day of something, None where it has no such day; p: of its first day's test."""

    since: date | None = None
    until: date | None = None
    p: float | None = None


def _span(event: Event, inside: np.ndarray) -> _Span:
    """Return since when, and until when, hits are commoner among the rows `inside`."""
    dated = np.array([k for k, r in enumerate(event.rows) if inside[k] and r.timestamp is not None], np.int64)
    if not len(dated):
        return _Span()
    days = [_day(event.rows[k]) for k in dated]
    found = find_onset(days, event.hits[dated])
    since = found.day if found else _began(event, inside, days)
    if since is None:
        return _Span()
    later = [k for k, day in enumerate(days) if day >= since]
    return _Span(since, find_end([days[k] for k in later], event.hits[dated[later]]), found.p if found else None)


def _began(event: Event, inside: np.ndarray, days: Sequence[date]) -> date | None:
    """Return the first day of a slice that came later than the rest of the rows: it is as new as what it brings."""
    if inside.all():
        return None
    others = [_day(r) for r, own in zip(event.rows, inside, strict=True) if not own and r.timestamp is not None]
    first = min(days)
    return first if others and (first - min(others)).days >= NEW_SLICE_DAYS else None


def _day(row: Row) -> date:
    assert row.timestamp is not None
    return row.timestamp.date()


def _within(rows: Sequence[Row], when: _Span) -> np.ndarray:
    if when.since is None:
        return np.ones(len(rows), np.bool_)
    last = when.until or date.max
    return np.array([r.timestamp is not None and when.since <= r.timestamp.date() <= last for r in rows])


def _lift(hits: np.ndarray, affected: np.ndarray) -> float | None:
    """Return how many times commoner hits are among the affected rows, both rates with half a hit added."""
    if affected.all():
        return None
    inside, outside = ((float(hits[rows].sum()) + 0.5) / (int(rows.sum()) + 1) for rows in (affected, ~affected))
    return inside / outside


def _message(event: Event, where: Slice | None, when: _Span, rate: float, baseline: float, count: int) -> str:
    place = f" where {where.column} is {where.value}" if where else ""
    start = f" since {when.since.isoformat()}" if when.since else ""
    if when.since and when.until:
        start = f" from {when.since.isoformat()} to {when.until.isoformat()}"
    elsewhere = f"; {baseline:.1%} of all others" if where or when.since else f"; clean records: {baseline:.1%}"
    return f"{event.what.capitalize()} in {rate:.0%} of {count:,} records{place}{start}{elsewhere}."
