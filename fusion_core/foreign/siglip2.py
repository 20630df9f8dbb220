"""SigLIP2 NaFlex (Tschannen 2025): SigLIP's two towers, pictures in their own shape within a budget of patches.

Text is put in lower case, closed by its end piece and padded to the right with the tokenizer's padding piece up to 64
positions, all of which are read, and the vector is the last one's. So Siglip2Tokenizer does, whose lower case a
`tokenizer.json` made for Gemma lacks, and so the model was trained. Text of more pieces is cut and noted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.errors import ModelError
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.late import late_parts
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.foreign.shapes import ShapeEncoder
from fusion_core.foreign.siglip_towers import SiglipPicture, SiglipText, lowered, padding_piece

POSITIONS = 64  # the family's processor pads and cuts text to this many
MOST_PATCHES = 4_096
#: The scale is found by halving between these, to within the step, as the family's processor does.
SMALLEST, LARGEST, STEP = 1e-6, 100.0, 1e-5


class PatchBudget:
    """The largest size of about a picture's own shape, in whole patches, at most `max_num_patches` of them."""

    def __init__(self, settings: Mapping[str, Any], name: str, patch: int) -> None:
        try:
            self.most, given = int(settings.get("max_num_patches", 256)), int(settings.get("patch_size", patch))
        except (TypeError, ValueError, OverflowError) as error:
            raise ModelError(f"preprocessor_config.json of {name} cannot be read") from error
        if given != patch:
            raise ModelError(f"preprocessor_config.json of {name} cuts {given} px patches; the model reads {patch} px")
        if not 1 <= self.most <= MOST_PATCHES:
            raise ModelError(
                f"preprocessor_config.json of {name} allows {self.most:,} patches; 1 to {MOST_PATCHES:,} can be read"
            )
        self.patch = patch

    @property
    def said(self) -> dict[str, Any]:
        """Return its limits as they are written down."""
        return {"patches": self.most}

    def size(self, height: int, width: int) -> tuple[tuple[int, int], tuple[str, ...]]:
        """Return the height and width that a picture is resized to, in pixels."""
        low, high = SMALLEST, LARGEST
        while high - low >= STEP:
            scale = (low + high) / 2
            rows, columns = self._counts(height, width, scale)
            low, high = (scale, high) if rows * columns <= self.most else (low, scale)
        rows, columns = self._counts(height, width, low)
        return (rows * self.patch, columns * self.patch), ()

    def _counts(self, height: int, width: int, scale: float) -> tuple[int, int]:
        rows, columns = (max(1, math.ceil(side * scale / self.patch)) for side in (height, width))
        return rows, columns


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a SigLIP2 together; raises ModelError for one whose pictures are not pooled."""
    vision, text, own = model.config.vision_config, model.config.text_config, model.vision_model.embeddings
    if not vision.vision_use_head:
        raise ModelError(f"config.json of {folder.path.name} has vision_use_head false: its pictures have no vector")
    tokenizer = lowered(read_tokenizer(folder.path))
    usual = tokenizer.token_to_id("<pad>")
    pad = padding_piece(folder, tokenizer, int(text.pad_token_id or 0) if usual is None else usual)
    length = min(POSITIONS, int(text.max_position_embeddings))
    pieces = PieceEncoder(folder.source, tokenizer, model.text_model.embeddings.token_embedding, length, pad)
    patch, side = int(vision.patch_size), own.position_embedding_size
    places = own.position_embedding.weight.unflatten(0, (side, side))

    def embed(pixels: Tensor) -> Tensor:
        cut = pixels.unflatten(3, (-1, patch)).unflatten(2, (-1, patch)).permute(0, 2, 4, 3, 5, 1)
        grid = torch.tensor(cut.shape[1:3]).expand(len(pixels), -1)
        x = cut.flatten(3).flatten(1, 2)
        return own.patch_embedding(x) + own.resize_positional_embeddings(places, grid, x.shape[1])

    settings = {"resample": 2} | folder.preprocessing  # what the family's processor defaults to
    budget = PatchBudget(settings, folder.path.name, patch)
    shapes = ShapeEncoder(folder.source, settings, patch, int(vision.hidden_size), budget, embed)
    towers = {"text": SiglipText(model, pieces, length), "image": SiglipPicture(model, None)}
    return late_parts({"text": pieces, "image": shapes}, towers, model.logit_scale.exp(), model.logit_bias, asked)


family("siglip2")(Family({"labels": "Siglip2Model", "match": "Siglip2Model"}, "late", build))
