"""The scans of one run: each at its level, and again without what was found, for what else there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from fusion_core.diagnose.pocket import Pocket, find_pocket
from fusion_core.diagnose.row import Row
from fusion_core.diagnose.slices import LEAST_ROWS, Table, table_of

SIGNIFICANT = 0.01
HALF = SIGNIFICANT / 2  # for all causes together, and for wrong answers
MOST_POCKETS = 5
NEAR = 7  # days between two pockets of one slice, up to which they are one
NEARLY = 0.8  # of a pocket's rows, which another holds if it is nearly the same

Progress = Callable[[str, int, int], None]


class Scans:
    """The scans over rows, `count` of them, those for causes and wrong answers at one level for all (Bonferroni).

    Half of .01 is for all causes together, half for wrong answers; disagreement, which is all that tells of mixed-up
    media without labels and tells little, has .01 for each of its signals. So where there is no pocket at all, the
    chance of one among causes and wrong answers is at most .01, and among three signals of disagreement .03.
    """

    def __init__(self, rows: Sequence[Row], count: int, progress: Progress | None = None) -> None:
        days = [r.timestamp.date() if r.timestamp else None for r in rows]
        self.table, self.count, self.progress = table_of([r.columns for r in rows], days), count, progress
        self.done = 0

    def pockets(self, at: Sequence[int], values: np.ndarray, level: float) -> list[Pocket]:
        """Return up to five pockets, the surest first, in which values of the rows at these numbers are higher.

        level: of this scan. Each pocket is looked for without the rows of those before, and one is
        looked for in vain once at most: several keep the level of one. What is but the edge or the shadow of another
        is left out. rows: of `at`, all in its slice and days. p: corrected by the number of scans.
        """
        table = self.table.at(np.asarray(at, np.int64))
        left, found, seen = np.ones(len(at), np.bool_), list[Pocket](), list[Pocket]()
        while len(seen) < MOST_POCKETS and left.sum() >= 2 * LEAST_ROWS:
            rows = np.flatnonzero(left)
            where = find_pocket(table.at(rows), values[rows], level=level)
            if where is None:
                break
            left[rows[where.rows]] = False
            where = replace(where, rows=where.among(table))
            if not any(is_shadow(where, one, table) for one in seen):
                found.append(where)
            seen.append(where)
        self.done += 1
        if self.progress:
            self.progress("scanned", self.done, self.count)
        return found


def is_shadow(one: Pocket, other: Pocket, table: Table) -> bool:
    """Whether a pocket of the table's rows is the edge of another: its slice at about the same time, or rows of it."""
    if (one.column, one.value) == (other.column, other.value) and _near(one, other) and _near(other, one):
        return True
    around = other.widened(NEAR if other.column else 0).among(table)
    return float(around[one.rows].mean()) >= NEARLY


def _near(one: Pocket, other: Pocket) -> bool:
    """Whether one pocket begins before the other has ended for long."""
    return one.since is None or other.until is None or (one.since - other.until).days <= NEAR
