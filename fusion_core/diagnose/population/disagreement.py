"""Mismatched pairs without labels: where a modality's own answer differs from the others' more than elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from fusion_core.diagnose.population.pockets import Event, finding, pocket_of, population
from fusion_core.diagnose.population.quiet import ADVICE, QUIET, names_of, odd_one
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.types import Finding

HIGH = 0.80  # quantile of the clean records from which a disagreement counts in the sentence


@population("disagreement")
def disagreement(rows: Sequence[Row], reference: Reference) -> list[Finding]:
    """Return where modalities, each in domain, disagree more than elsewhere, by the signal that tells it best."""
    found = []
    for name in names_of(reference):
        quiet = [r for r in rows if r.fault in QUIET and name in r.signals]
        if not quiet:
            continue
        values = np.array([r.signals[name] for r in quiet])
        where = pocket_of(quiet, rankdata(values) / len(values))
        if where is None:
            continue
        limit = float(np.interp(HIGH, np.linspace(0, 1, 41), reference.spreads[name].quantiles))
        what = f"{odd_one(name).capitalize()}, each in domain,"
        event = Event("disagreement", "pair", "mismatched", quiet, values > limit, None, what, ADVICE)
        if (one := finding(event, where)) is not None:
            found.append((where.gain, one))
    return [max(found, key=lambda pair: pair[0])[1]] if found else []
