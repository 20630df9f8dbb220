"""A worked example for `--model-object tests.fusion_core.own_example:make`: a plain module of two encoders."""

from __future__ import annotations

import re

import torch
from torch import nn


class TwoEncoders(nn.Module):
    """The model a team has: words and patches to one width, pooled, side by side through a perceptron."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(997, 16, mode="mean")
        self.text = nn.GRU(16, 16, batch_first=True)
        self.image = nn.Conv2d(3, 16, kernel_size=8, stride=8)
        self.out = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 3))


class Wrapped:
    """The seven names around it."""

    name, classes = "two encoders", ("red", "blue", "no idea")
    modalities, strategies = ("text", "image"), ("concat_pooled",)

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = TwoEncoders().eval()

    def prepare(self, modality, raw):
        if modality == "text":
            found = list(re.finditer(r"\S+", raw)) or [re.match(r"\s*", raw)]
            ids = [[sum(map(ord, word.group().lower())) % 997] for word in found]
            return self.model.words(torch.tensor(ids)), [word.span() for word in found]
        pixels = torch.from_numpy(raw.copy()).permute(2, 0, 1)[None].float() / 255
        return nn.functional.interpolate(pixels, (32, 32), mode="bilinear", antialias=True)[0], (4, 4)

    def encode(self, modality, values):
        return self.model.text(values)[0] if modality == "text" else self.model.image(values).flatten(2).transpose(1, 2)

    def fuse(self, tokens, strategy):
        rows = next(iter(tokens.values()))
        pooled = [tokens[m].mean(dim=1) if m in tokens else rows.new_zeros(len(rows), 16) for m in self.modalities]
        return self.model.out(torch.cat(pooled, dim=1))


make = Wrapped
