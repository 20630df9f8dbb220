"""Shapley values of tokens by sampling orders (Castro 2009): every token is a player.

Each order is followed by its reverse, which halves the noise. With a generator of its own, for the reason given in
`gradient_shap`.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from fusion_core.attribute.problem import Method, Problem, Scores, method
from fusion_core.attribute.sampling import averaged

BATCH = 32
LEAST = 512


def shapley_sampling(problem: Problem) -> Scores:
    """Average what every token adds when it joins, over random orders: at least 2 P + 512 passes for P tokens.

    Sums to the difference explained for every order, so the completeness error is rounding.
    """
    planned = passes(problem)
    found = averaged(problem, _samples(problem, planned), planned)
    ends = torch.stack([torch.zeros(sum(problem.counts.values())) > 0, torch.ones(sum(problem.counts.values())) > 0])
    nothing, whole = problem.answers(ends, BATCH, planned, planned).tolist()
    delta = abs(sum(float(score.sum()) for score in found.tokens.values()) - (whole - nothing))
    yardstick = max(abs(whole - nothing), 0.05 * problem.scale, 1e-12)
    return Scores(found.tokens, delta, delta / yardstick, found.evaluations + 2, found.spread)


def _samples(problem: Problem, planned: int) -> Iterator[tuple[Tensor, int]]:
    count = sum(problem.counts.values())
    generator = torch.Generator().manual_seed(problem.seed)
    for pair in range(planned // (2 * (count + 1))):
        order = torch.randperm(count, generator=generator)
        both = torch.zeros(count, dtype=torch.double)
        for number, walk in enumerate((order, order.flip(0))):
            joined = torch.zeros(count + 1, count, dtype=torch.bool)
            for step, token in enumerate(walk.tolist()):
                joined[step + 1 :, token] = True
            begun = (2 * pair + number) * (count + 1)
            both[walk] += problem.answers(joined, BATCH, begun, planned).diff() / 2
        yield both, 2 * (count + 1)


def passes(problem: Problem) -> int:
    """Return the passes of whole pairs of orders, at least two pairs."""
    count = sum(problem.counts.values())
    pair = 2 * (count + 1)
    return pair * max(2, -(-(2 * count + LEAST) // pair))


method("shapley_sampling")(
    Method(shapley_sampling, passes, "what a token adds when it joins, over random orders, with a standard error")
)
