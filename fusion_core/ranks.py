"""Do two lists of numbers rank the same things alike?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def rank_agreement(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> float | None:
    """Return Spearman's correlation; None for fewer than three values or where one side is constant."""
    if len(first) < 3:
        return None
    a, b = (_ranks(np.asarray(side, dtype=float)) for side in (first, second))
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread > 0.0 else None


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from 1 `[n]`; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (counts.cumsum() - (counts - 1) / 2)[place]
