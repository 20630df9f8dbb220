"""Taking tokens out of one record and putting them back: what the explained class's logit does, many at once.

Projection works token by token, so the record and what stands in for it are projected once; every combination is then
only combined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import CallError
from fusion_core.fusion import Head
from fusion_core.model import FusedModel
from fusion_core.types import Tokens

POLICIES = ("mean", "missing")
CHUNK = 128


@dataclass(frozen=True)
class Removal:
    """One record under one strategy, with what stands in for each of its tokens.

    places: every valid token as modality and index, in order; a subset of tokens is `bool [P]` over them. policy:
    `mean` puts the background's mean token in a token's place, `missing` masks it.
    """

    head: Head
    target: int
    policy: str
    own: dict[str, Tokens]
    fill: dict[str, Tokens]
    places: tuple[tuple[str, int], ...]

    def scope(self, modality: str | None) -> np.ndarray:
        """Return which tokens belong to a modality, `bool [P]`; None for all."""
        return np.array([modality in (None, m) for m, _ in self.places], dtype=bool)

    def values(self, kept: np.ndarray) -> np.ndarray:
        """Return the class's centred logit (logit minus mean logit) for subsets of tokens `bool [N, P]`, `[N]`."""
        rows = torch.from_numpy(kept)
        return np.concatenate([self._values(part) for part in rows.split(CHUNK)])

    def _values(self, kept: Tensor) -> np.ndarray:
        count, start, given = len(kept), 0, {}
        for m, tokens in self.own.items():
            indices = [index for name, index in self.places if name == m]
            keep = torch.ones(count, tokens.mask.shape[1], dtype=torch.bool)
            keep[:, indices] = kept[:, start : start + len(indices)]
            start += len(indices)
            mask = tokens.mask.expand(count, -1)
            if self.policy == "missing":
                given[m] = Tokens(tokens.values.expand(count, -1, -1), mask & keep)
            else:
                given[m] = Tokens(torch.where(keep[..., None], tokens.values, self.fill[m].values), mask)
        with torch.no_grad():
            logits = self.head.combine(given).logits.double()
        return (logits[:, self.target] - logits.mean(dim=1)).numpy()


def removal(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int, policy: str = "mean"
) -> Removal:
    """Prepare one record (`tokens[m] [1, T_m, D_m]`) for removals; raises CallError for an unknown policy."""
    if policy not in POLICIES:
        raise CallError(f"unknown removal policy {policy!r}; allowed: {', '.join(POLICIES)}")
    head = model.head(strategy)
    means = {}
    for m in head.modalities:
        features = tokens[m].at(head.level)
        assert features is not None
        means[m] = tokens[m].put(head.level, model.background.mean_token(m, head.level).expand_as(features))
    places = [(m, int(i)) for m in head.modalities for i in tokens[m].mask[0].nonzero()[:, 0]]
    with torch.no_grad():
        own, fill = head.project(tokens), head.project(means)
    return Removal(head, target, policy, own, fill, tuple(places))
