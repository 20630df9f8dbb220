"""Bottleneck fusion: modalities meet only in a few shared tokens (MBT, Nagrani 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fusion_core.fusion.head import Head, HeadOutput, HeadSettings, SelfBlock, TokenSpec, strategy
from fusion_core.types import Tokens

TOKENS = 4
SHARED = "bottleneck"


@strategy("bottleneck")
class Bottleneck(Head):
    """A stream per modality attends to its own tokens and to shared bottlenecks; their updates are averaged.

    A layer's weights serve all streams, and the answer is read from the bottlenecks.

    On a tape every stream is one capture per layer, site "bottleneck", layers from 0; a site and layer runs in
    parallel, all streams from the same state. A stream m reads the key segments `(m, "bottleneck")`. Its query segments
    are the same, but in the last layer `("bottleneck",)` alone (keys in the order `("bottleneck", m)`), for its own
    tokens would feed nothing. Between modalities attention takes two hops: `A[m <- B]` of a later layer times
    `A[B <- m']` of an earlier one, where the bottlenecks' new state, and so their row, is the mean over the streams
    present. A stream whose modality is absent is captured too, and feeds nothing.
    """

    def __init__(self, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings) -> None:
        super().__init__(specs, classes, settings)
        self.readout = (SHARED,)
        self.bottleneck = nn.Parameter(torch.randn(TOKENS, settings.width) * 0.3)
        self.layers = nn.ModuleList(SelfBlock(SHARED, n, settings, ratio=1) for n in range(settings.layers + 1))
        self.norm = nn.LayerNorm(settings.width)
        self.classifier = nn.Linear(settings.width, classes)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Run the streams, then read the bottlenecks; an absent stream is left out of every mean.

        fused is the mean of the normed bottlenecks, `[B, D]`.
        """
        values = {m: projected[m].values for m in self.modalities}
        masks = {m: projected[m].mask for m in self.modalities}
        shared = self.bottleneck.expand(len(next(iter(masks.values()))), -1, -1)
        *streams, last = self.layers
        for layer in streams:
            updates = {}
            for m in self.modalities:
                length = values[m].shape[1]
                stream = self._stream([values[m], shared], masks[m], ((m, length), (SHARED, TOKENS)), layer)
                values[m], updates[m] = stream[:, :length], stream[:, length:]
            shared = _mean_of_present(updates, masks, shared)
        read = {
            m: self._stream([shared, values[m]], masks[m], ((SHARED, TOKENS), (m, values[m].shape[1])), last, True)
            for m in self.modalities
        }
        fused = self.norm(_mean_of_present(read, masks, shared)).mean(dim=1)
        return HeadOutput(self.classifier(fused), self.speak_alone(projected), fused)

    def _stream(
        self,
        parts: list[Tensor],
        mask: Tensor,
        segments: tuple[tuple[str, int], ...],
        layer: nn.Module,
        only_first: bool = False,
    ) -> Tensor:
        """Update one modality's tokens and the bottlenecks, in the order of `segments`."""
        there = mask.new_ones(len(mask), TOKENS)
        masks = [there if name == SHARED else mask for name, _ in segments]
        return layer(torch.cat(parts, dim=1), torch.cat(masks, dim=1), segments, only_first)


def _mean_of_present(updates: Mapping[str, Tensor], masks: Mapping[str, Tensor], before: Tensor) -> Tensor:
    """Return the mean of the bottlenecks' updates `[B, N, D]` over the streams present; what they were without any."""
    present = {m: mask.any(dim=1)[:, None, None] for m, mask in masks.items()}
    total = torch.stack([torch.where(present[m], updates[m], 0.0) for m in updates]).sum(dim=0)
    count = torch.stack([there.float() for there in present.values()]).sum(dim=0)
    return torch.where(count > 0, total / count.clamp(min=1), before)
