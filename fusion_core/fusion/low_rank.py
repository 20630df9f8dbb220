"""Low-rank fusion: the outer product of all modalities' vectors, its weights in a few factors (LMF, Liu 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fusion_core.fusion.head import Head, HeadOutput, HeadSettings, TokenSpec, masked_mean, strategy
from fusion_core.types import Tokens

RANK = 8


@strategy("low_rank")
class LowRank(Head):
    """`h = sum_r w_r prod_m ([1; z_m] W_m^r)`; the answer is `U h + b`. An absent modality is `[1; 0]`.

    z_m is the pooled vector through a small perceptron of its own, as in the paper. h is multilinear in the modalities'
    factors (see `factors`), and so are the logits: their mean over independent donors of a modality is what the mean
    factor gives. The factors' first rows, which weigh the 1, begin at 1, so that the product begins as 1 + first-order
    terms + small higher ones and neither vanishes nor explodes.
    """

    def __init__(self, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings) -> None:
        super().__init__(specs, classes, settings)
        width = hidden = settings.width
        self.embed = nn.ModuleDict(
            {
                m: nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(settings.dropout))
                for m in self.modalities
            }
        )
        self.weights = nn.ParameterDict({m: nn.Parameter(_first_order(width, hidden)) for m in self.modalities})
        self.mix = nn.Parameter(torch.full((RANK,), RANK**-0.5))
        self.classifier = nn.Linear(hidden, classes)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Multiply the factors and add up the ranks; fused is `h [B, H]`."""
        fused = self.multiply(self.factors(projected))
        return HeadOutput(self.classifier(fused), self.speak_alone(projected), fused)

    def additive(self, projected: Mapping[str, Tokens]) -> Tensor | None:
        """Return `sum_m f(x_m, mean factors) - (M - 1) f(mean factors)`: exact, for the logits are multilinear."""
        factors = self.factors(projected)
        mean = {m: f.mean(dim=0, keepdim=True) for m, f in factors.items()}
        parts = [self.classifier(self.multiply({**_expanded(mean, f), m: f})) for m, f in factors.items()]
        return torch.stack(parts).sum(dim=0) - (len(factors) - 1) * self.classifier(self.multiply(mean))

    def factors(self, projected: Mapping[str, Tokens]) -> dict[str, Tensor]:
        """Return each modality's factor `[1; z_m] W_m^r`, `[B, R, H]`; of projected tokens, as `project` gives them."""
        found = {}
        for m in self.modalities:
            present = projected[m].mask.any(dim=1, keepdim=True)
            z = torch.where(present, self.embed[m](masked_mean(projected[m])), 0.0)
            one_z = torch.cat([torch.ones_like(z[:, :1]), z], dim=1)
            found[m] = torch.einsum("bd,rdh->brh", one_z, self.weights[m])
        return found

    def multiply(self, factors: Mapping[str, Tensor]) -> Tensor:
        """Return `h [B, H]` of one factor `[B, R, H]` per modality, multilinear in them; logits are `classifier(h)`."""
        product = torch.stack([factors[m] for m in self.modalities]).prod(dim=0)
        return torch.einsum("r,brh->bh", self.mix, product)


def _expanded(mean: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
    return {m: f.expand_as(like) for m, f in mean.items()}


def _first_order(width: int, hidden: int) -> Tensor:
    """Return first factors `[R, 1 + D, H]`: ones for the constant, small random rows for the vector."""
    return torch.cat([torch.ones(RANK, 1, hidden), torch.randn(RANK, width, hidden) * width**-0.5], dim=1)
