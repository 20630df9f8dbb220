"""Mismatched pairs: where a modality's own answer differs from the others' more than elsewhere, labelled or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import mannwhitneyu, norm, rankdata

from fusion_core.diagnose.pocket import Pocket
from fusion_core.diagnose.population.pockets import Event, events, population
from fusion_core.diagnose.population.quiet import ADVICE, QUIET, names_of, odd_one
from fusion_core.diagnose.population.scans import SIGNIFICANT, Scans, is_shadow
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.types import Finding

HIGH = 0.80  # quantile of the clean records from which a disagreement counts in the sentence


@population("disagreement")
def disagreement(rows: Sequence[Row], reference: Reference, scans: Scans) -> list[Finding]:
    """Return where modalities, each in domain, disagree more than elsewhere, by the signal that tells it best there.

    Wrong answers are evidence too, as far as there are labels: both are scanned as one number.
    """
    told: list[tuple[Pocket, Finding]] = []
    for name in names_of(reference):
        at = [k for k, r in enumerate(rows) if r.fault in QUIET and name in r.signals]
        quiet = [rows[k] for k in at]
        values = np.array([r.signals[name] for r in quiet])
        scores = _normal_scores(values) + _errors(quiet)
        places = [p for p in scans.pockets(at, scores, SIGNIFICANT) if _higher(values, p.rows)]
        limit = float(np.interp(HIGH, np.linspace(0, 1, 41), reference.spreads[name].quantiles))
        what = f"{odd_one(name).capitalize()}, each in domain,"
        event = Event("disagreement", "pair", "mismatched", quiet, values > limit, None, what, ADVICE)
        for where, found in zip(places, events(event, places), strict=False):
            rows_in = np.zeros(len(rows), np.bool_)
            rows_in[np.asarray(at)[where.rows]] = True
            told.append((replace(where, rows=rows_in), found))
    kept: list[tuple[Pocket, Finding]] = []
    for where, found in sorted(told, key=lambda pair: -pair[0].gain):
        if not any(is_shadow(where, other, scans.table) for other, _ in kept):
            kept.append((where, found))
    return [found for _, found in kept]


def _normal_scores(values: np.ndarray) -> np.ndarray:
    """Return values as normal scores of their ranks, mean 0 and spread 1, whatever their distribution."""
    return np.asarray(norm.ppf((rankdata(values) - 0.5) / len(values)))


def _errors(rows: Sequence[Row]) -> np.ndarray:
    """Return 1 for a wrong answer and 0 for a right one, as mean 0 and spread 1; 0 for a row without a label."""
    wrong = np.array([np.nan if r.correct is None else float(not r.correct) for r in rows])
    known = wrong[~np.isnan(wrong)]
    if not len(known) or not known.std():
        return np.zeros(len(rows))
    return np.nan_to_num((wrong - known.mean()) / known.std())


def _higher(values: np.ndarray, inside: np.ndarray) -> bool:
    """Return whether the disagreement is higher inside by itself: errors alone are no mismatch."""
    return float(mannwhitneyu(values[inside], values[~inside], alternative="greater").pvalue) <= SIGNIFICANT
