"""Cross-attention fusion: every modality asks every other (after MulT, Tsai 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fusion_core.attention import Attention, Probe
from fusion_core.fusion.head import (
    FeedForward,
    Head,
    HeadOutput,
    HeadSettings,
    SelfBlock,
    TokenSpec,
    classifier,
    masked_mean,
    strategy,
)
from fusion_core.types import Tokens


class PairLayer(nn.Module):
    """Each target's tokens attend to each other modality, all from the same state.

    A target's attention width is shared between its sources, so that summing their outputs is MulT's concatenation
    followed by one linear map. An absent source adds exactly nothing.
    """

    def __init__(self, modalities: tuple[str, ...], layer: int, settings: HeadSettings) -> None:
        super().__init__()
        self.modalities = modalities
        width = settings.width
        inner = width // max(1, len(modalities) - 1)
        self.norms = nn.ModuleDict({m: nn.LayerNorm(width) for m in modalities})
        self.pairs = nn.ModuleDict(
            {
                f"{target}_{source}": Attention(width, settings.heads, Probe("cross", layer), inner)
                for target in modalities
                for source in modalities
                if source != target
            }
        )
        self.feed_forward = nn.ModuleDict({m: FeedForward(settings, ratio=1) for m in modalities})

    def forward(self, values: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Update every modality's tokens `[B, T_m, D]`."""
        normed = {m: self.norms[m](values[m]) for m in self.modalities}
        updated = {}
        for target in self.modalities:
            total = values[target]
            for source in self.modalities:
                if source != target:
                    queries = ((target, normed[target].shape[1]),)
                    keys = ((source, normed[source].shape[1]),)
                    attend = self.pairs[f"{target}_{source}"]
                    total = total + attend(normed[target], normed[source], masks[source], queries, keys)
            updated[target] = self.feed_forward[target](total)
        return updated


@strategy("cross_attention")
class CrossAttention(Head):
    """Pairwise cross-attention layers, self-attention per target, pooled targets side by side into a perceptron.

    With two modalities there are two pairwise layers (cells read words, then words read the conditioned cells); with
    three there is one, to stay under a million weights.
    """

    def __init__(self, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings) -> None:
        super().__init__(specs, classes, settings)
        count = len(self.modalities)
        layers = settings.layers if count == 2 else 1
        self.layers = nn.ModuleList(PairLayer(self.modalities, layer, settings) for layer in range(layers))
        self.self_attention = nn.ModuleDict({m: SelfBlock("self", layers, settings, ratio=1) for m in self.modalities})
        self.classifier = classifier(count * settings.width, settings.width, classes, settings.dropout)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Cross-attend, self-attend, pool, classify; an absent target pools to zeros.

        fused is the perceptron's hidden layer `[B, D]`: the pooled targets before it still stand side by side.
        """
        values = {m: projected[m].values for m in self.modalities}
        masks = {m: projected[m].mask for m in self.modalities}
        for layer in self.layers:
            values = layer(values, masks)
        pooled = []
        for m in self.modalities:
            segments = ((m, values[m].shape[1]),)
            pooled.append(masked_mean(Tokens(self.self_attention[m](values[m], masks[m], segments), masks[m])))
        logits, hidden = self.classifier.split(torch.cat(pooled, dim=1))
        return HeadOutput(logits, self.speak_alone(projected), hidden)
