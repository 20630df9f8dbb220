"""What methods that sample share: a mean over samples as they come, with its standard error and its progress."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from fusion_core.attribute.problem import Problem, Scores


def averaged(problem: Problem, samples: Iterable[tuple[Tensor, int]], planned: int) -> Scores:
    """Average samples of all tokens' scores `[P]`, each with the passes behind it, reporting after every one.

    planned: passes in all. The spread is the standard error of the mean; None with fewer than two samples.
    """
    total = square = torch.zeros(sum(problem.counts.values()), dtype=torch.double)
    count, passes = 0, 0
    scores = Scores(problem.cut(total), None, None, 0, None, 0.0)
    for sample, cost in samples:
        total, square = total + sample, square + sample**2
        count, passes = count + 1, passes + cost
        spread = None
        if count > 1:
            variance = (square - total**2 / count).clamp(min=0) / (count - 1)
            spread = problem.cut((variance / count).sqrt())
        scores = Scores(problem.cut(total / count), None, None, passes, spread, min(1.0, passes / planned))
        problem.report(passes, planned, scores)
    return scores


def token_scores(problem: Problem, found: tuple[Tensor, ...]) -> Tensor:
    """Return element scores `[1, ...]` of each modality as scores of all tokens, `[P]`."""
    parts = [problem.to_tokens[m](score[0]).double() for m, score in zip(problem.modalities, found, strict=True)]
    return torch.cat(parts)
