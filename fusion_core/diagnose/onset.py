"""Since when, and until when: the days between which something happens more often than before and after."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

PERMUTATIONS = 199
LEAST_ROWS = 5  # on either side of a change
SIGNIFICANT = 0.01
ENDED = 0.25  # of its rate: what is left of something that is over
_MIRROR = date.max.toordinal()


@dataclass(frozen=True)
class Onset:
    """The first day of a change, the rate before and from it on, and the p-value of its permutation test."""

    day: date
    before: float
    after: float
    p: float


def find_onset(days: list[date], hits: np.ndarray, seed: int = 0) -> Onset | None:
    """Return the day that best splits `hits bool [N]` into a lower rate before and a higher one from then on.

    The split with the largest binomial likelihood ratio, tested against the same hits dealt to the days at random;
    None where fewer than 1 in 100 such deals is not reached.
    """
    if len(set(days)) < 2:
        return None
    order = np.argsort(np.array(days, "datetime64[D]"), kind="stable")
    sorted_days = np.array(days, "datetime64[D]")[order]
    ordered = hits[order].astype(np.float64)
    starts = np.flatnonzero(np.r_[False, sorted_days[1:] != sorted_days[:-1]])
    starts = starts[(starts >= LEAST_ROWS) & (starts <= len(ordered) - LEAST_ROWS)]
    if not len(starts):
        return None
    gains = _gains(ordered[None], starts)[0]
    best = int(gains.argmax())
    if gains[best] <= 0:
        return None
    random = np.random.default_rng(seed)
    dealt = np.stack([random.permutation(ordered) for _ in range(PERMUTATIONS)])
    p = (1 + int((_gains(dealt, starts).max(axis=1) >= gains[best]).sum())) / (1 + PERMUTATIONS)
    if p > SIGNIFICANT:
        return None
    start = starts[best]
    return Onset(sorted_days[start].item(), float(ordered[:start].mean()), float(ordered[start:].mean()), p)


def find_end(days: list[date], hits: np.ndarray, seed: int = 0) -> date | None:
    """Return the last day before something became rare again, None while it goes on: an onset read backwards."""
    mirrored = [date.fromordinal(_MIRROR - day.toordinal()) for day in days]
    found = find_onset(mirrored, hits, seed)
    if found is None or found.before > ENDED * found.after:
        return None
    return date.fromordinal(_MIRROR - found.day.toordinal())


def _gains(rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the log likelihood ratio of a rise at every start, `[R, S]`; 0 where the rate falls."""
    total, count = rows.sum(axis=1, keepdims=True), rows.shape[1]
    before = np.cumsum(rows, axis=1)[:, starts - 1]
    after = total - before
    low, high = before / starts, after / (count - starts)
    split = _likelihood(before, starts) + _likelihood(after, count - starts)
    return np.where(high > low, split - _likelihood(total, np.array(count)), 0.0)


def _likelihood(hits: np.ndarray, count: np.ndarray) -> np.ndarray:
    share = np.clip(hits / count, 1e-12, 1 - 1e-12)
    return np.asarray(hits * np.log(share) + (count - hits) * np.log1p(-share))
