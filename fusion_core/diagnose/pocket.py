"""Where and when: the slice and the days in which something is most surely commoner, or higher, than elsewhere.

A scan statistic (Kulldorff 1997; see `scan`): every value of every column, and all rows, over every span of days. Its p
is that of the whole scan, however many slices and spans are tried: the share of scans over values dealt to the rows at
random that score as high. Far from that, a Gumbel distribution is an upper bound (after Abrams, Kulldorff & Kleinman
2010). One scan is what p speaks of: whoever asks for several asks each at a smaller level, as `population` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np

from fusion_core.diagnose.scan import WORTH, Best, Likelihood, Scan
from fusion_core.diagnose.slices import Table

MOST_ROWS = 20_000  # scanned; of more, evenly spread ones
MOST_DEALS, FEWEST_DEALS = 10_000, 50
SIGNIFICANT = 0.01
LEAST_P = 1e-6  # told: a tail is not known any farther
WIDER = 1.5
FINER = 8  # times, each time that the ends of a span are looked for more closely
EULER = 0.5772156649


@dataclass(frozen=True)
class Pocket:
    """A slice (empty: all rows) and its first and last day; None where it reaches the first or last row of the log.

    rows `bool [N]`: which rows lie in it. gain: log likelihood ratio. p: of the whole scan. cut: columns with more
    values than were scanned, in words.
    """

    column: str
    value: str
    since: date | None
    until: date | None
    rows: np.ndarray
    gain: float
    p: float
    cut: tuple[str, ...] = ()

    def widened(self, days: int) -> Pocket:
        """Return its slice over some days more on either side, rows as they were."""
        since, until = self.since, self.until
        more = timedelta(days=days)
        return replace(self, since=since and since - more, until=until and until + more)

    def among(self, table: Table) -> np.ndarray:
        """Return which of any rows lie in its slice and days, `bool [N]`."""
        inside = table.rows_of(self.column, self.value)
        if self.since is not None:
            inside = inside & (table.days >= self.since.toordinal())
        if self.until is not None:
            inside = inside & (table.days >= 0) & (table.days <= self.until.toordinal())
        return inside


def find_pocket(table: Table, values: np.ndarray, seed: int = 0, level: float = SIGNIFICANT) -> Pocket | None:
    """Return the pocket in which `values [N]` are most surely higher than elsewhere; None where chance could make it.

    values: bool for hits (a rate is compared), else numbers, compared as normal ones of one spread. Of a column with
    more than 100 values the most frequent are scanned, and of any only those in at least 12 rows. Rows without a day
    lie in no span but that of the whole log. level: the chance of finding a pocket where there is none.
    """
    kept = np.linspace(0, len(values) - 1, min(MOST_ROWS, len(values))).astype(np.int64)
    slices = table.at(kept).slices()
    steps, origin, width = _steps(table.days[kept], slices.most_steps)
    scan = Scan(slices, steps, Likelihood(values[kept], values.dtype == np.bool_))
    best = scan.best(values[kept])
    if best.gain <= 0.0:
        return None
    p = _chance(scan, values[kept], best.score, level, seed)
    if p > level:
        return None
    column, value = slices.names[best.place]
    own = table.rows_of(column, value)
    ends = _coarse(best, scan.count, origin, width)
    finer = Finer(table.days[own], values[own], Likelihood(values, scan.likelihood.rates), table.days)
    since, until = finer.ends(ends, width)
    found = Pocket(column, value, since, until, own, best.gain, p, slices.cut)
    return replace(found, rows=found.among(table))


def _chance(scan: Scan, values: np.ndarray, score: float, level: float, seed: int) -> float:
    """Return p; no more is dealt once it cannot get to the level, nor once it is clearly below."""
    random = np.random.default_rng(seed)
    most, beaten = min(MOST_DEALS, int(np.ceil(5 / level))), 0
    dealt: list[float] = []
    while len(dealt) < most:
        dealt.append(scan.best(random.permutation(values)).score)
        beaten += dealt[-1] >= score
        if (1 + beaten) / (1 + most) > level:
            return 1.0
        if len(dealt) % FEWEST_DEALS == 0 and not beaten and (tail := _tail(dealt, score)) < level:
            return max(LEAST_P, tail)
    return (1 + beaten) / (1 + most)


def _tail(dealt: Sequence[float], score: float) -> float:
    """Return how likely a score as large is at most among those of dealt values: a Gumbel distribution by its moments.

    Its scale is half as wide again, and 1.5 at least: far out, scores thin out more slowly than near their middle. Of
    2 x 5,000 deals a share of .0005 is above 17, where the scale as it is says .0002, and this one .003.
    """
    scale = WIDER * max(1.0, float(np.std(dealt, ddof=1)) * 6**0.5 / np.pi)
    middle = float(np.mean(dealt)) - EULER * scale / WIDER
    return float(-np.expm1(-np.exp(-(score - middle) / scale)))


def _steps(days: np.ndarray, most: int) -> tuple[np.ndarray, int, int]:
    """Return each row's step, -1 without a day, with the first day and how many days a step is."""
    known = days[days >= 0]
    if not len(known):
        return np.full(len(days), -1), 0, 1
    first = int(known.min())
    width = -(-(int(known.max()) - first + 1) // most)
    return np.where(days < 0, -1, (days - first) // width), first, width


def _coarse(best: Best, count: int, origin: int, width: int) -> tuple[int | None, int | None]:
    """Return the first and last day of a span of steps; None where it begins or ends with the log."""
    since = None if best.first == 0 else origin + best.first * width
    return since, (None if best.last >= count - 1 else origin + (best.last + 1) * width - 1)


class Finer:
    """The ends of a pocket to the day: `days` and `values` of its slice's rows, and the days `every` row has."""

    def __init__(self, days: np.ndarray, values: np.ndarray, likelihood: Likelihood, every: np.ndarray) -> None:
        order = np.argsort(days, kind="stable")
        self.days, self.added, self.likelihood = days[order], np.r_[0, np.cumsum(values[order])], likelihood
        known = every[every >= 0]
        self.low, self.high = (int(known.min()), int(known.max())) if len(known) else (0, 0)

    def ends(self, coarse: tuple[int | None, int | None], width: int) -> tuple[date | None, date | None]:
        """Return the first and last day, drawn in to where the slice has rows; None at the log's edges.

        Where steps are `width` days, ever finer ones are scanned about both ends.
        """
        since, until = (self.low if coarse[0] is None else coarse[0]), (self.high if coarse[1] is None else coarse[1])
        while width > 1:
            reach, width = width, -(-width // FINER)
            since, until = self._closer(since, until, width, reach)
        inside = self.days[(self.days >= max(since, 0)) & (self.days <= until)]
        first, last = (int(inside[0]), int(inside[-1])) if len(inside) else (self.low, self.high)
        begins = date.fromordinal(first) if first > self.low else None
        return begins, (date.fromordinal(last) if bool((self.days > last).any()) else None)

    def _closer(self, since: int, until: int, width: int, reach: int) -> tuple[int, int]:
        """Return the best ends within `reach` days of those given, in steps of `width` days."""
        begins, stops = (
            np.unique(np.clip(np.r_[np.arange(end - reach, end + reach + 1, width), end], self.low, self.high))
            for end in (since, until)
        )
        before = np.searchsorted(self.days, begins, "left")[:, None]
        after = np.searchsorted(self.days, stops, "right")[None]
        size = np.maximum(after - before, 0)
        inner = np.where(size > 0, self.added[after] - self.added[before], 0)
        gains = self.likelihood.gain(inner, size, self.likelihood.fixed(size))
        gains = gains + WORTH * ((begins <= self.low)[:, None].astype(float) + (stops >= self.high)[None])
        first, last = np.unravel_index(int(np.where(size > 0, gains, -1.0).argmax()), size.shape)
        return int(begins[first]), int(stops[last])
