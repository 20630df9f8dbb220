"""CLIP (Radford 2021): a vision transformer and a causal text transformer, compared by cosine."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.foreign.clip_picture import ClipPicture, clip_patches
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.head import framed, packed, unpacked
from fusion_core.foreign.hearing import hearing
from fusion_core.foreign.late import late_parts
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.types import Tokens


class ClipText(nn.Module):
    """Pieces to one vector: the end piece of the causal text tower, projected."""

    readout = ("text_end",)

    def __init__(self, model: Any, pieces: PieceEncoder) -> None:
        super().__init__()
        self.text, self.projection = model.text_model, model.text_projection
        self.width, self.depth = int(self.projection.out_features), int(self.projection.in_features)
        self.before, self.after = pieces.embed(pieces.before), pieces.embed(pieces.after)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, P, D]`; pieces that are masked out leave the sequence."""
        x, taken = self._run(tokens)
        # Causal: what stands behind a row's end piece is never read.
        return self.projection(x[torch.arange(len(x)), taken.sum(dim=1) - len(self.after)])

    def states(self, tokens: Tokens) -> Tensor:
        """Return the tower's last states at the pieces `[B, P, D]`, after its final norm."""
        x, _ = self._run(tokens)
        return unpacked(x[:, len(self.before) :], tokens.mask)

    def _run(self, tokens: Tokens) -> tuple[Tensor, Tensor]:
        x, taken = framed(*packed(tokens), self.before, self.after)
        x = x + self.text.embeddings.position_embedding.weight[: x.shape[1]]
        length = x.shape[1] - len(self.before) - len(self.after)
        axis = (("text_start", len(self.before)), ("text", length), ("text_end", len(self.after)))
        with hearing("text tower", axis, axis, taken[:, None, None]):
            x = self.text.encoder(inputs_embeds=x, attention_mask=None, is_causal=True).last_hidden_state
        return self.text.final_layer_norm(x), taken


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a CLIP together."""
    text = model.config.text_config
    tokenizer = read_tokenizer(folder.path)
    embedding = model.text_model.embeddings.token_embedding
    end = tokenizer.encode("a").ids[-1]
    pieces = PieceEncoder(folder.source, tokenizer, embedding, int(text.max_position_embeddings), end)
    towers = {"text": ClipText(model, pieces), "image": ClipPicture(model)}
    patches = clip_patches(model, folder)
    return late_parts({"text": pieces, "image": patches}, towers, model.logit_scale.exp(), None, asked)


family("clip")(Family({"labels": "CLIPModel", "match": "CLIPModel"}, "late", build))
