"""How much of its answers a strategy owes to each modality: shares of the absolute contributions in the ledger."""

from __future__ import annotations

import numpy as np
import torch

from fusion_core.compare.encoded import batch
from fusion_core.compare.resampling import resampled_means, spread
from fusion_core.compare.result import Measured
from fusion_core.contribute.ledger import measure
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet


def reliance(
    model: FusedModel, tokens: TokenSet, strategy: str, rows: np.ndarray, seed: int = 0
) -> tuple[dict[str, Measured], int]:
    """Return each modality's mean share, with its bootstrap interval, and of how many records.

    The ledger of the strategy's own answer, against marginal donors; a record without any contribution has no shares.
    """
    shares = []
    for row in rows:
        table = measure(model, batch(model, tokens, torch.tensor([int(row)])), strategy, seed=seed)
        everyone = frozenset(table.players)
        ledger = table.ledger(model.classes[int(table.probabilities[everyone].argmax())])
        sizes = np.abs([ledger.contributions[m] for m in model.modalities])
        if np.isfinite(sizes).all() and sizes.sum() > 0:
            shares.append(sizes / sizes.sum())
    if not shares:
        return {}, 0
    found = np.array(shares)
    drawn = resampled_means(found, seed)
    means = found.mean(axis=0)
    return {m: spread(float(means[k]), drawn[:, k]) for k, m in enumerate(model.modalities)}, len(found)
