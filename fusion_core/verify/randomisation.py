"""Does a map know the head it explains? Give the head random weights; the map must change (Adebayo 2018)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from fusion_core.model import FusedModel
from fusion_core.ranks import rank_agreement
from fusion_core.types import Check

HEADS = 3
LIMIT = 0.3
#: Fewer tokens agree by chance: 3 heads' mean of |Spearman| stays under the limit in 95 % of unrelated maps from here.
FEWEST = 24
#: Far from any seed a head is trained with: a head trained from seed 0 is no stranger to what seed 0 begins with.
OFFSET = 7_919_000


def randomised(model: FusedModel, strategy: str, seed: int = 0) -> FusedModel:
    """Return a model of this one strategy with freshly drawn weights; encoders and background are the same objects.

    The given model and torch's generator stay as they are. Raises CallError for a strategy the model lacks.
    """
    head = model.head(strategy)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(OFFSET + seed)
        fresh = head.stranger(len(model.classes))
    fitted = {name: found for name, found in model.fitted.items() if name == strategy}
    return FusedModel(model.name, model.classes, model.stack, {strategy: fresh}, fitted, model.background, strategy)


def randomisation(
    explain: Callable[[FusedModel], Mapping[str, np.ndarray]],
    model: FusedModel,
    strategy: str,
    seed: int = 0,
    name: str = "map",
) -> Check:
    """Compare a map, `explain(model)[m] [T_m]`, with the maps of 3 heads of random weights.

    value: mean of |Spearman| over the heads, all tokens together; without the sign, because a random head may well
    turn a map around, and opposite signs would cancel. A random head's map that is the same for all tokens is like
    none. passed: under .3; None (value NaN) where the map itself is the same for all tokens or has too few of them.
    """
    own = explain(model)
    trained = _tokens(own, own)
    check = f"randomisation_{name}"
    if len(trained) < FEWEST or np.ptp(trained) == 0.0:
        why = "is the same for all tokens" if len(trained) >= FEWEST else f"has {len(trained)} tokens of {FEWEST}"
        return Check(check, float("nan"), None, f"this map {why}: it cannot be told from that of a random head")
    others = (explain(randomised(model, strategy, seed + number)) for number in range(HEADS))
    found = float(np.mean([abs(rank_agreement(trained, _tokens(other, own)) or 0.0) for other in others]))
    passed = found < LIMIT
    verdict = (
        "this map changes with the head's weights"
        if passed
        else "this map looks much the same for heads of random weights: it shows the input or the wiring, not what the "
        "head has learned"
    )
    return Check(check, found, passed, f"{verdict} (Spearman {found:.2f} with {HEADS} random heads, limit {LIMIT})")


def _tokens(scores: Mapping[str, np.ndarray], like: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the scores of all tokens, `[T]`, in the modalities' order of `like`; what is no number counts as 0."""
    return np.nan_to_num(np.concatenate([np.asarray(scores[m], dtype=float) for m in like]), posinf=0.0, neginf=0.0)
