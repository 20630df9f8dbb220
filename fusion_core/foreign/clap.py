"""CLAP (Wu 2023): a windowed audio transformer and a RoBERTa, compared by cosine. Attention is heard in text only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.asked import Asked
from fusion_core.encoders.text import read_tokenizer
from fusion_core.foreign.clips import FLOOR, SLICE, SliceEncoder
from fusion_core.foreign.family import Family, Parts, family
from fusion_core.foreign.folder import Folder
from fusion_core.foreign.head import framed, packed
from fusion_core.foreign.hearing import hearing
from fusion_core.foreign.late import late_parts
from fusion_core.foreign.pieces import PieceEncoder
from fusion_core.types import Tokens


class ClapAudio(nn.Module):
    """Slices to one vector. Its windows shift and merge over time and pitch: their attention is not drawn."""

    readout = ()
    cannot = "its windows shift and merge over time and pitch, so their attention is not drawn"

    def __init__(self, model: Any, slices: SliceEncoder) -> None:
        super().__init__()
        self.audio, self.projection = model.audio_model, model.audio_projection
        self.width = int(self.projection.linear2.out_features)
        self.bands, self.window = slices.bands, slices.window
        self.repeats = slices.extractor.padding in ("repeat", "repeatpad")
        self.channels = 4 if model.config.audio_config.enable_fusion else 1

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, T, bands * 25]`; slices that are masked out leave the clip."""
        values, mask = packed(tokens)
        counts = mask.sum(dim=1)
        found = values.new_zeros(len(values), self.width)
        for count in counts.unique().tolist():
            rows = (counts == count).nonzero()[:, 0]
            mel = values[rows, :count].unflatten(2, (self.bands, SLICE)).transpose(2, 3).flatten(1, 2)
            filled = mel.repeat(1, max(1, self.window // mel.shape[1]) if self.repeats else 1, 1)
            short = self.window - filled.shape[1]
            if short == 1:  # a whole window ends with a frame that belongs to no slice
                filled, short = torch.cat([filled, filled[:, -1:]], dim=1), 0
            filled = nn.functional.pad(filled, (0, 0, 0, short), value=FLOOR)[:, None].expand(-1, self.channels, -1, -1)
            longer = torch.zeros(len(rows), 1, dtype=torch.bool)
            heard = self.audio(input_features=filled, is_longer=longer).pooler_output
            found = found.index_copy(0, rows, self.projection(heard))
        return found


class ClapText(nn.Module):
    """Pieces to one vector: the pooled start piece of a bidirectional text tower, projected."""

    readout = ("text_start",)

    def __init__(self, model: Any, pieces: PieceEncoder) -> None:
        super().__init__()
        self.text, self.projection = model.text_model, model.text_projection
        self.width = int(self.projection.linear2.out_features)
        self.before, self.after = pieces.embed(pieces.before), pieces.embed(pieces.after)

    def forward(self, tokens: Tokens) -> Tensor:
        """Return `[B, E]` of `tokens [B, P, D]`; pieces that are masked out leave the sequence."""
        x, taken = framed(*packed(tokens), self.before, self.after)
        length = x.shape[1] - len(self.before) - len(self.after)
        axis = (("text_start", len(self.before)), ("text", length), ("text_end", len(self.after)))
        with hearing("text tower", axis, axis, taken[:, None, None]):
            pooled = self.text(inputs_embeds=x, attention_mask=taken.long()).pooler_output
        return self.projection(pooled)


def build(model: Any, folder: Folder, asked: Asked) -> Parts:
    """Put a CLAP together."""
    text = model.config.text_config
    embedding = model.text_model.embeddings.word_embeddings
    limit = int(text.max_position_embeddings) - int(text.pad_token_id) - 1
    pieces = PieceEncoder(folder.source, read_tokenizer(folder.path), embedding, limit, int(text.pad_token_id))
    slices = SliceEncoder(folder.source, folder.settings("preprocessor_config.json"))
    towers = {"text": ClapText(model, pieces), "audio": ClapAudio(model, slices)}
    return late_parts({"text": pieces, "audio": slices}, towers, model.logit_scale_a.exp(), None, asked)


family("clap")(Family({"labels": "ClapModel", "match": "ClapModel"}, "late", build))
