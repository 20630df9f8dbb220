"""Every map of a trace beside the maps of heads with random weights: what does not change shows no learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from fusion_core.attend import attention_scores
from fusion_core.attend.raw import attention_maps
from fusion_core.attention import capture
from fusion_core.attribute import method
from fusion_core.model import FusedModel
from fusion_core.question import Question, attribute, problems
from fusion_core.types import AttentionMap, AttentionScores, Attribution, Check, Inputs, Tokens
from fusion_core.verify.randomisation import HEADS, randomisation

#: A method that plans more passes is not run again for three more heads.
MOST_PASSES = 1_000


def view_check(model: FusedModel, tokens: Mapping[str, Tokens], strategy: str, view: AttentionScores) -> Check:
    """Test one view of attention; one without a target class is the same for all of them."""
    number = model.classes.index(view.target) if view.target else 0

    def again(given: FusedModel) -> Mapping[str, np.ndarray]:
        views = attention_scores(given, tokens, strategy, number)
        return next(found.scores for found in views if found.method == view.method)

    return randomisation(again, model, strategy, name=view.method)


def raw_check(
    model: FusedModel,
    inputs: Inputs,
    tokens: Mapping[str, Tokens],
    strategy: str,
    read: Callable[[Sequence[AttentionMap]], Mapping[str, np.ndarray]],
) -> Check:
    """Test a map that `read` makes of captured attention weights, such as one head's."""

    def again(given: FusedModel) -> Mapping[str, np.ndarray]:
        with torch.no_grad(), capture() as tape:
            given.fuse(tokens, strategy)
        return read(attention_maps(tape, inputs.axes(0), model.head(strategy).readout))

    return randomisation(again, model, strategy, name="raw")


def attribution_check(
    model: FusedModel,
    inputs: Inputs,
    tokens: Mapping[str, Tokens],
    strategy: str,
    found: Attribution,
    seed: int = 0,
) -> Check:
    """Test one attribution at the fusion seam, by the method that made it; a dear one is left untested and says so."""
    question = Question(found.method, found.seam, found.target, seed=seed, against=found.against)
    posed = problems(model, inputs, tokens, strategy, found.target, question)
    passes = sum(method[name].passes(problem) for name, problem in posed)
    if passes > MOST_PASSES:
        sentence = (
            f"not compared with {HEADS} heads of random weights: one map takes {passes:,} passes, and above "
            f"{MOST_PASSES:,} that is left out"
        )
        return Check(f"randomisation_{found.method}", float("nan"), None, sentence)

    def again(given: FusedModel) -> Mapping[str, np.ndarray]:
        return attribute(given, inputs, tokens, strategy, found.target, question)[0].scores

    return randomisation(again, model, strategy, name=found.method)
