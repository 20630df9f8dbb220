"""Signals between modalities: whether their own heads contradict each other, the answer, and the label."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from fusion_core.diagnose.signals.seen import Profile, Seen, signals


@signals("pair")
def pair_signals(seen: Seen, profile: Profile) -> dict[str, float]:
    """Measure disagreement (Jensen-Shannon, bits, 0 to 1), the answer's confidence, and how the label fares.

    <modality>.rest: disagreement of one with what all others vote for together: how a record whose other media belong
    together, but to another record, differs. <modality>.overrules: 1 where the answer is that modality's alone.
    unsure: entropy of the mean answer of several strategies, bits. Strategies that relate modalities to each other
    answer at random, and each in its own way, when what one asks for is not in the other.
    """
    found = {}
    for one, other in combinations(seen.alone, 2):
        found[f"pair.{one}+{other}"] = divergence(seen.alone[one], seen.alone[other])
        found[f"pair.{one}+{other}.sure"] = float(min(seen.alone[one].max(), seen.alone[other].max()))
    for one in seen.alone if len(seen.alone) > 2 else ():
        others = [seen.alone[m] for m in seen.alone if m != one]
        found[f"pair.{one}.rest"] = divergence(seen.alone[one], together(others))
    found |= _overruling(seen)
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


def _overruling(seen: Seen) -> dict[str, float]:
    """Return for each modality whether the model's answer is its own and no other's, 0 or 1."""
    if seen.fused is None or len(seen.alone) < 2:
        return {}
    votes = {m: int(vote.argmax()) for m, vote in seen.alone.items()}
    answer = int(seen.fused.argmax())
    alone = [m for m, vote in votes.items() if vote == answer]
    return {f"pair.{m}.overrules": float(alone == [m]) for m in votes}


def together(votes: Sequence[np.ndarray]) -> np.ndarray:
    """Return the product of distributions `[C]`, made one again: what independent witnesses say together."""
    logits = np.sum([np.log(vote + 1e-6) for vote in votes], axis=0)
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum())


def _relative(one: np.ndarray, other: np.ndarray) -> float:
    kept = one > 0
    return float((one[kept] * np.log2(one[kept] / other[kept])).sum())


def _logit(share: float) -> float:
    kept = min(max(share, 1e-6), 1 - 1e-6)
    return float(np.log(kept / (1 - kept)))
