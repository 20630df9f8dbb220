"""Heads small enough to work out on paper: what they attend to is written down, what they answer is a sum."""

from __future__ import annotations

import torch
from torch import nn

from fusion_core.attention import Attention, Captured, Probe, Tape
from fusion_core.fusion import Head, HeadOutput, HeadSettings
from fusion_core.fusion.head import classifier, masked_mean
from fusion_core.model import Background, FusedModel
from fusion_core.types import MODALITIES, Tokens
from tests.conftest import CLASSES, LENGTHS, SPECS, SpecsOnly, random_tokens

SETTINGS = HeadSettings(width=24, heads=2)


def model_of(head):
    """Return a model with this head as its only strategy, `mine`."""
    background = Background(random_tokens(8, seed=9))
    return FusedModel("handmade", CLASSES, SpecsOnly(SPECS), {"mine": head.eval()}, {}, background, "mine")


def tape_of(*steps):
    """Return a tape of `(site, layer, query, key, weights [T_q, T_k], allowed [T_k] or None)`."""
    captured = []
    for site, layer, query, key, weights, allowed in steps:
        there = None if allowed is None else torch.tensor(allowed)[None, None, None]
        captured.append(Captured(site, layer, "attention", torch.tensor(weights)[None, None], query, key, there))
    return Tape(captured=captured)


def answer(logits):
    """Return an output that is only logits."""
    return HeadOutput(logits, {}, logits)


class Pick(Head):
    """`cls` looks at text token 1 with head 0, which says "no", and at image token 4 with head 1, which says "yes"."""

    def __init__(self, flat=False):
        super().__init__(SPECS, len(CLASSES), SETTINGS)
        self.readout = ("cls",)
        self.flat, self.probe = flat, Probe("stream", 0)

    def combine(self, projected):
        segments = (("cls", 1), *((m, projected[m].mask.shape[1]) for m in self.modalities))
        masks = [projected[m].mask for m in self.modalities]
        mask = torch.cat([masks[0].new_ones(len(masks[0]), 1), *masks], dim=1)
        weights = torch.zeros(len(mask), 2, 1, mask.shape[1])
        weights[:, 0, :, 1 + 1], weights[:, 1, :, 1 + LENGTHS["text"] + 4] = 1.0, 1.0
        if self.flat:
            weights = (mask / mask.sum(1, keepdim=True))[:, None, None].expand(-1, 2, -1, -1).clone()
        allowed = mask[:, None, None]
        weights = self.probe(torch.where(allowed, weights, 0.0), allowed, segments[:1], segments)
        no, yes = weights.sum(-1)[..., 0].unbind(1)
        return answer(torch.stack([3.0 * no, torch.zeros_like(no), 2.0 * yes], dim=1))


class Relay(Head):
    """Words read audio frame 2, then each other evenly; the answer is read from the words alone, for "yes"."""

    def __init__(self):
        super().__init__(SPECS, len(CLASSES), SETTINGS)
        self.readout = ("text",)
        self.cross, self.own = Probe("cross", 0), Probe("self", 1)

    def combine(self, projected):
        words, frames = projected["text"].mask, projected["audio"].mask
        text, audio = (("text", words.shape[1]),), (("audio", frames.shape[1]),)
        picked = torch.zeros(len(words), 1, words.shape[1], frames.shape[1])
        picked[..., 2] = 1.0
        heard = self.cross(picked, frames[:, None, None], text, audio) @ torch.ones(frames.shape[1], 1)
        flat = torch.full((len(words), 1, words.shape[1], words.shape[1]), 1 / words.shape[1])
        pooled = (heard + self.own(flat, words[:, None, None], text, text) @ heard).mean((1, 2, 3))
        return answer(torch.stack([0 * pooled, 0 * pooled, pooled], dim=1))


class Twins(Head):
    """Bottlenecks become the mean of what the present streams tell them; a stream tells the sum of its attention."""

    def __init__(self):
        super().__init__(SPECS, len(CLASSES), SETTINGS)
        self.readout = ("bottleneck",)
        self.probe = Probe("bottleneck", 0)

    def project(self, tokens):
        return dict(tokens)  # only masks are read, so axes may have any length

    def combine(self, projected):
        told, present = [], []
        for m in self.modalities:
            mask = torch.cat([projected[m].mask, torch.ones(len(projected[m].mask), 1) > 0], dim=1)
            segments = ((m, mask.shape[1] - 1), ("bottleneck", 1))
            flat = (mask / mask.sum(1, keepdim=True))[:, None, None].expand(-1, 1, mask.shape[1], -1)
            weights = self.probe(flat.clone(), mask[:, None, None], segments, segments)
            told.append(weights[:, 0, -1, :-1].sum(-1))
            present.append(projected[m].mask.any(1))
        kept = torch.stack(present, 1)
        mean = torch.where(kept, torch.stack(told, 1), 0.0).sum(1) / kept.sum(1).clamp(min=1)
        return answer(torch.stack([mean, 0 * mean, 0 * mean], dim=1))


class Streams(Head):
    """The bottleneck contract with real attention: each modality by itself, then streams that share two tokens.

    `last_reads` is the variant whose last layer updates modalities only.
    """

    def __init__(self, last_reads=False):
        super().__init__(SPECS, len(CLASSES), SETTINGS)
        width, heads = SETTINGS.width, SETTINGS.heads
        self.last_reads = last_reads
        self.shared = nn.Parameter(torch.randn(2, width))
        places = [("self", 0), ("bottleneck", 1), ("bottleneck", 2)]
        self.layers = nn.ModuleList(
            nn.ModuleDict({m: Attention(width, heads, Probe(*place)) for m in MODALITIES}) for place in places
        )
        self.classifier = classifier(3 * width, width, len(CLASSES), 0.0)

    def combine(self, projected):
        values, masks = ({m: getattr(t, part) for m, t in projected.items()} for part in ("values", "mask"))
        for m in self.modalities:
            segments = ((m, values[m].shape[1]),)
            values[m] = values[m] + self.layers[0][m](values[m], values[m], masks[m], segments, segments)
        shared = self.shared.expand(len(masks["text"]), -1, -1)
        for number in (1, 2):
            shared = self._exchange(number, values, masks, shared)
        pooled = torch.cat([masked_mean(Tokens(values[m], masks[m])) for m in self.modalities], dim=1)
        return answer(self.classifier(pooled))

    def _exchange(self, number, values, masks, shared):
        total, count = torch.zeros_like(shared), torch.zeros(len(shared), 1, 1)
        for m in self.modalities:
            length = values[m].shape[1]
            stream = torch.cat([values[m], shared], dim=1)
            mask = torch.cat([masks[m], masks[m].new_ones(len(shared), 2)], dim=1)
            keys = ((m, length), ("bottleneck", 2))
            queries = keys[:1] if self.last_reads and number == 2 else keys
            asked = stream[:, : sum(n for _, n in queries)]
            asked = asked + self.layers[number][m](asked, stream, mask, queries, keys)
            values[m] = asked[:, :length]
            if len(queries) == 2:
                present = masks[m].any(1)[:, None, None]
                total, count = total + torch.where(present, asked[:, length:], 0.0), count + present
        return torch.where(count > 0, total / count.clamp(min=1), shared)
