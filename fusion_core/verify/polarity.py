"""Polarity violations: does what a map calls support really support the answer (Liu 2022)?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from fusion_core.model import FusedModel
from fusion_core.types import Check, Tokens

TOP = 10
DRAWN = 32
POLICY = "mean token of the background"
Place = tuple[str, int]  # modality and number of a token


def polarity_violations(
    model: FusedModel,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: int,
    maps: Mapping[str, Mapping[str, np.ndarray]],
    k: int = TOP,
    seed: int = 0,
) -> tuple[Check, ...]:
    """Take out each of the k tokens a map (`maps[name][m] [T_m]`) finds strongest for the target, one at a time.

    A violation is a token whose removal raises the class's centred logit. Only scores above 0 count as support, so
    there may be fewer than k. One check per map, `polarity_<name>`; value: share of violations, NaN without support;
    passed: there are none, or fewer than among tokens drawn at random from the record (their share is what a map that
    knows nothing gets; it is not one half). All go through the head as one batch, at most `k * maps + 33` rows.
    """
    top = {name: _strongest(tokens, scores, k) for name, scores in maps.items()}
    drawn = _drawn(tokens, seed)
    tried = list(dict.fromkeys([*drawn, *(place for places in top.values() for place in places)]))
    raised = _raised(model, tokens, strategy, target, tried)
    name_of_class = model.classes[target]
    chance = [raised[place] for place in drawn]
    return tuple(_check(name, name_of_class, [raised[p] for p in places], chance) for name, places in top.items())


def _check(name: str, target: str, violations: Sequence[bool], chance: Sequence[bool]) -> Check:
    if not violations:
        return Check(f"polarity_{name}", float("nan"), None, f"this map finds no token that supports {target}")
    share = float(np.mean(violations))
    sentence = (
        f"{sum(violations)} of the {len(violations)} tokens this map finds strongest speak against {target}: its logit "
        f"rises when one is replaced by the {POLICY}; so do {sum(chance)} of {len(chance)} drawn at random"
    )
    return Check(f"polarity_{name}", share, share == 0.0 or share < float(np.mean(chance)), sentence)


def _raised(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int, places: Sequence[Place]
) -> dict[Place, bool]:
    """Return for each token whether the target's centred logit rises without it."""
    batch = {m: t.rows(torch.zeros(len(places) + 1, dtype=torch.long)) for m, t in tokens.items()}
    level = model.head(strategy).level
    for row, (m, token) in enumerate(places):
        features = batch[m].at(level)
        assert features is not None
        features[row, token] = model.background.mean_token(m, level).to(features)
    with torch.no_grad():
        logits = model.fuse(batch, strategy)
    centred = (logits[:, target] - logits.mean(dim=1)).double()
    return dict(zip(places, (centred[:-1] > centred[-1]).tolist(), strict=True))


def _strongest(tokens: Mapping[str, Tokens], scores: Mapping[str, np.ndarray], k: int) -> list[Place]:
    """Return the k valid tokens with the largest positive scores over all modalities; ties go to the first."""
    support = [
        (-float(score), order, m, token)
        for order, m in enumerate(scores)
        for token, (score, valid) in enumerate(zip(scores[m], tokens[m].mask[0].tolist(), strict=True))
        if valid and score > 0
    ]
    return [(m, token) for _, _, m, token in sorted(support)[:k]]


def _drawn(tokens: Mapping[str, Tokens], seed: int) -> list[Place]:
    """Draw tokens of the record, all of them where there are few."""
    valid = [(m, int(token)) for m, t in tokens.items() for token in t.mask[0].nonzero()[:, 0]]
    chosen = np.random.default_rng(seed).permutation(len(valid))[:DRAWN]
    return [valid[i] for i in chosen]
