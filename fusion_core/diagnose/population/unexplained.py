"""Wrong answers without a cause of their own: where they gather, and whether media there belong to other records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import mannwhitneyu

from fusion_core.diagnose.pocket import Pocket
from fusion_core.diagnose.population.pockets import SIGNIFICANT, Event, finding, pocket_of, population
from fusion_core.diagnose.population.quiet import ADVICE, QUIET, names_of, odd_one
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.types import Finding


@population("unexplained")
def unexplained(rows: Sequence[Row], reference: Reference) -> list[Finding]:
    """Return where wrong answers without a cause gather; a mismatch where modalities disagree there as well."""
    quiet = [r for r in rows if r.correct is not None and r.fault in QUIET]
    if not quiet:
        return []
    hits = np.array([not r.correct for r in quiet])
    where = pocket_of(quiet, hits)
    if where is None:
        return []
    event = Event("unexplained", "none", "none", quiet, hits, None, "Wrong answers without a cause of their own",
                  "Open the examples, and compare this slice with the others.")  # fmt: skip
    found = finding(event, where)
    odd = _disagreeing(rows, where, reference)
    if found is None or odd is None:
        return [found] if found else []
    name, p = odd
    return [
        replace(
            found,
            modality="pair",
            fault="mismatched",
            message=f"{found.message} There {odd_one(name)} more than elsewhere: media may belong to other records.",
            advice=ADVICE,
            evidence={**found.evidence, "signal": name, "p_disagreement": p},
        )
    ]


def _disagreeing(rows: Sequence[Row], where: Pocket, reference: Reference) -> tuple[str, float] | None:
    """Return the disagreement that is higher in the pocket than elsewhere, among all rows without a cause."""
    names = names_of(reference)
    quiet = [r for r in rows if r.fault in QUIET]
    inside = [_inside(r, where) for r in quiet]
    found = []
    for name in names:
        pairs = [(r.signals[name], own) for r, own in zip(quiet, inside, strict=True) if name in r.signals]
        here, there = ([value for value, own in pairs if own is side] for side in (True, False))
        if here and there:
            found.append((float(mannwhitneyu(here, there, alternative="greater").pvalue) * len(names), name))
    if not found or min(found)[0] > SIGNIFICANT:
        return None
    p, name = min(found)
    return name, p


def _inside(row: Row, where: Pocket) -> bool:
    if where.column and str(row.columns.get(where.column, "")) != where.value:
        return False
    if where.since is None and where.until is None:
        return True
    if row.timestamp is None:
        return False
    day = row.timestamp.date()
    return (where.since is None or where.since <= day) and (where.until is None or day <= where.until)
