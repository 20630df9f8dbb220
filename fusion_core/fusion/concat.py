"""Pooled concatenation: one vector per modality, side by side, into a perceptron."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from fusion_core.fusion.head import Head, HeadOutput, HeadSettings, TokenSpec, classifier, masked_mean, strategy
from fusion_core.types import Tokens


@strategy("concat")
class Concat(Head):
    """`MLP([z_text; z_image; z_audio])`; an absent modality's vector is learned. Strong, cheap, no maps."""

    def __init__(self, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings) -> None:
        super().__init__(specs, classes, settings)
        width, count = settings.width, len(self.modalities)
        self.missing = nn.ParameterDict({m: nn.Parameter(torch.zeros(width)) for m in self.modalities})
        self.classifier = classifier(count * width, 3 * width, classes, settings.dropout)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Concatenate pooled vectors in the head's own order; fused is the perceptron's hidden layer `[B, 3 D]`."""
        pooled = []
        for m in self.modalities:
            present = projected[m].mask.any(dim=1, keepdim=True)
            pooled.append(torch.where(present, masked_mean(projected[m]), self.missing[m]))
        logits, hidden = self.classifier.split(torch.cat(pooled, dim=1))
        return HeadOutput(logits, self.speak_alone(projected), hidden)
