"""Integrated gradients (Sundararajan 2017), over all explained modalities at once."""

from __future__ import annotations

from collections.abc import Callable

from captum.attr import IntegratedGradients
from torch import Tensor

from fusion_core.attribute.problem import Method, Problem, Scores, method

FIRST_STEPS, USUAL_STEPS, MOST_STEPS = 32, 64, 256
HEAVY_FIRST, HEAVY_MOST = 16, 32  # of a heavy problem: a dozen steps more would be minutes
HEAVY_ALL = HEAVY_FIRST + HEAVY_MOST  # where the first are too few
GOOD, WARN = 0.01, 0.05
BATCH = 64


def integrated_gradients(problem: Problem) -> Scores:
    """Integrate gradients from the baseline, doubling the steps while the sum is off.

    From 32 steps to 64 while it is off by more than 1 %, from there to 256 while it is off by more than 5 %. Of a heavy
    model 16 steps, and 32 while it is off by more than 1 %.

    The completeness error is |sum - (f(x) - f(baseline))| over the larger of |f(x) - f(baseline)| and 5 % of the
    logit's range over the background.
    """
    attributor = IntegratedGradients(_told(problem) if problem.heavy else problem.forward)
    difference = float((problem.forward(*problem.values) - problem.forward(*problem.baselines)).detach())
    yardstick = max(abs(difference), 0.05 * problem.scale, 1e-12)
    steps, most = (HEAVY_FIRST, HEAVY_MOST) if problem.heavy else (FIRST_STEPS, MOST_STEPS)
    evaluations, batch = 2, problem.batch(BATCH)
    while True:
        found = attributor.attribute(problem.values, problem.baselines, n_steps=steps, internal_batch_size=batch)
        tokens = {
            m: problem.to_tokens[m](score[0].detach()) for m, score in zip(problem.modalities, found, strict=True)
        }
        evaluations += steps
        delta = abs(sum(float(score.sum()) for score in found) - difference)
        if delta / yardstick <= (GOOD if steps < USUAL_STEPS else WARN) or steps >= most:
            return Scores(tokens, delta, delta / yardstick, evaluations)
        steps *= 2


def _told(problem: Problem) -> Callable[..., Tensor]:
    """Return the forward that tells how far it is, so that somebody may end it."""
    done = 0

    def forward(*values: Tensor) -> Tensor:
        nonlocal done
        problem.report(min(done, HEAVY_ALL), HEAVY_ALL, None)
        done += len(values[0])
        return problem.forward(*values)

    return forward


method("integrated_gradients")(
    Method(
        integrated_gradients,
        lambda problem: (HEAVY_ALL if problem.heavy else USUAL_STEPS) + 2,
        "gradients added up on the way from the baseline: signed, and adds up to the difference explained",
    )
)
