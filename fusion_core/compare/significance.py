"""Is one strategy better than another on the same records: exact McNemar, and the paired difference."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import binom

from fusion_core.compare.result import Against, Measured
from fusion_core.intervals import Z95


def against(right: np.ndarray, base: np.ndarray, baseline: str) -> Against:
    """Set what a strategy answers rightly, `bool [N]`, against the baseline's on the same records."""
    fixes, breaks = int((right & ~base).sum()), int((base & ~right).sum())
    return Against(baseline, gain(right, base), mcnemar(fixes, breaks), fixes, breaks, int((~base).sum()))


def gain(first: np.ndarray, second: np.ndarray) -> Measured:
    """Return the share of records answered rightly, `bool [N]`, less that of others on the same, paired.

    The interval counts half a record more in each of the four ways two answers can turn out (Agresti & Min 2005): that
    a few records agree everywhere does not make it narrow.
    """
    up, down = int((first & ~second).sum()) + 0.5, int((second & ~first).sum()) + 0.5
    count = len(first) + 2.0
    middle = (up - down) / count
    half = Z95 * math.sqrt(up + down - (up - down) ** 2 / count) / count
    value = (int(first.sum()) - int(second.sum())) / len(first)
    return Measured(value, max(-1.0, min(value, middle - half)), min(1.0, max(value, middle + half)))


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
