"""Intervals that stand beside every share and every difference."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Z95 = 1.959964
DRAWS = 1_000


def wilson(successes: int, total: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share (Wilson 1927); (0, 1) without observations."""
    if total == 0:
        return 0.0, 1.0
    share, z2 = successes / total, Z95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return max(0.0, centre - half), min(1.0, centre + half)


def paired_difference(first: np.ndarray, second: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return the mean of `first - second` over the same records `[N]` and its 95 % normal interval."""
    difference = np.asarray(first, float) - np.asarray(second, float)
    mean = float(difference.mean())
    half = Z95 * float(difference.std(ddof=1)) / math.sqrt(len(difference)) if len(difference) > 1 else math.inf
    return mean, (mean - half, mean + half)


def bootstrap(statistic: Callable[[np.ndarray], float], count: int, seed: int) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic of record numbers `[N]`, over 1,000 seeded resamples."""
    rng = np.random.default_rng(seed)
    found = [statistic(rng.integers(count, size=count)) for _ in range(DRAWS)]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)
