"""Many records under many strategies: logits with every modality, with some left out, and with one of them replaced."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from fusion_core.compare.encoded import batch, fitting
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet
from fusion_core.types import Tokens

AT_ONCE = 64  # records


@torch.no_grad()
def fused(model: FusedModel, tokens: TokenSet, replaced: dict[str, Tokens] | None = None) -> np.ndarray:
    """Return the logits of every strategy, `float32 [S, N, C]`.

    replaced: tokens `[N, T, D]` that stand in for those of a modality.
    """
    found = []
    for rows in torch.arange(len(tokens)).split(AT_ONCE):
        given = batch(model, tokens, rows) | fitting(model, {m: t.rows(rows) for m, t in (replaced or {}).items()})
        found.append(torch.stack([model.fuse(given, s) for s in model.strategies]))
    logits: np.ndarray = torch.cat(found, dim=1).float().numpy()
    return logits


@torch.no_grad()
def fused_patterns(model: FusedModel, tokens: TokenSet, strategy: str, patterns: Sequence[Sequence[str]]) -> np.ndarray:
    """Return a strategy's logits with only the modalities of each pattern left, `float32 [P, N, C]`."""
    head, found = model.head(strategy), []
    for rows in torch.arange(len(tokens)).split(AT_ONCE):
        projected = head.project(batch(model, tokens, rows))
        nobody = torch.full((len(rows),), -1)
        left = [{m: t if m in present else t.rows(nobody) for m, t in projected.items()} for present in patterns]
        found.append(torch.stack([head.combine(one).logits for one in left]))
    logits: np.ndarray = torch.cat(found, dim=1).float().numpy()
    return logits
