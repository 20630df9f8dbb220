"""What is left of a strategy's answers when only some modalities are there: every presence pattern."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch

from fusion_core.compare.fusing import fused_patterns
from fusion_core.compare.quality import answered, calibration_error, share
from fusion_core.compare.result import PatternQuality
from fusion_core.model import FusedModel
from fusion_core.tokens import TokenSet


def presence_patterns(modalities: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return every set of modalities but the empty one: all of them first, single ones last."""
    return [kept for size in range(len(modalities), 0, -1) for kept in combinations(modalities, size)]


def pattern_qualities(
    model: FusedModel, tokens: TokenSet, strategy: str, truth: np.ndarray | None, seed: int = 0
) -> tuple[PatternQuality, ...]:
    """Judge a strategy under every pattern, on the records that have one of the pattern's modalities."""
    patterns = presence_patterns(model.modalities)
    logits = fused_patterns(model, tokens, strategy, patterns)
    found = []
    for present, own in zip(patterns, logits, strict=True):
        rows = torch.stack([tokens.index[m] >= 0 for m in present]).any(dim=0).numpy()
        if rows.any():
            found.append(_one(present, own[rows], logits[0][rows], None if truth is None else truth[rows], seed))
    return tuple(found)


def _one(
    present: tuple[str, ...], logits: np.ndarray, full: np.ndarray, truth: np.ndarray | None, seed: int
) -> PatternQuality:
    answers = answered(logits)
    finite = np.isfinite(logits).all(axis=1)
    error = calibration_error(logits[finite], truth[finite]).value if truth is not None and finite.any() else None
    accuracy = None if truth is None else share((answers == truth).astype(np.float64), seed)
    agreement = share((answers == answered(full)).astype(np.float64), seed)
    return PatternQuality(present, accuracy, error, len(logits), agreement)
