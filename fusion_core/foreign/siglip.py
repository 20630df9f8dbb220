"""SigLIP (Zhai 2023), and SigLIP2 of fixed resolution: two bidirectional towers, a scale and a bias."""

from __future__ import annotations

from typing import Any

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.late import late_parts
from fusion_core.foreign.pictures import PatchEncoder
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.foreign.siglip_towers import SiglipPicture, SiglipText, as_trained, padding_piece


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a SigLIP together."""
    vision, text = model.config.vision_config, model.config.text_config
    tokenizer = as_trained(folder, read_tokenizer(folder.path))
    pad = padding_piece(folder, tokenizer, int(text.pad_token_id if text.pad_token_id is not None else 0))
    length = int(text.max_position_embeddings)
    pieces = PieceEncoder(folder.source, tokenizer, model.text_model.embeddings.token_embedding, length, pad)
    own = model.vision_model.embeddings
    patches = PatchEncoder(
        folder.source,
        folder.preprocessing,
        *(int(vision.image_size), int(vision.patch_size), int(vision.hidden_size)),
        lambda pixels: own.patch_embedding(pixels).flatten(2).transpose(1, 2),
    )
    towers = {
        "text": SiglipText(model, pieces, length),
        "image": SiglipPicture(model, own.position_embedding.weight),
    }
    return late_parts({"text": pieces, "image": patches}, towers, model.logit_scale.exp(), model.logit_bias, asked)


family("siglip")(Family({"labels": "SiglipModel", "match": "SiglipModel"}, "late", build))
