"""Occlusion (Zeiler & Fergus 2014): replace one token's input by its baseline and see what the answer loses."""

from __future__ import annotations

import torch
from captum.attr import FeatureAblation

from fusion_core.attribute.problem import Problem, Scores, method

BATCH = 16


@method("occlusion")
def occlusion(problem: Problem) -> Scores:
    """Score every token by the drop of the class's centred logit when it alone is replaced by the baseline.

    Captum groups mask ids across tensors, so each modality's ids are offset past the one before.
    """
    masks, offset, counts = [], 0, {}
    for m, value in zip(problem.modalities, problem.values, strict=True):
        cells = problem.cells[m]
        counts[m] = int(cells.max()) + 1
        # Elements that belong to no token (special pieces) share one extra group that is never read.
        masks.append((torch.where(cells >= 0, cells, counts[m]) + offset).expand_as(value))
        offset += counts[m] + 1
    with torch.no_grad():
        found = FeatureAblation(problem.forward).attribute(
            problem.values, problem.baselines, feature_mask=tuple(masks), perturbations_per_eval=problem.batch(BATCH)
        )
    tokens = {}
    for m, score in zip(problem.modalities, found, strict=True):
        cells = problem.cells[m].expand_as(score[0]).flatten()
        tokens[m] = torch.stack([score[0].flatten()[cells == k][0] for k in range(counts[m])])
    return Scores(tokens, None, None, 1 + offset)
