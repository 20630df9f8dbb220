"""AltCLIP (Chen 2022): CLIP's vision tower beside a multilingual XLM-R, compared by cosine."""

from __future__ import annotations

from typing import Any

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


class AltclipText(nn.Module):
    """Pieces to one vector: the start piece of a bidirectional text tower, transformed and projected."""

    readout = ("text_start",)

    def __init__(self, model: Any, pieces: PieceEncoder) -> None:
        super().__init__()
        self.text, self.projection = model.text_model, model.text_projection
        self.width = int(self.projection.out_features)
        self.depth = int(self.text.transformation.in_features)
        self.before, self.after = pieces.embed(pieces.before), pieces.embed(pieces.after)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, P, D]`; pieces that are masked out leave the sequence."""
        return self.projection(self.text.transformation(self._run(tokens)[:, 0]))

    def states(self, tokens: Tokens) -> Tensor:
        """Return the tower's last states at the pieces `[B, P, D]`, after the norm before its transformation."""
        return unpacked(self._run(tokens)[:, len(self.before) :], tokens.mask)

    def _run(self, tokens: Tokens) -> Tensor:
        x, taken = framed(*packed(tokens), self.before, self.after)
        length = x.shape[1] - len(self.before) - len(self.after)
        axis = (("text_start", len(self.before)), ("text", length), ("text_end", len(self.after)))
        with hearing("text tower", axis, axis, taken[:, None, None]):
            x = self.text.roberta(inputs_embeds=x, attention_mask=taken.long()).last_hidden_state
        return self.text.pre_LN(x)


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put an AltCLIP together."""
    text = model.config.text_config
    embedding = model.text_model.roberta.embeddings.word_embeddings
    # Its positions are numbered from behind the padding piece, as XLM-R's are.
    limit = int(text.max_position_embeddings) - int(text.pad_token_id) - 1
    pieces = PieceEncoder(folder.source, read_tokenizer(folder.path), embedding, limit, int(text.pad_token_id))
    towers = {"text": AltclipText(model, pieces), "image": ClipPicture(model)}
    patches = clip_patches(model, folder)
    return late_parts({"text": pieces, "image": patches}, towers, model.logit_scale.exp(), None, asked)


family("altclip")(Family({"labels": "AltCLIPModel", "match": "AltCLIPModel"}, "late", build))
