"""Late fusion: every modality decides by itself; the decisions are averaged with learned weights."""

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


@strategy("late")
class Late(Head):
    """`s * sum_m w_m l_m`, w = softmax of learned weights over the modalities present, s a learned scale.

    Additive over the modalities present: EMAP(f) = f.
    """

    def __init__(self, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings) -> None:
        super().__init__(specs, classes, settings)
        width = settings.width
        self.auxiliary = nn.ModuleDict(
            {m: classifier(width, 2 * width, classes, settings.dropout) for m in self.modalities}
        )
        self.weights = nn.Parameter(torch.zeros(len(self.modalities)))
        self.scale = nn.Parameter(torch.tensor(float(len(self.modalities))))

    def additive(self, projected: Mapping[str, Tokens]) -> Tensor | None:
        """Return the logits themselves where every record has every modality: they are additive already."""
        whole = all(bool(tokens.mask.any(dim=1).all()) for tokens in projected.values())
        return self.combine(projected).logits if whole else None

    def last_reads(self, projected: Mapping[str, Tokens]) -> Tensor:
        """Return each modality's last hidden layer and a 1, times the share its decision has, `[B, M (H + 1)]`."""
        shares = self.scale * self.shares(projected)
        return torch.cat([shares[:, k, None] * own for k, own in enumerate(last_hidden(self, projected))], dim=1)

    def shares(self, projected: Mapping[str, Tokens]) -> Tensor:
        """Return the learned weights among the modalities present, `[B, M]`; zeros where nothing is."""
        present = torch.stack([projected[m].mask.any(dim=1) for m in self.modalities], dim=1)
        weights = torch.where(present, self.weights.exp(), 0.0)
        return weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-12)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Average the modalities' own logits over those present; nothing present gives zeros.

        There is no joint vector, for the modalities never meet: fused is their weighted logits side by side,
        `[B, M C]` in the head's order, zeros for an absent one. Added up over the modalities they are the logits.
        """
        alone = {m: self.auxiliary[m](masked_mean(projected[m])) for m in self.modalities}
        stacked = torch.stack([alone[m] for m in self.modalities], dim=1)
        weighted = self.shares(projected)[..., None] * stacked
        return HeadOutput(self.scale * weighted.sum(dim=1), alone, (self.scale * weighted).flatten(1))
