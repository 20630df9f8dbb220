"""The scan itself: how much likelier values are with a slice and a span of days apart from all other rows.

Kulldorff (1997): the log likelihood ratio of one rate (or mean) inside and another outside, against one for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion_core.diagnose.slices import LEAST_ROWS, Slices

#: Log likelihood that a slice must add to be worth naming, and a first or last day other than the log's.
WORTH = 3.0
AT_ONCE = 64  # slices: what bounds the memory of a scan


@dataclass(frozen=True)
class Best:
    """The slice and span of steps that score highest in a scan: its gain, and what it has not to say beyond it."""

    gain: float
    score: float
    place: int  # of the slice
    first: int
    last: int


class Likelihood:
    """The gain of a part of the rows: `rates` of hits, else means of numbers, as normal ones of one spread."""

    def __init__(self, values: np.ndarray, rates: bool) -> None:
        self.number, self.rates = len(values), rates
        self.total, self.spread = float(values.sum()), float(values.var()) or 1.0
        counts = np.arange(self.number + 1)
        self.table = counts * np.log(np.maximum(counts, 1))  # k log k, by k

    def fixed(self, size: np.ndarray) -> np.ndarray:
        """Return what of a gain hangs on the size `int` of the part alone."""
        if self.rates:
            hits, misses, all_rows = (self.table[k] for k in (int(self.total), self.number - int(self.total), -1))
            return np.asarray(all_rows - hits - misses - self.table[size] - self.table[self.number - size])
        rest = np.maximum(self.number - size, 1)
        return np.asarray(self.number / (np.maximum(size, 1) * rest) / (2 * self.spread))

    def gain(self, inner: np.ndarray, size: np.ndarray, fixed: np.ndarray) -> np.ndarray:
        """Return the gain of parts of this size and sum; 0 where values are no higher there than elsewhere."""
        if not self.rates:
            above = np.maximum(inner - self.total / self.number * size, 0.0)
            return np.asarray(np.square(above) * fixed)
        total, table = int(self.total), self.table
        misses = size - inner
        gain = table[inner] + table[misses] + table[total - inner] + table[self.number - total - misses] + fixed
        return np.where(inner * self.number > total * size, gain, 0.0)


class Scan:
    """All spans of all slices: sums per step, added up, and the gain of each span, 64 slices at once."""

    def __init__(self, slices: Slices, steps: np.ndarray, likelihood: Likelihood) -> None:
        self.likelihood, self.slices = likelihood, len(slices.names)
        self.count = int(steps.max()) + 1 if len(steps) and steps.max() >= 0 else 1
        # Rows without a day come last: in a step of their own, which only the whole log reaches.
        step = np.where(steps >= 0, steps, self.count)
        self.index = slices.places.astype(np.int64) + step[None] * (self.slices + 1)
        first, last = np.triu_indices(self.count)
        self.first, self.last = np.r_[first, 0], np.r_[last, self.count]
        open_ends = (self.first == 0).astype(float) + (self.last >= self.count - 1)
        self.open_worth = WORTH * open_ends[:, None]
        sizes = self._added(np.ones(len(steps), np.bool_)).astype(np.int64)
        self.size = np.concatenate([self._spans(sizes, start).astype(np.int32) for start in self._starts()], axis=1)
        self.fixed = likelihood.fixed(self.size)
        self.small = (self.size < LEAST_ROWS) | (likelihood.number - self.size < LEAST_ROWS)

    def best(self, values: np.ndarray) -> Best:
        """Return the slice and span of the largest gain; simpler ones, all rows and all days, are handicapped least."""
        added, best = self._added(values), Best(0.0, 0.0, 0, 0, self.count)
        for start in self._starts():
            own = slice(start, start + AT_ONCE)
            gains = self.likelihood.gain(self._spans(added, start), self.size[:, own], self.fixed[:, own])
            gains[self.small[:, own]] = 0.0
            simple = np.where(gains > 1e-9, gains + self.open_worth, 0.0)
            if start == 0:
                simple[:, 0] += WORTH * (gains[:, 0] > 1e-9)
            if (score := float(simple.max())) > best.score:
                place, span = (int(k) for k in np.unravel_index(int(simple.T.argmax()), simple.T.shape))
                best = Best(
                    float(gains[span, place]), score, start + place, int(self.first[span]), int(self.last[span])
                )
        return best

    def _starts(self) -> range:
        return range(0, self.slices, AT_ONCE)

    def _added(self, values: np.ndarray) -> np.ndarray:
        """Return sums up to each step `[steps + 2, slices]`, of hits as whole numbers."""
        size = (self.count + 1) * (self.slices + 1)
        if values.dtype == np.bool_:
            sums = np.bincount(self.index[:, np.flatnonzero(values)].ravel(), minlength=size)
        else:
            sums = np.bincount(self.index.ravel(), np.tile(values, len(self.index)), size)
        own = sums.reshape(self.count + 1, self.slices + 1)[:, :-1]
        return np.pad(np.cumsum(own, axis=0), ((1, 0), (0, 0)))

    def _spans(self, added: np.ndarray, start: int) -> np.ndarray:
        own = added[:, start : start + AT_ONCE]
        return np.asarray(own[self.last + 1] - own[self.first])
