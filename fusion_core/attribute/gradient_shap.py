"""Gradient SHAP (Lundberg 2017; expected gradients, Erion 2021): gradients on random ways from random real records.

Captum's own draws from the process's global generators, which several sessions share; here a generator of its own
gives the same numbers for the same seed whatever else runs.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fusion_core.attribute.problem import Method, Problem, Scores, method
from fusion_core.attribute.sampling import averaged, token_scores

SAMPLES = 64


def gradient_shap(problem: Problem) -> Scores:
    """Average `(x - donor) . gradient` at a random point between a random donor and the record, over 64 draws.

    Donors are the background's records, drawn for all modalities alike; at the input seam, which has none, the one
    baseline.
    """
    return averaged(problem, _samples(problem), SAMPLES)


def _samples(problem: Problem) -> Iterator[tuple[Tensor, int]]:
    generator = torch.Generator().manual_seed(problem.seed)
    donors = problem.donors or problem.baselines
    for _ in range(SAMPLES):
        row = int(torch.randint(len(donors[0]), (1,), generator=generator))
        way = float(torch.rand(1, generator=generator))
        starts = [donor[row : row + 1] for donor in donors]
        points = tuple(start + way * (value - start) for start, value in zip(starts, problem.values, strict=True))
        found = problem.gradients(points)
        steps = zip(problem.values, starts, found, strict=True)
        yield token_scores(problem, tuple((value - start) * gradient for value, start, gradient in steps)), 1


method("gradient_shap")(
    Method(gradient_shap, lambda problem: SAMPLES, "gradients on random ways from real records, with a standard error")
)
