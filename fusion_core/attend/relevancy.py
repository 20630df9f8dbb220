"""Relevancy: attention weighted by what the explained class gains from it, through all layers (Chefer 2021)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from fusion_core.attend.joint import Joint
from fusion_core.attention import Captured
from fusion_core.types import AttentionScores


def relevancy(joint: Joint, gradients: Sequence[Tensor], readout: Sequence[str], target: str) -> AttentionScores:
    """Return how relevant each token is to one class: `R <- R + A_bar R` from `R = I` on the joint block matrix.

    `A_bar = mean_h (grad A * A)^+`, the paper's rule for self-attention, applied to every block alike (our adaptation
    for three modalities); `gradients` are those of the class's centred logit.
    Read are the rows of what feeds the classifier: `cls`, or every valid token of the segments that are pooled. Pooled
    rows are added up, not averaged: the gradients have the mean of the pooling in them, dividing again would weigh a
    short modality's rows more. What a row that is read is to itself (`I`) is left out: it says nothing of attention.
    """
    start = (joint.readout(readout) > 0).double()
    return joint.scores("relevancy", target, propagated(joint, gradients, start) - start)


def propagated(joint: Joint, gradients: Sequence[Tensor], rows: Tensor) -> Tensor:
    """Return `rows R`, `[..., N]`: only what is read is multiplied, which gives the same as all of `R`."""

    def gained(number: int, captured: Captured) -> Tensor:
        return (gradients[number][0] * captured.weights[0]).clamp(min=0.0).mean(dim=0).double()

    for step in reversed(joint.steps):
        rows = rows + rows @ joint.matrix(step, gained, merge=False)
    return rows
