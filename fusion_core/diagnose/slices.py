"""Rows as a scan sees them: their columns' values and their days as numbers, and the slices these make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

MOST_VALUES = 100  # of a column, the most frequent; rarer ones are in no slice of it
LEAST_ROWS = 12  # inside a pocket, and outside
MOST_STEPS, FEWEST_STEPS = 70, 20
MOST_SPANS = 1_500_000  # of all slices, before steps become coarser


@dataclass(frozen=True)
class Slices:
    """Columns' values with enough rows, all rows first; `cut` says of which columns not all values are among them.

    names: column and value. places `int32 [columns + 1, N]`: each row's slice by column, `len(names)` for none.
    """

    names: tuple[tuple[str, str], ...]
    places: np.ndarray
    cut: tuple[str, ...]

    @property
    def most_steps(self) -> int:
        """Into how many steps the days are put: fewer where there are many slices, as spans are their square."""
        return int(np.clip(np.sqrt(2 * MOST_SPANS / len(self.names)), FEWEST_STEPS, MOST_STEPS))


@dataclass(frozen=True)
class Table:
    """Rows by column: names, their values, `codes int32 [columns, N]` into these, and `days int [N]`, -1 for none."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    codes: np.ndarray
    days: np.ndarray

    def at(self, rows: np.ndarray) -> Table:
        """Return some of the rows, by their numbers."""
        return replace(self, codes=self.codes[:, rows], days=self.days[rows])

    def rows_of(self, column: str, value: str) -> np.ndarray:
        """Return which rows have a value of a column, `bool [N]`; all of them where the column is empty."""
        if not column:
            return np.ones(len(self.days), np.bool_)
        place = self.names.index(column)
        return np.asarray(self.codes[place] == self.values[place].index(value))

    def slices(self) -> Slices:
        """Return the slices: of each column its 100 most frequent values, those in at least 12 rows and not in all."""
        count = len(self.days)
        names, places, cut = [("", "")], [np.zeros(count, np.int32)], list[str]()
        for name, values, codes in zip(self.names, self.values, self.codes, strict=True):
            counts = np.bincount(codes, minlength=len(values))
            fit = [k for k in np.argsort(-counts, kind="stable") if counts[k] >= LEAST_ROWS and values[k]][:MOST_VALUES]
            kept = sorted((int(k) for k in fit if counts[k] <= count - LEAST_ROWS), key=lambda k: values[k])
            given = sum(bool(n and value) for n, value in zip(counts, values, strict=True))
            if given > MOST_VALUES:
                cut.append(f"{name} ({len(fit)} of {given:,} values)")
            number = np.full(len(values), -1, np.int32)
            number[kept] = np.arange(len(names), len(names) + len(kept))
            names += [(name, values[k]) for k in kept]
            if kept:
                places.append(number[codes])
        table = np.stack(places)
        return Slices(tuple(names), np.where(table < 0, len(names), table).astype(np.int32), tuple(cut))


def table_of(columns: Sequence[Mapping[str, str | float]], days: Sequence[date | None]) -> Table:
    """Return rows by column; a row without a column has the empty value there, which is no slice."""
    names = tuple(dict.fromkeys(name for row in columns for name in row))
    values, codes = [], np.zeros((len(names), len(columns)), np.int32)
    for place, name in enumerate(names):
        codes[place], found = pd.factorize(np.array([str(row.get(name, "")) for row in columns], dtype=object))
        values.append(tuple(str(value) for value in found))
    numbers = np.array([-1 if day is None else day.toordinal() for day in days], np.int64)
    return Table(names, tuple(values), codes, numbers)
