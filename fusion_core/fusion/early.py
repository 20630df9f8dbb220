"""Early fusion: all tokens in a single stream through a transformer (after ViLT, Kim 2021)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from fusion_core.fusion.head import Head, HeadOutput, HeadSettings, SelfBlock, TokenSpec, strategy
from fusion_core.types import Tokens


@strategy("early")
class Early(Head):
    """`[cls; Z_text; Z_image; Z_audio]` through transformer blocks; the answer is read from `cls`."""

    def __init__(self, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings) -> None:
        super().__init__(specs, classes, settings)
        self.readout = ("cls",)
        self.cls = nn.Parameter(torch.randn(settings.width) * 0.02)
        self.blocks = nn.ModuleList(SelfBlock("stream", layer, settings) for layer in range(settings.layers + 1))
        self.norm = nn.LayerNorm(settings.width)
        self.classifier = nn.Linear(settings.width, classes)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Run the joint stream; keys of absent modalities are masked. fused is the normed `cls [B, D]`."""
        parts = [projected[m] for m in self.modalities]
        batch = parts[0].values.shape[0]
        stream = torch.cat([self.cls.expand(batch, 1, -1), *(p.values for p in parts)], dim=1)
        mask = torch.cat([parts[0].mask.new_ones(batch, 1), *(p.mask for p in parts)], dim=1)
        segments = (("cls", 1), *((m, projected[m].mask.shape[1]) for m in self.modalities))
        for block in self.blocks:
            stream = block(stream, mask, segments, only_first=block is self.blocks[-1])
        fused = self.norm(stream[:, 0])
        return HeadOutput(self.classifier(fused), self.speak_alone(projected), fused)
