"""Confidence that is not to be believed: the expected calibration error of sound records, with its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fusion_core.diagnose.population.pockets import EXAMPLES, population
from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.row import Row
from fusion_core.reliability import expected_error
from fusion_core.types import Finding

LEAST_ROWS = 500
DRAWS = 200
LEAST_ERROR = 0.05
CONFIDENCE = "model.confidence"


@population("calibration")
def calibration(rows: Sequence[Row], reference: Reference) -> list[Finding]:
    """Return a finding where the calibration error of records without a cause is surely over .05 (bootstrap, 95 %)."""
    own = [r for r in rows if r.fault == "none" and r.correct is not None and CONFIDENCE in r.signals]
    if len(own) < LEAST_ROWS:
        return []
    confidence = np.array([r.signals[CONFIDENCE] for r in own])
    right = np.array([bool(r.correct) for r in own], np.float64)
    random = np.random.default_rng(0)
    error = expected_error(confidence, right)
    drawn = [expected_error(confidence[k], right[k]) for k in random.integers(len(own), size=(DRAWS, len(own)))]
    # Chance alone makes bins differ: the bootstrap's own rise over the error is taken off twice.
    low = 2 * error - float(np.quantile(drawn, 0.975))
    if low <= LEAST_ERROR:
        return []
    gap = float(confidence.mean() - right.mean())
    worst = [r.id for r in sorted((r for r in own if not r.correct), key=lambda r: -r.signals[CONFIDENCE])]
    return [
        Finding(
            rule="calibration",
            modality="none",
            fault="none",
            severity=min(1.0, error),
            message=f"Confidence is off by {error:.3f} on average (at least {low:.3f}) over {len(own):,} labelled "
            f"records without a cause: mean confidence {confidence.mean():.2f}, right {right.mean():.2f}.",
            advice="Fit a temperature on recent labels before anybody acts on confidence.",
            record_ids=tuple(worst[:EXAMPLES]),
            evidence={"error": error, "low": low, "gap": gap, "records": float(len(own))},
        )
    ]
