"""Polarity violations: does what a map calls support really support the answer (Liu 2022)?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from fusion_core.model import FusedModel
from fusion_core.types import Check, Tokens

TOP = 10
POLICY = "mean token of the background"


def polarity_violations(
    model: FusedModel,
    tokens: Mapping[str, Tokens],
    strategy: str,
    target: int,
    scores: Mapping[str, np.ndarray],
    k: int = TOP,
) -> Check:
    """Take out each of the k tokens a map (`scores[m] [T_m]`) finds strongest for the target class, one at a time.

    A violation is a token whose removal raises the class's centred logit. Only scores above 0 count as support, so
    there may be fewer than k. value: share of violations, NaN without support; passed: fewer than a coin would give.
    One batch of k + 1 rows through the head.
    """
    top = _strongest(tokens, scores, k)
    name = model.classes[target]
    if not top:
        return Check("polarity", float("nan"), None, f"this map finds no token that supports {name}")
    batch = {m: t.rows(torch.zeros(len(top) + 1, dtype=torch.long)) for m, t in tokens.items()}
    for row, (m, token) in enumerate(top):
        batch[m].values[row, token] = model.background.mean_token(m).to(batch[m].values)
    with torch.no_grad():
        logits = model.fuse(batch, strategy)
    centred = (logits[:, target] - logits.mean(dim=1)).double()
    raised = int((centred[:-1] > centred[-1]).sum())
    sentence = (
        f"{raised} of the {len(top)} tokens this map finds strongest speak against {name}: "
        f"its logit rises when one is replaced by the {POLICY}"
    )
    return Check("polarity", raised / len(top), raised / len(top) < 0.5, sentence)


def _strongest(tokens: Mapping[str, Tokens], scores: Mapping[str, np.ndarray], k: int) -> list[tuple[str, int]]:
    """Return the k valid tokens with the largest positive scores over all modalities; ties go to the first."""
    support = [
        (-float(score), order, m, token)
        for order, m in enumerate(scores)
        for token, (score, valid) in enumerate(zip(scores[m], tokens[m].mask[0].tolist(), strict=True))
        if valid and score > 0
    ]
    return [(m, token) for _, _, m, token in sorted(support)[:k]]
