"""Gated fusion: a gate per modality and feature decides how much of it enters the joint vector (GMU, Arevalo 2017)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from fusion_core.attention import Probe
from fusion_core.fusion.head import Head, HeadOutput, HeadSettings, TokenSpec, masked_mean, strategy
from fusion_core.types import Tokens


@strategy("gated")
class Gated(Head):
    """`h = sum_m g_m * h_m` with `h_m = tanh(W_m z_m)` and `g_m = sigmoid(W_gm [z_1 .. z_M])`; the answer is `W h + b`.

    z_m is zero and g_m is 0 where a modality is absent. On a tape the gates are one capture of kind "gate", site
    "gate", layer 0, `[B, 1, F, M]`: its query segment is "fused", its keys are the modalities, one column each, and
    `gated` holds the h_m they weigh. A gate is not a contribution: an open gate may pass a vector of zeros. What a
    modality puts into the joint vector is `norm(g_m * h_m)`, see `Captured.passed`.
    """

    def __init__(self, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings) -> None:
        super().__init__(specs, classes, settings)
        width, count = settings.width, len(self.modalities)
        self.values = nn.ModuleDict({m: nn.Linear(width, width) for m in self.modalities})
        self.gates = nn.ModuleDict({m: nn.Linear(count * width, width) for m in self.modalities})
        self.dropout = nn.Dropout(settings.dropout)
        self.probe = Probe("gate", 0, "gate")
        self.classifier = nn.Linear(width, classes)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Gate the pooled vectors and add them up; fused is the sum `h [B, D]`."""
        pooled = {m: self.dropout(masked_mean(projected[m])) for m in self.modalities}
        together = torch.cat([pooled[m] for m in self.modalities], dim=1)
        present = torch.stack([projected[m].mask.any(dim=1) for m in self.modalities], dim=1)
        values = torch.stack([self.values[m](pooled[m]).tanh() for m in self.modalities], dim=2)
        gates = torch.stack([self.gates[m](together).sigmoid() for m in self.modalities], dim=2)
        gates = torch.where(present[:, None], gates, 0.0)
        keys = tuple((m, 1) for m in self.modalities)
        query = (("fused", values.shape[1]),)
        gates = self.probe(gates[:, None], present[:, None, None], query, keys, values[:, None])[:, 0]
        fused = (gates * values).sum(dim=2)
        return HeadOutput(self.classifier(fused), self.speak_alone(projected), fused)
