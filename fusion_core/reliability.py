"""Does confidence mean what it says: bins of equal mass, and the expected calibration error over them."""

from __future__ import annotations

import numpy as np

BINS = 15  # of equal mass


def equal_mass(confidence: np.ndarray) -> list[np.ndarray]:
    """Return the record numbers of each bin, the least confident first; at most 15 bins, none of them empty."""
    order = np.argsort(confidence, kind="stable")
    return [part for part in np.array_split(order, BINS) if len(part)]


def expected_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error over bins of equal mass (Naeini 2015, with equal-mass bins)."""
    parts = equal_mass(confidence)
    return float(sum(abs(confidence[p].mean() - right[p].mean()) * len(p) for p in parts) / len(confidence))
