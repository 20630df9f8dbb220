"""MM-SHAP: each modality's share of the absolute Shapley values of token groups (Parcalabescu & Frank 2023).

With as many groups per modality: otherwise the share only says which modality has more tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fusion_core.errors import CallError

GROUPS = 6
ORDERS = 40

Value = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class ModalityShare:
    """A modality's share of all absolute scores, with its standard error over orders, and what its groups alone give.

    even: the share of a model that knows nothing, which is its share of the groups.
    """

    modality: str
    share: float
    error: float
    even: float


def modality_shares(
    value: Value, tokens: Mapping[str, int], groups: int = GROUPS, orders: int = ORDERS, seed: int = 0
) -> tuple[ModalityShare, ...]:
    """Return the shares of the modalities of one record.

    value: subsets of all tokens in order, `bool [N, P]`, to the explained logit `[N]`. tokens: how many each modality
    has. groups: neighbouring tokens joined, as many per modality: fewer where the shortest has fewer.
    Raises CallError for a modality without tokens.
    """
    if not tokens or min(tokens.values()) < 1:
        raise CallError(f"every modality needs a token; given {dict(tokens)}")
    each = min(groups, *tokens.values())
    member = np.concatenate([k * each + np.arange(n) * each // n for k, n in enumerate(tokens.values())])
    rng = np.random.default_rng(seed)
    scores = np.stack([_scores(value, member, rng.permutation(each * len(tokens))) for _ in range(orders)])
    sums = np.abs(scores.mean(axis=0)).reshape(len(tokens), each).sum(axis=1)
    halves = [np.abs(half.mean(axis=0)).reshape(len(tokens), each).sum(axis=1) for half in np.array_split(scores, 4)]
    shares = [h / max(float(h.sum()), 1e-12) for h in halves]
    error = np.std(shares, axis=0, ddof=1) / np.sqrt(len(shares))
    whole = max(float(sums.sum()), 1e-12)
    return tuple(
        ModalityShare(m, float(sums[k] / whole), float(error[k]), 1 / len(tokens)) for k, m in enumerate(tokens)
    )


def _scores(value: Value, member: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return what every group adds when it joins in this order, `[G]`."""
    kept = np.zeros((len(order) + 1, len(member)), dtype=bool)
    for step, group in enumerate(order):
        kept[step + 1 :, member == group] = True
    found = np.zeros(len(order))
    found[order] = np.diff(value(kept))
    return found
