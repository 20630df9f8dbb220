"""Records as one vector each, for plain classifiers: the mean token of every modality, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from fusion_core.fusion.head import masked_mean
from fusion_core.tokens import TokenSet

BATCH = 256


def pooled_features(tokens: TokenSet) -> np.ndarray:
    """Return `float32 [N, F]`: per modality its mean token and whether it is there; zeros where it is absent."""
    rows = torch.arange(len(tokens)).split(BATCH)
    parts = [_pooled(tokens, part) for part in rows]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def _pooled(tokens: TokenSet, rows: torch.Tensor) -> np.ndarray:
    batch = tokens.batch(rows)
    means = [masked_mean(batch[m]) for m in batch]
    there = [batch[m].mask.any(dim=1, keepdim=True).float() for m in batch]
    return torch.cat([*means, *there], dim=1).numpy()


def stratified_folds(labels: Sequence[int], folds: int, seed: int) -> Iterator[np.ndarray]:
    """Yield record numbers of each fold, every class dealt evenly, in an order drawn by the seed."""
    truth = np.asarray(labels)
    rng, place, at = np.random.default_rng(seed), np.zeros(len(truth), int), 0
    for name in np.unique(truth):
        members = rng.permutation(np.flatnonzero(truth == name))
        place[members] = (np.arange(len(members)) + at) % folds
        at += len(members)
    for fold in range(folds):
        yield np.flatnonzero(place == fold)
