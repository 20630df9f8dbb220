"""Wrong answers without a cause of their own: where they gather, and whether media or labels there are to blame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import mannwhitneyu

from fusion_core.diagnose.pocket import Pocket
from fusion_core.diagnose.population.pockets import Event, events, population
from fusion_core.diagnose.population.quiet import ADVICE, QUIET, names_of, odd_one
from fusion_core.diagnose.population.scans import HALF, SIGNIFICANT, Scans
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.types import Finding

LABEL_ADVICE = "Have labels of this slice checked by a second person."


@population("unexplained")
def unexplained(rows: Sequence[Row], reference: Reference, scans: Scans) -> list[Finding]:
    """Return where wrong answers without a cause gather, each with the cause that shows there in many."""
    at = [k for k, r in enumerate(rows) if r.correct is not None and r.fault in QUIET]
    quiet = [rows[k] for k in at]
    hits = np.array([not r.correct for r in quiet], np.bool_)
    places = scans.pockets(at, hits, HALF)
    event = Event("unexplained", "none", "none", quiet, hits, None, "Wrong answers without a cause of their own",
                  "Open the examples, and compare this slice with the others.")  # fmt: skip
    return [_named(found, rows, where, reference) for where, found in zip(places, events(event, places), strict=False)]


def _named(found: Finding, rows: Sequence[Row], where: Pocket, reference: Reference) -> Finding:
    """Return the finding with its cause, where one shows: mismatched media, else wrong labels."""
    odd = _disagreeing(rows, where, reference)
    if odd is not None:
        name, p = odd
        words = f"There {odd_one(name)} more than elsewhere: media may belong to other records."
        return _caused(found, "pair", "mismatched", words, ADVICE, {"signal": name, "p_disagreement": p})
    doubt = _unwanted_labels(rows, where)
    if doubt is not None:
        words = "There the modalities agree with each other, and against the label: labels may be wrong."
        return _caused(found, "label", "mislabelled", words, LABEL_ADVICE, {"p_labels": doubt})
    return found


def _caused(
    found: Finding, modality: str, fault: str, words: str, advice: str, evidence: Mapping[str, float | str]
) -> Finding:
    message, known = f"{found.message} {words}", {**found.evidence, **evidence}
    return replace(found, modality=modality, fault=fault, message=message, advice=advice, evidence=known)


def _disagreeing(rows: Sequence[Row], where: Pocket, reference: Reference) -> tuple[str, float] | None:
    """Return the disagreement that is higher in the pocket than elsewhere, among all rows without a cause."""
    names, quiet = names_of(reference), [r for r in rows if r.fault in QUIET]
    tested = [(p * len(names), name) for name in names if (p := _higher(quiet, where, name)) is not None]
    if not tested or min(tested)[0] > SIGNIFICANT:
        return None
    p, name = min(tested)
    return name, p


def _unwanted_labels(rows: Sequence[Row], where: Pocket) -> float | None:
    """Return the p-value by which labels of wrong answers have less support in the pocket than elsewhere, if small."""
    wrong = [r for r in rows if r.fault in QUIET and r.correct is False]
    p = _higher(wrong, where, "label.alone", -1.0)
    return p if p is not None and p <= SIGNIFICANT else None


def _higher(rows: Sequence[Row], where: Pocket, name: str, sign: float = 1.0) -> float | None:
    """Return the one-sided p-value (Mann-Whitney) of a signal being higher in the pocket; None without rows."""
    known = [(sign * r.signals[name], _inside(r, where)) for r in rows if name in r.signals]
    here, there = ([value for value, inside in known if inside is side] for side in (True, False))
    return float(mannwhitneyu(here, there, alternative="greater").pvalue) if here and there else None


def _inside(row: Row, where: Pocket) -> bool:
    if where.column and str(row.columns.get(where.column, "")) != where.value:
        return False
    if where.since is None and where.until is None:
        return True
    if row.timestamp is None:
        return False
    day = row.timestamp.date()
    return (where.since is None or where.since <= day) and (where.until is None or day <= where.until)
