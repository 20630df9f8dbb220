"""FiLM: the text scales and shifts what image and audio are made of, feature by feature (Perez 2018)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion_core.fusion.head import Head, HeadOutput, HeadSettings, SharedDropout, TokenSpec, masked_mean, strategy
from fusion_core.types import Tokens

REACH = 3
LEAST = -1e30


class Neighbours(nn.Module):
    """A depth-wise convolution over cells of a grid or along a line; tokens that are not valid count as zeros."""

    def __init__(self, spec: TokenSpec, width: int) -> None:
        super().__init__()
        self.grid = spec.grid
        kind = nn.Conv2d if spec.grid else nn.Conv1d
        self.convolution = kind(width, width, REACH, padding=REACH // 2, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """Mix `x [B, T, D]` with what lies around each token."""
        line = x.transpose(1, 2)
        if self.grid is None:
            return self.convolution(line).transpose(1, 2)
        return self.convolution(line.unflatten(2, self.grid)).flatten(2).transpose(1, 2)


def modulated(x: Tensor, valid: Tensor, film: Tensor) -> Tensor:
    """Return `gelu(gamma * x + beta)` where `valid bool [B, T, 1]`, zeros elsewhere; film is `[B, 2, D]`."""
    gamma, beta = film[:, 0, None], film[:, 1, None]
    return torch.where(valid, functional.gelu(gamma * x + beta), 0.0)


class FilmBlock(nn.Module):
    """A residual block: every token normed, mapped, scaled and shifted, then mixed with its surroundings."""

    def __init__(self, spec: TokenSpec, settings: HeadSettings) -> None:
        super().__init__()
        width = settings.width
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(width, width)
        self.near = Neighbours(spec, width)
        self.dropout = SharedDropout(settings.dropout)
        self.second = nn.Linear(width, width)

    def forward(self, x: Tensor, valid: Tensor, film: Tensor) -> Tensor:
        """Update `x [B, T, D]` where `valid bool [B, T, 1]`, under `film [B, 2, D]` (gamma, beta)."""
        asked = modulated(self.first(self.norm(x)), valid, film)
        seen = asked + functional.gelu(self.near(asked))
        return torch.where(valid, x + self.second(self.dropout(seen)), 0.0)


class Conditioned(nn.Module):
    """One modality under the condition: blocks, a last modulated map, and each feature's largest value over tokens.

    The largest, not the mean: a question is answered by the few cells it is about.
    """

    def __init__(self, spec: TokenSpec, settings: HeadSettings) -> None:
        super().__init__()
        width, self.depth = settings.width, settings.layers
        self.blocks = nn.ModuleList(FilmBlock(spec, settings) for _ in range(self.depth))
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        self.modulator = nn.Linear(width, (self.depth + 1) * 2 * width)

    def films(self, asked: Tensor, present: Tensor) -> Tensor:
        """Return gamma and beta of every map, `[B, depth + 1, 2, D]`: 1 and 0 where the condition is absent."""
        change = self.modulator(asked).unflatten(1, (self.depth + 1, 2, -1))
        neutral = torch.tensor([1.0, 0.0])[:, None]
        return neutral + torch.where(present[:, None, None], change, 0.0)

    def forward(self, tokens: Tokens, films: Tensor) -> Tensor:
        """Return the modality's vector `[B, D]`; zeros where it is absent."""
        x, valid = tokens.values, tokens.mask[..., None]
        for number, block in enumerate(self.blocks):
            x = block(x, valid, films[:, number])
        x = modulated(self.last(x), valid, films[:, -1])
        most = x.masked_fill(~valid, LEAST).amax(dim=1)
        return torch.where(tokens.mask.any(dim=1, keepdim=True), most, 0.0)


@strategy("film")
class Film(Head):
    """`gamma * z + beta` per feature in a small network over each other modality's tokens; no attention.

    The condition is the text, or the first modality where a model reads no text. Without it gamma is 1 and beta 0.
    """

    def __init__(self, specs: Mapping[str, TokenSpec], classes: int, settings: HeadSettings) -> None:
        super().__init__(specs, classes, settings)
        width = settings.width
        self.condition = "text" if "text" in self.modalities else self.modalities[0]
        self.targets = tuple(m for m in self.modalities if m != self.condition)
        self.question = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU())
        self.conditioned = nn.ModuleDict({m: Conditioned(specs[m], settings) for m in self.targets})
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(len(self.modalities) * width, classes)

    def combine(self, projected: Mapping[str, Tokens]) -> HeadOutput:
        """Modulate, pool, classify; fused is the modalities' vectors side by side, `[B, M D]`."""
        condition = projected[self.condition]
        pooled = {self.condition: masked_mean(condition)}
        asked, present = self.question(pooled[self.condition]), condition.mask.any(dim=1, keepdim=True)
        for m in self.targets:
            network = self.conditioned[m]
            assert isinstance(network, Conditioned)
            pooled[m] = network(projected[m], network.films(asked, present))
        fused = self.dropout(torch.cat([pooled[m] for m in self.modalities], dim=1))
        return HeadOutput(self.classifier(fused), self.speak_alone(projected), fused)
