"""Signals between modalities: whether their own heads contradict each other, the answer, and the label."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from fusion_core.diagnose.signals.seen import Profile, Seen, signals


@signals("pair")
def pair_signals(seen: Seen, profile: Profile) -> dict[str, float]:
    """Measure disagreement (Jensen-Shannon, bits, 0 to 1), the answer's confidence, and how the label fares.

    unsure: entropy of the mean answer of several strategies, bits. Strategies that relate modalities to each other
    answer at random, and each in its own way, when what one asks for is not in the other.
    """
    found = {}
    for one, other in combinations(seen.alone, 2):
        found[f"pair.{one}+{other}"] = divergence(seen.alone[one], seen.alone[other])
        found[f"pair.{one}+{other}.sure"] = float(min(seen.alone[one].max(), seen.alone[other].max()))
    if seen.fused is not None:
        found["model.confidence"] = float(seen.fused.max())
    if seen.joint is not None:
        found["pair.unsure"] = float(-(seen.joint * np.log2(seen.joint + 1e-12)).sum())
    if seen.label is not None and seen.fused is not None:
        found["label.fused"] = _logit(float(seen.fused[seen.label]))
        if seen.alone:
            found["label.alone"] = float(np.mean([_logit(float(p[seen.label])) for p in seen.alone.values()]))
            found["label.best"] = max(float(p[seen.label] / p.max()) for p in seen.alone.values())
    return found


def divergence(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Jensen-Shannon divergence of two distributions `[C]`, bits (Lin 1991)."""
    middle = (one + other) / 2
    return float((_relative(one, middle) + _relative(other, middle)) / 2)


def _relative(one: np.ndarray, other: np.ndarray) -> float:
    kept = one > 0
    return float((one[kept] * np.log2(one[kept] / other[kept])).sum())


def _logit(share: float) -> float:
    kept = min(max(share, 1e-6), 1 - 1e-6)
    return float(np.log(kept / (1 - kept)))
