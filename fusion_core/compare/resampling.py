"""Bootstrap over records, quick enough to stand beside every figure of a comparison."""

from __future__ import annotations

import numpy as np

from fusion_core.compare.result import Measured
from fusion_core.intervals import DRAWS

BLOCK = 50  # draws at once


def resampled_means(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the column means of `values [N, K]` over 1,000 seeded resamples of its records, `[1000, K]`.

    The same seed draws the same records for every table of as many rows: what is set against each other is paired.
    """
    count = len(values)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS // BLOCK):
        drawn = np.stack([np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(BLOCK)])
        found.append(drawn.astype(np.float64) @ values)
    means: np.ndarray = np.concatenate(found) / count
    return means


def spread(value: float, drawn: np.ndarray) -> Measured:
    """Return a figure with the 95 % percentile interval of its resamples."""
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Measured(value, float(low), float(high))
