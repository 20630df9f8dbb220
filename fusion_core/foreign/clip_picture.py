"""The vision tower of CLIP and of those made after it: a class token before the patches of a square picture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.foreign.folder import Folder
from fusion_core.foreign.hearing import hearing
from fusion_core.foreign.pictures import PatchEncoder
from fusion_core.types import Tokens


class ClipPicture(nn.Module):
    """Patches to one vector: the class token of the vision tower, projected."""

    readout = ("image_summary",)

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.vision, self.projection = model.vision_model, model.visual_projection
        self.width, self.depth = int(self.projection.out_features), int(self.projection.in_features)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, N, D]`; patches that are masked out are no keys."""
        return self.projection(self.vision.post_layernorm(self._run(tokens)[:, 0]))

    def states(self, tokens: Tokens) -> Tensor:
        """Return the tower's last states at the patches `[B, N, D]`, through the norm its class token goes through."""
        x = self.vision.post_layernorm(self._run(tokens)[:, 1:])
        return torch.where(tokens.mask[..., None], x, 0.0)

    def _run(self, tokens: Tokens) -> Tensor:
        embeddings = self.vision.embeddings
        first = embeddings.class_embedding.expand(len(tokens.values), 1, -1)
        x = torch.cat([first, tokens.values], dim=1) + embeddings.position_embedding.weight
        there = nn.functional.pad(tokens.mask, (1, 0), value=True)[:, None, None]
        axis = (("image_summary", 1), ("image", tokens.mask.shape[1]))
        with hearing("image tower", axis, axis, there):
            return self.vision.encoder(
                inputs_embeds=self.vision.pre_layrnorm(x), attention_mask=None if bool(there.all()) else there
            ).last_hidden_state


def clip_patches(model: Any, folder: Folder) -> PatchEncoder:
    """Return the encoder of pictures for that tower, by the folder's `preprocessor_config.json`."""
    vision = model.config.vision_config
    patch = model.vision_model.embeddings.patch_embedding
    return PatchEncoder(
        folder.source,
        folder.preprocessing,
        *(int(vision.image_size), int(vision.patch_size), int(vision.hidden_size)),
        lambda pixels: patch(pixels).flatten(2).transpose(1, 2),
    )
