"""Set each rule's limit by the false alarms of all rules together on clean records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from fusion_core.diagnose.reference import Reference
from fusion_core.diagnose.rules import Case, rule

FALSE_ALARMS = 0.03  # share of clean validation records that any rule may accuse; other records get a little more
MARGIN = 1.4  # above the largest clean score: a few hundred records do not show the tail
#: Distances to few vectors come out too small where validation records have relatives nobody told us of.
FAR_MARGIN = 1.9
LEAST_LIMIT = 2.0
LEAST_GAIN = 0.4  # natural logarithm of how far a limit must fall for one more accused record


def calibrate(reference: Reference, measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return each rule's limit, a margin above the raw scores of clean records, all but a few outliers.

    Which outliers is decided by what they buy: at most 3 % of the records may be accused, and each goes to the rule
    whose limit falls by the largest factor for it. No faulty record is needed.
    """
    raw = {name: np.array([one.judge(Case(found, reference)).raw for found in measured]) for name, one in rule.items()}
    accused = np.zeros(len(measured), np.bool_)
    allowed = int(FALSE_ALARMS * len(measured))
    while (step := _best_step(raw, accused, allowed - int(accused.sum()))) is not None:
        accused |= step
    limits = {name: _limit(scores, accused) for name, scores in raw.items()}
    return {name: limit * (FAR_MARGIN / MARGIN if name.endswith("_far") else 1.0) for name, limit in limits.items()}


def _best_step(raw: Mapping[str, np.ndarray], accused: np.ndarray, left: int) -> np.ndarray | None:
    """Return the records to give up next, `bool [N]`; None when none is left or none buys enough."""
    best, gain = None, LEAST_GAIN
    for scores in raw.values():
        before = _limit(scores, accused)
        order = np.argsort(-np.where(accused, -np.inf, scores), kind="stable")
        for count in range(1, left + 1):
            given = np.zeros(len(scores), np.bool_)
            given[order[:count]] = True
            own = math.log(before / _limit(scores, accused | given)) / count
            if own > gain:
                best, gain = given, own
    return best


def _limit(scores: np.ndarray, accused: np.ndarray) -> float:
    kept = scores[~accused]
    return max(LEAST_LIMIT, MARGIN * float(kept.max())) if len(kept) else LEAST_LIMIT
