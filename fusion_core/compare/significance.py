"""Is one strategy better than another on the same records: exact McNemar, and the paired difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom

from fusion_core.compare.result import Against, Measured
from fusion_core.intervals import paired_difference


def against(right: np.ndarray, base: np.ndarray, baseline: str) -> Against:
    """Set what a strategy answers rightly, `bool [N]`, against the baseline's on the same records."""
    fixes, breaks = int((right & ~base).sum()), int((base & ~right).sum())
    mean, (low, high) = paired_difference(right, base)
    return Against(baseline, Measured(mean, low, high), mcnemar(fixes, breaks), fixes, breaks, int((~base).sum()))


def mcnemar(fixes: int, breaks: int) -> float:
    """Return the two-sided p of McNemar's exact test: were the answers that changed as likely to change either way?"""
    changed = fixes + breaks
    return min(1.0, 2.0 * float(binom.cdf(min(fixes, breaks), changed, 0.5))) if changed else 1.0


def corrected(values: Sequence[float]) -> list[float]:
    """Return p values of several tests, each corrected for all of them (Holm 1979), in their order."""
    order = np.argsort(values, kind="stable")
    found, highest = [1.0] * len(values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        found[place] = highest
    return found
