"""Where: the value of a column that something is confined to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import fisher_exact

MOST_VALUES = 40  # of a column; more are no slices but names
LEAST_ROWS = 12
LEAST_LIFT = 1.5
SIGNIFICANT = 0.01


@dataclass(frozen=True)
class Slice:
    """One value of one column: which rows have it, the rate in it and elsewhere, and the corrected p-value."""

    column: str
    value: str
    rows: np.ndarray
    rate: float
    elsewhere: float
    p: float

    @property
    def lift(self) -> float:
        """How many times commoner it is here than elsewhere, both rates with half a hit added."""
        inside, outside = int(self.rows.sum()), int((~self.rows).sum())
        return ((self.rate * inside + 0.5) / (inside + 1)) / ((self.elsewhere * outside + 0.5) / (outside + 1))


def find_slice(columns: Sequence[Mapping[str, str | float]], hits: np.ndarray) -> Slice | None:
    """Return the slice in which `hits bool [N]` are most surely commoner; None where none is.

    Fisher's exact test, one-sided, corrected for the number of slices tried (Bonferroni). `columns`: each row's.
    """
    tried = list(_slices(columns, hits))
    best = min(tried, key=lambda s: (s.p, -s.rate), default=None)
    if best is None or best.p * len(tried) > SIGNIFICANT or best.lift < LEAST_LIFT:
        return None
    return Slice(best.column, best.value, best.rows, best.rate, best.elsewhere, min(1.0, best.p * len(tried)))


def _slices(columns: Sequence[Mapping[str, str | float]], hits: np.ndarray) -> list[Slice]:
    found = []
    names = dict.fromkeys(name for row in columns for name in row)
    for name in names:
        values = np.array([str(row.get(name, "")) for row in columns])
        distinct, counts = np.unique(values, return_counts=True)
        if not 2 <= len(distinct) <= MOST_VALUES:
            continue
        for value, count in zip(distinct, counts, strict=True):
            if value and LEAST_ROWS <= count <= len(hits) - LEAST_ROWS:
                found.append(_slice(name, str(value), values == value, hits))
    return found


def _slice(column: str, value: str, rows: np.ndarray, hits: np.ndarray) -> Slice:
    inside, outside = int(hits[rows].sum()), int(hits[~rows].sum())
    table = [[inside, int(rows.sum()) - inside], [outside, int((~rows).sum()) - outside]]
    p = float(fisher_exact(table, alternative="greater").pvalue)
    return Slice(column, value, rows, inside / max(int(rows.sum()), 1), outside / max(int((~rows).sum()), 1), p)
