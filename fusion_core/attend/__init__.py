"""Attention, as views on what the probes captured. Attention is where a model looks, not why it answers."""

from __future__ import annotations

from collections.abc import Mapping

from fusion_core.attend.gradients import attention_gradients
from fusion_core.attend.joint import joint
from fusion_core.attend.raw_scores import raw_scores
from fusion_core.attend.relevancy import relevancy
from fusion_core.attend.rollout import rollout
from fusion_core.model import FusedModel
from fusion_core.types import AttentionScores, Tokens


def attention_scores(
    model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, target: int
) -> tuple[AttentionScores, ...]:
    """Return raw attention (of the last layer that crosses modalities, if any does), rollout and relevancy.

    One record (`tokens[m] [1, T_m, D_m]`), one captured forward pass and one backward; `()` without attention. Only
    relevancy depends on the target class.
    """
    tape, gradients = attention_gradients(model, tokens, strategy, target)
    axis = joint(tape)
    if axis is None:
        return ()
    readout = model.head(strategy).readout
    found = (
        raw_scores(axis),
        rollout(axis, readout),
        relevancy(axis, gradients, readout, model.classes[target]),
    )
    return tuple(scores for scores in found if scores is not None)
