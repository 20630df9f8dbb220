"""Findings over many records: what happens more often than it does to clean records, where, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from scipy.stats import binomtest, ks_2samp

from fusion_core.diagnose.onset import Onset, find_onset
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.rules import rule
from fusion_core.diagnose.slices import Slice, find_slice
from fusion_core.types import MODALITIES, Finding

EXAMPLES = 20
LEAST_HITS = 5
CLEAN_RATE = 0.03  # of any one cause among clean records, an upper bound
DISAGREE = 0.95  # quantile of the clean records above which two own heads disagree
SIGNIFICANT = 0.01
DRIFT_ROWS = 100
LEAST_DRIFT = 0.15  # Kolmogorov-Smirnov distance below which a drift is of no interest
ADVICE = {
    "pair_disagreement": "Check how media are joined to records: in this slice they may belong to others.",
    "errors": "Open the examples: the causes named beside them say what to look at first.",
}


@dataclass(frozen=True)
class Row:
    """One diagnosed record as findings see it; `signals` may be few or none, `correct` None without a label."""

    id: str
    modality: str
    fault: str
    rule: str = ""
    timestamp: datetime | None = None
    columns: Mapping[str, str | float] = field(default_factory=dict)
    signals: Mapping[str, float] = field(default_factory=dict)
    correct: bool | None = None


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
    return sorted([*found, *_drifts(rows, reference)], key=lambda f: -f.severity)


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
    when = _onset(event, inside)
    if where is None and when is None:
        p = binomtest(int(event.hits.sum()), len(event.hits), event.usual, alternative="greater").pvalue
        if p > SIGNIFICANT:
            return None
    affected = inside & _from(event.rows, when)
    rate = float(event.hits[affected].mean())
    if rate <= event.usual and event.usual < 1.0:
        return None
    baseline = float(event.hits[~affected].mean()) if not affected.all() else event.usual
    return Finding(
        rule=event.rule,
        modality=event.modality,
        fault=event.fault,
        severity=float(min(1.0, max(0.0, rate - baseline if not affected.all() else rate))),
        message=_message(event, where, when, rate, int(affected.sum())),
        advice=event.advice,
        record_ids=tuple(r.id for r, hit in zip(event.rows, event.hits & affected, strict=True) if hit)[:EXAMPLES],
        lift=where.lift if where else None,
        since=when.day.isoformat() if when else None,
        slice={where.column: where.value} if where else {},
        evidence={
            "rate": rate,
            "elsewhere": baseline,
            "records": float(affected.sum()),
            "hits": float((event.hits & affected).sum()),
            "p_slice": where.p if where else None,
            "p_since": when.p if when else None,
        },
    )


def _onset(event: Event, inside: np.ndarray) -> Onset | None:
    dated = [k for k, r in enumerate(event.rows) if inside[k] and r.timestamp is not None]
    days = [stamp.date() for k in dated if (stamp := event.rows[k].timestamp) is not None]
    return find_onset(days, event.hits[dated]) if dated else None


def _from(rows: Sequence[Row], when: Onset | None) -> np.ndarray:
    if when is None:
        return np.ones(len(rows), np.bool_)
    return np.array([r.timestamp is not None and r.timestamp.date() >= when.day for r in rows])


def _message(event: Event, where: Slice | None, when: Onset | None, rate: float, count: int) -> str:
    place = f" where {where.column} is {where.value}" if where else ""
    start = f" since {when.day.isoformat()} (before: {when.before:.1%})" if when else ""
    lift = f", {where.lift:.1f} times as often as elsewhere" if where else ""
    return f"{event.what.capitalize()} in {rate:.1%} of {count:,} records{place}{start}{lift}."


def _drifts(rows: Sequence[Row], reference: Reference) -> list[Finding]:
    """Return each modality's signal whose distribution went farthest from that of clean records.

    Kolmogorov-Smirnov against the reference's quantiles, ties and all, corrected for the number of signals.
    """
    found: dict[str, list[_Drift]] = {}
    for name, spread in reference.spreads.items():
        values = np.array([r.signals[name] for r in rows if name in r.signals], np.float32)
        if len(values) < DRIFT_ROWS or name.startswith("label."):
            continue
        distance = float(ks_2samp(values, np.array(spread.quantiles, np.float32), method="asymp").statistic)
        # The reference is a sample too: its own error adds to that of the rows.
        effective = len(values) * reference.records / (len(values) + reference.records)
        p = float(min(1.0, 2 * np.exp(-2 * effective * distance**2) * len(reference.spreads)))
        if p < SIGNIFICANT and distance > LEAST_DRIFT:
            one = _Drift(name, distance, p, float(np.median(values)), spread.median, len(values))
            found.setdefault(name.split(".")[0], []).append(one)
    return [_drift(sorted(own, key=lambda d: -d.distance)) for own in found.values()]


@dataclass(frozen=True)
class _Drift:
    signal: str
    distance: float
    p: float
    median: float
    usual: float
    count: int


def _drift(found: Sequence[_Drift]) -> Finding:
    worst = found[0]
    modality = worst.signal.split(".")[0]
    cause = (modality, "out_of_domain") if modality in MODALITIES else ("none", "none")
    return Finding(
        rule="drift",
        modality=cause[0],
        fault=cause[1],
        severity=min(1.0, worst.distance),
        message=f"{worst.signal} drifted: median {worst.median:.3g} over {worst.count:,} records, "
        f"{worst.usual:.3g} over clean ones; {len(found)} of its modality's signals did.",
        advice="Compare recent records with the validation records in these signals.",
        record_ids=(),
        evidence={
            "signals": ", ".join(d.signal for d in found),
            "distance": worst.distance,
            "p": worst.p,
            "median": worst.median,
            "usual": worst.usual,
        },
    )
