"""Input x gradient (Shrikumar 2016): one gradient, times how far the input is from the baseline."""

from __future__ import annotations

from fusion_core.attribute.problem import Method, Problem, Scores, method


def input_x_gradient(problem: Problem) -> Scores:
    """Score every token by `(x - baseline) . gradient`: right where the model is linear, and only there."""
    found = problem.gradients(problem.values)
    tokens = {
        m: problem.to_tokens[m](((value - baseline) * gradient)[0])
        for m, value, baseline, gradient in zip(
            problem.modalities, problem.values, problem.baselines, found, strict=True
        )
    }
    return Scores(tokens, None, None, 1)


method("input_x_gradient")(
    Method(input_x_gradient, lambda problem: 1, "one gradient times the distance from the baseline: fast and rough")
)
