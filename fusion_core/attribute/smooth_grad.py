"""Smoothed gradients (SmoothGrad, Smilkov 2017): input x gradient, averaged over a little noise.

With a generator of its own, for the reason given in `gradient_shap`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fusion_core.attribute.problem import Method, Problem, Scores, method
from fusion_core.attribute.sampling import averaged, token_scores

SAMPLES = 32
NOISE = 0.1  # standard deviation of the noise, as a share of the values' own


def smooth_grad(problem: Problem) -> Scores:
    """Average `(x - baseline) . gradient` over 32 noisy copies; noise is .1 of each modality's standard deviation.

    Not of the range, as for pixels: encoder tokens have a few very large features that would set it for all.
    """
    return averaged(problem, _samples(problem), SAMPLES)


def _samples(problem: Problem) -> Iterator[tuple[Tensor, int]]:
    generator = torch.Generator().manual_seed(problem.seed)
    for _ in range(SAMPLES):
        noisy = tuple(v + NOISE * v.std() * torch.randn(v.shape, generator=generator) for v in problem.values)
        steps = zip(problem.values, problem.baselines, problem.gradients(noisy), strict=True)
        yield token_scores(problem, tuple((v - baseline) * gradient for v, baseline, gradient in steps)), 1


method("smooth_grad")(
    Method(smooth_grad, lambda problem: SAMPLES, "input x gradient averaged over noise, with a standard error")
)
