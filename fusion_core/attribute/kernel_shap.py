"""Kernel SHAP (Lundberg 2017): the additive model of the tokens that fits random subsets best.

With a generator of its own, for the reason given in `gradient_shap`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from fusion_core.attribute.problem import Method, Problem, Scores, method

BATCH = 32
LEAST = 512
RIDGE = 1e-6


def kernel_shap(problem: Problem) -> Scores:
    """Fit Shapley values to 2 P + 512 random subsets of the P tokens, in pairs of a subset and its complement.

    Subset sizes are drawn by the Shapley kernel, so the fit is unweighted; it is held to the difference explained. The
    spread is that of least squares.
    """
    count, planned = sum(problem.counts.values()), passes(problem)
    subsets = _subsets(count, planned - 2, torch.Generator().manual_seed(problem.seed))
    ends = torch.stack([torch.zeros(count) > 0, torch.ones(count) > 0])
    found = problem.answers(torch.cat([ends, subsets]), BATCH, planned=planned)
    nothing, whole, values = found[0], found[1], found[2:]
    if count == 1:
        return Scores(problem.cut((whole - nothing)[None]), 0.0, 0.0, planned)
    # The last token takes what the others leave of the difference: one unknown less, and the sum holds exactly.
    inside = subsets.double()
    design = inside[:, :-1] - inside[:, -1:]
    goal = values - nothing - inside[:, -1] * (whole - nothing)
    gram = design.T @ design + RIDGE * torch.eye(count - 1, dtype=torch.double)
    inverse = torch.linalg.inv(gram)
    phi = inverse @ (design.T @ goal)
    noise = (goal - design @ phi).square().sum() / max(1, len(goal) - count + 1)
    covariance = noise * inverse
    spread = torch.cat([covariance.diagonal(), covariance.sum()[None]]).clamp(min=0).sqrt()
    scores = torch.cat([phi, (whole - nothing - phi.sum())[None]])
    return Scores(problem.cut(scores), 0.0, 0.0, planned, problem.cut(spread))


def _subsets(count: int, wanted: int, generator: torch.Generator) -> Tensor:
    """Return subsets `bool [n, P]` whose sizes follow the Shapley kernel, 1 / (k (P - k)), each with its complement."""
    if count == 1:
        return torch.zeros(wanted, 1, dtype=torch.bool)
    sizes = torch.arange(1, count, dtype=torch.double)
    drawn = 1 + torch.multinomial(1 / (sizes * (count - sizes)), wanted // 2, replacement=True, generator=generator)
    ranks = torch.rand(wanted // 2, count, generator=generator).argsort(dim=1).argsort(dim=1)
    subsets = ranks < drawn[:, None]
    return torch.cat([subsets, ~subsets])


def passes(problem: Problem) -> int:
    """Return 2 P + 512 subsets, an even number, and the two ends."""
    return 2 * sum(problem.counts.values()) + LEAST + 2


method("kernel_shap")(
    Method(kernel_shap, passes, "the additive model that fits random subsets of tokens best, with a standard error")
)
