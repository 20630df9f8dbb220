"""MM-SHAP: each modality's share of the absolute Shapley values of token groups (Parcalabescu & Frank 2023).

With as many groups per modality: otherwise the share only says which modality has more tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


@dataclass(frozen=True)
class MmShap:
    """The modalities' shares of one record, and what heads that know nothing give: the noise floor.

    floor: lowest and highest share per modality under randomised heads; a share says something where it lies outside.
    """

    shares: tuple[ModalityShare, ...]
    floor: dict[str, tuple[float, float]]


def mm_shap(
    value: Value, randomised: Sequence[Value], tokens: Mapping[str, int], groups: int = GROUPS, seed: int = 0
) -> MmShap:
    """Return shares under a head beside those under the same head with random weights (at least two of them).

    value, tokens, groups: as in `modality_shares`; randomised: the same function of heads that nobody trained.
    Raises CallError for fewer than two of those, or a modality without tokens.
    """
    if len(randomised) < 2:
        raise CallError(f"{len(randomised)} randomised heads are too few for a noise floor; at least 2 are needed")
    found = modality_shares(value, tokens, groups, seed=seed)
    nothing = [modality_shares(v, tokens, groups, seed=seed) for v in randomised]
    floors = {
        share.modality: (min(n[k].share for n in nothing), max(n[k].share for n in nothing))
        for k, share in enumerate(found)
    }
    return MmShap(found, floors)


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
    quarters = [np.abs(q.mean(axis=0)).reshape(len(tokens), each).sum(axis=1) for q in np.array_split(scores, 4)]
    shares = [q / max(float(q.sum()), 1e-12) for q in quarters]
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
