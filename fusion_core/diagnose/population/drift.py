"""Drift: signals whose distribution is not that of clean records any more; it needs no label and no cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp

from fusion_core.diagnose.population.pockets import population
from fusion_core.diagnose.population.scans import Scans
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.types import MODALITIES, Finding

SIGNIFICANT = 0.01
DRIFT_ROWS = 100
LEAST_DRIFT = 0.15  # Kolmogorov-Smirnov distance below which a drift is of no interest


@dataclass(frozen=True)
class _Drift:
    signal: str
    distance: float
    p: float
    median: float
    usual: float
    count: int


@population("drift")
def drift(rows: Sequence[Row], reference: Reference, scans: Scans) -> list[Finding]:
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
    return [_said(sorted(own, key=lambda d: -d.distance), reference.records) for own in found.values()]


def _said(found: Sequence[_Drift], clean: int) -> Finding:
    worst = found[0]
    modality = worst.signal.split(".")[0]
    cause = (modality, "out_of_domain") if modality in MODALITIES else ("none", "none")
    return Finding(
        rule="drift",
        modality=cause[0],
        fault=cause[1],
        severity=min(1.0, worst.distance),
        message=f"{worst.signal} drifted: median {worst.median:.3g} over {worst.count:,} records, "
        f"{worst.usual:.3g} over {clean:,} clean ones; {len(found)} of its modality's signals did.",
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
