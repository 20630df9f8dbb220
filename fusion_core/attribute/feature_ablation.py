"""Feature ablation: replace one token by the baseline and see what the answer loses."""

from __future__ import annotations

import torch

from fusion_core.attribute.problem import Method, Problem, Scores, method

BATCH = 16


def feature_ablation(problem: Problem) -> Scores:
    """Score every token by the drop of the explained logit when it alone is replaced by the baseline."""
    count = sum(problem.counts.values())
    players = torch.cat([torch.ones(1, count, dtype=torch.bool), ~torch.eye(count, dtype=torch.bool)])
    found = problem.answers(players, BATCH, planned=count + 1)
    return Scores(problem.cut(found[0] - found[1:]), None, None, count + 1)


method("feature_ablation")(
    Method(
        feature_ablation,
        lambda problem: sum(problem.counts.values()) + 1,
        "what the answer loses when one token is replaced by the baseline",
    )
)
