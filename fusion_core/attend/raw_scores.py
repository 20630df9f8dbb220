"""Raw attention per token: how much of one layer's attention each token gets."""

from __future__ import annotations

import torch

from fusion_core.attend.joint import Joint, Step, mean_of_heads
from fusion_core.types import AttentionScores


def raw_scores(joint: Joint, step: Step | None = None) -> AttentionScores | None:
    """Return the mean attention each token gets, over heads and over the queries that exist and could read it.

    One site and layer (one of `joint.steps`), by default the last in which modalities are read from elsewhere; None
    where there is no such layer. The same for every class, so target is None.
    """
    if step is None:
        step = next((found for found in reversed(joint.steps) if joint.crossing(found)), None)
    if step is None:
        return None
    received = joint.matrix(step, mean_of_heads).sum(dim=0)
    could = joint.matrix(step, lambda _, captured: torch.ones(captured.weights.shape[-2:]).double()) > 0
    return joint.scores("raw", None, received / could.sum(dim=0).clamp(min=1))
