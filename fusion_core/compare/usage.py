"""What a strategy uses: its additive part, each modality's worth, and the information modalities share or add.

The measures are those of `contribute`; here is on how many records, and in what form they are kept.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from fusion_core.compare.cost import combining_operations
from fusion_core.compare.damage import stratified
from fusion_core.compare.encoded import part, whole
from fusion_core.contribute.emap import Emap, emap
from fusion_core.contribute.perceptual import PerceptualScore, perceptual_score
from fusion_core.contribute.pid import Information, information
from fusion_core.fusion import Head
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet

#: Records that have every modality, of which each is measured: EMAP and the ledger pass many combinations of each.
#: EMAP takes more of both, records and donors, where to combine modalities costs next to nothing.
EMAP_RECORDS, EMAP_DONORS = 200, 24
CHEAP, CHEAP_RECORDS, CHEAP_DONORS = 2.0, 600, 64  # million operations
LEDGER_RECORDS = 32
PERCEPTUAL_RECORDS = 300
INFORMATION_RECORDS = 1_000
LEAST_RECORDS = 20


def sample(tokens: TokenSet, most: int, seed: int) -> np.ndarray:
    """Return the numbers of at most so many records that have every modality, labels in their shares; seeded."""
    rows = whole(tokens)
    found: np.ndarray = rows[stratified([tokens.labels[k] for k in rows], most, seed)]
    return found


def additive_part(model: FusedModel, tokens: TokenSet, strategy: str, seed: int = 0) -> Emap:
    """Return what a strategy loses when only a sum of its modalities is left, on at most 200 records (600 if cheap)."""
    cheap = combining_operations(model, tokens, strategy) < CHEAP
    most, donors = (CHEAP_RECORDS, CHEAP_DONORS) if cheap else (EMAP_RECORDS, EMAP_DONORS)
    given = part(tokens, sample(tokens, most, seed))
    closed = type(model.head(strategy)).additive is not Head.additive
    few = len(given) ** len(model.modalities) <= len(given) * len(model.modalities) * donors
    return emap(model, given, strategy, None if closed or few else "monte_carlo", donors, seed)


def perceptual_scores(model: FusedModel, tokens: TokenSet, strategy: str, seed: int = 0) -> tuple[PerceptualScore, ...]:
    """Return how much accuracy each modality brings, on at most 300 records that have every one."""
    given = part(tokens, sample(tokens, PERCEPTUAL_RECORDS, seed))
    return tuple(perceptual_score(model, given, strategy, m, seed=seed) for m in model.modalities)


def informations(model: FusedModel, tokens: TokenSet, strategy: str, seed: int = 0) -> tuple[Information, ...]:
    """Return what every two modalities, pooled as the strategy sees them, tell about the labels."""
    given = part(tokens, sample(tokens, INFORMATION_RECORDS, seed))
    return tuple(information(model, given, strategy, *pair, seed=seed) for pair in combinations(model.modalities, 2))
