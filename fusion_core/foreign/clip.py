"""CLIP (Radford 2021): a vision transformer and a causal text transformer, compared by cosine."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.head import framed, packed, unpacked
from fusion_core.foreign.hearing import hearing
from fusion_core.foreign.late import late_parts
from fusion_core.foreign.pictures import PatchEncoder
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.types import Tokens


class ClipPicture(nn.Module):
    """Patches to one vector: the class token of the vision tower, projected."""

    readout = ("image_summary",)

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.vision, self.projection = model.vision_model, model.visual_projection
        self.width = self.projection.out_features
        self.states_width = int(model.config.vision_config.hidden_size)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, N, D]`; patches that are masked out are no keys."""
        return self.projection(self.vision.post_layernorm(self._run(tokens)[:, 0]))

    def states(self, tokens: Tokens) -> Tensor:
        """Return the last states of patches, `[B, N, D]`."""
        states = self.vision.post_layernorm(self._run(tokens)[:, 1:])
        return torch.where(tokens.mask[..., None], states, 0.0)

    def _run(self, tokens: Tokens) -> Tensor:
        embeddings = self.vision.embeddings
        first = embeddings.class_embedding.expand(len(tokens.values), 1, -1)
        x = torch.cat([first, tokens.values], dim=1) + embeddings.position_embedding.weight
        there = nn.functional.pad(tokens.mask, (1, 0), value=True)[:, None, None]
        axis = (("image_summary", 1), ("image", tokens.mask.shape[1]))
        with hearing("image tower", axis, axis, there):
            x = self.vision.encoder(
                inputs_embeds=self.vision.pre_layrnorm(x), attention_mask=None if bool(there.all()) else there
            ).last_hidden_state
        return x


class ClipText(nn.Module):
    """Pieces to one vector: the end piece of the causal text tower, projected."""

    readout = ("text_end",)

    def __init__(self, model: Any, pieces: PieceEncoder) -> None:
        super().__init__()
        self.text, self.projection = model.text_model, model.text_projection
        self.width = self.projection.out_features
        self.states_width = int(model.config.text_config.hidden_size)
        self.before, self.after = pieces.embed(pieces.before), pieces.embed(pieces.after)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, P, D]`; pieces that are masked out leave the sequence."""
        x, taken = self._run(tokens)
        # Causal: what stands behind a row's end piece is never read.
        ends = taken.sum(dim=1) - len(self.after)
        return self.projection(x[torch.arange(len(x)), ends])

    def states(self, tokens: Tokens) -> Tensor:
        """Return the last states of pieces, `[B, P, D]`."""
        x, _ = self._run(tokens)
        return unpacked(x[:, len(self.before) : x.shape[1] - len(self.after)], tokens.mask)

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
    vision, text = model.config.vision_config, model.config.text_config
    tokenizer = read_tokenizer(folder.path)
    embedding = model.text_model.embeddings.token_embedding
    end = tokenizer.encode("a").ids[-1]
    pieces = PieceEncoder(folder.source, tokenizer, embedding, int(text.max_position_embeddings), end)
    patch = model.vision_model.embeddings.patch_embedding
    patches = PatchEncoder(
        folder.source,
        folder.settings("preprocessor_config.json"),
        *(int(vision.image_size), int(vision.patch_size), int(vision.hidden_size)),
        lambda pixels: patch(pixels).flatten(2).transpose(1, 2),
    )
    towers = {"text": ClipText(model, pieces), "image": ClipPicture(model)}
    return late_parts({"text": pieces, "image": patches}, towers, model.logit_scale.exp(), None, asked)


family("clip")(Family({"labels": "CLIPModel", "match": "CLIPModel"}, "late", build))
