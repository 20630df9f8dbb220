"""Product of experts: every modality gives a distribution; their evidence is multiplied (Hinton 2002)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fusion_core.fusion.head import (
    Head,
    HeadOutput,
    HeadSettings,
    TokenSpec,
    classifier,
    last_hidden,
    masked_mean,
    strategy,
)
from fusion_core.types import Tokens


@strategy("product_of_experts")
class ProductOfExperts(Head):
    """`sum_{m present} log p(y|x_m) - (|S| - 1) log p(y)`: Bayes' rule for modalities independent given the class.

    The experts are the modalities' own classifiers; their auxiliary losses are their own. The prior is learned, as the
    log-softmax of `prior [C]` in the state dict: uniform to begin with, and trained through records of two or more
    modalities (a head of one modality never uses it). It is not counted, because a head sees no labels but the loss.
    Where modalities repeat each other the product counts their evidence twice: expect over-confidence.
    """

    def __init__(self, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings) -> None:
        super().__init__(specs, classes, settings)
        width = settings.width
        self.auxiliary = nn.ModuleDict(
            {m: classifier(width, 3 * width, classes, settings.dropout) for m in self.modalities}
        )
        self.prior = nn.Parameter(torch.zeros(classes))

    def last_reads(self, projected: Mapping[str, Tokens]) -> Tensor:
        """Return each present expert's last hidden layer and a 1, `[B, M (H + 1)]`.

        The softmax in between changes nothing: the loss's gradient in an expert's logits is its gradient in the joint
        ones, because those gradients add up to zero.
        """
        own = zip(self.modalities, last_hidden(self, projected), strict=True)
        return torch.cat([torch.where(projected[m].mask.any(dim=1, keepdim=True), x, 0.0) for m, x in own], dim=1)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Add each present modality's evidence to the prior; nothing present gives the prior.

        The logits are log p(y) + sum of evidence, where a modality's evidence is log p(y|x_m) - log p(y): the formula
        above, written so that an absent modality adds exactly nothing. fused is the evidence side by side, `[B, M C]`
        in the head's order, zeros for an absent one.
        """
        alone = {m: self.auxiliary[m](masked_mean(projected[m])) for m in self.modalities}
        prior = self.prior.log_softmax(dim=0)
        evidence = [
            torch.where(projected[m].mask.any(dim=1, keepdim=True), alone[m].log_softmax(dim=1) - prior, 0.0)
            for m in self.modalities
        ]
        logits = prior + torch.stack(evidence, dim=1).sum(dim=1)
        return HeadOutput(logits, alone, torch.cat(evidence, dim=1))
