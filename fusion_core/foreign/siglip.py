"""SigLIP (Zhai 2023), and SigLIP2 of fixed resolution: two bidirectional towers, a scale and a bias."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.head import framed, packed
from fusion_core.foreign.hearing import heard_attention, hearing
from fusion_core.foreign.late import late_parts
from fusion_core.foreign.pictures import PatchEncoder
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.types import Tokens


class SiglipPicture(nn.Module):
    """Patches to one vector: a learned query pools the vision tower."""

    readout = ("image_summary",)

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.vision = model.vision_model
        self.width = int(model.config.vision_config.hidden_size)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, N, D]`; patches that are masked out are no keys, there and when pooled."""
        x = tokens.values + self.vision.embeddings.position_embedding.weight
        there = tokens.mask[:, None, None]
        whole = bool(there.all())
        axis = (("image", tokens.mask.shape[1]),)
        with hearing("image tower", axis, axis, there):
            x = self.vision.encoder(inputs_embeds=x, attention_mask=None if whole else there).last_hidden_state
        x = self.vision.post_layernorm(x)
        pool = self.vision.head
        with hearing("image pooling", (("image_summary", 1),), axis, there):
            x = pooled(pool, x, None if whole else there)
        return (x + pool.mlp(pool.layernorm(x)))[:, 0]


def pooled(pool: Any, x: Tensor, there: Tensor | None) -> Tensor:
    """Return what the learned query reads of `x [B, N, D]`, `[B, 1, D]`: its attention, written out to be heard."""
    own = pool.attention
    parts = zip(own.in_proj_weight.chunk(3), own.in_proj_bias.chunk(3), strict=True)
    (wq, bq), (wk, bk), (wv, bv) = parts
    asked = pool.probe.expand(len(x), -1, -1)
    q, k, v = (
        nn.functional.linear(given, weight, bias).unflatten(-1, (own.num_heads, -1)).transpose(1, 2)
        for given, weight, bias in ((asked, wq, bq), (x, wk, bk), (x, wv, bv))
    )
    return own.out_proj(heard_attention(pool, q, k, v, there, is_causal=False)[0].flatten(2))


class SiglipText(nn.Module):
    """Pieces to one vector: the last of 64 positions, padding included, for so it was trained."""

    readout = ("text_end",)

    def __init__(self, model: Any, pieces: PieceEncoder) -> None:
        super().__init__()
        self.text = model.text_model
        self.width = int(self.text.head.out_features)
        self.length = int(model.config.text_config.max_position_embeddings)
        self.before, self.after = pieces.embed(pieces.before), pieces.embed(pieces.after)
        self.pad = pieces.embed([pieces.pad])[0]

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, P, D]`; pieces that are masked out leave the sequence."""
        x, taken = framed(*packed(tokens), self.before, self.after)
        own = x.shape[1] - len(self.before) - len(self.after)
        x = torch.where(taken[..., None], x, self.pad)
        x = torch.cat([x, self.pad.expand(len(x), self.length - x.shape[1], -1)], dim=1)
        x = x + self.text.embeddings.position_embedding.weight
        between = self.length - len(self.before) - own - 1
        axis = (("text_start", len(self.before)), ("text", own), ("text_pad", between), ("text_end", 1))
        with hearing("text tower", axis, axis, torch.ones(len(x), 1, 1, self.length, dtype=torch.bool)):
            x = self.text.encoder(inputs_embeds=x, attention_mask=None, is_causal=False).last_hidden_state
        return self.text.head(self.text.final_layer_norm(x)[:, -1])


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a SigLIP together."""
    vision, text = model.config.vision_config, model.config.text_config
    embedding = model.text_model.embeddings.token_embedding
    pad = int(text.pad_token_id if text.pad_token_id is not None else 0)
    length = int(text.max_position_embeddings)
    pieces = PieceEncoder(folder.source, read_tokenizer(folder.path), embedding, length, pad)
    patch = model.vision_model.embeddings.patch_embedding
    patches = PatchEncoder(
        folder.source,
        folder.settings("preprocessor_config.json"),
        *(int(vision.image_size), int(vision.patch_size), int(vision.hidden_size)),
        lambda pixels: patch(pixels).flatten(2).transpose(1, 2),
    )
    towers = {"text": SiglipText(model, pieces), "image": SiglipPicture(model)}
    return late_parts({"text": pieces, "image": patches}, towers, model.logit_scale.exp(), model.logit_bias, asked)


family("siglip")(Family({"labels": "SiglipModel", "match": "SiglipModel"}, "late", build))
