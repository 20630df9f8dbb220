"""Where and when: the slice and the days in which something is most surely commoner, or higher, than elsewhere.

A scan statistic (Kulldorff 1997): every value of every column, and all rows, over every span of days, by the log
likelihood ratio of a rate (or mean) inside against one outside. Its p-value comes from the same scan over hits dealt to
the rows at random, so however many slices and spans are tried, the chance of any finding is what p says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

MOST_VALUES = 40  # of a column; more are no slices but names
LEAST_ROWS = 12  # inside a pocket, and outside
MOST_ROWS = 20_000  # scanned; of more, evenly spread ones
MOST_STEPS = 70  # spans begin and end at steps of one day, of more in logs that are longer
DEALS = 199
SIGNIFICANT = 0.01
#: Log likelihood that a slice must add to be worth naming, and a first or last day other than the log's.
WORTH = 3.0


@dataclass(frozen=True)
class Pocket:
    """A slice (empty: all rows) and its first and last day; None where it reaches the first or last row of the log.

    rows `bool [N]`: which rows lie in it. gain: log likelihood ratio. p: of the whole scan.
    """

    column: str
    value: str
    since: date | None
    until: date | None
    rows: np.ndarray
    gain: float
    p: float


@dataclass(frozen=True)
class _Best:
    gain: float
    place: int  # of the slice
    first: int
    last: int


def find_pocket(
    columns: Sequence[Mapping[str, str | float]], days: Sequence[date | None], values: np.ndarray, seed: int = 0
) -> Pocket | None:
    """Return the pocket in which `values [N]` are most surely higher than elsewhere; None where chance could make it.

    values: bool for hits (a rate is compared), else numbers, compared as normal ones of one spread. columns: each row's
    slices. Rows without a day lie in no span but that of the whole log.
    """
    kept = np.linspace(0, len(values) - 1, min(MOST_ROWS, len(values))).astype(np.int64)
    slices = list(_slices([columns[int(k)] for k in kept]))
    steps, first_day, width = _steps([days[int(k)] for k in kept])
    scan = _Scan(np.stack([rows for _, _, rows in slices]), steps, values.dtype == np.bool_)
    numbers = values[kept].astype(np.float64)
    best = scan.best(numbers)
    if best.gain <= 0.0:
        return None
    random = np.random.default_rng(seed)
    beaten = sum(scan.best(random.permutation(numbers)).gain >= best.gain for _ in range(DEALS))
    p = (1 + beaten) / (1 + DEALS)
    if p > SIGNIFICANT:
        return None
    column, value, _ = slices[best.place]
    inside = np.array([not column or str(row.get(column, "")) == value for row in columns])
    since, until = scan.edges(best)
    found = _dates(first_day, width, since, until)
    within = np.array([_lies(day, *found) for day in days])
    return Pocket(column, value, *found, inside & within, best.gain, p)


class _Scan:
    """All spans of all slices at once: counts per step, added up, and the likelihood of each span."""

    def __init__(self, slices: np.ndarray, steps: np.ndarray, rates: bool) -> None:
        self.slices, self.rates = slices, rates
        self.count = int(steps.max()) + 1 if len(steps) and steps.max() >= 0 else 1
        dated = steps >= 0
        # Rows without a day come last: in a step of their own, which only the whole log reaches.
        self.step = np.where(dated, steps, self.count)
        self.sizes = self._per_step(np.ones(len(steps)))
        first, last = np.triu_indices(self.count)
        whole = (np.array([0]), np.array([self.count]))
        self.first, self.last = np.r_[first, whole[0]], np.r_[last, whole[1]]
        self.inside = self._spans(self.sizes)
        open_ends = (self.first == 0).astype(float) + (self.last >= self.count - 1)
        self.simplicity = WORTH * (open_ends[None] + (np.arange(len(slices)) == 0)[:, None])

    def _per_step(self, weights: np.ndarray) -> np.ndarray:
        size = self.count + 1
        return np.stack([np.bincount(self.step, weights * own, size) for own in self.slices])

    def _spans(self, per_step: np.ndarray) -> np.ndarray:
        added = np.pad(np.cumsum(per_step, axis=1), ((0, 0), (1, 0)))
        return np.asarray(added[:, self.last + 1] - added[:, self.first])

    def best(self, values: np.ndarray) -> _Best:
        """Return the slice and span of the largest gain; simpler ones, all rows and all days, are handicapped least."""
        gains = self._gains(values)
        outer = len(values) - self.inside
        gains[(self.inside < LEAST_ROWS) | (outer < LEAST_ROWS)] = 0.0
        simple = np.where(gains > 0.0, gains + self.simplicity, 0.0)
        place, span = (int(k) for k in np.unravel_index(int(simple.argmax()), simple.shape))
        return _Best(float(gains[place, span]), place, int(self.first[span]), int(self.last[span]))

    def _gains(self, values: np.ndarray) -> np.ndarray:
        total, number = values.sum(), len(values)
        inner, count = self._spans(self._per_step(values)), self.inside
        rest = np.maximum(number - count, 1)
        size = np.maximum(count, 1)
        higher = inner / size > (total - inner) / rest
        if self.rates:
            gain = _likelihood(inner, size) + _likelihood(total - inner, rest) - _likelihood(total, np.array(number))
        else:
            spread = values.var() or 1.0
            gain = np.square(inner - total * count / number) / (size * rest / number) / (2 * spread)
        return np.where(higher, gain, 0.0)

    def edges(self, best: _Best) -> tuple[int | None, int | None]:
        """Return the first and last step of a span, drawn in to where its slice has rows; None at the log's edges."""
        rows = np.flatnonzero(self.sizes[best.place][: self.count])
        inside = rows[(rows >= best.first) & (rows <= best.last)]
        first, last = (int(inside[0]), int(inside[-1])) if len(inside) else (best.first, best.last)
        return (first if first > 0 else None), (last if (rows > last).any() else None)


def _likelihood(hits: np.ndarray, count: np.ndarray) -> np.ndarray:
    share = np.clip(hits / count, 1e-12, 1 - 1e-12)
    return np.asarray(hits * np.log(share) + (count - hits) * np.log1p(-share))


def _slices(columns: Sequence[Mapping[str, str | float]]) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield column, value and rows of every slice, all rows first."""
    yield "", "", np.ones(len(columns), np.bool_)
    for name in dict.fromkeys(name for row in columns for name in row):
        values = np.array([str(row.get(name, "")) for row in columns])
        distinct, counts = np.unique(values, return_counts=True)
        if not 2 <= len(distinct) <= MOST_VALUES:
            continue
        for value, count in zip(distinct, counts, strict=True):
            if value and LEAST_ROWS <= count <= len(values) - LEAST_ROWS:
                yield name, str(value), values == value


def _steps(days: Sequence[date | None]) -> tuple[np.ndarray, date | None, int]:
    """Return each row's step, -1 without a day, with the first day and how many days a step is."""
    known = [day for day in days if day is not None]
    if not known:
        return np.full(len(days), -1), None, 1
    first = min(known)
    width = -(-((max(known) - first).days + 1) // MOST_STEPS)
    return np.array([-1 if day is None else (day - first).days // width for day in days]), first, width


def _dates(first: date | None, width: int, since: int | None, until: int | None) -> tuple[date | None, date | None]:
    if first is None:
        return None, None
    begins = None if since is None else first + timedelta(days=since * width)
    ends = None if until is None else first + timedelta(days=(until + 1) * width - 1)
    return begins, ends


def _lies(day: date | None, since: date | None, until: date | None) -> bool:
    if day is None:
        return since is None and until is None
    return (since is None or since <= day) and (until is None or day <= until)
