"""Attention rollout: how attention alone carries tokens through the layers (Abnar & Zuidema 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fusion_core.attend.joint import Joint, mean_of_heads
from fusion_core.types import AttentionScores


def rollout(joint: Joint, readout: Sequence[str]) -> AttentionScores:
    """Read the rollout of what the answer is read from: the same for every class, so target is None.

    Segments that are read together (the pooled targets of `cross_attention`, the streams of `bottleneck`) weigh the
    same, each as the mean of its valid tokens: that is how the classifier gets them.
    """
    return joint.scores("rollout", None, carried(joint, joint.readout(readout)))


def carried(joint: Joint, weights: Tensor) -> Tensor:
    """Carry readout weights `[..., N]` back to the tokens: times `rownorm(mean_h A + I)` of every step.

    The sum of the weights is kept. Only the rows that are read are multiplied, which gives the same as the whole
    product. A token that takes in from S sources keeps 1 / (1 + S) of itself.
    """
    for step in reversed(joint.steps):
        mixed = joint.matrix(step, mean_of_heads)
        kept = weights / (1.0 + mixed.sum(dim=1))
        weights = kept + kept @ mixed
    return weights
